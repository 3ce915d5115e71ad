import networkx as nx
import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from agentmicro.errors import SpecError
from agentmicro.graphs import Links
from agentmicro.measures import (
    agreement,
    bias,
    conflict,
    disagreement,
    discord,
    diversity,
    entropy,
    neighbour_correlation,
    polarisation,
    settled_at,
)

codes = st.lists(st.integers(-1, 4), min_size=1, max_size=30)
opinions = st.lists(st.floats(-100, 100) | st.just(float("nan")), min_size=1, max_size=20)


def isnan(value):
    return np.isnan(value)


def some_links(n, seed, directed, weighted):
    luck = np.random.default_rng(seed)
    edges = np.argwhere(luck.random((n, n)) < 0.3)
    pairs = {(a, b) if directed else (min(a, b), max(a, b)) for a, b in edges.tolist() if a != b}
    weights = luck.integers(1, 5, len(pairs)) / 2 if weighted else None
    return Links.from_edges(n, np.array(sorted(pairs), np.int64).reshape(-1, 2), directed=directed, weights=weights)


def listening(links):
    """Reader, author and weight of each exposure, from the public networkx graph alone."""
    for author, reader, weight in links.graph.edges(data="weight", default=1.0):
        yield reader, author, weight
        if not links.graph.is_directed():
            yield author, reader, weight


linked = st.builds(some_links, st.integers(1, 12), st.integers(0, 999), st.booleans(), st.booleans())


def values_on(links, seed, kind):
    luck = np.random.default_rng(seed)
    blank = luck.random(links.n) < 0.2
    return (
        np.where(blank, -1, luck.integers(0, 3, links.n))
        if kind == "acts"
        else np.where(blank, np.nan, luck.normal(3, 2, links.n))
    )


# --- acts


@settings(deadline=None)
@given(codes)
def test_agreement_is_the_share_of_the_most_frequent_act(acts):
    held = [a for a in acts if a >= 0]
    expected = max(held.count(a) for a in held) / len(held) if held else float("nan")
    assert agreement(acts) == pytest.approx(expected, nan_ok=True)


@settings(deadline=None)
@given(codes, st.integers(5, 9))
def test_entropy_is_shannons_relative_to_the_options(acts, options):
    held = [a for a in acts if a >= 0]
    expected = scipy.stats.entropy([held.count(k) for k in range(options)], base=options) if held else float("nan")
    assert entropy(acts, options) == pytest.approx(expected, abs=1e-12, nan_ok=True)


@settings(deadline=None)
@given(codes, st.permutations(range(5)))
def test_names_of_acts_and_order_of_agents_do_not_matter(acts, renamed):
    other = [renamed[a] if a >= 0 else -1 for a in reversed(acts)]
    assert agreement(other) == pytest.approx(agreement(acts), nan_ok=True)
    assert entropy(other, 5) == pytest.approx(entropy(acts, 5), abs=1e-12, nan_ok=True)


def test_consensus_and_its_opposite():
    assert (agreement([2, 2, -1, 2]), entropy([2, 2, -1, 2], 3)) == (1, 0)
    assert (agreement([0, 1, 2, 3]), entropy([0, 1, 2, 3], 4)) == (0.25, pytest.approx(1))
    assert entropy([0, 1], 4) == pytest.approx(0.5)


def test_codes_of_any_size_and_type_count():
    assert agreement(np.array([10**17, 10**17, 5])) == pytest.approx(2 / 3)
    assert agreement([np.nan, 1.0, 1.0, 0.0]) == pytest.approx(2 / 3)
    assert agreement([True, False, True, True]) == 0.75


def test_without_acts_nothing_is_measured():
    assert isnan(agreement([]))
    assert isnan(agreement([-1, -2]))
    assert isnan(entropy([], 3))
    assert isnan(entropy([-1], 3))


def test_entropy_needs_two_options_and_acts_among_them():
    assert isnan(entropy([0, 0], 1))
    assert isnan(entropy([0, 3], 3))


# --- opinions


@settings(deadline=None)
@given(opinions)
def test_moments_are_numpys_of_those_who_have_spoken(x):
    spoken = np.array([a for a in x if not np.isnan(a)])
    if spoken.size == 0:
        assert isnan(bias(x))
        assert isnan(diversity(x))
        assert isnan(polarisation(x))
    else:
        assert bias(x) == pytest.approx(spoken.mean())
        assert diversity(x) == pytest.approx(spoken.std(), abs=1e-9)
        assert polarisation(x) == pytest.approx(spoken.size * spoken.var(), abs=1e-9)


@settings(deadline=None)
@given(st.lists(st.floats(-100, 100), min_size=1, max_size=20), st.floats(-10, 10), st.floats(-1e3, 1e3))
def test_moving_and_stretching_the_scale(x, factor, shift):
    moved = factor * np.array(x) + shift
    assert bias(moved) == pytest.approx(factor * bias(x) + shift, abs=1e-6)
    assert diversity(moved) == pytest.approx(abs(factor) * diversity(x), abs=1e-6)
    assert polarisation(moved) == pytest.approx(factor**2 * polarisation(x), rel=1e-6, abs=1e-6)


def test_equal_opinions_have_exactly_no_spread():
    assert (diversity([0.1] * 7), polarisation([0.1] * 7)) == (0, 0)
    assert (diversity([5]), polarisation([5])) == (0, 0)


def test_infinite_opinions_give_no_warning():
    assert bias([np.inf, 1]) == np.inf
    assert isnan(diversity([np.inf, 1]))
    assert isnan(neighbour_correlation([np.inf, 1, 2], Links.of(nx.path_graph(3))))


# --- links


@settings(deadline=None)
@given(linked, st.integers(0, 999))
def test_disagreement_is_half_the_sum_over_ordered_pairs(links, seed):
    x = values_on(links, seed, "opinions")
    terms = [w * (x[i] - x[j]) ** 2 for i, j, w in listening(links) if not np.isnan(x[i] + x[j])]
    expected = sum(terms) / 2 if terms else float("nan")
    assert disagreement(x, links) == pytest.approx(expected, nan_ok=True)


def test_an_undirected_edge_counts_once_and_a_directed_one_half():
    x = [0.0, 3.0]
    assert disagreement(x, Links.from_edges(2, [[0, 1]])) == 9
    assert disagreement(x, Links.from_edges(2, [[0, 1]], directed=True)) == 4.5
    assert disagreement(x, Links.from_edges(2, [[0, 1], [1, 0]], directed=True)) == 9
    assert disagreement([0.0, 3.0, 5.0], Links.from_edges(3, [[0, 1]], weights=[2.0])) == 18


@settings(deadline=None)
@given(linked, st.integers(0, 999))
def test_conflict_and_discord_count_links(links, seed):
    acts = values_on(links, seed, "acts")
    pairs = [(acts[a], acts[b]) for a, b in links.graph.edges() if acts[a] >= 0 and acts[b] >= 0]
    if not pairs:
        assert isnan(conflict(acts, links))
        assert isnan(discord(acts, links))
    else:
        assert conflict(acts, links) == pytest.approx(sum(a == b for a, b in pairs) / len(pairs))
        assert conflict(acts, links) + discord(acts, links) == pytest.approx(1)


@settings(deadline=None)
@given(linked, st.integers(0, 999))
def test_neighbour_correlation_is_pearsons_with_the_mean_heard(links, seed):
    x = values_on(links, seed, "opinions")
    own, heard = [], []
    for i in range(links.n):
        said = [(x[j], w) for r, j, w in listening(links) if r == i and not np.isnan(x[j])]
        if said and not np.isnan(x[i]):
            own.append(x[i])
            heard.append(sum(v * w for v, w in said) / sum(w for _, w in said))
    if len(own) < 2 or np.ptp(own) < 1e-9 or np.ptp(heard) < 1e-9:
        assert isnan(neighbour_correlation(x, links))
    else:
        assert neighbour_correlation(x, links) == pytest.approx(np.corrcoef(own, heard)[0, 1])


@settings(deadline=None)
@given(st.integers(2, 12), st.integers(0, 999))
def test_complete_graphs_in_closed_form_equal_their_links_one_by_one(n, seed):
    everyone = Links.everyone(n)
    written = Links.from_edges(n, list(nx.complete_graph(n).edges()), weights=np.ones(n * (n - 1) // 2))
    assert everyone.complete
    assert not written.complete
    acts, x = values_on(everyone, seed, "acts"), values_on(everyone, seed, "opinions")
    for measure, values in [(conflict, acts), (discord, acts), (disagreement, x), (neighbour_correlation, x)]:
        assert measure(values, everyone) == pytest.approx(measure(values, written), nan_ok=True)


def test_a_million_agents_who_all_hear_each_other():
    links, x = Links.everyone(1_000_000), np.arange(1_000_000) % 2
    assert conflict(x, links) == pytest.approx(499_999 / 999_999)
    assert discord(x, links) == pytest.approx(500_000 / 999_999)
    assert disagreement(x, links) == pytest.approx(500_000.0**2)
    assert neighbour_correlation(x, links) == pytest.approx(-1)


def test_echo_chambers_and_colourings():
    ring = Links.of(nx.cycle_graph(8))
    assert neighbour_correlation([0.1, 0.7] * 4, ring) == pytest.approx(-1)
    assert (conflict([0, 1] * 4, ring), discord([0, 1] * 4, ring)) == (0, 1)
    cliques = Links.of(nx.disjoint_union(nx.complete_graph(4), nx.complete_graph(4)))
    assert neighbour_correlation([0] * 4 + [1] * 4, cliques) == pytest.approx(1)


@pytest.mark.parametrize("links", [Links.nobody(3), Links.nobody(1), Links.everyone(1)])
def test_without_links_nothing_is_measured(links):
    values = np.arange(links.n)
    for measure in (disagreement, conflict, discord, neighbour_correlation):
        assert isnan(measure(values, links))


@pytest.mark.parametrize("links", [Links.everyone(3), Links.of(nx.path_graph(3))])
def test_without_opinions_or_variation_there_is_no_correlation(links):
    assert isnan(neighbour_correlation([np.nan] * 3, links))
    assert isnan(neighbour_correlation([0.1] * 3, links))
    assert isnan(disagreement([1.0, np.nan, np.nan], links))
    assert isnan(conflict([1, -1, -1], links))
    assert disagreement([0.1] * 3, links) == 0


def test_what_is_heard_must_vary_by_more_than_rounding():
    star = Links.of(nx.star_graph(3))
    pairs, weights = [[author, reader] for reader in (2, 3, 4) for author in (0, 1)], [1, 2, 0.1, 0.2, 0.3, 0.6]
    same = Links.from_edges(5, pairs, directed=True, weights=weights)
    assert isnan(neighbour_correlation([2.5, 1.9, 1.5, 0.8, 0.9], same))
    assert neighbour_correlation([0.0, 1.0, 1.0, 1.0], star) == pytest.approx(-1)


@pytest.mark.parametrize("measure", [disagreement, conflict, discord, neighbour_correlation])
def test_one_value_per_agent(measure):
    with pytest.raises(SpecError, match=r"one value per agent, 3 in all, not shape \(2,\)"):
        measure([0, 1], Links.everyone(3))


# --- turns


@settings(deadline=None)
@given(st.lists(st.integers(0, 2), max_size=12), st.integers(0, 2))
def test_settled_at_is_the_first_turn_whose_rest_stays_within_the_band(series, tolerance):
    resting = [t for t in range(len(series)) if max(series[t:]) - min(series[t:]) <= tolerance]
    expected = resting[0] if resting and resting[0] < len(series) - 1 else float("nan")
    assert settled_at(series, tolerance) == pytest.approx(expected, nan_ok=True)


def test_settling():
    assert settled_at([0.2, 0.5, 0.9, 0.9, 0.9]) == 2
    assert settled_at([0.2, 0.5, 0.9, 0.91, 0.9], tolerance=0.02) == 2
    assert settled_at([1, 1, 1]) == 0


def test_a_run_that_still_moves_is_censored():
    assert isnan(settled_at([0, 0, 0, 1]))
    assert isnan(settled_at([]))
    assert isnan(settled_at([1]))
    assert isnan(settled_at([1, 1, np.nan]))


def test_a_slow_drift_is_no_rest():
    assert settled_at(np.arange(10) * 0.25, tolerance=0.25) == 8


def test_a_turn_without_a_value_has_not_settled():
    assert settled_at([np.nan, 1, 1]) == 1
    assert settled_at([1, np.nan, 1, 1]) == 2
    assert settled_at([np.inf, 1, 1]) == 1
