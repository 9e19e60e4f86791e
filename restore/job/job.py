"""One run of davd-restore: from what was asked for to finished files.

check the request -> priors (of a video: decoded as they are read) -> network, cells
-> shots and faces -> frames: restore, measure, write -> name the finished files
"""

import contextlib
import json
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TypedDict

import numpy as np
import torch

from ... import __version__
from ...bitstream import CodecError, Priors, PriorsFile, extract
from ...bitstream import open as open_priors
from ...bitstream.demux import open_source
from ...bitstream.output import FormatChange
from ...bitstream.partfile import PartFile
from ...bitstream.pictures import PicturesVideo
from ...bitstream.priors.record import cropped
from ...bitstream.tracks import Tracks, plan
from ...data.hearing import Hearing
from ..checkpoint import (
    CheckpointError,
    find_checkpoint,
    load_checkpoint,
    read_checkpoint,
    shipped_checkpoints,
)
from ..config import NetworkConfig
from ..frame import RestoredFrame
from ..measuring.reference import Metrics, Reference
from ..networks.restorer import Restorer, fast_bf16
from ..output.movie import CONTAINERS, MovieWriter
from ..output.pieces import Pieces
from ..output.raw import ArrayWriter, RawWriter
from ..output.remux import source_tracks, stored_tracks
from ..output.video import VideoFormat, side_by_side
from ..projection.project import Projector
from ..report.preview import FaceBox, Preview
from ..report.report import Report
from .apply import FrameSource, expected_seconds, restore_frames, spare_concealed
from .choice import GENERAL, variants
from .parts import can_be_joined, restore_parts
from .request import STDOUT, Outcome, ProgressListener, Request, check_request, is_hdf5
from .shots import Shot, can_detect, shots_of
from .speed import busy_share, set_speed, usual_speed
from .twice import trace

SIDES = {"full": 256, "lite": 768}  # longest side of a tile: some 1 GB of working memory


class _How(TypedDict):
    """What `restore_frames` and `expected_seconds` are told alike."""

    size: tuple[int, int]
    side: int
    face_only: bool
    amp: bool


def run(request: Request, progress: ProgressListener | None = None) -> Outcome:
    """Restore a video.

    Args:
        request: What is asked for.
        progress: Told how far it is.

    Returns:
        What was done.

    Raises:
        ValueError: The request, the priors file, the checkpoint or the reference cannot be used.
        OSError: A file cannot be read or written.
        DavdError: The video is damaged beyond use.
    """
    progress = progress or ProgressListener()
    check_request(request)
    _try_tracks(request)
    path = _weights(request, (GENERAL,))
    asked = read_checkpoint(path).config.network
    with contextlib.ExitStack() as stack:
        parts = {
            name: stack.enter_context(PartFile(file, overwrite=request.overwrite))
            for name in ("output", "metrics", "report")
            if (file := getattr(request, name)) not in (None, STDOUT)
        }
        progress.stage("reading the bitstream", None)
        start, end = request.start, request.end
        try:
            priors = stack.enter_context(_opened(request, asked))
        except FormatChange:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="davd-")))
            paths = _extracted(request, asked, folder, progress)
            if len(paths) > 1:
                outcome = restore_parts(run, request, paths, _all_tracks(request, paths),
                                        parts["output"].part, progress)  # fmt: skip
                parts["output"].commit()
                return outcome
            priors, start, end = stack.enter_context(PriorsFile(paths[0])), None, None
        outcome = Outcome(str(request.output))
        outcome.notes += filter(None, [priors.choice])
        frames = _frames(priors, start, end)
        height, width = priors.coded_size
        path = _weights(request, variants(priors, frames))
        network = load_checkpoint(path, device=_device(request))
        outcome.device = str(next(network.parameters()).device)
        outcome.speed = request.speed or usual_speed(outcome.device, len(frames) * height * width)
        outcome.checkpoint = path.name
        outcome.cell = _set_cell(request, network, priors)
        names = {"h264": "H.264", "hevc": "HEVC"}
        if (codec := str(priors.attrs["codec"])) in names and codec != network.codec:
            outcome.notes.append(
                f"the video is {names[codec]}; these weights were trained on {names[network.codec]}"
            )
        work = _Work(request, priors, network, frames, outcome, stack, parts)
        work.run(progress)
        for part in parts.values():
            part.commit()
    return outcome


class _Work:
    """The loop over the frames, with what it writes to."""

    def __init__(
        self,
        request: Request,
        priors: Priors,
        network: Restorer,
        frames: range,
        outcome: Outcome,
        stack: contextlib.ExitStack,
        parts: dict[str, PartFile],
    ) -> None:
        self.request, self.priors, self.network = request, priors, network
        self.frames, self.outcome, self.parts = frames, outcome, parts
        self.hearing = Hearing(priors, shift=request.audio_shift / 1000)
        self.reference = (
            stack.enter_context(Reference(request.reference, priors)) if request.reference else None
        )
        self.metrics = Metrics(priors) if self.reference else None
        self.report = None
        if request.report:
            preview = _preview(request, priors, frames, stack)
            self.report = Report(
                priors, self.hearing, frames, network, cell=outcome.cell, preview=preview
            )
        self._notes()

    def _notes(self) -> None:
        """Say what is not as a user would expect."""
        notes, priors = self.outcome.notes, self.priors
        if self.network.config.audio and self.hearing.silent:
            notes.append("the video has no sound: the network hears silence")
        if not can_detect() and (self.network.config.audio or self.request.face_only):
            notes.append(
                "opencv is not installed: faces are not looked for, the picture's centre is taken"
            )
        if isinstance(priors, PicturesVideo):
            notes.append(
                f"{priors.codec} is restored by its pictures alone, without what its bitstream says"
                + ("" if self.network.blind else "; these weights never learnt to do without")
            )
        elif self.outcome.speed == "fast" and "motion/mv" not in priors:
            notes.append(
                "the priors hold no motion: every frame is computed (davd-extract --motion)"
            )
        found = trace(priors, self.frames)
        if found is not None and found.text():
            notes.append(found.text())
        if count := int(priors.column("concealed")[self.frames.start : self.frames.stop].sum()):
            notes.append(f"{count} frames are damaged and partly invented by the decoder")
        unkept = "audio/samples" in priors and "audio/original" not in priors
        if unkept and is_hdf5(self.request.source):
            notes.append("the priors file keeps no original sound track: written without sound")
        order = str(priors.attrs.get("field_order", "progressive"))
        if order != "progressive":
            notes.append(
                f"the video is interlaced, {order} field first: its frames are restored as they "
                "are, two fields each, and written so"
            )
        steps = np.diff(priors.column("pts")[self.frames.start : self.frames.stop])
        if self.request.kind == ".y4m" and len(set(steps.tolist())) > 1:
            notes.append("y4m knows one frame rate only: times that vary are not kept")

    def run(self, progress: ProgressListener) -> None:
        """Restore, measure and write all frames."""
        request, priors, network = self.request, self.priors, self.network
        config = network.config
        if request.face_only and not can_detect():
            raise ModuleNotFoundError("--face-only looks for faces", name="cv2")
        look = config.audio or request.face_only or self.report is not None
        progress.stage("looking for cuts" + " and faces" * look, len(self.frames))
        shots = shots_of(priors, self.frames, look=look, progress=progress.step)
        if self.report:
            self.report.faces = _faces(shots, priors)
        if request.face_only and not any(shot.face for shot in shots):
            raise ValueError(f"{request.source}: no face was found, and --face-only restores those")
        level = network.projector is not None or (
            self.report is not None and self.report.wants_level
        )
        quiet = set_speed(network, self.outcome.speed)
        source = FrameSource(
            priors,
            self.hearing if config.audio else None,
            prediction=config.priors,
            level=level,
            motion=config.motion or quiet > 0,
            frames=self.frames,
        )
        side = SIDES[config.width] if request.tile is None else request.tile
        how: _How = {
            "size": priors.coded_size,
            "side": side,
            "face_only": request.face_only,
            "amp": fast_bf16(self.outcome.device),
        }
        with self._writer() as (write, kept):
            self.outcome.frames = self.outcome.kept = kept
            left = self.frames[kept:]
            seconds = expected_seconds(network, source, shots, left, **how)
            if seconds is not None:
                progress.expect(seconds * busy_share(priors, left, quiet))
            progress.stage("restoring", len(left))
            began = time.perf_counter()
            for frame in restore_frames(
                network, source, shots, left, strength=request.strength, quiet=quiet, **how
            ):
                write(frame)
                self._measure(frame)
                self.outcome.frames += 1
                progress.step(1)
            self.outcome.elapsed = time.perf_counter() - began
        self._finish()

    def _measure(self, frame: RestoredFrame) -> None:
        source = self.reference.planes(frame.index) if self.reference else None
        if self.metrics and source:
            self.metrics.add(frame.index, frame.decoded, frame.restored, source)
        if self.report:
            self.report.add(frame, source)

    def _finish(self) -> None:
        """Write figures and page into their part files."""
        if self.metrics:
            found = self.metrics.as_dict()
            self.outcome.figures = {k: v for k, v in found.items() if not isinstance(v, dict | str)}  # type: ignore[misc]
            if "metrics" in self.parts:
                text = json.dumps(self._settings() | found, indent=1)
                self.parts["metrics"].part.write_text(text + "\n", encoding="utf-8")
        if self.report:
            page = self.report.page(self._settings(), self.outcome.as_dict(), self.metrics)
            self.parts["report"].part.write_text(page, encoding="utf-8")

    def _settings(self) -> dict[str, object]:
        """How it was made, for files that say so."""
        request, a = self.request, self.priors.attrs
        return {
            "source": str(a["source"]),
            "reference": request.reference.name if request.reference else "",
            "checkpoint": self.outcome.checkpoint,
            "cell": self.outcome.cell,
            "device": self.outcome.device,
            "face_only": request.face_only,
            "strength": request.strength,
            "audio_shift_ms": request.audio_shift,
            "first": self.frames.start,
            "count": len(self.frames),
        }

    @contextlib.contextmanager
    def _writer(self) -> "Iterator[tuple[Callable[[RestoredFrame], None], int]]":
        """Opens the output; gives what takes frames, and how many are there already."""
        request, priors, suffix = self.request, self.priors, self.request.kind
        part = Path("/dev/stdout") if request.to_stdout else self.parts["output"].part
        if suffix == ".h5":
            file = ArrayWriter(part, priors, self._settings())
            try:
                yield (lambda frame: file.add(frame.restored, frame.index)), 0
                file.finish()
            finally:
                file.close()
            return
        with contextlib.ExitStack() as stack:
            pictures, pts = VideoFormat.of(priors), priors.column("pts")
            if request.compare:
                pictures = VideoFormat(**(asdict(pictures) | {"width": 2 * pictures.width}))
            writer: MovieWriter | RawWriter
            kept = 0
            if suffix in CONTAINERS:
                writer = stack.enter_context(
                    MovieWriter(
                        part, CONTAINERS[suffix], pictures, tracks=self._tracks(),
                        crf=request.crf, lossless=request.lossless,
                        start=int(pts[self.frames.start]), pieces=self._pieces(),
                    )
                )  # fmt: skip
                kept = writer.resume(pts[self.frames.start : self.frames.stop].tolist())
            else:
                writer = stack.enter_context(RawWriter(part, pictures, y4m=suffix == ".y4m"))

            def take(frame: RestoredFrame) -> None:
                shown = cropped(frame.restored, priors)
                if request.compare:
                    shown = side_by_side(cropped(frame.decoded, priors), shown)
                writer.write(shown, int(pts[frame.index]))

            if isinstance(writer, MovieWriter):
                self.outcome.notes += writer.notes
                if self.report:
                    self.report.sound_copied = writer.copies
            yield take, kept

    def _pieces(self) -> Pieces:
        """What a run with the same settings has left of this output."""
        request, file = self.request, self.request.source.stat()
        made_of = {"bytes": file.st_size, "time": file.st_mtime_ns, "version": __version__}
        named = ("crf", "lossless", "compare", "start", "end", "tile", "kind", "stream")
        folder = request.output.with_name(request.output.name + ".pieces")
        made_of |= {name: getattr(request, name) for name in named}
        settings = self._settings() | made_of | {"speed": self.outcome.speed}
        return Pieces(folder, settings, resume=request.resume)

    def _tracks(self) -> Tracks | None:
        """Sound, subtitles and chapters, cut to the frames that are written."""
        request, times, count = self.request, self.priors.column("time"), len(self.priors)
        first, stop = self.frames.start, self.frames.stop
        start = float(times[first]) if first > 0 else None
        end = float(times[stop]) if stop < count else None
        shift = request.audio_shift / 1000
        if is_hdf5(request.source):
            if "audio/original" not in self.priors:
                return None
            return stored_tracks(self.priors, start=start, end=end, shift=shift)
        if not isinstance(self.priors, PriorsFile):
            if _is_bare(request):
                return None
            return source_tracks(request.source, start=start, end=end, shift=shift)
        return _all_tracks(request, [self.priors.path])


def _all_tracks(request: Request, paths: list[Path]) -> Tracks | None:
    """The tracks of a video, cut as its priors files are."""
    if _is_bare(request):
        return None
    start = end = None
    with PriorsFile(paths[0]) as first, PriorsFile(paths[-1]) as last:
        if first.attrs["first_frame"]:
            start = float(first.column("time")[0])
        if request.end is not None:
            end = float(last.column("time")[-1]) + float(1 / last.frame_rate)
    shift = request.audio_shift / 1000
    return source_tracks(request.source, start=start, end=end, shift=shift)


def _is_bare(request: Request) -> bool:
    """Whether the source is a stream without a container."""
    with contextlib.suppress(CodecError):  # of another codec, and so in a container
        return open_source(request.source, stream=request.stream).bare
    return False


def _try_tracks(request: Request) -> None:
    """Refuse at once what a video's tracks have no place in."""
    kind = CONTAINERS.get(request.kind)
    if kind and not is_hdf5(request.source) and not _is_bare(request):
        plan(source_tracks(request.source), kind)


def _preview(
    request: Request, priors: Priors, frames: range, stack: contextlib.ExitStack
) -> Preview | None:
    """What takes the report's moving pictures; None for pictures that no video file holds."""
    assert request.report is not None
    shift = request.audio_shift / 1000
    try:
        made = Preview(request.report, priors, frames, shift=shift, overwrite=request.overwrite)
    except ValueError:
        return None
    return stack.enter_context(made)


def _faces(shots: Sequence[Shot], priors: Priors) -> list[FaceBox]:
    """The faces of the shots in what is shown."""
    rows, columns = priors.crop
    return [
        FaceBox(shot.start, shot.stop, (face.left - columns.start, face.top - rows.start,
                                        face.width, face.height))
        for shot in shots if (face := shot.face)
    ]  # fmt: skip


def _device(request: Request) -> str:
    if request.device != "auto":
        return request.device
    return "cuda" if torch.cuda.is_available() else "cpu"


def _weights(request: Request, fitting: Sequence[str]) -> Path:
    """The weights that are asked for, else the first fitting ones that came with davd."""
    if request.checkpoint:
        return find_checkpoint(request.checkpoint)
    shipped = shipped_checkpoints()
    if not shipped:
        raise CheckpointError("no weights came with this davd: give --checkpoint PATH")
    return shipped[next(name for name in (*fitting, *shipped) if name in shipped)]


def _set_cell(request: Request, network: Restorer, priors: Priors) -> str:
    """Give the network its projector, and check that the priors file has what is read.

    Returns:
        Name of the cell.
    """
    cell = request.cell or network.config.cell
    groups = {"decoded"} | ({"prediction", "residual"} if network.config.priors else set())
    if cell != "none":
        groups |= {"prediction", "residual", "level"}
    if isinstance(priors, PicturesVideo):
        groups = {"decoded"}
    for group in ("decoded", "prediction", "residual", "level"):
        if group in groups and group not in priors:
            hint = " (or choose --cell none)" if group == "level" else ""
            raise ValueError(
                f"{priors.path} has no {group} planes, which this network reads{hint}: extract it "
                "again with --planes decoded,prediction,residual,level"
            )
    if cell == "calibrated" and network.cells is None:
        raise ValueError("--cell calibrated: this checkpoint holds no table of calibrated cells")
    network.projector = None
    if cell != "none":
        encoder = str(priors.attrs.get("encoder", ""))
        projector = Projector(cell, encoder=encoder, table=network.cells)
        network.projector = spare_concealed(projector, priors.column("concealed"))
    return cell


def _extracted(
    request: Request, config: NetworkConfig, folder: Path, progress: ProgressListener
) -> list[Path]:
    """Priors of a video whose format changes, in a folder that is thrown away."""
    cell = request.cell or config.cell
    path = folder / f"{request.source.stem}.h5"
    planes = ("decoded", "prediction", "residual", "level")
    needed = 1 if cell == "none" and not config.priors and not request.report else 4
    summary = extract(
        request.source,
        path,
        split=can_be_joined(request),
        stream=request.stream,
        start=request.start,
        end=request.end,
        planes=planes[:needed],
        motion=True,
        compression="blosc",
        expect=lambda count: progress.stage("reading the bitstream", count),
        progress=progress.step,
    )
    return summary.outputs


def _opened(request: Request, config: NetworkConfig) -> Priors:
    """The priors of the source; of a video they are decoded as they are read.

    Raises:
        CodecError: A video that is not H.264, and a projection is asked for.
    """
    try:
        return open_priors(request.source, modes=False, stream=request.stream)
    except CodecError as error:
        if (request.cell or config.cell) != "none":
            raise CodecError(f"{error}; --cell none restores by the pictures alone") from None
    return PicturesVideo(request.source)


def _frames(priors: Priors, start: float | None, end: float | None) -> range:
    """Frames from `start` to before `end`, seconds after the first one."""
    times = priors.column("time") - priors.column("time")[0]
    first = 0 if start is None else int((times < start - 1e-6).sum())
    stop = len(priors) if end is None else int((times < end - 1e-6).sum())
    if first >= stop:
        length = float(times[-1])
        raise ValueError(f"no frame from {start or 0:g} s to {end or length:g} s of {length:.2f} s")
    return range(first, stop)
