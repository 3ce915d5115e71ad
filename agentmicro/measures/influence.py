"""Who moves whom: whether exposure makes adoption likelier, and how concentrated and lasting influence is.

Truths are booleans; a blank one, of an agent that has not acted, is a NaN or a negative number, and its row is left
out. Scores are non-negative numbers, one per author, with NaN for an author that has none. What is undefined is `nan`.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from agentmicro.graphs import Links
from agentmicro.measures.columns import columns
from agentmicro.measures.inequality import gini, top_share

_FLOAT_ROUNDING = 1e-12


class AdoptionLift(NamedTuple):
    """How often the exposed and the unexposed adopt, their difference and their ratio."""

    exposed: float
    unexposed: float
    lift: float
    ratio: float


class Adoption(NamedTuple):
    """How often readers adopt what they saw, how often they would by chance, the lift over it, and that lift in sds."""

    rate: float
    baseline: float
    lift: float
    z: float


def adoption_lift(exposed: ArrayLike, adopted: ArrayLike) -> AdoptionLift:
    """The adoption lift is how much more often the exposed adopt than the unexposed do.

    Formula: `P(adopt | exposed) - P(adopt | not exposed)`, and the same two as a ratio (the relative risk).
    Range: the lift from -1 to 1, the ratio from 0 up; 0 and 1 when exposure makes no difference. Exposure that is not
    assigned at random (neighbours are alike) gives a lift without any influence: see `exposure_adoption`.
    Edges: `nan` for the rate of a group without members and for all that needs it; the ratio is `nan` when no
    unexposed agent adopts.
    Reference: S. Aral, L. Muchnik and A. Sundararajan, Distinguishing influence-based contagion from homophily-driven
    diffusion in dynamic networks, PNAS 106, 2009.
    """
    who, did = columns(exposed=exposed, adopted=adopted)
    spoken = (who >= 0) & (did >= 0)
    who, did = who[spoken] > 0, did[spoken] > 0
    with_it = _ratio(float((did & who).sum()), float(who.sum()))
    without = _ratio(float((did & ~who).sum()), float((~who).sum()))
    return AdoptionLift(with_it, without, with_it - without, _ratio(with_it, without))


def exposure_adoption(turn: ArrayLike, reader: ArrayLike, seen: ArrayLike, acted: ArrayLike) -> Adoption:
    """Adoption by exposure is how much more often readers do what they saw than others would have in their place.

    Each row is one exposure: in a turn, a reader saw an act (`seen`) and then acted (`acted`, the same on all rows of
    one reader and turn, for the first counts). Adopted is `acted == seen`. The null deals the acts of each turn out
    anew among the readers of that turn, all permutations being as likely, while everybody keeps what they saw: what
    is popular in a turn is as popular, but who saw it is luck.

    Formula: `lift = rate - baseline` and `z = (rate - baseline) / sd`, with the exact mean and standard deviation over
    all permutations, so that there is nothing to sample and no seed: with `m_ra` the number of times reader r saw act
    a, the number of adoptions `sum_r m_r,act(r)` has the mean `sum_rs m_r,act(s) / R` and the variance
    `sum_rs d_rs^2 / (R - 1)` in each turn of R readers, `d` being `m_r,act(s)` centred by rows and by columns.
    Range: the lift from -1 to 1; z is standard normal by chance when there are many readers.
    Edges: rows with a blank (negative) code are left out; all is `nan` when no row is left, and z is `nan` when all
    permutations give the same rate, for instance because each turn has one reader.
    Reference: W. Hoeffding, A combinatorial central limit theorem, Annals of Mathematical Statistics 22, 1951;
    A. Anagnostopoulos, R. Kumar and M. Mahdian, Influence and correlation in social networks, KDD 2008.
    """
    turns, readers, sights, acts = columns(turn=turn, reader=reader, seen=seen, acted=acted)
    kept = (sights >= 0) & (acts >= 0)
    rows = int(kept.sum())
    if rows == 0:
        return Adoption(*[float("nan")] * 4)
    turns, readers = _ranks(turns[kept]), _ranks(readers[kept])
    codes = _ranks(np.concatenate((sights[kept], acts[kept])))
    sights, acts = codes[:rows], codes[rows:]
    _, first, unit = np.unique(turns * (readers.max() + 1) + readers, return_index=True, return_inverse=True)
    adopted = float((sights == acts[first][unit]).sum())
    mean, variance = _dealt_out(turns[first], acts[first], unit, sights)
    z = (adopted - mean) / np.sqrt(variance) if variance > 0 else float("nan")
    return Adoption(adopted / rows, mean / rows, (adopted - mean) / rows, float(z))


def influence_gini(weights: ArrayLike) -> float:
    """The Gini of influence tells whether all authors weigh the same or a few weigh for all.

    Formula, range, edges and reference: those of `gini`, over the authors' influence weights.
    """
    return gini(weights)


def top_k_share(scores: ArrayLike, k: int) -> float:
    """The top-k share is the part of all influence that the k most influential authors have.

    Formula, range, edges and reference: those of `top_share`, over the authors' scores.
    """
    return top_share(scores, k)


def persistence(windows: ArrayLike, k: int) -> float:
    """Persistence is how much of the top k stays in the top from one window of time to the next.

    Formula: the mean of `|A & B| / |A | B|` over successive rows of `windows` (windows x authors), A and B their sets
    of the k largest scores. Of equal scores the author with the smaller index goes first; an author with a blank
    score or none above 0 is never in the top, so that a top may have fewer than k.
    Range: 0 when the top is new in each window, 1 when it never changes.
    Edges: a pair of windows with two empty tops is left out; `nan` when no pair is left, for fewer than two windows
    and for `k < 1`.
    Reference: P. Jaccard, The distribution of the flora in the alpine zone, New Phytologist 11, 1912.
    """
    overlaps = []
    before = None
    for scores in np.atleast_2d(np.asarray(windows, dtype=np.float64)):
        now = _top(scores, k)
        if before is not None and (either := int((before | now).sum())):
            overlaps.append(int((before & now).sum()) / either)
        before = now
    return float(np.mean(overlaps)) if overlaps else float("nan")


def pagerank(links: Links, damping: float = 0.85) -> NDArray[np.float64]:
    """PageRank is the attention an author gets from a reader who wanders from author to author, one score per agent.

    Formula: `r_a = (1 - d) / n + d sum_i r_i w_ia / sum_b w_ib`, from each reader i to the authors a it is exposed to;
    a reader exposed to nobody spreads its attention over all n agents. By power iteration on the sparse matrix,
    until the scores change by less than 1e-10 in sum (a second or two for a million agents).
    Range: positive scores that sum to 1; `1 / n` each on a complete graph.
    Edges: 1 for a single agent; all `nan` when a weight is negative, when `damping` is not within 0 to 1, and when the
    iteration does not end.
    Reference: S. Brin and L. Page, The anatomy of a large-scale hypertextual Web search engine, Computer Networks 30,
    1998.
    """
    n = links.n
    if not 0.0 <= damping <= 1.0 or (links.weights is not None and (links.weights < 0).any()):
        return np.full(n, np.nan)
    scores = np.full(n, 1.0 / n)
    if links.complete:
        return scores
    attention = np.asarray(links.matrix.sum(axis=1), dtype=np.float64).ravel()
    hears = attention > 0
    each = np.divide(1.0, attention, out=np.zeros(n), where=hears)
    flow = links.matrix.T.tocsr()
    for _ in range(1000):
        wandering: NDArray[np.float64] = flow @ (scores * each)
        lost = 1.0 - float(wandering.sum())
        new = damping * wandering + (1.0 - damping + damping * lost) / n
        change = float(np.abs(new - scores).sum())
        scores = new
        if change < 1e-10:
            return scores
    return np.full(n, np.nan)


def pagerank_concentration(links: Links, k: int) -> float:
    """The PageRank concentration is the share of all attention that the k most read authors get.

    Formula: the sum of the k largest `pagerank` scores.
    Range: `k / n` when all are read alike, towards 1 when all attention flows to k authors.
    Edges: `nan` for `k < 1`.
    Reference: see `pagerank` and `top_share`.
    """
    return top_share(pagerank(links), k)


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else float("nan")


def _ranks(values: NDArray[np.generic]) -> NDArray[np.int64]:
    """The values as numbers 0, 1, 2, ... in their order, so that two of them make one key without overflow."""
    ranks: NDArray[np.int64] = np.unique(values, return_inverse=True)[1].astype(np.int64)
    return ranks


def _top(scores: NDArray[np.float64], k: int) -> NDArray[np.bool_]:
    """Which authors are among the k largest positive scores, the smaller index first among equals."""
    scores = np.where(scores > 0, scores, 0.0)
    if k < 1 or k >= scores.size:
        return (scores > 0) & (k >= 1)
    threshold = np.partition(scores, -k)[-k]
    top: NDArray[np.bool_] = scores > threshold
    if threshold > 0:
        top[np.flatnonzero(scores == threshold)[: k - int(top.sum())]] = True
    return top


def _dealt_out(
    turns: NDArray[np.int64], acts: NDArray[np.int64], unit: NDArray[np.int64], sights: NDArray[np.int64]
) -> tuple[float, float]:
    """The mean and variance of the adoptions when each turn's acts are dealt out anew among its readers.

    `turns` and `acts` have one row per unit (a reader in a turn), `unit` and `sights` one per exposure.
    """
    options = int(max(acts.max(), sights.max())) + 1
    held, holders = np.unique(turns * options + acts, return_counts=True)
    cells, m = np.unique(unit * options + sights, return_counts=True)
    owner, shown = cells // options, turns[cells // options] * options + cells % options
    place = np.minimum(np.searchsorted(held, shown), held.size - 1)
    # An act that was seen but that nobody of the turn did has no holders: dealing out cannot give it to anybody.
    there = held[place] == shown
    owner, place, m = owner[there], place[there], m[there].astype(np.float64)
    turn_of, c = held // options, holders.astype(np.float64)
    n_turns = int(turns.max()) + 1
    readers = np.bincount(turns, minlength=n_turns).astype(np.float64)

    by_reader = np.bincount(owner, weights=c[place] * m, minlength=turns.size) / readers[turns]
    by_act = np.bincount(place, weights=m, minlength=held.size) / readers[turn_of]
    mean = np.bincount(turn_of, weights=c * by_act, minlength=n_turns)
    total = np.bincount(turn_of[place], weights=c[place] * m * m, minlength=n_turns)
    rows = np.bincount(turns, weights=by_reader**2, minlength=n_turns) * readers
    columns = np.bincount(turn_of, weights=c * by_act**2, minlength=n_turns) * readers
    centred = total - rows - columns + mean**2
    # What is left of a difference of equal numbers is rounding and no variance.
    centred[centred <= _FLOAT_ROUNDING * total] = 0.0
    return float(mean.sum()), float((centred / np.maximum(readers - 1, 1)).sum())
