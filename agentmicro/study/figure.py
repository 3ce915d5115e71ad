"""The figure of a run: its outcome over the turns beside its null, and whatever else the phenomenon can draw.

A phenomenon that has more to show than a line offers `draw(axes)`: it fills the second panel. matplotlib is imported
only when a figure is asked for.
"""

import textwrap
from math import isfinite
from pathlib import Path
from typing import Any

from agentmicro.errors import listed
from agentmicro.society import Society
from agentmicro.study.output import FIGURES, Report
from agentmicro.study.run import measures

# Okabe and Ito's blue, which colour-blind readers tell from grey by its lightness too, and greys for what is behind.
RUN, NULL, INK, FAINT = "#0072B2", "#757575", "#333333", "#E6E6E6"
FEW = 20  # turns up to which each is marked by a dot
CLOSE = 0.1  # of the height: names of lines that end nearer than this are pushed apart
STYLE: Any = {
    "font.size": 9.0,
    "font.family": "DejaVu Sans",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#9A9A9A",
    "axes.labelcolor": INK,
    "axes.linewidth": 0.8,
    "axes.axisbelow": True,
    "axes.titlesize": 9.5,
    "axes.titlelocation": "left",
    "axes.titlecolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": 8.0,
    "ytick.labelsize": 8.0,
    "svg.hashsalt": "agentmicro",
    "svg.fonttype": "path",
}


def save(into: Path, report: Report, model: Society, outcome: str) -> None:
    """Writes the figure as PNG and SVG; raises ImportError where matplotlib is not installed."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(STYLE):
        hook = getattr(model, "draw", None)
        panels = 2 if hook else 1
        figure = Figure(figsize=(4.4 * panels + 0.6, 3.5), layout="constrained")
        axes = figure.subplots(1, panels, squeeze=False)[0]
        over_turns(axes[0], report, outcome, measures(type(model)).get(outcome, ""))
        if hook:
            hook(axes[1])
            axes[1].grid(axis="y", color=FAINT, linewidth=0.6)
        figure.suptitle(_title(report), x=0.012, ha="left", fontsize=11, fontweight="bold")
        for name in FIGURES:
            metadata = {"Date": None} if name.endswith("svg") else {}
            figure.savefig(into / name, dpi=160, metadata=metadata)


def over_turns(axes: Any, report: Report, outcome: str, doc: str) -> None:
    """Draws a measure at every turn, with the null of the same seed behind it, each named at its end."""
    from matplotlib.ticker import MaxNLocator

    run, null = report.run.series[outcome], report.null.series[outcome]
    mark = {"marker": "o", "markersize": 3.5} if report.run.turns <= FEW else {}
    axes.plot(null, color=NULL, linewidth=1.2, **mark)
    axes.plot(run, color=RUN, linewidth=2.0, solid_capstyle="round", **mark)
    axes.set_xlabel("time (turns)")
    axes.set_ylabel(outcome.replace("_", " "))
    axes.set_title("\n".join(textwrap.wrap(doc.partition(";")[0].rstrip("."), 56)))
    axes.set_xlim(0, max(1, report.run.turns))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if min([value for value in run + null if isfinite(value)], default=-1.0) >= 0:
        axes.set_ylim(bottom=0)  # a share or a count that starts elsewhere looks like more change than there is
    axes.grid(axis="y", color=FAINT, linewidth=0.6)
    gap = abs(run[-1] - null[-1]) / (axes.get_ylim()[1] - axes.get_ylim()[0])
    apart = not gap < CLOSE
    above = not run[-1] < null[-1]
    _name(axes, run[-1], "run", RUN, "center" if apart else "bottom" if above else "top")
    _name(axes, null[-1], f"null:\n{_changed(report)}", NULL, "center" if apart else "top" if above else "bottom")


def _name(axes: Any, value: float, text: str, colour: str, align: str) -> None:
    """Names a line at its end, outside the axes, where no line can run through it."""
    if isfinite(value):
        place = {"xytext": (5, 0), "textcoords": "offset points", "ha": "left", "va": align}
        axes.annotate(text, (axes.get_xlim()[1], value), **place, color=colour, fontsize=8.5)


def _changed(report: Report) -> str:
    knobs = report.run.knobs
    changed = [f"{name}={value}" for name, value in report.null.knobs.items() if value != knobs[name]]
    return "\n".join(textwrap.shorten(text, 24, placeholder="...") for text in changed) or "as the run"


def _title(report: Report) -> str:
    minds = textwrap.shorten(listed(report.run.minds), 40, placeholder=" ...")
    return f"{report.scenario or report.run.phenomenon}: {minds}, seed {report.run.seed}"
