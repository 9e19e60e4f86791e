"""NAL units as bytes: bare streams (Annex B) and the length-prefixed form of MP4 (14496-15).

Nothing is parsed here but the NAL unit header; that is enough to cut a stream where a decoder may
begin.
"""

from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import BinaryIO

_START = b"\0\0\1"
_PIECE = 1 << 18  # bytes read at a time
_MAX_NAL = 1 << 28  # bytes without a start code after which this is no video

SLICE_TYPES = frozenset({1, 2, 3, 4, 5})
IDR = 5
PARAMETER_SETS = frozenset({7, 8, 13, 15})  # SPS, PPS, SPS extension, subset SPS
# 7.4.1.2.3: after the last slice of a picture these begin the next access unit.
_UNIT_STARTERS = frozenset({6, 7, 8, 9, 14, 15, 16, 17, 18})


def nal_type(nal: bytes) -> int:
    """`nal_unit_type` of a NAL unit that begins with its start code."""
    at = nal.find(_START) + 3
    return nal[at] & 31 if 3 <= at < len(nal) else 0


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


def first_slice(data: bytes) -> int:
    """`nal_unit_type` of the first slice in a packet with start codes; 0 where there is none."""
    at = data.find(_START)
    while 0 <= at < len(data) - 3:
        if data[at + 3] & 31 in SLICE_TYPES:
            return data[at + 3] & 31
        at = data.find(_START, at + 3)
    return 0


def length_size(extradata: bytes | None) -> int:
    """Bytes of the lengths in packets that go with an avcC record; 0 for Annex B."""
    return (extradata[4] & 3) + 1 if extradata and len(extradata) > 4 and extradata[0] == 1 else 0


def parameter_sets(record: bytes) -> list[bytes]:
    """The NAL units in an avcC record or in Annex B extradata, each with a start code."""
    if length_size(record) == 0:
        return split_nals(record)
    nals, at = [], 5
    for mask in (31, 255):  # the count of sequence parameter sets has five bits
        if at >= len(record):
            break
        count = record[at] & mask
        at += 1
        for _ in range(count):
            size = int.from_bytes(record[at : at + 2], "big")
            nals.append(_START + record[at + 2 : at + 2 + size])
            at += 2 + size
    return nals


def group_units(nals: Iterable[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Slices of a bare stream, with the NAL units before each, and whether an IDR begins there.

    An IDR picture that follows another with nothing between them is not told apart from it, which
    is harmless: what begins is where a decoder may start, and not every such place is needed.
    """
    held: list[bytes] = []
    parted, last = True, 0
    for nal in nals:
        kind = nal_type(nal)
        held.append(nal)
        if kind not in SLICE_TYPES:
            parted = parted or kind in _UNIT_STARTERS
            continue
        yield b"".join(held), kind == IDR and (parted or last != IDR)
        held, parted, last = [], False, kind
    if held:
        yield b"".join(held), False


def looks_bare(head: bytes, *, junk: bool = False) -> bool:
    """Whether the beginning of a file is that of a bare H.264 stream.

    It is when it begins with a start code and, before anything that H.264 forbids, has a sequence
    parameter set.

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
        if nal[3] & 31 == 7:
            return nal[3] & 96 != 0 and nal[4] in _PROFILES
    return False


_PROFILES = frozenset(
    {44, 66, 77, 83, 86, 88, 100, 110, 118, 122, 128, 134, 135, 138, 139, 144, 244}
)
