"""davd-inspect: words, figures and YUView statistics of a small clip."""

import io
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from clips import encode
from davd.bitstream import PriorsFile, extract
from davd.bitstream.show.figures import frame_figure, macroblock_rows, shown_rgb, unit_edges
from davd.bitstream.show.yuview import write_statistics
from davd.cli.inspect import main


@pytest.fixture(scope="module")
def priors(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("inspect")
    video = encode(folder / "clip.mp4", frames=12)
    extract(video, folder / "clip.h5", motion=True)
    return folder / "clip.h5"


def test_words(priors: Path, capsys: pytest.CaptureFixture) -> None:
    main([str(priors)])
    text = capsys.readouterr().out
    for part in ("174x138 of 176x144 coded", "frames    12", "residual/y"):
        assert part in text
    assert "x264 - core" in text and "P_Skip" in text and "QP of the macroblocks" in text


def test_json_counts_every_macroblock(priors: Path, capsys: pytest.CaptureFixture) -> None:
    main([str(priors), "--json"])
    found = json.loads(capsys.readouterr().out)
    assert found["frames"] == 12
    assert sum(found["histograms"]["mb_type"].values()) == 12 * 9 * 11
    assert sum(found["histograms"]["tu"].values()) == 12 * 36 * 44
    assert sum(found["histograms"]["picture_type"].values()) == 12
    with PriorsFile(priors) as file:
        qp = Counter(file.read("mb/qp_y").ravel().tolist())
        assert found["histograms"]["qp"] == {str(k): v for k, v in qp.items()}
    assert found["datasets"]["level/y"]["shape"] == [12, 144, 176]


@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_figure(priors: Path, tmp_path: Path, suffix: str) -> None:
    out = tmp_path / f"frame.{suffix}"
    main([str(priors), "--frame", "-1", "-o", str(out)])
    assert out.stat().st_size > 20_000


def test_figure_without_planes(priors: Path, tmp_path: Path) -> None:
    extract(priors.with_name("clip.mp4"), tmp_path / "a.h5", planes=())
    with PriorsFile(tmp_path / "a.h5") as file:
        texts = [t.get_text() for axes in frame_figure(file, 0).axes for t in axes.texts]
    assert sum("not stored" in t for t in texts) == 3


def test_fields_are_parted_as_their_macroblocks_are() -> None:
    plane = np.arange(32)[:, None].repeat(32, 1)
    rows = macroblock_rows(plane, np.array([[1, 0], [1, 0]], np.uint8))
    assert rows[:, 0].tolist() == [*range(0, 32, 2), *range(1, 32, 2)]
    assert rows[:, 16].tolist() == list(range(32))


def test_rgb_is_what_was_encoded(priors: Path) -> None:
    from clips import picture

    with PriorsFile(priors) as file:
        shown = shown_rgb(file[0].decoded, file)
    error = (shown - picture(0).astype(float)) / 255
    assert shown.shape == (138, 174, 3)
    assert np.sqrt((error**2).mean()) < 0.08


def test_unit_edges() -> None:
    tu = np.zeros((4, 8), np.uint8)
    tu[0:2, 2:4], tu[2, 5] = 2, 1
    assert unit_edges(tu == 2, 2).tolist() == [[[8, 8], [8, 0], [16, 0]]]
    assert unit_edges(tu == 1, 1).tolist() == [[[20, 12], [20, 8], [24, 8]]]


def test_yuview(priors: Path) -> None:
    out = io.StringIO()
    with PriorsFile(priors) as file:
        count = write_statistics(file, out)
        types = file.read("mb/type")
    lines = out.getvalue().splitlines()
    head = [line for line in lines if line.startswith("%")]
    rows = [[int(v) for v in line.split(";")] for line in lines if not line.startswith("%")]
    assert head[0] == "%;syntax-version;v1.22"
    assert head[1] == "%;seq-specs;clip.mp4;layer0;174;138;25"
    assert len(rows) == count
    assert sum(row[5] == 0 for row in rows) == 12 * 99
    row = next(r for r in rows if r[0] == 7 and r[5] == 1 and (r[1], r[2]) == (32, 48))
    assert row[3:5] == [16, 16] and row[6] == types[7, 3, 2]
    assert any(row[5] == 3 and len(row) == 8 for row in rows)


def test_errors(priors: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    (tmp_path / "text.h5").write_text("text")
    for arguments, says in (
        ([str(tmp_path / "none.h5")], "no such file"),
        ([str(tmp_path / "text.h5")], "not a readable HDF5 file"),
        ([str(priors), "--frame", "12"], "frame 12 of a file that has 12"),
    ):
        status = main(arguments)
        error = capsys.readouterr().err
        assert status == 1 and says in error and error.count("\n") == 1
