"""The figures of what was grown: dose-response, thresholds, and outcomes over the turns beside their null."""

import json
import re
from collections.abc import Mapping, Sequence
from math import ceil, isfinite, nan
from typing import TYPE_CHECKING, Any

import numpy as np

from agentmicro.errors import listed
from agentmicro.knobs import Scalar, knobs
from agentmicro.study import run
from agentmicro.study.canvas import (
    BLUE,
    SERIES,
    VERMILION,
    Plate,
    Row,
    clean,
    drawn,
    grid_lines,
    name_ends,
    plain_numbers,
    words,
)
from agentmicro.study.comparisons import resolved
from agentmicro.study.curves import Curves, are_numbers, curves, draw, from_zero, shown, thinned
from agentmicro.study.display import assigned
from agentmicro.study.figure import NULL
from agentmicro.study.results import SUCCEEDED, Study
from agentmicro.study.text import AS_IT_IS, amount, spanned

if TYPE_CHECKING:
    from pandas import DataFrame, Series

SAMPLED = ("latin", "sobol", "morris")
OTHERS = 4  # further measures drawn beside the outcome
PANELS = 6  # small charts in one figure, at most
ACROSS, PAIR = 3, 2  # of them side by side
TURNS = 400  # points along a line over time, at most
DOTS = 2_000  # single runs drawn behind a threshold, at most
MIDDLES = ((0.05, 0.95, 0.12), (0.25, 0.75, 0.22))  # the bands over time: from, to, how dark


def doses(study: Study, dose: "DataFrame") -> list[Plate]:
    """How each measure of interest answers to the knobs that were varied: the outcome first, the others in small.

    dose: a table of `curves.by_knob`, here and below.
    """
    varied, design = knobs_of(study, dose), study.scenario.grow.design
    measures = sorted(dict.fromkeys(dose["measure"]), key=lambda name: name != study.scenario.outcome)
    if not varied:
        return []
    if design in SAMPLED:
        return [_sampled(study, dose, varied, measures[0])]
    if design == "one-factor" and len(varied) > 1:
        return _one_by_one(study, dose, varied, measures[0])
    crossed = [found for name in measures if (found := _crossed(study, dose, varied, name))]
    first, others = crossed[:1], crossed[1:]
    return [*(_dose(study, found) for found in first), *([_beside(study, others)] if others else [])]


def knobs_of(study: Study, dose: "DataFrame") -> list[str]:
    """The knobs of which the doses have more than one value, numbers first."""
    grow, kinds = study.scenario.grow, knobs(study.scenario.cls)
    names = sorted((*grow.vary, *grow.ranges), key=lambda name: kinds[name].kind not in (int, float))
    return [name for name in names if dose[f"knob_{name}"].nunique() > 1]


def held(study: Study, dose: "DataFrame", names: Sequence[str]) -> dict[str, Scalar]:
    """A value for each knob that a chart does not turn: the scenario's own where it was tried, else the first tried."""
    own = resolved(study.scenario)
    tried = {name: dose[f"knob_{name}"].tolist() for name in names}
    return {name: own[name] if own[name] in values else values[0] for name, values in tried.items()}


def null_mean(study: Study, measure: str) -> float:
    """The mean of a measure where the mechanism is taken away; NaN if that was not run."""
    cells = study.stage("null")["cell"]
    values = study.values(int(cells.iloc[0]), measure).dropna() if len(cells) else ()
    return float(np.mean(values)) if len(values) else nan


def slug(*parts: object) -> str:
    """A name for a figure's files: lower case letters, digits and hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", "-".join(str(part) for part in parts).lower()).strip("-")[:60] or "figure"


def runs_behind(n: tuple[int, int]) -> str:
    """`n = 10`, or the least and the most."""
    return f"n = {n[0]:,}" if n[0] == n[1] else f"n = {n[0]:,} to {n[1]:,}"


def about(study: Study, measure: str) -> str:
    """What a measure is, in the words of its docstring; its name if it has none."""
    doc = run.measures(study.scenario.cls).get(measure, "").partition(";")[0].strip().rstrip(".")
    return f"{words(measure)} ({doc[:1].lower()}{doc[1:]})" if doc else words(measure)


def axis(study: Study, knob: str) -> str:
    """A knob as the label of an axis: its name and what it is."""
    doc = knobs(study.scenario.cls)[knob].doc
    return f"{words(knob)}: {clean(doc, 52)}" if doc else words(knob)


def _crossed(study: Study, dose: "DataFrame", varied: Sequence[str], measure: str) -> Curves | None:
    knob, *rest = varied
    second = rest[0] if rest else ""
    return curves(dose, measure, knob, second, held(study, dose, rest[1:]))


def _dose(study: Study, found: Curves) -> Plate:
    null = null_mean(study, found.measure)

    lines = f", a line for each value of {words(found.second)}" if found.second else ""
    told = [f"Dose and response: {about(study, found.measure)} against {words(found.knob)}{lines}."]
    told += [f"Points are means over seeds ({runs_behind(found.n)}) with 95% intervals."]
    told += [_null(study)] if isfinite(null) else []
    told += [f"Held: {assigned(found.fixed)}."] if found.fixed else []
    told += [f"{len(found.lines)} of {found.every} lines are drawn."] if found.every > len(found.lines) else []
    label = axis(study, found.knob)
    name, text = slug("dose", found.measure), " ".join(told)
    return drawn(name, text, lambda figure: draw(figure.subplots(), found, label, null), 3.3)


def _null(study: Study) -> str:
    null = study.scenario.cls.null
    return f"Grey: the null, in which {assigned(null)}." if null else "Grey: the null."


def _beside(study: Study, others: Sequence[Curves]) -> Plate:
    """The other measures of interest against the same knobs, in small."""
    kept = others[:OTHERS]

    def paint(figure: Any) -> None:
        for axes, found in _cells(figure, kept, PAIR):
            draw(axes, found, null=null_mean(study, found.measure), size=7.0)
            axes.set_title(words(found.measure, 30))
            axes.set_ylabel("")

    names = listed(words(found.measure) for found in kept)
    rest = len(others) - len(kept)
    more = f" {rest} more {'is' if rest == 1 else 'are'} in the table." if rest else ""
    least, most = min(found.n[0] for found in kept), max(found.n[1] for found in kept)
    n = runs_behind((least, most))
    told = f"The same for other measures: {names}. Means over seeds ({n}) with 95% intervals.{more}"
    return drawn("dose-others", told, paint, 0.3 + 2.1 * ceil(len(kept) / PAIR))


def _cells(figure: Any, items: Sequence[Any], most: int = ACROSS) -> Any:
    """A small chart for each item, and no empty ones."""
    across = min(most, len(items))
    grid = figure.subplots(ceil(len(items) / across), across, squeeze=False).ravel()
    for axes in grid[len(items) :]:
        axes.remove()
    return zip(grid, items, strict=False)


def _one_by_one(study: Study, dose: "DataFrame", varied: Sequence[str], measure: str) -> list[Plate]:
    """One knob at a time around the base, a small chart for each."""
    made = (
        curves(dose, measure, name, "", held(study, dose, [other for other in varied if other != name]))
        for name in varied
    )
    found = [one for one in made if one][:PANELS]
    if not found:
        return []
    null = null_mean(study, measure)

    def paint(figure: Any) -> None:
        for axes, one in _cells(figure, found):
            draw(axes, one, null=null)

    n = min(one.n[0] for one in found), max(one.n[1] for one in found)
    told = f"One knob at a time: {about(study, measure)}, everything else as in the scenario. "
    told += f"Means over seeds ({runs_behind(n)}) with 95% intervals."
    told += f" {_null(study)}" if isfinite(null) else ""
    return [drawn(slug("dose", measure), told, paint, 0.3 + 2.2 * ceil(len(found) / ACROSS))]


def _sampled(study: Study, dose: "DataFrame", varied: Sequence[str], measure: str) -> Plate:
    """The points of a design that fills space, against each knob in turn."""
    rows = dose[(dose["measure"] == measure) & dose["mean"].notna()]
    kept = list(varied)[:PANELS]

    def paint(figure: Any) -> None:
        for axes, name in _cells(figure, kept):
            cloud(axes, rows, name, measure)

    n = int(rows["n"].min()) if len(rows) else 0, int(rows["n"].max()) if len(rows) else 0
    told = f"Sampled design ({study.scenario.grow.design}): {about(study, measure)} at each of {len(rows):,} points, "
    told += f"against each knob in turn; each point is a mean over seeds ({runs_behind(n)})."
    return drawn(slug("dose", measure), told, paint, 0.3 + 2.2 * ceil(len(kept) / ACROSS))


def cloud(axes: Any, dose: "DataFrame", knob: str, measure: str) -> None:
    """Draws the points of a design against one of its knobs, whatever the others are."""
    rows = dose[dose["measure"] == measure]
    values = rows[f"knob_{knob}"].tolist()
    names = [] if are_numbers(values) else list(dict.fromkeys(values))
    places = [names.index(value) for value in values] if names else values
    axes.plot(places, rows["mean"], color=BLUE, linestyle="none", marker="o", markersize=3, alpha=0.7, clip_on=False)
    if names:
        axes.set_xticks(range(len(names)), [shown(value) for value in names])
        axes.set_xlim(-0.5, len(names) - 0.5)
    else:
        plain_numbers(axes.xaxis)
    plain_numbers(axes.yaxis)
    axes.set(xlabel=words(knob), ylabel=words(measure, 30))
    grid_lines(axes)
    from_zero(axes)


def thresholds(study: Study, table: "DataFrame", dose: "DataFrame | None") -> list[Plate]:
    """Each threshold that was found: the curve, the single runs, the level, and the critical value with its band."""
    if dose is None:
        return []
    found = []
    for index, row in enumerate(table.to_dict("records"), start=1):
        others = [name for name in knobs_of(study, dose) if name != row["of"]]
        where = json.loads(row["where"])
        fixed = held(study, dose, others) | {name: value for name, value in where.items() if name in others}
        curve = curves(dose, row["that"], row["of"], "", fixed) if isfinite(row["estimate"]) else None
        if curve:
            found.append(_threshold(study, row, curve, index))
    return found[:PANELS]


def _threshold(study: Study, row: Row, curve: Curves, index: int) -> Plate:
    dots = _dots(study, curve)
    low, high, level = row["low"], row["high"], row["reaches"]

    def paint(figure: Any) -> None:
        axes = figure.subplots()
        if isfinite(low) and isfinite(high):
            axes.axvspan(low, high, color=VERMILION, alpha=0.14, linewidth=0)
        axes.axvline(row["estimate"], color=VERMILION, linewidth=1.6)
        axes.axhline(level, color=NULL, linewidth=1.0, linestyle=(0, (4, 3)))
        axes.plot(*dots, color=BLUE, alpha=0.18, linestyle="none", marker="o", markersize=3, markeredgewidth=0)
        draw(axes, curve, axis(study, curve.knob))
        name_ends(axes, [(level, f"reaches {amount(level)}", NULL)])
        axes.annotate(
            amount(row["estimate"]), (row["estimate"], 1), xycoords=("data", "axes fraction"), xytext=(0, 3),
            textcoords="offset points", ha="center", va="bottom", color=VERMILION, fontsize=9, fontweight="bold",
        )  # fmt: skip

    found = spanned(row["estimate"], low, high)
    told = f"Threshold: {row['says']} The {words(curve.knob)} at which {about(study, curve.measure)} reaches "
    told += f"{amount(level)} is {found}, by the {row['method']} fit; the band is the 95% interval. Line: means over "
    told += f"seeds with 95% intervals ({runs_behind(curve.n)}); dots: single runs."
    told += f" Held: {assigned(curve.fixed)}." if curve.fixed else ""
    return drawn(slug("threshold", index, curve.knob), told, paint, 3.2)


def _dots(study: Study, curve: Curves) -> tuple[list[float], list[float]]:
    """The single runs behind a curve."""
    runs = study.runs
    mine = runs[runs["cell"].isin(study.stage("grow")["cell"]) & (runs["status"] == SUCCEEDED)]
    mine = mine[mine["valid"].astype(bool)]
    for name, value in curve.fixed.items():
        mine = mine[mine[f"knob_{name}"] == value]
    kept = mine[[f"knob_{curve.knob}", curve.measure]].dropna().astype(float).head(DOTS)
    return kept[f"knob_{curve.knob}"].tolist(), kept[curve.measure].tolist()


def trajectories(study: Study) -> list[Plate]:
    """The outcome over the turns with its quantiles, beside the null; nothing where the turns were not kept."""
    own, null = _cell(study, "base"), _cell(study, "null")
    cells = {AS_IT_IS: (own, BLUE)} | ({} if null == own else {"null": (null, NULL)})
    found = {
        name: (series, colour) for name, (cell, colour) in cells.items() if (series := _series(study, cell)) is not None
    }
    return [_over_turns(study, found)] if AS_IT_IS in found else []


def arms_over_turns(study: Study) -> list[Plate]:
    """The mean outcome under each arm over the turns, beside that of the base."""
    rows = study.stage("intervene", "arm")
    arms = dict(zip(map(str, rows["label"]), map(int, rows["cell"]), strict=True))
    kept = dict(list(arms.items())[: len(SERIES) - 1])
    cells = {AS_IT_IS: _cell(study, "base"), **kept}
    means = {name: series.mean(axis=1) for name, cell in cells.items() if (series := _series(study, cell)) is not None}
    times = sorted({float(at) for at in rows["at"] if isfinite(at)})
    return [_arms(study, means, times, len(arms))] if len(means) > 1 else []


def _cell(study: Study, stage: str) -> int | None:
    cells = study.stage(stage)["cell"]
    return int(cells.iloc[0]) if len(cells) else None


def _series(study: Study, cell: int | None) -> "DataFrame | None":
    """The outcome of the runs of a cell that count, a row for each turn and a column for each seed."""
    if cell is None or study.folder is None or not (study.folder / "turns.parquet").exists():
        return None
    outcome = study.scenario.outcome
    turns = study.turns([cell], ["cell", "seed", "time", outcome])
    turns = turns[turns["seed"].isin(study.values(cell, outcome).index)]
    wide: DataFrame = turns.pivot(index="time", columns="seed", values=outcome).astype(float).dropna(how="all")
    return None if wide.empty else wide.loc[thinned(wide.index.tolist(), TURNS)]


def _over_turns(study: Study, found: Mapping[str, tuple["DataFrame", str]]) -> Plate:
    shares = all(set(np.unique(series.to_numpy())) <= {0.0, 1.0} for series, _ in found.values())

    def paint(figure: Any) -> None:
        axes = figure.subplots()
        ends = []
        for name, (series, colour) in reversed(list(found.items())):
            middle = series.mean(axis=1) if shares else series.quantile(0.5, axis=1)
            for low, high, dark in () if shares else MIDDLES:
                band = series.quantile([low, high], axis=1).to_numpy()
                axes.fill_between(series.index, *band, color=colour, alpha=dark, linewidth=0)
            axes.plot(series.index, middle, color=colour, linewidth=1.8, solid_capstyle="round")
            ends.append((float(middle.iloc[-1]), name, colour))
        _over_time(axes, study)
        name_ends(axes, ends)

    n = tuple(series.shape[1] for series, _ in found.values())
    shape = "Share of the runs" if shares else "Line: median run; bands: the middle 50% and 90% of the runs"
    told = f"Over the turns: {about(study, study.scenario.outcome)}. {shape} ({runs_behind((min(n), max(n)))})."
    told += f" {_null(study)}" if "null" in found else ""
    return drawn("trajectories", told, paint, 3.0)


def _over_time(axes: Any, study: Study) -> None:
    axes.set(xlabel="time (turns)", ylabel=words(study.scenario.outcome, 30))
    axes.margins(x=0)
    grid_lines(axes)
    plain_numbers(axes.xaxis)
    plain_numbers(axes.yaxis)
    from_zero(axes)


def _arms(study: Study, means: Mapping[str, "Series[float]"], times: Sequence[float], every: int) -> Plate:
    def paint(figure: Any) -> None:
        axes = figure.subplots()
        for at in times:
            axes.axvline(at, color=NULL, linewidth=1.0, linestyle=(0, (2, 3)))
        ends = []
        for (name, mean), colour in zip(means.items(), (NULL, *SERIES), strict=False):
            axes.plot(mean.index, mean, color=colour, linewidth=1.8)
            ends.append((float(mean.iloc[-1]), clean(name, 26), colour))
        _over_time(axes, study)
        name_ends(axes, ends)

    told = f"Interventions over the turns: {words(study.scenario.outcome)}, averaged over the runs under each arm."
    told += f" Dotted: an arm sets in, at {listed(map(amount, times))}." if times else ""
    told += f" {len(means) - 1} of {every} arms are drawn." if every > len(means) - 1 else ""
    return drawn("trajectories-arms", told, paint, 3.0)
