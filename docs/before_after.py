"""Make the README's picture: one frame decoded, restored and original, the mouth enlarged below.

    python docs/before_after.py [CHECKPOINT]

The clip is the demo's; the frame is that with the mouth widest open, not that with the most gain.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import av
import numpy as np
from davd.data.synthetic import synthesise
from PIL import Image, ImageDraw, ImageFont

ROOT = Path(__file__).resolve().parent.parent
DEMO = ROOT / "demo"
MOUTH = 66, 134, 72, 48  # x, y, width, height in the frame
WIDTH, GAP, HEAD = 300, 8, 30  # pixels of the picture
INK, PAPER = (40, 40, 48), (255, 255, 255)


def frame_of(path: Path, index: int) -> Image.Image:
    """One frame of a video as a player shows it."""
    with av.open(str(path)) as container:
        for number, frame in enumerate(container.decode(video=0)):
            if number == index:
                return frame.to_image()
    raise ValueError(f"{path} has no frame {index}")


def column(picture: Image.Image, title: str) -> Image.Image:
    """The frame above its mouth, with a title."""
    x, y, w, h = MOUTH
    face = picture.resize((WIDTH, WIDTH), Image.Resampling.BICUBIC)
    mouth = picture.crop((x, y, x + w, y + h))
    mouth = mouth.resize((WIDTH, WIDTH * h // w), Image.Resampling.BICUBIC)
    out = Image.new("RGB", (WIDTH, HEAD + face.height + GAP + mouth.height), PAPER)
    ImageDraw.Draw(out).text((0, 4), title, INK, ImageFont.load_default(size=18))
    out.paste(face, (0, HEAD))
    out.paste(mouth, (0, HEAD + face.height + GAP))
    scale = WIDTH / picture.width
    box = [scale * x, HEAD + scale * y, scale * (x + w), HEAD + scale * (y + h)]
    ImageDraw.Draw(out).rectangle(box, outline=PAPER, width=1)
    return out


def main() -> None:
    """Restore the clip and put the picture together."""
    index = int(np.argmax(synthesise(5, 5.0, size=32, face="photograph").opening))
    checkpoint = ["--checkpoint", sys.argv[1]] if len(sys.argv) > 1 else []
    with tempfile.TemporaryDirectory() as folder:
        restored = Path(folder) / "restored.mkv"
        clip = str(DEMO / "talking-head.mp4")
        program = Path(sys.executable).parent / "davd-restore"
        subprocess.run([program, clip, "-o", restored, "--lossless", *checkpoint], check=True)
        columns = [
            column(frame_of(DEMO / "talking-head.mp4", index), "decoded, H.264 at CRF 42"),
            column(frame_of(restored, index), "restored by davd"),
            column(frame_of(DEMO / "talking-head-clean.mp4", index), "original"),
        ]
    width = 3 * WIDTH + 2 * GAP
    out = Image.new("RGB", (width, columns[0].height), PAPER)
    for number, picture in enumerate(columns):
        out.paste(picture, (number * (WIDTH + GAP), 0))
    path = ROOT / "docs" / "images" / "before-after.jpg"
    path.parent.mkdir(exist_ok=True)
    out.save(path, quality=90)
    print(f"{path.name}: frame {index}, {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
