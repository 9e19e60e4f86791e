"""davd-inspect: what is in a priors file or a video, in words or as a picture."""

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from . import Version, carry_out, parse, refuse_input, refuse_stream

if TYPE_CHECKING:
    from davd.bitstream import Priors
    from davd.bitstream.partfile import PartFile

_EXAMPLES = """\
examples:
  davd-inspect talk.h5                          what it holds, sizes, types and QP
  davd-inspect talk.mp4                         the same of a video, decoded when asked
  davd-inspect talk.h5 --frame 17 -o 17.png     prediction, residual, transforms, QP of a frame
  davd-inspect talk.h5 --yuview talk.csv        statistics to lay over the video in YUView
"""
_BAR = 40  # characters of the longest bar


def get_parser() -> argparse.ArgumentParser:
    """The parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="davd-inspect",
        description="Show what is in a priors file written by davd-extract, or in a video with "
        "H.264 or HEVC in it.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("file", help="a priors file or a video")
    parser.add_argument(
        "--frame", type=int, metavar="N", help="draw frame N (negative: from the end)"
    )
    parser.add_argument(
        "-o",
        "--output",
        metavar="FIGURE",
        help="where to (png, pdf, svg; default: FILE.frameN.png)",
    )
    parser.add_argument("--yuview", metavar="OUT.csv", help="write block statistics for YUView")
    parser.add_argument("-f", "--force", action="store_true", help="replace existing files")
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    parser.add_argument("--version", action=Version)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    parser = get_parser()
    arguments = parse(parser, argv)
    if arguments.output is not None and arguments.frame is None:
        parser.error("-o is for the figure of a frame: give --frame N too")
    for name in ("file", "output", "yuview"):
        refuse_stream(parser, name, getattr(arguments, name))
    return carry_out("davd-inspect", lambda: _run(arguments))


def _run(arguments: argparse.Namespace) -> None:
    from davd.bitstream import open as open_priors
    from davd.bitstream.partfile import PartFile

    def part(output: str) -> PartFile:
        refuse_input(output, arguments.file)
        return PartFile(Path(output), overwrite=arguments.force)

    with open_priors(arguments.file) as priors:
        if arguments.frame is not None:
            default = f"{priors.path.with_suffix('')}.frame{arguments.frame}.png"
            with part(arguments.output or default) as file:
                _draw(priors, arguments.frame, file)
        if arguments.yuview:
            with part(arguments.yuview) as file:
                _write_yuview(priors, file)
        if arguments.json:
            from davd.bitstream.priors.contents import histograms, sizes, spent

            everything = priors.summary() | {
                "datasets": sizes(priors),
                "bits": spent(priors),
                "histograms": histograms(priors),
            }
            print(json.dumps(everything, indent=2))
        elif arguments.frame is None and not arguments.yuview:
            print(describe(priors))


def _draw(priors: "Priors", index: int, file: "PartFile") -> None:
    from davd.bitstream.show.figures import save_figure

    save_figure(priors, index, file.part, kind=file.path.suffix[1:])
    file.commit()
    print(file.path, file=sys.stderr)


def _write_yuview(priors: "Priors", file: "PartFile") -> None:
    from davd.bitstream.show.yuview import write_statistics

    with open(file.part, "w", encoding="utf-8") as out:
        rows = write_statistics(priors, out)
    file.commit()
    print(f"{file.path}: {rows} blocks", file=sys.stderr)


def describe(priors: "Priors") -> str:
    """The whole file in words."""
    from davd.bitstream.priors.contents import histograms, sizes, spent

    attrs, counts = priors.attrs, histograms(priors)
    times, last = priors.column("time"), 1 / float(priors.frame_rate)
    hevc = attrs["codec"] == "hevc"
    names = _HEVC_PROFILES if hevc else _H264_PROFILES
    kind = names.get(int(attrs["profile_idc"]), f"profile {attrs['profile_idc']}")
    level = int(attrs["level_idc"]) / (30 if hevc else 10)
    checked = "verified against FFmpeg" if attrs["verified"] else "not verified"
    lines = [
        f"{priors.path}: priors of {attrs['source']} (schema {attrs['schema_version']}, "
        f"davd {attrs['davd_version']}, {checked})",
        "",
        f"video     {'HEVC' if hevc else 'H.264'} {kind}, level {level:g}, {attrs['width']}x"
        f"{attrs['height']} of {priors.coded_size[1]}x{priors.coded_size[0]} coded, "
        f"{attrs['chroma_format']}, {attrs['bit_depth_luma']} bit",
        f"frames    {len(priors)}, {times[0]:.3f} to {times[-1] + last:.3f} s, "
        f"{attrs['frame_rate']} a second{' (invented)' if attrs['time_invented'] else ''}, "
        f"{int(priors.column('keyframe').sum())} {'IRAP' if hevc else 'IDR'}, "
        f"{int(priors.column('concealed').sum())} concealed",
        f"colour    matrix {attrs['color_matrix']}, {attrs['color_range']} range",
    ]
    if hevc:
        lines.append(_hashes(priors))
    sound = priors.audio()
    if sound is None:
        lines.append("sound     none")
    else:
        samples, rate, start = sound
        lines.append(f"sound     {len(samples) / rate:.3f} s from {start:.3f} s, mono {rate} Hz")
    if attrs["encoder"]:
        text = str(attrs["encoder"])
        lines.append(f"encoder   {text if len(text) <= 90 else text[:87] + '...'}")
    if bits := spent(priors):
        seconds = times[-1] + last - times[0]
        shares = [f"{name} {n / max(bits['all'], 1):.1%}" for name, n in bits.items()][1:]
        lines.append(
            f"bits      {bits['all']:,} of slice data, {bits['all'] / seconds / 1000:.1f} kbit/s"
            + (f" ({', '.join(shares)})" if shares else "")
        )
    lines += ["", f"{'dataset':21}{'type':8}{'shape':24}{'bytes':>13}{'ratio':>9}"]
    for path, what in sizes(priors).items():
        shape = "x".join(str(n) for n in what["shape"])  # type: ignore[attr-defined]
        stored = ""
        if "bytes" in what:
            ratio = f"{what['ratio']}:1" if what["ratio"] else "empty"
            stored = f"{what['bytes']:13,}{ratio:>9}"
        lines.append(f"{path:21}{what['dtype']:8}{shape:24}{stored}".rstrip())
    for name, count in counts.items():
        title = "QP of the macroblocks" if name == "qp" and not hevc else _TITLES[name]
        lines += ["", title, *_bars(count)]
    return "\n".join(lines)


_H264_PROFILES = {
    66: "Baseline",
    77: "Main",
    88: "Extended",
    100: "High",
    110: "High 10",
    122: "High 4:2:2",
    244: "High 4:4:4 Predictive",
}
_HEVC_PROFILES = {1: "Main", 2: "Main 10", 3: "Main Still Picture", 4: "Range Extensions"}
_TITLES = {
    "picture_type": "picture types",
    "mb_type": "macroblock types",
    "tu": "transforms (4x4 luma blocks)",
    "cu_mode": "modes of coding units (share of the picture)",
    "cu_size": "sizes of coding blocks (log2 of the side)",
    "cu_part": "partitions of coding units",
    "tu_kind": "transforms (share of luma)",
    "tu_size": "sizes of transform blocks (log2 of the side, 0 none)",
    "qp": "QP (share of the picture)",
}


def _hashes(priors: "Priors") -> str:
    """What the hashes that the encoder wrote say of the pictures."""
    found = priors.column("hash")
    right, wrong = int((found == 1).sum()), int((found == 2).sum())
    if not right and not wrong:
        return "hashes    none in the stream" + (
            "" if priors.attrs["pixels"] else ", or not checked"
        )
    return f"hashes    {right} of {len(found)} pictures as the encoder had them, {wrong} not"


def _bars(counts: dict[str, int]) -> list[str]:
    total, most = sum(counts.values()), max(counts.values(), default=1)
    lines = []
    for name, count in counts.items():
        bar = "#" * round(_BAR * count / most) or "."
        lines.append(f"  {name:18}{count / total:7.2%}  {bar}")
    return lines


if __name__ == "__main__":
    raise SystemExit(main())
