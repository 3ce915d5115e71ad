"""Laws of opinion dynamics: how an agent answers to the opinions that it hears, on two sides or on a line.

Opinions run from -1 to 1. Where acts are a `Choice` of two sides, the first stands for -1 and the second for 1; where
they are a `Number`, any opinion may be held. The traits `preference` and `framing` (1 or -1) say what an agent leans to
by itself, `nudge` what the world adds to what it hears. The references are those of `phenomena.opinions`.
"""

from collections.abc import Callable, Mapping
from math import nan
from typing import Annotated, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from agentmicro.acts import Coded
from agentmicro.affordances import Affordance, Choice
from agentmicro.errors import SpecError, listed, nearest
from agentmicro.exposure import Floats, Seen
from agentmicro.knobs import Range, Written

NUDGES = ("none", "passive", "active")
END = 0.75  # from here to the end of the scale is the outer one of five opinions, at whom the active nudge is aimed
BETA, MODEL = 2.0, "gemma-3-27b"


class Force(NamedTuple):
    """What was fitted to a language model: beta by how many agents there were, and its median preference."""

    betas: Mapping[int, float]
    preference: float = 0.0


# Recomputed from the authors' released data: arXiv:2409.02822 (the first four), arXiv:2605.10721 (medians over pairs
# of opinions, |h| taken for the claim). 0.1 for gpt-3.5-turbo is read as no force.
FORCES: Mapping[str, Force] = {
    "gpt-4-turbo": Force({50: 4.84, 100: 4.6, 200: 4.3, 500: 3.6, 1000: 3.4}),
    "gpt-4": Force({50: 3.74}),
    "gpt-4o": Force({10: 5.5, 20: 3.8, 50: 2.9, 100: 1.48, 500: 1.22}),
    "gpt-3.5-turbo": Force({50: 0.1}),
    "llama-3.1-8b": Force({50: 2.16}, 0.43),
    "qwen2.5-14b": Force({50: 2.52}, 0.27),
    "qwen2.5-32b": Force({50: 2.80}, 0.17),
    "qwen3-14b": Force({50: 2.60}, 0.29),
    "qwen3-32b": Force({50: 2.72}, 0.41),
    "gemma-3-12b": Force({50: 3.74}, 0.32),
    "gemma-3-27b": Force({50: 3.91}, 0.46),
    "gemini-2.5-flash-lite": Force({50: 1.94}, 0.24),
    "gpt-5-mini": Force({50: 2.32}, 0.50),
}


def fitted(name: str) -> Force:
    """The force fitted to a language model; a SpecError for one that there is none of."""
    if name not in FORCES:
        raise SpecError(f"no force was fitted to {name!r}{nearest(name, FORCES)}; there is {listed(FORCES)}")
    return FORCES[name]


def force_at(name: str, size: ArrayLike) -> Floats:
    """The beta of a model in groups of a size: on a line in log size between two published ones, level beyond them."""
    sizes, betas = zip(*fitted(name).betas.items(), strict=True)
    return np.asarray(np.interp(np.log(size), np.log(sizes), betas))


def critical_size(name: str) -> float:
    """The group size from which beta(N) no longer exceeds ln(N) / 2, the bound for fast consensus; NaN if not seen."""
    sizes = np.geomspace(min(fitted(name).betas), max(fitted(name).betas), 10_001)
    slow = np.flatnonzero(force_at(name, sizes) <= np.log(sizes) / 2)
    return float(sizes[slow[0]]) if slow.size and slow[0] else nan


# --- what is heard, on the scale from -1 to 1


def opinions(kind: Affordance, acts: Coded) -> Floats:
    """Acts as opinions from -1 to 1; NaN for none."""
    return np.asarray(np.where(acts < 0, nan, 2.0 * acts - 1) if isinstance(kind, Choice) else acts, float)


def nudged(seen: Seen) -> tuple[Floats, Floats] | None:
    """The opinion, and how often, that a nudge adds to what each agent hears; None where nobody is nudged."""
    kind = seen.trait("nudge")
    if not kind.any():
        return None
    if NUDGES[int(kind[0])] == "passive":
        return np.zeros(len(seen)), seen.total() // 2 + 1  # perspectives speak for both sides
    own = opinions(seen.affordance, seen.own)
    return -np.sign(own), (np.abs(own) >= END).astype(float)


def lean(seen: Seen) -> Floats:
    """The mean opinion that each agent hears, a nudge included; NaN where it hears none."""
    mean = seen.mean()
    mean = 2 * mean - 1 if isinstance(seen.affordance, Choice) else mean
    added = nudged(seen)
    if added is None:
        return mean
    opinion, count = added
    total = seen.total()
    with np.errstate(invalid="ignore"):
        return (np.nan_to_num(total * mean) + count * opinion) / (total + count)


def voice(seen: Seen) -> Floats:
    """One of the opinions that each agent hears, a nudge included; NaN where it hears none."""
    heard = opinions(seen.affordance, seen.any())
    added = nudged(seen)
    if added is None:
        return heard
    opinion, count = added
    return np.where(seen.luck() * (seen.total() + count) < count, opinion, heard)


def sided(seen: Seen, agrees: NDArray[np.bool_]) -> Coded:
    """The act of taking a side."""
    return agrees.astype(np.int64) if isinstance(seen.affordance, Choice) else np.where(agrees, 1.0, -1.0)


# --- laws that take a side


def force(
    seen: Seen, beta: Annotated[float, Range(0, 1000), "the majority force; two states from 1 on"] = BETA
) -> Coded:
    """Agrees with chance (1 + tanh(beta (m + h))) / 2, m the mean it hears, or 0, and h its preference."""
    return _forced(seen, np.full(len(seen), beta), seen.trait("preference").astype(float))


def measured(
    seen: Seen, model: Annotated[str, Written(fitted, tuple(FORCES)), "the model that was measured"] = MODEL
) -> Coded:
    """As force, with the beta of a language model in groups of the size heard, and its median preference on top."""
    own = fitted(model).preference * seen.trait("framing").astype(float)
    return _forced(seen, force_at(model, seen.total() + 1), seen.trait("preference").astype(float) + own)


def _forced(seen: Seen, beta: Floats, preference: Floats) -> Coded:
    chance = (1 + np.tanh(beta * (np.nan_to_num(lean(seen)) + preference))) / 2
    return sided(seen, seen.luck() < chance)


def voter(seen: Seen) -> Coded:
    """Takes over one of the opinions that it hears; a perspective for both sides is a coin where one must take one."""
    heard = voice(seen)
    if not isinstance(seen.affordance, Choice):
        return np.where(np.isnan(heard), seen.own, heard)
    return np.where(np.isnan(heard), seen.own, (heard > 0) | ((heard == 0) & (seen.luck() < 0.5)))


def threshold(
    seen: Seen, at: Annotated[float, Range(0, 1), "the share of those it hears that must agree"] = 0.5
) -> Coded:
    """Agrees just where the share of those who agree reaches a threshold: the best answer in a coordination game."""
    mean = lean(seen)
    return np.where(np.isnan(mean), seen.own, sided(seen, (1 + mean) / 2 >= at - 1e-12))


# --- laws that move an opinion on a line


def degroot(seen: Seen, own: Annotated[float, Range(0, 1), "the weight of its own opinion"] = 0.5) -> Coded:
    """Takes the mean of what it hears, its own opinion weighed in."""
    mean = lean(seen)
    return np.where(np.isnan(mean), seen.own, np.clip(own * seen.own + (1 - own) * mean, -1, 1))


def deffuant(
    seen: Seen,
    confidence: Annotated[float, Range(0, 1), "how far an opinion may be, as a share of the scale"] = 0.25,
    pace: Annotated[float, Range(0, 1), "the share of the way that it moves"] = 0.5,
) -> Coded:
    """Moves towards one opinion that it hears, if that is near enough."""
    gap = np.nan_to_num(voice(seen) - seen.own)
    return np.asarray(np.clip(seen.own + pace * gap * (np.abs(gap) < 2 * confidence), -1, 1))


def hegselmann_krause(
    seen: Seen, confidence: Annotated[float, Range(0, 1), "how far an opinion may be, as a share of the scale"] = 0.15
) -> Coded:
    """Takes the mean of all opinions that are near enough, its own among them."""
    row, heard = seen.flat.row, seen.flat.act
    near = np.abs(heard - seen.own[row]) <= 2 * confidence
    total = seen.own + np.bincount(row[near], heard[near], minlength=len(seen))
    count = 1.0 + np.bincount(row[near], minlength=len(seen))
    if (added := nudged(seen)) is not None:
        times = added[1] * (np.abs(added[0] - seen.own) <= 2 * confidence)
        total, count = total + times * added[0], count + times
    return np.clip(total / count, -1, 1)


def biased(
    seen: Seen,
    tolerance: Annotated[float, Range(0.001, 1000), "the distance, as a share of the scale, that halts most"] = 0.2,
    pace: Annotated[float, Range(0, 1), "the share of the way that it moves"] = 0.5,
) -> Coded:
    """Moves towards one opinion that it hears with a chance of exp(-distance / tolerance): confirmation bias."""
    gap = np.nan_to_num(voice(seen) - seen.own)
    moves = seen.luck() < np.exp(-np.abs(gap) / 2 / tolerance)
    return np.asarray(np.clip(seen.own + pace * gap * moves, -1, 1))


type Law = Callable[..., Coded]
SIDED: Mapping[str, Law] = {"force": force, "measured": measured, "voter": voter, "threshold": threshold}
LINES: Mapping[str, Law] = {
    "degroot": degroot,
    "deffuant": deffuant,
    "hegselmann-krause": hegselmann_krause,
    "biased": biased,
}
