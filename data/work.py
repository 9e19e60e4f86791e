"""The work folder: settings, names, and the results of the steps.

A step's result is a JSON file that is written last, so that its presence means that the step is
finished; it is the file target of `data/Makefile`. Nothing in it depends on the time, the machine
or what ran beside it: the same clip gives the same bytes.
"""

import hashlib
import json
import os
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from fractions import Fraction
from pathlib import Path

from .media import ClipError, complete

SAMPLE_RATE = 16000
"""Samples of sound a second in everything that is made here."""

CROPS = ("auto", "face", "none")
"""auto: a picture that has the wanted size already is a face crop and stays untouched, others are
cropped to the face; face: always look for a face; none: the whole picture."""

CODECS = {"h264": "x264", "hevc": "x265"}
"""Codecs of the coded files, and the encoders that are taken where none is named."""

ENCODERS = {"x264": "h264", "openh264": "h264", "x265": "hevc"}
"""Encoders that ffmpeg calls lib..., and their codecs."""

LARGEST_CRF = 51

MOST_FPS = 300
"""Frames a second: more is a slip of the hand, and would fill memory."""

SOUNDS = ("flac", "aac")
"""Sound in the coded file: lossless, or as in web video (AAC, 64 kbit/s)."""


_LONGEST = 200  # letters of a name, with room for what is added to it


@dataclass(frozen=True)
class Settings:
    """How clips are made; the same for all clips of a work folder."""

    size: int = 128  # pixels of the square face crop; 0: as in the source, on the 16-sample grid
    fps: str = "25"  # frames a second, "25" or "30000/1001"; "0": the source's own
    crop: str = "auto"  # see CROPS
    codec: str = "h264"  # see CODECS
    encoder: str = ""  # see ENCODERS; "": see CODECS
    preset: str = "medium"  # of x264 or x265
    tune: str = ""  # of x264 or x265, "zerolatency" as calls have it
    before: str = ""  # "x264:36,x265:38": encodes, one of which each clip has gone through before
    sound: str = "flac"  # see SOUNDS
    fix_sync: bool = False  # shift the sound where its delay is sure

    def __post_init__(self) -> None:
        """Check what can be checked without a clip.

        Raises:
            ValueError: A value that is not allowed.
        """
        if self.size % 16 or self.size < 0:
            raise ValueError(f"size is {self.size}; 0 or a multiple of 16 is allowed")
        if self.codec not in CODECS:
            raise ValueError(f"codec is {self.codec!r}; allowed are {', '.join(CODECS)}")
        if self.encoder and ENCODERS.get(self.encoder) != self.codec:
            known = [name for name, codec in ENCODERS.items() if codec == self.codec]
            raise ValueError(
                f"encoder is {self.encoder!r}; for {self.codec}, {', '.join(known)} are allowed"
            )
        for encoder, _ in self.earlier:
            if encoder not in ENCODERS:
                raise ValueError(f"before names {encoder!r}; allowed are {', '.join(ENCODERS)}")
        if self.crop not in CROPS:
            raise ValueError(f"crop is {self.crop!r}; allowed are {', '.join(CROPS)}")
        if self.sound not in SOUNDS:
            raise ValueError(f"sound is {self.sound!r}; allowed are {', '.join(SOUNDS)}")
        try:
            rate = Fraction(self.fps)
        except (ValueError, ZeroDivisionError):
            rate = Fraction(-1)
        if not 0 <= rate <= MOST_FPS:
            raise ValueError(
                f"fps is {self.fps!r}; 0 to {MOST_FPS} are allowed, as 25 or 30000/1001"
            )

    @property
    def earlier(self) -> list[tuple[str, int]]:
        """Encoders and rate factors of `before`.

        Raises:
            ValueError: It is not written so.
        """
        pairs = [text.strip().partition(":") for text in self.before.split(",") if text.strip()]
        if not all(crf.isdecimal() and int(crf) <= LARGEST_CRF for _, _, crf in pairs):
            raise ValueError(
                f"before is {self.before!r}; it names encoders with rate factors, x264:36,x265:38"
            )
        return [(encoder, int(crf)) for encoder, _, crf in pairs]


def keep_settings(work: Path, settings: Settings) -> None:
    """Write the settings into a new work folder, or check that an old one was made with the same.

    Raises:
        ValueError: The folder was made with others; says which.
    """
    path, now = work / "settings.json", asdict(settings)
    was = read_result(path)
    if was is None:
        write_result(path, now)
        return
    was = {**asdict(Settings(codec="h264")), **was}  # of folders from when there was less to say
    if was != now:
        names = [f.name for f in fields(Settings) if was.get(f.name) != now[f.name]]
        told = ", ".join(f"{n}={was.get(n)} (now {now[n]})" for n in names)
        raise ValueError(f"{work} was made with {told}; take another work folder")


def safe_name(relative: Path) -> str:
    """The ID of a source: its relative path without suffix, fit for make and every disk.

    What is not a letter, digit, "_", "-" or "/" becomes "_", names too long are cut, and then a few
    digits of a hash are added, so that two names stay two.
    """
    plain = relative.with_suffix("").as_posix()
    safe = re.sub(r"[^A-Za-z0-9_/-]", "_", plain)
    safe = "/".join(name[:_LONGEST] for name in safe.split("/"))
    if safe == plain:
        return safe
    return f"{safe}_{hashlib.sha256(os.fsencode(plain)).hexdigest()[:6]}"


def adopt(path: Path, text: str, work: Path) -> tuple[str, Path]:
    """The ID and the file of a clip that is named by its file or by its ID in `work`.

    A file that is not listed yet is linked into the folder under its own name.

    Raises:
        FileNotFoundError: Neither a file nor an ID.
        FileExistsError: Another file is listed under that name.
    """
    link = work / "source" / text
    if link.is_symlink() and not Path(text).is_absolute():
        return text, link.resolve()
    if not path.is_file():
        raise FileNotFoundError(f"{text} is neither a file nor a clip listed in {work}")
    name = safe_name(Path(path.name))
    path, link = path.resolve(), work / "source" / name
    if not link.exists():
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(path)
    elif link.resolve() != path:
        raise FileExistsError(f"{work} has another clip called {name}: {link.resolve()}")
    return name, path


def forget_failed(work: Path) -> int:
    """Delete the results that are not "done" and return how many there were.

    Raises:
        FileNotFoundError: It is no work folder.
    """
    if not (work / "settings.json").is_file():
        raise FileNotFoundError(f"{work} is no work folder: it has no settings.json")
    count = 0
    for folder in ("clips", "coded", "priors"):
        for path in sorted((work / folder).rglob("*.json")):
            if (read_result(path) or {}).get("status") != "done":
                path.unlink()
                count += 1
    return count


def write_result(path: Path, result: dict) -> dict:
    """Write a step's result whole or not at all, and return it."""
    with complete(path) as part:
        part.write_text(json.dumps(result, indent=1, sort_keys=True) + "\n")
    return result


def read_result(path: Path) -> dict | None:
    """A step's result, or None if the step is not finished."""
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        return None


def step(path: Path, body: Callable[[], dict]) -> dict:
    """Run a step unless its result is there; turn a fault of the clip into a result.

    Args:
        path: Where the result belongs.
        body: Does the work and returns the result.

    Returns:
        The result: with `status` "done", "failed" or "skipped", and a `reason` unless it is done.
    """
    if (done := read_result(path)) is not None:
        return done
    for leftover in path.parent.glob(f"{path.stem}.*.part"):
        leftover.unlink(missing_ok=True)
    try:
        result = body()
    except ClipError as error:
        result = {"status": "failed", "reason": str(error)}
    return write_result(path, result)
