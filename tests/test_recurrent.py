"""The network that carries features along the vectors: shapes, streams, motion, what is unknown."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from davd.bitstream import PriorsFile, extract
from davd.data.augment import mirrored
from davd.data.motion import UNIT, History, flow
from davd.data.reader import ClipReader
from davd.data.sample import OLDEST, Sample, blinded, collate
from davd.restore.checkpoint import build_network
from davd.restore.config import CARRIES, NetworkConfig, config_from_dict
from davd.restore.networks.picture import normal
from davd.restore.networks.recurrent import RecurrentNet, fold, unfold

from tests.test_network import SMALL, make_sample

CLIP = Path(__file__).resolve().parent.parent / "demo" / "talking-head.mp4"


def moving_sample(*, frames: int = 6, **changes: int) -> Sample:
    sample = make_sample(frames=frames, **changes)
    random = torch.Generator().manual_seed(5)
    shape = (*sample.decoded.y.shape[:2], 4, *(side // 4 for side in sample.decoded.y.shape[2:]))
    motion = torch.randint(-40, 41, shape, generator=random).to(torch.int16)
    history = torch.randint(0, 52, shape, generator=random).to(torch.uint8)[:, :, :2]
    return dataclasses.replace(sample, flow=motion, history=history)


def make_network(carry: str = "both", **changes: object) -> RecurrentNet:
    torch.manual_seed(0)
    settings: dict[str, object] = {"name": "recurrent", "radius": int(carry == "neighbours")}
    settings |= SMALL | {"carry": carry, "priors": True, "audio": False} | changes
    network = build_network(NetworkConfig(**settings))  # type: ignore[arg-type]
    assert isinstance(network, RecurrentNet)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return network.eval()


@pytest.mark.parametrize("carry", CARRIES)
def test_every_frame_is_restored_and_every_weight_learns(carry: str) -> None:
    network = make_network(carry)
    restored = network(moving_sample())
    count = 6 - 2 * network.radius
    assert [tuple(p.shape) for p in restored] == [(1, count, 32, 48), *[(1, count, 16, 24)] * 2]
    sum((plane * torch.randn_like(plane)).sum() for plane in restored).backward()  # type: ignore[union-attr]
    assert [k for k, p in network.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_sound_is_heard() -> None:
    network, sample = make_network(audio=True), moving_sample()
    assert sample.sound is not None
    with torch.inference_mode():
        silent, mute = (
            network(dataclasses.replace(sample, sound=sound)).y
            for sound in (torch.zeros_like(sample.sound), None)
        )
        assert torch.equal(silent, mute)
        assert (network(sample).y - silent).abs().max() > 1e-4


def test_a_fresh_network_changes_nothing() -> None:
    settings = {"name": "recurrent", "radius": 0, "priors": True}
    network = build_network(NetworkConfig(**(settings | SMALL)))  # type: ignore[arg-type]
    sample = moving_sample()
    for plane, same in zip(network(sample), normal(sample.decoded, (8, 8)), strict=True):
        torch.testing.assert_close(plane, same, atol=1e-6, rtol=0)


def test_folding_and_back() -> None:
    planes = normal(make_sample().decoded, (8, 8))
    assert fold(planes).shape == (1, 5, 24, 8, 12)
    for plane, same in zip(unfold(fold(planes)), planes, strict=True):
        assert torch.equal(plane, same)


@pytest.mark.parametrize("carry", CARRIES)
def test_a_stream_gives_what_all_at_once_gives(carry: str) -> None:
    network, sample = make_network(carry, chunk=4, look=3), moving_sample(frames=7)
    stream = network.stream()
    out = [stream.push(sample.cut(k, k + 1)) for k in range(7)]
    frames = [planes for planes in out if planes is not None] + stream.flush()
    assert len(frames) == 7
    with torch.inference_mode():
        whole = network(sample)
    first = network.radius
    for k in range(7 - 2 * first):
        torch.testing.assert_close(frames[k + first].y[:, 0], whole.y[:, k], atol=2e-6, rtol=1e-5)


def test_a_stream_looks_so_far_ahead_and_holds_no_more() -> None:
    network, sample = make_network(chunk=2, look=1), moving_sample(frames=9)
    stream = network.stream()
    given = 0
    for k in range(9):
        given += stream.push(sample.cut(k, k + 1)) is not None
        assert k + 1 - given <= 2  # chunk + look - 1 frames on their way
    with torch.inference_mode():
        ahead = network(sample.cut(0, 3))  # frames 0 and 1, and one ahead of them
        again = network.stream()
        out = [again.push(sample.cut(k, k + 1)) for k in range(4)]
    assert out[2] is not None and out[3] is not None
    torch.testing.assert_close(out[3].y[:, 0], ahead.y[:, 1], atol=2e-6, rtol=1e-5)
    assert given + len(stream.flush()) == 9
    assert stream.flush() == [] and len(again.flush()) == 2


def test_what_was_seen_long_ago_still_counts() -> None:
    """A change of the first frame reaches the last one; without carrying it does not."""
    sample = moving_sample(frames=9)
    other = sample.apply(torch.clone)
    other.decoded.y[:, 0] = 255 - other.decoded.y[:, 0]
    for carry, reaches in (("forward", True), ("both", True), ("none", False)):
        network = make_network(carry)
        with torch.inference_mode():
            change = (network(sample).y - network(other).y)[:, -1].abs().max()
        assert (float(change) > 0) == reaches, carry


def test_what_is_not_known_may_be_missing() -> None:
    """Absent priors are what training shows as absent; without motion alone, likewise."""
    network, sample = make_network(), moving_sample()
    single = sample.apply(lambda t: t[0])
    names = ("flow", "history", "prediction", "residual", "tu", "mb_type", "qp_y")
    for priors, count in ((True, len(names)), (False, 2)):
        bare = dataclasses.replace(sample, **dict.fromkeys(names[:count]))
        taught = collate([blinded(single, priors=priors)])
        with torch.inference_mode():
            torch.testing.assert_close(network(bare).y, network(taught).y, atol=2e-6, rtol=1e-5)


def test_a_mirrored_sample_has_mirrored_motion() -> None:
    single = moving_sample().apply(lambda t: t[0])
    there = mirrored(single)
    assert there.flow is not None and single.flow is not None and there.history is not None
    assert torch.equal(there.flow[:, 0].flip(-1), -single.flow[:, 0])
    assert torch.equal(there.flow[:, 3].flip(-1), single.flow[:, 3])
    back = mirrored(there)
    assert back.flow is not None and torch.equal(back.flow, single.flow)


def test_flow_shares_a_vector_over_the_frames_between() -> None:
    vectors = np.zeros((1, 2, 2, 2, 2), np.int16)
    references = np.full((1, 2, 1, 1), -1, np.int32)
    assert not flow(vectors, references, 5).any()
    references[0, 0], vectors[0, 0] = 2, (12, -24)  # three samples, three frames back
    back = flow(vectors, references, 5)
    assert back[:, 0, 0].tolist() == [UNIT, -2 * UNIT, -UNIT, 2 * UNIT]
    references[0, 1], vectors[0, 1] = 6, (-8, 0)
    assert flow(vectors, references, 5)[:, 1, 1].tolist() == [UNIT, -2 * UNIT, -2 * UNIT, 0]


def test_the_frame_after_says_where_places_go() -> None:
    vectors = np.zeros((2, 2, 2, 2, 2), np.int16)
    references = np.full((2, 2, 1, 1), -1, np.int32)
    references[0, 0], vectors[0, 0] = 4, (4, 0)
    references[1, 0], vectors[1, 0] = 5, (8, 4)
    assert flow(vectors, references, 5)[:, 0, 0].tolist() == [UNIT, 0, -2 * UNIT, -UNIT]


@pytest.fixture(scope="module")
def priors(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("motion") / "clip.h5"
    extract(CLIP, path, frames=(0, 24), motion=True)
    return path


def test_history_follows_skips_to_where_they_were_coded(priors: Path) -> None:
    """Against a block by block walk back along the vectors."""
    with PriorsFile(priors) as file:
        read = {
            name: file.read(name)
            for name in ("motion/mv", "motion/ref", "mb/type", "mb/cbp", "mb/qp_y")
        }

        def walk(k: int, row: int, column: int) -> tuple[int, int | None]:
            block = row // 4, column // 4
            kind, cbp = read["mb/type"][k][block], read["mb/cbp"][k][block]
            qp = int(read["mb/qp_y"][k][block])
            if kind <= 3 or cbp:
                return qp, k
            refs = read["motion/ref"][k, :, row // 2, column // 2]
            used = 0 if refs[0] >= 0 else 1
            if refs[used] < 0:  # a frame that is not in the file
                return qp, None
            x, y = read["motion/mv"][k, used, row, column].tolist()
            height, width = read["motion/mv"].shape[2:4]
            there = min(max(row + ((y + 8) >> 4), 0), height - 1)
            across = min(max(column + ((x + 8) >> 4), 0), width - 1)
            return walk(int(refs[used]), there, across)

        history = History(file)
        random = np.random.default_rng(0)
        skipped = 0
        for k in (23, 5, 12, 22):
            found = history.of(k)
            for row, column in random.integers(0, found.shape[1], (40, 2)).tolist():
                qp, when = walk(k, row, column)
                age = OLDEST if when is None else abs(k - when)
                assert found[:, row, column].tolist() == [qp, age], (k, row, column)
                skipped += age > 0
        assert skipped > 40


def test_the_reader_gives_motion_cut_with_the_picture(priors: Path, tmp_path: Path) -> None:
    whole = ClipReader(priors, motion=True).read(3, 9)
    part = ClipReader(priors, motion=True).read(3, 9, (32, 64, 96, 80))
    cached = ClipReader(priors, motion=True, cache=tmp_path).read(3, 9, (32, 64, 96, 80))
    assert ClipReader(priors).read(3, 9).flow is None
    assert whole.flow is not None and whole.history is not None
    for name in ("flow", "history"):
        cut = getattr(whole, name)[..., 8:32, 16:36]
        assert torch.equal(getattr(part, name), cut) and torch.equal(getattr(cached, name), cut)


def test_the_radius_is_said_by_what_is_carried() -> None:
    with pytest.raises(ValueError, match=r"radius is 0"):
        config_from_dict({"network": {"name": "recurrent"}})
    assert config_from_dict({"network": {"name": "recurrent", "radius": 0}}).network.carry == "both"
