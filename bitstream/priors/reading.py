"""What every source of priors can do, be it a file or a video that is decoded when asked."""

import math
import operator
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, KeysView, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, Self, SupportsIndex, TypeGuard, cast, overload

import numpy as np

from .record import FrameRecord
from .schema import CHROMA_FORMATS, PLANE_GROUPS, PLANES, Field, Grid, fields_of

Box = tuple[int, int, int, int]
Index = int | slice | Sequence[int] | np.ndarray


class Stack:
    """A dataset as h5py shows one: `shape`, `dtype`, `attrs`, and indices that read.

    The first index is that of frames (or samples): a number, a slice, a list or a mask.

    Attributes:
        name: Path in the file.
        shape: The whole shape.
        dtype: Of an element.
        attrs: Description, units, and what else there is to say.
    """

    def __init__(
        self,
        name: str,
        shape: tuple[int, ...],
        dtype: np.dtype,
        attrs: Mapping[str, Any],
        read: Callable[[list[int] | slice], np.ndarray],
    ) -> None:
        """A dataset that `read` reads by its first axis."""
        self.name, self.shape, self.dtype, self.attrs = name, shape, dtype, attrs
        self._read = read

    def __len__(self) -> int:
        """Rows."""
        return self.shape[0]

    @property
    def ndim(self) -> int:
        """Axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Elements."""
        return math.prod(self.shape)

    def __repr__(self) -> str:
        """Name, shape and type."""
        return f"<Stack {self.name!r}: shape {self.shape}, type {self.dtype}>"

    def __getitem__(self, index: object) -> np.ndarray:
        """Rows, and parts of them.

        Raises:
            IndexError: There is no such row.
        """
        parts = index if isinstance(index, tuple) else (index,)
        rows, *rest = parts or (...,)
        if rows is Ellipsis:
            rows, rest = slice(None), rest and [Ellipsis, *rest]
        if _is_number(rows):
            found = self._read([_inside(rows, len(self))])[0]
            return found[tuple(rest)] if rest else found
        found = self._read(rows if isinstance(rows, slice) else _numbers(rows, len(self)))
        return found[(slice(None), *rest)] if rest else found

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """All of it."""
        return self._read(slice(None)).astype(dtype or self.dtype, copy=False)

    def __iter__(self) -> Iterator[np.ndarray]:
        """Row by row."""
        return (self[k] for k in range(len(self)))


def _is_number(index: object) -> TypeGuard[SupportsIndex]:
    """Whether it stands for one row, as numbers of Python and NumPy do."""
    return hasattr(index, "__index__") and getattr(index, "ndim", 0) == 0


def _inside(index: SupportsIndex, count: int) -> int:
    k = operator.index(index)
    if not -count <= k < count:
        raise IndexError(f"frame {k} of a file that has {count}")
    return k % count


def _numbers(rows: object, count: int) -> list[int]:
    """Row numbers that a slice, numbers or a mask stand for; negative ones count from the end.

    Raises:
        IndexError: A row that is not there, or a mask of another length.
        TypeError: Anything else.
    """
    if isinstance(rows, slice):
        return list(range(count)[rows])
    found = np.asarray(rows)
    if found.dtype == bool and found.ndim == 1:
        if len(found) != count:
            raise IndexError(f"a mask of {len(found)} for {count} frames")
        return np.flatnonzero(found).tolist()
    if found.ndim != 1 or (found.size and found.dtype.kind not in "iu"):
        raise TypeError(f"{rows!r} is no choice of frames: slices, whole numbers and masks are")
    return [_inside(k, count) for k in found.tolist()]


class Priors(ABC):
    """Frames with all that the bitstream says of them: `len`, indices, iteration, crops, sound.

        >>> with davd.bitstream.open("talk.mp4") as priors:  # doctest: +SKIP
        ...     y, cb, cr = priors[0].prediction
        ...     crop = priors.read("residual/y", range(3, 8), box=(16, 32, 128, 128))
        ...     vectors = priors["motion/mv"][10:20]

    Attributes:
        path: The file.
        attrs: Its attributes, as `schema.ATTRIBUTES` lists them.
        choice: Which of several video streams it is, in words; empty where there is one.
    """

    path: Path
    choice: str = ""
    attrs: Mapping[str, str | int | float | bool]

    # What a source has to say for itself

    @abstractmethod
    def keys(self) -> KeysView[str]:
        """Names of the datasets."""

    @abstractmethod
    def _column(self, name: str) -> np.ndarray:
        """See `column`; it may be kept, and nobody writes into it."""

    @abstractmethod
    def dataset(self, path: str) -> Any:
        """A dataset for reading parts of what has no row per frame, as h5py's or a `Stack`.

        Raises:
            KeyError: There is none of this name.
        """

    @abstractmethod
    def scaling_lists(self, index: int) -> tuple[np.ndarray, ...]:
        """Scaling lists of a frame, a row of each dataset `scaling/*`."""

    @abstractmethod
    def audio(self) -> tuple[np.ndarray, int, float] | None:
        """The sound, if any: int16 `[S]`, samples a second, time of the first in seconds."""

    @abstractmethod
    def audio_original(self) -> tuple[bytes, float] | None:
        """The video's own sound track, if any: a Matroska file, and its first packet's time."""

    @abstractmethod
    def close(self) -> None:
        """Give back what is open or kept; the next use opens it again."""

    @abstractmethod
    def _layout(self, field: Field) -> tuple[tuple[int, ...], np.dtype]:
        """Shape of one row of a dataset that there is, and its type."""

    @abstractmethod
    def _rows(self, field: Field, frames: list[int], where: tuple[slice, ...]) -> np.ndarray:
        """Rows of a dataset, `where` of each."""

    @abstractmethod
    def _record(self, index: int) -> FrameRecord:
        """One frame."""

    # What follows from it

    def __enter__(self) -> Self:
        """The object itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def __repr__(self) -> str:
        """Name, size and length."""
        size = f"{self.attrs['width']}x{self.attrs['height']}"
        return f"{type(self).__name__}({str(self.path)!r}: {len(self)} frames of {size})"

    def __len__(self) -> int:
        """Number of frames."""
        return len(self._column("pts"))

    def column(self, name: str) -> np.ndarray:
        """One of the `frames/*` datasets, `[N]`: `pts`, `time`, `poc`, `picture_type` ...

        Raises:
            KeyError: There is none of this name.
        """
        if f"frames/{name}" not in self.fields:
            raise KeyError(f"{self.path} has no 'frames/{name}'")
        return self._column(name).copy()

    def __iter__(self) -> Iterator[FrameRecord]:
        """Frame by frame."""
        return (self._record(k) for k in range(len(self)))

    def __contains__(self, path: object) -> bool:
        """Whether there is a dataset, or a whole group such as `residual`."""
        return path in self.keys() or any(key.startswith(f"{path}/") for key in self.keys())

    @overload
    def __getitem__(self, index: int) -> FrameRecord: ...
    @overload
    def __getitem__(self, index: slice | Sequence[int] | np.ndarray) -> list[FrameRecord]: ...
    @overload
    def __getitem__(self, index: str) -> Stack: ...

    def __getitem__(self, index: Index | str) -> FrameRecord | list[FrameRecord] | Stack:
        """A frame, some frames (by a slice, a list or a mask), or a dataset by its name.

        Raises:
            IndexError: There is no such frame.
            KeyError: There is no such dataset.
            TypeError: What was given names neither.
        """
        if isinstance(index, str):
            return self._stack(index)
        if _is_number(index):
            return self._record(_inside(index, len(self)))
        return self._records(_numbers(index, len(self)))

    def _records(self, frames: list[int]) -> list[FrameRecord]:
        """Some frames."""
        return [self._record(k) for k in frames]

    def _stack(self, path: str) -> Stack:
        field = self.fields.get(path)
        if field is None or path not in self.keys():
            raise KeyError(f"{self.path} has no {path!r}; it has {', '.join(self.keys())}")
        if not field.per_frame:
            data = self.dataset(path)
            attrs = dict(data.attrs)
            return Stack(path, data.shape, data.dtype, attrs, lambda rows: data[rows])
        shape, dtype = self._layout(field)
        attrs = {"description": field.description, "units": field.units}
        return Stack(path, (len(self), *shape), dtype, attrs, lambda rows: self.read(path, rows))

    @property
    def fields(self) -> dict[str, Field]:
        """The datasets that the schema has for the codec, by name."""
        return fields_of(self.attrs["codec"])

    @property
    def coded_size(self) -> tuple[int, int]:
        """Height and width of a coded luma plane."""
        path, side = ("cu/size", 4) if self.attrs["codec"] == "hevc" else ("mb/type", 16)
        rows, columns = self._layout(self.fields[path])[0]
        return rows * side, columns * side

    @property
    def grid(self) -> Grid:
        """How its pictures are cut up.

        Raises:
            ValueError: The attributes say what there is not.
        """
        chroma, side = str(self.attrs["chroma_format"]), int(self.attrs.get("ctu_size", 16))
        if chroma not in CHROMA_FORMATS or side < 8:
            raise ValueError(
                f"{self.path} has chroma format {chroma!r} and units of {side} samples"
            )
        return Grid(self.coded_size, CHROMA_FORMATS.index(chroma), side)

    @property
    def crop(self) -> tuple[slice, slice]:
        """Rows and columns of a coded luma plane that are shown."""
        a = self.attrs
        top, left = int(a["crop_top"]), int(a["crop_left"])
        return slice(top, top + int(a["height"])), slice(left, left + int(a["width"]))

    @property
    def frame_rate(self) -> Fraction:
        """Frames a second; the mean where it varies."""
        return Fraction(str(self.attrs["frame_rate"]))

    @property
    def time_base(self) -> Fraction:
        """Seconds that a unit of `frames/pts` lasts."""
        return Fraction(str(self.attrs["time_base"]))

    @property
    def planes(self) -> tuple[str, ...]:
        """`("y", "cb", "cr")`, or `("y",)` for monochrome."""
        return PLANES if self.attrs["chroma_format"] != "4:0:0" else PLANES[:1]

    @overload
    def frames_at(self, seconds: float) -> int: ...
    @overload
    def frames_at(self, seconds: Sequence[float] | np.ndarray) -> np.ndarray: ...

    def frames_at(self, seconds: float | Sequence[float] | np.ndarray) -> int | np.ndarray:
        """Which frame is shown at a time, or at each of several.

        Args:
            seconds: On the video's clock, that of `frames/time`.

        Raises:
            IndexError: A time before the first frame, or after the last one has gone.
        """
        times, wanted = self._column("time"), np.asarray(seconds, float)
        end = times[-1] + 1 / float(self.frame_rate)
        # a time stamp is rounded where it is written in decimals: half a microsecond is forgiven
        found = np.searchsorted(times, wanted + 5e-7, side="right") - 1
        if found.size and (found.min() < 0 or not (wanted < end).all()):
            raise IndexError(f"no frame at {seconds} s: they last from {times[0]:g} to {end:g} s")
        return found if found.ndim else int(found)

    def read(
        self,
        path: str,
        frames: Sequence[int] | np.ndarray | slice | None = None,
        *,
        box: Box | None = None,
    ) -> np.ndarray:
        """Some frames of one dataset, or a crop of them.

        Args:
            path: A dataset with a row per frame, such as `residual/cb`.
            frames: Indices in any order, doubles allowed, a slice or a mask; all by default.
            box: Top, left, height and width of the crop in coded luma samples; for chroma planes
                and maps it is scaled down, so that the same box serves all datasets.

        Returns:
            `[len(frames), ...]`.

        Raises:
            KeyError: There is no such dataset; the message says which there are.
            IndexError: A frame that is not there.
            TypeError: No choice of frames.
            ValueError: A box that leaves the frame, or that does not fall on this dataset's grid.
        """
        field = self.fields.get(path)
        if field is None or not field.per_frame or path not in self.keys():
            there = [p for p, f in self.fields.items() if f.per_frame and p in self.keys()]
            raise KeyError(f"{self.path} has no {path!r}; it has {', '.join(there)}")
        numbers = _numbers(slice(None) if frames is None else frames, len(self))
        if len(field.shape) == 1:
            return self._column(path.partition("/")[2])[numbers]
        shape, dtype = self._layout(field)
        where = self._region(field, shape, box)
        if not numbers:
            return np.empty((0, *(s.stop - s.start for s in where)), dtype)
        return self._rows(field, numbers, where)

    def _region(self, field: Field, shape: tuple[int, ...], box: Box | None) -> tuple[slice, ...]:
        """What a box of luma samples covers of a row; motion has axes before and behind."""
        where = [slice(0, side) for side in shape]
        if box is None:
            return tuple(where)
        if len(box) != 4:
            raise ValueError(f"box {box}: it has top, left, height and width")
        box = cast(Box, tuple(operator.index(n) for n in box))
        sides = zip(self.coded_size, field.step(self.grid), box[:2], box[2:], strict=True)
        for k, (coded, step, start, length) in enumerate(sides, field.place):
            end = start + length
            if start < 0 or length <= 0 or end > coded:
                raise ValueError(f"box {box} leaves the coded frame of {self.coded_size}")
            if start % step or (end % step and end < coded):
                raise ValueError(f"box {box} is not on the {step}-sample grid of {field.path}")
            where[k] = slice(start // step, -(-end // step))
        return tuple(where)

    def summary(self) -> dict[str, object]:
        """What it says of itself, as values that JSON can carry."""
        return {"path": str(self.path), "frames": len(self)} | dict(self.attrs)


def is_plane(path: str) -> bool:
    """Whether a dataset is one of sample planes or levels."""
    return path.partition("/")[0] in PLANE_GROUPS
