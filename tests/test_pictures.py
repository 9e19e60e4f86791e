"""Videos that are not H.264: read by their pictures, and restored by those alone."""

from pathlib import Path

import av
import davd.bitstream
import numpy as np
import pytest
from clips import encode
from davd.bitstream import VideoError
from davd.bitstream.pictures import PicturesVideo
from davd.bitstream.priors.field import PictureType
from davd.cli import restore as command
from davd.cli.exits import Exit
from davd.restore.job import apply
from davd.restore.job.guess import guessed_qp
from restoring import checkpoint

from benchmarks.clips import encode as encode_as
from benchmarks.codecs import clean_frames

ROOT = Path(__file__).resolve().parent.parent
KEY, P = PictureType.I, PictureType.P
SIZE = (72, 56)  # filled up to 80x64


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("other") / "talk.mp4"
    return encode(path, codec="mpeg4", frames=14, size=SIZE, options={"bf": "0", "g": "5"})


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkpoint(tmp_path_factory.mktemp("w"))


def pictures(video: Path) -> list[np.ndarray]:
    with av.open(str(video)) as file:
        return [frame.to_ndarray()[: SIZE[1], : SIZE[0]] for frame in file.decode(video=0)]


def test_pictures_are_ffmpegs_in_any_order(video: Path) -> None:
    wanted = pictures(video)
    with PicturesVideo(video) as priors:
        assert len(priors) == 14 and priors.codec == "mpeg4" and priors.coded_size == (64, 80)
        for k in (3, 0, 13, 7, 7, 2):
            luma = priors.read("decoded/y", [k])[0]
            np.testing.assert_array_equal(luma[priors.crop], wanted[k])
            np.testing.assert_array_equal(luma[56:], np.repeat(luma[55:56], 8, axis=0))
        assert priors.read("decoded/cb", [1]).shape == (1, 32, 40)
        assert priors.column("time").tolist() == [k / 25 for k in range(14)]
        assert priors.column("picture_type").tolist()[:6] == [KEY, P, P, P, P, KEY]
        with av.open(str(video)) as file:
            sizes = [packet.size for packet in file.demux(file.streams.video[0])]
        assert priors.column("bytes").tolist() == sizes[:14]
        for name in ("bits", "poc", "decode_order"):
            assert f"frames/{name}" not in priors
            with pytest.raises(KeyError, match="mpeg4"):
                priors.column(name)
        assert "prediction" not in priors and "decoded" in priors and "mb/qp_y" not in priors
        sound = priors.audio()
        assert sound is not None and sound[1] == 16000 and len(sound[0]) > 8000
        with pytest.raises(NotImplementedError, match="no records"):
            priors[0]


def test_what_is_no_video_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_text("this is no video\n" * 99)
    with pytest.raises(VideoError, match="cannot be decoded"):
        PicturesVideo(tmp_path / "a.mp4")


def test_it_is_restored_and_said_so(
    tmp_path: Path, video: Path, weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.mkv"
    line = [str(video), "--checkpoint", str(weights), "--lossless", "-o", str(out)]
    assert command.main(line) == Exit.DONE
    assert "mpeg4 is restored by its pictures alone" in capsys.readouterr().err
    before, after = pictures(video), pictures(out)
    assert len(after) == 14 and after[0].shape == before[0].shape
    assert any((a != b).any() for a, b in zip(before, after, strict=True))
    with av.open(str(out)) as file, av.open(str(video)) as source:
        sound = [[bytes(p) for p in f.demux(f.streams.audio[0]) if p.size] for f in (file, source)]
    assert sound[0] == sound[1]


@pytest.mark.parametrize("codec", ["libx264", "libvpx-vp9", "mpeg4"])
def test_qp_is_guessed_from_bits_and_detail(tmp_path: Path, codec: str) -> None:
    """Of the bundled clip's pictures, which no bitstream was asked about."""
    frames = clean_frames(ROOT / "demo" / "talking-head-clean.mp4", 30)
    guesses = []
    for quality in (8, 20, 40):
        path = tmp_path / f"{quality}.mkv"
        rate = {"crf": quality, "threads": 1, "b": 0}
        step = 1 + quality // 2
        options = {"qmin": step, "qmax": step} if codec == "mpeg4" else rate
        encode_as(frames, path, codec, **options)
        with PicturesVideo(path) as priors:
            guesses.append(guessed_qp(priors, range(len(priors))))
            if codec == "libx264":
                with davd.bitstream.open(path) as coded:
                    assert abs(guesses[-1] - coded["mb/qp_y"][:].mean()) < 8
    assert guesses[0] + 5 < guesses[1] + 2 < guesses[2], guesses


def drawn(count: int, *, moves: bool = False) -> list[np.ndarray]:
    """A wall of fine texture, and a smooth head before it that may move; RGB."""
    texture = np.random.default_rng(7).normal(size=(64, 64)).clip(-2, 2)
    wall = 128 + 20 * np.kron(texture, np.ones((2, 2)))
    y, x = np.mgrid[:128, :128]
    frames = []
    for k in range(count):
        left, top = (64 + 12 * np.sin(k / 3), 64 + 8 * np.sin(k / 5)) if moves else (64, 64)
        head = np.hypot((x - left) / 24, (y - top) / 32) < 1
        shade = 120 + 30 * np.sin((x - left) / 7) * np.cos((y - top) / 9)
        grey = np.where(head, shade, wall).astype(np.uint8)
        frames.append(np.repeat(grey[..., None], 3, axis=2))
    return frames


FINE_COARSE = {
    "libvpx": ({"crf": 10, "b": 500000}, {"crf": 63, "b": 5000, "qmin": 60}),
    "libvpx-vp9": ({"crf": 15, "b": 0}, {"crf": 63, "b": 0}),
    "mpeg4": ({"qmin": 2, "qmax": 2}, {"qmin": 24, "qmax": 24}),
}


@pytest.mark.parametrize("moves", [False, True], ids=["still", "moving"])
@pytest.mark.parametrize("codec", FINE_COARSE)
def test_a_still_scene_is_as_fine_as_its_key_frame(tmp_path: Path, codec: str, moves: bool) -> None:
    """Next to no bits after the first frame, whatever its QP was."""
    guesses = []
    for options in FINE_COARSE[codec]:
        encode_as(drawn(32, moves=moves), tmp_path / "a.mkv", codec, **options)
        with PicturesVideo(tmp_path / "a.mkv") as priors:
            guesses.append(guessed_qp(priors, range(32)))
            if not moves:  # nor does it matter where one begins, or how few frames are asked for
                assert guessed_qp(priors, range(28, 30)) == guesses[-1]
    assert guesses[0] < 16 and guesses[1] > 24, guesses


@pytest.mark.parametrize(
    ("codec", "options", "least", "most"),
    [
        ("ffv1", {}, 0, 4),
        ("mpeg2video", {"qmin": 2, "qmax": 2, "g": 1}, 0, 20),
        ("mpeg2video", {"qmin": 24, "qmax": 24, "g": 1}, 32, 40),
    ],
)
def test_qp_is_guessed_where_all_are_key_frames(
    tmp_path: Path, codec: str, options: dict[str, int], least: int, most: int
) -> None:
    encode_as(drawn(8, moves=True), tmp_path / "a.mkv", codec, **options)
    with PicturesVideo(tmp_path / "a.mkv") as priors:
        assert set(priors.column("picture_type").tolist()) == {KEY}
        assert least <= guessed_qp(priors, range(8)) <= most


def test_pictures_that_cost_more_than_they_can_hold(tmp_path: Path) -> None:
    """Each is followed by a megabyte of nothing: 31,000 bits a sample."""
    path = tmp_path / "padded.mkv"
    with av.open(str(path), "w") as out:
        video = out.add_stream("mjpeg", rate=25)
        video.width = video.height = 16
        video.pix_fmt = "yuvj420p"
        for k in range(3):
            picture = np.random.default_rng(k).integers(0, 256, (16, 16, 3), np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            for packet in video.encode(frame):
                padded = av.Packet(bytes(packet) + bytes(1_000_000))
                padded.stream, padded.pts, padded.dts = video, k * 40, k * 40
                padded.time_base, padded.is_keyframe = packet.time_base, True
                out.mux(padded)
    with PicturesVideo(path) as priors:
        assert priors.column("bytes").min() > 1_000_000
        assert guessed_qp(priors, range(3)) == 0


@pytest.mark.parametrize("prediction", [True, False])
def test_a_qp_is_guessed_for_networks_that_read_one(
    prediction: bool, video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[range] = []
    monkeypatch.setattr(apply, "guessed_qp", lambda priors, frames: asked.append(frames) or 31)
    with PicturesVideo(video) as priors:
        source = apply.FrameSource(
            priors, None, prediction=prediction, level=False, frames=range(3, 9)
        )
        sample = source.read(3, None)
    assert asked == [range(3, 9)] * prediction
    assert (sample.prediction is not None) == prediction
    assert not prediction or (sample.history[..., 0, :, :] == 31).all()


def test_a_projection_needs_h264(
    tmp_path: Path, video: Path, weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = [str(video), "--checkpoint", str(weights), "-o", str(tmp_path / "o.mp4")]
    assert command.main([*line, "--cell", "paper"]) == Exit.UNSUPPORTED
    assert "--cell none restores by the pictures alone" in capsys.readouterr().err


def test_a_video_encoded_twice_is_noticed(tmp_path: Path) -> None:
    """The same pictures, encoded finely once, and finely after coarsely; and coarsely alone."""
    import davd.bitstream
    from davd.restore.job.twice import trace

    size, x264 = (128, 128), {"threads": "1", "preset": "veryfast"}

    def coded(path: Path, frames: list[np.ndarray], crf: str) -> Path:
        with av.open(str(path), "w") as out:
            video = out.add_stream("libx264", rate=25, options=x264 | {"crf": crf})
            video.width, video.height = size
            for planes in frames:
                out.mux(video.encode(av.VideoFrame.from_ndarray(planes, format="yuv420p")))
            out.mux(video.encode(None))
        return path

    random = np.random.default_rng(1)
    ground = random.normal(size=(192 + 8, 128 + 8)).cumsum(0).cumsum(1)
    ground = 128 + 60 * (ground - ground.mean()) / ground.std() + random.normal(0, 6, ground.shape)
    pixels = ground.clip(16, 235).astype(np.uint8)
    frames = [np.ascontiguousarray(pixels[k : k + 192, k : k + 128]) for k in range(8)]
    once = coded(tmp_path / "once.mp4", frames, "20")
    coarse = coded(tmp_path / "coarse.mp4", frames, "42")
    with av.open(str(coarse)) as file:
        again = [frame.to_ndarray(format="yuv420p") for frame in file.decode(video=0)]
    twice = coded(tmp_path / "twice.mp4", again, "20")
    said = {}
    for path in (once, coarse, twice):
        with davd.bitstream.open(path) as priors:
            found = trace(priors, range(len(priors)))
            assert found is not None
            said[path.stem] = found.text()
    assert said["once"] == said["coarse"] == ""
    assert "encoded before, more coarsely" in said["twice"]
