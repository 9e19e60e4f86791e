"""The datasets of HEVC: coding, prediction and transform units, and the names of what they hold."""

from enum import IntEnum

from .field import (
    AUDIO_FIELDS,
    CHROMA,
    Field,
    by_path,
    cost_fields,
    frame_fields,
    motion_fields,
    plane_fields,
    values,
)


class CuMode(IntEnum):
    """`cu/mode`."""

    SKIP = 0
    INTER = 1
    INTRA = 2
    PCM = 3


class PartMode(IntEnum):
    """`cu/part` (7.4.9.5)."""

    PART_2Nx2N = 0
    PART_2NxN = 1
    PART_Nx2N = 2
    PART_NxN = 3
    PART_2NxnU = 4
    PART_2NxnD = 5
    PART_nLx2N = 6
    PART_nRx2N = 7


class TuKind(IntEnum):
    """`tu/kind*`: what makes the residual of a block; the last three are added to skip and bypass.

    `RDPCM_*`: the residual is accumulated along rows or columns (8.6.8). `ROTATED`: it is turned by
    180 degrees before that (8.6.2).
    """

    NONE = 0
    DCT = 1
    DST = 2
    SKIP = 3
    BYPASS = 4
    RDPCM_HORIZONTAL = 8
    RDPCM_VERTICAL = 16
    ROTATED = 32


KIND = 7  # `tu_kind & KIND` is the transform alone
PLANAR, DC, HORIZONTAL, VERTICAL = 0, 1, 10, 26  # of `intra/luma`, `intra/chroma`; 2 to 34: angles


class Hash(IntEnum):
    """`frames/hash`."""

    NONE = 0
    RIGHT = 1
    WRONG = 2


HASHES = values(Hash)
CU_MODES, PART_MODES = values(CuMode), values(PartMode)
TU_KINDS = {kind.name.lower(): int(kind) for kind in list(TuKind)[:5]} | {
    "_".join(filter(None, (kind.name.lower(), rdpcm, turned))): int(kind) + accumulated + rotated
    for kind in (TuKind.SKIP, TuKind.BYPASS)
    for rdpcm, accumulated in (("", 0), ("rdpcm_horizontal", 8), ("rdpcm_vertical", 16))
    for turned, rotated in (("", 0), ("rotated", 32))
}

_PLANE_MEANING = [
    ("decoded", "sample", "decoder output, after deblocking and SAO", "sample value"),
    (
        "prediction",
        "sample",
        "intra or inter prediction before the residual is added (PCM: the PCM samples)",
        "sample value",
    ),
    (
        "residual",
        "difference",
        "decoded residual before clipping, cross-component prediction included; clip(prediction + "
        "residual) is the picture before deblocking (PCM: 0)",
        "sample value",
    ),
    (
        "level",
        "difference",
        "transform coefficient levels, as coded, at their place inside their transform block "
        "(neither scaled nor rotated; PCM: 0)",
        "quantisation steps",
    ),
]
_MAP = ("N", "H/4", "W/4")
_CTU = ("N", "H/CTU", "W/CTU")


def _chroma(
    path: str,
    dtype: str,
    text: str,
    units: str = "",
    names: dict[str, int] | None = None,
    formats: tuple[int, ...] = CHROMA,
) -> list[Field]:
    """A map for each chroma plane; `{}` stands for its name."""
    return [
        Field(
            path.format(plane),
            dtype,
            _MAP,
            text.format(name),
            units,
            path.format(plane).replace("/", "_").replace("tu_res", "res"),
            names,
            when="4:4:4" if formats == (3,) else "not 4:0:0",
            formats=formats,
        )
        for plane, name in (("cb", "Cb"), ("cr", "Cr"))
    ]


FIELDS = by_path(
    [
        *frame_fields(
            poc="PicOrderCntVal",
            keyframe="IRAP picture",
            concealed="some coding tree unit was invented, or a reference picture never came",
        ),
        Field(
            "frames/hash",
            "u1",
            ("N",),
            "what the decoded picture hash SEI says of the picture; none: it has none, or was "
            "concealed, or samples were not made",
            "",
            "hash",
            HASHES,
        ),
        *plane_fields(_PLANE_MEANING),
        Field("cu/size", "u1", _MAP, "coding block", "log2 of its side", "cu_size"),
        Field("cu/mode", "u1", _MAP, "how the coding unit is predicted", "", "cu_mode", CU_MODES),
        Field("cu/part", "u1", _MAP, "PartMode (skip: 2Nx2N)", "", "cu_part", PART_MODES),
        Field("cu/bypass", "?", _MAP, "cu_transquant_bypass_flag", "", "cu_bypass"),
        Field(
            "cu/bits",
            "u4",
            ("N", "H/8", "W/8"),
            "cost of the whole coding unit in the bitstream, in each of its 8x8 blocks; over the "
            "units of a coding tree unit they add up to ctu/bits less SAO and what ends slices and "
            "rows",
            "1/256 bit",
            "cu_bits",
        ),
        *cost_fields(
            "cu/bits",
            ("N", "H/8", "W/8"),
            types="split_cu_flag, skip and mode flags, partitions, intra prediction modes, the "
            "transform tree",
            motion="prediction units: merging, references and motion vectors",
            pcm="PCM",
            qp="cu_qp_delta and cu_chroma_qp_offset",
        ),
        Field(
            "tu/size",
            "u1",
            _MAP,
            "luma transform block; 0 without a transform tree (skip, rqt_root_cbf 0, PCM)",
            "log2 of its side",
            "tu_size",
        ),
        Field(
            "tu/kind",
            "u1",
            _MAP,
            "what makes the residual of the luma transform block; none: it has no levels",
            "",
            "tu_kind",
            TU_KINDS,
        ),
        *_chroma(
            "tu/kind_{}",
            "u1",
            "the same for {}, where its block lies (in 4:2:0 that of 4x4 luma blocks covers four)",
            names=TU_KINDS,
        ),
        *_chroma(
            "tu/res_scale_{}",
            "i1",
            "ResScaleVal of cross-component prediction of {} (7.4.9.12)",
            "eighths",
            formats=(3,),
        ),
        Field("qp/y", "i1", _MAP, "QpY, without QpBdOffset", "QP", "qp_y"),
        *_chroma("qp/{}", "i1", "quantisation parameter of {}, without QpBdOffset", "QP"),
        Field("pu/merge", "?", _MAP, "merge_flag (skip: 1)", "", "pu_merge"),
        Field(
            "ctu/bits",
            "u4",
            _CTU,
            "cost of the coding tree unit in the bitstream; over a picture they add up to its "
            "slice data",
            "1/256 bit",
            "ctu_bits",
        ),
        Field(
            "ctu/sao",
            "i2",
            (*_CTU, 3, 6),
            "SAO of Y, Cb, Cr: 0 none, 1 band, 2 edge; band position or edge class; four offsets",
            "",
            "ctu_sao",
        ),
        Field("ctu/slice", "u2", _CTU, "slice segment's number in the picture", "", "ctu_slice"),
        Field("ctu/tile", "u2", _CTU, "tile's number in the picture", "", "ctu_tile"),
        Field(
            "ctu/concealed",
            "?",
            _CTU,
            "invented: it did not come, or refers to a picture that did not",
            "",
            "ctu_concealed",
        ),
        Field(
            "scaling/list4x4",
            "u1",
            ("S", 6, 16),
            "scaling lists of 4x4 blocks (intra Y, Cb, Cr, inter Y, Cb, Cr), up-right diagonal "
            "order; 16 where there are none (for skipped transforms over 4x4 always)",
            "",
            "scaling4x4",
        ),
        Field(
            "scaling/list8x8",
            "u1",
            ("S", 3, 6, 64),
            "the same of 8x8, 16x16 and 32x32 blocks, an entry for 1, 2x2 and 4x4 levels",
            "",
            "scaling8x8",
        ),
        Field(
            "scaling/dc",
            "u1",
            ("S", 2, 6),
            "factor of the DC level of 16x16 and of 32x32 blocks",
            "",
            "scaling_dc",
        ),
        *motion_fields(4),
        Field(
            "intra/luma",
            "i1",
            _MAP,
            "IntraPredModeY: planar 0, DC 1, angles 2 to 34; -1 where not intra, and in PCM",
            "",
            "intra_luma",
            fill=-1,
            when="--modes",
        ),
        Field(
            "intra/chroma",
            "i1",
            _MAP,
            "IntraPredModeC, likewise; after the mapping of 4:2:2",
            "",
            "intra_chroma",
            fill=-1,
            when="--modes, not 4:0:0",
            formats=CHROMA,
        ),
        *AUDIO_FIELDS,
    ]
)
