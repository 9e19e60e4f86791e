"""Many videos: which there are, where each one goes, and all of them restored, side by side.

    FILES, FOLDERS --plan--> one Item a video --what is not done--> run(), here or on Dask's workers
                                  OUT/davd-restore.json: the settings, the same for all
                                  OUT/failed.csv: what could not be done, and why

A video is done when its output is there and is not older than itself; outputs bear their names
only when they are whole. One that was stopped goes on where it was.
"""

import csv
import io
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from av.error import FFmpegError

from ...data.media import complete
from ...data.schedule import spread
from ...data.sources import SUFFIXES
from ..output.movie import CONTAINERS
from .request import Outcome, ProgressListener, Request

_OF_ALL = ("checkpoint", "cell", "crf", "lossless", "start", "end", "compare", "face_only",
           "audio_shift", "strength", "speed", "format")  # fmt: skip


_OF_ONE = (ArithmeticError, FFmpegError, LookupError, OSError, RuntimeError, ValueError)
"""Errors that are one video's, and do not end the others."""


@dataclass(frozen=True)
class Item:
    """A video and where it goes."""

    source: Path
    output: Path

    @property
    def done(self) -> bool:
        """Whether the output is there and as new as the video."""
        if not self.output.is_file():
            return False
        return self.output.stat().st_mtime_ns >= self.source.stat().st_mtime_ns


def plan(inputs: Sequence[Path], out: Path, kind: str = "") -> list[Item]:
    """The videos among some files and in some folders, and where each one goes.

    Args:
        inputs: Videos or priors files, and folders that are searched for videos.
        out: Folder of the outputs; what is in it is no input.
        kind: Suffix of the outputs without the dot; empty: the video's own where that can be
            written, else mkv.

    Raises:
        FileNotFoundError: An input that is not there, or a folder without videos.
        ValueError: Two inputs that would have the same output, or an output that is its input.
    """
    items: list[Item] = []
    for path in inputs:
        found = [path] if path.is_file() else sorted(_videos(path, out))
        if not found:
            raise FileNotFoundError(f"{path}: no {'video in it' if path.is_dir() else 'such file'}")
        for source in found:
            inside = source.relative_to(path) if source != path else Path(source.name)
            items.append(Item(source, out / _named(inside, kind, {i.output for i in items}, out)))
    for item in items:
        if item.output.resolve() == item.source.resolve():
            raise ValueError(f"{item.source} would be replaced: choose another folder with -o")
    return items


def _videos(folder: Path, out: Path) -> Iterator[Path]:
    """Videos under a folder, but not under the outputs' one."""
    for base, folders, files in os.walk(folder, followlinks=True):
        if Path(base).resolve() == out.resolve() and out.resolve() != folder.resolve():
            folders.clear()
            continue
        for name in files:
            if Path(name).suffix.lower() in SUFFIXES and not name.startswith("."):
                yield Path(base, name)


def _named(inside: Path, kind: str, taken: set[Path], out: Path) -> Path:
    """Name of an output; `a.mp4` and `a.ts` are told apart."""
    own = inside.suffix.lower()
    suffix = f".{kind}" if kind else own if own in CONTAINERS else ".mkv"
    name = inside.with_suffix(suffix)
    if out / name in taken:
        name = inside.with_name(f"{inside.stem}_{own[1:]}{suffix}")
    if out / name in taken:
        raise ValueError(f"two of the videos would both become {name}: restore them one by one")
    return name


def keep_settings(out: Path, request: Request, *, overwrite: bool) -> None:
    """Write down how the videos of a folder are restored, or check that it is as before.

    Raises:
        ValueError: The folder was made with other settings; says which.
    """
    path = out / "davd-restore.json"
    now = {name: getattr(request, name) for name in _OF_ALL}
    was = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else now
    if was != now and not overwrite:
        told = ", ".join(f"{n}={was.get(n)} (now {now[n]})" for n in now if was.get(n) != now[n])
        raise ValueError(f"{out} was made with {told}: choose another folder with -o, or -f")
    with complete(path) as part:
        part.write_text(json.dumps(now, indent=1) + "\n", encoding="utf-8")


def restore_item(
    request: Request, threads: int, progress: ProgressListener | None = None
) -> Outcome:
    """Restore one of many, in a worker or here."""
    import torch

    from .job import run

    if threads:
        torch.set_num_threads(threads)
    request.output.parent.mkdir(parents=True, exist_ok=True)
    return run(request, progress)


def restore_all(
    items: Sequence[Item],
    request: Request,
    *,
    jobs: int = 1,
    scheduler: str | None = None,
    threads: int = 0,
    progress: ProgressListener | None = None,
) -> Iterator[tuple[Item, Outcome | BaseException]]:
    """Restore many videos.

    Args:
        items: Which.
        request: What is asked for of each.
        jobs: Processes side by side on this machine.
        scheduler: Address of a running Dask cluster to use instead.
        threads: Of each; 0: the cores shared out.
        progress: Told how far each one is, where they are restored here one by one.

    Yields:
        Every video as it ends, with what was done or with what went wrong.
    """
    asked = {
        str(item.output): replace(
            request, source=item.source, output=item.output, resume=True, overwrite=True
        )
        for item in items
    }
    by_output = {str(item.output): item for item in items}
    if jobs == 1 and scheduler is None:
        for name, own in asked.items():
            try:
                yield by_output[name], restore_item(own, threads, progress)
            except _OF_ONE as error:
                yield by_output[name], error
        return
    share = threads or (0 if scheduler else max(1, (os.cpu_count() or 1) // jobs))
    tasks: dict[str, tuple[object, ...]] = {name: (own, share) for name, own in asked.items()}
    for name, result in spread(restore_item, tasks, workers=jobs, scheduler=scheduler, retries=0):
        assert isinstance(result, Outcome | BaseException)
        yield by_output[name], result


def write_failed(out: Path, rows: Sequence[dict[str, object]]) -> Path | None:
    """Write `failed.csv`; where nothing failed there is none."""
    path = out / "failed.csv"
    if not rows:
        path.unlink(missing_ok=True)
        return None
    table = io.StringIO()
    lines = csv.DictWriter(table, ["file", "status", "reason"], lineterminator="\n")
    lines.writeheader()
    lines.writerows(rows)
    with complete(path) as part:
        part.write_text(table.getvalue(), encoding="utf-8")
    return path
