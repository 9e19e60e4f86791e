"""A video in, a priors file out: the loop that joins decoder, writer and sound."""

import hashlib
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np

from ._core import CorruptStreamError, StreamInfo
from .decode import Selection, Taps, select
from .demux import Source, VideoError, open_source
from .output import Output, OutputSettings
from .pieces import Part, one_by_one, several_at_once
from .priors.packing import PackedFrame, pack_record
from .priors.record import FrameRecord, cropped
from .priors.schema import PLANE_GROUPS
from .timeline import Timeline
from .verify import Verifier

_OF_A_CUT = {"missing_packet", "truncated_packet", "demux_error"}  # warnings of a file cut off


@dataclass
class Summary:
    """What an extraction did.

    Attributes:
        outputs: files written, one per segment.
        frames: frames written.
        concealed: how many of them have concealed macroblocks.
        warnings: oddities of the stream by name.
        width: of the first frame, cropped, luma samples.
        height: likewise.
        duration: seconds of video.
        sound: seconds of sound.
        verified: every frame was compared with FFmpeg's.
        md5: of all cropped decoded planes, where asked for.
        bytes: size of the files.
        elapsed: seconds it took.
    """

    outputs: list[Path] = field(default_factory=list)
    frames: int = 0
    concealed: int = 0
    warnings: dict[str, int] = field(default_factory=dict)
    width: int = 0
    height: int = 0
    duration: float = 0.0
    sound: float = 0.0
    verified: bool = False
    md5: str = ""
    bytes: int = 0
    elapsed: float = 0.0

    @property
    def missing(self) -> int:
        """Frames that the container's index promises and that are not in the file."""
        return self.warnings.get("missing_packet", 0)

    def as_dict(self) -> dict[str, object]:
        """As values that JSON can carry."""
        rate = round(self.frames / self.elapsed, 1) if self.elapsed else 0.0
        return asdict(self) | {
            "outputs": [str(path) for path in self.outputs],
            "missing": self.missing,
            "frames_per_second": rate,
        }

    def text(self) -> str:
        """In words, for people."""
        rate = self.frames / self.elapsed if self.elapsed else 0.0
        parts = [
            f"{self.frames} frames of {self.width}x{self.height} ({self.duration:.2f} s) in "
            f"{self.elapsed:.2f} s, {rate:.0f} frames/s"
        ]
        if self.verified:
            parts.append("every frame and QP equal to FFmpeg's")
        if self.sound:
            parts.append(f"{self.sound:.2f} s of sound")
        if self.missing:
            whole = self.frames + self.missing
            parts.append(f"CUT OFF: {self.frames} of {whole} frames are in the file")
        if self.concealed or set(self.warnings) - _OF_A_CUT:
            found = ", ".join(f"{name} {count}" for name, count in sorted(self.warnings.items()))
            parts.append(f"DAMAGED: {self.concealed} frames concealed ({found})")
        for path in self.outputs:
            parts.append(f"{path}: {path.stat().st_size / 1e6:.2f} MB")
        return "\n".join(parts)


def iterate(
    video: str | os.PathLike[str],
    *,
    start: float | None = None,
    end: float | None = None,
    frames: tuple[int, int | None] | None = None,
    planes: tuple[str, ...] = PLANE_GROUPS,
    motion: bool = False,
    modes: bool = False,
) -> Iterator[tuple[FrameRecord, StreamInfo]]:
    """Frame records of a video in display order, with the properties of their sequence.

    Args:
        video: any file with H.264 video in it.
        start: seconds from the first frame.
        end: seconds from the first frame.
        frames: display indices of the first frame and of the one after the last, instead of times.
        planes: which of `decoded`, `prediction`, `residual`, `level` to record.
        motion: record motion vectors.
        modes: record intra prediction modes.

    Raises:
        VideoError: there is no H.264 video in the file.
        UnsupportedStreamError: the stream needs what is not implemented; the message names it.
    """
    source = open_source(video)
    selection = select(source, start=start, end=end, frames=frames)
    timeline = None
    for record, info in one_by_one(source, Taps(tuple(planes), motion, modes), selection, {}):
        timeline = timeline or Timeline(source, selection, info)
        yield timeline.stamp(record), info


def extract(
    video: str | os.PathLike[str],
    output: str | os.PathLike[str] | None = None,
    *,
    start: float | None = None,
    end: float | None = None,
    frames: tuple[int, int | None] | None = None,
    planes: tuple[str, ...] = PLANE_GROUPS,
    motion: bool = False,
    modes: bool = False,
    audio: bool = True,
    audio_shift: float = 0.0,
    compression: str = "gzip",
    verify: bool = False,
    digest: bool = False,
    jobs: int = 1,
    threads: int | None = None,
    strict: bool = False,
    split: bool = False,
    overwrite: bool = False,
    expect: Callable[[int | None], object] | None = None,
    progress: Callable[[int], object] | None = None,
) -> Summary:
    """Write the priors of a video.

    Args:
        video: any file with H.264 video in it.
        output: the priors file; None writes nothing (for timing and checking).
        start: seconds from the first frame.
        end: seconds from the first frame.
        frames: display indices of the first frame and of the one after the last, instead of times.
        planes: which of `decoded`, `prediction`, `residual`, `level` to store.
        motion: store motion vectors.
        modes: store intra prediction modes.
        audio: store the sound.
        audio_shift: milliseconds by which the sound is moved, later if positive.
        compression: `gzip`, `blosc` or `none`.
        verify: compare every frame with FFmpeg's.
        digest: MD5 of the cropped decoded planes into the summary.
        jobs: pieces decoded at the same time; `verify`, `digest` and ranges of bare streams go
            one by one.
        threads: threads that compress beside the decoding one; None: as the machine has cores.
        strict: damage is an error.
        split: where size, chroma format or bit depth change, begin another file.
        overwrite: replace existing files.
        expect: called once with the number of frames to come, None where it is not known.
        progress: called with the number of frames just done.

    Raises:
        VideoError: no H.264 video, none that can be decoded, or a format that changes without
            `split`.
        UnsupportedStreamError: the stream needs what is not implemented; the message names it.
        CorruptStreamError: damage, when `strict`.
        VerificationError: a frame is not FFmpeg's.
        FileExistsError: the output exists and `overwrite` is not set.
        OSError: reading or writing failed.
    """
    began = time.perf_counter()
    source = open_source(video)
    taps = Taps(tuple(planes), motion, modes)
    if (verify or digest) and "decoded" not in planes:
        raise ValueError("verify and digest need the decoded planes")
    selection = select(source, start=start, end=end, frames=frames)
    if expect:
        expect(selection.count if selection != Selection() else source.frames or None)
    summary = Summary()
    verifier = Verifier(source, selection) if verify else None
    md5 = hashlib.md5(usedforsecurity=False) if digest else None
    settings = OutputSettings(
        compression, audio and source.sound >= 0, audio_shift / 1000, split, overwrite, threads
    )
    items: Iterator[tuple[FrameRecord | PackedFrame, StreamInfo]]
    counted = source.bare and selection != Selection()  # frames of a bare stream have no times
    if jobs > 1 and not verify and not digest and not counted:
        items = _packed(source, taps, selection, summary, jobs, compression if output else "")
    else:
        items = _plain(source, taps, selection, summary)
    with Output(source, selection, settings, output) as files:
        for item, info in items:
            record = item.record if isinstance(item, PackedFrame) else item
            if strict and (record.concealed or summary.warnings):
                raise CorruptStreamError(_damage(source, record, summary))
            if verifier:
                verifier.check(record, info)
            if md5:
                for plane in cropped(record.decoded or (), info):
                    md5.update(np.ascontiguousarray(plane).data)
            if summary.frames == 0:
                summary.width, summary.height = info.width, info.height
            files.add(item, record, info)
            summary.frames += 1
            summary.concealed += record.concealed
            if progress:
                progress(1)
        if summary.frames == 0:
            raise VideoError(_nothing(source, summary))
        if strict and summary.warnings:
            raise CorruptStreamError(_damage(source, None, summary))
        if verifier:
            verifier.finish()
            summary.verified = True
        files.finish(summary.verified)
        summary.outputs, summary.bytes = files.paths, sum(p.stat().st_size for p in files.paths)
        summary.duration, summary.sound = files.duration, files.sound
    summary.md5 = md5.hexdigest() if md5 else ""
    summary.elapsed = time.perf_counter() - began
    return summary


def _plain(
    source: Source, taps: Taps, selection: Selection, summary: Summary
) -> Iterator[tuple[FrameRecord, StreamInfo]]:
    timeline = None
    for record, info in one_by_one(source, taps, selection, summary.warnings):
        timeline = timeline or Timeline(source, selection, info)
        yield timeline.stamp(record), info


def _packed(
    source: Source,
    taps: Taps,
    selection: Selection,
    summary: Summary,
    jobs: int,
    compression: str,
) -> Iterator[tuple[PackedFrame, StreamInfo]]:
    """Frames packed by the jobs that decoded them; without compression, without arrays."""

    def work(record: FrameRecord) -> PackedFrame:
        packed = pack_record(record, compression or "none", later={"motion/ref"})
        return packed if compression else replace(packed, stacks={})

    timeline = None
    parts: Iterator[Part[PackedFrame]] = several_at_once(
        source,
        taps,
        selection,
        summary.warnings,
        jobs=jobs,
        work=work,
        size=lambda packed: packed.size,
    )
    for part in parts:
        timeline = timeline or Timeline(source, selection, part.info)
        record = timeline.stamp(part.frame.record, index=part.shown, decoded=part.decoded)
        yield replace(part.frame, record=record).moved(part.shown), part.info


def _damage(source: Source, record: FrameRecord | None, summary: Summary) -> str:
    found = ", ".join(f"{name} {count}" for name, count in sorted(summary.warnings.items()))
    where = ""
    if record is not None and record.concealed:
        where = f"frame {record.index} ({record.time:.3f} s) had to be concealed"
    return f"damaged: {'; '.join(filter(None, (where, found)))}"


def _nothing(source: Source, summary: Summary) -> str:
    found = ", ".join(f"{name} {count}" for name, count in sorted(summary.warnings.items()))
    return (
        f"{source.path} holds no picture that can be decoded: it was cut off before its first one, "
        f"or its parameter sets are missing{f' ({found})' if found else ''}; get a complete copy"
    )
