"""Adaptive designs: from what was found so far to what is worth running next.

Pure functions of what complete rounds have found, so that an adaptive study is the same whoever made its runs.
`propose` walks to a threshold and stops where two values of the knob, no further apart than asked, lie surely on either
side of it. `widest` spends seeds where an interval is widest. How many runs may be made is for the caller to hold.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from itertools import pairwise
from math import ceil, floor, inf

import numpy as np

from agentmicro.study.claims import interval

START = 5  # evenly spaced values with which a walk to a threshold begins
MOST = 32  # times the seeds of the first round that one value may get: one that lies on the threshold is never sure
FULL = 0.75  # of the allowed distance: a pair that is closer is not worth many seeds
WIDE = 0.75  # of the widest interval: cells above it get more seeds in the same round
GROWTH = 1.5


def propose(
    found: Mapping[float, Sequence[float]],
    level: float,
    low: float,
    high: float,
    whole: bool,
    seeds: int,
    width: float,
) -> list[tuple[float, int]]:
    """The values of a knob to run next, each with the seeds it should have in all; nothing once the threshold is found.

    found: for each value that was run one number per seed, NaN where it is undefined. level: the level whose crossing
    is looked for. low, high: the range of the knob. whole: whether it takes whole numbers only. seeds: those of each
    new value. width: how far apart the two values that enclose the threshold may be. Also empty where the range does
    not bracket the level, or where the seeds of every value that is still unsure have been used up.
    """
    begun = [value for value in _spaced(low, high, whole) if len(found.get(value, ())) < seeds]
    if begun:
        return [(value, seeds) for value in begun]
    sides = {value: _side(numbers, level) for value, numbers in sorted(found.items())}
    known = [value for value, (likely, _) in sides.items() if likely]
    step = next((pair for pair in pairwise(known) if sides[pair[0]][0] != sides[pair[1]][0]), None)
    if step is None:
        return []
    wide = max(width, 1.0 if whole else 0.0)
    near, far = [value for value in known if value <= step[0]], [value for value in known if value >= step[1]]
    if _sure(far, sides, inf, min) - _sure(near, sides, -inf, max) <= wide:
        return []
    if step[1] - step[0] > wide:
        return [(value, seeds) for value in _thirds(*step, whole)]
    # Of the pairs that are close enough, the one furthest apart is the easiest to be sure of.
    pair = max(((a, b) for a in near for b in far if b - a <= wide), key=lambda ends: ends[1] - ends[0])
    around = [value for value in _around(*step, whole, wide) if low <= value <= high and value not in found]
    if around and pair[1] - pair[0] < FULL * wide:
        return [(value, seeds) for value in around]
    more = [(value, min(2 * len(found[value]), MOST * seeds)) for value in pair if not sides[value][1]]
    return [(value, count) for value, count in more if count > len(found[value])]


def widest[Cell: Hashable](
    found: Mapping[Cell, Sequence[float]], seeds: int, width: float = 0.0
) -> list[tuple[Cell, int]]:
    """The cells to run next, each with the seeds it should have in all: first all of them, then the least certain ones.

    found: for each cell one number per seed, NaN where it is undefined. seeds: those of the first round. width: how
    wide an interval may stay; empty once all are as narrow. A cell whose measure no seed defines gets no more.
    """
    begun = [(cell, seeds) for cell, numbers in found.items() if len(numbers) < seeds]
    if begun:
        return begun
    widths = {cell: 2 * _interval(numbers)[1] for cell, numbers in found.items()}
    left = {cell: size for cell, size in widths.items() if size > width}
    most = max(left.values(), default=0.0)
    return [(cell, ceil(GROWTH * len(found[cell]))) for cell, size in left.items() if size >= WIDE * most]


def _spaced(low: float, high: float, whole: bool) -> list[float]:
    """The values with which a walk begins: both ends and some between them."""
    values = np.linspace(low, high, START).tolist()
    return list(dict.fromkeys(float(round(value)) if whole else value for value in values))


def _interval(numbers: Sequence[float]) -> tuple[float, float]:
    """The mean of those that are defined and the half-width of its interval; a point where there are none."""
    known = np.asarray(numbers, float)
    known = known[np.isfinite(known)]
    return interval(known) if known.size else (float("nan"), 0.0)


def _side(numbers: Sequence[float], level: float) -> tuple[int, bool]:
    """On which side of the level the mean lies (0 where it is undefined), and whether its whole interval does."""
    mean, half = _interval(numbers)
    if np.isnan(mean):
        return 0, False
    side = 1 if mean >= level else -1
    return side, abs(mean - level) > half


def _sure(
    values: Sequence[float], sides: Mapping[float, tuple[int, bool]], default: float, pick: Callable[..., float]
) -> float:
    """The innermost value that is surely on its side."""
    return pick((value for value in values if sides[value][1]), default=default)


def _around(near: float, far: float, whole: bool, wide: float) -> list[float]:
    """The two values around the middle of a gap that lie as far apart as is allowed."""
    ends = ((near + far - wide) / 2, (near + far + wide) / 2)
    return [float(ceil(ends[0])), float(floor(ends[1]))] if whole else list(ends)


def _thirds(near: float, far: float, whole: bool) -> list[float]:
    """Two new values in a gap, or one where a gap of whole numbers has no room for more."""
    third = (far - near) / 3
    inner = (near + third, far - third)
    return sorted({float(round(value)) for value in inner} - {near, far}) if whole else list(inner)
