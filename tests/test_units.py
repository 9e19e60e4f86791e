"""Blocks as networks are told of them: H.264 as it always was, HEVC by the same names."""

import dataclasses

import pytest
import torch
from davd.data.augment import mirrored
from davd.data.sample import Planes, Sample, blinded, collate
from davd.data.units import has_units, skips, units_of
from davd.restore.config import NetworkConfig
from davd.restore.job.tiles import Box, cut_sample
from davd.restore.networks.picture import MAPS, channels, input_channels, maps
from random_hevc import random_arrays as random_hevc
from random_priors import random_arrays
from torch import Tensor


def planes(arrays: dict, group: str) -> Planes:
    return Planes(*(torch.from_numpy(arrays[f"{group}/{name}"][None].astype("int32"))
                    for name in ("y", "cb", "cr")))  # fmt: skip


def h264_sample(seed: int) -> Sample:
    arrays = random_arrays(seed, frames=3, fields=0.0)
    got = {n: torch.from_numpy(arrays[p][None]) for n, p in
           (("tu", "tu/y"), ("mb_type", "mb/type"), ("qp_y", "mb/qp_y"))}  # fmt: skip
    groups = {g: planes(arrays, g) for g in ("prediction", "residual")}
    return Sample(decoded=groups["prediction"], **groups, **got)


def hevc_sample(seed: int) -> Sample:
    arrays = random_hevc(seed, frames=3, size=(64, 96))
    names = ("cu_mode", "cu_size", "tu_size", "tu_kind")
    got = {n: torch.from_numpy(arrays[n.replace("_", "/")][None]) for n in names}
    got["qp_y"] = torch.from_numpy(arrays["qp/y"][None])
    size = torch.where(got["tu_size"] > 0, got["tu_size"], got["cu_size"]).long()
    cells = 2 ** (size - 2)
    got["unit_x"] = (torch.arange(size.shape[-1]) % cells).to(torch.uint8)
    got["unit_y"] = (torch.arange(size.shape[-2])[:, None] % cells).to(torch.uint8)
    got["picture_type"] = torch.from_numpy(arrays["frames/picture_type"])[None, :, None, None]
    groups = {g: planes(arrays, g) for g in ("prediction", "residual")}
    return Sample(decoded=groups["prediction"], **groups, **got)


def over(blocks: Tensor, size: int, step: int) -> Tensor:
    times = blocks.new_ones(1).numel() * size // step
    return blocks.repeat_interleave(times, -2).repeat_interleave(times, -1)


@pytest.mark.parametrize("scale", [1, 2, 4])
def test_maps_of_h264_are_what_networks_were_trained_with(scale: int) -> None:
    """In the words of before there was a second codec, sample by sample."""
    sample = h264_sample(5)
    assert sample.tu is not None and sample.mb_type is not None and sample.qp_y is not None
    height, width = sample.decoded.y.shape[-2:]
    got = maps(sample, torch.Size((height // scale, width // scale)))
    assert got.shape[-3] == MAPS
    mb, tu = over(sample.mb_type, 16, scale), over(sample.tu & 7, 4, scale)
    qp = over(sample.qp_y, 16, scale)
    wanted = [
        (qp.float() - 36) / 12,
        ((mb == 4) | (mb == 9)).float(),
        (mb <= 3).float(),
        (mb >= 9).float(),
        (tu == 2).float(),
        (tu == 0).float(),
    ]
    side = torch.full_like(tu, 16).masked_fill(tu == 1, 4).masked_fill(tu == 2, 8).long()
    for axis, count in ((0, height // scale), (1, width // scale)):
        place = torch.arange(count) * scale
        place = place[:, None] if axis == 0 else place[None]
        wanted.append((place % side == 0).float() - (place % side == side - scale).float())
    for channel, want in enumerate(wanted):
        assert torch.equal(got[..., channel, :, :], want), channel


def test_units_of_hevc() -> None:
    sample = hevc_sample(3)
    assert sample.cu_mode is not None and sample.tu_kind is not None
    assert sample.tu_size is not None and sample.cu_size is not None
    units = units_of(sample)
    assert torch.equal(units.skip, sample.cu_mode == 0)
    assert torch.equal(units.intra, sample.cu_mode >= 2)
    assert torch.equal(units.silent, (sample.tu_kind == 0) & (sample.cu_mode != 3))
    assert set(units.side.unique().tolist()) <= {4, 8, 16, 32}
    assert (units.side[sample.tu_size > 0] == 2 ** sample.tu_size[sample.tu_size > 0].long()).all()
    assert (
        units.side[sample.tu_size == 0] == 2 ** sample.cu_size[sample.tu_size == 0].long()
    ).all()
    b = (sample.picture_type == 2).expand_as(units.two_way)
    assert torch.equal(units.two_way, b & ~units.intra)
    assert not units.large[sample.tu_kind == 0].any()


@pytest.mark.parametrize("scale", [1, 2, 4])
def test_both_codecs_make_the_same_channels(scale: int) -> None:
    config = NetworkConfig(priors=True, colour="ycbcr")
    for sample in (h264_sample(1), hevc_sample(1)):
        if scale < 4:
            got = channels(sample, config, scale)
            assert got.shape[-3] == input_channels(config, scale) and got.isfinite().all()
        size = torch.Size(side // scale for side in sample.decoded.y.shape[-2:])
        made = maps(sample, size)
        assert made.shape == (1, 3, MAPS, *size)
        edges = made[..., -2:, :, :]
        assert edges.min() == (-1 if scale < 4 else 0) or scale == 4
        assert edges.max() == 1


def test_what_is_skipped_by_either_map() -> None:
    assert skips(torch.tensor([0, 4, 9, 10]), "mb/type").tolist() == [False, True, True, False]
    assert skips(torch.tensor([0, 1, 2, 3]), "cu/mode").tolist() == [True, False, False, False]


def test_without_maps_a_network_that_reads_them_refuses() -> None:
    bare = dataclasses.replace(h264_sample(1), tu=None)
    assert has_units(h264_sample(1)) and has_units(hevc_sample(1)) and not has_units(bare)
    with pytest.raises(ValueError, match="macroblocks or coding units: not in the priors"):
        units_of(bare)


def test_a_mirror_image_has_its_edges_where_they_belong() -> None:
    sample = hevc_sample(2)
    single = sample.apply(lambda tensor: tensor[0])
    there = maps(collate([mirrored(single)]), torch.Size((64, 96)))
    here = maps(sample, torch.Size((64, 96)))
    assert torch.equal(there[..., :-1, :, :].flip(-1), here[..., :-1, :, :])
    assert torch.equal(-there[..., -1, :, :].flip(-1), here[..., -1, :, :])  # first is then last


def test_a_cut_has_the_edges_of_the_whole() -> None:
    sample = hevc_sample(7)
    whole = maps(sample, torch.Size((64, 96)))
    part = cut_sample(sample, Box(16, 48, 32, 32))
    assert torch.equal(maps(part, torch.Size((32, 32))), whole[..., 16:48, 48:80])


@pytest.mark.parametrize("make", [h264_sample, hevc_sample])
@pytest.mark.parametrize("priors", [True, False])
def test_a_batch_may_hold_samples_whose_bitstream_says_less(make, priors: bool) -> None:
    single = make(7).apply(lambda t: t[0])
    there = dataclasses.replace(single, flow=None, history=None)
    blind = blinded(there, priors=priors)
    seeing = dataclasses.replace(there, flow=blind.flow, history=blind.history)
    both = collate([seeing, blind])
    names = ("qp_y", "tu", "mb_type", "cu_mode", "cu_size", "tu_size", "tu_kind", "unit_x")
    for name in names:
        own, stacked = getattr(single, name), getattr(both, name)
        assert (own is None) == (stacked is None), name
        assert own is None or torch.equal(stacked[0], own), name


def test_a_blind_sample_of_hevc_looks_like_one_of_h264() -> None:
    one, other = (blinded(make(7), priors=True) for make in (h264_sample, hevc_sample))
    height, width = one.decoded.y.shape[-2:]  # the smaller one
    there = maps(other, other.decoded.y.shape[-2:])[..., :height, :width]
    assert torch.equal(maps(one, one.decoded.y.shape[-2:]), there)
