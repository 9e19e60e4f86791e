"""Training and validation samples out of a work folder that davd-prepare has made.

A training sample is a function of the seed and its number and of nothing else: not of the number
of workers or processes, nor of what was drawn before. That is what makes a run repeatable and
lets it be resumed at any step.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import Dataset

from .index import Clip, load_index
from .reader import ClipReader, Listen
from .sample import Planes, Sample

SHIFT = 1.0  # seconds by which "shifted" sound is late


@dataclasses.dataclass(frozen=True)
class Segment:
    """A clip at one CRF, and the frames `start` to `stop` of it that belong to a split."""

    reader: ClipReader
    clip: Clip
    crf: int
    start: int
    stop: int


def open_segments(
    index: str | Path,
    split: str,
    *,
    crf: Sequence[int],
    listen: Listen | None = None,
    sound: str = "right",
    fix_delay: bool = True,
    level: bool = False,
    cache: bool = False,
    speakers: Sequence[str] = (),
) -> list[Segment]:
    """Open the clips of a split at some CRFs.

    Args:
        index: Work folder, or its index.json.
        split: "train", "val" or "test".
        crf: Which encodes; a clip without one of them is left out there.
        listen: Makes features of sound; None: no sound.
        sound: "right", "silent", "exchanged" (each clip hears another speaker's) or "shifted".
        fix_delay: Undo the sound's delay where it was measured surely.
        level: Read what projection needs.
        cache: Keep planes in flat files beside the index.
        speakers: Only these; all where empty.

    Returns:
        Segments, in the index's order, CRFs in the order given.

    Raises:
        ValueError: No clip of that split at those CRFs.
    """
    listing = load_index(index)
    segments = []
    for clip in listing.clips:
        if speakers and clip.speaker not in speakers:
            continue
        parts = [(start, stop) for start, stop, name in clip.segments if name == split]
        for quality in crf if parts else ():
            if quality not in clip.priors:
                continue
            late = (clip.audio.delay_ms or 0.0) / 1000 if fix_delay and clip.audio.sure else 0.0
            reader = ClipReader(
                clip.priors[quality],
                clip.clean,
                listen=None if sound == "silent" else listen,
                delay=late + (SHIFT if sound == "shifted" else 0.0),
                level=level,
                face=clip.face,
                mouth=clip.mouth,
                cache=listing.root / "cache" if cache else None,
                name=clip.name,
            )
            segments += [Segment(reader, clip, quality, start, stop) for start, stop in parts]
    if not segments:
        found = sorted({name for clip in listing.clips for _, _, name in clip.segments})
        raise ValueError(
            f"{index}: no clip of split {split!r} at CRF {', '.join(map(str, crf))}; "
            f"splits there: {', '.join(found) or 'none'}"
        )
    if sound == "exchanged":
        _exchange_sound(segments)
    return segments


def _exchange_sound(segments: list[Segment]) -> None:
    """Give every clip the sound of the next one of another speaker."""
    tracks = [segment.reader.track for segment in segments]
    for number, segment in enumerate(segments):
        order = [(number + step) % len(segments) for step in range(1, len(segments))]
        others = [
            k
            for k in order
            if segments[k].clip.speaker != segment.clip.speaker and tracks[k] is not None
        ]
        segment.reader.track = tracks[others[0]] if others else None


class PriorsDataset(Dataset[Sample]):
    """Random windows of frames, crops on the 16-sample grid, and flips.

    Item `k` is the same whenever and wherever it is asked for.

    Args:
        segments: From `open_segments`.
        length: Number of items.
        crop: Side of the crop, a multiple of 16; smaller frames give all they have.
        frames: Frames per sample.
        flip: Mirror every other sample. Not with levels: a mirrored picture has other ones.
        seed: Of everything random.
    """

    def __init__(
        self,
        segments: Sequence[Segment],
        *,
        length: int,
        crop: int,
        frames: int,
        flip: bool = True,
        seed: int = 0,
    ) -> None:
        """Check the arguments and weigh the segments.

        Raises:
            ValueError: A crop off the grid or larger than a clip, no source to learn from, or
                segments all shorter than a window.
        """
        if crop <= 0 or crop % 16:
            raise ValueError(f"a crop of {crop}: expected a multiple of 16")
        self._segments = [part for part in segments if part.stop - part.start >= frames]
        if not self._segments:
            raise ValueError(f"no segment has {frames} frames in a row")
        for part in self._segments:
            if not part.reader.has_clean:
                raise ValueError(f"{part.reader.name} has no source to learn from")
            if crop > min(part.reader.size):
                raise ValueError(f"a crop of {crop} from {part.reader.name}: {part.reader.size}")
        # Long clips are drawn more often, but not in proportion: many speakers, few of them long.
        weights = np.array([part.stop - part.start for part in self._segments], float) ** 0.5
        self._share = weights / weights.sum()
        self._length, self._crop, self._frames = length, crop, frames
        self._flip, self._seed = flip, seed

    def __len__(self) -> int:
        """Number of items."""
        return self._length

    def __getitem__(self, number: int) -> Sample:
        """Item `number`.

        Raises:
            IndexError: Past the end.
            RuntimeError: A file could not be read; the message names it.
        """
        if not 0 <= number < self._length:
            raise IndexError(number)
        random = np.random.default_rng((self._seed, number))
        part = self._segments[random.choice(len(self._segments), p=self._share)]
        start = int(random.integers(part.start, part.stop - self._frames + 1))
        height, width = part.reader.size
        top = 16 * int(random.integers(0, (height - self._crop) // 16 + 1))
        left = 16 * int(random.integers(0, (width - self._crop) // 16 + 1))
        mirror = bool(random.integers(0, 2))
        try:
            sample = part.reader.read(
                start, start + self._frames, (top, left, self._crop, self._crop)
            )
        except (OSError, ValueError, KeyError, IndexError) as error:
            where = f"{part.reader.name} at CRF {part.crf}, frame {start}"
            raise RuntimeError(f"cannot read {where}: {error}") from error
        return mirrored(sample) if mirror and self._flip else sample


def mirrored(sample: Sample) -> Sample:
    """A sample, left and right exchanged.

    Raises:
        ValueError: It carries levels, which a mirrored picture would not have.
    """
    if sample.level is not None:
        raise ValueError("a sample with levels cannot be mirrored")
    width = sample.decoded.y.shape[-1]
    changes: dict[str, object] = {}
    for field in dataclasses.fields(sample):
        value = getattr(sample, field.name)
        if isinstance(value, Planes):
            changes[field.name] = value.map(lambda plane: plane.flip(-1))
        elif field.name in ("face", "mouth") and value is not None:
            x, y, across, down = value.tolist()
            changes[field.name] = torch.tensor([width - x - across, y, across, down]).int()
        elif field.name in ("qp_y", "qp_cb", "qp_cr", "tu", "mb_type", "cbp", "field"):
            changes[field.name] = None if value is None else value.flip(-1)
    return dataclasses.replace(sample, **changes)  # type: ignore[arg-type]
