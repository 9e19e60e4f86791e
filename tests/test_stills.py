"""Photographs made to move."""

from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from davd.data.sources import find_sources

cv2 = pytest.importorskip("cv2")

from davd.data.stills import main, moving_stills, moving_window, wander  # noqa: E402


def photograph(seed: int, height: int = 200, width: int = 300) -> np.ndarray:
    coarse = np.random.default_rng(seed).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


def test_walk_begins_at_zero_and_is_smooth() -> None:
    walk = wander(np.random.default_rng(0), 200, 5.0)
    assert walk[0] == 0 and walk.std() == pytest.approx(5.0)
    assert np.abs(np.diff(walk)).max() < 3.0


def test_window_at_rest_stays_and_another_moves() -> None:
    rng = np.random.default_rng(1)
    views = list(moving_window(rng, photograph(0), 64, 4, 0.0))
    assert all(v.shape == (64, 64, 3) and np.array_equal(v, views[0]) for v in views)
    views = list(moving_window(rng, photograph(0), 64, 4, 3.0))
    assert all(not np.array_equal(a, b) for a, b in pairwise(views))


def test_clip_is_a_function_of_its_seed() -> None:
    pictures = [photograph(0), photograph(1, 900, 1300)]
    first, again, other = (list(moving_stills(pictures, s, 48, 6)) for s in (3, 3, 4))
    assert len(first) == 6 and first[0].shape == (48, 48, 3) and first[0].dtype == np.uint8
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[0], other[0])
    assert all(not np.array_equal(a, b) for a, b in pairwise(first))


def test_clips_are_silent_and_for_training(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos, raw = tmp_path / "photos", tmp_path / "raw"
    photos.mkdir()
    assert main([str(photos), str(raw)]) == 1
    assert "no pictures under" in capsys.readouterr().err
    cv2.imwrite(str(photos / "a.png"), photograph(2))
    assert main([str(photos), str(raw), "--clips", "2", "--size", "48", "--frames", "5"]) == 0
    found = find_sources(raw)
    assert [s.name for s in found] == ["still0000", "still0001"]
    assert {(s.speaker, s.split) for s in found} == {("still000", "train")}
    with av.open(str(raw / "still0000.mkv")) as container:
        assert not container.streams.audio
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert len(frames) == 5 and frames[0].shape == (48, 48, 3)
    (photos / "b.png").write_text("no picture")
    assert main([str(photos), str(raw)]) == 1
    assert "b.png is not a picture" in capsys.readouterr().err
