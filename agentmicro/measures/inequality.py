"""How unevenly something is spread over a population: attention, picks, wealth, influence.

Every measure takes amounts: non-negative numbers, one per holder, with NaN for a holder that has none to report; those
are left out. Amounts that are negative or infinite, that sum to nothing, or that belong to nobody have no shares, and
the measure is `nan`. Measures of shares do not change when all amounts are multiplied by one positive number or
when the holders change places.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray


def gini(x: ArrayLike) -> float:
    """The Gini coefficient is the mean difference between two holders, relative to twice the mean amount.

    Formula: `sum_ij |x_i - x_j| / (2 n^2 mean)`, computed from the sorted amounts in O(n log n).
    Range: 0 when all hold the same, `(n - 1) / n` when one of n holds everything; no small-sample correction.
    Edges: 0 for one holder; `nan` when there are no shares (see the module).
    Reference: C. Gini, Variabilità e mutabilità, 1912; A. Sen, On Economic Inequality, 1973.
    """
    shares = _shares(x)
    n = shares.size
    if n == 0:
        return float("nan")
    shares.sort()
    ranks = np.arange(1 - n, n, 2, dtype=np.float64)
    return max(0.0, float(ranks @ shares) / n)


def hhi(x: ArrayLike) -> float:
    """The Herfindahl-Hirschman index is the chance that two units drawn at random have the same holder.

    Formula: `sum_i s_i^2` with `s_i` the share of holder i.
    Range: `1 / n` when all hold the same, 1 when one holds everything.
    Edges: 1 for one holder; `nan` when there are no shares (see the module).
    Reference: A. O. Hirschman, The paternity of an index, American Economic Review 54, 1964.
    """
    shares = _shares(x)
    return float(shares @ shares) if shares.size else float("nan")


def top_share(x: ArrayLike, k: int = 1) -> float:
    """The top share is what the k largest holders have of everything.

    Formula: the sum of the k largest `s_i`, the concentration ratio CR_k of industrial economics.
    Range: `k / n` when all hold the same, 1 when k holders have everything or there are no more than k.
    Edges: `nan` for `k < 1` and when there are no shares (see the module).
    Reference: M. Hall and N. Tideman, Measures of concentration, Journal of the American Statistical Association 62,
    1967.
    """
    shares = _shares(x)
    if shares.size == 0 or k < 1:
        return float("nan")
    if k >= shares.size:
        return 1.0
    return min(1.0, float(np.partition(shares, -k)[-k:].sum()))


def effective_number(x: ArrayLike) -> float:
    """The effective number is how many equal holders would be as uncertain as these unequal ones.

    Formula: `exp(-sum_i s_i ln s_i)`, the Hill number of order one.
    Range: 1 when one holds everything, n when all n hold the same.
    Edges: 1 for one holder; `nan` when there are no shares (see the module).
    Reference: M. O. Hill, Diversity and evenness: a unifying notation and its consequences, Ecology 54, 1973.
    """
    shares = _shares(x)
    held = shares[shares > 0]
    return float(np.exp(-(held @ np.log(held)))) if shares.size else float("nan")


def _shares(x: ArrayLike) -> NDArray[np.float64]:
    """A fresh array of the shares, empty when there are none."""
    amounts = np.asarray(x, dtype=np.float64).ravel()
    amounts = amounts[~np.isnan(amounts)]
    largest = amounts.max(initial=0.0)
    if not 0.0 < largest < np.inf or amounts.min() < 0.0:
        return np.empty(0)
    # Dividing by the largest first keeps the sum of very large amounts finite and of very small ones exact.
    amounts /= largest
    amounts /= amounts.sum()
    return amounts
