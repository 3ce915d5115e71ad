"""The signature is the schema: what a constructor takes is what scenarios, sweeps, the command line and the app offer.

A knob is a keyword parameter with a default and an annotation: `int`, `float`, `bool`, `str` or a `Literal`, inside
`Annotated` with a `Range`, a `Group` and one line of text. Rules' parameters are read the same way. `resolve` checks a
call against the signature before anything is built.
"""

import functools
import inspect
import types
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from numbers import Integral, Real
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import numpy as np

from agentmicro.errors import KnobError, SpecError, listed, nearest

type Scalar = bool | int | float | str

RESERVED = ("self", "rng", "scenario")


class Group(StrEnum):
    """Where a knob belongs: the five micro-variables, who takes part, and the world they act in."""

    COMMUNICATION = "communication"
    VISIBILITY = "visibility"
    TURNS = "turn structure"
    MEMORY = "memory"
    AFFORDANCES = "affordances"
    POPULATION = "population"
    WORLD = "world"


@dataclass(frozen=True)
class Range:
    """The smallest and the largest value a number may take, both allowed."""

    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.low:,} to {self.high:,}" if self.high >= 10_000 else f"{self.low} to {self.high}"


@dataclass(frozen=True)
class Written:
    """A text with a grammar of its own; `check(text)` raises SpecError, `names` are the words it starts with."""

    check: Callable[[str], object]
    names: tuple[str, ...]


@dataclass(frozen=True)
class Knob:
    """One parameter: its name, type, default, range or choices, group and line of text."""

    name: str
    kind: type
    default: Scalar
    range: Range | None = None
    choices: tuple[Scalar, ...] = ()
    written: Written | None = None
    group: Group = Group.WORLD
    doc: str = ""

    @property
    def expected(self) -> str:
        """What would be accepted, in words."""
        if self.choices:
            return f"one of {listed(self.choices)}"
        noun = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}[self.kind]
        return f"{noun} from {self.range}" if self.range else noun

    def check(self, value: object) -> Scalar:
        """The value as this knob's own type, or a KnobError that names the knob, the value and what is expected."""
        value = value.item() if isinstance(value, np.generic) else value
        if self.choices:
            if not any(value == choice and type(value) is type(choice) for choice in self.choices):
                raise self.wrong(value, nearest(str(value), self.choices))
            return value  # type: ignore[return-value]
        plain = self._plain(value)
        if self.range and not self.range.low <= plain <= self.range.high:  # type: ignore[operator]
            raise self.wrong(value)
        if self.written:
            try:
                self.written.check(str(plain))
            except SpecError as error:
                raise type(error)(f"{self.name} = {value!r}: {error}") from None
        return plain

    def read(self, text: str) -> Scalar:
        """The value written in a text, as on a command line."""
        word = text.strip()
        if self.kind is bool and word.lower() in ("true", "false", "yes", "no", "1", "0"):
            return word.lower() in ("true", "yes", "1")
        for kind in (int, float):
            if self.kind in (int, float) and (kind is self.kind or self.kind is int):
                try:
                    return self.check(kind(word.replace("_", "")))
                except KnobError:
                    raise
                except (ValueError, OverflowError):
                    continue
        return self.check(word)

    def wrong(self, value: object, hint: str = "") -> KnobError:
        """The error for a value that is none of this knob's."""
        return KnobError(f"{self.name} = {value!r}: expected {self.expected}{hint}")

    def _plain(self, value: object) -> Scalar:
        if self.kind is str and isinstance(value, str):
            return value
        if self.kind is bool and isinstance(value, bool):
            return value
        if isinstance(value, bool):
            raise self.wrong(value)
        if self.kind is int and isinstance(value, Integral):
            return int(value)
        if self.kind is int and isinstance(value, float) and value.is_integer():
            return int(value)
        if self.kind is float and isinstance(value, Real) and value == value:
            return float(value)
        raise self.wrong(value)


def _knob(name: str, hint: Any, default: Any, owner: str) -> Knob:
    extras: tuple[Any, ...] = ()
    if get_origin(hint) is Annotated:
        hint, *rest = get_args(hint)
        extras = tuple(rest)
    choices: tuple[Scalar, ...] = ()
    if get_origin(hint) is Literal:
        choices = get_args(hint)
        hint = type(choices[0])
    if hint not in (int, float, bool, str):
        raise KnobError(f"{owner}: knob {name!r} has type {hint!r}; a knob is an int, float, bool, str or Literal")
    if default is inspect.Parameter.empty:
        raise KnobError(f"{owner}: knob {name!r} has no default")
    found: dict[type, Any] = {type(extra): extra for extra in extras}
    return Knob(
        name=name,
        kind=hint,
        default=default,
        range=found.get(Range),
        choices=choices,
        written=found.get(Written),
        group=found.get(Group, Group.WORLD),
        doc=found.get(str, ""),
    )


def knobs(thing: Any) -> Mapping[str, Knob]:
    """The knobs of a phenomenon's class or of a rule, by name, in the order of its signature."""
    return _knobs(thing)


@functools.cache
def _knobs(thing: Any) -> Mapping[str, Knob]:
    function = inspect.getattr_static(thing, "__init__") if isinstance(thing, type) else inspect.unwrap(thing)
    hints = get_type_hints(function, include_extras=True)
    found = {}
    for name, parameter in inspect.signature(function).parameters.items():
        takes = name not in RESERVED and parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
        if takes and not (parameter.default is parameter.empty and not isinstance(thing, type)):
            found[name] = _knob(name, hints.get(name, str), parameter.default, thing.__name__)
    return types.MappingProxyType(found)


def missing(name: str, owner: str, has: Iterable[str]) -> KnobError:
    """The error for a knob that is not there."""
    names = tuple(has)
    return KnobError(f"{name}: {owner} has no such knob{nearest(name, names)}; it has {listed(names) or 'none'}")


def resolve(thing: Callable[..., Any], given: Mapping[str, object]) -> dict[str, Scalar]:
    """Every knob with its value, given or default, in its own type; a KnobError for the first that is wrong."""
    known = knobs(thing)
    for name in given:
        if name not in known:
            raise missing(name, thing.__name__, known)
    return {name: knob.check(given[name]) if name in given else knob.default for name, knob in known.items()}
