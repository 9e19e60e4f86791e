"""What the documents say: the format reference is the schema's, and the README's blocks run."""

import importlib.util
import os
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def script(name: str) -> ModuleType:
    """One of the programs in docs/, as a module."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def test_format_reference_is_up_to_date() -> None:
    made = script("format").markdown()
    kept = (ROOT / "docs" / "format.md").read_text(encoding="utf-8")
    assert kept == made, "run: python docs/format.py > docs/format.md"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8"))
    missing = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert not missing


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A folder with the demo clip, and an environment where the commands are found."""
    folder = tmp_path_factory.mktemp("readme")
    (folder / "demo").symlink_to(ROOT / "demo")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return folder, os.environ | {"PATH": path}


def runnable(text: str) -> str:
    """A block's commands without those that set up an environment or train for minutes."""
    lines = [line for line in text.splitlines() if not re.match(r"make |pip |\. \.venv", line)]
    return "\n".join(line for line in lines if "../" not in line)


def test_blocks_of_the_readme_run(place: tuple[Path, dict[str, str]]) -> None:
    from davd.restore.checkpoint import shipped_checkpoints

    tool, (folder, environment) = script("blocks"), place
    printed, count = "", 0
    for block in tool.blocks((ROOT / "README.md").read_text(encoding="utf-8")):
        if not block.kind:
            assert block.text == printed
            continue
        text = runnable(block.text) if block.kind == "sh" else block.text
        if not shipped_checkpoints():
            text = "\n".join(line for line in text.splitlines() if "davd-restore" not in line)
        if "../" in text:
            continue
        printed = tool.run(tool.Block(block.kind, text, block.line), folder, environment)
        count += 1
    assert count >= 4
    assert (folder / "frame.png").stat().st_size > 10_000


def test_blocks_of_the_format_reference_run(place: tuple[Path, dict[str, str]]) -> None:
    tool, (folder, environment) = script("blocks"), place
    extract = "davd-extract demo/talking-head.mp4 -o priors.h5 --force"
    tool.run(tool.Block("sh", extract, 0), folder, environment)
    for block in tool.blocks((ROOT / "docs" / "format.md").read_text(encoding="utf-8")):
        assert tool.run(block, folder, environment) or block.kind != "python"


def test_curves_are_drawn(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "train.csv").write_text("step,gain\n1,0.0\n50,0.1\n100,0.2\n")
    (run / "val.csv").write_text("step,gain,gain_crf42\n100,0.1,0.1\n100,0.2,0.2\n")
    assert script("curves").columns(run / "val.csv")["gain"].tolist() == [0.2]
    assert script("curves").main([str(run), "-o", str(tmp_path / "images" / "a.png")]) == 0
    assert (tmp_path / "images" / "a.png").read_bytes().startswith(b"\x89PNG")


def test_reference_is_made_and_its_links_lead_somewhere(tmp_path: Path) -> None:
    pytest.importorskip("pdoc")
    reference = script("reference")
    assert reference.main(["-o", str(tmp_path), "davd.bitstream.show.pack"]) == 0
    page = (tmp_path / "davd" / "bitstream" / "show" / "pack.html").read_text(encoding="utf-8")
    assert "Arrays as bytes for a browser" in page


def test_dead_links_of_the_reference_are_found(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    one = '<p id="x y"><a href="in/b.html#there"></a><a href="#x%20y"></a><a href="https://c"></a>'
    other = '<a id="there" href="../a.html#gone"></a><a href="c.html"></a>'
    (tmp_path / "a.html").write_text(one)
    (tmp_path / "in" / "b.html").write_text(other)
    assert script("reference").dead_links(tmp_path) == [
        "in/b.html: ../a.html#gone",
        "in/b.html: c.html",
    ]
