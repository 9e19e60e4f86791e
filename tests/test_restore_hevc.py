"""davd-restore on HEVC: the same networks, fed through the same maps."""

import dataclasses
import json
from pathlib import Path

import av
import h5py
import numpy as np
import pytest
import torch
from clips import encode
from davd.bitstream import extract
from davd.bitstream import open as open_priors
from davd.data.reader import ClipReader
from davd.data.sample import Planes, Sample, collate
from davd.restore import checkpoint as checkpoints
from davd.restore.checkpoint import load_checkpoint
from davd.restore.job.job import run
from davd.restore.job.request import Request
from davd.restore.networks.restorer import KINDER
from davd.restore.projection import PriorsTensors, consistency, make_cells
from restoring import FULL, checkpoint

FRAMES = 10


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hevc")


def video(folder: Path, size: tuple[int, int] = (104, 72), **more: str) -> Path:
    """A small one; 104 and 72 are whole coding blocks of 8, and no multiples of 16."""
    name = "-".join([f"{size[0]}x{size[1]}", *more.values()]).replace(":", ",").replace("=", "")
    path = folder / f"{name}.mp4"
    if not path.exists():
        params = {"x265-params": f"log-level=none:{more.get('params', '')}"}
        options = {"preset": "medium", "crf": "34"} | params
        pix_fmt = more.get("pix_fmt", "yuv420p")
        encode(path, frames=FRAMES, size=size, codec="libx265", pix_fmt=pix_fmt, options=options)
    return path


def restored(source: Path, weights: Path, name: str, **changes: object) -> tuple[dict, np.ndarray]:
    """What the run says of itself, and its luma."""
    out = source.with_name(f"{source.stem}-{name}.h5")
    request = Request(source, out, checkpoint=str(weights), overwrite=True)
    outcome = run(dataclasses.replace(request, **changes))  # type: ignore[arg-type]
    with h5py.File(out) as file:
        return outcome.as_dict(), file["restored/y"][:]


@pytest.fixture(scope="module", params=["lite", "full", "recurrent"])
def weights(request: pytest.FixtureRequest, folder: Path) -> Path:
    kinds: dict[str, dict[str, object]] = {
        "lite": {},
        "full": FULL | {"priors": True},
        "recurrent": {"name": "recurrent", "carry": "forward", "radius": 0, "mirror": True},
    }
    return checkpoint(folder / request.param, **kinds[request.param])


def test_a_video_is_restored_with_its_priors(folder: Path, weights: Path) -> None:
    told, luma = restored(video(folder), weights, weights.parent.name)
    assert told["frames"] == FRAMES
    assert any("is HEVC; these weights were trained on H.264" in n for n in told["notes"])
    assert not any("pictures alone" in note for note in told["notes"])
    with open_priors(video(folder)) as priors:
        decoded = priors.read("decoded/y")
    assert luma.shape == decoded.shape and (luma != decoded).any()


def test_a_priors_file_gives_what_its_video_gives(folder: Path, weights: Path) -> None:
    source = video(folder)
    priors = source.with_suffix(".h5")
    if not priors.exists():
        extract(source, priors, motion=True)
    name = weights.parent.name
    _, from_video = restored(source, weights, f"{name}-a")
    _, from_file = restored(priors, weights, f"{name}-b")
    assert (from_video == from_file).all()


def test_tiles_equal_the_whole(folder: Path, weights: Path) -> None:
    if weights.parent.name == "recurrent":
        pytest.skip("what is carried from frame to frame reaches further than a tile's margin")
    source = video(folder, (264, 136))
    for cell in ("none", "paper"):
        _, whole = restored(source, weights, f"{weights.parent.name}-whole", cell=cell)
        _, tiled = restored(source, weights, f"{weights.parent.name}-tiled", cell=cell, tile=64)
        assert (whole == tiled).all(), cell


@pytest.mark.parametrize("options", [{}, {"pix_fmt": "yuv420p10le"}, {"params": "rdoq-level=2"}])
def test_what_is_projected_is_not_contradicted(folder: Path, options: dict[str, str]) -> None:
    source = video(folder, **options)
    weights = checkpoint(folder / "cell")
    told, luma = restored(source, weights, "projected", cell="auto")
    assert told["cell"] == "auto"
    with open_priors(source) as priors:
        depth = int(priors.attrs["bit_depth_luma"])
        assert depth == (10 if options.get("pix_fmt") else 8)
        tensors = PriorsTensors.from_file(priors, range(FRAMES))
        encoder = str(priors.attrs["encoder"])
    cells = make_cells(tensors, "auto", encoder=encoder)
    assert cells.name == ("rdoq" if options.get("params") else "signhide")
    plane = torch.from_numpy(luma.astype(np.float32) / ((1 << depth) - 1))
    clipped = (luma == 0) | (luma == (1 << depth) - 1)
    share = consistency([plane], dataclasses.replace(cells, planes=cells.planes[:1]), slack=0.51)
    assert clipped.any() or (share == 0).all()
    assert (share < 0.001).all()


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".y4m"])
def test_ten_bits_stay_ten_bits(folder: Path, suffix: str) -> None:
    source = video(folder, pix_fmt="yuv420p10le")
    out = folder / f"ten{suffix}"
    request = Request(source, out, checkpoint=str(checkpoint(folder / "ten")), overwrite=True)
    run(request)
    with av.open(str(out)) as container:
        frames = list(container.decode(video=0))
    assert len(frames) == FRAMES
    assert frames[0].format.name == "yuv420p10le"
    assert (frames[0].width, frames[0].height) == (104, 72)


def test_fast_moves_corrections_and_a_report_says_the_codec(folder: Path) -> None:
    source = video(folder)
    report, figures = folder / "r.html", folder / "m.json"
    told, _ = restored(
        source, checkpoint(folder / "fast"), "fast", speed="fast", report=report, metrics=None,
        reference=source,
    )  # fmt: skip
    text = report.read_text()
    assert "HEVC profile 1" in text and "trained on H.264" in text
    assert told["speed"] == "fast"
    assert not figures.exists()


def test_weights_trained_on_hevc_are_not_noted(folder: Path) -> None:
    from davd.restore.checkpoint import save_checkpoint
    from davd.restore.config import config_from_dict
    from restoring import LITE, network

    config = config_from_dict({"network": LITE, "data": {"codec": "hevc"}})
    weights = save_checkpoint(folder / "own", "own", network().state_dict(), config, step=0)
    assert load_checkpoint(weights) is not None
    told, _ = restored(video(folder), weights, "own")
    assert not any("trained on" in note for note in told["notes"])
    json.dumps(told)


def test_hevc_has_weights_of_its_own_where_such_are_shipped(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped = {name: checkpoint(tmp_path, variant=name, blocks=blocks)
               for name, blocks in (("generic", 1), ("hevc", 2))}  # fmt: skip
    monkeypatch.setattr(checkpoints, "WEIGHTS", tmp_path)
    request = Request(video(folder), tmp_path / "out.h5", device="cpu", end=0.2, overwrite=True)
    assert run(request).checkpoint == shipped["hevc"].name
    shipped["hevc"].unlink()
    assert run(request).checkpoint == shipped["generic"].name


def test_weights_that_know_h264_are_told_a_kinder_qp(folder: Path) -> None:
    """The features see it, and what holds back by QP; the projection does not."""
    network = load_checkpoint(checkpoint(folder / "kind", damp=0.02, mirror=True))
    assert network.codec == "h264"
    with open_priors(video(folder)) as priors:
        sample = collate([ClipReader(priors, level=True, motion=True).read(0, 3)])
    known = network.as_known(sample)
    assert sample.qp_y is not None and known.qp_y is not None
    assert torch.equal(known.qp_y.int(), (sample.qp_y.int() - KINDER).clamp(min=0))
    assert sample.history is not None and known.history is not None
    assert torch.equal(known.history[:, :, 1], sample.history[:, :, 1])
    assert known.level is sample.level and known.qp_cb is sample.qp_cb
    network.codec = "hevc"
    assert network.as_known(sample) is sample
    seen = []

    def projector(planes: Planes, frame: Sample) -> Planes:
        seen.append(frame.qp_y)
        return planes

    network.codec, network.projector = "h264", projector
    stream = network.stream()
    for k in range(3):
        stream.push(sample.cut(k, k + 1))
    assert torch.equal(seen[0], sample.qp_y[:, :1])
