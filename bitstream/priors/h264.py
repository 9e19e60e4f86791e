"""The datasets of H.264: macroblocks, transforms, and the names of what they hold."""

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


class MbType(IntEnum):
    """`mb/type`. Intra types come first, those of B slices last."""

    I_4x4 = 0
    I_8x8 = 1
    I_16x16 = 2
    I_PCM = 3
    P_Skip = 4
    P_16x16 = 5
    P_16x8 = 6
    P_8x16 = 7
    P_8x8 = 8
    B_Skip = 9
    B_Direct = 10
    B_16x16 = 11
    B_16x8 = 12
    B_8x16 = 13
    B_8x8 = 14


LAST_INTRA, FIRST_B = MbType.I_PCM, MbType.B_Skip


class TuType(IntEnum):
    """`tu/y`: the transform in force; `BYPASS` is added where it is bypassed (lossless)."""

    NONE = 0
    TU_4X4 = 1
    TU_8X8 = 2
    INTRA16X16 = 3
    PCM = 4
    BYPASS = 8


TU_KIND = TuType.BYPASS - 1  # `tu & TU_KIND` is the transform, whether bypassed or not


class LumaMode(IntEnum):
    """`intra/luma`: those of the prediction modes that mean the same for blocks of every size."""

    VERTICAL = 0
    HORIZONTAL = 1
    DC = 2


class ChromaMode(IntEnum):
    """`intra/chroma`."""

    DC = 0
    HORIZONTAL = 1
    VERTICAL = 2
    PLANE = 3


MB_TYPES = values(MbType)
_TU_NAMES = ("none", "4x4", "8x8", "intra16x16", "pcm")
TU_TYPES = {name: k for k, name in enumerate(_TU_NAMES)} | {
    f"{name}_bypass": k + int(TuType.BYPASS) for k, name in enumerate(_TU_NAMES)
}

_PLANE_MEANING = [
    ("decoded", "sample", "decoder output, after deblocking", "sample value"),
    (
        "prediction",
        "sample",
        "intra or inter prediction before the residual is added (I_PCM: the PCM samples)",
        "sample value",
    ),
    (
        "residual",
        "difference",
        "decoded residual before clipping; clip(prediction + residual) is the picture before "
        "deblocking (I_PCM: 0)",
        "sample value",
    ),
    (
        "level",
        "difference",
        "transform coefficient levels, as coded, at their place inside their block; DC levels "
        "of Intra16x16 and of chroma at the DC place of the 4x4 block of the same raster "
        "position",
        "quantisation steps",
    ),
]
_MB = ("N", "H/16", "W/16")


FIELDS = by_path(
    [
        *frame_fields(
            poc="PicOrderCnt", keyframe="IDR picture", concealed="some macroblock was concealed"
        ),
        *plane_fields(_PLANE_MEANING),
        Field(
            "tu/y",
            "u1",
            ("N", "H/4", "W/4"),
            "transform in force per 4x4 luma block (none: skip, or no coded luma and no "
            "Intra16x16); plus 8 when the transform is bypassed",
            "",
            "tu",
            TU_TYPES,
        ),
        Field("mb/type", "u1", _MB, "macroblock type", "", "mb_type", MB_TYPES),
        Field("mb/qp_y", "i1", _MB, "QP_Y in force (I_PCM: 0)", "QP", "qp_y"),
        *(
            Field(
                f"mb/qp_{plane}",
                "i1",
                _MB,
                f"QP_C of {name} (I_PCM: 0)",
                "QP",
                f"qp_{plane}",
                when="not 4:0:0",
                formats=CHROMA,
            )
            for plane, name in (("cb", "Cb"), ("cr", "Cr"))
        ),
        Field("mb/cbp", "u1", _MB, "coded_block_pattern (Intra16x16: luma 0 or 15)", "", "cbp"),
        Field("mb/slice", "u2", _MB, "slice number in the picture, 65535 at most", "", "slice"),
        Field("mb/field", "u1", _MB, "1: field macroblock, or field picture", "", "field"),
        Field(
            "mb/concealed",
            "?",
            _MB,
            "invented: it did not come, or not its residual, or not the picture it refers to",
            "",
            "mb_concealed",
        ),
        Field(
            "mb/bits",
            "u4",
            _MB,
            "cost of the macroblock in the bitstream; over a picture they add up to its slice data",
            "1/256 bit",
            "mb_bits",
        ),
        *cost_fields(
            "mb/bits",
            _MB,
            types="types, intra prediction modes, coded_block_pattern, transform size and flags",
            motion="references and motion vectors",
            pcm="I_PCM",
            qp="mb_qp_delta",
        ),
        Field(
            "scaling/list4x4",
            "u1",
            ("S", 6, 16),
            "4x4 scaling lists, zig-zag order",
            "",
            "scaling4x4",
        ),
        Field(
            "scaling/list8x8",
            "u1",
            ("S", 6, 64),
            "8x8 scaling lists, zig-zag order",
            "",
            "scaling8x8",
        ),
        *motion_fields(8, vectors=" per 4x4 block", references=" per 8x8 block"),
        Field(
            "intra/luma",
            "i1",
            ("N", "H/4", "W/4"),
            "luma intra prediction mode per 4x4 block; -1 where not intra",
            "",
            "intra_luma",
            fill=-1,
            when="--modes",
        ),
        Field(
            "intra/chroma",
            "i1",
            _MB,
            "chroma intra prediction mode; -1 where not intra",
            "",
            "intra_chroma",
            fill=-1,
            when="--modes",
        ),
        *AUDIO_FIELDS,
    ]
)
