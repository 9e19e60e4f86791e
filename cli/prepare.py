"""davd-prepare: raw talking-head videos to training-ready priors, one step of one clip at a time.

make dataset calls it; every step can be run by hand.
"""

import argparse
import json
import os
import sys
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

from . import Exit, carry_out, parse, rate_factor, version_text, whole

if TYPE_CHECKING:
    from davd.data.work import Settings

_EXAMPLES = """\
examples:
  davd-prepare all talk.mp4 --work work --crf 42        one video, all steps
  davd-prepare crop talk.mp4 --work work --size 224     or step by step
  davd-prepare encode talk --work work --crf 42
  davd-prepare extract talk --work work --crf 42
  davd-prepare run raw work --workers 8 --crf 42 45     a folder of videos, eight processes
  davd-prepare run raw work --scheduler tcp://head:8786 ... or a Dask cluster
  davd-prepare run raw calls --preset veryfast --tune zerolatency --before x264:36,x265:38
                                                        calls, uploaded: encoded twice
  davd-prepare retry work                               try again what failed
make dataset SOURCE=raw WORK=work does the same as run, by make. docs/data.md has it all.
"""


def get_parser() -> argparse.ArgumentParser:
    """The parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="davd-prepare",
        description="Take raw talking-head videos to training-ready priors: face crops, H.264 at "
        "chosen rate factors, priors files and an index; one step of one clip at a time, or all.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="store_true", help="versions, and the ffmpeg in use")
    commands = parser.add_subparsers(dest="command", metavar="STEP")

    scan = commands.add_parser("scan", help="list the videos of SOURCE in WORK")
    scan.add_argument("source", type=Path, help="folder of videos, flat or in folders")
    scan.add_argument("work", type=Path, help="folder to make things in, outside SOURCE")
    _settings(scan)

    crop = commands.add_parser("crop", help="one clip: find the face, cut it out, 16 kHz sound")
    _clip(crop)
    _settings(crop)
    encode = commands.add_parser("encode", help="one cropped clip: x264 at one rate factor")
    _clip(encode)
    encode.add_argument("--crf", type=rate_factor, default=42, help="rate factor, 0..51 (42)")
    encode.add_argument("--extract", action="store_true", help="and then its priors, in one go")
    extract = commands.add_parser("extract", help="one coded clip: its priors")
    _clip(extract)
    extract.add_argument(
        "--crf", type=rate_factor, default=42, help="which of the coded clips (42)"
    )
    every = commands.add_parser("all", help="one clip: crop, encode and extract")
    _clip(every)
    _settings(every)
    every.add_argument("--crf", type=rate_factor, nargs="+", default=[42, 45], help="(42 45)")
    _no_priors(every)

    run = commands.add_parser("run", help="all clips of a folder, on many cores or machines")
    run.add_argument("source", type=Path, help="folder of videos")
    run.add_argument("work", type=Path, help="folder that all workers see under this name")
    _settings(run)
    run.add_argument("--crf", type=rate_factor, nargs="+", default=[42, 45], help="(42 45)")
    _no_priors(run)
    where = run.add_mutually_exclusive_group()
    where.add_argument(
        "--workers", type=whole(1), metavar="N", help="start N worker processes here (1)"
    )
    where.add_argument("--scheduler", metavar="tcp://HOST:PORT", help="use a running Dask cluster")
    run.add_argument(
        "--retries", type=whole(0), default=2, help="of a clip whose worker failed (2)"
    )

    for name, text in (
        ("index", "write index.json and failed.csv of WORK"),
        ("retry", "forget the failed results in WORK, so that they are tried again"),
    ):
        other = commands.add_parser(name, help=text)
        other.add_argument("work", type=Path)
    return parser


def _clip(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of a step of one clip."""
    parser.add_argument("clip", help="a video file, or the ID of a clip listed in WORK")
    parser.add_argument("--work", type=Path, required=True, help="folder to make things in")
    parser.add_argument(
        "-k", "--keep-going", action="store_true", help="exit 0 if it is the clip that is at fault"
    )


def _no_priors(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--no-priors",
        action="store_true",
        help="make no priors files: training decodes the coded clips as it reads them",
    )


def _settings(parser: argparse.ArgumentParser) -> None:
    """Add the settings of a work folder; those not given are the folder's own, else the default."""
    group = parser.add_argument_group("settings of the work folder")
    add = group.add_argument
    add(
        "--size",
        type=whole(0),
        help="pixels of the square face crop; 0: the source's resolution (128)",
    )
    add("--fps", help="frames a second; 0: the source's own (25)")
    add("--codec", choices=("h264", "hevc"), help="of the coded files: x264 or x265 (h264)")
    add("--encoder", choices=("x264", "openh264", "x265"), help="another one than usual")
    add("--preset", help="of x264 or x265 (medium)")
    add("--tune", help="of x264 or x265; zerolatency encodes as calls do")
    add(
        "--before",
        metavar="x264:36,x265:38",
        help="encodes, one of which each clip has gone through before: a call that was uploaded",
    )
    add(
        "--crop",
        choices=("auto", "face", "none"),
        help="auto: a picture that has the wanted size already is left untouched, others are "
        "cropped to the face; face: always look for a face; none: the whole picture (auto)",
    )
    add("--sound", choices=("flac", "aac"), help="in the coded files (flac)")
    add("--fix-sync", action="store_true", default=None, help="shift sound whose delay is sure")


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    parser = get_parser()
    arguments = parse(parser, argv)
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # cores are used by clips side by side
    if arguments.command is None and not arguments.version:
        parser.print_help()
        return Exit.USAGE
    kept = "what was finished is kept; start it again to go on"
    return carry_out("davd-prepare", lambda: _run(arguments), kept=kept)


def _version() -> int:
    from davd.data.media import ffmpeg_path, ffmpeg_version

    print(version_text())
    print(f"{ffmpeg_version()} ({ffmpeg_path()})")
    return 0


def _run(arguments: argparse.Namespace) -> int:
    """Carry out one subcommand."""
    if arguments.version:
        return _version()
    if arguments.command in ("crop", "encode", "all", "run"):
        import ffmpeg  # noqa: F401 what is missing is said before anything is begun
    from davd.data.index import build_index, load_index
    from davd.data.sources import scan
    from davd.data.work import forget_failed

    if arguments.command == "scan":
        scan(arguments.source, arguments.work, _chosen(arguments))
    elif arguments.command == "retry":
        print(f"{forget_failed(arguments.work)} results forgotten")
    elif arguments.command == "index":
        index = load_index(build_index(arguments.work))
        seconds = sum(clip.seconds for clip in index.clips)
        print(f"{len(index.clips)} clips, {seconds / 60:.1f} min; {_told(index.failed)}")
    elif arguments.command == "run":
        from davd.data.schedule import run_all

        options = {
            "workers": arguments.workers,
            "scheduler": arguments.scheduler,
            "retries": arguments.retries,
            "priors": not arguments.no_priors,
        }
        scan(arguments.source, arguments.work, _chosen(arguments))
        done = run_all(arguments.work.resolve(), arguments.crf, **options)
        index = load_index(build_index(arguments.work))
        for name, fault in done.errors.items():
            print(f"davd-prepare: {name}: {fault}", file=sys.stderr)
        print(f"{done.finished} sources, {done.lost} lost; {_told(index.failed)}")
        faulty = done.lost or any(row["kind"] in ("failed", "missing") for row in index.failed)
        return Exit.PARTLY if faulty else Exit.DONE
    else:
        return _one(arguments)
    return 0


def _told(failed: list[dict[str, str]]) -> str:
    """Say how much stands in failed.csv."""
    from collections import Counter

    kinds = Counter(row["kind"] for row in failed)
    told = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
    return f"{told} (failed.csv)" if told else "nothing failed"


def _chosen(arguments: argparse.Namespace) -> "Settings":
    """The settings of the command line over those of the folder over the defaults."""
    from davd.data.work import Settings, read_result

    was = read_result(arguments.work / "settings.json") or {}
    names = [field.name for field in fields(Settings)]
    given = {n: v for n in names if (v := getattr(arguments, n, None)) is not None}
    if arguments.command in ("scan", "run"):
        was = {}  # a run states all; the folder is checked against it
    return Settings(**{**was, **given})


def _one(arguments: argparse.Namespace) -> int:
    """Run one step, or all, of one clip and print the result."""
    from davd.data import prepare
    from davd.data.work import adopt, keep_settings

    work, settings = arguments.work, _chosen(arguments)
    name, source = adopt(Path(arguments.clip), arguments.clip, work)
    keep_settings(work, settings)
    if arguments.command == "crop":
        results = {"crop": prepare.crop_clip(source, work, name, settings)}
    elif arguments.command == "encode":
        results = {"encode": prepare.encode_clip(work, name, arguments.crf, settings)}
        if arguments.extract:
            results["extract"] = prepare.extract_clip(work, name, arguments.crf)
    elif arguments.command == "extract":
        results = {"extract": prepare.extract_clip(work, name, arguments.crf)}
    else:
        results = prepare.prepare_clip(
            source, work, name, arguments.crf, settings, priors=not arguments.no_priors
        )
    quiet = ("done",) if not arguments.keep_going else ("done", "skipped")
    faulty = {s: r for s, r in results.items() if r["status"] not in quiet}
    told = {s: r for s, r in faulty.items() if r["status"] == "failed"} or faulty
    if not arguments.keep_going:
        print(json.dumps(results, indent=1))
    for step, result in told.items():  # not of those skipped for it
        print(f"davd-prepare: {name}: {step}: {result['reason']}", file=sys.stderr)
    return Exit.DONE if arguments.keep_going or not faulty else Exit.INPUT


if __name__ == "__main__":
    sys.exit(main())
