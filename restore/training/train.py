"""The training loop: one for every network.

    sample k = f(seed, k) -> network -> loss on planes -> Adam -> average of the weights
        -> every N steps: PSNR over decoded on clips that are not trained on

A run lives in one folder: `config.json`, `train.csv`, `val.csv`, `last.safetensors` (to resume
from) and the best checkpoint so far under its own name. Started again with the same
configuration, a run goes on where it stopped, and ends with the weights that an uninterrupted one
would have: the sample numbered k is the same whoever draws it, and nothing else is random.

Under `torchrun` every process trains on its share of each batch; the first one writes.
"""

import csv
import dataclasses
import hashlib
import json
import math
import os
import time
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path
from typing import TextIO

import torch
from torch import nn
from torch.utils.data import DataLoader

from ...data.augment import Augment
from ...data.dataset import PriorsDataset, Segment, open_segments
from ...data.sample import Planes, Sample, collate
from ..checkpoint import build_network, load_checkpoint, save_checkpoint
from ..config import Config, NetworkConfig, config_to_dict
from ..measuring.evaluate import ClipScore, quick_scores
from ..networks.align import DeformAlign
from ..networks.picture import normal
from ..networks.restorer import Restorer, fast_bf16
from .loss import learning_rate, plane_loss
from .narrow import narrowed
from .optimizer import Optimizer
from .state import Average, Progress, load_state, save_state


def train(config: Config, *, stream: TextIO | None = None) -> Path:
    """Train a network from fresh weights, or from where its run stopped.

    Args:
        config: The resolved configuration.
        stream: Where progress lines go; None for silence.

    Returns:
        The best checkpoint, by mean gain over the validation clips.

    Raises:
        ValueError: Data or configuration that cannot be trained with.
        RuntimeError: A file could not be read, a loader process died or took too long, or the
            loss is not finite.
    """
    group = _Processes()
    try:
        return _Run(config, group, stream).go()
    finally:
        group.close()


class _Processes:
    """This process's place among those that torchrun started; one alone without it."""

    def __init__(self) -> None:
        self.rank = int(os.environ.get("RANK", 0))
        self.world = int(os.environ.get("WORLD_SIZE", 1))
        cuda = torch.cuda.is_available()
        self.device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0))) if cuda else (
            torch.device("cpu")
        )  # fmt: skip
        if self.world > 1:
            torch.distributed.init_process_group("nccl" if cuda else "gloo")

    def wrap(self, network: nn.Module) -> nn.Module:
        """The network, its gradients averaged over processes."""
        if self.world == 1:
            return network
        devices = [self.device.index] if self.device.type == "cuda" else None
        return nn.parallel.DistributedDataParallel(network, device_ids=devices)

    def agreed(self, value: float) -> float:
        """A number of the first process, for all: clocks differ, and ranks must not."""
        if self.world == 1:
            return value
        shared = torch.tensor([value], dtype=torch.float64, device=self.device)
        torch.distributed.broadcast(shared, 0)
        return float(shared)

    def close(self) -> None:
        if self.world > 1 and torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()


def begin_from(network: Restorer, name: str) -> int:
    """Take those weights of a checkpoint that fit, residual blocks narrowed; returns how many."""
    there, here = load_checkpoint(name).state_dict(), network.state_dict()
    narrowed(there, here)
    fit = {k: v for k, v in there.items() if k in here and here[k].shape == v.shape}
    network.load_state_dict(fit, strict=False)
    return len(fit)


class _Run:
    """One training run."""

    def __init__(self, config: Config, group: _Processes, stream: TextIO | None) -> None:
        settings = config.train
        self.config, self.group, self.stream = config, group, stream
        if settings.batch % group.world:
            raise ValueError(f"train.batch = {settings.batch} over {group.world} processes")
        if settings.threads:
            torch.set_num_threads(settings.threads)
        torch.manual_seed(settings.seed)
        self.folder = Path(settings.out)
        self.network = build_network(config.network)
        if settings.init:
            count = begin_from(self.network, settings.init)
            self._say(f"{count} of {len(self.network.state_dict())} weights from {settings.init}")
        self.network.to(group.device)
        self.teacher: Restorer | None = None
        if settings.teacher:
            self.teacher = load_checkpoint(settings.teacher, device=group.device)
            if self.teacher.radius > config.network.radius:
                raise ValueError(f"{settings.teacher} sees {self.teacher.radius} frames a side")
        self.optimizer = Optimizer(self.network, settings)
        self.average = Average(self.network, settings.ema)
        self.progress = Progress()
        self.errors = [0.0, 0.0]
        self.best: Path | None = None
        self.amp = settings.amp and fast_bf16(group.device)
        if (last := self.folder / "last.safetensors").exists():
            self.progress = load_state(last, self.network, self.optimizer, self.average, config)
            self.best = next(iter(sorted(self.folder.glob("davd-*.safetensors"))), None)
        self.train_parts = self._open("train")
        self.val_parts = self._open("val") if group.rank == 0 else []

    def go(self) -> Path:
        """Train to the end."""
        settings, progress = self.config.train, self.progress
        self._begin_log()
        wrapped = self.group.wrap(self.network).train()
        first, before, since, seen = progress.step, progress.seconds, time.monotonic(), 0
        for sample in self._batches():
            share = self.group.agreed(self._share())
            if share >= 1:
                break
            rate = learning_rate(settings, progress.step, share)
            loss, norm = self._step(wrapped, sample, rate)
            progress.step += 1
            seen += settings.batch
            elapsed = time.monotonic() - since
            progress.seconds = before + elapsed
            if progress.step % settings.log == 0 or progress.step == 1:
                self._log(loss, norm, rate, seen / elapsed)
            if progress.step % settings.validate == 0 and self.group.rank == 0:
                self._validate()
            if progress.step % settings.save == 0:
                self._save()
        moved = progress.step > first and progress.step % settings.validate
        if self.group.rank == 0 and (moved or self.best is None):
            self._validate()
        self._save()
        return self.best or self.folder

    def _share(self) -> float:
        """Share of the run that is done, 0..1."""
        settings = self.config.train
        by_steps = self.progress.step / settings.steps
        return max(by_steps, self.progress.seconds / 60 / (settings.minutes or math.inf))

    def _open(self, split: str) -> list[Segment]:
        data, network = self.config.data, self.config.network
        parts = open_segments(
            data.index,
            split,
            crf=data.crf if split == "train" else tuple(dict.fromkeys(data.crf)),
            codec=data.codec,
            listen=network.audio,
            sound=data.sound,
            fix_delay=data.fix_delay,
            level=network.cell != "none",
            motion=network.motion,
            cache=data.cache,
            speakers=data.speakers,
        )
        return _within(parts, data.minutes) if split == "train" and data.minutes else parts

    def _batches(self) -> Iterator[Sample]:
        """Batches from the next step on."""
        data, settings = self.config.data, self.config.train
        each = settings.batch // self.group.world
        first, total = self.progress.step * settings.batch, settings.steps * settings.batch
        flip = data.flip and self.config.network.cell == "none"
        items = PriorsDataset(
            self.train_parts, length=total, crop=data.crop, frames=data.frames,
            augment=Augment(flip, data.contrast, data.light, data.blind, data.mute),
            seed=settings.seed,
        )  # fmt: skip
        numbers = _numbers(range(first, total, settings.batch), each, self.group.rank)
        cuda = self.group.device.type == "cuda"
        loader = DataLoader(
            items, batch_sampler=numbers, collate_fn=collate,
            num_workers=data.workers, timeout=settings.stall if data.workers else 0,
            pin_memory=cuda, persistent_workers=data.workers > 0,
        )  # fmt: skip
        for sample in loader:
            yield sample.to(self.group.device)

    def _step(self, network: nn.Module, sample: Sample, rate: float) -> tuple[float, float]:
        settings = self.config.train
        for part in self.optimizer.param_groups:
            part["lr"] = rate
        with torch.autocast(self.group.device.type, torch.bfloat16, enabled=self.amp):
            restored = network(sample)
            wanted = sample if self.teacher is None else self._taught(sample)
        loss = plane_loss(restored, wanted, self.config.network, settings)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), settings.clip)
        if not bool(torch.isfinite(loss)) or not bool(torch.isfinite(norm)):
            raise RuntimeError(
                f"step {self.progress.step + 1}: loss {float(loss)}, gradient {float(norm)}; "
                f"the last save in {self.folder} is from before"
            )
        self.optimizer.step()
        self.average.update(self.network, self.progress.step)
        self._count_errors(restored, sample)
        return float(loss.detach()), float(norm)

    @torch.no_grad()
    def _taught(self, sample: Sample) -> Sample:
        """The sample with a source that lies between its own and what the teacher makes of it.

        Most of what the encoder dropped cannot be told from what is left, and is noise to who
        learns from the source; the teacher's picture has next to none of it.
        """
        assert self.teacher is not None and sample.clean is not None
        share, radius = self.config.train.teach, self.config.network.radius
        known = normal(sample.clean, sample.bit_depth)
        first = radius - self.teacher.radius
        shown = self.teacher(sample.cut(first, sample.frames - first))
        rows = slice(radius, sample.frames - radius)
        for plane, other in zip(known, shown, strict=True):
            plane[:, rows].lerp_(other.float(), share)
        codes = ((1 << depth) - 1 for depth in (sample.bit_depth[0], *(sample.bit_depth[1],) * 2))
        mixed = Planes(*(plane * top for plane, top in zip(known, codes, strict=True)))
        return dataclasses.replace(sample, clean=mixed)

    @torch.no_grad()
    def _count_errors(self, restored: Planes, sample: Sample) -> None:
        """Squared luma errors of decoded and restored training crops, for the log."""
        radius = self.config.network.radius
        middle = sample.cut(radius, sample.frames - radius)
        assert middle.clean is not None
        clean, decoded = (normal(p, sample.bit_depth).y for p in (middle.clean, middle.decoded))
        for kind, plane in enumerate((decoded, restored.y)):
            self.errors[kind] += float((plane - clean).square().mean())

    def _validate(self) -> None:
        """Gain over decoded on the validation clips, with the averaged weights."""
        copy = build_network(self.config.network).to(self.group.device)
        copy.load_state_dict(self.average.weights)
        scores = quick_scores(
            copy.eval(), self.val_parts, frames=self.config.train.validate_frames, amp=self.amp
        )
        gain = sum(score.gain for score in scores) / len(scores)
        worst = min(scores, key=lambda score: score.gain)
        self._row("val.csv", _val_row(self.progress, scores))
        self._say(
            f"step {self.progress.step}: {gain:+.3f} dB over decoded on {len(scores)} clips, "
            f"least {worst.gain:+.3f} ({worst.name} at CRF {worst.crf})"
        )
        if gain > self.progress.best:
            self.progress.best = gain
            old = self.best
            self.best = save_checkpoint(
                self.folder, self.config.train.variant or _variant(self.config.network),
                self.average.weights, self.config, step=self.progress.step,
                data=_data_version(self.train_parts), figures={"validation_gain_y_db": gain},
            )  # fmt: skip
            if old is not None and old != self.best:
                old.unlink(missing_ok=True)

    def _save(self) -> None:
        if self.group.rank == 0:
            save_state(
                self.folder / "last.safetensors", self.network, self.optimizer, self.average,
                self.progress, self.config,
            )  # fmt: skip

    def _begin_log(self) -> None:
        if self.group.rank:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps(config_to_dict(self.config), indent=2)
        (self.folder / "config.json").write_text(text + "\n", encoding="utf-8")
        self._say(text)
        self._say(
            f"{self.network.parameter_count()} parameters, {len(self.train_parts)} training "
            f"segments, {len(self.val_parts)} for validation, from step {self.progress.step}"
        )
        self.board = None
        if self.config.train.tensorboard:
            from torch.utils.tensorboard import SummaryWriter

            self.board = SummaryWriter(self.folder)

    def _log(self, loss: float, norm: float, rate: float, speed: float) -> None:
        decoded, restored = self.errors
        self.errors = [0.0, 0.0]
        if self.group.rank:
            return
        row = {
            "step": self.progress.step, "seconds": round(self.progress.seconds, 1),
            "loss": f"{loss:.6f}",
            "gain": f"{10 * math.log10(max(decoded, 1e-12) / max(restored, 1e-12)):.3f}",
            "gradient": f"{norm:.4f}", "rate": f"{rate:.3g}",
            "samples_per_second": f"{speed:.1f}", "offset": f"{_offset(self.network):.3f}",
        }  # fmt: skip
        self._row("train.csv", row)
        self._say(", ".join(f"{key} {value}" for key, value in row.items()))

    def _row(self, name: str, row: dict[str, object]) -> None:
        path = self.folder / name
        new = not path.exists()
        with path.open("a", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, row)
            if new:
                writer.writeheader()
            writer.writerow(row)
        if self.board is not None:
            for key, value in row.items():
                if key != "step":
                    self.board.add_scalar(f"{path.stem}/{key}", float(str(value)),
                                          self.progress.step)  # fmt: skip

    def _say(self, text: str) -> None:
        if self.stream is not None and self.group.rank == 0:
            print(text, file=self.stream, flush=True)


def _within(parts: list[Segment], minutes: float) -> list[Segment]:
    """The parts of some clips, at least one, that last so many minutes together at most.

    Which clips depends on their names alone, and those of fewer minutes are among those of more.
    """
    lengths: dict[str, float] = {}
    for part in parts:
        name = part.clip.name
        lengths[name] = max(lengths.get(name, 0.0), (part.stop - part.start) / float(part.clip.fps))
    order = sorted(lengths, key=lambda name: hashlib.sha256(name.encode()).digest())
    ends = accumulate(lengths[name] for name in order)
    kept = {name for name, end in zip(order, ends, strict=True) if end <= 60 * minutes}
    kept.add(order[0])
    return [part for part in parts if part.clip.name in kept]


def _numbers(firsts: range, each: int, rank: int) -> Iterator[list[int]]:
    """Numbers of the samples of each batch, of the share that a process has."""
    for first in firsts:
        yield list(range(first + rank * each, first + (rank + 1) * each))


def _variant(network: NetworkConfig) -> str:
    return network.width if network.name == "davd" else network.name


def _offset(network: Restorer) -> float:
    """Mean size of the last deformable offsets, samples."""
    spreads = [float(m.spread) for m in network.modules() if isinstance(m, DeformAlign)]
    return sum(spreads) / len(spreads) if spreads else 0.0


def _val_row(progress: Progress, scores: list[ClipScore]) -> dict[str, object]:
    row: dict[str, object] = {"step": progress.step, "seconds": round(progress.seconds, 1)}
    row["gain"] = f"{sum(s.gain for s in scores) / len(scores):.4f}"
    row["least"] = f"{min(s.gain for s in scores):.4f}"
    for crf in sorted({score.crf for score in scores}):
        gains = [score.gain for score in scores if score.crf == crf]
        row[f"gain_crf{crf}"] = f"{sum(gains) / len(gains):.4f}"
    return row


def _data_version(parts: list[Segment]) -> dict[str, object]:
    """What the weights were trained on, for the checkpoint."""
    names = sorted({part.clip.name for part in parts})
    frames = {part.clip.name: part.stop - part.start for part in parts}
    return {
        "clips": names,
        "speakers": len({part.clip.speaker for part in parts}),
        "frames": sum(frames.values()),
        "crf": sorted({part.crf for part in parts}),
    }


def loader_speed(config: Config, batches: int = 20) -> float:
    """Samples a second that the loader alone delivers, for the benchmark."""
    run = _Run(dataclasses.replace(config), _Processes(), None)
    iterator = run._batches()
    next(iterator)
    begin = time.monotonic()
    for _ in range(batches):
        next(iterator)
    return batches * config.train.batch / (time.monotonic() - begin)
