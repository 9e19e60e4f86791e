"""Figures of every frame for the curves of the viewer, computed beside it while it is used."""

import threading
from pathlib import Path

import numpy as np

from ..priors.schema import MB_TYPES
from .reading import open_priors

_BATCH = 16  # frames read at a time
_INTRA = max(v for n, v in MB_TYPES.items() if n.startswith("I_"))
_SKIP = [v for n, v in MB_TYPES.items() if n.endswith("_Skip")]
NAMES = ("qp", "qp_low", "qp_high", "intra", "skip")


class Course:
    """Mean, least and greatest QP, and the shares of intra and skipped macroblocks, per frame.

    Args:
        path: a priors file or a video; it is opened once more, for a thread of its own.
        count: its frames.
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
        count = len(self._values["qp"])
        with open_priors(self._path) as priors:
            for first in range(0, count, _BATCH):
                if self._stop.is_set():
                    return
                part = slice(first, min(first + _BATCH, count))
                figures(self._values, part, priors.read("mb/type", part),
                        priors.read("mb/qp_y", part))  # fmt: skip
                self._done = part.stop


def figures(values: dict[str, np.ndarray], part: slice, kinds: np.ndarray, qp: np.ndarray) -> None:
    """Fill in some frames from their maps of macroblock types and QP; PCM has no QP."""
    flat = kinds.reshape(len(kinds), -1)
    coded = np.where(flat == MB_TYPES["I_PCM"], np.nan, qp.reshape(flat.shape).astype(np.float32))
    coded[np.isnan(coded).all(1)] = 0
    values["qp"][part] = np.nanmean(coded, 1)
    values["qp_low"][part], values["qp_high"][part] = np.nanmin(coded, 1), np.nanmax(coded, 1)
    values["intra"][part] = (flat <= _INTRA).mean(1)
    values["skip"][part] = np.isin(flat, _SKIP).mean(1)
