"""davd-restore: priors (or a video) and weights in, the restored video out."""

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from . import Version, carry_out, seconds, share_processors

if TYPE_CHECKING:
    from ..restore.job.request import Outcome, ProgressListener, Request

_EXAMPLES = """\
examples:
  davd-restore --priors talk.h5                   talk.restored.mp4, with the original sound
  davd-restore talk.mp4 -o better.mkv --lossless  from the video itself, samples kept exactly
  davd-restore --priors talk.h5 --reference clean.mkv --metrics talk.json --report talk.html
                                                  how much closer to the source is it?
  davd-restore --priors talk.h5 --compare -o both.mp4
                                                  decoded on the left, restored on the right
  davd-restore --priors talk.h5 --start 10 --end 20 --checkpoint runs/davd-lite-0123abcd.safetensors
"""


def _crf(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 51:
        raise argparse.ArgumentTypeError(f"{text!r}: must be 0 to 51")
    return value


def get_parser() -> argparse.ArgumentParser:
    """The parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="davd-restore",
        description="Restore a low bit rate H.264 video of a talking head with a network that "
        "hears its sound and reads its bitstream.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("video", nargs="?", type=Path, help="an H.264 video, or a priors file")
    parser.add_argument("--priors", type=Path, metavar="FILE.h5", help="written by davd-extract")
    parser.add_argument(
        "-o", "--output", type=Path,
        help="restored video: .mp4, .mkv or .mov; .y4m or .yuv without sound; .h5, the planes "
        "in coded size (default: the input's name with .restored.mp4)",
    )  # fmt: skip
    parser.add_argument("-f", "--force", action="store_true", help="replace existing files")
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
    how.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    how.add_argument("--threads", type=int, default=0, help="CPU threads (default: torch decides)")
    how.add_argument(
        "--tile", type=int, metavar="N",
        help="restore large pictures in tiles of at most N samples a side, with the same result; "
        "0: never (default: by the network, about 1 GB of working memory)",
    )  # fmt: skip
    how.add_argument(
        "--face-only", action="store_true", help="restore the head, leave all else as decoded"
    )
    how.add_argument(
        "--audio-shift", type=float, default=0.0, metavar="MS",
        help="move the sound MS milliseconds later, for the network and in the video written",
    )  # fmt: skip
    what = parser.add_argument_group("what is written")
    what.add_argument("--start", type=seconds, metavar="S", help="from S seconds after the first")
    what.add_argument("--end", type=seconds, metavar="S", help="to before S seconds after it")
    what.add_argument(
        "--crf", type=_crf, default=16.0, help="quality of the written H.264, lower is better (16)"
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
    seen.add_argument("--json", action="store_true", help="print the summary as JSON")
    seen.add_argument("-q", "--quiet", action="store_true", help="no progress bar, no summary")
    parser.add_argument("--version", action=Version)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    parser = get_parser()
    arguments = parser.parse_args(argv)
    if (arguments.video is None) == (arguments.priors is None):
        parser.error("give a video, or --priors FILE.h5")
    return carry_out("davd-restore", lambda: _run(arguments))


def _request(arguments: argparse.Namespace) -> "Request":
    from ..restore.job.request import Request

    source = arguments.priors or arguments.video
    named = ("checkpoint", "cell", "device", "crf", "lossless", "start", "end", "reference",
             "metrics", "report", "compare", "face_only", "audio_shift", "tile")  # fmt: skip
    return Request(
        source=source,
        output=arguments.output or source.with_suffix(".restored.mp4"),
        overwrite=arguments.force,
        is_priors=arguments.priors is not None,
        **{name: getattr(arguments, name) for name in named},
    )


def _run(arguments: argparse.Namespace) -> None:
    share_processors()
    import torch

    from ..bitstream import DavdError
    from ..restore.job.job import run

    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    request = _request(arguments)
    try:
        outcome = run(request, _progress(arguments.quiet or arguments.json))
    except DavdError as error:
        error.args = (f"{request.source}: {error}",)
        raise
    if arguments.json:
        print(json.dumps(outcome.as_dict(), indent=2))
    elif not arguments.quiet:
        print(_summary(outcome, request), file=sys.stderr)


def _summary(outcome: "Outcome", request: "Request") -> str:
    """In words, for people."""
    rate = outcome.frames / outcome.elapsed if outcome.elapsed else 0.0
    lines = [
        f"{outcome.frames} frames in {outcome.elapsed:.2f} s, {rate:.3g} frames/s on "
        f"{outcome.device}, {outcome.checkpoint}, cell {outcome.cell}"
    ]
    figures = outcome.figures
    for key, name in (("psnr_y", "PSNR Y"), ("ssim_y", "SSIM Y")):
        before, after = figures.get(f"{key}_decoded"), figures.get(f"{key}_restored")
        if before is not None and after is not None:
            lines.append(
                f"{name} {before:.4f} decoded, {after:.4f} restored, {after - before:+.4f}"
            )
    lines += [f"note: {note}" for note in outcome.notes]
    files = [request.output, request.metrics, request.report]
    lines += [f"{path}: {path.stat().st_size / 1e6:.2f} MB" for path in files if path]
    return "\n".join(lines)


def _progress(quiet: bool) -> "ProgressListener":
    """A bar per stage on a terminal; elsewhere nothing."""
    from tqdm import tqdm

    from ..restore.job.request import ProgressListener

    class Bars(ProgressListener):
        bar: tqdm | None = None

        def stage(self, name: str, total: int | None) -> None:
            if self.bar is not None:
                self.bar.close()
            self.bar = tqdm(desc=name, total=total, unit=" frames", disable=quiet or None)

        def step(self, count: int) -> None:
            if self.bar is not None:
                self.bar.update(count)

        def close(self) -> None:
            if self.bar is not None:
                self.bar.close()

    return Bars()


if __name__ == "__main__":
    raise SystemExit(main())
