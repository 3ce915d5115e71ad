"""Whether two orders agree."""

import numpy as np
from numpy.typing import ArrayLike, NDArray


def rank_correlation(one: ArrayLike, other: ArrayLike) -> float:
    """The rank correlation tells whether what is higher in one respect is higher in the other.

    Formula: Pearson's correlation of the ranks, equals sharing the mean of their ranks (Spearman's rho).
    Range: -1 for opposite orders, 0 for orders that have nothing to do with each other, 1 for the same order.
    Edges: pairs with a NaN are left out; `nan` for fewer than two pairs and where all values of one are equal.
    Reference: C. Spearman, The proof and measurement of association between two things, 1904.
    """
    pairs = np.column_stack((np.asarray(one, float), np.asarray(other, float)))
    pairs = pairs[~np.isnan(pairs).any(axis=1)]
    ranks = np.column_stack((_ranks(pairs[:, 0]), _ranks(pairs[:, 1])))
    ranks -= ranks.mean(axis=0) if len(ranks) else 0.0
    spread = float(np.sqrt((ranks**2).sum(axis=0).prod()))
    return float(ranks[:, 0] @ ranks[:, 1]) / spread if spread else float("nan")


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The place of each value in ascending order; equals share the mean of their places."""
    _, which, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    means: NDArray[np.float64] = ends - (counts - 1) / 2.0
    return means[which]
