"""Attack maps: what the same attack does at one place after another, beside how central the place is."""

from collections.abc import Mapping
from math import nan
from typing import TYPE_CHECKING

import networkx as nx
import numpy as np

from agentmicro.graphs import Links
from agentmicro.measures import pagerank
from agentmicro.minds.speaker import defined
from agentmicro.study.comparisons import COLUMNS, Pair, compared, margin, resolved
from agentmicro.study.results import Study
from agentmicro.study.run import build
from agentmicro.study.statistics import SEED, Floats, interval

if TYPE_CHECKING:
    from pandas import DataFrame

CENTRALITIES = ("degree", "betweenness", "closeness", "pagerank")
GRAPHS = ("network", "addressed")  # the kinds of communication in which the links say who hears whom
PIVOTS = 200  # agents from which shortest paths start, at most; fewer than all give an estimate of the betweenness
FEWEST = 3  # places that can be in some order


def attacks(study: Study, seed: int = SEED) -> "DataFrame":
    """The paired effect of the attack at each place, beside the centralities of that place.

    It is that on the measure which [attack] names, or else on the outcome. degree counts whom an agent reaches,
    closeness how near they are, betweenness how many shortest paths pass it, and pagerank the attention that flows to
    it. Graphs differ from seed to seed, and these are means over the seeds; NaN for slots, and where no graph says who
    hears whom. `attrs` holds by name the rank correlation of the effect with each centrality, or with the `place`
    itself for slots: within each seed, then their mean with its interval.
    """
    import pandas as pd

    scenario, arms = study.scenario, study.stage("attack", "arm")
    if scenario.attack is None or arms.empty:
        return pd.DataFrame(columns=["place", *COLUMNS, *CENTRALITIES])
    outcome, base = scenario.attacked, study.reference("attack")
    places = [int(label) for label in arms["label"]]
    cells = [int(cell) for cell in arms["cell"]]
    found = compared(study, [Pair(cell, base, outcome, margin(scenario, outcome)) for cell in cells], seed)
    found.insert(0, "place", places)
    moved = pd.DataFrame({cell: study.values(cell, outcome) - study.values(base, outcome) for cell in cells})
    if scenario.attack.kind == "slot":
        beside = {"place": np.tile(np.array(places, float), (len(moved), 1))}
    else:
        beside = _central(study, moved.index.tolist(), places)
    for name in CENTRALITIES:
        known = name in beside and len(beside[name])
        found[name] = beside[name].mean(axis=0) if known else nan
    for name, table in beside.items():
        found.attrs[name] = _correlated(moved[cells].to_numpy(float), table, seed)
    return found


def centralities(links: Links) -> Mapping[str, Floats]:
    """How central each agent is among those whom it reaches, in four ways."""
    graph = links.graph
    outward = graph.reverse() if links.directed else graph  # networkx counts the paths that lead to a node
    pivots = PIVOTS if links.n > PIVOTS else None
    by_name = {
        "betweenness": nx.betweenness_centrality(graph, k=pivots, seed=1),
        "closeness": nx.closeness_centrality(outward),
    }
    listed = {name: np.array([values[node] for node in links.names]) for name, values in by_name.items()}
    return {"degree": links.out_degrees.astype(float), **listed, "pagerank": pagerank(links)}


def _central(study: Study, seeds: list[int], places: list[int]) -> dict[str, Floats]:
    """The centralities of some places, a row for each seed; nothing where everybody is as central as everybody else."""
    scenario = study.scenario
    assert scenario.attack is not None
    knobs = resolved(scenario, scenario.attack.knobs)
    known: dict[Links, Mapping[str, Floats]] = {}
    rows = []
    for one in seeds:
        with defined(scenario.minds):
            model = build(scenario.cls, knobs, one)
        links = model.links
        if model.architecture.communication not in GRAPHS or links.complete or not links.exposures:
            return {}
        if links not in known:
            known[links] = centralities(links)
        rows.append(known[links])
    return {name: np.array([values[name][places] for values in rows]) for name in CENTRALITIES} if rows else {}


def _correlated(effects: Floats, beside: Floats, seed: int) -> dict[str, float]:
    """Spearman's correlation of each row of effects with the row beside it: its mean over the rows that have one."""
    from scipy.stats import spearmanr

    found = []
    for effect, value in zip(effects, beside, strict=True):
        both = np.isfinite(effect) & np.isfinite(value)
        if both.sum() >= FEWEST and np.ptp(effect[both]) > 0 and np.ptp(value[both]) > 0:
            found.append(float(spearmanr(effect[both], value[both]).statistic))
    rho, low, high = interval(np.array(found), seed)
    return {"rho": rho, "low": low, "high": high, "n": len(found)}
