"""Print docs/format.md from the schema in bitstream/priors/schema.py.

    python docs/format.py > docs/format.md

A test compares the two, so that the reference cannot fall behind the code.
"""

from collections.abc import Iterable

from davd.bitstream.priors import schema

INTRO = """\
# The priors file

*Made from `bitstream/priors/schema.py` by `docs/format.py`; change those, not this.*

`davd-extract video.mp4 -o priors.h5` writes one HDF5 file a video. Stock h5py and h5dump read it;
no plugin is needed (only files made with `--compression blosc` ask for `import hdf5plugin`). Files
of H.264 have schema version 1, those of HEVC version 2: the same planes and `frames/*`, and other
maps. A reader should check `format`, `schema_version` and `codec`, and refuse a file whose
`complete` is not true.

- There are `N` frames, in **display order**: row `k` of every dataset with `N` rows is the `k`-th
  frame shown.
- Planes have the **coded** size, a multiple of 16 luma samples (HEVC: of its smallest coding
  block); `crop_*` say what a player cuts off. `Hc, Wc` are the coded height and width of the plane
  in question, `H, W` those of luma: `Hc = H/2, Wc = W/2` for the chroma of 4:2:0.
- 8-bit samples are uint8 and differences int16; if luma or chroma has more bits, all sample planes
  are uint16 and all difference planes int32. Without chroma (4:0:0) differences are int32 too.
  A residual of HEVC that 16 bits do not hold, which no encoder makes, ends at their bounds.
- Planes are chunked one frame deep, about (1, 128, 128), shuffled and deflated, so that a crop of
  a few frames reads little.
- The file is written as `NAME.part` and renamed when complete: a killed run leaves nothing that
  looks finished.

## Reading it

```python
import h5py

with h5py.File("priors.h5") as f:
    assert f.attrs["format"] == "davd-priors" and f.attrs["schema_version"] == 1  # H.264
    assert f.attrs["complete"]
    k = 10
    decoded = f["decoded/y"][k]         # what a player shows, before cropping
    prediction = f["prediction/y"][k]   # what the encoder predicted
    residual = f["residual/y"][k]       # what it sent on top of that
    qp = f["mb/qp_y"][k]                # one per 16x16 macroblock
    transform = f["tu/y"][k]            # one per 4x4 block
    print(decoded.shape, residual.min(), residual.max(), qp.mean())
    print(f["residual/y"].attrs["description"])
```

or with the reader that comes along, which gives whole frame records, reads crops of any dataset
by one box of luma samples, and can be handed to many worker processes:

```python
from davd.bitstream import PriorsFile

with PriorsFile("priors.h5") as priors:
    print(len(priors), priors.frame_rate, priors.coded_size)
    record = priors[10]      # a FrameRecord: record.residual is (y, cb, cr), record.tu ...
    box = (16, 32, 64, 64)   # top, left, height, width in luma samples, for every dataset
    crops = priors.read("residual/cb", range(3, 8), box=box)
    sound = priors.audio()   # int16 samples, rate, time of the first; None without sound
```

What networks want of both codecs in one form, QP, skip, transform edges and bits per 4x4 samples:

```python
from davd.bitstream import PriorsFile
from davd.bitstream.priors.blocks import blocks

with PriorsFile("priors.h5") as priors:
    found = blocks(priors[10])
    print(found.qp.mean(), found.skip.mean(), found.left.sum(), found.bits.sum() / 256)
```

## HEVC

Maps have a value per 4x4 luma samples, of the coding, prediction or transform unit that covers
them; `cu/bits` one per 8x8, and `ctu/*` one per coding tree unit (attribute `ctu_size`; the last of
a row or column may reach out of the picture). `level` and `tu/kind*` with QP and `scaling/*` are
all that clause 8.6 needs to make `residual`.

## Interlaced video

In HEVC every field is a picture and a row of the file (`field_seq`). In H.264 a pair of fields, or
an MBAFF frame, is one frame. `decoded`, `prediction` and `residual` are in display rows. `level`,
`tu` and `mb/*` are in macroblock order: a field macroblock belongs to a pair, its top-field
macroblock in map row 2k, its bottom-field macroblock in row 2k+1, and `mb/field` says which pairs
are so.

A field whose second never comes is a frame too. The standard puts it out alone (C.4) and says
nothing of the other rows; here each of them repeats the row beside it, `mb/concealed` marks their
macroblocks, and the warning `unpaired_fields` counts them. FFmpeg leaves such a field out, so
`--verify` disagrees there. No stream of the conformance suites that were at hand has one.
"""


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """A Markdown table."""
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines
    )


def type_name(dtype: str) -> str:
    """The type in words."""
    words = {"?": "bool", "sample": "uint8 / uint16", "difference": "int16 / int32"}
    kinds = {"i": "int", "u": "uint", "f": "float"}
    return words.get(dtype) or f"{kinds[dtype[0]]}{8 * int(dtype[1:])}"


def datasets(fields: Iterable[schema.Field]) -> str:
    """Datasets as a table."""
    rows = [
        (
            f"`{field.path}`",
            type_name(field.dtype) + (" enum" if field.values else ""),
            "[" + ", ".join(str(side) for side in field.shape) + "]",
            field.description + (f"; {field.units}" if field.units else ""),
            field.when or "always",
        )
        for field in fields
    ]
    return table(("dataset", "type", "shape", "meaning; unit", "there if"), rows)


def markdown() -> str:
    """The whole reference."""
    h264, hevc = schema.FIELDS["h264"], schema.FIELDS["hevc"]
    own = [field for path, field in hevc.items() if field != h264.get(path)]
    attributes = schema.attributes_of("hevc")
    parts = [
        INTRO,
        "## Root attributes\n",
        table(("attribute", "meaning"), [(f"`{k}`", v) for k, v in attributes.items()]),
        "\n## Datasets of H.264\n",
        "Each has its meaning in its attribute `description`, its unit in `units`, and the names of"
        " an enumeration's\nvalues in the HDF5 type. The four planes are stored unless `--planes`"
        " leaves them out.\n",
        datasets(h264.values()),
        "\n## Datasets of HEVC\n",
        f"It has {', '.join(f'`{path}`' for path in hevc if hevc[path] == h264.get(path))}\nas "
        "H.264 has, and:\n",
        datasets(own),
        "\n## Values of the enumerations\n",
    ]
    for field in [*h264.values(), *own]:
        if field.values:
            names = ", ".join(f"{number} {name}" for name, number in field.values.items())
            parts.append(f"- `{field.path}`: {names}")
    return "\n".join(parts) + "\n"


if __name__ == "__main__":
    print(markdown(), end="")
