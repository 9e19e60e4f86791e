"""Photographs made to move: pictures to learn from that are not of the few faces at hand.

A network that repairs blocks and blur has to know what pictures look like, and a few minutes of
talking heads show few. Here a window wanders over a photograph, or stands still, while a piece of
another one moves before it as a head would, with a little noise and changing light; some have
writing on them, of which photographs show little and recorded calls much:

    python -m davd.data.stills PHOTOS RAW --clips 84 --size 160
    make dataset SOURCE=RAW WORK=stills SIZE=160 CROP=none

The clips have no sound, and all are for training (RAW/speakers.csv says so).
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from .media import write_frames

FPS = Fraction(25)
SIDE = 1400  # larger photographs are made so small first, longer side
WRITTEN = 0.25  # share of the clips with writing on the picture behind
_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,:-&"
_FONTS = (
    cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_COMPLEX,
    cv2.FONT_HERSHEY_TRIPLEX, cv2.FONT_HERSHEY_SCRIPT_SIMPLEX,
)  # fmt: skip
_SUFFIXES = frozenset(".jpg .jpeg .png .webp .bmp .tif .tiff".split())


def photographs(folder: Path) -> list[Path]:
    """The pictures under a folder, by name.

    Raises:
        ValueError: There is none.
    """
    found = sorted(p for p in folder.rglob("*") if p.suffix.lower() in _SUFFIXES and p.is_file())
    if not found:
        raise ValueError(f"no pictures under {folder} ({', '.join(sorted(_SUFFIXES))})")
    return found


def read_photograph(path: Path) -> np.ndarray:
    """RGB `[H, W, 3]` uint8, at most `SIDE` wide and high.

    Raises:
        ValueError: OpenCV cannot read it.
    """
    data = np.fromfile(path, np.uint8)
    picture = cv2.imdecode(data, cv2.IMREAD_COLOR) if len(data) else None
    if picture is None:
        raise ValueError(f"{path} is not a picture that OpenCV can read")
    scale = SIDE / max(picture.shape[:2])
    if scale < 1:
        picture = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)


def wander(rng: np.random.Generator, count: int, scale: float) -> np.ndarray:
    """A smooth walk of `count` steps from 0, with a standard deviation of `scale`."""
    window = np.hanning(13) / np.hanning(13).sum()
    walk = rng.normal(size=count + 24)
    for _ in range(2):
        walk = np.convolve(walk, window, "same")
    walk = walk[12 : 12 + count]
    return scale * (walk - walk[0]) / (walk.std() + 1e-9)


def written(rng: np.random.Generator, picture: np.ndarray, size: int) -> np.ndarray:
    """A picture with lines of writing all over it, on a plate of one colour or on itself.

    Args:
        rng: Decides what is written and how.
        picture: uint8 RGB `[H, W, 3]`.
        size: Side of the frames that will show a part of it: letters are 3 % to 12 % as high.

    Returns:
        uint8 RGB `[H, W, 3]`.
    """
    picture = picture.copy()
    height, width = picture.shape[:2]
    ink, plate = (tuple(int(v) for v in rng.integers(0, 256, 3)) for _ in range(2))
    if rng.random() < 0.5:
        picture[:] = plate
    font = int(rng.choice(_FONTS))
    high = size * rng.uniform(0.03, 0.12)
    scale, thick = high / 21, max(1, round(high * rng.uniform(0.05, 0.16)))
    y = 0.0
    while (y := y + high * rng.uniform(1.4, 2.2)) < height + high:
        words = ("".join(rng.choice(list(_LETTERS), rng.integers(1, 11))) for _ in range(40))
        start = int(rng.uniform(-0.2, 0.3) * width)
        cv2.putText(picture, " ".join(words), (start, int(y)), font, scale, ink, thick, cv2.LINE_AA)
    return picture


def moving_window(
    rng: np.random.Generator, picture: np.ndarray, size: int, count: int, motion: float
) -> Iterator[np.ndarray]:
    """Views of a part of a picture that shifts, turns and zooms.

    Args:
        rng: Decides where and how.
        picture: uint8 `[H, W, 3]`.
        size: Side of a view.
        count: How many.
        motion: Pixels by which it shifts, as a standard deviation; turn and zoom go with it.

    Yields:
        uint8 `[size, size, 3]`.
    """
    least = min(picture.shape[:2])
    side = max(rng.uniform(0.25, 0.8) * least, min(0.9 * size, 0.8 * least))
    zoom = size / side
    if zoom < 0.6:  # without aliasing: small first, then moved
        scale = 1.5 * zoom
        picture = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        zoom, side = zoom / scale, side * scale
    height, width = picture.shape[:2]
    x, y = rng.uniform(side / 2, width - side / 2), rng.uniform(side / 2, height - side / 2)
    across, down = wander(rng, count, motion), wander(rng, count, 0.6 * motion)
    turn, near = wander(rng, count, 0.25 * motion), 1 + wander(rng, count, 0.004 * motion)
    for k in range(count):
        matrix = cv2.getRotationMatrix2D((x, y), turn[k], zoom * near[k])
        matrix[:, 2] += size / 2 - x + across[k], size / 2 - y + down[k]
        yield cv2.warpAffine(
            picture, matrix, (size, size), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101
        )


def moving_stills(
    pictures: Sequence[np.ndarray], seed: int, size: int, count: int
) -> Iterator[np.ndarray]:
    """A clip: picture number `seed` behind, an ellipse of another one moving before it.

    Args:
        pictures: uint8 RGB `[H, W, 3]` each.
        seed: Decides all there is to decide.
        size: Side of the frames.
        count: How many.

    Yields:
        uint8 RGB `[size, size, 3]`.
    """
    rng = np.random.default_rng(seed)
    rest = rng.random() < 0.5  # of the camera
    far_picture = pictures[seed % len(pictures)]
    if rng.random() < WRITTEN:
        far_picture = written(rng, far_picture, size)
    behind = moving_window(rng, far_picture, size, count, 0.0 if rest else rng.uniform(0.3, 4.0))
    before = moving_window(
        rng, pictures[int(rng.integers(len(pictures)))], size, count, rng.uniform(0.5, 5.0)
    )
    x, y = size * rng.uniform(0.3, 0.7), size * rng.uniform(0.35, 0.7)
    wide, high = size * rng.uniform(0.15, 0.35), size * rng.uniform(0.2, 0.4)
    across = wander(rng, count, rng.uniform(0.5, 5.0))
    down = wander(rng, count, rng.uniform(0.3, 3.0))
    light = 1 + wander(rng, count, rng.uniform(0.0, 0.03))
    noise, edge = rng.uniform(0.0, 1.5), rng.uniform(0.6, 2.5)
    blur = rng.uniform(0.3, 2.5) if rng.random() < 0.3 else 0.0
    rows, columns = np.mgrid[:size, :size].astype(np.float32)
    for k, (far, near) in enumerate(zip(behind, before, strict=True)):
        if blur:
            far = cv2.GaussianBlur(far, (0, 0), blur)
        radius = np.hypot((columns - x - across[k]) / wide, (rows - y - down[k]) / high)
        share = np.clip((1 - radius) * min(wide, high) / edge + 0.5, 0, 1)[..., None]
        frame = (far * (1 - share) + near * share) * light[k]
        frame += noise * rng.normal(size=(size, size, 1))
        yield np.clip(frame + 0.5, 0, 255).astype(np.uint8)


def main(argv: list[str] | None = None) -> int:
    """Make the clips."""
    parser = argparse.ArgumentParser(
        prog="python -m davd.data.stills",
        description="Clips to train with, out of photographs.",
        epilog=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("photos", type=Path, help="folder of pictures")
    parser.add_argument("raw", type=Path, help="folder to write the clips to")
    parser.add_argument("--clips", type=int, default=84, help="how many (84)")
    parser.add_argument("--size", type=int, default=160, help="side of the frames, pixels (160)")
    parser.add_argument("--frames", type=int, default=34, help="frames of a clip (34)")
    arguments = parser.parse_args(argv)
    try:
        found = photographs(arguments.photos)
        pictures = [read_photograph(path) for path in found]
        arguments.raw.mkdir(parents=True, exist_ok=True)
        lines = ["file,speaker,split"]
        for seed in tqdm(range(arguments.clips), unit="clip", disable=None):
            name = f"still{seed:04}.mkv"
            clip = moving_stills(pictures, seed, arguments.size, arguments.frames)
            write_frames(arguments.raw / name, clip, FPS)
            lines.append(f"{name},still{seed % len(pictures):03},train")
        (arguments.raw / "speakers.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    except (OSError, ValueError) as error:
        print(f"davd.data.stills: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
