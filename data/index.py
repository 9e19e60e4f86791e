"""index.json: every clip of a work folder, with what training needs to know of it.

Needs the standard library only.
"""

import csv
import hashlib
import io
import json
import os
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from .media import complete
from .sources import Source, load_sources, segments
from .work import read_result

VERSION = 1
"""Version of index.json's form."""

Box = tuple[int, int, int, int]
"""x, y, width, height in pixels of the clip."""


@dataclass(frozen=True)
class ClipAudio:
    """What is known of a clip's sound.

    Attributes:
        present: There is any.
        delay_ms: How late it is against the mouth; None: could not be measured. To undo it, take
            the sound at `t + delay_ms / 1000` for the picture at `t`.
        certainty: Of the measurement; see `sync.Delay`.
        sure: The measurement may be believed.
        shift_applied_ms: What `fix_sync` has undone already.
    """

    present: bool
    delay_ms: float | None
    certainty: float
    sure: bool
    shift_applied_ms: float


@dataclass(frozen=True)
class Coded:
    """A clip at one rate factor: file, size in bytes, and PSNR of luma against `clean` in dB."""

    path: Path
    bytes: int
    psnr_y: float


@dataclass(frozen=True)
class Clip:
    """One clip; paths are absolute.

    Attributes:
        name: Unique in the index.
        speaker: Who speaks.
        split: "train", "val", "test", or "mixed" (see `segments`).
        segments: (start, stop, split) in frames, half open, disjoint; a window of frames belongs to
            a segment if it lies inside.
        source: Where the video comes from, in words.
        licence: Its licence, in words.
        width: Of every frame, pixels.
        height: likewise.
        fps: Frames a second, constant.
        frames: How many.
        seconds: How long.
        clean: What the encoder saw; read with `clean.CleanVideo`.
        face: Box of the face, None if it was not found.
        mouth: Region of the mouth.
        audio: Delay and so on.
        coded: H.264 or HEVC files by rate factor; `Index.settings["codec"]` says which.
        priors: Priors files by rate factor, or the coded clips where none were made: what
            `davd.bitstream.open` reads.
    """

    name: str
    speaker: str
    split: str
    segments: tuple[tuple[int, int, str], ...]
    source: str
    licence: str
    width: int
    height: int
    fps: Fraction
    frames: int
    seconds: float
    clean: Path
    face: Box | None
    mouth: Box
    audio: ClipAudio
    coded: dict[int, Coded]
    priors: dict[int, Path]


@dataclass(frozen=True)
class Index:
    """A work folder's clips.

    Attributes:
        root: The work folder.
        id: 12 hexadecimal digits that change when clips, splits or settings do.
        settings: How the clips were made.
        clips: The usable ones, by name.
        failed: The others: clip, step, kind, reason.
    """

    root: Path
    id: str
    settings: dict[str, object]
    clips: list[Clip]
    failed: list[dict[str, str]]


def build_index(work: Path) -> Path:
    """Write `index.json` and `failed.csv` from the results of the steps.

    Returns:
        Path of `index.json`.

    Raises:
        FileNotFoundError: Nothing was scanned into this folder.
    """
    sources = load_sources(work)
    path = work / "index.json"
    old = read_result(path) or {}
    one = len({s.speaker for s in sources}) == 1
    by = old.get("settings", {}).get("split") or ("time" if one else "speaker")
    crfs = sorted(int(f.name[3:]) for f in (work / "coded").glob("crf*") if f.is_dir())
    clips, failed = [], []
    for source in sources:
        made, faults = _of_source(work, source, crfs, by)
        clips += made
        failed += faults
    used = {crf for clip in clips for crf in map(int, clip["priors"])}
    settings = {**(read_result(work / "settings.json") or {}), "split": by, "crfs": sorted(used)}
    content = json.dumps([settings, clips], sort_keys=True).encode()
    text = json.dumps(
        {
            "format": "davd-index",
            "version": VERSION,
            "id": hashlib.sha256(content).hexdigest()[:12],
            "settings": settings,
            "clips": clips,
            "failed": failed,
        },
        indent=1,
    )
    table = io.StringIO()
    rows = csv.DictWriter(table, ["clip", "step", "kind", "reason"], lineterminator="\n")
    rows.writeheader()
    rows.writerows(failed)
    for target, words in ((work / "failed.csv", table.getvalue()), (path, text + "\n")):
        with complete(target) as part:
            part.write_text(words)
    return path


def _of_source(
    work: Path, source: Source, crfs: list[int], by: str
) -> tuple[list[dict], list[dict[str, str]]]:
    """The index's entries of one source, and what is to be said of it in failed.csv."""
    faults: list[dict[str, str]] = []

    def fault(step: str, kind: str, reason: str) -> None:
        faults.append({"clip": source.name, "step": step, "kind": kind, "reason": reason})

    crop = read_result(work / "clips" / f"{source.name}.json")
    if crop is None:
        return [], [{"clip": source.name, "step": "crop", "kind": "missing", "reason": "not run"}]
    shots, fps = crop.get("shots", []), Fraction(crop.get("fps", "25"))
    if crop["status"] != "done":
        fault("crop", "failed", crop["reason"])
        return [], faults
    for k, shot in enumerate(shots):
        if shot["dropped"]:
            span = f"{float(shot['start'] / fps):.2f} to {float(shot['stop'] / fps):.2f} s"
            told = f"shot {k + 1} of {len(shots)} ({span}): {shot['dropped']}"
            fault("crop", "dropped", told)
    if not crop["clips"][0]["audio"]["present"]:
        fault("crop", "note", "no sound; kept")
    entries = []
    for clip in crop["clips"]:
        parts = segments(source, clip["name"], clip["frames"], float(fps), by)
        kinds = {split for _, _, split in parts}
        entry = {
            "name": clip["name"],
            "speaker": source.speaker,
            "split": kinds.pop() if len(kinds) == 1 else "mixed",
            "segments": parts,
            "source": source.source or source.path,
            "licence": source.licence,
            **{key: clip[key] for key in ("width", "height", "frames", "seconds")},
            "fps": f"{fps.numerator}/{fps.denominator}",
            "clean": f"clips/{clip['name']}.mkv",
            **{key: clip[key] for key in ("face", "mouth", "audio")},
            "coded": {},
            "priors": {},
        }
        entries.append(entry)
    for crf in crfs:
        for step, kind in (("encode", "coded"), ("extract", "priors")):
            result = read_result(work / kind / f"crf{crf}" / f"{source.name}.json")
            if result is None:  # none were made: the coded clips are decoded as they are read
                if kind == "priors":
                    for entry in (e for e in entries if str(crf) in e["coded"]):
                        entry["priors"][str(crf)] = entry["coded"][str(crf)]["path"]
                continue
            if result["status"] == "failed":
                fault(f"{step} {crf}", "failed", result["reason"])
            for made in result.get("clips", []):
                entry = next(e for e in entries if e["name"] == made["name"])
                if kind == "coded":
                    file = f"coded/crf{crf}/{made['name']}.mp4"
                    figures = {key: made[key] for key in ("bytes", "psnr_y")}
                    entry["coded"][str(crf)] = {"path": file, **figures}
                else:
                    entry["priors"][str(crf)] = f"priors/crf{crf}/{made['name']}.h5"
    return entries, faults


def load_index(path: str | os.PathLike[str]) -> Index:
    """Read an index.

    Args:
        path: `index.json` or the work folder.

    Raises:
        FileNotFoundError: There is none.
        ValueError: The file is something else, or of another version.
    """
    file = Path(path)
    file = file / "index.json" if file.is_dir() else file
    if not file.exists():
        raise FileNotFoundError(f"{file} is missing; davd-prepare index WORK makes it")
    try:
        content = dict(json.loads(file.read_bytes()))
    except (TypeError, ValueError):
        content = {}
    if content.get("format") != "davd-index" or content.get("version") != VERSION:
        found = f"{content.get('format')!r} version {content.get('version')!r}"
        raise ValueError(f"{file} is {found}; 'davd-index' version {VERSION} is needed")
    root = file.resolve().parent
    clips = [_clip(root, entry) for entry in content["clips"]]
    return Index(root, content["id"], content["settings"], clips, content["failed"])


def _clip(root: Path, entry: dict) -> Clip:
    """Turn an entry of the index into a `Clip`."""
    values = {
        **entry,
        "segments": tuple((a, b, split) for a, b, split in entry["segments"]),
        "fps": Fraction(entry["fps"]),
        "clean": root / entry["clean"],
        "face": tuple(entry["face"]) if entry["face"] else None,
        "mouth": tuple(entry["mouth"]),
        "audio": ClipAudio(**entry["audio"]),
        "coded": {
            int(crf): Coded(root / c["path"], c["bytes"], c["psnr_y"])
            for crf, c in entry["coded"].items()
        },
        "priors": {int(crf): root / file for crf, file in entry["priors"].items()},
    }
    return Clip(**values)
