from itertools import combinations

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from agentmicro.measures import (
    choice_set,
    gate_width,
    gini,
    gini_null,
    herding_z,
    mean_position,
    overlap,
    position_profile,
    sample_pairs,
    unpredictability,
)

profiles = st.lists(st.integers(0, 20), min_size=1, max_size=30)

# --- positions


@settings(deadline=None)
@given(st.lists(st.integers(-2, 12), max_size=40), st.integers(0, 10))
def test_the_profile_counts_picks_at_each_place(positions, items):
    assert position_profile(positions, items).tolist() == [positions.count(k) for k in range(1, items + 1)]


def test_positions_come_in_any_shape():
    assert position_profile([[1, 2, 0], [1, -1, -2]], 3).tolist() == [2, 1, 0]
    assert position_profile([np.nan, 1.0], 2).tolist() == [1, 0]


@settings(deadline=None)
@given(profiles, st.integers(1, 100))
def test_profile_measures_are_those_of_the_list_of_picks(profile, percent):
    picked = [place for place, times in enumerate(profile, 1) for _ in range(times)]
    if not picked:
        assert np.isnan([mean_position(profile), gate_width(profile, percent / 100), choice_set(profile)]).all()
        return
    assert mean_position(profile) == pytest.approx(np.mean(picked))
    assert choice_set(profile) == pytest.approx(np.exp(scipy.stats.entropy(profile)))
    # In whole numbers: the smallest k of whose picks there are at least `percent` in a hundred.
    gate = next(k for k in range(1, len(profile) + 1) if 100 * sum(profile[:k]) >= percent * len(picked))
    assert gate_width(profile, percent / 100) == gate


def test_the_two_ends_of_the_feed():
    first, even = [8, 0, 0, 0], [5] * 20
    assert (mean_position(first), gate_width(first), choice_set(first)) == (1, 1, 1)
    assert (mean_position(even), gate_width(even), choice_set(even)) == (10.5, 19, pytest.approx(20))


def test_the_gate_is_not_pushed_by_rounding():
    assert 0.55 * 100 > 55
    assert gate_width([30, 25, 45], 0.55) == 2


def test_no_picks_and_no_share():
    for profile in ([], [0, 0], [np.nan]):
        assert np.isnan([mean_position(profile), gate_width(profile), choice_set(profile)]).all()
    assert np.isnan(gate_width([1, 2], 0))
    assert np.isnan(gate_width([1, 2], 1.5))
    assert mean_position([1, np.nan, 1]) == 2


# --- pairs

rows = st.lists(st.lists(st.integers(-1, 4), min_size=3, max_size=3) | st.just([-2, -1, -1]), min_size=2, max_size=8)


@settings(deadline=None)
@given(rows)
def test_overlap_is_the_mean_jaccard_of_pairs_that_acted(picks):
    pairs = list(combinations(range(len(picks)), 2))
    overlaps = []
    for i, j in pairs:
        a, b = ({item for item in picks[row] if item >= 0} for row in (i, j))
        if picks[i][0] != -2 and picks[j][0] != -2 and a | b:
            overlaps.append(len(a & b) / len(a | b))
    expected = np.mean(overlaps) if overlaps else float("nan")
    assert overlap(picks, pairs) == pytest.approx(expected, nan_ok=True)
    assert overlap(picks, [pair[::-1] for pair in pairs]) == pytest.approx(expected, nan_ok=True)


def test_overlap_of_the_same_of_nothing_and_of_nobody():
    assert overlap([[1, 2, -1], [2, 1, -1]], [[0, 1]]) == 1
    assert overlap([[1, 2], [3, 4]], [[0, 1]]) == 0
    assert overlap([[1, -1], [-1, -1]], [[0, 1]]) == 0
    assert np.isnan(overlap([[-1, -1], [-1, -1]], [[0, 1]]))
    assert np.isnan(overlap([[-2, -1], [1, 2]], [[0, 1]]))
    assert np.isnan(overlap([[1], [1]], []))
    assert np.isnan(overlap(np.empty((0, 3), np.int64), np.empty((0, 2))))


def test_overlap_leaves_the_picks_alone():
    picks = np.array([[3, 1, 1], [2, 3, -1]])
    before = picks.copy()
    overlap(picks, [[0, 1]])
    assert np.array_equal(picks, before)


@settings(deadline=None)
@given(st.integers(-1, 40), st.integers(-1, 900), st.integers(0, 99))
def test_sampled_pairs_are_different_pairs_of_different_readers(n, how_many, seed):
    pairs = sample_pairs(n, how_many, seed)
    everything = max(n, 0) * (max(n, 0) - 1) // 2
    assert pairs.shape == (min(max(how_many, 0), everything), 2)
    assert len(set(map(tuple, pairs.tolist()))) == len(pairs)
    assert ((pairs >= 0) & (pairs < max(n, 1))).all()
    assert (pairs[:, 0] < pairs[:, 1]).all()
    assert np.array_equal(pairs, sample_pairs(n, how_many, seed))


def test_all_pairs_when_they_are_few():
    assert sorted(map(tuple, sample_pairs(6, 100, 0).tolist())) == list(combinations(range(6), 2))


def test_pairs_of_a_million_readers_are_spread_over_all_of_them():
    pairs = sample_pairs(1_000_000, 4000, 7)
    assert (pairs[:, 0] < pairs[:, 1]).all()
    # The smaller of two uniform numbers is on average at one third, the larger at two thirds; 5 standard errors.
    assert pairs.mean(axis=0) / 1e6 == pytest.approx([1 / 3, 2 / 3], abs=5 * np.sqrt(1 / 18 / 4000))
    assert not np.array_equal(pairs, sample_pairs(1_000_000, 4000, 8))


def test_luck_outside_is_neither_read_nor_written():
    before = np.random.get_state()[1].tolist()  # noqa: NPY002
    sample_pairs(100, 5, 0)
    gini_null(10, 5, worlds=3)
    assert np.random.get_state()[1].tolist() == before  # noqa: NPY002


# --- worlds


@settings(deadline=None)
@given(st.integers(2, 6), st.integers(1, 5), st.integers(0, 999))
def test_unpredictability_is_the_mean_gap_over_items_and_pairs_of_worlds(n, items, seed):
    shares = np.random.default_rng(seed).dirichlet(np.ones(items), n)
    gaps = [abs(a[i] - b[i]) for i in range(items) for a, b in combinations(shares, 2)]
    assert unpredictability(shares) == pytest.approx(np.mean(gaps), abs=1e-12)
    assert unpredictability(shares[::-1, ::-1]) == pytest.approx(unpredictability(shares), abs=1e-12)
    assert 0 <= unpredictability(shares) <= 2 / items + 1e-12


def test_worlds_that_agree_and_worlds_that_do_not():
    assert unpredictability([[0.2, 0.8]] * 5) == 0
    assert unpredictability([[1, 0], [0, 1]]) == 1
    assert unpredictability([[1, 0], [0, 1], [np.nan, np.nan]]) == 1
    for shares in ([], [[0.5, 0.5]], [[0.5, 0.5], [np.nan, 0.5]], np.empty((3, 0))):
        assert np.isnan(unpredictability(shares))


# --- chance


def test_the_null_of_two_picks_is_known():
    # Two picks on n items fall on one item with chance 1 / n (gini (n - 1) / n), else on two (gini (n - 2) / n).
    n, worlds = 4, 4000
    p, one, two = 1 / n, (n - 1) / n, (n - 2) / n
    sd = (one - two) * np.sqrt(p * (1 - p))
    null = gini_null(2, n, worlds)
    assert null.mean == pytest.approx(p * one + (1 - p) * two, abs=4 * sd / np.sqrt(worlds))
    assert null.sd == pytest.approx(sd, rel=0.05)


def test_the_sd_of_the_null_is_that_of_a_sample():
    first, two = gini_null(50, 10, worlds=1).mean, gini_null(50, 10, worlds=2)
    assert two.sd == pytest.approx(abs(first - two.mean) * np.sqrt(2))


def test_the_null_depends_on_the_seed_and_nothing_else():
    assert gini_null(50, 10, seed=3) == gini_null(50, 10, seed=3)
    assert gini_null(50, 10, seed=3) != gini_null(50, 10, seed=4)


def test_nulls_that_are_undefined_or_do_not_vary():
    for null in (gini_null(0, 5), gini_null(5, 0), gini_null(5, 5, worlds=0)):
        assert np.isnan(null).all()
    assert gini_null(1, 5) == (pytest.approx(0.8), 0)
    assert gini_null(7, 1) == (0, 0)
    assert np.isnan(gini_null(7, 3, worlds=1).sd)


def test_herding_z_is_the_distance_from_the_null_in_sds():
    counts = [30, 5, 5, 0, np.nan]
    null = gini_null(40, 4, 100, 5)
    assert herding_z(counts, 100, 5) == pytest.approx((gini(counts) - null.mean) / null.sd)


def test_independent_picks_do_not_herd_and_copied_picks_do():
    luck = np.random.default_rng(0)
    assert abs(herding_z(luck.multinomial(500, np.full(20, 0.05)))) < 3
    assert herding_z(luck.permutation([400] + [5] * 20)) > 10
    assert herding_z([25] * 20) < -3


def test_a_score_against_no_variation_is_undefined():
    for counts in ([], [0, 0], [1, 0, 0], [9], [np.nan], [3, -1]):
        assert np.isnan(herding_z(counts))
