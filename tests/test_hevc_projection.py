"""Clause 8.6 of HEVC in torch, and the projection on it: a slow reference, itself, real encodes."""

import dataclasses
import functools
import tempfile
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from clips import picture
from davd.bitstream.extract import iterate
from davd.restore.projection import HevcTensors, PriorsTensors
from davd.restore.projection.calibrate import Calibration, level_errors
from davd.restore.projection.cells import Cells, CellTable, cell_from_encoder, make_cells
from davd.restore.projection.hevc_transforms import DST, diagonal, trans_matrix
from davd.restore.projection.project import consistency, outside, project
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
from random_hevc import STEPS, random_arrays, random_priors
from random_priors import random_planes
from random_priors import random_priors as h264_priors
from torch import Tensor
from torch.nn import functional as F

PLANES = ("y", "cb", "cr")

chromas = st.sampled_from(sorted(STEPS))
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


@settings(deadline=None, max_examples=25)
@given(seeds, chromas, depths, cells_of, spreads)
def test_idempotent_and_inside_the_cell(
    seed: int, chroma: str, depth: int, name: str, spread: float
) -> None:
    priors = random_priors(seed, chroma=chroma, depth=depth, lossless=0.1)
    assert_idempotent_and_inside(priors, name, seed, spread, slack=1e-8, far=1e-11)


@settings(deadline=None, max_examples=25)
@given(seeds, chromas, cells_of)
def test_identity_inside_the_cell_bit_for_bit(seed: int, chroma: str, name: str) -> None:
    priors = random_priors(seed, chroma=chroma, pcm=0.0)
    assert_identity_inside(priors, name, seed)


@settings(deadline=None, max_examples=20)
@given(seeds, chromas, depths)
def test_cells_of_no_width_give_the_decoders_samples_exactly(
    seed: int, chroma: str, depth: int
) -> None:
    priors = random_priors(seed, chroma=chroma, depth=depth, lossless=0.1)
    assert_no_width_is_the_decoder(priors, seed, 9.0)


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


# --- what x265 makes of a known source -----------------------------------------------------------

WIDTH, HEIGHT, FRAMES = 104, 72, 4  # whole coding blocks of 8, and no multiple of 16
# x265 transforms with the transpose of the decoder's matrices, their inverse to 0.3 %: what large
# coefficients leave in others is up to 0.08 of a step over these kinds.
OFF = 0.1
FORMATS = {
    "8 bit": "yuv420p", "10 bit": "yuv420p10le", "4:2:2": "yuv422p", "4:4:4": "yuv444p",
    "12 bit 4:2:2": "yuv422p12le",
}  # fmt: skip
CHOICES = {  # x265's options and the cell that `auto` takes
    "rdoq-level=0:signhide=0:psy-rd=0": "deadzone",
    "rdoq-level=0:tskip=1:signhide=0": "deadzone",
    "rdoq-level=0:signhide=1": "signhide",
    "rdoq-level=2:signhide=0": "trellis",
    "rdoq-level=2:psy-rdoq=1:signhide=1": "rdoq",
}


@functools.cache
def coded(pix_fmt: str, options: str) -> tuple[PriorsTensors, str, list[Tensor]]:
    """Priors, the encoder's text and the source, integers `[FRAMES, Hp, Wp]` per plane."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "kind.265"
        settings = {"preset": "medium", "x265-params": f"log-level=none:qp=27:keyint=3:{options}"}
        frames = []
        with av.open(str(path), "w", format="hevc") as out:
            stream = out.add_stream("libx265", rate=25, options=settings)
            stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, pix_fmt
            for k in range(FRAMES):
                drawn = av.VideoFrame.from_ndarray(picture(2 * k, WIDTH, HEIGHT), format="rgb24")
                frame = drawn.reformat(format=pix_fmt)
                frame.pts, frame.time_base = k, Fraction(1, 25)
                deep = frame.format.components[0].bits > 8
                frames.append([_plane(plane, deep) for plane in frame.planes])
                out.mux(stream.encode(frame))
            out.mux(stream.encode(None))
        found = list(iterate(path))
    info = found[0][1]
    depth = info.bit_depth_luma, info.bit_depth_chroma
    priors = PriorsTensors.from_records([record for record, _ in found], bit_depth=depth)
    return priors, info.encoder, [torch.stack(planes) for planes in zip(*frames, strict=True)]


def _plane(plane: av.video.plane.VideoPlane, deep: bool) -> Tensor:
    rows = np.frombuffer(plane, np.uint16 if deep else np.uint8).reshape(plane.height, -1)
    return torch.from_numpy(rows[:, : plane.width].astype(np.int32))


@pytest.mark.parametrize("name", FORMATS)
def test_integer_path_equals_the_decoder_on_x265(name: str) -> None:
    priors, _, source = coded(FORMATS[name], "rdoq-level=0:signhide=0:psy-rd=0")
    assert [plane.shape for plane in source] == [level.shape for level in priors.level]
    for plane, stored in enumerate(priors.residual):
        assert (priors.level[plane] != 0).sum() > 100
        assert torch.equal(priors.integer_residual(plane), stored.int())


@pytest.mark.parametrize("name", FORMATS)
def test_source_lies_in_the_cells_of_a_dead_zone(name: str) -> None:
    priors, encoder, source = coded(FORMATS[name], "rdoq-level=0:signhide=0:psy-rd=0")
    cells = make_cells(priors, "auto", encoder=encoder, dtype=torch.float64)
    assert cells.name == "deadzone"
    assert (priors.picture_type == 0).any() and (priors.picture_type != 0).any()
    truth = [p.double() / ((1 << priors.depth(k)) - 1) for k, p in enumerate(source)]
    assert consistency(truth, widened(cells, OFF), slack=1e-9).max() == 0
    # No wider than they have to be, in I slices and in the others.
    assert consistency(truth, widened(cells, -0.2), slack=1e-9).min() > 0.001


@pytest.mark.parametrize("options", CHOICES)
def test_source_lies_in_the_cells_that_the_text_calls_for(options: str) -> None:
    priors, encoder, source = coded("yuv420p", options)
    cells = make_cells(priors, "auto", encoder=encoder, dtype=torch.float64)
    assert cells.name == CHOICES[options] == cell_from_encoder(encoder)[0]
    if "tskip" in options:
        assert any(((kind & 7) == 3).any() for kind in priors.tu_kind)  # type: ignore[attr-defined]
    truth = [plane.double() / 255 for plane in source]
    by_rate = cells.name in ("trellis", "rdoq")  # a hull that an encoder need not keep to
    most = 0.0005 if by_rate else 0.0
    assert consistency(truth, widened(cells, OFF), slack=1e-9).max() <= most
    deadzone = make_cells(priors, "deadzone", dtype=torch.float64)
    outside_it = consistency(truth, widened(deadzone, OFF), slack=1e-9).max()
    assert (outside_it > 0) == (cells.name != "deadzone")


def test_decoded_picture_lies_in_its_own_cells() -> None:
    priors, encoder, _ = coded("yuv420p", "rdoq-level=0:signhide=1")
    planes = decoder_samples(priors, torch.float32)
    for name in ("paper", "trellis", "auto"):
        cells = make_cells(priors, name, encoder=encoder)
        assert (consistency(planes, cells, slack=0.6) == 0).all()


def test_projection_brings_a_blurred_picture_nearer_to_the_source() -> None:
    priors, encoder, source = coded("yuv420p", "rdoq-level=0:signhide=0:psy-rd=0")
    cells = make_cells(priors, "auto", encoder=encoder, dtype=torch.float64)
    truth = [plane.double() / 255 for plane in source]
    blurred = [F.avg_pool2d(p[:, None], 5, 1, 2, count_include_pad=False)[:, 0] for p in truth]
    for old, new, true in zip(blurred, project(blurred, cells), truth, strict=True):
        assert (new - true).square().sum() < (old - true).square().sum()


def test_cells_are_calibrated_for_one_codec() -> None:
    priors, _, source = coded("yuv420p", "rdoq-level=2:psy-rdoq=1:signhide=1")
    calibration = Calibration()
    calibration.add(priors, source)
    found = calibration.table(0.01)
    assert found.below.shape == HevcTensors.classes()
    cells = make_cells(priors, "calibrated", table=found)
    truth = [plane.float() / 255 for plane in source]
    assert 0 < consistency(truth, cells).mean() < 0.02
    error, known = level_errors(priors, 0, source[0])
    assert known.all() and error[priors.level[0] != 0].abs().max() < 2
    with pytest.raises(ValueError, match="for one codec"):
        calibration.add(h264_priors(0), source)


def test_cuts_on_the_grid_of_the_largest_block_have_the_cells_of_the_whole() -> None:
    priors = random_priors(6, size=(64, 96))
    arrays = {k: v[:, 8:] if v.ndim == 3 and v.shape[1:] == (16, 24) else v
              for k, v in random_arrays(6, size=(64, 96)).items()}  # fmt: skip
    for name in PLANES:
        for group in ("level", "prediction"):
            rows = arrays[f"{group}/{name}"].shape[1] // 2
            arrays[f"{group}/{name}"] = arrays[f"{group}/{name}"][:, rows:]
    for plane, name in enumerate(PLANES):
        arrays[f"residual/{name}"] = priors.residual[plane][:, priors.level[plane].shape[1] // 2 :]
    cut = make_cells(PriorsTensors.from_arrays(arrays), "paper")
    for whole, part in zip(make_cells(priors, "paper").planes, cut.planes, strict=True):
        half = whole.low.shape[1] // 2
        assert torch.equal(whole.low[:, half:], part.low)


def widened(cells: Cells, by: float) -> Cells:
    """Cells longer on both sides by so many steps, those of no width left alone."""
    planes = []
    for plane in cells.planes:
        fixed = (plane.low == 0) & (plane.high == 0)
        low = torch.where(fixed, plane.low, plane.low - by)
        high = torch.where(fixed, plane.high, plane.high + by)
        planes.append(dataclasses.replace(plane, low=low, high=high))
    return Cells(cells.name, tuple(planes), cells.field)


# --- streams of other encoders -------------------------------------------------------------------

STREAMS = (  # each kind of block: scaling lists, cross-component, RDPCM, lossless, PCM, skips
    "h_400_12.hevc", "h_422_10.hevc", "h_422_12i.hevc", "h_bd_10_8.hevc", "h_ccp_10.hevc",
    "h_ccp_uneq.hevc", "h_ccp_lossless.hevc", "h_rdpcm_e.hevc", "h_rdpcm_ll.hevc",
    "h_pcm_422.hevc", "h_sl_444.hevc", "h_sl_file.hevc", "h_tqb.hevc", "h_ts_slist.hevc",
    "h_ssc_rice.hevc", "h_cqpadj444.hevc", "h_dqp_neg.hevc",
)  # fmt: skip


@pytest.mark.parametrize("name", STREAMS)
def test_properties_on_streams(shared: Path, name: str) -> None:
    """The stored residual is held to the HM reference decoder by the conformance run."""
    stream = shared / "vectors-hevc" / "streams" / name
    if not stream.exists():
        pytest.skip(f"no {stream}")
    found = list(iterate(stream, frames=(0, 2)))
    info = found[0][1]
    depth = info.bit_depth_luma, info.bit_depth_chroma
    priors = PriorsTensors.from_records([record for record, _ in found], bit_depth=depth)
    for plane, stored in enumerate(priors.residual):
        assert torch.equal(priors.integer_residual(plane), stored.int())
    cells = make_cells(priors, "paper", dtype=torch.float64)
    decoded = decoder_samples(priors, torch.float64)
    for index, (got, want) in enumerate(zip(project(decoded, cells), decoded, strict=True)):
        peak = (1 << priors.depth(index)) - 1
        assert (got - want).abs().max() * peak < 1.0 * 2 ** max(priors.depth(index) - 10, 0)
    planes = random_planes(priors, 5, spread=40.0 * 2 ** (depth[0] - 8), dtype=torch.float64)
    once = project(planes, cells)
    assert (consistency(once, cells, slack=1e-7) == 0).all()
    for first, second in zip(once, project(once, cells), strict=True):
        torch.testing.assert_close(second, first, rtol=0, atol=1e-9)
