"""Measures as lines, as inline SVG: the run, its null, a second run, and marks where knobs changed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from math import floor, isfinite, log10

from agentmicro.app.snapshot import thinned

WIDTH, HEIGHT = 340, 128
LEFT, RIGHT, TOP, BOTTOM = 44, 10, 26, 22
RUN, OTHER, NULL = "run", "other", "null"


@dataclass(frozen=True)
class Line:
    """One measure of one run; kind is `run`, `other` or `null`, which says how it is drawn."""

    kind: str
    values: Sequence[float]


def chart(name: str, doc: str, lines: Sequence[Line], turns: int, marks: Mapping[float, str]) -> str:
    """A small chart of one measure against time; every text in it is escaped."""
    found = {line.kind: [(x, y) for x, y in thinned(line.values) if isfinite(y)] for line in lines}
    low, high = extent([y for points in found.values() for _, y in points])
    across, down = (WIDTH - LEFT - RIGHT) / max(1, turns), (HEIGHT - TOP - BOTTOM) / (high - low)

    def place(x: float, y: float) -> str:
        return f"{LEFT + x * across:.1f},{TOP + (high - y) * down:.1f}"

    parts = [f'<title>{escape(doc)}</title><text class="name" x="0" y="13">{escape(name.replace("_", " "))}</text>']
    parts.append(f'<text class="value" x="{WIDTH - RIGHT}" y="13">{escape(_last(lines))}</text>')
    for value in (low, high):
        y = TOP + (high - value) * down
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text class="tick" x="{LEFT - 5}" y="{y + 3:.1f}">{escape(tick(value, high - low))}</text>')
    for time, text in marks.items():
        x = LEFT + time * across
        parts.append(f'<line class="mark" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}">')
        parts.append(f"<title>{escape(text)}</title></line>")
    parts += [_path(kind, [place(x, y) for x, y in found[kind]]) for kind in (NULL, OTHER, RUN) if found.get(kind)]
    parts.append(f'<text class="time" x="{LEFT}" y="{HEIGHT - 6}">0</text>')
    parts.append(f'<text class="time end" x="{WIDTH - RIGHT}" y="{HEIGHT - 6}">{turns:,} turns</text>')
    if not any(found.values()):
        parts.append(
            f'<text class="none" x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT / 2 + 6}">undefined so far</text>'
        )
    label = escape(f"{name.replace('_', ' ')} over time, {_last(lines)} now")
    return (
        f'<svg class="am-chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}">{"".join(parts)}</svg>'
    )


def extent(values: Sequence[float]) -> tuple[float, float]:
    """The ends of an axis: zero at the bottom where nothing is below, whole shares where all are shares."""
    low, high = min(values, default=0.0), max(values, default=1.0)
    if low >= 0 and 0.3 <= high <= 1:
        return 0.0, 1.0
    low = min(low, 0.0) if low >= 0 or low > -0.02 * (high - low) else low
    if high <= low:
        high = low + (abs(low) or 1.0)
    unit = 10.0 ** floor(log10((high - low) / 2))
    return floor(low / unit) * unit, -floor(-high / unit) * unit


def tick(value: float, span: float) -> str:
    """A number as an axis says it, with as many digits as the span of the axis needs."""
    if abs(value) >= 10_000:
        return f"{value:.3g}"
    digits = max(0, 1 - floor(log10(span))) if span < 10 else 0
    return f"{value:.{min(digits, 6)}f}".rstrip("0").rstrip(".") if digits else f"{value:.0f}"


def _path(kind: str, points: Sequence[str]) -> str:
    if len(points) == 1:
        x, _, y = points[0].partition(",")
        return f'<circle class="{kind}" cx="{x}" cy="{y}" r="2.4"/>'
    return f'<polyline class="{kind}" points="{" ".join(points)}"/>'


def _last(lines: Sequence[Line]) -> str:
    values = [line.values[-1] for line in lines if line.kind == RUN and line.values]
    return f"{values[0]:.4g}" if values and isfinite(values[0]) else "–"
