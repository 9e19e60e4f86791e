"""What a network, its data and its training are made of: frozen dataclasses, one comment per field.

A run is described by a TOML file with the sections `[network]`, `[data]` and `[train]`, laid over
the defaults below; `--set section.key=value` is laid over the file. Unknown keys and values of the
wrong type are refused, so that a typing error cannot train the wrong network. The resolved
configuration is printed when a run starts and is kept in every checkpoint.
"""

import dataclasses
import tomllib
from pathlib import Path
from typing import Any, get_args, get_origin

NETWORKS = ("davd", "recurrent", "dscnn", "dkfn", "mfqe", "edvr", "basicvsrpp")
CARRIES = ("none", "neighbours", "forward", "both")
CELLS = (
    "none", "paper", "coded", "deadzone", "signhide", "trellis", "rdoq", "auto", "calibrated",
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class NetworkConfig:
    """Which network, and which of its parts."""

    name: str = "davd"  # one of NETWORKS, or one of your own: "package.module:Class"
    width: str = "lite"  # "full": the paper's, at full resolution; "lite": ours, for CPUs
    channels: int = 64  # features of the picture branch ("DAVD-Net, 4.2": 64)
    hidden: int = 0  # davd: channels inside a residual block; 0: as outside (ours: for speed)
    radius: int = 2  # frames used on each side ("DAVD-Net, 4.2": a window of 5)
    front_blocks: int = 5  # residual blocks per frame before alignment (EDVR: 5; paper: unstated)
    video_blocks: int = 5  # V-subnet ("DAVD-Net, 3.3": 5)
    blocks: int = 10  # reconstruction module ("DAVD-Net, 3.1": 10)
    align: bool = True  # deformable alignment of the neighbours ("DAVD-Net, 3.3")
    reach: float = 8.0  # bound of a deformable offset, feature samples (ours: stops offset blow-up)
    colour: str = "ycbcr"  # "rgb" as in the paper, or the codec's own planes
    audio: bool = True  # APB: the sound branch
    attention: bool = True  # SAF: spatial attention fusion; False: one convolution joins the two
    sound_channels: int = 64  # feature maps made of the sound
    cell: str = "none"  # CPM: projection inside the network, one of CELLS
    priors: bool = False  # prediction, residual, QP, TU edges and skips as input channels (ours)
    mirror: bool = False  # when applied, average with the mirrored picture (ours; twice the work)
    damp: float = 0.0  # when applied, share of it held back per step of QP below 46 (ours)
    carry: str = "both"  # recurrent: how far features are carried, one of CARRIES (ours)
    gate: bool = True  # recurrent: weigh by position what is carried (ours)
    history: bool = True  # recurrent: see the QP with which a place was last coded, and its age
    look: int = 4  # recurrent: frames ahead of a chunk at which the backward direction begins
    chunk: int = 8  # recurrent: frames that a stream restores at a time
    qp: bool = False  # QP alone as an input channel; part of `priors` (ours)

    @property
    def motion(self) -> bool:
        """Whether motion is read."""
        return self.name == "recurrent"


@dataclasses.dataclass(frozen=True)
class DataConfig:
    """What a training sample is cut from."""

    index: tuple[str, ...] = ()  # work folders made by davd-prepare, or their index.json
    codec: str = "h264"  # of the coded clips, "h264" or "hevc", as their work folders say
    crf: tuple[int, ...] = (42,)  # encodes to draw from; named twice, twice as often (paper: one)
    crop: int = 64  # samples, a multiple of 16, so that no transform unit is cut
    frames: int = 7  # frames read per sample; `frames - 2 * radius` of them are restored
    flip: bool = True  # horizontal flips, where no levels are asked for
    contrast: int = 0  # largest random change of contrast, in steps of QP (ours)
    light: int = 0  # largest random change of brightness, of 255; of tint, half of it (ours)
    blind: float = 0.0  # share of the samples without motion, and as many without priors (ours)
    mute: float = 0.0  # share of the training samples that lose their sound (ours)
    sound: str = "right"  # "right", "silent", "exchanged" or "shifted" by one second
    fix_delay: bool = True  # read the sound where the measured delay says it belongs
    cache: bool = True  # keep all planes in memory as 8 bit; for data that fits
    workers: int = 0  # loader processes; 0 loads in the training process
    speakers: tuple[str, ...] = ()  # only these; empty: all
    minutes: float = 0.0  # train on clips of so many minutes together, whichever; 0: on all


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """How the weights are found."""

    out: str = "runs/davd"  # run folder: log, checkpoints, resolved configuration
    steps: int = 20000  # optimiser steps
    minutes: float = 0.0  # stop after so much time and anneal to it; 0: by steps
    batch: int = 32  # samples per step over all processes ("DAVD-Net, 4.2": 32)
    optimizer: str = "adam"  # "adam" ("DAVD-Net, 4.2") or "muon" (ours: for short training)
    lr: float = 1e-4  # "DAVD-Net, 4.2": 1e-4
    beta1: float = 0.9  # "DAVD-Net, 4.2"
    beta2: float = 0.999  # "DAVD-Net, 4.2"
    weight_decay: float = 0.0  # decoupled (ours: 1e-4 for lite)
    schedule: str = "constant"  # "constant" as in the paper, or "cosine" with warm-up
    warmup: int = 100  # steps of linear warm-up
    loss: str = "l1"  # "l1" ("DAVD-Net, 4.2"), "charbonnier" (EDVR); ours: "rms", "log" per crop
    chroma: float = 0.25  # weight of each chroma plane's loss beside luma's 1
    clip: float = 0.5  # bound of the gradient's norm
    ema: float = 0.999  # averaging of the weights that are validated and kept; 0: none
    amp: bool = True  # bf16 where the processor has it
    threads: int = 0  # CPU threads; 0: torch decides
    seed: int = 0  # of weights, samples and flips
    init: str = ""  # checkpoint to begin from; weights that do not fit begin fresh
    teacher: str = ""  # checkpoint whose output is learnt from beside the source (ours)
    teach: float = 0.75  # its share of what is to be reached
    variant: str = ""  # middle of the checkpoint's name; empty: made of the network's
    validate: int = 500  # steps between validations
    validate_frames: int = 8  # frames per validation clip
    save: int = 500  # steps between `last.safetensors`
    log: int = 50  # steps between log rows
    tensorboard: bool = False  # also write event files, where tensorboard is installed
    stall: float = 300.0  # seconds a loader may take for one batch before the run stops


@dataclasses.dataclass(frozen=True)
class Config:
    """A whole run."""

    network: NetworkConfig = dataclasses.field(default_factory=NetworkConfig)
    data: DataConfig = dataclasses.field(default_factory=DataConfig)
    train: TrainConfig = dataclasses.field(default_factory=TrainConfig)


def load_config(path: str | Path | None = None, overrides: list[str] | None = None) -> Config:
    """Read a TOML file and `section.key=value` overrides over the defaults.

    Args:
        path: TOML file; None for the defaults alone.
        overrides: Each `section.key=value`; the value in TOML's notation, quotes optional.

    Returns:
        The resolved configuration.

    Raises:
        ValueError: An unknown section or key, a value of the wrong type, or one not allowed.
    """
    tree: dict[str, Any] = {}
    if path is not None:
        try:
            tree = tomllib.loads(Path(path).read_text(encoding="utf-8"))
        except tomllib.TOMLDecodeError as error:
            raise ValueError(f"{path} is not TOML: {error}") from None
    for text in overrides or []:
        name, equals, value = text.partition("=")
        section, dot, key = name.strip().partition(".")
        if not equals or not dot:
            raise ValueError(f"override {text!r}: expected section.key=value")
        tree.setdefault(section, {})[key] = _literal(value.strip())
    return config_from_dict(tree)


def config_from_dict(tree: dict[str, Any]) -> Config:
    """Build a configuration from nested dictionaries, refusing what it does not know.

    Raises:
        ValueError: An unknown section or key, a value of the wrong type, or one not allowed.
    """
    parts = {field.name: field.default_factory for field in dataclasses.fields(Config)}
    if unknown := sorted(set(tree) - set(parts)):
        raise ValueError(f"unknown section {unknown[0]!r}; known: {', '.join(parts)}")
    config = Config(
        **{name: _section(kind, tree.get(name, {}), name) for name, kind in parts.items()}
    )
    _check(config)
    return config


def config_to_dict(config: Config) -> dict[str, Any]:
    """Nested dictionaries of a configuration, fit for JSON."""
    return dataclasses.asdict(config)


def _section(kind: Any, values: dict[str, Any], name: str) -> Any:
    fields = {field.name: field for field in dataclasses.fields(kind)}
    if not isinstance(values, dict):
        raise ValueError(f"{name} is a section, not a value: {values!r}")
    if unknown := sorted(set(values) - set(fields)):
        raise ValueError(f"unknown key {name}.{unknown[0]}; known: {', '.join(fields)}")
    return kind(
        **{key: _typed(value, fields[key].type, f"{name}.{key}") for key, value in values.items()}
    )


def _typed(value: Any, kind: Any, name: str) -> Any:
    if get_origin(kind) is tuple:
        inner = get_args(kind)[0]
        items = value if isinstance(value, list | tuple) else [value]
        return tuple(_typed(item, inner, name) for item in items)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not kind:
        raise ValueError(f"{name} = {value!r}: expected {kind.__name__}")
    return value


def _literal(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _check(config: Config) -> None:
    network, data, train = config.network, config.data, config.train
    allowed = {
        "network.width": (network.width, ("full", "lite")),
        "network.colour": (network.colour, ("rgb", "ycbcr")),
        "network.carry": (network.carry, CARRIES),
        "network.cell": (network.cell, CELLS),
        "data.codec": (data.codec, ("h264", "hevc")),
        "data.sound": (data.sound, ("right", "silent", "exchanged", "shifted")),
        "train.optimizer": (train.optimizer, ("adam", "muon")),
        "train.schedule": (train.schedule, ("constant", "cosine")),
        "train.loss": (train.loss, ("l1", "rms", "log", "charbonnier")),
    }
    if ":" not in network.name:
        allowed["network.name"] = (network.name, (*NETWORKS, "package.module:Class"))
    for name, (value, choices) in allowed.items():
        if value not in choices:
            raise ValueError(f"{name} = {value!r}: expected one of {', '.join(choices)}")
    if data.crop < 16 or data.crop % 16:
        raise ValueError(f"data.crop = {data.crop}: expected a multiple of 16")
    for name in ("contrast", "light"):
        if network.cell != "none" and getattr(data, name):
            raise ValueError(f"data.{name} changes levels: set it to 0 with a network.cell")
    for name, share in (("mute", data.mute), ("blind", 2 * data.blind)):
        if not 0 <= share <= 1:
            raise ValueError(f"data.{name} = {getattr(data, name)}: expected a share")
    if not 0 <= train.teach <= 1:
        raise ValueError(f"train.teach = {train.teach}: expected a share")
    if data.minutes < 0:
        raise ValueError(f"data.minutes = {data.minutes}: expected 0 or more")
    wanted = 1 if network.carry == "neighbours" else 0
    if network.name == "recurrent" and network.radius != wanted:
        raise ValueError(f"network.radius is {wanted} with network.carry = {network.carry!r}")
    if data.frames <= 2 * network.radius:
        raise ValueError(f"data.frames = {data.frames}: expected over {2 * network.radius}")
    if min(train.steps, train.batch, train.validate, train.save, train.log) < 1:
        raise ValueError("train.steps, batch, validate, save and log are at least 1")
