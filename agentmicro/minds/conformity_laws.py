"""Laws of conformity: what a subject's own evidence and the answers of its peers make it answer.

They read the traits of `phenomena.conformity`: `subject`, `evidence` (log-odds of the right answer alone), `looks`,
`round`, and for each round `truth`, `key` (the answer it is judged by, -1 while unknown) and `spoken` (when its peers
spoke). Latane 1981 (doi:10.1037/0003-066X.36.4.343) for impact as a power of numbers; Asch 1956
(doi:10.1037/h0093718) for a force that soon stops growing; De Marzo et al. 2024 (arXiv 2409.02822) for that of a share.
"""

from collections.abc import Callable
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from agentmicro.acts import Coded, Rows
from agentmicro.affordances import Choice
from agentmicro.exposure import Seen
from agentmicro.knobs import Range

type Floats = NDArray[np.float64]

Weight = Annotated[float, Range(0, 1000), "how much the peers weigh beside its own evidence"]

NONE = -1


def options_of(seen: Seen) -> int:
    """How many answers a question has."""
    assert isinstance(seen.affordance, Choice)
    return len(seen.affordance.options)


def rounds_of(seen: Seen) -> Rows:
    """The round to which each exposure of a batch belongs; -1 where it belongs to none."""
    said = seen.trait("spoken")[seen.flat.row] == seen.flat.time[:, None]
    return np.where(said.any(axis=1), said.argmax(axis=1), NONE)


def votes(seen: Seen) -> Floats:
    """How many peers give each answer to the question that is asked now."""
    flat, options = seen.flat, options_of(seen)
    now = np.flatnonzero(rounds_of(seen) == seen.trait("round")[flat.row])
    cells = flat.row[now] * options + flat.act[now]
    return np.bincount(cells, minlength=len(seen) * options).reshape(-1, options).astype(np.float64)


def answered(seen: Seen, social: Floats | float) -> Coded:
    """Draws an answer, as likely as the exponential of what speaks for it; peers keep theirs.

    What speaks for the right answer is a subject's own evidence, once for each look; for any, what its peers add.
    """
    evidence = seen.trait("evidence").astype(np.float64) * seen.trait("looks").astype(np.float64)
    weight = np.zeros((len(seen), options_of(seen))) + social
    here = np.arange(len(seen))
    weight[here, seen.trait("truth")[here, seen.trait("round").astype(np.intp)].astype(np.intp)] += evidence
    edges = np.cumsum(np.exp(weight - weight.max(axis=1, keepdims=True)), axis=1)
    drawn = (seen.luck()[:, None] * edges[:, -1:] >= edges[:, :-1]).sum(axis=1)
    return np.where(seen.trait("subject"), drawn, seen.own)


def power_of(count: Floats, power: float) -> Floats:
    """A power of a number of peers that is 0 for nobody, whatever the power."""
    return np.where(count > 0, np.maximum(count, 1) ** power, 0.0)


def reliability(seen: Seen, prior: float, strength: float) -> Floats:
    """How often a subject thinks its peers are right: its first belief and the share that was right in each round."""
    flat, rounds = seen.flat, rounds_of(seen)
    key = seen.trait("key")[flat.row, rounds]
    past = np.flatnonzero((rounds != NONE) & (rounds < seen.trait("round").astype(np.intp)[flat.row]) & (key != NONE))
    row, cell = flat.row[past], flat.row[past] * seen.trait("key").shape[1] + rounds[past]
    each = 1 / np.bincount(cell)[cell] if past.size else np.zeros(0)
    hits = np.bincount(row, each * (flat.act[past] == key[past]), minlength=len(seen))
    return np.asarray((prior * strength + hits) / (strength + np.bincount(row, each, minlength=len(seen))))


def record(
    seen: Seen,
    weight: Weight = 0.4,
    power: Annotated[float, Range(0, 1), "how the force of peers grows with their number; 1: as if independent"] = 0.5,
    prior: Annotated[float, Range(0.01, 0.99), "how often it thinks peers are right before it knows them"] = 0.7,
    strength: Annotated[float, Range(0.01, 1000), "how many rounds that first belief weighs"] = 2.0,
) -> Coded:
    """Weighs peers by how often they were right; with weight and power 1 it is Bayes' rule for independent errors."""
    trusted = reliability(seen, prior, strength)
    each = np.log(trusted * (options_of(seen) - 1) / (1 - trusted))
    return answered(seen, weight * each[:, None] * power_of(votes(seen), power))


def impact(
    seen: Seen,
    weight: Weight = 1.0,
    power: Annotated[float, Range(0, 1), "how the force of peers grows with their number"] = 0.5,
) -> Coded:
    """Feels a force that grows as a power of the number of peers (social impact); their record counts for nothing."""
    return answered(seen, weight * power_of(votes(seen), power))


def saturating(
    seen: Seen,
    weight: Weight = 1.0,
    most: Annotated[int, Range(1, 1000), "how many peers have all the force there is"] = 3,
) -> Coded:
    """Feels each further peer alike up to so many and none beyond, as Asch found; their record counts for nothing."""
    return answered(seen, weight * np.minimum(votes(seen), most))


def share(seen: Seen, beta: Annotated[float, Range(0, 1000), "the majority force"] = 2.0) -> Coded:
    """Feels the share of peers who give an answer: with two answers P = (1 + tanh(beta (m + h))) / 2."""
    count = votes(seen)
    return answered(seen, 2 * beta * count / np.maximum(count.sum(axis=1, keepdims=True), 1))


def own(seen: Seen) -> Coded:
    """Answers by its own evidence, whatever it hears."""
    return answered(seen, 0.0)


LAWS: dict[str, Callable[..., Coded]] = {
    "record": record,
    "impact": impact,
    "saturating": saturating,
    "share": share,
    "own": own,
}
