"""Random but lawful priors, for tests of the transforms and the projection."""

import dataclasses

import numpy as np
import torch
from davd.data.sample import Planes, Sample
from davd.restore.projection.h264 import H264Tensors
from davd.restore.projection.transforms import UnitMaps, integer_residual
from davd.restore.projection.units import PriorsTensors, to_display_rows, to_macroblock_rows

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
    named = bypass & (transform != 0)  # without coded luma only QP'_Y of 0 tells
    bypass = named | (bypass & named.any((1, 2), keepdims=True))
    pairs = rng.random((frames, (rows + 1) // 2, columns)) < fields * (rows % 2 == 0)
    field = np.repeat(pairs, 2, axis=1)[:, :rows]
    arrays = {
        "tu/y": (transform + 8 * named).astype(np.uint8).repeat(4, 1).repeat(4, 2),
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
        lowest = -6 * (depth - 8)
        arrays[f"mb/qp_{name}"] = rng.integers(low + lowest, high + 1, grid, np.int8)
        if name == "y":
            arrays["mb/qp_y"][bypass] = lowest
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


def encoded(seed: int, bias: float, **options: object) -> tuple[PriorsTensors, list[torch.Tensor]]:
    """A source, and priors of its encode by a quantiser that adds `bias` before it cuts.

    Returns:
        Priors, and the source as integer planes `[B, Hp, Wp]`.
    """
    priors = random_priors(seed, flat=True, **options)  # type: ignore[arg-type]
    generator = torch.Generator().manual_seed(seed)
    field = priors.field if priors.field.any() else None
    source, levels = [], []
    transform = priors.transform()[:, ::4, ::4]
    for plane, prediction in enumerate(priors.prediction):
        noise = torch.randn(prediction.shape, generator=generator, dtype=torch.float64)
        samples = (prediction + 25 * noise).round().clamp(0, 255)
        maps = UnitMaps(priors, plane, dtype=torch.float64)
        true = maps.level(to_macroblock_rows(samples - prediction, field))
        level = (true.sign() * (true.abs() + bias).floor()).int()
        empty = (transform == 4) | (transform == 0)
        height, width = priors.macroblock(plane)
        level[empty.repeat_interleave(height, 1).repeat_interleave(width, 2)] = 0
        source.append(samples.int())
        levels.append(level)
    priors = dataclasses.replace(priors, level=tuple(levels))
    residual = tuple(integer_residual(priors, plane) for plane in range(len(levels)))
    prediction = list(priors.prediction)
    pcm = (transform == 4).repeat_interleave(16, 1).repeat_interleave(16, 2)
    for plane, samples in enumerate(source):  # I_PCM sends the samples themselves
        height, width = priors.macroblock(plane)
        mask = pcm[:, :: 16 // height, :: 16 // width]
        ordered = torch.where(mask, to_macroblock_rows(samples, field),
                              to_macroblock_rows(prediction[plane], field))  # fmt: skip
        prediction[plane] = to_display_rows(ordered, field)
    return dataclasses.replace(priors, residual=residual, prediction=tuple(prediction)), source


def sample_of(priors: PriorsTensors, batch: int, **more: Planes) -> Sample:
    """A sample of `batch` clips with the frames of priors; `decoded` is left as the prediction."""

    def shaped(tensor: torch.Tensor) -> torch.Tensor:
        return tensor.view(batch, -1, *tensor.shape[1:])

    groups = {
        name: Planes(*(shaped(plane) for plane in getattr(priors, name)))
        for name in ("prediction", "residual", "level")
    }
    maps = {
        name: shaped(getattr(priors, name))
        for name in H264Tensors.SAMPLE
        if not name.startswith("qp_")
    }
    qp = {f"qp_{name}": shaped(q) for name, q in zip(("y", "cb", "cr"), priors.qp, strict=True)}
    extra = {name: planes.map(shaped) for name, planes in more.items()}
    return Sample(decoded=groups["prediction"], **groups, **maps, **qp, **extra)
