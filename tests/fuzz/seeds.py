"""What the fuzzers of the decoder start from.

    python tests/fuzz/seeds.py build/fuzz [VECTORS]

Writes `sets.h`, the parameter sets of fuzz_unit, and a corpus for each harness: streams that the
tests write, and the first NAL units of those in a folder of test vectors.
"""

import struct
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bitwriter import Picture, Sets, avcc, stream

LARGEST = 5_000  # bytes of a seed
BARE = (
    ".264",
    ".h264",
    ".avc",
    ".jsv",
    ".jvt",
    ".26l",
    ".bit",
    ".bits",
)  # streams with no container
PARAMETER_SETS = (7, 8)  # nal_unit_type

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


def packets(data: bytes) -> bytes:
    """The stream as fuzz_packets reads it."""
    record, pieces = avcc(b"".join(b"\0\0\0\1" + unit for unit in all_units(data)))
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
    lines = ["typedef struct fuzz_set {", "    const unsigned char *data;", "    unsigned size;",
             "} fuzz_set;", f"enum {{ FUZZ_SETS = {len(sets)} }};"]  # fmt: skip
    for i, data in enumerate(sets):
        lines.append(
            f"static const unsigned char fuzz_set_{i}[] = {{{', '.join(map(str, data))}}};"
        )
    entries = ", ".join(f"{{fuzz_set_{i}, sizeof fuzz_set_{i}}}" for i in range(len(sets)))
    return "\n".join([*lines, f"static const fuzz_set fuzz_sets[FUZZ_SETS] = {{{entries}}};", ""])


def main() -> None:
    """Write the header and the corpora."""
    out = Path(sys.argv[1])
    streams = {name: written(s) for name, s in WRITTEN.items()}
    if len(sys.argv) > 2:
        streams |= vectors(Path(sys.argv[2]))
    folders = {name: out / "corpus" / name for name in ("stream", "unit", "packets", "memory")}
    for folder in folders.values():
        folder.mkdir(parents=True, exist_ok=True)
    sets: list[bytes] = []
    for name, data in streams.items():
        own = [nal_ for nal_ in all_units(data) if nal_[0] & 31 in PARAMETER_SETS]
        rest = [nal_ for nal_ in all_units(data) if nal_[0] & 31 not in PARAMETER_SETS]
        headers = b"".join(b"\0\0\0\1" + unit for unit in own[:8])
        if len(sets) < 128 and headers not in sets:
            sets.append(headers)
        if headers in sets:
            following = b"".join(b"\0\0\1" + unit for unit in rest[:4])
            (folders["unit"] / name).write_bytes(bytes([sets.index(headers)]) + following)
        for kind, seed in (("stream", data), ("memory", data), ("packets", packets(data))):
            (folders[kind] / name).write_bytes(seed)
    (out / "sets.h").write_text(sets_header(sets))


if __name__ == "__main__":
    main()
