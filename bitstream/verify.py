"""Frame by frame comparison with FFmpeg, an independent decoder."""

from collections.abc import Iterator
from fractions import Fraction

import av
import av.error
import numpy as np
from av.sidedata.encparams import VideoEncParams

from ._core import StreamInfo
from .demux import open_container, read_packets
from .priors.hevc import Hash
from .priors.record import FrameRecord, cropped
from .priors.schema import MbType
from .timeline import Timeline, exactly


class VerificationError(ValueError):
    """A frame that is not FFmpeg's; the message says which, and where."""


class Verifier:
    """FFmpeg decodes the same video alongside; every frame, its time and QP (H.264) must be equal.

    Which frames they are is found from what was asked for, by FFmpeg's own count of frames and
    FFmpeg's times: a range that was cut wrongly does not agree. Where FFmpeg's times do not
    increase, those of the timeline count.
    """

    def __init__(
        self,
        timeline: Timeline,
        *,
        start: float | None = None,
        end: float | None = None,
        frames: tuple[int, int | None] | None = None,
    ) -> None:
        """Open the video for FFmpeg.

        Args:
            timeline: Of the video.
            start: Seconds from the first frame, as asked for.
            end: likewise.
            frames: Display indices of the first frame and of the one after the last, likewise.
        """
        self._timeline = timeline
        self._span = (start, end)
        self._low, self._high = frames or (0, None)
        self._frames = self._wanted()
        self._checked = 0

    def _wanted(self) -> Iterator[av.VideoFrame]:
        zero: int | None = None
        for index, frame in enumerate(self._decode()):
            zero = frame.pts if zero is None else zero
            place = self._place(index, self._since(index, frame, zero))
            if place > 0:
                return
            if place == 0:
                yield frame

    def _since(self, index: int, frame: av.VideoFrame, zero: int | None) -> Fraction:
        """Seconds from the first frame."""
        timeline = self._timeline
        if timeline.kept and frame.pts is not None and zero is not None:
            return (frame.pts - zero) * timeline.time_base
        if index >= len(timeline):
            return Fraction(1 << 62)
        return (timeline.pts[index] - timeline.pts[0]) * timeline.time_base

    def _place(self, index: int, since: Fraction) -> int:
        """-1 before, 0 inside, 1 after what was asked for."""
        start, end = (None if t is None else exactly(t) for t in self._span)
        if (start is not None and since < start) or index < self._low:
            return -1
        late = end is not None and since >= end
        return int(late or (self._high is not None and index >= self._high))

    def _decode(self) -> Iterator[av.VideoFrame]:
        source = self._timeline.source
        with open_container(source.path, source.codec.name if source.bare else None) as container:
            stream = container.streams[max(0, source.stream)]
            assert isinstance(stream, av.VideoStream)
            # Not by frames: FFmpeg would export the QP of pictures still decoded by another thread
            stream.thread_type = "SLICE"
            stream.codec_context.options = {
                "export_side_data": "venc_params",
                "flags": "+unaligned",
            }
            for packet in read_packets(container, stream):
                try:
                    frames = packet.decode()
                except av.error.FFmpegError:
                    continue
                yield from (f for f in frames if isinstance(f, av.VideoFrame))

    def check(self, record: FrameRecord, info: StreamInfo) -> None:
        """Compare the next frame.

        Raises:
            VerificationError: It is not equal.
        """
        frame = next(self._frames, None)
        if frame is None:
            raise VerificationError(f"FFmpeg decodes only {self._checked} frames")
        where = f"frame {self._checked} ({record.time:.3f} s)"
        if self._timeline.kept and frame.pts not in (None, record.pts):
            time = float(frame.pts * self._timeline.time_base)
            raise VerificationError(f"{where} is FFmpeg's at {time:.3f} s")
        if record.decoded is None:
            raise VerificationError("nothing to compare: decoded planes were not recorded")
        for name, ours, theirs in zip(
            ("y", "cb", "cr"), cropped(record.decoded, info), planes(frame), strict=False
        ):
            if ours.shape != theirs.shape:
                raise VerificationError(
                    f"{where}: {name} is {ours.shape}, FFmpeg's is {theirs.shape}"
                )
            if not np.array_equal(ours, theirs):
                count = np.count_nonzero(ours != theirs)
                row, column = np.argwhere(ours != theirs)[0]
                sure = "; the encoder's hash of the picture says that ours is right"
                raise VerificationError(
                    f"{where} differs from FFmpeg's in {count} samples of {name}, the first at row "
                    f"{row}, column {column}{sure if record.hash == Hash.RIGHT else ''}"
                )
        self._check_qp(record, info, frame, where)
        self._checked += 1

    def _check_qp(
        self, record: FrameRecord, info: StreamInfo, frame: av.VideoFrame, where: str
    ) -> None:
        exported = frame.side_data.get("VIDEO_ENC_PARAMS")
        if not isinstance(exported, VideoEncParams):
            return
        shape = record.qp_y.shape
        theirs = _exported_qp(exported, shape) - 6 * (info.bit_depth_luma - 8)  # it gives QP'_Y
        theirs = np.where(record.mb_type == MbType.I_PCM, record.qp_y, theirs)
        if not np.array_equal(record.qp_y, theirs):
            row, column = np.argwhere(record.qp_y != theirs)[0]
            raise VerificationError(
                f"{where}: QP of macroblock row {row}, column {column} is "
                f"{record.qp_y[row, column]}, FFmpeg's is {theirs[row, column]}"
            )

    def finish(self) -> None:
        """Make sure that FFmpeg has no more frames.

        Raises:
            VerificationError: It has.
        """
        if next(self._frames, None) is not None:
            raise VerificationError(f"FFmpeg decodes more than {self._checked} frames")


def _exported_qp(exported: VideoEncParams, shape: tuple[int, ...]) -> np.ndarray:
    """FFmpeg's QP of every macroblock, in macroblock order as ours.

    `VideoEncParams.qp_map` counts rows by the cropped height, which fields are not cropped to.
    """
    raw = np.frombuffer(exported, np.uint8)  # type: ignore[call-overload]
    size = exported.block_size
    blocks = raw[exported.blocks_offset :][: exported.nb_blocks * size].reshape(-1, size)
    numbers = np.ascontiguousarray(blocks).view(np.int32)  # x, y, width, height, QP less the base
    qp = np.zeros(shape, np.int32)
    qp[numbers[:, 1] // 16, numbers[:, 0] // 16] = exported.qp + numbers[:, 4]
    return qp


def planes(frame: av.VideoFrame) -> list[np.ndarray]:
    """The planes of a decoded YUV or grey frame."""
    result = []
    for component, plane in zip(frame.format.components, frame.planes, strict=True):
        dtype = np.uint16 if component.bits > 8 else np.uint8
        rows = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)
        result.append(rows.view(dtype)[:, : plane.width])
    return result
