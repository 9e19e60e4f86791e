"""Training samples: the right cut of the right frames, the same every time."""

import json
import multiprocessing
import pickle
from collections.abc import Callable
from pathlib import Path
from statistics import fmean

import numpy as np
import pytest
import torch
from clips import encode
from davd.bitstream import extract
from davd.bitstream.priors.reader import PriorsFile
from davd.data.augment import Augment, contrasted, lit, mirrored
from davd.data.clean import CleanVideo
from davd.data.dataset import PriorsDataset, _exchange_sound, open_segments, open_videos
from davd.data.hearing import Track
from davd.data.reader import ClipReader
from davd.data.sample import Planes, Sample, collate
from tinywork import make_work
from torch.utils.data import DataLoader


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_work(tmp_path_factory.mktemp("work"), crfs=(38, 42))


@pytest.fixture(autouse=True)
def plain_features(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("davd.data.reader.features", listen)


def listen(samples: np.ndarray, rate: int) -> np.ndarray:
    """Feature k says where it is: k everywhere, and the clip's loudness in the last column."""
    count = len(samples) * 100 // rate
    features = np.repeat(np.arange(count, dtype=np.float32)[:, None], 39, 1)
    features[:, -1] = np.abs(samples[:50].astype(np.float32)).sum()
    return features


def equal(a: Sample, b: Sample) -> bool:
    pairs: list[tuple[torch.Tensor, torch.Tensor]] = []
    a.apply(lambda t: pairs.append((t, t)) or t)  # type: ignore[func-returns-value]
    others: list[torch.Tensor] = []
    b.apply(lambda t: others.append(t) or t)  # type: ignore[func-returns-value]
    return len(pairs) == len(others) and all(
        torch.equal(x, y) for (x, _), y in zip(pairs, others, strict=True)
    )


@pytest.mark.parametrize("cached", [False, True])
def test_a_cut_is_what_the_files_hold(work: Path, tmp_path: Path, cached: bool) -> None:
    priors, clean = work / "priors/crf42/clip0.h5", work / "clips/clip0.mkv"
    reader = ClipReader(priors, clean, cache=tmp_path if cached else None)
    sample = reader.read(2, 5, (16, 0, 32, 16))
    with PriorsFile(priors) as file:
        assert np.array_equal(sample.decoded.y, file.read("decoded/y", [2, 3, 4])[:, 16:48, :16])
        assert sample.prediction is not None and sample.residual is not None
        whole = file.read("prediction/cr", [2, 3, 4])
        assert np.array_equal(sample.prediction.cr, whole[:, 8:24, :8])
        residual = file.read("residual/y", [2, 3, 4])[:, 16:48, :16]
        assert np.array_equal(sample.residual.y, residual.clip(-128, 127) if cached else residual)
        assert np.array_equal(sample.tu, file.read("tu/y", [2, 3, 4])[:, 4:12, :4])
        assert np.array_equal(sample.mb_type, file.read("mb/type", [2, 3, 4])[:, 1:3, :1])
    assert sample.clean is not None
    assert np.array_equal(sample.clean.y, CleanVideo(clean).read(2, 5)[0][:, 16:48, :16])
    assert sample.level is None and sample.sound is None


def test_cache_is_used_again_and_made_anew_for_new_priors(work: Path, tmp_path: Path) -> None:
    priors = tmp_path / "crf42" / "a.h5"
    priors.parent.mkdir()
    priors.write_bytes((work / "priors/crf42/clip0.h5").read_bytes())
    first = ClipReader(priors, cache=tmp_path / "cache").read(0, 1)
    made = list((tmp_path / "cache").iterdir())
    assert len(made) == 1
    stamp = made[0].stat().st_mtime_ns
    ClipReader(priors, cache=tmp_path / "cache")
    assert made[0].stat().st_mtime_ns == stamp
    priors.write_bytes((work / "priors/crf42/clip1.h5").read_bytes())
    later = made[0].stat().st_mtime + 5
    import os

    os.utime(priors, (later, later))
    second = ClipReader(priors, cache=tmp_path / "cache").read(0, 1)
    assert not torch.equal(first.decoded.y, second.decoded.y)


def test_rate_factors_of_a_clip_in_a_folder_do_not_share_a_cache(
    work: Path, tmp_path: Path
) -> None:
    for crf, other in (("crf42", "clip0"), ("crf45", "clip1")):
        path = tmp_path / "priors" / crf / "ada" / "talk.h5"
        path.parent.mkdir(parents=True)
        path.write_bytes((work / f"priors/crf42/{other}.h5").read_bytes())
    first, second = (
        ClipReader(tmp_path / "priors" / crf / "ada/talk.h5", cache=tmp_path / "cache").read(0, 1)
        for crf in ("crf42", "crf45")
    )
    assert not torch.equal(first.decoded.y, second.decoded.y)


def test_frames_beyond_the_ends_repeat_the_last_one(work: Path) -> None:
    reader = ClipReader(work / "priors/crf42/clip0.h5")
    sample = reader.read(-2, len(reader) + 2)
    assert sample.frames == len(reader) + 4
    assert torch.equal(sample.decoded.y[0], sample.decoded.y[2])
    assert torch.equal(sample.decoded.y[-1], sample.decoded.y[-3])
    assert not torch.equal(sample.decoded.y[2], sample.decoded.y[3])


def test_levels_bring_all_that_projection_needs(work: Path) -> None:
    sample = ClipReader(work / "priors/crf42/clip0.h5", level=True).read(0, 2)
    assert sample.level is not None and sample.scaling4x4 is not None
    assert sample.scaling4x4.shape == (2, 6, 16) and sample.scaling8x8 is not None
    assert None not in (sample.qp_cb, sample.qp_cr, sample.cbp, sample.field)


def test_sound_is_aligned_by_time(work: Path) -> None:
    reader = ClipReader(work / "priors/crf42/clip0.h5", listen=True)
    sample = reader.read(3, 5)  # 0.12 s and 0.16 s: features 12 and 16
    assert sample.sound is not None and sample.sound.shape == (2, 21, 39)
    assert sample.sound[0, :, 0].tolist() == [float(max(k, 0)) for k in range(2, 23)]
    late = ClipReader(work / "priors/crf42/clip0.h5", listen=True, delay=0.04).read(3, 4)
    assert late.sound is not None and late.sound[0, 10, 0] == 16


def test_track_repeats_its_ends() -> None:
    track = Track(np.arange(5, dtype=np.float32)[:, None], start=1.0)
    assert track.around(0.0)[:, 0].tolist() == [0.0] * 21
    assert track.around(1.02)[8:13, 0].tolist() == [0.0, 1.0, 2.0, 3.0, 4.0]
    assert track.around(9.0)[:, 0].tolist() == [4.0] * 21


def test_kinds_of_sound(work: Path) -> None:
    def heard(sound: str) -> list[torch.Tensor | None]:
        parts = open_segments(work, "train", crf=(42,), listen=True, sound=sound)
        return [part.reader.read(4, 5).sound for part in parts]

    right, exchanged, shifted = heard("right"), heard("exchanged"), heard("shifted")
    assert heard("silent") == [None, None]
    assert right[0] is not None and exchanged[0] is not None and exchanged[1] is not None
    assert right[1] is not None and shifted[0] is not None
    assert right[0][0, 10, 0] == 20  # frame 4 at 0.16 s, and sound that is 40 ms late
    assert torch.equal(exchanged[0][..., -1], right[1][..., -1])
    assert torch.equal(exchanged[1][..., -1], right[0][..., -1])
    assert shifted[0][0, 10, 0] > right[0][0, 10, 0]


def test_where_one_speaks_sounds_are_exchanged_between_clips(work: Path) -> None:
    right = open_segments(work, "train", crf=(38, 42), listen=True)
    for part in right:
        object.__setattr__(part.clip, "speaker", "one")
    tracks = {part.clip.name: part.reader.track for part in right}
    _exchange_sound(right)
    for part in right:
        other = next(name for name in tracks if name != part.clip.name)
        assert part.reader.track is not None and tracks[other] is not None
        assert np.array_equal(part.reader.track.features, tracks[other].features)


def test_what_is_named_twice_is_opened_once(work: Path) -> None:
    once = open_segments(work, "train", crf=(38, 42))
    twice = open_segments([work, work], "train", crf=(38, 42, 42))
    names = [(part.clip.name, part.crf) for part in twice]
    assert names.count((once[0].clip.name, 42)) == 4 and len(twice) == 3 * len(once)
    assert len({id(part.reader) for part in twice}) == len({id(part.reader) for part in once})


def test_boxes_move_with_the_cut_and_the_mirror(work: Path) -> None:
    part = open_segments(work, "train", crf=(42,))[0]
    sample = part.reader.read(0, 1, (16, 16, 32, 32))
    assert sample.face is not None and sample.face.tolist() == [-8, -8, 32, 32]
    flipped = mirrored(sample)
    assert flipped.face is not None and flipped.face.tolist() == [8, -8, 32, 32]
    assert torch.equal(flipped.decoded.y, sample.decoded.y.flip(-1))
    assert equal(mirrored(flipped), sample)


def test_another_contrast_is_another_qp(work: Path) -> None:
    part = open_segments(work, "train", crf=(42,))[0]
    sample = part.reader.read(0, 2)
    half = contrasted(sample, -6)
    assert sample.qp_y is not None and half.qp_y is not None and sample.clean is not None
    assert torch.equal(half.qp_y, sample.qp_y - 6)
    assert half.clean is not None and half.decoded.y.dtype == torch.uint8
    assert equal(Augment(mirror=False)(sample, np.random.default_rng(0)), sample)
    for plane, before in ((half.clean.y, sample.clean.y), (half.decoded.cb, sample.decoded.cb)):
        assert (plane.float() - 128 - (before.float() - 128) / 2).abs().max() <= 0.5
    assert contrasted(sample, 0) is sample
    bright = contrasted(sample, 12).decoded.y
    assert bright.max() == 255 or int(sample.decoded.y.max()) < 160


def test_another_light_moves_every_picture_alike(work: Path) -> None:
    part = open_segments(work, "train", crf=(42,))[0]
    sample = part.reader.read(0, 2)
    bright = lit(sample, [9, -4, 3])
    assert sample.clean is not None and sample.prediction is not None
    assert bright.clean is not None and bright.prediction is not None
    for after, before in (
        (bright.decoded, sample.decoded),
        (bright.clean, sample.clean),
        (bright.prediction, sample.prediction),
    ):
        for plane, was, step in zip(after, before, (9, -4, 3), strict=True):
            assert plane.dtype == torch.uint8
            assert torch.equal(plane.int(), (was.int() + step).clamp(0, 255))
    assert bright.residual is sample.residual and bright.qp_y is sample.qp_y
    assert lit(sample, [255, 0, 0]).decoded.y.min() == 255
    drawn = [Augment(mirror=False, light=9)(sample, np.random.default_rng(k)) for k in range(40)]
    moved = {int(each.decoded.cb.int().sub(sample.decoded.cb.int()).max()) for each in drawn}
    assert min(moved) >= -4 and max(moved) <= 4 and len(moved) > 5


def test_a_share_of_the_samples_loses_its_sound(work: Path) -> None:
    part = open_segments(work, "train", crf=(42,), listen=True)[0]
    sample = part.reader.read(0, 2)
    assert sample.sound is not None
    drawn = [Augment(mirror=False, mute=0.3)(sample, np.random.default_rng(k)) for k in range(200)]
    muted = [each for each in drawn if each.sound is None]
    assert 40 < len(muted) < 80
    assert all(each.decoded is sample.decoded for each in muted)
    assert all(each.sound is sample.sound for each in drawn if each.sound is not None)


def test_a_share_of_the_samples_loses_its_priors(work: Path) -> None:
    """And is told a QP about right; they still go into one batch with the others."""
    part = open_segments(work, "train", crf=(42,))[0]
    sample = part.reader.read(0, 2)
    assert sample.residual is not None and sample.qp_y is not None and sample.flow is None
    augment = Augment(mirror=False, blind=0.3)
    drawn = [augment(sample, np.random.default_rng(k)) for k in range(200)]
    blind = [each for each in drawn if each.residual is not sample.residual]
    assert 40 < len(blind) < 80
    guesses = {int(each.qp_y.max()) for each in blind if each.qp_y is not None}
    mean = float(sample.qp_y.float().mean())
    assert len(guesses) > 8 and abs(fmean(guesses) - mean) < 5
    assert all(each.residual is not None and not each.residual.y.any() for each in blind)
    whole = collate(drawn)
    assert whole.qp_y is not None and len(whole.qp_y) == 200 and whole.flow is None


@pytest.mark.parametrize(
    "change",
    [mirrored, lambda sample: contrasted(sample, 1), lambda sample: lit(sample, [1, 0, 0])],
)
def test_samples_with_levels_are_not_changed(
    work: Path, change: Callable[[Sample], Sample]
) -> None:
    sample = ClipReader(work / "priors/crf42/clip0.h5", level=True).read(0, 1)
    with pytest.raises(ValueError, match="levels"):
        change(sample)


def dataset(work: Path, **changes: object) -> PriorsDataset:
    parts = open_segments(work, "train", crf=(38, 42), listen=True)
    settings: dict[str, object] = {"length": 24, "crop": 32, "frames": 5, "seed": 3}
    return PriorsDataset(parts, **(settings | changes))  # type: ignore[arg-type]


def test_items_depend_on_seed_and_number_alone(work: Path) -> None:
    first, second, other = dataset(work), dataset(work), dataset(work, seed=4)
    assert all(equal(first[k], second[k]) for k in (5, 0, 23))
    assert not all(equal(first[k], other[k]) for k in range(6))
    names = {(first[k].name, int(first[k].qp_y[0, 0, 0])) for k in range(24)}  # type: ignore[index]
    assert len(names) == 4  # two clips, two CRFs


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_workers_give_the_same_samples(work: Path, method: str) -> None:
    items = dataset(work, length=8)
    loader = DataLoader(
        items, batch_size=2, num_workers=2, collate_fn=collate,
        multiprocessing_context=multiprocessing.get_context(method),
    )  # fmt: skip
    for number, batch in enumerate(loader):
        alone = collate([items[2 * number], items[2 * number + 1]])
        assert equal(batch, alone)


def test_a_dataset_can_be_pickled_after_use(work: Path) -> None:
    items = dataset(work)
    before = items[1]
    assert equal(pickle.loads(pickle.dumps(items))[1], before)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"crop": 24}, "multiple of 16"),
        ({"crop": 64}, "a crop of 64"),
        ({"frames": 10}, "no segment has 10"),
    ],
)
def test_wrong_arguments_are_refused(work: Path, changes: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        dataset(work, **changes)


def test_crops_of_interlaced_video_do_not_part_its_pairs(
    work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ClipReader, "grid", (32, 16))
    boxes = []
    read = ClipReader.read

    def noted(self: ClipReader, *arguments: object) -> Sample:
        boxes.append(arguments[2])
        return read(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(ClipReader, "read", noted)
    samples = dataset(work, crop=32, length=24)
    for k in range(24):
        samples[k]
    assert {top for top, *_ in boxes} <= {0, 32} and len({left for _, left, *_ in boxes}) > 1
    with pytest.raises(ValueError, match="expected a multiple of 32"):
        dataset(work, crop=48)


def test_a_split_or_crf_that_is_not_there(work: Path) -> None:
    with pytest.raises(ValueError, match="at CRF 23"):
        open_segments(work, "train", crf=(23,))
    with pytest.raises(ValueError, match="splits there: test, train, val"):
        open_segments(work, "nothing", crf=(42,))


def test_a_damaged_file_is_named(work: Path, tmp_path: Path) -> None:
    path = tmp_path / "priors" / "crf42"
    path.mkdir(parents=True)
    broken = path / "clip0.h5"
    data = bytearray((work / "priors/crf42/clip0.h5").read_bytes())
    broken.write_bytes(data)
    parts = open_segments(work, "train", crf=(42,))[:1]
    reader = ClipReader(broken, work / "clips/clip0.mkv", name="clip0")
    with PriorsFile(broken) as file:
        chunk = file._file()["decoded/y"].id.get_chunk_info(0)
    data[chunk.byte_offset : chunk.byte_offset + chunk.size] = b"\xff" * chunk.size
    broken.write_bytes(data)
    import dataclasses

    items = PriorsDataset(
        [dataclasses.replace(parts[0], reader=reader)], length=4, crop=48, frames=9
    )
    with pytest.raises(RuntimeError, match="clip0 at CRF 42, frame 0"):
        items[0]


def test_videos_alone_are_samples_without_clean_ones(tmp_path: Path) -> None:
    paths = [encode(tmp_path / f"{k}.mp4", frames=7, size=(64, 48)) for k in range(2)]
    stretches = open_videos(map(str, paths), listen=True)
    assert [(s.start, s.stop) for s in stretches] == [(0, 7), (0, 7)]
    items = PriorsDataset(stretches, length=6, crop=32, frames=3)
    assert {items[k].name for k in range(6)} == {"0", "1"}
    for k, batch in enumerate(DataLoader(items, batch_size=2)):
        assert batch.clean is None and batch.sound is not None
        for place in (0, 1):
            assert torch.equal(batch.decoded.y[place], items[2 * k + place].decoded.y)
    with pytest.raises(FileNotFoundError):
        open_videos([tmp_path / "none.mp4"])


def test_collate_keeps_what_is_there() -> None:
    planes = Planes(*(torch.zeros(2, 16 // s, 16 // s) for s in (1, 2, 2)))
    batch = collate([Sample(decoded=planes, name="a"), Sample(decoded=planes, name="b")])
    assert batch.decoded.y.shape == (2, 2, 16, 16) and batch.name == ("a", "b")
    assert batch.clean is None and batch.frames == 2
    assert batch.cut(0, 1).decoded.cb.shape == (2, 1, 8, 8)


def test_collate_gives_silence_and_the_whole_picture_where_there_is_neither() -> None:
    def sample(**more: torch.Tensor) -> Sample:
        planes = Planes(*(torch.zeros(2, s, s, dtype=torch.uint8) for s in (16, 8, 8)))
        return Sample(decoded=planes, **more)

    face = torch.tensor([2, 3, 4, 5], dtype=torch.int32)
    batch = collate([sample(), sample(sound=torch.ones(2, 21, 39), face=face)])
    assert batch.sound is not None and batch.face is not None
    assert batch.sound[0].abs().sum() == 0 and batch.sound[1].min() == 1
    assert batch.face.tolist() == [[0, 0, 16, 16], [2, 3, 4, 5]]
    assert collate([sample(), sample()]).sound is None
    batch = collate([sample(), sample(field=torch.ones(2, 1, 1, dtype=torch.uint8))])
    assert batch.field is not None and batch.field.flatten().tolist() == [0, 0, 1, 1]


@pytest.fixture(scope="module")
def coded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The same clips with priors files, and with nothing but the coded clips."""
    with_files = make_work(tmp_path_factory.mktemp("files"), frames=12)
    without = make_work(tmp_path_factory.mktemp("coded"), frames=12)
    index = json.loads((with_files / "index.json").read_text())
    for clip in index["clips"]:
        video = without / "coded" / "crf42" / f"{clip['name']}.mp4"
        video.parent.mkdir(parents=True, exist_ok=True)
        encode(video, frames=12, size=(48, 48), options={"g": "5"})
        extract(video, with_files / clip["priors"]["42"], motion=True, overwrite=True)
        clip["priors"]["42"] = f"coded/crf42/{video.name}"
    (without / "index.json").write_text(json.dumps(index))
    return with_files, without


@pytest.mark.parametrize("level", [False, True])
def test_coded_clips_give_the_same_samples(coded: tuple[Path, Path], level: bool) -> None:
    ours, theirs = (
        PriorsDataset(
            open_segments(work, "train", crf=[42], level=level, listen=True, motion=True),
            length=12, crop=32, frames=5, seed=2,
        )
        for work in reversed(coded)
    )  # fmt: skip
    assert all(equal(ours[k], theirs[k]) for k in range(12))
    loader = DataLoader(ours, num_workers=2, collate_fn=collate)
    assert all(equal(batch, collate([theirs[k]])) for k, batch in enumerate(loader))
