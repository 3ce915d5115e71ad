"""Reading the tables of a scenario file: each value is checked where it stands, and each error says where that is."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

from agentmicro import phenomena
from agentmicro.errors import ScenarioError, SpecError, listed, nearest
from agentmicro.knobs import Scalar

type Knobs = Mapping[str, Scalar]


@dataclass(frozen=True)
class Table:
    """One table of a scenario file, and where it stands."""

    file: str
    name: str
    values: Mapping[str, Any]

    @property
    def place(self) -> str:
        """`file: [table]`, as every error begins."""
        return f"{self.file}: [{self.name}]" if self.name else f"{self.file}:"

    def wrong(self, key: str, expected: str) -> ScenarioError:
        """The error for a value that is not what its key takes."""
        return ScenarioError(f"{self.place} {key} = {self.values[key]!r}: expected {expected}")

    def only(self, *keys: str) -> None:
        """Refuses keys that this table does not have."""
        for key in self.values:
            if key not in keys:
                what = "key" if self.name else "table or key"
                raise ScenarioError(f"{self.place} no {what} {key!r}{nearest(key, keys)}; expected {listed(keys)}")

    def needs(self, *keys: str) -> None:
        """Refuses to do without these keys."""
        for key in keys:
            if not self.values.get(key):
                raise ScenarioError(f"{self.place} {key} is missing")

    def needs_all(self, *keys: str) -> None:
        """Refuses to do without these keys, whose values may be 0."""
        for key in keys:
            if key not in self.values:
                raise ScenarioError(f"{self.place} {key} is missing")

    def text(self, key: str) -> str:
        """A text, or nothing."""
        value = self.values.get(key, "")
        if not isinstance(value, str):
            raise self.wrong(key, "a text")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of texts, or one text."""
        value = self.values.get(key, [])
        if isinstance(value, str):
            return (value,)
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self.wrong(key, "a list of texts")
        return tuple(value)

    def choice(self, key: str, choices: tuple[str, ...]) -> str:
        """One of some words, or nothing."""
        value = self.text(key)
        if value and value not in choices:
            raise self.wrong(key, f"one of {listed(choices)}{nearest(value, choices)}")
        return value

    def whole(self, key: str, low: int, high: int, default: int) -> int:
        """A whole number within bounds."""
        value = self.values.get(key, default)
        if not isinstance(value, int) or isinstance(value, bool) or (key in self.values and not low <= value <= high):
            raise self.wrong(key, f"a whole number from {low:,} to {high:,}")
        return value

    def number(self, key: str) -> float:
        """A finite number."""
        value = self.values[key]
        if not _finite(value):
            raise self.wrong(key, "a number")
        return float(value)

    def positive(self, key: str) -> float:
        """A finite number above 0."""
        found = self.number(key) if _finite(self.values[key]) else 0.0
        if not found > 0:
            raise self.wrong(key, "a number above 0")
        return found

    def places(self, key: str) -> tuple[int, ...]:
        """A list of different whole numbers from 0 up."""
        value = self.values.get(key, [])
        whole = isinstance(value, list) and all(type(item) is int and item >= 0 for item in value)
        if not whole or len(set(value)) < len(value):
            raise self.wrong(key, "a list of different whole numbers from 0 up")
        return tuple(value)

    def inside(self, key: str, folder: Path) -> Path:
        """A file within a folder, by a path that does not lead out of it."""
        path = (folder / self.text(key)).resolve()
        if not path.is_relative_to(folder.resolve()):
            raise self.wrong(key, "a path inside the folder of the scenario")
        if not path.is_file():
            raise self.wrong(key, "a file beside the scenario, and there is none")
        return path

    def interval(self, key: str) -> tuple[float, float]:
        """Two finite numbers, the smaller first."""
        value = self.values[key]
        if not isinstance(value, list) or len(value) != 2 or not all(map(_finite, value)) or value[0] > value[1]:
            raise self.wrong(key, "two numbers, the smaller first, such as [0, 1]")
        return float(value[0]), float(value[1])

    def table(self, key: str) -> "Table":
        """A table inside this one; empty where it is not given."""
        value = self.values.get(key, {})
        if not isinstance(value, dict):
            raise self.wrong(key, "a table")
        return Table(self.file, f"{self.name}.{key}" if self.name else key, value)

    def tables(self, key: str) -> "list[Table]":
        """A list of tables, each with its number for a name."""
        value = self.values.get(key, [])
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise self.wrong(key, f"tables, each headed [[{key}]]")
        return [Table(self.file, f"{key} {number}", item) for number, item in enumerate(value, start=1)]

    def phenomenon(self, key: str) -> Any:
        """The class of the phenomenon that a key names."""
        self.needs(key)
        name = self.text(key)
        if phenomena.plain(name) not in phenomena.names():
            raise self.wrong(key, f"one of {listed(phenomena.names())}{nearest(name, phenomena.names())}")
        return phenomena.find(name)

    def measure(self, key: str, cls: Any) -> str:
        """The name of something that the phenomenon measures, or nothing."""
        value = self.text(key)
        return self.one_measure(value, key, cls) if value else value

    def one_measure(self, value: str, key: str, cls: Any) -> str:
        """A name that must be one of something that the phenomenon measures."""
        if value not in columns(cls):
            raise self.wrong(
                key, f"a measure of {cls.__name__}{nearest(value, columns(cls))}; it has {listed(columns(cls))}"
            )
        return value

    def column(self, name: str, cls: Any) -> str:
        """A key that is itself the name of something that the phenomenon measures."""
        if name not in columns(cls):
            has = listed(columns(cls))
            raise ScenarioError(
                f"{self.place} no measure {name!r}{nearest(name, columns(cls))}; {cls.__name__} has {has}"
            )
        return name

    def knobs(self, key: str, cls: Any, base: Knobs | None = None) -> Knobs:
        """A table of knobs, checked on top of others; returns those that are given, in their own types."""
        inside = self.table(key)
        try:
            found = cls.checked({**(base or {}), **inside.values})
        except SpecError as error:
            raise ScenarioError(f"{inside.place} {error}") from None
        return {name: found[name] for name in inside.values}

    def several(self, key: str, cls: Any, base: Knobs) -> tuple[Scalar, ...]:
        """A list of values for one knob, each of them checked and none twice."""
        value = self.values[key]
        if not isinstance(value, list) or not value:
            raise self.wrong(key, "a list of values, at least one")
        found = [Table(self.file, self.name, {key: {key: item}}).knobs(key, cls, base)[key] for item in value]
        if len(set(map(repr, found))) < len(found):
            raise self.wrong(key, "different values")
        return tuple(found)


@functools.cache
def columns(cls: Any) -> tuple[str, ...]:
    """Everything that a phenomenon writes down at each turn: its measures and the ledger of decisions."""
    return tuple(cls(rng=0).datacollector.model_vars)


def _finite(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
