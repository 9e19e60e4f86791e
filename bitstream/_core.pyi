"""Types of the extension module: see _core.pyx for what each name means."""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Buffer: TypeAlias = bytes | bytearray | memoryview
Samples: TypeAlias = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
Signed: TypeAlias = npt.NDArray[np.int16] | npt.NDArray[np.int32]
SamplePlanes: TypeAlias = tuple[Samples, ...]
SignedPlanes: TypeAlias = tuple[Signed, ...]

class DavdError(Exception): ...
class CorruptStreamError(DavdError, ValueError): ...
class UnsupportedStreamError(DavdError, NotImplementedError): ...
class StreamMemoryError(DavdError, MemoryError): ...

@dataclass(frozen=True)
class StreamInfo:
    profile_idc: int
    level_idc: int
    coded_width: int
    coded_height: int
    width: int
    height: int
    crop_left: int
    crop_right: int
    crop_top: int
    crop_bottom: int
    chroma_format_idc: int
    bit_depth_luma: int
    bit_depth_chroma: int
    matrix_coefficients: int
    colour_primaries: int
    transfer_characteristics: int
    video_full_range: bool
    sar_width: int
    sar_height: int
    num_units_in_tick: int
    time_scale: int
    encoder: str
    ctu_size: int = ...
    field_seq: bool = ...
    @property
    def coded_size(self) -> tuple[int, int]: ...
    @property
    def crop(self) -> tuple[slice, slice]: ...

class Frame:
    decoded: SamplePlanes
    prediction: SamplePlanes
    residual: SignedPlanes
    level: SignedPlanes
    tu: npt.NDArray[np.uint8]
    mb_type: npt.NDArray[np.uint8]
    qp_y: npt.NDArray[np.int8]
    qp_cb: npt.NDArray[np.int8] | None
    qp_cr: npt.NDArray[np.int8] | None
    cbp: npt.NDArray[np.uint8]
    slice: npt.NDArray[np.uint16]
    field: npt.NDArray[np.uint8]
    mb_concealed: npt.NDArray[np.bool_]
    intra_luma: npt.NDArray[np.int8] | None
    intra_chroma: npt.NDArray[np.int8] | None
    mv: npt.NDArray[np.int16] | None
    ref: npt.NDArray[np.int32] | None
    mb_bits: npt.NDArray[np.uint32]
    bits_type: npt.NDArray[np.uint32] | None
    bits_motion: npt.NDArray[np.uint32] | None
    bits_luma: npt.NDArray[np.uint32] | None
    bits_chroma: npt.NDArray[np.uint32] | None
    bits_qp: npt.NDArray[np.uint32] | None
    scaling4x4: npt.NDArray[np.uint8]
    scaling8x8: npt.NDArray[np.uint8]
    decode_order: int
    poc: int
    picture_type: int
    concealed_mbs: int
    bits: int
    bytes: int
    keyframe: bool
    recovery_point: bool
    concealed: bool
    pts: int | None
    stream: StreamInfo

class Decoder:
    def __init__(
        self,
        *,
        extradata: Buffer | None = None,
        decoded: bool = True,
        prediction: bool = True,
        residual: bool = True,
        level: bool = True,
        motion: bool = False,
        modes: bool = False,
        bits: bool = False,
        units: bool = False,
        headers: bool = False,
        patient: bool = False,
        pixels: bool = True,
        max_pixels: int = 0,
        threads: int = 1,
        lent: bool = False,
    ) -> None: ...
    def send(self, data: Buffer, pts: int | None = None) -> None: ...
    def flush(self) -> None: ...
    def receive(self, *, skip: bool = False) -> Frame | None: ...
    @property
    def warnings(self) -> dict[str, int]: ...

def pack_chunks(
    array: np.ndarray,
    height: int,
    width: int,
    item: int,
    chunk_height: int,
    chunk_width: int,
    period: int,
    fill: int,
    deflated: bool,
) -> list[bytes | None]: ...
