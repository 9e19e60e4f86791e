"""NAL units as bytes: bare streams (Annex B) and the length-prefixed form of MP4 (14496-15).

Nothing is parsed here but the NAL unit header; that is enough to cut a stream where a decoder may
begin.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import BinaryIO

_START = b"\0\0\1"
_PIECE = 1 << 18  # bytes read at a time
_MAX_NAL = 1 << 28  # bytes without a start code after which this is no video


class NalSyntax(ABC):
    """What NAL units of a codec are, as far as their first bytes tell.

    Attributes:
        slices: `nal_unit_type` of slices.
        parameter_sets: Of parameter sets.
        trailing: Of what belongs to the slice before; all else to the one that follows.
    """

    slices: frozenset[int]
    parameter_sets: frozenset[int]
    trailing: frozenset[int]

    def type(self, nal: bytes) -> int:
        """`nal_unit_type` of a NAL unit that begins with its start code; 0 of an empty one."""
        at = nal.find(_START) + 3
        return self._type(nal[at]) if 3 <= at < len(nal) else 0

    @abstractmethod
    def _type(self, byte: int) -> int:
        """The same, of the first byte of the header."""

    @abstractmethod
    def is_plausible(self, nal: bytes) -> bool:
        """Whether a NAL unit that begins with its start code has a header that is allowed."""

    @abstractmethod
    def length_size(self, extradata: bytes | None) -> int:
        """Bytes of the lengths in packets that go with a container's record; 0 for Annex B."""

    @abstractmethod
    def _in_record(self, record: bytes) -> list[bytes]:
        """NAL units of a container's record."""

    @abstractmethod
    def _is_sps(self, nal: bytes) -> bool:
        """Whether a NAL unit is a sequence parameter set, and of a kind that there is."""

    def sets_of(self, record: bytes) -> list[bytes]:
        """NAL units in a container's record or in Annex B extradata, each with a start code."""
        return self._in_record(record) if self.length_size(record) else split_nals(record)

    def looks_bare(self, head: bytes, *, junk: bool = False) -> bool:
        """Whether the beginning of a file is that of a bare stream of this codec.

        It is when it begins with a start code and, before anything that the codec forbids, has a
        sequence parameter set.

        Args:
            head: The beginning of the file.
            junk: Bytes before the first start code are allowed.
        """
        at = head.find(_START)
        if at < 0 or (not junk and head[:at].strip(b"\0")):
            return False
        for nal in split_nals(head):
            if len(nal) < 5 or nal[3] & 128:
                return False
            if self._is_sps(nal):
                return True
            if not self._may_come_first(nal):
                return False
        return False

    @abstractmethod
    def _may_come_first(self, nal: bytes) -> bool:
        """Whether a stream may have a NAL unit before its sequence parameter set."""

    def units(self, nals: Iterable[bytes]) -> Iterator[bytes]:
        """NAL units of a bare stream, each slice together with what belongs to it."""
        held: list[bytes] = []
        sliced = False
        for nal in nals:
            kind = self.type(nal)
            if sliced and kind not in self.trailing:
                yield b"".join(held)
                held, sliced = [], False
            held.append(nal)
            sliced = sliced or kind in self.slices
        if held:
            yield b"".join(held)


class H264Nals(NalSyntax):
    """Rec. ITU-T H.264, 7.3.1, and its record avcC (ISO/IEC 14496-15, 5.3.3.1)."""

    slices = frozenset({1, 2, 3, 4, 5})
    parameter_sets = frozenset({7, 8, 13, 15})  # SPS, PPS, SPS extension, subset SPS
    trailing = frozenset()  # it makes no difference

    _PROFILES = frozenset(
        {44, 66, 77, 83, 86, 88, 100, 110, 118, 122, 128, 134, 135, 138, 139, 144, 244}
    )

    def _type(self, byte: int) -> int:
        return byte & 31

    def is_plausible(self, nal: bytes) -> bool:
        """Whether a NAL unit that begins with its start code has a header that is allowed."""
        return nal[3:4] < b"\x80" and 0 < self.type(nal) < 24

    def length_size(self, extradata: bytes | None) -> int:
        """Bytes of the lengths in packets that go with an avcC record; 0 for Annex B."""
        known = extradata and len(extradata) > 4 and extradata[0] == 1
        return (extradata[4] & 3) + 1 if extradata and known else 0

    def _in_record(self, record: bytes) -> list[bytes]:
        nals: list[bytes] = []
        at = 5
        for mask in (31, 255):  # the count of sequence parameter sets has five bits
            count = record[at] & mask if at < len(record) else 0
            at = _take(record, at + 1, count, nals)
        return nals

    def _is_sps(self, nal: bytes) -> bool:
        return nal[3] & 31 == 7 and nal[3] & 96 != 0 and nal[4] in self._PROFILES

    def _may_come_first(self, nal: bytes) -> bool:
        return nal[3] & 31 != 7


class HevcNals(NalSyntax):
    """Rec. ITU-T H.265, 7.3.1, and its record hvcC (ISO/IEC 14496-15, 8.3.3.1)."""

    slices = frozenset({*range(10), *range(16, 22)})
    parameter_sets = frozenset({32, 33, 34})
    # 7.4.2.4.4: end of sequence, of bitstream, filler, suffix SEI, reserved and unspecified ones
    trailing = frozenset({36, 37, 38, 40, 45, 46, 47, *range(56, 64)})

    def _type(self, byte: int) -> int:
        return byte >> 1 & 63

    def is_plausible(self, nal: bytes) -> bool:
        """Whether a NAL unit that begins with its start code has a header that is allowed."""
        return len(nal) > 5 and nal[3] < 128 and nal[4] & 7 > 0

    def length_size(self, extradata: bytes | None) -> int:
        """Bytes of the lengths in packets that go with an hvcC record; 0 for Annex B."""
        if not extradata or len(extradata) < 23 or split_nals(extradata[:8]):
            return 0
        # a draft of the record began with 0
        return (extradata[21] & 3) + 1 if extradata[0] < 2 else 0

    def _in_record(self, record: bytes) -> list[bytes]:
        nals: list[bytes] = []
        at = 23
        for _ in range(record[22]):
            at = _take(record, at + 3, int.from_bytes(record[at + 1 : at + 3], "big"), nals)
        return nals

    def _is_sps(self, nal: bytes) -> bool:
        return nal[3:5] == b"\x42\x01"  # of the base layer, TemporalId 0

    def _may_come_first(self, nal: bytes) -> bool:
        return nal[4] & 7 > 0


H264_NALS, HEVC_NALS = H264Nals(), HevcNals()


def _take(record: bytes, at: int, count: int, nals: list[bytes]) -> int:
    """Add some NAL units, each behind two bytes of its size; where they end."""
    for _ in range(count):
        if at + 2 > len(record):
            break
        size = int.from_bytes(record[at : at + 2], "big")
        nals.append(_START + record[at + 2 : at + 2 + size])
        at += 2 + size
    return at


def read_nals(file: BinaryIO) -> Iterator[bytes]:
    """NAL units of a bare stream, each with its start code, in bounded memory.

    What comes before the first start code is dropped. Zero bytes before a start code stay with the
    NAL unit that they follow, where they mean nothing.

    Raises:
        ValueError: There is no start code for too long.
    """
    buffer, begun = b"", False
    while piece := file.read(_PIECE):
        searched = max(0, len(buffer) - 2) if begun else 0
        buffer += piece
        begin = 0
        if not begun:
            begin = buffer.find(_START)
            if begin < 0:
                buffer = buffer[-2:]
                continue
            begun, searched = True, begin
        at = buffer.find(_START, max(searched, begin + 3))
        while at >= 0:
            yield buffer[begin:at]
            begin = at
            at = buffer.find(_START, begin + 3)
        buffer = buffer[begin:]
        if len(buffer) > _MAX_NAL:
            raise ValueError(f"no start code in {len(buffer) >> 20} MB")
    if begun:
        yield buffer


def split_nals(data: bytes) -> list[bytes]:
    """NAL units of a piece of a bare stream, each with its start code."""
    begins = []
    at = data.find(_START)
    while at >= 0:
        begins.append(at)
        at = data.find(_START, at + 3)
    return [data[a:b] for a, b in pairwise([*begins, len(data)])]


def unpacked(data: bytes, length_size: int) -> bytes:
    """A container's packet with start codes before its NAL units, however it is framed.

    Lengths are believed where they add up to the packet, of the size that the container says or
    else of another; then start codes, where the packet begins with one. Start codes inside a unit,
    as some phones have them behind a prefix NAL unit, need no care: they are where they belong.

    Args:
        data: The packet.
        length_size: Bytes of the lengths before the NAL units; 0 where the container says that
            there are start codes.
    """
    at = data.find(_START, 0, 8)  # up to five zero bytes may come before
    coded = at >= 0 and not data[:at].strip(b"\0")
    # 00 00 01 xx is a length too, of four bytes; no other has more than one zero byte in front
    if coded and length_size != 4:
        return data
    for size in dict.fromkeys((length_size, *(() if coded else (4, 2, 1, 3)))):
        if size and (nals := _by_lengths(data, size)) is not None:
            return b"".join(nals)
    if coded or length_size == 0:
        return data
    return b"".join(_by_lengths(data, length_size, exact=False) or ())


def _by_lengths(data: bytes, length_size: int, *, exact: bool = True) -> list[bytes] | None:
    """NAL units behind lengths; None where the lengths do not add up, if they must."""
    nals, at = [], 0
    while at + length_size < len(data):
        size = int.from_bytes(data[at : at + length_size], "big")
        at += length_size
        if exact and (at + size > len(data) or (size and data[at] & 128)):
            return None
        if size:
            nals.append(_START + data[at : at + size])
        at += size
    return None if exact and (not nals or data[at:].strip(b"\0")) else nals
