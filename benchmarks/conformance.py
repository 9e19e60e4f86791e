"""Decode every stream of a folder of vectors and compare it with what is known of it.

    python -m benchmarks.conformance --vectors ../shared/vectors [--only 'x_*']
        [--direct [--threads 2]]

A row of `manifest.csv` names a stream and the MD5 of its cropped decoded video. Where it has a
golden file, eight digests per frame, taken inside the JM reference decoder, are compared too:
decoded, prediction, residual, level, tu, mb_type, qp, field. By default the stream goes through a
priors file and what is read back is compared; `--direct` compares the frames as they come, which is
faster, from a decoder with so many `--threads`. Each stream runs in a process of its own, so that a
crash or a hang is a line in the table. Where JM's `ldecod` is on PATH, or named by DAVD_LDECOD, its
pictures are compared as well.
"""

import argparse
import csv
import hashlib
import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatch
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path

import av
import numpy as np
from davd.bitstream.demux import open_source
from davd.bitstream.extract import extract, iterate
from davd.bitstream.priors.reader import PriorsFile
from davd.bitstream.priors.record import FrameRecord
from davd.bitstream.priors.schema import PLANE_GROUPS

Frames = Callable[[Path], Iterator[tuple[FrameRecord, list[np.ndarray]]]]
# Of the 135 streams of the official suite JVT-AVC_V1 (its professional profiles left out).
OTHERS = "JM 19.0: 133 of 135, FFmpeg 5.1: 130 of 135 streams of JVT-AVC_V1"
TIMEOUT = 300  # seconds a stream may take
_SP = (
    "8.6.1: JM adds the chroma DC levels 1 and 2 of SP macroblocks each to the other's prediction, "
    "horizontal to vertical; with the same exchange the MD5 is equal"
)
_SEPARATE = (
    "7.4.2.1.1: with separate_colour_plane_flag a picture is three monochrome ones; cut out of the "
    "CAVLC streams as 4:0:0 streams, FFmpeg decodes them as davd does, and otherwise than JM"
)
# MD5s that are the opinion of one decoder, where the standard says otherwise, and why.
ARGUED = {"j_ext_sp.264": _SP, "j_ext_sp_b.264": _SP} | {
    f"j_high444_sep_{name}.264": _SEPARATE
    for name in ("mbaff_cavlc", "p_mbaff_cavlc", "p_mbaff_cabac")
}


@dataclass
class Result:
    """What came of one stream.

    Attributes:
        verdict: `exact`, `differs`, `argued` (from a single decoder's opinion), `refused`
            (unsupported, named), `error`, `crash`, `alive` (nothing to compare).
        detail: which columns differ, from which frame on, or the error.
        frames: frames decoded.
        concealed: frames with concealed macroblocks.
        seconds: time it took.
    """

    verdict: str
    detail: str = ""
    frames: int = 0
    concealed: int = 0
    seconds: float = 0.0


@dataclass
class Check:
    """Compares the frames of one stream with its row, its golden file and FFmpeg's time stamps."""

    row: dict[str, str]
    golden: dict | None
    turns: int = 0
    times: list[int | None] | None = None
    frames: int = 0
    concealed: int = 0
    first_bad: dict[str, int] = field(default_factory=dict)
    md5: "hashlib._Hash" = field(default_factory=lambda: hashlib.md5(usedforsecurity=False))

    def add(self, record: FrameRecord, cropped: list[np.ndarray]) -> None:
        """The next frame."""
        if self.golden and self.frames < len(self.golden["frames"]):
            wanted = self.golden["frames"][self.frames]
            got = digests(record) if wanted else {}
            for column, want in zip(self.golden["columns"], (wanted or "").split(), strict=False):
                if want != "-" and got[column] != want:
                    self.first_bad.setdefault(column, self.frames)
        for plane in cropped:  # FFmpeg turns what a display matrix says; priors are as coded
            self.md5.update(np.ascontiguousarray(np.rot90(plane, self.turns)))
        if len(cropped) == 1 and self.row["pix_fmt"].startswith("yuv"):  # 4:0:0 shown as 4:2:0
            height, width = cropped[0].shape
            grey = 1 << int(self.row["bit_depth"] or 8) - 1
            shape = (2, (height + 1) // 2, (width + 1) // 2)
            self.md5.update(np.full(shape, grey, cropped[0].dtype))
        if self.times is not None and record.pts != self._time():
            self.first_bad.setdefault("pts", self.frames)
        self.frames += 1
        self.concealed += record.concealed

    def _time(self) -> int | None:
        assert self.times is not None
        return self.times[self.frames] if self.frames < len(self.times) else None

    def result(self, seconds: float) -> Result:
        """The verdict, after the last frame."""
        bad = [f"{column} from frame {k}" for column, k in self.first_bad.items()]
        # frames 0: nobody who decodes it counted
        rows = len(self.golden["frames"]) if self.golden else int(self.row["frames"] or 0)
        expected = rows or self.frames
        settled = bool(self.golden or self.row["md5"])
        if settled and self.frames != expected:
            bad.insert(0, f"{self.frames} frames for {expected}")
        if self.row["md5"] and self.md5.hexdigest() != self.row["md5"]:
            argument = ARGUED.get(self.row["file"])
            if argument and not bad:
                return Result("argued", argument, self.frames, self.concealed, seconds)
            bad.append("MD5 of the video")
        verdict = "differs" if bad else "exact" if settled else "alive"
        return Result(verdict, ", ".join(bad), self.frames, self.concealed, seconds)


def digests(record: FrameRecord) -> dict[str, str]:
    """The eight digests of a frame, as they are in golden files."""

    def of(*arrays: np.ndarray) -> str:
        md5 = hashlib.md5(usedforsecurity=False)
        for array in arrays:
            md5.update(np.ascontiguousarray(array))
        return md5.hexdigest()[:8]

    result = {group: of(*getattr(record, group)) for group in PLANE_GROUPS}
    result["tu"] = of(record.tu)
    result["mb_type"] = of(np.where(record.mb_type == 10, 9, record.mb_type).astype(np.uint8))
    qp = [record.qp_y]
    assert record.decoded is not None
    if record.decoded[0].dtype == np.uint8 and record.qp_cb is not None:
        qp += [record.qp_cb, record.qp_cr]  # type: ignore[list-item]
    result["qp"] = of(*qp)
    result["field"] = of((record.field != 0).astype(np.uint8))
    return result


def frames_direct(
    stream: Path, threads: int | None = None
) -> Iterator[tuple[FrameRecord, list[np.ndarray]]]:
    """Frames as the decoder gives them, with their cropped planes."""
    from davd.bitstream.priors.record import cropped

    for record, info in iterate(stream, threads=threads):
        yield record, cropped(record.decoded or (), info)


def frames_through_file(stream: Path) -> Iterator[tuple[FrameRecord, list[np.ndarray]]]:
    """Frames as they are read back from priors files."""
    with tempfile.TemporaryDirectory() as folder:
        for path in extract(stream, Path(folder) / "a.h5", split=True, compression="none").outputs:
            with PriorsFile(path) as priors:
                rows, columns = priors.crop
                for record in priors:
                    assert record.decoded is not None
                    shown = []
                    for plane in record.decoded:
                        down = priors.coded_size[0] // plane.shape[0]
                        across = priors.coded_size[1] // plane.shape[1]
                        shown.append(
                            plane[
                                rows.start // down : rows.stop // down,
                                columns.start // across : columns.stop // across,
                            ]
                        )
                    yield record, shown


def ffmpeg_times(stream: Path) -> list[int | None]:
    """Time stamps of the frames of a container, as FFmpeg's decoder hands them out."""
    with av.open(str(stream)) as container:
        return [frame.pts for frame in container.decode(video=0)]


def run(row: dict[str, str], vectors: Path, frames: Frames) -> Result:
    """One stream, in this process."""
    from davd.bitstream import DavdError, UnsupportedStreamError
    from davd.bitstream.demux import VideoError

    stream = vectors / "streams" / row["file"]
    path = vectors / "golden" / f"{row['file']}.json"
    golden = json.loads(path.read_text()) if path.exists() else None
    source = open_source(stream)
    times = None if source.bare or row["kind"] == "damaged" else ffmpeg_times(stream)
    check = Check(row, golden, source.rotation // 90, times)
    began = time.perf_counter()
    try:
        for record, cropped in frames(stream):
            check.add(record, cropped)
    except UnsupportedStreamError as error:
        return Result("refused", str(error), check.frames)
    except (DavdError, VideoError) as error:
        verdict = "alive" if row["kind"] == "damaged" else "error"
        return Result(verdict, f"{type(error).__name__}: {error}", check.frames)
    result = check.result(time.perf_counter() - began)
    if result.verdict == "exact" and (jm := reference_md5(stream)) and jm != check.md5.hexdigest():
        result = Result("differs", "JM's ldecod gives other pictures", check.frames)
    return result


def reference_md5(stream: Path) -> str:
    """MD5 of what JM's ldecod decodes; empty where there is none, or for containers."""
    program = os.environ.get("DAVD_LDECOD") or shutil.which("ldecod")
    if not program or not open_source(stream).bare:
        return ""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            [program, "-i", str(stream.resolve()), "-o", "out.yuv"],
            cwd=folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False,
        )
        out = Path(folder) / "out.yuv"
        return hashlib.md5(out.read_bytes()).hexdigest() if out.exists() else ""


def isolated(row: dict[str, str], vectors: Path, frames: Frames) -> Result:
    """One stream, in a process that may die of it."""

    def child(pipe: Connection) -> None:
        try:
            pipe.send(run(row, vectors, frames))
        except BaseException as error:
            pipe.send(Result("error", f"{type(error).__name__}: {error}"))

    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    process = context.Process(target=child, args=(theirs,))
    process.start()
    theirs.close()
    try:
        if not ours.poll(TIMEOUT):
            return Result("crash", f"no end after {TIMEOUT} s")
        return ours.recv()
    except EOFError:
        process.join()
        return Result("crash", f"exit status {process.exitcode}")
    finally:
        process.kill()
        process.join()


def group_of(row: dict[str, str]) -> str:
    """The group in whose total a stream counts."""
    if row["kind"] in ("container", "damaged"):
        return row["kind"]
    interlace = row["interlace"] or "progressive"
    if interlace != "progressive":
        interlace = "interlaced"
    return f"{interlace} {row['bit_depth']} bit {row['chroma']}"


def report(rows: list[dict[str, str]], results: list[Result]) -> bool:
    """Print the totals; whether no stream is wrong."""
    groups: dict[str, Counter[str]] = {}
    for row, result in zip(rows, results, strict=True):
        for name in (
            group_of(row),
            *(["official suite"] if row["suite"].startswith("JVT") else []),
        ):
            groups.setdefault(name, Counter())[result.verdict] += 1
        golden = row["golden"] == "yes" and group_of(row) == "progressive 8 bit 4:2:0"
        if golden:
            groups.setdefault("progressive 8 bit 4:2:0 golden", Counter())[result.verdict] += 1
    print(f"\n{'group':34}{'exact':>7}{'of':>5}   otherwise")
    for name in sorted(groups):
        count = groups[name]
        rest = ", ".join(f"{v} {n}" for v, n in sorted(count.items()) if v != "exact")
        print(f"{name:34}{count['exact']:7}{sum(count.values()):5}   {rest}")
    print(f"beside it: {OTHERS}")
    total = Counter(result.verdict for result in results)
    print(", ".join(f"{n} {v}" for v, n in sorted(total.items())))
    return not (total["differs"] + total["error"] + total["crash"])


def main() -> None:
    """Run the command; status 1 when a stream is wrong."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--vectors", type=Path, default=Path("../shared/vectors"))
    parser.add_argument("--only", default="*", help="name pattern")
    parser.add_argument("--group", default="", help="only groups whose name contains this")
    parser.add_argument("--direct", action="store_true", help="without priors files in between")
    parser.add_argument("--bad", action="store_true", help="print only what is not exact")
    parser.add_argument("--threads", type=int, help="of the decoder, with --direct")
    arguments = parser.parse_args()
    if arguments.threads and not arguments.direct:
        parser.error("--threads is of --direct: through files one thread decodes")
    threads = arguments.threads and -arguments.threads  # for small pictures too
    direct = partial(frames_direct, threads=threads)
    frames: Frames = direct if arguments.direct else frames_through_file
    manifest = arguments.vectors / "manifest.csv"
    if not manifest.exists():
        print(f"conformance: skipped, there is no {manifest}")
        return
    with open(manifest, newline="") as file:
        rows = [
            row
            for row in csv.DictReader(file)
            if fnmatch(row["file"], arguments.only) and arguments.group in group_of(row)
        ]
    results = []
    for row in rows:
        result = isolated(row, arguments.vectors, frames)
        results.append(result)
        if not (arguments.bad and result.verdict == "exact"):
            print(
                f"{row['file']:38} {result.verdict:8} {result.frames:4} frames "
                f"{result.seconds:6.2f} s  {result.detail}",
                flush=True,
            )
    sys.exit(0 if report(rows, results) else 1)


if __name__ == "__main__":
    main()
