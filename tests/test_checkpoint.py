"""Checkpoints: what is saved comes back; anything else is refused in one sentence."""

import json
import os
from pathlib import Path

import pytest
import torch
from davd.restore import checkpoint
from davd.restore.checkpoint import (
    CheckpointError,
    build_network,
    find_checkpoint,
    load_checkpoint,
    read_checkpoint,
    save_checkpoint,
)
from davd.restore.config import Config, config_from_dict, load_config
from davd.restore.projection.cells import CellTable
from safetensors import safe_open
from safetensors.torch import load_file, save_file

torch.set_num_threads(1)  # small tensors: more threads only wait for each other
SMALL = {"channels": 4, "sound_channels": 4, "front_blocks": 1, "video_blocks": 1, "blocks": 1}


def small(**changes: object) -> Config:
    return config_from_dict({"network": SMALL | changes})


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    torch.manual_seed(1)
    config = small()
    weights = build_network(config.network).state_dict()
    return save_checkpoint(
        tmp_path, "tiny", weights, config, step=7, data={"clips": ["a"]}, figures={"gain": 0.5}
    )


def rewrite(path: Path, *, tensors: dict | None = None, **metadata: str) -> Path:
    """The same file with something changed, under a name without a hash."""
    with safe_open(path, framework="pt") as file:
        old = dict(file.metadata())
    other = path.with_name("other.safetensors")
    save_file(load_file(path) if tensors is None else tensors, other, old | metadata)
    return other


def test_round_trip(saved: Path) -> None:
    network = load_checkpoint(saved)
    torch.manual_seed(1)
    expected = build_network(small().network).state_dict()
    assert not network.training
    for key, value in network.state_dict().items():
        assert torch.equal(value, expected[key])
    info = read_checkpoint(saved)
    assert (info.step, info.variant, info.data, info.figures) == (
        7, "tiny", {"clips": ["a"]}, {"gain": 0.5},
    )  # fmt: skip
    assert info.config == small()


def test_name_carries_the_hash(saved: Path) -> None:
    import hashlib

    assert saved.name == (
        f"davd-tiny-{hashlib.sha256(saved.read_bytes()).hexdigest()[:8]}.safetensors"
    )


@pytest.mark.skipif(os.name != "posix", reason="modes of files are POSIX's")
def test_others_can_read_a_checkpoint_as_any_file(saved: Path) -> None:
    usual = saved.with_name("usual")
    usual.touch()
    assert saved.stat().st_mode == usual.stat().st_mode


def test_half_precision_is_half_the_size_and_close(saved: Path, tmp_path: Path) -> None:
    network = load_checkpoint(saved)
    half = save_checkpoint(tmp_path, "half", network.state_dict(), small(), step=0, half=True)
    assert half.stat().st_size < 0.7 * saved.stat().st_size
    for key, value in load_checkpoint(half).state_dict().items():
        assert value.dtype == torch.float32
        torch.testing.assert_close(value, network.state_dict()[key], atol=1e-3, rtol=1e-3)


def test_changed_content_is_noticed(saved: Path) -> None:
    data = bytearray(saved.read_bytes())
    data[-3] ^= 1
    saved.write_bytes(data)
    with pytest.raises(CheckpointError, match="damaged"):
        load_checkpoint(saved)


def test_truncated_file(saved: Path) -> None:
    other = saved.with_name("cut.safetensors")
    other.write_bytes(saved.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match="is not a checkpoint"):
        load_checkpoint(other)


def test_other_files_are_refused(tmp_path: Path) -> None:
    text = tmp_path / "a.safetensors"
    text.write_text("no")
    with pytest.raises(CheckpointError, match="not a checkpoint"):
        load_checkpoint(text)
    save_file({"x": torch.zeros(1)}, text)
    with pytest.raises(CheckpointError, match="not a davd checkpoint"):
        load_checkpoint(text)
    with pytest.raises(CheckpointError, match="no checkpoint 'nothing'"):
        load_checkpoint("nothing")


def test_other_versions_are_refused(saved: Path) -> None:
    with pytest.raises(CheckpointError, match="version 9"):
        load_checkpoint(rewrite(saved, version="9"))


def test_unknown_configuration_is_refused(saved: Path) -> None:
    with pytest.raises(CheckpointError, match="depth"):
        load_checkpoint(rewrite(saved, config=json.dumps({"network": {"depth": 3}})))


def test_weights_that_are_not_finite(saved: Path, tmp_path: Path) -> None:
    tensors = load_file(saved)
    next(iter(tensors.values())).flatten()[0] = float("nan")
    with pytest.raises(CheckpointError, match="not finite"):
        load_checkpoint(rewrite(saved, tensors=tensors))
    weights = {"a": torch.tensor([float("inf")])}
    with pytest.raises(CheckpointError, match="not finite"):
        save_checkpoint(tmp_path / "new", "bad", weights, small(), step=0)
    assert not (tmp_path / "new").exists()


def test_weights_of_another_network(saved: Path) -> None:
    config = json.dumps({"network": SMALL | {"channels": 5}})
    with pytest.raises(CheckpointError, match="another network"):
        load_checkpoint(rewrite(saved, config=config))
    fewer = load_file(saved)
    fewer.pop(sorted(fewer)[0])
    with pytest.raises(CheckpointError, match="another network"):
        load_checkpoint(rewrite(saved, tensors=fewer))


def test_calibrated_cells_travel_along(tmp_path: Path) -> None:
    config = small(cell="calibrated")
    table = CellTable(torch.rand(4, 3, 2, 64), torch.rand(4, 3, 2, 64))
    weights = build_network(config.network).state_dict()
    path = save_checkpoint(tmp_path, "cells", weights, config, step=0, table=table)
    network = load_checkpoint(path)
    assert network.projector is not None and network.cells is not None
    assert torch.equal(network.cells.below, table.below)
    bare = save_checkpoint(tmp_path, "bare", weights, config, step=0)
    with pytest.raises(CheckpointError, match="holds none"):
        load_checkpoint(bare)


def test_shipped_checkpoints_are_found_by_variant(
    saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint, "WEIGHTS", saved.parent)
    assert find_checkpoint("tiny") == saved
    with pytest.raises(CheckpointError, match="shipped: tiny"):
        find_checkpoint("large")


def test_what_is_shipped_loads() -> None:
    for path in checkpoint.WEIGHTS.glob("*.safetensors"):
        load_checkpoint(path)
        assert path.stat().st_size <= 12e6


def test_configuration_files(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text('[network]\nchannels = 32\n[data]\ncrf = [42, 45]\nindex = "w"\n')
    config = load_config(path, ["train.lr=1e-3", "network.audio=false", "data.index=a b"])
    assert (config.network.channels, config.data.crf, config.train.lr) == (32, (42, 45), 1e-3)
    assert config.data.index == ("a b",) and not config.network.audio


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("network.depth=3", "unknown key network.depth"),
        ("nets.depth=3", "unknown section 'nets'"),
        ("network.channels=many", "expected int"),
        ("network.channels=true", "expected int"),
        ("train.lr", "expected section.key=value"),
        ("data.crop=40", "multiple of 16"),
        ("data.frames=4", "expected over 4"),
        ("network.cell=tight", "expected one of none"),
        ("train.steps=0", "at least 1"),
    ],
)
def test_wrong_settings_are_refused(override: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load_config(None, [override])


def test_every_file_in_configs_is_read() -> None:
    for path in (Path(__file__).parent.parent / "configs").glob("*.toml"):
        assert load_config(path).network.name
