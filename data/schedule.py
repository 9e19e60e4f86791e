"""All clips of a work folder through Dask: the cores of this machine, or a cluster.

A task is one source with all its steps. It writes what `prepare` writes and skips what is there, so
it may be run again at any time: when a worker is lost, Dask gives its tasks to others, and they
go on where it stopped. All workers must see the work folder and the videos under the same names.
"""

import contextlib
import hashlib
import logging
import os
import signal
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from .prepare import prepare_clip, stale
from .sources import load_sources
from .work import Settings, read_result

_AT_ONCE = 2000  # tasks that the scheduler holds; a million at once would make it slow


@dataclass(frozen=True)
class Done:
    """What came of a run: sources finished (usable or not), and lost to faults that are not theirs.

    Attributes:
        finished: Number of sources with all their results.
        lost: Number of sources without; `errors` says why.
        errors: The fault by the source's ID.
    """

    finished: int
    lost: int
    errors: dict[str, str]


def prepare_source(work: str, name: str, crfs: tuple[int, ...], priors: bool = True) -> str:
    """Run the task of one source; return "done", or why its clip cannot be used."""
    root = Path(work)
    settings = Settings(**(read_result(root / "settings.json") or {}))
    source = (root / "source" / name).resolve()
    results = prepare_clip(source, root, name, crfs, settings, priors=priors)
    reasons = [r["reason"] for r in results.values() if r["status"] != "done"]
    return reasons[0] if reasons else "done"


def finished(work: Path, name: str, crfs: Iterable[int], *, priors: bool = True) -> bool:
    """Whether a source has all its results, none of them older than what it was made from."""
    last = "priors" if priors else "coded"
    results = (work / last / f"crf{crf}" / f"{name}.json" for crf in crfs)
    return all(path.is_file() for path in results) and not stale(work, name, crfs)


def run_all(
    work: Path,
    crfs: Iterable[int],
    *,
    workers: int | None = None,
    scheduler: str | None = None,
    retries: int = 2,
    priors: bool = True,
) -> Done:
    """Prepare every source that `scan` listed and that is not finished.

    Args:
        work: The work folder, absolute.
        crfs: Rate factors.
        workers: Worker processes to start on this machine; None: 1.
        scheduler: Address of a running scheduler to use instead.
        retries: How often a task that raised (a full disk, a lost mount) is tried again. Tasks of
            workers that died are always run again, up to Dask's `allowed-failures` (3).
        priors: Extract priors files; without, training decodes the coded clips.

    Raises:
        ModuleNotFoundError: Dask is not installed.
        OSError: The scheduler does not answer.
    """
    from tqdm import tqdm

    crfs = tuple(crfs)
    todo = [s.name for s in load_sources(work) if not finished(work, s.name, crfs, priors=priors)]
    tasks = {name: (str(work), name, crfs, priors) for name in todo}
    errors: dict[str, str] = {}
    ended = spread(prepare_source, tasks, workers=workers, scheduler=scheduler, retries=retries)
    for name, result in tqdm(ended, total=len(todo), unit="clip", disable=None):
        if isinstance(result, BaseException):
            errors[name] = repr(result)
    return Done(len(todo) - len(errors), len(errors), errors)


def spread(
    function: Callable[..., Any],
    tasks: Mapping[str, tuple[object, ...]],
    *,
    workers: int | None = None,
    scheduler: str | None = None,
    retries: int = 2,
) -> Iterator[tuple[str, object]]:
    """Call a function for many tasks, on processes of this machine or on a cluster.

    Args:
        function: Of a module that every worker can import.
        tasks: Arguments of each call by the task's name.
        workers: As for `run_all`.
        scheduler: Likewise.
        retries: Likewise.

    Yields:
        Name and result of every task as it ends; an error stands for the result where it raised.
    """
    if not tasks:
        return
    from distributed import Client, Future, as_completed

    with contextlib.ExitStack() as stack:
        address = scheduler or stack.enter_context(_cluster(workers or 1))
        client = stack.enter_context(Client(address))

        def submit(name: str) -> Future:
            # The key makes a task one, however often it is asked for.
            words = "-".join(map(str, tasks[name]))
            key = f"{function.__name__}-{hashlib.sha256(os.fsencode(words)).hexdigest()}"
            return client.submit(function, *tasks[name], key=key, retries=retries)

        waiting, names = iter(tasks), {}
        ended = as_completed()
        for name in islice(waiting, _AT_ONCE):
            ended.add(future := submit(name))
            names[future.key] = name
        for future in ended:
            result = future.result() if future.status == "finished" else future.exception()
            yield names.pop(future.key), result
            for name in islice(waiting, 1):
                ended.add(future := submit(name))
                names[future.key] = name


@contextlib.contextmanager
def _cluster(workers: int) -> Iterator[Any]:
    """Worker processes of this machine, which leave Ctrl-C to the process that started them."""
    import dask
    from distributed import LocalCluster

    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    main = threading.current_thread() is threading.main_thread()
    with (
        tempfile.TemporaryDirectory(prefix="davd-", ignore_cleanup_errors=True) as folder,
        dask.config.set({"temporary-directory": folder}),
    ):
        before = signal.signal(signal.SIGINT, signal.SIG_IGN) if main else None  # what they inherit
        try:
            cluster = LocalCluster(
                n_workers=workers,
                threads_per_worker=1,
                dashboard_address="127.0.0.1:0",  # None would be port 8787, for the whole network
                silence_logs=logging.CRITICAL,
            )
        finally:
            if main:
                signal.signal(signal.SIGINT, before)
        try:
            yield cluster
        finally:
            cluster.close()
