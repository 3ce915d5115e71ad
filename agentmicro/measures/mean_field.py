"""What an endless population under a majority force settles at: its states, its spinodal, and what tips it.

The law is `P(+1) = (1 + tanh(beta (m + h))) / 2`, with m the mean opinion heard, from -1 to 1, beta the majority force
and h the agent's own preference. Where a share f of all agents is stubborn for a side s, the mean is a standing state
if `m = (1 - f) tanh(beta (m + h)) + f s`. References: De Marzo, Castellano and Garcia, arXiv:2409.02822, for the force;
arXiv:2605.10721 for the preference, the spinodal and stubborn agents (its z is `f / (1 - f)`, their number per other).
"""

from math import atanh, nan, sqrt

import numpy as np
from numpy.typing import NDArray

FINE = 20_001  # points at which a branch is looked at
FAR = 40.0  # the tanh of this is 1 to the last digit


def spinodal(beta: float) -> float:
    """The spinodal is the preference up to which a majority against it is a standing state.

    Formula: `r - atanh(r) / beta` with `r = sqrt(1 - 1 / beta)`. Range: 0 to 1. Edges: 0 for `beta <= 1`.
    """
    if beta <= 1:
        return 0.0
    root = sqrt(1 - 1 / beta)
    return root - atanh(root) / beta


def standing(beta: float, preference: float, share: float = 0.0, side: float = -1.0) -> NDArray[np.float64]:
    """The standing states of the mean opinion, lowest first; every second one, from the first on, is stable."""

    def excess(m: NDArray[np.float64]) -> NDArray[np.float64]:
        return (1 - share) * np.tanh(beta * (m + preference)) + share * side - m

    grid = np.linspace(-1.0 - 1e-3, 1.0 + 1e-3, FINE)
    change = np.flatnonzero(np.sign(excess(grid[:-1])) != np.sign(excess(grid[1:])))
    low, high = grid[change], grid[change + 1]
    start = np.sign(excess(low))
    for _ in range(50):
        middle = (low + high) / 2
        before = np.sign(excess(middle)) == start
        low, high = np.where(before, middle, low), np.where(before, high, middle)
    return np.unique(np.round((low + high) / 2, 12))


def tipping_share(beta: float, preference: float) -> float:
    """The tipping share is the share of stubborn agents for -1 that leaves a majority for +1 no state to stand in.

    Formula: with `u = beta (m + h)` the standing states are `f(u) = (tanh u - u / beta + h) / (1 + tanh u)`; the share
    is the maximum that f reaches where the branch of the majority ends. For +1 against a majority for -1, take -h.
    Range: 0 to 1. Edges: `nan` where the majority gives way without a jump, for `beta <= 1` among others; 0 where it
    does not stand even without them.
    """
    if beta <= 1:
        return nan
    u = np.linspace(FAR, -FAR, FINE * 4)
    u = u[1 + np.tanh(u) > 1e-9]
    shares = (np.tanh(u) - u / beta + preference) / (1 + np.tanh(u))
    ends = np.flatnonzero(np.diff(shares) < 0)
    return max(0.0, float(shares[ends[0]])) if ends.size else nan
