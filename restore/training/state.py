"""What a training run resumes from: one safetensors file with weights, averages and moments.

`last.safetensors` holds `net.*`, `ema.*` and the optimiser's `opt.*`; its metadata the step, the
seconds spent and the resolved configuration. It is replaced whole, so that a run that is
killed while saving resumes from the save before.
"""

import dataclasses
import json
import os
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from ..checkpoint import write_tensors
from ..config import Config, config_to_dict

# Keys that may differ between a run and its resumption without making it another run.
_FREE = {"train": {"steps", "minutes", "out", "save", "log", "threads", "tensorboard", "stall"},
         "data": {"workers", "cache", "index"}}  # fmt: skip


class Average:
    """Exponential moving average of weights; begins quickly and settles at its decay.

    Args:
        network: Whose weights.
        decay: Share kept per step, 0 for none: then the average is the weights.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        """Begin with a copy of the weights."""
        self.decay = decay
        self.weights = {name: value.detach().clone() for name, value in _state(network).items()}

    @torch.no_grad()
    def update(self, network: nn.Module, step: int) -> None:
        """Take in the weights after `step` steps."""
        decay = min(self.decay, (1 + step) / (10 + step)) if self.decay else 0.0
        kept, new = [], []
        for name, value in _state(network).items():
            if value.is_floating_point():
                kept.append(self.weights[name])
                new.append(value)
            else:
                self.weights[name].copy_(value)
        torch._foreach_lerp_(kept, new, 1 - decay)


@dataclasses.dataclass
class Progress:
    """How far a run is."""

    step: int = 0
    seconds: float = 0.0
    best: float = float("-inf")


def save_state(
    path: Path,
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    average: Average,
    progress: Progress,
    config: Config,
) -> None:
    """Write everything that the next step depends on."""
    tensors = {f"net.{name}": value for name, value in _state(network).items()}
    tensors |= {f"ema.{name}": value for name, value in average.weights.items()}
    for name, parameter in network.named_parameters():
        for key, value in optimizer.state.get(parameter, {}).items():
            tensors[f"opt.{key}.{name}"] = value
    metadata = {
        "format": "davd-run",
        "config": json.dumps(config_to_dict(config)),
        **{key: repr(value) for key, value in dataclasses.asdict(progress).items()},
    }
    part = path.with_name(path.name + ".part")
    write_tensors(part, tensors, metadata)
    with part.open("rb") as file:
        os.fsync(file.fileno())
    os.replace(part, path)


def load_state(
    path: Path,
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    average: Average,
    config: Config,
) -> Progress:
    """Put a run where it stopped.

    Returns:
        Its progress.

    Raises:
        ValueError: Not a run's state, or the state of a run with another configuration.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 not a dict
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{path} cannot be resumed from: {error}") from None
    if metadata.get("format") != "davd-run":
        raise ValueError(f"{path} cannot be resumed from: it is not the state of a run")
    before, now = json.loads(metadata["config"]), json.loads(json.dumps(config_to_dict(config)))
    for section, values in now.items():
        for key, value in values.items():
            if key not in _FREE.get(section, set()) and before[section].get(key) != value:
                raise ValueError(
                    f"{path} is of a run with {section}.{key} = {before[section].get(key)!r}, "
                    f"not {value!r}: choose another train.out"
                )
    step = int(metadata["step"])
    network.load_state_dict(_part(tensors, "net."))
    for name, value in _part(tensors, "ema.").items():
        average.weights[name].copy_(value)
    moments = _part(tensors, "opt.")
    for name, parameter in network.named_parameters():
        for key in ("count", "mean", "square"):
            if (value := moments.get(f"{key}.{name}")) is not None:
                kept = _like(value, parameter) if value.shape == parameter.shape else value
                optimizer.state[parameter][key] = kept
    return Progress(step, float(metadata["seconds"]), float(metadata["best"]))


def _state(network: nn.Module) -> dict[str, Tensor]:
    return network.state_dict()


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {key[len(prefix) :]: value for key, value in tensors.items() if key.startswith(prefix)}


def _like(value: Tensor, parameter: Tensor) -> Tensor:
    """A moment on its parameter's device and in its memory order."""
    return torch.empty_like(parameter).copy_(value)
