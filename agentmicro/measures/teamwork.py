"""What working together costs and adds: overhead, efficiency, message density, redundancy, error amplification.

The definitions are those of Kim et al. 2025 (arXiv 2512.08296), whose table 5 they reproduce where it can be computed
from itself. What is undefined is `nan`.
"""

from math import comb

import numpy as np
from numpy.typing import ArrayLike


def overhead(spent: float, alone: float) -> float:
    """Coordination overhead is what a team spends beyond a single agent, in percent of the single agent's.

    Formula: `100 (T - T_1) / T_1`, in reasoning turns, tokens or any other cost. Range: from -100 up; 0 for the
    single agent. Edges: `nan` where the single agent spends nothing.
    """
    return 100 * _ratio(spent - alone, alone)


def efficiency(success: float, spent: float, alone: float) -> float:
    """Efficiency is success per cost, in units of a single agent's cost.

    Formula: `S / (T / T_1)`, which is `S / (1 + O / 100)` with the overhead O. Range: from 0 up; S itself for a
    single agent. Edges: `nan` where nothing is spent or the single agent spends nothing.
    """
    return _ratio(success, _ratio(spent, alone))


def message_density(messages: float, spent: float) -> float:
    """Message density is how many messages pass between agents in each turn; `nan` without turns."""
    return _ratio(messages, spent)


def amplification(together: float, alone: float) -> float:
    """Error amplification is how many errors a team makes for each one of a single agent.

    Formula: `E / E_1`; what E counts must be said with the number, because it decides which ratios are possible at
    all: the share of wrong answers is bounded by `1 / E_1`, the number of wrong statements by nothing. Range: from 0
    up; below 1 the team absorbs errors. Edges: `nan` where the single agent makes none.
    """
    return _ratio(together, alone)


def redundancy(vectors: ArrayLike) -> float:
    """Redundancy is how alike the outputs of a team are: the mean cosine of all pairs of rows.

    Range: -1 to 1; 1 when all point the same way, 0 on average when they have nothing to do with each other. Edges:
    rows of zeros are left out; `nan` for fewer than two rows.
    """
    rows = np.atleast_2d(np.asarray(vectors, float))
    largest = np.abs(rows).max(axis=1, initial=0.0)
    rows = rows[largest > 0] / largest[largest > 0, None]  # first, so that squares of tiny numbers do not vanish
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    count = len(rows)
    return _ratio(float((rows.sum(axis=0) ** 2).sum()) - count, count * (count - 1))


def majority_error(readings: int, right: float) -> float:
    """The majority error is the chance that most of so many independent readings are wrong; a tie is a fair coin.

    Formula: `sum over k < n/2 of C(n, k) p^k q^(n-k)`, and half of the term at n/2. Range: 1/2 for no reading, then
    falling to 0 for p above 1/2; an even number does no better than the odd one below it. Reference: Condorcet 1785.
    """
    half = readings // 2
    ways = np.array([comb(readings, k) * right**k * (1 - right) ** (readings - k) for k in range(half + 1)])
    return float(ways.sum() - (0.5 * ways[half] if 2 * half == readings else 0.0))


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else float("nan")
