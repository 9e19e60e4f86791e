"""All packets of a video, kept, and the parameter sets that came before each of them."""

from collections.abc import Iterable, Iterator
from itertools import islice

from .annexb import NalSyntax, split_nals
from .demux import Packet

KEPT = 16 << 20  # bytes of packets, of one video: longer ones are read anew each time


class CodedVideo:
    """The packets of a video in decoding order.

    Attributes:
        packets: There.
        size: Their bytes.
    """

    def __init__(self, packets: list[Packet], nals: NalSyntax) -> None:
        """Keep packets of a codec with such NAL units."""
        self.packets, self._nals = packets, nals
        self.size = sum(len(packet.data) for packet in packets)
        self._before: dict[int, dict[bytes, None]] = {0: {}}

    def since(self, first: int) -> tuple[Iterator[tuple[int, Packet]], dict[bytes, None]]:
        """Packets from one on, with their numbers, and the parameter sets sent before it."""
        if first not in self._before:
            at = max(number for number in list(self._before) if number < first)
            sets = dict(self._before[at])
            collect_sets(self.packets[at:first], sets, self._nals)
            self._before[first] = sets
        return islice(enumerate(self.packets), first, None), self._before[first]


def collect_sets(packets: Iterable[Packet], sets: dict[bytes, None], nals: NalSyntax) -> None:
    """Add the parameter sets of packets to those before, the newest last."""
    for packet in packets:
        for nal in split_nals(packet.data):
            if nals.type(nal) in nals.parameter_sets:
                sets.pop(nal, None)
                sets[nal] = None
