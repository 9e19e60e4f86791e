"""What davd-restore is asked for, what it says it did, and what it refuses at once."""

from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch

from ...bitstream import PriorsFile
from ..config import CELLS
from ..output.movie import CONTAINERS, CRF

SUFFIXES = (*CONTAINERS, ".y4m", ".yuv", ".h5")
HDF5 = b"\x89HDF\r\n\x1a\n"


@dataclass(frozen=True)
class Request:
    """What is asked for.

    Attributes:
        source: A priors file, or an H.264 video.
        output: The restored video; its suffix says which kind.
        checkpoint: Name or path; empty: the shipped one for the device.
        cell: Of the projection; empty: the checkpoint's own.
        device: "auto", "cpu" or "cuda".
        crf: Of the output.
        lossless: Of the output.
        start: Seconds after the first frame; None: from there.
        end: Likewise; None: to the last.
        reference: The source as video.
        metrics: Where figures against it go, JSON.
        report: Where the page goes, HTML.
        compare: Write decoded and restored side by side.
        face_only: Restore the head alone.
        audio_shift: Milliseconds by which the sound is moved, later if positive.
        tile: Longest side of a tile; 0: none; None: by the network.
        overwrite: Replace existing files.
        is_priors: `source` is a priors file and nothing else.
    """

    source: Path
    output: Path
    checkpoint: str = ""
    cell: str = ""
    device: str = "auto"
    crf: float = CRF
    lossless: bool = False
    start: float | None = None
    end: float | None = None
    reference: Path | None = None
    metrics: Path | None = None
    report: Path | None = None
    compare: bool = False
    face_only: bool = False
    audio_shift: float = 0.0
    tile: int | None = None
    overwrite: bool = False
    is_priors: bool = False


@dataclass
class Outcome:
    """What was done.

    Attributes:
        output: The video written.
        frames: How many frames.
        elapsed: Seconds for restoring, measuring and writing them.
        checkpoint: Name of the weights' file.
        cell: Of the projection.
        device: That computed.
        notes: What a user should know, a sentence each.
        figures: Means of the measures against a reference.
    """

    output: str
    frames: int = 0
    elapsed: float = 0.0
    checkpoint: str = ""
    cell: str = ""
    device: str = ""
    notes: list[str] = field(default_factory=list)
    figures: dict[str, float | None] = field(default_factory=dict)

    def as_dict(self) -> dict[str, object]:
        """As values that JSON can carry."""
        rate = self.frames / self.elapsed if self.elapsed else 0.0
        return asdict(self) | {"frames_per_second": round(rate, 3)}


class ProgressListener:
    """Told how far a run is; this one says nothing."""

    def stage(self, name: str, total: int | None) -> None:
        """A part of the work begins, of so many frames."""

    def step(self, count: int) -> None:
        """So many frames of it are done."""


def check_request(request: Request) -> None:
    """Refuse what cannot be done before anything is done."""
    suffix = request.output.suffix.lower()
    if suffix not in SUFFIXES:
        raise ValueError(f"{request.output}: the suffix is one of {', '.join(SUFFIXES)}")
    if request.compare and suffix == ".h5":
        raise ValueError("--compare is for videos; an .h5 lies beside the priors file as it is")
    if request.metrics and not request.reference:
        raise ValueError("--metrics needs --reference, the source to compare with")
    if request.cell and request.cell not in CELLS:
        raise ValueError(f"cell {request.cell!r}: expected one of {', '.join(CELLS)}")
    if not request.source.is_file():
        raise FileNotFoundError(f"{request.source}: no such file")
    names = [p for p in (request.output, request.metrics, request.report) if p]
    read = [p for p in (request.source, request.reference) if p]
    places = [path.resolve() for path in names]
    if len(set(places)) < len(places) or {p.resolve() for p in read} & set(places):
        raise ValueError("two of the files given are the same one")
    if request.device == "cuda" and not torch.cuda.is_available():
        raise ValueError("no CUDA device is at hand; --device cpu does without")
    if request.is_priors or is_hdf5(request.source):
        PriorsFile(request.source).close()


def is_hdf5(path: Path) -> bool:
    """Whether a file begins as HDF5 files do."""
    with open(path, "rb") as file:
        return file.read(len(HDF5)) == HDF5
