"""What tests of davd-restore share: small networks with random weights, and videos with priors."""

from pathlib import Path

import torch
from clips import encode
from davd.bitstream import PriorsFile, extract
from davd.restore.checkpoint import build_network, save_checkpoint
from davd.restore.config import config_from_dict
from davd.restore.restorer import Restorer

LITE = {
    "width": "lite", "channels": 8, "front_blocks": 0, "video_blocks": 1, "blocks": 1,
    "align": False, "sound_channels": 4, "priors": True,
}  # fmt: skip
FULL = LITE | {
    "width": "full",
    "front_blocks": 1,
    "align": True,
    "priors": False,
    "reach": 2.0,
    "channels": 4,
}


def network(seed: int = 0, **changes: object) -> Restorer:
    """A network that changes pictures by some grey levels."""
    generator = torch.random.get_rng_state()
    torch.manual_seed(seed)
    made = build_network(config_from_dict({"network": LITE | changes}).network)
    torch.nn.init.normal_(made.tail.weight, std=0.02)
    torch.random.set_rng_state(generator)
    return made.eval()


def checkpoint(folder: Path, *, variant: str = "tiny", **changes: object) -> Path:
    """The same as a file."""
    config = config_from_dict({"network": LITE | changes})
    return save_checkpoint(folder, variant, network(**changes).state_dict(), config, step=0)


def talk(folder: Path, name: str = "talk.mp4", **options: object) -> Path:
    """Priors of a small video; the video lies beside them."""
    video = encode(folder / name, **({"frames": 20} | options))  # type: ignore[arg-type]
    priors = video.with_suffix(".h5")
    extract(video, priors)
    return priors


def times(priors: Path) -> list[float]:
    """Times of the frames, seconds."""
    with PriorsFile(priors) as file:
        return file.column("time").tolist()
