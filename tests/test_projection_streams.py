"""Properties of the projection on streams of every kind of H.264, encoded here and from vectors.

Interlaced, 10 bit, 4:2:2 and 4:4:4 by x264, its own dead zone known and nothing chosen by rate and
distortion, so that the source itself has to lie in its cells.
"""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from clips import picture
from davd.bitstream.extract import iterate
from davd.restore.projection.cells import Cells, CellTable, PlaneCells, make_cells
from davd.restore.projection.project import consistency, project
from davd.restore.projection.units import PriorsTensors
from random_priors import random_planes
from torch import Tensor
from torch.nn import functional as F

WIDTH, HEIGHT, FRAMES = 96, 64, 4
# x264 reads its dead zone through rounded integer tables, a few hundredths of a step off: measured
# at most 0.065 over these kinds.
OFF = 0.1

KINDS = {  # pixel format and options of x264
    "interlaced": ("yuv420p", "interlaced=1"),
    "10 bit": ("yuv420p10le", "8x8dct=1"),
    "4:2:2": ("yuv422p", "8x8dct=1"),
    "4:4:4": ("yuv444p", "8x8dct=1"),
    "interlaced 4:2:2 10 bit": ("yuv422p10le", "interlaced=1"),
}
VECTORS = (  # of another encoder: field pictures, MBAFF, high bit depths, 4:2:2 and 4:4:4
    "j_high422_field_cabac.264", "j_high422_mbaff_cavlc.264", "j_high444_field_cabac.264",
    "j_high444_14_cavlc.264", "j_high422_10_cabac.264", "j_high444_qm_cabac.264",
    "j_high10_qm_cavlc.264", "j_high_mbaff8x8_cabac.264",
)  # fmt: skip


@dataclass(frozen=True)
class Stream:
    """Priors of a stream's frames, what its encoder says, and the source where it is known."""

    priors: PriorsTensors
    encoder: str
    source: list[Tensor]


def encoded(path: Path, pix_fmt: str, options: str) -> list[Tensor]:
    """Encode a few pictures; their planes, integers `[FRAMES, H, W]`."""
    plain = "trellis=0:no-dct-decimate=1:psy=0:aq-mode=0:keyint=4:bframes=1:threads=1"
    settings = {"preset": "medium", "qp": "30", "x264-params": f"{plain}:{options}"}
    frames = []
    with av.open(str(path), "w", format="h264") as out:
        stream = out.add_stream("libx264", rate=25, options=settings)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, pix_fmt
        for k in range(FRAMES):
            drawn = picture(2 * k, WIDTH, HEIGHT)
            if "interlaced" in options:  # the other field is of another time
                drawn[1::2] = picture(2 * k + 7, WIDTH, HEIGHT)[1::2]
            frame = av.VideoFrame.from_ndarray(drawn, format="rgb24").reformat(format=pix_fmt)
            frame.pts, frame.time_base = k, Fraction(1, 25)
            kinds = frame.format.components
            frames.append([samples(*b) for b in zip(frame.planes, kinds, strict=True)])
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return [torch.stack(planes) for planes in zip(*frames, strict=True)]


def samples(plane: av.video.plane.VideoPlane, component: av.video.format.VideoFormatComponent):
    kind = np.uint16 if component.bits > 8 else np.uint8
    rows = np.frombuffer(plane, kind).reshape(plane.height, -1)[:, : plane.width]
    return torch.from_numpy(rows.astype(np.int32))


def read(path: Path, source: list[Tensor], count: int | None = None) -> Stream:
    found = list(iterate(path, frames=None if count is None else (0, count), modes=True))
    info = found[0][1]
    depth = info.bit_depth_luma, info.bit_depth_chroma
    priors = PriorsTensors.from_records([record for record, _ in found], bit_depth=depth)
    return Stream(priors, info.encoder, source)


@pytest.fixture(scope="module", params=(*KINDS, *VECTORS))
def stream(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stream]:
    """One of every kind, with or without a known source."""
    if request.param in KINDS:
        path = tmp_path_factory.mktemp("streams") / "kind.264"
        source = encoded(path, *KINDS[request.param])
        yield read(path, source)
    else:
        shared = request.getfixturevalue("shared")
        yield read(shared / "vectors" / "streams" / request.param, [], 3)


own = pytest.mark.parametrize("stream", KINDS, indirect=True)


def decoded_samples(priors: PriorsTensors, dtype: torch.dtype) -> list[Tensor]:
    """The decoder's samples before clipping and deblocking, in [0, 1]."""
    return [
        (prediction + residual).to(dtype) / ((1 << priors.depth(plane)) - 1)
        for plane, (prediction, residual) in enumerate(
            zip(priors.prediction, priors.residual, strict=True)
        )
    ]


@own
def test_the_kinds_are_what_they_are_called(stream: Stream, request: pytest.FixtureRequest) -> None:
    name, priors = request.node.callspec.params["stream"], stream.priors
    assert bool(priors.field.any()) == ("interlaced" in name)
    assert priors.bit_depth == ((10, 10) if "10 bit" in name else (8, 8))
    chroma = (16, 16) if "4:4:4" in name else (16, 8) if "4:2:2" in name else (8, 8)
    assert priors.macroblock(1) == chroma
    assert {int(kind) > 3 for kind in priors.mb_type.unique()} == {False, True}
    for level in priors.level:
        assert (level != 0).sum() > 200


def test_integer_path_equals_the_decoder(stream: Stream) -> None:
    for plane, stored in enumerate(stream.priors.residual):
        assert torch.equal(stream.priors.integer_residual(plane), stored.int())


@pytest.mark.parametrize("name", ["paper", "trellis", "auto"])
def test_decoded_picture_lies_in_its_own_cells(stream: Stream, name: str) -> None:
    """Within the decoder's rounding, which is less than a sample and may be more than a bound."""
    cells = make_cells(stream.priors, name, encoder=stream.encoder)
    planes = decoded_samples(stream.priors, torch.float32)
    assert (consistency(planes, cells, slack=0.75) == 0).all()
    for index, projected in enumerate(project(planes, cells)):
        sample = 1 / ((1 << stream.priors.depth(index)) - 1)
        torch.testing.assert_close(projected, planes[index], rtol=0, atol=sample)


@pytest.mark.parametrize("name", ["paper", "coded", "trellis"])
def test_idempotent_and_inside_the_cell(stream: Stream, name: str) -> None:
    cells = make_cells(stream.priors, name, dtype=torch.float64)
    spread = 40.0 * 2 ** (stream.priors.depth(0) - 8)
    planes = random_planes(stream.priors, 5, spread=spread, dtype=torch.float64)
    once = project(planes, cells)
    assert (consistency(planes, cells) > 0).all()
    assert (consistency(once, cells, slack=1e-9) == 0).all()
    for plane, first, second in zip(planes, once, project(once, cells), strict=True):
        assert not torch.equal(plane, first)
        torch.testing.assert_close(second, first, rtol=0, atol=1e-12)


def test_cells_of_no_width_give_the_decoders_samples(stream: Stream) -> None:
    nothing = CellTable(torch.zeros(stream.priors.classes()), torch.zeros(stream.priors.classes()))
    cells = make_cells(stream.priors, "calibrated", table=nothing)
    planes = random_planes(stream.priors, 6, spread=9.0)
    wanted = decoded_samples(stream.priors, torch.float32)
    for got, want in zip(project(planes, cells), wanted, strict=True):
        assert torch.equal(got, want)


@own
def test_source_lies_in_the_encoders_cells(stream: Stream) -> None:
    cells = make_cells(stream.priors, "auto", encoder=stream.encoder, dtype=torch.float64)
    assert cells.name == "deadzone"
    peaks = [(1 << stream.priors.depth(plane)) - 1 for plane in range(3)]
    source = [plane.double() / peak for plane, peak in zip(stream.source, peaks, strict=True)]
    assert consistency(source, cells, slack=1e-9).max() < 0.005
    wider = Cells(cells.name, tuple(widened(plane, OFF) for plane in cells.planes), cells.field)
    assert consistency(source, wider, slack=1e-9).max() == 0
    # The cells are no wider than they have to be: a fifth of a step less does not hold it.
    tighter = Cells(cells.name, tuple(widened(p, -0.2) for p in cells.planes), cells.field)
    assert consistency(source, tighter, slack=1e-9).min() > 0.005


@own
def test_projection_brings_a_blurred_picture_nearer_to_the_source(stream: Stream) -> None:
    cells = make_cells(stream.priors, "auto", encoder=stream.encoder, dtype=torch.float64)
    for index, source in enumerate(stream.source):
        peak = (1 << stream.priors.depth(index)) - 1
        truth = source.double() / peak
        blurred = F.avg_pool2d(truth[:, None], 5, 1, 2, count_include_pad=False)[:, 0]
        planes = [
            truth if k == index else plane.double() * 0 for k, plane in enumerate(stream.source)
        ]
        planes[index] = blurred
        nearer = project(planes, cells)[index]
        before, after = ((plane - truth).square().sum() for plane in (blurred, nearer))
        assert after < before


def widened(cells: PlaneCells, by: float) -> PlaneCells:
    """Cells longer on both sides by so many steps, those of no width left alone."""
    fixed = (cells.low == 0) & (cells.high == 0)
    low = torch.where(fixed, cells.low, cells.low - by)
    return dataclasses.replace(cells, low=low, high=torch.where(fixed, cells.high, cells.high + by))
