"""The files of the C core call each other in one direction: they have a link order."""

import graphlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
CORE = ROOT / "bitstream" / "h264"
SOURCES = sorted(CORE.rglob("*.c"))
CC = os.environ.get("CC", "cc")

pytestmark = pytest.mark.skipif(
    not (shutil.which(CC) and shutil.which("nm")), reason="needs a C compiler and nm"
)


def symbols(objects: list[Path], *, undefined: bool) -> dict[str, set[str]]:
    """Names of the core that each object defines, or that it asks others for."""
    command = ["nm", "--format=posix", "--extern-only", "--print-file-name"]
    command.append("--undefined-only" if undefined else "--defined-only")
    listing = subprocess.run([*command, *objects], check=True, capture_output=True, text=True)
    result: dict[str, set[str]] = {path.stem: set() for path in objects}
    for line in listing.stdout.splitlines():
        path, name, *_ = line.split()
        if name.startswith("h264_"):
            result[Path(path.rstrip(":")).stem].add(name)
    return result


@pytest.fixture(scope="module")
def calls(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """Which files each file of the core needs functions or tables of."""
    folder = tmp_path_factory.mktemp("objects")
    flags = ["-std=c11", "-O0", f"-I{CORE}"]
    subprocess.run([CC, *flags, "-c", *map(str, SOURCES)], check=True, cwd=folder)
    objects = sorted(folder.glob("*.o"))
    home = {
        name: file for file, names in symbols(objects, undefined=False).items() for name in names
    }
    wanted = symbols(objects, undefined=True)
    return {file: {home[name] for name in names} for file, names in wanted.items()}


def test_the_call_graph_is_whole(calls: dict[str, set[str]]) -> None:
    assert set(calls) == {path.stem for path in SOURCES}
    assert "sequence" in calls["decoder"]
    assert "decoder" in calls["api"]


def test_no_circle_of_files(calls: dict[str, set[str]]) -> None:
    try:
        order = list(graphlib.TopologicalSorter(calls).static_order())
    except graphlib.CycleError as circle:
        pytest.fail(" -> ".join(reversed(circle.args[1])))
    assert order[-1] == "api", "nothing calls the public functions from inside"
