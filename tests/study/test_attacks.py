"""Attack maps: the effect of each place, the centralities of the actual graphs, and their rank correlation."""

import networkx as nx
import numpy as np
import pytest
from scipy import stats

from agentmicro.graphs import Links
from agentmicro.phenomena.channels import Channels
from agentmicro.study.attacks import CENTRALITIES, attacks, centralities
from agentmicro.study.statistics import interval
from tests.study.made import study

TEXT = """
phenomenon = "channels"
[risk]
outcome = "conflicts"
[micro]
agents = 12
graph = "GRAPH"
[grow]
seeds = 5
[attack]
mind = "stubborn"
"""
SLOTS = (
    TEXT.split("[micro]")[0].replace("channels", "herding").replace("conflicts", "gini") + '[attack]\nslot = "place"\n'
)
SEEDS = range(1, 6)


def made(tmp_path, graph, effect):
    """A map in which the attack on a row changes the conflicts of a seed by effect(row, seed)."""
    cells = [{"conflicts": np.full(5, 0.2)}]
    cells += [{"conflicts": np.array([0.2 + effect(row, seed) for seed in SEEDS])} for row in range(12)]
    uses = [("attack", "no attack", "reference", 0, {})]
    uses += [("attack", str(row), "arm", row + 1, {}) for row in range(12)]
    return study(tmp_path, TEXT.replace("GRAPH", graph), cells, uses)


def degree(graph, seed):
    return Channels(agents=12, graph=graph, rng=seed).links.out_degrees


def test_each_place_has_its_paired_effect(tmp_path):
    effects = np.random.default_rng(1).normal(0.1, 0.02, (12, 5))
    table = attacks(made(tmp_path, "ring", lambda row, seed: effects[row, seed - 1]))
    assert table["place"].tolist() == list(range(12))
    for row in range(12):
        expected = interval(effects[row])
        assert tuple(table.loc[row, ["effect", "low", "high"]]) == pytest.approx(expected)
    assert table["n"].eq(5).all()


def test_harm_that_follows_the_degree_of_each_seeds_own_graph_correlates_with_it(tmp_path):
    graph = "scale_free(m=2)"
    assert len({tuple(degree(graph, seed)) for seed in SEEDS}) == 5  # every seed has a graph of its own
    rng = np.random.default_rng(2)
    found = attacks(made(tmp_path, graph, lambda row, seed: degree(graph, seed)[row] + rng.normal(0, 0.01)))
    assert found.attrs["degree"]["rho"] > 0.9  # not 1, since noise orders the agents of equal degree
    assert found.attrs["degree"]["low"] > 0.8
    assert found.attrs["degree"]["n"] == 5
    expected = np.mean([degree(graph, seed) for seed in SEEDS], axis=0)
    assert found["degree"].to_numpy() == pytest.approx(expected)


def test_the_correlation_is_spearmans_within_each_seed(tmp_path):
    noise = np.random.default_rng(3).normal(size=(12, 5))
    found = attacks(made(tmp_path, "scale_free(m=2)", lambda row, seed: noise[row, seed - 1]))
    by_seed = [stats.spearmanr(noise[:, seed - 1], degree("scale_free(m=2)", seed)).statistic for seed in SEEDS]
    expected = interval(np.array(by_seed))
    assert tuple(found.attrs["degree"][name] for name in ("rho", "low", "high")) == pytest.approx(expected)


def test_places_that_are_all_alike_have_no_correlation(tmp_path):
    ring = attacks(made(tmp_path, "ring", lambda row, seed: row * 0.01))
    assert ring["degree"].eq(2).all()
    assert np.isnan(ring.attrs["degree"]["rho"])
    assert ring.attrs["degree"]["n"] == 0
    everyone = attacks(made(tmp_path, "complete", lambda row, seed: row * 0.01))
    assert everyone[list(CENTRALITIES)].isna().all(axis=None)
    assert everyone["effect"].notna().all()
    star = attacks(made(tmp_path, "star", lambda row, seed: 0.0))
    assert np.isnan(star.attrs["degree"]["rho"])  # an attack that changes nothing follows nothing


def test_centralities_are_those_of_networkx_among_whom_an_agent_reaches():
    graph = nx.gnp_random_graph(14, 0.25, seed=4, directed=True)
    graph.remove_nodes_from(list(nx.isolates(graph)))
    graph = nx.convert_node_labels_to_integers(graph)
    found = centralities(Links.of(graph))
    rows = range(len(graph))
    assert found["degree"].tolist() == [graph.out_degree(row) for row in rows]
    between, rank = nx.betweenness_centrality(graph), nx.pagerank(graph.reverse(), tol=1e-12)
    assert found["betweenness"] == pytest.approx([between[row] for row in rows])
    assert found["pagerank"] == pytest.approx([rank[row] for row in rows], abs=1e-6)
    near = []
    for row in rows:
        steps = nx.single_source_shortest_path_length(graph, row)
        reached = len(steps) - 1
        near.append(reached**2 / (len(graph) - 1) / sum(steps.values()) if reached else 0.0)
    assert found["closeness"] == pytest.approx(near)  # Wasserman and Faust's, over the paths that lead away


def test_slots_correlate_with_their_place_and_have_no_centrality(tmp_path):
    cells = [{"gini": np.full(4, 0.3)}] + [
        {"gini": 0.3 + np.array([0.1, 0.2, 0.15, 0.12]) / place} for place in (1, 2, 4, 8)
    ]
    uses = [("attack", "no attack", "reference", 0, {})]
    uses += [("attack", str(place), "arm", at, {"place": place}) for at, place in enumerate((1, 2, 4, 8), start=1)]
    found = attacks(study(tmp_path, SLOTS, cells, uses))
    assert found["place"].tolist() == [1, 2, 4, 8]
    assert found.attrs["place"] == pytest.approx({"rho": -1.0, "low": -1.0, "high": -1.0, "n": 4})
    assert found[list(CENTRALITIES)].isna().all(axis=None)


def test_a_study_without_an_attack_has_an_empty_table(tmp_path):
    text = TEXT.split("[attack]")[0].replace("GRAPH", "ring")
    assert attacks(study(tmp_path, text, [{"conflicts": [0.1]}], [("base", "", "reference", 0, {})])).empty
