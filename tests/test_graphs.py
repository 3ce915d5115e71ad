import pickle

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentmicro.errors import GraphError
from agentmicro.graphs import TOPOLOGIES, GraphSpec, Links, Parameter, build, chance, layout, parse

# Texts


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("small_world", "small_world"),
        ("Small World", "small_world"),
        (" SMALL-world ( P = 1, k=6.0 ) ", "small_world(k=6, p=1.0)"),
        ("small_world(k=4, p=0.1)", "small_world"),
        ("ring()", "ring"),
        ("random(p=.25)", "random(p=0.25)"),
        ("data/My Friends.GraphML.gz", "data/My Friends.GraphML.gz"),
        ("a(b).csv", "a(b).csv"),
    ],
)
def test_texts_have_one_canonical_form(text, canonical):
    text = text.replace("P =", "p =")
    assert str(parse(text)) == canonical
    assert parse(canonical) == parse(text)
    assert hash(parse(canonical)) == hash(parse(text))
    assert pickle.loads(pickle.dumps(parse(text))) == parse(text)


@st.composite
def specs(draw):
    topology = TOPOLOGIES[draw(st.sampled_from(list(TOPOLOGIES)))]
    shape = {}
    for parameter in topology.parameters:
        if draw(st.booleans()) and parameter.replaces not in shape:
            high = min(parameter.high, 1e6)
            kind = st.integers(int(parameter.low), int(high)) if parameter.whole else st.floats(parameter.low, high)
            shape[parameter.name] = draw(kind)
    return GraphSpec(topology.name, shape)


@settings(deadline=None)
@given(specs())
def test_texts_and_specs_go_both_ways(spec):
    assert parse(str(spec)) == spec


@pytest.mark.parametrize("topology", TOPOLOGIES.values(), ids=lambda topology: topology.name)
def test_defaults_are_in_their_ranges_and_documented(topology):
    assert topology.doc.endswith((".", ")."))
    for parameter in topology.parameters:
        assert parameter.doc
        assert parameter.default is None or parameter.read(parameter.default, "") == parameter.default
    assert Parameter("k", 1, 0, 1).range == "a whole number from 0 to 1"


@pytest.mark.parametrize(
    ("text", "agents", "says"),
    [
        ("smal world", 9, "there is no topology 'smal world': choose one of complete, .*; did you mean 'small_world'?"),
        ("friends.gml", 9, "no topology 'friends.gml': .* or a file ending in .graphml"),
        ("ring(k=4", 9, r"written as small_world or small_world\(k=6, p=0.1\), not 'ring\(k=4'"),
        ("ring(4)", 9, r"each given once, as k=6, not '4' in 'ring\(4\)'"),
        ("ring(k=2, k=4)", 9, "each given once, as k=6, not 'k=4'"),
        ("ring(k=two)", 9, r"k in 'ring\(k=two\)' is a number, not 'two'"),
        ("tree(branchin=3)", 9, "tree has no 'branchin': it takes branching, directed; did you mean 'branching'?"),
        ("lattice(k=3)", 9, "lattice has no 'k': it takes no numbers"),
        ("small_world(p=1.5)", 9, "small_world: p is a number from 0 to 1, not 1.5"),
        ("small_world(p=nan)", 9, "p is a number from 0 to 1, not nan"),
        ("scale_free(m=inf)", 9, "m is a whole number from 1, not inf"),
        ("ring(k=2.5)", 9, "k is a whole number from 2, not 2.5"),
        ("random(degree=2, p=0.1)", 9, "random takes degree or p, not both"),
        ("small_world(k=9)", 9, "small_world with 9 agents takes an even k below 9, not k=9; nearest: k=8"),
        ("ring(k=5)", 9, "ring with 9 agents takes an even k below 9, not k=5; nearest: k=4, k=6"),
        ("ring", 2, "it needs at least 3 agents"),
        ("random_regular(k=3)", 9, "takes k below 9 and even, not k=3; nearest: k=2 or k=4"),
        ("random_regular(k=12)", 8, "takes k below 8, not k=12; nearest: k=6 or k=7"),
        ("random_regular", 1, "it needs at least 2 agents"),
        ("scale_free(m=9)", 9, "scale_free with 9 agents takes m up to 8, not 9"),
        ("random(degree=8.5)", 9, "random with 9 agents takes degree up to 8, not 8.5"),
        (
            "torus",
            10,
            "a torus needs a number of agents that is two sides of at least 3 multiplied, not 10; nearest: 9, 12",
        ),
        ("torus", 4, "nearest: 9$"),
        ("wheel", 3, "wheel needs at least 4 agents, not 3"),
        ("caveman(clique=9)", 9, "so clique at most 8, not 9"),
        ("stochastic_blocks(blocks=10)", 9, "takes blocks up to 9, not 10"),
        ("stochastic_blocks(inside=5)", 9, "takes inside up to 3, not 5"),
        ("stochastic_blocks(between=7, inside=1)", 9, "takes between up to 4.4444, not 7"),
        ("bipartite(left=0)", 9, "bipartite with left=0 leaves one of its sides without any of the 9 agents"),
        ("bipartite(degree=5)", 9, "takes degree up to 4.4444, not 5"),
        ("ring", 0, "a graph needs at least 1 agent, not 0"),
    ],
)
def test_build_says_what_is_wrong_and_what_would_be_right(text, agents, says):
    with pytest.raises(GraphError, match=says) as caught:
        build(text, agents, 0)
    assert "\n" not in str(caught.value)


def test_what_the_messages_offer_is_accepted():
    for text in ("bipartite(degree=4.4444)", "stochastic_blocks(between=4.4444, inside=3)", "small_world(k=8)"):
        assert build(text, 9, 0).n == 9


def test_shapes_may_be_as_full_as_they_get():
    assert build("random(degree=8)", 9, 0).complete
    assert build("bipartite(degree=5)", 10, 0) == Links.of(nx.complete_bipartite_graph(5, 5))
    assert Links.from_edges(10, chance.bipartite_edges(10, 0.5, 5.0, 0)) == Links.of(nx.complete_bipartite_graph(5, 5))
    assert Links.from_edges(6, chance.stochastic_blocks_edges(6, 2, 2.0, 3.0, 0)).complete
    assert build("stochastic_blocks(inside=2, between=3)", 6, 0).complete


def test_build_takes_networkx_graphs_and_links_of_the_right_size():
    graph = nx.karate_club_graph()
    links = build(graph, 34, 0)
    assert links == Links.of(graph)
    assert build(links, 34, 7) is links
    with pytest.raises(GraphError, match="the networkx graph given has 34 agents, not the 30 asked for"):
        build(graph, 30, 0)
    with pytest.raises(GraphError, match="the links given has 34 agents, not the 30 asked for"):
        build(links, 30, 0)
    with pytest.raises(GraphError, match="a graph is a text, a GraphSpec, a networkx graph or Links, not 3"):
        build(3, 30, 0)
    with pytest.raises(GraphError, match="seed of a graph is a whole number from 0, not -1"):
        build("random", 30, -1)


def test_a_spec_is_a_topology_or_a_file():
    assert GraphSpec("Small World", {"k": 4}) == parse("small_world")
    with pytest.raises(GraphError, match=r"a topology or a file, not both 'ring' and 'x\.csv'"):
        GraphSpec("ring", path="x.csv")


# Files


def test_graphml_keeps_names_direction_and_weights(tmp_path):
    graph = nx.DiGraph()
    graph.add_edge("ann", "bob", weight=2.0)
    graph.add_edge("bob", "cid", weight=0.5)
    for ending in ("graphml", "graphml.gz"):
        path = str(tmp_path / f"friends.{ending}")
        nx.write_graphml(graph, path)
        links = build(path, 3, 0)
        assert links == Links.of(graph)
        assert links.directed


def test_graphml_numbers_are_the_agents(tmp_path):
    path = str(tmp_path / "numbers.graphml")
    nx.write_graphml(nx.Graph([(3, 0), (0, 2), (1, 2)]), path)
    assert build(path, 4, 0) == Links.from_edges(4, [(0, 3), (0, 2), (1, 2)])


@pytest.mark.parametrize(
    ("text", "links"),
    [
        ("# who\nann bob\n\nbob\tcid # late\n", Links.from_edges(3, [(0, 1), (1, 2)], labels=("ann", "bob", "cid"))),
        ("directed\n2,0\n1 , 2\n", Links.from_edges(3, [(2, 0), (1, 2)], directed=True)),
        ("undirected\n0 1\n", Links.from_edges(2, [(0, 1)])),
        ("0,1,2.5\n1,2\n", Links.from_edges(3, [(0, 1), (1, 2)], weights=[2.5, 1])),
        ("Ann Lee,Bob\n", Links.from_edges(2, [(0, 1)], labels=("Ann Lee", "Bob"))),
        ("01 1\n", Links.from_edges(2, [(0, 1)], labels=("01", "1"))),
        ("\ufeff0 1\n0 0\n1 0", Links.from_edges(2, [(0, 1)])),
    ],
)
@pytest.mark.parametrize("ending", ["edges", "edgelist", "csv", "txt"])
def test_lists_of_edges_are_read(tmp_path, text, links, ending):
    path = tmp_path / f"graph.{ending}"
    path.write_text(text, encoding="utf-8")
    assert build(str(path), links.n, 0) == links


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("a.csv", "0,1\n0\n", "a.csv' cannot be read: line 2: an edge is author, reader and perhaps a weight, not '0'"),
        ("a.csv", "0,1\n\n0,,3\n", "line 3: an edge is"),
        ("a.txt", "0 1 heavy\n", "line 1: the weight of an edge is a number, not 'heavy'"),
        ("a.txt", "0 1 inf\n", "a.txt' cannot be read: the weights of edges are finite, not inf"),
        ("a.txt", "a b 1\nb a 2\n", "the edge between 'b' and 'a' is given twice"),
        ("a.txt", "# nothing\n", "a.txt' cannot be read: it has no edges"),
        ("a.graphml", "0 1\n", "a.graphml' cannot be read: it is not GraphML"),
        ("a.graphml.gz", "0 1\n", "a.graphml.gz' cannot be read"),
        ("a.txt", b"\xff\xfe\x00", "a.txt' cannot be read"),
        ("a.txt", "0 1\n", "a.txt' has 2 agents, not the 5 asked for"),
        ("missing.txt", None, "missing.txt' cannot be read"),
    ],
)
def test_files_say_what_is_wrong_and_where(tmp_path, name, text, says):
    path = tmp_path / name
    if text is not None:
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(GraphError, match=says):
        build(str(path), 5, 0)


# Drawing


@pytest.mark.parametrize("text", [*TOPOLOGIES, "ring(k=12)", "chain(directed=1)"])
@pytest.mark.parametrize("n", [36, 600])
def test_everybody_has_its_own_place_in_the_square(text, n):
    links = build(text, n, 1)
    places = layout(links, seed=3)
    assert list(places) == list(range(n))
    assert len(set(places.values())) == n
    assert np.abs(list(places.values())).max() <= 1 + 1e-9
    assert layout(links, seed=3) == places


def test_rings_are_drawn_as_circles_and_names_are_kept():
    for links in (build("ring(k=4)", 40, 0), build("complete", 700, 0), Links.of(nx.Graph(["ab", "bc"]))):
        places = layout(links)
        assert list(places) == list(links.names)
        assert np.hypot(*np.array(list(places.values())).T) == pytest.approx(np.ones(links.n))


def test_neighbours_are_drawn_nearer_than_strangers():
    links = build("delaunay", 800, 1)
    places = np.array(list(layout(links).values()))
    ones, others = links.edges().T
    assert np.hypot(*(places[ones] - places[others]).T).mean() < 0.3
