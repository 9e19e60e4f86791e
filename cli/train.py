"""davd-train: a configuration in, a run folder with log and checkpoints out."""

import argparse
import sys

from . import Version, carry_out

_EXAMPLES = """\
examples:
  davd-train configs/lite.toml --set data.index=work
  davd-train configs/lite.toml --set data.index=work --set network.audio=false
  davd-train configs/lite.toml --set data.index=work --print
  torchrun --nproc-per-node 4 -m davd.cli.train configs/full.toml --set data.index=work

A run that was stopped goes on where it was when it is started again with the same configuration.
"""


def get_parser() -> argparse.ArgumentParser:
    """The parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="davd-train",
        description="Train a network on a work folder that davd-prepare has made.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("config", nargs="?", help="TOML file; the defaults alone where absent")
    parser.add_argument(
        "--set", action="append", default=[], metavar="SECTION.KEY=VALUE", dest="overrides",
        help="laid over the file; may be given several times",
    )  # fmt: skip
    parser.add_argument("--print", action="store_true", help="print the resolved configuration")
    parser.add_argument("--quiet", action="store_true", help="no progress lines")
    parser.add_argument("--version", action=Version)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    arguments = get_parser().parse_args(argv)
    kept = "start it again to go on from the last save"
    return carry_out("davd-train", lambda: _run(arguments), kept=kept)


def _run(arguments: argparse.Namespace) -> None:
    from ..restore.config import config_to_dict, load_config

    config = load_config(arguments.config, arguments.overrides)
    if arguments.print:
        import json

        print(json.dumps(config_to_dict(config), indent=2))
        return
    from ..restore.training.train import train

    print(train(config, stream=None if arguments.quiet else sys.stderr))


if __name__ == "__main__":
    raise SystemExit(main())
