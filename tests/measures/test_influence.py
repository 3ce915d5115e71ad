from itertools import pairwise, permutations, product

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentmicro.errors import SpecError
from agentmicro.graphs import Links
from agentmicro.measures import (
    adoption_lift,
    exposure_adoption,
    gini,
    influence_gini,
    pagerank,
    pagerank_concentration,
    persistence,
    top_k_share,
    top_share,
)

# --- lift of exposure


@settings(deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=30))
def test_adoption_lift_is_the_difference_of_two_conditional_rates(table):
    with_it = [adopted for exposed, adopted in table if exposed]
    without = [adopted for exposed, adopted in table if not exposed]
    found = adoption_lift(*np.array(table).T)
    p = sum(with_it) / len(with_it) if with_it else float("nan")
    q = sum(without) / len(without) if without else float("nan")
    ratio = p / q if q > 0 else float("nan")
    assert tuple(found) == pytest.approx((p, q, p - q, ratio), nan_ok=True)


def test_rows_with_a_blank_are_left_out():
    assert adoption_lift([1, 1, 0, 0, 1, -1], [1, 0, 1, -1, -1, 1]) == (0.5, 1, -0.5, 0.5)
    assert adoption_lift([1, 1, 0, np.nan], [1, 0, np.nan, 1])[0] == 0.5
    assert np.isnan(adoption_lift([], [])).all()


@pytest.mark.parametrize("measure", [adoption_lift, lambda *two: exposure_adoption(*two, [0], [0])])
def test_columns_of_different_lengths_are_an_error(measure):
    with pytest.raises(SpecError, match="columns of one table have as many entries as each other"):
        measure([1], [1, 0])


# --- adoption of what was seen


def table_of(seed, turns=2, most_readers=4, options=3):
    """A small table of exposures: each reader of each turn sees one to three acts and then acts."""
    luck = np.random.default_rng(seed)
    rows = []
    for turn in range(turns):
        for reader in range(luck.integers(1, most_readers + 1)):
            act = luck.integers(options)
            rows += [(turn, reader, luck.integers(options), act) for _ in range(luck.integers(1, 4))]
    return np.array(rows)


def all_deals(table):
    """The number of adoptions under each way to permute the acts within the turns."""
    sights, acts = {}, {}
    for turn, reader, seen, acted in table.tolist():
        sights.setdefault(turn, {}).setdefault(reader, []).append(seen)
        acts.setdefault(turn, {})[reader] = acted
    each = [
        [
            sum(sights[turn][reader].count(act) for reader, act in zip(sights[turn], dealt, strict=True))
            for dealt in permutations(acts[turn].values())
        ]
        for turn in sights
    ]
    return np.array([sum(parts) for parts in product(*each)])


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10_000), st.permutations(range(3)))
def test_the_null_is_that_of_all_permutations(seed, renamed):
    table = table_of(seed)
    deals = all_deals(table)
    adopted = (table[:, 2] == table[:, 3]).sum()
    z = (adopted - deals.mean()) / deals.std() if np.ptp(deals) else float("nan")
    expected = np.array([adopted, deals.mean(), adopted - deals.mean()]) / len(table)
    found = exposure_adoption(*table.T)
    assert found[:3] == pytest.approx(tuple(expected), abs=1e-12)
    assert found.z == pytest.approx(z, nan_ok=True)
    # Neither the order of rows nor the names of acts, readers and turns matter.
    other = np.random.default_rng(seed).permutation(table)
    names = np.array([7, 10**12, 0])[list(renamed)]
    again = exposure_adoption(other[:, 0] - 5, other[:, 1] * 10**9, names[other[:, 2]], names[other[:, 3]])
    assert tuple(again) == pytest.approx(tuple(found), abs=1e-9, nan_ok=True)


def test_copying_is_seen_and_chance_is_not():
    luck = np.random.default_rng(1)
    turn, reader = np.repeat(np.arange(10), 100), np.tile(np.arange(100), 10)
    seen = luck.integers(0, 4, 1000)
    blind = luck.integers(0, 4, 1000)
    copied = np.where(luck.random(1000) < 0.5, seen, blind)
    assert abs(exposure_adoption(turn, reader, seen, blind).z) < 3
    found = exposure_adoption(turn, reader, seen, copied)
    assert found.z > 10
    assert found.lift == pytest.approx(0.5 * 0.75, abs=0.06)


def test_a_fashion_is_no_influence():
    turn = np.repeat([0, 1], 50)
    found = exposure_adoption(turn, np.tile(np.arange(50), 2), turn, turn)
    assert found[:3] == (1, 1, 0)
    assert np.isnan(found.z)


@pytest.mark.parametrize("seed", range(20))
def test_where_all_do_the_same_dealing_out_changes_nothing(seed):
    luck = np.random.default_rng(seed)
    n, readers = luck.integers(1, 200), luck.integers(2, 40)
    found = exposure_adoption(np.zeros(n), luck.integers(0, readers, n), luck.integers(0, 3, n), np.zeros(n, int))
    assert found.lift == pytest.approx(0, abs=1e-12)
    assert np.isnan(found.z)


def test_blank_acts_and_lonely_readers():
    assert np.isnan(exposure_adoption([], [], [], [])).all()
    assert np.isnan(exposure_adoption([0, 0], [0, 1], [-1, 2], [1, -1])).all()
    alone = exposure_adoption([0, 1], [0, 0], [1, 1], [1, 0])
    assert alone[:3] == (0.5, 0.5, 0)
    assert np.isnan(alone.z)
    blanks = exposure_adoption([0, 0, 0, 0], [0, 1, 2, 3], [0, 1, 1, -1], [0, 1, -1, 1])
    assert blanks == exposure_adoption([0, 0], [0, 1], [0, 1], [0, 1])


# --- concentration and persistence


def test_concentration_is_that_of_the_scores():
    weights = [5, 1, 1, np.nan, 3]
    assert influence_gini(weights) == gini(weights)
    assert top_k_share(weights, 2) == top_share(weights, 2) == pytest.approx(0.8)


@settings(deadline=None)
@given(
    st.integers(1, 8).flatmap(
        lambda n: st.lists(
            st.lists(st.integers(0, 4) | st.just(float("nan")), min_size=n, max_size=n), min_size=1, max_size=5
        )
    ),
    st.integers(1, 9),
)
def test_persistence_is_the_mean_jaccard_of_successive_tops(windows, k):
    tops = []
    for row in windows:
        ranked = sorted((i for i, score in enumerate(row) if score > 0), key=lambda i: (-row[i], i))
        tops.append(set(ranked[:k]))
    overlaps = [len(a & b) / len(a | b) for a, b in pairwise(tops) if a | b]
    expected = sum(overlaps) / len(overlaps) if overlaps else float("nan")
    assert persistence(windows, k) == pytest.approx(expected, nan_ok=True)


def test_tops_that_stay_and_tops_that_change():
    assert persistence([[3, 2, 0, 0], [9, 8, 1, 1]], 2) == 1
    assert persistence([[3, 2, 0, 0], [0, 0, 1, 1]], 2) == 0
    assert persistence([[1, 1, 1], [1, 1, 0]], 2) == 1
    for windows, k in [([], 1), ([1, 2], 1), ([[0, 0], [0, 0]], 1), ([[1, 2], [1, 2]], 0)]:
        assert np.isnan(persistence(windows, k))


# --- pagerank


def directed(seed, weighted):
    graph = nx.gnp_random_graph(40, 0.06, seed=seed, directed=True)
    if weighted:
        nx.set_edge_attributes(graph, {edge: 1.0 + (sum(edge) % 5) for edge in graph.edges}, "weight")
    return graph


@pytest.mark.parametrize("damping", [0.0, 0.5, 0.85, 0.95])
@pytest.mark.parametrize(
    "graph",
    [
        directed(1, weighted=False),
        directed(2, weighted=True),
        nx.barabasi_albert_graph(60, 2, seed=3),
        nx.DiGraph([(0, 1), (1, 2)]),
        nx.empty_graph(4),
        nx.complete_graph(5),
        nx.star_graph(6),
    ],
)
def test_pagerank_is_networkxs_on_the_links_from_reader_to_author(graph, damping):
    links = Links.of(graph)
    attention = graph.reverse() if graph.is_directed() else graph
    expected = nx.pagerank(attention, alpha=damping, tol=1e-14, max_iter=2000)
    scores = pagerank(links, damping)
    assert np.abs(scores - [expected[node] for node in graph.nodes]).max() < 1e-8
    assert scores.sum() == pytest.approx(1)
    assert pagerank_concentration(links, links.n) == pytest.approx(1)


def test_a_much_read_author_ranks_high():
    broadcast = Links.from_edges(5, [[0, reader] for reader in range(1, 5)], directed=True)
    scores = pagerank(broadcast)
    assert scores.argmax() == 0
    assert pagerank_concentration(broadcast, 1) == pytest.approx(scores[0])
    assert pagerank_concentration(Links.everyone(20), 5) == pytest.approx(0.25)


def test_pagerank_of_a_million_who_hear_everyone_lists_no_pairs():
    assert pagerank(Links.everyone(1_000_000)) == pytest.approx(1e-6)


def test_undefined_pagerank_is_nan():
    links = Links.of(nx.star_graph(3))
    assert np.isnan(pagerank(links, 85)).all()
    assert np.isnan(pagerank(links, 1.0)).all()  # all attention swings between hub and leaves for ever
    assert np.isnan(pagerank(Links.from_edges(2, [[0, 1]], weights=[-1.0]))).all()
    assert np.isnan(pagerank_concentration(links, 0))
    assert pagerank(Links.nobody(1)) == 1
