"""Types of the extension module: see _hevc.pyx for what each name means."""

import numpy as np
import numpy.typing as npt

from ._core import Buffer, SamplePlanes, SignedPlanes, StreamInfo

class HevcFrame:
    decoded: SamplePlanes
    prediction: SamplePlanes
    residual: SignedPlanes
    level: SignedPlanes
    cu_size: npt.NDArray[np.uint8]
    cu_mode: npt.NDArray[np.uint8]
    cu_part: npt.NDArray[np.uint8]
    cu_bypass: npt.NDArray[np.bool_]
    cu_bits: npt.NDArray[np.uint32]
    bits_type: npt.NDArray[np.uint32] | None
    bits_motion: npt.NDArray[np.uint32] | None
    bits_luma: npt.NDArray[np.uint32] | None
    bits_chroma: npt.NDArray[np.uint32] | None
    bits_qp: npt.NDArray[np.uint32] | None
    tu_size: npt.NDArray[np.uint8]
    tu_kind: npt.NDArray[np.uint8]
    tu_kind_cb: npt.NDArray[np.uint8] | None
    tu_kind_cr: npt.NDArray[np.uint8] | None
    res_scale_cb: npt.NDArray[np.int8] | None
    res_scale_cr: npt.NDArray[np.int8] | None
    scaling4x4: npt.NDArray[np.uint8]
    scaling8x8: npt.NDArray[np.uint8]
    scaling_dc: npt.NDArray[np.uint8]
    pu_merge: npt.NDArray[np.bool_]
    qp_y: npt.NDArray[np.int8]
    qp_cb: npt.NDArray[np.int8] | None
    qp_cr: npt.NDArray[np.int8] | None
    intra_luma: npt.NDArray[np.int8] | None
    intra_chroma: npt.NDArray[np.int8] | None
    mv: npt.NDArray[np.int16] | None
    ref: npt.NDArray[np.int32] | None
    ref_poc: npt.NDArray[np.int32] | None
    ctu_concealed: npt.NDArray[np.bool_]
    ctu_bits: npt.NDArray[np.uint32]
    ctu_slice: npt.NDArray[np.uint16]
    ctu_tile: npt.NDArray[np.uint16]
    ctu_sao: npt.NDArray[np.int16]
    bits: int
    bytes: int
    decode_order: int
    poc: int
    picture_type: int
    keyframe: bool
    concealed: bool
    concealed_ctus: int
    hash: int
    pts: int | None
    stream: StreamInfo

class HevcDecoder:
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
        headers: bool = False,
        patient: bool = False,
        pixels: bool = True,
        max_pixels: int = 0,
        lent: bool = False,
    ) -> None: ...
    def send(self, data: Buffer, pts: int | None = None) -> None: ...
    def flush(self) -> None: ...
    def receive(self, *, skip: bool = False) -> HevcFrame | None: ...
    @property
    def warnings(self) -> dict[str, int]: ...
