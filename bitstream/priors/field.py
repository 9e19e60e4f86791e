"""One dataset of a priors file: name, type, shape and meaning; those that both codecs have."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property

import numpy as np

PLANES = ("y", "cb", "cr")
PLANE_GROUPS = ("decoded", "prediction", "residual", "level")
OPTIONS = {"motion": "motion", "intra": "modes", "bits": "bits"}
"""Groups of datasets that must be asked for, and the option that does."""
SUBSAMPLING = ((1, 1), (2, 2), (1, 2), (1, 1))
"""SubHeightC and SubWidthC by chroma_format_idc (Table 6-1 of both Recommendations)."""


class PictureType(IntEnum):
    """`frames/picture_type`: the most general slice type of a picture."""

    I = 0  # noqa: E741 - its name in the Recommendations
    P = 1
    B = 2


def values(names: type[IntEnum]) -> dict[str, int]:
    """The members of an enumeration as HDF5 has them."""
    return {member.name: int(member) for member in names}


PICTURE_TYPES = values(PictureType)


@dataclass(frozen=True)
class Grid:
    """How the pictures of one file are cut up.

    Attributes:
        coded: Height and width of a coded luma plane.
        chroma_format_idc: 0 4:0:0, 1 4:2:0, 2 4:2:2, 3 4:4:4.
        ctu_size: Side of a coding tree unit, luma samples; of a macroblock in H.264.
    """

    coded: tuple[int, int]
    chroma_format_idc: int
    ctu_size: int = 16


@dataclass(frozen=True)
class Field:
    """One dataset of the file.

    Attributes:
        path: Its name in the file.
        dtype: NumPy type, or `sample` (uint8, uint16 over 8 bit) or `difference` (int16, int32 over
            8 bit and in 4:0:0).
        shape: Its axes; `N` frames first where it has a row per frame. `H/CTU` and `W/CTU` are
            rounded up.
        description: Meaning, also stored as the dataset's `description`.
        units: Unit, also stored; empty where the numbers have none.
        record: Attribute of a frame record, and of the decoder's frame, that holds one row; empty
            where there is none.
        values: Names of the values of an enumeration.
        fill: Value of what is not stored.
        when: What must be asked for (or be in the video) for the dataset to be there; empty:
            always.
        formats: The chroma_format_idc with which there is such a dataset.
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
    formats: tuple[int, ...] = (0, 1, 2, 3)

    @property
    def per_frame(self) -> bool:
        """Whether the dataset has one row per frame."""
        return self.shape[0] == "N"

    @property
    def tap(self) -> str:
        """What must be asked for: one of `PLANE_GROUPS` or `OPTIONS`; empty: it is always there."""
        group = self.path.partition("/")[0]
        return group if group in PLANE_GROUPS else OPTIONS.get(group, "")

    @cached_property
    def place(self) -> int:
        """Which axis of a row is that of picture rows; the one behind it is that of columns."""
        return next(k for k, axis in enumerate(self.shape[1:]) if str(axis)[0] == "H")

    def step(self, grid: Grid) -> tuple[int, int]:
        """Luma samples from row to row and from column to column of the picture."""
        name, _, step = str(self.shape[1 + self.place]).partition("/")
        if name == "Hc":
            plane = self.path.rpartition("/")[2]
            return (1, 1) if plane == "y" else SUBSAMPLING[grid.chroma_format_idc]
        side = grid.ctu_size if step == "CTU" else int(step or 1)
        return side, side

    def row(self, grid: Grid) -> tuple[int, ...]:
        """Shape of a row."""
        if len(self.shape) == 1:
            return ()
        place, step = self.place, self.step(grid)
        return tuple(
            -(-grid.coded[k - place] // step[k - place]) if 0 <= k - place < 2 else int(axis)
            for k, axis in enumerate(self.shape[1:])
        )

    def type(self, *, deep: bool, grey: bool) -> np.dtype:
        """Type of an element.

        Args:
            deep: Luma or chroma has more than 8 bits.
            grey: There is no chroma.
        """
        kinds = {"sample": "u2" if deep else "u1", "difference": "i4" if deep or grey else "i2"}
        return np.dtype(kinds.get(self.dtype, self.dtype))


CHROMA = (1, 2, 3)  # of `Field.formats`


def frame_fields(*, poc: str, keyframe: str, concealed: str) -> list[Field]:
    """`frames/*`; the codecs differ in what three of them mean."""
    return [
        Field("frames/pts", "i8", ("N",), "presentation time", "time_base", "pts"),
        Field("frames/time", "f8", ("N",), "presentation time", "seconds", "time"),
        Field("frames/decode_order", "i4", ("N",), "place in decoding order", "", "decode_order"),
        Field("frames/poc", "i4", ("N",), poc, "", "poc"),
        Field(
            "frames/picture_type",
            "u1",
            ("N",),
            "most general slice type of the picture",
            "",
            "picture_type",
            PICTURE_TYPES,
        ),
        Field("frames/keyframe", "?", ("N",), keyframe, "", "keyframe"),
        Field("frames/concealed", "?", ("N",), concealed, "", "concealed"),
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
    ]


def plane_fields(meaning: Iterable[tuple[str, str, str, str]]) -> list[Field]:
    """Planes of samples and levels: group, type, meaning and unit of each."""
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
            formats=(0, *CHROMA) if plane == "y" else CHROMA,
        )
        for group, dtype, text, units in meaning
        for plane in PLANES
    ]


def cost_fields(
    whole: str, shape: tuple[str | int, ...], *, types: str, motion: str, pcm: str, qp: str
) -> list[Field]:
    """`bits/*`: what the bits of a block were spent on.

    Args:
        whole: The dataset that the parts add up to.
        shape: Theirs.
        types: Syntax elements that count as type and prediction.
        motion: as motion.
        pcm: Name of blocks whose samples are coded as they are.
        qp: as QP.
    """
    meaning = {
        "type": types,
        "motion": motion,
        "luma": f"luma levels ({pcm}: luma samples)",
        "chroma": f"chroma levels ({pcm}: chroma samples)",
        "qp": qp,
    }
    return [
        Field(
            f"bits/{name}",
            "u4",
            shape,
            f"part of {whole}: {text}",
            "1/256 bit",
            f"bits_{name}",
            when="--bits detailed",
        )
        for name, text in meaning.items()
    ]


def motion_fields(step: int, *, vectors: str = "", references: str = "") -> list[Field]:
    """`motion/*`.

    Args:
        step: Luma samples between two entries of `motion/ref`.
        vectors: What a vector belongs to, in words.
        references: What a reference belongs to.
    """
    return [
        Field(
            "motion/mv",
            "i2",
            ("N", 2, "H/4", "W/4", 2),
            f"motion vectors (x, y) of list 0 and 1{vectors}",
            "quarter luma samples",
            "mv",
            when="--motion",
        ),
        Field(
            "motion/ref",
            "i4",
            ("N", 2, f"H/{step}", f"W/{step}"),
            f"display index of the reference frame{references}; -1 none, -2 a frame that is not in "
            "this file",
            "frames",
            "ref",
            fill=-1,
            when="--motion",
        ),
    ]


AUDIO_FIELDS = [
    Field(
        "audio/samples",
        "i2",
        ("S",),
        "sound, mono; attributes sample_rate (Hz) and start_time (seconds on the video's clock)",
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


def by_path(fields: Iterable[Field]) -> dict[str, Field]:
    """Datasets by their names."""
    return {field.path: field for field in fields}
