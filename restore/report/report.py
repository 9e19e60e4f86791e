"""What davd-restore shows of its work: pictures, curves, maps and settings, on one page.

Figures are gathered while the video is restored, a few numbers a frame; pictures are kept of some
frames only: evenly spaced ones, the most changed one, and with a reference those that gained most
and least.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ...bitstream import Priors
from ...bitstream.priors.record import cropped
from ...bitstream.priors.schema import PICTURE_TYPES, TU_TYPES
from ...bitstream.show.colour import to_rgb
from ...data.faces import mouth
from ...data.hearing import Hearing
from ...data.sample import Planes
from ..frame import RestoredFrame
from ..measuring.reference import Metrics
from ..networks.picture import normal
from ..networks.restorer import Restorer
from ..projection.project import PriorsTensors, consistency, make_cells
from .page import Map, Movie, Picture, render
from .plots import Curve, plot
from .png import HEAT, LESS_MORE, WORSE_BETTER, colours, data_uri
from .preview import GAP, FaceBox, Preview, Upright
from .verdict import VISIBLE, Measures, verdict

SPACED = 5  # frames kept at even distances
FULL_CHANGE = 16.0  # grey levels of change drawn in the strongest colour


@dataclass
class _Kept:
    """A frame kept for the page: planes as shown."""

    index: int
    why: str
    decoded: list[np.ndarray]
    restored: list[np.ndarray]
    source: list[np.ndarray] | None


class Report:
    """Gathers what the page shows.

    Args:
        priors: The file that is restored.
        hearing: Its sound.
        frames: Those that will come.
        network: That restores it.
        cell: Of its projection; for "none" contradictions are counted with "auto".
        preview: Takes the moving pictures; None: the page has none.

    Attributes:
        faces: Where faces are, told before the first frame.
        sound_copied: The video's sound is the original one, packet by packet.
        wants_level: Frames have to be read with levels, for the share of contradicted coefficients.
    """

    def __init__(
        self,
        priors: Priors,
        hearing: Hearing,
        frames: range,
        network: Restorer,
        *,
        cell: str = "none",
        preview: Preview | None = None,
    ) -> None:
        """Begin without frames."""
        self._preview, self.faces = preview, list[FaceBox]()
        self.sound_copied = True
        self._view = Upright.of(priors)
        self._priors, self._hearing, self._frames = priors, hearing, frames
        self.wants_level = all(g in priors for g in ("prediction", "residual", "level"))
        self._depth = int(priors.attrs["bit_depth_luma"])
        self._cell, self._table = cell if cell != "none" else "auto", network.cells
        self._cell_used = self._cell  # what "auto" turns out to be
        self._listens = network.config.audio
        count = min(SPACED, len(frames))
        self._spaced = {frames[(2 * k + 1) * len(frames) // (2 * count)] for k in range(count)}
        self._kept: dict[str, _Kept] = {}
        self._best: dict[str, float] = {}
        self._columns: dict[str, list[float]] = {
            name: []
            for name in ("qp", "change", "loud", "gain", "wrong_decoded", "wrong_restored",
                         "visible", "unsent")
        }  # fmt: skip
        height, width = int(priors.attrs["height"]), int(priors.attrs["width"])
        self._change = np.zeros((height, width))
        self._gain = np.zeros((height, width))
        self._measured = 0

    def add(self, frame: RestoredFrame, source: Sequence[np.ndarray] | None) -> None:
        """Take a frame, and its source as shown where there is one."""
        decoded, restored = (
            cropped(planes, self._priors) for planes in (frame.decoded, frame.restored)
        )
        unit = float(1 << (self._depth - 8))
        before, after = (planes[0].astype(np.float32) / unit for planes in (decoded, restored))
        change = np.abs(after - before)
        self._change += change
        columns = self._columns
        columns["change"].append(float(change.mean()))
        columns["visible"].append(float((change >= VISIBLE).mean()))
        columns["unsent"].append(self._unsent(frame.index))
        qp = frame.sample.qp_y
        columns["qp"].append(math.nan if qp is None else float(qp.float().mean()))
        time = float(self._priors.column("time")[frame.index])
        columns["loud"].append(self._hearing.loudness(time, 1 / float(self._priors.frame_rate)))
        wrong = self._contradictions(frame)
        columns["wrong_decoded"].append(wrong[0])
        columns["wrong_restored"].append(wrong[1])
        columns["gain"].append(math.nan)
        if source is not None:
            clean = source[0].astype(np.float32) / unit
            gain = (before - clean) ** 2 - (after - clean) ** 2
            self._gain += gain
            self._measured += 1
            columns["gain"][-1] = float(gain.mean())
        if self._preview:
            self._preview.add(frame.index, decoded, restored)
        self._keep(frame.index, list(decoded), list(restored), source)

    def _unsent(self, index: int) -> float:
        """Share of a frame for which nothing was sent; NaN where the file does not say."""
        path = next((path for path in ("tu/y", "tu/kind") if path in self._priors), "")
        if not path:
            return math.nan
        units = self._priors.read(path, [index])[0]
        return float((units % 8 == TU_TYPES["none"]).mean())  # 0, as TuKind.NONE of HEVC

    def _keep(
        self,
        index: int,
        decoded: list[np.ndarray],
        restored: list[np.ndarray],
        source: Sequence[np.ndarray] | None,
    ) -> None:
        """Keep a frame's pictures if it is one to be shown."""
        scores = {"most changed": self._columns["change"][-1]}
        if source is not None:
            scores |= {"gains most": self._columns["gain"][-1]}
            scores |= {"gains least": -self._columns["gain"][-1]}
        why = [name for name, score in scores.items() if score > self._best.get(name, -math.inf)]
        self._best |= {name: scores[name] for name in why}
        why += [f"frame {index}"] if index in self._spaced else []
        if why:
            clean = None if source is None else [plane.copy() for plane in source]
            for name in why:
                self._kept[name] = _Kept(index, name, decoded, restored, clean)

    def _contradictions(self, frame: RestoredFrame) -> tuple[float, float]:
        """Shares of coefficients that the bitstream contradicts, decoded and restored."""
        concealed = bool(self._priors.column("concealed")[frame.index])
        if not self.wants_level or concealed:
            return math.nan, math.nan
        sample = frame.sample
        encoder = str(self._priors.attrs.get("encoder", ""))
        cells = make_cells(
            PriorsTensors.from_sample(sample), self._cell, encoder=encoder, table=self._table
        )
        self._cell_used = cells.name
        shares = []
        for planes in (frame.decoded, frame.restored):
            codes = [torch.from_numpy(plane.astype(np.int32))[None] for plane in planes]
            codes += [codes[0].new_empty((1, 0, 0))] * (3 - len(codes))
            shown = normal(Planes(*codes), sample.bit_depth)[: len(planes)]
            shares.append(float(consistency(shown, cells, slack=0.5)[0]))
        return shares[0], shares[1]

    def page(
        self,
        settings: Mapping[str, object],
        outcome: Mapping[str, object],
        metrics: Metrics | None,
    ) -> str:
        """The page, self-contained.

        Args:
            settings: How it was made.
            outcome: What was done, `Outcome.as_dict`.
            metrics: Figures against the reference.
        """
        a = self._priors.attrs
        size = int(a["width"]), int(a["height"])
        names = {"h264": "H.264", "hevc": "HEVC"}
        kind = str(a["codec"])
        if kind in names:
            kind = f"{names[kind]} profile {a['profile_idc']}"
        facts: dict[str, object] = {
            "Video": f"{a['width']} x {a['height']}, {a['chroma_format']}, {a['frame_rate']} "
            f"frames/s, {kind}",
            "Encoder": a.get("encoder") or "does not say",
            "Priors file": self._priors.path.name,
        }
        facts |= {name.replace("_", " ").capitalize(): value for name, value in settings.items()}
        return render(
            title=str(a["source"]),
            verdict=verdict(self._measures(metrics)),
            movie=self._movie(),
            change=FULL_CHANGE,
            cards=self._cards(outcome, metrics),
            pictures=self._pictures(),
            plots=self._plots(metrics),
            maps=self._maps(),
            facts=facts,
            notes=[str(note) for note in outcome["notes"]],  # type: ignore[attr-defined]
            size=size[::-1] if self._view.lies else size,
        )

    def _movie(self) -> Movie | None:
        """The moving pictures, complete."""
        preview = self._preview
        if preview is None:
            return None
        times = self._priors.column("time")
        width, height = int(self._priors.attrs["width"]), int(self._priors.attrs["height"])
        shots = []
        for face in self.faces:
            lips = FaceBox(face.start, face.stop, mouth(face.box, (width, height)))
            shots.append({
                "start": float(times[face.start] - times[self._frames.start]),
                "face": preview.place(face), "mouth": preview.place(lips),
            })  # fmt: skip
        sound = preview.has_sound
        return Movie(preview.finish(), preview.size, shots, sound, GAP)

    def _measures(self, metrics: Metrics | None) -> Measures:
        """What the verdict is made of."""
        inside = np.zeros(self._change.shape, bool)
        for face in self.faces:
            x, y, width, height = face.box
            inside[max(y, 0) : y + height, max(x, 0) : x + width] = True
        total = float(self._change.sum())
        gain = better = math.nan
        if metrics and metrics.index:
            gain = metrics.mean("psnr_y_restored") - metrics.mean("psnr_y_decoded")
            better = float(np.mean(np.array(self._columns["gain"]) > 0))
        chosen = slice(self._frames.start, self._frames.stop)
        return Measures(
            frames=len(self._columns["change"]), qp=self._mean("qp"), change=self._mean("change"),
            visible=self._mean("visible"), unsent=self._mean("unsent"),
            at_face=float(self._change[inside].sum()) / total if self.faces and total else math.nan,
            face=float(inside.mean()), gain=gain, better=better,
            contradicted=self._mean("wrong_restored"),
            contradicted_before=self._mean("wrong_decoded"),
            damaged=int(self._priors.column("concealed")[chosen].sum()),
            sound=self.sound_copied and self._preview is not None and self._preview.has_sound,
        )  # fmt: skip

    def _cards(
        self, outcome: Mapping[str, object], metrics: Metrics | None
    ) -> list[tuple[str, str, str]]:
        """Name, value and remark of the figures at the top."""
        cards = []
        if metrics and metrics.index:
            for key, name, digits in (("psnr_y", "PSNR, luma", 2), ("ssim_y", "SSIM, luma", 4)):
                before, after = metrics.mean(f"{key}_decoded"), metrics.mean(f"{key}_restored")
                unit = " dB" if key == "psnr_y" else ""
                cards.append((
                    name, f"{after - before:+.{digits}f}{unit}",
                    f"{before:.{digits}f} decoded, {after:.{digits}f} restored",
                ))  # fmt: skip
        change = np.mean(self._columns["change"])
        cards.append(("Mean change", f"{change:.2f}", "grey levels of 255, luma"))
        wrong = self._mean("wrong_restored")
        if math.isfinite(wrong):
            before = self._mean("wrong_decoded")
            cards.append((
                "Contradicted", _percent(wrong),
                f"of the coefficients, cell “{self._cell_used}” (decoded: {_percent(before)})",
            ))  # fmt: skip
        if math.isfinite(self._mean("qp")):
            cards.append(("Mean QP", f"{self._mean('qp'):.1f}", "as read from the bitstream"))
        cards.append((
            "Frames", str(outcome["frames"]),
            f"{float(outcome['frames_per_second']):.3g} frames/s on {outcome['device']}",  # type: ignore[arg-type]
        ))  # fmt: skip
        return cards

    def _mean(self, column: str) -> float:
        values = np.array(self._columns[column])
        values = values[np.isfinite(values)]
        return float(values.mean()) if len(values) else math.nan

    def _plots(self, metrics: Metrics | None) -> list[str]:
        columns, done = self._columns, len(self._columns["qp"])
        chosen = self._frames[:done]
        times = self._priors.column("time")[list(chosen)].tolist()
        out = []
        if metrics and metrics.index:
            frames = metrics.frames
            curves = [Curve(n, n, frames[f"psnr_y_{n}"]) for n in ("decoded", "restored")]
            remark = "Luma against the reference; higher is closer to the source."
            out.append(plot("PSNR", remark, "dB", curves, times))
        if math.isfinite(self._mean("wrong_restored")):
            share = [
                Curve(n, n, [100 * v for v in columns[f"wrong_{n}"]])
                for n in ("decoded", "restored")
            ]
            remark = (
                f"Transform coefficients outside the cell “{self._cell_used}” of the coded level; "
                "the decoded picture has its share from the deblocking filter."
            )
            out.append(plot("Contradicted by the bitstream", remark, "%", share, times, zero=True))
        kinds = self._priors.column("picture_type")[list(chosen)]
        counts = [f"{int((kinds == n).sum())} {name}" for name, n in PICTURE_TYPES.items()]
        remark = f"Mean over the macroblocks of a frame. Pictures: {', '.join(counts)}."
        if math.isfinite(self._mean("qp")):
            out.append(plot("QP", remark, "", [Curve("QP", "plain", columns["qp"])], times))
        change = [Curve("change", "restored", columns["change"])]
        remark = "Mean absolute change of luma by the network, grey levels of 255."
        out.append(plot("Change", remark, "levels", change, times, zero=True))
        if not self._hearing.silent:
            loud = [Curve("level", "plain", columns["loud"])]
            remark = "Level of the sound."
            if not self._listens:
                remark = "Level of the sound; this network does not hear it."
            out.append(plot("Sound", remark, "dB", loud, times))
        return out

    def _pictures(self) -> list[Picture]:
        """Kept frames in display order; a frame kept for several reasons appears once."""
        by_index: dict[int, list[_Kept]] = {}
        for kept in self._kept.values():
            by_index.setdefault(kept.index, []).append(kept)
        times = self._priors.column("time")
        pictures = []
        for index, group in sorted(by_index.items()):
            kept = group[0]
            why = [other.why for other in group if not other.why.startswith("frame ")]
            unit = float(1 << (self._depth - 8))
            change = kept.restored[0].astype(np.float32) - kept.decoded[0].astype(np.float32)
            place = 0.5 + change / unit / FULL_CHANGE / 2
            pictures.append(
                Picture(
                    label=f"{index}",
                    time=float(times[index]),
                    why=", ".join(why),
                    decoded=self._uri(kept.decoded),
                    restored=self._uri(kept.restored),
                    change=data_uri(self._view.picture(colours(place, LESS_MORE))),
                    source="" if kept.source is None else self._uri(kept.source),
                )  # fmt: skip
            )
        return pictures

    def _uri(self, planes: Sequence[np.ndarray]) -> str:
        a = self._priors.attrs
        rgb = to_rgb(
            planes,
            depth=self._depth,
            matrix=str(a["color_matrix"]),
            full_range=a["color_range"] == "full",
        )
        return data_uri(self._view.picture(rgb))

    def _maps(self) -> list[Map]:
        """The maps over the whole video."""
        count = max(len(self._columns["change"]), 1)
        mean = self._change / count
        top = max(float(np.percentile(mean, 99.5)), 0.05)
        maps = [Map(
            data_uri(self._view.picture(colours(mean / top, HEAT))), "Where it worked",
            "Mean change of brightness over all frames.",
            HEAT, ("none", f"{top:.2f} of 255 levels"),
        )]  # fmt: skip
        if self._measured:
            gain = self._gain / self._measured
            top = max(float(np.percentile(np.abs(gain), 99)), 0.05)
            maps.append(Map(
                data_uri(self._view.picture(colours(0.5 + gain / top / 2, WORSE_BETTER))),
                "Where it helped",
                "Squared error of brightness before less that after, mean over all frames; full "
                f"colour at {top:.1f}.",
                WORSE_BETTER, ("farther from the original", "closer to it"),
            ))  # fmt: skip
        return maps


def _percent(share: float) -> str:
    """A share in words short enough for a card."""
    if 0 < share < 1e-5:
        return "< 0.001 %"
    return f"{100 * share:.3f} %" if share else "0 %"
