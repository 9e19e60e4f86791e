"""Networks of a user's own, other tools' files, and the page that says how."""

import importlib.util
import json
import os
import shutil
import sys
from pathlib import Path

import pytest
from davd.cli import evaluate
from davd.restore.checkpoint import build_network
from davd.restore.config import config_from_dict
from tinywork import make_work

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_work(tmp_path_factory.mktemp("own") / "work")


def test_the_page_runs(work: Path, tmp_path: Path) -> None:
    """Its network is trained and measured, its loop prints what the page says."""
    spec = importlib.util.spec_from_file_location("blocks", ROOT / "docs" / "blocks.py")
    assert spec is not None and spec.loader is not None
    tool = importlib.util.module_from_spec(spec)
    sys.modules["blocks"] = tool
    spec.loader.exec_module(tool)
    (tmp_path / "work").symlink_to(work)
    (tmp_path / "demo").symlink_to(ROOT / "demo")
    paths = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"PATH": paths, "OMP_NUM_THREADS": "1"}
    printed = ""
    for block in tool.blocks((ROOT / "docs" / "own-network.md").read_text(encoding="utf-8")):
        if "class TenLines" in block.text:
            (tmp_path / "tenlines.py").write_text(block.text)
        elif block.kind:
            printed = tool.run(block, tmp_path, environment)
            if "davd-eval" in block.text:
                assert "davd-tenlines" in printed or "decoded" in printed
        else:
            assert block.text == printed
    assert list((tmp_path / "run").glob("davd-*.safetensors"))


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("nowhere.at.all:Net", "PYTHONPATH names the folders"),
        ("torch.nn:Conv2d", "no Restorer called 'Conv2d'"),
        ("math:Sine", "no Restorer called 'Sine'"),
        ("edvrr", "package.module:Class"),
    ],
)
def test_what_is_no_network_is_named(name: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        build_network(config_from_dict({"network": {"name": name}}).network)


def test_files_of_another_tool_are_measured(
    work: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The sources themselves, as another tool's output, are equal to the sources."""
    (tmp_path / "best" / "crf42").mkdir(parents=True)
    shutil.copy(work / "clips" / "clip3.mkv", tmp_path / "best" / "crf42" / "clip3.mkv")
    out = tmp_path / "a.json"
    line = [str(work), "--crf", "42", "--files", f"best={tmp_path / 'best'}", "--json", str(out)]
    assert evaluate.main(line) == 0
    row = next(t for t in capsys.readouterr().out.splitlines() if t.startswith("best"))
    assert "+inf" in row and "1.0000" in row
    assert json.loads(out.read_text())["settings"]["files"][0][0] == "best"
    (tmp_path / "best" / "crf42" / "clip3.mkv").unlink()
    assert evaluate.main([*line, "-f"]) == 1
    assert "no such file" in capsys.readouterr().err
