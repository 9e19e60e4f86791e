"""Frame by frame comparison with FFmpeg, an independent decoder."""

from collections.abc import Iterator

import av
import av.error
import numpy as np
from av.sidedata.encparams import VideoEncParams

from ._core import StreamInfo
from .decode import Selection
from .demux import Source
from .priors.record import FrameRecord, cropped
from .priors.schema import MbType


class VerificationError(ValueError):
    """A frame that is not FFmpeg's; the message says which, and where."""


class Verifier:
    """FFmpeg decodes the same video alongside; every frame and every QP must be equal."""

    def __init__(self, source: Source, selection: Selection) -> None:
        """Open the video for FFmpeg.

        Args:
            source: the video.
            selection: the frames that will be compared.
        """
        self._source = source
        self._frames = self._wanted(selection)
        self._checked = 0

    def _wanted(self, selection: Selection) -> Iterator[av.VideoFrame]:
        bare = self._source.bare
        for index, frame in enumerate(self._decode()):
            place = selection.place(index if bare else frame.pts)
            if place > 0:
                return
            if place == 0:
                yield frame

    def _decode(self) -> Iterator[av.VideoFrame]:
        kind = "h264" if self._source.bare else None
        with av.open(str(self._source.path), format=kind, metadata_errors="ignore") as container:
            stream = container.streams[max(0, self._source.stream)]
            assert isinstance(stream, av.VideoStream)
            # Not by frames: FFmpeg would export the QP of pictures still decoded by another thread
            stream.thread_type = "SLICE"
            stream.codec_context.options = {"export_side_data": "venc_params"}
            packets = container.demux(stream)
            while True:
                try:
                    packet = next(packets)
                except (StopIteration, av.error.FFmpegError):
                    return
                try:
                    frames = packet.decode()
                except av.error.FFmpegError:
                    continue
                yield from (f for f in frames if isinstance(f, av.VideoFrame))

    def check(self, record: FrameRecord, info: StreamInfo) -> None:
        """Compare the next frame.

        Raises:
            VerificationError: it is not equal.
        """
        frame = next(self._frames, None)
        if frame is None:
            raise VerificationError(f"FFmpeg decodes only {self._checked} frames")
        where = f"frame {self._checked} ({record.time:.3f} s)"
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
                raise VerificationError(
                    f"{where} differs from FFmpeg's in {count} samples of {name}, the first at row "
                    f"{row}, column {column}"
                )
        self._check_qp(record, info, frame, where)
        self._checked += 1

    def _check_qp(
        self, record: FrameRecord, info: StreamInfo, frame: av.VideoFrame, where: str
    ) -> None:
        exported = frame.side_data.get("VIDEO_ENC_PARAMS")
        if not isinstance(exported, VideoEncParams):
            return
        theirs = exported.qp_map() - 6 * (info.bit_depth_luma - 8)  # FFmpeg gives QP'_Y
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
            VerificationError: it has.
        """
        if next(self._frames, None) is not None:
            raise VerificationError(f"FFmpeg decodes more than {self._checked} frames")


def planes(frame: av.VideoFrame) -> list[np.ndarray]:
    """The planes of a decoded YUV or grey frame."""
    result = []
    for component, plane in zip(frame.format.components, frame.planes, strict=True):
        dtype = np.uint16 if component.bits > 8 else np.uint8
        rows = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)
        result.append(rows.view(dtype)[:, : plane.width])
    return result
