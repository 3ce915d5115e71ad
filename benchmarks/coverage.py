"""How often the statistics are right, against simulated truth: `python -m benchmarks.coverage [--repeats 10000]`.

It prints the tables of docs/statistics.md. The tests make the same simulations with fewer repetitions.
"""

import argparse
import warnings
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from agentmicro.study.crossings import Crossing, Curve, isotonic, logistic
from agentmicro.study.statistics import Floats, Relevance, equivalence, holm, intervals, sign_flip, verdicts

type Draw = Callable[[np.random.Generator, tuple[int, int]], Floats]

RESAMPLED = 999

# What a paired difference may be like, with its mean.
LAWS: Mapping[str, tuple[Draw, float]] = {
    "normal": (lambda rng, shape: rng.normal(0.3, 1, shape), 0.3),
    "exponential": (lambda rng, shape: rng.exponential(1, shape), 1.0),
    "difference of exponentials": (lambda rng, shape: rng.exponential(1, shape) - rng.exponential(1.5, shape), -0.5),
    "heavy tails (t, 3 df)": (lambda rng, shape: rng.standard_t(3, shape), 0.0),
    "-1, 0 or 1": (lambda rng, shape: rng.choice(np.array([1.0, 0.0, -1.0]), shape, p=[0.4, 0.45, 0.15]), 0.25),
    "0 or 1, 30%": (lambda rng, shape: (rng.random(shape) < 0.3).astype(float), 0.3),
    "0 or 1, 10%": (lambda rng, shape: (rng.random(shape) < 0.1).astype(float), 0.1),
    "lognormal": (lambda rng, shape: rng.lognormal(0, 1, shape), float(np.exp(0.5))),
    "1 in 20 is far away": (lambda rng, shape: rng.normal(0, 1, shape) + 5 * (rng.random(shape) < 0.05), 0.25),
}

# Differences whose mean lies exactly at a margin of 0.5.
BOUNDARY: Mapping[str, Draw] = {
    "normal": lambda rng, shape: rng.normal(0.5, 1, shape),
    "skewed towards 0": lambda rng, shape: 1.5 - rng.exponential(1, shape),
    "skewed away from 0": lambda rng, shape: rng.exponential(1, shape) - 0.5,
}

X = np.linspace(0, 10, 9)
MIDDLE = 4.6


def chances(slope: float, seeds: Floats | float = 0.0) -> Floats:
    """A logistic curve at each value, moved by what a seed does to all of it."""
    found: Floats = 1 / (1 + np.exp(-(slope * (X[:, None] - MIDDLE) + seeds)))
    return found


def yes_or_no(slope: float, apart: float = 0.0) -> Callable[[np.random.Generator, int], Floats]:
    def draw(rng: np.random.Generator, seeds: int) -> Floats:
        return (rng.random((len(X), seeds)) < chances(slope, rng.normal(0, apart, seeds))).astype(float)

    return draw


def fractions(rng: np.random.Generator, seeds: int) -> Floats:
    """Shares of twenty agents."""
    shifted = chances(0.8) + rng.normal(0, 0.05, (len(X), seeds))
    return rng.binomial(20, np.clip(shifted, 0, 1)) / 20


CURVES: Mapping[str, Callable[[np.random.Generator, int], Floats]] = {
    "gentle": yes_or_no(1.0),
    "steep": yes_or_no(2.0),
    "falling": yes_or_no(-1.0),
    "seeds differ": yes_or_no(1.0, apart=1.0),
    "shares of 20": fractions,
}


def covered(law: str, n: int, repeats: int, seed: int = 1) -> float:
    """How often the 95% interval of the mean holds the true one."""
    draw, truth = LAWS[law]
    _, low, high = intervals(draw(np.random.default_rng(seed), (repeats, n)), RESAMPLED)
    return float(((low <= truth) & (truth <= high)).mean())


def covered_by_others(law: str, n: int, repeats: int, seed: int = 1) -> dict[str, float]:
    """The same for the intervals that were not chosen."""
    from scipy import stats

    draw, truth = LAWS[law]
    rows = draw(np.random.default_rng(seed), (repeats, n))
    student = stats.ttest_1samp(rows, truth, axis=1).pvalue > 0.05
    found = {"Student": float(student.mean())}
    for method in ("percentile", "BCa"):
        held = []
        for some in np.array_split(rows, max(1, repeats // 250)):
            rng = np.random.default_rng(seed)
            with warnings.catch_warnings(action="ignore"):  # samples without spread, which BCa gives no interval
                drawn = stats.bootstrap((some,), np.mean, axis=1, n_resamples=RESAMPLED, method=method, rng=rng)
            ends = drawn.confidence_interval
            held.append((ends.low <= truth) & (truth <= ends.high))
        found[method] = float(np.concatenate(held).mean())
    return found


def negligible(rows: Floats, margin: float, scale: float) -> float:
    """How often a row of differences is called negligible, each as a family of one effect."""
    _, low, high = intervals(rows, RESAMPLED)
    margins, scales = np.full(len(rows), margin), np.full(len(rows), scale)
    found = verdicts(low, high, margins, np.ones(len(rows)), equivalence(rows, margins, scales))
    return float((found == Relevance.NEGLIGIBLE).mean())


def relevant(rows: Floats) -> float:
    """How often a row of differences is called relevant, each as a family of one effect."""
    _, low, high = intervals(rows, RESAMPLED)
    none = np.full(len(rows), np.nan)
    return float((verdicts(low, high, none, sign_flip(rows, 1_999), none) == Relevance.RELEVANT).mean())


def families(planted: float, seed: int, skewed: bool = False, repeats: int = 1_000, seeds: int = 20) -> Floats:
    """Paired differences of twelve knobs that share one base on the same seeds; the first is moved by so many sds."""
    rng = np.random.default_rng(seed)
    draw = rng.exponential if skewed else rng.normal
    values = draw(size=(repeats, 13, seeds))
    found: Floats = values[:, 1:] - values[:, :1]
    found[:, 0] += planted * np.sqrt(2)
    return found


def named(table: Floats) -> NDArray[np.bool_]:
    """Which effects of each family are called relevant."""
    rows = table.reshape(-1, table.shape[2])
    _, low, high = intervals(rows, 199)
    p = np.concatenate([holm(some) for some in sign_flip(rows, flips=2_400).reshape(table.shape[:2])])
    none = np.full(len(rows), np.nan)
    found: NDArray[np.bool_] = verdicts(low, high, none, p, none) == Relevance.RELEVANT
    return found.reshape(table.shape[:2])


def recovered(
    method: Callable[[Curve, float], Crossing], curve: str, seeds: int, repeats: int, level: float = 0.5
) -> tuple[float, float]:
    """How often the interval of a critical value holds the planted one, and how often none is given."""
    rng = np.random.default_rng(1)
    truth = MIDDLE + float(np.log(level / (1 - level)))
    found = [method(Curve(X, CURVES[curve](rng, seeds)), level) for _ in range(repeats)]
    given = [one for one in found if not one.refused]
    return float(np.mean([one.low <= truth <= one.high for one in given])), 1 - len(given) / repeats


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--repeats", type=int, default=10_000)
    repeats = parser.parse_args().repeats
    sizes = (5, 8, 10, 20, 50, 100)
    print(_row("law", *(f"n = {n}" for n in sizes)), _row(*["---"] * 7), sep="\n")
    for law in LAWS:
        print(_row(law, *(f"{covered(law, n, repeats):.1%}" for n in sizes)))
    print("\n", _row("law, n = 10", "ours", "Student", "percentile", "BCa"), "\n", _row(*["---"] * 5), sep="")
    for law in LAWS:
        others = covered_by_others(law, 10, repeats // 4)
        print(_row(law, f"{covered(law, 10, repeats):.1%}", *(f"{rate:.1%}" for rate in others.values())))
    print("\n", _row("at the margin", "n = 10", "n = 20", "n = 50", "n = 100"), "\n", _row(*["---"] * 5), sep="")
    for name, draw in BOUNDARY.items():
        rows = [draw(np.random.default_rng(8), (repeats, n)) for n in (10, 20, 50, 100)]
        print(_row(name, *(f"{negligible(some, 0.5, 1.0):.1%}" for some in rows)))
    for rate in (0.02, 0.05, 0.1, 0.2, 0.3):
        tables = [np.random.default_rng(9).random((repeats, n)) < rate for n in (10, 20, 50, 100)]
        print(_row(f"0 or 1, {rate:.0%}", *(f"{negligible(some.astype(float), rate, 1.0):.1%}" for some in tables)))
    print("\n", _row("mean 0", "n = 10", "n = 20", "n = 50", "n = 100"), "\n", _row(*["---"] * 5), sep="")
    for law in ("normal", "exponential", "-1, 0 or 1", "lognormal"):
        draw, truth = LAWS[law]
        rows = [draw(np.random.default_rng(15), (repeats, n)) - truth for n in (10, 20, 50, 100)]
        print(_row(f"{law}, less its mean", *(f"{relevant(some):.1%}" for some in rows)))
    for skewed in (False, True):
        none = named(families(0.0, 10, skewed, repeats // 2)).any(axis=1).mean()
        print(f"\nfalse positives over a family of 12, {'exponential' if skewed else 'normal'}: {none:.1%}")
    for planted in (0.75, 1.0, 1.25, 1.5):
        found = named(families(planted, 11, repeats=repeats // 2))
        print(f"planted {planted} sd: named {found[:, 0].mean():.1%}, another {found[:, 1:].any(axis=1).mean():.1%}")
    print("\n", _row("curve", *(f"{n} seeds" for n in (10, 20, 40))), "\n", _row(*["---"] * 4), sep="")
    for method in (logistic, isotonic):
        for curve in CURVES:
            rates = [recovered(method, curve, seeds, repeats // 5) for seeds in (10, 20, 40)]
            cells = (f"{rate:.1%} ({refused:.1%} refused)" for rate, refused in rates)
            print(_row(f"{method.__name__}, {curve}", *cells))


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
