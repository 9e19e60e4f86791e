"""The audit and the calibrated cells, on encodes whose rounding is known."""

import math
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from davd.bitstream.priors.record import FrameRecord
from davd.bitstream.priors.schema import ATTRIBUTES
from davd.bitstream.priors.writer import PriorsWriter
from davd.data.sample import Planes
from davd.restore.projection.audit import Auditor, audit_files, source_frames
from davd.restore.projection.calibrate import Calibration, fit_cells, level_errors
from davd.restore.projection.cells import CellTable, make_cells
from davd.restore.projection.h264 import H264Tensors
from davd.restore.projection.project import consistency
from davd.restore.projection.units import PriorsTensors
from random_priors import CHROMA, encoded, sample_of

Source = list[torch.Tensor]
INTRA = {"transforms": (0, 1, 2, 3, 4), "qp": (24, 40)}


def as_intra(priors: PriorsTensors) -> PriorsTensors:
    """The same with every coded macroblock intra, so that one dead zone holds for all."""
    priors.mb_type[priors.mb_type > 3] = 0
    return priors


@pytest.mark.parametrize("chroma", CHROMA)
def test_source_of_a_dead_zone_encoder_is_never_outside_its_cell(chroma: str) -> None:
    auditor = Auditor(("paper", "coded", "deadzone", "trellis"))
    for seed in range(2):
        priors, source = encoded(seed, 21 / 64, chroma=chroma, **INTRA)
        decoded = [p + r for p, r in zip(priors.prediction, priors.residual, strict=True)]
        auditor.add(as_intra(priors), source, decoded)
    audit = auditor.result()
    assert audit.frames == 4
    assert audit.coefficients == 2 * sum(plane.numel() for plane in source)
    coded = [row for row in audit.rows if row.mode != "uncoded"]
    assert {row.mode for row in coded} == {"intra"}
    assert all(row.outside["deadzone"] == 0 for row in coded)
    assert all(row.outside["trellis"] == 0 for row in coded)
    assert sum(row.outside["paper"] for row in coded) > 0.01 * sum(r.coefficients for r in coded)
    for plane, decoded_psnr in audit.decoded.items():
        ceilings = {name: table[plane] for name, table in audit.ceilings.items()}
        assert ceilings["deadzone"] == ceilings["trellis"] == math.inf
        assert decoded_psnr < ceilings["paper"] < ceilings["coded"] < math.inf


def test_audit_counts_what_the_projection_would_move() -> None:
    """Violations of all classes together are the source's inconsistency."""
    priors, source = encoded(5, 0.2, transforms=(0, 1, 2, 3), qp=(24, 40))
    auditor = Auditor(("paper",))
    auditor.add(priors, source, source)
    audit = auditor.result()
    wrong = sum(row.outside["paper"] for row in audit.rows)
    share = consistency([plane / 255 for plane in source], make_cells(priors, "paper"))
    assert wrong / audit.coefficients == pytest.approx(share.mean().item())
    assert audit.decoded["y"] == math.inf


def test_text_and_dict_say_the_same() -> None:
    priors, source = encoded(1, 0.33, chroma="4:0:0", **INTRA)
    auditor = Auditor(("paper", "auto"), encoder="x264 options: trellis=0 deadzone=21,11 nr=0")
    auditor.add(as_intra(priors), source, list(priors.prediction))
    audit = auditor.result()
    assert audit.chosen == "deadzone"
    text = audit.text()
    plain = audit.as_dict()
    assert "auto is deadzone" in text
    assert f"{audit.ceilings['paper']['y']:.2f}" in text
    assert len(text.splitlines()) == 4 + len(plain["rows"])
    assert plain["ceilings"]["paper"]["y"] == audit.ceilings["paper"]["y"]


def test_none_cannot_be_audited() -> None:
    with pytest.raises(ValueError, match="expected some of paper"):
        Auditor(("paper", "none"))


def test_calibration_finds_the_dead_zone() -> None:
    calibration = Calibration()
    data = [encoded(seed, 21 / 64, frames=4, columns=4, **INTRA) for seed in range(12)]
    for priors, source in data:
        calibration.add(as_intra(priors), source)
    tail = 0.02
    table = CellTable.from_tensors(calibration.table(tail).tensors())
    assert table is not None and table.below.shape == H264Tensors.classes()
    for group in (0, 2, 3):  # 4x4, Intra16x16, chroma: AC coefficients of nonzero level
        below, above = table.below[group, 0, 1, 1:16], table.above[group, 0, 1, 1:16]
        assert (below - 21 / 64).abs().max() < 0.05
        assert (above - 43 / 64).abs().max() < 0.05
        zero = table.above[group, 0, 0, 1:16]
        assert (zero - 43 / 64).abs().max() < 0.05
        assert torch.equal(zero, table.below[group, 0, 0, 1:16])
    assert table.above[0, 1].isinf().all()  # no inter macroblock was seen
    for priors, source in data[:3]:
        planes = [plane / 255 for plane in source]
        share = consistency(planes, make_cells(priors, "calibrated", table=table))
        assert 0 < share.mean() < 1.5 * tail


def test_cells_fitted_to_samples_are_those_of_their_frames() -> None:
    priors, source = encoded(2, 0.3, frames=4, **INTRA)
    calibration = Calibration()
    calibration.add(priors, source)
    want = calibration.table(0.05)
    sample = sample_of(priors, 2, clean=Planes(*source))
    got = fit_cells([sample], tail=0.05)
    assert torch.equal(got.below, want.below)
    assert torch.equal(got.above, want.above)
    assert got.above.isfinite().any()
    with pytest.raises(ValueError, match="needs the source"):
        fit_cells([sample_of(priors, 2)])


def test_level_errors_are_in_the_dead_zone() -> None:
    priors, source = encoded(3, 21 / 64, **INTRA)
    for plane in range(3):
        error, known = level_errors(priors, plane, source[plane], dtype=torch.float64)
        assert 0.5 < known.double().mean() < 1
        used = (priors.level[plane] != 0) & known
        assert error[used].min() > -21 / 64 - 1e-9
        assert error[used].max() < 43 / 64 + 1e-9


@pytest.mark.parametrize("tail", [0.0, 1.0])
def test_tail_out_of_range_is_refused(tail: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        Calibration().table(tail)


def write_priors(path: Path, priors: PriorsTensors, *, width: int, height: int) -> None:
    coded = priors.level[0].shape[1:]
    values = dict.fromkeys(ATTRIBUTES, 0) | {
        "width": width, "height": height, "crop_right": coded[1] - width,
        "crop_bottom": coded[0] - height, "chroma_format": "4:2:0", "bit_depth_luma": 8,
        "bit_depth_chroma": 8, "encoder": "", "frame_rate": "25/1", "time_base": "1/25",
    }  # fmt: skip
    for name in ("format", "schema_version", "codec", "complete"):
        del values[name]
    with PriorsWriter(path, values) as out:
        for k in range(len(priors.mb_type)):

            def planes(group: tuple[torch.Tensor, ...], kind: type, k: int = k) -> tuple:
                return tuple(plane[k].numpy().astype(kind) for plane in group)

            decoded = tuple(
                (p + r).clamp(0, 255)
                for p, r in zip(priors.prediction, priors.residual, strict=True)
            )
            out.append(
                FrameRecord(
                    index=k, pts=k, time=k / 25, decode_order=k, poc=2 * k, picture_type=0,
                    keyframe=True, concealed=False, decoded=planes(decoded, np.uint8),
                    prediction=planes(priors.prediction, np.uint8),
                    residual=planes(priors.residual, np.int16),
                    level=planes(priors.level, np.int16), tu=priors.tu[k].numpy(),
                    mb_type=priors.mb_type[k].numpy(), qp_y=priors.qp[0][k].numpy(),
                    qp_cb=priors.qp[1][k].numpy(), qp_cr=priors.qp[2][k].numpy(),
                    cbp=np.zeros_like(priors.mb_type[k].numpy()),
                    slice=np.zeros(priors.mb_type[k].shape, np.uint16),
                    field=priors.field[k].numpy().astype(np.uint8),
                    scaling4x4=priors.scaling4x4[k].numpy(),
                    scaling8x8=priors.scaling8x8[k].numpy(),
                )
            )  # fmt: skip
        out.finish()


def write_video(path: Path, source: Source, *, width: int, height: int) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for k in range(len(source[0])):
            shown = [source[0][k, :height, :width]]
            shown += [plane[k, : height // 2, : width // 2] for plane in source[1:]]
            flat = np.concatenate([plane.numpy().astype(np.uint8).ravel() for plane in shown])
            frame = av.VideoFrame.from_ndarray(flat.reshape(-1, width), format="yuv420p")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def test_audit_of_files_equals_that_of_tensors(tmp_path: Path) -> None:
    priors, source = encoded(7, 21 / 64, frames=3, **INTRA)
    priors = as_intra(priors)
    write_priors(tmp_path / "a.h5", priors, width=48, height=32)
    write_video(tmp_path / "a.mkv", source, width=48, height=32)
    for k, frame in enumerate(source_frames(tmp_path / "a.mkv")):
        assert all(torch.equal(a, b[k]) for a, b in zip(frame, source, strict=True))
    steps: list[tuple[int, int]] = []
    audit = audit_files(
        source_frames(tmp_path / "a.mkv"),
        tmp_path / "a.h5",
        batch=2,
        progress=lambda done, total: steps.append((done, total)),
    )
    assert steps == [(2, 3), (3, 3)]
    auditor = Auditor()
    decoded = [
        (p + r).clamp(0, 255) for p, r in zip(priors.prediction, priors.residual, strict=True)
    ]
    auditor.add(priors, source, decoded)
    whole = auditor.result()
    assert audit.rows == whole.rows
    assert audit.decoded == pytest.approx(whole.decoded)
    assert audit.ceilings["paper"] == pytest.approx(whole.ceilings["paper"])


def test_audit_of_a_cropped_video(tmp_path: Path) -> None:
    priors, source = encoded(7, 21 / 64, frames=1, **INTRA)
    for plane, step in zip(source, (1, 2, 2), strict=True):  # what encoders put into the margin
        plane[:, 28 // step :] = plane[:, 28 // step - 1, None]
        plane[..., 42 // step :] = plane[..., 42 // step - 1, None]
    write_priors(tmp_path / "a.h5", as_intra(priors), width=42, height=28)
    write_video(tmp_path / "a.mkv", source, width=42, height=28)
    audit = audit_files(source_frames(tmp_path / "a.mkv"), tmp_path / "a.h5", cells=("paper",))
    shown = [
        (s[:, : 28 // step, : 42 // step], p[:, : 28 // step, : 42 // step])
        for s, p, step in zip(source, map(sum, zip(priors.prediction, priors.residual)), (1, 2, 2))  # noqa: B905
    ]
    for name, (was, now) in zip(("y", "cb", "cr"), shown, strict=True):
        mean = (was - now.clamp(0, 255)).double().square().mean().item()
        assert audit.decoded[name] == pytest.approx(10 * math.log10(255**2 / mean))


def test_source_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    priors, source = encoded(7, 0.3, frames=3, **INTRA)
    write_priors(tmp_path / "a.h5", priors, width=48, height=32)
    with pytest.raises(ValueError, match="ends before the 3 frames"):
        audit_files([[plane[0] for plane in source]], tmp_path / "a.h5")
    with pytest.raises(ValueError, match="shows 32 of 32"):
        audit_files([[plane[k, 2:] for plane in source] for k in range(3)], tmp_path / "a.h5")
    with pytest.raises(ValueError, match="has 1 planes"):
        audit_files([[source[0][k]] for k in range(3)], tmp_path / "a.h5")
