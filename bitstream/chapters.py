"""Chapters put into a finished Matroska file: FFmpeg's tee muxer hands none on.

They go to its end, and the index at its beginning (SeekHead: RFC 9559, 6.3) gets their place, in
room that FFmpeg's muxer leaves behind it.
"""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

_SEGMENT, _SEEK_HEAD, _VOID, _CRC, _CHAPTERS = 0x18538067, 0x114D9B74, 0xEC, 0xBF, 0x1043A770
_SEEK, _SEEK_ID, _SEEK_POSITION = 0x4DBB, 0x53AB, 0x53AC
_EDITION, _ATOM, _UID, _START, _END = 0x45B9, 0xB6, 0x73C4, 0x91, 0x92
_DISPLAY, _STRING, _LANGUAGE = 0x80, 0x85, 0x437C
_HEAD = 1 << 16  # bytes in which the index is
_CRC_SIZE = 6  # of an element of that name, which is left out: what it sums up changes


class _Found(NamedTuple):
    name: int
    first: int  # where its data begin
    stop: int  # and end


def add_chapters(path: Path, chapters: Sequence[Mapping[str, object]]) -> None:
    """Append chapters to a Matroska file.

    Args:
        path: The file, as FFmpeg's muxer leaves it.
        chapters: As PyAV has them: `start`, `end`, `time_base`, `metadata`.

    Raises:
        ValueError: It is no such file, or has no room in its index.
    """
    with open(path, "r+b") as file:
        head = file.read(_HEAD)
        segment = _found(head, _found(head, 0).stop)
        index = _found(head, segment.first)
        void = _found(head, index.stop)
        if (segment.name, index.name, void.name) != (_SEGMENT, _SEEK_HEAD, _VOID):
            raise ValueError(f"{path} is not as FFmpeg writes Matroska")
        end = file.seek(0, 2)
        added = _element(_CHAPTERS, _element(_EDITION, b"".join(map(_atom, chapters))))
        seeks = head[index.first : index.stop]
        seeks = seeks[_CRC_SIZE:] if seeks[:1] == _bytes(_CRC) else seeks
        place = _element(_SEEK_POSITION, _bytes(end - segment.first))
        seeks += _element(_SEEK, _element(_SEEK_ID, _bytes(_CHAPTERS)) + place)
        made = _element(_SEEK_HEAD, seeks)
        room = void.stop - segment.first - len(made)
        if room < 2:
            raise ValueError(f"{path} has no room in its index")
        width = 8 if room > 8 else 1
        file.write(added)
        file.seek(segment.first - 8)
        file.write(_length(end + len(added) - segment.first, 8))
        file.write(made + _element(_VOID, bytes(room - 1 - width), width))


def _atom(chapter: Mapping[str, object]) -> bytes:
    unit = Fraction(str(chapter["time_base"])) * 10**9  # nanoseconds are counted
    start, end = (_bytes(round(int(str(chapter[name])) * unit)) for name in ("start", "end"))
    told = chapter.get("metadata")
    title = str(told.get("title", "")) if isinstance(told, Mapping) else ""
    number = int(str(chapter["id"])) % (1 << 32)
    parts = [_element(_UID, _bytes(number + 1)), _element(_START, start), _element(_END, end)]
    if title:
        string = _element(_STRING, title.encode("utf-8", "replace"))
        parts.append(_element(_DISPLAY, string + _element(_LANGUAGE, b"und")))
    return _element(_ATOM, b"".join(parts))


def _found(data: bytes, at: int) -> _Found:
    """The element at a place (RFC 8794: leading zeros of both numbers say how long they are)."""
    wide = 9 - data[at].bit_length()
    name, at = int.from_bytes(data[at : at + wide], "big"), at + wide
    wide = 9 - data[at].bit_length()
    size = int.from_bytes(data[at : at + wide], "big") & ((1 << 7 * wide) - 1)
    return _Found(name, at + wide, at + wide + size)


def _element(name: int, data: bytes, width: int = 0) -> bytes:
    return _bytes(name) + _length(len(data), width or (1 if len(data) < 127 else 8)) + data


def _length(size: int, width: int) -> bytes:
    return (1 << 7 * width | size).to_bytes(width, "big")


def _bytes(value: int) -> bytes:
    return value.to_bytes(max(1, -(-value.bit_length() // 8)), "big")
