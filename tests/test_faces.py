"""Shots and face boxes: where the cuts are, where the face is, what is dropped and why."""

import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("cv2")
pytest.importorskip("skimage")

from davd.data import faces  # noqa: E402
from davd.data.media import probe  # noqa: E402
from davd.data.synthetic import synthesise  # noqa: E402

FPS = Fraction(25)


def video(path: Path, *parts: np.ndarray) -> Path:
    """Write RGB frames, part after part, with no sound."""
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.height, stream.width = parts[0].shape[1:3]
        stream.pix_fmt = "yuv420p"
        for rgb in np.concatenate(parts):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(rgb, format="rgb24")))
        container.mux(stream.encode(None))
    return path


@pytest.fixture(scope="module")
def heads() -> list[np.ndarray]:
    """Two speakers in a wide picture, two seconds each."""
    kinds = ("photograph", "photograph")
    return [
        synthesise(s, 2.0, size=(320, 240), zoom=0.7, face=k).frames for s, k in enumerate(kinds)
    ]


@pytest.fixture(scope="module")
def scenery() -> np.ndarray:
    """A second and a half without a face."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 255, (15, 20, 3), np.uint8).repeat(16, 0).repeat(16, 1)
    return np.stack([np.roll(coarse, k, 1) for k in range(38)])


def test_two_cuts_and_a_shot_without_a_face(tmp_path: Path, heads, scenery) -> None:
    path = video(tmp_path / "cuts.mkv", heads[0], scenery, heads[1])
    shots = faces.find_shots(path, probe(path), FPS)
    assert [(s.start, s.stop) for s in shots] == [(0, 50), (50, 88), (88, 138)]
    assert [s.dropped for s in shots] == ["", "no face", ""]
    for shot in (shots[0], shots[2]):
        x, y, w, h = shot.crop
        fx, fy, fw, fh = shot.face
        assert w == h and w == pytest.approx(1.4 * fw, abs=2)
        assert x <= fx and y <= fy and x + w >= fx + fw and y + h >= fy + fh


def test_short_shot_is_dropped(tmp_path: Path, heads) -> None:
    path = video(tmp_path / "short.mkv", heads[0], heads[1][:20])
    shots = faces.find_shots(path, probe(path), FPS)
    assert [s.dropped for s in shots] == ["", "shorter than a second"]


def test_motion_is_no_cut(tmp_path: Path) -> None:
    lively = synthesise(2, 3.0, size=(320, 240), zoom=0.7, face="photograph", motion=2.5)
    path = video(tmp_path / "lively.mkv", lively.frames)
    assert len(faces.find_shots(path, probe(path), FPS)) == 1


def test_face_that_walks_through_the_picture_is_dropped(tmp_path: Path, heads) -> None:
    wide = np.full((50, 240, 640, 3), 128, np.uint8)
    for k in range(50):
        x = 320 * k // 49
        wide[k, :, x : x + 320] = heads[0][0]
    path = video(tmp_path / "walk.mkv", wide)
    (shot,) = faces.find_shots(path, probe(path), FPS)
    assert shot.dropped == "the face leaves a fixed box"


def test_face_now_and_then_is_dropped(tmp_path: Path, heads) -> None:
    frames = heads[0].copy()
    frames[15:, 60:200] = frames[15:, 60:61]  # the face is wiped off, the rest stays
    path = video(tmp_path / "gone.mkv", frames)
    shots = faces.find_shots(path, probe(path), FPS)
    assert any("of looks only" in s.dropped or s.dropped == "no face" for s in shots)


def test_cut_detector_on_numbers() -> None:
    quiet = np.array([0.0] + [1.0] * 30)
    assert faces.cuts(quiet) == []
    cut = quiet.copy()
    cut[12] = 40.0
    assert faces.cuts(cut) == [12]
    wild = np.array([0.0] + [30.0] * 30)  # all frames differ: motion, or noise
    wild[12] = 60.0
    assert faces.cuts(wild) == []


def test_steadiest_prefers_the_large_face_seen_often() -> None:
    near, far = (100, 100, 80, 80), (300, 50, 30, 30)
    looks = [[near, far] for _ in range(5)] + [[far]]
    assert faces.steadiest(looks) == [near] * 5
    assert faces.steadiest([[], []]) == []


@given(
    st.tuples(st.integers(40, 2000), st.integers(40, 2000)),
    st.tuples(st.integers(-20, 2000), st.integers(-20, 2000), st.integers(20, 900)),
)
def test_crop_lies_inside_on_even_samples(size: tuple[int, int], face) -> None:
    x, y, side = face
    left, top, w, h = faces.square((x, y, side, side), size)
    assert w == h and w % 2 == 0 and left % 2 == 0 and top % 2 == 0
    assert 0 <= left and left + w <= size[0] and 0 <= top and top + h <= size[1]


@pytest.mark.parametrize("size", [(128, 128), (224, 224), (640, 360), (90, 400)])
def test_a_face_not_found_is_taken_to_be_where_crops_have_theirs(size: tuple[int, int]) -> None:
    """`square` around it is the largest square in the middle: as in every crop trained on."""
    side = min(size)
    left, top, w, h = faces.square(faces.usual_face(*size), size)
    assert abs(w - side) <= 2 and w == h
    assert abs(left - (size[0] - side) / 2) <= 2 and abs(top - (size[1] - side) / 2) <= 2


def test_mouth_lies_in_the_lower_half_of_the_face() -> None:
    x, y, w, h = faces.mouth((20, 30, 100, 100), (128, 128))
    assert 30 < x < x + w < 110 and y > 80 and y + h <= 128


def test_threads_look_for_faces_at_once() -> None:
    """As when one person's clips are prepared: from the first on, each with its own detector."""
    code = """
import sys, threading
import numpy as np
from davd.data import faces
sys.setswitchinterval(1e-6)
start, faults, own = threading.Barrier(8), [], set()
def look():
    start.wait()
    try:
        faces.detect(np.zeros((90, 90), np.uint8))
        own.add(id(faces._cascade("frontalface_default")))
    except BaseException as error:
        faults.append(error)
    start.wait()
threads = [threading.Thread(target=look) for _ in range(8)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
assert not faults, faults
assert len(own) == 8, own
"""
    subprocess.run([sys.executable, "-c", code], check=True)
