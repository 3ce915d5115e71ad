import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog, minimize
from scipy.special import expit

from agentmicro.errors import SpecError
from agentmicro.measures import logit, proof_fit


def loss(b, x, t, s):
    eta = x @ b
    return float(np.sum(t * np.logaddexp(0, eta) - s * eta))


def cells(seed, n=40, k=3, trials=30):
    luck = np.random.default_rng(seed)
    x = np.column_stack((np.ones(n), luck.normal(size=(n, k - 1))))
    b = luck.normal(size=k)
    t = luck.integers(0, trials, n)
    return x, t, luck.binomial(t, expit(x @ b)), b


def separated(x, t, s):
    """Some direction tells yes from no without exception (Albert and Anderson), found by linear programming."""
    signed = np.vstack((x[(t > 0) & (s > 0)], -x[(t > 0) & (s < t)]))
    found = linprog(-signed.sum(axis=0), A_ub=-signed, b_ub=np.zeros(len(signed)), bounds=[(-1, 1)] * x.shape[1])
    return -found.fun > 1e-7


# --- logit


@pytest.mark.parametrize("seed", range(8))
def test_the_maximum_is_that_of_a_general_optimiser(seed):
    x, t, s, _ = cells(seed)
    best = minimize(loss, np.zeros(3), (x, t, s), method="BFGS", options={"gtol": 1e-7})
    fit = logit(x, t, s)
    assert fit.estimate == pytest.approx(best.x, abs=1e-5)
    assert fit.loglik == pytest.approx(-best.fun)


@pytest.mark.parametrize("seed", range(4))
def test_errors_are_those_of_the_curvature(seed):
    x, t, s, _ = cells(seed)
    fit = logit(x, t, s)
    h, eye = 1e-4, np.eye(3)
    curvature = [
        [
            sum(a * b * loss(fit.estimate + h * (a * eye[i] + b * eye[j]), x, t, s) for a in (1, -1) for b in (1, -1))
            / (4 * h * h)
            for j in range(3)
        ]
        for i in range(3)
    ]
    assert fit.error == pytest.approx(np.sqrt(np.diag(np.linalg.inv(curvature))), rel=1e-3)


@pytest.mark.parametrize("seed", range(8))
def test_known_coefficients_are_recovered(seed):
    x, t, s, b = cells(seed, n=200, trials=200)
    fit = logit(x, t, s)
    assert (np.abs(fit.estimate - b) < 3.5 * fit.error).all()
    assert (fit.error < 0.1).all()


def test_one_proportion_in_closed_form():
    fit = logit([[1.0]], [40], [10])
    assert fit.estimate == pytest.approx([np.log(10 / 30)])
    assert fit.error == pytest.approx([np.sqrt(1 / 10 + 1 / 30)])
    assert fit.loglik == pytest.approx(10 * np.log(0.25) + 30 * np.log(0.75))


def test_two_by_two_is_the_log_odds_ratio():
    fit = logit([[1, 0], [1, 1]], [30, 50], [10, 35])
    assert fit.estimate[1] == pytest.approx(np.log((35 / 15) / (10 / 20)))
    assert fit.error[1] == pytest.approx(np.sqrt(1 / 35 + 1 / 15 + 1 / 10 + 1 / 20))


def test_aggregation_and_order_of_cells_do_not_matter():
    x, t, s, _ = cells(3, n=12)
    single = np.repeat(x, t, axis=0)
    yes = np.concatenate([np.arange(trials) < successes for trials, successes in zip(t, s, strict=True)])
    one_by_one = logit(single[::-1], np.ones(len(single)), yes[::-1])
    for ours, theirs in zip(logit(x, t, s), one_by_one, strict=True):
        assert ours == pytest.approx(theirs)


@pytest.mark.parametrize("unit", [1e-6, 1e6])
def test_units_of_a_condition_only_rescale_its_coefficient(unit):
    x, t, s, _ = cells(5)
    fit, other = logit(x, t, s), logit(x * [1, unit, 1], t, s)
    assert other.estimate * [1, unit, 1] == pytest.approx(fit.estimate)
    assert other.error * [1, unit, 1] == pytest.approx(fit.error)


@settings(deadline=None, max_examples=200)
@given(st.integers(0, 100_000), st.integers(2, 12), st.integers(1, 3))
def test_an_estimate_exists_exactly_when_nothing_is_separated(seed, n, k):
    luck = np.random.default_rng(seed)
    x = np.column_stack((np.ones(n), luck.integers(-2, 3, (n, k - 1)))).astype(float)
    t = luck.integers(0, 3, n)
    s = luck.integers(0, t + 1)
    used = x[t > 0]
    identified = len(used) > 0 and np.linalg.matrix_rank(used) == k and not separated(x, t, s)
    fit = logit(x, t, s)
    assert np.isfinite(fit.estimate).all() == identified
    assert np.isfinite(fit.error).all() == identified
    assert np.isfinite(fit.loglik) == identified
    if not identified:
        assert np.isnan(fit.estimate).all()


def test_steep_effects_far_from_even_odds_are_found():
    x = np.column_stack((np.ones(100), np.arange(100.0)))
    fit = logit(x, np.full(100, 1000), np.round(1000 * expit(3 - x[:, 1])))
    assert fit.estimate == pytest.approx([3, -1], rel=0.02)


def test_a_full_newton_step_that_overshoots_is_cut():
    # The two far cells have no chance of a yes, which leaves a line through two points.
    fit = logit([[1, -3], [1, -50], [1, -200], [1, 0]], [1000, 5, 1000, 5], [14, 0, 0, 3])
    assert fit.estimate == pytest.approx([np.log(3 / 2), (np.log(3 / 2) - np.log(14 / 986)) / 3])


@pytest.mark.parametrize("seed", range(20))
def test_columns_that_are_nearly_collinear_keep_their_errors(seed):
    x, t, s, _ = cells(seed)
    near, far = logit(x, t, s), logit(x @ [[1, 1e7, 3e7], [0, 1, 3e6], [0, 0, 1]], t, s)
    assert far.error[2] == pytest.approx(near.error[2], rel=0.005)


@pytest.mark.parametrize(
    ("design", "trials", "successes"),
    [
        ([[1.0], [1.0]], [0, 0], [0, 0]),
        ([[1.0]], [5], [5]),
        ([[1.0]], [5], [0]),
        ([[1.0]], [5], [6]),
        ([[1.0]], [5], [-1]),
        ([[1.0]], [np.nan], [1]),
        ([[np.nan]], [5], [1]),
        ([[1, 2], [1, 2]], [5, 5], [2, 3]),
        ([[1, 0], [1, 0]], [5, 5], [2, 3]),
        ([[1, 0], [1, 1]], [5, 5], [0, 5]),
        ([[1, 0], [1, 1]], [5, 5], [2, 5]),
        (np.empty((0, 2)), [], []),
        (np.empty((2, 0)), [5, 5], [2, 2]),
    ],
)
def test_what_is_not_identified_is_nan(design, trials, successes):
    fit = logit(design, trials, successes)
    assert np.isnan(fit.estimate).all()
    assert np.isnan(fit.error).all()
    assert np.isnan(fit.loglik)
    assert len(fit.estimate) == len(fit.error) == np.shape(design)[1]


def test_blank_cells_are_left_out():
    x, t, s, _ = cells(2, n=10)
    more = logit(np.vstack((x, x[0], x[1] * np.nan)), [*t, np.nan, 5], [*s, 1, 5])
    assert more.estimate == pytest.approx(logit(x, t, s).estimate)


def test_one_condition_is_one_column():
    assert logit([1.0, 1.0], [5, 5], [2, 3]).estimate == pytest.approx(logit([[1.0], [1.0]], [5, 5], [2, 3]).estimate)


def test_cells_have_one_count_each():
    with pytest.raises(SpecError, match="design has 2, trials has 3, successes has 2"):
        logit([[1], [1]], [1, 2, 3], [1, 2])
    with pytest.raises(SpecError, match="likes has 1"):
        proof_fit([1, 2], [0], [5, 5], [2, 2])


# --- social proof


def feed(seed, likes, b=(-0.5, -0.1, 0.8, 0.3), trials=4000):
    luck = np.random.default_rng(seed)
    place, count = (grid.ravel() for grid in np.meshgrid(np.arange(1, 11), likes))
    t = np.full(place.size, trials)
    eta = b[0] + b[1] * place + b[2] * (count >= 1) + b[3] * np.log(1 + count)
    return place, count, t, luck.binomial(t, expit(eta))


@pytest.mark.parametrize("seed", range(4))
def test_position_step_and_slope_are_recovered(seed):
    fit = proof_fit(*feed(seed, [0, 1, 2, 5, 10, 50]))
    assert fit.position == pytest.approx(-0.1, abs=0.02)
    assert abs(fit.step - 0.8) < 3.5 * fit.step_error < 0.5
    assert abs(fit.slope - 0.3) < 3.5 * fit.slope_error < 0.2


def test_likes_of_one_value_give_a_step_and_no_slope():
    place, count, t, s = feed(1, [0, 4])
    fit = proof_fit(place, count, t, s)
    assert fit.step == pytest.approx(0.8 + 0.3 * np.log(5), abs=3.5 * fit.step_error)
    assert np.isnan([fit.slope, fit.slope_error]).all()
    assert fit.step == pytest.approx(logit(np.column_stack((np.ones(20), place, count > 0)), t, s).estimate[2])


def test_likes_everywhere_give_a_slope_and_no_step():
    fit = proof_fit(*feed(1, [1, 4, 9]))
    assert fit.slope == pytest.approx(0.3, abs=3.5 * fit.slope_error)
    assert np.isnan([fit.step, fit.step_error]).all()


def test_only_cells_with_trials_tell_columns_apart():
    place, count, t, s = feed(1, [0, 1, 7])
    t, s = np.where(count == 7, 0, t), np.where(count == 7, 0, s)
    fit = proof_fit(place, count, t, s)
    assert np.isnan(fit.slope)
    assert np.isfinite(fit.step)


def test_a_blank_cell_stays_out_when_its_column_is_dropped():
    place, count, t, s = feed(1, [0])
    blank = proof_fit([*place, 1], [*count, np.nan], [*t, 10**6], [*s, 10**6])
    assert blank.position == pytest.approx(proof_fit(place, count, t, s).position)


def test_no_likes_or_one_place_drop_their_columns():
    fit = proof_fit(*feed(1, [0]))
    assert fit.position == pytest.approx(-0.1, abs=0.03)
    assert np.isnan(fit[1:]).all()
    place, count, t, s = feed(2, [0, 1, 2, 5, 10, 50])
    fit = proof_fit(np.ones_like(place), count, t, s)
    assert np.isnan(fit.position)
    assert fit.step > 0


def test_undefined_proof_is_nan():
    assert np.isnan(proof_fit([], [], [], [])).all()
    assert np.isnan(proof_fit([1, 2, 3], [0, 1, 2], [0, 0, 0], [0, 0, 0])).all()
    assert np.isnan(proof_fit([1, 2, 3], [0, 1, 2], [5, 5, 5], [5, 5, 5])).all()
    assert np.isnan(proof_fit([1.0], [np.nan], [5], [2])).all()
