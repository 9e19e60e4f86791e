"""The priors file: every attribute and dataset, written down once.

The writer creates what stands in `FIELDS`, the reader checks against it, and `docs/format.md` is
printed from it. One HDF5 file a video, `N` frames in display order. Files of H.264 are of schema
version 1, those of HEVC of version 2, which has the same planes and other maps.

Planes have the coded size (H.264: a multiple of 16 luma samples; HEVC: of the smallest coding
block), the crop is in the attributes. `Hc, Wc` are the coded height and width of the plane in
question, `H, W` those of luma, `CTU` the side of a coding tree unit. Maps have a value per block
of the grid that their shape names, that of the unit that covers it.

Interlaced H.264: a pair of fields, or an MBAFF frame, is one frame. `decoded`, `prediction` and
`residual` are in display rows; `level`, `tu` and `mb/*` in macroblock order (a pair's top-field
macroblock in map row 2k, its bottom-field macroblock in row 2k+1), and `mb/field` says where the
two differ. Interlaced HEVC: every field is a picture, and a frame here.
"""

from . import h264, hevc
from .field import (
    OPTIONS,
    PICTURE_TYPES,
    PLANE_GROUPS,
    PLANES,
    SUBSAMPLING,
    Field,
    Grid,
    PictureType,
)
from .h264 import (
    FIRST_B,
    LAST_INTRA,
    MB_TYPES,
    TU_KIND,
    TU_TYPES,
    ChromaMode,
    LumaMode,
    MbType,
    TuType,
)

__all__ = [
    "ATTRIBUTES",
    "CHROMA_FORMATS",
    "COLOR_MATRICES",
    "FIELDS",
    "FIRST_B",
    "FORMAT",
    "HEVC_ATTRIBUTES",
    "LAST_INTRA",
    "MB_TYPES",
    "OPTIONS",
    "PICTURE_TYPES",
    "PLANES",
    "PLANE_GROUPS",
    "SCHEMA_VERSION",
    "SUBSAMPLING",
    "TU_KIND",
    "TU_TYPES",
    "VERSIONS",
    "ChromaMode",
    "Field",
    "Grid",
    "LumaMode",
    "MbType",
    "PictureType",
    "TuType",
    "attributes_of",
    "fields_of",
]

FORMAT = "davd-priors"
VERSIONS = {"h264": 1, "hevc": 2}
"""Schema version of a file, by its codec."""
SCHEMA_VERSION = max(VERSIONS.values())

FIELDS: dict[str, dict[str, Field]] = {"h264": h264.FIELDS, "hevc": hevc.FIELDS}
"""Datasets by codec and name."""


def fields_of(codec: object) -> dict[str, Field]:
    """Datasets of a codec; of one that is not looked into, those that all have, as in H.264."""
    return FIELDS.get(str(codec), h264.FIELDS)


def attributes_of(codec: object) -> dict[str, str]:
    """Root attributes of a file of a codec."""
    return ATTRIBUTES | HEVC_ATTRIBUTES if codec == "hevc" else ATTRIBUTES


# Table E-5, names as FFmpeg and most tools spell them.
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
ATTRIBUTES = {
    "format": f"always {FORMAT!r}",
    "schema_version": "1 for H.264, 2 for HEVC; readers refuse others",
    "davd_version": "version of davd that wrote the file",
    "source": "name of the video, without its folder",
    "source_sha256": "SHA-256 of the whole video file, hexadecimal",
    "codec": "'h264' or 'hevc'",
    "profile_idc": "profile of the active sequence parameter set (H.264: 100 is High; HEVC: 1 is "
    "Main)",
    "level_idc": "level of the same, times ten (HEVC: times thirty)",
    "width": "width after cropping, luma samples",
    "height": "height after cropping, luma samples",
    "crop_left": "luma samples to cut off on the left of a coded plane",
    "crop_right": "the same on the right",
    "crop_top": "the same at the top",
    "crop_bottom": "the same at the bottom",
    "chroma_format": "'4:0:0', '4:2:0', '4:2:2' or '4:4:4'",
    "bit_depth_luma": "bits of a luma sample, 8 to 16",
    "bit_depth_chroma": "bits of a chroma sample, 8 to 16",
    "color_matrix": "matrix coefficients by name, 'unspecified' where the video does not say",
    "color_range": "'limited' or 'full'",
    "color_primaries": "colour primaries, as Annex E of both numbers them; 2 is unspecified",
    "color_transfer": "transfer characteristics, as Annex E of both numbers them; 2 is unspecified",
    "sample_aspect_ratio": "width to height of one sample, as '1/1'",
    "rotation": "degrees that a player turns the picture counterclockwise",
    "display_matrix": "how a player turns and mirrors the picture: the nine numbers of the display "
    "matrix, as '0 -65536 0 65536 0 0 0 0 1073741824', empty where there is none",
    "field_order": "field shown first, 'top' or 'bottom'; 'progressive' where frames are whole",
    "frame_rate": "frames a second, as '25/1'; the mean where it varies",
    "time_base": "unit of frames/pts in seconds, as '1/12800'",
    "time_invented": "True: the video has no timing, 25/1 was assumed",
    "encoder": "user-data SEI text of x264, x265 and others, empty where there is none",
    "first_frame": "display index, in the video, of frame 0 of this file (0 unless for a range)",
    "pixels": "False: samples were not made, syntax is all that was decoded",
    "verified": "True: every frame was compared with FFmpeg's and is equal",
    "complete": "True, set last of all: nothing is missing",
}
HEVC_ATTRIBUTES = {
    "ctu_size": "HEVC only: side of a coding tree unit, luma samples",
    "field_seq": "HEVC only, True: every frame of this file is a field",
}
"""What files of HEVC have besides."""
