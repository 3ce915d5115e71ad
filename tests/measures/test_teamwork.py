"""Costs and gains of teams, held against the published table, as far as it follows from itself, and against SciPy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import binom

from agentmicro.measures import (
    amplification,
    efficiency,
    majority_error,
    message_density,
    overhead,
    redundancy,
)

# Kim et al. 2025, table 5: success, turns, overhead in percent, efficiency.
PUBLISHED = {
    "single": (0.466, 7.2, 0, 0.466),
    "independent": (0.370, 11.4, 58, 0.234),
    "decentralised": (0.477, 26.1, 263, 0.132),
    "centralised": (0.463, 27.7, 285, 0.120),
    "hybrid": (0.452, 44.3, 515, 0.074),
}
AMPLIFICATION = {"independent": 17.2, "decentralised": 7.8, "centralised": 4.4, "hybrid": 5.1}


@pytest.mark.parametrize("team", PUBLISHED)
def test_overhead_and_efficiency_reproduce_the_published_table(team):
    success, turns, over, per_turn = PUBLISHED[team]
    alone = PUBLISHED["single"][1]
    assert overhead(turns, alone) == pytest.approx(over, abs=0.8)
    assert efficiency(success, turns, alone) == pytest.approx(per_turn, abs=0.0007)
    assert efficiency(success, turns, alone) == pytest.approx(success / (1 + overhead(turns, alone) / 100))


@pytest.mark.parametrize("team", AMPLIFICATION)
def test_the_published_amplifications_are_no_ratios_of_wrong_answers(team):
    """A share of wrong answers is at most 1, so its ratio is at most 1 over that of the single agent."""
    wrong = 1 - PUBLISHED["single"][0]
    assert amplification(1 - PUBLISHED[team][0], wrong) < 1.2
    assert amplification(1.0, wrong) < 1.9 < AMPLIFICATION[team]


@given(st.integers(0, 60), st.floats(0.5, 1))
def test_the_majority_error_is_the_binomial_tail_with_half_of_the_ties(readings, right):
    below = binom.cdf((readings - 1) // 2, readings, right) if readings else 0.0
    tie = binom.pmf(readings // 2, readings, right) / 2 if readings % 2 == 0 else 0.0
    assert majority_error(readings, right) == pytest.approx(below + tie, abs=1e-12)


@given(st.integers(1, 40), st.floats(0.5, 1))
def test_an_even_reading_adds_nothing_and_more_readings_never_harm(readings, right):
    assert majority_error(2 * readings, right) == pytest.approx(majority_error(2 * readings - 1, right), abs=1e-12)
    assert majority_error(readings + 2, right) <= majority_error(readings, right) + 1e-12


def test_the_majority_error_at_its_ends():
    assert majority_error(0, 0.9) == 0.5
    assert majority_error(3, 0.75) == pytest.approx(3 * 0.25**2 * 0.75 + 0.25**3)
    assert majority_error(1000, 0.5) == pytest.approx(0.5)
    assert majority_error(1000, 1.0) == 0.0


SIZES = st.one_of(st.just(0.0), st.floats(-9, -1e-3), st.floats(1e-3, 9))


@given(arrays(float, st.tuples(st.integers(2, 6), st.integers(1, 5)), elements=SIZES))
def test_redundancy_is_the_mean_cosine_of_all_pairs(rows):
    kept = [row for row in rows if np.linalg.norm(row) > 0]
    cosines = [
        float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))
        for index, one in enumerate(kept)
        for other in kept[index + 1 :]
    ]
    expected = np.mean(cosines) if cosines else np.nan
    assert redundancy(rows) == pytest.approx(expected, abs=1e-9, nan_ok=True)


def test_redundancy_has_no_scale():
    rows = np.array([[1.0, 2.0], [2.0, -1.0], [3.0, 3.0]])
    for factor in (1e-200, 1e-320, 1e200):
        assert redundancy(rows * factor) == pytest.approx(redundancy(rows), abs=1e-3)


def test_what_is_undefined_is_nan():
    for value in (overhead(3, 0), efficiency(0.5, 0, 3), efficiency(0.5, 3, 0), message_density(2, 0)):
        assert np.isnan(value)
    assert np.isnan(amplification(1, 0))
    assert np.isnan(redundancy([[1.0, 2.0]]))
    assert np.isnan(redundancy([[1.0, 2.0], [0.0, 0.0]]))
    assert np.isnan(redundancy(np.empty((0, 3))))
    assert message_density(6, 4) == 1.5
