"""The pipeline on a Dask cluster: every clip once, also if a worker is killed midway."""

import os
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import pytest

pytest.importorskip("cv2")
distributed = pytest.importorskip("distributed")

from davd.data import schedule  # noqa: E402
from davd.data.index import build_index, load_index  # noqa: E402
from davd.data.sources import scan  # noqa: E402
from davd.data.synthetic import synthesise, write_video  # noqa: E402
from davd.data.work import Settings  # noqa: E402

# What Dask leaves to the garbage collector is not this project's fault.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six clips of six speakers."""
    folder = tmp_path_factory.mktemp("dask") / "raw"
    for k in range(6):
        path = folder / f"id{k}" / "a.mkv"
        path.parent.mkdir(parents=True)
        write_video(path, synthesise(k, 1.2, size=64, face="drawn"))
    return folder


@pytest.fixture
def work(raw: Path, tmp_path: Path) -> Path:
    """A work folder with the clips listed and nothing made."""
    scan(raw, tmp_path / "work", Settings(size=64))
    return tmp_path / "work"


def results(work: Path) -> dict[Path, int]:
    """Return the results of the steps and when they were written."""
    folders = ("clips", "coded", "priors")
    return {p: p.stat().st_mtime_ns for f in folders for p in (work / f).rglob("*.json")}


def test_killed_worker_and_nothing_twice(work: Path) -> None:
    import threading

    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0", processes=True
    ) as cluster:
        killed: list[int] = []
        finished: dict[Path, int] = {}

        def kill_one() -> None:
            """Kill a worker as soon as the first clips are under way."""
            until = time.monotonic() + 60
            while len(results(work)) < 2 and time.monotonic() < until:
                time.sleep(0.01)
            finished.update(results(work))
            pid = cluster.workers[0].process.process.pid
            os.kill(pid, signal.SIGKILL)
            killed.append(pid)

        thread = threading.Thread(target=kill_one)
        thread.start()
        done = schedule.run_all(work, [42], scheduler=cluster.scheduler_address)
        thread.join()
        assert killed
        assert (done.finished, done.lost) == (6, 0), done.errors
        index = load_index(build_index(work))
        assert len(index.clips) == 6 and not index.failed
        assert all(clip.priors[42].is_file() for clip in index.clips)

        before = results(work)
        assert len(before) == 18 and 2 <= len(finished) < 18
        assert finished.items() <= before.items()  # what was finished has not been done again
        again = schedule.run_all(work, [42], scheduler=cluster.scheduler_address)
        assert (again.finished, again.lost) == (0, 0)
        assert results(work) == before


def test_faults_that_are_not_the_clips_are_lost_not_recorded(work: Path) -> None:
    (work / "coded").write_text("a file where a folder should be")
    done = schedule.run_all(work, [42], workers=1, retries=0)
    assert done.lost == 6 and "Error" in next(iter(done.errors.values()))
    assert len(results(work)) == 6  # the crops
    (work / "coded").unlink()
    assert schedule.run_all(work, [42], workers=1).finished == 6


def test_two_clusters_do_not_quarrel_over_a_port() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with schedule._cluster(1) as first, schedule._cluster(1) as second:
            ports = [cluster.scheduler.http_server.port for cluster in (first, second)]
    assert len(set(ports)) == 2 and 8787 not in ports


def test_ctrl_c_ends_a_run_in_one_line_and_blames_no_clip(raw: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    command = [sys.executable, "-m", "davd", "prepare", "run", str(raw), str(work), "--size", "64",
               "--crf", "42", "--workers", "2"]  # fmt: skip
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    until = time.monotonic() + 120
    while not results(work) and time.monotonic() < until:
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to all of them
    out, error = process.communicate(timeout=120)
    assert process.returncode == 130, error
    assert error.strip().splitlines()[-1].startswith("davd-prepare: interrupted, what was finished")
    assert "Traceback" not in error and error.count("\n") <= 2, error
    assert all('"failed"' not in path.read_text() for path in work.glob("*/**/*.json"))
