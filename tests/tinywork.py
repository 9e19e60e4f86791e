"""A work folder of a few small clips, made without an encoder, for tests of training.

The "decoded" picture is the source, blurred in blocks and noisy, so that there is something to
learn; prediction and residual add up to it.
"""

import json
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from davd.bitstream.priors.record import FrameRecord
from davd.bitstream.priors.writer import PriorsWriter

SPLITS = ("train", "train", "val", "test")


def make_work(
    folder: Path, *, frames: int = 9, size: int = 48, crfs: tuple[int, ...] = (42,)
) -> Path:
    """Two training clips, one for validation, one for testing; four speakers.

    Returns:
        The folder.
    """
    clips = []
    for number, split in enumerate(SPLITS):
        name = f"clip{number}"
        clean = _pictures(number, frames, size)
        path = folder / "clips" / f"{name}.mkv"
        path.parent.mkdir(parents=True, exist_ok=True)
        _write_video(path, clean)
        priors = {}
        for crf in crfs:
            relative = f"priors/crf{crf}/{name}.h5"
            (folder / relative).parent.mkdir(parents=True, exist_ok=True)
            _write_priors(folder / relative, clean, seed=number, crf=crf)
            priors[str(crf)] = relative
        clips.append({
            "name": name, "speaker": f"speaker {number}", "split": split,
            "segments": [[0, frames, split]], "source": "", "licence": "", "width": size,
            "height": size, "fps": "25/1", "frames": frames, "seconds": frames / 25,
            "clean": f"clips/{name}.mkv", "face": [8, 8, size - 16, size - 16],
            "mouth": [size // 4, size // 2, size // 2, size // 3],
            "audio": {"present": True, "delay_ms": 40.0, "certainty": 5.0, "sure": True,
                      "shift_applied_ms": 0.0},
            "coded": {}, "priors": priors,
        })  # fmt: skip
    index = {"format": "davd-index", "version": 1, "id": "0" * 12, "settings": {}, "clips": clips,
             "failed": []}  # fmt: skip
    (folder / "index.json").write_text(json.dumps(index))
    return folder


def _pictures(seed: int, frames: int, size: int) -> list[tuple[np.ndarray, ...]]:
    """Moving waves: Y, Cb, Cr per frame."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[:size, :size]
    phase, step = random.uniform(0, 6, 3), random.uniform(0.2, 0.5, 3)
    out = []
    for k in range(frames):
        waves = [
            np.sin(step[c] * (columns + k) + phase[c]) * np.cos(step[c] * rows) for c in range(3)
        ]
        planes = [np.rint(128 + 80 * wave).astype(np.uint8) for wave in waves]
        out.append((planes[0], planes[1][::2, ::2], planes[2][::2, ::2]))
    return out


def _write_video(path: Path, pictures: list[tuple[np.ndarray, ...]]) -> None:
    size = pictures[0][0].shape[0]
    with av.open(str(path), "w") as file:
        stream = file.add_stream("ffv1", rate=25)
        stream.width = stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.gop_size = 1
        stream.time_base = Fraction(1, 25)
        for k, planes in enumerate(pictures):
            flat = np.concatenate([plane.reshape(-1, size) for plane in planes])
            frame = av.VideoFrame.from_ndarray(flat, format="yuv420p")
            frame.pts = k
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))


def _write_priors(path: Path, clean: list[tuple[np.ndarray, ...]], *, seed: int, crf: int) -> None:
    size = clean[0][0].shape[0]
    random = np.random.default_rng((seed, crf))
    attributes = {
        "davd_version": "0", "source": "a.mp4", "source_sha256": "0" * 64, "profile_idc": 100,
        "level_idc": 30, "width": size, "height": size, "crop_left": 0, "crop_right": 0,
        "crop_top": 0, "crop_bottom": 0, "chroma_format": "4:2:0", "bit_depth_luma": 8,
        "bit_depth_chroma": 8, "color_matrix": "bt709", "color_range": "limited",
        "color_primaries": 1, "color_transfer": 1, "sample_aspect_ratio": "1/1", "rotation": 0,
        "display_matrix": "", "field_order": "progressive",
        "frame_rate": "25/1", "time_base": "1/25", "time_invented": False, "encoder": "",
        "first_frame": 0, "verified": False, "pixels": True,
    }  # fmt: skip
    with PriorsWriter(path, attributes) as writer:
        for k, planes in enumerate(clean):
            writer.append(_record(k, planes, random, crf))
        waves = np.sin(np.arange(len(clean) * 640) * (0.05 + 0.03 * seed)) * 8000
        writer.write_audio([waves.astype(np.int16)], sample_rate=16000, start_time=0.0)
        writer.finish()


def _record(
    k: int, planes: tuple[np.ndarray, ...], random: np.random.Generator, crf: int
) -> FrameRecord:
    decoded, prediction, residual, level = [], [], [], []
    for plane in planes:
        side = plane.shape[0]
        means = plane.reshape(side // 4, 4, side // 4, 4).mean((1, 3))
        blurred = (plane + means.repeat(4, 0).repeat(4, 1)) / 2
        noisy = blurred + random.normal(0, 4, plane.shape)
        decoded.append(noisy.clip(0, 255).astype(np.uint8))
        prediction.append((noisy * 0.9).clip(0, 255).astype(np.uint8))
        residual.append(decoded[-1].astype(np.int16) - prediction[-1])
        level.append(np.zeros(plane.shape, np.int16))
    size = planes[0].shape[0]
    blocks = (size // 16, size // 16)
    return FrameRecord(
        index=k, pts=k, time=k / 25, decode_order=k, poc=2 * k, picture_type=1, keyframe=k == 0,
        concealed=False, decoded=tuple(decoded), prediction=tuple(prediction),
        residual=tuple(residual), level=tuple(level),
        tu=random.integers(0, 4, (size // 4, size // 4)).astype(np.uint8),
        mb_type=random.integers(0, 15, blocks).astype(np.uint8),
        qp_y=np.full(blocks, crf, np.int8), qp_cb=np.full(blocks, 36, np.int8),
        qp_cr=np.full(blocks, 36, np.int8), cbp=np.zeros(blocks, np.uint8),
        slice=np.zeros(blocks, np.uint16), field=np.zeros(blocks, np.uint8),
        scaling4x4=np.full((6, 16), 16, np.uint8), scaling8x8=np.full((6, 64), 16, np.uint8),
        mv=None, ref=None, intra_luma=None, intra_chroma=None,
    )  # fmt: skip
