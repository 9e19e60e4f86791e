"""The page of a report: HTML with its style, script and pictures inside, no address outside."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from html import escape
from importlib.resources import files

from ... import __version__
from .png import LESS_MORE
from .verdict import Verdict

_FOLDER = files(__package__)
_NAMES = {"decoded": "before", "restored": "after", "source": "original", "change": "change"}


@dataclass(frozen=True)
class Picture:
    """A frame on the page; pictures are data addresses, empty where there is none."""

    label: str
    time: float
    why: str
    decoded: str
    restored: str
    change: str
    source: str


@dataclass(frozen=True)
class Movie:
    """The moving pictures on the page.

    Attributes:
        address: Of the video, before above after; a data address, or a file beside the page.
        size: Width and height of each of both.
        shots: Where face and mouth are: `start` in seconds, and boxes as shares of the picture.
        sound: It has some.
        gap: Rows between both.
    """

    address: str
    size: tuple[int, int]
    shots: Sequence[Mapping[str, object]]
    sound: bool
    gap: int


@dataclass(frozen=True)
class Map:
    """A picture over the whole video, with what its colours mean.

    Attributes:
        uri: A data address.
        title: What it shows.
        remark: A sentence.
        colours: Stops of its scale.
        ends: What the first and the last of them mean.
    """

    uri: str
    title: str
    remark: str
    colours: Sequence[tuple[int, int, int]]
    ends: tuple[str, str]


def render(
    *,
    title: str,
    verdict: Verdict,
    movie: Movie | None,
    cards: Sequence[tuple[str, str, str]],
    pictures: Sequence[Picture],
    plots: Sequence[str],
    maps: Sequence[Map],
    facts: Mapping[str, object],
    notes: Sequence[str],
    change: float,
    size: tuple[int, int] | None = None,
) -> str:
    """The page.

    Args:
        title: Name of the video.
        verdict: What is said first.
        movie: What is shown first; None: single pictures alone.
        cards: Name, value and remark of each figure.
        pictures: Frames to look at, at least one.
        plots: HTML of the curves.
        maps: Of the whole video.
        facts: The table of settings.
        notes: Sentences a reader should not miss.
        change: Grey levels at the ends of the scale of change.
        size: Width and height of the pictures.

    Returns:
        HTML.
    """
    width, height = size or (16, 9)
    sources = ("decoded", "source") if pictures[0].source else ("decoded",)
    rights = ("restored", "change", *(("source",) if pictures[0].source else ()))
    card_text = "".join(
        f'<div class="card"><span>{escape(name)}</span><b>{escape(value)}</b>'
        f"<span>{escape(remark)}</span></div>"
        for name, value, remark in cards
    )
    strip = "".join(
        f'<button><img src="{p.restored}" alt=""><span>frame {escape(p.label)}, {p.time:.2f} s'
        f"<em>{escape(p.why) or '&nbsp;'}</em></span></button>"
        for p in pictures
    )
    map_text = "".join(
        f'<figure class="map"><strong>{escape(m.title)}</strong>'
        f'<img src="{m.uri}" alt="{escape(m.title)}">{_scale(m.colours, m.ends)}'
        f"<p>{escape(m.remark)}</p></figure>"
        for m in maps
    )
    rows = "".join(
        f"<tr><td>{escape(name)}</td><td>{escape(_plain(value))}</td></tr>"
        for name, value in facts.items()
    )
    points = "".join(
        f"<h3>{escape(question)}</h3><p>{escape(answer)}</p>" for question, answer in verdict.points
    )
    warned = "".join(f'<p class="note">{escape(note)}</p>' for note in notes)
    scale = _scale(LESS_MORE, (f"darker by {change:g}", f"brighter by {change:g} of 255 levels"))
    # "<" cannot end the element early once it is written as an escape of JSON
    data = json.dumps([asdict(p) for p in pictures]).replace("<", "\\u003c")
    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<title>davd: {escape(title)}</title><style>{_read("page.css")}</style></head>
<body><main>
<header><h1 class="{verdict.kind}">{escape(verdict.headline)}</h1><p>{escape(title)}</p></header>
<section class="first">{_player(movie) if movie else ""}
<div class="panel points">{points}{warned}</div></section>
<h2>Single pictures</h2>
<section class="panel"><div class="bar">
<div class="pick">left {_segment("left", sources)}</div>
<div class="pick">right {_segment("right", rights)}</div>
<div class="pick"><span class="seg"><button id="sharp" aria-pressed="false">samples as squares\
</button></span></div></div>
<div class="stage" data-w="{width}" data-h="{height}"><img id="right" alt=""><img id="left" alt="">
<div class="rule"><i></i></div><span class="tag l"></span><span class="tag r"></span>
<input type="range" min="0" max="1000" value="500" aria-label="place of the edge between both">
</div><div id="change-scale" hidden>{scale}</div><div class="strip">{strip}</div></section>
<h2>Where it changed the picture</h2><section class="panel maps">{map_text}</section>
<h2>Figures</h2><p class="lead">For those who want numbers.</p>
<section class="cards">{card_text}</section>{"".join(plots)}
<h2>Settings</h2><section class="panel"><table>{rows}</table></section>
<footer>Made by davd {escape(__version__)}.</footer>
</main><script type="application/json" id="frames">{data}</script>
<script>{_read("page.js")}</script></body></html>
"""


def _player(movie: Movie) -> str:
    """The video with its controls."""
    shots = escape(json.dumps([dict(shot) for shot in movie.shots]))
    zooms = [z for z in ("face", "mouth") if any(z in shot for shot in movie.shots)]
    modes = {"wipe": "Wipe", "side": "Side by side", "before": "Before", "after": "After"}
    zoom = _buttons("zoom", {z: z.capitalize() for z in ("whole", *zooms)}) if zooms else ""
    mute = (
        '<span class="seg"><button class="mute" aria-pressed="false">Mute</button></span>'
        if movie.sound
        else ""
    )
    width, height = movie.size
    return f"""<div class="panel"><div class="player" data-w="{width}" data-h="{height}"
data-gap="{movie.gap}" data-shots="{shots}"><div class="screen"><canvas></canvas>
<div class="rule"><i></i></div>
<span class="tag l">before</span><span class="tag r">after</span>
<input type="range" min="0" max="1000" value="500" aria-label="place of the edge between both">
</div><video src="{escape(movie.address)}" preload="auto" loop playsinline></video>
<p class="note trouble" hidden>This browser cannot play the video, or the file beside this page is \
missing; the single pictures below show the same.</p>
<div class="bar"><button class="play">Play</button><input class="seek" type="range" min="0" \
max="1000" value="0" aria-label="time"><span class="time"></span>{mute}</div>
<div class="bar">{_buttons("mode", modes)}{zoom}</div></div></div>"""


def _buttons(kind: str, choices: Mapping[str, str]) -> str:
    buttons = "".join(
        f'<button data-{kind}="{value}">{name}</button>' for value, name in choices.items()
    )
    return f'<span class="seg">{buttons}</span>'


def _scale(colours: Sequence[tuple[int, int, int]], ends: tuple[str, str]) -> str:
    """A bar of colours with what its ends mean."""
    stops = ",".join(f"rgb({r} {g} {b})" for r, g, b in colours)
    return (
        f'<div class="scale"><span>{escape(ends[0])}</span>'
        f'<i style="background:linear-gradient(to right,{stops})"></i>'
        f"<span>{escape(ends[1])}</span></div>"
    )


def _read(name: str) -> str:
    """A file of the page."""
    return (_FOLDER / name).read_text("utf-8")


def _segment(side: str, choices: Sequence[str]) -> str:
    buttons = "".join(
        f'<button data-side="{side}" data-what="{name}">{_NAMES[name]}</button>' for name in choices
    )
    return f'<span class="seg">{buttons}</span>'


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value) if value != "" else "none"
