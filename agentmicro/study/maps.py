"""The attack map: the same attack at one place after another, drawn where it struck and against how central that is."""

from collections import Counter
from collections.abc import Mapping, Sequence
from math import isfinite
from typing import TYPE_CHECKING, Any

import numpy as np

from agentmicro.graphs import Links, layout
from agentmicro.minds.speaker import defined
from agentmicro.study.attacks import CENTRALITIES, GRAPHS
from agentmicro.study.canvas import (
    BLUE,
    EDGE,
    PAPER,
    RISK,
    VERMILION,
    Plate,
    Row,
    drawn,
    grid_lines,
    plain_numbers,
    whiskers,
    words,
)
from agentmicro.study.charts import about, runs_behind
from agentmicro.study.comparisons import resolved
from agentmicro.study.figure import INK, NULL
from agentmicro.study.results import Study
from agentmicro.study.run import build
from agentmicro.study.spec import Attack
from agentmicro.study.text import amount

if TYPE_CHECKING:
    from pandas import DataFrame

EDGES = 4_000  # links drawn, at most; more are a black disc
NODES = 2_000  # agents drawn, at most


def attacks(study: Study, table: "DataFrame") -> list[Plate]:
    """The attack map: on the graph and against centrality where there is a graph, else over the places."""
    attack = study.scenario.attack
    rows = table[table["effect"].notna()].to_dict("records")
    if not rows or attack is None:
        return []
    links = None if attack.kind == "slot" else _links(study, attack)
    n = int(min(row["n"] for row in rows)), int(max(row["n"] for row in rows))
    told = f"Attack map: paired change of {about(study, study.scenario.attacked)} when the same attack "
    told += f"({words(attack.name)}) strikes one {'place' if attack.kind == 'slot' else 'agent'} after another, on the "
    told += f"same seeds ({runs_behind(n)}), with 95% intervals; red where all of one is more risk, blue where all of "
    told += "it is less."
    if links is None:
        told += "" if attack.kind == "slot" else " No graph tells these agents apart."
        label = "agent" if attack.kind == "mind" else words(attack.name)
        paint = lambda figure: _against(figure.subplots(), study, rows, "place", label)  # noqa: E731
        return [drawn("attack", f"{told}{_ranks(table)}", paint, 3.0)]
    central = next((name for name in CENTRALITIES if table[name].nunique() > 1), "place")

    def both(figure: Any) -> None:
        left, right = figure.subplots(1, 2, width_ratios=(1.15, 1))
        _on_graph(figure, left, links, rows, RISK if study.scenario.risk.worse == "high" else RISK[::-1])
        _against(right, study, rows, central, words(central))

    told += " Left: on the graph of the first seed, coloured from less risk (blue) to more (red) and sized by effect"
    told += "; the small hollow agents were not attacked." if len(rows) < links.n else "."
    return [drawn("attack", f"{told} Right: against {words(central)}.{_ranks(table)}", both, 3.7)]


def _ranks(table: "DataFrame") -> str:
    """The rank correlations of the effect with where it struck, which the table carries beside its rows."""
    found = []
    for name in (*CENTRALITIES, "place"):
        value = table.attrs.get(name)
        if isinstance(value, Mapping) and isfinite(value["rho"]):
            found.append(f"{name} {amount(value['rho'])} ({amount(value['low'])} to {amount(value['high'])})")
    return f" Rank correlation of the effect with {'; '.join(found)}." if found else ""


def _links(study: Study, attack: Attack) -> Links | None:
    """The links of the attacked scenario under its first seed; None where there are none that could be drawn."""
    knobs = resolved(study.scenario, attack.knobs)
    with defined(study.scenario.minds):
        model = build(study.scenario.cls, knobs, int(study.runs["seed"].min()))
    links = model.links
    heard = model.architecture.communication in GRAPHS and not links.complete and links.exposures > 0
    return links if heard and links.n <= NODES else None


def _on_graph(figure: Any, axes: Any, links: Links, rows: Sequence[Row], shades: Sequence[str]) -> None:
    from matplotlib.collections import LineCollection

    spots = np.array(list(layout(links, seed=1).values()))
    edges = links.edges()
    if len(edges) <= EDGES:
        axes.add_collection(LineCollection(list(spots[edges]), colors=EDGE, linewidths=0.5, alpha=0.5, zorder=1))
    struck = np.array([int(row["place"]) for row in rows])
    rest = np.setdiff1d(np.arange(links.n), struck)
    axes.scatter(*spots[rest].T, s=8, facecolor=PAPER, edgecolor=EDGE, linewidth=0.6, zorder=2)
    effect = np.array([float(row["effect"]) for row in rows])
    most = float(np.abs(effect).max()) or 1.0
    step = np.clip(((effect / most + 1) / 2 * len(shades)).astype(int), 0, len(shades) - 1)
    colours, sizes = [shades[index] for index in step], 18 + 80 * np.abs(effect) / most
    axes.scatter(*spots[struck].T, s=sizes, c=colours, edgecolor=PAPER, linewidth=0.6, zorder=3)
    axes.set_aspect("equal")
    axes.margins(0.06)
    axes.axis("off")
    _scale(figure, axes, most, shades)


def _scale(figure: Any, axes: Any, most: float, shades: Sequence[str]) -> None:
    """Which effect each shade stands for."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import BoundaryNorm, ListedColormap

    norm = BoundaryNorm(np.linspace(-most, most, len(shades) + 1), len(shades))
    scale = ScalarMappable(norm, ListedColormap(list(shades)))
    bar = figure.colorbar(scale, ax=axes, orientation="horizontal", shrink=0.7, aspect=30, pad=0.02)
    bar.set_label("change", fontsize=8)
    bar.outline.set_visible(False)
    bar.ax.tick_params(length=2)
    bar.set_ticks([-most, 0, most], labels=[f"−{most:.2g}", "0", f"+{most:.2g}"])


def _against(axes: Any, study: Study, rows: Sequence[Row], where: str, label: str) -> None:
    """The effect at each place: red where its whole interval is more risk, blue where it is less, else grey."""
    sign = 1 if study.scenario.risk.worse == "high" else -1
    for at, row in zip(_beside([float(row[where]) for row in rows]), rows, strict=True):
        ends = sign * row["low"], sign * row["high"]
        colour = VERMILION if min(ends) > 0 else BLUE if max(ends) < 0 else NULL
        whiskers(axes, at, row["low"], row["high"], EDGE)
        axes.plot([at], [row["effect"]], color=colour, marker="o", markersize=4.5, linestyle="none", zorder=3)
    axes.axhline(0, color=INK, linewidth=0.8, zorder=1)
    axes.set(xlabel=label, ylabel=f"change of {words(study.scenario.attacked, 24)}")
    grid_lines(axes)
    plain_numbers(axes.xaxis)
    plain_numbers(axes.yaxis)


def _beside(places: Sequence[float]) -> list[float]:
    """The places, those that fall together set a little apart."""
    step = (max(places) - min(places)) / 80
    seen: Counter[float] = Counter()
    every = Counter(places)
    found = []
    for place in places:
        found.append(place + (seen[place] - (every[place] - 1) / 2) * step)
        seen[place] += 1
    return found
