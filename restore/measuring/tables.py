"""Tables out of measured clips: text for people, CSV per clip, JSON with everything."""

import csv
import dataclasses
import io
import math
from collections.abc import Sequence

import numpy as np
import torch

from ...data.sample import Planes, Sample
from ..networks.restorer import Restorer
from .evaluate import EXTRA, MEASURES, ClipResult

PROTOCOL = (
    "Per frame on planes rounded to their own bit depth, mean over a clip's frames, then over "
    "clips. Y is the codec's luma plane; RGB is 8-bit BT.601 limited range with chroma repeated; "
    "the mouth is a box derived from the detected face. The neighbours that the ends of a clip "
    "lack are its first and last frame. SSIM: Gaussian window of 11, sigma 1.5."
)

DRAWS = 10000  # of the bootstrap


@dataclasses.dataclass
class Row:
    """One line of the table: a network (or the decoded frames) under one kind of sound."""

    label: str
    sound: str
    clips: list[ClipResult]
    parameters: int = 0
    multiply_adds: float = 0.0

    def mean(self, measure: str, crf: int, kind: str = "restored") -> float:
        """Mean over the clips of a CRF; NaN where none has the measure."""
        values = [c.mean(measure, kind) for c in self.clips if c.crf == crf]
        values = [value for value in values if not math.isnan(value)]
        return sum(values) / len(values) if values else math.nan

    def gain(self, measure: str, crf: int) -> tuple[float, float, float]:
        """Mean gain over decoded, its standard error over clips, and the least one."""
        gains = [
            c.mean(measure, "restored") - c.mean(measure, "decoded")
            for c in self.clips
            if c.crf == crf and c.restored.get(measure)
        ]
        if not gains:
            return math.nan, math.nan, math.nan
        tensor = torch.tensor(gains, dtype=torch.float64)
        error = float(tensor.std()) / len(gains) ** 0.5 if len(gains) > 1 else math.nan
        return float(tensor.mean()), error, min(gains)

    def interval(self, measure: str, crf: int) -> tuple[float, float]:
        """Where the mean gain lies with 95 % of the clips drawn again: bootstrap over clips."""
        gains = [
            c.mean(measure, "restored") - c.mean(measure, "decoded")
            for c in self.clips
            if c.crf == crf and c.restored.get(measure)
        ]
        if len(gains) < 2:
            return math.nan, math.nan
        random = np.random.default_rng(0)
        drawn = random.choice(np.array(gains), (DRAWS, len(gains))).mean(axis=1)
        low, high = np.quantile(drawn, (0.025, 0.975))
        return float(low), float(high)

    def summary(self, name: str, crf: int) -> float:
        """Mean of a whole-clip figure over the clips of a CRF."""
        values = [c.summary[name] for c in self.clips if c.crf == crf and name in c.summary]
        return sum(values) / len(values) if values else math.nan


def multiply_adds(network: Restorer, *, size: int = 128) -> float:
    """Multiply-adds of one restored frame of `size` squared, features shared between windows.

    Convolutions and matrix products are counted, recurrent layers too.
    """
    from torch.utils.flop_counter import FlopCounterMode

    def planes(*shape: int) -> Planes:
        half = (*shape[:-2], shape[-2] // 2, shape[-1] // 2)
        kinds = [torch.zeros(shape), torch.zeros(half), torch.zeros(half)]
        return Planes(*(kind.to(torch.uint8) for kind in kinds))

    def sample(frames: int) -> Sample:
        maps = torch.zeros(1, frames, size // 16, size // 16, dtype=torch.uint8)
        return Sample(
            decoded=planes(1, frames, size, size),
            prediction=planes(1, frames, size, size),
            residual=planes(1, frames, size, size).map(lambda p: p.to(torch.int16)),
            qp_y=maps.to(torch.int8),
            tu=torch.zeros(1, frames, size // 4, size // 4, dtype=torch.uint8),
            mb_type=maps,
        )

    device = next(network.parameters()).device
    window = 2 * network.radius + 1
    projector, network.projector = network.projector, None
    try:
        with torch.inference_mode(), FlopCounterMode(display=False) as one:
            network.features(sample(1).to(device))
        with torch.inference_mode():
            features = network.features(sample(window).to(device))
        with torch.inference_mode(), FlopCounterMode(display=False) as rest:
            network.restore(features, sample(1).to(device))
    finally:
        network.projector = projector
    recurrent = sum(
        sum(weight.numel() for weight in module.parameters() if weight.dim() == 2) * 21
        for module in network.modules()
        if isinstance(module, torch.nn.LSTM)
    )
    return (one.get_total_flops() + rest.get_total_flops()) / 2 + recurrent


def as_text(rows: Sequence[Row]) -> str:
    """The table: a block per CRF, decoded first."""
    lines = [PROTOCOL, ""]
    for crf in sorted({clip.crf for row in rows for clip in row.clips}):
        clips = [clip for clip in rows[0].clips if clip.crf == crf]
        frames = sum(len(clip.decoded["psnr_y"]) for clip in clips)
        shown = [m for m in (*MEASURES, *EXTRA) if not math.isnan(rows[0].mean(m, crf, "decoded"))]
        lines.append(f"CRF {crf}: {len(clips)} clips, {frames} frames")
        head = f"{'network':24}{'sound':11}{'gain Y':>8}{'+-':>7}{'95 % of means':>17}{'least':>8}"
        head += "".join(f"{name:>11}" for name in shown)
        head += f"{'fluct.':>9}{'flicker':>9}{'contrad.%':>10}{'params':>10}{'GMAC':>8}"
        lines.append(head)
        lines.append(_line(rows[0], crf, shown, "decoded"))
        lines += [_line(row, crf, shown, "restored") for row in rows if row.clips[0].restored]
        lines.append("")
    return "\n".join(lines)


def _line(row: Row, crf: int, shown: list[str], kind: str) -> str:
    if kind == "decoded":
        line = f"{'decoded':24}{'':11}{'':8}{'':7}{'':17}{'':8}"
    else:
        gain, error, least = row.gain("psnr_y", crf)
        low, high = row.interval("psnr_y", crf)
        span = "-" if math.isnan(low) else f"{low:+.3f}..{high:+.3f}"
        line = f"{row.label[:23]:24}{row.sound:11}{gain:+8.3f}{_number(error, 7, 3)}"
        line += f"{span:>17}{least:+8.3f}"
    for name in shown:
        digits = 3 if name.startswith("psnr") else 4
        line += _number(row.mean(name, crf, kind), 11, digits)
    line += _number(row.summary(f"fluctuation_{kind}", crf), 9, 3)
    line += _number(row.summary(f"flicker_{kind}", crf), 9, 3)
    line += _number(100 * row.summary(f"inconsistent_{kind}", crf), 10, 3)
    if kind == "restored":
        line += f"{row.parameters:10d}{row.multiply_adds / 1e9:8.2f}"
    return line


def _number(value: float, width: int, digits: int) -> str:
    return f"{'-':>{width}}" if math.isnan(value) else f"{value:{width}.{digits}f}"


def as_csv(rows: Sequence[Row]) -> str:
    """One line per network, sound, clip and CRF."""
    text = io.StringIO()
    names = [*MEASURES, *EXTRA]
    whole = sorted({key for row in rows for clip in row.clips for key in clip.summary})
    head = ["network", "sound", "clip", "speaker", "crf", "frames"]
    head += [f"{name}_{kind}" for name in names for kind in ("decoded", "restored")] + whole
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    for row in rows:
        for clip in row.clips:
            values: list[object] = [row.label, row.sound, clip.name, clip.speaker, clip.crf]
            values.append(len(clip.decoded["psnr_y"]))
            for name in names:
                values += [_plain(clip.mean(name, kind)) for kind in ("decoded", "restored")]
            values += [_plain(clip.summary.get(key, math.nan)) for key in whole]
            writer.writerow(values)
    return text.getvalue()


def as_json(rows: Sequence[Row], settings: dict[str, object]) -> dict[str, object]:
    """Everything, per frame too, with the protocol and the settings."""
    return {
        "name": "davd-eval",
        "protocol": PROTOCOL,
        "settings": settings,
        "results": [
            {
                "network": row.label,
                "sound": row.sound,
                "parameters": row.parameters,
                "multiply_adds": row.multiply_adds,
                "mean": {
                    str(crf): {
                        "gain_psnr_y": [_null(v) for v in row.gain("psnr_y", crf)],
                        "interval_psnr_y": [_null(v) for v in row.interval("psnr_y", crf)],
                        **{
                            f"{name}_{kind}": _null(row.mean(name, crf, kind))
                            for name in (*MEASURES, *EXTRA)
                            for kind in ("decoded", "restored")
                        },
                    }
                    for crf in sorted({clip.crf for clip in row.clips})
                },
                "clips": [_clip(clip) for clip in row.clips],
            }
            for row in rows
        ],
    }


def _clip(clip: ClipResult) -> dict[str, object]:
    plain = dataclasses.asdict(clip)
    for kind in ("decoded", "restored"):
        plain[kind] = {k: [_null(v) for v in values] for k, values in plain[kind].items()}
    plain["summary"] = {key: _null(value) for key, value in plain["summary"].items()}
    return plain


def _null(value: float) -> float | None:
    return round(value, 6) if math.isfinite(value) else None


def _plain(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.5f}"
