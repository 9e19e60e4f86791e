"""davd-extract: an H.264 or HEVC video in, its priors file out."""

import argparse
import json
import sys
from pathlib import Path

from . import Version, carry_out, finite, parse, refuse_input, refuse_stream, seconds, whole
from .progress import Bar

_EXAMPLES = """\
examples:
  davd-extract talk.mp4 -o talk.h5              everything, exactly as the decoder had it inside
  davd-extract talk.mp4 --verify                and compare every frame with FFmpeg's
  davd-extract talk.mkv --start 10 --end 20     ten seconds, counted from the first frame
  davd-extract talk.mp4 --planes decoded,prediction --compression blosc
                                                smaller, and faster to read
  davd-extract talk.mp4 -o null                 how fast does it decode here?
"""


def _range(text: str) -> tuple[int, int | None]:
    first, colon, last = text.partition(":")
    try:
        if not colon:
            raise ValueError
        return int(first or 0), int(last) if last else None
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}: must be A:B, A: or :B") from None


def _planes(text: str) -> tuple[str, ...]:
    known = ("decoded", "prediction", "residual", "level")
    names = tuple(name for name in text.split(",") if name)
    if unknown := [name for name in names if name not in known]:
        raise argparse.ArgumentTypeError(f"{unknown[0]!r}: must be of {','.join(known)}")
    return names


def get_parser() -> argparse.ArgumentParser:
    """The parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="davd-extract",
        description="Write what an H.264 or HEVC decoder knows inside - prediction, residual, "
        "levels, transform sizes, QP, types of blocks - of every frame of a video into one HDF5 "
        "file.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "video", help="any file with H.264 or HEVC video: MP4, MKV, TS, AVI, FLV, bare stream ..."
    )
    parser.add_argument(
        "-o",
        "--output",
        metavar="OUT.h5",
        help="the priors file (default: VIDEO with the suffix .h5); null: write nothing, for "
        "timing; md5: print the MD5 of the cropped decoded video",
    )
    parser.add_argument("-f", "--force", action="store_true", help="replace an existing file")
    part = parser.add_argument_group("which frames")
    part.add_argument(
        "--stream",
        type=whole(0),
        metavar="N",
        help="video stream N of the file (default: as FFmpeg)",
    )
    part.add_argument(
        "--start", type=seconds, metavar="S", help="begin S seconds after the first frame"
    )
    part.add_argument(
        "--end", type=seconds, metavar="S", help="stop before S seconds after the first frame"
    )
    part.add_argument(
        "--frames",
        type=_range,
        metavar="A:B",
        help="frames A to B-1 in display order, instead of times",
    )
    part.add_argument(
        "--split",
        action="store_true",
        help="where the picture size or format changes, begin another file",
    )
    what = parser.add_argument_group("what is stored (maps of QP, types and transforms always are)")
    what.add_argument(
        "--planes",
        type=_planes,
        default=("decoded", "prediction", "residual", "level"),
        metavar="LIST",
        help="of decoded,prediction,residual,level (default: all four); with none of the first "
        "three ('' or level) syntax is all that is decoded, two to four times as fast",
    )
    what.add_argument("--motion", action="store_true", help="motion vectors and references")
    what.add_argument("--modes", action="store_true", help="intra prediction modes")
    what.add_argument(
        "--bits",
        choices=("detailed",),
        help="detailed: what the bits of each macroblock or coding unit were spent on (their sum "
        "always is)",
    )
    what.add_argument("--no-audio", action="store_true", help="leave out the sound")
    what.add_argument(
        "--audio-shift",
        type=finite,
        default=0.0,
        metavar="MS",
        help="move the sound MS milliseconds later",
    )
    what.add_argument(
        "--compression",
        choices=("gzip", "blosc", "none"),
        default="gzip",
        help="gzip: any HDF5 reads it (default); blosc: reads faster, readers need hdf5plugin",
    )
    how = parser.add_argument_group("how")
    how.add_argument(
        "--verify",
        action="store_true",
        help="compare every frame (H.264: and QP) with FFmpeg's; an error if one differs",
    )
    how.add_argument(
        "--strict", action="store_true", help="damage is an error; else it is concealed and counted"
    )
    how.add_argument(
        "--jobs",
        type=whole(1),
        default=1,
        metavar="N",
        help="pieces of the video decoded at the same time (1)",
    )
    how.add_argument("--json", action="store_true", help="print the summary as JSON")
    how.add_argument("-q", "--quiet", action="store_true", help="no progress bar, no summary")
    parser.add_argument("--version", action=Version)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    parser = get_parser()
    arguments = parse(parser, argv)
    if arguments.frames and (arguments.start is not None or arguments.end is not None):
        parser.error("--frames and --start/--end exclude each other")
    refuse_stream(parser, "video", arguments.video)
    refuse_stream(parser, "-o", arguments.output)
    return carry_out("davd-extract", lambda: _run(arguments))


def _run(arguments: argparse.Namespace) -> None:
    from davd.bitstream import DavdError, VerificationError, extract

    written = arguments.output not in ("null", "md5")
    video = Path(arguments.video)
    output = Path(arguments.output or video.parent / f"{video.stem}.h5") if written else None
    quiet = arguments.quiet or arguments.json
    if output is not None:
        refuse_input(output, arguments.video)
    try:
        with Bar(Path(arguments.video).name, "frames", quiet=quiet) as bar:
            summary = extract(
                arguments.video,
                output,
                stream=arguments.stream,
                start=arguments.start,
                end=arguments.end,
                frames=arguments.frames,
                planes=arguments.planes,
                motion=arguments.motion,
                modes=arguments.modes,
                bits=arguments.bits is not None,
                audio=not arguments.no_audio,
                audio_shift=arguments.audio_shift,
                compression=arguments.compression,
                verify=arguments.verify,
                digest=arguments.output == "md5",
                jobs=arguments.jobs,
                strict=arguments.strict,
                split=arguments.split,
                overwrite=arguments.force,
                expect=bar.reset,
                progress=bar.update,
            )
    except (DavdError, VerificationError) as error:
        error.args = (f"{arguments.video}: {error}",)
        raise
    if arguments.json:
        print(json.dumps(summary.as_dict(), indent=2))
    elif arguments.output == "md5":
        print(summary.md5)
    if not arguments.quiet and not arguments.json:
        print(summary.text(), file=sys.stderr)


if __name__ == "__main__":
    raise SystemExit(main())
