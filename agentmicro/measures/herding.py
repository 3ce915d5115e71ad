"""How strongly readers of a feed pick alike: by position, by item, by pairs, by worlds, against chance.

A reader picks items that are shown to it at positions 1, 2, ..., items. A profile is the number of picks at each
position. What is undefined, because nobody has picked anything, is `nan`. Chance is drawn from a generator of its own
for the given seed, so that a measure gives the same value whenever it is called and disturbs nobody's luck.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from agentmicro.measures.inequality import effective_number, gini

_PADDING = -1
_DID_NOT_ACT = -2


class Null(NamedTuple):
    """What a measure is on average by chance, and its standard deviation."""

    mean: float
    sd: float


def position_profile(positions: ArrayLike, items: int) -> NDArray[np.int64]:
    """The position profile is how many picks each position of the feed gets.

    Formula: `p_k`, the number of entries equal to k, for k from 1 to `items`; entries of any shape.
    Range: counts from 0 up. Edges: entries below 1 (no pick), above `items` (no such position) and NaN are left out;
    all 0 when nobody has picked, empty for no items.
    Reference: T. Joachims et al., Accurately interpreting clickthrough data as implicit feedback, SIGIR 2005.
    """
    places = np.asarray(positions).ravel()
    places = places[(places >= 1) & (places <= items)].astype(np.int64)
    return np.bincount(places - 1, minlength=max(items, 0)).astype(np.int64)


def mean_position(profile: ArrayLike) -> float:
    """The mean position is where on the feed the average pick falls.

    Formula: `sum_k k p_k / sum_k p_k`.
    Range: 1 when only the first place is picked, `(items + 1) / 2` when position does not matter, up to `items`.
    Edges: `nan` when there are no picks.
    Reference: the mean rank of retrieval studies, see `position_profile`.
    """
    picks = _picks(profile)
    total = float(picks.sum())
    return float(np.arange(1, picks.size + 1) @ picks) / total if total else float("nan")


def gate_width(profile: ArrayLike, share: float = 0.95) -> float:
    """The gate width is how many places at the top of the feed take nearly all picks.

    Formula: the smallest k with `p_1 + ... + p_k >= share * sum_k p_k`.
    Range: 1 to `items`; about `share * items` when position does not matter.
    Edges: `nan` when there are no picks and when `share` is not above 0 and at most 1.
    Reference: see `position_profile`; the quantile of the picked position.
    """
    reached = np.cumsum(_picks(profile))
    if reached.size == 0 or reached[-1] == 0 or not 0.0 < share <= 1.0:
        return float("nan")
    # A hair less than the share: 0.55 of 100 is 55, though its floating-point product is above.
    wanted = share * reached[-1] * (1.0 - 1e-12)
    return float(np.searchsorted(reached, wanted) + 1)


def choice_set(profile: ArrayLike) -> float:
    """The choice set is the effective number of positions in play.

    Formula: `exp(-sum_k s_k ln s_k)` with `s_k` the share of position k.
    Range: 1 when one place takes all picks, `items` when position does not matter.
    Edges: `nan` when there are no picks.
    Reference: see `effective_number`.
    """
    return effective_number(profile)


def overlap(picks: ArrayLike, pairs: ArrayLike) -> float:
    """The overlap is how much of what two readers picked they both picked.

    Formula: the mean over `pairs` (pairs x 2, rows of `picks`) of `|A & B| / |A | B|`, A and B the sets that the two
    readers picked. `picks` has one row of item codes per reader, filled up with -1; a row that starts with -2
    belongs to a reader that did not act. An item picked twice is picked.
    Range: 0 when no two readers share a pick, 1 when all pick the same.
    Edges: a pair with a reader that did not act, or of two that picked nothing, is left out; `nan` when none is left.
    Reference: P. Jaccard, The distribution of the flora in the alpine zone, New Phytologist 11, 1912.
    """
    table = np.asarray(picks, dtype=np.int64)
    couples = np.asarray(pairs, dtype=np.int64).reshape(-1, 2)
    if table.size == 0 or couples.size == 0:
        return float("nan")
    left, right = table[couples[:, 0]], table[couples[:, 1]]
    acted = (left[:, 0] != _DID_NOT_ACT) & (right[:, 0] != _DID_NOT_ACT)
    left, right = _as_sets(left[acted]), _as_sets(right[acted])
    both = np.zeros(left.shape[0], dtype=np.int64)
    for column in left.T:
        both += (column >= 0) & (right == column[:, None]).any(axis=1)
    either = (left >= 0).sum(axis=1) + (right >= 0).sum(axis=1) - both
    chosen = either > 0
    return float((both[chosen] / either[chosen]).mean()) if chosen.any() else float("nan")


def sample_pairs(n: int, how_many: int, seed: int) -> NDArray[np.int64]:
    """Sampled pairs are different pairs of n readers, drawn alike for the same seed (rows `i, j` with `i < j`).

    Formula: a simple random sample without replacement from all `n (n - 1) / 2` pairs; all of them when there are
    no more than `how_many`.
    Edges: no rows for fewer than two readers or `how_many < 1`.
    Reference: the triangular numbers, by which the c-th pair is found without listing the others.
    """
    total = n * (n - 1) // 2 if n > 1 else 0
    if total <= how_many:
        code = np.arange(total, dtype=np.int64)
    else:
        code = np.random.default_rng(seed).choice(total, size=max(how_many, 0), replace=False)
    # j (j - 1) / 2 pairs come before the first pair whose larger reader is j.
    larger = ((1.0 + np.sqrt(8.0 * code + 1.0)) // 2).astype(np.int64)
    return np.column_stack((code - larger * (larger - 1) // 2, larger))


def unpredictability(shares: ArrayLike) -> float:
    """Unpredictability is how differently the same item fares in two worlds that start alike.

    Formula: the mean over the items i, and for each item over all pairs of worlds a < b, of `|s_ia - s_ib|`;
    `shares` is worlds x items, `s_ia` the share of all picks of world a that item i gets.
    Range: 0 when all worlds agree, at most `2 / items` when each row sums to 1.
    Edges: a world with a NaN is left out; `nan` for fewer than two worlds or no items.
    Reference: M. J. Salganik, P. S. Dodds and D. J. Watts, Experimental study of inequality and unpredictability in an
    artificial cultural market, Science 311, 2006.
    """
    worlds = np.atleast_2d(np.asarray(shares, dtype=np.float64))
    worlds = worlds[~np.isnan(worlds).any(axis=1)]
    n, items = worlds.shape
    if n < 2 or items == 0:
        return float("nan")
    # In sorted order each value is the larger of a pair as often as its rank says, and else the smaller.
    signs = np.arange(1 - n, n, 2, dtype=np.float64)
    gaps = signs @ np.sort(worlds, axis=0) / (n * (n - 1) / 2)
    return max(0.0, float(gaps.mean()))


def gini_null(total: int, items: int, worlds: int = 200, seed: int = 0) -> Null:
    """The Gini null is how unequal the picks of items are when all items are equally good and nobody sees the others.

    Formula: the mean and the standard deviation (of a sample, n - 1) of `gini` over `worlds` draws in which `total`
    picks fall independently and uniformly on `items` (a multinomial draw). Takes time in proportion to
    `worlds * items`: not for a million items.
    Range: the mean from 0 to `(items - 1) / items`.
    Edges: both `nan` for no picks, no items or no worlds; the sd is `nan` for one world, and exactly 0 when all
    worlds are equally unequal.
    Reference: the independent condition of Salganik, Dodds and Watts, see `unpredictability`.
    """
    if total < 1 or items < 1 or worlds < 1:
        return Null(float("nan"), float("nan"))
    luck = np.random.default_rng(seed)
    chances = np.full(items, 1.0 / items)
    shares = np.sort(luck.multinomial(total, chances, size=worlds), axis=1) / total
    values = np.einsum("wi,i->w", shares, np.arange(1 - items, items, 2) / items)  # `gini` of every world at once
    if worlds == 1:
        return Null(float(values[0]), float("nan"))
    # The sd of equal numbers would be the rounding of their mean, and a z-score over it enormous.
    return Null(float(values.mean()), float(values.std(ddof=1)) if np.ptp(values) > 0 else 0.0)


def herding_z(counts: ArrayLike, worlds: int = 200, seed: int = 0) -> float:
    """The herding score is by how many standard deviations the picks are more unequal than by chance.

    Formula: `(gini(counts) - mean) / sd`, with the mean and sd of `gini_null` for as many picks and items.
    Range: about 0 for independent readers who find all items alike, large when they follow each other (or agree on
    what is good: compare with the same items unseen).
    Edges: NaN counts are left out; `nan` when there are no picks or the null does not vary (one pick, one item).
    Reference: see `gini_null`.
    """
    known = np.asarray(counts, dtype=np.float64).ravel()
    known = known[~np.isnan(known)]
    value = gini(known)
    if np.isnan(value):
        return float("nan")
    null = gini_null(round(float(known.sum())), known.size, worlds, seed)
    return (value - null.mean) / null.sd if null.sd > 0 else float("nan")


def _picks(profile: ArrayLike) -> NDArray[np.float64]:
    """The profile as numbers, a blank place being one without picks."""
    return np.nan_to_num(np.asarray(profile, dtype=np.float64).ravel())


def _as_sets(rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Each row with every item once, and padding for the rest."""
    rows = np.sort(rows, axis=1)
    rows[:, 1:][rows[:, 1:] == rows[:, :-1]] = _PADDING
    return rows
