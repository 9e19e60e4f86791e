"""What davd-restore is asked for, what it says it did, and what it refuses at once."""

from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch

from ...bitstream import PriorsFile
from ..config import CELLS
from ..output.movie import CONTAINERS, CRF

SUFFIXES = (*CONTAINERS, ".y4m", ".yuv", ".h5")
STREAMED = (".y4m", ".yuv")  # kinds that standard output will do for
STDOUT = Path("-")
HDF5 = b"\x89HDF\r\n\x1a\n"


@dataclass(frozen=True)
class Request:
    """What is asked for.

    Attributes:
        source: A priors file, or a video.
        output: The restored video; its suffix says which kind. `-`: standard output.
        checkpoint: Name or path; empty: the shipped one for the device.
        cell: Of the projection; empty: the checkpoint's own.
        speed: One of `speed.SPEEDS`; empty: by device and length.
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
        strength: Share of the change that is made, 0 to 1; 0 leaves the decoded picture.
        format: Kind of the output, of `SUFFIXES` without the dot; empty: as its suffix says.
        overwrite: Replace existing files.
        resume: Go on where a run with the same settings was stopped.
        stream: Index of the video stream in the source; None: as FFmpeg chooses.
        is_priors: `source` is a priors file and nothing else.
    """

    source: Path
    output: Path
    checkpoint: str = ""
    cell: str = ""
    speed: str = ""
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
    strength: float = 1.0
    format: str = ""
    overwrite: bool = False
    resume: bool = False
    stream: int | None = None
    is_priors: bool = False

    def __post_init__(self) -> None:
        """Take texts for paths."""
        for name in ("source", "output", "reference", "metrics", "report"):
            value = getattr(self, name)
            object.__setattr__(self, name, None if value is None else Path(value))

    @property
    def kind(self) -> str:
        """What is written: a suffix, as the format says, else the output's own."""
        return f".{self.format}" if self.format else self.output.suffix.lower()

    @property
    def to_stdout(self) -> bool:
        """Whether the output is standard output."""
        return self.output == STDOUT


@dataclass
class Outcome:
    """What was done.

    Attributes:
        output: The video written.
        frames: How many frames.
        kept: How many of them a run before had restored.
        elapsed: Seconds for restoring, measuring and writing them.
        checkpoint: Name of the weights' file.
        cell: Of the projection.
        speed: By name.
        device: That computed.
        notes: What a user should know, a sentence each.
        figures: Means of the measures against a reference.
    """

    output: str
    frames: int = 0
    kept: int = 0
    elapsed: float = 0.0
    checkpoint: str = ""
    cell: str = ""
    speed: str = ""
    device: str = ""
    notes: list[str] = field(default_factory=list)
    figures: dict[str, float | None] = field(default_factory=dict)

    def as_dict(self) -> dict[str, object]:
        """As values that JSON can carry."""
        rate = (self.frames - self.kept) / self.elapsed if self.elapsed else 0.0
        return asdict(self) | {"frames_per_second": round(rate, 3)}


class ProgressListener:
    """Told how far a run is; this one says nothing."""

    def stage(self, name: str, total: int | None) -> None:
        """A part of the work begins, of so many frames."""

    def step(self, count: int) -> None:
        """So many frames of it are done."""

    def expect(self, seconds: float) -> None:
        """The part of the work that begins will take about so long."""


def check_request(request: Request) -> None:
    """Refuse what cannot be done before anything is done."""
    suffix = request.kind
    if suffix not in SUFFIXES:
        raise ValueError(f"{request.output}: the suffix is one of {', '.join(SUFFIXES)}")
    if request.to_stdout and suffix not in STREAMED:
        raise ValueError(
            f"standard output takes y4m and yuv; a {suffix} has to be moved about in: give its name"
        )
    if not 0 <= request.strength <= 1:
        raise ValueError(f"a strength of {request.strength:g}: expected 0 to 1")
    if request.resume and (request.report or request.metrics):
        raise ValueError(
            "--resume takes the pictures of the first run as they are: --report and --metrics "
            "need a run of their own"
        )
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
