"""A text to all, or texts to some."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Final, final

import numpy as np
from numpy.typing import NDArray

from agentmicro.affordances.base import Acts, Affordance, Offer, Order, closed, rows
from agentmicro.affordances.options import no_order
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
    scalar_text,
    sections,
    unfenced,
    unwrap,
    whole_json,
)
from agentmicro.errors import ReplyError, SpecError, listed, nearest

NOBODY: Final = frozenset({"nobody", "no one", "nothing", "none"})
ADDRESS: Final = re.compile(r"\s*(?:to\s|@)", re.IGNORECASE)


@final
@dataclass(frozen=True)
class Message(Affordance):
    """An act is a text to all, or, when addressed, a text to each of some agents.

    It is coded in an object array, with None for blank. Silence is an act, not a blank: the text "" to all, the
    mapping {} when addressed. A text over the limit is invalid, never cut. Addressed values map row numbers to texts;
    in text and JSON the rows go by the names of the offer, or by their numbers without names.
    """

    kind: ClassVar[str] = "message"
    addressed: bool = False
    limit: int | None = None

    def __post_init__(self) -> None:
        if self.limit is not None and (not isinstance(self.limit, int) or self.limit < 1):
            raise SpecError(f"Message: limit = {self.limit!r}, expected at least 1 character, or None for no limit")

    @property
    def dtype(self) -> np.dtype[Any]:
        """Python objects."""
        return np.dtype(object)

    def blank(self, n: int) -> Acts:
        """A column of None."""
        return np.full(n, None, object)

    def is_blank(self, acts: Acts) -> NDArray[np.bool_]:
        """True where there is None."""
        found = rows(acts, "Message", np.object_)
        return np.fromiter((act is None for act in found), np.bool_, len(found))

    def valid(self, acts: Acts) -> NDArray[np.bool_]:
        """True where there is a text within the limit, or a mapping of rows to such texts."""
        found = rows(acts, "Message", np.object_)
        return np.fromiter((not self.fault(act) for act in found), np.bool_, len(found))

    def _encode(self, value: Any) -> Any:
        return dict(value) if self.addressed else value

    def decode(self, coded: Any) -> str | dict[int, str] | None:
        """The text, or the texts by row; None for a blank row."""
        if coded is None:
            return None
        self.check(coded)
        return dict(coded) if self.addressed else str(coded)

    def fault(self, value: object) -> str:
        """Says whether the value is no text, addressed to no row, or over the limit."""
        if not self.addressed:
            return self._fault_of(value)
        if not isinstance(value, dict):
            return f"{quoted(value)} is no mapping of row numbers to texts"
        for row, text in value.items():
            if isinstance(row, bool) or not isinstance(row, int | np.integer) or row < 0:
                return f"{quoted(row)} is no row number"
            if fault := self._fault_of(text):
                return fault
        return ""

    def _fault_of(self, text: object) -> str:
        if not isinstance(text, str):
            return f"{quoted(text)} is no text"
        if self.limit is not None and len(text) > self.limit:
            return f"the message has {len(text):,} characters, expected at most {self.limit:,}"
        return ""

    def offer(
        self, order: Order | None = None, labelled: bool = False, names: Mapping[str, int] | None = None
    ) -> "Offer[Message]":
        """The message as asked for; with names, only the agents named can be addressed."""
        no_order("Message", order)
        if not self.addressed or names is None:
            return (AddressedOffer if self.addressed else MessageOffer)(self, None, labelled, names)
        known = dict(names)
        if not all(isinstance(name, str) and name.strip() for name in known):
            raise SpecError(f"Message: the names {listed(known)} are not all words")
        for what, keys in (("names", {fold(name) for name in known}), ("rows", set(known.values()))):
            if len(keys) < len(known):
                raise SpecError(f"Message: the {what} {quoted(known)} are not all different")
        return AddressedOffer(self, None, labelled, known)

    @property
    def span(self) -> str:
        """How long a text may be, in words."""
        return "" if self.limit is None else f" of at most {self.limit} characters"

    def text_schema(self) -> dict[str, Any]:
        """The JSON schema of one text."""
        return {"type": "string"} if self.limit is None else {"type": "string", "maxLength": self.limit}

    def accepted(self, value: Any) -> Any:
        """The value when it is valid; else a `ReplyError`."""
        if fault := self.fault(value):
            raise ReplyError(f"in the reply {fault}")
        return value


@final
@dataclass(frozen=True)
class MessageOffer(Offer[Message]):
    """A text to all. What was said is what was written: only what surrounds it is repaired."""

    @property
    def text(self) -> str:
        """What kind of text may be written."""
        return f"a message to all{self.affordance.span}"

    @property
    def form(self) -> str:
        """How to answer, and how to stay silent."""
        return 'Answer with the text of your message and nothing else; to say nothing, answer "" (two quotation marks).'

    def describe(self, value: str) -> str:
        """The text itself, or in quotes where it would not be read as it stands; silence is two quotation marks."""
        self.affordance.check(value)
        return self.first_exact(value, [lambda: value, lambda: json.dumps(value, ensure_ascii=False)])

    def parse(self, text: str) -> Parsed:
        """Reads the whole text as the message, without the white space, quotes or JSON object around it."""
        given(text)
        if is_nothing(text):
            raise ReplyError("the reply is empty")
        inside = unfenced(text)
        raw = whole_json(text if inside is None else inside)
        if isinstance(raw, dict) and isinstance(raw.get("message"), str):
            found = self.read(raw)
            return parsed(found.value, *([] if inside is None else ["fence"]), "json", *found.how)
        if isinstance(raw, str) and inside is None:
            return parsed(self.affordance.accepted(raw), *(["marks"] if raw else []))
        return parsed(self.affordance.accepted(text.strip()), *(["space"] if text != text.strip() else []))

    def schema(self) -> dict[str, Any]:
        """`{"message": text}`."""
        return closed({"message": self.value_schema()}, ["message"])

    def write(self, value: str) -> dict[str, Any]:
        """`{"message": text}`."""
        return {"message": self.write_value(value)}

    def read(self, raw: object) -> Parsed:
        """Reads `{"message": text}`, or an object with any single key, or the text alone."""
        inner, how = unwrap(raw, "message")
        found = self.read_value(inner)
        return parsed(found.value, *how, *found.how)

    def value_schema(self) -> dict[str, Any]:
        """A text within the limit."""
        return self.affordance.text_schema()

    def write_value(self, value: str) -> str:
        """The text itself."""
        self.affordance.check(value)
        return value

    def read_value(self, raw: Any) -> Parsed:
        """Reads the text exactly as it is."""
        text, how = scalar_text(raw)
        return parsed(self.affordance.accepted(text), *how)


@final
@dataclass(frozen=True)
class AddressedOffer(Offer[Message]):
    """Texts to some agents, by name."""

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {fold(name): row for name, row in (self.names or {}).items()}

    @cached_property
    def _names(self) -> dict[int, str]:
        return {row: name for name, row in (self.names or {}).items()}

    @property
    def text(self) -> str:
        """Who can be written to, and how long a text may be."""
        whom = "any agent, by its number" if self.names is None else f"any of: {listed(self.names)}"
        return f"messages{self.affordance.span} to {whom}"

    @property
    def form(self) -> str:
        """How to answer, and how to stay silent."""
        return (
            "Answer with a JSON object that gives each agent you write to its text, and nothing else; "
            "to say nothing, answer {}."
        )

    def describe(self, value: dict[int, str]) -> str:
        """One line `name: text` per agent, or a JSON object where lines would be misread; silence is {}."""
        written = self.write_value(value)
        lines = "\n".join(f"{name}: {text}" for name, text in written.items()) or "{}"
        return self.first_exact(value, [lambda: lines, lambda: json.dumps(written, ensure_ascii=False)])

    def parse(self, text: str) -> Parsed:
        """Reads a JSON object of names and texts, or lines `name: text`."""
        given(text)
        inside = unfenced(text)
        fence = () if inside is None else ("fence",)
        inside = text if inside is None else inside
        if fold(bare(inside)) in NOBODY:
            return parsed({}, *fence, "lines")
        if is_nothing(inside):
            raise ReplyError("the reply is empty")
        raw = whole_json(inside)
        if isinstance(raw, dict):
            found = self._document(raw)
            return parsed(found.value, *fence, *found.how)
        before, lines = sections(inside, self._row)
        if lines and not before:
            return parsed(self._collected(lines), *fence, "lines")
        objects = inner_json(inside) if len(inside) <= LONGEST else []
        if objects and not lines:
            found = agreed([self._document(one) for one in objects])
            return parsed(found.value, *fence, "prose", *found.how)
        raise ReplyError(f"the text {quoted(before or inside)} is addressed to nobody; write to {self._who}")

    def schema(self) -> dict[str, Any]:
        """`{"message": {name: text, ...}}`."""
        return closed({"message": self.value_schema()}, ["message"])

    def write(self, value: dict[int, str]) -> dict[str, Any]:
        """`{"message": {name: text, ...}}`."""
        return {"message": self.write_value(value)}

    def read(self, raw: object) -> Parsed:
        """Reads `{"message": {name: text, ...}}`, or the inner object alone."""
        found = self._document(raw)
        wrapped = isinstance(raw, dict) and isinstance(raw.get("message"), dict)
        return parsed(found.value, *([] if wrapped else ["bare"]), *found.how)

    def value_schema(self) -> dict[str, Any]:
        """A text under any of the names; without names, under row numbers."""
        text = self.affordance.text_schema()
        if self.names is not None:
            return closed(dict.fromkeys(self.names, text), [])
        return {**closed({}, []), "patternProperties": {"^[0-9]+$": text}}

    def write_value(self, value: dict[int, str]) -> dict[str, str]:
        """The texts by name."""
        self.affordance.check(value)
        if self.names is not None and (unnamed := [row for row in value if row not in self._names]):
            raise SpecError(f"Message: row {unnamed[0]} has no name in this offer; it names {listed(self.names)}")
        return {self._names.get(row, str(row)): text for row, text in value.items()}

    def read_value(self, raw: Any) -> Parsed:
        """Reads texts by name."""
        if raw is None:
            raise ReplyError("the reply is empty")
        if not isinstance(raw, dict):
            raise ReplyError(f"the reply is {quoted(raw)}, expected a JSON object of names and texts")
        found = []
        how: list[str] = []
        for name, content in raw.items():
            row = self._row(name)
            if row is None:
                raise ReplyError(f"{name!r} is nobody to write to; write to {self._who}{nearest(name, self._rows)}")
            text, names = scalar_text(content)
            found.append((row, text))
            how.extend(names)
        return parsed(self._collected(found), *how)

    def _document(self, raw: Any) -> Parsed:
        wrapped = isinstance(raw, dict) and len(raw) == 1 and isinstance(raw.get("message"), dict)
        return self.read_value(raw["message"] if wrapped else raw)

    def _collected(self, texts: list[tuple[int, str]]) -> dict[int, str]:
        found = dict(texts)
        if len(found) < len(texts):
            raise ReplyError("the reply writes to the same agent twice; give each agent one text")
        result: dict[int, str] = self.affordance.accepted(found)
        return result

    def _row(self, name: str) -> int | None:
        """The row that a name stands for, with or without "To" or "@" before it."""
        for candidate in (name, bare(name), bare(ADDRESS.sub("", name, count=1))):
            if self.names is None:
                digits = candidate.strip()
                if digits.isascii() and digits.isdecimal() and len(digits) < 19:
                    return int(digits)
            elif (row := self._rows.get(fold(candidate))) is not None:
                return row
        return None

    @property
    def _who(self) -> str:
        return "agents by their number" if self.names is None else f"any of {listed(self.names)}"
