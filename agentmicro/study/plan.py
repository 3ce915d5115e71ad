"""The plan of a study: the cells of runs that a scenario asks for, what each is for, and how many seeds it takes.

A cell is one arm: every knob resolved, and what changes at a time. Its key is a hash of exactly that, so equal arms of
different stages are one cell whose runs are made once, and a cell stays itself whatever else a study is given later.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate
from math import nan
from operator import or_
from typing import Any, NamedTuple

from agentmicro.completion import Scripted
from agentmicro.errors import ScenarioError, SpecError, listed
from agentmicro.knobs import Scalar, knobs
from agentmicro.minds import LanguageMind, pick
from agentmicro.minds.speaker import Speaker, defined
from agentmicro.noise import permutation
from agentmicro.society import MINDS
from agentmicro.study.run import build
from agentmicro.study.spec import Attack, Knobs, Scenario

SLOTS = 1_000  # slots that are attacked one after the other if nobody names them


@dataclass(frozen=True)
class Cell:
    """One arm: every knob with its value, and the changes that happen at a time, each with its knobs."""

    knobs: Knobs
    steps: tuple[tuple[float, Knobs], ...] = ()

    @cached_property
    def key(self) -> str:
        """The SHA-256 of the arm, equal for equal arms only."""
        return digest({"knobs": dict(self.knobs), "steps": [[at, dict(changes)] for at, changes in self.steps]})

    @property
    def values(self) -> list[Knobs]:
        """Every knob as it is at the start and after each change."""
        changed = ({**self.knobs, **changes} for changes in accumulate((step for _, step in self.steps), or_))
        return [self.knobs, *changed]


class Use(NamedTuple):
    """What a cell is for; the columns are those of `results.Study.uses`, with the key in place of a number."""

    stage: str
    label: str
    role: str
    cell: str
    seeds: int
    changes: str
    at: float


class Job(NamedTuple):
    """One run to make: the key of its cell, and its seed."""

    cell: str
    seed: int


class Plan:
    """Cells by key, their uses, and the seeds of each cell, in the order in which they were asked for."""

    def __init__(self, base: Knobs) -> None:
        self.base = base
        self.cells: dict[str, Cell] = {}
        self.seeds: dict[str, int] = {}
        self.uses: list[Use] = []

    @property
    def runs(self) -> int:
        """How many runs there are."""
        return sum(self.seeds.values())

    def add(self, stage: str, label: str, role: str, cell: Cell, seeds: int) -> None:
        """Asks for so many seeds of a cell."""
        key = cell.key
        self.cells.setdefault(key, cell)
        self.seeds[key] = max(seeds, self.seeds.get(key, 0))
        differing = {name: value for name, value in cell.values[-1].items() if value != self.base[name]}
        at = cell.steps[0][0] if cell.steps else nan
        self.uses.append(Use(stage, label, role, key, seeds, json.dumps(differing), at))

    def jobs(self, block: int = 1) -> Iterator[Job]:
        """Every run, a block of seeds of all cells before the next, so that a study that stops early is balanced."""
        for first in range(1, max(self.seeds.values(), default=0) + 1, block):
            for key, seeds in self.seeds.items():
                for seed in range(first, min(seeds, first + block - 1) + 1):
                    yield Job(key, seed)


@dataclass(frozen=True)
class Point:
    """One point of a design: the knobs that it varies, and its seeds."""

    knobs: Knobs
    seeds: int


def digest(value: object) -> str:
    """The SHA-256 of a value as canonical JSON."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def asked(scenario: Scenario, overrides: Mapping[str, Scalar] | None = None, seeds: int | None = None) -> Scenario:
    """The scenario with other knobs in [micro] and other seeds, as a command asks for them.

    Claims that state no seeds of their own follow those of [grow].
    """
    micro = {**scenario.micro, **(overrides or {})}
    with defined(scenario.minds):
        scenario.cls.checked(micro)
    before = scenario.grow.seeds
    after = before if seeds is None else seeds
    claims = tuple(replace(one, seeds=after) if one.seeds == before else one for one in scenario.claims)
    return replace(scenario, micro=micro, grow=replace(scenario.grow, seeds=after), claims=claims)


def plan(scenario: Scenario, points: Sequence[Point]) -> Plan:
    """Everything that a scenario asks for, with the points of its design; a ScenarioError where an arm cannot be."""
    with defined(scenario.minds):
        made = Plan(scenario.cls.checked(scenario.micro))
        _base(made, scenario, points)
        _identify(made, scenario)
        _intervene(made, scenario)
        _attack(made, scenario)
        _validate(made, scenario)
        _claims(made, scenario)
    return made


def speaking(cls: Any, arms: Iterable[Knobs]) -> tuple[Speaker, ...]:
    """Who would be asked over the network in some arms of a study, each once."""
    texts = {str(knobs[name]): None for knobs in arms for name in MINDS if name in knobs}
    minds = [seat.mind for text in texts for seat in pick(text, cls.rules, cls.prompt)]
    asked = [mind for mind in minds if isinstance(mind, LanguageMind) and not isinstance(mind.provider, Scripted)]
    return tuple({mind.name: mind.speaker for mind in asked}.values())


def named(changes: Knobs) -> str:
    """Knobs with their values, in words."""
    return listed(f"{name}={value:g}" if type(value) is float else f"{name}={value}" for name, value in changes.items())


def _base(made: Plan, scenario: Scenario, points: Sequence[Point]) -> None:
    seeds, null = scenario.grow.seeds, scenario.cls.null
    made.add("base", "base", "reference", Cell(made.base), seeds)
    made.add("null", "null", "arm", Cell(_with(scenario, "null", null)), seeds)
    for point in points:
        knobs = _with(scenario, "grow", point.knobs)
        made.add("grow", named(point.knobs), "arm", Cell(knobs), point.seeds)


def _identify(made: Plan, scenario: Scenario) -> None:
    asked, seeds = scenario.identify, scenario.grow.seeds
    if not asked.vary:
        return
    base = _with(scenario, "identify", asked.where)
    made.add("identify", "base", "reference", Cell(base), seeds)
    for name, values in asked.vary.items():
        for value in values:
            if value != base[name]:
                knobs = _with(scenario, "identify", {**asked.where, name: value})
                made.add("identify", named({name: value}), "arm", Cell(knobs), seeds)


def _intervene(made: Plan, scenario: Scenario) -> None:
    if not scenario.intervene:
        return
    made.add("intervene", "base", "reference", Cell(made.base), scenario.grow.seeds)
    for name, arm in scenario.intervene.items():
        cell = Cell(made.base, arm.steps) if arm.steps else Cell(_with(scenario, f"intervene.{name}", arm.knobs))
        made.add("intervene", name, "arm", cell, scenario.grow.seeds)


def _attack(made: Plan, scenario: Scenario) -> None:
    attack = scenario.attack
    if attack is None:
        return
    made.add("attack", "no attack", "reference", Cell(made.base), scenario.grow.seeds)
    base = _with(scenario, "attack", attack.knobs)
    with _inside(scenario, "attack"):
        place = _minds_at if attack.kind == "mind" else _knob_at
        for row, change in place(scenario, attack, base):
            cell = Cell(scenario.cls.checked({**base, **change}))
            made.add("attack", str(row), "arm", cell, scenario.grow.seeds)


def _validate(made: Plan, scenario: Scenario) -> None:
    asked = scenario.validate
    if asked.data or asked.values:
        made.add("validate", "base", "reference", Cell(_with(scenario, "validate", asked.where)), scenario.grow.seeds)


def _claims(made: Plan, scenario: Scenario) -> None:
    null = scenario.cls.null
    for number, claim in enumerate(scenario.claims, start=1):
        arms = {"where": claim.where, "null": {**claim.where, **null}}
        if claim.against is not None:
            arms |= {"against": claim.against, "null against": {**claim.against, **null}}
        for role, change in arms.items():
            cell = Cell(_with(scenario, f"claim {number}", change))
            made.add("claim", str(number), role, cell, claim.seeds)


def _with(scenario: Scenario, table: str, change: Knobs) -> Knobs:
    """Every knob of an arm: [micro], changed as a table of the scenario says."""
    with _inside(scenario, table):
        found: Knobs = scenario.cls.checked({**scenario.micro, **change})
    return found


@contextmanager
def _inside(scenario: Scenario, table: str) -> Iterator[None]:
    try:
        yield
    except SpecError as error:
        raise ScenarioError(f"{scenario.path.name}: [{table}] {error}") from None


def _knob_at(scenario: Scenario, attack: Attack, base: Knobs) -> Iterator[tuple[int, Knobs]]:
    """The attack at each value of the knob that holds the place: an agent's row, or a slot that the knob takes."""
    span = knobs(scenario.cls)[attack.name].range
    low, high = (max(0, int(span.low)), int(span.high)) if span else (0, SLOTS)
    if attack.kind == "node":
        high = min(high, low + _agents(scenario, base) - 1)
    elif not attack.rows and high - low >= SLOTS:
        raise SpecError(f"rows: expected the slots to attack, since {attack.name} goes from {low:,} to {high:,}")
    for row in _rows(attack, range(low, high + 1)):
        yield row, {attack.name: row}


def _minds_at(scenario: Scenario, attack: Attack, base: Knobs) -> Iterator[tuple[int, Knobs]]:
    """The attacking mind at each row, the others as they were; seats that the base gives to somebody stay theirs."""
    knob = next(name for name in MINDS if name in base)
    text = str(base[knob])
    seats = pick(text, scenario.cls.rules, scenario.cls.prompt)
    if all(seat.amount is not None for seat in seats):
        raise SpecError(
            f"mind = {attack.name!r}: {knob} = {text!r} gives every seat away by its amount; leave one mind without an "
            "amount, so that it can give up a seat to the attack"
        )
    taken = {row for seat in seats if isinstance(seat.place, tuple) for row in seat.place}
    for row in _rows(attack, range(_agents(scenario, base)), taken):
        yield row, {knob: f"{attack.name}:1@{row}, {text}"}


def _agents(scenario: Scenario, base: Knobs) -> int:
    return len(build(scenario.cls, base, 0).acts.rows)


def _rows(attack: Attack, places: range, taken: set[int] | frozenset[int] = frozenset()) -> list[int]:
    """The places that are asked for: those listed, a sample by keyed luck that grows by adding, or all of them."""
    for row in attack.rows:
        if row not in places:
            raise SpecError(f"rows: {row} is none of the places, which go from {places.start} to {places.stop - 1}")
        if row in taken:
            raise SpecError(f"rows: {row} is a seat that [micro] gives to somebody; the attack needs another one")
    if attack.rows:
        return list(attack.rows)
    free = [row for row in places if row not in taken]
    if not attack.sample:
        return free
    drawn = permutation(0, "attack", len(free))[: attack.sample]
    return [free[index] for index in sorted(drawn.tolist())]
