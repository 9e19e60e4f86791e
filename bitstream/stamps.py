"""Times as recorders write them become times that strictly increase; every track goes by this rule.

1. Times that increase are kept as they are.
2. Where the clock was set back - what follows stays behind what came before, for four stamps or
   more on both sides - a new part begins, and goes on one usual step after the part before.
3. A stamp far off (over all of the 32 after it, or under all of the 32 before it) is dropped.
4. Where others go back, either they are put in order - those of B-frames in containers that count
   in decoding order only (AVI), and such as were swapped, find their frames so - or as few as
   possible are dropped: whichever leaves the more even steps.
5. Of equal stamps the first is kept. What has no stamp lies evenly between its neighbours, and
   before the first and after the last a usual step from it; a stamp that leaves no room for that
   is dropped too.
6. A step of more than six hours - nobody waits that long, but a transport stream whose clock was
   set back looks so, and hostile files do - becomes a usual one.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from fractions import Fraction
from statistics import median_low

TICK = Fraction(1, 1_000_000)
"""Seconds that a stamp of sound is counted in: codecs with short packets have more of them than
some containers have stamps, and would else be stretched."""

LONGEST_PAUSE = Fraction(6 * 3600)
"""Seconds; MP4 holds no more than 2^31 samples of sound between two packets."""

_NEAR = 32  # stamps looked at on either side; frames are reordered by 16 at most
_SURE = 4  # stamps on either side that make sure of a clock that was set back, or of one far off


def usual_step(stamps: Iterable[int | None], otherwise: int) -> int:
    """The median distance of neighbouring stamps; `otherwise` where there are not two."""
    known = sorted({stamp for stamp in stamps if stamp is not None})
    steps = [b - a for a, b in zip(known, known[1:], strict=False)]
    return max(1, median_low(steps) if steps else otherwise)


def increasing(stamps: Sequence[int | None], step: int, unit: Fraction) -> list[int]:
    """Strictly increasing times, by the rule above.

    Args:
        stamps: In the order of showing; None where there is none.
        step: From one to the next, usually.
        unit: Seconds that a stamp counts.
    """
    known = [stamp for stamp in stamps if stamp is not None]
    longest = max(1, int(LONGEST_PAUSE / unit))
    step = min(step, longest)
    steps = [b - a for a, b in zip(known, known[1:], strict=False)]
    if len(known) == len(stamps) and all(0 < each <= longest for each in steps):
        return known
    times: list[int] = []
    for part in _parts(stamps):
        believed = _believed(part)
        ways = [_filled(way(believed), step) for way in (_in_order, _longest)]
        mended = min(ways, key=lambda times: _unevenness(times, step))
        move = times[-1] + step - mended[0] if times else 0
        times += [time + move for time in mended]
    return _without_leaps(times, step, longest)


def _without_leaps(times: list[int], step: int, longest: int) -> list[int]:
    move, result = 0, times[:1]
    for before, time in zip(times, times[1:], strict=False):
        if time - before > longest:
            move += time - before - step
        result.append(time - move)
    return result


def _parts(stamps: Sequence[int | None]) -> list[list[int | None]]:
    """Cut where the clock was set back."""
    places = [i for i, stamp in enumerate(stamps) if stamp is not None]
    known = [stamp for stamp in stamps if stamp is not None]
    cuts, begin = [0], 0
    for k in range(1, len(known)):
        if known[k] < known[k - 1] and _set_back(
            known[max(begin, k - _NEAR) : k], known[k : k + _NEAR]
        ):
            cuts.append(places[k])
            begin = k
    return [list(stamps[a:b]) for a, b in zip(cuts, [*cuts[1:], len(stamps)], strict=True)]


def _set_back(before: list[int], after: list[int]) -> bool:
    if max(after) <= median_low(before) and len(after) >= _SURE <= len(before):
        return True
    smooth = all(a < b for run in (before, after) for a, b in zip(run, run[1:], strict=False))
    behind = sum(stamp >= after[0] for stamp in before), sum(stamp <= before[-1] for stamp in after)
    return smooth and min(behind) >= _SURE


def _believed(stamps: list[int | None]) -> list[int | None]:
    """Without those that are far off."""
    known = [(i, stamp) for i, stamp in enumerate(stamps) if stamp is not None]
    values = [stamp for _, stamp in known]
    result = list(stamps)
    for k, (i, stamp) in enumerate(known):
        after, before = values[k + 1 : k + 1 + _NEAR], values[max(0, k - _NEAR) : k]
        over = len(after) >= _SURE and stamp > max(after)
        under = len(before) >= _SURE and stamp < min(before)
        if over or under:
            result[i] = None
    return result


def _in_order(stamps: list[int | None]) -> list[int | None]:
    """The same stamps from small to large; what is equal to the one before is dropped."""
    ordered = iter(sorted(stamp for stamp in stamps if stamp is not None))
    result: list[int | None] = []
    last: int | None = None
    for stamp in stamps:
        new = None if stamp is None else next(ordered)
        result.append(None if new == last else new)
        last = last if new is None else new
    return result


def _longest(stamps: list[int | None]) -> list[int | None]:
    """The most stamps that increase, by patience sorting; the others are dropped."""
    ends: list[int] = []  # smallest last stamp of increasing runs of each length
    places: list[int] = []  # where each of them is
    before: dict[int, int] = {}
    for i, stamp in enumerate(stamps):
        if stamp is None:
            continue
        k = bisect_left(ends, stamp)
        ends[k : k + 1], places[k : k + 1] = [stamp], [i]
        if k:
            before[i] = places[k - 1]
    result: list[int | None] = [None] * len(stamps)
    at = places[-1] if places else None
    while at is not None:
        result[at] = stamps[at]
        at = before.get(at)
    return result


def _unevenness(times: list[int], step: int) -> int:
    return sum(abs(b - a - step) for a, b in zip(times, times[1:], strict=False))


def _filled(stamps: list[int | None], step: int) -> list[int]:
    anchors: list[tuple[int, int]] = []
    for i, stamp in enumerate(stamps):
        if stamp is not None and (not anchors or stamp - anchors[-1][1] >= i - anchors[-1][0]):
            anchors.append((i, stamp))
    if not anchors:
        return [i * step for i in range(len(stamps))]
    places = [i for i, _ in anchors]
    result = []
    for i in range(len(stamps)):
        k = bisect_right(places, i) - 1
        at, time = anchors[max(k, 0)]
        if k < 0 or k + 1 == len(anchors):
            result.append(time + (i - at) * step)
        else:
            next_at, next_time = anchors[k + 1]
            result.append(time + (next_time - time) * (i - at) // (next_at - at))
    return result
