"""The raw videos: which there are, who speaks in them, and which split they belong to.

Who speaks is read from a `speakers.csv` or `clips.csv` beside the videos (or one folder up), with a
column `file` and any of `speaker`, `split`, `source`, `licence`; else it is the first folder of the
video's path (VoxCeleb: `id00012/...`), else the file's own name.
"""

import csv
import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from .media import complete
from .work import Settings, keep_settings, read_result, safe_name, write_result

SPLITS = ("train", "val", "test")
"""Names of the splits."""

SUFFIXES = frozenset(
    ".mp4 .m4v .mov .mkv .webm .avi .mpg .mpeg .ts .m2ts .flv .wmv .3gp .ogv .264 .h264".split()
)
"""Files taken for videos."""

_TABLES = ("speakers.csv", "clips.csv")
_SHARES = (("test", 0.1), ("val", 0.1))  # of the speakers; the rest is for training
_GAP_SECONDS = 1.0  # left out between two splits of one recording


@dataclass(frozen=True)
class Source:
    """One raw video.

    Attributes:
        name: Its ID.
        path: Relative to the source folder.
        speaker: Who speaks.
        split: As a table says, else "".
        source: Where it comes from, as a table says.
        licence: likewise.
    """

    name: str
    path: str
    speaker: str
    split: str = ""
    source: str = ""
    licence: str = ""


def _tables(folder: Path) -> dict[str, dict[str, str]]:
    """The rows of the tables by the file's path, absolute and without suffix."""
    rows: dict[str, dict[str, str]] = {}
    for base in (folder.parent, folder):  # the nearer one wins
        for table in (base / name for name in _TABLES):
            if table.is_file():
                with table.open(newline="", encoding="utf-8-sig") as lines:
                    for row in csv.DictReader(lines):
                        clean = {k.strip().lower(): (v or "").strip() for k, v in row.items() if k}
                        if file := clean.get("file") or clean.get("clip"):
                            rows[str((base / file).with_suffix(""))] = clean
    return rows


def find_sources(folder: Path) -> list[Source]:
    """The videos under a folder, in the order of their names.

    Raises:
        FileNotFoundError: No such folder, or no video in it.
        ValueError: A table names a split that is none.
    """
    folder = folder.resolve()
    if not folder.is_dir():
        raise FileNotFoundError(f"no folder {folder}")
    rows, found = _tables(folder), []
    for base, folders, files in os.walk(folder, followlinks=True):
        folders.sort()
        for file in sorted(files):
            path = Path(base, file)
            if path.suffix.lower() not in SUFFIXES or file.startswith("."):
                continue
            relative = path.relative_to(folder)
            row = rows.get(str(path.with_suffix("")), {})
            split = row.get("split", "").lower()
            if split and split not in SPLITS:
                allowed = ", ".join(SPLITS)
                raise ValueError(f"{relative}: split {split!r}; allowed are {allowed}")
            usual = relative.parts[0] if len(relative.parts) > 1 else relative.stem
            found.append(
                Source(
                    name=safe_name(relative),
                    path=relative.as_posix(),
                    speaker=row.get("speaker") or usual,
                    split=split,
                    source=row.get("source", ""),
                    licence=row.get("licence") or row.get("license", ""),
                )
            )
    if not found:
        raise FileNotFoundError(f"no video in {folder}")
    return _apart(found)


def _apart(found: list[Source]) -> list[Source]:
    """Tell `a.mp4` and `a.mov` apart: all but the first get their suffix into the name."""
    taken: set[str] = set()
    out = []
    for source in found:
        if source.name in taken:
            suffix = Path(source.path).suffix[1:].lower()
            source = replace(source, name=f"{source.name}_{suffix}")
        taken.add(source.name)
        out.append(source)
    return out


def scan(
    folder: Path,
    work: Path,
    settings: Settings,
    *,
    speaker: str = "",
    splits: Mapping[str, str] | None = None,
) -> list[Source]:
    """List the videos of a folder in a work folder: `sources.json`, `sources.mk`, `source/ID`.

    Files are only touched if they change, so that make sees nothing new where nothing is new.

    Args:
        folder: The videos.
        work: The work folder.
        settings: How clips will be made.
        speaker: Who speaks in all of them; empty: as tables and folders say.
        splits: By ID, over what tables say.

    Raises:
        FileNotFoundError: As `find_sources`.
        ValueError: The work folder lies inside the source tree of davd or of the videos, or was
            made with other settings.
    """
    folder, work = folder.resolve(), work.resolve()
    if work == folder or folder in work.parents:
        raise ValueError(f"the work folder {work} lies inside the source folder {folder}")
    splits = splits or {}
    sources = [
        replace(s, speaker=speaker or s.speaker, split=splits.get(s.name, s.split))
        for s in find_sources(folder)
    ]
    keep_settings(work, settings)
    listed = {s.name: {k: v for k, v in vars(s).items() if k != "name"} for s in sources}
    listing = {"folder": str(folder), "sources": listed}
    if read_result(work / "sources.json") != listing:
        write_result(work / "sources.json", listing)
    for source in sources:
        link, target = work / "source" / source.name, folder / source.path
        if not link.is_symlink() or os.readlink(link) != str(target):
            link.parent.mkdir(parents=True, exist_ok=True)
            link.unlink(missing_ok=True)
            link.symlink_to(target)
    text = "SOURCES := \\\n" + "".join(f"  {s.name} \\\n" for s in sources) + "\n"
    listed_for_make = work / "sources.mk"
    if not listed_for_make.is_file() or listed_for_make.read_text() != text:
        with complete(listed_for_make) as part:
            part.write_text(text)
    return sources


def load_sources(work: Path) -> list[Source]:
    """What `scan` listed.

    Raises:
        FileNotFoundError: Nothing was scanned into this folder.
    """
    listing = read_result(work / "sources.json")
    if listing is None:
        raise FileNotFoundError(f"{work / 'sources.json'} is missing; run davd-prepare scan first")
    return [Source(name=name, **fields) for name, fields in listing["sources"].items()]


def _chance(text: str) -> float:
    """A number in [0, 1) that depends on the text alone."""
    return int.from_bytes(hashlib.sha256(os.fsencode(text)).digest()[:8], "big") / 2**64


def split_of(key: str) -> str:
    """The split of a speaker; it does not depend on who else there is."""
    chance, edge = _chance(key), 0.0
    for split, share in _SHARES:
        edge += share
        if chance < edge:
            return split
    return "train"


def segments(
    source: Source, clip: str, frames: int, fps: float, by: str
) -> list[tuple[int, int, str]]:
    """The parts of a clip and their splits.

    Args:
        source: The clip's source; a split that a table gives is kept.
        clip: Name of the clip.
        frames: Number of frames.
        fps: Frames a second.
        by: "speaker": all of a speaker in one split. "time": for one speaker, the first 80 % of
            each clip for training, then validation and test, a second apart; clips under 30 s go
            whole into the split that their name draws.

    Returns:
        (start, stop, split), half open, in frames.
    """
    if source.split:
        return [(0, frames, source.split)]
    if by == "speaker":
        return [(0, frames, split_of(source.speaker))]
    if frames < 30 * fps:
        return [(0, frames, split_of(clip))]
    gap = round(_GAP_SECONDS * fps)
    first, second = round(0.8 * frames), round(0.9 * frames)
    return [
        (0, first - gap, "train"),
        (first, second - gap, "val"),
        (second, frames, "test"),
    ]
