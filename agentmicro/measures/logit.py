"""What a choice depends on: logistic regression on aggregated cells, and the social-proof curve built on it.

A cell is one combination of conditions with the number of decisions taken under it (`trials`) and how many of them
said yes (`successes`). Nothing here raises on data: what the data cannot tell is `nan`.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from agentmicro.measures.columns import columns

type _Floats = NDArray[np.float64]

_MOST_STEPS = 60
_CONVERGED = 1e-8
_COLLINEAR = 1e-9
_NO_INFORMATION = 1e-12
_ROUNDING = 1e-12


class Fit(NamedTuple):
    """The coefficients of a logit, their standard errors, and the log-likelihood without its binomial constant."""

    estimate: NDArray[np.float64]
    error: NDArray[np.float64]
    loglik: float


class ProofFit(NamedTuple):
    """How the log-odds of endorsing an item move with its position, with its first like, and with more likes."""

    position: float
    step: float
    slope: float
    step_error: float
    slope_error: float


def logit(design: ArrayLike, trials: ArrayLike, successes: ArrayLike) -> Fit:
    """The logit is the linear effect of each condition on the log-odds of a yes.

    Formula: the maximum of `sum_c s_c ln p_c + (t_c - s_c) ln(1 - p_c)` with `ln(p_c / (1 - p_c)) = design_c . b`,
    by Newton's method; the standard errors are the roots of the diagonal of the inverse information matrix. The
    design (cells x columns) has its own column of ones when an intercept is wanted.
    Range: coefficients of any size, errors above 0, a log-likelihood of at most 0.
    Edges: a cell with a number that is not finite, or without trials, is left out. All is `nan` when the maximum is
    not one point: no trials, columns that are collinear in the cells left, or separation (the yeses and noes are told
    apart without exception, so that some coefficient grows without end); also when some cell has less than 0 or
    more yeses than trials.
    Reference: P. McCullagh and J. A. Nelder, Generalized Linear Models, 1989; A. Albert and J. A. Anderson, On the
    existence of maximum likelihood estimates in logistic regression models, Biometrika 71, 1984.
    """
    rows, t, s = (column.astype(np.float64) for column in columns(design=design, trials=trials, successes=successes))
    rows = np.column_stack((rows,))
    unknown = np.full(rows.shape[1], np.nan)
    nothing = Fit(unknown, unknown.copy(), float("nan"))
    kept = _used(rows, t, s)
    rows, t, s = rows[kept], t[kept], s[kept]
    if not kept.any() or (s < 0).any() or (s > t).any():
        return nothing
    # On columns that are orthonormal over the trials, the information is small only where the answers say little.
    root = np.sqrt(t)[:, None]
    basis, told = _orthonormal(rows * root)
    if not told.any() or not told.all():
        return nothing
    found = _maximum(basis / root, t, s)
    if found is None:
        return nothing
    along, covariance, loglik = found
    back = np.linalg.inv(basis.T @ (rows * root))
    return Fit(back @ along, np.sqrt(np.diag(back @ covariance @ back.T)), loglik)


def proof_fit(position: ArrayLike, likes: ArrayLike, trials: ArrayLike, successes: ArrayLike) -> ProofFit:
    """Social proof is how much likelier an item is endorsed with its first like, and with more likes after it.

    Formula: the logit of endorsing on `(1, position, likes >= 1, ln(1 + likes))`, one row per cell; `step` is the
    coefficient of the third column and `slope` of the fourth.
    Range: as in `logit`; both 0 when likes do not matter.
    Edges: a column that the ones before it already determine in the cells with trials is dropped, and its
    coefficient is `nan`: the slope when likes take no two values above 0 (the step then is the whole effect of that
    value against none), the step when every cell or none has likes, the position when it never changes. Otherwise as
    in `logit`: all `nan` under separation or without trials.
    Reference: L. Muchnik, S. Aral and S. J. Taylor, Social influence bias: a randomized experiment, Science 341, 2013.
    """
    place, count, t, s = (
        column.astype(np.float64)
        for column in columns(position=position, likes=likes, trials=trials, successes=successes)
    )
    # NaN likes must stay blank in both columns; fewer than none are none.
    count = np.maximum(count, 0.0)
    first = np.where(np.isnan(count), np.nan, count >= 1)
    design = np.column_stack((np.ones(place.size), place, first, np.log1p(count)))
    used = _used(design, t, s)
    design, t, s = design[used], t[used], s[used]
    told = _orthonormal(design)[1]
    fit = logit(design[:, told], t, s)
    estimate, error = np.full(4, np.nan), np.full(4, np.nan)
    estimate[told], error[told] = fit.estimate, fit.error
    return ProofFit(*(float(value) for value in (*estimate[1:], *error[2:])))


def _used(rows: _Floats, trials: _Floats, successes: _Floats) -> NDArray[np.bool_]:
    """The cells that say something."""
    used: NDArray[np.bool_] = (
        np.isfinite(rows).all(axis=1) & np.isfinite(successes) & np.isfinite(trials) & (trials > 0)
    )
    return used


def _orthonormal(rows: _Floats) -> tuple[_Floats, NDArray[np.bool_]]:
    """Orthonormal columns for those columns that the ones before them do not determine, and which these are."""
    basis = np.empty((rows.shape[0], 0))
    told = np.zeros(rows.shape[1], dtype=np.bool_)
    for index, column in enumerate(rows.T):
        length = float(np.linalg.norm(column))
        if length == 0:
            continue
        rest = column / length
        # Twice, because the first pass leaves what rounding left in it.
        for _ in range(2):
            rest = rest - basis @ (basis.T @ rest)
        left = float(np.linalg.norm(rest))
        if left > _COLLINEAR:
            told[index] = True
            basis = np.column_stack((basis, rest / left))
    return basis, told


def _maximum(basis: _Floats, t: _Floats, s: _Floats) -> tuple[_Floats, _Floats, float] | None:
    """The coefficients on the basis, their covariance and the log-likelihood at the maximum, or None without one.

    Under separation each step moves some log-odds by about 1 for ever, however little the likelihood still gains: the
    steps never become small, or the information of one direction shrinks to nothing beside the others.
    """
    estimate = np.zeros(basis.shape[1])
    loglik = _loglik(basis @ estimate, t, s)
    for _ in range(_MOST_STEPS):
        eta = basis @ estimate
        # Not `s - t p`: near certainty it would round to 0, and separation would pass for a maximum.
        residual = s * _expit(-eta) - (t - s) * _expit(eta)
        sizes, directions = np.linalg.eigh((basis * (t * _expit(eta) * _expit(-eta))[:, None]).T @ basis)
        if sizes[0] <= _NO_INFORMATION * sizes[-1]:
            return None
        covariance = directions / sizes @ directions.T
        step = covariance @ (basis.T @ residual)
        if float(np.abs(basis @ step).max()) < _CONVERGED:
            return estimate, covariance, loglik
        while (new := _loglik(basis @ (estimate + step), t, s)) < loglik - _ROUNDING * abs(loglik):
            step = step / 2
        estimate, loglik = estimate + step, new
    return None


def _loglik(eta: _Floats, t: _Floats, s: _Floats) -> float:
    return float(-(s @ np.logaddexp(0, -eta) + (t - s) @ np.logaddexp(0, eta)))


def _expit(eta: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 / (1 + exp(-eta)) without overflow; SciPy's own would be all that a run of herding loads SciPy for."""
    return np.exp(-np.logaddexp(0, -eta))
