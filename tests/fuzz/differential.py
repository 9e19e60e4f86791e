"""FFmpeg beside the decoder, on damaged streams: where neither finds a fault, frames are equal.

    python tests/fuzz/differential.py --seconds 60 build/fuzz/corpus/stream

Streams of a folder are decoded by both, as they are and with NAL units dropped or changed in a bit.
Where davd counts no damage, and FFmpeg logs no error and invents nothing (of which it makes a mere
remark, be it a whole picture), the frames have to be the same. What is not is written into a folder
and named. A run is repeated by its seed. Streams that FFmpeg is known to decode wrongly
(`MISTAKEN`) are left out, and those of the Extended profile, which it does not have.
"""

import argparse
import random
import sys
import time
from fnmatch import fnmatch
from pathlib import Path

import av
import av.error
import av.logging
import numpy as np
from davd.bitstream._core import DavdError, Decoder, Frame
from davd.bitstream.priors.record import cropped
from davd.bitstream.verify import planes

Picture = list[np.ndarray]
SLICES, SPS = (1, 5), 7  # nal_unit_type
EXTENDED = 88  # profile_idc
# Long-term fields, 32 of them
MISTAKEN = (
    "*longterm_field*",
    "*longterm_paff*",
    "*refs32*",
    "*lt6*",
)


def ours(data: bytes) -> list[Picture] | None:
    """Frames as davd decodes them; None: it found a fault."""
    decoder, pictures = Decoder(max_pixels=1 << 18), []
    try:
        decoder.send(data)
        decoder.flush()
        while (frame := decoder.receive()) is not None:
            if frame.concealed_mbs or _beyond(frame):
                return None
            pictures.append([p.copy() for p in cropped(frame.decoded, frame.stream)])
    except DavdError:
        return None
    return None if any(decoder.warnings.values()) else pictures


def _beyond(frame: Frame) -> bool:
    """Coefficients outside what 8.5 allows (bit depth and 8 bits), as far as the residual tells."""
    info = frame.stream
    depths = info.bit_depth_luma, info.bit_depth_chroma, info.bit_depth_chroma
    return any(
        int(np.abs(plane).max(initial=0)) > 1 << (depth + 1)
        for plane, depth in zip(frame.residual, depths, strict=False)
    )


def theirs(data: bytes, folder: Path) -> list[Picture] | None:
    """Frames as FFmpeg decodes them; None: it found a fault."""
    path = folder / "differential.264"
    path.write_bytes(data)
    pictures: list[Picture] = []
    with av.logging.Capture(local=True) as logged:
        try:
            with av.open(str(path), format="h264") as container:
                stream = container.streams.video[0]
                stream.thread_type, stream.thread_count = "NONE", 1
                stream.codec_context.flags |= av.codec.context.Flags.unaligned  # crop to the sample
                for frame in container.decode(stream):
                    pictures.append([plane.copy() for plane in planes(frame)])
        except (av.error.FFmpegError, IndexError):
            return None
    faults = [e for e in logged if e[0] <= av.logging.ERROR or e[2].startswith("concealing")]
    return None if faults else pictures


def units_of(data: bytes) -> list[bytes]:
    """The NAL units of a stream, each with its start code."""
    return [b"\0\0\1" + part for part in data.split(b"\0\0\1")[1:]]


def is_extended(data: bytes) -> bool:
    """Is a sequence of the stream of the Extended profile?"""
    return any(len(u) > 4 and u[3] & 31 == SPS and u[4] == EXTENDED for u in units_of(data))


def damaged(data: bytes, chance: random.Random) -> bytes:
    """The stream with a few things done to its NAL units that one decoder or the other must notice.

    Slices that come twice or elsewhere are for the other fuzzers: no clause says what they give.
    """
    units = units_of(data)
    for _ in range(chance.randint(1, 3) if units else 0):
        k = chance.randrange(len(units))
        if len(units) > 2 and chance.randrange(3) == 0:
            del units[k]
        elif len(units[k]) > 4 and units[k][3] & 31 in SLICES:
            changed = bytearray(units[k])
            changed[chance.randrange(4, len(changed))] ^= 1 << chance.randrange(8)
            units[k] = bytes(changed)
    return b"".join(units)


def same(a: list[Picture], b: list[Picture]) -> bool:
    """Are all planes of all frames equal? FFmpeg may give grey pictures chroma."""
    return len(a) == len(b) and all(
        len(one) in (1, len(other)) and all(map(np.array_equal, one, other))
        for one, other in zip(a, b, strict=True)
    )


def main() -> int:
    """Compare until the time is up."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="*", help="name pattern")
    parser.add_argument("--out", type=Path, default=Path("build/fuzz"))
    options = parser.parse_args()
    av.logging.set_level(av.logging.INFO)
    av.logging.set_skip_repeated(False)
    options.out.mkdir(parents=True, exist_ok=True)
    files = sorted(options.corpus.glob(options.only))
    files = [file for file in files if not any(fnmatch(file.name, name) for name in MISTAKEN)]
    files = [file for file in files if not is_extended(file.read_bytes())]
    chance, until = random.Random(options.seed), time.monotonic() + options.seconds
    runs = compared = 0
    found: list[str] = []
    while time.monotonic() < until and files:
        path = chance.choice(files)
        data = path.read_bytes()
        if runs % 4:
            data = damaged(data, chance)
        runs += 1
        mine = ours(data)
        other = theirs(data, options.out) if mine else None
        if not mine or not other:
            continue
        compared += 1
        if not same(mine, other):
            name = f"differs-{options.seed}-{runs}.264"
            (options.out / name).write_bytes(data)
            found.append(name)
            print(f"{name}, from {path.name}: {len(mine)} frames, FFmpeg has {len(other)}")
    print(f"{runs} streams, {compared} without a fault for either, {len(found)} of them differ")
    return 0 if not found else 1


if __name__ == "__main__":
    sys.exit(main())
