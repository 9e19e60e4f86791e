"""What is in a priors file, counted without holding more than a few frames of it."""

from collections import Counter

import h5py
import numpy as np

from .reader import PriorsFile
from .reading import Priors
from .schema import PICTURE_TYPES, MbType

_BATCH = 64  # frames whose maps are held at a time
_COUNTED = {  # name and dataset of what `histograms` counts; QP last
    "h264": {"mb_type": "mb/type", "tu": "tu/y", "qp": "mb/qp_y"},
    "hevc": {
        "cu_mode": "cu/mode",
        "cu_size": "cu/size",
        "cu_part": "cu/part",
        "tu_kind": "tu/kind",
        "tu_size": "tu/size",
        "qp": "qp/y",
    },
}


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
    """How often the values of the maps occur, per block of theirs, and picture types.

    Of H.264 macroblock types, transforms and QP (without I_PCM); of HEVC modes, sizes and
    partitions of coding units, kinds and sizes of transform blocks and QP, all per 4x4 samples.
    """
    pictures = Counter(priors.column("picture_type").tolist())
    paths = _COUNTED[str(priors.attrs["codec"])]
    counts = {name: Counter[int]() for name in paths}
    for first in range(0, len(priors), _BATCH):
        part = slice(first, first + _BATCH)
        read = {name: priors.read(path, part) for name, path in paths.items()}
        if "mb_type" in read:
            read["qp"] = read["qp"][read["mb_type"] != MbType.I_PCM]
        for name, values in read.items():
            found, count = np.unique(values, return_counts=True)
            counts[name].update(dict(zip(found.tolist(), count.tolist(), strict=True)))
    return {"picture_type": _named(pictures, PICTURE_TYPES)} | {
        name: _named(counts[name], priors.fields[path].values) for name, path in paths.items()
    }


def spent(priors: Priors) -> dict[str, int]:
    """Bits of slice data in all, and what they were spent on where that is stored."""
    found = {"all": int(priors.column("bits").sum())} if "frames/bits" in priors else {}
    parts = [path for path in priors.keys() if path.startswith("bits/")]
    totals = dict.fromkeys(parts, 0.0)
    for first in range(0, len(priors) if parts else 0, _BATCH):
        frames = slice(first, first + _BATCH)
        share: np.ndarray | float = 1.0
        if priors.attrs["codec"] == "hevc":  # a coding unit's cost stands in each of its 8x8 blocks
            share = np.ldexp(1.0, 6 - 2 * priors.read("cu/size", frames)[:, ::2, ::2].astype(int))
        for path in parts:
            totals[path] += float((priors.read(path, frames) * share).sum())
    return found | {path.partition("/")[2]: round(total / 256) for path, total in totals.items()}


def _named(counts: Counter[int], names: dict[str, int] | None) -> dict[str, int]:
    if names is None:
        return {str(value): counts[value] for value in sorted(counts)}
    return {name: counts[value] for name, value in names.items() if counts[value]}
