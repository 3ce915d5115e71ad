"""What one number per seed says: its mean with an interval, whether it differs from nothing, and whether that matters.

Arrays in, numbers out; a table has one row per question and one column per seed, all of them defined. Whatever draws at
random is a function of an integer seed. What each number means, and how often it is right, is in docs/statistics.md.

Two conventions: numbers that are the same in every seed have the point as their interval, since what varies with the
seed did not vary; and nothing is ever said to have no effect: it is negligible within a stated margin, or undecided.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import ceil, inf, isfinite, log2, nan, sqrt

import numpy as np
from numpy.typing import NDArray

from agentmicro.study.claims import CONFIDENCE, SURE

type Floats = NDArray[np.float64]

ALPHA = 1 - CONFIDENCE
SEED = 20_260_415
RESAMPLED = 9_999
FEWEST = 8  # values that are resampled; fewer hold too few different samples to say how their spread varies
EXACT = 14  # seeds up to which every pattern of signs is tried
FLIPS = 200_000  # patterns of signs, at most, for the smallest p-value that a large family can ask for
CELLS = 4_000_000  # numbers in one block of a computation
POWER = 0.8


class Relevance(StrEnum):
    """What a change of one thing does to another."""

    RELEVANT = "relevant"
    NEGLIGIBLE = "negligible"
    UNDECIDED = "undecided"


@dataclass(frozen=True)
class Judgement:
    """A family of effects, each with its interval, its p-values and its verdict, in the order they were asked for.

    p: of the sign-flip test. p_holm: the same, corrected for the family. more: about how many more seeds would decide
    it; NaN where it is decided, or where none would.
    """

    effect: Floats
    low: Floats
    high: Floats
    p: Floats
    p_holm: Floats
    verdict: tuple[Relevance, ...]
    more: Floats


def judged(
    families: Sequence[Floats],
    margins: Sequence[float] | None = None,
    scales: Sequence[float] | None = None,
    sound: Sequence[bool] | None = None,
    seed: int = SEED,
    resampled: int = RESAMPLED,
) -> Judgement:
    """The verdicts on a family of paired differences, one array of them per effect.

    An effect is relevant if Holm's correction of its p-value over the family leaves at most 0.05 and its interval
    neither holds 0 nor lies wholly inside its margin; negligible if its interval is wholly inside the margin and the
    equivalence test, corrected alike, agrees; else undecided. margins: the smallest difference that matters to each;
    NaN where nobody has said, and then nothing can be negligible. scales: how far luck moves each measure, for the
    equivalence test. sound: where False, no verdict is given, because some seeds define no difference. resampled:
    resamples and patterns of signs, of which the family gets more where its correction needs them.
    """
    size = len(families)
    margin = np.full(size, nan) if margins is None else np.asarray(margins, float)
    scale = np.zeros(size) if scales is None else np.asarray(scales, float)
    effect, low, high, p, alike = (np.full(size, nan) for _ in range(5))
    flips = min(max(resampled, ceil(10 * size / ALPHA)), FLIPS)
    for n in sorted({len(values) for values in families}):
        mine = np.array([index for index, values in enumerate(families) if len(values) == n])
        table = np.array([families[index] for index in mine], float).reshape(len(mine), n)
        effect[mine], low[mine], high[mine] = intervals(table, resampled, seed)
        p[mine] = sign_flip(table, flips, seed)
        alike[mine] = equivalence(table, margin[mine], scale[mine])
    p_holm, more = holm(p), np.full(size, nan)
    known = np.ones(size, bool) if sound is None else np.asarray(sound, bool)
    found = np.where(known, verdicts(low, high, margin, p_holm, holm(alike)), Relevance.UNDECIDED)
    for index in np.flatnonzero(known & (found == Relevance.UNDECIDED)).tolist():
        more[index] = seeds_more(families[index], margin[index], scale[index], size)
    return Judgement(effect, low, high, p, p_holm, tuple(map(Relevance, found)), more)


def verdicts(low: Floats, high: Floats, margins: Floats, p: Floats, alike: Floats) -> NDArray[np.str_]:
    """The verdict on each effect from its interval, its margin and its two p-values, of a difference and of none."""
    inside, apart = (-margins < low) & (high < margins), (low > 0) | (high < 0)
    found = np.where(apart & ~inside & (p <= ALPHA), Relevance.RELEVANT, Relevance.UNDECIDED)
    return np.where(inside & (alike <= ALPHA), Relevance.NEGLIGIBLE, found)


def intervals(table: Floats, resampled: int = RESAMPLED, seed: int = SEED) -> tuple[Floats, Floats, Floats]:
    """The mean of each row and the two ends of its 95% interval; NaN ends for a single number.

    Each end is the further one of Student's t and the studentised bootstrap, which covers as it should where either
    alone does not: Student's is too short on the long side of a skewed law, the bootstrap under heavy tails and on
    samples with few different values.
    """
    rows, n = table.shape
    if n == 0:
        return np.full(rows, nan), np.full(rows, nan), np.full(rows, nan)
    mean = table.mean(axis=1)
    if n == 1:
        return mean, np.full(rows, nan), np.full(rows, nan)
    from scipy.special import stdtrit

    spread = table.std(axis=1, ddof=1)
    same = spread <= SURE * np.maximum(1.0, np.abs(mean))
    below, above = (np.full(rows, sign * stdtrit(n - 1, (1 + CONFIDENCE) / 2)) for sign in (-1, 1))
    free = np.flatnonzero(~same)
    if n >= FEWEST:
        for some in np.array_split(free, ceil(free.size * resampled / CELLS) or 1):
            first, last = _studentised((table[some] - mean[some, None]) / spread[some, None], resampled, seed)
            below[some], above[some] = np.minimum(below[some], -last), np.maximum(above[some], -first)
    error = np.where(same, 0.0, spread / sqrt(n))
    mean = np.where(same, table[:, 0], mean)
    return mean, mean + below * error, mean + above * error


def interval(values: Floats, seed: int = SEED) -> tuple[float, float, float]:
    """The mean of some numbers and the two ends of its 95% interval."""
    mean, low, high = intervals(np.asarray(values, float).reshape(1, -1), seed=seed)
    return float(mean[0]), float(low[0]), float(high[0])


def _studentised(standard: Floats, resampled: int, seed: int) -> tuple[Floats, Floats]:
    """The 2.5% and 97.5% points of t over resamples of standardised rows; those without spread have no t."""
    n = standard.shape[1]
    rng = np.random.default_rng(seed)
    found = np.empty((standard.shape[0], resampled))
    block = max(1, CELLS // n)
    for start in range(0, resampled, block):
        count = min(block, resampled - start)
        drawn = rng.multinomial(n, np.full(n, 1 / n), size=count).T / n
        mean = standard @ drawn
        spread = standard**2 @ drawn - mean**2
        flat = spread < 1e-9
        found[:, start : start + count] = np.where(flat, nan, mean / np.sqrt(np.where(flat, 1.0, spread) / (n - 1)))
    found.sort(axis=1)  # NaNs come last
    known = np.isfinite(found).sum(axis=1)
    ends = []
    for share in (ALPHA / 2, 1 - ALPHA / 2):
        place = np.clip(np.round(share * (known + 1)).astype(int) - 1, 0, np.maximum(known - 1, 0))
        ends.append(np.where(known > 0, found[np.arange(len(found)), place], 0.0))
    return ends[0], ends[1]


def sign_flip(table: Floats, flips: int = RESAMPLED, seed: int = SEED) -> Floats:
    """The two-sided p-value of each row of paired differences: how often chance signs give a mean as far from 0.

    Every pattern of signs is tried up to 14 seeds. Beyond, so many are drawn and the observed one is counted among
    them, so that p is never 0 and never too small.
    """
    rows, n = table.shape
    if n == 0:
        return np.full(rows, nan)
    observed = np.abs(table.sum(axis=1))
    least = observed - 1e-12 * np.abs(table).sum(axis=1)
    exact = n <= EXACT
    total = 1 << n if exact else flips
    found = np.zeros(rows)
    rng = np.random.default_rng(seed)
    block = max(1, CELLS // max(n, rows))
    for start in range(0, total, block):
        count = min(block, total - start)
        bits = (
            np.arange(start, start + count)[:, None] >> np.arange(n) & 1
            if exact
            else rng.integers(0, 2, (count, n), np.int8)
        )
        found += (np.abs((1.0 - 2.0 * bits) @ table.T) >= least).sum(axis=0)
    return found / total if exact else (found + 1) / (total + 1)


def holm(p: Floats) -> Floats:
    """The p-values corrected for all of them by Holm's step-down; those that are NaN stay so and count for nothing."""
    found = np.full(p.shape, nan)
    order = np.argsort(p)[: int(np.isfinite(p).sum())]  # NaNs come last
    steps = p[order] * np.arange(order.size, 0, -1)
    found[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return found


def equivalence(table: Floats, margins: Floats, scales: Floats) -> Floats:
    """The p-value of each row against a mean at or beyond its margin: the larger of two one-sided t tests.

    It is NaN without a margin. Where more than half of the differences are the same, as when few seeds differ, the
    seeds that were run may have missed the ones that would: each test is made with one more difference, against it by
    the scale, which for differences that are all the same is about the rule of three.
    """
    rows, n = table.shape
    if n < 2:
        return np.full(rows, nan)
    middle = np.median(table, axis=1)
    sparse = np.isclose(table, middle[:, None], rtol=0, atol=SURE).mean(axis=1) > 0.5
    found = np.zeros(rows)
    for sign in (1.0, -1.0):
        worse = np.column_stack([sign * table, sign * middle + scales])
        p = np.where(sparse, _reaching(worse, margins), _reaching(sign * table, margins))
        found = np.maximum(found, p)
    return np.where(np.isfinite(margins), found, nan)


def _reaching(table: Floats, margins: Floats) -> Floats:
    """The one-sided p-value of each row against a mean that reaches its margin, by Student's t."""
    from scipy.special import stdtr

    n = table.shape[1]
    gap = margins - table.mean(axis=1)
    error = table.std(axis=1, ddof=1) / sqrt(n)
    flat = error <= SURE
    t = np.where(flat, np.where(gap > 0, inf, -inf), gap / np.where(flat, 1.0, error))
    found: Floats = stdtr(n - 1, -t)
    return found


def seeds_more(values: Floats, margin: float, scale: float, tests: int) -> float:
    """About how many more seeds would decide an effect with 80% power, if mean and spread stay; NaN if none would.

    It is relevant once the sign-flip test, corrected for so many tests, can tell it from 0, and negligible once the
    equivalence test can tell it from the margin: whichever needs fewer seeds.
    """
    n = len(values)
    if n < 2:
        return nan
    from scipy.special import ndtri

    mean, spread = abs(float(np.mean(values))), float(np.std(values, ddof=1))
    wanted = inf
    if mean > SURE:
        told = ((ndtri(1 - ALPHA / 2 / tests) + ndtri(POWER)) * spread / mean) ** 2
        wanted = max(told, log2(2 * tests / ALPHA))
    if isfinite(margin) and mean < margin:
        sure = ndtri(1 - min(ALPHA / 2, ALPHA / tests))
        alike = ((sure + ndtri((1 + POWER) / 2)) * spread / (margin - mean)) ** 2  # both tests have to succeed
        missed = (1 + sure) * scale / margin if spread <= SURE else 0.0
        wanted = min(wanted, max(alike, missed))
    return float(max(1, ceil(wanted) - n)) if isfinite(wanted) else nan
