import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from agentmicro.measures import rank_correlation

PAIRS = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=2, max_size=30)


@given(PAIRS)
def test_the_rank_correlation_is_spearmans(pairs):
    one, other = np.array(pairs, float).T
    if len(set(one)) == 1 or len(set(other)) == 1:
        assert np.isnan(rank_correlation(one, other))
    else:
        assert rank_correlation(one, other) == pytest.approx(spearmanr(one, other).statistic)
        assert rank_correlation(np.exp(one), -other) == pytest.approx(-rank_correlation(one, other))


def test_pairs_with_a_blank_are_left_out():
    assert rank_correlation([1, 2, 3, np.nan], [2, 4, 9, 0]) == pytest.approx(1)
    assert np.isnan(rank_correlation([np.nan, 1], [1, 2]))
    assert np.isnan(rank_correlation([], []))
