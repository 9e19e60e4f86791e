"""All clips of a work folder through Dask: the cores of this machine, or a cluster.

A task is one source with all its steps. It writes what `prepare` writes and skips what is there, so
it may be run again at any time: when a worker is lost, Dask gives its tasks to others, and they
go on where it stopped. All workers must see the work folder and the videos under the same names.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from .prepare import prepare_clip
from .sources import load_sources
from .work import Settings, read_result

_AT_ONCE = 2000  # tasks that the scheduler holds; a million at once would make it slow


@dataclass(frozen=True)
class Done:
    """What came of a run: sources finished (usable or not), and lost to faults that are not theirs.

    Attributes:
        finished: number of sources with all their results.
        lost: number of sources without; `errors` says why.
        errors: the fault by the source's ID.
    """

    finished: int
    lost: int
    errors: dict[str, str]


def prepare_source(work: str, name: str, crfs: tuple[int, ...]) -> str:
    """Run the task of one source; return "done", or why its clip cannot be used."""
    root = Path(work)
    settings = Settings(**(read_result(root / "settings.json") or {}))
    source = (root / "source" / name).resolve()
    results = prepare_clip(source, root, name, crfs, settings)
    reasons = [r["reason"] for r in results.values() if r["status"] != "done"]
    return reasons[0] if reasons else "done"


def finished(work: Path, name: str, crfs: Iterable[int]) -> bool:
    """Tell whether a source has all its results."""
    return all((work / "priors" / f"crf{crf}" / f"{name}.json").is_file() for crf in crfs)


def run_all(
    work: Path,
    crfs: Iterable[int],
    *,
    workers: int | None = None,
    scheduler: str | None = None,
    retries: int = 2,
) -> Done:
    """Prepare every source that `scan` listed and that is not finished.

    Args:
        work: the work folder, absolute.
        crfs: rate factors.
        workers: worker processes to start on this machine; None: 1.
        scheduler: address of a running scheduler to use instead.
        retries: how often a task that raised (a full disk, a lost mount) is tried again. Tasks of
            workers that died are always run again, up to Dask's `allowed-failures` (3).

    Raises:
        ModuleNotFoundError: dask is not installed.
        OSError: the scheduler does not answer.
    """
    from distributed import Client, Future, LocalCluster, as_completed
    from tqdm import tqdm

    crfs = tuple(crfs)
    todo = [s.name for s in load_sources(work) if not finished(work, s.name, crfs)]
    errors: dict[str, str] = {}
    if todo:
        here = None
        if scheduler is None:
            here = LocalCluster(
                n_workers=workers or 1, threads_per_worker=1, dashboard_address=None
            )
        with Client(scheduler or here) as client:

            def submit(name: str) -> Future:
                # The key makes a source one task, however often it is asked for.
                key = f"prepare-{work}-{name}-{'-'.join(map(str, crfs))}"
                arguments = (str(work), name, crfs)
                return client.submit(prepare_source, *arguments, key=key, retries=retries)

            waiting, names = iter(todo), {}
            ended = as_completed()
            for name in islice(waiting, _AT_ONCE):
                ended.add(future := submit(name))
                names[future.key] = name
            for future in tqdm(ended, total=len(todo), unit="clip", disable=None):
                name = names.pop(future.key)
                if future.status != "finished":
                    errors[name] = repr(future.exception())
                for name in islice(waiting, 1):
                    ended.add(future := submit(name))
                    names[future.key] = name
        if here is not None:
            here.close()
    return Done(len(todo) - len(errors), len(errors), errors)
