"""A video in, a priors file out: the loop that joins decoder, writer and sound."""

import hashlib
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from itertools import islice
from pathlib import Path

import numpy as np

from ._core import CorruptStreamError, StreamInfo
from .annexb import split_nals
from .coded import KEPT
from .decode import Taps
from .demux import Source, VideoError, open_source
from .output import Output, OutputSettings, refuse_change
from .pieces import one_by_one, several_at_once, usual_threads
from .priors.packing import PackedFrame, pack_record
from .priors.record import FrameRecord, cropped
from .priors.schema import PLANE_GROUPS
from .timeline import Selection, Timeline, look_through
from .verify import VerificationError, Verifier

_OF_A_CUT = {"missing_packet", "truncated_packet", "demux_error"}  # warnings of a file cut off
_LEFT_OUT = {"slices_of_other_layers_or_views", "units_of_other_layers"}  # of what is not damaged


@dataclass
class Summary:
    """What an extraction did.

    Attributes:
        outputs: Files written, one per segment.
        frames: Frames written.
        concealed: How many of them have concealed macroblocks.
        warnings: Oddities of the stream by name.
        width: Of the first frame, cropped, luma samples.
        height: likewise.
        duration: Seconds of video.
        sound: Seconds of sound.
        verified: Every frame was compared with FFmpeg's.
        md5: Of all cropped decoded planes, where asked for.
        bytes: Size of the files.
        elapsed: Seconds it took.
        choice: Which of several video streams it was, in words.
        compared: What was compared with FFmpeg's besides frames, in words.
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
    choice: str = ""
    compared: str = ""

    @property
    def missing(self) -> int:
        """Frames that the container's index promises and that are not in the file."""
        return self.warnings.get("missing_packet", 0)

    @property
    def damage(self) -> dict[str, int]:
        """Those of the warnings that say that something is lost or wrong."""
        return {name: count for name, count in self.warnings.items() if name not in _LEFT_OUT}

    @property
    def left_out(self) -> dict[str, int]:
        """Those of what is sound but not decoded: enhancement layers and further views."""
        return {name: count for name, count in self.warnings.items() if name in _LEFT_OUT}

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
        if self.choice:
            parts.append(self.choice)
        if self.verified:
            parts.append(f"every frame{self.compared} equal to FFmpeg's")
        if self.sound:
            parts.append(f"{self.sound:.2f} s of sound")
        if self.missing:
            whole = self.frames + self.missing
            parts.append(f"CUT OFF: {self.frames} of {whole} frames are in the file")
        if self.concealed or set(self.damage) - _OF_A_CUT:
            parts.append(f"DAMAGED: {self.concealed} frames concealed ({_counted(self.damage)})")
        if self.left_out:
            parts.append(f"the base layer alone, left out: {_counted(self.left_out)}")
        for path in self.outputs:
            parts.append(f"{path}: {path.stat().st_size / 1e6:.2f} MB")
        return "\n".join(parts)


def iterate(
    video: str | os.PathLike[str],
    *,
    start: float | None = None,
    end: float | None = None,
    frames: tuple[int, int | None] | None = None,
    stream: int | None = None,
    planes: tuple[str, ...] = PLANE_GROUPS,
    motion: bool = False,
    modes: bool = False,
    bits: bool = False,
    threads: int | None = None,
) -> Iterator[tuple[FrameRecord, StreamInfo]]:
    """Frame records of a video in display order, with the properties of their sequence.

    Args:
        video: Any file with H.264 or HEVC video in it.
        start: Seconds from the first frame.
        end: Seconds from the first frame.
        frames: Display indices of the first frame and of the one after the last, instead of times.
        stream: Index of the video stream in the file; None: as FFmpeg chooses.
        planes: Which of `decoded`, `prediction`, `residual`, `level` to record.
        motion: Record motion vectors.
        modes: Record intra prediction modes.
        bits: Record what the bits of a macroblock (HEVC: coding unit) were spent on.
        threads: Pictures of H.264 decoded at the same time, with the same result; None: as the
            machine has cores, at most 4, where pictures are large enough to gain by it.

    Raises:
        VideoError: There is no H.264 or HEVC video in the file.
        UnsupportedStreamError: The stream needs what is not implemented; the message names it.
    """
    timeline = look_through(open_source(video, stream=stream), keep=KEPT)
    selection = timeline.select(timeline.span(start=start, end=end, frames=frames))
    taps = Taps(tuple(planes), motion, modes, bits)
    threads = threads or usual_threads()
    yield from one_by_one(timeline, taps, selection, {}, threads=threads)


def extract(
    video: str | os.PathLike[str],
    output: str | os.PathLike[str] | None = None,
    *,
    start: float | None = None,
    end: float | None = None,
    frames: tuple[int, int | None] | None = None,
    stream: int | None = None,
    planes: tuple[str, ...] = PLANE_GROUPS,
    motion: bool = False,
    modes: bool = False,
    bits: bool = False,
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
        video: Any file with H.264 or HEVC video in it.
        output: The priors file; None writes nothing (for timing and checking).
        start: Seconds from the first frame.
        end: Seconds from the first frame.
        frames: Display indices of the first frame and of the one after the last, instead of times.
        stream: Index of the video stream in the file; None: as FFmpeg chooses.
        planes: Which of `decoded`, `prediction`, `residual`, `level` to store; with none of the
            first three no samples are made, syntax is all that is decoded.
        motion: Store motion vectors.
        modes: Store intra prediction modes.
        bits: Store what the bits of a macroblock (HEVC: coding unit) were spent on.
        audio: Store the sound.
        audio_shift: Milliseconds by which the sound is moved, later if positive.
        compression: `gzip`, `blosc` or `none`.
        verify: Compare every frame with FFmpeg's.
        digest: MD5 of the cropped decoded planes into the summary.
        jobs: Pieces decoded at the same time; `verify` and `digest` go one by one.
        threads: Threads that compress beside the decoding one; None: as the machine has cores.
        strict: Damage is an error.
        split: Where size, chroma format or bit depth change, begin another file.
        overwrite: Replace existing files.
        expect: Called once with the number of frames to come, None where it is not known.
        progress: Called with the number of frames just done.

    Raises:
        VideoError: No H.264 or HEVC video, none that can be decoded, or a format that changes
            without `split`.
        UnsupportedStreamError: The stream needs what is not implemented; the message names it.
        CorruptStreamError: Damage, when `strict`.
        VerificationError: A frame is not FFmpeg's.
        FileExistsError: The output exists and `overwrite` is not set.
        OSError: Reading or writing failed.
    """
    began = time.perf_counter()
    source = open_source(video, stream=stream)
    taps = Taps(tuple(planes), motion, modes, bits, lent=True)  # nobody here writes to them
    if (verify or digest) and "decoded" not in planes:
        raise ValueError(
            "verify and md5 compare decoded samples, and none are recorded: ask for the decoded "
            "planes (--planes decoded)"
        )
    timeline = look_through(source, keep=KEPT)
    selection = timeline.select(timeline.span(start=start, end=end, frames=frames))
    if not split:
        refuse_change(timeline, selection)
    if expect:
        expect(selection.count)
    summary = Summary(choice=source.choice)
    verifier = Verifier(timeline, start=start, end=end, frames=frames) if verify else None
    md5 = hashlib.md5(usedforsecurity=False) if digest else None
    settings = OutputSettings(
        compression,
        audio and source.sound >= 0,
        audio_shift / 1000,
        split,
        overwrite,
        threads,
        taps.pixels,
    )
    items: Iterator[tuple[FrameRecord | PackedFrame, StreamInfo]]
    if jobs > 1 and not verify and not digest:
        items = _packed(timeline, taps, selection, summary, jobs, compression if output else "")
    else:
        # what is written keeps the other threads busy with compression
        within = 1 if output else usual_threads()
        items = one_by_one(timeline, taps, selection, summary.warnings, threads=within)
    with Output(timeline, selection, settings, output) as files:
        for item, info in items:
            record = item.record if isinstance(item, PackedFrame) else item
            if strict and (record.concealed or summary.damage):
                raise CorruptStreamError(_damage(source, record, summary))
            if verifier:
                with _named_damage(source, record, summary):
                    verifier.check(record, info)
            if md5:
                for plane in cropped(record.decoded or (), info):
                    md5.update(np.ascontiguousarray(plane).data)
            if summary.frames == 0:
                summary.width, summary.height = info.width, info.height
            files.add(item, info)
            summary.frames += 1
            summary.concealed += record.concealed
            if progress:
                progress(1)
        if summary.frames == 0:
            raise VideoError(_nothing(source, summary))
        if strict and summary.damage:
            raise CorruptStreamError(_damage(source, None, summary))
        if verifier:
            verifier.finish()
            summary.verified = True
            summary.compared = " and QP" if source.codec.name == "h264" else ""
        files.finish(summary.verified)
        summary.outputs, summary.bytes = files.paths, sum(p.stat().st_size for p in files.paths)
        summary.duration, summary.sound = files.duration, files.sound
    summary.md5 = md5.hexdigest() if md5 else ""
    summary.elapsed = time.perf_counter() - began
    return summary


def _packed(
    timeline: Timeline,
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

    return several_at_once(
        timeline,
        taps,
        selection,
        summary.warnings,
        jobs=jobs,
        work=work,
        size=lambda packed: packed.size,
    )


@contextmanager
def _named_damage(source: Source, record: FrameRecord, summary: Summary) -> Iterator[None]:
    """Say of a frame that differs from FFmpeg's what damage came before it."""
    try:
        yield
    except VerificationError as error:
        if not (record.concealed or set(summary.damage) - _OF_A_CUT):
            raise
        raise VerificationError(
            f"{error} ({_damage(source, record, summary)}; decoders differ in what they make of it)"
        ) from None


def _counted(warnings: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(warnings.items()))


def _damage(source: Source, record: FrameRecord | None, summary: Summary) -> str:
    found = _counted(summary.damage)
    where = ""
    if record is not None and record.concealed:
        where = f"frame {record.index} ({record.time:.3f} s) had to be concealed"
    return f"damaged: {'; '.join(filter(None, (where, found)))}"


def _nothing(source: Source, summary: Summary) -> str:
    found = _counted(summary.warnings)
    packets = list(islice(source.packets(), 100))
    if not packets and "mov" in source.kind:
        return (
            f"{source.path} describes a video and holds none of its pictures: it is the "
            "initialisation segment of a fragmented MP4, or was cut off; join it with its media "
            "segments (cat init.mp4 segment1.m4s ... > whole.mp4)"
        )
    nals = [nal for packet in packets for nal in split_nals(packet.data)]
    if packets and not any(source.codec.nals.is_plausible(nal) for nal in nals):
        return (
            f"{source.path} says that it holds {source.codec.title}, but its packets are neither "
            "NAL units behind lengths nor behind start codes: the first begins "
            f"{packets[0].data[:8].hex(' ')}; they are of another codec, encrypted or damaged"
        )
    why = "it was cut off before its first one, or its parameter sets are missing"
    if "slices_without_parameter_sets" in summary.warnings:
        why = "its parameter sets are missing, in the container and in the stream"
    elif "discarded_pictures" in summary.warnings:
        why = "it has no picture from which decoding can begin (IDR, IRAP, I or recovery point)"
    return (
        f"{source.path} holds no picture that can be decoded: {why}"
        f"{f' ({found})' if found else ''}; get a complete copy"
    )
