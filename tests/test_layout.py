"""Imports go one way (bitstream <- data <- restore <- cli), and none is of a bare folder name."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ORDER = ["bitstream", "data", "restore", "cli"]
SOURCES = sorted(path for folder in ORDER for path in (ROOT / folder).rglob("*.py"))
LONGEST = 350  # lines of a module


def imported(path: Path) -> Iterator[str]:
    """Full names of the modules that a source file imports."""
    package = ["davd", *path.relative_to(ROOT).parent.parts]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) + 1 - node.level] if node.level else []
            yield ".".join([*base, *([node.module] if node.module else [])])


def test_the_folders_have_sources() -> None:
    assert {path.relative_to(ROOT).parts[0] for path in SOURCES} == set(ORDER)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_one_way(path: Path) -> None:
    own = ORDER.index(path.relative_to(ROOT).parts[0])
    for name in imported(path):
        parts = name.split(".")
        assert parts[0] not in ORDER, f"{path}: import {name} would be another package"
        if parts[0] == "davd" and len(parts) > 1 and parts[1] in ORDER:
            assert ORDER.index(parts[1]) <= own, f"{path} imports {name}"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_modules_are_short(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= LONGEST


def test_the_check_sees_a_wrong_import(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{__name__}.ROOT", tmp_path)
    source = tmp_path / "bitstream" / "a.py"
    source.parent.mkdir()
    source.write_text("from ..restore import network\nfrom .x import y\nimport data\n")
    assert list(imported(source)) == ["davd.restore", "davd.bitstream.x", "data"]
