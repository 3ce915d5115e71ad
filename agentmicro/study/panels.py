"""Many studies in one figure of small panels: how the outcome of each answers to the first knob that it varied."""

import textwrap
from collections.abc import Sequence
from math import ceil, sqrt
from pathlib import Path
from string import ascii_lowercase
from typing import Any, NamedTuple

from agentmicro import phenomena
from agentmicro.errors import SpecError, listed
from agentmicro.study.canvas import clean, saved
from agentmicro.study.charts import SAMPLED, cloud, held, knobs_of, null_mean
from agentmicro.study.curves import Curves, by_knob, curves, draw
from agentmicro.study.figure import NULL
from agentmicro.study.growing import load
from agentmicro.study.results import Study
from agentmicro.study.thresholds import dose

FORMATS = ("svg", "png", "pdf")
WIDE, TALL = 3.4, 2.9  # inches of a panel
LETTERS, LINES = 46, 3  # of the takeaway above a panel
HEAD = 38  # points above a panel, where its takeaway begins


class Panel(NamedTuple):
    """What is drawn of one study: its title, what it says, and its curves, or else the table to draw points from."""

    title: str
    takeaway: str
    study: Study
    curves: Curves | None
    table: Any
    knob: str


def panels(studies: Sequence[Study | Path], out: Path) -> Path:
    """Draws a panel for each study, or folder of one, into one file; its ending says which format."""
    kind = out.suffix.removeprefix(".").lower()
    if kind not in FORMATS:
        raise SpecError(f"--out {out}: expected a file that ends in one of {listed(f'.{name}' for name in FORMATS)}")
    if not studies:
        raise SpecError("panels: expected at least one study")
    made = [panel(load(item) if isinstance(item, Path) else item) for item in studies]
    across = ceil(sqrt(len(made)))
    down = ceil(len(made) / across)

    def paint(figure: Any) -> None:
        figure.get_layout_engine().set(h_pad=0.12, w_pad=0.08)
        grid = figure.subplots(down, across, squeeze=False).ravel()
        for letter, axes, item in zip(_letters(len(made)), grid, made, strict=False):
            _panel(axes, letter, item)
        for axes in grid[len(made) :]:
            axes.remove()

    drawing = saved(paint, (kind,), TALL * down, WIDE * across)[kind]
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(drawing)
    return out


def panel(study: Study) -> Panel:
    """What is drawn of one study."""
    title = phenomena.about(phenomena.name_of(study.scenario.cls)).title.partition(":")[0].rstrip(".")
    grow = study.scenario.grow
    table = by_knob(dose(study), (*grow.vary, *grow.ranges))
    knob, *rest = knobs_of(study, table) or [""]
    found = None
    if knob and grow.design not in SAMPLED:
        crossed = grow.design == "grid" and rest
        second, others = (rest[0], rest[1:]) if crossed else ("", rest)
        found = curves(table, study.scenario.outcome, knob, second, held(study, table, others))
    return Panel(title, study.scenario.risk.claim, study, found, table, knob)


def _panel(axes: Any, letter: str, item: Panel) -> None:
    study = item.study
    takeaway = textwrap.wrap(clean(item.takeaway, 2 * LETTERS * LINES), LETTERS, max_lines=LINES, placeholder=" …")
    above = {"xycoords": "axes fraction", "textcoords": "offset points", "annotation_clip": False}
    place = {"xytext": (0, HEAD), "va": "bottom", "fontsize": 10, "fontweight": "bold"}
    axes.annotate(f"{letter}  {clean(item.title, 40)}", (0, 1), **place, **above)
    axes.annotate("\n".join(takeaway), (0, 1), xytext=(0, HEAD - 2), va="top", fontsize=7.5, color=NULL, **above)
    if item.curves:
        draw(axes, item.curves, null=null_mean(study, study.scenario.outcome), size=7.0)
    elif item.knob:
        cloud(axes, item.table, item.knob, study.scenario.outcome)
    else:
        axes.text(0.5, 0.5, "no knob was varied", color=NULL, ha="center", va="center", transform=axes.transAxes)
        axes.set_axis_off()


def _letters(count: int) -> list[str]:
    """a, b, ... z, aa, ab, ..."""
    singles = list(ascii_lowercase)
    return (singles + [first + second for first in singles for second in singles])[:count]
