"""Weights for one person, from clean clips of him: encode, train on from shipped weights, measure.

    FOLDER/*.mp4 -> WORK (crops, encodes, priors; most clips to train on, some to validate and test)
        -> train() from the base's weights, with a sound branch -> the best by validation
        -> of mixtures of what it began from and what it came to, again the best by validation
        -> held-out clips: base, adapted, and adapted with no sound and with that of another clip

This is the paper's first case, a known speaker. Clips of several days and places make it general:
weights that know one room by heart fail in the next.
"""

import dataclasses
import hashlib
import math
import os
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TextIO

import torch

from ...data.dataset import Segment, open_segments
from ...data.index import build_index, load_index
from ...data.prepare import prepare_clip
from ...data.sources import Source, find_sources, scan
from ...data.work import Settings
from ..checkpoint import (
    build_network,
    find_checkpoint,
    load_checkpoint,
    read_checkpoint,
    save_checkpoint,
)
from ..config import Config
from ..measuring.evaluate import measure_clip, quick_scores
from ..measuring.tables import Row
from ..networks.restorer import Restorer, fast_bf16
from .train import begin_from, train

HELD_OUT = 8  # of so many clips one is for validation and one for testing, at least one each
FRAMES = 25  # of each held-out clip that are measured, at most
ALL_FRAMES = 200  # of all of them together; of each at least LEAST
LEAST = 5
ALONE = 30.0  # seconds of a clip from which on it can be divided by time
SHARES = (1.0, 0.7, 0.5, 0.3, 0.15)  # of the way from the base to what was trained
SOUNDS = ("right", "silent", "exchanged")
SOUND_CHANNELS = 32  # of a sound branch that the base has not


@dataclasses.dataclass(frozen=True)
class Adaptation:
    """What is asked for.

    Attributes:
        folder: Clean clips of one person.
        output: Where the weights go.
        work: Where clips, encodes and the run are made; kept, so that it can go on.
        base: Checkpoint to begin from, by name or path.
        crf: Rate factors to repair.
        size: Side of the face crops, samples.
        minutes: Of training.
        others: Work folders of other people to train on as well, against forgetting.
        overwrite: Replace an existing output.
    """

    folder: Path
    output: Path
    work: Path
    base: str = "coarse"
    crf: tuple[int, ...] = (42, 45)
    size: int = 128
    minutes: float = 20.0
    others: tuple[str, ...] = ()
    overwrite: bool = False


@dataclasses.dataclass(frozen=True)
class Adapted:
    """What came of it: gains in luma PSNR over decoded on held-out clips, decibels.

    Attributes:
        clips: How many clips were held out for this, a clip at two rate factors counting twice.
        gain: By name (`base`, and the adapted weights hearing each of `SOUNDS`): mean and least.
        mouth: Likewise the mean at the mouth; NaN where no clip shows one.
    """

    clips: int
    gain: dict[str, tuple[float, float]]
    mouth: dict[str, float]

    def in_words(self) -> list[str]:
        """For people, a line each."""
        own, base = self.gain["right"], self.gain["base"]
        lines = [
            f"{self.clips} clips that were not trained on, gain in PSNR Y (least clip):",
            f"  weights begun from  {base[0]:+.2f} dB ({base[1]:+.2f})",
            f"  adapted             {own[0]:+.2f} dB ({own[1]:+.2f})",
        ]
        if "silent" in self.gain:
            for name, text in (("silent", "silence"), ("exchanged", "another clip's sound")):
                whole = own[0] - self.gain[name][0]
                mouth = self.mouth["right"] - self.mouth[name]
                lines.append(f"  his voice against {text}: {whole:+.2f} dB, mouth {mouth:+.2f}")
        return lines


def adapt(wanted: Adaptation, stream: TextIO | None = None) -> Adapted:
    """Do all of it.

    Args:
        wanted: What is asked for.
        stream: Where progress lines go.

    Returns:
        What was gained; the weights are then written.

    Raises:
        ValueError: Clips too few or too short, or weights that are no better on held-out clips
            than those that they began from: nothing is written then.
        FileExistsError: The output exists.
    """
    if wanted.output.exists() and not wanted.overwrite:
        raise FileExistsError(f"{wanted.output} exists; -f replaces it")
    find_checkpoint(wanted.base)
    prepare_person(wanted, stream)
    best = mixed(wanted, train(run_config(wanted), stream=stream), stream)
    found = measure_person(wanted, best)
    if found.gain["right"][0] <= found.gain["base"][0]:
        raise ValueError(
            f"{wanted.folder}: on held-out clips the adapted weights gain "
            f"{found.gain['right'][0]:+.2f} dB, those begun from {found.gain['base'][0]:+.2f}: "
            "nothing is written; more clips, other places, or --minutes may help"
        )
    shutil.copyfile(best, wanted.output)
    return found


def prepare_person(wanted: Adaptation, stream: TextIO | None = None) -> None:
    """Crops, encodes and priors of all clips, some of them held out.

    Raises:
        ValueError: Clips too few or too short.
    """
    settings = Settings(size=wanted.size)
    splits = held_out(find_sources(wanted.folder))
    sources = scan(wanted.folder, wanted.work, settings, speaker=wanted.folder.name, splits=splits)
    folder = wanted.folder.resolve()

    def make(source: Source) -> str:
        done = prepare_clip(
            folder / source.path, wanted.work.resolve(), source.name, wanted.crf, settings
        )
        reasons = [result["reason"] for result in done.values() if result["status"] != "done"]
        return f"{source.path}: {reasons[0]}" if reasons else ""

    with ThreadPoolExecutor(os.cpu_count()) as pool:  # ffmpeg's processes do the work
        for number, fault in enumerate(pool.map(make, sources), 1):
            if stream is not None:
                said = f", left out {fault}" if fault else ""
                print(f"prepared {number} of {len(sources)}{said}", file=stream, flush=True)
    clips = load_index(build_index(wanted.work)).clips
    there = {split for clip in clips for _, _, split in clip.segments}
    if missing := {"train", "val", "test"} - there:
        raise ValueError(
            f"{wanted.folder}: no clip to {'/'.join(sorted(missing))} with: give three usable "
            f"clips, or one of more than {ALONE:.0f} s"
        )


def held_out(sources: Sequence[Source]) -> dict[str, str]:
    """The split of each clip by its name; empty where a clip is to be divided by time.

    Splits that a table in the folder gives are kept. Else one clip in eight, at least one, is for
    testing, and as many for validation; which ones depends on their names alone.
    """
    if any(source.split for source in sources):
        return {source.name: source.split or "train" for source in sources}
    if len(sources) < 3:
        return {}
    order = sorted(sources, key=lambda source: hashlib.sha256(source.name.encode()).digest())
    each = max(len(order) // HELD_OUT, 1)
    names = ["test"] * each + ["val"] * each + ["train"] * (len(order) - 2 * each)
    return {source.name: split for source, split in zip(order, names, strict=True)}


def run_config(wanted: Adaptation) -> Config:
    """The base's network, trained on.

    One that does not hear is given a sound branch, which begins by adding next to nothing: for many
    people together the sound brings nothing, for one it does. What makes one person look like many
    (other contrasts and brightness) is left out, unless there are others to train on.
    """
    base = read_checkpoint(find_checkpoint(wanted.base)).config
    network = base.network
    if not network.audio:
        network = dataclasses.replace(network, audio=True, sound_channels=SOUND_CHANNELS)
    data = dataclasses.replace(
        base.data,
        index=(str(wanted.work), *wanted.others),
        crf=wanted.crf,
        crop=min(base.data.crop, 64),
        speakers=(),
        mute=min(base.data.mute, 0.1),
        cache=True,
    )
    if not wanted.others:
        data = dataclasses.replace(data, contrast=0, light=0)
    settings = dataclasses.replace(
        base.train,
        out=str(wanted.work / "run"),
        init=str(find_checkpoint(wanted.base)),
        variant="adapted",
        minutes=wanted.minutes,
        steps=1_000_000,
        lr=1.5e-3,
        schedule="cosine",
        warmup=30,
        batch=12,
        teacher="",
        ema=0.99,
        validate=200,
        validate_frames=2,
        save=100,
    )
    return dataclasses.replace(base, network=network, data=data, train=settings)


def mixed(wanted: Adaptation, path: Path, stream: TextIO | None = None) -> Path:
    """The weights between those of the start and those trained that validate best.

    Where validation clips are like those trained on, that is what was trained; in other rooms it
    is something between, which knows his face and has not unlearnt the rest.

    Returns:
        `path`, or a checkpoint beside it.

    Source:
        Wortsman et al., Robust fine-tuning of zero-shot models, CVPR 2022: weights averaged.
    """
    trained, info = load_checkpoint(path), read_checkpoint(path)
    torch.manual_seed(info.config.train.seed)  # a fresh branch as the run began with
    start = build_network(info.config.network)
    begin_from(start, info.config.train.init)
    first = start.state_dict()
    last = {name: value.clone() for name, value in trained.state_dict().items()}
    parts = _segments(wanted, "val", trained)
    best, weights, chosen = -math.inf, last, 1.0
    for share in SHARES:
        between = {name: torch.lerp(first[name], last[name], share) for name in last}
        trained.load_state_dict(between)
        scores = quick_scores(trained, parts, frames=LEAST, amp=fast_bf16("cpu"))
        gain = sum(score.gain for score in scores) / len(scores)
        if stream is not None:
            print(f"{share:.0%} of what was learnt: {gain:+.3f} dB", file=stream, flush=True)
        if gain <= best:
            break  # less of it only falls further
        best, weights, chosen = gain, between, share
    if chosen == 1:
        return path
    folder = path.parent / "mixed"
    folder.mkdir(exist_ok=True)
    figures = info.figures | {"validation_gain_y_db": best, "share_of_what_was_learnt": chosen}
    return save_checkpoint(folder, info.variant, weights, info.config, step=info.step,
                           data=info.data, figures=figures)  # fmt: skip


def measure_person(wanted: Adaptation, path: Path) -> Adapted:
    """Base and adapted weights on the clips held out."""
    networks = {"base": load_checkpoint(find_checkpoint(wanted.base)), "own": load_checkpoint(path)}
    rows = {}
    for name, network, sound in (
        ("base", networks["base"], "right"),
        *((sound, networks["own"], sound) for sound in SOUNDS),
    ):
        if sound == "right" or network.config.audio:
            rows[name] = _measured(wanted, network, sound)
    first = next(iter(rows.values()))
    return Adapted(
        len(first.clips),
        {name: _over_all(row, "psnr_y") for name, row in rows.items()},
        {name: _over_all(row, "psnr_mouth")[0] for name, row in rows.items()},
    )


def _segments(
    wanted: Adaptation, split: str, network: Restorer, sound: str = "right"
) -> list[Segment]:
    """What of a split a network reads."""
    return open_segments(
        wanted.work, split, crf=wanted.crf, sound=sound, listen=network.config.audio,
        motion=network.config.motion,
    )  # fmt: skip


def _measured(wanted: Adaptation, network: Restorer, sound: str) -> Row:
    segments = _segments(wanted, "test", network, sound)
    amp = fast_bf16("cpu")
    names = list(dict.fromkeys(s.clip.name for s in segments))  # each at all rate factors
    kept = set(names[:: math.ceil(len(segments) * LEAST / ALL_FRAMES)])
    some = [s for s in segments if s.clip.name in kept]
    limit = min(FRAMES, ALL_FRAMES // len(some))
    return Row("", sound, [measure_clip(network, s, amp=amp, limit=limit) for s in some])


def _over_all(row: Row, measure: str) -> tuple[float, float]:
    """Mean and least gain over the clips, all rate factors together; NaN where none has it."""
    gains = [
        clip.mean(measure, "restored") - clip.mean(measure, "decoded")
        for clip in row.clips
        if clip.restored.get(measure)
    ]
    return (sum(gains) / len(gains), min(gains)) if gains else (float("nan"), float("nan"))
