"""The report: one page, nothing outside it, that a browser draws."""

import base64
import json
import math
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path

import av
import h5py
import numpy as np
import pytest
import torch
from browser import CHROMIUM, MISSING, browser
from clips import encode
from davd.bitstream import PriorsFile, extract
from davd.cli import Exit
from davd.cli import restore as command
from davd.restore.job import job
from davd.restore.report import preview
from davd.restore.report.plots import POINTS, Curve, plot
from davd.restore.report.png import HEAT, LESS_MORE, colours, data_uri, png
from davd.restore.report.preview import GAP
from davd.restore.report.verdict import Measures, verdict
from restoring import checkpoint, talk, written


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("report")


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def page(folder: Path) -> str:
    """A page with everything on it."""
    priors, weights = talk(folder, frames=12), checkpoint(folder)
    common = ["--priors", str(priors), "--checkpoint", str(weights), "-q"]
    command.main([*common, "-o", str(folder / "ref.y4m"), "--cell", "paper"])
    with pytest.MonkeyPatch.context() as patch:  # the ball has no face
        patch.setattr(job, "_faces", lambda *_: [preview.FaceBox(0, 12, (40, 30, 60, 60))])
        command.main([*common, "-o", str(folder / "out.y4m"), "--report", str(folder / "r.html"),
                      "--reference", str(folder / "ref.y4m")])  # fmt: skip
    return (folder / "r.html").read_text(encoding="utf-8")


class Elements(HTMLParser):
    """All elements of a page with their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def frames(page: str) -> list[dict[str, str]]:
    data = re.search(r'<script type="application/json" id="frames">(.*?)</script>', page, re.S)
    assert data is not None
    return json.loads(data[1])


def test_nothing_is_fetched(page: str) -> None:
    for tag, attributes in Elements(page).found:
        assert tag not in ("link", "iframe", "object", "base")
        for name in ("src", "href", "srcset", "poster", "action"):
            if name in attributes:
                kind = "video/mp4" if tag == "video" else "image/png"
                assert (attributes[name] or "").startswith(f"data:{kind};base64,"), attributes
    style = page[page.index("<style>") : page.index("</style>")]
    assert "url(" not in style and "@import" not in style
    assert not re.search(r"fetch\(|XMLHttpRequest|import\(|WebSocket", page)


def test_frames_are_spread_and_the_extremes_are_there(page: str) -> None:
    shown = frames(page)
    labels = [int(frame["label"]) for frame in shown]
    assert labels == sorted(set(labels)) and {1, 3, 6, 8, 10} <= set(labels)
    assert {"most changed", "gains most", "gains least"} == {
        why for frame in shown for why in frame["why"].split(", ") if why
    }


def test_pictures_are_those_of_the_video(page: str, folder: Path) -> None:
    """Against FFmpeg's own conversion of the frames that were written."""
    with av.open(str(folder / "out.y4m")) as file:
        wanted = [frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)]
    for frame in frames(page):
        data = base64.b64decode(frame["restored"].partition(",")[2])
        with av.open(BytesIO(data)) as file:
            found = next(file.decode(video=0)).to_ndarray(format="rgb24")
        # luma alone: chroma is put between samples in another way
        grey = [picture @ [0.299, 0.587, 0.114] for picture in (found, wanted[int(frame["label"])])]
        assert np.abs(grey[0] - grey[1]).mean() < 1.5
        assert len({frame[name] for name in ("decoded", "restored", "source", "change")}) == 4


def test_figures_and_settings_are_on_it(page: str) -> None:
    for text in ("PSNR, luma", "SSIM, luma", "Contradicted", "Mean QP", "Pictures:",
                 "Where it helped", "davd-tiny-", "Face only", "x264"):  # fmt: skip
        assert text in page, text
    plots = [json.loads(dict(a)["data-plot"] or "") for tag, a in Elements(page).found
             if tag == "figure" and "data-plot" in a]  # fmt: skip
    assert len(plots) == 5
    assert all(len(values) == 12 for plot in plots for values in plot["values"])
    psnr = plots[0]["values"]
    assert all(20 < value < 60 for value in psnr[0])


def test_a_file_with_little_in_it_gives_a_page(folder: Path) -> None:
    talk(folder, "bare.mp4", frames=3, sound=False)
    bare = folder / "bare-decoded.h5"
    extract(folder / "bare.mp4", bare, planes=("decoded",))
    weights = checkpoint(folder, variant="plain", priors=False, audio=False)
    command.main(["--priors", str(bare), "--checkpoint", str(weights), "-q", "-o",
                  str(folder / "bare.y4m"), "--report", str(folder / "bare.html")])  # fmt: skip
    page = (folder / "bare.html").read_text(encoding="utf-8")
    assert "Contradicted" not in page and "PSNR" not in page and "Where it worked" in page
    assert "there was no original to compare with" in page and "Mute" not in page


def test_a_video_of_another_codec_gives_a_page(folder: Path) -> None:
    video = encode(folder / "other.mkv", frames=3, sound=False, codec="mpeg4", options={"b": "90k"})
    weights = checkpoint(folder, variant="plain", priors=False, audio=False)
    files = ["-o", str(folder / "o.y4m"), "--report", str(folder / "o.html")]
    assert command.main([str(video), "--checkpoint", str(weights), "-q", *files]) == 0
    page = (folder / "o.html").read_text(encoding="utf-8")
    assert "mpeg4" in page and not re.search(r"\bnan\b", page)


def test_names_cannot_break_the_page(folder: Path) -> None:
    name = "a<b>&\"'</script>.mp4".replace("/", "_")
    priors = talk(folder, name, frames=3, sound=False)
    weights = checkpoint(folder)
    command.main(["--priors", str(priors), "--checkpoint", str(weights), "-q", "-o",
                  str(folder / "n.y4m"), "--report", str(folder / "n.html")])  # fmt: skip
    page = (folder / "n.html").read_text(encoding="utf-8")
    tags = [tag for tag, _ in Elements(page).found]
    assert "b>" not in tags and tags.count("script") == 2 and tags.count("h1") == 1


def movie(page: str, place: Path) -> Path:
    """The video inside a page, as a file."""
    address = next(a["src"] for tag, a in Elements(page).found if tag == "video")
    place.write_bytes(base64.b64decode((address or "").partition(",")[2]))
    return place


def test_moving_pictures_are_before_above_after(page: str, folder: Path) -> None:
    path = movie(page, folder / "inside.mp4")
    with av.open(str(path)) as file, av.open(str(folder / "out.y4m")) as restored:
        assert [s.type for s in file.streams] == ["video", "audio"]
        shown = [frame.to_ndarray(format="gray") for frame in file.decode(video=0)]
        wanted = [frame.to_ndarray(format="gray") for frame in restored.decode(video=0)]
    height, width = wanted[0].shape
    with PriorsFile(folder / "talk.h5") as priors:
        decoded = priors.read("decoded/y")[:, *priors.crop]
    assert len(shown) == len(wanted) == 12
    for frame, before, after in zip(shown, decoded, wanted, strict=True):
        assert frame.shape == (2 * height + GAP, width)
        for half, whole in ((frame[:height], before), (frame[height + GAP :], after)):
            half, whole = half.astype(float), whole.astype(float)
            offset = (half - whole).mean()  # gray is of full range in one, limited in the other
            assert np.corrcoef(half.ravel(), whole.ravel())[0, 1] > 0.99, offset


def test_a_large_video_lies_beside_the_page(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preview, "INSIDE", 0)
    common = ["--priors", str(talk(folder, "long.mp4", frames=3)), "-q", "--checkpoint",
              str(checkpoint(folder)), "-o", str(folder / "long.y4m")]  # fmt: skip
    page = folder / "large page.html"
    assert command.main([*common, "--report", str(page)]) == 0
    text = page.read_text(encoding="utf-8")
    assert '<video src="large page.preview.mp4"' in text
    with av.open(str(folder / "large page.preview.mp4")) as file:
        assert sum(1 for _ in file.decode(video=0)) == 3
    page.unlink()
    (folder / "long.y4m").unlink()
    assert command.main([*common, "--report", str(page)]) == Exit.EXISTS
    assert not list(folder.glob("*.part"))


ONE = 1 << 16
VIEWS = {  # display matrix of each; "" and degrees for those that files had before
    "upright": "",
    "left": f"0 {-ONE} 0 {ONE} 0 0 0 0 {1 << 30}",
    "down": f"{-ONE} 0 0 0 {-ONE} 0 0 0 {1 << 30}",
    "mirrored": f"{-ONE} 0 0 0 {ONE} 0 0 0 {1 << 30}",
    "left, mirrored": f"0 {-ONE} 0 {-ONE} 0 0 0 0 {1 << 30}",
}


@pytest.mark.parametrize("view", VIEWS)
def test_pictures_are_turned_as_players_do(folder: Path, view: str) -> None:
    """A marked corner goes where the matrix puts it; samples and boxes alike."""
    path = written(folder / f"{view}.h5")
    with h5py.File(path, "r+") as file:
        file.attrs["display_matrix"] = VIEWS[view]
    width, height, box = 60, 46, (4, 2, 16, 10)
    luma = np.full((height, width), 40, np.uint8)
    luma[2:12, 4:20] = 200
    planes = [luma, *[np.full((height // 2, width // 2), 128, np.uint8)] * 2]
    with PriorsFile(path) as priors, preview.Preview(folder / f"{view}.html", priors,
                                                     range(4)) as made:  # fmt: skip
        for k in range(4):
            made.add(k, planes, planes)
        place = made.place(preview.FaceBox(0, 4, box))
        (folder / f"{view}.mp4").write_bytes(base64.b64decode(made.finish().partition(",")[2]))
    assert made.size == ((height, width) if "left" in view else (width, height))
    with av.open(str(folder / f"{view}.mp4")) as file:
        frame = next(file.decode(video=0)).to_ndarray(format="yuv420p")[: made.size[1]]
    rows, columns = np.nonzero(frame > 120)
    found = columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1
    np.testing.assert_allclose(np.array(place) * [*made.size, *made.size], found, atol=1)
    numbers = [int(n) / ONE for n in VIEWS[view].split()] or [1, 0, 0, 0, 1]
    middle = np.array([12 - width / 2, 7 - height / 2])  # where the mark is, from the middle
    moved = middle @ np.array([numbers[0:2], numbers[3:5]]) + np.array(made.size) / 2
    np.testing.assert_allclose([columns.mean(), rows.mean()], moved, atol=1.5)


JARGON = re.compile(
    r"PSNR|SSIM|\bQP\b|luma|chroma|coefficient|bitstream|decoded|residual|macroblock|dB\b", re.I
)


def test_the_first_screen_has_no_jargon(page: str) -> None:
    first = re.sub(r"<style>.*?</style>|<[^>]*>", " ", page.partition("<h2>")[0], flags=re.S)
    assert "What was repaired" in first and "What was guessed" in first
    assert not JARGON.search(first), JARGON.search(first)


@pytest.mark.parametrize("qp", [45.0, 38.0, 30.0, 20.0, math.nan])
@pytest.mark.parametrize("change", [0.0, 0.5, 2.0, 9.0])
@pytest.mark.parametrize("gain", [math.nan, -1.0, 0.0, 1.0])
def test_a_verdict_speaks_plainly(qp: float, change: float, gain: float) -> None:
    found = verdict(Measures(100, qp=qp, change=change, gain=gain, better=0.5, damaged=3))
    text = f"{found.headline} {found.points}"
    assert not JARGON.search(text) and "nan" not in text and "3 of 100" in text
    measured = not math.isnan(gain)
    assert ("Measured against the original" in text) == measured
    assert found.kind == ("even" if not measured or gain == 0 else "good" if gain > 0 else "bad")


def test_a_verdict_counts_what_came_closer() -> None:
    found = verdict(Measures(50, qp=44, change=2, gain=3.0103, better=0.9, unsent=0.93))
    assert found.headline == "Closer to the original than before"
    assert "fell by 50\N{NO-BREAK SPACE}%, and 45 of 50 pictures" in found.points[1][1]
    assert "For 93\N{NO-BREAK SPACE}% of the picture" in found.points[2][1]
    for sound in (True, False):
        told = verdict(Measures(50, qp=44, sound=sound)).points[0][1]
        assert ("The sound track is the original one." in told) == sound


@pytest.mark.skipif(CHROMIUM is None, reason=MISSING)
def test_a_browser_draws_it(page: str, folder: Path) -> None:
    """Its script runs: the video plays under the edge, pictures are chosen, nothing overflows."""
    with browser() as tab:
        tab.size(1100, 900)
        tab.open((folder / "r.html").as_uri())
        tab.wait("document.querySelector('video').readyState >= 2")
        before = tab.run("document.querySelector('.player canvas').toDataURL()")
        tab.run("document.querySelector('[data-mode=after]').click()")
        after = tab.run("document.querySelector('.player canvas').toDataURL()")
        tab.run("document.querySelector('[data-zoom=mouth]').click()")
        mouth = tab.run("document.querySelector('.player canvas').toDataURL()")
        assert len({before, after, mouth}) == 3 and min(len(str(p)) for p in (before, mouth)) > 9999
        tab.run("document.querySelector('.play').click()")
        tab.wait("document.querySelector('video').currentTime > 0.1")
        first = frames(page)[0]
        assert tab.run("document.querySelector('#left').src") == first["decoded"]
        assert tab.run("document.querySelector('#right').src") == first["restored"]
        tab.run("document.querySelectorAll('.strip button')[2].click()")
        tab.run("document.querySelector('[data-side=right][data-what=change]').click()")
        assert tab.run("document.querySelector('#right').src") == frames(page)[2]["change"]
        assert tab.run("!document.querySelector('#change-scale').hidden")
        tab.size(390, 844)
        assert tab.run("document.documentElement.scrollWidth") == 390
        assert tab.errors == []


def test_png_is_lossless() -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (13, 7, 3)).astype(np.uint8)
    with av.open(BytesIO(png(rgb))) as file:
        np.testing.assert_array_equal(next(file.decode(video=0)).to_ndarray(format="rgb24"), rgb)
    assert data_uri(rgb).startswith("data:image/png;base64,")


def test_scales_begin_and_end_where_they_should() -> None:
    ends = colours(np.array([[0.0, 1.0, 2.0]]), HEAT)[0]
    assert tuple(ends[0]) == HEAT[0] and tuple(ends[1]) == tuple(ends[2]) == HEAT[-1]
    assert tuple(colours(np.array([[0.5]]), LESS_MORE)[0, 0]) == LESS_MORE[2]


def test_long_curves_are_averaged() -> None:
    values = np.repeat([1.0, 3.0], 3000)
    text = plot("t", "r", "dB", [Curve("c", "plain", values.tolist())], list(range(6000)))
    data = json.loads(dict(Elements(text).found[0][1])["data-plot"] or "")
    assert len(data["times"]) == len(data["values"][0]) == POINTS
    assert data["values"][0][0] == 1 and data["values"][0][-1] == 3


@pytest.mark.parametrize("values", [[5.0], [2.0, 2.0], [float("nan")] * 3, [float("inf"), 1.0]])
def test_odd_curves_are_drawn(values: list[float]) -> None:
    text = plot("t", "r", "", [Curve("c", "plain", values)], list(range(len(values))))
    assert text.count("<path") >= 3 and "nan" not in text.replace("data-plot", "")
