"""How far a command is: a bar on a terminal, elsewhere a line every ten seconds."""

import sys
import time
from typing import TextIO

PAUSE = 10.0  # seconds between lines


class Bar:
    """Tells on stderr how far some work is.

    Args:
        name: Of the work.
        unit: What is counted, "frames".
        total: How many; None where that is not known.
        quiet: Tell nothing.
    """

    def __init__(
        self, name: str, unit: str, total: int | None = None, *, quiet: bool = False
    ) -> None:
        """Begin."""
        self._name, self._unit, self._quiet = name, unit, quiet
        self._stream: TextIO = sys.stderr
        self._done = 0
        self._bar = None
        if not quiet and self._stream.isatty():
            from tqdm import tqdm

            self._bar = tqdm(desc=name, unit=f" {unit}")
        self.reset(total)

    def reset(self, total: int | None) -> None:
        """Begin again, with so many to come."""
        self._total, self._done = total, 0
        self._began = self._said = time.monotonic()
        if self._bar is not None:
            self._bar.reset(total)

    def update(self, count: int) -> None:
        """So many more are done."""
        self._done += count
        if self._bar is not None:
            self._bar.update(count)
        elif not self._quiet and (now := time.monotonic()) - self._said >= PAUSE:
            self._said = now
            print(self.line(now - self._began), file=self._stream, flush=True)

    def line(self, elapsed: float) -> str:
        """How far it is after so many seconds, in words."""
        rate = self._done / elapsed if elapsed > 0 else 0.0
        whole = f" of {self._total}" if self._total else ""
        text = f"{self._name}: {self._done}{whole} {self._unit}, {rate:.3g} a second"
        if self._total and rate:
            text += f", {in_words((self._total - self._done) / rate)} to go"
        return text

    def close(self) -> None:
        """End."""
        if self._bar is not None:
            self._bar.close()

    def __enter__(self) -> "Bar":
        """The bar itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End."""
        self.close()


def in_words(seconds: float) -> str:
    """A time for people: 40 s, 12 min, 3 h 05 min."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02} min"
