"""The recipes of docs/reading.md, run as they stand there."""

import re
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
from clips import encode

TEXT = (Path(__file__).resolve().parent.parent / "docs" / "reading.md").read_text()
BLOCK = r"(?:^# |\n## )([^\n]+)\n(?:(?!\n## ).)*?```python\n(.*?)```"  # heading, first block
RECIPES = dict(re.findall(BLOCK, TEXT, re.S))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video and a folder of videos, as the recipes name them."""
    folder = tmp_path_factory.mktemp("recipes")
    encode(folder / "talk.mp4", frames=26)
    params = "log-level=none:pools=none:bframes=0:qp=37:ref=4:keyint=-1:scenecut=0"
    encode(folder / "ldp37.hevc", codec="libx265", frames=9, sound=False,
           options={"x265-params": params})  # fmt: skip
    (folder / "clips").mkdir()
    for name, crf in (("a", "30"), ("b", "38")):
        encode(folder / "clips" / f"{name}.mp4", frames=15, sound=False, options={"crf": crf})
    return folder


def test_there_are_six_recipes() -> None:
    assert len(RECIPES) == 7  # and what begins the page


@pytest.mark.parametrize("name", RECIPES)
def test_recipe(folder: Path, name: str) -> None:
    (folder / "recipe.py").write_text(RECIPES[name])
    done = subprocess.run(
        [sys.executable, "-W", "error", "recipe.py"],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    says = {
        "Motion vectors": r"torch.Size\(\[26, 2, 36, 44, 2\]\)",
        "The 196": r"\(196, 16, 16\) \d+% of the bits in 8% of the patches",
        "Residual": r"^\[ *[\d.]+",
        "QP of a folder": r"\[\(\d+, \d+\), ",
        "MFQE's protocol": r"torch.Size\(\[1, 138, 174\]\) torch.Size\(\[5, 36, 44\]\) "
        r"torch.Size\(\[36, 44, 2\]\) 7 \[\d .* P$",
        "Reading": r"26 25 \['frames/pts'",
    }
    for begin, pattern in says.items():
        if name.startswith(begin):
            assert re.search(pattern, done.stdout), done.stdout
    if name.startswith("Into"):
        with tarfile.open(folder / "priors-000000.tar") as shard:
            names = shard.getnames()
            assert names[:2] == ["a-000000.npz", "a-000007.npz"] and len(names) == 4
            arrays = np.load(shard.extractfile(names[0]))
            assert arrays["motion_mv"].shape == (7, 2, 36, 44, 2)
