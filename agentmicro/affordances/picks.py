"""Several of many options."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Final, final

import numpy as np
from numpy.typing import NDArray

from agentmicro.affordances.base import Acts, Affordance, Offer, Order, closed, rows
from agentmicro.affordances.options import Menu, checked_options, checked_order, smallest_integer, stripped_marks
from agentmicro.affordances.reading import (
    MISSING,
    NEGATION,
    Parsed,
    answered,
    bare,
    capped,
    fold,
    layers,
    parsed,
    quoted,
    scalar_text,
    unwrap,
    whole_json,
)
from agentmicro.errors import ReplyError, SpecError, listed

EMPTY: Final = -1
BLANK: Final = -2
NO_PICKS: Final = frozenset({"none", "nothing", "no picks", "none of them", "none of the options", "[]"})
SEPARATORS: Final = (r"\n", ";", ",", r"\band\b|&")
BETWEEN: Final = re.compile(r"[;,&]|\band\b")
LINES: Final = 1000
UNDECIDED: Final = re.compile(r"\b(?:or|either)\b")


@final
@dataclass(frozen=True, init=False)
class Picks(Affordance):
    """An act is several of many options, in the order picked, or none of them.

    It is coded as a row of `most` indices in the smallest signed integer type that fits, padded with -1; a row that
    begins with -2 is blank, so that picking nothing and not acting stay different.
    """

    kind: ClassVar[str] = "picks"
    options: tuple[str, ...]
    most: int
    least: int

    def __init__(self, options: Iterable[str], most: int, least: int = 0) -> None:
        found = checked_options("Picks", options)
        if not isinstance(most, int) or not 1 <= most <= len(found):
            raise SpecError(f"Picks: most = {most!r}, expected 1 to {len(found)}, the number of options")
        if not isinstance(least, int) or not 0 <= least <= most:
            raise SpecError(f"Picks: least = {least!r}, expected 0 to {most}, the most picks")
        object.__setattr__(self, "options", found)
        object.__setattr__(self, "most", int(most))
        object.__setattr__(self, "least", int(least))

    @cached_property
    def _codes(self) -> dict[str, int]:
        return {option: code for code, option in enumerate(self.options)}

    @property
    def dtype(self) -> np.dtype[Any]:
        """A subarray of `most` indices."""
        return np.dtype((smallest_integer(len(self.options)), (self.most,)))

    def blank(self, n: int) -> Acts:
        """Rows of -1 that begin with -2."""
        acts = np.full((n, self.most), EMPTY, self.dtype.base)
        acts[:, 0] = BLANK
        return acts

    def is_blank(self, acts: Acts) -> NDArray[np.bool_]:
        """True where the row begins with -2."""
        return np.asarray(rows(acts, "Picks", np.int64, self.most)[:, 0] == BLANK)

    def valid(self, acts: Acts) -> NDArray[np.bool_]:
        """True where the row holds enough different options, followed by nothing but -1."""
        codes = rows(acts, "Picks", np.int64, self.most)
        picked = codes != EMPTY
        known = ((codes >= EMPTY) & (codes < len(self.options))).all(axis=1)
        padded = (picked[:, :-1] >= picked[:, 1:]).all(axis=1)
        ordered = np.sort(codes, axis=1)
        different = ((ordered[:, :-1] != ordered[:, 1:]) | (ordered[:, :-1] == EMPTY)).all(axis=1)
        return np.asarray(known & padded & different & (picked.sum(axis=1) >= self.least))

    def _encode(self, value: Any) -> Any:
        row = np.full(self.most, EMPTY, self.dtype.base)
        row[: len(value)] = [self._codes[option] for option in value]
        return row

    def decode(self, coded: Any) -> tuple[str, ...] | None:
        """The options of a row, in the order picked; None for a blank row."""
        row = np.asarray(coded)[None]
        if self.is_blank(row)[0]:
            return None
        if not self.valid(row)[0]:
            raise SpecError(f"Picks: the row {row[0].tolist()} is no list of {self.least} to {self.most} options")
        return tuple(self.options[code] for code in row[0] if code != EMPTY)

    def fault(self, value: object) -> str:
        """Says what is wrong with the list: its type, an option, or their number."""
        if not isinstance(value, tuple):
            return f"{quoted(value)} is no tuple of options"
        for option in value:
            if not isinstance(option, str) or option not in self._codes:
                return f"{quoted(option)} is no option, expected some of {listed(self.options)}"
        if len(set(value)) < len(value):
            return f"{quoted(listed(value))} names an option twice"
        return self.miscount(value)

    def miscount(self, value: tuple[str, ...]) -> str:
        """What is wrong with the number of picks; nothing when it is allowed."""
        if self.least <= len(value) <= self.most:
            return ""
        span = f"{self.least} to {self.most}" if self.least < self.most else f"exactly {self.most}"
        return f"{len(value)} options are picked, expected {span}"

    def offer(
        self, order: Order | None = None, labelled: bool = False, names: Mapping[str, int] | None = None
    ) -> "PicksOffer":
        """The options in the order given; those left out are not on offer."""
        shown = checked_order("Picks", order, len(self.options))
        if len(shown) < self.least:
            raise SpecError(
                f"Picks: {len(shown)} options are on offer, expected at least {self.least}, the least picks"
            )
        return PicksOffer(self, shown, labelled, names)


@final
@dataclass(frozen=True)
class PicksOffer(Offer[Picks]):
    """One question with several answers out of the options shown."""

    @cached_property
    def menu(self) -> Menu:
        """The options on offer, with their labels."""
        return Menu(self.affordance.options, self.order, self.labelled)

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels in the order shown; none when they were not asked for or could be taken for an option."""
        return self.menu.labels

    @property
    def most(self) -> int:
        """The most picks that the options on offer allow."""
        return min(self.affordance.most, len(self.order))

    @property
    def text(self) -> str:
        """The options on offer, one per line."""
        return self.menu.text

    @property
    def form(self) -> str:
        """How to answer, and how many picks are allowed."""
        least, most = self.affordance.least, self.most
        span = f"exactly {most}" if least == most else f"at most {most}" if least == 0 else f"{least} to {most}"
        none = ', or "none"' if least == 0 else ""
        return f"Answer with {span} of the options, separated by commas{none}, and nothing else."

    def describe(self, value: tuple[str, ...]) -> str:
        """The options with commas between them, or a JSON list where commas would be misread."""
        self.affordance.check(value)
        on_offer = set(value) <= set(self.menu.shown)
        reader = self if on_offer else self.affordance.offer()
        plain = ", ".join(value) if value else "none"
        return reader.first_exact(value, [lambda: plain, lambda: json.dumps(value, ensure_ascii=False)])

    def parse(self, text: str) -> Parsed:
        """Reads a list of options: JSON, or separated by line breaks, semicolons, commas or "and"."""
        return answered(text, self._direct, self.read, self._prose, self.menu.longest)

    def schema(self) -> dict[str, Any]:
        """`{"picks": [option, ...]}`."""
        return closed({"picks": self.value_schema()}, ["picks"])

    def write(self, value: tuple[str, ...]) -> dict[str, Any]:
        """`{"picks": [option, ...]}`."""
        return {"picks": self.write_value(value)}

    def read(self, raw: object) -> Parsed:
        """Reads `{"picks": [...]}`, or an object with any single key, or the list alone."""
        inner, how = unwrap(raw, "picks")
        found = self.read_value(inner)
        return parsed(found.value, *how, *found.how)

    def value_schema(self) -> dict[str, Any]:
        """A list of different options on offer."""
        items = {"type": "string", "enum": list(self.menu.shown)}
        least, most = self.affordance.least, self.most
        return {"type": "array", "items": items, "minItems": least, "maxItems": most, "uniqueItems": True}

    def write_value(self, value: tuple[str, ...]) -> list[str]:
        """The list of options."""
        self.affordance.check(value)
        return list(value)

    def read_value(self, raw: Any) -> Parsed:
        """Reads a list of options, or one text that names them."""
        if not isinstance(raw, list):
            text, how = scalar_text(raw)
            capped(text, self.menu.longest)
            found = self._words(text) or self._prose(text)
            return parsed(found.value, *how, *found.how)
        items = [scalar_text(item) for item in raw]
        kinds = [name for _, how in items for name in how]
        unique = list(dict.fromkeys(text for text, _ in items))
        found = self._counted([self._item(text) for text in unique])
        return parsed(found.value, *kinds, *found.how, *(["repeat"] if len(unique) < len(items) else []))

    def _item(self, text: str) -> tuple[str, tuple[str, ...]]:
        found = self.menu.find(text)
        if not found:
            raise self.menu.unknown(text)
        return found

    def _counted(self, found: list[tuple[str, tuple[str, ...]]]) -> Parsed:
        """The picks, each once; a wrong number of them is a `ReplyError`, never cut."""
        how = [name for _, names in found for name in names]
        value = tuple(dict.fromkeys(option for option, _ in found))
        if fault := self.affordance.miscount(value):
            raise ReplyError(f"in the reply {fault}")
        return parsed(value, *how, *(["repeat"] if len(value) < len(found) else []))

    def _direct(self, text: str) -> Parsed | None:
        """Reads the answer in the forms asked for; a JSON list goes before an option that looks like one."""
        raw = whole_json(text) if text.lstrip()[:1] in ("[", "{") else MISSING
        if isinstance(raw, dict) or (isinstance(raw, list) and not raw and fold(text) in NO_PICKS):
            return None if raw else self._counted([])
        if isinstance(raw, list):
            found = self.read_value(raw)
            return parsed(found.value, *found.how, *(["space"] if text != text.strip() else []))
        return self._words(text)

    def _words(self, text: str) -> Parsed | None:
        """Reads one option, no picks, or a list in words; None when a piece of it is no option."""
        if found := self.menu.find(text):
            return self._counted([found])
        if fold(bare(text)) in NO_PICKS:
            layer, how = next((pair for pair in layers(text) if fold(pair[0]) in NO_PICKS), (text, ("marks",)))
            return parsed(self._counted([]).value, *how, *(() if layer in NO_PICKS else ("case",)))
        pieces = self._pieces(text, SEPARATORS)
        if not pieces or any(key in fold(text) for key in self._compound - {fold(option) for option, _ in pieces}):
            return None
        return self._counted(pieces)

    @cached_property
    def _compound(self) -> frozenset[str]:
        """Options with a separator inside: where one occurs, splitting would tear it apart."""
        return frozenset(fold(option) for option in self.affordance.options if re.search("|".join(SEPARATORS), option))

    def _pieces(self, text: str, separators: tuple[str, ...]) -> list[tuple[str, tuple[str, ...]]] | None:
        """Splits at line breaks, then semicolons, commas and "and", wherever the text is not yet an option."""
        piece = text.strip()
        if found := self.menu.find(piece):
            return [found]
        for depth, separator in enumerate(separators, start=1):
            parts = re.split(separator, piece)
            if len(parts) > 1:
                lists = [self._pieces(part, separators[depth:]) for part in parts if stripped_marks(part)]
                return [pick for picks in lists for pick in picks or ()] if lists and all(lists) else None
        return None

    def _prose(self, text: str) -> Parsed:
        """Reads a sentence in which every enumerated piece names an option."""
        found: list[tuple[str, tuple[str, ...]]] = []
        lines = [line for line in text.split("\n") if stripped_marks(line)]
        if len(lines) > LINES:
            raise ReplyError(f"the reply has {len(lines):,} lines that are no options; at most {LINES:,} are read")
        for line in lines:
            named = self.menu.mentioned(line)
            if not named.options:
                raise self.menu.unknown(line)
            if named.mixed or NEGATION.search(named.rest) or UNDECIDED.search(named.rest):
                raise ReplyError(f"the reply {quoted(line)} is no plain list of options; answer with the options alone")
            for piece in BETWEEN.split(named.rest):
                named_here = "\0" in piece or named.labels & set(re.findall(r"\w+", piece.upper()))
                if stripped_marks(piece) and not named_here:
                    raise self.menu.unknown(piece.strip())
            found.extend((option, ("prose", "label") if named.labels else ("prose",)) for option in named.options)
        if not found:
            raise self.menu.unknown(text)
        return self._counted(found)
