"""Speeds: what is left out, what stands in for it, and that nothing is lost or out of place."""

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from davd.bitstream import PriorsFile, extract
from davd.data.motion import UNIT
from davd.data.sample import Planes, Sample
from davd.data.units import skips
from davd.restore import checkpoint as checkpoints
from davd.restore.checkpoint import save_checkpoint
from davd.restore.config import Config, NetworkConfig
from davd.restore.job.job import run
from davd.restore.job.request import Request
from davd.restore.job.speed import SPEEDS, busy_share, set_speed, usual_speed
from davd.restore.networks.moving import MOST, MovingStream, moved, quiet_share
from davd.restore.networks.picture import normal
from davd.restore.networks.restorer import Stream

from tests import restoring
from tests.test_network import SMALL, make_network, make_sample

CLIP = Path(__file__).resolve().parent.parent / "demo" / "talking-head.mp4"
SKIP, CODED = 9, 5


def sample_of(kinds: str, *, flow: int = 0) -> Sample:
    """Frames that are quiet (q) or busy (b); everything moves `flow` samples to the left."""
    sample = make_sample(frames=len(kinds))
    types = torch.tensor([SKIP if kind == "q" else CODED for kind in kinds], dtype=torch.uint8)
    assert sample.mb_type is not None
    motion = torch.zeros(1, len(kinds), 4, 8, 12, dtype=torch.int16)
    motion[:, :, 0], motion[:, :, 2] = UNIT * flow, -UNIT * flow
    return dataclasses.replace(
        sample, flow=motion, mb_type=types[None, :, None, None].expand_as(sample.mb_type)
    )


def through(stream: Stream, sample: Sample) -> list[Planes]:
    out = [stream.push(sample.cut(k, k + 1)) for k in range(sample.frames)]
    return [planes for planes in out if planes is not None] + stream.flush()


def test_a_plane_is_read_where_the_flow_points() -> None:
    plane = torch.arange(96.0).view(1, 1, 8, 12)
    flow = torch.zeros(1, 1, 2, 4, 6, dtype=torch.int16)
    flow[:, :, 0], flow[:, :, 1] = 2 * UNIT, -4 * UNIT  # of luma, twice as large
    found = moved(plane, flow, (16, 24))[0, 0]
    torch.testing.assert_close(found[2:, :11], plane[0, 0, :6, 1:], atol=1e-4, rtol=0)
    torch.testing.assert_close(found[1], found[2], atol=1e-4, rtol=0)  # the edge is repeated


def test_busy_frames_are_restored_and_quiet_ones_moved() -> None:
    network, sample = make_network("davd-lite", audio=False), sample_of("bqqbqb", flow=4)
    whole, some = through(network.stream(), sample), through(network.stream(quiet=0.8), sample)
    assert len(some) == 6
    decoded = normal(sample.decoded, (8, 8)).y[0]
    for k in (0, 3, 5):
        assert torch.equal(some[k].y, whole[k].y)
    change = [planes.y[0, 0] - decoded[k] for k, planes in enumerate(whole)]
    inside = slice(12, 36)  # the rest comes from outside the picture
    for k, (one, other) in {
        1: ((0, 4), (3, -8)),
        2: ((0, 8), (3, -4)),
        4: ((3, 4), (5, -4)),
    }.items():
        mean = sum(
            change[frame][:, inside.start + by : inside.stop + by] for frame, by in (one, other)
        )
        expected = (decoded[k][:, inside] + mean / 2).clamp(0, 1)
        torch.testing.assert_close(some[k].y[0, 0][:, inside], expected, atol=1e-4, rtol=0)


def test_what_cannot_be_moved_is_computed() -> None:
    network = make_network("davd-lite", audio=False)
    for kinds, bare in (("qqq", False), ("bqqqqq", True)):
        sample = sample_of(kinds)
        if bare:
            sample = dataclasses.replace(sample, flow=None)
        whole, some = through(network.stream(), sample), through(network.stream(quiet=0.8), sample)
        count = len(kinds) if bare else 1
        for k in range(count):
            assert torch.equal(some[k].y, whole[k].y)
        assert len(some) == len(kinds)


def test_no_more_is_held_than_said() -> None:
    network = make_network("davd-lite", audio=False)
    stream, sample = MovingStream(network, quiet=0.8), sample_of("b" + "q" * 25)
    given = 0
    for k in range(sample.frames):
        given += stream.push(sample.cut(k, k + 1)) is not None
        assert k + 1 - given <= network.radius + 2 * MOST + 2
    assert given + len(stream.flush()) == sample.frames and stream.flush() == []


def test_the_usual_speed_depends_on_device_and_length_alone() -> None:
    assert usual_speed("cuda:0", 1e12) == "best"
    for samples in (1e6, 5e7, 1e9), (4e7, 2e8, 1e9):
        assert [usual_speed("cpu", n) for n in samples] == ["best", "balanced", "fast"]
    network = make_network("davd-lite", mirror=True)
    assert set_speed(network, "best") == 0 and network.config.mirror
    assert set_speed(network, "fast") == SPEEDS["fast"].quiet and not network.config.mirror
    with pytest.raises(ValueError, match="speed 'quick': expected one of best, balanced, fast"):
        set_speed(network, "quick")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("speed")
    extract(CLIP, path / "moving.h5", frames=(0, 20), motion=True)
    extract(CLIP, path / "still.h5", frames=(0, 20))
    settings = NetworkConfig(width="lite", priors=True, mirror=True, **SMALL | {"front_blocks": 0})  # type: ignore[arg-type]
    torch.manual_seed(0)
    network = make_network("davd-lite", priors=True, mirror=True, front_blocks=0)
    save_checkpoint(path, "tiny", network.state_dict(), Config(network=settings), step=0)
    return path


def restored(folder: Path, source: str, speed: str, **changes: object) -> np.ndarray:
    checkpoint = next(folder.glob("davd-tiny-*.safetensors"))
    out = folder / f"{source}-{speed}.h5"
    request = Request(
        folder / f"{source}.h5", out, checkpoint=str(checkpoint), speed=speed, overwrite=True
    )
    notes = run(dataclasses.replace(request, **changes)).notes  # type: ignore[arg-type]
    assert any("--motion" in note for note in notes) == (speed == "fast" and source == "still")
    import h5py

    with h5py.File(out) as file:
        luma: np.ndarray = file["restored/y"][:].astype(float)
    return luma


def test_fast_computes_the_busy_frames_of_a_video(folder: Path) -> None:
    plain, fast = restored(folder, "moving", "balanced"), restored(folder, "moving", "fast")
    with PriorsFile(folder / "moving.h5") as priors:
        skip = skips(torch.from_numpy(priors.read("mb/type")), "mb/type")
        busy = [quiet_share(frame) < SPEEDS["fast"].quiet for frame in skip]
        assert busy_share(priors, range(20), SPEEDS["fast"].quiet) == sum(busy) / 20
    assert 0 < sum(busy) < 20
    same = [bool((a == b).all()) for a, b in zip(plain, fast, strict=True)]
    assert all(equal or not is_busy for equal, is_busy in zip(same, busy, strict=True))
    assert not all(same)
    assert (restored(folder, "moving", "best") != plain).any()


def test_without_motion_every_frame_is_computed_and_said(folder: Path) -> None:
    assert (restored(folder, "still", "fast") == restored(folder, "still", "balanced")).all()


def test_tiles_of_different_speed_stay_together(folder: Path) -> None:
    """Each tile leaves out frames of its own; they come out in one picture all the same."""
    tiled = restored(folder, "moving", "fast", tile=64)
    whole = restored(folder, "moving", "balanced")
    with PriorsFile(folder / "moving.h5") as priors:
        decoded = priors.read("decoded/y").astype(float)
    assert tiled.shape == whole.shape
    assert np.abs(tiled - whole).mean() < np.abs(whole - decoded).mean()


def test_coarse_videos_have_weights_of_their_own(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At every speed; a named checkpoint stays."""
    monkeypatch.setattr("davd.restore.job.choice.COARSE", 0.0)
    shutil.copy(next(folder.glob("davd-tiny-*.safetensors")), tmp_path)
    mine = next(tmp_path.glob("davd-tiny-*.safetensors"))
    shipped = {variant: restoring.checkpoint(tmp_path, variant=variant, blocks=blocks)
               for variant, blocks in (("coarse", 2), ("generic", 1))}  # fmt: skip
    monkeypatch.setattr(checkpoints, "WEIGHTS", tmp_path)
    request = Request(folder / "moving.h5", tmp_path / "out.h5", device="cpu", end=0.2,
                      overwrite=True)  # fmt: skip
    for speed in SPEEDS:
        done = run(dataclasses.replace(request, speed=speed))
        assert (done.speed, done.checkpoint) == (speed, shipped["coarse"].name)
    assert run(dataclasses.replace(request, checkpoint=str(mine))).checkpoint == mine.name
    monkeypatch.setattr("davd.restore.job.choice.COARSE", 52.0)
    assert run(request).checkpoint == shipped["generic"].name
