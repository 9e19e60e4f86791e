"""What the fuzzers of both decoders start from.

    python tests/fuzz/seeds.py build/fuzz [VECTORS [VECTORS_HEVC]]

Writes `sets.h`, the parameter sets of fuzz_unit, and a corpus for each harness: streams that the
tests write (H.264) or have encoded (HEVC), and the first NAL units of those in folders of test
vectors.
"""

import struct
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bitwriter import Picture, Sets, avcc, stream
from test_hevc import KINDS, PIXELS, encode

LARGEST = 5_000  # bytes of a seed
BARE = ".264 .h264 .avc .jsv .jvt .26l .bit .bits .hevc .h265 .265".split()  # no containers

WRITTEN = {
    "plain": Sets(num_ref_frames=3, gaps=1, reorder=1, buffering=3),
    "poc1": Sets(poc_type=1, poc_cycle=(2, 4), num_ref_frames=1),
    "cabac": Sets(cabac=1, weighted=1),
    "groups": Sets(profile_idc=66, slice_groups=2, redundant=1),
    "extended": Sets(profile_idc=88),
    "high": Sets(profile_idc=100, flat_list=20),
    "gray": Sets(profile_idc=100, chroma_format_idc=0),
    "high422": Sets(profile_idc=122, chroma_format_idc=2, bit_depth=10),
    "high444": Sets(profile_idc=244, chroma_format_idc=3, bit_depth=14, bit_depth_chroma=8),
    "field": Sets(frame_mbs_only=0, height_mbs=4),
    "mbaff": Sets(frame_mbs_only=0, mbaff=1, height_mbs=4, cabac=1),
    "narrow": Sets(width_mbs=1, height_mbs=1, crop=(7, 0, 0, 0)),
}


def written(s: Sets) -> bytes:
    """An IDR picture and some that refer to it."""
    fields = () if s.frame_mbs_only else (0,)
    pictures = [Picture(idr=True, value=None if s.cabac else 9, field_bits=fields)]
    pictures += [Picture(frame_num=n, poc=2 * n, value=None, field_bits=fields) for n in (1, 2, 4)]
    return stream(s, pictures)


def all_units(data: bytes) -> list[bytes]:
    """NAL units of a stream with start codes of either length, without them."""
    parts = data.split(b"\0\0\1")[1:]
    return [part.rstrip(b"\0") for part in parts if part.rstrip(b"\0")]


def hvcc(data: bytes) -> tuple[bytes, list[bytes]]:
    """An hvcC record with lengths of four bytes, and the NAL units behind it as packets."""
    own = [unit for unit in all_units(data) if is_hevc_set(unit)]
    arrays = b"".join(
        bytes([unit[0] >> 1 & 63]) + struct.pack(">HH", 1, len(unit)) + unit for unit in own[:255]
    )
    record = bytes([1, 1, *[0] * 19, 0xFF, len(own[:255])]) + arrays
    rest = [unit for unit in all_units(data) if not is_hevc_set(unit)]
    return record, [struct.pack(">I", len(unit)) + unit for unit in rest]


def is_set(unit: bytes) -> bool:
    """Is it a parameter set of H.264?"""
    return unit[0] & 31 in (7, 8)


def is_hevc_set(unit: bytes) -> bool:
    """Is it a parameter set of HEVC?"""
    return unit[0] >> 1 & 63 in (32, 33, 34)


def boxed(data: bytes) -> tuple[bytes, list[bytes]]:
    """An avcC record and packets, of a stream with start codes of either length."""
    return avcc(b"".join(b"\0\0\0\1" + unit for unit in all_units(data)))


def encoded() -> dict[str, bytes]:
    """Small HEVC streams of every kind that the tests encode."""
    kinds = {name: encode(params=params, frames=3) for name, params in KINDS.items()}
    return kinds | {name: encode(pixels=name, frames=3) for name in PIXELS}


@dataclass(frozen=True)
class Codec:
    """How to make the seeds of a decoder; `prefix` of its harnesses' names."""

    prefix: str
    streams: Callable[[], dict[str, bytes]]
    is_set: Callable[[bytes], bool]
    boxed: Callable[[bytes], tuple[bytes, list[bytes]]]


CODECS = (
    Codec("", lambda: {name: written(s) for name, s in WRITTEN.items()}, is_set, boxed),
    Codec("hevc_", encoded, is_hevc_set, hvcc),
)


def packets(codec: Codec, data: bytes) -> bytes:
    """The stream as fuzz_packets reads it."""
    record, pieces = codec.boxed(data)
    return b"".join(struct.pack(">H", len(p)) + p for p in [record, *pieces] if len(p) < 1 << 16)


def vectors(folder: Path) -> dict[str, bytes]:
    """The NAL units with which the streams of a folder begin, by name."""
    found = {}
    for path in sorted(folder.glob("streams/*")):
        if path.suffix.lower() not in BARE:
            continue
        seed = b""
        for unit in all_units(path.read_bytes()[: 4 * LARGEST]):
            if len(seed) + len(unit) + 3 <= LARGEST:
                seed += b"\0\0\1" + unit
        if len(all_units(seed)) > 2:
            found[path.stem] = seed
    return found


def sets_header(sets: list[bytes]) -> str:
    """The parameter sets as C."""
    lines = [f"enum {{ FUZZ_SETS = {len(sets)} }};"]
    for i, data in enumerate(sets):
        lines.append(
            f"static const unsigned char fuzz_set_{i}[] = {{{', '.join(map(str, data))}}};"
        )
    entries = ", ".join(f"{{fuzz_set_{i}, sizeof fuzz_set_{i}}}" for i in range(len(sets)))
    return "\n".join([*lines, f"static const fuzz_set fuzz_sets[FUZZ_SETS] = {{{entries}}};"])


def write(codec: Codec, out: Path, folder: Path | None) -> str:
    """The corpora of one decoder; returns its part of the header."""
    streams = codec.streams()
    if folder is not None:
        streams |= vectors(folder)
    kinds = ("stream", "unit", "packets", "memory")
    folders = {name: out / "corpus" / f"{codec.prefix}{name}" for name in kinds}
    for made in folders.values():
        made.mkdir(parents=True, exist_ok=True)
    sets: list[bytes] = []
    for name, data in streams.items():
        own = [unit for unit in all_units(data) if codec.is_set(unit)]
        rest = [unit for unit in all_units(data) if not codec.is_set(unit)]
        headers = b"".join(b"\0\0\0\1" + unit for unit in own[:8])
        if len(sets) < 128 and headers not in sets:
            sets.append(headers)
        if headers in sets:
            following = b"".join(b"\0\0\1" + unit for unit in rest[:4])
            (folders["unit"] / name).write_bytes(bytes([sets.index(headers)]) + following)
        for kind, seed in (("stream", data), ("memory", data), ("packets", packets(codec, data))):
            (folders[kind] / name).write_bytes(seed)
    return sets_header(sets)


def main() -> None:
    """Write the header and the corpora."""
    out = Path(sys.argv[1])
    h264, hevc = (
        write(codec, out, Path(sys.argv[2 + i]) if len(sys.argv) > 2 + i else None)
        for i, codec in enumerate(CODECS)
    )
    struct_ = (
        "typedef struct fuzz_set {\n    const unsigned char *data;\n    unsigned size;\n} fuzz_set;"
    )
    (out / "sets.h").write_text(f"{struct_}\n#ifdef FUZZ_HEVC\n{hevc}\n#else\n{h264}\n#endif\n")


if __name__ == "__main__":
    main()
