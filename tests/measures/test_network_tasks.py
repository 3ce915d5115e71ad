import itertools
from math import comb

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentmicro.errors import SpecError
from agentmicro.graphs import Links
from agentmicro.measures import network_tasks
from agentmicro.measures.network_tasks import TASKS, chance, met, options, published_rounds

YES, NO = 0, 1


@st.composite
def graphs(draw, least=1, most=8):
    """Any undirected graph, disconnected and empty ones among them."""
    n = draw(st.integers(least, most))
    pairs = list(itertools.combinations(range(n), 2))
    graph = nx.empty_graph(n)
    graph.add_edges_from(draw(st.lists(st.sampled_from(pairs), unique=True)) if pairs else [])
    return graph


def groups_of(graph):
    return max(degree for _, degree in graph.degree) + 1


def valid(task, graph, node):
    """The answers that a node may give."""
    if task == "coloring":
        return range(groups_of(graph))
    return [*graph.neighbors(node), len(graph)] if task == "matching" else (0, 1)


@st.composite
def answered(draw, task, blank=True):
    """A graph with any answers to a task, some of them missing."""
    graph = draw(graphs())
    missing = (-1,) if blank else ()
    return graph, [draw(st.sampled_from([*valid(task, graph, node), *missing])) for node in graph]


def is_solved(task, graph, answers):
    """The specification of each task, by networkx and by trying every change that it speaks of."""
    if min(answers) < 0:
        return False
    if task == "coloring":
        return all(answers[a] != answers[b] for a, b in graph.edges)
    if task == "vertex_cover":
        cover = {node for node in graph if answers[node] == YES}

        def covers(nodes):
            return all(a in nodes or b in nodes for a, b in graph.edges)

        return covers(cover) and not any(covers(cover - {node}) for node in cover)
    if task == "matching":
        pairs = {frozenset((node, partner)) for node, partner in enumerate(answers) if partner < len(graph)}
        mutual = all(answers[answers[node]] == node for node in graph if answers[node] < len(graph))
        return mutual and nx.is_maximal_matching(graph, {tuple(pair) for pair in pairs})
    if task == "leader_election":
        return answers.count(YES) == 1
    return len(set(answers)) == 1


def soft(task, graph, answers):
    """The soft scores of AgentsNet by their definition in words, node by node."""
    n = len(graph)
    if task == "coloring":
        kept = [answers[a] != answers[b] for a, b in graph.edges]
        return (sum(kept) / len(kept) if kept else 1.0) if min(answers) >= 0 else 0.0
    if task == "matching":
        wrong = 0
        for node, partner in enumerate(answers):
            if partner == n:
                wrong += any(answers[other] == n for other in graph.neighbors(node))
            else:
                wrong += not (graph.has_edge(node, partner) and answers[partner] == node)
        return (n - wrong) / n
    if task == "vertex_cover" and graph.edges:
        cover = [node for node in graph if answers[node] == YES]

        def coverage(nodes):
            return np.mean([a in nodes or b in nodes for a, b in graph.edges])

        needed = [node for node in cover if coverage([other for other in cover if other != node]) < 1]
        return coverage(cover) * len(needed) / len(cover) if cover else 0.0
    return float(is_solved(task, graph, answers))


@pytest.mark.parametrize("task", TASKS)
@settings(deadline=None, max_examples=120)
@given(st.data())
def test_scores_and_solutions_are_the_specification(task, data):
    graph, answers = data.draw(answered(task))
    links = Links.of(graph)
    assert network_tasks.score(task, answers, links) == pytest.approx(soft(task, graph, answers))
    assert met(task, answers, links).all() == is_solved(task, graph, answers)


@pytest.mark.parametrize("task", TASKS)
@settings(deadline=None, max_examples=60)
@given(st.data())
def test_a_solved_task_scores_one_and_who_is_silent_never_does_its_part(task, data):
    graph, answers = data.draw(answered(task))
    links = Links.of(graph)
    parts = met(task, answers, links)
    assert not parts[np.array(answers) < 0].any()
    if parts.all():
        assert network_tasks.score(task, answers, links) == 1


@pytest.mark.parametrize("task", TASKS)
@settings(deadline=None, max_examples=25)
@given(graphs(most=4))
def test_chance_is_the_mean_over_all_answers(task, graph):
    ways, weights = [], []
    for answers in itertools.product(*(valid(task, graph, node) for node in graph)):
        ways.append(soft(task, graph, list(answers)))
        leads = 1 / len(graph) if task == "leader_election" else 0.5
        odds = [leads if answer == YES else 1 - leads for answer in answers]
        if task == "matching":
            odds = [1 / (1 + degree) for _, degree in graph.degree]
        weights.append(np.prod(odds) if task != "coloring" else 1.0)
    expected = np.average(ways, weights=weights)
    assert chance(task, Links.of(graph), groups_of(graph)) == pytest.approx(expected)


def test_the_chance_of_a_large_cover_is_drawn_around_its_mean():
    """On a star of 16, by hand: with the hub a cover is full, and needs the hub alone unless all leaves are in it too.

    Full covers with the hub and k < 15 leaves lose k/(k+1); with all leaves they are worth 0; without the hub only
    the cover of all leaves is full, and is worth 1. Any other is worth the share of its leaves.
    """
    n = 16
    leaves = np.array([comb(n - 1, k) for k in range(n)]) / 2 ** (n - 1)
    with_hub = np.where(np.arange(n) < n - 1, 1 / (1 + np.arange(n)), 0.0)
    without = np.arange(n) / (n - 1)
    exact = 0.5 * (leaves @ with_hub) + 0.5 * (leaves @ without)
    drawn = [chance("vertex_cover", Links.of(nx.star_graph(n - 1)), n, seed) for seed in range(10)]
    # A draw is worth at least 0 and at most 1 less than three quarters, so that its deviation is below 0.5.
    assert abs(np.mean(drawn) - exact) < 4 * 0.5 / np.sqrt(10 * 4000)
    assert len(set(drawn)) == 10


@settings(deadline=None, max_examples=40)
@given(graphs(least=2, most=14), st.integers(0, 99))
def test_solutions_by_networkx_solve(graph, seed):
    links, n = Links.of(graph), len(graph)
    colours = nx.greedy_color(graph)
    assert met("coloring", [colours[node] for node in range(n)], links).all()
    independent = nx.maximal_independent_set(graph, seed=seed)
    cover = [NO if node in independent else YES for node in range(n)]
    assert met("vertex_cover", cover, links).all()
    partner = np.full(n, n)
    for a, b in nx.maximal_matching(graph):
        partner[a], partner[b] = b, a
    assert met("matching", partner, links).all()


def test_covers_at_the_edges_score_as_defined():
    links = Links.of(nx.cycle_graph(6))
    for answers, worth in (([YES] * 6, 0.0), ([NO] * 6, 0.0), ([YES, NO] * 3, 1.0), ([YES] + [NO] * 5, 2 / 6)):
        assert network_tasks.score("vertex_cover", answers, links) == pytest.approx(worth)
    nobody = Links.nobody(3)
    assert network_tasks.score("vertex_cover", [NO] * 3, nobody) == 1
    assert network_tasks.score("vertex_cover", [YES, NO, NO], nobody) == 0
    assert network_tasks.score("vertex_cover", [-1, NO, NO], nobody) == 0


@pytest.mark.parametrize(("agents", "rounds"), [(1, 2), (4, 4), (8, 5), (9, 6), (16, 6)])
def test_local_tasks_have_few_rounds_in_small_groups(agents, rounds):
    assert published_rounds("matching", Links.of(nx.path_graph(agents))) == rounds


@settings(deadline=None, max_examples=30)
@given(graphs(most=20))
def test_other_rounds_are_twice_the_diameter_and_one(graph):
    widest = max(nx.diameter(graph.subgraph(part)) for part in nx.connected_components(graph))
    assert published_rounds("consensus", Links.of(graph)) == 2 * widest + 1
    if len(graph) > 16:
        assert published_rounds("coloring", Links.of(graph)) == 2 * widest + 1


def test_options_are_what_codes_stand_for():
    links = Links.of(nx.relabel_nodes(nx.path_graph(3), {0: "Ada", 1: "Ben", 2: "Cy"}))
    assert options("matching", links) == ("Ada", "Ben", "Cy", "None")
    assert options("coloring", links) == ("Group 1", "Group 2", "Group 3")
    assert options("vertex_cover", links) == options("leader_election", links) == ("Yes", "No")
    assert options("consensus", links) == ("0", "1")


def test_wrong_calls_are_refused_in_a_sentence():
    links = Links.of(nx.path_graph(3))
    with pytest.raises(SpecError, match=r"'colouring': expected one of coloring.*did you mean 'coloring'"):
        met("colouring", [0, 1, 0], links)
    with pytest.raises(SpecError, match="colouring"):
        chance("colouring", links, 2)
    with pytest.raises(SpecError, match=r"shape \(2,\), expected one for each of 3 agents"):
        network_tasks.score("coloring", [0, 1], links)
