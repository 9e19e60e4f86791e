"""HEVC: streams against the digests of the reference decoder HM, and speed against FFmpeg.

    python -m benchmarks.hevc --vectors ../shared/vectors-hevc [--only 'x_*'] [--files] [--every 5]
    python -m benchmarks.hevc --speed

A row of `manifest.csv` names a stream and the MD5 of its cropped decoded video. Where it has a
golden file, seventeen digests per picture, taken inside HM, are compared: decoded, prediction,
residual, level, the picture before the in-loop filters, and maps of modes, partitions, sizes, QP
and motion. With --files the same is compared as read back from the priors file that extract()
writes of the stream, whatever container it comes in.

The hash SEI messages that encoders write are checked as well, by the decoder itself.
"""

import argparse
import csv
import hashlib
import io
import json
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
from davd.bitstream import (
    DavdError,
    FrameRecord,
    HevcDecoder,
    HevcFrame,
    PriorsFile,
    UnsupportedStreamError,
    VideoError,
    extract,
)
from davd.bitstream.priors import schema
from davd.bitstream.priors.record import Shown, cropped

from .clips import encode
from .extract import picture as drawn

# MD5s that no second decoder confirms, or streams that the standard does not allow, and why.
ARGUED = {
    "g2b_transquant_bypass_64x64.h265": "coding tree blocks of 8x8, which 7.4.3.2.1 does not allow"
}
# The same of what a priors file holds of them.
HIDDEN = {"ax_dolbyVision-hdr.MOV": "its edit list does not show the last of its five pictures"}
NONE = -(2**31)  # ref_poc where there is no reference
_TYPES = {"qp": "i1", "mv": "<i2", "ref_poc": "<i4", "residual": "<i4", "level": "<i4"}
_TYPES |= dict.fromkeys(("decoded", "prediction", "unfiltered"), "<u2")
SPEEDS = [(224, 224, 30, 100), (1280, 720, 26, 12)]  # width, height, rate factor, frames
ROUNDS = 5


def packets_of(source: str | io.BytesIO) -> tuple[bytes, list[bytes]]:
    """What stands before the packets of a container, and the packets; a bare stream is one."""
    if isinstance(source, str):
        head = Path(source).read_bytes()
        if head[:3] == b"\0\0\1" or head[:4] == b"\0\0\0\1" or not head:
            return b"", [head]
    with av.open(source) as container:
        stream = container.streams.video[0]
        packets = [bytes(p) for p in container.demux(stream) if p.size]
        return stream.codec_context.extradata or b"", packets


def frames(
    decoder: HevcDecoder, packets: list[bytes], *, skip: bool = False
) -> Iterator[HevcFrame]:
    """All pictures of some packets, in output order."""
    for number, data in enumerate([*packets, None]):
        try:
            if data is None:
                decoder.flush()
            else:
                decoder.send(data, number)
        except UnsupportedStreamError:
            raise
        except DavdError:
            continue
        while (frame := decoder.receive(skip=skip)) is not None:
            yield frame


class Picture(NamedTuple):
    """One as the decoder gave it, or as it was read back from a file.

    Attributes:
        frame: What is known of it.
        depth: Bits of a sample of luma and of chroma.
        shown: Which part of it is.
        ref_poc: PicOrderCntVal of the references; None where not all are in the file.
    """

    frame: HevcFrame | FrameRecord
    depth: tuple[int, int]
    shown: Shown
    ref_poc: np.ndarray | None


def columns(picture: Picture) -> dict[str, list[np.ndarray]]:
    """What the golden files have digests of."""
    frame = picture.frame
    depths = picture.depth[0], *[picture.depth[1]] * 2
    before = [
        np.clip(p.astype(np.int32) + r, 0, (1 << depth) - 1)
        for p, r, depth in zip(frame.prediction, frame.residual, depths, strict=False)
    ]
    intra = np.isin(frame.cu_mode, (2, 3))
    chroma = frame.intra_chroma
    found = {
        "decoded": list(frame.decoded),
        "prediction": list(frame.prediction),
        "residual": list(frame.residual),
        "level": list(frame.level),
        "unfiltered": before,
        "pred_mode": [intra],
        "part_mode": [frame.cu_part],
        "cb_size": [frame.cu_size],
        "tu_size": [frame.tu_size],
        "skip": [frame.cu_mode == 0],
        "qp": [frame.qp_y],
        "intra_luma": [frame.intra_luma],
        "intra_chroma": [np.full_like(frame.intra_luma, -1) if chroma is None else chroma],
        "bypass": [frame.cu_bypass],
        "pcm": [frame.cu_mode == 3],
        "mv": [frame.mv],
    }
    return found if picture.ref_poc is None else found | {"ref_poc": [picture.ref_poc]}


def digest(column: str, planes: list[np.ndarray]) -> str:
    """First eight digits of the MD5 of some arrays, little-endian."""
    md5 = hashlib.md5()
    for plane in planes:
        md5.update(np.ascontiguousarray(plane.astype(_TYPES.get(column, "u1"))).tobytes())
    return md5.hexdigest()[:8]


def decoded(stream: Path, taps: bool) -> Iterator[Picture]:
    """Pictures as the decoder gives them."""
    before, packets = packets_of(str(stream))
    decoder = HevcDecoder(
        extradata=before, prediction=taps, residual=taps, level=taps, motion=taps, modes=taps
    )
    for frame in frames(decoder, packets):
        info = frame.stream
        depth = info.bit_depth_luma, info.bit_depth_chroma
        yield Picture(frame, depth, info, frame.ref_poc)


def read_back(stream: Path, taps: bool) -> Iterator[Picture]:
    """Pictures out of the priors files of a stream, one for each format that it has."""
    with tempfile.TemporaryDirectory(prefix="davd-hevc-") as folder:
        planes = schema.PLANE_GROUPS if taps else ("decoded",)
        done = extract(
            stream, Path(folder) / "a.h5", planes=planes, motion=taps, modes=taps, audio=False,
            compression="none", split=True,
        )  # fmt: skip
        for path in done.outputs:
            with PriorsFile(path) as priors:
                pocs = np.append(priors.column("poc"), [0, NONE]).astype(np.int32)
                depth = int(priors.attrs["bit_depth_luma"]), int(priors.attrs["bit_depth_chroma"])
                for record in priors:
                    known = taps and (record.ref >= -1).all()
                    yield Picture(record, depth, priors, pocs[record.ref] if known else None)


def check(vectors: Path, row: dict[str, str], *, files: bool = False) -> str:
    """What came of one stream: exact, refused, endured, or what is wrong."""
    golden = vectors / "golden" / f"{row['file']}.json"
    wanted = json.loads(golden.read_text()) if row["golden"] == "yes" else None
    md5, count = hashlib.md5(), 0
    wrong: Counter[str] = Counter()
    try:
        way = read_back if files else decoded
        for picture in way(vectors / "streams" / row["file"], wanted is not None):
            for plane in cropped(picture.frame.decoded, picture.shown):
                md5.update(np.ascontiguousarray(plane).tobytes())
            if wanted and count < len(wanted["frames"]) and wanted["frames"][count]:
                found = columns(picture)
                words = wanted["frames"][count].split()
                for name, word in zip(wanted["columns"], words, strict=True):
                    if word != "-" and name in found:
                        wrong[name] += digest(name, found[name]) != word
            count += 1
    except UnsupportedStreamError as error:
        return f"refused: {error}"
    except (DavdError, VideoError, av.error.FFmpegError) as error:
        return "endured" if row["kind"] == "damaged" else f"wrong: {error}"
    if row["kind"] == "damaged" or not row["md5"]:
        return "endured"
    if wanted and count != len(wanted["frames"]):
        wrong["frames"] = 1
    if md5.hexdigest() != row["md5"]:
        wrong["md5"] = 1
    bad = ", ".join(f"{name} ({n})" for name, n in wrong.items() if n)
    return f"wrong: {bad}" if bad else "exact"


def conformance(vectors: Path, only: str, *, files: bool = False, every: int = 1) -> int:
    """Check the streams; how many are wrong.

    Args:
        vectors: Folder with manifest.csv, streams, golden.
        only: Streams whose names match.
        files: By way of priors files.
        every: One of so many.
    """
    manifest = vectors / "manifest.csv"
    if not manifest.exists():
        print(f"HEVC conformance: skipped, there is no {manifest}")
        return 0
    totals: Counter[str] = Counter()
    with open(manifest, newline="") as file:
        rows = [row for row in csv.DictReader(file) if fnmatch(row["file"], only)]
    for row in rows[::every]:
        verdict = check(vectors, row, files=files)
        argued = ARGUED | HIDDEN if files else ARGUED
        if verdict.startswith("wrong") and row["file"] in argued:
            verdict = f"argued: {argued[row['file']]}"
        totals[verdict.partition(":")[0]] += 1
        if verdict not in ("exact", "endured"):
            print(f"{row['file']}: {verdict}")
    print(
        f"HEVC: {len(rows[::every])} streams: "
        + ", ".join(f"{n} {k}" for k, n in totals.most_common())
    )
    return totals["wrong"]


def encode_drawn(width: int, height: int, crf: int, count: int) -> io.BytesIO:
    """An MP4 of drawn pictures by x265, which writes no hashes unless asked."""
    out = io.BytesIO()
    frames = (drawn(k % 30, width, height) for k in range(count))
    encode(frames, out, "libx265", crf=crf, **{"x265-params": "log-level=none"})
    out.seek(0)
    return out


def by_ffmpeg(extradata: bytes, packets: list[bytes]) -> int:
    """FFmpeg's decoder on one thread, with its assembly."""
    context = av.CodecContext.create("hevc", "r")
    context.extradata, context.thread_count, context.thread_type = extradata, 1, "NONE"
    count = sum(len(context.decode(av.Packet(data))) for data in packets)
    return count + len(context.decode(None))


def by_davd(extradata: bytes, packets: list[bytes], taps: bool) -> int:
    """Our decoder; with taps, all of them recorded and handed to nobody."""
    decoder = HevcDecoder(extradata=extradata, prediction=taps, residual=taps, level=taps)
    return sum(1 for _ in frames(decoder, packets, skip=True))


def speed() -> None:
    """Pictures a second, and their ratio to FFmpeg's, each the median of rounds in turn."""
    print(f"{'HEVC':<22}{'FFmpeg':>9}{'decode':>16}{'with taps':>16}")
    for width, height, crf, count in SPEEDS:
        extradata, packets = packets_of(encode_drawn(width, height, crf, count))
        actions: list[Callable[[], int]] = [
            lambda e=extradata, p=packets: by_ffmpeg(e, p),
            lambda e=extradata, p=packets: by_davd(e, p, False),
            lambda e=extradata, p=packets: by_davd(e, p, True),
        ]
        took: list[list[float]] = [[] for _ in actions]
        for _ in range(ROUNDS):
            for action, times in zip(actions, took, strict=True):
                began = time.thread_time()
                assert action() == count
                times.append(time.thread_time() - began)
        theirs, plain, taps = (statistics.median(times) for times in took)
        line = f"{width}x{height}, CRF {crf}"
        print(f"{line:<22}{count / theirs:>9.0f}", end="")
        print("".join(f"{count / t:>9.0f} ({theirs / t:.2f})" for t in (plain, taps)))


def main() -> None:
    """Check streams, or time the decoder."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--vectors", type=Path, help="folder with manifest.csv, streams, golden")
    parser.add_argument("--only", default="*", help="streams whose names match")
    parser.add_argument("--files", action="store_true", help="by way of priors files")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="one stream of N")
    parser.add_argument("--speed", action="store_true", help="time it against FFmpeg")
    arguments = parser.parse_args()
    if arguments.speed:
        speed()
    if arguments.vectors is not None:
        wrong = conformance(
            arguments.vectors, arguments.only, files=arguments.files, every=arguments.every
        )
        raise SystemExit(wrong > 0)


if __name__ == "__main__":
    main()
