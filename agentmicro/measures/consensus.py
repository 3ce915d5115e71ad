"""How far a population agrees: on one act, around one opinion, along its links, and since when.

Categorical acts are integer codes, one per agent, negative for an agent that has not acted. Opinions are numbers, one
per agent, NaN for an agent that has none. Those agents are left out everywhere, so a measure speaks only of agents
that have spoken. What is undefined is `nan`: no agent has spoken, no link has two ends that have.

Along links, an undirected edge is a pair of agents and a directed one a reader with an author it is exposed to. On
complete graphs the sums over all pairs are taken in closed form, so that a million agents cost no million million
pairs.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from agentmicro.errors import SpecError
from agentmicro.graphs import Links
from agentmicro.measures.inequality import effective_number

# Below this share of the largest value, a spread is the rounding of equal numbers and carries no correlation.
_ROUNDING = 1e-13


def agreement(acts: ArrayLike) -> float:
    """Agreement is the share of the population that holds the most frequent act.

    Formula: `max_k c_k / sum_k c_k` with `c_k` the number of agents that hold act k.
    Range: 1 at consensus, `1 / options` when all options are equally frequent.
    Edges: 1 for one agent; `nan` when nobody has acted.
    Reference: its complement is the variation ratio of L. C. Freeman, Elementary Applied Statistics, 1965.
    """
    counts = _tally(_codes(acts))
    return float(counts.max() / counts.sum()) if counts.size else float("nan")


def entropy(acts: ArrayLike, options: int) -> float:
    """Entropy is the uncertainty about the act of an agent drawn at random, relative to all options being as likely.

    Formula: `-sum_k p_k ln p_k / ln(options)` with `p_k` the share of act k; options nobody holds count in `options`.
    Range: 0 at consensus, 1 when all options are equally frequent.
    Edges: 0 for one agent; `nan` when nobody has acted, when there are fewer than two options, and when some act
    is not one of the codes 0 to `options - 1`.
    Reference: C. E. Shannon, A mathematical theory of communication, Bell System Technical Journal 27, 1948.
    """
    codes = _codes(acts)
    if options < 2 or codes.max(initial=-1) >= options:
        return float("nan")
    return float(np.log(effective_number(_tally(codes))) / np.log(options))


@np.errstate(over="ignore", invalid="ignore")
def bias(x: ArrayLike) -> float:
    """Bias is the mean opinion: where the population stands as a whole.

    Formula: `sum_i x_i / n`. Range: that of the opinions. Edges: the opinion itself for one agent; `nan` for nobody.
    Reference: the bias of a population's opinions, Chuang et al., arXiv:2311.09618.
    """
    spoken = _spoken(x)
    return float(spoken.mean()) if spoken.size else float("nan")


@np.errstate(over="ignore", invalid="ignore")
def diversity(x: ArrayLike) -> float:
    """Diversity is the standard deviation of the opinions: how far a typical agent stands from the mean.

    Formula: `sqrt(sum_i (x_i - mean)^2 / n)`, of the population itself and not of a sample of it.
    Range: 0 when all hold the same opinion, half the width of the scale when its two ends hold half the agents each.
    Edges: 0 for one agent; `nan` for nobody.
    Reference: the diversity of a population's opinions, Chuang et al., arXiv:2311.09618.
    """
    spoken = _spoken(x)
    return float(np.sqrt(_squares(spoken) / spoken.size)) if spoken.size else float("nan")


@np.errstate(over="ignore", invalid="ignore")
def polarisation(x: ArrayLike) -> float:
    """Polarisation is the sum of the squared distances of all opinions from the mean.

    Formula: `sum_i (x_i - mean)^2`. It grows with the number of agents: compare populations of one size, or use
    `diversity`.
    Range: 0 when all hold the same opinion, `n (width / 2)^2` when the ends of the scale hold half the agents each.
    Edges: 0 for one agent; `nan` for nobody.
    Reference: Wang et al., arXiv:2409.19338.
    """
    spoken = _spoken(x)
    return _squares(spoken) if spoken.size else float("nan")


@np.errstate(over="ignore", invalid="ignore")
def disagreement(x: ArrayLike, links: Links) -> float:
    """Disagreement is the sum of the squared differences of opinion across the links.

    Formula: `1/2 sum_ij w_ij (x_i - x_j)^2` over all ordered pairs in which reader i is exposed to author j, `w_ij` the
    weight of the link or 1. An undirected edge is two ordered pairs and so counts once; a directed edge counts one
    half, and two that run both ways between two agents count once together.
    Range: 0 when all linked agents hold the same opinion; it grows with the number and the weight of the links.
    Edges: `nan` when no link has two ends that hold an opinion.
    Reference: global disagreement, Wang et al., arXiv:2409.19338.
    """
    opinions = _of_agents(np.asarray(x, dtype=np.float64), links)
    if links.complete:
        spoken = _spoken(opinions)
        return spoken.size * _squares(spoken) if spoken.size > 1 else float("nan")
    gaps = np.repeat(opinions, links.degrees)
    gaps -= opinions[links.authors]
    gaps *= gaps
    if links.weights is not None:
        gaps *= links.weights
    gaps = _spoken(gaps)
    return float(gaps.sum()) / 2 if gaps.size else float("nan")


def conflict(acts: ArrayLike, links: Links) -> float:
    """Conflict is the share of the links whose two ends hold the same act, as in a graph-colouring game.

    Formula: `(links with a_i == a_j) / (links with two ends that have acted)`. Weights do not count; of two directed
    links that run both ways between two agents, each counts.
    Range: 0 at a proper colouring, 1 at consensus; `conflict + discord == 1`.
    Edges: `nan` when no link has two ends that have acted.
    Reference: M. Kearns, S. Suri and N. Montfort, An experimental study of the coloring problem on human subject
    networks, Science 313, 2006.
    """
    same, all_links = _matches(acts, links)
    return same / all_links if all_links else float("nan")


def discord(acts: ArrayLike, links: Links) -> float:
    """Discord is the share of the links whose two ends hold different acts.

    Formula: `(links with a_i != a_j) / (links with two ends that have acted)`, counted as in `conflict`.
    Range: 0 at consensus, 1 at a proper colouring; `conflict + discord == 1`.
    Edges: `nan` when no link has two ends that have acted.
    Reference: the density of active links in the voter model, F. Vazquez and V. M. Eguíluz, New Journal of Physics
    10, 2008.
    """
    same, all_links = _matches(acts, links)
    return (all_links - same) / all_links if all_links else float("nan")


@np.errstate(over="ignore", invalid="ignore")
def neighbour_correlation(x: ArrayLike, links: Links) -> float:
    """The neighbour correlation tells how well an agent's opinion is foretold by the mean of those it hears.

    Formula: Pearson's correlation of `x_i` with `sum_j w_ij x_j / sum_j w_ij` over the authors j that reader i is
    exposed to and that hold an opinion, `w_ij` the weight of the link or 1; readers for whom these weights do not sum
    to more than 0 are left out.
    Range: -1 to 1; near 1 in echo chambers. On a complete graph it is -1 whatever the opinions are, because the mean
    of all others falls as one's own opinion rises.
    Edges: `nan` for fewer than two such readers, or when their opinions or what they hear do not vary.
    Reference: the neighbour correlation index (NCI), Wang et al., arXiv:2409.19338.
    """
    opinions = _of_agents(np.asarray(x, dtype=np.float64), links)
    spoken = ~np.isnan(opinions)
    if not spoken.any():
        return float("nan")
    scale = float(np.abs(opinions[spoken]).max())
    centred = np.where(spoken, opinions - opinions[spoken].mean(), 0.0)
    if links.complete:
        heard, weight = centred.sum() - centred, spoken.sum() - spoken.astype(np.float64)
    else:
        heard, weight = links.matrix @ centred, links.matrix @ spoken.astype(np.float64)
    kept = spoken & (weight > 0)
    return _pearson(centred[kept], heard[kept] / weight[kept], _ROUNDING * scale)


@np.errstate(invalid="ignore")
def settled_at(series: ArrayLike, tolerance: float = 0.0) -> float:
    """The settling time is the first turn from which a quantity stays put until the end.

    Formula: the smallest index t such that all values from t to the end lie within a band as wide as `tolerance`
    (`max - min <= tolerance`), so that a slow drift does not pass for rest; with tolerance 0, all are equal.
    Range: 0 when it never moves, to `len(series) - 2`.
    Edges: `nan` when it still moves at the last step (the run is too short to tell: a censored observation), when
    there are fewer than two values, and when the last values are NaN; a NaN before that is a turn that has not settled.
    Reference: the settling time of control theory, K. J. Åström and R. M. Murray, Feedback Systems, 2008.
    """
    backwards = np.asarray(series, dtype=np.float64).ravel()[::-1]
    band = np.maximum.accumulate(backwards) - np.minimum.accumulate(backwards)
    rest = int((band <= tolerance).sum())
    return float(backwards.size - rest) if rest > 1 else float("nan")


def _codes(acts: ArrayLike) -> NDArray[np.int64]:
    """One code per agent, -1 for whatever is blank."""
    values = np.asarray(acts)
    return np.where(values >= 0, values, -1).astype(np.int64)


def _tally(codes: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many agents hold each act that anybody holds."""
    # Sorting and not counting into bins: codes of free texts can be of any size.
    return np.unique(codes[codes >= 0], return_counts=True)[1].astype(np.int64)


def _spoken(x: ArrayLike) -> NDArray[np.float64]:
    opinions = np.asarray(x, dtype=np.float64).ravel()
    return opinions[~np.isnan(opinions)]


def _squares(values: NDArray[np.float64]) -> float:
    """The sum of the squared distances from the mean."""
    if values.min() == values.max():
        return 0.0
    centred = values - values.mean()
    return float(centred @ centred)


def _of_agents[T: np.generic](values: NDArray[T], links: Links) -> NDArray[T]:
    """The values, once it is sure that there is one per agent."""
    if values.shape != (links.n,):
        raise SpecError(f"a measure on links takes one value per agent, {links.n} in all, not shape {values.shape}")
    return values


def _matches(acts: ArrayLike, links: Links) -> tuple[float, float]:
    """How many links join equal acts, and how many join any two; an undirected edge counts twice in both."""
    codes = _of_agents(_codes(acts), links)
    if links.complete:
        counts = _tally(codes).astype(np.float64)
        everyone = float(counts.sum())
        return float(counts @ (counts - 1)), everyone * (everyone - 1)
    readers, authors = np.repeat(codes, links.degrees), codes[links.authors]
    both = (readers >= 0) & (authors >= 0)
    return float((both & (readers == authors)).sum()), float(both.sum())


def _pearson(a: NDArray[np.float64], b: NDArray[np.float64], rounding: float) -> float:
    """Pearson's correlation, `nan` when a side spreads no more than rounding does."""
    if a.size < 2 or min(np.ptp(a), np.ptp(b)) <= rounding:
        return float("nan")
    a, b = a - a.mean(), b - b.mean()
    return float(np.clip(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)), -1.0, 1.0))
