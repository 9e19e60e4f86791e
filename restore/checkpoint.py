"""Checkpoints: safetensors files that carry their configuration and name their own content.

    davd-<variant>-<first 8 of sha256>.safetensors

The metadata hold `format`, `version`, `config` (JSON), `step`, `davd_version`, `commit`, `data`
(JSON: what it was trained on) and whatever figures came with it. No code runs when one is loaded.
`save_checkpoint` writes weights for use, in half precision if asked; the file that a run resumes
from is train.py's own affair.
"""

import dataclasses
import hashlib
import json
import os
import re
import subprocess
from importlib import import_module
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from .. import __version__
from .config import Config, NetworkConfig, config_from_dict, config_to_dict
from .networks.restorer import Restorer
from .projection.cells import CellTable
from .projection.project import Projector

FORMAT = "davd-checkpoint"
VERSION = 1
WEIGHTS = Path(__file__).parent / "weights"
_NAME = re.compile(r"davd-(?P<variant>.+)-(?P<hash>[0-9a-f]{8})\.safetensors")


class CheckpointError(ValueError):
    """A file that is not a checkpoint this version can use; the message is one sentence."""


@dataclasses.dataclass(frozen=True)
class CheckpointInfo:
    """What a checkpoint says of itself."""

    path: Path
    config: Config
    step: int
    davd_version: str
    commit: str
    data: dict[str, object]
    figures: dict[str, object]

    @property
    def variant(self) -> str:
        """The variant in its name; the file's stem where it has another name."""
        match = _NAME.fullmatch(self.path.name)
        return match["variant"] if match else self.path.stem


def build_network(config: NetworkConfig) -> Restorer:
    """A network with fresh weights.

    Projection is set where `config.cell` asks for it, `auto` and `calibrated` as far as that goes
    without the encoder's text and a table.
    """
    if ":" in config.name:
        network: Restorer = _own_network(config)
    elif config.name == "davd":
        from .networks.davd import DavdNet

        network = DavdNet(config)
    elif config.name == "recurrent":
        from .networks.recurrent import RecurrentNet

        network = RecurrentNet(config)
    else:
        from .networks.rivals import build_rival

        network = build_rival(config)
    if config.cell not in ("none", "calibrated"):
        network.projector = Projector(config.cell)
    return network


def _own_network(config: NetworkConfig) -> Restorer:
    """A network by the place of its class, `package.module:Class`.

    Raises:
        ValueError: There is no such class, or it is no `Restorer`.
    """
    place, _, name = config.name.partition(":")
    try:
        kind = getattr(import_module(place), name, None)
    except ModuleNotFoundError as error:
        raise ValueError(
            f"network.name = {config.name!r}: {error}; PYTHONPATH names the folders to look in"
        ) from None
    if not (isinstance(kind, type) and issubclass(kind, Restorer)):
        raise ValueError(f"network.name = {config.name!r}: {place} has no Restorer called {name!r}")
    return kind(config)


def save_checkpoint(
    folder: Path,
    variant: str,
    weights: dict[str, Tensor],
    config: Config,
    *,
    step: int,
    data: dict[str, object] | None = None,
    figures: dict[str, object] | None = None,
    table: CellTable | None = None,
    half: bool = False,
) -> Path:
    """Write weights under the name that their content gives them.

    Args:
        folder: Where; made if missing.
        variant: Middle part of the name.
        weights: The network's state.
        config: What it was built and trained with.
        step: Training steps behind it.
        data: What it was trained on.
        figures: Measurements worth keeping.
        table: Calibrated cells.
        half: Store float16.

    Returns:
        Path of the file.

    Raises:
        CheckpointError: A weight is not finite.
    """
    tensors = {f"net.{name}": value.detach().cpu() for name, value in weights.items()}
    for name, value in tensors.items():
        if not bool(torch.isfinite(value).all()):
            raise CheckpointError(f"weight {name} is not finite: nothing was saved")
    if half:
        tensors = {
            name: value.half() if value.is_floating_point() else value
            for name, value in tensors.items()
        }
    if table is not None:
        tensors |= table.tensors()
    metadata = {
        "format": FORMAT,
        "version": str(VERSION),
        "davd_version": __version__,
        "commit": _commit(),
        "config": json.dumps(config_to_dict(config), sort_keys=True),
        "step": str(step),
        "data": json.dumps(data or {}, sort_keys=True),
        "figures": json.dumps(figures or {}, sort_keys=True),
    }
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f"davd-{variant}.{os.getpid()}.part"
    write_tensors(part, tensors, metadata)
    path = folder / f"davd-{variant}-{_sha256(part)[:8]}.safetensors"
    os.replace(part, path)
    return path


def write_tensors(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    """Write a safetensors file, with the mode that files get here: safetensors' own is 0600."""
    path.touch()
    mode = path.stat().st_mode & 0o777
    values = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    save_file(values, path, metadata)
    path.chmod(mode)


def find_checkpoint(name: str | Path) -> Path:
    """A checkpoint by path, or a shipped one by variant or file name.

    Raises:
        CheckpointError: There is none; the message lists those shipped.
    """
    path = Path(name)
    if path.is_file():
        return path
    shipped = shipped_checkpoints()
    for variant, candidate in shipped.items():
        if str(name) in (variant, candidate.name, candidate.stem):
            return candidate
    raise CheckpointError(f"no checkpoint {str(name)!r}; shipped: {', '.join(shipped) or 'none'}")


def shipped_checkpoints() -> dict[str, Path]:
    """Checkpoints that came with davd, by variant."""
    found = {}
    for path in sorted(WEIGHTS.glob("davd-*.safetensors")):
        if match := _NAME.fullmatch(path.name):
            found[match["variant"]] = path
    return found


def read_checkpoint(path: str | Path) -> CheckpointInfo:
    """What a checkpoint says of itself, without its weights.

    Raises:
        CheckpointError: Not a checkpoint, or of another version.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"{path}: no such checkpoint")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path} is not a checkpoint: {error}") from None
    if metadata.get("format") != FORMAT:
        raise CheckpointError(f"{path} is a safetensors file, but not a davd checkpoint")
    if metadata.get("version") != str(VERSION):
        raise CheckpointError(
            f"{path} has checkpoint version {metadata.get('version')}, this davd reads {VERSION}"
        )
    try:
        return CheckpointInfo(
            path=path,
            config=config_from_dict(json.loads(metadata["config"])),
            step=int(metadata["step"]),
            davd_version=metadata["davd_version"],
            commit=metadata["commit"],
            data=json.loads(metadata["data"]),
            figures=json.loads(metadata["figures"]),
        )
    except (KeyError, ValueError, TypeError) as error:
        raise CheckpointError(f"{path} has metadata that cannot be used: {error}") from None


def load_checkpoint(
    name: str | Path, *, device: str | torch.device = "cpu", encoder: str = ""
) -> Restorer:
    """Rebuild a network from a checkpoint, in evaluation mode.

    Args:
        name: Path, or variant of a shipped checkpoint.
        device: Where the network goes.
        encoder: What the encoder of the video says of itself, for `auto` cells.

    Returns:
        The network; its projector is set if it was trained with one.

    Raises:
        CheckpointError: Not a checkpoint, damaged, of another network, or with weights that are
            not finite.
    """
    path = find_checkpoint(name)
    info = read_checkpoint(path)
    match = _NAME.fullmatch(path.name)
    if match and not _sha256(path).startswith(match["hash"]):
        raise CheckpointError(f"{path} is damaged: its content does not have the hash in its name")
    network = build_network(info.config.network)
    with safe_open(path, framework="pt") as file:
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 not a dict
    weights = {key[4:]: value for key, value in tensors.items() if key.startswith("net.")}
    wanted = network.state_dict()
    for key in sorted(wanted.keys() ^ weights.keys()):
        raise CheckpointError(f"{path} is of another network: weight {key} does not fit")
    for key, value in weights.items():
        if value.shape != wanted[key].shape:
            raise CheckpointError(f"{path} is of another network: weight {key} does not fit")
        if not bool(torch.isfinite(value).all()):
            raise CheckpointError(f"{path} is damaged: weight {key} is not finite")
    network.load_state_dict({key: value.to(wanted[key].dtype) for key, value in weights.items()})
    network.codec, network.blind = info.config.data.codec, info.config.data.blind > 0
    table = CellTable.from_tensors(tensors)
    cell = info.config.network.cell
    if cell != "none":
        if cell == "calibrated" and table is None:
            raise CheckpointError(f"{path} projects on calibrated cells but holds none")
        network.projector = Projector(cell, encoder=encoder, table=table)
    network.cells = table
    return network.to(device).eval()


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _commit() -> str:
    """Git commit of the source tree, or an empty text."""
    try:
        found = subprocess.run(
            ["git", "rev-parse", "HEAD"],  # noqa: S607 git of the user's PATH
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            timeout=5,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return found.stdout.strip()
