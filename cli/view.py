"""davd-view: look inside a video in the browser."""

import argparse
import sys
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING

from . import Version, carry_out, parse, refuse_input, refuse_stream

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..bitstream.show.material import Material

_EXAMPLES = """\
examples:
  davd-view talk.mp4                         every block of every frame, in the browser
  davd-view talk.h5 talk.restored.mp4        before and after, with a wipe and the difference
  davd-view talk.mp4 --html talk.html --frames 100:130    one page to pass on, without a server

The page is for this machine alone: its address holds a secret and is valid until Ctrl-C.
"""
_MOST = 30  # frames of a page, unless asked for


def get_parser() -> argparse.ArgumentParser:
    """The parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="davd-view",
        description="Look inside an H.264 or HEVC video or a priors file in the browser: planes, "
        "types of blocks, partitions, transforms, QP, vectors, modes; and compare it with "
        "another file.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("file", type=Path, help="an H.264 or HEVC video, or a priors file")
    parser.add_argument(
        "other", type=Path, nargs="?", help="a file to compare it with: any video, priors, or .h5 "
        "of davd-restore"
    )  # fmt: skip
    parser.add_argument("--port", type=int, default=0, help="of 127.0.0.1 (default: a free one)")
    parser.add_argument("--no-browser", action="store_true", help="only print the address")
    parser.add_argument("--html", type=Path, metavar="OUT.html", help="write one page instead")
    parser.add_argument(
        "--frames", type=_frames, metavar="A:B",
        help=f"with --html: which frames (default: the first {_MOST})",
    )  # fmt: skip
    parser.add_argument("-f", "--force", action="store_true", help="replace an existing page")
    parser.add_argument("--version", action=Version)
    return parser


def _frames(text: str) -> tuple[int, int | None]:
    """`A:B` as first frame and the one after the last; either may be missing."""
    first, colon, last = text.partition(":")
    try:
        low = int(first or 0)
        high = int(last) if last else None if colon else low + 1
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}: must be A:B, as 100:130") from None
    if low < 0 or (high is not None and high <= low):
        raise argparse.ArgumentTypeError(f"{text!r}: no frames")
    return low, high


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    parser = get_parser()
    arguments = parse(parser, argv)
    for name in ("file", "other", "html"):
        refuse_stream(parser, name, getattr(arguments, name))
    if arguments.frames and not arguments.html:
        parser.error("--frames goes with --html; in the browser all frames are there")
    return carry_out("davd-view", lambda: _run(arguments))


def _run(arguments: argparse.Namespace) -> None:
    from ..bitstream.show.material import VideoMaterial, open_material

    if arguments.html:
        refuse_input(arguments.html, *filter(None, (arguments.file, arguments.other)))
    materials = [open_material(arguments.file, plain=True)]
    if isinstance(materials[0], VideoMaterial):
        print(f"{materials[0].why}: its pictures alone are shown", file=sys.stderr)
    if arguments.other:
        materials.append(open_material(arguments.other, plain=True))
    if arguments.html:
        _write(materials, arguments)
    else:
        _serve(materials, arguments)


def _write(materials: "Sequence[Material]", arguments: argparse.Namespace) -> None:
    from ..bitstream.partfile import PartFile
    from ..bitstream.show.site import write_page

    count = materials[0].count
    low, high = arguments.frames or (0, _MOST)
    frames = range(count)[low:high]
    if not frames:
        raise ValueError(f"--frames {low}: {arguments.file} has {count} frames")
    with PartFile(arguments.html, overwrite=arguments.force) as file:
        size = write_page(materials, frames, file.part)
        file.commit()
    print(f"{arguments.html}: {len(frames)} frames, {size / 1e6:.1f} MB", file=sys.stderr)


def _serve(materials: "Sequence[Material]", arguments: argparse.Namespace) -> None:
    from ..bitstream.show.server import Viewer

    with Viewer(materials, port=arguments.port) as server:
        print(server.address, flush=True)
        print("Ctrl-C ends it.", file=sys.stderr)
        if not arguments.no_browser:
            webbrowser.open(server.address)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print(file=sys.stderr)


if __name__ == "__main__":
    raise SystemExit(main())
