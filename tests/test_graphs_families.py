import random
from itertools import combinations

import networkx as nx
import numpy as np
import pytest
from scipy import stats

from agentmicro.errors import GraphError
from agentmicro.graphs import LARGE, TOPOLOGIES, Links, build, chance, orderly, parse

TEXTS = [
    *TOPOLOGIES,
    "ring(k=6)",
    "ring(k=4, directed=1)",
    "chain(directed=1)",
    "star(directed=1)",
    "tree(branching=3, directed=1)",
    "random(p=0.2)",
    "random(degree=3, directed=1)",
    "small_world(k=6, p=0.5)",
    "caveman(clique=7)",
    "stochastic_blocks(blocks=5, inside=3, between=2)",
    "bipartite(left=0.25, degree=3)",
]
LUCKY = ["small_world", "scale_free", "random", "random_regular", "delaunay", "stochastic_blocks", "bipartite"]


def edge_set(edges):
    return {frozenset(edge) for edge in np.asarray(edges).tolist()}


@pytest.mark.parametrize("text", TEXTS)
def test_every_topology_makes_proper_links(text):
    links = build(text, 36, 5)
    readers = np.repeat(np.arange(36), links.degrees)
    assert links.n == 36
    assert (links.authors != readers).all()
    assert (np.diff(readers * 36 + links.authors) > 0).all()
    assert links.directed == ("directed=1" in text)
    dense = links.matrix.toarray()
    assert links.directed or np.array_equal(dense, dense.T)


@pytest.mark.parametrize("text", TEXTS)
def test_the_seed_fixes_the_links_whatever_ran_before(text):
    first = build(text, 36, 5)
    random.seed(1)
    np.random.seed(1)  # noqa: NPY002
    states = random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002
    assert build(text, 36, 5) == first
    assert states == (random.getstate(), np.random.get_state()[1].tolist())  # noqa: NPY002
    lucky = TOPOLOGIES[parse(text).name].random
    assert lucky == (parse(text).name in LUCKY)
    assert (build(text, 36, 6) != first) == lucky


CLOSED_FORMS = {
    "complete": lambda n: nx.complete_graph(n),
    "empty": lambda n: nx.empty_graph(n),
    "ring": lambda n: nx.cycle_graph(n),
    "ring(k=4)": lambda n: nx.circulant_graph(n, [1, 2]),
    "ring(directed=1)": lambda n: nx.cycle_graph(n, create_using=nx.DiGraph),
    "chain": lambda n: nx.path_graph(n),
    "chain(directed=1)": lambda n: nx.path_graph(n, create_using=nx.DiGraph),
    "star": lambda n: nx.star_graph(n - 1),
    "star(directed=1)": lambda n: nx.DiGraph([(0, leaf) for leaf in range(1, n)]),
    "wheel": lambda n: nx.wheel_graph(n),
    "tree": lambda n: nx.full_rary_tree(2, n),
    "tree(branching=3, directed=1)": lambda n: nx.DiGraph([((child - 1) // 3, child) for child in range(1, n)]),
}


@pytest.mark.parametrize("n", [6, 7, 12, 25])
@pytest.mark.parametrize("text", CLOSED_FORMS)
def test_topologies_without_luck_are_what_their_names_say(text, n):
    assert build(text, n, 0) == Links.of(CLOSED_FORMS[text](n))


@pytest.mark.parametrize(
    "shape",
    [
        ("ring", {"k": 2, "directed": 0}),
        ("ring", {"k": 6, "directed": 0}),
        ("ring", {"k": 6, "directed": 1}),
        ("chain", {"directed": 0}),
        ("chain", {"directed": 1}),
        ("star", {"directed": 0}),
        ("star", {"directed": 1}),
        ("tree", {"branching": 1, "directed": 0}),
        ("tree", {"branching": 3, "directed": 1}),
        ("wheel", {}),
        ("lattice", {}),
        ("torus", {}),
    ],
    ids=str,
)
def test_array_makers_equal_networkx_generators(shape):
    name, numbers = shape
    topology = TOPOLOGIES[name]
    for n in (9, 12, 15, 16, 35, 36, 49, 60):
        arrays = Links.from_edges(n, topology.edges(n, **numbers), directed=bool(numbers.get("directed")))
        assert arrays == Links.of(topology.graph(n, **numbers))


@pytest.mark.parametrize(("cliques", "size"), [(2, 3), (4, 5), (7, 4)])
def test_caveman_is_networkx_connected_caveman(cliques, size):
    reference = Links.of(nx.connected_caveman_graph(cliques, size))
    assert build(f"caveman(clique={size})", cliques * size, 0) == reference


@pytest.mark.parametrize("n", range(6, 30))
def test_ragged_cavemen_stay_connected(n):
    assert build("caveman", n, 0).is_connected()


@pytest.mark.parametrize("n", range(1, 40))
def test_lattice_takes_any_number_and_is_a_cut_grid(n):
    links, wide = build("lattice", n, 0), int(np.ceil(np.sqrt(n)))
    places = [divmod(agent, wide) for agent in range(n)]
    near = {(i, j) for i, j in combinations(range(n), 2) if sum(abs(np.subtract(places[i], places[j]))) == 1}
    assert {tuple(edge) for edge in links.edges().tolist()} == near


def test_torus_gives_everyone_four_neighbours_on_the_squarest_rectangle():
    links = build("torus", 48, 0)
    assert set(links.degrees.tolist()) == {4}
    assert nx.is_isomorphic(links.graph, nx.cartesian_product(nx.cycle_graph(6), nx.cycle_graph(8)))


def measures(links):
    paths = links.matrix @ links.matrix
    return {
        "edges": len(links.edges()),
        "spread": links.degrees.var(),
        "highest": links.degrees.max(),
        "triangles": paths.multiply(links.matrix).sum(),
        "pairs two apart": paths.nnz,
    }


@pytest.mark.parametrize(
    "text",
    [
        "small_world",
        "small_world(k=6, p=0.5)",
        "small_world(p=0)",
        "scale_free",
        "scale_free(m=4)",
        "random",
        "random(p=0.05)",
        "random(degree=3, directed=1)",
        "random_regular(k=3)",
        "stochastic_blocks(blocks=3, inside=8, between=2)",
        "bipartite(left=0.3)",
    ],
)
def test_array_makers_follow_the_law_of_networkx_generators(text):
    n, seeds, spec = 400, range(60), parse(text)
    topology = TOPOLOGIES[spec.name]
    directed = bool(spec.shape.get("directed"))
    arrays = [Links.from_edges(n, topology.edges(n, **spec.shape, seed=seed), directed) for seed in seeds]
    graphs = [Links.of(topology.graph(n, **spec.shape, seed=seed)) for seed in seeds]
    ours, theirs = [measures(links) for links in arrays], [measures(links) for links in graphs]
    for name in ours[0]:
        mine, other = np.array([each[name] for each in ours]), np.array([each[name] for each in theirs])
        error = np.sqrt((mine.var() + other.var()) / len(seeds))
        assert abs(mine.mean() - other.mean()) <= 4 * error + 1e-9, name
    tall = [
        np.bincount(np.minimum(np.concatenate([x.degrees for x in each]), 15), minlength=16)
        for each in (arrays, graphs)
    ]
    assert np.abs(np.diff(np.cumsum(tall, axis=1) / (n * len(seeds)), axis=0)).max() < 0.02


def test_random_gives_every_graph_its_chance():
    pairs = list(combinations(range(4), 2))
    codes = [
        sum(1 << pairs.index(tuple(sorted(edge))) for edge in chance.random_edges(4, 0, seed, p=0.5).tolist())
        for seed in range(6400)
    ]
    assert stats.chisquare(np.bincount(codes, minlength=64)).pvalue > 1e-3


def test_directed_random_gives_every_direction_its_own_chance():
    codes = [tuple(sorted(map(tuple, chance.random_edges(2, 1, seed, p=0.5).tolist()))) for seed in range(2000)]
    counts = [codes.count(each) for each in ((), ((0, 1),), ((1, 0),), ((0, 1), (1, 0)))]
    assert sum(counts) == 2000
    assert stats.chisquare(counts).pvalue > 1e-3


def test_scale_free_prefers_by_degree():
    # After the star 1-0-2 the degrees are 2, 1, 1: a newcomer misses agent 0 with chance 2 (1/4) (1/3) = 1/6.
    missed = sum([0, 3] not in chance.scale_free_edges(4, 2, seed).tolist() for seed in range(3000))
    assert stats.binomtest(missed, 3000, 1 / 6).pvalue > 1e-3


def test_random_regular_meets_the_classes_of_networkx_as_often():
    # The cubic graphs on six agents are K3,3 (no triangle) and the prism (two).
    def bare(links):
        return measures(links)["triangles"] == 0

    ours = sum(bare(Links.from_edges(6, chance.random_regular_edges(6, 3, seed))) for seed in range(1000))
    theirs = sum(bare(Links.of(nx.random_regular_graph(3, 6, seed=seed))) for seed in range(1000))
    assert stats.fisher_exact([[ours, 1000 - ours], [theirs, 1000 - theirs]]).pvalue > 1e-3


@pytest.mark.parametrize("k", [1, 2, 5, 9])
def test_random_regular_gives_everyone_k(k):
    for seed in range(20):
        links = Links.from_edges(10, chance.random_regular_edges(10, k, seed))
        assert set(links.degrees.tolist()) == {k}


def test_small_world_rewires_the_share_p_and_stays_connected():
    n, k, p = 2000, 4, 0.2
    edges = chance.small_world_edges(n, k, p, 3)
    links = Links.from_edges(n, edges)
    kept = len(edge_set(edges) & edge_set(orderly.ring_edges(n, k)))
    assert links.is_connected()
    assert len(links.edges()) == n * k // 2
    assert links.degrees.min() >= k // 2
    assert stats.binomtest(n * k // 2 - kept, n * k // 2, p).pvalue > 1e-3


@pytest.mark.parametrize("make", [chance.small_world_graph, chance.small_world_edges])
def test_small_world_says_so_where_it_cannot_be_connected(monkeypatch, make):
    monkeypatch.setattr(chance, "TRIES", 1)  # a single try connects this shape with chance one in ten
    says = r"small_world\(k=2, p=1\) with 3000 agents cut somebody off in each of 1 tries; raise k or lower p"
    with pytest.raises(GraphError, match=says):
        make(3000, 2, 1.0, seed=2)


def test_blocks_expect_their_neighbours_inside_and_between():
    n, blocks, inside, between = 3000, 7, 6.0, 1.5
    for make in (
        build,
        lambda text, n, seed: Links.from_edges(n, chance.stochastic_blocks_edges(n, 7, 6.0, 1.5, seed)),
    ):
        links = make(f"stochastic_blocks(blocks={blocks}, inside={inside}, between={between})", n, 2)
        block = np.searchsorted(np.cumsum([429] * 4 + [428] * 3), np.arange(n), side="right")
        own = np.equal(*block[links.edges()].T).sum()
        assert own == pytest.approx(n * inside / 2, abs=4 * np.sqrt(n * inside / 2))
        assert len(links.edges()) - own == pytest.approx(n * between / 2, abs=4 * np.sqrt(n * between / 2))


def test_bipartite_links_only_across_with_the_mean_degree():
    links = build("bipartite(left=0.25, degree=5)", 4000, 1)
    assert (links.edges()[:, 0] < 1000).all()
    assert (links.edges()[:, 1] >= 1000).all()
    assert links.degrees.mean() == pytest.approx(5, abs=8 * np.sqrt(10_000) / 4000)


def test_delaunay_is_a_planar_triangulation_by_eulers_formula():
    links = build("delaunay", 200, 4)
    hull = 3 * 200 - 3 - len(links.edges())
    assert 3 <= hull < 30
    assert links.is_connected()
    assert nx.check_planarity(links.graph)[0]


@pytest.mark.parametrize("text", ["ring(k=4, directed=1)", "torus", "lattice", "random", "bipartite", "star", "tree"])
def test_large_graphs_are_made_as_arrays_of_the_same_kind(text):
    links = build(text, LARGE, 1)
    mean = {"ring(k=4, directed=1)": 2, "torus": 4, "random": 4, "bipartite": 4, "lattice": 4, "star": 2, "tree": 2}[
        text
    ]
    assert links.degrees.mean() == pytest.approx(mean, abs=0.05)
    assert links == build(text, LARGE, 1)
    assert "graph" not in vars(links)


def test_large_small_world_has_the_clustering_of_watts_and_strogatz():
    # C(p) = C(0) (1 - p)^3 with C(0) = 3 (k - 2) / (4 (k - 1)) up to terms 1/n (Barrat and Weigt, 2000).
    links = build("small_world(k=6, p=0.1)", LARGE, 1)
    paths = links.degrees * (links.degrees - 1)
    closed = (links.matrix @ links.matrix).multiply(links.matrix).sum()
    assert closed / paths.sum() == pytest.approx(0.6 * 0.9**3, rel=0.03)
    assert links.is_connected()


def test_large_scale_free_has_the_tail_of_barabasi_and_albert():
    # P(d) = 2 m (m + 1) / (d (d + 1) (d + 2)) for d >= m (Dorogovtsev, Mendes and Samukhin, 2000).
    degrees = build("scale_free", LARGE, 1).degrees
    for d in (2, 3, 5, 10):
        law = 12 / (d * (d + 1) * (d + 2))
        assert (degrees == d).mean() == pytest.approx(law, abs=5 * np.sqrt(law / LARGE))
