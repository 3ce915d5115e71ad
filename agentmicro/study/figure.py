"""The figure of a run: its outcome over the turns beside its null, and whatever else the phenomenon can draw.

A phenomenon that has more to show than a line offers `draw(axes)`: it fills the second panel. matplotlib is imported
here and nowhere else, and only when a figure is asked for.
"""

import textwrap
from pathlib import Path
from typing import Any

from agentmicro.society import Society
from agentmicro.study.output import FIGURES, Report
from agentmicro.study.run import measures

# Okabe and Ito's blue and vermillion, which colour-blind readers can tell apart, and greys for what stands behind.
RUN, ACCENT, NULL, INK, FAINT = "#0072B2", "#D55E00", "#8C8C8C", "#333333", "#E6E6E6"
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
    """Draws a measure at every turn, with the null of the same seed behind it."""
    run, null = report.run.series[outcome], report.null.series[outcome]
    axes.plot(null, color=NULL, linewidth=1.4, linestyle=(0, (4, 2)), label="null")
    axes.plot(run, color=RUN, linewidth=2.0, label="run", solid_capstyle="round")
    axes.set_xlabel("time (turns)")
    axes.set_ylabel(outcome.replace("_", " "))
    axes.set_title("\n".join(textwrap.wrap(doc.rstrip("."), 58)))
    axes.set_xlim(0, max(1, report.run.turns))
    axes.grid(axis="y", color=FAINT, linewidth=0.6)
    axes.legend(frameon=False, fontsize=8)


def _title(report: Report) -> str:
    minds = ", ".join(f"{name}" for name in report.run.minds)
    return f"{report.scenario or report.run.phenomenon}: {minds}, seed {report.run.seed}"
