"""What the viewer shows: priors, videos and restored planes behind one small interface.

Arrays are asked for by group: `maps` is everything of a frame that is not a plane, `decoded`,
`prediction`, `residual` and `level` are planes y, cb, cr. Nothing here trusts its file: sizes are
bounded before anything is read, and an array of another shape than its field says is left out.
"""

import math
import os
import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Protocol

import av
import av.error
import h5py
import numpy as np

from .._core import DavdError
from ..demux import VideoError, first_video, open_container, shown_name
from ..open import open as open_priors
from ..priors.reader import PriorsError, PriorsFile
from ..priors.record import FrameRecord, record_arrays
from ..priors.schema import PLANE_GROUPS, PLANES, Field
from ..video import PriorsVideo
from .colour import coefficients

Arrays = dict[str, np.ndarray]

MOST_SAMPLES = 139264 * 256  # luma samples of a picture: MaxFS of level 6.2, Table A-1
MOST_FRAMES = 10_000_000
SLOW = ("concealed", "bits", "hash")  # columns that a video has only once it was decoded
_KEPT = 96 << 20  # bytes of pictures of a plain video that are kept
_CHUNK = 64 << 20  # bytes of the largest chunk that is read
_BEHIND = 128 << 20  # bytes of frames that are decoded together on the way back
_RESTORED = "davd-restored"
_SHIFTS = {"4:0:0": None, "4:2:0": (2, 2), "4:2:2": (1, 2), "4:4:4": (1, 1)}


class Material(Protocol):
    """A file that can be shown."""

    name: str
    count: int

    def about(self) -> dict[str, object]:
        """Sizes, colour and what is stored, as values that JSON can carry."""

    def columns(self) -> Arrays:
        """What there is one value of per frame."""

    def arrays(self, index: int, group: str) -> Arrays:
        """One group of arrays of one frame; empty where it is not in the file."""

    def close(self) -> None:
        """Let go of the file."""


def open_material(path: str | os.PathLike[str], *, plain: bool = False) -> Material:
    """Open a priors file, a video, or restored planes.

    Args:
        path: The file.
        plain: Pictures alone will do: a video of any codec that FFmpeg decodes.

    Raises:
        VideoError, PriorsError, UnsupportedStreamError: It is none of them; the message says more.
        OSError: It cannot be read.
    """
    path = Path(path)
    if _is_restored(path):
        return RestoredMaterial(path)
    try:
        return PriorsMaterial(path)
    except (VideoError, DavdError) as error:
        if not plain:
            raise
        try:
            return VideoMaterial(path, why=str(error))
        except VideoError:  # not even pictures: the first reason says more
            raise error from None


def _is_restored(path: Path) -> bool:
    """Whether it is an .h5 of davd-restore; of a file that cannot be read others say why."""
    try:
        with h5py.File(path, "r") as data:
            return bool(data.attrs.get("format") == _RESTORED)
    except OSError:
        return False


class PriorsMaterial:
    """Everything that the bitstream says, from a priors file or from the video itself.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        """Open it and check its sizes."""
        self.path, self.name = path, shown_name(path)
        self._priors = open_priors(path)
        if isinstance(self._priors, PriorsFile):
            _check_chunks(path, [self._priors.dataset(p) for p in self.fields if p in self._priors])
        self._lock = threading.Lock()
        self.count = len(self._priors)
        self._shapes = {}
        height, width = self._priors.coded_size
        _check_size(path, self.count, height, width)
        self._last = -1
        self._behind = max(1, min(8, _BEHIND // (9 * height * width)))  # 9 bytes a luma sample
        grid = self._priors.grid
        for p, f in self.fields.items():
            if (
                f.per_frame
                and len(f.shape) > 1
                and p in self._priors
                and grid.chroma_format_idc in f.formats
            ):
                self._shapes[p] = f.row(grid)

    @property
    def fields(self) -> dict[str, Field]:
        """The datasets that its codec has."""
        return self._priors.fields

    def about(self) -> dict[str, object]:
        """See `Material`."""
        a = self._priors.attrs
        stored = {path.partition("/")[0] for path in self._shapes}
        return {
            "kind": "priors", "name": self.name, "count": self.count,
            "groups": [g for g in PLANE_GROUPS if g in stored],
            "maps": [p for p in self._shapes if _group(p) == "maps"],
            "coded": list(self._priors.coded_size),
            "attrs": {k: _json(a[k]) for k in a if k != "source_sha256"},  # costly, of a video
        } | _picture(a)  # fmt: skip

    def columns(self) -> Arrays:
        """See `Material`; of a video without those for which all of it has to be decoded."""
        decoded = isinstance(self._priors, PriorsVideo)
        found = {}
        for path, f in self.fields.items():
            name = path.partition("/")[2]
            if not (f.per_frame and len(f.shape) == 1 and path in self._priors and f.record):
                continue
            if not (decoded and name in SLOW):
                with self._lock:
                    found[path] = self._priors.column(name)
        return found

    def arrays(self, index: int, group: str) -> Arrays:
        """See `Material`."""
        paths = [p for p in self._shapes if _group(p) == group]
        with self._lock:
            if isinstance(self._priors, PriorsVideo):  # all at once: each kind decodes anew
                rows = record_arrays(self._decoded(self._priors, index))
            else:
                rows = {path: self._priors.read(path, [index])[0] for path in paths
                        if self._priors[path].shape[1:] == self._shapes[path]}  # fmt: skip
        return {p: rows[p] for p in paths if p in rows and rows[p].shape == self._shapes[p]}

    def _decoded(self, video: PriorsVideo, index: int) -> FrameRecord:
        """A frame; on the way back some before it too, in one go from an IDR or IRAP picture on."""
        if index == self._last - 1:
            for k in range(index - index % self._behind, index):
                video[k]
        self._last = index
        return video[index]

    def close(self) -> None:
        """See `Material`."""
        self._priors.close()


class RestoredMaterial:
    """The planes that `davd-restore -o OUT.h5` wrote.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        """Open it and check its sizes."""
        self.name = shown_name(path)
        self._file, self._lock = h5py.File(path, "r"), threading.Lock()
        self._attrs = {k: _json(v) for k, v in self._file.attrs.items()}
        luma = self._file.get("restored/y")
        if not isinstance(luma, h5py.Dataset) or luma.ndim != 3:
            raise PriorsError(f"{path} has no restored planes")
        self.count, *size = luma.shape
        _check_size(path, self.count, *size)
        _check_chunks(path, self._file["restored"].values())
        self._sizes = _plane_shapes(str(self._attrs.get("chroma_format")), *size)

    def about(self) -> dict[str, object]:
        """See `Material`."""
        return {
            "kind": "restored", "name": self.name, "count": self.count, "groups": ["decoded"],
            "maps": [], "coded": list(self._sizes["y"]), "attrs": self._attrs,
        } | _picture(self._attrs)  # fmt: skip

    def columns(self) -> Arrays:
        """See `Material`; `frames/index` says which frame of the priors each is."""
        names = [n for n in ("index", "time") if f"frames/{n}" in self._file]
        with self._lock:
            found = {f"frames/{n}": self._file[f"frames/{n}"][: self.count] for n in names}
        return {k: v for k, v in found.items() if v.shape == (self.count,)}

    def arrays(self, index: int, group: str) -> Arrays:
        """See `Material`."""
        found = {}
        for plane, shape in self._sizes.items():
            data = self._file.get(f"restored/{plane}") if group == "decoded" else None
            if isinstance(data, h5py.Dataset) and data.shape[1:] == shape and index < len(data):
                with self._lock:
                    found[f"decoded/{plane}"] = data[index]
        return found

    def close(self) -> None:
        """See `Material`."""
        self._file.close()


class VideoMaterial:
    """A video of any codec as FFmpeg decodes it: pictures, and nothing of how they are coded.

    Frames come one after another; going back begins at the key frame before. Those just passed are
    kept, up to a bounded size.

    Args:
        path: The file.
        why: What keeps its inside from being shown.
    """

    def __init__(self, path: Path, *, why: str = "") -> None:
        """Open it, and list the times of its frames."""
        self.path, self.name, self.why = path, shown_name(path), why
        self._lock = threading.Lock()
        self._kept: OrderedDict[int, Arrays] = OrderedDict()
        self._frames: Iterator[av.VideoFrame] | None = None
        try:
            self._container = open_container(path)
            self._stream = first_video(self._container, path)
            _check_size(path, 1, self._stream.height, self._stream.width)
            self._pts = self._listed()
            first = next(iter(self._container.decode(self._stream)))
        except (av.error.FFmpegError, StopIteration) as error:
            raise VideoError(f"{path} is not a video that can be decoded") from error
        self.count, self._next = len(self._pts), -1
        self._format = first.format
        self._about = self._look(first)

    def _listed(self) -> list[int]:
        """Times of all frames; the container is back at its beginning."""
        times: list[int] = []
        for packet in self._container.demux(self._stream):
            if packet.size and not packet.is_discard and len(times) < MOST_FRAMES:
                times.append(packet.pts if packet.pts is not None else packet.dts or 0)
        self._container.seek(min(times, default=0), stream=self._stream)
        return sorted(times)

    def _look(self, frame: av.VideoFrame) -> dict[str, object]:
        planes = _frame_planes(frame)
        chroma = next((name for name, step in _SHIFTS.items() if _plane_shapes(
            name, *planes[0].shape) == _named_shapes(planes)), "4:0:0")  # fmt: skip
        attrs = {
            "width": frame.width, "height": frame.height, "chroma_format": chroma,
            "bit_depth_luma": _depth(frame), "bit_depth_chroma": _depth(frame),
            "color_range": "full" if int(frame.color_range) == 2 else "limited",
            "color_matrix": _matrix(int(frame.colorspace)),
            "codec": self._stream.codec_context.name,
        }  # fmt: skip
        return {
            "kind": "video", "name": self.name, "count": self.count, "groups": ["decoded"],
            "maps": [], "coded": [frame.height, frame.width], "attrs": attrs,
        } | _picture(attrs)  # fmt: skip

    def about(self) -> dict[str, object]:
        """See `Material`."""
        return self._about

    def columns(self) -> Arrays:
        """See `Material`."""
        unit = self._stream.time_base or Fraction(1, 90000)
        return {"frames/time": np.array([float(p * unit) for p in self._pts])}

    def arrays(self, index: int, group: str) -> Arrays:
        """See `Material`."""
        if group != "decoded":
            return {}
        with self._lock:
            if index not in self._kept:
                self._decode_to(index)
            return self._kept.get(index, {})

    def _decode_to(self, index: int) -> None:
        """Decode until the frame is among those kept, or the video ends."""
        if self._frames is None or not self._next <= index < self._next + 250:
            self._container.seek(self._pts[index], stream=self._stream)
            self._frames = self._container.decode(self._stream)
        for frame in self._frames:
            self._next = int(np.searchsorted(self._pts, frame.pts or 0))
            planes = _frame_planes(frame)
            shapes = _plane_shapes(str(self._about["chroma"]), frame.height, frame.width)
            if _named_shapes(planes) == shapes and list(shapes["y"]) == self._about["coded"]:
                self._keep(self._next, planes)
            if self._next >= index:
                return
        self._frames = None

    def _keep(self, index: int, planes: list[np.ndarray]) -> None:
        named = {f"decoded/{n}": p for n, p in zip(PLANES, planes, strict=False)}
        self._kept[index] = named
        size = sum(p.nbytes for p in planes)
        while len(self._kept) > max(2, _KEPT // size):
            self._kept.popitem(last=False)

    def close(self) -> None:
        """See `Material`."""
        self._container.close()


def _frame_planes(frame: av.VideoFrame) -> list[np.ndarray]:
    """Y, Cb, Cr of a frame as codes; what is stored in another way is converted to 4:4:4."""
    name = frame.format.name
    depth = _depth(frame)
    if not (name.startswith(("yuv4", "yuvj4", "gray")) and not name.endswith("be")):
        frame, depth = frame.reformat(format="yuv444p"), 8
    kind = np.dtype("u1" if depth == 8 else "<u2")
    planes = []
    for plane in frame.planes[: 1 if name.startswith("gray") else 3]:
        rows = np.frombuffer(plane, kind).reshape(plane.height, -1)
        planes.append(rows[:, : plane.width].copy())
    return planes


def _depth(frame: av.VideoFrame) -> int:
    name = frame.format.name
    planar = name.startswith(("yuv4", "yuvj4", "gray")) and not name.endswith("be")
    return frame.format.components[0].bits if planar else 8


def _matrix(number: int) -> str:
    """Name of a colour matrix as FFmpeg numbers them."""
    return {1: "bt709", 4: "fcc", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m",
            9: "bt2020nc", 10: "bt2020c"}.get(number, "unspecified")  # fmt: skip


def _named_shapes(planes: list[np.ndarray]) -> dict[str, tuple[int, ...]]:
    return {name: plane.shape for name, plane in zip(PLANES, planes, strict=False)}


def _plane_shapes(chroma: str, height: int, width: int) -> dict[str, tuple[int, ...]]:
    """Rows and columns of each plane, chroma rounded up."""
    shapes: dict[str, tuple[int, ...]] = {"y": (height, width)}
    if steps := _SHIFTS.get(chroma):
        shapes["cb"] = shapes["cr"] = -(-height // steps[0]), -(-width // steps[1])
    return shapes


def _group(path: str) -> str:
    """The group that a dataset is asked for by."""
    folder = path.partition("/")[0]
    return folder if folder in PLANE_GROUPS else "maps"


def _check_size(path: Path, count: int, height: int, width: int) -> None:
    """Refuse what no video has.

    Raises:
        PriorsError: Sizes out of bounds.
    """
    if not (0 < count <= MOST_FRAMES and height > 0 and width > 0):
        raise PriorsError(f"{path} has {count} frames of {width}x{height}: nothing can be shown")
    if height * width > MOST_SAMPLES:
        raise PriorsError(f"{path} has frames of {width}x{height}: more than H.264 and HEVC allow")


def _check_chunks(path: Path, datasets: Iterable[h5py.Dataset]) -> None:
    """Refuse what would fill memory when a little of it is read.

    Raises:
        PriorsError: A dataset in chunks, or with a number of rows, that davd does not write.
    """
    for data in datasets:
        chunk = math.prod(data.chunks or (1,)) * data.dtype.itemsize
        rows = data.shape[0] if data.ndim else 0
        if chunk > _CHUNK or (rows > MOST_FRAMES and not data.name.startswith("/audio/")):
            raise PriorsError(f"{path}: {data.name} has chunks of {chunk} bytes, {rows} rows: "
                              "not as davd writes them")  # fmt: skip


def _picture(attrs: Mapping[str, object]) -> dict[str, object]:
    """What a browser has to know to show planes."""

    def number(name: str, default: int = 0) -> int:
        value = attrs.get(name, default)
        return int(value) if isinstance(value, int | float) else default

    depths = [min(max(number(f"bit_depth_{p}", 8), 8), 16) for p in ("luma", "chroma")]
    matrix, full = str(attrs.get("color_matrix")), attrs.get("color_range") == "full"
    return {
        "width": number("width"), "height": number("height"),
        "left": number("crop_left"), "top": number("crop_top"),
        "chroma": str(attrs.get("chroma_format", "4:2:0")), "depth": depths,
        "rgb": _coefficients(matrix, full, depths),
    }  # fmt: skip


def _coefficients(matrix: str, full: bool, depths: list[int]) -> dict[str, object]:
    """The matrix and the offsets that make RGB of shares of the largest code."""
    luma, offset = coefficients(matrix, full_range=full, depth=depths[0])
    chroma, middle = coefficients(matrix, full_range=full, depth=depths[1])
    return {
        "matrix": np.concatenate([luma[:, :1], chroma[:, 1:]], axis=1).tolist(),
        "offset": [float(offset[0]), *middle[1:].tolist()],
    }


def _json(value: object) -> object:
    """An attribute as a value that JSON can carry."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, bytes):
        value = value.decode(errors="replace")
    return value if isinstance(value, int | float | bool) else str(value)[:4000]
