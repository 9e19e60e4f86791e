"""Of many files that are read by turns, few are open at a time."""

import gc
import os
from pathlib import Path

import numpy as np
import pytest
from clips import encode
from davd.bitstream import PriorsFile, extract
from davd.bitstream.priors.handles import HANDLES, Handles
from davd.data.clean import CleanVideo
from davd.data.synthetic import synthesise, write_video


class Reader:
    """Counts how often it is closed."""

    def __init__(self) -> None:
        self.closes = 0

    def close(self) -> None:
        self.closes += 1


def test_the_one_not_used_for_longest_is_closed() -> None:
    handles, (a, b, c) = Handles(2), (Reader(), Reader(), Reader())
    for reader in (a, b, a, c):
        handles.used(reader)
    assert (a.closes, b.closes, c.closes) == (0, 1, 0)
    handles.closed(a)
    handles.closed(a)
    assert len(handles) == 1
    handles.used(b)
    assert len(handles) == 2 and c.closes == 0
    del b
    gc.collect()
    assert len(handles) == 1


def open_files(folder: Path) -> int:
    names = (Path("/proc/self/fd") / name for name in os.listdir("/proc/self/fd"))
    return sum(str(path.readlink()).startswith(str(folder)) for path in names if path.is_symlink())


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="the system lists no open files")
def test_many_clips_are_read_with_few_files_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_video(tmp_path / "clean.mkv", synthesise(1, 0.4, size=64, face="drawn"))
    video = encode(tmp_path / "a.mp4", frames=6, size=(64, 64))
    files, clips = [], []
    for k in range(6):
        extract(video, tmp_path / f"{k}.h5", audio=False)
        (tmp_path / f"{k}.mkv").write_bytes((tmp_path / "clean.mkv").read_bytes())
        files.append(PriorsFile(tmp_path / f"{k}.h5"))
        clips.append(CleanVideo(tmp_path / f"{k}.mkv"))
    count = len(clips[0])
    luma, clean = files[0].read("decoded/y", range(6)), clips[0].read(0, count)[0]
    monkeypatch.setattr(HANDLES, "most", 3)
    for _ in range(2):
        for file, clip in zip(files, clips, strict=True):
            assert "prediction" in file and len(file) == 6 and "mb/qp_y" in file.keys()
            np.testing.assert_array_equal(file.read("decoded/y", range(6)), luma)
            np.testing.assert_array_equal(file[5].residual[0], files[0][5].residual[0])
            np.testing.assert_array_equal(clip.read(0, count)[0], clean)
            assert len(clip) == count
            assert open_files(tmp_path) <= 3
    for reader in (*files, *clips):
        reader.close()
    assert open_files(tmp_path) == 0
