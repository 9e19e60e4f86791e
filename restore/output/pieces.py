"""The pictures of a movie in pieces, each coded by itself, so that a run that is stopped can go on.

    NAME.pieces/settings.json   what the pieces are of; pieces of anything else are thrown away
                000000.nut ...  `LENGTH` coded pictures each (the last has fewer), without sound

A movie is always made of such pieces, so that it does not matter whether they were made in one run.
They are joined packet by packet. NUT keeps the times exactly; it moves them, so what is taken from
it is their order.
"""

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

import av
import numpy as np

from ...bitstream.demux import open_container

LENGTH = 120  # pictures of a piece


class Pieces:
    """The folder of the pieces.

    Args:
        folder: Where they are.
        settings: All that they depend on.
        resume: Keep what is there of the same settings; else what is there is thrown away.

    Attributes:
        whole: How many pieces are finished.
    """

    def __init__(
        self, folder: Path, settings: Mapping[str, object] | None = None, *, resume: bool = False
    ) -> None:
        """Look what is there; the folder is made with the first piece."""
        self.folder = folder
        self._note = folder / "settings.json"
        self._text = json.dumps({"length": LENGTH, **(settings or {})}, indent=1, sort_keys=True)
        known = self._note.is_file() and self._note.read_text(encoding="utf-8") == self._text
        if not (resume and known):
            self.remove()
        self.whole = 0
        while self.path(self.whole).is_file():
            self.whole += 1

    def path(self, number: int) -> Path:
        """Where a piece is."""
        return self.folder / f"{number:06}.nut"

    def begin(self) -> Path:
        """Where the next piece is written until it is finished."""
        if not self.whole:
            self.folder.mkdir(exist_ok=True)
            self._note.write_text(self._text, encoding="utf-8")
        return self.folder / "piece.part"

    def finish(self) -> None:
        """The piece that was begun is whole."""
        (self.folder / "piece.part").rename(self.path(self.whole))
        self.whole += 1

    def remove(self) -> None:
        """Remove them all."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def close(self) -> None:
        """Leave the finished ones for another run; where there are none, nothing."""
        (self.folder / "piece.part").unlink(missing_ok=True)
        if not self.whole:
            self.remove()

    def template(self) -> "av.container.InputContainer":
        """The first piece, opened."""
        return open_container(self.path(0))

    def packets(self, pts: list[int], usual: int) -> Iterator[av.Packet]:
        """The packets of all pieces in decoding order, with times.

        Args:
            pts: Of all pictures, in display order.
            usual: Units of time that a picture lasts, as a rule.

        Yields:
            Packets with pts, dts and duration.
        """
        late = max((_lateness(self._order(k)) for k in range(self.whole)), default=0)
        early = [pts[0] - (late - k) * usual for k in range(late)]
        place = 0
        for number in range(self.whole):
            first = place
            with open_container(self.path(number)) as piece:
                packets = [packet for packet in piece.demux(video=0) if packet.size]
                for rank, packet in zip(_ranks(packets), packets, strict=True):
                    shown = first + rank
                    packet.pts = pts[shown]
                    packet.dts = early[place] if place < late else pts[place - late]
                    follows = pts[shown + 1] if shown + 1 < len(pts) else pts[shown] + usual
                    packet.duration = follows - pts[shown]
                    place += 1
                    yield packet

    def _order(self, number: int) -> list[int]:
        with open_container(self.path(number)) as piece:
            return _ranks([packet for packet in piece.demux(video=0) if packet.size])


def _ranks(packets: list[av.Packet]) -> list[int]:
    """Places in display order of packets in decoding order."""
    times = [packet.pts or 0 for packet in packets]
    return np.argsort(np.argsort(times, kind="stable"), kind="stable").tolist()


def _lateness(ranks: list[int]) -> int:
    """How many pictures decoding has to run ahead so that none is shown before it is decoded."""
    return max((place - rank for place, rank in enumerate(ranks)), default=0)
