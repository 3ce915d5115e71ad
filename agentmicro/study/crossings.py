"""Where a curve reaches a level: a logistic and an isotonic fit to what was found at each value of a knob.

Arrays in, numbers out. A table has one row per value of the knob, ascending, and one column per seed, NaN where a value
was not run with that seed. The interval holds every place at which "the mean here is the level" is not rejected at 5%,
by a t test that takes each seed as one: what a seed does to the whole curve stays together. A fit that cannot say where
the level is crossed says why not.
"""

from dataclasses import dataclass, replace
from math import log, nan

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from agentmicro.errors import SpecError
from agentmicro.study.statistics import ALPHA, Floats
from agentmicro.study.tables import number

FEWEST = 3  # values of a knob: between two there is a step and no curve


@dataclass(frozen=True)
class Crossing:
    """Where a level is reached, with the 95% interval; or why that cannot be said."""

    method: str
    estimate: float = nan
    low: float = nan
    high: float = nan
    refused: str = ""


@dataclass(frozen=True, eq=False)
class Curve:
    """What was found at each value: the numbers by seed, how many, their mean and their spread."""

    x: Floats
    table: Floats

    @property
    def known(self) -> NDArray[np.bool_]:
        """Which seeds each value was run with."""
        return np.isfinite(self.table)

    @property
    def n(self) -> NDArray[np.int_]:
        """With how many seeds each value was run."""
        return self.known.sum(axis=1)

    @property
    def mean(self) -> Floats:
        """The mean at each value."""
        found: Floats = np.nanmean(self.table, axis=1)
        return found

    @property
    def spread(self) -> Floats:
        """The standard deviation over the seeds at each value."""
        found: Floats = np.nanstd(self.table, axis=1, ddof=1)
        return found


def logistic(curve: Curve, level: float) -> Crossing:
    """Where a logistic curve through numbers from 0 to 1 reaches a level between them.

    Shares are fitted as they are (fractional logit). Where everything is 0 up to one value and 1 from a later one, the
    estimate is halfway and the interval is all that lies between.
    """
    reason = unfit(curve, level)
    if reason:
        return Crossing("logistic", refused=reason)
    step = _step(curve)
    if step:
        return Crossing("logistic", sum(step) / 2, *step)
    middle, span = float(curve.x.mean()), float(np.ptp(curve.x))
    z = (curve.x - middle) / span
    slope, covariance, bread = _fitted(curve, z)
    if _misses(curve, z, slope, bread):
        return Crossing("logistic", refused="the means do not follow a logistic curve from 0 to 1")
    t = stdtrit(curve.table.shape[1] - 1, 1 - ALPHA / 2)
    rise, short = float(slope[1]), float(slope[0]) - log(level / (1 - level))
    # Fieller: the quadratic in z that says where (short + rise z)^2 is at most t^2 times its variance.
    square, cross, rest = (a - t**2 * v for a, v in zip((rise**2, rise * short, short**2), covariance, strict=True))
    if square <= 0 or cross**2 < square * rest:
        return Crossing(
            "logistic", refused=f"the seeds do not tell whether the curve rises or falls to {number(level)}"
        )
    root = (cross**2 - square * rest) ** 0.5
    low, high = (middle + span * (-cross + sign * root) / square for sign in (-1, 1))
    return _inside("logistic", curve, middle - span * short / rise, low, high)


def isotonic(curve: Curve, level: float) -> Crossing:
    """Where the best curve that only rises or only falls first reaches a level; straight between the values.

    The interval is never narrower than the gap between the two values that enclose the estimate, because nothing was
    seen of what the curve does in between.
    """
    from scipy.optimize import isotonic_regression

    reason = unfit(curve, level)
    if reason:
        return Crossing("isotonic", refused=reason)
    mean, n = curve.mean, curve.n
    fits = [isotonic_regression(sign * mean, weights=n).x for sign in (1.0, -1.0)]
    errors = [float((n * (fit - sign * mean) ** 2).sum()) for fit, sign in zip(fits, (1.0, -1.0), strict=True)]
    sign, fit = (1.0, fits[0]) if errors[0] <= errors[1] else (-1.0, fits[1])
    above = int(np.argmax(fit >= sign * level))
    if not fit[0] < sign * level <= fit[-1]:
        return Crossing("isotonic", refused=_beyond(curve, level))
    share = (sign * level - fit[above - 1]) / (fit[above] - fit[above - 1])
    estimate = curve.x[above - 1] + share * (curve.x[above] - curve.x[above - 1])
    places = [estimate, *(place for gap in range(len(curve.x) - 1) for place in _possible(curve, gap, level))]
    found = _inside("isotonic", curve, estimate, min(places), max(places))
    near, far = float(curve.x[above - 1]), float(curve.x[above])
    return found if found.refused else replace(found, low=min(found.low, near), high=max(found.high, far))


def unfit(curve: Curve, level: float) -> str:
    """Why no curve can be put through what was found; nothing if one can."""
    if len(curve.x) < FEWEST:
        return f"{len(curve.x)} values were run, and a curve takes at least {FEWEST}"
    if curve.n.min() < 2:
        return f"fewer than 2 seeds count at {number(float(curve.x[curve.n.argmin()]))}"
    sides = _sides(curve, level)
    changes = np.flatnonzero(np.diff(sides[sides != 0]))
    if changes.size > 1:
        places = curve.x[sides != 0]
        turns = ", ".join(f"{number(float(places[at]))} and {number(float(places[at + 1]))}" for at in changes)
        return f"the curve crosses {number(level)} more than once: between {turns}"
    return "" if curve.mean.min() <= level <= curve.mean.max() else _beyond(curve, level)


def _sides(curve: Curve, level: float) -> NDArray[np.int_]:
    """On which side of the level each mean surely lies, over all values together; 0 where that is not sure."""
    t = stdtrit(curve.n - 1, 1 - ALPHA / 2 / len(curve.x))
    gap = curve.mean - level
    found: NDArray[np.int_] = np.where(np.abs(gap) > t * curve.spread / np.sqrt(curve.n), np.sign(gap), 0).astype(int)
    return found


def _beyond(curve: Curve, level: float) -> str:
    ends = [f"{number(float(curve.mean[at]))} at {number(float(curve.x[at]))}" for at in (0, -1)]
    return f"the mean goes from {ends[0]} to {ends[1]}, which does not bracket {number(level)}"


def _inside(method: str, curve: Curve, estimate: float, low: float, high: float) -> Crossing:
    """The crossing, if its whole interval lies within the values that were run."""
    first, last = float(curve.x[0]), float(curve.x[-1])
    open_ends = (low <= first, f"below {number(first)}"), (high >= last, f"above {number(last)}")
    ways = [way for is_open, way in open_ends if is_open]
    if ways:
        reason = f"the level may be reached {' or '.join(ways)}: run more seeds, or values there"
        return Crossing(method, refused=reason)
    return Crossing(method, float(estimate), float(low), float(high))


def _step(curve: Curve) -> tuple[float, float] | None:
    """The gap in which everything turns from 0 to 1 or back, if it does so within two neighbouring gaps at most."""
    for low in (0.0, 1.0):
        before = np.minimum.accumulate(curve.mean == low)
        after = np.minimum.accumulate((curve.mean == 1 - low)[::-1])[::-1]
        if before.any() and after.any() and before.sum() + after.sum() >= len(curve.x) - 1:
            return float(curve.x[before.sum() - 1]), float(curve.x[len(curve.x) - after.sum()])
    return None


def _fitted(curve: Curve, z: Floats) -> tuple[Floats, tuple[float, float, float], Floats]:
    """Intercept and slope; their variances and covariance with each seed as one; and the inverse of the information."""
    try:
        from statsmodels.genmod.families import Binomial  # type: ignore[import-untyped]
        from statsmodels.genmod.generalized_linear_model import GLM  # type: ignore[import-untyped]
    except ImportError:
        raise SpecError("a threshold needs statsmodels, which comes with the extra agentmicro[study]") from None

    rows, seeds = np.nonzero(curve.known)
    design = np.column_stack([np.ones(rows.size), z[rows]])
    model = GLM(curve.table[rows, seeds], design, family=Binomial())
    fit = model.fit(cov_type="cluster", cov_kwds={"groups": seeds})
    robust = fit.cov_params()
    return fit.params, (float(robust[1, 1]), float(robust[0, 1]), float(robust[0, 0])), fit.normalized_cov_params


def _misses(curve: Curve, z: Floats, slope: Floats, bread: Floats) -> bool:
    """Whether the fitted curve passes by some mean, at 5% over all values together."""
    p = 1 / (1 + np.exp(-(slope[0] + slope[1] * z)))
    away = np.where(curve.known, curve.table - p[:, None], 0.0)
    axes = np.column_stack([np.ones(len(z)), z])
    moved = (p * (1 - p))[:, None] * (axes @ bread @ (axes.T @ away))  # what each seed does to the fit
    error = away / curve.n[:, None] - moved
    seeds = curve.table.shape[1]
    # Around its mean, since a gross miss would widen the yardstick that it is held against.
    variance = ((error - error.mean(axis=1, keepdims=True)) ** 2).sum(axis=1) * seeds / (seeds - 1)
    sure = (curve.spread == 0) & np.isin(curve.mean, (0.0, 1.0))  # shares without luck still come from a chance
    variance = np.where(sure, p * (1 - p) / curve.n, variance)
    t = stdtrit(seeds - 1, 1 - ALPHA / 2 / len(z))
    return bool((np.abs(curve.mean - p) > t * np.sqrt(variance)).any())


def _possible(curve: Curve, gap: int, level: float) -> list[float]:
    """The ends of the places between two neighbouring values at which the mean may be the level."""
    pair = slice(gap, gap + 2)
    n, mean, x = curve.n[pair], curve.mean[pair], curve.x[pair]
    own = curve.spread[pair] ** 2 / n
    both = curve.known[pair].all(axis=0)
    shared = 0.0
    if both.sum() > 1:
        shared = float(np.cov(curve.table[pair][:, both])[0, 1]) * both.sum() / (n[0] * n[1])
    t = stdtrit(n.min() - 1, 1 - ALPHA / 2)
    # With w the way from the first value to the second: (mean(w) - level)^2 - t^2 variance(w), a quadratic in w.
    rise, short = mean[1] - mean[0], mean[0] - level
    excess = np.array(
        [
            rise**2 - t**2 * (own.sum() - 2 * shared),
            2 * (rise * short - t**2 * (shared - own[0])),
            short**2 - t**2 * own[0],
        ]
    )
    roots = [float(root.real) for root in np.roots(excess) if abs(root.imag) < 1e-12]
    ends = [way for way in (0.0, 1.0) if np.polyval(excess, way) <= 0]
    return [float(x[0] + way * (x[1] - x[0])) for way in (*roots, *ends) if 0 <= way <= 1]
