"""The calibration weights: imitation against what is known about it in closed form."""

from typing import Any

import networkx as nx
import numpy as np
import pytest
from scipy.linalg import expm

from agentmicro.phenomena.voter import Voter


def disjoint(path: Any, graph: nx.Graph, copies: int) -> str:
    """A file of many copies of a small graph, so that one run is many runs."""
    n = len(graph)
    path.write_text("".join(f"{c * n + a} {c * n + b}\n" for c in range(copies) for a, b in graph.edges))
    return str(path)


def until_settled(model: Voter, size: int, most: int = 2000) -> Any:
    """What each copy ends with."""
    for _ in range(most):
        own = model.acts.own.reshape(-1, size)
        if (own.min(axis=1) == own.max(axis=1)).all():
            return own[:, 0]
        model.step()
    raise AssertionError("not everybody settled")


def score(found: Any, chance: Any) -> float:
    """How many standard deviations a number of successes is off, when run i succeeds with chance i."""
    return float((found - chance).sum() / np.sqrt((chance * (1 - chance)).sum()))


@pytest.mark.parametrize(
    ("graph", "turns"),
    [
        (nx.complete_graph(6), "simultaneous"),
        (nx.cycle_graph(7), "simultaneous"),
        (nx.random_regular_graph(3, 8, seed=1), "simultaneous"),
        (nx.complete_graph(6), "random"),
        (nx.cycle_graph(7), "random"),
        (nx.wheel_graph(6), "simultaneous"),
        (nx.barabasi_albert_graph(9, 2, seed=1), "simultaneous"),
        (nx.lollipop_graph(4, 3), "simultaneous"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
@pytest.mark.parametrize("share", [0.2, 0.5])
def test_the_chance_that_all_end_at_1_is_the_degree_weighted_share_at_first(tmp_path, graph, turns, share):
    copies, n = 2000, len(graph)
    assert not nx.is_bipartite(graph)
    model = Voter(
        agents=copies * n, graph=disjoint(tmp_path / "g.edges", graph, copies), share=share, turns=turns, rng=5
    )
    degrees = np.array([graph.degree(node) for node in range(n)])
    chance = model.acts.own.reshape(copies, n) @ degrees / degrees.sum()
    assert abs(chance.mean() - share) < 0.02
    if len(set(degrees.tolist())) == 1:
        assert chance == pytest.approx(model.acts.own.reshape(copies, n).mean(axis=1))
    assert abs(score(until_settled(model, n), chance)) < 4


@pytest.mark.parametrize(("turns", "copies", "weight"), [("clocks", 600, 1 / 2), ("random", 4000, 11 / 20)])
def test_a_hub_weighs_by_its_degree_when_moments_are_independent_and_more_when_everyone_moves_once(
    tmp_path, turns, copies, weight
):
    # A star with three leaves. Under clocks, half of all links end at the hub. When everyone moves once a turn, the
    # hub's act h and the leaves' mean m become (h + m) / 2 and (11 h + 7 m) / 18 in expectation: 11 h + 9 m is kept.
    graph = disjoint(tmp_path / "stars.edges", nx.star_graph(3), copies)
    model = Voter(agents=4 * copies, graph=graph, share=0.25, seeded="hubs", turns=turns, rng=2)
    assert model.acts.own.reshape(copies, 4).tolist() == [[1, 0, 0, 0]] * copies
    assert abs(score(until_settled(model, 4), np.full(copies, weight))) < 4


class Timed(Voter):
    """A voter model that notes when each copy of a complete graph settles."""

    size, since = 6, None

    def absorb(self, seen, acts):
        if self.since is None:
            self.since = np.where(np.ptp(self.first, axis=1) == 0, 0.0, np.nan)
        for copy in np.unique(seen.rows // self.size).tolist():
            own = self.acts.own[copy * self.size : (copy + 1) * self.size]
            if np.isnan(self.since[copy]) and own.min() == own.max():
                self.since[copy] = seen.time


def test_consensus_time_on_the_complete_graph_is_that_of_the_birth_and_death_chain(tmp_path):
    n, copies = Timed.size, 250
    graph = disjoint(tmp_path / "k.edges", nx.complete_graph(n), copies)
    model = Timed(agents=n * copies, graph=graph, share=0.5, turns="clocks", rng=3)
    model.first = model.acts.own.reshape(copies, n).copy()
    until_settled(model, n)
    ones = model.first.sum(axis=1).astype(int)
    rates = np.array([i * (n - i) / (n - 1) for i in range(1, n)])
    generator = np.diag(-2 * rates) + np.diag(rates[:-1], 1) + np.diag(rates[1:], -1)
    mean = np.linalg.solve(generator, -np.ones(n - 1))
    variance = np.linalg.solve(generator, -2 * mean) - mean**2
    mean, variance = np.pad(mean, 1), np.pad(variance, 1)
    assert abs((model.since - mean[ones]).sum() / np.sqrt(variance[ones].sum())) < 4
    for time in (1.0, 3.0):  # and not only in the mean
        unsettled = np.pad(expm(generator * time).sum(axis=1), 1)[ones]
        assert abs(score(model.since > time, unsettled)) < 4


@pytest.mark.parametrize("own", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("graph", ["random(degree=5.0)", "scale_free", "complete", "ring(directed=1)"])
def test_degroot_is_the_matrix_power(graph, own):
    model = Voter(agents=30, graph=graph, mind=f"degroot(own={own})", turns="simultaneous", rng=4)
    model.acts.write(model.acts.rows, model.luck("test")(), 0.0)
    start = model.acts.own.copy()
    hears = nx.to_numpy_array(model.graph, nodelist=range(30)).T
    heard = hears.sum(axis=1, keepdims=True)
    mean = np.where(heard > 0, hears / np.maximum(heard, 1), np.eye(30))
    matrix = np.where(heard > 0, own * np.eye(30) + (1 - own) * mean, np.eye(30))
    for turn in range(1, 21):
        model.step()
        assert np.abs(model.acts.own - np.linalg.matrix_power(matrix, turn) @ start).max() < 1e-12


def test_degroot_settles_on_the_degree_weighted_mean():
    model = Voter(agents=40, graph="scale_free", mind="degroot(own=0.5)", turns="simultaneous", share=0.3, rng=4)
    degrees = model.links.degrees
    expected = float(degrees @ model.acts.own / degrees.sum())
    for _ in range(400):
        model.step()
    assert model.acts.own == pytest.approx(np.full(40, expected), abs=1e-9)


def hand(tmp_path: Any, edges: str, first: list[float], **knobs: Any) -> Voter:
    (tmp_path / "hand.edges").write_text(edges)
    model = Voter(agents=len(first), graph=str(tmp_path / "hand.edges"), rng=1, **knobs)
    model.acts.write(model.acts.rows, np.array(first), 0.0)
    return model


def test_majority_by_hand(tmp_path):
    # 0 hears 1, 2, 3; 1 and 2 hear 0 and each other; 3 hears 0 alone: a tie keeps what one holds.
    edges, first = "0 1\n0 2\n0 3\n1 2\n", [0.0, 1.0, 1.0, 0.0]
    model = hand(tmp_path, edges, first, mind="majority", turns="simultaneous")
    model.step()
    assert model.acts.own.tolist() == [1, 1, 1, 0]
    model.step()
    assert model.acts.own.tolist() == [1, 1, 1, 1]
    fixed = hand(tmp_path, edges, first, mind="majority", turns="fixed")
    fixed.step()
    assert fixed.acts.own.tolist() == [1, 1, 1, 1]


@pytest.mark.parametrize(
    ("at", "turns", "after"),
    [
        (0.5, "simultaneous", [[1, 1, 0, 0, 0], [1, 1, 1, 0, 0], [1, 1, 1, 1, 0], [1, 1, 1, 1, 1]]),
        (0.5, "fixed", [[1, 1, 1, 1, 1]]),
        (0.6, "simultaneous", [[1, 0, 0, 0, 0]] * 2),
        (0.0, "simultaneous", [[1, 1, 1, 1, 1]]),
    ],
)
def test_thresholds_by_hand_on_a_chain(tmp_path, at, turns, after):
    model = hand(tmp_path, "0 1\n1 2\n2 3\n3 4\n", [1.0, 0, 0, 0, 0], mind=f"threshold(at={at})", turns=turns)
    for expected in after:
        model.step()
        assert model.acts.own.tolist() == expected


def test_once_for_an_agent_stays_for_and_who_hears_nobody_stays_as_it_is():
    model = Voter(agents=10, graph="empty", share=0.4, mind="threshold(at=0)", rng=2)
    before = model.acts.own.copy()
    model.step()
    assert model.acts.own.tolist() == before.tolist()
    for mind in ("voter", "majority", "degroot"):
        still = Voter(agents=10, graph="empty", share=0.4, mind=mind, rng=2)
        still.step()
        assert still.acts.own.tolist() == before.tolist()
    alone = Voter(agents=1, graph="complete", rng=1)
    alone.step()
    assert alone.failure_rate == 0


@pytest.mark.parametrize("seeded", ["hubs", "leaves"])
def test_the_seeded_are_where_they_are_said_to_be(seeded):
    model = Voter(agents=50, graph="scale_free", share=0.2, seeded=seeded, rng=3)
    degrees = np.array([model.graph.degree(node) for node in range(50)])
    first, rest = degrees[model.acts.own == 1], degrees[model.acts.own == 0]
    assert first.size == 10
    assert first.min() >= rest.max() if seeded == "hubs" else first.max() <= rest.min()


def test_measures_are_of_what_everybody_holds():
    model = Voter(agents=10, share=0.3, mind="stubborn", rng=1)
    model.step()
    row = model.datacollector.get_model_vars_dataframe().iloc[-1]
    assert (row["share"], row["agreement"]) == (pytest.approx(0.3), pytest.approx(0.7))
    assert np.isnan(row["settled_at"])
    settled = Voter(agents=20, graph="complete", rng=1)
    while np.isnan(settled.settled):
        settled.step()
    at = settled.time
    settled.step()
    assert settled.datacollector.get_model_vars_dataframe()["settled_at"].tolist()[-1] == at
    assert Voter(agents=5, share=1.0, rng=1).datacollector.get_model_vars_dataframe()["agreement"].tolist() == [1.0]
