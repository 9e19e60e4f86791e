"""davd-adapt: clean clips of one person in, weights that know him out."""

import argparse
import sys
from pathlib import Path

from . import (
    Version,
    carry_out,
    number,
    parse,
    rate_factor,
    refuse_stream,
    share_processors,
    whole,
)

_EXAMPLES = """\
examples:
  davd-adapt his-clips -o his.safetensors               twenty minutes of training
  davd-adapt his-clips -o his.safetensors --minutes 60 --crf 38 42 45
  davd-restore call.mp4 --checkpoint his.safetensors    and then

Clips of several days and places make the weights general. It encodes them by itself, keeps some out
of training, and says on those what was gained and what the voice brought. Stopped, it goes on where
it was when it is started again.
"""


def get_parser() -> argparse.ArgumentParser:
    """The parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="davd-adapt",
        description="Train the shipped weights on for one person, from clean videos of him.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", type=Path, help="his videos, good ones: they are what is learnt")
    parser.add_argument(
        "-o", "--output", type=Path, required=True, help="the weights, .safetensors"
    )
    parser.add_argument("-f", "--force", action="store_true", help="replace existing weights")
    parser.add_argument("--minutes", type=number(0), default=20.0, help="of training (20)")
    parser.add_argument(
        "--crf",
        nargs="+",
        type=rate_factor,
        default=[42, 45],
        help="rate factors to repair (42 45)",
    )
    parser.add_argument("--size", type=whole(0), default=128, help="side of the face crops (128)")
    parser.add_argument("--checkpoint", default="coarse", help="weights to begin from (coarse)")
    parser.add_argument(
        "--others", nargs="+", default=[], metavar="WORK",
        help="work folders of other people to train on too, against forgetting",
    )  # fmt: skip
    parser.add_argument("--work", type=Path, help="where to make things (default: OUTPUT.work)")
    parser.add_argument("-q", "--quiet", action="store_true", help="no progress lines")
    parser.add_argument("--version", action=Version)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    parser = get_parser()
    arguments = parse(parser, argv)
    refuse_stream(parser, "-o", arguments.output)
    kept = "start it again to go on from there"
    return carry_out("davd-adapt", lambda: _run(arguments), kept=kept)


def _run(arguments: argparse.Namespace) -> None:
    share_processors()
    from ..restore.training.adapt import Adaptation, adapt

    wanted = Adaptation(
        arguments.folder,
        arguments.output,
        arguments.work or arguments.output.with_suffix(".work"),
        base=arguments.checkpoint,
        crf=tuple(arguments.crf),
        size=arguments.size,
        minutes=arguments.minutes,
        others=tuple(arguments.others),
        overwrite=arguments.force,
    )
    found = adapt(wanted, None if arguments.quiet else sys.stderr)
    print("\n".join([*found.in_words(), str(arguments.output)]))


if __name__ == "__main__":
    raise SystemExit(main())
