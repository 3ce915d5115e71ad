"""Critical values against planted curves: how often the interval holds the true one, and when there is none to give."""

import numpy as np
import pytest
from scipy import stats

from agentmicro.study.crossings import Curve, isotonic, logistic
from benchmarks.coverage import X, fractions, recovered, yes_or_no

REPEATED = 1_000
LUCK = 0.01  # of a rate near 95% over so many repetitions: about one and a half standard errors


@pytest.mark.parametrize(
    ("curve", "seeds", "level"),
    [
        ("gentle", 20, 0.5),
        ("gentle", 20, 0.8),
        ("falling", 30, 0.5),
        ("seeds differ", 20, 0.5),
        ("shares of 20", 20, 0.5),
        ("steep", 40, 0.5),
    ],
)
def test_a_planted_logistic_is_recovered_at_the_nominal_rate(curve, seeds, level):
    rate, refused = recovered(logistic, curve, seeds, REPEATED, level)
    assert 0.93 - LUCK <= rate <= 0.97 + LUCK
    assert refused <= (0.15 if curve == "shares of 20" else 0.06)  # shares are cut off at 0 and 1: no exact logistic


def test_ten_seeds_of_a_steep_curve_cover_more_and_not_less():
    rate, refused = recovered(logistic, "steep", 10, REPEATED)
    assert rate >= 0.97
    assert refused <= 0.03


@pytest.mark.parametrize("curve", ["gentle", "falling", "seeds differ", "shares of 20"])
def test_without_a_shape_the_planted_value_is_recovered_at_least_as_often(curve):
    rate, refused = recovered(isotonic, curve, 20, 400)
    assert rate >= 0.95 - LUCK
    assert refused <= 0.02


def test_the_fit_is_the_one_that_maximises_the_likelihood():
    from scipy.optimize import minimize

    table = fractions(np.random.default_rng(2), 25)

    def loss(line):
        eta = line[0] + line[1] * X[:, None]
        return (np.logaddexp(0, eta) - table * eta).sum()

    best = minimize(loss, [0.0, 0.0], tol=1e-12).x
    assert logistic(Curve(X, table), 0.3).estimate == pytest.approx((np.log(0.3 / 0.7) - best[0]) / best[1], abs=1e-4)


def test_the_isotonic_interval_is_where_a_t_test_on_the_seeds_does_not_reject():
    table = fractions(np.random.default_rng(3), 15)
    found = isotonic(Curve(X, table), 0.5)
    kept = []
    for place in np.linspace(2, 8, 1_201):
        at_place = [np.interp(place, X, table[:, seed]) for seed in range(15)]
        if stats.ttest_1samp(at_place, 0.5).pvalue > 0.05:
            kept.append(place)
    above = np.searchsorted(X, found.estimate)
    gap = X[above - 1], X[above]
    assert found.low == pytest.approx(min(kept[0], gap[0]), abs=0.006)
    assert found.high == pytest.approx(max(kept[-1], gap[1]), abs=0.006)


def test_the_isotonic_estimate_pools_neighbours_that_violate_the_order():
    table = np.array([[0.0], [0.6], [0.2], [1.0]]) + np.array([[-0.01, 0.01, 0.0]])
    found = isotonic(Curve(np.array([0.0, 1.0, 2.0, 3.0]), table), 0.7)
    assert found.estimate == pytest.approx(2 + (0.7 - 0.4) / (1.0 - 0.4))  # 0.6 and 0.2 become 0.4 and 0.4
    falling = isotonic(Curve(np.array([0.0, 1.0, 2.0, 3.0]), 1 - table), 0.3)
    assert falling.estimate == pytest.approx(found.estimate)


def test_a_clean_step_lies_somewhere_between_its_two_values():
    table = np.repeat([[0.0], [0.0], [1.0], [1.0]], 6, axis=1)
    x = np.array([1.0, 2.0, 5.0, 9.0])
    for method in (logistic, isotonic):
        found = method(Curve(x, table), 0.5)
        assert (found.estimate, found.low, found.high) == (3.5, 2.0, 5.0)
        back = method(Curve(x, 1 - table), 0.5)
        assert (back.low, back.high) == (2.0, 5.0)


def test_one_mixed_value_between_all_and_nothing_is_a_step_around_it():
    table = np.repeat([[0.0], [0.0], [0.5], [1.0], [1.0]], 6, axis=1)
    table[2] = [0, 1, 0, 1, 1, 0]
    found = logistic(Curve(np.arange(5.0), table), 0.5)
    assert (found.estimate, found.low, found.high) == (2.0, 1.0, 3.0)


def refusal(table, x=X, level=0.5):
    found = [method(Curve(np.asarray(x, float), np.asarray(table, float)), level) for method in (logistic, isotonic)]
    assert all(np.isnan([one.estimate, one.low, one.high]).all() for one in found)
    assert len({one.refused for one in found}) == 1
    return found[0].refused


def test_what_cannot_be_said_is_refused_with_its_reason():
    rng = np.random.default_rng(4)
    noise = rng.normal(0, 0.01, (9, 8))
    low = np.linspace(0.02, 0.3, 9)[:, None] + noise
    assert (
        refusal(low)
        == f"the mean goes from {low[0].mean():.4g} at 0 to {low[-1].mean():.4g} at 10, which does not bracket 0.5"
    )
    bump = np.where((X > 2) & (X < 8), 0.9, 0.1)[:, None] + noise
    assert refusal(bump) == "the curve crosses 0.5 more than once: between 1.25 and 2.5, 7.5 and 8.75"
    assert refusal(low[:2], X[:2]) == "2 values were run, and a curve takes at least 3"
    assert "fewer than 2 seeds count at 0" in refusal(low[:, :1])


def test_a_range_that_ends_where_the_level_may_be_is_refused():
    rng = np.random.default_rng(5)
    table = np.linspace(0.1, 0.51, 9)[:, None] + rng.normal(0, 0.1, (9, 8))
    assert "run more seeds, or values there" in isotonic(Curve(X, table), 0.5).refused


def test_a_curve_that_is_no_logistic_is_left_to_the_isotonic_fit():
    half = np.where(X < 5, 0.02, 0.6)[:, None] + np.random.default_rng(6).normal(0, 0.01, (9, 20))
    assert logistic(Curve(X, half), 0.5).refused == "the means do not follow a logistic curve from 0 to 1"
    assert isotonic(Curve(X, half), 0.5).low == 3.75


def test_a_gross_miss_is_seen_with_few_seeds_too():
    rng, plateau = np.random.default_rng(8), np.where(X < 5, 0.05, 0.7)[:, None]
    tables = [(rng.random((9, 20)) < plateau).astype(float) for _ in range(200)]
    refused = [logistic(Curve(X, table), 0.5).refused for table in tables]
    assert np.mean(["do not follow" in reason for reason in refused]) >= 0.6
    few = plateau + rng.normal(0, 0.01, (9, 5))
    assert "do not follow" in logistic(Curve(X, few), 0.5).refused


def test_values_with_more_seeds_than_others_are_used_in_full():
    rng = np.random.default_rng(7)
    table = yes_or_no(1.0)(rng, 80)
    few = table.copy()
    few[[0, 1, 7, 8], 10:] = np.nan
    for method in (logistic, isotonic):
        part, whole, ten = (method(Curve(X, one), 0.5) for one in (few, table, table[:, :10]))
        assert part.estimate == pytest.approx(whole.estimate, abs=0.5)
        assert part.high - part.low < ten.high - ten.low
