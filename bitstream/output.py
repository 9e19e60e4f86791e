"""Where an extraction goes: a priors file per format of the stream, with the sound."""

import hashlib
import os
import tempfile
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Self

from .. import __version__
from ._core import StreamInfo
from .demux import VideoError, shown_name
from .partfile import refuse_busy
from .priors.packing import PackedFrame
from .priors.part import check_output
from .priors.record import FrameRecord
from .priors.schema import CHROMA_FORMATS, COLOR_MATRICES, attributes_of
from .priors.writer import PriorsWriter
from .sound import SAMPLE_RATE, Sound
from .timeline import Selection, Timeline
from .tracks import Tracks, copy_tracks

_SAME = (
    "coded_size", "crop", "chroma_format_idc", "bit_depth_luma", "bit_depth_chroma", "ctu_size",
    "field_seq",
)  # fmt: skip
"""Properties of a sequence that stay the same within one priors file."""


def _format(info: StreamInfo) -> list[object]:
    """What must stay the same within one priors file."""
    return [getattr(info, name) for name in _SAME]


def _format_text(info: StreamInfo) -> str:
    """The same as in messages."""
    depth = max(info.bit_depth_luma, info.bit_depth_chroma)
    text = f"{info.width}x{info.height} {CHROMA_FORMATS[info.chroma_format_idc]} {depth} bit"
    fields = ", fields" if info.field_seq else ""
    return text + ("" if info.ctu_size == 16 else f", CTU {info.ctu_size}") + fields


class FormatChange(VideoError):
    """A video whose picture size, chroma format or bit depth changes on the way."""


def refuse_change(timeline: Timeline, selection: Selection) -> None:
    """Make sure that all wanted frames have one format.

    Raises:
        FormatChange: They have not.
    """
    if not len(timeline):
        return
    first = timeline.info(selection.first)
    for row, info in timeline.formats:
        if selection.first < row < selection.stop and _format(info) != _format(first):
            raise FormatChange(
                f"{timeline.source.path} changes from {_format_text(first)} to "
                f"{_format_text(info)} at {timeline.time(row):.3f} s; give --split to write one "
                "file per part"
            )


def attributes(timeline: Timeline, info: StreamInfo) -> dict[str, object]:
    """The root attributes that are known with the first frame, as in `schema.ATTRIBUTES`."""
    source = timeline.source
    sar = Fraction(info.sar_width or 1, info.sar_height or 1)
    values: dict[str, object] = {
        "davd_version": __version__,
        "source": shown_name(source.path),
        "source_sha256": "",
        "codec": source.codec.name,
        "chroma_format": CHROMA_FORMATS[info.chroma_format_idc],
        "color_matrix": COLOR_MATRICES.get(info.matrix_coefficients, "unspecified"),
        "color_range": "full" if info.video_full_range else "limited",
        "color_primaries": info.colour_primaries,
        "color_transfer": info.transfer_characteristics,
        "sample_aspect_ratio": f"{sar.numerator}/{sar.denominator}",
        "rotation": source.rotation,
        "display_matrix": " ".join(map(str, source.matrix)),
        "field_order": source.field_order,
        "frame_rate": f"{timeline.rate.numerator}/{timeline.rate.denominator}",
        "time_base": f"{timeline.time_base.numerator}/{timeline.time_base.denominator}",
        "time_invented": timeline.invented,
        "first_frame": 0,
        "pixels": True,
        "verified": False,
    }
    names = attributes_of(source.codec.name)
    values |= {name: getattr(info, name) for name in names if hasattr(info, name)}
    return {name: values[name] for name in names if name in values}


def sha256(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass(frozen=True)
class OutputSettings:
    """How files are written.

    Attributes:
        compression: Of `chunks.COMPRESSIONS`.
        audio: Store the sound.
        audio_shift: Seconds by which it is moved, later if positive.
        split: Begin another file where the format changes.
        overwrite: Replace existing files.
        threads: That compress beside the one that decodes; None: as the machine has cores.
        pixels: Samples were made.
    """

    compression: str = "gzip"
    audio: bool = True
    audio_shift: float = 0.0
    split: bool = False
    overwrite: bool = False
    threads: int | None = None
    pixels: bool = True


class Output:
    """Takes frames and writes them to one file, or to several when the format changes.

    Attributes:
        paths: Files finished.
        duration: Seconds of video in them.
        sound: Seconds of sound in them.
    """

    def __init__(
        self,
        timeline: Timeline,
        selection: Selection,
        settings: OutputSettings,
        path: str | os.PathLike[str] | None,
    ) -> None:
        """Begin.

        Args:
            timeline: Of the video.
            selection: Which of its frames will come.
            settings: How to write.
            path: Of the first file; None writes nothing.

        Raises:
            FileExistsError: It exists and is not to be replaced.
            OutputError: It is a folder, its folder is missing, or another run is writing to it.
        """
        self.paths: list[Path] = []
        self.duration = self.sound = 0.0
        self._timeline, self._selection, self._settings = timeline, selection, settings
        self._path = None if path is None else Path(path)
        if self._path:
            check_output(self._path, overwrite=settings.overwrite)
            refuse_busy(self._path)
        self._writer: PriorsWriter | None = None
        self._info: StreamInfo | None = None  # of the current file
        self._begun = 0  # frames before the current file
        self._count = 0
        self._hasher = ThreadPoolExecutor(1, "davd-sha256")
        self._digest: Future[str] | None = None

    def add(self, item: FrameRecord | PackedFrame, info: StreamInfo) -> None:
        """Write a frame; where its format is another, begin another file.

        Args:
            item: The frame, packed or not.
            info: Properties of its sequence.
        """
        if self._info is None:
            self._begin(info)
        elif info is not self._info and _format(info) != _format(self._info):
            self._end(last=False)
            self._begin(info)
        if self._writer is not None:
            if isinstance(item, PackedFrame):
                self._writer.append_packed(item.moved(-self._begun))
            else:
                self._writer.append(_moved(item, -self._begun))
        self._count += 1

    def _begin(self, info: StreamInfo) -> None:
        self._info, self._begun = info, self._count
        if self._path is None:
            return
        path = self._path
        if self.paths:
            path = path.with_name(f"{path.stem}-{len(self.paths) + 1}{path.suffix}")
        refuse_busy(path)  # once more: looking through may have taken a while
        values = attributes(self._timeline, info)
        values["first_frame"] = self._selection.first + self._begun
        values["pixels"] = self._settings.pixels
        threads = self._settings.threads
        if threads is None:
            threads = 2 if (os.cpu_count() or 1) > 2 else 1
        self._writer = PriorsWriter(
            path,
            values,
            compression=self._settings.compression,
            threads=threads,
            overwrite=self._settings.overwrite,
        )
        if self._digest is None:
            self._digest = self._hasher.submit(sha256, self._timeline.source.path)

    def _end(self, *, last: bool, verified: bool = False) -> None:
        first = self._selection.first
        begin, end = (self._timeline.time(first + n) for n in (self._begun, self._count))
        self.duration += end - begin
        if self._writer is None:
            return
        if self._settings.audio:
            whole = last and self._count == len(self._timeline) and not self.paths
            self._write_sound(self._writer, *((None, None) if whole else (begin, end)))
        assert self._digest is not None
        self._writer.finish(source_sha256=self._digest.result(), verified=verified)
        self.paths.append(self._writer.path)
        self._writer = None

    def _write_sound(self, writer: PriorsWriter, start: float | None, end: float | None) -> None:
        shift = self._settings.audio_shift
        start, end = (None if t is None else t - shift for t in (start, end))
        sound = Sound(self._timeline.source, start, end)
        writer.write_audio(
            sound.blocks(), sample_rate=SAMPLE_RATE, start_time=lambda: sound.start_time + shift
        )
        self.sound += sound.samples / SAMPLE_RATE
        with tempfile.TemporaryDirectory(prefix=".davd-", dir=writer.path.parent) as folder:
            path = Path(folder) / "tracks.mka"
            first = copy_tracks(Tracks(self._timeline.source.path, start=start, end=end), path)
            if first is not None:
                with open(path, "rb") as file:
                    writer.write_original(file, start_time=first + shift)

    def finish(self, verified: bool) -> None:
        """All frames have come.

        Args:
            verified: What the files say of it.
        """
        self._end(last=True, verified=verified)

    def __enter__(self) -> Self:
        """The output itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Remove what was not finished."""
        self._hasher.shutdown(wait=False, cancel_futures=True)
        if self._writer is not None:
            self._writer.discard()


def _moved(record: FrameRecord, index: int) -> FrameRecord:
    """The record with `index` added to its frame numbers."""
    if index == 0:
        return record
    ref = record.ref
    if ref is not None:
        ref = ref.copy()
        ref[ref >= 0] += index
    return record.but(index=record.index + index, ref=ref)
