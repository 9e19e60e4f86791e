"""Measuring networks on clips: the figures behind the tables of the paper.

All figures are of 8-bit (or coded-depth) rounded planes, as a file would hold them; per frame,
then the mean over a clip's frames, then over clips. The decoded frame's own figure stands beside
each.
"""

import dataclasses
from collections import deque
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ...data.dataset import Segment
from ...data.sample import Planes, Sample, collate
from ..networks.picture import normal
from ..networks.restorer import Restorer
from ..projection.project import PriorsTensors, consistency, make_cells
from .metrics import as_codes, flicker, fluctuation, psnr, rgb_codes, rgb_psnr, ssim
from .others import OtherOutput
from .vmaf import vmaf_and_xpsnr

MEASURES = ("psnr_y", "ssim_y", "psnr_rgb", "ssim_rgb", "psnr_mouth", "ssim_mouth")
EXTRA = ("lpips", "dists", "vmaf", "xpsnr")  # where asked for, and at hand


@dataclasses.dataclass(frozen=True)
class ClipScore:
    """A clip's luma PSNR, decibels, mean over some of its frames."""

    name: str
    crf: int
    decoded: float
    restored: float

    @property
    def gain(self) -> float:
        """Restored less decoded."""
        return self.restored - self.decoded


@dataclasses.dataclass
class ClipResult:
    """All measures of a clip.

    Attributes:
        name: The clip.
        speaker: Its speaker.
        crf: Of the encode.
        decoded: Per measure, one value per frame.
        restored: Likewise.
        summary: Figures of the whole clip: `fluctuation_*`, `flicker_*`, `inconsistent_*`.
    """

    name: str
    speaker: str
    crf: int
    decoded: dict[str, list[float]]
    restored: dict[str, list[float]]
    summary: dict[str, float]

    def mean(self, measure: str, kind: str) -> float:
        """Mean over frames of a measure of `decoded` or `restored`; NaN where there is none."""
        values = getattr(self, kind).get(measure, [])
        return sum(values) / len(values) if values else float("nan")


def quick_scores(
    network: Restorer, segments: Sequence[Segment], *, frames: int, amp: bool
) -> list[ClipScore]:
    """Luma PSNR of a few frames of every clip, evenly spaced: what training validates with.

    Args:
        network: In evaluation mode.
        segments: With their source.
        frames: Per segment.
        amp: bf16 in the network.
    """
    device = next(network.parameters()).device
    scores = []
    for part in segments:
        gains: list[tuple[float, float]] = []
        if network.config.name == "recurrent":
            scores.append(_run_score(network, part, frames, device, amp))
            continue
        step = max((part.stop - part.start) // frames, 1)
        for centre in range(part.start + step // 2, part.stop, step)[:frames]:
            window = part.reader.read(centre - network.radius, centre + network.radius + 1)
            sample = collate([window]).to(device)
            with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=amp):
                restored = network(sample)
            middle = sample.cut(network.radius, network.radius + 1)
            gains.append(_luma_psnr(restored, middle))
        count = len(gains)
        scores.append(
            ClipScore(
                part.reader.name,
                part.crf,
                sum(pair[0] for pair in gains) / count,
                sum(pair[1] for pair in gains) / count,
            )
        )
    return scores


def _run_score(
    network: Restorer, part: Segment, frames: int, device: torch.device, amp: bool
) -> ClipScore:
    """Luma PSNR of some frames in a row from the middle of a clip."""
    first = part.start + max(part.stop - part.start - frames, 0) // 2
    last, radius = min(first + frames, part.stop), network.radius
    sample = collate([part.reader.read(first - radius, last + radius)]).to(device)
    with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=amp):
        restored = network(sample)
    middle = sample.cut(radius, sample.frames - radius)
    pairs = [
        _luma_psnr(restored.map(lambda plane, k=k: plane[:, k : k + 1]), middle.cut(k, k + 1))
        for k in range(middle.frames)
    ]
    decoded, after = (sum(column) / len(pairs) for column in zip(*pairs, strict=True))
    return ClipScore(part.reader.name, part.crf, decoded, after)


def measure_clip(
    network: Restorer | None,
    segment: Segment,
    *,
    amp: bool = False,
    quiet: float = 0.0,
    limit: int = 0,
    cell: str = "none",
    perceptual: "Perceptual | None" = None,
    vmaf: bool = False,
    other: OtherOutput | None = None,
) -> ClipResult:
    """Restore a clip frame by frame and measure it.

    Args:
        network: In evaluation mode; None measures the decoded frames alone.
        segment: With its source; read with levels where `cell` is not "none".
        amp: bf16 in the network.
        quiet: See `Restorer.stream`.
        limit: At most so many frames, from the middle of the segment; 0: all.
        cell: Cell that the consistency figure refers to; "none" leaves it out.
        perceptual: LPIPS and DISTS.
        vmaf: VMAF and XPSNR.
        other: What another tool has made of the clip, measured instead of a network's.

    Returns:
        Figures per frame and of the clip.
    """
    start, stop = segment.start, segment.stop
    if limit and stop - start > limit:
        start += (stop - start - limit) // 2
        stop = start + limit
    device = torch.device("cpu") if network is None else next(network.parameters()).device
    stream = None if network is None else network.stream(amp=amp, quiet=quiet)
    result = ClipResult(segment.reader.name, segment.clip.speaker, segment.crf, {}, {}, {})
    waiting: deque[Sample | None] = deque()
    shown: dict[str, list[tuple[np.ndarray, ...]]] = {"clean": [], "decoded": [], "restored": []}
    lumas: dict[str, list[Tensor]] = {"clean": [], "decoded": [], "restored": []}
    contradictions: list[tuple[float, float]] = []
    before, after = (0, 0) if network is None else network.context

    def take(planes: Planes) -> None:
        frame = waiting.popleft()
        if frame is None:  # beside the range
            return
        _measure_frame(result, planes, frame, perceptual)
        depth = frame.bit_depth[0]
        assert frame.clean is not None
        lumas["clean"].append(frame.clean.y[0].float().cpu())
        lumas["decoded"].append(frame.decoded.y[0].float().cpu())
        lumas["restored"].append(as_codes(planes.y[0], depth).cpu())
        if vmaf:
            for kind, pictures in (
                ("clean", frame.clean),
                ("decoded", frame.decoded),
                ("restored", _codes(planes, frame)),
            ):
                shown[kind].append(tuple(plane[0, 0].cpu().numpy() for plane in pictures))
        if cell != "none":
            contradictions.append(_contradictions(planes, frame, cell))

    for k in range(max(start - before, segment.start), min(stop + after, segment.stop)):
        frame = collate([segment.reader.read(k, k + 1)]).to(device)
        waiting.append(frame if start <= k < stop else None)
        if stream is None:
            take(other.planes(k) if other else normal(frame.decoded, frame.bit_depth))
        elif (restored := stream.push(frame)) is not None:
            take(restored)
    for restored in [] if stream is None else stream.flush():
        take(restored)
    for kind, name in (("decoded", "decoded"), ("restored", "restored")):
        frames, clean = torch.cat(lumas[name]), torch.cat(lumas["clean"])
        result.summary[f"flicker_{kind}"] = flicker(frames, clean)
        series = torch.tensor(getattr(result, kind)["psnr_y"])
        result.summary[f"fluctuation_{kind}"] = fluctuation(series)
    if vmaf:
        for kind in ("decoded", "restored"):
            getattr(result, kind).update(vmaf_and_xpsnr(shown[kind], shown["clean"]))
    if contradictions:
        count = len(contradictions)
        result.summary["inconsistent_decoded"] = sum(pair[0] for pair in contradictions) / count
        result.summary["inconsistent_restored"] = sum(pair[1] for pair in contradictions) / count
    return result


class Perceptual:
    """LPIPS (AlexNet) and DISTS of RGB pictures, as far as their packages are installed."""

    def __init__(self) -> None:
        """Look for the packages."""
        self.networks: dict[str, torch.nn.Module] = {}
        try:
            import lpips

            self.networks["lpips"] = lpips.LPIPS(net="alex", verbose=False).eval()
        except Exception:  # noqa: S110, BLE001 no package, or no weights to be had: no column
            pass
        try:
            import piq

            self.networks["dists"] = piq.DISTS().eval()
        except Exception:  # noqa: S110, BLE001 likewise
            pass

    def __call__(self, picture: Tensor, reference: Tensor) -> dict[str, float]:
        """Distances of two `[1, 3, H, W]` pictures of 8-bit codes."""
        out = {}
        with torch.inference_mode():
            for name, network in self.networks.items():
                a, b = picture.cpu() / 255, reference.cpu() / 255
                if name == "lpips":
                    a, b = 2 * a - 1, 2 * b - 1
                out[name] = float(network(a, b))
        return out


def _codes(planes: Planes, frame: Sample) -> Planes:
    """Restored planes as what a file would hold."""
    depths = (frame.bit_depth[0], frame.bit_depth[1], frame.bit_depth[1])
    pairs = zip(planes, depths, frame.decoded, strict=True)
    return Planes(*(as_codes(plane, depth).to(like.dtype) for plane, depth, like in pairs))


def _luma_psnr(restored: Planes, frame: Sample) -> tuple[float, float]:
    """PSNR of decoded and of restored luma of one frame."""
    assert frame.clean is not None
    top = float((1 << frame.bit_depth[0]) - 1)
    clean = frame.clean.y.float()
    decoded = psnr(frame.decoded.y.float(), clean, data_range=top)
    return float(decoded), float(
        psnr(as_codes(restored.y, frame.bit_depth[0]), clean, data_range=top)
    )


def _measure_frame(
    result: ClipResult, planes: Planes, frame: Sample, perceptual: Perceptual | None
) -> None:
    assert frame.clean is not None
    depth = frame.bit_depth
    top = float((1 << depth[0]) - 1)
    clean = normal(frame.clean, depth)
    clean_rgb, clean_y = rgb_codes(clean, depth)[0], frame.clean.y[0].float()
    box = None if frame.mouth is None else frame.mouth[0].tolist()
    for kind, shown in (("decoded", normal(frame.decoded, depth)), ("restored", planes)):
        rgb, y = rgb_codes(shown, depth)[0], as_codes(shown.y[0], depth[0])
        values = {
            "psnr_y": float(psnr(y, clean_y, data_range=top)),
            "ssim_y": float(ssim(y, clean_y, data_range=top)),
            "psnr_rgb": float(rgb_psnr(rgb, clean_rgb)),
            "ssim_rgb": float(ssim(rgb, clean_rgb, data_range=255.0).mean()),
        }
        cut = None if box is None else _inside(box, y.shape[-2:])
        if cut is not None:
            values["psnr_mouth"] = float(psnr(y[:, *cut], clean_y[:, *cut], data_range=top))
            values["ssim_mouth"] = float(ssim(y[:, *cut], clean_y[:, *cut], data_range=top))
        if perceptual is not None:
            values |= perceptual(rgb, clean_rgb)
        for name, value in values.items():
            getattr(result, kind).setdefault(name, []).append(value)


def _inside(box: list[int], size: torch.Size) -> tuple[slice, slice] | None:
    """Rows and columns of a box within a picture; None where fewer than 11 remain."""
    x, y, width, height = box
    rows = slice(max(y, 0), min(y + height, size[0]))
    columns = slice(max(x, 0), min(x + width, size[1]))
    large = rows.stop - rows.start >= 11 and columns.stop - columns.start >= 11
    return (rows, columns) if large else None


def _contradictions(planes: Planes, frame: Sample, cell: str) -> tuple[float, float]:
    """Share of coefficients outside their cells: of the decoded and of the rounded restored."""
    priors = PriorsTensors.from_sample(frame)
    cells = make_cells(priors, cell)
    shares = []
    for shown in (normal(frame.decoded, frame.bit_depth), planes):
        codes = [
            as_codes(plane, depth)[0] / ((1 << depth) - 1)
            for plane, depth in zip(
                shown, (frame.bit_depth[0], *(frame.bit_depth[1],) * 2), strict=True
            )
        ]
        shares.append(float(consistency(codes, cells, slack=0.5).mean()))
    return shares[0], shares[1]
