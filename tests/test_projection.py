"""The projection: idempotent, inside the cell, nearest, exact where nothing is free."""

import dataclasses

import pytest
import torch
from davd.data.sample import Planes
from davd.restore.projection.cells import (
    cell_from_encoder,
    make_cells,
    rounding_of,
)
from davd.restore.projection.project import Projector, consistency, outside, project
from davd.restore.projection.units import PriorsTensors, to_macroblock_rows
from hypothesis import given, settings
from hypothesis import strategies as st
from projecting import (
    BOUND,
    assert_idempotent_and_inside,
    assert_identity_inside,
    assert_no_width_is_the_decoder,
    cells_for,
    cells_of,
    decoder_samples,
    seeds,
    spreads,
)
from random_priors import CHROMA, random_planes, random_priors, sample_of
from torch import Tensor

chromas = st.sampled_from(sorted(CHROMA))
depths = st.sampled_from([8, 10])


def distance(a: Tensor, b: Tensor) -> Tensor:
    return (a - b).square().sum()


@settings(deadline=None, max_examples=40)
@given(seeds, chromas, depths, cells_of, spreads)
def test_idempotent_and_inside_the_cell(
    seed: int, chroma: str, depth: int, name: str, spread: float
) -> None:
    priors = random_priors(seed, chroma=chroma, depth=depth, lossless=0.1)
    assert_idempotent_and_inside(priors, name, seed, spread, slack=1e-9, far=1e-12)


@settings(deadline=None, max_examples=40)
@given(seeds, chromas, cells_of)
def test_identity_inside_the_cell_bit_for_bit(seed: int, chroma: str, name: str) -> None:
    priors = random_priors(seed, chroma=chroma, transforms=(0, 1, 2, 3), fields=0.0)
    assert_identity_inside(priors, name, seed)


@settings(deadline=None, max_examples=30)
@given(seeds, chromas, depths, spreads)
def test_cells_of_no_width_give_the_decoders_samples_exactly(
    seed: int, chroma: str, depth: int, spread: float
) -> None:
    priors = random_priors(seed, chroma=chroma, depth=depth, lossless=0.1)
    assert_no_width_is_the_decoder(priors, seed, spread)


@settings(deadline=None, max_examples=30)
@given(seeds, chromas, cells_of)
def test_pcm_and_lossless_come_out_exactly_as_decoded(seed: int, chroma: str, name: str) -> None:
    priors = random_priors(seed, chroma=chroma, transforms=(1, 2, 4), lossless=0.5)
    planes = random_planes(priors, seed, spread=20.0)
    got = project(planes, cells_for(priors, name, torch.float32))
    exact = (priors.tu[:, ::4, ::4] & 7 == 4) | priors.bypassed()
    field = priors.field if priors.field.any() else None
    for plane, want in enumerate(decoder_samples(priors, torch.float32)):
        height, width = priors.macroblock(plane)
        mask = exact.repeat_interleave(height, 1).repeat_interleave(width, 2)
        a, b = (to_macroblock_rows(x, field)[mask] for x in (got[plane], want))
        assert torch.equal(a, b)


@settings(deadline=None, max_examples=20)
@given(seeds, chromas, cells_of)
def test_projection_is_the_nearest_picture_in_the_cell(seed: int, chroma: str, name: str) -> None:
    priors = random_priors(seed, chroma=chroma)
    cells = cells_for(priors, name)
    planes = random_planes(priors, seed, spread=30.0, dtype=torch.float64)
    others = project(random_planes(priors, seed + 1, spread=30.0, dtype=torch.float64), cells)
    for plane, nearest, other in zip(planes, project(planes, cells), others, strict=True):
        assert distance(plane, nearest) <= distance(plane, other)
        assert distance(nearest, other) <= distance(plane, other)  # never further from the truth


@pytest.mark.parametrize("chroma", CHROMA)
@pytest.mark.parametrize("name", BOUND)
def test_gradcheck(name: str, chroma: str) -> None:
    priors = random_priors(21, chroma=chroma, frames=1, columns=1, qp=(30, 40), flat=True)
    cells = cells_for(priors, name)
    planes = random_planes(priors, 4, spread=25.0, dtype=torch.float64)
    cut = sum(int(mask.sum()) for mask in outside(planes, cells, slack=0.0))
    assert 0 < cut < sum(plane.numel() for plane in planes)
    for index, plane in enumerate(planes):
        rows = slice(0, 16 if plane.shape[1] == 32 else 8)
        probe = plane[:, rows, :8].clone().requires_grad_()

        def through(x: Tensor, index: int = index, rows: slice = rows) -> Tensor:
            whole = [p.clone() for p in planes]
            whole[index][:, rows, :8] = x
            return project(whole, cells)[index]

        assert torch.autograd.gradcheck(through, probe, eps=1e-7, atol=1e-5, fast_mode=True)


def test_gradient_passes_inside_and_stops_where_cut() -> None:
    priors = random_priors(2, transforms=(1,), fields=0.0, flat=True, qp=(30, 30))
    cells = cells_for(priors, "paper")
    of_plane = cells.planes[0]
    change = torch.zeros_like(of_plane.low)
    change[:, ::4, ::4] = 3.0  # all DC coefficients outside, all others inside
    samples = (of_plane.offset + of_plane.maps.residual(change)) / of_plane.peak
    samples.requires_grad_()
    (project([samples], cells)[0] * torch.rand_like(samples)).sum().backward()
    blocks = samples.grad.view(2, 8, 4, 12, 4)
    assert blocks.abs().amax((2, 4)).min() > 0
    assert blocks.sum((2, 4)).abs().max() < 1e-12  # nothing passes along DC


def test_none_is_no_projection() -> None:
    priors = random_priors(1, lossless=0.5)
    planes = random_planes(priors, 1, spread=50.0)
    cells = make_cells(priors, "none")
    assert all(a is b for a, b in zip(planes, project(planes, cells), strict=True))
    assert consistency(planes, cells).tolist() == [0.0, 0.0]


def test_residual_that_is_not_of_its_levels_comes_out_as_decoded() -> None:
    priors = random_priors(8, transforms=(1,), fields=0.0)
    wrong = priors.residual[0].clone()
    wrong[0, 3, 20] += 5  # as in SP macroblocks
    priors = dataclasses.replace(priors, residual=(wrong, *priors.residual[1:]))
    got = project(random_planes(priors, 3, spread=40.0), cells_for(priors, "paper", torch.float32))
    want = decoder_samples(priors, torch.float32)[0]
    same = (got[0] == want)[0].view(2, 16, 3, 16).all(3).all(1)
    assert same.tolist() == [[False, True, False], [False, False, False]]


def test_concealed_frames_are_left_alone() -> None:
    priors = dataclasses.replace(random_priors(8), concealed=torch.tensor([False, True]))
    planes = random_planes(priors, 3, spread=40.0)
    cells = make_cells(priors, "paper")
    for plane, projected in zip(planes, project(planes, cells), strict=True):
        assert torch.equal(projected[1], plane[1])
        assert not torch.equal(projected[0], plane[0])
    share = consistency(planes, cells)
    assert share[0] > 0 == share[1]


@pytest.mark.parametrize("chroma", CHROMA)
def test_rounded_output_is_consistent_within_its_rounding(chroma: str) -> None:
    priors = random_priors(6, chroma=chroma, qp=(20, 40), flat=True)
    cells = make_cells(priors, "paper")
    planes = random_planes(priors, 6, spread=40.0)
    assert (consistency(planes, cells) > 0.01).all()
    rounded = [(plane * 255).round() / 255 for plane in project(planes, cells)]
    assert (consistency(rounded, cells, slack=0.51) == 0).all()


def test_deadzone_cell_holds_what_its_quantiser_was_given() -> None:
    """Levels of a dead-zone quantiser at its own rounding: the truth is never outside."""
    for name, shift in (("deadzone", (21 / 64, 11 / 64)), ("paper", (0.5, 0.5))):
        priors = random_priors(
            4, transforms=(1, 2), fields=0.0, chroma="4:0:0", qp=(28, 40), flat=True
        )
        inter = (priors.mb_type > 3).repeat_interleave(16, 1).repeat_interleave(16, 2)
        maps = cells_for(priors, "paper").planes[0].maps
        generator = torch.Generator().manual_seed(4)
        true = 2 * torch.randn(priors.level[0].shape, generator=generator, dtype=torch.float64)
        bias = torch.where(inter, shift[1], shift[0]).double()
        level = (true.sign() * (true.abs() + bias).floor()).int()
        residual = maps.residual(level.double()).round().int()
        priors = dataclasses.replace(priors, level=(level,), residual=(residual,))
        source = (priors.prediction[0] + maps.residual(true)) / 255
        assert consistency([source], cells_for(priors, name), slack=1e-9).max() == 0
        assert consistency([source + 9 / 255], cells_for(priors, name)).min() > 0


def test_units_without_levels_are_free_where_the_cell_says_so() -> None:
    priors = random_priors(12, transforms=(0, 1, 3))
    for plane in range(3):
        used = priors.coded(plane)
        assert (priors.level[plane] != 0)[~used].sum() == 0
        assert 0 < used.float().mean() < 1
        for name, free in (("paper", False), ("coded", True), ("trellis", True)):
            high = cells_for(priors, name).planes[plane].high
            assert torch.isinf(high).equal(~used if free else torch.zeros_like(used))


@pytest.mark.parametrize(
    ("encoder", "cell", "zones"),
    [
        ("x264 - core 164 - options: trellis=1 deadzone=21,11 nr=0", "trellis", None),
        ("x264 - core 164 - options: trellis=0 deadzone=21,11 nr=0", "deadzone", (21, 11)),
        ("x264 - core 164 - options: trellis=0 deadzone=6,10 nr=0", "deadzone", (6, 10)),
        ("x264 - core 164 - options: trellis=0 deadzone=21,11 nr=100", "trellis", None),
        ("x264 - core 164 - options: trellis=0 deadzone=99,11 nr=0", "trellis", None),
        ("some other encoder trellis=0 deadzone=1,1", "trellis", None),
        ("x265 - options: rdoq-level=0 no-signhide nr-intra=0 nr-inter=0", "deadzone", None),
        ("x265 - options: rdoq-level=0 signhide nr-intra=0 nr-inter=0", "signhide", None),
        ("x265 - options: rdoq-level=1 no-signhide nr-intra=0 nr-inter=0", "trellis", None),
        ("x265 - options: rdoq-level=2 signhide nr-intra=0 nr-inter=0", "rdoq", None),
        ("x265 - options: rdoq-level=0 no-signhide nr-intra=0 nr-inter=5", "rdoq", None),
        ("", "trellis", None),
    ],
)
def test_auto_reads_the_encoders_text(
    encoder: str, cell: str, zones: tuple[int, int] | None
) -> None:
    assert cell_from_encoder(encoder) == (cell, zones)
    assert make_cells(random_priors(0), "auto", encoder=encoder).name == cell


def test_dead_zones_of_the_text_are_used_for_luma_only() -> None:
    assert rounding_of("deadzone", 0, (6, 10)).below == (22 / 64, 26 / 64)
    assert rounding_of("deadzone", 1, (6, 10)).below == (21 / 64, 11 / 64)
    for name in ("none", "auto", "calibrated", "paper "):
        with pytest.raises(ValueError, match="assumes no rounding"):
            rounding_of(name, 0)


def test_unknown_cell_and_missing_table_are_refused() -> None:
    priors = random_priors(0)
    with pytest.raises(ValueError, match="expected one of none, paper"):
        make_cells(priors, "exact")
    with pytest.raises(ValueError, match="need a table"):
        make_cells(priors, "calibrated")


def test_projector_takes_batches_of_samples() -> None:
    priors = random_priors(9, frames=6)
    planes = random_planes(priors, 9, spread=20.0)
    want = project(planes, make_cells(priors, "paper"))
    shaped = Planes(*(plane.view(2, 3, *plane.shape[1:]) for plane in planes))
    got = Projector("paper")(shaped, sample_of(priors, 2))
    for a, b, shape in zip(got, want, shaped, strict=True):
        assert a.shape == shape.shape
        assert torch.equal(a.flatten(0, 1), b)
    middle = PriorsTensors.from_sample(sample_of(priors, 2), slice(1, -1))
    assert torch.equal(middle.level[0], priors.level[0][[1, 4]])


def test_sample_with_limited_residual_is_refused() -> None:
    sample = sample_of(random_priors(9, frames=6), 2)
    limited = dataclasses.replace(sample, residual=sample.residual.map(lambda p: p.to(torch.int8)))
    with pytest.raises(ValueError, match="in full"):
        PriorsTensors.from_sample(limited)
    with pytest.raises(ValueError, match="needs level/y"):
        PriorsTensors.from_sample(dataclasses.replace(sample, level=None))
    with pytest.raises(ValueError, match="needs the scaling lists"):
        PriorsTensors.from_sample(dataclasses.replace(sample, scaling8x8=None))
