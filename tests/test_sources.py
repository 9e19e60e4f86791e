"""Sources, speakers and splits; the index; settings of a work folder."""

import json
from pathlib import Path

import pytest
from davd.data.index import Clip, build_index, load_index
from davd.data.media import ClipError
from davd.data.sources import Source, find_sources, scan, segments, split_of
from davd.data.work import Settings, keep_settings, safe_name, step, write_result
from hypothesis import given
from hypothesis import strategies as st


def files(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")
    return folder


def test_flat_folder(tmp_path: Path) -> None:
    found = find_sources(files(tmp_path, "b.mp4", "a.MOV", "notes.txt", ".hidden.mp4"))
    assert [(s.name, s.speaker) for s in found] == [("a", "a"), ("b", "b")]


def test_voxceleb_folders(tmp_path: Path) -> None:
    files(tmp_path, "id2/vid/00001.mp4", "id1/vid/00001.mp4", "id1/vid/00002.mp4")
    found = find_sources(tmp_path)
    assert [s.name for s in found] == ["id1/vid/00001", "id1/vid/00002", "id2/vid/00001"]
    assert [s.speaker for s in found] == ["id1", "id1", "id2"]


def test_same_name_with_two_suffixes(tmp_path: Path) -> None:
    found = find_sources(files(tmp_path, "a.mov", "a.mp4"))
    assert [(s.name, s.path) for s in found] == [("a", "a.mov"), ("a_mp4", "a.mp4")]


@pytest.mark.parametrize("where", ["raw", "."])
@pytest.mark.parametrize("table", ["speakers.csv", "clips.csv"])
def test_table_of_speakers(tmp_path: Path, where: str, table: str) -> None:
    raw = files(tmp_path / "raw", "a.mp4", "b.mp4")
    prefix = "" if where == "raw" else "raw/"
    (tmp_path / where / table).write_text(
        f"File,Speaker,Split,Licence,Source\n{prefix}a.mp4,Ada,val,MIT,web\n{prefix}zzz.mp4,Z,,,\n"
    )
    a, b = find_sources(raw)
    assert (a.speaker, a.split, a.licence, a.source) == ("Ada", "val", "MIT", "web")
    assert (b.speaker, b.split) == ("b", "")


def test_table_with_an_unknown_split(tmp_path: Path) -> None:
    (files(tmp_path, "a.mp4") / "speakers.csv").write_text("file,split\na.mp4,holdout\n")
    with pytest.raises(ValueError, match="'holdout'; allowed are train, val, test"):
        find_sources(tmp_path)


def test_no_videos(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no video"):
        find_sources(tmp_path)
    with pytest.raises(FileNotFoundError, match="no folder"):
        find_sources(tmp_path / "nowhere")


@given(
    st.text(st.characters(blacklist_characters="/\x00", blacklist_categories=["Cs"]), min_size=1)
)
def test_names_are_fit_for_make(text: str) -> None:
    name = safe_name(Path("folder", text + ".mp4"))
    assert all(c.isascii() and (c.isalnum() or c in "_-/") for c in name)


def test_names_stay_apart() -> None:
    names = ["a b", "a_b", "a:b", "ä", "a.b", "a$b"]
    assert len({safe_name(Path(n + ".mp4")) for n in names}) == len(names)


def test_split_depends_on_the_speaker_alone() -> None:
    names = [f"id{k:05d}" for k in range(3000)]
    splits = [split_of(n) for n in names]
    assert [split_of(n) for n in names] == splits
    shares = {s: splits.count(s) / len(splits) for s in set(splits)}
    assert shares.keys() == {"train", "val", "test"}
    assert abs(shares["train"] - 0.8) < 0.03 and abs(shares["test"] - 0.1) < 0.03


def test_one_speaker_is_split_by_time() -> None:
    source = Source("a", "a.mp4", "Ada")
    parts = segments(source, "a", 10000, 25.0, "time")
    assert [p[2] for p in parts] == ["train", "val", "test"]
    for (_, stop, _), (start, _, _) in zip(parts, parts[1:], strict=False):
        assert start - stop == 25  # a second in between
    assert parts[0][0] == 0 and parts[-1][1] == 10000
    short = segments(source, "a", 100, 25.0, "time")
    assert len(short) == 1 and short[0][:2] == (0, 100)


def test_table_decides_the_split() -> None:
    source = Source("a", "a.mp4", "Ada", split="test")
    assert segments(source, "a", 10000, 25.0, "time") == [(0, 10000, "test")]


def test_scan_touches_nothing_that_stays(tmp_path: Path) -> None:
    raw, work = files(tmp_path / "raw", "a.mp4"), tmp_path / "work"
    scan(raw, work, Settings())
    before = {p: p.lstat().st_mtime_ns for p in work.rglob("*") if not p.is_dir()}
    scan(raw, work, Settings())
    assert {p: p.lstat().st_mtime_ns for p in work.rglob("*") if not p.is_dir()} == before
    files(raw, "b.mp4")
    scan(raw, work, Settings())
    assert "  b \\" in (work / "sources.mk").read_text()
    assert (work / "source/b").resolve() == (raw / "b.mp4").resolve()


def test_work_inside_the_sources_is_refused(tmp_path: Path) -> None:
    raw = files(tmp_path / "raw", "a.mp4")
    with pytest.raises(ValueError, match="inside the source folder"):
        scan(raw, raw / "work", Settings())


def test_settings_are_kept(tmp_path: Path) -> None:
    keep_settings(tmp_path, Settings())
    keep_settings(tmp_path, Settings())
    with pytest.raises(ValueError, match=r"preset=medium \(now fast\)"):
        keep_settings(tmp_path, Settings(preset="fast"))


def test_names_too_long_for_what_is_added_are_cut() -> None:
    longest = 255 - len(".mp4")
    names = [safe_name(Path("folder", "n" * longest + end)) for end in ("a.mp4", "b.mp4", ".mp4")]
    assert len(set(names)) == 3 and all(len(f"{Path(n).name}.json.part") < 255 for n in names)
    assert safe_name(Path("n" * 200 + ".mp4")) == "n" * 200


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"size": 100}, "multiple of 16"),
        ({"crop": "head"}, "auto, face, none"),
        ({"sound": "mp3"}, "flac, aac"),
        ({"fps": "-1"}, "0 to 300"),
        ({"encoder": "x265"}, "for h264, x264, openh264"),
        ({"before": "vp9:30"}, "allowed are x264, openh264, x265"),
        ({"before": "x264"}, "x264:36,x265:38"),
        ({"before": "x264:99"}, "x264:36,x265:38"),
    ],
)
def test_settings_that_are_refused(arguments: dict, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Settings(**arguments)


def test_step_runs_once_and_keeps_the_reason(tmp_path: Path) -> None:
    calls = []

    def bad() -> dict:
        calls.append(1)
        raise ClipError("too dark")

    for _ in range(2):
        assert step(tmp_path / "x.json", bad) == {"status": "failed", "reason": "too dark"}
    assert len(calls) == 1


def test_step_does_not_blame_the_clip_for_a_full_disk(tmp_path: Path) -> None:
    def full() -> dict:
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        step(tmp_path / "x.json", full)
    assert not (tmp_path / "x.json").exists()


def made(work: Path, name: str, frames: int = 1000) -> None:
    """Write the results of a finished clip, without its files."""
    audio = {"present": True, "delay_ms": None, "certainty": 0.0, "sure": False}
    clip = {"name": name, "frames": frames, "seconds": frames / 25, "width": 128, "height": 128}
    clip |= {"face": None, "mouth": [40, 70, 40, 30], "audio": {**audio, "shift_applied_ms": 0.0}}
    shots = [{"start": 0, "stop": frames, "dropped": ""}, {"start": 0, "stop": 9, "dropped": "no"}]
    result = {"status": "done", "fps": "25", "shots": shots, "clips": [clip]}
    write_result(work / "clips" / f"{name}.json", result)
    coded = {"name": name, "frames": frames, "bytes": 7, "psnr_y": 30.5}
    write_result(work / "coded/crf42" / f"{name}.json", {"status": "done", "clips": [coded]})
    write_result(work / "priors/crf42" / f"{name}.json", {"status": "done", "clips": [coded]})


def test_index(tmp_path: Path) -> None:
    raw, work = files(tmp_path / "raw", "id1/a.mp4", "id2/b.mp4", "id3/c.mp4"), tmp_path / "work"
    scan(raw, work, Settings())
    made(work, "id1/a")
    made(work, "id2/b")
    write_result(work / "clips/id3/c.json", {"status": "failed", "reason": "no face"})
    index = load_index(build_index(work))
    assert [c.name for c in index.clips] == ["id1/a", "id2/b"]
    clip: Clip = index.clips[0]
    assert clip.clean == work / "clips/id1/a.mkv"
    assert clip.priors == {42: work / "priors/crf42/id1/a.h5"}
    assert clip.coded[42].psnr_y == 30.5 and clip.seconds == 40 and clip.fps == 25
    assert index.settings["crfs"] == [42] and index.settings["split"] == "speaker"
    assert {(r["clip"], r["kind"]) for r in index.failed} == {
        ("id1/a", "dropped"),
        ("id2/b", "dropped"),
        ("id3/c", "failed"),
    }
    first = index.id
    assert load_index(build_index(work)).id == first


def test_splits_are_stable_when_clips_are_added(tmp_path: Path) -> None:
    raw, work = files(tmp_path / "raw", "a.mp4"), tmp_path / "work"
    scan(raw, work, Settings())
    made(work, "a", 5000)
    before = load_index(build_index(work))
    assert before.settings["split"] == "time" and before.clips[0].split == "mixed"
    files(raw, "b.mp4")
    scan(raw, work, Settings())
    made(work, "b", 5000)
    after = load_index(build_index(work))
    assert after.clips[0] == before.clips[0] and after.id != before.id


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"format": "davd-index", "version": 2}, "version 2; 'davd-index' version 1"),
        ({"clips": []}, "None version None"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, content: dict, said: str) -> None:
    (tmp_path / "index.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match=said):
        load_index(tmp_path)
