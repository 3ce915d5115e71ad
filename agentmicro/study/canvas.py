"""What all figures of a report share: colours that everybody can tell apart, labels that do not collide, SVG and PNG.

A figure is drawn once and kept as a `Plate`: the same study gives the same bytes. Whatever a user or a model wrote is
drawn as paths and never read as a formula.
"""

import io
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from math import isfinite
from typing import Any, ClassVar

from agentmicro.study.figure import FAINT, INK, NULL, RUN, STYLE
from agentmicro.study.text import amount, told

type Row = Mapping[Any, Any]  # of a table

# Okabe and Ito's set without its yellow, which is lost on white; then two orders, light to dark and less to more risk.
BLUE = RUN
VERMILION, GREEN, PURPLE, AMBER, SKY = "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"
SERIES = (BLUE, VERMILION, GREEN, PURPLE, AMBER, SKY, NULL)
RAMP = ("#8BC1E3", "#69ADD8", "#4899CC", "#2A84BD", "#126EA8", "#08588B", "#04426B")
RISK = ("#08588B", "#4899CC", "#A9CFE6", "#C9C9C9", "#F2B088", "#E0782F", "#A84700")
EDGE, PAPER = "#9A9A9A", "#FFFFFF"
# Colours that are too light for letters, and what is written in their place.
WRITTEN = {AMBER: "#8A5A00", SKY: "#1A6E9E", PURPLE: "#94457A", GREEN: "#00724F", RAMP[0]: RAMP[2], RAMP[1]: RAMP[3]}
PALETTE = dict.fromkeys((INK, NULL, FAINT, EDGE, PAPER, *SERIES, *RAMP, *RISK, *WRITTEN.values()))

WIDTH = 6.6  # inches, a column of text
DPI = 200
LOOK = STYLE | {"text.parse_math": False, "figure.facecolor": PAPER, "axes.facecolor": PAPER}
DATELESS: dict[str, dict[str, Any]] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}


@dataclass(frozen=True)
class Plate:
    """A drawn figure with its caption; `name` is that of its files."""

    name: str
    caption: str
    svg: str
    png: bytes
    label: str = ""
    kind: ClassVar = "plate"

    @property
    def inline(self) -> str:
        """The SVG as part of a page: its names are its own, and its colours follow the theme of the page."""
        body = self.svg[self.svg.index("<svg") :]
        body = re.sub(r"<!--.*?-->|<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
        body = re.sub(r'\bid="([^"]+)"', rf'id="{self.name}-\1"', body)
        body = re.sub(r'href="#([^"]+)"', rf'href="#{self.name}-\1"', body)
        body = re.sub(r"url\(#([^)]+)\)", rf"url(#{self.name}-\1)", body)
        return re.sub(r"#[0-9a-fA-F]{6}\b", _themed, body)


def _themed(match: re.Match[str]) -> str:
    colour = match[0].upper()
    return f"var(--k{colour[1:]}, {colour})" if colour in PALETTE else match[0]


def drawn(name: str, caption: str, paint: Callable[[Any], None], height: float = 3.0, width: float = WIDTH) -> Plate:
    """The plate that `paint(figure)` makes."""
    figures = saved(paint, ("svg", "png"), height, width)
    return Plate(name, caption, figures["svg"].decode(), figures["png"])


def saved(
    paint: Callable[[Any], None], formats: Sequence[str], height: float = 3.0, width: float = WIDTH
) -> dict[str, bytes]:
    """What `paint(figure)` draws, in each of these formats; needs the extra agentmicro[study]."""
    import matplotlib
    from matplotlib.figure import Figure

    found = {}
    with matplotlib.rc_context(LOOK):
        figure = Figure(figsize=(width, height), layout="constrained")
        paint(figure)
        for kind in formats:
            buffer = io.BytesIO()
            figure.savefig(buffer, format=kind, dpi=DPI, metadata=DATELESS.get(kind))
            found[kind] = buffer.getvalue()
            figure.set_layout_engine("none")  # the first format has settled where everything stands
    return found


@cache
def _drawable() -> frozenset[int]:
    from matplotlib import font_manager

    font = font_manager.get_font(font_manager.findfont("DejaVu Sans"))
    return frozenset(font.get_charmap())


def clean(text: object, most: int = 40) -> str:
    """A text as a figure can show it: on one line, not too long, in letters that the font has."""
    line = " ".join(told(text, 4 * most).split())
    line = line if len(line) <= most else f"{line[: most - 1].rstrip()}…"
    known = _drawable()
    return "".join(letter if ord(letter) in known else "□" for letter in line)


def words(name: object, most: int = 40) -> str:
    """A name of a knob or a measure as words."""
    return clean(name, most).replace("_", " ")


def spread(places: Sequence[float], gap: float) -> list[float]:
    """The places moved as little as needed to lie at least `gap` apart, in the same order."""
    order = sorted(range(len(places)), key=lambda index: places[index])
    blocks: list[list[float]] = []  # of neighbours that touch: the sum of their wished starts, and how many they are
    for rank, index in enumerate(order):
        blocks.append([places[index] - rank * gap, 1])
        while len(blocks) > 1 and blocks[-2][0] / blocks[-2][1] >= blocks[-1][0] / blocks[-1][1]:
            wish, count = blocks.pop()
            blocks[-1][0] += wish
            blocks[-1][1] += count
    starts = [wish / count for wish, count in blocks for _ in range(int(count))]
    found = [0.0] * len(places)
    for rank, index in enumerate(order):
        found[index] = starts[rank] + rank * gap
    return found


def name_ends(axes: Any, ends: Sequence[tuple[float, str, str]], size: float = 8.0) -> None:
    """Names lines at the right of the axes, each `(height, name, colour)`, where no line can run through the names."""
    known = [end for end in ends if isfinite(end[0])]
    low, high = axes.get_ylim()
    tall = axes.figure.get_figheight() * 72 * axes.get_position(original=True).height
    gap = (high - low) * size * 1.3 / tall
    for (_, text, colour), place in zip(known, spread([end[0] for end in known], gap), strict=True):
        axes.annotate(
            text, (1, place), xycoords=("axes fraction", "data"), xytext=(5, 0), textcoords="offset points",
            ha="left", va="center", color=WRITTEN.get(colour, colour), fontsize=size, annotation_clip=False,
        )  # fmt: skip


def whiskers(axes: Any, x: float, low: float, high: float, colour: str, across: bool = False) -> None:
    """Draws an interval at a place: upright, or lying where `across`; nothing where an end is not known."""
    if isfinite(low) and isfinite(high):
        draw = axes.hlines if across else axes.vlines
        draw(x, low, high, color=colour, linewidth=1.4, zorder=2)


def plain_numbers(axis: Any) -> None:
    """Writes an axis in plain numbers, on a logarithmic scale too."""
    from matplotlib.ticker import FuncFormatter, NullFormatter

    axis.set_major_formatter(FuncFormatter(lambda value, _: amount(float(f"{value:.6g}"))))
    axis.set_minor_formatter(NullFormatter())


def grid_lines(axes: Any, axis: str = "y") -> None:
    """Faint lines behind the data."""
    axes.grid(axis=axis, color=FAINT, linewidth=0.6)
