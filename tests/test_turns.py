from itertools import chain, pairwise

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from agentmicro.graphs import Links
from agentmicro.turns import order_of, waves


@st.composite
def turns(draw):
    """A graph, directed or not, and an order of some or all of its agents."""
    n = draw(st.integers(1, 14))
    agent = st.integers(0, n - 1)
    edges = draw(st.lists(st.tuples(agent, agent), max_size=45))
    order = draw(st.permutations(range(n)))[: draw(st.integers(1, n))]
    return n, edges, draw(st.booleans()), order


def hears(n, edges, directed):
    """Who hears whom, from the edges alone: u -> v is heard by v."""
    heard = {reader: set() for reader in range(n)}
    for author, reader in edges:
        if author != reader:
            heard[reader].add(author)
            if not directed:
                heard[author].add(reader)
    return heard


def one_after_another(order, heard, state):
    """Each agent in turn becomes a hash of itself and what it hears: no two histories give the same end."""
    state = dict(state)
    for agent in order:
        state[agent] = hash((agent, state[agent], tuple(sorted((a, state[a]) for a in heard[agent]))))
    return state


def wave_by_wave(batches, heard, state):
    """The same rule, where everybody of a batch looks before anybody of it acts."""
    state = dict(state)
    for batch in batches:
        new = {a: hash((a, state[a], tuple(sorted((b, state[b]) for b in heard[a])))) for a in batch}
        state.update(new)
    return state


def chain_lengths(order, heard):
    """The longest chain behind each agent, by networkx: 1 for hearing somebody earlier, 0 for being heard."""
    place = {agent: index for index, agent in enumerate(order)}
    waits = nx.DiGraph()
    waits.add_nodes_from(order)
    for reader in order:
        for author in heard[reader]:
            if author in place:
                first, second = sorted((author, reader), key=place.__getitem__)
                strict = int(first == author)
                strict = max(strict, waits.edges[first, second]["weight"]) if waits.has_edge(first, second) else strict
                waits.add_edge(first, second, weight=strict)
    return {agent: nx.dag_longest_path_length(waits.subgraph(nx.ancestors(waits, agent) | {agent})) for agent in order}


@settings(deadline=None, max_examples=300)
@given(turns())
def test_waves_give_the_result_of_one_agent_after_another(case):
    n, edges, directed, order = case
    heard = hears(n, edges, directed)
    batches = [wave.tolist() for wave in waves(np.array(order), Links.from_edges(n, edges, directed))]
    start = {agent: agent for agent in range(n)}
    assert wave_by_wave(batches, heard, start) == one_after_another(order, heard, start)


@settings(deadline=None, max_examples=200)
@given(turns())
def test_everyone_is_in_exactly_one_wave_and_as_early_as_the_chain_behind_it_allows(case):
    n, edges, directed, order = case
    batches = [wave.tolist() for wave in waves(np.array(order), Links.from_edges(n, edges, directed))]
    assert sorted(chain.from_iterable(batches)) == sorted(order)
    assert all(batches)
    behind = chain_lengths(order, hears(n, edges, directed))
    assert [{behind[agent] for agent in batch} for batch in batches] == [{depth} for depth in range(len(batches))]


@settings(deadline=None)
@given(turns())
def test_a_wave_keeps_the_order_of_its_members(case):
    n, edges, directed, order = case
    place = {agent: index for index, agent in enumerate(order)}
    for wave in waves(np.array(order), Links.from_edges(n, edges, directed)):
        places = [place[agent] for agent in wave.tolist()]
        assert all(a < b for a, b in pairwise(places))


@pytest.mark.parametrize(
    ("links", "order", "found"),
    [
        (Links.nobody(4), [2, 0, 3, 1], [[2, 0, 3, 1]]),
        (Links.everyone(3), [2, 0, 1], [[2], [0], [1]]),
        # A chain in its own order is one long wait; from both ends inwards it is short.
        (Links.from_edges(4, [(0, 1), (1, 2), (2, 3)]), [0, 1, 2, 3], [[0], [1], [2], [3]]),
        (Links.from_edges(4, [(0, 1), (1, 2), (2, 3)]), [0, 2, 1, 3], [[0, 2], [1, 3]]),
        # One way, 1 hears 0: if 1 goes first, 0 may act in the same wave, since 1 has looked.
        (Links.from_edges(2, [(0, 1)], directed=True), [1, 0], [[1, 0]]),
        (Links.from_edges(2, [(0, 1)], directed=True), [0, 1], [[0], [1]]),
        # 2 hears nobody, but 1, who waits for 0, hears 2 and goes before it.
        (Links.from_edges(3, [(0, 1), (2, 1)], directed=True), [0, 1, 2], [[0], [1, 2]]),
        # Agents that do not act this turn hold nobody up.
        (Links.from_edges(4, [(0, 1), (1, 2), (2, 3)]), [3, 0], [[3, 0]]),
    ],
)
def test_waves_by_hand(links, order, found):
    assert [wave.tolist() for wave in waves(np.array(order), links)] == found


@pytest.mark.parametrize("graph", [nx.random_regular_graph(4, 400, seed=1), nx.barabasi_albert_graph(400, 2, seed=1)])
def test_sparse_graphs_need_few_waves(graph):
    rng = np.random.default_rng(2)
    assert len(waves(rng.permutation(400), Links.of(graph))) < 30


def test_weights_do_not_hold_anybody_up():
    edges = [(0, 1), (1, 2)]
    heavy = Links.from_edges(3, edges, weights=[2.0, 0.5])
    assert [w.tolist() for w in waves(np.arange(3), heavy)] == [
        w.tolist() for w in waves(np.arange(3), Links.from_edges(3, edges))
    ]


# --- orders


@settings(deadline=None)
@given(st.lists(st.integers(0, 99), min_size=1, max_size=20, unique=True), st.integers(0, 9), st.integers(0, 99))
def test_only_random_turns_change_the_order(rows, seed, turn):
    given_rows = np.array(rows)
    for kind in ("simultaneous", "fixed", "clocks", "endogenous"):
        assert order_of(kind, seed, turn, given_rows).tolist() == rows
    shuffled = order_of("random", seed, turn, given_rows)
    assert sorted(shuffled.tolist()) == sorted(rows)
    assert shuffled.tolist() == order_of("random", seed, turn, given_rows).tolist()


def test_random_orders_are_uniform_and_new_at_each_turn():
    rows, chances = np.array([4, 7, 9]), []
    for seed in range(20):
        orders = [tuple(order_of("random", seed, turn, rows).tolist()) for turn in range(600)]
        counts = np.unique(orders, axis=0, return_counts=True)[1]
        assert counts.size == 6
        chances.append(stats.chisquare(counts).pvalue)
    assert stats.kstest(chances, "uniform").pvalue > 1e-3
