"""Training and validation samples out of a work folder that davd-prepare has made.

A training sample is a function of the seed and its number and of nothing else: not of the number
of workers or processes, nor of what was drawn before. That is what makes a run repeatable and
lets it be resumed at any step.
"""

import dataclasses
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from torch.utils.data import Dataset
from torch.utils.data._utils.collate import default_collate_fn_map

from .augment import Augment
from .flat import FlatClip
from .hearing import Track
from .index import Clip, load_index
from .reader import ClipReader
from .sample import Sample, collate

SHIFT = 1.0  # seconds by which "shifted" sound is late


@dataclasses.dataclass(frozen=True)
class Stretch:
    """Frames `start` to `stop` of what a reader reads."""

    reader: ClipReader | FlatClip
    start: int
    stop: int

    def __str__(self) -> str:
        """As in messages."""
        return self.reader.name


@dataclasses.dataclass(frozen=True)
class Segment(Stretch):
    """Those frames of a clip of a work folder, at one CRF, that belong to a split."""

    clip: Clip
    crf: int

    def __str__(self) -> str:
        """As in messages."""
        return f"{self.reader.name} at CRF {self.crf}"


def open_videos(
    paths: Iterable[str | Path], *, listen: bool = False, level: bool = False, motion: bool = False
) -> list[Stretch]:
    """Open coded videos, or their priors files, that have no clean ones beside them.

    Samples of them have no `clean`; videos are decoded as they are read.

    Args:
        paths: Of the files.
        listen: Read the sound, as the network hears it.
        level: Read what projection needs.
        motion: Read motion, where it is stored.

    Raises:
        FileNotFoundError: A file that is not there.
        ValueError: One that is neither, or without levels where they are asked for.
    """
    readers = [ClipReader(Path(path), listen=listen, level=level, motion=motion) for path in paths]
    return [Stretch(reader, 0, len(reader)) for reader in readers]


def open_segments(
    index: str | Path | Sequence[str | Path],
    split: str,
    *,
    crf: Sequence[int],
    codec: str = "",
    listen: bool = False,
    sound: str = "right",
    fix_delay: bool = True,
    level: bool = False,
    motion: bool = False,
    cache: bool = False,
    speakers: Sequence[str] = (),
) -> list[Segment]:
    """Open the clips of a split at some CRFs.

    Args:
        index: One or more work folders, or their index.json.
        split: "train", "val" or "test".
        crf: Which encodes; a clip without one of them is left out there.
        codec: What they have to be coded with, "h264" or "hevc"; empty: anything.
        listen: Read the sound, as the network hears it.
        sound: "right", "silent", "exchanged" (each clip hears another's) or "shifted".
        fix_delay: Undo the sound's delay where it was measured surely.
        level: Read what projection needs.
        motion: Read motion, where it is stored.
        cache: Keep planes in flat files beside the index.
        speakers: Only these; all where empty.

    Returns:
        Segments, in the index's order, CRFs in the order given; what is named twice stands twice.

    Raises:
        ValueError: No clip of that split at those CRFs, or a folder of another codec.
    """
    places = [index] if isinstance(index, str | Path) else list(index)
    listings = [load_index(place) for place in places]
    for listing in listings:
        made = str(listing.settings.get("codec", "h264"))  # older folders have no other
        if codec and made != codec:
            raise ValueError(f"{listing.root} holds {made}, where {codec} is wanted (data.codec)")
    segments: list[Segment] = []
    opened: dict[tuple[Path, str, int], list[Segment]] = {}  # what is named twice is opened once
    for listing in listings:
        for clip in listing.clips:
            if speakers and clip.speaker not in speakers:
                continue
            for quality in crf:
                if quality not in clip.priors:
                    continue
                key = (listing.root, clip.name, quality)
                if key not in opened:
                    opened[key] = _open_clip(
                        clip, quality, split,
                        listen=listen and sound != "silent",
                        late=SHIFT if sound == "shifted" else 0.0,
                        fix_delay=fix_delay, level=level, motion=motion,
                        root=listing.root, cache=cache,
                    )  # fmt: skip
                segments += opened[key]
    if not segments:
        clips = [clip for listing in listings for clip in listing.clips]
        found = sorted({name for clip in clips for _, _, name in clip.segments})
        raise ValueError(
            f"{', '.join(map(str, places)) or 'no index'}: no clip of split {split!r} at CRF "
            f"{', '.join(map(str, crf))}; splits there: {', '.join(found) or 'none'} (few speakers "
            "may all be drawn into one: name their splits in a speakers.csv beside the videos)"
        )
    if sound == "exchanged":
        _exchange_sound(segments)
    return segments


def _open_clip(
    clip: Clip,
    crf: int,
    split: str,
    *,
    listen: bool,
    late: float,
    fix_delay: bool,
    level: bool,
    motion: bool,
    root: Path,
    cache: bool,
) -> list[Segment]:
    """The segments of one clip that belong to a split; nothing is opened where there are none."""
    parts = [(start, stop) for start, stop, name in clip.segments if name == split]
    if not parts:
        return []
    if fix_delay and clip.audio.sure:
        late += (clip.audio.delay_ms or 0.0) / 1000
    if (flat := _flat_path(clip, crf, root)).exists():
        return [
            Segment(_flat_clip(flat, clip, root, listen=listen, delay=late), *part, clip, crf)
            for part in parts
        ]
    reader = ClipReader(
        clip.priors[crf], clip.clean, listen=listen, delay=late, level=level, motion=motion,
        face=clip.face, mouth=clip.mouth, cache=root / "cache" if cache else None,
        name=clip.name,
    )  # fmt: skip
    return [Segment(reader, start, stop, clip, crf) for start, stop in parts]


def _flat_path(clip: Clip, crf: int, root: Path) -> Path:
    """Where a packed folder has a clip once it is decoded, see `pack`."""
    return root / "flat" / f"crf{crf}-{clip.name.replace('/', '~')}.planes"


def _flat_clip(path: Path, clip: Clip, root: Path, *, listen: bool, delay: float) -> FlatClip:
    sound = root / "sound" / f"{clip.name}.npy"
    track = Track(np.load(sound).astype(np.float32), 0.0) if listen and sound.exists() else None
    return FlatClip(
        path, name=clip.name, fps=float(clip.fps), track=track, delay=delay, face=clip.face,
        mouth=clip.mouth,
    )  # fmt: skip


def _exchange_sound(segments: list[Segment]) -> None:
    """Give every clip the sound of the next one of another speaker, else of the next clip."""
    tracks = [segment.reader.track for segment in segments]
    for number, segment in enumerate(segments):
        order = [(number + step) % len(segments) for step in range(1, len(segments))]
        heard = [k for k in order if tracks[k] is not None]
        others = [k for k in heard if segments[k].clip.speaker != segment.clip.speaker]
        others += [k for k in heard if segments[k].clip.name != segment.clip.name]
        segment.reader.track = tracks[others[0]] if others else None


class PriorsDataset(Dataset[Sample]):
    """Random windows of frames, crops on the grid of macroblocks, and what `Augment` makes of them.

    Item `k` is the same whenever and wherever it is asked for.

    Args:
        segments: From `open_segments` or `open_videos`.
        length: Number of items.
        crop: Side of the crop, a multiple of 16; smaller frames give all they have.
        frames: Frames per sample.
        augment: How samples are varied. Not with levels: a changed picture has other ones.
        seed: Of everything random.
    """

    def __init__(
        self,
        segments: Sequence[Stretch],
        *,
        length: int,
        crop: int,
        frames: int,
        augment: Augment | None = None,
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
            if isinstance(part, Segment) and not part.reader.has_clean:
                raise ValueError(f"{part.reader.name} has no source to learn from")
            if crop % max(part.reader.grid):
                raise ValueError(
                    f"a crop of {crop} from {part.reader.name}, which is interlaced or of HEVC: "
                    "expected a multiple of 32"
                )
            if crop > min(part.reader.size):
                raise ValueError(f"a crop of {crop} from {part.reader.name}: {part.reader.size}")
        # Long clips are drawn more often, but not in proportion: many speakers, few of them long.
        weights = np.array([part.stop - part.start for part in self._segments], float) ** 0.5
        self._share = weights / weights.sum()
        self._length, self._crop, self._frames = length, crop, frames
        self._augment, self._seed = augment, seed

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
        rows, columns = part.reader.grid
        top = rows * int(random.integers(0, (height - self._crop) // rows + 1))
        left = columns * int(random.integers(0, (width - self._crop) // columns + 1))
        try:
            sample = part.reader.read(
                start, start + self._frames, (top, left, self._crop, self._crop)
            )
        except Exception as error:  # libraries have errors of their own for damaged data
            raise RuntimeError(f"cannot read {part}, frame {start}: {error}") from error
        return self._augment(sample, random) if self._augment else sample


def _collated(samples: Sequence[Sample], *, collate_fn_map: object = None) -> Sample:
    return collate(samples)


default_collate_fn_map[Sample] = _collated  # so that a `DataLoader` stacks samples by itself
