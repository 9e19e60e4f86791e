"""Random but lawful priors of HEVC, for tests of its transforms and the projection."""

import dataclasses
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from davd.restore.projection import HevcTensors, PriorsTensors

STEPS = {"4:0:0": (), "4:2:0": (2, 2), "4:2:2": (1, 2), "4:4:4": (1, 1)}  # of chroma planes
SKIP, INTER, INTRA, PCM = range(4)


class Block(NamedTuple):
    """A transform block of a plane, in samples of it."""

    y: int
    x: int
    size: int


def units(rng: np.random.Generator, y: int, x: int, size: int) -> Iterator[Block]:
    """Coding units of 8 to 32 samples that tile a block of 32."""
    if size > 8 and rng.random() < 0.6:
        for dy in (0, size // 2):
            for dx in (0, size // 2):
                yield from units(rng, y + dy, x + dx, size // 2)
    else:
        yield Block(y, x, size)


def chroma_blocks(unit: Block, luma: int, steps: tuple[int, int]) -> Iterator[Block]:
    """Those of a coding unit whose luma transform blocks have a size (7.3.8.10)."""
    down, across = steps
    side = luma // across if (down, across) != (1, 1) else luma
    side = max(side, 4)
    for y in range(unit.y // down, (unit.y + unit.size) // down, side):
        for x in range(unit.x // across, (unit.x + unit.size) // across, side):
            yield Block(y, x, side)


def random_arrays(
    seed: int,
    *,
    chroma: str = "4:2:0",
    depth: int = 8,
    frames: int = 2,
    size: tuple[int, int] = (40, 72),
    lossless: float = 0.0,
    pcm: float = 0.1,
    skips: float = 0.2,
    flat: bool = False,
    qp: tuple[int, int] = (0, 51),
) -> dict[str, np.ndarray]:
    """Arrays named as in a priors file; `residual` is left at 0. `skips`: skipped transforms."""
    rng = np.random.default_rng(seed)
    height, width = size
    grid = frames, height // 4, width // 4
    names = ["y", "cb", "cr"] if STEPS[chroma] else ["y"]
    steps = dict.fromkeys(names, STEPS[chroma]) | {"y": (1, 1)}
    maps = {f"cu/{n}": np.zeros(grid, np.uint8) for n in ("size", "mode", "bypass")}
    maps["tu/size"] = np.zeros(grid, np.uint8)
    kinds = {n: "tu/kind" if n == "y" else f"tu/kind_{n}" for n in names}
    maps |= {name: np.zeros(grid, np.uint8) for name in kinds.values()}
    maps |= {f"qp/{n}": np.zeros(grid, np.int8) for n in names}
    if chroma == "4:4:4":
        maps |= {f"tu/res_scale_{n}": np.zeros(grid, np.int8) for n in names[1:]}
    arrays: dict[str, np.ndarray] = {}
    for n in names:
        shape = frames, height // steps[n][0], width // steps[n][1]
        arrays[f"level/{n}"] = np.zeros(shape, np.int32)
        arrays[f"residual/{n}"] = np.zeros(shape, np.int32)
        arrays[f"prediction/{n}"] = rng.integers(0, 1 << depth, shape).astype(np.uint16)
    low, high = qp[0] - 6 * (depth - 8), qp[1]
    blocks = [
        unit
        for y in range(0, height, 32)
        for x in range(0, width, 32)
        for unit in units(rng, y, x, 32)
        if unit.y + unit.size <= height and unit.x + unit.size <= width
    ]
    covered = np.zeros((height // 8, width // 8), bool)
    for unit in blocks:
        covered[_cells(unit, 8)] = True
    blocks += [Block(8 * y, 8 * x, 8) for y, x in zip(*np.nonzero(~covered), strict=True)]
    for k in range(frames):
        for unit in blocks:
            here = (k, *_cells(unit, 4))
            mode = PCM if rng.random() < pcm else int(rng.integers(0, 3))
            bypass = mode != PCM and rng.random() < lossless
            maps["cu/size"][here] = unit.size.bit_length() - 1
            maps["cu/mode"][here] = mode
            maps["cu/bypass"][here] = bypass
            for n in names:
                maps[f"qp/{n}"][here] = rng.integers(low, high + 1)
            if mode in (SKIP, PCM):
                continue
            luma = unit.size >> int(rng.integers(0, 2)) if unit.size > 4 else 4
            maps["tu/size"][here] = luma.bit_length() - 1
            for n in names:
                if n != "y" and chroma == "4:4:4":
                    maps[f"tu/res_scale_{n}"][here] = rng.choice([0, 0, 1, -2, 8, -8])
                for block in chroma_blocks(unit, luma, steps[n]):
                    _fill(
                        rng, maps[kinds[n]], arrays[f"level/{n}"], k, block, steps[n],
                        luma=n == "y", intra=mode == INTRA, bypass=bypass, skips=skips,
                    )  # fmt: skip
    lists = {"scaling4x4": (6, 16), "scaling8x8": (3, 6, 64), "scaling_dc": (2, 6)}
    for name, shape in lists.items():
        lowest, highest = (16, 17) if flat else (1, 256)
        arrays[name] = rng.integers(lowest, highest, (frames, *shape), np.uint8)
    arrays["frames/picture_type"] = rng.integers(0, 3, frames).astype(np.uint8)
    return arrays | maps


def random_priors(seed: int, *, depth: int = 8, **options: object) -> HevcTensors:
    """The same as tensors, with the residual that the levels give."""
    arrays = random_arrays(seed, depth=depth, **options)  # type: ignore[arg-type]
    priors = PriorsTensors.from_arrays(arrays, bit_depth=(depth, depth))
    assert isinstance(priors, HevcTensors)
    luma = priors.integer_residual(0)
    priors = dataclasses.replace(priors, residual=(luma, *priors.residual[1:]))
    residual = tuple(priors.integer_residual(plane) for plane in range(len(priors.level)))
    return dataclasses.replace(priors, residual=residual)


def _cells(block: Block, step: int) -> tuple[slice, slice]:
    return (
        slice(block.y // step, (block.y + block.size) // step),
        slice(block.x // step, (block.x + block.size) // step),
    )


def _fill(
    rng: np.random.Generator,
    kinds: np.ndarray,
    level: np.ndarray,
    frame: int,
    block: Block,
    steps: tuple[int, int],
    *,
    luma: bool,
    intra: bool,
    bypass: bool,
    skips: float,
) -> None:
    """One transform block: its kind and its levels."""
    if rng.random() < 0.3:
        return
    rows = slice(block.y * steps[0] // 4, (block.y + block.size) * steps[0] // 4)
    columns = slice(block.x * steps[1] // 4, (block.x + block.size) * steps[1] // 4)
    kind = (
        4
        if bypass
        else 3
        if rng.random() < skips
        else 2
        if luma and intra and block.size == 4
        else 1
    )
    if kind > 2:
        kind += 8 * int(rng.integers(0, 3)) + (32 if intra and block.size == 4 else 0)
    kinds[frame, rows, columns] = kind
    made = np.rint(rng.laplace(0, 1.5, (block.size, block.size))).astype(np.int32)
    made[rng.random(made.shape) < 0.4] = 0
    level[(frame, *_cells(block, 1))] = made
