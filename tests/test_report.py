"""The report: one page, nothing outside it, that a browser draws."""

import base64
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from davd.bitstream import extract
from davd.cli import restore as command
from davd.restore.report.plots import POINTS, Curve, plot
from davd.restore.report.png import HEAT, LESS_MORE, colours, data_uri, png
from restoring import checkpoint, talk

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser",
                                                "google-chrome"))), None)  # fmt: skip


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
    command.main([*common, "-o", str(folder / "out.y4m"), "--reference", str(folder / "ref.y4m"),
                  "--report", str(folder / "r.html")])  # fmt: skip
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
                assert (attributes[name] or "").startswith("data:image/png;base64,"), attributes
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


def test_names_cannot_break_the_page(folder: Path) -> None:
    name = "a<b>&\"'</script>.mp4".replace("/", "_")
    priors = talk(folder, name, frames=3, sound=False)
    weights = checkpoint(folder)
    command.main(["--priors", str(priors), "--checkpoint", str(weights), "-q", "-o",
                  str(folder / "n.y4m"), "--report", str(folder / "n.html")])  # fmt: skip
    page = (folder / "n.html").read_text(encoding="utf-8")
    tags = [tag for tag, _ in Elements(page).found]
    assert "b>" not in tags and tags.count("script") == 2 and tags.count("h1") == 1


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on PATH")
def test_a_browser_draws_it(page: str, folder: Path) -> None:
    """Its script runs: both pictures are set, the edge is placed, a frame is chosen."""
    command_line = [
        str(CHROMIUM), "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
        f"--user-data-dir={folder / 'profile'}", "--window-size=1100,2400",
    ]  # fmt: skip
    address = f"file://{folder / 'r.html'}"
    done = subprocess.run(
        [*command_line, "--virtual-time-budget=3000", "--dump-dom", address],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    drawn = dict(
        (attributes["id"], attributes)
        for tag, attributes in Elements(done.stdout).found
        if tag == "img" and "id" in attributes
    )
    first = frames(page)[0]
    assert drawn["left"]["src"] == first["decoded"] and drawn["right"]["src"] == first["restored"]
    assert "inset(0" in (drawn["left"]["style"] or "")
    assert done.stdout.count('aria-pressed="true"') == 3  # left, right, frame
    picture = folder / "shot.png"
    subprocess.run([*command_line, f"--screenshot={picture}", address], timeout=120,
                   capture_output=True)  # fmt: skip
    with av.open(str(picture)) as file:
        seen = next(file.decode(video=0)).to_ndarray(format="rgb24")
    assert seen.shape == (2400, 1100, 3)
    assert len(np.unique(seen.reshape(-1, 3), axis=0)) > 2000  # pictures are there


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
