"""What is in a priors file, counted without holding more than a few frames of it."""

from collections import Counter

import h5py
import numpy as np

from .reader import PriorsFile
from .reading import Priors
from .schema import MB_TYPES, PICTURE_TYPES, TU_TYPES, MbType

_BATCH = 64  # frames whose maps are held at a time


def sizes(priors: Priors) -> dict[str, dict[str, object]]:
    """Shape, type and bytes of every dataset; a video stores none."""
    result: dict[str, dict[str, object]] = {}
    if not isinstance(priors, PriorsFile):
        for path in priors.keys():
            data = priors[path]
            result[path] = {"shape": list(data.shape), "dtype": str(data.dtype)}
        return result
    with h5py.File(priors.path, "r") as file:
        for path in priors.fields:
            if path in file:
                data = file[path]
                stored = data.id.get_storage_size()
                result[path] = {
                    "shape": list(data.shape),
                    "dtype": str(np.dtype(data.dtype.str)),
                    "bytes": stored,
                    "ratio": round(data.nbytes / stored, 1) if stored else 0.0,
                }
    return result


def histograms(priors: Priors) -> dict[str, dict[str, int]]:
    """How often each picture type, macroblock type, transform (per 4x4 block) and QP occurs."""
    pictures = Counter(priors.column("picture_type").tolist())
    qp, types, units = Counter[int](), Counter[int](), Counter[int]()
    for first in range(0, len(priors), _BATCH):
        part = slice(first, first + _BATCH)
        kinds = priors.read("mb/type", part)
        for counter, values in (
            (types, kinds),
            (units, priors.read("tu/y", part)),
            (qp, priors.read("mb/qp_y", part)[kinds != MbType.I_PCM]),
        ):
            found, count = np.unique(values, return_counts=True)
            counter.update(dict(zip(found.tolist(), count.tolist(), strict=True)))
    return {
        "picture_type": _named(pictures, PICTURE_TYPES),
        "mb_type": _named(types, MB_TYPES),
        "tu": _named(units, TU_TYPES),
        "qp": {str(value): qp[value] for value in sorted(qp)},
    }


def spent(priors: Priors) -> dict[str, int]:
    """Bits of slice data in all, and what they were spent on where that is stored."""
    found = {"all": int(priors.column("bits").sum())} if "frames/bits" in priors else {}
    for path in priors.keys():
        if path.startswith("bits/"):
            total = sum(
                int(priors.read(path, slice(first, first + _BATCH)).sum(dtype=np.int64))
                for first in range(0, len(priors), _BATCH)
            )
            found[path.partition("/")[2]] = round(total / 256)
    return found


def _named(counts: Counter[int], names: dict[str, int]) -> dict[str, int]:
    return {name: counts[value] for name, value in names.items() if counts[value]}
