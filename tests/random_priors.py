"""Random but lawful priors, for tests of the transforms and the projection."""

import dataclasses

import numpy as np
import torch
from davd.restore.transforms import integer_residual
from davd.restore.units import PriorsTensors

CHROMA = {"4:0:0": (0, 0), "4:2:0": (8, 8), "4:2:2": (16, 8), "4:4:4": (16, 16)}
TYPES = {0: (0, 4, 5, 9, 12), 1: (0, 5, 8, 14), 2: (1, 5, 11), 3: (2,), 4: (3,)}  # per transform


def random_arrays(
    seed: int,
    *,
    chroma: str = "4:2:0",
    depth: int = 8,
    transforms: tuple[int, ...] = (0, 1, 2, 3, 4),
    lossless: float = 0.0,
    fields: float = 0.5,
    flat: bool = False,
    frames: int = 2,
    rows: int = 2,
    columns: int = 3,
    qp: tuple[int, int] = (0, 51),
) -> dict[str, np.ndarray]:
    """Arrays named as in a priors file; `residual` is left at 0."""
    rng = np.random.default_rng(seed)
    grid = (frames, rows, columns)
    transform = rng.choice(transforms, grid)
    mb_type = np.vectorize(lambda t: rng.choice(TYPES[t]))(transform).astype(np.uint8)
    bypass = (rng.random(grid) < lossless) & (transform != 4)
    field = np.repeat(rng.random((frames, rows // 2, columns)) < fields, 2, axis=1)
    arrays = {
        "tu/y": (transform + 8 * bypass).astype(np.uint8).repeat(4, 1).repeat(4, 2),
        "mb/type": mb_type,
        "mb/field": field.astype(np.uint8),
        "scaling4x4": rng.integers(1, 256, (frames, 6, 16), np.uint8),
        "scaling8x8": rng.integers(1, 256, (frames, 6, 64), np.uint8),
        "intra/luma": rng.integers(0, 3, (frames, 4 * rows, 4 * columns)).astype(np.int8),
        "intra/chroma": rng.integers(0, 4, grid).astype(np.int8),
    }
    if flat:
        arrays |= {name: np.full_like(arrays[name], 16) for name in ("scaling4x4", "scaling8x8")}
    sizes = {"y": (16, 16)} | dict.fromkeys(("cb", "cr"), CHROMA[chroma])
    for name, (height, width) in sizes.items():
        if not height:
            continue
        shape = frames, rows * height, columns * width
        level = np.rint(rng.laplace(0, 1.5, shape)).astype(np.int32)
        level *= rng.random(grid).repeat(height, 1).repeat(width, 2) < 0.8
        empty = transform == 4 if (height, width) != (16, 16) else np.isin(transform, (0, 4))
        level[empty.repeat(height, 1).repeat(width, 2)] = 0
        arrays[f"level/{name}"] = level
        arrays[f"residual/{name}"] = np.zeros(shape, np.int32)
        arrays[f"prediction/{name}"] = rng.integers(0, 1 << depth, shape).astype(np.uint16)
        low, high = qp
        arrays[f"mb/qp_{name}"] = rng.integers(low - 6 * (depth - 8), high + 1, grid, np.int8)
    return arrays


def random_priors(seed: int, *, depth: int = 8, **options: object) -> PriorsTensors:
    """The same as tensors, with the residual that the levels give."""
    arrays = random_arrays(seed, depth=depth, **options)  # type: ignore[arg-type]
    priors = PriorsTensors.from_arrays(arrays, bit_depth=(depth, depth))
    residual = tuple(integer_residual(priors, plane) for plane in range(len(priors.level)))
    return dataclasses.replace(priors, residual=residual)


def random_planes(
    priors: PriorsTensors, seed: int, *, spread: float, dtype: torch.dtype = torch.float32
) -> list[torch.Tensor]:
    """Planes in [0, 1] scattered about what the decoder made, by `spread` samples."""
    generator = torch.Generator().manual_seed(seed)
    planes = []
    for plane, (prediction, residual) in enumerate(
        zip(priors.prediction, priors.residual, strict=True)
    ):
        noise = torch.randn(residual.shape, generator=generator, dtype=torch.float64)
        samples = prediction + residual + spread * noise
        planes.append((samples / ((1 << priors.depth(plane)) - 1)).to(dtype))
    return planes
