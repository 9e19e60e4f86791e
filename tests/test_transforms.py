"""Clause 8.5 in torch: against a slow scalar reference, against JM's taps, and against itself."""

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from davd.bitstream import UnsupportedStreamError
from davd.bitstream.extract import iterate
from davd.restore.projection.h264 import H264Tensors
from davd.restore.projection.transforms import UnitMaps, core, integer_residual, norm_adjust, zigzag
from davd.restore.projection.units import PriorsTensors, to_display_rows, to_macroblock_rows
from random_priors import CHROMA, random_arrays, random_priors

PLANES = ("y", "cb", "cr")
V4 = [[10, 16, 13], [11, 18, 14], [13, 20, 16], [14, 23, 18], [16, 25, 20], [18, 29, 23]]
V8 = [[20, 18, 32, 19, 25, 24], [22, 19, 35, 21, 28, 26], [26, 23, 42, 24, 33, 31],
      [28, 25, 45, 26, 35, 33], [32, 28, 51, 30, 40, 38], [36, 32, 58, 34, 46, 43]]  # fmt: skip
A4 = np.array([[1, 1, 1, 1], [1, 1, -1, -1], [1, -1, -1, 1], [1, -1, 1, -1]])
A2 = np.array([[1, 1], [1, -1]])


# --- a reference: one block at a time, in the words of the standard ------------------------------


def ref_scale(lists: np.ndarray, m: int, size: int) -> np.ndarray:
    out = np.zeros((size, size), np.int64)
    for place, raster in enumerate(zigzag(size)):
        i, j = divmod(raster, size)
        if size == 4:
            norm = V4[m][0 if not (i % 2 or j % 2) else 1 if i % 2 and j % 2 else 2]
        elif i % 4 == 0 and j % 4 == 0:
            norm = V8[m][0]
        elif i % 2 == 1 and j % 2 == 1:
            norm = V8[m][1]
        elif i % 4 == 2 and j % 4 == 2:
            norm = V8[m][2]
        elif (i % 4 == 0 and j % 2 == 1) or (i % 2 == 1 and j % 4 == 0):
            norm = V8[m][3]
        elif (i % 4 == 0 and j % 4 == 2) or (i % 4 == 2 and j % 4 == 0):
            norm = V8[m][4]
        else:
            norm = V8[m][5]
        out[i, j] = int(lists[place]) * norm
    return out


def ref_shift(product: np.ndarray, qp: int, base: int) -> np.ndarray:
    """8.5.12.1: of 4x4 blocks with base 4, of 8x8 blocks and of second stages with base 6."""
    if qp >= 6 * base:
        return product << (qp // 6 - base)
    return (product + (1 << (base - 1 - qp // 6))) >> (base - qp // 6)


def ref_4(x: list[int]) -> list[int]:
    e0, e1, e2, e3 = x[0] + x[2], x[0] - x[2], (x[1] >> 1) - x[3], x[1] + (x[3] >> 1)
    return [e0 + e3, e1 + e2, e1 - e2, e0 - e3]


def ref_8(x: list[int]) -> list[int]:
    e = [x[0] + x[4], -x[3] + x[5] - x[7] - (x[7] >> 1), x[0] - x[4],
         x[1] + x[7] - x[3] - (x[3] >> 1), (x[2] >> 1) - x[6],
         -x[1] + x[7] + x[5] + (x[5] >> 1), x[2] + (x[6] >> 1),
         x[3] + x[5] + x[1] + (x[1] >> 1)]  # fmt: skip
    f = [e[0] + e[6], e[1] + (e[7] >> 2), e[2] + e[4], e[3] + (e[5] >> 2), e[2] - e[4],
         (e[3] >> 2) - e[5], e[0] - e[6], e[7] - (e[1] >> 2)]  # fmt: skip
    return [f[0] + f[7], f[2] + f[5], f[4] + f[3], f[6] + f[1],
            f[6] - f[1], f[4] - f[3], f[2] - f[5], f[0] - f[7]]  # fmt: skip


def ref_inverse(d: np.ndarray) -> np.ndarray:
    one_way = ref_4 if len(d) == 4 else ref_8
    rows = np.array([one_way([int(v) for v in row]) for row in d])
    columns = np.array([one_way([int(v) for v in column]) for column in rows.T]).T
    return (columns + 32) >> 6


def ref_dc(c: np.ndarray, lists: np.ndarray, qp: int) -> np.ndarray:
    rows, columns = c.shape
    if (rows, columns) == (2, 2):  # 4:2:0, 8.5.11
        return ((A2 @ c @ A2 * ref_scale(lists, qp % 6, 4)[0, 0]) << (qp // 6)) >> 5
    if (rows, columns) == (4, 2):  # 4:2:2, 8.5.11
        qp += 3
        f = A4 @ c @ A2
    else:  # Intra16x16, 8.5.10
        f = A4 @ c @ A4
    return ref_shift(f * ref_scale(lists, qp % 6, 4)[0, 0], qp, 6)


def ref_accumulate(block: np.ndarray, horizontal: bool) -> np.ndarray:
    out = block.copy()
    for i, j in itertools.product(*map(range, block.shape)):
        before = (i, j - 1) if horizontal else (i - 1, j)
        if min(before) >= 0:
            out[i, j] += out[before]
    return out


def ref_macroblock(a: dict[str, np.ndarray], plane: int, k: int, y: int, x: int, depth: int):
    name = PLANES[plane]
    rows, columns = a["mb/type"].shape[1:]
    height = a[f"level/{name}"].shape[1] // rows
    width = a[f"level/{name}"].shape[2] // columns
    like_luma = (height, width) == (16, 16)
    at = slice(y * height, (y + 1) * height), slice(x * width, (x + 1) * width)
    c = a[f"level/{name}"][k][at].astype(np.int64)
    tu, mb_type = int(a["tu/y"][k, 4 * y, 4 * x]), int(a["mb/type"][k, y, x])
    qp = int(a[f"mb/qp_{name}"][k, y, x]) + 6 * (depth - 8)
    inter = mb_type > 3
    lossless = (a["tu/y"][k] & 8).any() and a["mb/qp_y"][k, y, x] == -6 * (depth - 8)
    if tu & 8 or (tu == 0 and lossless):
        return ref_bypass(a, plane, k, y, x, c, like_luma, mb_type)
    if like_luma and tu == 2:
        lists = a["scaling8x8"][k, 2 * plane + inter]
        out = np.zeros_like(c)
        for i, j in itertools.product((0, 8), (0, 8)):
            product = c[i : i + 8, j : j + 8] * ref_scale(lists, qp % 6, 8)
            out[i : i + 8, j : j + 8] = ref_inverse(ref_shift(product, qp, 6))
        return out
    lists = a["scaling4x4"][k, plane + 3 * inter]
    staged = not like_luma or tu == 3
    dc = ref_dc(c[::4, ::4], lists, qp) if staged else None
    out = np.zeros_like(c)
    for i, j in itertools.product(range(0, height, 4), range(0, width, 4)):
        d = ref_shift(c[i : i + 4, j : j + 4] * ref_scale(lists, qp % 6, 4), qp, 4)
        if dc is not None:
            d[0, 0] = dc[i // 4, j // 4]
        out[i : i + 4, j : j + 4] = ref_inverse(d)
    return out


def ref_bypass(a, plane, k, y, x, c, like_luma, mb_type):
    if not like_luma:
        mode = int(a["intra/chroma"][k, y, x])
        return ref_accumulate(c, mode == 1) if mode in (1, 2) else c
    if mb_type > 2:
        return c
    size = (4, 8, 16)[mb_type]
    out = c.copy()
    for i, j in itertools.product(range(0, 16, size), range(0, 16, size)):
        mode = int(a["intra/luma"][k, 4 * y + i // 4, 4 * x + j // 4])
        if mode in (0, 1):
            out[i : i + size, j : j + size] = ref_accumulate(
                c[i : i + size, j : j + size], mode == 1
            )
    return out


def ref_plane(a: dict[str, np.ndarray], plane: int, depth: int) -> np.ndarray:
    out = np.zeros(a[f"level/{PLANES[plane]}"].shape, np.int64)
    frames, rows, columns = a["mb/type"].shape
    height, width = out.shape[1] // rows, out.shape[2] // columns
    for k, y, x in itertools.product(range(frames), range(rows), range(columns)):
        block = ref_macroblock(a, plane, k, y, x, depth)
        across = slice(x * width, (x + 1) * width)
        if a["mb/field"][k, y, x]:
            top = (y - y % 2) * height
            out[k, top + y % 2 : top + 2 * height : 2, across] = block
        else:
            out[k, y * height : (y + 1) * height, across] = block
    return out


# --- tests ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("depth", [8, 10, 14])
@pytest.mark.parametrize("chroma", CHROMA)
def test_integer_path_equals_scalar_reference(chroma: str, depth: int) -> None:
    arrays = random_arrays(depth, chroma=chroma, depth=depth, lossless=0.2)
    priors = PriorsTensors.from_arrays(arrays, bit_depth=(depth, depth))
    assert len(priors.level) == (1 if chroma == "4:0:0" else 3)
    for plane in range(len(priors.level)):
        got = integer_residual(priors, plane).numpy()
        np.testing.assert_array_equal(got, ref_plane(arrays, plane, depth))


@pytest.mark.parametrize("seed", range(4))
def test_integer_path_over_all_qp(seed: int) -> None:
    arrays = random_arrays(seed, frames=4, fields=0.0, transforms=(1, 2, 3))
    arrays["mb/qp_y"] = (np.arange(24).reshape(4, 2, 3) + 13 * seed).clip(0, 51).astype(np.int8)
    priors = PriorsTensors.from_arrays(arrays)
    np.testing.assert_array_equal(integer_residual(priors, 0).numpy(), ref_plane(arrays, 0, 8))


def test_integer_path_without_modes_leaves_lossless_levels_as_they_are() -> None:
    arrays = random_arrays(3, lossless=1.0, fields=0.0, transforms=(1,))
    del arrays["intra/luma"], arrays["intra/chroma"]
    priors = PriorsTensors.from_arrays(arrays)
    for plane in range(3):
        assert torch.equal(integer_residual(priors, plane), priors.level[plane].int())


@pytest.mark.parametrize("chroma", CHROMA)
def test_dual_is_the_exact_inverse(chroma: str) -> None:
    priors = random_priors(5, chroma=chroma)
    for plane in range(len(priors.level)):
        maps = UnitMaps(priors, plane, dtype=torch.float64)
        x = torch.randn(priors.level[plane].shape, dtype=torch.float64)
        torch.testing.assert_close(maps.level(maps.residual(x)), x, rtol=0, atol=1e-12)
        torch.testing.assert_close(maps.residual(maps.level(x)), x, rtol=0, atol=1e-12)


@pytest.mark.parametrize("chroma", CHROMA)
def test_integer_path_rounds_the_linear_map(chroma: str) -> None:
    for seed in range(6):
        priors = random_priors(seed, chroma=chroma)
        field = priors.field if priors.field.any() else None
        for plane in range(len(priors.level)):
            exact = UnitMaps(priors, plane, dtype=torch.float64).residual(
                priors.level[plane].double()
            )
            error = to_macroblock_rows(priors.residual[plane], field) - exact
            assert error.abs().max() < H264Tensors.ROUNDING


def test_linear_maps_are_linear_and_their_gradient_is_the_map() -> None:
    priors = random_priors(7, frames=1, columns=1)
    maps = UnitMaps(priors, 0, dtype=torch.float64)
    x = torch.randn(1, 32, 16, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(maps.residual, x, atol=1e-4)
    assert torch.autograd.gradcheck(maps.level, x)


def test_reach_is_the_l1_norm_of_the_dual() -> None:
    priors = random_priors(11, frames=1, columns=2, transforms=(1, 2, 3), fields=0.0)
    for plane in range(3):
        maps = UnitMaps(priors, plane, dtype=torch.float64)
        shape = maps.step.shape
        unit = torch.eye(shape[1] * shape[2], dtype=torch.float64).view(-1, 1, *shape[1:])
        dual = torch.stack([maps.level(x) for x in unit])
        torch.testing.assert_close(dual.abs().sum(0), maps.reach(), rtol=1e-12, atol=0)


def test_maps_ignore_autocast_and_reduced_precision() -> None:
    priors = random_priors(13)
    maps = UnitMaps(priors, 0)
    x = torch.randn(priors.level[0].shape)
    plain = maps.level(x)
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("medium")
        with torch.autocast("cpu", torch.bfloat16):
            assert torch.equal(maps.level(x), plain)
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(before)


def test_maps_first_used_for_inference_serve_training_too() -> None:
    priors = random_priors(13)
    core.cache_clear()
    with torch.inference_mode():
        UnitMaps(priors, 0).level(torch.zeros(priors.level[0].shape))
    x = torch.zeros(priors.level[0].shape, requires_grad=True)
    UnitMaps(priors, 0).level(x).sum().backward()
    assert x.grad is not None


def test_field_rows_there_and_back() -> None:
    field = torch.tensor([[[True, False], [True, False]]])
    plane = torch.arange(32 * 32).view(1, 32, 32)
    order = to_macroblock_rows(plane, field)
    assert torch.equal(order[0, :16, :16], plane[0, ::2, :16])
    assert torch.equal(order[0, 16:, :16], plane[0, 1::2, :16])
    assert torch.equal(order[0, :, 16:], plane[0, :, 16:])
    assert torch.equal(to_display_rows(order, field), plane)


def test_norm_adjust_and_zigzag() -> None:
    assert norm_adjust(4)[0] == (10, 13, 10, 13, 13, 16, 13, 16) * 2
    assert norm_adjust(8)[5][:8] == (36, 34, 46, 34, 36, 34, 46, 34)
    assert sorted(zigzag(8)) == list(range(64))


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"level/y": None}, "level/y, which is not there"),
        ({"mb/qp_y": np.zeros((2, 1, 1), np.int8)}, "qp_y has shape"),
        ({"scaling4x4": np.zeros((2, 6, 16), np.uint8)}, "holds 0"),
        (random_arrays(0, rows=3) | {"mb/field": np.ones((2, 3, 3))}, "whole pairs"),
    ],
)
def test_what_does_not_belong_together_is_refused(change: dict, match: str) -> None:
    arrays = {k: v for k, v in (random_arrays(0) | change).items() if v is not None}
    with pytest.raises(ValueError, match=match):
        PriorsTensors.from_arrays(arrays)


# Small streams, together every kind of unit: CAVLC and CABAC, fields and MBAFF, 8x8 transforms,
# scaling lists, I_PCM, lossless, 4:2:2, 4:4:4, 4:0:0, 10 and 14 bit, QP below 0.
STREAMS = (
    "x_high_cabac.264", "x_cqm_lists.264", "x_cqm_jvt_cavlc.264", "x_lossless_no8x8.264",
    "x_lossless_422_10.264", "x_qp1.264", "x_qp_10bit_neg.264", "m_lossless_mix.264",
    "j_base_plain.264", "j_high_mbaff8x8_cabac.264", "j_high_field8x8_cavlc.264",
    "j_main_mbaff_cavlc_ipcm.264", "j_high422_10_cabac.264", "j_high422_mbaff_cavlc.264",
    "j_high444_qm_cabac.264", "j_high444_lossless_cavlc.264", "j_high444_14_cavlc.264",
    "j_high444_field_cabac.264", "j_high_gray_ipcm_cabac.264", "j_high10_qm_cavlc.264",
)  # fmt: skip


@pytest.mark.parametrize("name", STREAMS)
def test_integer_path_equals_the_decoder_on_streams(shared: Path, name: str) -> None:
    """The decoder's residual is held to the JM reference decoder by the conformance run."""
    stream = shared / "vectors" / "streams" / name
    try:
        frames = list(iterate(stream, frames=(0, 6), modes=True))
    except UnsupportedStreamError as error:
        pytest.skip(f"not read by the extractor: {error}")
    assert frames
    for record, info in frames:
        depth = info.bit_depth_luma, info.bit_depth_chroma
        priors = PriorsTensors.from_records([record], bit_depth=depth)
        for plane, stored in enumerate(priors.residual):
            assert torch.equal(integer_residual(priors, plane), stored.int()), PLANES[plane]


# With flat scaling lists and nothing lossless, which the taps say nothing of.
TAPS = (
    "j_base_fmo1_slices", "j_base_plain", "j_high10_cabac", "j_high422_cavlc", "j_high444_cabac",
    "j_high_cbcr_cabac", "j_high_gray_cabac", "j_main_field_cabac_sp", "j_main_mbaff_cabac_te",
    "j_main_mbaff_cavlc_ipcm", "j_main_paff_cabac_te", "x_b5_strict", "x_high_cabac", "x_qp1",
)  # fmt: skip


@pytest.mark.parametrize("name", TAPS)
def test_integer_path_equals_the_taps_of_the_reference_decoder(shared: Path, name: str) -> None:
    depth = 10 if "high10" in name else 8
    with np.load(shared / "vectors" / "taps" / f"{name}.npz") as taps:
        priors = PriorsTensors.from_arrays(dict(taps), bit_depth=(depth, depth))
    for plane, stored in enumerate(priors.residual):
        assert torch.equal(integer_residual(priors, plane), stored.int()), PLANES[plane]
