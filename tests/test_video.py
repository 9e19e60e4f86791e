"""Tiles, windows, sound and writers: what is restored is the whole, and what is written is kept."""

import contextlib
import gc
import math
import threading
import weakref
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import h5py
import numpy as np
import pytest
import torch
from davd.bitstream import OutputError, PriorsFile
from davd.bitstream.demux import open_source
from davd.bitstream.partfile import PartFile
from davd.bitstream.priors.record import cropped
from davd.data import faces, hearing
from davd.data.hearing import Hearing
from davd.data.sample import Planes, Sample
from davd.restore.config import config_from_dict
from davd.restore.job.apply import FrameSource, RestoredFrame, restore_frames, spare_concealed
from davd.restore.job.shots import Shot, head, shots_of, usual_face
from davd.restore.job.tiles import GRID, Box, plan_tiles
from davd.restore.networks.picture import normal
from davd.restore.networks.restorer import Features, Restorer
from davd.restore.output.movie import MovieWriter
from davd.restore.output.raw import RawWriter, y4m_header
from davd.restore.output.remux import stored_tracks
from davd.restore.output.video import VideoFormat, side_by_side
from restoring import FULL, LITE, network, talk


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("videos")


@pytest.fixture(scope="module")
def small(folder: Path) -> Path:
    return talk(folder)


@pytest.fixture(scope="module")
def wide(folder: Path) -> Path:
    return talk(folder, "wide.mp4", size=(250, 140), frames=4, sound=False)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Threads cost more than they bring on pictures this small."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


class Mean(Restorer):
    """Gives the mean of the window's frames: what it saw can be told from what it gives."""

    margin = 16

    def __init__(self) -> None:
        super().__init__(config_from_dict({"network": LITE | {"audio": False}}).network)
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def correction(self, features: Features, sample: Sample) -> torch.Tensor:
        raise NotImplementedError

    def features(self, sample: Sample) -> Features:
        return tuple(normal(sample.decoded, sample.bit_depth))

    def restore(self, features: Features, middle: Sample) -> Planes:
        return Planes(*(plane.mean(1, keepdim=True) for plane in features))


def restored(path: Path, net, **options: object) -> list[RestoredFrame]:
    with PriorsFile(path) as priors:
        frames = options.pop("frames", range(len(priors)))
        heard = Hearing(priors) if net.config.audio else None
        level = net.projector is not None
        source = FrameSource(priors, heard, prediction=net.config.priors, level=level)
        shots = options.pop("shots", None) or [Shot(0, len(priors), usual_face(priors))]
        size = priors.coded_size
        return list(restore_frames(net, source, shots, frames, size=size, **options))


@pytest.mark.parametrize("side", [0, 32, 64, 100])
@pytest.mark.parametrize("margin", [16, 48])
def test_tiles_cover_a_region_once(side: int, margin: int) -> None:
    size = (240, 336)
    for region in (Box(0, 0, *size), Box(64, 48, 96, 160), Box(32, 0, 208, 16)):
        count = np.zeros(size, int)
        for outer, inner in plan_tiles(region, size, side=side, margin=margin):
            count[inner.top : inner.bottom, inner.left : inner.right] += 1
            assert outer.top % GRID[0] == 0 and outer.left % GRID[1] == 0
            assert not side or max(inner.height, inner.width) <= side
            for axis, grid in enumerate(GRID):
                reach = math.ceil(margin / grid) * grid
                assert outer[axis] == max(inner[axis] - reach, 0)
                end = inner[axis] + inner[2 + axis] + reach
                assert outer[axis] + outer[2 + axis] == min(end, size[axis])
        wanted = np.zeros(size, int)
        wanted[region.top : region.bottom, region.left : region.right] = 1
        np.testing.assert_array_equal(count, wanted)


def test_tiles_that_are_too_small_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 32"):
        plan_tiles(Box(0, 0, 64, 64), (64, 64), side=16, margin=16)


@pytest.mark.parametrize(
    "changes", [{}, {"align": True, "reach": 2.0}, FULL, {"cell": "paper"}],
    ids=["lite", "lite-align", "full", "lite-projected"],
)  # fmt: skip
def test_tiles_give_the_whole(wide: Path, small: Path, changes: dict[str, object]) -> None:
    """Of a picture with sound over its face, tile by tile and at once."""
    net = network(**changes)
    path = small if changes.get("width") == "full" else wide
    frames = range(2 if path == wide else 1)
    whole = restored(path, net, frames=frames)
    tiled = restored(path, net, frames=frames, side=64)
    with PriorsFile(path) as priors:
        assert net.margin < max(priors.coded_size)  # else every tile is the whole
    for one, other in zip(whole, tiled, strict=True):
        for a, b in zip(one.restored, other.restored, strict=True):
            np.testing.assert_array_equal(a, b)
        assert any((a != b).any() for a, b in zip(one.restored, one.decoded, strict=True))


def test_a_margin_too_small_shows(wide: Path) -> None:
    """The test above can fail: without the margin the seams are seen."""
    net = network()
    whole = restored(wide, net, frames=range(1))[0].restored[0]
    net.margin = 0
    tiled = restored(wide, net, frames=range(1), side=64)[0].restored[0]
    assert (whole != tiled).any()


def test_features_are_computed_once_a_frame(small: Path) -> None:
    net = network()
    seen: list[int] = []
    inner = net.features

    def counted(sample: Sample):
        assert sample.start is not None
        seen.append(int(sample.start))
        return inner(sample)

    net.features = counted  # type: ignore[method-assign]
    frames = restored(small, net)
    assert seen == list(range(20)) == [frame.index for frame in frames]


def test_memory_does_not_grow_with_length(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However long the video: no more samples alive than a window and what is read ahead."""
    made: list[weakref.ref[Sample]] = []
    reading = threading.Lock()  # a frame on its way takes several samples, for a moment
    init, read = Sample.__init__, FrameSource.read

    def noted(self: Sample, *args: object, **fields: object) -> None:
        init(self, *args, **fields)  # type: ignore[arg-type]
        made.append(weakref.ref(self))

    def read_whole(self: FrameSource, index: int, face: Box | None) -> Sample:
        with reading:
            return read(self, index, face)

    monkeypatch.setattr(Sample, "__init__", noted)
    monkeypatch.setattr(FrameSource, "read", read_whole)
    with PriorsFile(small) as priors:
        source = FrameSource(priors, None, prediction=True, level=False)
        shots = [Shot(0, len(priors), None)]
        net = Mean()
        most = 0
        for frame in restore_frames(net, source, shots, range(20), size=priors.coded_size):
            if frame.index % 6:
                continue
            with reading:
                gc.collect()
                most = max(most, sum(sample() is not None for sample in made))
    assert 3 <= most <= 2 * net.radius + 1 + 4
    assert len(made) >= 20


def means(path: Path, first: int, last: int, frames: range) -> list[np.ndarray]:
    """Luma of windows that end at frames `first` and `last`."""
    with PriorsFile(path) as priors:
        luma = priors.read("decoded/y").astype(np.float32)
    windows = [np.clip(range(k - 2, k + 3), first, last) for k in frames]
    return [np.rint(luma[window].mean(0)) for window in windows]


def test_a_range_sees_its_neighbours(small: Path) -> None:
    part = restored(small, Mean(), frames=range(7, 11))
    assert [frame.index for frame in part] == [7, 8, 9, 10]
    for frame, wanted in zip(part, means(small, 0, 19, range(7, 11)), strict=True):
        assert np.abs(frame.restored[0] - wanted).max() <= 1  # means at a half


@pytest.mark.parametrize("cuts", [[0, 9, 20], [0, 1, 3, 20], [0, 20]])
def test_no_window_reaches_over_a_cut(small: Path, cuts: list[int]) -> None:
    shots = [Shot(a, b, None) for a, b in zip(cuts, cuts[1:], strict=False)]
    frames = restored(small, Mean(), shots=shots)
    assert [frame.index for frame in frames] == list(range(20))
    for shot in shots:
        inside = range(shot.start, shot.stop)
        for k, wanted in zip(inside, means(small, shot.start, shot.stop - 1, inside), strict=True):
            assert np.abs(frames[k].restored[0] - wanted).max() <= 1


def test_face_only_leaves_all_else(wide: Path) -> None:
    net = network()
    face = Box(40, 128, 48, 48)
    with PriorsFile(wide) as priors:
        region, count = head(face, priors.coded_size), len(priors)
    for frame in restored(wide, net, shots=[Shot(0, count, face)], face_only=True):
        changed = frame.restored[0] != frame.decoded[0]
        rows, columns = np.nonzero(changed)
        assert rows.min() >= region.top and rows.max() < region.bottom
        assert columns.min() >= region.left and columns.max() < region.right
        assert changed[face.top : face.bottom, face.left : face.right].mean() > 0.2
    nothing = restored(wide, net, shots=[Shot(0, count, None)], face_only=True)
    assert all((f.restored[0] == f.decoded[0]).all() for f in nothing) and len(nothing) == count


def test_concealed_frames_are_not_projected() -> None:
    planes = Planes(*(torch.ones(1, 1, 16, 16) for _ in range(3)))
    project = spare_concealed(lambda p, _: p.map(torch.zeros_like), np.array([False, True]))
    for index, mean in ((0, 0.0), (1, 1.0)):
        sample = Sample(decoded=planes, start=torch.tensor([index]))
        assert float(project(planes, sample).y.mean()) == mean


def test_sound_in_blocks_is_the_whole_sound(
    tmp_path: Path, small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hearing, "BLOCK", 13)
    with PriorsFile(small) as priors:
        heard = priors.audio()
        assert heard is not None
        samples, rate, start = heard
        whole = hearing.features(samples, rate)
        here, late = Hearing(priors), Hearing(priors, shift=0.1)
        for time in (start, 0.2, 0.44, start + len(samples) / rate, 5.0):
            index = (round((time - start) * 100) + np.arange(-10, 11)).clip(0, len(whole) - 1)
            around = here.around(time)
            np.testing.assert_allclose(around, whole[index], atol=1e-5)
            np.testing.assert_allclose(late.around(time + 0.1), around, atol=1e-5)
        assert here.loudness(0.6, 0.1) > -20 > here.loudness(0.1, 0.1)


def test_no_sound_is_none(wide: Path) -> None:
    with PriorsFile(wide) as priors:
        assert Hearing(priors).silent and Hearing(priors).around(0.0) is None
        assert Hearing(priors).loudness(0.0, 1.0) == -100


def test_a_cut_is_found_to_the_frame(tmp_path: Path) -> None:
    import clips

    plain = clips.picture

    def two_shots(k: int, *size: int) -> np.ndarray:
        return plain(k // 10, *size) if k < 17 else 255 - plain(k // 10, *size)

    clips.picture = two_shots
    try:
        path = talk(tmp_path, frames=40, sound=False)
    finally:
        clips.picture = plain
    with PriorsFile(path) as priors:
        shots = shots_of(priors, range(40), look=False)
        assert [(shot.start, shot.stop) for shot in shots] == [(0, 17), (17, 40)]
        face = usual_face(priors)
        assert shots[0].face == face
        width, height = int(priors.attrs["width"]), int(priors.attrs["height"])
        x, y, w, h = faces.usual_face(width, height)  # as in training, moved by the cropping
        assert (face.left, face.top) == (x + priors.crop[1].start, y + priors.crop[0].start)
        assert (face.width, face.height) == (w, h)
        rows, columns = priors.crop
        assert abs(face.left + face.width / 2 - (columns.start + columns.stop) / 2) <= 1
        assert rows.start < face.top and face.bottom < rows.stop


def make_format(**changes: object) -> VideoFormat:
    values = {
        "width": 64, "height": 48, "chroma": "4:2:0", "depth": 8, "matrix": "bt709",
        "primaries": 1, "transfer": 1, "full_range": False, "aspect": Fraction(1), "turned": (),
        "rate": Fraction(25), "time_base": Fraction(1, 12800),
    }  # fmt: skip
    return VideoFormat(**(values | changes))  # type: ignore[arg-type]


def pictures(format: VideoFormat, count: int) -> list[list[np.ndarray]]:
    random = np.random.default_rng(0)
    sizes = {"4:2:0": (2, 2), "4:2:2": (1, 2), "4:4:4": (1, 1)}
    kind = np.uint8 if format.depth == 8 else np.uint16
    shapes = [(format.height, format.width)]
    if format.chroma != "4:0:0":
        down, across = sizes[format.chroma]
        shapes += [(format.height // down, format.width // across)] * 2
    return [
        [random.integers(0, 1 << format.depth, shape).astype(kind) for shape in shapes]
        for _ in range(count)
    ]


def decoded(path: Path, pixels: str) -> list[list[np.ndarray]]:
    kind = np.uint8 if pixels[-2:] != "le" else np.dtype("<u2")
    with av.open(str(path)) as file:
        found = []
        for frame in file.decode(video=0):
            frame = frame if frame.format.name == pixels else frame.reformat(format=pixels)
            planes = []
            for plane in frame.planes:
                rows = np.frombuffer(plane, kind).reshape(plane.height, -1)
                planes.append(rows[:, : plane.width].copy())
            found.append(planes)
        return found


@pytest.mark.parametrize(
    ("suffix", "changes"),
    [
        (".mp4", {}),
        (".mp4", {"full_range": True}),
        (".mp4", {"chroma": "4:4:4", "depth": 10}),
        (".mkv", {}),
        (".mkv", {"chroma": "4:2:2", "depth": 14}),
        (".mkv", {"chroma": "4:0:0"}),
        (".mp4", {"field_order": "bottom"}),
        (".mkv", {"field_order": "top", "chroma": "4:2:2", "depth": 10}),
        (".y4m", {}),
        (".y4m", {"chroma": "4:2:2", "depth": 10}),
        (".y4m", {"chroma": "4:0:0"}),
    ],
)
def test_lossless_files_hold_the_samples(
    tmp_path: Path, suffix: str, changes: dict[str, object]
) -> None:
    format = make_format(**changes)
    frames = pictures(format, 5)
    path = tmp_path / f"out{suffix}"
    if suffix == ".y4m":
        writer = RawWriter(path, format, y4m=True)
    else:
        kind = {".mp4": "mp4", ".mkv": "matroska"}[suffix]
        writer = MovieWriter(path, kind, format, lossless=True)
    with writer as out:
        for k, planes in enumerate(frames):
            out.write(planes, 512 * k)
    found = decoded(path, format.pixels)
    assert len(found) == 5
    for one, other in zip(frames, found, strict=True):
        for a, b in zip(one, other, strict=True):
            np.testing.assert_array_equal(a, b)


def test_raw_video_is_planes_after_planes(tmp_path: Path) -> None:
    format = make_format(depth=10)
    frames = pictures(format, 2)
    with RawWriter(tmp_path / "a.yuv", format, y4m=False) as out:
        for planes in frames:
            out.write(planes, 0)
    flat = np.concatenate([plane.ravel() for planes in frames for plane in planes])
    np.testing.assert_array_equal(np.fromfile(tmp_path / "a.yuv", "<u2"), flat)


@pytest.mark.parametrize("name", ["ax_sample_still_photo.heic", "ax_water_180_mvhevc_5frames.mov"])
def test_videos_whose_frames_carry_what_pyav_has_no_name_for_are_opened(
    shared: Path, name: str
) -> None:
    path = shared / "vectors-hevc" / "streams" / name
    if not path.exists():
        pytest.skip(f"no {path}")
    assert open_source(path).codec.name == "hevc"


def test_colour_shape_and_rotation_are_kept(tmp_path: Path) -> None:
    format = make_format(
        matrix="bt2020nc", primaries=9, transfer=16, full_range=True, aspect=Fraction(4, 3),
        turned=(90,),
    )  # fmt: skip
    for name, kind in (("a.mp4", "mp4"), ("a.mkv", "matroska")):
        with MovieWriter(tmp_path / name, kind, format) as out:
            for k, planes in enumerate(pictures(format, 3)):
                out.write(planes, 512 * k)
        with av.open(str(tmp_path / name)) as file:
            context = file.streams.video[0].codec_context
            assert (int(context.colorspace), int(context.color_primaries)) == (9, 9)
            assert (int(context.color_trc), int(context.color_range)) == (16, 2)
            assert file.streams.video[0].sample_aspect_ratio == Fraction(4, 3)
        if kind == "mp4":
            assert open_source(tmp_path / name).rotation == 90


@pytest.mark.parametrize(("order", "number"), [("top", 2), ("bottom", 3), ("progressive", 1)])
@pytest.mark.parametrize(("suffix", "kind"), [(".mp4", "mp4"), (".mkv", "matroska")])
def test_fields_stay_fields(
    tmp_path: Path, suffix: str, kind: str, order: str, number: int
) -> None:
    format = make_format(field_order=order)
    with MovieWriter(tmp_path / f"a{suffix}", kind, format) as out:
        for k, planes in enumerate(pictures(format, 3)):
            out.write(planes, k * 512)
    with av.open(str(tmp_path / f"a{suffix}")) as file:
        assert file.streams.video[0].codec_context.field_order == number
        assert {f.interlaced_frame for f in file.decode(video=0)} == {order != "progressive"}


@pytest.mark.parametrize(("order", "letter"), [("top", "t"), ("bottom", "b"), ("progressive", "p")])
def test_y4m_says_how_fields_lie(order: str, letter: str) -> None:
    format = make_format(field_order=order)
    assert f" I{letter} ".encode() in y4m_header(format)


def test_variable_times_are_kept(tmp_path: Path) -> None:
    format = make_format()
    pts = [0, 500, 1500, 1600, 4000, 4100, 9000]
    with MovieWriter(tmp_path / "a.mp4", "mp4", format) as out:
        for planes, at in zip(pictures(format, len(pts)), pts, strict=True):
            out.write(planes, at)
    with av.open(str(tmp_path / "a.mp4")) as file:
        found = [frame.pts * frame.time_base for frame in file.decode(video=0)]
    assert found == [at * format.time_base for at in pts]


def packets(path: Path) -> list[tuple[bytes, float]]:
    with av.open(str(path)) as file:
        stream = file.streams.audio[0]
        return [
            (bytes(p), float(p.pts * p.time_base)) for p in file.demux(stream) if p.size
        ]  # fmt: skip


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_sound_is_copied_packet_by_packet(tmp_path: Path, small: Path, suffix: str) -> None:
    source = packets(small.with_suffix(".mp4"))
    with PriorsFile(small) as priors:
        format, pts = VideoFormat.of(priors), priors.column("pts")
        sound = stored_tracks(priors)
        kind = {".mp4": "mp4", ".mkv": "matroska"}[suffix]
        with MovieWriter(tmp_path / f"a{suffix}", kind, format, tracks=sound) as out:
            for planes, at in zip(pictures(format, 20), pts, strict=True):
                out.write(planes, int(at))
    found = packets(tmp_path / f"a{suffix}")
    assert [data for data, _ in found] == [data for data, _ in source]
    with av.open(str(tmp_path / f"a{suffix}")) as file:
        first = float(next(file.decode(video=0)).time)  # Matroska moves all past negative times
    found_times = np.array([t for _, t in found]) - first
    np.testing.assert_allclose(found_times, [t - pts[0] for _, t in source], atol=2e-3)


def test_sound_of_a_range_moves_with_the_picture(tmp_path: Path, small: Path) -> None:
    with PriorsFile(small) as priors:
        times, pts = priors.column("time"), priors.column("pts")
        format = VideoFormat.of(priors)
        sound = stored_tracks(priors, start=float(times[10]), end=float(times[15]))
        assert sound.first is not None and times[10] - 0.03 < sound.first <= times[10]
        first = sound.first
        path = tmp_path / "a.mp4"
        with MovieWriter(path, "mp4", format, tracks=sound, start=int(pts[10])) as out:
            for k, planes in zip(range(10, 15), pictures(format, 5), strict=True):
                out.write(planes, int(pts[k]))
    heard = packets(path)
    with av.open(str(path)) as file:
        seen = [float(frame.time) for frame in file.decode(video=0)]
    assert 0 <= heard[0][1] < 0.001 and len(seen) == 5
    assert seen[0] - heard[0][1] == pytest.approx(times[10] - first, abs=1e-3)
    assert heard[-1][1] < seen[0] + 0.2 and len(heard) < len(packets(small.with_suffix(".mp4")))


def test_shifted_sound_comes_later(small: Path) -> None:
    with PriorsFile(small) as priors:
        here, late = stored_tracks(priors), stored_tracks(priors, shift=0.25)
        assert here.first is not None and late.first is not None
        assert late.first - here.first == pytest.approx(0.25, abs=1e-6)


def test_a_format_no_encoder_has_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="--lossless"):
        MovieWriter(tmp_path / "a.mp4", "mp4", make_format(depth=14))


def test_cropping_follows_the_chroma_format(small: Path) -> None:
    with PriorsFile(small) as priors:
        planes = cropped(priors[0].decoded, priors)
        assert [p.shape for p in planes] == [(138, 174), (69, 87), (69, 87)]
        wide = side_by_side(planes, planes)
        assert [p.shape for p in wide] == [(138, 348), (69, 174), (69, 174)]


def test_an_unfinished_file_has_no_name(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    with PartFile(path) as part:
        part.part.write_bytes(b"half")
    assert list(tmp_path.iterdir()) == []
    with PartFile(path) as part:
        part.part.write_bytes(b"whole")
        part.commit()
    assert path.read_bytes() == b"whole" and list(tmp_path.iterdir()) == [path]
    with pytest.raises(FileExistsError, match="-f replaces it"):
        PartFile(path)
    with pytest.raises(OutputError, match="not a folder"):
        PartFile(tmp_path / "no" / "a.mp4")
    with pytest.raises(OutputError):
        PartFile(tmp_path)


def test_arrays_lie_beside_the_priors(tmp_path: Path, small: Path) -> None:
    from davd.restore.output.raw import ArrayWriter

    with PriorsFile(small) as priors:
        file = ArrayWriter(tmp_path / "a.h5", priors, {"checkpoint": "x"})
        file.add(priors[3].decoded, 3)
        file.finish()
        file.close()
        with h5py.File(tmp_path / "a.h5") as found:
            assert found.attrs["format"] == "davd-restored" and found.attrs["complete"]
            assert found.attrs["crop_bottom"] == priors.attrs["crop_bottom"]
            assert found["frames/index"][:].tolist() == [3]
            assert found["frames/pts"][0] == priors.column("pts")[3]
            for name, plane in zip(priors.planes, priors[3].decoded, strict=True):
                np.testing.assert_array_equal(found[f"restored/{name}"][0], plane)


def test_a_movie_in_pieces_is_the_same_however_it_was_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from davd.restore.output import movie, pieces

    for module in (movie, pieces):
        monkeypatch.setattr(module, "LENGTH", 4)
    format = make_format()
    frames, pts = pictures(format, 11), [512 * k + (k % 3) for k in range(11)]

    def run(path: Path, stop: int, *, resume: bool) -> int:
        kept = pieces.Pieces(path.with_suffix(".pieces"), {"crf": 16}, resume=resume)
        with contextlib.suppress(KeyboardInterrupt):
            with movie.MovieWriter(path, "mp4", format, pieces=kept) as out:
                done = out.resume(pts)
                for k in range(done, 11):
                    if k == stop:
                        raise KeyboardInterrupt
                    out.write(frames[k], pts[k])
        return done

    whole, broken = tmp_path / "whole.mp4", tmp_path / "broken.mp4"
    run(whole, 99, resume=False)
    starts = [run(broken, stop, resume=True) for stop in (5, 10, 99)]
    assert starts == [0, 4, 8]
    assert broken.read_bytes() == whole.read_bytes()
    with av.open(str(whole)) as file:
        assert [f.pts * f.time_base for f in file.decode(video=0)] == [
            p * format.time_base for p in pts
        ]
    assert {path.name for path in tmp_path.iterdir()} == {"whole.mp4", "broken.mp4"}


def test_pieces_of_something_else_are_not_taken(tmp_path: Path) -> None:
    from davd.restore.output.pieces import Pieces

    one = Pieces(tmp_path / "a", {"crf": 16})
    one.begin().write_bytes(b"piece")
    one.finish()
    one.close()
    assert Pieces(tmp_path / "a", {"crf": 16}, resume=True).whole == 1
    assert Pieces(tmp_path / "a", {"crf": 20}, resume=True).whole == 0
