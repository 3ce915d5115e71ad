"""Rounds: a design that chooses its points as it goes plans, looks at what came of it, and plans again.

It looks at whole rounds only, and at no more seeds than it has asked for. So it goes the same way whoever makes the
runs, and goes that way again when they are there already.
"""

from collections.abc import Callable, Mapping, Sequence
from math import isfinite

import numpy as np

from agentmicro.knobs import Scalar, knobs
from agentmicro.minds.speaker import defined
from agentmicro.study.adaptive import START, propose, widest
from agentmicro.study.compaction import compact, end
from agentmicro.study.designs import design
from agentmicro.study.plan import Cell, Plan, Point, plan
from agentmicro.study.spec import Knobs, Scenario, Threshold
from agentmicro.study.store import Store

BUDGET = 40  # times the seeds: runs of an adaptive design whose scenario states no budget
NARROW = 0.05  # of a knob's range: how closely an adaptive design encloses a threshold

type Seeds = Mapping[Scalar, int]


def finish(scenario: Scenario, store: Store, fill: Callable[[Plan], None] | None = None) -> None:
    """Plans and fills until the design asks for nothing more, then makes the tables.

    fill: makes the runs of a plan that are missing; without it the rounds end where any is.
    """
    seeds: dict[Scalar, int] = {}
    while True:
        made = plan(scenario, points(scenario, seeds))
        if fill is not None:
            fill(made)
        complete = all(job in store for job in made.jobs())
        more = _more(scenario, store, seeds) if complete and scenario.grow.design == "adaptive" else {}
        if not more:
            break
        seeds |= more
    compact(store, made, scenario.cls)


def points(scenario: Scenario, seeds: Seeds | None = None) -> list[Point]:
    """The points of the design; of an adaptive one those that it has asked for so far, with their seeds."""
    if scenario.grow.design == "adaptive":
        found = dict(seeds or {})
        numeric = all(isinstance(value, int | float) for value in found)
        return [Point({_knob(scenario): value}, found[value]) for value in (sorted(found) if numeric else found)]
    with defined(scenario.minds):
        base = scenario.cls.checked(scenario.micro)
    return [Point(point, scenario.grow.seeds) for point in design(scenario.grow, scenario.cls, base).points]


def arms(scenario: Scenario) -> list[Knobs]:
    """Every arm that may come to run, as its knobs; of an adaptive design what it varies stands for its points."""
    found = [values for cell in plan(scenario, points(scenario)).cells.values() for values in cell.values]
    return [*found, *({name: value} for name, values in scenario.grow.vary.items() for value in values)]


def budget(scenario: Scenario) -> int:
    """The most runs that an adaptive design makes."""
    return scenario.grow.budget or BUDGET * scenario.grow.seeds


def _more(scenario: Scenario, store: Store, seeds: Seeds) -> dict[Scalar, int]:
    """What an adaptive design asks for next, as far as its budget goes: values, each with its seeds in all."""
    knob = _knob(scenario)
    threshold = next((one for one in scenario.thresholds if one.of == knob), None)
    measure = threshold.that if threshold else scenario.outcome
    found = {value: _ends(scenario, store, value, count, measure) for value, count in seeds.items()}
    wanted = _to_threshold(scenario, threshold, found) if threshold else _to_widest(scenario, found)
    left = budget(scenario) - sum(seeds.values())
    more: dict[Scalar, int] = {}
    for value, count in wanted:
        typed = knobs(scenario.cls)[knob].check(value)
        extra = min(count - seeds.get(typed, 0), left)
        if extra > 0:
            more[typed] = seeds.get(typed, 0) + extra
            left -= extra
    return more


def _to_threshold(
    scenario: Scenario, threshold: Threshold, found: Mapping[Scalar, Sequence[float]]
) -> Sequence[tuple[Scalar, int]]:
    """The next steps of a walk to a threshold."""
    given = scenario.grow.ranges.get(threshold.of) or scenario.grow.vary[threshold.of]
    low, high = min(map(float, given)), max(map(float, given))
    told = {float(value): numbers for value, numbers in found.items()}
    whole = knobs(scenario.cls)[threshold.of].kind is int
    return propose(told, threshold.reaches, low, high, whole, scenario.grow.seeds, NARROW * (high - low))


def _to_widest(scenario: Scenario, found: Mapping[Scalar, Sequence[float]]) -> Sequence[tuple[Scalar, int]]:
    """The values at which least is known yet, down to the margin of the outcome."""
    margin = scenario.risk.margin if isfinite(scenario.risk.margin) else 0.0
    return widest({value: found.get(value, ()) for value in _values(scenario)}, scenario.grow.seeds, margin)


def _values(scenario: Scenario) -> Sequence[Scalar]:
    """The values between which an adaptive design without a threshold shares its seeds."""
    knob = _knob(scenario)
    if knob in scenario.grow.vary:
        return scenario.grow.vary[knob]
    spaced = np.linspace(*scenario.grow.ranges[knob], START).tolist()
    whole = knobs(scenario.cls)[knob].kind is int
    return list(dict.fromkeys(round(value) if whole else value for value in spaced))


def _knob(scenario: Scenario) -> str:
    """The one knob that an adaptive design varies."""
    return next(iter((*scenario.grow.vary, *scenario.grow.ranges)))


def _ends(scenario: Scenario, store: Store, value: Scalar, seeds: int, measure: str) -> list[float]:
    """A measure at the end of the runs at one value, seed by seed."""
    with defined(scenario.minds):
        key = Cell(scenario.cls.checked({**scenario.micro, _knob(scenario): value})).key
    return [end(store, scenario.cls, key, seed, measure) for seed in range(1, seeds + 1)]
