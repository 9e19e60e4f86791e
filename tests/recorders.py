"""Files as odd recorders write them: packets of a small stream in any container, with any times."""

import struct
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
from clips import encode
from davd.bitstream.annexb import split_nals

TICKS = 3600  # of 1/90000 s between two frames


class Unit(NamedTuple):
    """An access unit: NAL units with start codes, and its times in ticks."""

    data: bytes
    pts: int
    dts: int
    key: bool


def units(path: Path, **options: object) -> tuple[bytes, list[Unit]]:
    """Parameter sets and access units of a clip that is encoded for it, 32 by 32 by default."""
    options = {"frames": 12, "size": (32, 32), "sound": False} | options
    encode(path, **options)  # type: ignore[arg-type]
    with av.open(str(path)) as file:
        stream = file.streams.video[0]
        sets = bytes(stream.codec_context.extradata or b"")
        found = [p for p in file.demux(stream) if p.size]
        base = stream.time_base * 90000
        return sets, [
            Unit(annexb(bytes(p)), int(p.pts * base), int(p.dts * base), p.is_keyframe)
            for p in found
        ]


def annexb(data: bytes) -> bytes:
    """A packet with lengths of four bytes as one with start codes."""
    out, at = b"", 0
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        out, at = out + b"\0\0\0\1" + data[at + 4 : at + 4 + size], at + 4 + size
    return out


def lengths(data: bytes, size: int = 4) -> bytes:
    """The reverse, with lengths of any size."""
    nals = [nal[3:].rstrip(b"\0") for nal in split_nals(data)]
    return b"".join(len(nal).to_bytes(size, "big") + nal for nal in nals)


def in_ts(path: Path, packets: Sequence[tuple[bytes, int | None, int | None]]) -> Path:
    """A transport stream: one PES packet a unit, its clock of 33 bits wrapping."""
    psi = [_table(0, b"\0\1\xc1\0\0" + struct.pack(">HH", 1, 0xE000 | 4096)),
           _table(4096, b"\0\1\xc1\0\0\xe1\0\xf0\0\x1b\xe1\0\xf0\0", kind=2)]  # fmt: skip
    out, count = b"".join(psi), 0
    for data, pts, dts in packets:
        stamps = [] if pts is None else [pts] if dts in (None, pts) else [pts, dts]
        marks, flags = [((), 0), ((2,), 0x80), ((3, 1), 0xC0)][len(stamps)]
        head = b"".join(_stamp(m, s % (1 << 33)) for m, s in zip(marks, stamps, strict=True))
        body = b"\0\0\1\xe0\0\0\x80" + bytes([flags, len(head)]) + head + b"\0\0\0\1\t\xf0" + data
        for at in range(0, len(body), 184):
            piece = body[at : at + 184]
            start = 0x40 if at == 0 else 0
            if len(piece) < 184:
                pad = 183 - len(piece)
                field = bytes([pad]) + (b"\0" + b"\xff" * (pad - 1) if pad else b"")
                head4 = bytes([0x47, start | 1, 0, 0x30 | count])
                out += head4 + field + piece
            else:
                out += bytes([0x47, start | 1, 0, 0x10 | count]) + piece
            count = (count + 1) % 16
    path.write_bytes(out)
    return path


def _stamp(mark: int, time: int) -> bytes:
    parts = (time >> 30 & 7, time >> 15 & 0x7FFF, time & 0x7FFF)
    first = mark << 4 | parts[0] << 1 | 1
    return bytes([first]) + struct.pack(">HH", parts[1] << 1 | 1, parts[2] << 1 | 1)


def _table(pid: int, body: bytes, kind: int = 0) -> bytes:
    section = bytes([kind]) + struct.pack(">H", 0xB000 | (len(body) + 4)) + body
    crc = 0xFFFFFFFF
    for byte in section:
        crc ^= byte << 24
        for _ in range(8):
            crc = (crc << 1 ^ (0x04C11DB7 if crc >> 31 else 0)) & 0xFFFFFFFF
    data = b"\0" + section + crc.to_bytes(4, "big")
    return bytes([0x47, 0x40 | pid >> 8, pid & 255, 0x10]) + data.ljust(184, b"\xff")


def in_mkv(
    path: Path,
    sets: bytes,
    packets: Sequence[tuple[bytes, int]],
    *,
    also: bytes = b"",
    start: int = 0,
    **entries: int,
) -> Path:
    """A Matroska file of blocks with times in milliseconds.

    Args:
        path: where to.
        sets: the avcC record, or empty.
        packets: data and times.
        also: elements of the track.
        start: of the cluster; times count from it.
        entries: of its picture.
    """
    width, height = entries.pop("width", 32), entries.pop("height", 32)
    video = element(0xB0, _number(width)) + element(0xBA, _number(height))
    names = {"shown_width": 0x54B0, "shown_height": 0x54BA}
    video += b"".join(element(names[key], _number(value)) for key, value in entries.items())
    track = element(0xD7, b"\1") + element(0x73C5, b"\1") + element(0x83, b"\1")
    track += element(0x86, b"V_MPEG4/ISO/AVC") + (element(0x63A2, sets) if sets else b"")
    track += element(0xE0, video) + also
    info = element(0x2AD7B1, _number(1000000)) + element(0x4D80, b"x") + element(0x5741, b"x")
    blocks = b""
    for k, (data, time) in enumerate(packets):
        block = b"\x81" + struct.pack(">h", time) + (b"\x80" if k == 0 else b"\0") + data
        blocks += element(0xA3, block)
    segment = element(0x1549A966, info) + element(0x1654AE6B, element(0xAE, track))
    segment += element(0x1F43B675, element(0xE7, _number(start)) + blocks)
    head = element(0x4282, b"matroska") + element(0x4287, b"\4") + element(0x4285, b"\2")
    path.write_bytes(element(0x1A45DFA3, head) + element(0x18538067, segment))
    return path


def _number(value: int) -> bytes:
    return value.to_bytes(max(1, -(-value.bit_length() // 8)), "big")


def element(name: int, data: bytes) -> bytes:
    """An element of Matroska."""
    return _number(name) + (1 << 56 | len(data)).to_bytes(8, "big") + data


def in_avi(path: Path, packets: Sequence[bytes], *, size: int = 32) -> Path:
    """An AVI file: frames in decoding order, no times at all."""
    count = len(packets)
    main = struct.pack("<14I", 40000, 0, 0, 0x10, count, 0, 1, 0, size, size, 0, 0, 0, 0)
    head = b"vidsH264" + struct.pack("<10I4H", 0, 0, 0, 1, 25, 0, count, 0, 0, 0, 0, 0, size, size)
    form = struct.pack("<3I2H4s5I", 40, size, size, 1, 24, b"H264", 0, 0, 0, 0, 0)
    stream = _list(b"strl", _chunk(b"strh", head) + _chunk(b"strf", form))
    movie, index, at = b"", b"", 4
    for k, data in enumerate(packets):
        index += b"00dc" + struct.pack("<3I", 0x10 if k == 0 else 0, at, len(data))
        movie += _chunk(b"00dc", data)
        at += len(_chunk(b"00dc", data))
    parts = _list(b"hdrl", _chunk(b"avih", main) + stream) + _list(b"movi", movie)
    path.write_bytes(_chunk(b"RIFF", b"AVI " + parts + _chunk(b"idx1", index)))
    return path


def _chunk(name: bytes, data: bytes) -> bytes:
    return name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)


def _list(name: bytes, data: bytes) -> bytes:
    return _chunk(b"LIST", name + data)


def in_mp4(
    path: Path,
    records: Sequence[bytes],
    samples: Sequence[tuple[bytes, int, int]],
    *,
    described: Callable[[int], int] = lambda k: 0,
    size: tuple[int, int] = (32, 32),
) -> Path:
    """An MP4 file of samples with pts and dts in 1/90000 s, dts not falling.

    Args:
        path: where to.
        records: avcC records, a sample description each.
        samples: data, pts and dts.
        described: which description a sample has.
        size: as the track header and the descriptions have it.
    """
    width, height = size
    entries = b"".join(
        _box(b"avc1", bytes(6) + struct.pack(">H", 1) + bytes(16) + struct.pack(">HH", *size)
             + struct.pack(">IIIH", 0x480000, 0x480000, 0, 1) + bytes(32)
             + struct.pack(">Hh", 24, -1) + _box(b"avcC", record))
        for record in records
    )  # fmt: skip
    steps = [b - a for (*_, a), (*_, b) in zip(samples, samples[1:], strict=False)] + [TICKS]
    runs = [(k, described(k)) for k in range(len(samples))]
    runs = [r for i, r in enumerate(runs) if i == 0 or r[1] != runs[i - 1][1]]
    ends = [k for k, _ in runs[1:]] + [len(samples)]
    media = b"".join(data for data, _, _ in samples)
    start = 28 + 8  # of the media data
    places, at = [], start
    for (k, _), end in zip(runs, ends, strict=True):
        places.append(at)
        at += sum(len(data) for data, _, _ in samples[k:end])
    chunks = [
        (i + 1, b - a, which + 1) for i, ((a, which), b) in enumerate(zip(runs, ends, strict=True))
    ]
    table = [
        _full(b"stsd", struct.pack(">I", len(records)) + entries),
        _rows(b"stts", ">II", [(1, step) for step in steps]),
        _rows(b"ctts", ">Ii", [(1, pts - dts) for _, pts, dts in samples], version=1),
        _rows(b"stsc", ">III", chunks),
        _full(b"stsz", struct.pack(f">{2 + len(samples)}I", 0, len(samples),
                                   *(len(data) for data, _, _ in samples))),
        _rows(b"stco", ">I", [(place,) for place in places]),
    ]  # fmt: skip
    length = sum(steps)
    matrix = struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 1 << 30)
    times = struct.pack(">4I", 0, 0, 90000, length)
    media_info = _full(b"vmhd", bytes(8), 0, 1)
    media_info += _box(b"dinf", _full(b"dref", struct.pack(">I", 1) + _full(b"url ", b"", 0, 1)))
    media_info += _box(b"stbl", b"".join(table))
    kind = _full(b"hdlr", bytes(4) + b"vide" + bytes(12) + b"v\0")
    mdia = _full(b"mdhd", times + b"\x55\xc4\0\0") + kind + _box(b"minf", media_info)
    track = struct.pack(">5I", 0, 0, 1, 0, length) + bytes(16) + matrix
    tkhd = _full(b"tkhd", track + struct.pack(">II", width << 16, height << 16), 0, 7)
    mvhd = _full(b"mvhd", times + struct.pack(">IH", 65536, 256) + bytes(10) + matrix + bytes(24)
                 + struct.pack(">I", 2))  # fmt: skip
    moov = _box(b"moov", mvhd + _box(b"trak", tkhd + _box(b"mdia", mdia)))
    ftyp = _box(b"ftyp", b"isom\0\0\2\0isomiso2avc1")
    assert len(ftyp) == 28
    path.write_bytes(ftyp + _box(b"mdat", media) + moov)
    return path


def _box(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data) + 8) + name + data


def _full(name: bytes, data: bytes, version: int = 0, flags: int = 0) -> bytes:
    return _box(name, struct.pack(">I", version << 24 | flags) + data)


def _rows(name: bytes, form: str, rows: Sequence[tuple[int, ...]], version: int = 0) -> bytes:
    packed = b"".join(struct.pack(form, *row) for row in rows)
    return _full(name, struct.pack(">I", len(rows)) + packed, version)


def shown(path: Path) -> tuple[list[np.ndarray], list[Fraction | None]]:
    """Luma and times of the frames that FFmpeg shows."""
    lumas: list[np.ndarray] = []
    times: list[Fraction | None] = []
    with av.open(f"file:{path}") as file:
        try:
            for frame in file.decode(file.streams.video[0]):
                plane = frame.planes[0]
                rows = np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)
                lumas.append(rows[:, : frame.width].copy())
                times.append(None if frame.pts is None else frame.pts * frame.time_base)
        except IndexError:  # PyAV, of a stream that appeared on the way
            pass
    return lumas, times
