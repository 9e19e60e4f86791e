"""The command davd-restore: files it writes, figures it gives, and what it refuses in one line."""

import json
import math
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import av
import h5py
import numpy as np
import pytest
import torch
from davd.bitstream import PriorsFile, extract
from davd.cli import restore as command
from davd.restore import checkpoint as checkpoints
from davd.restore.job import job, shots
from davd.restore.measuring.metrics import psnr
from restoring import checkpoint, network, talk, times, written


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("restore")


@pytest.fixture(scope="module")
def priors(folder: Path) -> Path:
    return talk(folder, frames=12)


@pytest.fixture(scope="module")
def weights(folder: Path) -> Path:
    return checkpoint(folder / "w")


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def planes(path: Path) -> np.ndarray:
    """Luma of every frame, and nothing else."""
    with av.open(str(path)) as file:
        found = []
        for frame in file.decode(video=0):
            plane = frame.planes[0]
            rows = np.frombuffer(plane, np.uint8).reshape(plane.height, -1)
            found.append(rows[:, : plane.width].copy())
        return np.stack(found)


def shown(priors: Path) -> np.ndarray:
    with PriorsFile(priors) as file:
        return file.read("decoded/y")[(slice(None), *file.crop)]


def refused(capsys: pytest.CaptureFixture[str], *arguments: object, status: int = 1) -> str:
    """The one line with which a command leaves."""
    assert command.main([str(argument) for argument in arguments]) == status
    captured = capsys.readouterr()
    assert captured.err.startswith("davd-restore: ") and captured.err.count("\n") == 1
    assert captured.out == ""
    return captured.err


def test_a_video_comes_out_beside_its_priors(
    tmp_path: Path, priors: Path, weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = shutil.copy(priors, tmp_path / "priors.h5")
    command.main(["--priors", str(own), "--checkpoint", str(weights)])
    out = tmp_path / "priors.restored.mp4"
    assert {path.name for path in tmp_path.iterdir()} == {"priors.h5", out.name}
    with av.open(str(out)) as file:
        stream = file.streams.video[0]
        assert (stream.codec_context.width, stream.codec_context.height) == (174, 138)
        found = [float(frame.time) for frame in file.decode(stream)]
    assert found == pytest.approx(times(priors))
    with av.open(str(out)) as file, av.open(str(priors.with_suffix(".mp4"))) as source:
        sound = [[bytes(p) for p in f.demux(f.streams.audio[0]) if p.size] for f in (file, source)]
    assert sound[0] == sound[1]
    assert "12 frames" in capsys.readouterr().err


def test_the_video_itself_will_do(tmp_path: Path, priors: Path, weights: Path) -> None:
    video = shutil.copy(priors.with_suffix(".mp4"), tmp_path / "a.mp4")
    common = ["--checkpoint", str(weights), "--lossless", "-q"]
    command.main([str(video), *common, "-o", str(tmp_path / "one.mkv")])
    command.main(["--priors", str(priors), *common, "-o", str(tmp_path / "two.mkv")])
    one, two = (planes(tmp_path / f"{name}.mkv") for name in ("one", "two"))
    np.testing.assert_array_equal(one, two)
    assert (one != shown(priors)).any()


def test_all_kinds_of_output_hold_the_same(tmp_path: Path, priors: Path, weights: Path) -> None:
    for suffix in (".mp4", ".mkv", ".y4m", ".yuv", ".h5"):
        command.main(["--priors", str(priors), "--checkpoint", str(weights), "--lossless", "-q",
                      "-o", str(tmp_path / f"out{suffix}")])  # fmt: skip
    one = planes(tmp_path / "out.mkv")
    for suffix in (".mp4", ".y4m"):
        np.testing.assert_array_equal(planes(tmp_path / f"out{suffix}"), one)
    raw = np.fromfile(tmp_path / "out.yuv", np.uint8).reshape(12, -1)
    np.testing.assert_array_equal(raw[:, : 138 * 174].reshape(12, 138, 174), one)
    with h5py.File(tmp_path / "out.h5") as file, PriorsFile(priors) as stored:
        np.testing.assert_array_equal(file["restored/y"][(slice(None), *stored.crop)], one)


def test_the_network_is_what_restores(
    tmp_path: Path, priors: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Against the network called by hand, all frames of a batch at once."""
    from davd.data.reader import ClipReader
    from davd.data.sample import collate
    from davd.restore.measuring.metrics import as_codes

    monkeypatch.setattr(job, "fast_bf16", lambda device: False)
    out = tmp_path / "out.h5"
    net = network(audio=False)
    silent = checkpoint(tmp_path, variant="deaf", audio=False)
    command.main(["--priors", str(priors), "--checkpoint", str(silent), "-q", "-o", str(out)])
    sample = collate([ClipReader(priors).read(-2, 14)])
    with torch.inference_mode():
        wanted = net(sample)
    with h5py.File(out) as file:
        for name, plane in zip(("y", "cb", "cr"), wanted, strict=True):
            difference = file[f"restored/{name}"][:].astype(int) - as_codes(plane)[0].int().numpy()
            assert np.abs(difference).max() <= 1 and (difference != 0).mean() < 1e-3


@pytest.mark.parametrize(
    ("chroma", "depth"), [("4:0:0", 8), ("4:2:2", 8), ("4:4:4", 10), ("4:2:0", 14), ("4:0:0", 12)]
)
def test_every_format_comes_out_as_it_went_in(tmp_path: Path, chroma: str, depth: int) -> None:
    weights = checkpoint(tmp_path, mirror=True, damp=0.01)  # as those that are shipped
    path = written(tmp_path / "p.h5", chroma=chroma, depth=depth)
    out = tmp_path / "out.mkv"
    command.main(["--priors", str(path), "--checkpoint", str(weights), "--lossless", "-q", "-o",
                  str(out), "--cell", "paper", "--report", str(tmp_path / "r.html")])  # fmt: skip
    name = {"4:0:0": "gray", "4:2:2": "yuv422p", "4:4:4": "yuv444p", "4:2:0": "yuv420p"}[chroma]
    with av.open(str(out)) as file:
        frames = list(file.decode(video=0))
    assert len(frames) == 4
    assert frames[0].format.name == name + (f"{depth}le" if depth > 8 else "")
    assert (frames[0].width, frames[0].height) == (60, 46)
    with PriorsFile(path) as priors:
        before = priors.read("decoded/y")[(slice(None), *priors.crop)].astype(int)
    kind = np.uint8 if depth == 8 else np.dtype("<u2")
    for frame, wanted in zip(frames, before, strict=True):
        found = np.frombuffer(frame.planes[0], kind).reshape(46, -1)[:, :60].astype(int)
        assert (found != wanted).any()
        assert np.abs(found - wanted).mean() < 30 * (1 << (depth - 8))


def test_start_and_end_choose_frames(tmp_path: Path, priors: Path, weights: Path) -> None:
    common = ["--priors", str(priors), "--checkpoint", str(weights), "--lossless", "-q"]
    command.main([*common, "-o", str(tmp_path / "all.mkv")])
    command.main([*common, "-o", str(tmp_path / "part.mkv"), "--start", "0.16", "--end", "0:00.32"])
    whole, part = planes(tmp_path / "all.mkv"), planes(tmp_path / "part.mkv")
    np.testing.assert_array_equal(part, whole[4:8])


def test_compare_shows_both(tmp_path: Path, priors: Path, weights: Path) -> None:
    common = ["--priors", str(priors), "--checkpoint", str(weights), "--lossless", "-q"]
    command.main([*common, "-o", str(tmp_path / "one.mkv")])
    command.main([*common, "-o", str(tmp_path / "both.mkv"), "--compare"])
    both = planes(tmp_path / "both.mkv")
    np.testing.assert_array_equal(both[..., :174], shown(priors))
    np.testing.assert_array_equal(both[..., 174:], planes(tmp_path / "one.mkv"))


def test_crf_is_that_of_the_output(tmp_path: Path, priors: Path, weights: Path) -> None:
    size = {}
    for crf in ("10", "40"):
        out = tmp_path / f"{crf}.mp4"
        command.main(["--priors", str(priors), "--checkpoint", str(weights), "-q", "--crf", crf,
                      "-o", str(out)])  # fmt: skip
        size[crf] = out.stat().st_size
    assert size["10"] > 1.5 * size["40"]


def test_figures_against_a_reference(
    tmp_path: Path, priors: Path, weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The decoded video's own source is itself here: known figures for one side of the table."""
    reference = tmp_path / "ref.y4m"
    neutral = checkpoint(tmp_path, variant="none")
    command.main(["--priors", str(priors), "--checkpoint", str(neutral), "-q", "-o",
                  str(reference)])  # fmt: skip
    metrics = tmp_path / "m.json"
    command.main(["--priors", str(priors), "--checkpoint", str(weights), "--json", "-o",
                  str(tmp_path / "out.y4m"), "--reference", str(reference), "--metrics",
                  str(metrics)])  # fmt: skip
    found = json.loads(metrics.read_text())
    summary = json.loads(capsys.readouterr().out)
    assert summary["frames"] == 12 and summary["figures"]["psnr_y_restored"] is None
    assert found["psnr_y_restored"] is None and found["ssim_y_restored"] == pytest.approx(1)
    restored, decoded = planes(reference).astype(np.float32), shown(priors).astype(np.float32)
    wanted = psnr(torch.from_numpy(decoded), torch.from_numpy(restored), data_range=255).tolist()
    frames = found["frames"]
    assert frames["index"] == list(range(12))
    assert frames["psnr_y_decoded"] == pytest.approx(wanted, abs=1e-4)
    assert found["psnr_y_decoded"] == pytest.approx(sum(wanted) / 12, abs=1e-4)
    assert found["ssim_y_decoded"] == pytest.approx(np.mean(frames["ssim_y_decoded"]), abs=1e-5)
    assert all(value is None for value in frames["psnr_y_restored"])
    assert math.isfinite(found["ssim_y_decoded"]) and found["checkpoint"] == weights.name


def test_projected_output_contradicts_nothing(tmp_path: Path, priors: Path, weights: Path) -> None:
    from davd.restore.projection.project import PriorsTensors, consistency, make_cells

    shares = {}
    for cell in ("none", "paper"):
        out = tmp_path / f"{cell}.h5"
        command.main(["--priors", str(priors), "--checkpoint", str(weights), "--cell", cell, "-q",
                      "-o", str(out)])  # fmt: skip
        with PriorsFile(priors) as stored, h5py.File(out) as file:
            cells = make_cells(PriorsTensors.from_file(stored, range(12)), "paper")
            codes = [torch.from_numpy(file[f"restored/{n}"][:] / np.float32(255)) for n in
                     ("y", "cb", "cr")]  # fmt: skip
            shares[cell] = float(consistency(codes, cells, slack=0.5).mean())
    assert shares["paper"] == 0 and shares["none"] > 0


def test_sound_moves_on_request(tmp_path: Path, priors: Path, weights: Path) -> None:
    first = []
    for shift in ("0", "200"):
        out = tmp_path / f"{shift}.mp4"
        command.main(["--priors", str(priors), "--checkpoint", str(weights), "-q", "-o", str(out),
                      "--audio-shift", shift])  # fmt: skip
        with av.open(str(out)) as file:
            first.append(next(p.pts * p.time_base for p in file.demux(audio=0)))
    assert float(first[1] - first[0]) == pytest.approx(0.2, abs=1e-3)


def test_face_only_keeps_the_corners(
    tmp_path: Path, priors: Path, weights: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    out = tmp_path / "out.mkv"
    line = refused(capsys, "--priors", priors, "--checkpoint", weights, "--face-only", "-o", out)
    assert "no face was found" in line and not out.exists()
    with monkeypatch.context() as patch:
        patch.setattr(job, "can_detect", lambda: False)
        common = ["--priors", priors, "--checkpoint", weights, "-o", out]
        line = refused(capsys, *common, "--face-only")
    assert "pip install 'opencv-python-headless<5'" in line
    with PriorsFile(priors) as file:
        seen = [shots.Shot(0, len(file), shots.usual_face(file))]
    monkeypatch.setattr(job, "shots_of", lambda *_, **__: seen)
    command.main(["--priors", str(priors), "--checkpoint", str(weights), "--lossless", "-q", "-o",
                  str(out), "--face-only"])  # fmt: skip
    changed = (planes(out) != shown(priors)).any(0)
    assert changed.any() and not changed.all()


def test_shipped_weights_are_the_general_ones_unless_named(
    tmp_path: Path, priors: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setattr(checkpoints, "WEIGHTS", tmp_path / "weights")
    out = tmp_path / "out.y4m"
    assert "no weights came with" in refused(capsys, "--priors", priors, "-o", out)
    for variant in ("generic", "lite"):
        checkpoint(tmp_path / "weights", variant=variant)
    for named, wanted in (((), "generic"), (("--checkpoint", "lite"), "lite")):
        command.main(["--priors", str(priors), "-o", str(out), "--json", "-f", *named])
        assert f"davd-{wanted}-" in json.loads(capsys.readouterr().out)["checkpoint"]


def test_existing_files_are_kept(
    tmp_path: Path, priors: Path, weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.y4m"
    out.write_text("mine")
    line = refused(capsys, "--priors", priors, "--checkpoint", weights, "-o", out, status=5)
    assert "-f replaces it" in line and out.read_text() == "mine"


def broken(source: Path, target: Path, **attributes: object) -> Path:
    """A copy of a priors file with other attributes."""
    shutil.copy(source, target)
    with h5py.File(target, "r+") as file:
        for name, value in attributes.items():
            file.attrs[name] = value
    return target


def test_bad_input_is_one_line(
    tmp_path: Path, priors: Path, weights: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    (tmp_path / "text.h5").write_text("not HDF5 at all")
    (tmp_path / "empty.mp4").write_bytes(b"")
    other = tmp_path / "other.h5"
    with h5py.File(other, "w") as file:
        file["x"] = [1]
    version = broken(priors, tmp_path / "version.h5", schema_version=9)
    cut = broken(priors, tmp_path / "cut.h5", complete=False)
    few = tmp_path / "few.h5"
    extract(priors.with_suffix(".mp4"), few, planes=("decoded",))
    shaped = checkpoint(tmp_path / "c", channels=12)
    wrong = tmp_path / "wrong.safetensors"
    from safetensors import safe_open
    from safetensors.torch import load_file, save_file

    with safe_open(shaped, framework="pt") as file:
        metadata = file.metadata()
    save_file(load_file(weights), wrong, metadata)
    spoilt = load_file(weights)
    spoilt["net.tail.weight"][0] = math.nan
    with safe_open(weights, framework="pt") as file:
        save_file(spoilt, tmp_path / "nan.safetensors", file.metadata())
    before = {path.name for path in tmp_path.iterdir()}

    def says(text: str, *arguments: object, weights: Path = weights, status: int = 1) -> None:
        out = () if "-o" in arguments else ("-o", tmp_path / "out.mp4")
        line = refused(capsys, *arguments, *out, "--checkpoint", weights, status=status)
        assert text in line, line
        assert {path.name for path in tmp_path.iterdir()} == before, line

    says("no such file", "--priors", tmp_path / "none.h5")
    says("not a readable HDF5 file", "--priors", tmp_path / "text.h5")
    says("not a readable HDF5 file", "--priors", priors.with_suffix(".mp4"))
    says("empty file", tmp_path / "empty.mp4")
    says("not a priors file", "--priors", other)
    says("version 9", "--priors", version)
    says("incomplete", "--priors", cut)
    says("no prediction planes", "--priors", few)
    says("no checkpoint", "--priors", priors,
         weights=tmp_path / "gone.safetensors")  # fmt: skip
    says("of another network", "--priors", priors, weights=wrong)
    says("not finite", "--priors", priors, weights=tmp_path / "nan.safetensors")
    says("is not a checkpoint", "--priors", priors, weights=priors)
    says("suffix is one of", "--priors", priors, "-o", tmp_path / "out.avi")
    says("not a folder", "--priors", priors, "-o", tmp_path / "no" / "out.mp4", status=6)
    says("expected one of", "--priors", priors, "--cell", "round")
    says("no table", "--priors", priors, "--cell", "calibrated")
    says("needs --reference", "--priors", priors, "--metrics", tmp_path / "m.json")
    says("no such file", "--priors", priors, "--reference", tmp_path / "ref.mkv")
    says("cannot be read as video", "--priors", priors, "--reference", tmp_path / "text.h5")
    says("no frame from", "--priors", priors, "--start", 50)
    says("same one", "--priors", priors, "-o", priors)
    says("at least 32", "--priors", priors, "--tile", 16)
    if not torch.cuda.is_available():
        says("no CUDA device", "--priors", priors, "--device", "cuda")


def test_a_reference_of_another_size_or_length(
    tmp_path: Path, folder: Path, priors: Path, weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    common = ["--priors", priors, "--checkpoint", weights, "-o", tmp_path / "out.mp4"]
    small = talk(tmp_path, "small.mp4", size=(64, 64), frames=12).with_suffix(".mp4")
    assert "a reference has the same frames" in refused(capsys, *common, "--reference", small)
    short = talk(tmp_path, "short.mp4", frames=7).with_suffix(".mp4")
    assert "has 7 frames, frame 7" in refused(capsys, *common, "--reference", short)
    assert not (tmp_path / "out.mp4").exists() and not list(tmp_path.glob("*.part"))


def test_an_output_that_cannot_be_written(
    tmp_path: Path, priors: Path, weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "out.mp4"
    folder.mkdir()
    common = ["--priors", priors, "--checkpoint", weights, "-o"]
    assert "is a folder" in refused(capsys, *common, folder, status=6)
    line = refused(capsys, *common, "/proc/out.mp4", status=6)
    assert "/proc/out.mp4" in line
    assert list(folder.iterdir()) == []


def test_sound_with_no_place_in_mp4_is_encoded(
    tmp_path: Path, weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A codec that MP4 does not know, kept in the priors of a Matroska file."""
    import io

    path = talk(tmp_path, "a.mkv", frames=3, sound=False)
    track = io.BytesIO()
    with av.open(track, "w", format="matroska") as out:
        stream = out.add_stream("wavpack", rate=48000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 4800), np.int32), "s32p", "mono")
        frame.rate, frame.pts = 48000, 0
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    with h5py.File(path, "r+") as file:
        file["audio/original"] = np.frombuffer(track.getvalue(), np.uint8)
        file["audio/original"].attrs["start_time"] = 0.0
    for suffix, codec in (("mp4", "aac"), ("mkv", "wavpack")):
        command.main(["--priors", str(path), "--checkpoint", str(weights), "-o",
                      str(tmp_path / f"o.{suffix}")])  # fmt: skip
        said = capsys.readouterr().err
        assert ("sound track 0 is wavpack, which mp4 does not hold" in said) == (suffix == "mp4")
        with av.open(str(tmp_path / f"o.{suffix}")) as file:
            assert file.streams.audio[0].codec_context.codec.canonical_name == codec


def test_without_opencv_the_centre_is_taken(
    tmp_path: Path, priors: Path, weights: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    for module in (job, shots):
        monkeypatch.setattr(module, "can_detect", lambda: False)
    command.main(["--priors", str(priors), "--checkpoint", str(weights), "-o",
                  str(tmp_path / "o.y4m")])  # fmt: skip
    assert "note: opencv is not installed" in capsys.readouterr().err


def test_torch_is_not_loaded_for_help() -> None:
    code = (
        "import sys\nfrom davd.cli.restore import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "assert not {'torch', 'h5py', 'cv2', 'av'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "--priors" in done.stdout


def test_opencv_is_not_imported() -> None:
    code = "import davd.restore.job.job, sys; assert 'cv2' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
