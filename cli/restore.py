"""davd-restore: priors (or a video) and weights in, the restored video out."""

import argparse
import contextlib
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import (
    Exit,
    Version,
    carry_out,
    exit_status,
    explain,
    finite,
    number,
    parse,
    refuse_stream,
    seconds,
    share_processors,
    whole,
)
from .progress import Bar, in_words

if TYPE_CHECKING:
    from ..restore.job.request import Outcome, Request

_EXAMPLES = """\
examples:
  davd-restore --priors talk.h5                   talk.restored.mp4, with the original sound
  davd-restore talk.mp4 -o better.mkv --lossless  from the video itself, samples kept exactly
  davd-restore --priors talk.h5 --reference clean.mkv --metrics talk.json --report talk.html
                                                  how much closer to the source is it?
  davd-restore --priors talk.h5 --compare -o both.mp4
                                                  decoded on the left, restored on the right
  davd-restore calls/ -o better/ --jobs 4         a folder; started again, it goes on
  davd-restore long.mp4 -o better.mp4 --resume    go on where a run was stopped
  davd-restore --priors talk.h5 --start 10 --end 20 --checkpoint runs/davd-lite-0123abcd.safetensors
"""


def get_parser() -> argparse.ArgumentParser:
    """The parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="davd-restore",
        description="Restore a low bit rate H.264 video of a talking head with a network that "
        "hears its sound and reads its bitstream.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "video", nargs="*", type=Path, help="a video or a priors file; several, or folders, with -o"
    )
    parser.add_argument("--priors", type=Path, metavar="FILE.h5", help="written by davd-extract")
    parser.add_argument(
        "-o", "--output", metavar="OUT",
        help="restored video: .mp4, .mkv or .mov; .y4m or .yuv without sound; .h5, the planes "
        "in coded size (default: the input's name with .restored.mp4); of several, a folder; "
        "-: standard output, y4m or yuv",
    )  # fmt: skip
    parser.add_argument("-f", "--force", action="store_true", help="replace existing files")
    parser.add_argument(
        "--resume", action="store_true",
        help="go on where a run with the same settings was stopped; the result is the same as of "
        "one run (movies only; folders always do)",
    )  # fmt: skip
    parser.add_argument(
        "--format", default="", choices=("mp4", "m4v", "mov", "mkv", "y4m", "yuv", "h5"),
        help="kind of the output, whatever its name (of a folder: the videos' own, else mkv)",
    )  # fmt: skip
    many = parser.add_argument_group("many videos")
    many.add_argument("--jobs", type=whole(1), default=1, metavar="N", help="N side by side (1)")
    many.add_argument("--scheduler", metavar="tcp://HOST:PORT", help="on a running Dask cluster")
    how = parser.add_argument_group("how it is restored")
    how.add_argument(
        "--checkpoint", default="", metavar="NAME|PATH",
        help="weights, by the name of shipped ones or as a file (default: shipped, by device)",
    )  # fmt: skip
    how.add_argument(
        "--cell", default="",
        help="projection: none, paper, coded, deadzone, trellis, auto or calibrated (default: the "
        "checkpoint's own)",
    )  # fmt: skip
    how.add_argument(
        "--speed", default="", metavar="NAME",
        help="best, balanced (half of the work, nearly as good) or fast (frames that repeat their "
        "neighbours are not computed; needs motion in a priors file); default: by device and "
        "length, the same on every machine",
    )  # fmt: skip
    how.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    how.add_argument(
        "--threads", type=whole(0), default=0, help="CPU threads (default: torch decides)"
    )
    how.add_argument(
        "--tile", type=whole(0), metavar="N",
        help="restore large pictures in tiles of at most N samples a side, with the same result; "
        "0: never (default: by the network, about 1 GB of working memory)",
    )  # fmt: skip
    how.add_argument(
        "--face-only", action="store_true", help="restore the head, leave all else as decoded"
    )
    how.add_argument(
        "--audio-shift", type=finite, default=0.0, metavar="MS",
        help="move the sound MS milliseconds later, for the network and in the video written",
    )  # fmt: skip
    how.add_argument(
        "--strength",
        type=number(0, 1),
        default=1.0,
        metavar="0..1",
        help="share of the change made (1)",
    )
    what = parser.add_argument_group("what is written")
    what.add_argument(
        "--stream",
        type=whole(0),
        metavar="N",
        help="video stream N of the file (default: as FFmpeg)",
    )
    what.add_argument("--start", type=seconds, metavar="S", help="from S seconds after the first")
    what.add_argument("--end", type=seconds, metavar="S", help="to before S seconds after it")
    what.add_argument(
        "--crf",
        type=number(0, 51),
        default=16.0,
        help="quality of the written H.264, lower is better (16)",
    )
    what.add_argument(
        "--lossless", action="store_true", help="exact samples: x264 at QP 0, FFV1 in .mkv"
    )
    what.add_argument(
        "--compare", action="store_true", help="decoded on the left, restored on the right"
    )
    seen = parser.add_argument_group("what it did")
    seen.add_argument("--reference", type=Path, metavar="REF", help="the source, frame for frame")
    seen.add_argument("--metrics", type=Path, metavar="OUT.json", help="PSNR and SSIM per frame")
    seen.add_argument("--report", type=Path, metavar="OUT.html", help="a page to look at")
    seen.add_argument(
        "--json", action="store_true", help="print the summary as JSON; of several, a line each"
    )
    seen.add_argument("-q", "--quiet", action="store_true", help="no progress bar, no summary")
    parser.add_argument("--version", action=Version)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    parser = get_parser()
    arguments = parse(parser, argv)
    if bool(arguments.video) == (arguments.priors is not None):
        parser.error("give a video, or --priors FILE.h5")
    for path in (*arguments.video, arguments.priors, arguments.reference):
        refuse_stream(parser, "input", path)
    for name in ("metrics", "report", *([] if arguments.output == "-" else ["output"])):
        refuse_stream(parser, f"--{name}", getattr(arguments, name))
    if arguments.output == "-":
        arguments.format = arguments.format or "y4m"
        if arguments.json:
            parser.error("-o - and --json would both go to standard output")
    kept = "start it again with --resume to go on from the last whole piece"
    if not _is_batch(arguments):
        return carry_out("davd-restore", lambda: _run(arguments), kept=kept)
    for name in ("reference", "metrics", "report"):
        if getattr(arguments, name):
            parser.error(f"--{name} is for one video at a time")
    if arguments.output is None:
        parser.error("several videos need a folder to go to: give -o OUT/")
    kept = "what is finished is kept; start it again to go on"
    return carry_out("davd-restore", lambda: _run_batch(arguments), kept=kept)


def _is_batch(arguments: argparse.Namespace) -> bool:
    """Whether the output is a folder of videos."""
    if arguments.priors:
        return False
    out = arguments.output or ""
    if len(arguments.video) > 1 or any(path.is_dir() for path in arguments.video):
        return True
    return out.endswith(os.sep) or (out not in ("", "-") and Path(out).is_dir())


def _request(arguments: argparse.Namespace) -> "Request":
    from ..restore.job.request import Request

    source = arguments.priors or arguments.video[0]
    named = ("checkpoint", "cell", "speed", "device", "crf", "lossless", "start", "end",
             "reference", "metrics", "report", "compare", "face_only", "audio_shift", "tile",
             "strength", "format", "resume", "stream")  # fmt: skip
    return Request(
        source=source,
        output=arguments.output or source.with_suffix(f".restored.{arguments.format or 'mp4'}"),
        overwrite=arguments.force,
        is_priors=arguments.priors is not None,
        **{name: getattr(arguments, name) for name in named},
    )


def _run(arguments: argparse.Namespace) -> None:
    source = arguments.priors or arguments.video[0]
    if not source.exists():  # before torch is loaded
        raise FileNotFoundError(f"{source}: no such file")
    share_processors()
    import torch

    from ..bitstream import DavdError
    from ..restore.job.job import run

    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    request = _request(arguments)
    try:
        with _told(arguments.quiet or arguments.json) as told:
            outcome = run(request, told)
    except DavdError as error:
        error.args = (f"{request.source}: {error}",)
        raise
    if arguments.json:
        print(json.dumps(outcome.as_dict(), indent=2))
    elif not arguments.quiet:
        print(_summary(outcome, request), file=sys.stderr)


def _run_batch(arguments: argparse.Namespace) -> int:
    """Restore many; a line each on standard output."""
    share_processors()
    from ..restore.job.batch import keep_settings, plan, restore_all, write_failed

    out = Path(arguments.output)
    items = plan(arguments.video, out, arguments.format)
    request = _request(arguments)
    out.mkdir(parents=True, exist_ok=True)
    keep_settings(out, request, overwrite=arguments.force)
    todo = [item for item in items if arguments.force or not item.done]
    failed: list[dict[str, object]] = []
    with _told(arguments.quiet or arguments.json) as told:
        ended = restore_all(
            todo, request, jobs=arguments.jobs, scheduler=arguments.scheduler,
            threads=arguments.threads, progress=told,
        )  # fmt: skip
        for number, (item, result) in enumerate(ended, 1):
            row: dict[str, object] = {"file": str(item.source), "output": str(item.output)}
            if isinstance(result, BaseException):
                row |= {"status": int(exit_status(result)), "reason": explain(result)}
                failed.append({name: row[name] for name in ("file", "status", "reason")})
                write_failed(out, failed)
            else:
                row |= {"status": 0} | result.as_dict()
            _tell(row, f"{number}/{len(todo)}", arguments)
    listed = write_failed(out, failed)
    if not arguments.quiet:
        skipped = f"{len(items) - len(todo)} were done already"
        told_of = f"{len(failed)} failed ({listed})" if listed else "none failed"
        print(f"{len(todo) - len(failed)} restored, {skipped}, {told_of}", file=sys.stderr)
    return Exit.PARTLY if failed else Exit.DONE


def _tell(row: "dict[str, object]", place: str, arguments: argparse.Namespace) -> None:
    """One video's line on standard output."""
    if arguments.json:
        print(json.dumps(row), flush=True)
    elif row["status"]:
        print(f"{place} FAILED {row['file']}: {row['reason']}", flush=True)
    elif not arguments.quiet:
        print(
            f"{place} {row['file']} -> {row['output']}: {row['frames']} frames, "
            f"{row['frames_per_second']:.3g} frames/s",
            flush=True,
        )


def _summary(outcome: "Outcome", request: "Request") -> str:
    """In words, for people."""
    made = outcome.frames - outcome.kept
    rate = made / outcome.elapsed if outcome.elapsed else 0.0
    lines = [
        f"{made} frames in {outcome.elapsed:.2f} s, {rate:.3g} frames/s on "
        f"{outcome.device}, {outcome.checkpoint}, cell {outcome.cell}, speed {outcome.speed}"
    ]
    if outcome.kept:
        lines.append(f"{outcome.kept} frames of a run before were kept")
    figures = outcome.figures
    for key, name in (("psnr_y", "PSNR Y"), ("ssim_y", "SSIM Y")):
        before, after = figures.get(f"{key}_decoded"), figures.get(f"{key}_restored")
        if before is not None and after is not None:
            lines.append(
                f"{name} {before:.4f} decoded, {after:.4f} restored, {after - before:+.4f}"
            )
    lines += [f"note: {note}" for note in outcome.notes]
    files = [None if request.to_stdout else request.output, request.metrics, request.report]
    lines += [f"{path}: {path.stat().st_size / 1e6:.2f} MB" for path in files if path]
    return "\n".join(lines)


def _told(quiet: bool) -> "contextlib.closing[Any]":
    """Shows on stderr how far a restore is."""
    from ..restore.job.request import ProgressListener

    class Told(ProgressListener):
        bar: Bar | None = None

        def stage(self, name: str, total: int | None) -> None:
            self.close()
            self.bar = Bar(name, "frames", total, quiet=quiet)

        def step(self, count: int) -> None:
            if self.bar is not None:
                self.bar.update(count)

        def expect(self, seconds: float) -> None:
            self.close()
            if not quiet:
                text = f"restoring will take about {in_words(seconds)}"
                print(text, file=sys.stderr, flush=True)

        def close(self) -> None:
            if self.bar is not None:
                self.bar.close()
            self.bar = None

    return contextlib.closing(Told())


if __name__ == "__main__":
    raise SystemExit(main())
