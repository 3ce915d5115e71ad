"""Rates of conformity and independence, each by two definitions that go by one name and differ in the denominator.

Weng et al. 2025 (arXiv 2501.13381) divide by the subjects that could be swayed; the code released with the paper
divides the same cases by all subjects, which is smaller by the factor of how many could be.
"""

from math import nan

import numpy as np
from numpy.typing import NDArray

type Flags = NDArray[np.bool_]


def rate(cases: Flags, among: Flags) -> float:
    """The share of cases among some; NaN among none."""
    return float(cases[among].mean()) if among.any() else nan


def swayed(alone: Flags, after: Flags, toward: Flags, of_all: bool = False) -> float:
    """The conformity rate is the share of subjects whose answer the peers have turned round.

    alone, after: who is right without the peers, and with them. toward: whom they should lead to the right answer;
    such a subject could be swayed where it was wrong alone and was where it is right after; any other the reverse.
    Range: 0 to 1; NaN where nobody could be swayed, or with `of_all` where there is nobody.
    """
    could = alone != toward
    return rate(could & (after == toward), np.ones_like(could) if of_all else could)


def steadfast(alone: Flags, after: Flags, of_all: bool = False) -> float:
    """The independence rate is the share of people right alone who are right under every protocol as well.

    Range: 0 to 1; NaN where nobody was right alone, or with `of_all` where there is nobody.
    """
    return rate(alone & after, np.ones_like(alone) if of_all else alone)
