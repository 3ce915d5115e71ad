"""A document of named parts."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any, ClassVar, final

import numpy as np
from numpy.typing import NDArray

from agentmicro.affordances.base import Acts, Affordance, Offer, Order, closed
from agentmicro.affordances.reading import (
    LONGEST,
    Parsed,
    agreed,
    bare,
    fold,
    given,
    inner_json,
    is_nothing,
    parsed,
    quoted,
    sections,
    unfenced,
    whole_json,
)
from agentmicro.errors import ReplyError, SpecError, listed, nearest


@final
@dataclass(frozen=True, init=False, eq=False)
class Artifact(Affordance):
    """An act is a document with named parts, each an act of its own: a form, a compound act, a tool call.

    It is coded as one structured NumPy type with a field per part, so `acts["vote"]` is the column of the part "vote";
    a row is blank when all its parts are. Private parts are written by their author and shown to nobody: `public` is
    the Artifact without them, and it reads the same rows.
    """

    kind: ClassVar[str] = "artifact"
    parts: Mapping[str, Affordance]
    private: tuple[str, ...]

    def __init__(self, parts: Mapping[str, Affordance], private: tuple[str, ...] = ()) -> None:
        if not parts:
            raise SpecError("Artifact: there are no parts, expected at least one")
        for name, part in parts.items():
            if not isinstance(name, str) or not name.strip():
                raise SpecError(f"Artifact: the part name {name!r} is no text, expected words")
            if not isinstance(part, Affordance) or hasattr(part, "parts"):
                raise SpecError(
                    f"Artifact: the part {name!r} is {quoted(part)}, expected an affordance that has no parts"
                )
        if len({fold(name) for name in parts}) < len(parts):
            raise SpecError(f"Artifact: the part names {listed(parts)} differ at most by letter case")
        hidden = (private,) if isinstance(private, str) else tuple(private)
        for name in hidden:
            if name not in parts:
                raise SpecError(
                    f"Artifact: the private part {name!r} is no part, expected some of "
                    f"{listed(parts)}{nearest(str(name), parts)}"
                )
        if len(set(hidden)) == len(parts):
            raise SpecError(f"Artifact: all parts ({listed(parts)}) are private, expected at least one that others see")
        object.__setattr__(self, "parts", MappingProxyType(dict(parts)))
        object.__setattr__(self, "private", tuple(name for name in parts if name in hidden))

    # The order of the parts is the order of the fields, so it is part of what an Artifact is.
    def _identity(self) -> tuple[Any, ...]:
        return tuple(self.parts.items()), self.private

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Artifact) and self._identity() == other._identity()

    def __hash__(self) -> int:
        return hash(self._identity())

    def __reduce__(self) -> tuple[Any, ...]:
        return Artifact, (dict(self.parts), self.private)

    def part(self, name: str) -> Affordance:
        """The affordance of one part."""
        if name not in self.parts:
            raise SpecError(
                f"Artifact: there is no part {name!r}, expected one of {listed(self.parts)}{nearest(name, self.parts)}"
            )
        return self.parts[name]

    @property
    def public(self) -> "Artifact":
        """The Artifact without its private parts; it decodes rows of the whole one."""
        if not self.private:
            return self
        return Artifact({name: part for name, part in self.parts.items() if name not in self.private})

    @property
    def dtype(self) -> np.dtype[Any]:
        """A structure with a field per part."""
        return np.dtype([(name, part.dtype) for name, part in self.parts.items()])

    def blank(self, n: int) -> Acts:
        """Rows whose parts are all blank."""
        acts = np.empty(n, self.dtype)
        for name, part in self.parts.items():
            acts[name] = part.blank(n)
        return acts

    def is_blank(self, acts: Acts) -> NDArray[np.bool_]:
        """True where every part is blank."""
        self._fields(acts)
        return np.asarray(np.all([part.is_blank(acts[name]) for name, part in self.parts.items()], axis=0))

    def valid(self, acts: Acts) -> NDArray[np.bool_]:
        """True where every part is valid."""
        self._fields(acts)
        return np.asarray(np.all([part.valid(acts[name]) for name, part in self.parts.items()], axis=0))

    def _fields(self, acts: Any) -> None:
        names = getattr(acts, "dtype", np.dtype(object)).names or ()
        if missing := [name for name in self.parts if name not in names]:
            raise SpecError(f"Artifact: the acts have no field {missing[0]!r}, expected {listed(self.parts)}")

    def _encode(self, value: Any) -> Any:
        row = self.blank(1)
        for name, part in self.parts.items():
            row[name][0] = part.encode(value[name])
        return row[0]

    def decode(self, coded: Any) -> dict[str, Any] | None:
        """The values of the parts that were given; None for a blank row.

        A row can hold some parts only, where a phenomenon asks for them one after another.
        """
        self._fields(coded)
        values = {name: part.decode(coded[name]) for name, part in self.parts.items()}
        return {name: value for name, value in values.items() if value is not None} or None

    def fault(self, value: object) -> str:
        """Says which part is missing, unknown or wrong."""
        if not isinstance(value, Mapping):
            return f"{quoted(value)} is no mapping of parts to values"
        for name in value:
            if name not in self.parts:
                return f"there is no part {name!r}, expected {listed(self.parts)}{nearest(str(name), self.parts)}"
        for name, part in self.parts.items():
            if name not in value:
                return f"the part {name!r} is missing"
            if fault := part.fault(value[name]):
                return f"in the part {name!r}, {fault}"
        return ""

    def offer(
        self, order: Order | None = None, labelled: bool = False, names: Mapping[str, int] | None = None
    ) -> "ArtifactOffer":
        """Each part as it is offered on its own; `order` maps names of parts to the orders of their options."""
        if order is not None and not isinstance(order, Mapping):
            raise SpecError(f"Artifact: the order {quoted(order)} is no mapping of parts to orders")
        orders = {name: tuple(int(index) for index in chosen) for name, chosen in (order or {}).items()}
        for name, chosen in orders.items():
            self.part(name).offer(chosen, labelled)
        return ArtifactOffer(self, orders, labelled, names)


@final
@dataclass(frozen=True)
class ArtifactOffer(Offer[Artifact]):
    """A form with one question per part."""

    @cached_property
    def parts(self) -> dict[str, Offer[Any]]:
        """The offers of the parts."""
        return {
            name: part.offer(self.order.get(name), self.labelled, self.names)
            for name, part in self.affordance.parts.items()
        }

    @property
    def text(self) -> str:
        """What each part may be; options stand on lines of their own."""
        blocks = []
        for name, offer in self.parts.items():
            blocks.append(f"{name}: {offer.text}" if offer.order is None else f"{name}:\n{offer.text}")
        return "\n".join(blocks)

    @property
    def form(self) -> str:
        """How to answer; what each key holds stands in `text`."""
        keys = listed(json.dumps(name, ensure_ascii=False) for name in self.parts)
        return f"Answer with a JSON object that has exactly the keys {keys} and nothing else."

    def describe(self, value: Mapping[str, Any]) -> str:
        """One line `name: value` per part, or a JSON object where lines would be misread."""
        self.affordance.check(value)

        def lines() -> str:
            return "\n".join(f"{name}: {offer.describe(value[name])}" for name, offer in self.parts.items())

        return self.first_exact(dict(value), [lines, lambda: json.dumps(self.write(value), ensure_ascii=False)])

    def parse(self, text: str) -> Parsed:
        """Reads a JSON object with the parts as keys, or lines `name: value`."""
        given(text)
        inside = unfenced(text)
        fence = () if inside is None else ("fence",)
        inside = text if inside is None else inside
        if is_nothing(inside):
            raise ReplyError("the reply is empty")
        raw = whole_json(inside)
        if isinstance(raw, dict):
            found = self.read(raw)
            return parsed(found.value, *fence, *found.how)
        before, lines = sections(inside, self._name)
        objects = inner_json(inside) if len(inside) <= LONGEST else []
        if objects and (before or not lines):
            found = agreed([self.read(one) for one in objects])
            return parsed(found.value, *fence, "prose", *found.how)
        if not lines:
            raise ReplyError(f"the reply {quoted(text)} has none of the parts {listed(self.parts)}")
        found = self._assembled(lines, lambda offer, content: offer.parse(content))
        return parsed(found.value, *fence, "lines", *(["prose"] if before else []), *found.how)

    def schema(self) -> dict[str, Any]:
        """`{part: value, ...}`: the parts themselves are the properties."""
        return self.value_schema()

    def write(self, value: Mapping[str, Any]) -> dict[str, Any]:
        """`{part: value, ...}`."""
        return self.write_value(value)

    def read(self, raw: object) -> Parsed:
        """Reads `{part: value, ...}`, also inside an object with a single key; other keys are dropped."""
        if isinstance(raw, dict) and len(raw) == 1 and self._name(next(iter(raw))) is None:
            found = self.read_value(next(iter(raw.values())))
            return parsed(found.value, "key", *found.how)
        return self.read_value(raw)

    def value_schema(self) -> dict[str, Any]:
        """An object with a property per part."""
        return closed({name: offer.value_schema() for name, offer in self.parts.items()}, list(self.parts))

    def write_value(self, value: Mapping[str, Any]) -> dict[str, Any]:
        """The JSON of each part."""
        self.affordance.check(value)
        return {name: offer.write_value(value[name]) for name, offer in self.parts.items()}

    def read_value(self, raw: Any) -> Parsed:
        """Reads the JSON of each part."""
        if raw is None:
            raise ReplyError("the reply is empty")
        if not isinstance(raw, dict):
            raise ReplyError(f"the reply is {quoted(raw)}, expected a JSON object with the keys {listed(self.parts)}")
        named = [(self._name(key), key, content) for key, content in raw.items()]
        found = self._assembled(
            [(name, content) for name, _, content in named if name is not None],
            lambda offer, content: offer.read_value(content),
        )
        extra = ["extra"] if any(name is None for name, _, _ in named) else []
        case = ["case"] if any(name not in (None, key) for name, key, _ in named) else []
        return parsed(found.value, *extra, *case, *found.how)

    def _name(self, key: str) -> str | None:
        return key if key in self.parts else self._folded.get(fold(bare(key)))

    @cached_property
    def _folded(self) -> dict[str, str]:
        return {fold(bare(name)): name for name in self.parts} | {fold(name): name for name in self.parts}

    def _assembled(self, contents: list[tuple[str, Any]], take: Callable[[Offer[Any], Any], Parsed]) -> Parsed:
        """The document of its parts, each read by its own offer; a missing or repeated part is a `ReplyError`."""
        given = dict(contents)
        if len(given) < len(contents):
            raise ReplyError(f"the reply gives one of the parts {listed(self.parts)} twice")
        value: dict[str, Any] = {}
        how: list[str] = []
        for name, offer in self.parts.items():
            if name not in given:
                raise ReplyError(f"the part {name!r} is missing, expected {listed(self.parts)}")
            try:
                found = take(offer, given[name])
            except ReplyError as error:
                raise ReplyError(f"in the part {name!r}, {error}") from None
            value[name] = found.value
            how.extend(found.how)
        return parsed(value, *how)
