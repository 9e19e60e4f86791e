"""The viewer: what its server tells and refuses, and what a browser makes of it."""

import http.client
import json
import re
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import h5py
import numpy as np
import pytest
from browser import CHROMIUM, MISSING, Page, browser
from clips import encode
from davd.bitstream import PriorsError, PriorsFile, extract
from davd.bitstream.priors.schema import MB_TYPES
from davd.bitstream.show import material as materials
from davd.bitstream.show.colour import to_rgb
from davd.bitstream.show.course import Course
from davd.bitstream.show.material import open_material
from davd.bitstream.show.pack import pack, unpack
from davd.bitstream.show.server import Viewer
from davd.cli import Exit
from davd.cli import view as command
from davd.restore.output.raw import ArrayWriter
from restoring import written

needs_browser = pytest.mark.skipif(CHROMIUM is None, reason=MISSING)
FRAMES = 12


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("view")


@pytest.fixture(scope="module")
def video(folder: Path) -> Path:
    return encode(folder / "talk.mp4", frames=FRAMES, sound=False)


@pytest.fixture(scope="module")
def priors(video: Path) -> Path:
    extract(video, video.with_suffix(".h5"), motion=True, modes=True, bits=True)
    return video.with_suffix(".h5")


@contextmanager
def serving(*paths: Path) -> Iterator[Viewer]:
    found = [open_material(path, plain=k > 0) for k, path in enumerate(paths)]
    with Viewer(found) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
            for one in found:
                one.close()


def ask(server: Viewer, path: str, host: str | None = None) -> tuple[int, bytes, dict[str, str]]:
    made = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=30)
    with closing(made) as connection:
        connection.request("GET", path, headers={"Host": host or f"127.0.0.1:{server.server_port}"})
        answer = connection.getresponse()
        return answer.status, answer.read(), dict(answer.getheaders())


def test_arrays_come_back_from_bytes() -> None:
    arrays = {
        "a": np.arange(7, dtype=np.uint8), "b": np.arange(6, dtype=np.int16).reshape(2, 3),
        "c": np.array([1.5, -2]), "d": np.array([True, False]), "e": np.array([5, 1 << 40]),
    }  # fmt: skip
    found, meta = unpack(pack(arrays, ended=True, first=3))
    assert meta == {"ended": True, "first": 3}
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array)


def test_a_frame_is_what_the_file_says(priors: Path) -> None:
    with serving(priors) as server, PriorsFile(priors) as file:
        told = json.loads(ask(server, f"/{server.token}/about")[1])["files"][0]
        assert told["count"] == FRAMES and told["groups"] == list(materials.PLANE_GROUPS)
        for group in ("maps", "decoded", "residual"):
            arrays, _ = unpack(ask(server, f"/{server.token}/frame/0/5/{group}")[1])
            wanted = told["maps"] if group == "maps" else [f"{group}/{p}" for p in file.planes]
            assert sorted(arrays) == sorted(wanted)
            for path, array in arrays.items():
                np.testing.assert_array_equal(array, file.read(path, [5])[0])
        columns, _ = unpack(ask(server, f"/{server.token}/columns/0")[1])
        np.testing.assert_array_equal(columns["frames/poc"], file.column("poc"))


def test_a_video_shows_what_its_priors_show(video: Path, priors: Path) -> None:
    one, other = open_material(video), open_material(priors)
    assert one.count == other.count
    for group in ("maps", "level"):
        for k in (7, 2):
            mine, theirs = one.arrays(k, group), other.arrays(k, group)
            assert mine.keys() == theirs.keys() and mine
            for path, array in mine.items():
                np.testing.assert_array_equal(array, theirs[path], path)
    one.close()
    other.close()


@pytest.mark.parametrize("path", ["", "about", "frame/0/0/maps", "main.js"])
def test_nothing_without_the_token(priors: Path, path: str) -> None:
    with serving(priors) as server:
        for token in ("", "x" * 32, server.token[:-1], server.token + "x"):
            assert ask(server, f"/{token}/{path}")[0] == 403
        assert ask(server, f"/{server.token}/{path}")[0] == 200


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "127.0.0.1:1", "localhost:80", ""])
def test_nothing_under_another_name(priors: Path, host: str) -> None:
    with serving(priors) as server:
        assert ask(server, f"/{server.token}/", host or " ")[0] == 403
        assert ask(server, f"/{server.token}/", f"localhost:{server.server_port}")[0] == 200


def test_no_path_is_taken_from_a_request(priors: Path) -> None:
    with serving(priors) as server:
        for path in ("../main.js", "..%2fserver.py", "/etc/passwd", "page/main.js",
                     f"frame/0/{FRAMES}/maps", "frame/0/-1/maps", "frame/0/0/attrs", "columns/9",
                     "frame/0/99999999999/maps", "course/7", "talk.h5"):  # fmt: skip
            assert ask(server, f"/{server.token}/{path}")[0] == 404, path


def test_a_browser_is_told_to_trust_nothing_else(priors: Path) -> None:
    with serving(priors) as server:
        headers = ask(server, f"/{server.token}/")[2]
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy and headers["Referrer-Policy"] == "no-referrer"
    assert server.server_address[0] == "127.0.0.1"


def test_figures_over_time(priors: Path) -> None:
    course = Course(priors, FRAMES)
    while not course.since(0)[1]:
        pass
    values, _ = course.since(0)
    with PriorsFile(priors) as file:
        qp, kinds = file.read("mb/qp_y"), file.read("mb/type")
    np.testing.assert_allclose(values["qp"], qp.reshape(FRAMES, -1).mean(1), rtol=1e-6)
    np.testing.assert_array_equal(values["qp_low"], qp.min((1, 2)))
    np.testing.assert_allclose(values["intra"], (kinds <= 3).mean((1, 2)), rtol=1e-6)
    skipped = np.isin(kinds, [MB_TYPES["P_Skip"], MB_TYPES["B_Skip"]])
    np.testing.assert_allclose(values["skip"], skipped.mean((1, 2)), rtol=1e-6)


def test_any_video_can_stand_beside_it(folder: Path, video: Path) -> None:
    """FFV1 is lossless, so that FFmpeg's frames are known."""
    other = encode(
        folder / "other.mkv", frames=FRAMES, sound=False, codec="ffv1", options={"g": "4"}
    )
    shown = open_material(other, plain=True)
    assert isinstance(shown, materials.VideoMaterial) and shown.count == FRAMES
    forward = [shown.arrays(k, "decoded")["decoded/y"].copy() for k in range(FRAMES)]
    for k in (9, 3, 3, 11, 0):
        np.testing.assert_array_equal(shown.arrays(k, "decoded")["decoded/y"], forward[k])
    assert all((a != b).any() for a, b in zip(forward, forward[1:], strict=False))
    assert shown.arrays(0, "residual") == {}
    shown.close()


def vast(file: h5py.File, path: str, shape: tuple[int, ...]) -> None:
    """Put a dataset in another's place that says much and holds nothing."""
    kind = file[path].dtype
    del file[path]
    file.create_dataset(path, shape, kind, chunks=(1, 64, 64))


def test_restored_planes_lie_beside_their_priors(priors: Path, tmp_path: Path) -> None:
    path = tmp_path / "restored.h5"
    with PriorsFile(priors) as file:
        writer = ArrayWriter(path, file, {"strength": 1})
        for k in range(2, len(file)):
            writer.add([255 - plane for plane in file[k].decoded], k)
        writer.finish()
        writer.close()
        wanted = 255 - file[5].decoded[1]
        count = len(file) - 2
    shown = open_material(path)
    about = shown.about()
    assert (about["kind"], about["count"], about["groups"]) == ("restored", count, ["decoded"])
    assert shown.columns()["frames/index"].tolist() == list(range(2, count + 2))
    np.testing.assert_array_equal(shown.arrays(3, "decoded")["decoded/cb"], wanted)
    assert shown.arrays(3, "residual") == {} == shown.arrays(count, "decoded")
    shown.close()


def test_a_file_with_impossible_sizes_is_refused(folder: Path, priors: Path) -> None:
    path = folder / "vast.h5"
    path.write_bytes(priors.read_bytes())
    with h5py.File(path, "r+") as file:
        vast(file, "mb/type", (FRAMES, 40000, 40000))
    with pytest.raises(PriorsError, match="more than H.264 and HEVC allow"):
        open_material(path)


def test_a_file_that_unfolds_is_refused(folder: Path, priors: Path) -> None:
    """A chunk of zeros is a few bytes in the file, and what it says in memory."""
    path = folder / "bomb.h5"
    path.write_bytes(priors.read_bytes())
    with h5py.File(path, "r+") as file:
        shape = file["mb/qp_y"].shape
        del file["mb/qp_y"]
        file.create_dataset("mb/qp_y", shape, "i1", chunks=(1 << 16, 64, 64), compression="gzip",
                            maxshape=(None, None, None))  # fmt: skip
    with pytest.raises(PriorsError, match="not as davd writes them"):
        open_material(path)


def test_an_array_of_another_shape_is_left_out(folder: Path, priors: Path) -> None:
    path = folder / "odd.h5"
    path.write_bytes(priors.read_bytes())
    with h5py.File(path, "r+") as file:
        vast(file, "mb/qp_y", (FRAMES, 50000, 50000))
    shown = open_material(path)
    arrays = shown.arrays(0, "maps")
    assert "mb/qp_y" not in arrays and "mb/type" in arrays
    shown.close()


def test_a_page_needs_nothing_and_escapes_names(folder: Path, priors: Path) -> None:
    named = folder / "a<img src=x onerror=alert(1)>.h5"
    named.write_bytes(priors.read_bytes())
    with h5py.File(named, "r+") as file:
        file.attrs["encoder"] = "</script><script>alert(1)</script>"
    out = folder / "page.html"
    command.main([str(named), "--html", str(out), "--frames", "2:5"])
    page = out.read_text(encoding="utf-8")
    assert "<img" not in page and "alert(1)</script>" not in page
    assert not re.search(r"""(src|href)=["'](?!data:,)""", page) and "@import" not in page
    assert "frame-0-4-level" in page and "frame-0-5-level" not in page
    assert command.main([str(named), "--html", str(out)]) == Exit.EXISTS


def test_errors_are_one_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "text.mp4").write_text("no video")
    for file in ("text.mp4", "missing.mp4"):
        assert command.main([str(folder / file)]) == Exit.INPUT
        assert capsys.readouterr().err.count("\n") == 1


@pytest.fixture(scope="module")
def tab() -> Iterator[Page]:
    with browser() as page:
        yield page


def shown(page: Page, address: str, fragment: str = "", *, width: int = 1400) -> None:
    page.size(width, 900)
    page.open("about:blank")
    page.errors.clear()
    page.open(f"{address}#{fragment}")
    page.wait("document.documentElement.dataset.frame !== undefined || !$('message').hidden")
    assert page.run("$('message').textContent") == ""


@needs_browser
def test_keys_step_and_change_the_view(tab: Page, priors: Path) -> None:
    with serving(priors) as server:
        shown(tab, server.address)
        for key, wanted in (("ArrowRight", "frame=1"), ("End", f"frame={FRAMES - 1}"),
                            ("3", "view=residual"), ("q", "fill=qp"), ("p", "lines=parts"),
                            ("w", "mode=wipe"), ("Home", "mode=wipe")):  # fmt: skip
            tab.key(key)
            tab.wait(f"location.hash.includes('{wanted}')")
        assert tab.run("app.state.frame") == 0
        tab.key("?")
        tab.wait("$('help').open")
        assert tab.errors == []


@needs_browser
def test_the_state_is_in_the_address(tab: Page, priors: Path) -> None:
    with serving(priors) as server:
        shown(tab, server.address, "frame=4&view=level&fill=tu&lines=units,mv0&lock=40,40&zoom=8")
        state = tab.run("app.state")
        assert isinstance(state, dict)
        assert (state["frame"], state["view"], state["fill"], state["zoom"]) == (
            4,
            "level",
            "tu",
            8,
        )
        shown(tab, server.address, "frame=1e9&view=__proto__&fill=constructor&zoom=x&lock=-1,9")
        assert tab.run("app.state.frame") == FRAMES - 1 and tab.run("app.state.view") == "decoded"
        assert tab.errors == []


@needs_browser
@pytest.mark.parametrize("chroma", ["4:0:0", "4:2:0", "4:2:2", "4:4:4"])
@pytest.mark.parametrize("depth", [8, 10])
def test_every_format_is_drawn(tab: Page, tmp_path: Path, chroma: str, depth: int) -> None:
    """In the colours of the conversion, which here repeats chroma samples, to one of 255 steps."""
    path = written(tmp_path / "a.h5", chroma=chroma, depth=depth)
    with serving(path) as server, PriorsFile(path) as file:
        shown(tab, server.address, "frame=1")
        pixels = tab.run("Array.from(app.picture('decoded').getContext('2d')"
                         ".getImageData(0, 0, 64, 48).data)")  # fmt: skip
        planes = file[1].decoded or ()
        whole = [p.repeat(48 // p.shape[0], 0).repeat(64 // p.shape[1], 1) for p in planes]
        wanted = to_rgb(whole, depth=depth, matrix="bt709", full_range=False)
        found = np.array(pixels).reshape(48, 64, 4)[..., :3]
        assert np.abs(found - wanted.astype(int)).max() <= 1
        tab.run("app.set({view: 'before', fill: 'type', lines: 'grid'})")
        assert tab.errors == []


@needs_browser
def test_fields_lie_in_display_rows(tab: Page, folder: Path, priors: Path) -> None:
    """Levels and types of field pairs, against the projection's own order of rows."""
    torch = pytest.importorskip("torch")
    from davd.restore.projection.units import to_display_rows

    path = folder / "fields.h5"
    path.write_bytes(priors.read_bytes())
    rng = np.random.default_rng(0)
    with h5py.File(path, "r+") as file:
        rows, columns = file["mb/type"].shape[1:]
        field = np.zeros((rows, columns), np.uint8)  # an odd row at the end has no pair
        field[: rows // 2 * 2] = rng.integers(0, 2, (rows // 2, columns)).repeat(2, 0)
        file["mb/field"][3] = field
        file["mb/type"][3] = rng.integers(0, 15, (rows, columns))
        level, types = file["level/y"][3], file["mb/type"][3]
    planes = np.stack([level, types.repeat(16, 0).repeat(16, 1)])[:, : rows // 2 * 32]
    pairs = torch.from_numpy(field[: rows // 2 * 2].astype(bool)).expand(2, -1, -1)
    paired = to_display_rows(torch.from_numpy(planes.astype(np.int64)), pairs).numpy()
    with serving(path) as server:
        shown(tab, server.address, "frame=3&view=level&fill=type&lines=parts,units,modes,grid")
        found = np.array(tab.run("Array.from(app.views.level.planes[0].data)")).reshape(level.shape)
        np.testing.assert_array_equal(found[: len(paired[0])], paired[0])
        height, width = level.shape
        at = f"16 * (k % {columns}), Math.floor(k / {columns})"
        script = f"app.blocks.at('mb/type', {at})"
        script = f"Array.from({{length: {height * columns}}}, (_, k) => {script})"
        kinds = np.array(tab.run(script)).reshape(height, columns)
        np.testing.assert_array_equal(kinds[: len(paired[0])], paired[1, :, ::16])
        assert tab.errors == []


@needs_browser
def test_a_locked_block_adds_up(tab: Page, priors: Path) -> None:
    with PriorsFile(priors) as file:
        frame = file[2]
    assert frame.residual is not None and frame.prediction is not None and frame.level is not None
    y, x = np.unravel_index(np.abs(frame.residual[0]).argmax(), frame.residual[0].shape)
    with serving(priors) as server:
        shown(tab, server.address, f"frame=2&lock={x},{y}")
        tab.wait("document.querySelectorAll('.numbers').length === 5")
        read = "[...document.querySelectorAll('.numbers')].map(f => [...f.querySelectorAll('td')]" \
               ".map(c => Number(c.textContent)))"  # fmt: skip
        tables = tab.run(read)
        assert isinstance(tables, list)
        prediction, residual, before, level, _ = (np.array(t) for t in tables)
        np.testing.assert_array_equal(np.clip(prediction + residual, 0, 255), before)
        side = int(len(before) ** 0.5)
        top, left = y // side * side, x // side * side
        block = np.s_[top : top + side, left : left + side]
        np.testing.assert_array_equal(level.reshape(side, side), frame.level[0][block])
        np.testing.assert_array_equal(residual.reshape(side, side), frame.residual[0][block])


@needs_browser
def test_two_files_are_compared(tab: Page, folder: Path, priors: Path) -> None:
    other = encode(folder / "second.mkv", frames=FRAMES, sound=False, codec="ffv1")
    shown_other = open_material(other, plain=True)
    with serving(priors, other) as server, PriorsFile(priors) as file:
        shown(tab, server.address, "frame=6&view=difference&right=other&mode=side")
        rows, columns = file.crop
        decoded = file.read("decoded/y", [6])[0]
        second = shown_other.arrays(6, "decoded")["decoded/y"].astype(int)
        found = np.array(tab.run("Array.from(app.views.difference.planes[0].data)"))
        found = found.reshape(decoded.shape)[rows, columns]
        np.testing.assert_array_equal(found, second - decoded[rows, columns].astype(int))
        assert "second.mkv" in str(tab.run("$('right-tag').textContent"))
        assert tab.errors == []
    shown_other.close()


@needs_browser
def test_pictures_alone_are_shown_of_other_codecs(tab: Page, folder: Path) -> None:
    path = encode(folder / "alone.mkv", frames=FRAMES, sound=False, codec="ffv1")
    material = open_material(path, plain=True)
    assert isinstance(material, materials.VideoMaterial) and "ffv1" in material.why
    with Viewer([material]) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        shown(tab, server.address, "frame=3&tab=frame&lock=20,20")
        for key in ("ArrowRight", "3", "p", "q", "w", "End"):
            tab.key(key)
        tab.wait(f"app.state.frame === {FRAMES - 1}")
        assert "Pictures alone" in str(tab.run("$('panel').textContent"))
        assert [e for e in tab.errors if "404" not in e] == []
        server.shutdown()
    material.close()


@needs_browser
def test_what_is_not_stored_is_said(tab: Page, folder: Path, video: Path) -> None:
    path = folder / "bare.h5"
    extract(video, path, planes=("decoded",))
    with serving(path) as server:
        shown(tab, server.address, "view=residual&fill=intra&lines=mv0&lock=20,20")
        assert "not in this file" in str(tab.run("$('left-tag').textContent"))
        assert "not in this file" in str(tab.run("$('legend').textContent"))
        assert tab.errors == []


@needs_browser
def test_a_page_without_a_server_shows_the_same(tab: Page, folder: Path, priors: Path) -> None:
    out = folder / "alone.html"
    command.main([str(priors), "--html", str(out), "--frames", "3:6", "-f"])
    fragment = "frame=4&view=before&fill=qp&lines=parts"
    drawing = "app.qpRange = () => [20, 40], app.draw(), app.canvas.toDataURL()"
    with serving(priors) as server:
        shown(tab, server.address, fragment)
        drawn = tab.run(drawing)
    shown(tab, out.as_uri(), fragment)
    assert tab.run("[app.from, app.to]") == [3, 6]
    assert tab.run(drawing) == drawn and len(str(drawn)) > 10_000
    tab.key("ArrowRight")
    tab.wait("app.state.frame === 5")
    assert tab.errors == []


@needs_browser
def test_it_fits_a_telephone(tab: Page, priors: Path) -> None:
    with serving(priors) as server:
        shown(tab, server.address, "frame=2&fill=type&tab=frame", width=390)
        assert tab.run("document.documentElement.scrollWidth") == 390
        assert int(str(tab.run("$('stage').clientHeight"))) > 250
        assert tab.errors == []


@pytest.fixture(scope="module")
def hevc(folder: Path) -> Path:
    params = "log-level=none:pools=none:bframes=2:amp=1:rect=1"
    path = encode(folder / "hevc.mp4", codec="libx265", frames=6, sound=False,
                  options={"x265-params": params})  # fmt: skip
    extract(path, path.with_suffix(".h5"), motion=True, modes=True, bits=True)
    return path.with_suffix(".h5")


@needs_browser
def test_hevc_has_its_own_blocks(tab: Page, folder: Path, hevc: Path) -> None:
    """Every colour and line of HEVC is drawn, and the panel says what the file says."""
    with serving(hevc) as server, PriorsFile(hevc) as file:
        shown(tab, server.address, "frame=0&lock=100,60")
        names = tab.run("Object.keys(FILLS)")
        assert "sao" in names and "field" not in names
        before = tab.run("app.canvas.toDataURL()")
        for fill in tab.run("Object.keys(FILLS).filter((n) => n !== 'none')"):
            tab.run(f"app.set({{fill: '{fill}', lines: Object.keys(LINES).join()}})")
            tab.wait(f"app.state.fill === '{fill}'")
            assert tab.run("app.canvas.toDataURL()") != before, fill
            assert tab.errors == [], fill
        rows = tab.run("app.blocks.syntax(100, 60).map(([n, v]) => [n, v.textContent ?? `${v}`])")
        facts, record = dict(rows), file[0]
        at = 60 // 4, 100 // 4
        side = 1 << int(record.cu_size[at])
        assert facts["Coding unit"] == f"{side}x{side}" and facts["Mode"] == "INTRA"
        assert facts["QpY"] == str(record.qp_y[at])
        assert facts["IntraPredModeY"] == str(record.intra_luma[at])
        cost = record.cu_bits[60 // 8, 100 // 8] / 256
        assert float(facts["Bits"]) == pytest.approx(cost, abs=0.051)
        cost = record.bits_luma[60 // 8, 100 // 8] / 256
        assert float(facts["Bits, luma"]) == pytest.approx(cost, abs=0.051)
        kinds = tab.run("[...app.blocks.units('cu/size', [0, 0, 999, 999])].length")
        assert kinds == np.sum(4.0 ** (2 - record.cu_size.astype(float)))
    out = folder / "hevc.html"
    command.main([str(hevc), "--html", str(out), "-f"])
    shown(tab, out.as_uri(), "frame=3&fill=type&lines=mv0,mv1,units&tab=frame")
    tab.wait("Object.keys(app.course).length > 0")
    assert tab.errors == []


def test_hevc_over_time(hevc: Path) -> None:
    course = Course(hevc, 6)
    try:
        ended = False
        while not ended:
            values, ended = course.since(0)
    finally:
        course.close()
    with PriorsFile(hevc) as file:
        for k, record in enumerate(file):
            assert values["qp"][k] == pytest.approx(record.qp_y.mean(), abs=1e-3)
            assert values["skip"][k] == pytest.approx((record.cu_mode == 0).mean(), abs=1e-6)
            assert values["intra"][k] == pytest.approx((record.cu_mode >= 2).mean(), abs=1e-6)
