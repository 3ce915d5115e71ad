"""Forest plots: effects of single knobs with their verdicts, arms with what they take away and cost, sensitivity."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite, nan
from typing import TYPE_CHECKING, Any

from agentmicro.study.canvas import (
    AMBER,
    BLUE,
    EDGE,
    GREEN,
    PAPER,
    PURPLE,
    VERMILION,
    WRITTEN,
    Plate,
    Row,
    clean,
    drawn,
    grid_lines,
    plain_numbers,
    spread,
    whiskers,
    words,
)
from agentmicro.study.charts import about, runs_behind, slug
from agentmicro.study.figure import FAINT, INK, NULL
from agentmicro.study.results import Study
from agentmicro.study.text import amount

if TYPE_CHECKING:
    from pandas import DataFrame

ROWS = 40  # of one plot; more are in the table
PARETO = 2.6  # inches of the reduction against its cost
MEASURES = 4  # forests of effects, the outcome's first
SIGNS = {"relevant": (BLUE, "o", True), "negligible": (GREEN, "s", False), "undecided": (AMBER, "D", False)}
SHAPES = "Filled: relevant after Holm's correction; square: negligible within the margin; diamond: undecided."
LEVELS = {"protocol": BLUE, "model": PURPLE, "both": AMBER}


@dataclass(frozen=True)
class Line:
    """One row of a forest plot: an estimate with its interval, its name, its sign and what is said of it.

    heading: the group that it begins, if it begins one.
    """

    name: str
    value: float
    low: float
    high: float
    colour: str = BLUE
    marker: str = "o"
    filled: bool = True
    said: str = ""
    heading: str = ""


def forest(axes: Any, lines: Sequence[Line], label: str, zero: bool = True) -> None:
    """Draws the rows from the top, each with its interval; what is said of them stands at the right."""
    places, heads = _places(lines)
    for line, place in zip(lines, places, strict=True):
        whiskers(axes, place, line.low, line.high, line.colour, across=True)
        axes.plot(
            [line.value], [place], color=line.colour, markerfacecolor=line.colour if line.filled else PAPER,
            marker=line.marker, markersize=6, markeredgewidth=1.4, linestyle="none", zorder=3,
        )  # fmt: skip
        axes.annotate(
            line.said, (1, place), xycoords=("axes fraction", "data"), xytext=(6, 0), textcoords="offset points",
            ha="left", va="center", color=WRITTEN.get(line.colour, line.colour), fontsize=8, annotation_clip=False,
        )  # fmt: skip
    if zero:
        axes.axvline(0, color=INK, linewidth=0.8, zorder=1)
    axes.set_yticks([*places, *heads], [*(line.name for line in lines), *heads.values()])
    for tick in axes.get_yticklabels()[len(lines) :]:
        tick.set(fontweight="bold", color=NULL)
    axes.set_ylim(max(places, default=0) + 0.7, -0.7)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel(label)
    grid_lines(axes, "x")
    plain_numbers(axes.xaxis)


def _places(lines: Sequence[Line]) -> tuple[list[float], dict[float, str]]:
    """Where each row stands, and where the heading above a group does."""
    places: list[float] = []
    heads: dict[float, str] = {}
    at = 0.0
    for line in lines:
        if line.heading:
            at += 0.25 if places else 0.0
            heads[at] = line.heading
            at += 1.0
        places.append(at)
        at += 1.0
    return places, heads


def tall(lines: Sequence[Line]) -> float:
    """The height in inches that so many rows need."""
    return 0.85 + 0.24 * (len(lines) + 1.25 * sum(bool(line.heading) for line in lines))


def effects(study: Study, table: "DataFrame") -> list[Plate]:
    """What each knob does when it is changed alone, by micro-variable: a forest for each measure, the outcome first."""
    measures = list(dict.fromkeys(table["measure"])) if len(table) else []
    measures.sort(key=lambda name: name != study.scenario.outcome)
    made = (_effects(study, table[table["measure"] == name], name) for name in measures[:MEASURES])
    return [plate for plate in made if plate]


def _effects(study: Study, table: "DataFrame", measure: str) -> Plate | None:
    known = table[table["effect"].notna()]
    size = known["effect"].abs()
    kept = known[size.rank(method="first", ascending=False) <= ROWS].assign(size=size)
    groups = kept.groupby("group", sort=False)["size"].max().sort_values(ascending=False, kind="stable").index
    lines = []
    for group in groups:
        mine = kept[kept["group"] == group].sort_values("size", ascending=False, kind="stable")
        for index, row in enumerate(mine.to_dict("records")):
            lines.append(_effect(row, words(group) if not index else ""))
    if not lines:
        return None
    margin = next((float(value) for value in kept["margin"] if isfinite(value)), nan)

    def paint(figure: Any) -> None:
        axes = figure.subplots()
        if isfinite(margin):
            axes.axvspan(-margin, margin, color=FAINT, linewidth=0, zorder=0)
        forest(axes, lines, f"change of {words(measure)}")

    told = f"One knob at a time: paired change of {about(study, measure)} against the base on the same seeds "
    told += f"({runs_behind((int(kept['n'].min()), int(kept['n'].max())))}), with bootstrap 95% intervals. "
    told += f"Grey band: within ±{amount(margin)} a change is negligible. " if isfinite(margin) else ""
    told += SHAPES
    told += f" The {len(kept)} largest of {len(table)} are drawn." if len(kept) < len(known) else ""
    return drawn(slug("effects", measure), told, paint, tall(lines))


def _effect(row: Row, heading: str) -> Line:
    colour, marker, filled = SIGNS[str(row["verdict"])]
    name = f"{words(row['knob'], 22)}: {clean(row['base'], 18)} → {clean(row['value'], 18)}"
    return Line(name, row["effect"], row["low"], row["high"], colour, marker, filled, _verdict(row), heading)


def _verdict(row: Row) -> str:
    """The verdict of a row, with about how many more seeds would decide it."""
    verdict, more = str(row["verdict"]), row["more"]
    return f"{verdict}, {amount(more)} more seeds" if verdict == "undecided" and isfinite(more) else verdict


def arms(study: Study, table: "DataFrame", side_effects: "DataFrame | None") -> list[Plate]:
    """What each arm takes away from the risk, and below it what it costs: tokens, or else changes of other measures."""
    known = table[table["reduction"].notna()].sort_values("reduction", ascending=False, kind="stable").head(ROWS)
    if known.empty:
        return []
    rows = known.to_dict("records")
    lines = [_arm(row) for row in rows]
    costs, label = _costs(rows, side_effects)

    def paint(figure: Any) -> None:
        if not costs:
            forest(figure.subplots(), lines, f"reduction of the risk ({words(study.scenario.outcome, 30)})")
            return
        above, below = figure.subplots(2, height_ratios=(tall(lines), PARETO))
        forest(above, lines, f"reduction of the risk ({words(study.scenario.outcome, 30)})")
        _pareto(below, rows, costs, label, study)

    fall = "fall" if study.scenario.risk.worse == "high" else "rise"
    told = f"Interventions: reduction of the risk, a paired {fall} of {about(study, study.scenario.outcome)} on the "
    told += f"same seeds ({runs_behind((int(known['n'].min()), int(known['n'].max())))}) with 95% intervals; "
    told += "right of zero is less risk. Blue: the protocol changes; purple: the minds; amber: both. "
    told += SHAPES
    told += (
        f" Below: the same reduction against {label}; filled: on the Pareto front of cure and cost." if costs else ""
    )
    told += f" {len(known)} of {len(table)} arms are drawn." if len(known) < len(table) else ""
    return [drawn("interventions", told, paint, tall(lines) + (PARETO if costs else 0.0))]


def _arm(row: Row) -> Line:
    since = f" (from {amount(row['at'])})" if isfinite(row["at"]) else ""
    _, marker, filled = SIGNS[str(row["verdict"])]
    name, ends = f"{clean(row['arm'], 28)}{since}", (row["low"], row["high"])
    return Line(name, row["reduction"], *ends, LEVELS[str(row["level"])], marker, filled, _verdict(row))


def _costs(rows: Sequence[Row], side_effects: "DataFrame | None") -> tuple[list[float], str]:
    """What the arms cost beside each other; nothing where nothing tells them apart."""
    for column, label in (("cost_usd", "cost (USD a run)"), ("tokens", "tokens a run")):
        values = [float(row.get(column, nan)) for row in rows]
        if all(map(isfinite, values)) and len(set(values)) > 1:
            return values, label
    if side_effects is None or side_effects.empty:
        return [], ""
    moved = side_effects[side_effects["p_holm"] <= 0.05].groupby("arm").size()
    values = [float(moved.get(row["arm"], 0)) for row in rows]
    return (values, "other measures changed") if any(values) else ([], "")


def _pareto(axes: Any, rows: Sequence[Row], costs: Sequence[float], label: str, study: Study) -> None:
    for row, cost in zip(rows, costs, strict=True):
        colour = LEVELS[str(row["level"])]
        whiskers(axes, cost, row["low"], row["high"], colour)
        axes.plot(
            [cost], [row["reduction"]], color=colour, marker="o", markerfacecolor=colour if row["pareto"] else PAPER,
            markersize=6, linestyle="none", zorder=3,
        )  # fmt: skip
    axes.axhline(0, color=INK, linewidth=0.8, zorder=1)
    _names(axes, rows, costs)
    axes.margins(x=0.1)
    axes.set(xlabel=label, ylabel="reduction of the risk")
    grid_lines(axes)
    plain_numbers(axes.xaxis)
    plain_numbers(axes.yaxis)


def _names(axes: Any, rows: Sequence[Row], costs: Sequence[float]) -> None:
    """Names the arms in a column at the right, each led to its point, where no name can lie on a point."""
    low, high = axes.get_ylim()
    tops = spread([row["reduction"] for row in rows], (high - low) * 0.075)
    for row, cost, top in zip(rows, costs, tops, strict=True):
        lead = {"arrowstyle": "-", "color": EDGE, "linewidth": 0.5, "relpos": (0, 0.5), "shrinkA": 1, "shrinkB": 4}
        axes.annotate(
            clean(row["arm"], 30), (cost, row["reduction"]), xytext=(1.03, top), textcoords=("axes fraction", "data"),
            ha="left", va="center", fontsize=7.5, annotation_clip=False, arrowprops=lead,
        )  # fmt: skip


def sensitivity(study: Study, table: "DataFrame") -> list[Plate]:
    """How much of the outcome each knob moves: Morris' mean effects, or Sobol's shares of the variance."""
    wanted: tuple[tuple[str, str, str], ...]
    if {"ST", "S1"} <= set(table.columns):
        wanted, label = (("ST", VERMILION, "with interactions"), ("S1", BLUE, "alone")), "share of the variance"
    elif "mu_star" in table.columns:
        wanted, label = (("mu_star", BLUE, ""),), f"mean absolute effect on {words(study.scenario.outcome)}"
    else:
        return []
    rows = table[table[wanted[0][0]].notna()].sort_values(wanted[0][0], ascending=False).head(ROWS).to_dict("records")
    if not rows:
        return []
    step = 0.16 if len(wanted) > 1 else 0.0

    def paint(figure: Any) -> None:
        axes = figure.subplots()
        for index, (column, colour, name) in enumerate(wanted):
            for place, row in enumerate(rows):
                value, half = float(row[column]), float(row.get(f"{column}_conf", nan))
                at = place + (2 * index - 1) * step
                whiskers(axes, at, value - half, value + half, colour, across=True)
                axes.plot([value], [at], color=colour, marker="os"[index], markersize=5.5, linestyle="none", zorder=3)
                if not place and name:
                    axes.annotate(
                        name, (value, at), xytext=(0, 7 - 14 * index), textcoords="offset points", ha="center",
                        va="top" if index else "bottom", color=colour, fontsize=8, annotation_clip=False,
                    )  # fmt: skip
        axes.set_yticks(range(len(rows)), [words(row["knob"]) for row in rows])
        axes.set_ylim(len(rows) - 0.4, -0.8)
        axes.axvline(0, color=INK, linewidth=0.8)
        axes.set_xlabel(label)
        grid_lines(axes, "x")
        plain_numbers(axes.xaxis)

    method = str(rows[0].get("method", "")).capitalize()
    told = f"Sensitivity of {about(study, study.scenario.outcome)}{f' ({method})' if method else ''}: {label}, "
    told += "with 95% intervals where they are known."
    return [drawn("sensitivity", told, paint, 1.0 + 0.3 * len(rows))]
