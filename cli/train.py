"""davd-train: a configuration in, a run folder with log and checkpoints out."""

import argparse
import sys

from . import Version, explain, fatal

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
    """Run the command."""
    arguments = get_parser().parse_args(argv)
    from ..restore.config import config_to_dict, load_config

    try:
        config = load_config(arguments.config, arguments.overrides)
    except (ValueError, OSError) as error:
        fatal("davd-train", explain(error))
    if arguments.print:
        import json

        print(json.dumps(config_to_dict(config), indent=2))
        return 0
    from ..restore.training.train import train

    try:
        path = train(config, stream=None if arguments.quiet else sys.stderr)
    except (ValueError, RuntimeError, OSError) as error:
        fatal("davd-train", explain(error))
    except KeyboardInterrupt:
        fatal("davd-train", "stopped; start it again to go on from the last save")
    print(path)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
