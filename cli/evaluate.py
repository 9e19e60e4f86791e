"""davd-eval: checkpoints and data in, the tables of the paper out."""

import argparse
import contextlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from . import Version, carry_out, parse, rate_factor, refuse_input, refuse_stream, whole

if TYPE_CHECKING:
    from ..restore.measuring.tables import Row
    from ..restore.networks.restorer import Restorer

SOUNDS = ("right", "silent", "exchanged", "shifted")

_EXAMPLES = """\
examples:
  davd-eval work --checkpoint generic runs/vpb/davd-lite-0123abcd.safetensors --crf 42 45
  davd-eval work --checkpoint generic --sound right,silent,exchanged,shifted --csv sound.csv
  davd-eval work --checkpoint generic --files other=outputs/ --crf 42
                                                     beside the files that another tool made
  davd-eval work --crf 42                            the decoded frames alone
  davd-eval --audit clean.mkv priors.h5              how far may the projection be trusted?
"""


def get_parser() -> argparse.ArgumentParser:
    """The parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="davd-eval",
        description="Measure networks on the clips of a work folder, beside the decoded frames.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("work", nargs="?", help="work folder made by davd-prepare")
    parser.add_argument("--checkpoint", nargs="+", default=[], metavar="NAME|PATH")
    parser.add_argument(
        "--files", action="append", default=[], metavar="NAME=FOLDER", type=_named_folder,
        help="measure the output files of another tool, FOLDER/CLIP.* or FOLDER/crfNN/CLIP.*; "
        "repeatable",
    )  # fmt: skip
    parser.add_argument("--split", default="test", choices=("train", "val", "test"))
    parser.add_argument("--crf", nargs="+", type=rate_factor, default=[42, 45])
    parser.add_argument(
        "--sound", default="right", type=_sounds, metavar="LIST",
        help=f"what the network hears, of {','.join(SOUNDS)} (default right)",
    )  # fmt: skip
    parser.add_argument("--speaker", action="append", default=[], help="only this one; repeatable")
    parser.add_argument(
        "--limit", type=whole(0), default=0, metavar="N", help="frames per clip; 0: all"
    )
    parser.add_argument(
        "--cell", default="none",
        help="cell of the consistency figure: paper, coded, deadzone or trellis (default none)",
    )  # fmt: skip
    parser.add_argument(
        "--project", metavar="CELL", help="project every output on this cell, whatever was trained"
    )
    parser.add_argument(
        "--speed", default="best", metavar="NAME", help="of davd-restore: best, balanced or fast"
    )
    parser.add_argument("--perceptual", action="store_true", help="LPIPS and DISTS where installed")
    parser.add_argument(
        "--vmaf", action="store_true", help="VMAF and XPSNR, by the ffmpeg of the extra data"
    )
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"))
    parser.add_argument("--threads", type=whole(0), default=0, help="CPU threads; 0: torch decides")
    parser.add_argument("--csv", type=Path, help="write one line per clip")
    parser.add_argument("--json", type=Path, help="write everything, per frame")
    parser.add_argument("-f", "--force", action="store_true", help="replace existing files")
    parser.add_argument(
        "--audit", nargs=2, metavar=("SOURCE", "PRIORS"),
        help="violations per class and the ceiling of each cell, for a source and its encode",
    )  # fmt: skip
    parser.add_argument("--version", action=Version)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    parser = get_parser()
    arguments = parse(parser, argv)
    if (arguments.work is None) == (arguments.audit is None):
        parser.error("give a work folder, or --audit SOURCE PRIORS")
    if arguments.audit and arguments.csv:
        parser.error("--csv is of tables; of an audit there is --json")
    for name in ("csv", "json"):
        refuse_stream(parser, f"--{name}", getattr(arguments, name))
    for path in arguments.audit or ():
        refuse_stream(parser, "--audit", path)
    return carry_out("davd-eval", lambda: _run(arguments))


def _sounds(text: str) -> list[str]:
    names = text.split(",")
    if unknown := [name for name in names if name not in SOUNDS]:
        raise argparse.ArgumentTypeError(f"{unknown[0]!r}: must be of {','.join(SOUNDS)}")
    return names


def _named_folder(text: str) -> tuple[str, Path]:
    name, equals, folder = text.partition("=")
    if not (name and equals and Path(folder).is_dir()):
        raise argparse.ArgumentTypeError(f"{text!r}: must be NAME=FOLDER, a folder there is")
    return name, Path(folder)


def _run(arguments: argparse.Namespace) -> None:
    """Measure, and give the files their names when everything is in them."""
    from ..bitstream.partfile import PartFile

    with contextlib.ExitStack() as stack:
        parts = {}
        for name in ("csv", "json"):  # before hours of measuring
            if path := getattr(arguments, name):
                refuse_input(path, *arguments.audit or ())
                part = PartFile(path, overwrite=arguments.force)
                parts[name] = stack.enter_context(part)
        text, found = (_audit if arguments.audit else _tables)(arguments)
        print(text)
        for name, part in parts.items():
            part.part.write_text(found[name], encoding="utf-8")
            part.commit()


def _audit(arguments: argparse.Namespace) -> "tuple[str, dict[str, str]]":
    """The audit in words, and what goes into files."""
    from ..restore.projection.audit import audit_files, source_frames

    source, priors = arguments.audit
    found = audit_files(
        source_frames(source), priors, frames=arguments.limit or None, progress=_progress
    )
    return found.text(), {"json": json.dumps(found.as_dict(), indent=1) + "\n"}


def _tables(arguments: argparse.Namespace) -> "tuple[str, dict[str, str]]":
    """The tables in words, and what goes into files."""
    import torch

    from ..restore.measuring.tables import as_csv, as_json, as_text

    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    rows = _measured(arguments)
    everything = json.dumps(as_json(rows, vars(arguments)), indent=1, default=str)
    return as_text(rows), {"csv": as_csv(rows), "json": everything + "\n"}


def _measured(arguments: argparse.Namespace) -> "list[Row]":
    import torch

    from ..data.dataset import open_segments
    from ..restore.checkpoint import find_checkpoint, load_checkpoint
    from ..restore.job.speed import set_speed
    from ..restore.measuring.evaluate import Perceptual, measure_clip
    from ..restore.measuring.others import OtherOutput
    from ..restore.measuring.tables import Row, multiply_adds
    from ..restore.networks.restorer import fast_bf16
    from ..restore.projection.project import Projector

    device = arguments.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    networks, quiet = [], 0.0
    for name in arguments.checkpoint:
        network = load_checkpoint(name, device=device)
        quiet = set_speed(network, arguments.speed)
        if arguments.project:
            network.projector = Projector(arguments.project, table=network.cells)
        networks.append((find_checkpoint(name).stem, network))
    perceptual = Perceptual() if arguments.perceptual else None
    level = arguments.cell != "none" or any(net.projector for _, net in networks)
    rows = []
    for sound in arguments.sound:
        hearing = [pair for pair in networks if pair[1].config.audio or sound == "right"]
        segments = open_segments(
            arguments.work, arguments.split, crf=arguments.crf, sound=sound, level=level,
            listen=True, speakers=arguments.speaker,
            motion=quiet > 0 or any(net.config.motion for _, net in networks),
        )  # fmt: skip
        given = arguments.files if sound == arguments.sound[0] else []
        for label, folder in given:
            rows.append(Row(label, "", [
                measure_clip(
                    None, segment, limit=arguments.limit, cell=arguments.cell,
                    perceptual=perceptual, vmaf=arguments.vmaf, other=OtherOutput(folder, segment),
                )
                for segment in segments
            ]))  # fmt: skip
        alone: list[tuple[str, Restorer | None]] = [("decoded", None)]
        if networks or arguments.files:
            alone = []
        for label, chosen in [*hearing] or alone:
            clips = []
            for number, segment in enumerate(segments):
                _progress(number, len(segments), f"{label}, sound {sound}")
                clips.append(
                    measure_clip(
                        chosen,
                        segment,
                        amp=fast_bf16(device),
                        quiet=quiet,
                        limit=arguments.limit,
                        cell=arguments.cell,
                        perceptual=perceptual,
                        vmaf=arguments.vmaf,
                    )  # fmt: skip
                )
            row = Row(label, sound, clips)
            if chosen is not None:
                row.parameters = chosen.parameter_count()
                row.multiply_adds = multiply_adds(chosen)
            rows.append(row)
    _progress(1, 1)
    return rows


def _progress(done: int, total: int, text: str = "") -> None:
    if sys.stderr.isatty():
        end = "\n" if done == total else ""
        print(f"\r\033[K{done}/{total} {text}", end=end, file=sys.stderr, flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
