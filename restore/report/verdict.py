"""What was done to a video, in words that need no other knowledge.

Words are chosen by measures of the whole video; the limits stand here and nowhere else.
"""

import math
from dataclasses import dataclass

VISIBLE = 6.0  # grey levels of 255 from which a change of one sample can be seen
_COMPRESSED = ((41, "very strongly"), (35, "strongly"), (28, "moderately"), (-99, "lightly"))  # QP
_CHANGED = (
    (2.5, "much has changed"),
    (1.0, "clearly changed"),
    (0.35, "changed a little"),
)  # levels
_SURE = 0.1  # dB of luma PSNR below which better and worse are not told apart


@dataclass(frozen=True)
class Measures:
    """What a verdict is made of; NaN where it is not known.

    Attributes:
        frames: How many.
        qp: Mean over the video.
        change: Mean change of luma, grey levels of 255.
        visible: Share of samples changed by `VISIBLE` and more.
        at_face: Share of all change that lies in the face's box; NaN without a face.
        face: Share of the picture that this box takes.
        unsent: Share of the picture for which the stream sent no detail of its own.
        contradicted: Share of coefficients that the stream contradicts after restoring.
        contradicted_before: The same before it.
        gain: Mean gain of luma PSNR over the decoded frames, dB.
        better: Share of frames that came closer to the reference.
        damaged: Frames that the decoder had to invent in part.
        sound: There is some, copied as it was.
    """

    frames: int
    qp: float = math.nan
    change: float = 0.0
    visible: float = 0.0
    at_face: float = math.nan
    face: float = math.nan
    unsent: float = math.nan
    contradicted: float = math.nan
    contradicted_before: float = math.nan
    gain: float = math.nan
    better: float = math.nan
    damaged: int = 0
    sound: bool = False


@dataclass(frozen=True)
class Verdict:
    """A headline, and what stands below it.

    Attributes:
        headline: A few words.
        kind: "good", "even" or "bad", for its colour.
        points: Question and answer of each paragraph.
    """

    headline: str
    kind: str
    points: tuple[tuple[str, str], ...]


def verdict(m: Measures) -> Verdict:
    """The verdict on a restored video."""
    headline, kind = _headline(m)
    points = (
        ("What was repaired", _repaired(m)),
        ("How sure is it", _sureness(m)),
        ("What was guessed", _guessed(m)),
    )
    return Verdict(headline, kind, points)


def _headline(m: Measures) -> tuple[str, str]:
    if math.isfinite(m.gain):
        if m.gain >= _SURE:
            return "Closer to the original than before", "good"
        if m.gain <= -_SURE:
            return "Farther from the original than before", "bad"
        return "About as close to the original as before", "even"
    if m.change < _CHANGED[2][0]:
        return "Almost unchanged: there was little to repair", "even"
    return f"Repaired: {_word(m.change, _CHANGED)}", "even"


def _word(value: float, table: tuple[tuple[float, str], ...]) -> str:
    return next(word for least, word in table if value >= least)


def _repaired(m: Measures) -> str:
    parts = []
    if math.isfinite(m.qp):
        parts.append(f"The video was {_word(m.qp, _COMPRESSED)} compressed.")
    parts.append(
        f"The repair smooths the blocks that compression leaves and redraws edges: "
        f"{_share(m.visible)} of the picture changed so much that it can be seen."
    )
    if math.isfinite(m.at_face) and m.face > 0:
        times = m.at_face / m.face
        where = "more" if times > 1.25 else "less" if times < 0.8 else "about as much"
        parts.append(f"In the face it changed {where} {'as' if where[0] == 'a' else 'than'} "
                     "elsewhere.")  # fmt: skip
    if m.sound:
        parts.append("The sound track is the original one.")
    return " ".join(parts)


def _sureness(m: Measures) -> str:
    if not math.isfinite(m.gain):
        return (
            "Nobody can tell from this video alone: there was no original to compare with. "
            "Look at it, above all at mouth and eyes, and trust what you see in both pictures. "
            "On a video that was compressed lightly a repair can also do harm."
        )
    less = 1 - 10 ** (-m.gain / 10)
    error = f"the difference to it {'fell' if less >= 0 else 'rose'} by {_share(abs(less))}"
    return (
        f"Measured against the original: {error}, and {_count(m.better, m.frames)} came closer. "
        "That is a mean over the whole picture; single places can be worse, and the green and red "
        "map below shows them."
    )


def _guessed(m: Measures) -> str:
    parts = []
    if math.isfinite(m.unsent):
        parts.append(
            f"For {_share(m.unsent)} of the picture the video holds nothing new from one moment to "
            "the next; what you see there is carried over from earlier, and every finer detail is "
            "a guess: a likely one, not a record."
        )
    else:
        parts.append("Detail that compression threw away is guessed: likely, not recorded.")
    if math.isfinite(m.contradicted):
        parts.append(
            "Nothing shown contradicts what the video holds."
            if m.contradicted < 1e-5
            else f"In {_share(m.contradicted)} of it the result goes against what the video holds "
            f"(before the repair in {_share(m.contradicted_before)})."
        )
    if m.damaged:
        parts.append(
            f"{m.damaged} of {m.frames} pictures were damaged and partly invented before any "
            "repair."
        )
    parts.append("Do not use it to identify people or to read lips for proof.")
    return " ".join(parts)


def _count(share: float, frames: int) -> str:
    return f"{round(share * frames)} of {frames} pictures"


def _share(share: float) -> str:
    """A share in words that a reader sees at a glance."""
    percent = 100 * share
    if 0 < percent < 0.1:
        return "less than 0.1\N{NO-BREAK SPACE}%"
    return (
        f"{percent:.1f}\N{NO-BREAK SPACE}%" if percent < 10 else f"{percent:.0f}\N{NO-BREAK SPACE}%"
    )
