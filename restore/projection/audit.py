"""Audit of the cells: how often does the source lie outside, and what does that cost?

`audit_files` goes through a source clip and the priors file of its encode. Per class of coefficient
it counts those of the source that lie outside each cell, and it projects the source itself: what
the projection does to the truth is the ceiling that a cell leaves to any restoration.
"""

import dataclasses
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from ...bitstream import PriorsFile
from ...bitstream.demux import first_video, open_container
from .cells import CELLS, Cells, CellTable, make_cells
from .project import outside, project
from .units import FREQUENCIES, MODES, PLANES, PriorsTensors

AUDITED = ("paper", "coded", "deadzone", "trellis", "auto")


@dataclasses.dataclass(frozen=True)
class AuditRow:
    """Coefficients of one class."""

    group: str
    """Kind of transform, one of the codec's `PriorsTensors.GROUPS`."""
    mode: str
    """`intra`, `inter`, or `uncoded`: in a unit without levels."""
    levels: str
    """`zero` or `nonzero`."""
    coefficients: int
    outside: dict[str, int]
    """Per cell: coefficients of the source that lie outside."""


@dataclasses.dataclass(frozen=True)
class Audit:
    """What an audit found."""

    frames: int
    chosen: str
    """The cell that `auto` stands for."""
    rows: tuple[AuditRow, ...]
    coefficients: int
    """All of them, also those that come out as decoded."""
    ceilings: dict[str, dict[str, float]]
    """Per cell and plane: PSNR of the projected source against the source, dB."""
    decoded: dict[str, float]
    """Per plane: PSNR of the decoded picture, dB."""

    def as_dict(self) -> dict[str, object]:
        """For JSON; an infinite PSNR is null."""
        plain = dataclasses.asdict(self)
        for table in (*plain["ceilings"].values(), plain["decoded"]):
            table.update({k: v if math.isfinite(v) else None for k, v in table.items()})
        return plain

    def text(self) -> str:
        """As a table."""
        names = list(self.ceilings)
        lines = [f"{self.frames} frames, {self.coefficients} coefficients; auto is {self.chosen}"]
        lines.append(
            f"{'outside the cell, %':28}{'share %':>9}" + "".join(f"{n:>12}" for n in names)
        )
        for row in self.rows:
            label = f"{row.group} {row.mode} {row.levels}"
            line = f"{label:28}{100 * row.coefficients / self.coefficients:9.3f}"
            shares = (100 * row.outside[name] / row.coefficients for name in names)
            lines.append(line + "".join(f"{share:12.3f}" for share in shares))
        lines.append(f"{'ceiling, dB':28}{'decoded':>9}" + "".join(f"{n:>12}" for n in names))
        for plane, decoded in self.decoded.items():
            values = (self.ceilings[name][plane] for name in names)
            lines.append(f"{plane:28}{decoded:9.2f}" + "".join(f"{v:12.2f}" for v in values))
        return "\n".join(lines)


class Auditor:
    """Gathers an audit from batches of frames."""

    def __init__(
        self,
        cells: Sequence[str] = AUDITED,
        *,
        encoder: str = "",
        table: CellTable | None = None,
        crop: tuple[slice, slice] = (slice(None), slice(None)),
    ) -> None:
        """Choose what to audit.

        Args:
            cells: Names of the cells; not `none`, which binds nothing.
            encoder: What the encoder says of itself; for `auto`.
            table: For `calibrated`.
            crop: Rows and columns of the coded luma plane that are shown: what PSNR is taken over.

        Raises:
            ValueError: No cell, or `none`.
        """
        if not cells or "none" in cells:
            raise ValueError(f"cells {tuple(cells)}: expected some of {', '.join(CELLS[1:])}")
        self._names, self._encoder, self._table, self._crop = tuple(cells), encoder, table, crop
        self._chosen = ""
        self._frames = 0
        self._groups: tuple[str, ...] = ()
        self._counts = torch.zeros(1, dtype=torch.int64)  # the last: come out as decoded
        self._outside: dict[str, Tensor] = {}
        self._squares: dict[tuple[str, int], float] = {}
        self._samples: dict[int, int] = {}

    def add(
        self, priors: PriorsTensors, source: Sequence[Tensor], decoded: Sequence[Tensor]
    ) -> None:
        """Take some frames.

        Args:
            priors: Of `B` frames.
            source: What was encoded: integer planes `[B, Hp, Wp]` of coded size.
            decoded: The decoder's output, likewise.
        """
        if not self._groups:
            self._groups = priors.GROUPS
            places = math.prod(priors.classes()[:3]) + 1
            self._counts = torch.zeros(places, dtype=torch.int64)
            self._outside = {name: torch.zeros_like(self._counts) for name in self._names}
        peaks = [(1 << priors.depth(plane)) - 1 for plane in range(len(priors.level))]
        planes = [plane.float() / peak for plane, peak in zip(source, peaks, strict=True)]
        classes = [priors.class_index(p) // FREQUENCIES for p in range(len(priors.level))]
        for name in self._names:
            cells = make_cells(priors, name, encoder=self._encoder, table=self._table)
            if name == "auto":
                self._chosen = cells.name
            self._count(name, planes, cells, classes)
            for index, (was, now) in enumerate(zip(planes, project(planes, cells), strict=True)):
                self._add_error(name, index, priors, was, now.clamp(0, 1))
        for index, (was, plane) in enumerate(zip(planes, decoded, strict=True)):
            self._add_error("", index, priors, was, plane.float() / peaks[index])
            shown = self._shown(was, index, priors)
            self._samples[index] = self._samples.get(index, 0) + shown.numel()
        self._frames += len(priors)

    def result(self) -> Audit:
        """All that was taken so far."""
        rows = []
        for index in range(len(self._counts) - 1):
            count = int(self._counts[index])
            if count:
                group, mode = divmod(index // 2, len(MODES))
                wrong = {name: int(self._outside[name][index]) for name in self._names}
                levels = "nonzero" if index % 2 else "zero"
                rows.append(AuditRow(self._groups[group], MODES[mode], levels, count, wrong))
        tables = {name: self._psnr(name) for name in ("", *self._names)}
        total = int(self._counts.sum())
        decoded = tables.pop("")
        return Audit(self._frames, self._chosen, tuple(rows), total, tables, decoded)

    def _count(
        self, name: str, planes: Sequence[Tensor], cells: Cells, classes: Sequence[Tensor]
    ) -> None:
        first = name == self._names[0]
        for wrong, of_plane, index in zip(
            outside(planes, cells), cells.planes, classes, strict=True
        ):
            fixed = (of_plane.low == 0) & (of_plane.high == 0)
            places = len(self._counts)
            index = torch.where(fixed, places - 1, index)
            if first:
                self._counts += torch.bincount(index.flatten(), minlength=places)
            self._outside[name] += torch.bincount(index[wrong], minlength=places)

    def _shown(self, plane: Tensor, index: int, priors: PriorsTensors) -> Tensor:
        rows, columns = (
            slice(*(None if v is None else v // step for v in (cut.start, cut.stop)))
            for cut, step in zip(self._crop, priors.steps(index), strict=True)
        )
        return plane[:, rows, columns]

    def _add_error(
        self, name: str, index: int, priors: PriorsTensors, was: Tensor, now: Tensor
    ) -> None:
        difference = self._shown(now, index, priors).double() - self._shown(was, index, priors)
        key = name, index
        self._squares[key] = self._squares.get(key, 0.0) + float(difference.square().sum())

    def _psnr(self, name: str) -> dict[str, float]:
        table = {}
        for index, samples in self._samples.items():
            mean = self._squares[name, index] / samples
            table[PLANES[index]] = -10 * math.log10(mean) if mean > 0 else math.inf
        return table


def audit_files(
    source: Iterable[Sequence[Tensor]],
    priors: str | Path,
    *,
    cells: Sequence[str] = AUDITED,
    table: CellTable | None = None,
    frames: int | None = None,
    batch: int = 8,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Audit:
    """Audit a priors file against the clip that was encoded.

    Args:
        source: The clip's frames in display order, each its planes `[H, W]` as integers, of the
            priors file's format, depth and shown size; `source_frames` reads them from a file.
        priors: The priors file; with prediction, residual and level.
        cells: Names of the cells to audit.
        table: For `calibrated`.
        frames: Only so many, from the first.
        batch: Frames worked on at once.
        progress: Called with the frames done and their total.

    Raises:
        ValueError: The clip's planes have other sizes, or it ends before the priors do.
    """
    with PriorsFile(priors) as file:
        total = min(len(file), frames or len(file))
        encoder = str(file.attrs["encoder"])
        auditor = Auditor(cells, encoder=encoder, table=table, crop=file.crop)
        clip = iter(source)
        for start in range(0, total, batch):
            window = range(start, min(start + batch, total))
            tensors = PriorsTensors.from_file(file, window)
            planes = _source_planes(clip, tensors, file, len(window))
            decoded = [torch.from_numpy(file.read(f"decoded/{name}", window).astype("int32"))
                       for name in file.planes]  # fmt: skip
            auditor.add(tensors, planes, decoded)
            progress(window.stop, total)
    return auditor.result()


def source_frames(path: str | Path) -> Iterator[tuple[Tensor, ...]]:
    """Frames of a video file as its own planes, int32 `[H, W]`, nothing converted.

    Raises:
        ValueError: A pixel format that is not planar YCbCr, or that has alpha.
        VideoError: There is no video that can be decoded.
    """
    with open_container(path) as container:
        for frame in container.decode(first_video(container, path)):
            layout = frame.format
            if (
                not layout.is_planar
                or layout.has_palette
                or layout.is_rgb
                or len(frame.planes) == 2
            ):
                raise ValueError(f"{path}: pixel format {layout.name}: expected planar YCbCr")
            planes = []
            for plane, component in zip(frame.planes, layout.components, strict=True):
                wide = 2 if component.bits > 8 else 1
                raw = torch.frombuffer(bytearray(bytes(plane)), dtype=torch.uint8)
                rows = raw.view(plane.height, plane.line_size)[:, : plane.width * wide]
                samples = rows.contiguous().view(torch.int16 if wide == 2 else torch.uint8)
                planes.append(samples.to(torch.int32))
            yield tuple(planes)


def _source_planes(
    clip: Iterator[Sequence[Tensor]], priors: PriorsTensors, file: PriorsFile, count: int
) -> list[Tensor]:
    """The next frames of a clip, put into coded planes; margins repeat the edge, as encoders do."""
    taken: list[list[Tensor]] = [[] for _ in priors.level]
    for _ in range(count):
        frame = next(clip, None)
        if frame is None:
            raise ValueError(f"the source ends before the {len(file)} frames of {file.path}")
        for planes, plane in zip(taken, frame, strict=False):
            planes.append(plane)
    out = []
    for index, planes in enumerate(taken):
        if not planes:
            raise ValueError(f"the source has {index} planes, {file.path} has {len(taken)}")
        out.append(_pad(torch.stack(planes), index, priors, file))
    return out


def _pad(planes: Tensor, index: int, priors: PriorsTensors, file: PriorsFile) -> Tensor:
    steps = priors.steps(index)
    coded = priors.level[index].shape[1:]
    margins = []
    for step, cut, total, shown in zip(steps, file.crop, coded, planes.shape[1:], strict=True):
        start, stop = cut.start // step, cut.stop // step
        if shown != stop - start:
            raise ValueError(f"{PLANES[index]} planes of the source are {tuple(planes.shape[1:])}; "
                             f"{file.path} shows {stop - start} of {total} samples")  # fmt: skip
        margins.append((start, total - stop))
    (top, bottom), (left, right) = margins
    return F.pad(planes.double()[None], (left, right, top, bottom), mode="replicate")[0].int()
