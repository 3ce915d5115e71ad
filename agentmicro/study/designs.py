"""Designs: which points of a space of knobs a sweep visits.

    grid        every combination of the values
    one-factor  each value alone, around [micro]
    latin       a Latin hypercube: each knob's range is covered evenly, whatever the others do
    sobol       Saltelli's arrangement of Sobol points, for variance-based indices of the first order and in total
    morris      trajectories that change one knob at a time, for elementary effects

A knob has a list of values or, in the three designs that sample, a range. These are drawn in the unit cube, one axis
per knob: a range is cut evenly, into whole numbers where the knob is one, and a list is cut into as many equal parts as
it has values, so categories are factors like any other. `adaptive` chooses its points as it goes; see `growing`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import floor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agentmicro.errors import SpecError
from agentmicro.knobs import Scalar, knobs
from agentmicro.study.spec import Grow, Knobs

SEED = 1  # of all sampled designs, so that the same scenario always visits the same points
PER_KNOB = 10  # points of a hypercube, or trajectories, for each knob if nobody says how many
BASE_POINTS = 64  # of Sobol's, if nobody says how many
LEVELS = 4  # of each axis in Morris's trajectories


@dataclass(frozen=True)
class Design:
    """The points of a design in their order, each as the knobs that vary.

    names: the knobs. unit: where the points lie in the unit cube, one row each; None for designs that do not sample.
    """

    names: tuple[str, ...]
    points: tuple[Knobs, ...]
    unit: NDArray[np.float64] | None = None

    @property
    def problem(self) -> dict[str, Any]:
        """The space as SALib describes it: the knobs as axes of the unit cube."""
        return {"num_vars": len(self.names), "names": list(self.names), "bounds": [[0.0, 1.0]] * len(self.names)}


def design(grow: Grow, cls: Any, base: Knobs) -> Design:
    """The points that a scenario's design visits; none where nothing varies, or where it chooses them as it goes."""
    names = tuple(dict.fromkeys((*grow.vary, *grow.ranges)))
    if not names or grow.design == "adaptive":
        return Design(names, ())
    if grow.design == "grid":
        return Design(names, tuple(dict(zip(names, values, strict=True)) for values in product(*grow.vary.values())))
    if grow.design == "one-factor":
        return Design(names, _one_factor(grow.vary, base))
    unit = {"latin": _latin, "sobol": _sobol, "morris": _morris}[grow.design](Design(names, ()), grow.samples)
    return Design(names, tuple(_point(grow, cls, names, row) for row in unit.tolist()), unit)


def _one_factor(vary: Mapping[str, Sequence[Scalar]], base: Knobs) -> tuple[Knobs, ...]:
    others = ({name: value} for name, values in vary.items() for value in values if value != base[name])
    now = {name: base[name] for name in vary}
    return (now, *({**now, **other} for other in others))


def _latin(empty: Design, samples: int) -> NDArray[np.float64]:
    from scipy.stats import qmc

    axes = len(empty.names)
    drawn = qmc.LatinHypercube(axes, rng=np.random.default_rng(SEED)).random(samples or PER_KNOB * axes)
    return np.asarray(drawn, float)


def _sobol(empty: Design, samples: int) -> NDArray[np.float64]:
    count = samples or BASE_POINTS
    if count & (count - 1):
        near = 1 << round(np.log2(count))
        raise SpecError(f"[grow] samples = {count}: expected a power of two for the design sobol, such as {near}")
    sobol = _salib("sobol")
    drawn = sobol.sample(empty.problem, count, calc_second_order=False, seed=np.random.default_rng(SEED))
    return np.asarray(drawn, float)


def _morris(empty: Design, samples: int) -> NDArray[np.float64]:
    count = samples or PER_KNOB
    drawn = _salib("morris").sample(empty.problem, count, num_levels=LEVELS, seed=np.random.default_rng(SEED))
    return np.asarray(drawn, float)


def _salib(name: str) -> Any:
    from importlib import import_module

    try:
        return import_module(f"SALib.sample.{name}")
    except ImportError:
        raise SpecError(f"the design {name} needs SALib, which comes with the extra agentmicro[study]") from None


def _point(grow: Grow, cls: Any, names: tuple[str, ...], row: Sequence[float]) -> Knobs:
    return {name: _value(grow, cls, name, place) for name, place in zip(names, row, strict=True)}


def _value(grow: Grow, cls: Any, name: str, place: float) -> Scalar:
    """The value of a knob at a place between 0 and 1."""
    if name in grow.vary:
        values = grow.vary[name]
        return values[min(floor(place * len(values)), len(values) - 1)]
    low, high = grow.ranges[name]
    if knobs(cls)[name].kind is int:
        return min(int(low) + floor(place * (int(high) - int(low) + 1)), int(high))
    return low + place * (high - low)
