"""Stage 5, validation: runs beside published figures and field data, one dimension at a time, each with an interval.

A verdict is `matches` only where a whole interval lies within the stated tolerance, `differs` only where it lies
outside, else `undecided`: not to be told apart is not to agree. What is compared:

    range        the mean over the runs against the range that was published, where definitions or samples differ
    relative     the mean over the runs against a published value, or against the mean of a column
    wasserstein  the runs as a sample against a column, in standard deviations of the column
    ks           the largest distance between the distribution functions; a small p says `differs`, none says `matches`
    exponent     the measure, itself the exponent of a power law, against the exponent fitted to the tail of a column
"""

import csv
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from math import inf, nan, sqrt
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from agentmicro.errors import ScenarioError, listed, nearest
from agentmicro.study.claims import interval
from agentmicro.study.results import Study
from agentmicro.study.spec import Published

if TYPE_CHECKING:
    from pandas import DataFrame

type Floats = NDArray[Any]

ALPHA = 0.05
NORMAL = 1.959963984540054  # the 97.5% point of the normal law
RESAMPLED = 499
FEWEST = 10  # values in a tail whose exponent is fitted
MATCHES, DIFFERS, UNDECIDED = "matches", "differs", "undecided"


@dataclass(frozen=True)
class Compared:
    """One measure beside one figure: the mean of the runs with its interval, and the distance with its own."""

    measure: str
    dimension: str
    n: int
    mean: float
    low: float
    high: float
    field: str
    n_field: int
    distance: float
    distance_low: float
    distance_high: float
    verdict: str
    source: str = ""
    grade: str = ""
    left_out: int = 0


def validate(study: Study) -> "DataFrame":
    """Every measure that the scenario holds against something, one row per dimension; empty if there is none."""
    import pandas as pd

    plan = study.scenario.validate
    found: list[Compared] = []
    for measure, published in plan.values.items():
        values, left_out = _simulated(study, measure)
        found += _published(measure, values, left_out, published, plan.tolerance)
    for measure, column in plan.columns.items():
        values, left_out = _simulated(study, measure)
        field = _column(Path(plan.data), column)
        for dimension in plan.distances or ("relative", "wasserstein", "ks"):
            found.append(_held(measure, dimension, values, field, plan.tolerance, left_out, Path(plan.data).name))
    return pd.DataFrame([asdict(item) for item in found], columns=list(Compared.__dataclass_fields__))


def _simulated(study: Study, measure: str) -> tuple[Floats, int]:
    """The measure at the end of every run that counts and defines it, and how many do not."""
    cell = study.reference("validate")
    values = study.values(cell, measure).to_numpy(np.float64)
    finite: Floats = values[np.isfinite(values)]
    return finite, sum(study.left_out(cell).values()) + int(values.size - finite.size)


def _published(
    measure: str, values: Floats, left_out: int, published: Published, tolerance: float
) -> Iterator[Compared]:
    mean, half = interval(values) if values.size else (nan, inf)
    runs, about = (values.size, mean, mean - half, mean + half), (published.source, published.grade, left_out)
    if not np.isnan(published.low):
        text = f"{published.low:g} to {published.high:g}"
        away = [max(published.low - one, one - published.high, 0.0) for one in (mean, *runs[2:])]
        inside = published.low <= runs[2] and runs[3] <= published.high
        outside = runs[3] < published.low or runs[2] > published.high
        verdict = MATCHES if inside else DIFFERS if outside else UNDECIDED
        closest = 0.0 if not outside else min(away[1:])
        yield Compared(measure, "range", *runs, text, 0, away[0], closest, max(away[1:]), verdict, *about)
    if not np.isnan(published.value):
        low, high, centre = _relative(runs[2], runs[3], mean, published.value)
        verdict = _within(low, high, tolerance)
        yield Compared(measure, "relative", *runs, f"{published.value:g}", 0, centre, low, high, verdict, *about)


def _relative(low: float, high: float, mean: float, value: float) -> tuple[float, float, float]:
    """An interval and its centre as relative differences from a value; absolute ones where that is 0."""
    scale = abs(value) or 1.0
    return (low - value) / scale, (high - value) / scale, (mean - value) / scale


def _within(low: float, high: float, tolerance: float) -> str:
    """The verdict on the interval of a signed difference."""
    if -tolerance <= low and high <= tolerance:
        return MATCHES
    return DIFFERS if high < -tolerance or low > tolerance else UNDECIDED


class Told(NamedTuple):
    """What one dimension says: the field in words, the distance with its interval, and the verdict."""

    field: str
    distance: float
    low: float
    high: float
    verdict: str


def _held(
    measure: str, dimension: str, values: Floats, field: Floats, tolerance: float, left_out: int, source: str
) -> Compared:
    mean, half = interval(values) if values.size else (nan, inf)
    enough = values.size > 1
    told = DIMENSIONS[dimension](values, field, tolerance) if enough else Told("", nan, nan, nan, UNDECIDED)
    return Compared(
        measure,
        dimension,
        n=values.size,
        mean=mean,
        low=mean - half,
        high=mean + half,
        field=told.field,
        n_field=field.size,
        distance=told.distance,
        distance_low=told.low,
        distance_high=told.high,
        verdict=told.verdict,
        source=source,
        left_out=left_out,
    )


def _of_means(values: Floats, field: Floats, tolerance: float) -> Told:
    """The relative difference of the means, with Welch's interval."""
    from scipy.stats import ttest_ind

    told = f"mean {field.mean():.4g}"
    scale = abs(float(field.mean())) or 1.0
    difference = float(values.mean() - field.mean()) / scale
    if np.ptp(values) == 0 and np.ptp(field) == 0:
        return Told(told, difference, difference, difference, _within(difference, difference, tolerance))
    span = ttest_ind(values, field, equal_var=False).confidence_interval()
    low, high = float(span.low) / scale, float(span.high) / scale
    return Told(told, difference, low, high, _within(low, high, tolerance))


def _of_samples(values: Floats, field: Floats, tolerance: float) -> Told:
    """Wasserstein's distance in standard deviations of the field.

    A distance is never negative, so two samples of one law lie apart by luck alone: the low end takes off how far they
    would at 95% of all ways to mix them up. The high end is the bootstrap's, which resampling only widens.
    """
    from scipy.stats import wasserstein_distance

    def apart(ours: Floats, theirs: Floats) -> float:
        return float(wasserstein_distance(ours, theirs)) / scale

    scale = float(field.std(ddof=1)) if field.size > 1 and np.ptp(field) > 0 else 1.0
    draw, pooled = np.random.default_rng(0), np.concatenate([values, field])
    mixed = [apart(*np.split(draw.permutation(pooled), [values.size])) for _ in range(RESAMPLED)]
    again = [apart(draw.choice(values, values.size), draw.choice(field, field.size)) for _ in range(RESAMPLED)]
    distance = apart(values, field)
    low = max(0.0, distance - float(np.quantile(mixed, 1 - ALPHA)))
    high = max(distance, float(np.quantile(again, 1 - ALPHA / 2)))
    return Told(f"{field.size:,} values, sd {scale:.4g}", distance, low, high, _within(low, high, tolerance))


def _of_functions(values: Floats, field: Floats, tolerance: float) -> Told:
    """The Kolmogorov-Smirnov distance; there is no interval, and no p that could say `matches`."""
    from scipy.stats import ks_2samp

    found = ks_2samp(values, field, method="asymp")
    told = f"{field.size:,} values, p = {found.pvalue:.2g}"
    verdict = DIFFERS if found.pvalue < ALPHA and found.statistic > tolerance else UNDECIDED
    return Told(told, float(found.statistic), nan, nan, verdict)


def _of_exponents(values: Floats, field: Floats, tolerance: float) -> Told:
    """The relative difference between the mean exponent of the runs and that of the field's tail."""
    exponent, error, start, size = tail(field)
    if not size:
        return Told(f"fewer than {FEWEST} positive values", nan, nan, nan, UNDECIDED)
    mean, half = interval(values)
    spread = sqrt((half / NORMAL) ** 2 + error**2)
    told = f"{exponent:.3f} (se {error:.3f}) from {start:g} up, {size:,} values"
    low, high, centre = _relative(mean - NORMAL * spread, mean + NORMAL * spread, mean, exponent)
    return Told(told, centre, low, high, _within(low, high, tolerance))


DIMENSIONS = {"relative": _of_means, "wasserstein": _of_samples, "ks": _of_functions, "exponent": _of_exponents}


def tail(values: Floats) -> tuple[float, float, float, int]:
    """The exponent of a power-law tail, its standard error, where the tail starts, and how many values it has.

    Clauset, Shalizi and Newman 2009 (doi:10.1137/070710111): maximum likelihood above each possible start, of which the
    one with the smallest Kolmogorov-Smirnov distance counts; the continuous form, with whole numbers shifted by a half.
    """
    positive = np.sort(values[values > 0])
    whole = bool(positive.size) and bool(np.all(positive == np.round(positive)))
    best = (inf, nan, nan, nan, 0)
    for start in np.unique(positive)[:-1]:
        above = positive[positive >= start]
        if above.size < FEWEST:
            break
        low = float(start) - 0.5 * whole
        exponent = 1 + above.size / float(np.log(above / low).sum())
        edges = np.unique(above)
        told = np.searchsorted(above, edges, side="right") / above.size
        fitted = 1 - ((edges + 0.5 * whole) / low) ** (1 - exponent)
        distance = float(np.abs(told - fitted).max())
        if distance < best[0]:
            best = (distance, exponent, (exponent - 1) / sqrt(above.size), float(start), above.size)
    return best[1:]


def _column(path: Path, name: str) -> Floats:
    """The numbers in a column of a CSV file, empty fields left out."""
    found: list[float] = []
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = csv.DictReader(file)
        if name not in (has := rows.fieldnames or ()):
            raise ScenarioError(
                f"{path.name}: no column {name!r}{nearest(name, has)}; there is {listed(has) or 'none'}"
            )
        for row in rows:
            text = (row[name] or "").strip()
            try:
                found += [float(text)] if text else []
            except ValueError:
                where = f"{path.name}: line {rows.line_num}: {name} = {text!r:.60}"
                raise ScenarioError(f"{where}: expected a number") from None
    values = np.asarray(found)
    if not np.isfinite(values).all() or not values.size:
        raise ScenarioError(f"{path.name}: column {name!r}: expected finite numbers, at least one")
    return values
