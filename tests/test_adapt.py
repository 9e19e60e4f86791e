"""Weights for one person: what is held out, what is trained, what is said and refused."""

import csv
import dataclasses
import math
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from davd.cli import adapt as command
from davd.data.index import load_index
from davd.data.sources import Source
from davd.data.synthetic import synthesise, write_video
from davd.restore.checkpoint import build_network, load_checkpoint, read_checkpoint, save_checkpoint
from davd.restore.config import load_config
from davd.restore.training import adapt as adapting
from davd.restore.training.adapt import (
    Adaptation,
    Adapted,
    adapt,
    held_out,
    prepare_person,
    run_config,
)

TINY = (
    "network.channels=16", "network.sound_channels=4", "network.front_blocks=0",
    "network.video_blocks=1", "network.blocks=1", "network.align=false", "network.priors=true",
    "data.crop=32", "data.frames=5", "train.optimizer=muon", "train.loss=log",
)  # fmt: skip


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("people") / "ada"
    folder.mkdir()
    for seed in range(4):
        head = synthesise(seed, 1.0, size=64, speaker=3, face="drawn", motion=0.0)
        write_video(folder / f"talk{seed}.mkv", head)
    return folder


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    config = load_config(None, list(TINY))
    weights = build_network(config.network).state_dict()
    return save_checkpoint(tmp_path_factory.mktemp("base"), "tiny", weights, config, step=0)


def sources(count: int, split: str = "") -> list[Source]:
    return [Source(f"clip{k}", f"clip{k}.mp4", "ada", split) for k in range(count)]


def test_one_clip_in_eight_is_held_out_for_each() -> None:
    for count, each in ((3, 1), (15, 1), (16, 2), (320, 40)):
        splits = list(held_out(sources(count)).values())
        assert splits.count("test") == splits.count("val") == each
        assert len(splits) == count
    assert held_out(sources(40)) == held_out(sources(40)[::-1])
    assert held_out(sources(2)) == {}  # to be divided by time
    assert set(held_out(sources(9, "train")).values()) == {"train"}  # as his table says


def test_a_person_is_learnt_and_measured(
    clips: Path, base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.set_num_threads(1)
    line = [str(clips), "-o", str(tmp_path / "ada.safetensors"), "--size", "64", "--crf", "45",
            "--checkpoint", str(base), "--minutes", "0.2", "-q"]  # fmt: skip
    assert command.main(line) == 0
    said = capsys.readouterr().out
    assert "1 clips that were not trained on" in said and "his voice against silence" in said
    assert load_checkpoint(tmp_path / "ada.safetensors").config.audio
    assert read_checkpoint(tmp_path / "ada.safetensors").step > 0
    index = load_index(tmp_path / "ada.work")
    assert {clip.speaker for clip in index.clips} == {"ada"}
    assert sorted(clip.split for clip in index.clips) == ["test", "train", "train", "val"]
    with (tmp_path / "ada.work" / "run" / "val.csv").open() as file:
        assert list(csv.DictReader(file))
    assert command.main(line) == 5  # it exists
    assert "-f replaces it" in capsys.readouterr().err


def test_weights_that_bring_nothing_are_not_written(
    clips: Path, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = "davd.restore.training.adapt"
    monkeypatch.setattr(f"{module}.prepare_person", lambda *_: None)
    monkeypatch.setattr(f"{module}.train", lambda *_, **__: base)
    monkeypatch.setattr(f"{module}.mixed", lambda wanted, path, stream: path)
    found = Adapted(1, {"base": (0.5, 0.5), "right": (0.5, 0.5)}, {"base": 0.0, "right": 0.0})
    monkeypatch.setattr(f"{module}.measure_person", lambda *_: found)
    wanted = Adaptation(clips, tmp_path / "his.safetensors", tmp_path / "work", base=str(base))
    with pytest.raises(ValueError, match="nothing is written"):
        adapt(wanted)
    assert not wanted.output.exists()


def test_too_few_clips_are_refused(clips: Path, tmp_path: Path) -> None:
    few = tmp_path / "few"
    few.mkdir()
    for name in ("talk0.mkv", "talk1.mkv"):
        (few / name).symlink_to(clips / name)
    wanted = Adaptation(few, tmp_path / "his.safetensors", tmp_path / "work", crf=(45,), size=64)
    with pytest.raises(ValueError, match="give three usable clips, or one of more than 30 s"):
        prepare_person(wanted)


def test_the_base_says_which_network(base: Path, tmp_path: Path) -> None:
    wanted = Adaptation(tmp_path, tmp_path / "o", tmp_path / "w", base=str(base), others=("x",))
    config = run_config(wanted)
    assert config.network == read_checkpoint(base).config.network
    assert config.data.index == (str(tmp_path / "w"), "x") and config.train.init == str(base)


def test_weights_that_do_not_hear_learn_to(tmp_path: Path) -> None:
    """Their network is kept as it is, and gets a sound branch."""
    config = load_config(None, [*TINY, "network.audio=false", "data.contrast=3", "data.light=9"])
    weights = build_network(config.network).state_dict()
    path = save_checkpoint(tmp_path, "deaf", weights, config, step=0)
    wanted = Adaptation(tmp_path, tmp_path / "o", tmp_path / "w", base=str(path))
    own = run_config(wanted)
    missing, unexpected = build_network(own.network).load_state_dict(weights, strict=False)
    assert {key.partition(".")[0] for key in missing} == {"sound", "join"} and not unexpected
    assert (own.data.contrast, own.data.light) == (0, 0)
    others = run_config(dataclasses.replace(wanted, others=("x",)))
    assert (others.data.contrast, others.data.light) == (3, 9)


@pytest.mark.parametrize("wanted_share", adapting.SHARES)
def test_what_validates_best_between_start_and_end_is_taken(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wanted_share: float
) -> None:
    wanted = Adaptation(tmp_path, tmp_path / "o", tmp_path / "w", base=str(base))
    config = run_config(wanted)
    start = load_checkpoint(base).state_dict()
    end = {name: value + 1 for name, value in start.items()}
    path = save_checkpoint(tmp_path, "adapted", end, config, step=7)
    monkeypatch.setattr(adapting, "open_segments", lambda *_, **__: [])

    def score(network: torch.nn.Module, *_: object, **__: object) -> list[SimpleNamespace]:
        share = float((network.state_dict()["tail.bias"] - start["tail.bias"]).mean())
        return [SimpleNamespace(gain=-abs(share - wanted_share))]

    monkeypatch.setattr(adapting, "quick_scores", score)
    found = adapting.mixed(wanted, path)
    assert (found == path) == (wanted_share == 1) and read_checkpoint(found).step == 7
    for name, value in load_checkpoint(found).state_dict().items():
        torch.testing.assert_close(value, start[name] + wanted_share)


def test_what_is_said() -> None:
    gain = {"base": (0.6, 0.1), "right": (1.2, 0.9), "silent": (1.0, 0.7), "exchanged": (0.9, 0.5)}
    mouth = {"base": 0.5, "right": 2.0, "silent": 1.5, "exchanged": math.nan}
    text = "\n".join(Adapted(4, gain, mouth).in_words())
    assert "+0.60 dB (+0.10)" in text and "+1.20 dB (+0.90)" in text
    assert "silence: +0.20 dB, mouth +0.50" in text and "another clip's sound: +0.30" in text


def test_many_held_out_clips_are_measured_in_part(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some of them, each at all rate factors; of few clips more frames."""

    def measured(count: int) -> tuple[list[tuple[int, int]], set[int]]:
        parts = [SimpleNamespace(clip=SimpleNamespace(name=str(k)), crf=crf)
                 for k in range(count) for crf in (42, 45)]  # fmt: skip
        seen = []
        limits = set()

        def measure(_: object, part: SimpleNamespace, *, amp: bool, limit: int) -> None:
            seen.append((int(part.clip.name), part.crf))
            limits.add(limit)

        monkeypatch.setattr(adapting, "open_segments", lambda *_, **__: parts)
        monkeypatch.setattr(adapting, "measure_clip", measure)
        wanted = Adaptation(Path("his"), Path("his.safetensors"), Path("work"))
        adapting._measured(wanted, build_network(load_config(None, list(TINY)).network), "right")
        return seen, limits

    assert measured(2) == ([(0, 42), (0, 45), (1, 42), (1, 45)], {adapting.FRAMES})
    seen, limits = measured(40)
    assert limits == {adapting.LEAST} and len(seen) == adapting.ALL_FRAMES // adapting.LEAST
    assert {crf for name, crf in seen if name == 0} == {42, 45} and (38, 42) in seen
