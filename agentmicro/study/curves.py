"""Dose-response curves: what a measure does as one knob is turned, a line for each value of another."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import isfinite, log, nan
from typing import TYPE_CHECKING, Any

from agentmicro.knobs import Scalar
from agentmicro.study.canvas import (
    BLUE,
    RAMP,
    SERIES,
    clean,
    grid_lines,
    name_ends,
    plain_numbers,
    whiskers,
    words,
)
from agentmicro.study.figure import NULL
from agentmicro.study.text import amount

if TYPE_CHECKING:
    from pandas import DataFrame

MOST = 7  # lines that the eye can follow
DECADES = 20.0  # from the smallest value to the largest, above which a knob's axis is logarithmic
LETTERS = 8.0  # points; where names are smaller, the knob's stands before its value only if that is a number
LONG = 18  # letters beside a line, at most, if the knob's name is to stand before its value
NEAR = 0.1  # of an axis: names of values that stand nearer than this run into each other
LINE = 46  # letters under an axis, above which they are turned
FEW = 3  # points up to which an interval is a whisker and not part of a band


@dataclass(frozen=True)
class Point:
    """A mean with its interval, at one value of a knob."""

    x: float
    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Curves:
    """One measure against one knob: a line of points for each value of another knob, if there is one.

    names: what the places 0, 1, ... are called, where the knob's values are no numbers. fixed: the values at which
    other varied knobs are held. every: how many lines there were before some were left out. n: the least and the most
    runs behind a point.
    """

    measure: str
    knob: str
    second: str
    lines: tuple[tuple[str, tuple[Point, ...]], ...]
    names: tuple[str, ...] = ()
    ordered: bool = False
    fixed: Mapping[str, Scalar] = field(default_factory=dict)
    every: int = 0
    n: tuple[int, int] = (0, 0)

    @property
    def xs(self) -> list[float]:
        """The places of all points, ascending."""
        return sorted({point.x for _, points in self.lines for point in points})

    @property
    def logarithmic(self) -> bool:
        """Whether the values span so much that only their logarithms can be told apart."""
        xs = self.xs
        return not self.names and len(xs) > FEW - 1 and xs[0] > 0 and xs[-1] / xs[0] >= DECADES


def by_knob(dose: "DataFrame", names: Iterable[str]) -> "DataFrame":
    """A table of doses whose columns for these knobs are called knob_NAME, as in the table of runs."""
    return dose.rename(columns={name: f"knob_{name}" for name in names if f"knob_{name}" not in dose.columns})


def curves(
    dose: "DataFrame", measure: str, knob: str, second: str = "", fixed: Mapping[str, Scalar] | None = None
) -> Curves | None:
    """The curves of a measure in a table of doses, with other knobs held at `fixed`; None where there is no number.

    The table is one of `by_knob`.
    """
    fixed = fixed or {}
    rows = dose[dose["measure"] == measure]
    for name, value in fixed.items():
        rows = rows[rows[f"knob_{name}"] == value]
    values = list(dict.fromkeys(rows[f"knob_{knob}"].tolist()))
    numeric = are_numbers(values)
    place = {value: float(value) if numeric else float(index) for index, value in enumerate(values)}
    groups = list(dict.fromkeys(rows[f"knob_{second}"].tolist())) if second else [""]
    ordered = bool(second) and are_numbers(groups)
    kept = thinned(sorted(groups) if ordered else groups, MOST)
    known = rows[rows["mean"].notna()]
    if known.empty:
        return None
    lines = tuple((shown(group), _points(known, knob, second, group, place)) for group in kept)
    names = () if numeric else tuple(shown(value) for value in values)
    n = (int(known["n"].min()), int(known["n"].max()))
    return Curves(measure, knob, second, lines, names, ordered, fixed, len(groups), n)


def _points(known: "DataFrame", knob: str, second: str, group: Any, place: Mapping[Any, float]) -> tuple[Point, ...]:
    """The points of one line, from left to right."""
    mine = known[known[f"knob_{second}"] == group] if second else known
    points = [
        Point(place[row[f"knob_{knob}"]], row["mean"], row["low"], row["high"]) for row in mine.to_dict("records")
    ]
    return tuple(sorted(points, key=lambda point: point.x))


def are_numbers(values: Sequence[Any]) -> bool:
    """Whether these are numbers, and none of them true or false."""
    return all(not isinstance(value, str | bool) and not hasattr(value, "isoformat") for value in values) and all(
        isinstance(value, int | float) or hasattr(value, "dtype") for value in values
    )


def thinned[Item](items: Sequence[Item], most: int) -> list[Item]:
    """At most so many of the items, evenly spaced, both ends among them."""
    if len(items) <= most:
        return list(items)
    return [items[round(index * (len(items) - 1) / (most - 1))] for index in range(most)]


def shown(value: object) -> str:
    """A value as it is written beside a line or under an axis."""
    return amount(float(value)) if are_numbers([value]) else clean(value, 24)  # type: ignore[arg-type]


def colours(found: Curves) -> tuple[str, ...]:
    """A colour for each line: an order of blues for numbers, unlike colours for words."""
    count = len(found.lines)
    if count == 1:
        return (BLUE,)
    return tuple(thinned(RAMP, count)) if found.ordered else SERIES[:count]


def draw(axes: Any, found: Curves, label: str = "", null: float = nan, size: float = LETTERS) -> None:
    """Draws the curves with their intervals and names each at its end; `null` is a grey line behind them."""
    ends = []
    count = len(found.lines)
    for index, ((name, points), colour) in enumerate(zip(found.lines, colours(found), strict=True)):
        if not points:
            continue
        beside = (index - (count - 1) / 2) * 0.5 / count if found.names else 0.0
        _line(axes, found, [replace(point, x=point.x + beside) for point in points], colour)
        if found.second:
            whole = f"{words(found.second)} = {name}"
            alone = len(whole) > LONG or (size < LETTERS and not found.ordered)
            ends.append((points[-1].mean, name if alone else whole, colour))
    if isfinite(null):
        axes.axhline(null, color=NULL, linewidth=1.2, linestyle=(0, (4, 3)), zorder=1)
        ends.append((null, "null", NULL))
    _axes(axes, found, label)
    name_ends(axes, ends, size)


def _line(axes: Any, found: Curves, points: list[Point], colour: str) -> None:
    xs, means = [point.x for point in points], [point.mean for point in points]
    band = not found.names and len(points) > FEW and all(isfinite(point.low + point.high) for point in points)
    if band:
        ends = [point.low for point in points], [point.high for point in points]
        axes.fill_between(xs, *ends, color=colour, alpha=0.16, linewidth=0)
    else:
        for point in points:
            whiskers(axes, point.x, point.low, point.high, colour)
    joined = "none" if found.names else "-"
    axes.plot(
        xs, means, color=colour, linewidth=1.8, linestyle=joined, marker="o", markersize=4, zorder=3, clip_on=False
    )


def _axes(axes: Any, found: Curves, label: str) -> None:
    axes.set_xlabel(label or words(found.knob))
    axes.set_ylabel(words(found.measure, 30))
    grid_lines(axes)
    if found.names:
        turned = {"rotation": 20, "ha": "right"} if sum(map(len, found.names)) > LINE else {}
        axes.set_xticks(range(len(found.names)), found.names, **turned)
        axes.set_xlim(-0.6, len(found.names) - 0.4)
    else:
        if found.logarithmic:
            axes.set_xscale("log")
            axes.minorticks_off()
        xs = found.xs
        if found.logarithmic or len(xs) <= 8:
            axes.set_xticks(apart(thinned(xs, 7), found.logarithmic))
        plain_numbers(axes.xaxis)
    plain_numbers(axes.yaxis)
    from_zero(axes)


def from_zero(axes: Any) -> None:
    """A share or a count is drawn from 0: an axis that starts elsewhere shows more change than there is."""
    low, high = axes.dataLim.y0, axes.dataLim.y1
    if isfinite(low) and low >= 0:
        axes.set_ylim(0, high * 1.06 or 1.0)


def apart(xs: Sequence[float], logarithmic: bool) -> list[float]:
    """Those of some values in order that stand far enough apart for their names; the first and the last stay."""
    places = [log(x) for x in xs] if logarithmic else list(xs)
    near = NEAR * (places[-1] - places[0])
    kept = [0]
    for place in range(1, len(xs) - 1):
        if places[place] - places[kept[-1]] >= near and places[-1] - places[place] >= near:
            kept.append(place)
    return [xs[place] for place in dict.fromkeys((*kept, len(xs) - 1))]
