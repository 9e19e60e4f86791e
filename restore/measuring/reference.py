"""The source beside the restored video: frame k of it belongs to frame k of the video."""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import av
import av.error
import numpy as np
import torch
from av.video.plane import VideoPlane

from ...bitstream import Priors
from ...bitstream.demux import first_video, open_container
from ...bitstream.priors.record import cropped
from ..output.video import VideoFormat
from .metrics import psnr, ssim

KEYS = ("psnr_y_decoded", "psnr_y_restored", "ssim_y_decoded", "ssim_y_restored")
NOTE = (
    "Luma of what is shown, rounded to its codes, before the restored video is encoded; mean over "
    "frames; null: pictures are equal"
)


class Reference:
    """Reads a video forwards, frame by number.

    Args:
        path: Any video that FFmpeg decodes.
        priors: What it is compared with; of its size.

    Attributes:
        format: Of the pictures handed out.
    """

    def __init__(self, path: Path, priors: Priors) -> None:
        """Open it.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: It is not a video, or of another size, or known to be shorter.
        """
        if not path.is_file():
            raise FileNotFoundError(f"{path}: no such file")
        self._path, self._priors = path, priors
        self.format = VideoFormat.of(priors)
        self._offset = int(priors.attrs.get("first_frame", 0))
        try:
            self._container = open_container(path)
            video = first_video(self._container, path)
            context = video.codec_context
            if (context.width, context.height) != (self.format.width, self.format.height):
                raise ValueError(
                    f"{path} is {context.width}x{context.height}, the video is "
                    f"{self.format.width}x{self.format.height}: a reference has the same frames"
                )
        except av.error.FFmpegError as error:
            raise ValueError(f"{path} cannot be read as video: {error.strerror}") from None
        video.thread_type = "AUTO"
        self._frames: Iterator[av.VideoFrame] = self._container.decode(video)
        self._next = 0

    def planes(self, index: int) -> list[np.ndarray]:
        """Planes of the frame that belongs to frame `index` of the priors file.

        Raises:
            ValueError: The reference has no such frame, or it cannot be decoded.
        """
        wanted = index + self._offset
        frame = None
        try:
            while self._next <= wanted:
                frame = next(self._frames, None)
                if frame is None:
                    raise ValueError(
                        f"{self._path} has {self._next} frames, frame {wanted} is asked for: a "
                        "reference has the same frames as the video"
                    )
                self._next += 1
        except av.error.FFmpegError as error:
            raise ValueError(f"{self._path}: frame {self._next}: {error.strerror}") from None
        assert frame is not None, "frames are asked for in order"
        if frame.format.name.replace("yuvj", "yuv") != self.format.pixels:
            frame = frame.reformat(format=self.format.pixels)
        return [_array(plane, self.format.depth) for plane in frame.planes]

    def close(self) -> None:
        """Close the file."""
        self._container.close()

    def __enter__(self) -> "Reference":
        """The reference itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()


class Metrics:
    """Luma PSNR and SSIM per frame, as `--metrics` writes them."""

    def __init__(self, priors: Priors) -> None:
        """Begin without frames."""
        self._priors = priors
        self._top = float((1 << int(priors.attrs["bit_depth_luma"])) - 1)
        self.index: list[int] = []
        self.frames: dict[str, list[float]] = {key: [] for key in KEYS}

    def add(
        self,
        index: int,
        decoded: Sequence[np.ndarray],
        restored: Sequence[np.ndarray],
        source: Sequence[np.ndarray],
    ) -> None:
        """Measure a frame: planes of coded size, and of the source as shown."""
        self.index.append(index)
        clean = torch.from_numpy(np.ascontiguousarray(source[0]).astype(np.float32))
        for kind, planes in (("decoded", decoded), ("restored", restored)):
            luma = cropped(planes[:1], self._priors)[0].astype(np.float32)
            shown = torch.from_numpy(np.ascontiguousarray(luma))
            self.frames[f"psnr_y_{kind}"].append(float(psnr(shown, clean, data_range=self._top)))
            small = min(luma.shape) < 11  # the window of SSIM
            value = math.nan if small else float(ssim(shown, clean, data_range=self._top))
            self.frames[f"ssim_y_{kind}"].append(value)

    def mean(self, key: str) -> float:
        """Mean over frames; infinite where a frame is equal to its source."""
        values = self.frames[key]
        return sum(values) / len(values) if values else math.nan

    def as_dict(self) -> dict[str, object]:
        """Means under their keys, and the same keys per frame, as values that JSON can carry."""

        def plain(value: float) -> float | None:
            return round(value, 6) if math.isfinite(value) else None

        return {
            **{key: plain(self.mean(key)) for key in KEYS},
            "frames": {
                "index": self.index,
                **{key: [plain(value) for value in self.frames[key]] for key in KEYS},
            },
            "note": NOTE,
        }


def _array(plane: VideoPlane, depth: int) -> np.ndarray:
    kind = np.dtype(np.uint8 if depth == 8 else "<u2")
    rows = np.frombuffer(plane, kind).reshape(plane.height, plane.line_size // kind.itemsize)
    return rows[:, : plane.width]
