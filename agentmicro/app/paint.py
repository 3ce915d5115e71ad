"""Colours for acts: the same act has the same colour on every page, told apart by colour-blind readers too.

Few options take the colours of Okabe and Ito (2008), which differ in lightness as well as in hue. Numbers and many
options take an even ramp from dark blue to yellow: cividis, Nunez, Anderton and Renslow 2018
(doi:10.1371/journal.pone.0199239).
Who has not acted yet is hollow grey.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agentmicro.affordances import Affordance, Artifact, Choice, Number, Picks, Tools

FEW = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#6E6E6E")
RAMP = ("#00224E", "#1F3A6D", "#434E6C", "#5D636E", "#777776", "#918F78", "#AFA571", "#CDBA63", "#EACC4F", "#FEE838")
NONE = "#BDBDBD"
WORD = 24  # letters of an option that a legend shows


@dataclass(frozen=True)
class Painted:
    """A colour for each agent, as the number of an entry of the legend; the last entry is `not yet`."""

    codes: list[int]
    legend: list[tuple[str, str]]
    what: str = ""


def painted(kind: Affordance, acts: NDArray[Any]) -> Painted:
    """The colours of some acts, and what they mean."""
    codes, legend, what = _codes(kind, acts)
    codes = np.where(kind.is_blank(acts), len(legend), codes)
    return Painted(codes.tolist(), [*legend, ("not yet", NONE)], what)


type _Found = tuple[NDArray[Any], list[tuple[str, str]], str]


def _codes(kind: Affordance, acts: NDArray[Any]) -> _Found:
    if isinstance(kind, Choice):
        return _of_choice(kind.options, acts)
    if isinstance(kind, Number):
        return _of_number(kind, acts)
    if isinstance(kind, Picks):
        names = tuple(f"{count} picked" for count in range(kind.most + 1))
        return _of_choice(names, (acts >= 0).sum(axis=1))
    if isinstance(kind, Tools):
        return _of_choice(tuple(kind.actions), acts["tool"])
    if isinstance(kind, Artifact):
        return _of_parts(kind, acts)
    return _of_choice(("silent", "said something"), (~kind.is_blank(acts)).astype(int))


def _of_parts(kind: Artifact, acts: NDArray[Any]) -> _Found:
    """The public part that can best be seen: a choice, else a number, else whatever comes first."""
    parts = {name: part for name, part in kind.parts.items() if name not in kind.private} or dict(kind.parts)
    wanted = [name for want in (Choice, Number) for name, part in parts.items() if isinstance(part, want)]
    name = (wanted or list(parts))[0]
    codes, legend, what = _codes(parts[name], acts[name])
    codes = np.where(parts[name].is_blank(acts[name]), len(legend), codes)
    return codes, legend, f"{name} {what}".strip()


def _of_choice(options: tuple[str, ...], acts: NDArray[Any]) -> _Found:
    codes = np.clip(acts.astype(int), 0, len(options) - 1)
    if len(options) <= len(FEW):
        return codes, [(_short(option), FEW[number]) for number, option in enumerate(options)], ""
    bins = codes * len(RAMP) // len(options)
    edges = [min(-(-step * len(options) // len(RAMP)), len(options) - 1) for step in range(len(RAMP))]
    return bins, [(_short(options[edge]), colour) for edge, colour in zip(edges, RAMP, strict=True)], ""


def _of_number(kind: Number, acts: NDArray[Any]) -> _Found:
    """Ten even steps between the ends of the range, or between the least and the most of what was done."""
    numbers = acts.astype(float)
    finite = numbers[np.isfinite(numbers)]
    low = kind.low if np.isfinite(kind.low) else float(finite.min()) if finite.size else 0.0
    high = kind.high if np.isfinite(kind.high) else float(finite.max()) if finite.size else low + 1.0
    width = (high - low) / len(RAMP) or 1.0
    bins = np.clip(np.nan_to_num((numbers - low) / width), 0, len(RAMP) - 1).astype(int)
    ends = [f"{low + step * width:.3g}" for step in range(len(RAMP) + 1)]
    legend = [(f"{ends[step]} to {ends[step + 1]}", colour) for step, colour in enumerate(RAMP)]
    return bins, legend, f"({kind.unit})" if kind.unit else ""


def _short(option: str) -> str:
    return option if len(option) <= WORD else f"{option[: WORD - 1]}…"
