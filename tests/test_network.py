"""Networks: shapes, gradients, determinism; windows that share features come out the same."""

import dataclasses

import pytest
import torch
from davd.bitstream.priors.schema import TuType
from davd.data.sample import Planes, Sample, collate
from davd.restore.checkpoint import build_network
from davd.restore.config import NetworkConfig
from davd.restore.networks.davd import SoundBranch, lay_over_face
from davd.restore.networks.picture import (
    apply_correction,
    channels,
    input_channels,
    maps,
    normal,
    picture,
)
from davd.restore.networks.restorer import Restorer, Stream

torch.set_num_threads(1)  # small tensors: more threads only wait for each other
SMALL = {"channels": 8, "sound_channels": 4, "front_blocks": 1, "video_blocks": 2, "blocks": 1}
NAMES = ["davd-lite", "davd-full", "dscnn", "dkfn", "mfqe", "edvr", "basicvsrpp"]


def make_sample(
    *, batch: int = 1, frames: int = 5, height: int = 32, width: int = 48, seed: int = 0
) -> Sample:
    random = torch.Generator().manual_seed(seed)

    def planes(low: int, high: int, kind: torch.dtype) -> Planes:
        sizes = [(height, width), (height // 2, width // 2), (height // 2, width // 2)]
        return Planes(
            *(
                torch.randint(low, high, (batch, frames, *s), generator=random).to(kind)
                for s in sizes
            )
        )

    def blocks(high: int, step: int, kind: torch.dtype) -> torch.Tensor:
        shape = (batch, frames, height // step, width // step)
        return torch.randint(0, high, shape, generator=random).to(kind)

    return Sample(
        decoded=planes(0, 256, torch.uint8),
        clean=planes(0, 256, torch.uint8),
        prediction=planes(0, 256, torch.uint8),
        residual=planes(-30, 30, torch.int16),
        qp_y=blocks(52, 16, torch.int8),
        tu=blocks(4, 4, torch.uint8),
        mb_type=blocks(15, 16, torch.uint8),
        sound=torch.randn(batch, frames, 21, 39, generator=random),
        face=torch.tensor([[4, 4, 24, 24]] * batch, dtype=torch.int32),
    )


def make_network(name: str, *, shake: bool = True, **changes: object) -> Restorer:
    """A small network whose last layers are not zero."""
    torch.manual_seed(0)
    name, _, width = name.partition("-")
    settings: dict[str, object] = {"name": name, "width": width or "full", "reach": 2.0}
    network = build_network(NetworkConfig(**(settings | SMALL | changes)))  # type: ignore[arg-type]
    if shake:
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.add_(0.05 * torch.randn_like(parameter))
    return network.eval()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("priors", [False, True])
def test_shapes(name: str, priors: bool) -> None:
    network = make_network(name, priors=priors)
    with torch.inference_mode():
        restored = network(make_sample(batch=2, frames=6))
    assert [tuple(plane.shape) for plane in restored] == [(2, 2, 32, 48), *[(2, 2, 16, 24)] * 2]
    assert all(0 <= float(plane.min()) and float(plane.max()) <= 1 for plane in restored)


@pytest.mark.parametrize("name", NAMES)
def test_fresh_networks_change_nothing(name: str) -> None:
    sample = make_sample()
    restored = make_network(name, shake=False)(sample)
    decoded = normal(sample.cut(2, 3).decoded, (8, 8))
    for plane, same in zip(restored, decoded, strict=True):
        torch.testing.assert_close(plane, same, atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", NAMES)
def test_every_weight_has_a_gradient(name: str) -> None:
    network = make_network(name, priors=True)
    restored = network(make_sample(frames=6))
    sum((plane * torch.randn_like(plane)).sum() for plane in restored).backward()  # type: ignore[union-attr]
    silent = [
        key for key, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum()
    ]
    # frames here are inter, so DS-CNN's intra tail is rightly left alone
    assert [key for key in silent if not key.startswith("intra_tail")] == []


@pytest.mark.parametrize("name", NAMES)
def test_stream_equals_windows(name: str) -> None:
    network = make_network(name, priors=True)
    sample = make_sample(frames=7)
    stream = Stream(network)
    out = [stream.push(sample.cut(k, k + 1)) for k in range(7)]
    assert out[:2] == [None, None]
    frames = [planes for planes in out if planes is not None] + stream.flush()
    assert len(frames) == 7
    with torch.inference_mode():
        inner = network(sample)
        first = network(collate_repeated(sample))
    for k in range(3):
        torch.testing.assert_close(frames[k + 2].y[:, 0], inner.y[:, k], atol=2e-6, rtol=1e-5)
    torch.testing.assert_close(frames[0].y[:, 0], first.y[:, 0], atol=2e-6, rtol=1e-5)


def collate_repeated(sample: Sample) -> Sample:
    """The window of the first frame, which is repeated before itself."""
    return sample.apply(
        lambda t: torch.cat([t[:, :1], t[:, :1], t[:, :3]], 1) if t.dim() > 2 else t
    )


def test_mirroring_averages_both_ways_round() -> None:
    from davd.data.augment import mirrored

    sample = make_sample(frames=5)
    other = collate([mirrored(sample.apply(lambda t: t[0]))])
    plain, both = make_network("davd-lite"), make_network("davd-lite", mirror=True)
    streams = [Stream(plain), Stream(plain), Stream(both)]
    for k in range(5):
        out = [
            stream.push(frames.cut(k, k + 1))
            for stream, frames in zip(streams, (sample, other, sample), strict=True)
        ]
    assert out[0] is not None and out[1] is not None and out[2] is not None
    one, two = out[0].y, out[1].y.flip(-1)
    inside = (one > 0) & (one < 1) & (two > 0) & (two < 1)  # clipping comes after the mean
    assert inside.float().mean() > 0.5
    expected = ((one + two) / 2)[inside]
    torch.testing.assert_close(out[2].y[inside], expected, atol=2e-6, rtol=1e-5)
    assert (out[0].y - out[2].y).abs().max() > 1e-4


def test_fine_quantisation_holds_the_correction_back() -> None:
    sample = make_sample(frames=5)
    plain, damped = make_network("davd-lite"), make_network("davd-lite", damp=0.05)
    qp = torch.tensor([[46, 36, 20], [51, 41, 26]], dtype=torch.int8).expand(1, 5, 2, 3)
    sample = dataclasses.replace(sample, qp_y=qp)
    streams = [Stream(plain), Stream(damped)]
    for k in range(5):
        out = [stream.push(sample.cut(k, k + 1)) for stream in streams]
    assert out[0] is not None and out[1] is not None
    decoded = normal(sample.decoded, (8, 8)).map(lambda plane: plane[0, 2])
    for before, all_of_it, some_of_it in zip(decoded, *out, strict=True):
        whole, some = all_of_it[0, 0] - before, some_of_it[0, 0] - before
        inside = (all_of_it[0, 0] > 0) & (all_of_it[0, 0] < 1)
        share = torch.tensor([[1, 0.5, 0], [1, 0.75, 0]])
        side = before.shape[0] // 2
        share = share.repeat_interleave(side, 0).repeat_interleave(side, 1)
        torch.testing.assert_close(some[inside], (share * whole)[inside], atol=2e-6, rtol=1e-5)
    with pytest.raises(ValueError, match="QP"):
        damped.damped(out[0], dataclasses.replace(sample.cut(2, 3), qp_y=None))


@pytest.mark.parametrize("scale", [1, 2])
def test_maps_of_field_macroblocks_lie_on_the_rows_of_their_field(scale: int) -> None:
    """A pair of field macroblocks with QP 48 and 24 beside a pair of frame macroblocks."""
    sample = make_sample(frames=1)
    qp = torch.tensor([[48, 48, 36], [24, 24, 12]], dtype=torch.int8).view(1, 1, 2, 3)
    unit = torch.full((1, 1, 8, 12), int(TuType.TU_8X8), dtype=torch.uint8)
    field = torch.tensor([1, 0, 0], dtype=torch.uint8).expand(1, 1, 2, 3)
    sample = dataclasses.replace(sample, qp_y=qp, tu=unit)
    size = torch.Size(side // scale for side in sample.decoded.y.shape[-2:])
    frame = maps(sample, size)[0, 0]
    fields = maps(dataclasses.replace(sample, field=field), size)[0, 0]
    columns = slice(16 // scale, None)
    assert torch.equal(fields[..., columns], frame[..., columns])
    pair, apart = fields[..., : 16 // scale], frame[..., : 16 // scale]
    top, bottom = apart[:, : 16 // scale], apart[:, 16 // scale :]
    rows = [top, bottom] if scale == 1 else [(top + bottom) / 2] * 2
    assert torch.equal(pair, torch.stack(rows, 2).flatten(1, 2))
    if scale == 1:  # QP is the first channel: (48 - 36) / 12 and (24 - 36) / 12
        assert pair[0, ::2].unique().tolist() == [1] and pair[0, 1::2].unique().tolist() == [-1]


def test_a_field_map_of_zeros_is_none() -> None:
    sample = make_sample(frames=1, height=48)  # three rows of macroblocks: no pairs
    zeros = dataclasses.replace(sample, field=torch.zeros(1, 1, 3, 3, dtype=torch.uint8))
    size = sample.decoded.y.shape[-2:]
    assert torch.equal(maps(zeros, size), maps(sample, size))
    damped = make_network("davd-lite", damp=0.05)
    decoded = normal(sample.decoded, (8, 8))
    brighter = decoded.map(lambda plane: plane + 0.1)
    for one, other in zip(
        damped.damped(brighter, sample), damped.damped(brighter, zeros), strict=True
    ):
        assert torch.equal(one, other)


def test_a_field_is_held_back_by_its_own_qp() -> None:
    network = make_network("davd-lite", damp=0.1)
    sample = make_sample(frames=1)
    qp = torch.tensor([46, 36]).view(1, 1, 2, 1).expand(1, 1, 2, 3).to(torch.int8)
    field = torch.ones(1, 1, 2, 3, dtype=torch.uint8)
    sample = dataclasses.replace(sample, qp_y=qp, field=field)
    decoded = normal(sample.decoded, (8, 8))
    kept = network.damped(decoded.map(lambda plane: plane + 1), sample)
    for before, after in zip(decoded, kept, strict=True):
        change = (after - before)[0, 0]
        torch.testing.assert_close(change[::2], torch.ones_like(change[::2]))
        torch.testing.assert_close(change[1::2], torch.zeros_like(change[1::2]))


def test_stream_shorter_than_a_window() -> None:
    network = make_network("davd-lite")
    for count in (0, 1, 2):
        stream = Stream(network)
        sample = make_sample(frames=max(count, 1))
        out = [stream.push(sample.cut(k, k + 1)) for k in range(count)]
        assert len([p for p in out if p is not None] + stream.flush()) == count


def test_too_few_frames_are_refused() -> None:
    with pytest.raises(ValueError, match="a window is 5"):
        make_network("davd-lite")(make_sample(frames=4))


@pytest.mark.parametrize("name", ["davd-lite", "davd-full"])
def test_same_input_same_output(name: str) -> None:
    network, sample = make_network(name), make_sample()
    with torch.inference_mode():
        first, second = network(sample), network(sample)
    assert torch.equal(first.y, second.y) and torch.equal(first.cb, second.cb)


def test_switches_change_the_network() -> None:
    counts = [
        make_network("davd-lite", **switches).parameter_count()
        for switches in (
            {"audio": False},
            {"audio": True, "attention": False},
            {"audio": True, "attention": True},
            {"audio": True, "attention": True, "priors": True},
        )
    ]
    assert counts == sorted(set(counts))


def test_sound_reaches_the_face_and_only_it() -> None:
    network = make_network("davd-lite", align=False, video_blocks=0, blocks=0)
    sample = make_sample(height=96, width=96)
    with torch.inference_mode():
        heard = network(sample)
        assert sample.sound is not None
        silent = network(dataclasses.replace(sample, sound=torch.zeros_like(sample.sound)))
    change = (heard.y - silent.y).abs()[0, 0]
    assert change[8:24, 8:24].max() > 1e-4
    assert change[48:, 48:].max() < 1e-6


def test_no_sound_is_silence() -> None:
    network, sample = make_network("davd-lite"), make_sample()
    assert sample.sound is not None
    with torch.inference_mode():
        none = network(dataclasses.replace(sample, sound=None))
        zeros = network(dataclasses.replace(sample, sound=torch.zeros_like(sample.sound)))
    assert torch.equal(none.y, zeros.y)


def test_maps_cover_the_face_box() -> None:
    maps = torch.arange(4.0).view(1, 1, 2, 2).repeat_interleave(8, 2).repeat_interleave(8, 3)
    laid = lay_over_face(maps, torch.tensor([[8, 16, 16, 16]]), torch.Size((24, 16)), 2)[0, 0]
    assert laid[:7].abs().max() == 0 and laid[:, :3].abs().max() == 0 and laid[17:].abs().max() == 0
    assert laid[9, 5] == 0 and laid[9, 10] == 1 and laid[14, 5] == 2 and laid[14, 10] == 3


def test_sound_branch_gives_maps_of_thirty_two_times_its_start() -> None:
    maps = SoundBranch(4, 2)(torch.randn(3, 21, 39))
    assert maps.shape == (3, 4, 64, 64)


def test_a_tile_with_its_margin_comes_out_as_the_whole() -> None:
    network = make_network("davd-lite", audio=False, video_blocks=1, channels=4)
    sample = make_sample(height=32, width=224, seed=3)
    margin = network.margin
    assert margin % 16 == 0 and 112 + margin <= 224

    def left(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.dim() < 4:
            return tensor
        return tensor[..., : tensor.shape[-1] * (112 + margin) // 224]

    tile = dataclasses.replace(sample.apply(left), sound=None)
    with torch.inference_mode():
        whole, part = network(sample), network(tile)
    torch.testing.assert_close(part.y[..., :112], whole.y[..., :112], atol=2e-6, rtol=1e-5)


@pytest.mark.parametrize("scale", [1, 2])
@pytest.mark.parametrize("colour", ["ycbcr", "rgb"])
def test_a_correction_lands_on_its_planes(scale: int, colour: str) -> None:
    if scale == 2 and colour == "rgb":
        return
    decoded = normal(make_sample().decoded, (8, 8))
    wanted = decoded.map(lambda plane: plane + 0.1 * torch.rand_like(plane))
    change = picture(wanted, scale, colour) - picture(decoded, scale, colour)
    restored = apply_correction(decoded, change, scale, colour)
    for plane, aim in zip(restored, wanted, strict=True):
        torch.testing.assert_close(plane, aim, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("chroma", ["4:0:0", "4:2:2", "4:4:4"])
def test_other_chroma_formats(chroma: str) -> None:
    sample = make_sample()
    shape = {"4:0:0": (0, 0), "4:2:2": (32, 24), "4:4:4": (32, 48)}[chroma]
    planes = Planes(
        sample.decoded.y, *(torch.full((1, 5, *shape), 90, dtype=torch.uint8) for _ in range(2))
    )
    other = dataclasses.replace(sample, decoded=planes)
    for name in ("davd-lite", "davd-full", "recurrent"):
        changes = {"radius": 0} if name == "recurrent" else {}
        restored = make_network(name, **changes)(other)
        assert [tuple(p.shape[2:]) for p in restored] == [(32, 48), shape, shape]


@pytest.mark.parametrize("scale", [1, 2])
def test_input_channels_are_counted_right(scale: int) -> None:
    for priors, qp in ((False, False), (False, True), (True, False)):
        config = NetworkConfig(priors=priors, qp=qp)
        assert channels(make_sample(), config, scale).shape[2] == input_channels(config, scale)


def test_unknown_names_build_nothing() -> None:
    with pytest.raises(ValueError, match="no rival 'vrt': expected one of dscnn"):
        build_network(NetworkConfig(name="vrt"))


def test_missing_priors_are_named() -> None:
    sample = dataclasses.replace(make_sample(), residual=None)
    with pytest.raises(ValueError, match="residual"):
        make_network("davd-lite", priors=True)(sample)


def test_transform_edges_are_mirrored_with_the_picture() -> None:
    from davd.data.augment import mirrored

    config = NetworkConfig(priors=True)
    sample = make_sample()
    single = sample.apply(lambda t: t[0])
    there = channels(collate([mirrored(single)]), config, 1)
    here = channels(sample, config, 1).flip(-1)
    here[:, :, -1] *= -1  # the last map: first and last column of a unit change places
    torch.testing.assert_close(there, here)


def test_ten_bits_are_normalised_by_their_own_range() -> None:
    sample = make_sample()
    deep = sample.decoded.map(lambda plane: plane.to(torch.int32) * 1023 // 255)
    first = normal(sample.decoded, (8, 8)).y
    second = normal(Planes(*deep), (10, 10)).y
    torch.testing.assert_close(first, second, atol=1e-3, rtol=0)
