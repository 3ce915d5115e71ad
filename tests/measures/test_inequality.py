import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from agentmicro.measures import effective_number, gini, hhi, top_share

MEASURES = [gini, hhi, top_share, effective_number]
amounts = st.lists(st.floats(0, 1e6, allow_subnormal=False), min_size=1, max_size=30).filter(lambda x: sum(x) > 0)


def gini_by_pairs(x):
    n, mean = len(x), sum(x) / len(x)
    return sum(abs(a - b) for a in x for b in x) / (2 * n * n * mean)


@settings(deadline=None)
@given(amounts)
def test_gini_is_the_double_sum_over_pairs(x):
    assert gini(x) == pytest.approx(gini_by_pairs(x), abs=1e-9)


@settings(deadline=None)
@given(amounts)
def test_hhi_and_effective_number_are_those_of_the_shares(x):
    shares = [a / sum(x) for a in x]
    assert hhi(x) == pytest.approx(sum(s * s for s in shares))
    assert effective_number(x) == pytest.approx(np.exp(scipy.stats.entropy(x)))


@settings(deadline=None)
@given(amounts, st.integers(1, 40))
def test_top_share_is_that_of_the_sorted_list(x, k):
    assert top_share(x, k) == pytest.approx(sum(sorted(x, reverse=True)[:k]) / sum(x))


@pytest.mark.parametrize("measure", MEASURES)
@settings(deadline=None)
@given(x=amounts, factor=st.floats(1e-3, 1e3), seed=st.integers(0, 99))
def test_neither_scale_nor_order_matters(measure, x, factor, seed):
    shuffled = np.random.default_rng(seed).permutation(x) * factor
    assert measure(shuffled) == pytest.approx(measure(x), abs=1e-9)


@settings(deadline=None)
@given(amounts)
def test_ranges(x):
    n = len(x)
    slack = 1e-9
    assert 0 <= gini(x) <= (n - 1) / n + slack
    assert 1 / n - slack <= hhi(x) <= 1 + slack
    assert 1 / n - slack <= top_share(x) <= 1
    assert 1 - slack <= effective_number(x) <= n + slack


@pytest.mark.parametrize("n", [1, 2, 7, 1000])
def test_the_two_ends_of_each_scale(n):
    equal, one = np.full(n, 3), np.eye(n)[n // 2]
    assert gini(equal) == pytest.approx(0, abs=1e-12)
    assert gini(one) == pytest.approx((n - 1) / n)
    assert (hhi(equal), hhi(one)) == (pytest.approx(1 / n), 1)
    assert (top_share(equal), top_share(one)) == (pytest.approx(1 / n), 1)
    assert (effective_number(equal), effective_number(one)) == (pytest.approx(n), 1)


def test_a_transfer_from_rich_to_poor_lowers_inequality():
    before, after = [1, 2, 3, 10], [1, 4, 3, 8]
    assert gini(after) < gini(before)
    assert hhi(after) < hhi(before)
    assert effective_number(after) > effective_number(before)


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("x", [[], [0, 0], [np.nan], [1, -1], [2, -1], [np.inf, 1], [0, -2]])
def test_without_shares_there_is_no_measure(measure, x):
    assert np.isnan(measure(x))


@pytest.mark.parametrize("measure", MEASURES)
def test_blank_amounts_are_left_out_and_the_input_is_left_alone(measure):
    x = np.array([3.0, np.nan, 1.0])
    assert measure(x) == measure([3, 1])
    assert np.array_equal(x, [3.0, np.nan, 1.0], equal_nan=True)


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("unit", [1e308, 1e-308, 5e-324])
def test_amounts_of_any_size_have_shares(measure, unit):
    assert measure([unit, unit, 0]) == pytest.approx(measure([1, 1, 0]))


def test_the_top_of_nobody_is_undefined():
    assert np.isnan(top_share([1, 2], 0))
