"""Figures of every frame for the curves of the viewer, computed beside it while it is used."""

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ..open import open as open_priors
from ..priors.hevc import CuMode
from ..priors.reading import Priors
from ..priors.record import record_arrays
from ..priors.schema import LAST_INTRA, MbType
from ..video import PriorsVideo

_BATCH = 16  # frames read at a time
NAMES = ("qp", "qp_low", "qp_high", "intra", "skip", "concealed", "bits")
MAPS = {"h264": ("mb/type", "mb/qp_y"), "hevc": ("cu/mode", "qp/y")}
"""Datasets of kinds of blocks and of QP, by codec."""
_FACTS = ("frames/concealed", "frames/bits")


class Course:
    """Per frame QP (mean, least, greatest), shares of intra and skipped blocks, concealment.

    Args:
        path: A priors file or a video; it is opened once more, for a thread of its own.
        count: Its frames.
    """

    def __init__(self, path: Path, count: int) -> None:
        """Begin with nothing; `start` begins to count."""
        self._path, self._done, self._stop = path, 0, threading.Event()
        self._values = {name: np.zeros(count, np.float32) for name in NAMES}
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def since(self, first: int) -> tuple[dict[str, np.ndarray], bool]:
        """Figures from a frame on, as far as they are there, and whether they are all there."""
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, daemon=True)
                self._thread.start()
        done, count = self._done, len(self._values["qp"])
        ended = done == count or not self._thread.is_alive()
        return {n: v[first:done] for n, v in self._values.items()}, ended

    def close(self) -> None:
        """Stop counting."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        with open_priors(self._path, planes=(), motion=False, modes=False, bits=False) as priors:
            first = 0
            for batch in _batches(priors):
                if self._stop.is_set():
                    return
                part = slice(first, first + len(next(iter(batch.values()))))
                figures(self._values, part, batch)
                self._done = first = part.stop


def _batches(priors: Priors) -> Iterator[dict[str, np.ndarray]]:
    """Maps of kinds of blocks and QP, and whether frames are concealed, some frames at a time."""
    wanted = (*MAPS[str(priors.attrs["codec"])], *_FACTS)
    if not isinstance(priors, PriorsVideo):
        for first in range(0, len(priors), _BATCH):
            part = slice(first, min(first + _BATCH, len(priors)))
            yield {path: priors.read(path, part) for path in wanted if path in priors}
        return
    for record in priors:  # a video is decoded as it comes
        maps = record_arrays(record)
        facts = {f"frames/{name}": getattr(record, name, None) for name in ("concealed", "bits")}
        row = maps | {path: value for path, value in facts.items() if value is not None}
        yield {path: np.asarray(row[path])[None] for path in wanted if path in row}


def figures(values: dict[str, np.ndarray], part: slice, read: dict[str, np.ndarray]) -> None:
    """Fill in some frames from the maps of `MAPS` and facts; I_PCM has no QP."""
    hevc = "cu/mode" in read
    kinds, qp = (read[path] for path in MAPS["hevc" if hevc else "h264"])
    flat = kinds.reshape(len(kinds), -1)
    coded = qp.reshape(flat.shape).astype(np.float32)
    if hevc:
        intra, skip = flat >= CuMode.INTRA, flat == CuMode.SKIP
    else:
        intra, skip = flat <= LAST_INTRA, np.isin(flat, (MbType.P_Skip, MbType.B_Skip))
        coded[flat == MbType.I_PCM] = np.nan
        coded[np.isnan(coded).all(1)] = 0
    values["qp"][part] = np.nanmean(coded, 1)
    values["qp_low"][part], values["qp_high"][part] = np.nanmin(coded, 1), np.nanmax(coded, 1)
    values["intra"][part], values["skip"][part] = intra.mean(1), skip.mean(1)
    for name in ("concealed", "bits"):
        if f"frames/{name}" in read:
            values[name][part] = read[f"frames/{name}"]
