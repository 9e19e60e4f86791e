"""Imports go one way, between the top folders and between the folders inside them."""

import ast
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ORDER = ["bitstream", "data", "restore", "cli"]
# Inside a folder: what stands on the left never imports what stands on the right. "" is every
# module of the folder itself that has no place of its own in the list.
INSIDE = {
    "bitstream": ["_core", "priors", "", "show"],
    "restore": [
        "config",
        "frame",
        "projection",
        "networks",
        "checkpoint",
        "output",
        "measuring",
        "training",
        "report",
        "job",
    ],
}
SOURCES = sorted(path for folder in ORDER for path in (ROOT / folder).rglob("*.py"))


def imported(path: Path) -> Iterator[str]:
    """Full names of the modules that a source file imports."""
    package = ["davd", *path.relative_to(ROOT).parent.parts]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) + 1 - node.level] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield module
            if node.module is None or module == "davd":
                yield from (f"{module}.{name.name}" for name in node.names)


def place(parts: tuple[str, ...] | list[str]) -> int:
    """Where a module, as its parts after `davd`, stands among those of its top folder."""
    order = INSIDE[parts[0]]
    name = parts[1] if len(parts) > 1 else ""
    return order.index(name) if name in order else order.index("") if "" in order else -1


def own_parts(path: Path) -> list[str]:
    return list(path.relative_to(ROOT).with_suffix("").parts)


def test_the_folders_have_sources() -> None:
    assert {path.relative_to(ROOT).parts[0] for path in SOURCES} == set(ORDER)


@pytest.mark.skipif(
    not (ROOT / ".git").exists() or shutil.which("git") is None, reason="not a checkout of git"
)
def test_no_video_is_kept_but_the_demo() -> None:
    """Measurements leave videos behind, and those of others must not be committed with them."""
    kinds = "mkv mp4 mov avi ts webm 264 h264 265 h265 ivf y4m yuv h5".split()
    command = ["git", "ls-files", *(f"*.{kind}" for kind in kinds)]
    kept = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert {Path(line).parent.name for line in kept.splitlines()} == {"demo"}


def test_every_folder_of_restore_has_its_place() -> None:
    folders = {
        path.name for path in (ROOT / "restore").iterdir() if (path / "__init__.py").exists()
    }
    assert folders <= set(INSIDE["restore"])


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_one_way(path: Path) -> None:
    own = own_parts(path)
    for name in imported(path):
        parts = name.split(".")
        assert parts[0] not in ORDER, f"{path}: import {name} would be another package"
        if parts[0] == "davd" and len(parts) > 1 and parts[1] in ORDER:
            assert ORDER.index(parts[1]) <= ORDER.index(own[0]), f"{path} imports {name}"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_folders_inside_import_one_way(path: Path) -> None:
    own = own_parts(path)
    if own[0] not in INSIDE or own[1:] == ["__init__"]:
        return
    for name in imported(path):
        parts = name.split(".")[1:]
        if name.startswith(f"davd.{own[0]}.") and place(parts) >= 0:
            assert place(parts) <= place(own), f"{path} imports {name}"


def test_the_check_sees_a_wrong_import(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{__name__}.ROOT", tmp_path)
    source = tmp_path / "bitstream" / "a.py"
    source.parent.mkdir()
    source.write_text("from ..restore import network\nfrom .x import y\nimport data\n")
    assert list(imported(source)) == ["davd.restore", "davd.bitstream.x", "data"]
    with pytest.raises(AssertionError, match="imports davd.restore"):
        test_imports_go_one_way(source)


def test_the_check_sees_a_wrong_import_inside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"{__name__}.ROOT", tmp_path)
    source = tmp_path / "restore" / "projection" / "a.py"
    source.parent.mkdir(parents=True)
    source.write_text("from ..networks.davd import DavdNet\n")
    with pytest.raises(AssertionError, match=r"imports davd\.restore\.networks\.davd"):
        test_folders_inside_import_one_way(source)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_annotations_are_what_they_are_everywhere(path: Path) -> None:
    assert "from __future__" not in path.read_text()


def test_every_command_returns_its_exit_status() -> None:
    for path in sorted((ROOT / "cli").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and node.name == "main":
                assert node.returns is not None and ast.unparse(node.returns) == "int", path
