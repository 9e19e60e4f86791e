"""Make the picture of a known speaker: decoded, restored without and with his sound, and true.

    python docs/known_speaker.py WORK WITHOUT.safetensors WITH.safetensors [--crf 48] [--clips 5]

One row for each of the first test clips, its middle frame, whatever it shows; above them the whole
first frame.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from davd.data.dataset import Segment, open_segments
from davd.data.sample import Planes, collate
from davd.restore.checkpoint import load_checkpoint
from davd.restore.measuring.metrics import rgb_codes
from davd.restore.networks.picture import normal
from davd.restore.networks.restorer import Restorer, fast_bf16
from PIL import Image, ImageDraw, ImageFont

PATH = Path(__file__).resolve().parent / "images" / "known-speaker.jpg"
TITLES = "decoded, H.264 at CRF {}", "restored without sound", "restored with his sound", "original"
SIDE, GAP, HEAD = 240, 6, 28  # pixels of the picture
INK, PAPER = (40, 40, 48), (255, 255, 255)


def shown(planes: Planes) -> Image.Image:
    """Planes `[1, 1, H, W]` in [0, 1] as a picture."""
    codes = rgb_codes(planes, (8, 8))[0].squeeze(0).permute(1, 2, 0)
    return Image.fromarray(codes.numpy().astype(np.uint8))


def pictures(part: Segment, networks: list[Restorer]) -> list[Image.Image]:
    """The middle frame of a clip: decoded, by each network, and its source."""
    middle, radius = (part.start + part.stop) // 2, networks[0].radius
    sample = collate([part.reader.read(middle - radius, middle + radius + 1)])
    centre = sample.cut(radius, radius + 1)
    assert centre.clean is not None
    made = []
    for network in networks:
        amp = torch.autocast("cpu", torch.bfloat16, enabled=fast_bf16("cpu"))
        with torch.inference_mode(), amp:
            made.append(network(sample))
    decoded, clean = (normal(p, (8, 8)) for p in (centre.decoded, centre.clean))
    return [shown(planes) for planes in (decoded, *made, clean)]


def main() -> None:
    """Restore the frames and put the picture together."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("work")
    parser.add_argument("networks", nargs=2, help="trained without sound, and with it")
    parser.add_argument("--crf", type=int, default=48)
    parser.add_argument("--clips", type=int, default=5)
    arguments = parser.parse_args()
    networks = [load_checkpoint(name) for name in arguments.networks]
    parts = open_segments(arguments.work, "test", crf=[arguments.crf], listen=True)
    rows = []
    for number, part in enumerate(parts[: arguments.clips]):
        faces = pictures(part, networks)
        x, y, w, h = part.clip.mouth
        mouths = [face.crop((x, y, x + w, y + h)) for face in faces]
        rows += [faces, mouths] if number == 0 else [mouths]
    heights = [SIDE * row[0].height // row[0].width for row in rows]
    size = 4 * SIDE + 3 * GAP, HEAD + sum(heights) + GAP * (len(rows) - 1)
    out = Image.new("RGB", size, PAPER)
    draw, font = ImageDraw.Draw(out), ImageFont.load_default(size=16)
    for column, title in enumerate(TITLES):
        left, top = column * (SIDE + GAP), HEAD
        draw.text((left, 4), title.format(arguments.crf), INK, font)
        for row, height in zip(rows, heights, strict=True):
            picture = row[column].resize((SIDE, height), Image.Resampling.BICUBIC)
            out.paste(picture, (left, top))
            top += height + GAP
    out.save(PATH, quality=88)
    print(f"{PATH.name}: {PATH.stat().st_size} bytes")


if __name__ == "__main__":
    main()
