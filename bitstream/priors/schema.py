"""The priors file, schema version 1: every attribute and dataset, written down once.

The writer creates what stands in `FIELDS`, the reader checks against it, and `docs/format.md` is
printed from it. One HDF5 file a video. `N` frames in display order; planes have the coded size (a
multiple of 16 luma samples), the crop is in the attributes. `Hc, Wc` are the coded height and width
of the plane in question, `H, W` those of luma.

Interlaced material: a pair of fields, or an MBAFF frame, is one frame. `decoded`, `prediction` and
`residual` are in display rows; `level`, `tu` and `mb/*` in macroblock order (a pair's top-field
macroblock in map row 2k, its bottom-field macroblock in row 2k+1), and `mb/field` says where the
two differ.
"""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

FORMAT = "davd-priors"
SCHEMA_VERSION = 1

PLANES = ("y", "cb", "cr")
PLANE_GROUPS = ("decoded", "prediction", "residual", "level")
OPTIONS = {"motion": "motion", "intra": "modes", "bits": "bits"}
"""Groups of datasets that must be asked for, and the option that does."""


class PictureType(IntEnum):
    """`frames/picture_type`: the most general slice type of a picture."""

    I = 0  # noqa: E741 - its name in H.264
    P = 1
    B = 2


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


def _values(names: type[IntEnum]) -> dict[str, int]:
    return {member.name: int(member) for member in names}


PICTURE_TYPES = _values(PictureType)
MB_TYPES = _values(MbType)
_TU_NAMES = ("none", "4x4", "8x8", "intra16x16", "pcm")
TU_TYPES = {name: k for k, name in enumerate(_TU_NAMES)} | {
    f"{name}_bypass": k + int(TuType.BYPASS) for k, name in enumerate(_TU_NAMES)
}
# Table E-5 of H.264, names as FFmpeg and most tools spell them.
COLOR_MATRICES = {
    0: "gbr",
    1: "bt709",
    2: "unspecified",
    4: "fcc",
    5: "bt470bg",
    6: "smpte170m",
    7: "smpte240m",
    8: "ycgco",
    9: "bt2020nc",
    10: "bt2020c",
}
CHROMA_FORMATS = ("4:0:0", "4:2:0", "4:2:2", "4:4:4")
SUBSAMPLING = ((1, 1), (2, 2), (1, 2), (1, 1))
"""SubHeightC and SubWidthC by chroma_format_idc (Table 6-1)."""

ATTRIBUTES = {
    "format": f"always {FORMAT!r}",
    "schema_version": f"{SCHEMA_VERSION}; readers refuse others",
    "davd_version": "version of davd that wrote the file",
    "source": "name of the video, without its folder",
    "source_sha256": "SHA-256 of the whole video file, hexadecimal",
    "codec": "always 'h264'",
    "profile_idc": "profile of the active sequence parameter set (100 is High)",
    "level_idc": "level of the same, times ten",
    "width": "width after cropping, luma samples",
    "height": "height after cropping, luma samples",
    "crop_left": "luma samples to cut off on the left of a coded plane",
    "crop_right": "the same on the right",
    "crop_top": "the same at the top",
    "crop_bottom": "the same at the bottom",
    "chroma_format": "'4:0:0', '4:2:0', '4:2:2' or '4:4:4'",
    "bit_depth_luma": "bits of a luma sample, 8 to 14",
    "bit_depth_chroma": "bits of a chroma sample, 8 to 14",
    "color_matrix": "matrix coefficients by name, 'unspecified' where the video does not say",
    "color_range": "'limited' or 'full'",
    "color_primaries": "colour primaries, as H.264 numbers them; 2 is unspecified",
    "color_transfer": "transfer characteristics, as H.264 numbers them; 2 is unspecified",
    "sample_aspect_ratio": "width to height of one sample, as '1/1'",
    "rotation": "degrees that a player turns the picture counterclockwise",
    "display_matrix": "how a player turns and mirrors the picture: the nine numbers of the display "
    "matrix, as '0 -65536 0 65536 0 0 0 0 1073741824', empty where there is none",
    "field_order": "field shown first, 'top' or 'bottom'; 'progressive' where frames are whole",
    "frame_rate": "frames a second, as '25/1'; the mean where it varies",
    "time_base": "unit of frames/pts in seconds, as '1/12800'",
    "time_invented": "True: the video has no timing, 25/1 was assumed",
    "encoder": "user-data SEI text of x264 and others, empty where there is none",
    "first_frame": "display index, in the video, of frame 0 of this file (0 unless for a range)",
    "pixels": "False: samples were not made, syntax is all that was decoded",
    "verified": "True: every frame was compared with FFmpeg's and is equal",
    "complete": "True, set last of all: nothing is missing",
}


@dataclass(frozen=True)
class Field:
    """One dataset of the file.

    Attributes:
        path: Its name in the file.
        dtype: NumPy type, or `sample` (uint8, uint16 over 8 bit) or `difference` (int16, int32 over
            8 bit and in 4:0:0).
        shape: Its axes; `N` frames first where it has a row per frame.
        description: Meaning, also stored as the dataset's `description`.
        units: Unit, also stored; empty where the numbers have none.
        record: Attribute of a frame record, and of the decoder's `Frame`, that holds one row; empty
            where there is none.
        values: Names of the values of an enumeration.
        fill: Value of what is not stored.
        when: What must be asked for (or be in the video) for the dataset to be there; empty:
            always.
    """

    path: str
    dtype: str
    shape: tuple[str | int, ...]
    description: str
    units: str = ""
    record: str = ""
    values: dict[str, int] | None = None
    fill: int = 0
    when: str = ""

    @property
    def per_frame(self) -> bool:
        """Whether the dataset has one row per frame."""
        return self.shape[0] == "N"

    @property
    def tap(self) -> str:
        """What must be asked for: one of `PLANE_GROUPS` or `OPTIONS`; empty: it is always there."""
        group = self.path.partition("/")[0]
        return group if group in PLANE_GROUPS else OPTIONS.get(group, "")

    def row(self, coded: tuple[int, int], chroma_format_idc: int) -> tuple[int, ...]:
        """Shape of a row.

        Args:
            coded: Height and width of a coded luma plane.
            chroma_format_idc: 0 4:0:0, 1 4:2:0, 2 4:2:2, 3 4:4:4.
        """
        (height, width), plane = coded, self.path.rpartition("/")[2]
        down, across = (1, 1) if plane == "y" else SUBSAMPLING[chroma_format_idc]
        sides = {"H": height, "W": width, "Hc": height // down, "Wc": width // across}
        shape = []
        for axis in self.shape[1:]:
            name, _, step = str(axis).partition("/")
            shape.append(sides[name] // int(step or 1) if name in sides else int(axis))
        return tuple(shape)

    def type(self, *, deep: bool, grey: bool) -> np.dtype:
        """Type of an element.

        Args:
            deep: Luma or chroma has more than 8 bits.
            grey: There is no chroma.
        """
        kinds = {"sample": "u2" if deep else "u1", "difference": "i4" if deep or grey else "i2"}
        return np.dtype(kinds.get(self.dtype, self.dtype))


def _plane_fields() -> list[Field]:
    meaning = {
        "decoded": ("sample", "decoder output, after deblocking", "sample value"),
        "prediction": (
            "sample",
            "intra or inter prediction before the residual is added (I_PCM: the PCM samples)",
            "sample value",
        ),
        "residual": (
            "difference",
            "decoded residual before clipping; clip(prediction + residual) is the picture before "
            "deblocking (I_PCM: 0)",
            "sample value",
        ),
        "level": (
            "difference",
            "transform coefficient levels, as coded, at their place inside their block; DC levels "
            "of Intra16x16 and of chroma at the DC place of the 4x4 block of the same raster "
            "position",
            "quantisation steps",
        ),
    }
    names = {"y": "luma", "cb": "Cb", "cr": "Cr"}
    return [
        Field(
            f"{group}/{plane}",
            dtype,
            ("N", "Hc", "Wc"),
            f"{names[plane]}: {text}",
            units,
            group,
            when=f"--planes {group}" + ("" if plane == "y" else ", not 4:0:0"),
        )
        for group, (dtype, text, units) in meaning.items()
        for plane in PLANES
    ]


_MB = ("N", "H/16", "W/16")


def _cost_fields() -> list[Field]:
    meaning = {
        "type": "types, intra prediction modes, coded_block_pattern, transform size and flags",
        "motion": "references and motion vectors",
        "luma": "luma levels (I_PCM: luma samples)",
        "chroma": "chroma levels (I_PCM: chroma samples)",
        "qp": "mb_qp_delta",
    }
    return [
        Field(
            f"bits/{name}",
            "u4",
            _MB,
            f"part of mb/bits: {text}",
            "1/256 bit",
            f"bits_{name}",
            when="--bits detailed",
        )
        for name, text in meaning.items()
    ]


FIELDS: dict[str, Field] = {
    f.path: f
    for f in [
        Field("frames/pts", "i8", ("N",), "presentation time", "time_base", "pts"),
        Field("frames/time", "f8", ("N",), "presentation time", "seconds", "time"),
        Field("frames/decode_order", "i4", ("N",), "place in decoding order", "", "decode_order"),
        Field("frames/poc", "i4", ("N",), "PicOrderCnt", "", "poc"),
        Field(
            "frames/picture_type",
            "u1",
            ("N",),
            "most general slice type of the picture",
            "",
            "picture_type",
            PICTURE_TYPES,
        ),
        Field("frames/keyframe", "?", ("N",), "IDR picture", "", "keyframe"),
        Field("frames/concealed", "?", ("N",), "some macroblock was concealed", "", "concealed"),
        Field("frames/bits", "u4", ("N",), "slice data of the picture", "bits", "bits"),
        Field(
            "frames/bytes",
            "u4",
            ("N",),
            "NAL units of the access unit, without start codes or lengths",
            "bytes",
            "bytes",
        ),
        Field("frames/scaling", "u1", ("N",), "row of scaling/* in force", "", ""),
        *_plane_fields(),
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
        Field("mb/qp_cb", "i1", _MB, "QP_C of Cb (I_PCM: 0)", "QP", "qp_cb", when="not 4:0:0"),
        Field("mb/qp_cr", "i1", _MB, "QP_C of Cr (I_PCM: 0)", "QP", "qp_cr", when="not 4:0:0"),
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
        *_cost_fields(),
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
        Field(
            "motion/mv",
            "i2",
            ("N", 2, "H/4", "W/4", 2),
            "motion vectors (x, y) of list 0 and 1 per 4x4 block",
            "quarter luma samples",
            "mv",
            when="--motion",
        ),
        Field(
            "motion/ref",
            "i4",
            ("N", 2, "H/8", "W/8"),
            "display index of the reference frame per 8x8 block; -1 none, -2 a frame that is not "
            "in this file",
            "frames",
            "ref",
            fill=-1,
            when="--motion",
        ),
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
        Field(
            "audio/samples",
            "i2",
            ("S",),
            "sound, mono; attributes sample_rate (Hz) and start_time (seconds on the video's "
            "clock)",
            "1/32768 of full scale",
            when="the video has sound",
        ),
        Field(
            "audio/original",
            "u1",
            ("bytes",),
            "the video's own sound track, packets untouched, as a Matroska file; attribute "
            "start_time (time of its first packet, seconds on the video's clock)",
            "bytes",
            when="the video has sound of a kind that Matroska holds",
        ),
    ]
}
