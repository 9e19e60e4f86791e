"""Restored pictures out: MP4 and Matroska with the original sound, raw video, HDF5.

    RestoredFrame --crop--> planes --> writer of the output's suffix, into NAME.part
                                          finished: fsync, then NAME.part becomes NAME

Times are those of the video, variable frame rates included. Where neither picture nor sound begins
at zero (a range was cut out, a transport stream), both are moved together so that the first does.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from types import TracebackType
from typing import Self

import numpy as np

from ...bitstream import Priors
from ...bitstream.demux import turn

CHROMA_NAMES = {"4:0:0": "mono", "4:2:0": "420", "4:2:2": "422", "4:4:4": "444"}


@dataclass(frozen=True)
class VideoFormat:
    """What pictures are like and how a player shows them.

    Attributes:
        width: Of what is shown, luma samples.
        height: Likewise.
        chroma: "4:2:0" and so on.
        depth: Bits of a sample.
        matrix: Colour matrix by name, as in the priors file.
        primaries: As H.264 numbers them.
        transfer: Likewise.
        full_range: Samples use all codes.
        aspect: Width to height of a sample.
        turned: How a player turns and mirrors the picture: nine numbers of a display matrix, or
            degrees counterclockwise alone; empty: not at all.
        rate: Frames a second, the mean where it varies.
        time_base: Seconds that a unit of pts lasts.
        field_order: Field shown first, "top" or "bottom"; "progressive" where frames are whole.
    """

    width: int
    height: int
    chroma: str
    depth: int
    matrix: str
    primaries: int
    transfer: int
    full_range: bool
    aspect: Fraction
    turned: tuple[int, ...]
    rate: Fraction
    time_base: Fraction
    field_order: str = "progressive"

    @classmethod
    def of(cls, priors: Priors) -> "VideoFormat":
        """The format of a priors file's pictures, cropped.

        Raises:
            ValueError: Luma and chroma differ in bit depth, which no video file has room for.
        """
        a = priors.attrs
        luma, chroma = int(a["bit_depth_luma"]), int(a["bit_depth_chroma"])
        if luma != chroma and a["chroma_format"] != "4:0:0":
            raise ValueError(
                f"luma has {luma} bits and chroma {chroma}: write an .h5, video files have one"
            )
        return cls(
            int(a["width"]), int(a["height"]), str(a["chroma_format"]), luma,
            str(a["color_matrix"]), int(a.get("color_primaries", 2)),
            int(a.get("color_transfer", 2)), a["color_range"] == "full",
            Fraction(str(a.get("sample_aspect_ratio", "1/1"))), turned_by(a),
            priors.frame_rate, priors.time_base,
            str(a.get("field_order", "progressive")),
        )  # fmt: skip

    @property
    def rotation(self) -> int:
        """Degrees that a player turns the picture counterclockwise, mirroring apart."""
        return self.turned[0] if len(self.turned) == 1 else turn(self.turned)

    @property
    def interlaced(self) -> bool:
        """Each picture is two fields."""
        return self.field_order != "progressive"

    @property
    def pixels(self) -> str:
        """The format as FFmpeg names it."""
        wide = "" if self.depth == 8 else f"{self.depth}le"
        if self.chroma == "4:0:0":
            return f"gray{wide}"
        return f"yuv{CHROMA_NAMES[self.chroma]}p{wide}"


def turned_by(attributes: Mapping[str, object]) -> tuple[int, ...]:
    """How a player turns and mirrors: a display matrix, degrees, or nothing."""
    if matrix := str(attributes.get("display_matrix", "")):
        return tuple(map(int, matrix.split()))
    rotation = int(str(attributes.get("rotation", 0)))
    return (rotation,) if rotation else ()


class VideoWriter(ABC):
    """Takes cropped pictures in order. As a context it closes itself."""

    @abstractmethod
    def write(self, planes: Sequence[np.ndarray], pts: int) -> None:
        """Add a picture: planes of the format's size, and its time in units of `time_base`."""

    @abstractmethod
    def finish(self) -> None:
        """Write what is still to be written; the file is then complete."""

    @abstractmethod
    def close(self) -> None:
        """Let go of the file, finished or not."""

    def __enter__(self) -> Self:
        """The writer itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Finish where nothing went wrong, and close."""
        try:
            if kind is None:
                self.finish()
        finally:
            self.close()


def side_by_side(left: Sequence[np.ndarray], right: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Two pictures as one of twice the width."""
    return [np.concatenate(pair, axis=1) for pair in zip(left, right, strict=True)]
