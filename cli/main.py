"""davd: every command under one name, `davd extract` as well as `davd-extract`."""

import sys
from importlib import import_module

from . import Exit, carry_out, version_text

COMMANDS = {
    "extract": ("extract", "a video in, what its decoder knows inside into one HDF5 file"),
    "inspect": ("inspect", "what is in such a file, in words or as a picture"),
    "view": ("view", "every block of every frame, in the browser"),
    "restore": ("restore", "a video in, or a folder of them, the restored ones out"),
    "prepare": ("prepare", "raw videos to clips to train on"),
    "train": ("train", "a network on such clips"),
    "adapt": ("adapt", "shipped weights to one person, from clean clips of him"),
    "eval": ("evaluate", "measure networks, and the output of others"),
}
"""Name -> module of this folder, and what it does."""


def usage() -> str:
    """What `davd --help` prints."""
    lines = [f"  {name:9} {text}" for name, (_, text) in COMMANDS.items()]
    return "\n".join(["usage: davd COMMAND ...", "", *lines, "", "davd COMMAND --help says more."])


def main(argv: list[str] | None = None) -> int:
    """Run the command that is named first; returns its exit status."""
    arguments = sys.argv[1:] if argv is None else argv
    name = arguments[0] if arguments else ""
    if name in ("-h", "--help"):
        return carry_out("davd", lambda: print(usage()))
    if name == "--version":
        return carry_out("davd", lambda: print(version_text()))
    if name not in COMMANDS:
        said = f"davd: no command {name!r}" if name else "davd: which command?"
        print(f"{said}\n\n{usage()}", file=sys.stderr)
        return Exit.USAGE
    command = import_module(f".{COMMANDS[name][0]}", __package__)
    return int(command.main(arguments[1:]))


if __name__ == "__main__":
    raise SystemExit(main())
