import pickle
from itertools import chain, combinations

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentmicro.errors import GraphError
from agentmicro.graphs import Links


@st.composite
def edge_lists(draw):
    n = draw(st.integers(1, 12))
    agent = st.integers(0, n - 1)
    return n, draw(st.lists(st.tuples(agent, agent), max_size=40)), draw(st.booleans())


def as_networkx(n, edges, directed):
    graph = nx.DiGraph() if directed else nx.Graph()
    graph.add_nodes_from(range(n))
    graph.add_edges_from((u, v) for u, v in edges if u != v)
    return graph


@settings(deadline=None)
@given(edge_lists())
def test_links_hold_what_networkx_holds(case):
    n, edges, directed = case
    reference, links = as_networkx(n, edges, directed), Links.from_edges(n, edges, directed)
    heard = reference.predecessors if directed else reference.neighbors
    assert [links.authors[links.starts[i] : links.starts[i + 1]].tolist() for i in range(n)] == [
        sorted(heard(i)) for i in range(n)
    ]
    assert links.degrees.tolist() == [len(list(heard(i))) for i in range(n)]
    assert links.out_degrees.tolist() == [d for _, d in (reference.out_degree if directed else reference.degree)()]
    assert np.array_equal(links.matrix.toarray(), nx.to_numpy_array(reference, nodelist=range(n)).T)
    connected = nx.is_weakly_connected if directed else nx.is_connected
    assert links.is_connected() == connected(reference)
    assert nx.utils.graphs_equal(links.graph, reference)
    assert links.exposures == links.degrees.sum()


@settings(deadline=None)
@given(edge_lists(), st.data())
def test_rows_are_gathered_one_reader_after_another(case, data):
    links = Links.from_edges(*case)
    rows = data.draw(st.lists(st.integers(0, links.n - 1), max_size=20))
    counts, authors = links.of_rows(rows)
    expected = [np.flatnonzero(links.matrix.toarray()[row]).tolist() for row in rows]
    assert counts.tolist() == [len(each) for each in expected]
    assert authors.tolist() == list(chain.from_iterable(expected))


@settings(deadline=None)
@given(edge_lists())
def test_links_survive_every_way_round(case):
    links = Links.from_edges(*case)
    assert links.matrix.sum() == links.degrees.sum()
    assert Links.from_edges(links.n, links.edges(), links.directed) == links
    assert Links.of(links.graph) == links
    copied = pickle.loads(pickle.dumps(links))
    assert not {"graph", "matrix", "degrees"} & set(vars(copied))
    assert copied == links
    assert hash(copied) == hash(links)


@pytest.mark.parametrize("n", [1, 2, 5])
def test_everyone_is_the_complete_graph_however_it_was_made(n):
    links = Links.everyone(n)
    assert links.complete
    assert links == Links.of(nx.complete_graph(n)) == Links.from_edges(n, list(combinations(range(n), 2)))
    assert np.array_equal(links.matrix.toarray(), 1 - np.eye(n))
    assert links.degrees.tolist() == links.out_degrees.tolist() == [n - 1] * n
    counts, authors = links.of_rows([n - 1, 0])
    assert counts.tolist() == [n - 1, n - 1]
    assert authors.tolist() == [*range(n - 1), *range(1, n)]
    assert links.is_connected()
    assert not Links.from_edges(n, links.edges(), weights=np.ones(len(links.edges()))).complete or n == 1


def test_everyone_among_a_million_is_stored_in_no_space_and_says_so_when_asked_for_pairs():
    links = Links.everyone(1_000_000)
    assert len(pickle.dumps(links)) < 200
    assert links.degrees[0] == 999_999
    assert links.of_rows([3])[1][[2, 3]].tolist() == [2, 4]
    for ask in ("starts", "authors", "matrix", "graph"):
        with pytest.raises(GraphError, match="1000000 agents: 999999000000 pairs are too many to list, at most 10000"):
            getattr(links, ask)


def test_links_never_change():
    links = Links.from_edges(4, [(0, 1), (1, 2)], weights=[2.0, 3.0])
    for array in (links.starts, links.authors, links.weights, links.degrees, links.out_degrees, links.matrix.data):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 9
    with pytest.raises(nx.NetworkXError, match=r"[Ff]rozen"):
        links.graph.add_edge(0, 3)
    with pytest.raises(AttributeError):
        links.n = 5


def test_links_leave_the_arrays_they_came_from_alone():
    edges, weights = np.array([[0, 1], [1, 2]]), np.array([2.0, 3.0])
    links = Links.from_edges(3, edges, directed=True, weights=weights)
    edges[0], weights[0] = 2, 9.0
    assert links.matrix.toarray().tolist() == [[0, 0, 0], [2, 0, 0], [0, 3, 0]]


def test_weights_and_names_come_from_networkx_and_go_back():
    graph = nx.DiGraph()
    graph.add_edge("ann", "bob", weight=2.5)
    graph.add_edge("cid", "ann")
    links = Links.of(graph)
    assert links.labels == links.names == ("ann", "bob", "cid")
    assert links.matrix.toarray().tolist() == [[0, 0, 1], [2.5, 0, 0], [0, 0, 0]]
    assert dict(links.graph.edges) == {("ann", "bob"): {"weight": 2.5}, ("cid", "ann"): {"weight": 1.0}}
    assert links != Links.of(nx.DiGraph(graph.edges()))
    assert links != Links.of(nx.relabel_nodes(graph, {"ann": "eve"}))
    assert pickle.loads(pickle.dumps(links)) == links


def test_undirected_weights_count_both_ways():
    links = Links.from_edges(3, [(2, 0), (0, 1), (1, 0)], weights=[5, 7, 7])
    assert links.matrix.toarray().tolist() == [[0, 7, 5], [7, 0, 0], [5, 0, 0]]
    assert links.graph[0][2]["weight"] == 5


def test_numbered_nodes_keep_their_numbers_in_any_order():
    links = Links.of(nx.Graph([(2, 1), (1, 0)]))
    assert links.labels is None
    assert links.edges().tolist() == [[0, 1], [1, 2]]


def test_multigraphs_collapse():
    assert Links.of(nx.MultiGraph([(0, 1), (0, 1), (1, 1)])) == Links.from_edges(2, [(0, 1)])


@pytest.mark.parametrize(
    ("links", "text"),
    [
        (Links.everyone(5), "Links(5 agents, 10 edges, complete)"),
        (Links.nobody(3), "Links(3 agents, 0 edges)"),
        (Links.from_edges(3, [(0, 1)], directed=True, weights=[2]), "Links(3 agents, 1 edges, directed, weighted)"),
    ],
)
def test_repr_is_short(links, text):
    assert repr(links) == text


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Links.everyone(0), "links need at least 1 agent, not 0"),
        (lambda: Links.from_edges(3, [(0, 3)]), "edges name agents 0 to 2, not 3"),
        (lambda: Links.from_edges(3, [(-1, 0)]), "edges name agents 0 to 2, not -1"),
        (lambda: Links.from_edges(3, [(0.5, 1)]), r"rows of two whole numbers \(author, reader\), not float64"),
        (lambda: Links.from_edges(3, [(0, 1, 2)]), r"of shape \(1, 3\)"),
        (
            lambda: Links.from_edges(2, [(0, 1)], labels="aa"),
            "labels are 2 different names, one per agent, not 1 among",
        ),
        (lambda: Links.from_edges(2, [(0, 1)], weights=[1, 2]), "one number per edge, 1 in all"),
        (lambda: Links.from_edges(2, [(0, 1)], weights=[np.nan]), "finite, not nan"),
        (lambda: Links.from_edges(2, [(0, 1)], weights=["x"]), "weights of edges are numbers"),
        (
            lambda: Links.from_edges(2, [(0, 1), (1, 0)], weights=[1, 2], labels="ab"),
            "the edge between 'b' and 'a' is given twice with different weights",
        ),
    ],
)
def test_links_say_what_is_wrong(make, says):
    with pytest.raises(GraphError, match=says):
        make()
