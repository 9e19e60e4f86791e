"""How many files a process holds open that it reads by turns: a training knows thousands of clips.

Systems allow a thousand open files or so, and each costs memory. Readers whose `close` leaves them
usable tell of every use; those that were not used for longest are closed.
"""

import weakref
from collections import OrderedDict
from typing import Protocol

MOST = 200  # a loader's window is read from one clip: more than that are held for speed alone


class Reopening(Protocol):
    """What opens its file again when it is used after `close`."""

    def close(self) -> None:
        """Give the file back."""


class Handles:
    """The readers of a process whose files are open, in the order of their last use.

    Single operations on it are atomic, so it needs no lock: at worst a reader is closed too early.

    Args:
        most: How many there may be.
    """

    def __init__(self, most: int) -> None:
        """None yet."""
        self.most = most
        self._open: OrderedDict[int, weakref.ref[Reopening]] = OrderedDict()

    def __len__(self) -> int:
        """How many are open."""
        return len(self._open)

    def used(self, reader: Reopening) -> None:
        """Note that a reader's file is open and in use; others may be closed for it."""
        key = id(reader)
        try:
            self._open.move_to_end(key)
        except KeyError:
            self._open[key] = weakref.ref(reader, lambda _: self._open.pop(key, None))
        while len(self._open) > self.most:
            _, reference = self._open.popitem(last=False)
            if (oldest := reference()) is not None:
                oldest.close()

    def closed(self, reader: Reopening) -> None:
        """Note that a reader's file is closed."""
        self._open.pop(id(reader), None)


HANDLES = Handles(MOST)
