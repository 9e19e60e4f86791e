"""A network over a video: frame after frame out of a priors file, restored, in display order.

    Priors --read ahead--> Sample (+ sound, face box) --cut--> one Stream per tile
        --> kept parts of the tiles, put into the decoded picture --> RestoredFrame

Every frame is read once and its features are computed once. What is held does not depend on the
length of the video: the windows of the streams, and as many decoded frames.
"""

import dataclasses
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

from ...bitstream import Priors
from ...data.hearing import Hearing
from ...data.reader import ClipReader
from ...data.sample import Planes, Sample, blinded, collate
from ..frame import RestoredFrame
from ..measuring.metrics import as_codes
from ..networks.restorer import Projector, Restorer, Stream
from ..output import pieces
from .guess import guessed_qp
from .shots import Shot, head
from .tiles import GRID, Box, Tile, cut_sample, plan_tiles

TRIAL = 128  # luma samples a side of the cut that the time is estimated by
RAMP = 16  # luma samples over which --face-only passes from decoded to restored
NOWHERE = (-64, -64, 1, 1)  # face box that covers nothing of any picture


class FrameSource:
    """Samples of single frames as a network wants them.

    Args:
        priors: Of the video.
        hearing: Its sound; None: the network hears silence.
        prediction: Read prediction and residual, where they are stored.
        level: Read levels and all that a projection needs.
        motion: Read motion, where it is stored.
        frames: Display indices in a row; by them a QP is guessed where the priors that are to be
            read are not there.
    """

    def __init__(
        self,
        priors: Priors,
        hearing: Hearing | None,
        *,
        prediction: bool,
        level: bool,
        motion: bool = False,
        frames: range = range(1),
    ) -> None:
        """Nothing is read yet."""
        self._reader = ClipReader(priors, level=level, bitstream=prediction or level, motion=motion)
        blind = prediction and "prediction" not in priors
        self._qp = guessed_qp(priors, frames) if blind else None
        self._hearing = hearing

    @property
    def grid(self) -> tuple[int, int]:
        """Luma rows and columns on whose multiples tiles are cut."""
        rows, columns = self._reader.grid
        return max(rows, GRID[0]), max(columns, GRID[1])

    def read(self, index: int, face: Box | None) -> Sample:
        """One frame as a batch, `[1, 1, ...]`, on the CPU."""
        sample = self._reader.read(index, index + 1)
        if self._qp is not None:
            sample = blinded(sample, priors=True, qp=self._qp)
        heard = None if self._hearing is None else self._hearing.around(self._reader.time(index))
        box = NOWHERE if face is None else (face.left, face.top, face.width, face.height)
        return collate([
            dataclasses.replace(
                sample,
                sound=None if heard is None else torch.from_numpy(heard)[None],
                face=torch.tensor(box, dtype=torch.int32),
            )
        ])  # fmt: skip


def spare_concealed(projector: Projector, concealed: np.ndarray) -> Projector:
    """A projector that leaves out frames whose priors are partly invented."""

    def project(planes: Planes, sample: Sample) -> Planes:
        assert sample.start is not None and sample.frames == 1
        return planes if concealed[int(sample.start)] else projector(planes, sample)

    return project


def restore_frames(
    network: Restorer,
    source: FrameSource,
    shots: Sequence[Shot],
    frames: range,
    *,
    size: tuple[int, int],
    side: int = 0,
    face_only: bool = False,
    strength: float = 1.0,
    amp: bool = False,
    quiet: float = 0.0,
) -> Iterator[RestoredFrame]:
    """Restore a range of a video.

    Neighbours are taken from outside the range where the shot has them; at the ends of a shot the
    first or last frame stands in for them. What is carried from frame to frame begins anew there
    and every `pieces.LENGTH` frames.

    Args:
        network: In evaluation mode, on its device.
        source: Where frames come from.
        shots: Shots that cover the range.
        frames: Display indices in a row.
        size: Height and width of the coded picture.
        side: Longest side of a tile; 0: no tiles.
        face_only: Restore the head around the face and leave all else as it was decoded.
        strength: Share of the change that is made, 0 to 1.
        amp: bf16 in the network.
        quiet: Share of skipped macroblocks from which on corrections are moved, see
            `Restorer.stream`; each tile has its own.

    Yields:
        Every frame of the range, in order.
    """
    for shot in shots:
        wanted = range(max(shot.start, frames.start), min(shot.stop, frames.stop))
        if not wanted:
            continue
        region = _region(shot, size, face_only=face_only)
        tiles = plan_tiles(region, size, side=side, margin=network.margin, grid=source.grid)
        weight = None
        if tiles and (face_only or strength < 1):
            weight = strength * (_ramp(region, size) if face_only else torch.ones(size))
        carries = quiet > 0 or network.config.motion
        for span in _spans(wanted, frames.start) if carries else [wanted]:
            streams = [network.stream(amp=amp, quiet=quiet) for _ in tiles]
            yield from _restore_shot(network, streams, source, shot, span, tiles, weight)


def _spans(wanted: range, first: int) -> list[range]:
    """A range cut where the pieces of a movie end, so that a resumed run carries the same over."""
    edges = range(first, wanted.stop, pieces.LENGTH)
    cuts = [wanted.start, *(k for k in edges if k > wanted.start), wanted.stop]
    return [range(a, b) for a, b in zip(cuts, cuts[1:], strict=False)]


def _region(shot: Shot, size: tuple[int, int], *, face_only: bool) -> Box:
    """What of a shot's pictures is restored."""
    if not face_only:
        return Box(0, 0, *size)
    return Box(0, 0, 0, 0) if shot.face is None else head(shot.face, size)


def expected_seconds(
    network: Restorer,
    source: FrameSource,
    shots: Sequence[Shot],
    frames: range,
    *,
    size: tuple[int, int],
    side: int = 0,
    face_only: bool = False,
    amp: bool = False,
) -> float | None:
    """About how long `restore_frames` will take, by a try on a small cut of one frame.

    Args:
        network: As for `restore_frames`, like all others.
        source: Likewise.
        shots: Likewise.
        frames: Likewise.
        size: Likewise.
        side: Likewise.
        face_only: Likewise.
        amp: Likewise.

    Returns:
        Seconds; None where the try would take a good part of the work itself.
    """
    work = 0
    for shot in shots:
        wanted = range(max(shot.start, frames.start), min(shot.stop, frames.stop))
        region = _region(shot, size, face_only=face_only)
        tiles = plan_tiles(region, size, side=side, margin=network.margin, grid=source.grid)
        work += len(wanted) * sum(tile.outer.height * tile.outer.width for tile in tiles)
    cut = Box(0, 0, TRIAL, TRIAL).grown(0, 0, size)
    burst = network.burst
    if work < 20 * (2 * burst + network.context[1]) * TRIAL**2:
        return None
    sample = cut_sample(source.read(frames.start, shots[0].face), cut)
    sample = sample.to(next(network.parameters()).device)
    stream = network.stream(amp=amp)
    while stream.push(sample) is None:
        pass
    took = 0.0
    for _ in range(max(2, burst)):
        began = time.perf_counter()
        done = stream.push(sample)
        assert done is not None
        done.y.sum().item()  # waits for the device
        took += time.perf_counter() - began
    return took / max(2, burst) * work / (cut.height * cut.width)


def _restore_shot(
    network: Restorer,
    streams: list[Stream],
    source: FrameSource,
    shot: Shot,
    wanted: range,
    tiles: list[Tile],
    weight: Tensor | None,
) -> Iterator[RestoredFrame]:
    before, after = network.context
    first, last = max(shot.start, wanted.start - before), min(shot.stop, wanted.stop + after)
    device = next(network.parameters()).device
    waiting: deque[tuple[int, Sample]] = deque()
    done: list[deque[Planes]] = [deque() for _ in tiles]  # tiles may be ahead of each other
    with ThreadPoolExecutor(1, "davd-read") as pool:
        ahead = pool.submit(source.read, first, shot.face)
        for k in range(first, last):
            sample = ahead.result()
            if k + 1 < last:
                ahead = pool.submit(source.read, k + 1, shot.face)
            waiting.append((k, sample))
            for stream, tile, queue in zip(streams, tiles, done, strict=True):
                part = stream.push(cut_sample(sample, tile.outer).to(device))
                if part is not None:
                    queue.append(part)
            while waiting and all(done):
                index, sample = waiting.popleft()
                parts = [queue.popleft() for queue in done]
                if index in wanted:
                    yield _finish(index, sample, tiles, parts, weight)
    if not any(index in wanted for index, _ in waiting):
        return
    for stream, queue in zip(streams, done, strict=True):
        queue.extend(stream.flush())
    for index, sample in waiting:
        parts = [queue.popleft() for queue in done]
        if index in wanted:
            yield _finish(index, sample, tiles, parts, weight)


def _finish(
    index: int,
    sample: Sample,
    tiles: list[Tile],
    parts: Sequence[Planes],
    weight: Tensor | None,
) -> RestoredFrame:
    """Put the kept parts of the tiles into the decoded picture, as codes."""
    size = (sample.decoded.y.shape[-2], sample.decoded.y.shape[-1])
    depths = (sample.bit_depth[0], sample.bit_depth[1], sample.bit_depth[1])
    decoded, restored = [], []
    for number, (plane, depth) in enumerate(zip(sample.decoded, depths, strict=True)):
        if not plane.numel():
            continue
        before = plane[0, 0].numpy()
        if before.dtype == np.int16:
            before = before.view(np.uint16)
        after = before.copy()
        for tile, part in zip(tiles, parts, strict=True):
            codes = _kept(part[number], tile, size).cpu()
            rows, columns = tile.inner.of_plane(before.shape, size)
            if weight is not None:
                share = weight[:: size[0] // before.shape[0], :: size[1] // before.shape[1]]
                top = float((1 << depth) - 1)
                old = plane[0, 0, rows, columns].float() / top
                codes = old + share[rows, columns] * (codes - old)
            after[rows, columns] = as_codes(codes, depth).numpy().astype(before.dtype)
        decoded.append(before)
        restored.append(after)
    return RestoredFrame(index, tuple(decoded), tuple(restored), sample)


def _kept(part: Tensor, tile: Tile, size: tuple[int, int]) -> Tensor:
    """The inner part of a tile's output plane `[1, 1, h, w]`."""
    outer, inner = tile
    down, across = outer.height // part.shape[-2], outer.width // part.shape[-1]
    rows = slice((inner.top - outer.top) // down, (inner.bottom - outer.top) // down)
    columns = slice((inner.left - outer.left) // across, (inner.right - outer.left) // across)
    return part[0, 0, rows, columns]


def _ramp(region: Box, size: tuple[int, int]) -> Tensor:
    """Weight of the restored picture: 1 inside a region, falling to 0 at its edge, `[H, W]`.

    Where the region ends with the picture there is nothing to pass over to, and no fall.
    """
    weight = torch.zeros(size)
    lines = []
    for axis in (0, 1):
        length = region[2 + axis]
        place = torch.arange(length) + 0.5
        near = torch.full((length,), float(RAMP))
        if region[axis] > 0:
            near = torch.minimum(near, place)
        if region[axis] + length < size[axis]:
            near = torch.minimum(near, length - place)
        lines.append(0.5 - 0.5 * torch.cos(torch.pi * near / RAMP))
    weight[region.top : region.bottom, region.left : region.right] = lines[0][:, None] * lines[1]
    return weight
