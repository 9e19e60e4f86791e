"""A packed folder: small, whole, and enough to train on where little is installed."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import davd.bitstream._core
import numpy as np
import pytest
import torch
from davd.cli import bare
from davd.data import pack
from davd.data.clean import CleanVideo
from davd.data.dataset import open_segments
from davd.data.index import build_index
from davd.data.prepare import prepare_clip
from davd.data.reader import ClipReader
from davd.data.sources import scan
from davd.data.synthetic import synthesise, write_video
from davd.data.work import Settings
from safetensors.torch import load_file, save_file


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("packed")
    raw, lines = folder / "raw", ["file,speaker,split"]
    raw.mkdir()
    for seed, split in enumerate(("train", "val", "test")):
        head = synthesise(seed, 1.04, size=64, speaker=seed, face="drawn", motion=0.0)
        write_video(raw / f"s{seed}.mkv", head)
        lines.append(f"s{seed}.mkv,s{seed},{split}")
    (raw / "speakers.csv").write_text("\n".join(lines) + "\n")
    settings = Settings(size=64, crop="none")
    for source in scan(raw, folder / "work", settings):
        prepare_clip(raw / source.path, folder / "work", source.name, (42, 45), settings)
    build_index(folder / "work")
    return folder / "work"


@pytest.fixture(scope="module")
def packed(work: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("over") / "there"
    assert pack.main([str(work), str(target), "--crf", "42", "45"]) == 0
    assert pack.megabytes(target) < 10
    return target


@pytest.mark.slow
def test_the_core_is_built_by_a_compiler_alone(packed: Path) -> None:
    code = "import run; run.build(); run.build()"
    environment = {"PATH": "/usr/bin:/bin", "CFLAGS": "-O0"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=packed, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    for name in bare.MODULES:
        assert list((packed / "davd" / "bitstream").glob(f"{name}.*so"))
    assert not list(packed.glob("*.o"))


@pytest.fixture(scope="module")
def ran(packed: Path) -> Path:
    """After `run.py` with nothing but what a bare machine has."""
    changes = ["network.channels=16", "network.front_blocks=1", "network.video_blocks=1",
               "network.blocks=1", "data.crop=32", "data.crf=[42,45]", "train.batch=2",
               "train.validate=50", "train.validate_frames=2", "train.threads=1"]  # fmt: skip
    here = Path(davd.bitstream._core.__file__).parent  # built here already: that takes a while
    for built in here.glob("_*.so"):
        shutil.copy(built, packed / "davd" / "bitstream" / built.name)
    line = [sys.executable, str(packed / "run.py"), "--minutes", "0.1", "--jobs", "1"]
    line += [part for change in changes for part in ("--set", change)]
    line += ["--without", *bare.STOOD_IN]
    environment = {"PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(line, cwd=packed, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return packed


def test_a_bare_machine_trains_on_it(ran: Path) -> None:
    done = json.loads((ran / "out" / "done.json").read_text())
    assert (ran / "out" / "run" / done["checkpoint"]).exists() and done["pictures"] == 1
    assert (ran / "out" / "run" / "train.csv").read_text().count("\n") >= 2
    assert list((ran / "out" / "pictures").glob("s2.png"))


def test_what_it_decodes_is_what_the_pipeline_extracts(work: Path, ran: Path) -> None:
    here = ClipReader(work / "priors/crf45/s0.h5", motion=True).read(0, 15)
    there = next(s for s in open_segments(ran, "train", crf=(45,), listen=True) if s.crf == 45)
    found = there.reader.read(0, 15)
    for name in ("decoded", "prediction"):
        for one, other in zip(getattr(here, name), getattr(found, name), strict=True):
            assert torch.equal(one, other), name
    for name in ("tu", "mb_type", "qp_y", "flow", "history"):
        assert torch.equal(getattr(here, name), getattr(found, name)), name
    assert here.residual is not None and found.residual is not None
    assert torch.equal(here.residual.y.clamp(-128, 127).to(torch.int8), found.residual.y)
    assert found.sound is not None and found.sound.shape == (15, 21, 39)
    heard = ClipReader(work / "priors/crf45/s0.h5", listen=True).read(0, 15).sound
    assert heard is not None
    torch.testing.assert_close(found.sound, heard, atol=2e-2, rtol=2e-3)  # half precision


def test_the_source_is_kept_nearly_whole(work: Path, ran: Path) -> None:
    there = open_segments(ran, "train", crf=(42,))[0].reader.read(0, 15)
    with CleanVideo(work / "clips/s0.mkv") as clean:
        y = clean.read(0, 15)[0].astype(float)
    assert there.clean is not None
    error = float(np.mean((there.clean.y.numpy() - y) ** 2))
    assert 10 * np.log10(255**2 / error) > 44


def test_the_modules_are_those_of_the_setup() -> None:
    text = (Path(__file__).resolve().parent.parent / "setup.py").read_text()
    found = re.findall(r'extension\("(\w+)", ([^)]*)\)', text)
    assert {name: tuple(re.findall(r'"(\w+)"', rest)) for name, rest in found} == bare.MODULES


def test_too_little_room_is_said(work: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="hold no clips"):
        pack.pack(work, tmp_path / "small", (42,), 0.1)
    with pytest.raises(FileExistsError):
        pack.pack(work, tmp_path / "small", (42,), 50)


def test_the_small_safetensors_is_the_real_one(tmp_path: Path) -> None:
    tensors = {"b": torch.randn(3, 4), "a": torch.arange(5), "h": torch.randn(2).half()}
    bare.save_file(tensors, tmp_path / "own", {"format": "x"})
    save_file(tensors, tmp_path / "real", {"format": "x"})
    for name, found in load_file(tmp_path / "own").items():
        assert torch.equal(found, tensors[name])
    with bare.SafeOpen(tmp_path / "real") as file:
        assert file.metadata() == {"format": "x"} and set(file.keys()) == set(tensors)
        for name in tensors:
            assert torch.equal(file.get_tensor(name), tensors[name])
