"""A work folder made small: what another machine needs to train on it, in one folder.

    WORK -> PACK/clean/*.264, coded/crfNN/*.264    bare H.264, the clean clips nearly lossless
            PACK/sound/*.npy, index.json           what the network hears, the list of clips
            PACK/davd/, configs/, run.py           these sources, what builds and runs them there

    python -m davd.data.pack WORK PACK [--crf 42 45] [--most 50]
    python3 PACK/run.py --minutes 10               over there: builds the core, decodes, trains

Over there Python, a C compiler, NumPy, Cython, h5py and torch are enough: no FFmpeg, no network.
"""

import argparse
import json
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from ..bitstream import open as open_priors
from .hearing import features
from .index import Clip, load_index
from .media import ClipError, run_ffmpeg

CLEAN_CRF = 10  # of the clean clips, some 48 dB: what is lost is far below what is learnt
MEGABYTE = 1e6
SOURCES = ("bitstream", "data", "restore", "cli")
_LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.so", "_core.c", "_hevc.c", "weights", "*.pyc")


def pack(work: Path, target: Path, crfs: Sequence[int], most: float) -> tuple[int, float]:
    """Make the folder.

    Args:
        work: A work folder.
        target: Where; must not exist.
        crfs: Rate factors to take.
        most: Megabytes that it may hold.

    Returns:
        How many clips fitted, and megabytes.

    Raises:
        FileExistsError: The folder exists.
        ValueError: Not even one clip of each split fits.
    """
    target.mkdir(parents=True)
    copy_sources(target)
    index = json.loads((work / "index.json").read_text())
    entries = {entry["name"]: entry for entry in index["clips"]}
    kept: list[dict[str, object]] = []
    for clip in _in_turn(load_index(work).clips):
        there = tuple(crf for crf in crfs if crf in clip.coded)
        if not there:
            continue
        files = list(_pack_clip(clip, target, there))
        if megabytes(target) > most:
            for file in files:
                file.unlink()
            break
        own = {str(crf): f"coded/crf{crf}/{clip.name}.264" for crf in there}
        kept.append(entries[clip.name] | {"clean": f"clean/{clip.name}.264", "priors": own,
                                          "coded": {}})  # fmt: skip
    splits = {split for entry in kept for _, _, split in entry["segments"]}  # type: ignore[attr-defined]
    if not {"train", "val"} <= splits:
        raise ValueError(f"{most:g} MB hold no clips to train and to validate with")
    text = json.dumps(index | {"clips": sorted(kept, key=lambda e: str(e["name"])), "failed": []})
    (target / "index.json").write_text(text)
    return len(kept), megabytes(target)


def copy_sources(target: Path) -> None:
    """This package and its configurations as a folder that can be imported, and `run.py`."""
    import davd

    package = Path(davd.__file__).parent
    root = Path(__file__).resolve().parent.parent
    shutil.copytree(package, target / "davd", ignore=_LEFT_OUT)
    for name in SOURCES:
        shutil.copytree(root / name, target / "davd" / name, ignore=_LEFT_OUT, dirs_exist_ok=True)
    if (root / "configs").is_dir():
        shutil.copytree(root / "configs", target / "configs")
    shutil.copyfile(root / "cli" / "bare.py", target / "run.py")


def megabytes(folder: Path) -> float:
    """Size of all files in a folder."""
    return sum(p.stat().st_size for p in folder.rglob("*") if p.is_file()) / MEGABYTE


def _in_turn(clips: Sequence[Clip]) -> Iterator[Clip]:
    """A few to validate and to test with first, so that they are there however little fits."""
    first = [
        clip
        for split in ("val", "test")
        for clip in [c for c in clips if split in {s for _, _, s in c.segments}][:6]
    ]
    names = {clip.name for clip in first}
    yield from first
    yield from (clip for clip in clips if clip.name not in names)


def _pack_clip(clip: Clip, target: Path, crfs: Sequence[int]) -> Iterator[Path]:
    clean = target / "clean" / f"{clip.name}.264"
    clean.parent.mkdir(parents=True, exist_ok=True)
    bare = ["-an", "-f", "h264", "-y"]
    x264 = ["-c:v", "libx264", "-crf", str(CLEAN_CRF), "-pix_fmt", "yuv420p", "-threads", "1"]
    run_ffmpeg(["-i", str(clip.clean), *x264, *bare, str(clean)])
    yield clean
    for crf in crfs:
        coded = target / "coded" / f"crf{crf}" / f"{clip.name}.264"
        coded.parent.mkdir(parents=True, exist_ok=True)
        run_ffmpeg(["-i", str(clip.coded[crf].path), "-c:v", "copy", *bare, str(coded)])
        yield coded
    if clip.audio.present and (heard := _sound(clip, crfs[0])) is not None:
        sound = target / "sound" / f"{clip.name}.npy"
        sound.parent.mkdir(parents=True, exist_ok=True)
        np.save(sound, heard.astype(np.float16))
        yield sound


def _sound(clip: Clip, crf: int) -> np.ndarray | None:
    """Features from the clip's first moment on; None where there is no sound."""
    with open_priors(clip.priors[crf]) as priors:
        audio = priors.audio()
    if audio is None or not len(audio[0]):
        return None
    return features(audio[0], audio[1])


def main(argv: list[str] | None = None) -> int:
    """Make the folder that is asked for."""
    parser = argparse.ArgumentParser(
        prog="python -m davd.data.pack",
        description="A small folder to train on elsewhere, out of a work folder.",
        epilog=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("work", type=Path, help="work folder made by make dataset")
    parser.add_argument("pack", type=Path, help="folder to make")
    parser.add_argument("--crf", nargs="+", type=int, default=[42, 45], help="encodes (42 45)")
    parser.add_argument("--most", type=float, default=50.0, metavar="MB", help="its size (50)")
    arguments = parser.parse_args(argv)
    try:
        clips, size = pack(arguments.work, arguments.pack, arguments.crf, arguments.most)
    except (OSError, ValueError, ClipError) as error:
        print(f"davd.data.pack: {error}", file=sys.stderr)
        return 1
    print(f"{clips} clips, {size:.1f} MB; over there: python3 {arguments.pack.name}/run.py")
    return 0


if __name__ == "__main__":
    sys.exit(main())
