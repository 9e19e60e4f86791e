"""Clause 8.6 of HEVC in torch, and the projection on it: a slow reference, itself, real encodes."""

import dataclasses

import numpy as np
import pytest
import torch
from davd.restore.projection import HevcTensors, PriorsTensors
from davd.restore.projection.cells import CELLS, Cells, CellTable, make_cells
from davd.restore.projection.hevc_transforms import DST, diagonal, trans_matrix
from davd.restore.projection.project import consistency, outside, project
from hypothesis import given, settings
from hypothesis import strategies as st
from random_hevc import STEPS, random_arrays, random_priors
from random_priors import random_planes
from torch import Tensor

PLANES = ("y", "cb", "cr")
BOUND = [name for name in CELLS if name != "none"]

seeds = st.integers(0, 2**32 - 1)
chromas = st.sampled_from(sorted(STEPS))
cells_of = st.sampled_from(BOUND)
depths = st.sampled_from([8, 10, 12])


# --- a reference: one block at a time, in the words of the standard ------------------------------


def ref_matrix(size: int) -> np.ndarray:
    """transMatrix as 8.6.4.2 builds it: every (32 / nTbS)-th row of the one of 32."""
    first = [64, 90, 90, 90, 89, 88, 87, 85, 83, 82, 80, 78, 75, 73, 70, 67, 64, 61, 57, 54, 50,
             46, 43, 38, 36, 31, 25, 22, 18, 13, 9, 4]  # fmt: skip
    out = np.zeros((size, size), np.int64)
    for k in range(size):
        for j in range(size):
            angle = np.pi * k * (2 * j + 1) / (2 * size)
            near = [v if k else 64 for v in first]
            wanted = 64 * np.sqrt(2 if k else 1) * np.cos(angle)
            out[k, j] = min((s * v for v in near for s in (1, -1)), key=lambda v: abs(v - wanted))
    return out


def ref_clip(values: np.ndarray) -> np.ndarray:
    return np.clip(values, -32768, 32767)


def ref_block(level: np.ndarray, m: np.ndarray, qp: int, kind: int, depth: int) -> np.ndarray:
    size = len(level)
    log2 = size.bit_length() - 1
    transform, across, down, turned = kind & 7, kind & 8, kind & 16, kind & 32
    if transform == 4:
        r = level.copy()
        if turned:
            r = r[::-1, ::-1]
    else:
        scale = (40, 45, 51, 57, 64, 72)[qp % 6] << (qp // 6)
        shift = depth + log2 + 10 - 15
        d = ref_clip((level * m * scale + (1 << (shift - 1))) >> shift)
        last = 20 - depth
        if transform == 3:
            if turned:
                d = d[::-1, ::-1]
            r = ((d << (5 + log2)) + (1 << (last - 1))) >> last
        else:
            basis = np.array(DST) if transform == 2 else ref_matrix(size)
            e = basis.T @ d
            g = ref_clip((e + 64) >> 7)
            r = ((g @ basis) + (1 << (last - 1))) >> last
    for y in range(size):
        for x in range(size):
            if across and x:
                r[y, x] += r[y, x - 1]
            if down and y:
                r[y, x] += r[y - 1, x]
    return r


def ref_factor(a: dict[str, np.ndarray], k: int, size: int, matrix: int) -> np.ndarray:
    out = np.zeros((size, size), np.int64)
    small = min(size, 8)
    scan = [(y, s - y) for s in range(2 * small - 1) for y in range(small - 1, -1, -1)
            if 0 <= s - y < small]  # fmt: skip
    entries = a["scaling4x4"][k, matrix]
    if size > 4:
        entries = a["scaling8x8"][k, {8: 0, 16: 1, 32: 2}[size], matrix]
    times = size // small
    for value, (y, x) in zip(entries, scan, strict=True):
        out[y * times : (y + 1) * times, x * times : (x + 1) * times] = value
    if size > 8:
        out[0, 0] = a["scaling_dc"][k, {16: 0, 32: 1}[size], matrix]
    return out


def ref_plane(a: dict[str, np.ndarray], plane: int, depth: int) -> np.ndarray:
    name = PLANES[plane]
    level = a[f"level/{name}"].astype(np.int64)
    down = a["level/y"].shape[1] // level.shape[1]
    across = a["level/y"].shape[2] // level.shape[2]
    kinds = a["tu/kind" if plane == 0 else f"tu/kind_{name}"]
    out = np.zeros_like(level)
    for k, y, x in np.ndindex(level.shape[0], level.shape[1] // 4, level.shape[2] // 4):
        at = k, y * down, x * across
        if not a["tu/size"][at]:
            continue
        size = 1 << int(a["tu/size"][at])
        if plane and (down, across) != (1, 1):
            size = max(size // 2, 4)
        if 4 * y % size or 4 * x % size or not kinds[at]:
            continue
        here = k, slice(4 * y, 4 * y + size), slice(4 * x, 4 * x + size)
        kind = int(kinds[at])
        inter = a["cu/mode"][at] < 2
        m = ref_factor(a, k, size, plane + 3 * inter)
        if kind & 7 == 3 and size > 4:
            m = np.full_like(m, 16)
        qp = int(a[f"qp/{name}"][at]) + 6 * (depth - 8)
        out[here] = ref_block(level[here], m, qp, kind, depth)
    if plane and f"tu/res_scale_{name}" in a:
        luma = ref_plane(a, 0, depth)
        scale = a[f"tu/res_scale_{name}"].astype(np.int64).repeat(4, 1).repeat(4, 2)
        out += (scale * luma) >> 3
    return out


# --- the integer path and the linear maps --------------------------------------------------------


@pytest.mark.parametrize("depth", [8, 10, 12])
@pytest.mark.parametrize("chroma", STEPS)
def test_integer_path_equals_scalar_reference(chroma: str, depth: int) -> None:
    arrays = random_arrays(depth, chroma=chroma, depth=depth, lossless=0.2)
    priors = PriorsTensors.from_arrays(arrays, bit_depth=(depth, depth))
    assert isinstance(priors, HevcTensors) and len(priors.level) == (1 if chroma == "4:0:0" else 3)
    for plane in range(len(priors.level)):
        got = priors.integer_residual(plane).numpy()
        np.testing.assert_array_equal(got, ref_plane(arrays, plane, depth))


def test_matrices_are_those_of_the_standard() -> None:
    for size in (4, 8, 16, 32):
        np.testing.assert_array_equal(trans_matrix(size), ref_matrix(size))
    assert trans_matrix(4) == ((64, 64, 64, 64), (83, 36, -36, -83), (64, -64, -64, 64),
                               (36, -83, 83, -36))  # fmt: skip
    assert diagonal(4) == (0, 4, 1, 8, 5, 2, 12, 9, 6, 3, 13, 10, 7, 14, 11, 15)


@pytest.mark.parametrize("depth", [8, 12])
@pytest.mark.parametrize("chroma", STEPS)
def test_dual_is_the_exact_inverse(chroma: str, depth: int) -> None:
    priors = random_priors(5, chroma=chroma, depth=depth, lossless=0.1)
    for plane in range(len(priors.level)):
        maps = priors.maps(plane, dtype=torch.float64)
        x = torch.randn(priors.level[plane].shape, dtype=torch.float64)
        torch.testing.assert_close(maps.level(maps.residual(x)), x, rtol=0, atol=1e-11)
        torch.testing.assert_close(maps.residual(maps.level(x)), x, rtol=0, atol=1e-11)


@pytest.mark.parametrize("chroma", STEPS)
def test_integer_path_rounds_the_linear_map(chroma: str) -> None:
    """RDPCM and cross-component prediction, which the maps leave out, are taken off first."""
    for seed in range(4):
        priors = random_priors(seed, chroma=chroma, flat=True, qp=(0, 30))  # nothing is clipped
        for plane in range(len(priors.level)):
            maps = priors.maps(plane, dtype=torch.float64)
            rounding = maps.rounding(priors.level[plane], priors.residual[plane])
            assert rounding.abs().max() < 1.5 < priors.ROUNDING


def test_reach_is_the_l1_norm_of_the_dual() -> None:
    priors = random_priors(11, frames=1, size=(32, 8), chroma="4:2:2")
    for plane in range(3):
        maps = priors.maps(plane, dtype=torch.float64)
        shape = priors.level[plane].shape
        unit = torch.eye(shape[1] * shape[2], dtype=torch.float64).view(-1, 1, *shape[1:])
        dual = torch.stack([maps.level(x) for x in unit])
        torch.testing.assert_close(dual.abs().sum(0), maps.reach(), rtol=1e-12, atol=0)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"tu/kind_cb": None}, "tu/kind_cb, which is not there"),
        ({"frames/picture_type": None}, "frames/picture_type, which is not there"),
        ({"qp/y": np.zeros((2, 1, 1), np.int8)}, "qp_y has shape"),
        ({"scaling8x8": np.zeros((2, 3, 6, 64), np.uint8)}, "holds 0"),
    ],
)
def test_what_does_not_belong_together_is_refused(change: dict, match: str) -> None:
    arrays = {k: v for k, v in (random_arrays(0) | change).items() if v is not None}
    with pytest.raises(ValueError, match=match):
        PriorsTensors.from_arrays(arrays)


@given(seeds)
@settings(deadline=None, max_examples=20)
def test_maps_of_nonsense_are_survived(seed: int) -> None:
    """A priors file may say anything of its units: no error but by name, and no endless numbers."""
    arrays = random_arrays(seed)
    rng = np.random.default_rng(seed)
    for name in ("cu/size", "cu/mode", "tu/size", "tu/kind", "tu/kind_cb", "qp/y", "qp/cr"):
        old = arrays[name]
        arrays[name] = rng.integers(0, 256, old.shape).astype(np.uint8).view(old.dtype)
    priors = PriorsTensors.from_arrays(arrays)
    cells = make_cells(priors, "rdoq")
    planes = random_planes(priors, seed, spread=9.0)
    for plane in project(planes, cells):
        assert plane.isfinite().all()


# --- the projection ------------------------------------------------------------------------------


def table(seed: int) -> CellTable:
    generator = torch.Generator().manual_seed(seed)
    return CellTable(
        *(torch.rand(HevcTensors.classes(), generator=generator) * 2 for _ in range(2))
    )


def cells_for(priors: HevcTensors, name: str, dtype: torch.dtype = torch.float64) -> Cells:
    return make_cells(priors, name, table=table(1), dtype=dtype)


def decoder_samples(priors: PriorsTensors, dtype: torch.dtype) -> list[Tensor]:
    """The decoder's samples before clipping and filtering, in [0, 1]."""
    return [
        (prediction + residual).to(dtype) / ((1 << priors.depth(plane)) - 1)
        for plane, (prediction, residual) in enumerate(
            zip(priors.prediction, priors.residual, strict=True)
        )
    ]


@settings(deadline=None, max_examples=25)
@given(seeds, chromas, depths, cells_of, st.sampled_from([0.1, 3.0, 60.0]))
def test_idempotent_and_inside_the_cell(
    seed: int, chroma: str, depth: int, name: str, spread: float
) -> None:
    priors = random_priors(seed, chroma=chroma, depth=depth, lossless=0.1)
    cells = cells_for(priors, name)
    planes = random_planes(priors, seed, spread=spread, dtype=torch.float64)
    once = project(planes, cells)
    assert (consistency(once, cells, slack=1e-8) == 0).all()
    for first, second in zip(once, project(once, cells), strict=True):
        torch.testing.assert_close(second, first, rtol=0, atol=1e-11)


@settings(deadline=None, max_examples=25)
@given(seeds, chromas, cells_of)
def test_identity_inside_the_cell_bit_for_bit(seed: int, chroma: str, name: str) -> None:
    priors = random_priors(seed, chroma=chroma, pcm=0.0)
    cells = cells_for(priors, name)
    generator = torch.Generator().manual_seed(seed)
    planes = []
    for of_plane in cells.planes:
        low, high = of_plane.low.clone(), of_plane.high.clone()
        low[low.isinf()], high[high.isinf()] = -9.0, 9.0
        place = 0.02 + 0.96 * torch.rand(low.shape, generator=generator, dtype=torch.float64)
        change = of_plane.maps.residual(low + place * (high - low))
        fixed = of_plane.maps.whole((low == 0) & (high == 0))
        planes.append((of_plane.offset + change.masked_fill(fixed, 0)) / of_plane.peak)
    for plane, projected in zip(planes, project(planes, cells), strict=True):
        assert torch.equal(projected, plane)


@settings(deadline=None, max_examples=20)
@given(seeds, chromas, depths)
def test_cells_of_no_width_give_the_decoders_samples_exactly(
    seed: int, chroma: str, depth: int
) -> None:
    priors = random_priors(seed, chroma=chroma, depth=depth, lossless=0.1)
    nothing = CellTable(*(torch.zeros(priors.classes()) for _ in range(2)))
    cells = make_cells(priors, "calibrated", table=nothing)
    planes = random_planes(priors, seed, spread=9.0)
    wanted = decoder_samples(priors, torch.float32)
    for got, want in zip(project(planes, cells), wanted, strict=True):
        assert torch.equal(got, want)


@pytest.mark.parametrize("name", BOUND)
def test_pcm_and_bypassed_units_come_out_as_decoded(name: str) -> None:
    priors = random_priors(17, chroma="4:2:2", lossless=0.4, pcm=0.3)
    got = project(random_planes(priors, 3, spread=20.0), cells_for(priors, name, torch.float32))
    for plane, want in enumerate(decoder_samples(priors, torch.float32)):
        mask = priors.lossless(plane)
        assert 0.2 < mask.float().mean() < 0.9
        assert torch.equal(got[plane][mask], want[mask])


@settings(deadline=None, max_examples=15)
@given(seeds, chromas, cells_of)
def test_projection_comes_no_further_from_any_picture_in_the_cell(
    seed: int, chroma: str, name: str
) -> None:
    """The rows of the matrices are orthogonal to 0.3 %, so it is so to about as much."""
    priors = random_priors(seed, chroma=chroma)
    cells = cells_for(priors, name)
    planes = random_planes(priors, seed, spread=30.0, dtype=torch.float64)
    others = project(random_planes(priors, seed + 1, spread=30.0, dtype=torch.float64), cells)
    for plane, nearest, other in zip(planes, project(planes, cells), others, strict=True):
        before, after = ((p - other).square().sum() for p in (plane, nearest))
        assert after <= 1.01 * before


def test_gradient_passes_inside_and_stops_where_cut() -> None:
    priors = random_priors(2, chroma="4:4:4", pcm=0.0, flat=True, qp=(30, 40))
    cells = cells_for(priors, "paper")
    planes = random_planes(priors, 4, spread=12.0, dtype=torch.float64)
    cut = sum(int(mask.sum()) for mask in outside(planes, cells, slack=0.0))
    assert 0 < cut < sum(plane.numel() for plane in planes)
    for index, plane in enumerate(planes):
        probe = plane[:, :16, :16].clone().requires_grad_()

        def through(x: Tensor, index: int = index) -> Tensor:
            whole = [p.clone() for p in planes]
            whole[index][:, :16, :16] = x
            return project(whole, cells)[index]

        assert torch.autograd.gradcheck(through, probe, eps=1e-7, atol=1e-5, fast_mode=True)


def test_concealed_frames_are_left_alone() -> None:
    priors = dataclasses.replace(random_priors(8), concealed=torch.tensor([False, True]))
    planes = random_planes(priors, 3, spread=40.0)
    for plane, projected in zip(planes, project(planes, make_cells(priors, "paper")), strict=True):
        assert torch.equal(projected[1], plane[1])
        assert not torch.equal(projected[0], plane[0])


def test_rounding_is_by_slice_type_and_unknown_encoders_may_do_anything() -> None:
    priors = dataclasses.replace(random_priors(3), picture_type=torch.tensor([0, 1]))
    inter = priors.rounded_as_inter(1)
    assert not inter[0].any() and inter[1].all()
    assert make_cells(priors, "auto").name == "rdoq"
    text = "x265 (build 1) - options: rdoq-level=0 no-signhide nr-intra=0 nr-inter=0"
    assert make_cells(priors, "auto", encoder=text).name == "deadzone"


def test_table_of_another_codec_is_refused() -> None:
    wrong = CellTable(torch.ones(4, 3, 2, 64), torch.ones(4, 3, 2, 64))
    with pytest.raises(ValueError, match="of another codec"):
        make_cells(random_priors(0), "calibrated", table=wrong)


def test_blocks_of_a_size_lie_where_the_tree_has_them() -> None:
    priors = random_priors(4, chroma="4:2:2")
    for plane in range(3):
        ones = torch.ones_like(priors.level[plane])
        assert priors.maps(plane).whole(ones > 0).all()  # every sample is in a block
        counts = {group.size: len(group.places) for group in priors.blocks(plane)}
        assert sum(size * size * n for size, n in counts.items()) == ones.numel()
