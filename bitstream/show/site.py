"""The files of the viewer's page, and the page as one file that needs no server."""

import base64
import json
import os
import zlib
from collections.abc import Callable, Iterator, Sequence
from html import escape
from importlib.resources import files
from pathlib import Path

import numpy as np

from ... import __version__
from ..priors.schema import FIELDS, PLANE_GROUPS
from .course import MAPS, NAMES, figures
from .material import Material, PriorsMaterial
from .pack import pack

SCRIPTS = (
    "data.js", "names.js", "colour.js", "planes.js", "blocks.js", "fills.js", "lines.js",
    "hevc.js", "panel.js", "strip.js", "export.js", "stage.js", "tools.js", "keys.js", "main.js",
)  # fmt: skip
FILES = {"": "text/html; charset=utf-8", "view.css": "text/css; charset=utf-8"}
FILES |= dict.fromkeys(SCRIPTS, "text/javascript; charset=utf-8")
GROUPS = ("maps", *PLANE_GROUPS)


def read_file(name: str) -> bytes:
    """One of `FILES`."""
    folder = files(__package__) / "page"
    if name:
        return (folder / name).read_bytes()
    scripts = "".join(f'<script src="{n}" defer></script>\n' for n in SCRIPTS)
    page = (folder / "index.html").read_text("utf-8")
    page = page.replace("<!--style-->", '<link rel="stylesheet" href="view.css">')
    return page.replace("<!--scripts-->", scripts).encode()


def about(materials: Sequence[Material]) -> dict[str, object]:
    """What the page is told first: the files, and the names of all values."""
    own = {path: f for fields in reversed(FIELDS.values()) for path, f in fields.items()}
    own |= getattr(materials[0], "fields", {})
    enums = {path: {v: k for k, v in f.values.items()} for path, f in own.items() if f.values}
    texts = {path: [f.description, f.units] for path, f in own.items()}
    return {
        "version": __version__, "files": [m.about() for m in materials], "enums": enums,
        "fields": texts,
    }  # fmt: skip


def write_page(
    materials: Sequence[Material],
    frames: range,
    path: str | os.PathLike[str],
    progress: Callable[[int], object] = lambda count: None,
) -> int:
    """Write the viewer and a range of frames as one page.

    Args:
        materials: The file, and another to compare it with.
        frames: Of the first file.
        path: Where to.
        progress: Called with the number of frames just done.

    Returns:
        Its size in bytes.
    """
    path = Path(path)
    folder = files(__package__) / "page"
    head, _, tail = (folder / "index.html").read_text("utf-8").partition("<!--scripts-->")
    style = (folder / "view.css").read_text("utf-8")
    told = about(materials) | {"range": [frames.start, frames.stop]}
    with open(path, "w", encoding="utf-8") as file:
        title = escape(materials[0].name)
        head = head.replace("<!--style-->", f"<style>{style}</style>")
        file.write(head.replace("<title>davd-view</title>", f"<title>{title}</title>"))
        file.write(f'<script type="application/json" id="about">{_json(told)}</script>\n')
        for name, data in _pieces(materials, frames, progress):
            file.write(f'<script type="text/plain" id="{name}">{_deflated(data)}</script>\n')
        for name in SCRIPTS:
            file.write(f"<script>{(folder / name).read_text('utf-8')}</script>\n")
        file.write(tail)
    return path.stat().st_size


def _pieces(
    materials: Sequence[Material], frames: range, progress: Callable[[int], object]
) -> Iterator[tuple[str, bytes]]:
    """What the server would send, under its address: for each file, and for each frame."""
    for which, material in enumerate(materials):
        yield f"columns-{which}", pack(material.columns())
    values = {name: np.zeros(frames.stop, np.float32) for name in NAMES}
    for index in frames:
        for group in GROUPS:
            arrays = materials[0].arrays(index, group)
            yield f"frame-0-{index}-{group}", pack(arrays, index=index)
            paths = next((p for p in MAPS.values() if p[0] in arrays), ())
            if group == "maps" and paths:
                row = {path: arrays[path][None] for path in paths}
                figures(values, slice(index, index + 1), row)
        progress(1)
    if isinstance(materials[0], PriorsMaterial):
        part = {name: column[frames.start :] for name, column in values.items()}
        yield "course-0-0", pack(part, ended=True, first=frames.start)
    for which, material in enumerate(materials[1:], 1):
        for index in _counterparts(material, frames):
            for group in ("maps", "decoded"):
                yield f"frame-{which}-{index}-{group}", pack(material.arrays(index, group))


def _counterparts(material: Material, frames: range) -> list[int]:
    """Frames of a second file that are shown beside those of the first."""
    places = material.columns().get("frames/index")
    if places is None:
        return [index for index in frames if index < material.count]
    return np.flatnonzero((places >= frames.start) & (places < frames.stop)).tolist()


def _json(value: object) -> str:
    """JSON that cannot end the element it stands in."""
    return json.dumps(value).replace("<", "\\u003c")


def _deflated(data: bytes) -> str:
    return base64.b64encode(zlib.compress(data, 6)).decode()
