"""What tests of davd-restore share: small networks with random weights, and videos with priors."""

from pathlib import Path

import numpy as np
import torch
from clips import encode
from davd.bitstream import FrameRecord, PriorsFile, PriorsWriter, extract
from davd.restore.checkpoint import build_network, save_checkpoint
from davd.restore.config import config_from_dict
from davd.restore.networks.restorer import Restorer

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


def written(path: Path, *, chroma: str = "4:2:0", depth: int = 8, frames: int = 4) -> Path:
    """Priors of noise in any format, without a stream behind them; levels are 0."""
    width, height = 64, 48
    random = np.random.default_rng(0)
    down, across = {"4:2:0": (2, 2), "4:2:2": (1, 2), "4:4:4": (1, 1), "4:0:0": (0, 0)}[chroma]
    shapes = [(height, width)]
    shapes += [(height // down, width // across)] * 2 if down else []
    sample, difference = (np.uint8, np.int16) if depth == 8 else (np.uint16, np.int32)
    attributes = {
        "davd_version": "0", "source": "a.mp4", "source_sha256": "0" * 64, "profile_idc": 100,
        "level_idc": 30, "width": width - 4, "height": height - 2, "crop_left": 0,
        "crop_right": 4, "crop_top": 0, "crop_bottom": 2, "chroma_format": chroma,
        "bit_depth_luma": depth, "bit_depth_chroma": depth, "color_matrix": "bt709",
        "color_range": "limited", "color_primaries": 1, "color_transfer": 1,
        "sample_aspect_ratio": "1/1", "rotation": 0, "display_matrix": "",
        "field_order": "progressive", "frame_rate": "25/1", "time_base": "1/25",
        "time_invented": False, "encoder": "", "first_frame": 0, "verified": False, "pixels": True,
    }  # fmt: skip
    blocks = (height // 16, width // 16)
    qp = np.full(blocks, 30, np.int8)
    with PriorsWriter(path, attributes) as writer:
        for k in range(frames):
            planes = tuple(
                random.integers(64, 1 << (depth - 1), shape).astype(sample) for shape in shapes
            )
            zeros = tuple(np.zeros(shape, difference) for shape in shapes)
            writer.append(
                FrameRecord(
                    index=k, pts=k, time=k / 25, decode_order=k, poc=2 * k, picture_type=1,
                    keyframe=k == 0, concealed=False, decoded=planes, prediction=planes,
                    residual=zeros, level=zeros, tu=np.zeros((height // 4, width // 4), np.uint8),
                    mb_type=np.full(blocks, 4, np.uint8), qp_y=qp, qp_cb=qp if down else None,
                    qp_cr=qp if down else None, cbp=np.zeros(blocks, np.uint8),
                    slice=np.zeros(blocks, np.uint16), field=np.zeros(blocks, np.uint8),
                    scaling4x4=np.full((6, 16), 16, np.uint8),
                    scaling8x8=np.full((6, 64), 16, np.uint8),
                )
            )  # fmt: skip
        writer.finish()
    return path
