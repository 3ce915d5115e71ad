"""One of several options."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, final

import numpy as np
from numpy.typing import NDArray

from agentmicro.affordances.base import Acts, Affordance, Offer, Order, closed, rows
from agentmicro.affordances.options import Menu, checked_options, checked_order, smallest_integer
from agentmicro.affordances.reading import NEGATION, Parsed, answered, capped, parsed, quoted, scalar_text, unwrap
from agentmicro.errors import ReplyError, SpecError, listed, nearest


@final
@dataclass(frozen=True, init=False)
class Choice(Affordance):
    """An act is one of several options.

    It is coded as the option's index in the smallest signed integer type that fits, with -1 for blank.
    """

    kind: ClassVar[str] = "choice"
    options: tuple[str, ...]

    def __init__(self, options: Iterable[str]) -> None:
        object.__setattr__(self, "options", checked_options("Choice", options))

    @cached_property
    def _codes(self) -> dict[str, int]:
        return {option: code for code, option in enumerate(self.options)}

    @property
    def dtype(self) -> np.dtype[Any]:
        """The smallest signed integer type that fits."""
        return smallest_integer(len(self.options))

    def blank(self, n: int) -> Acts:
        """A column of -1."""
        return np.full(n, -1, self.dtype)

    def is_blank(self, acts: Acts) -> NDArray[np.bool_]:
        """True where the code is -1."""
        return np.asarray(rows(acts, "Choice", np.int64) == -1)

    def valid(self, acts: Acts) -> NDArray[np.bool_]:
        """True where the code is an option's."""
        codes = rows(acts, "Choice", np.int64)
        return np.asarray((codes >= 0) & (codes < len(self.options)))

    def _encode(self, value: Any) -> Any:
        return self.dtype.type(self._codes[value])

    def decode(self, coded: Any) -> str | None:
        """The option of a code; None for -1."""
        code = int(coded)
        if not -1 <= code < len(self.options) or code != coded:
            raise SpecError(f"Choice: the code {coded} is none of 0 to {len(self.options) - 1}, nor -1 for blank")
        return None if code == -1 else self.options[code]

    def fault(self, value: object) -> str:
        """Says which options there are when the value is none of them."""
        if isinstance(value, str) and value in self._codes:
            return ""
        return (
            f"{quoted(value)} is no option, expected one of {listed(self.options)}{nearest(str(value), self.options)}"
        )

    def offer(
        self, order: Order | None = None, labelled: bool = False, names: Mapping[str, int] | None = None
    ) -> "ChoiceOffer":
        """The options in the order given; those left out are not on offer."""
        return ChoiceOffer(self, checked_order("Choice", order, len(self.options)), labelled, names)


@final
@dataclass(frozen=True)
class ChoiceOffer(Offer[Choice]):
    """One question with one answer out of the options shown."""

    @cached_property
    def menu(self) -> Menu:
        """The options on offer, with their labels."""
        return Menu(self.affordance.options, self.order, self.labelled)

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels in the order shown; none when they were not asked for or could be taken for an option."""
        return self.menu.labels

    @property
    def text(self) -> str:
        """The options on offer, one per line."""
        return self.menu.text

    @property
    def form(self) -> str:
        """How to answer."""
        return "Answer with one of the options and nothing else."

    def describe(self, value: str) -> str:
        """The option itself."""
        self.affordance.check(value)
        return value

    def parse(self, text: str) -> Parsed:
        """Reads one option: as it is, by its label, in JSON, or as the only option that a sentence names."""
        return answered(text, self._direct, self.read, self._prose, self.menu.longest)

    def schema(self) -> dict[str, Any]:
        """`{"choice": option}`."""
        return closed({"choice": self.value_schema()}, ["choice"])

    def write(self, value: str) -> dict[str, Any]:
        """`{"choice": option}`."""
        return {"choice": self.write_value(value)}

    def read(self, raw: object) -> Parsed:
        """Reads `{"choice": option}`, or an object with any single key, or the option alone."""
        inner, how = unwrap(raw, "choice")
        found = self.read_value(inner)
        return parsed(found.value, *how, *found.how)

    def value_schema(self) -> dict[str, Any]:
        """The options on offer."""
        return {"type": "string", "enum": list(self.menu.shown)}

    def write_value(self, value: str) -> str:
        """The option itself."""
        return self.describe(value)

    def read_value(self, raw: Any) -> Parsed:
        """Reads an option, or a sentence that names one."""
        text, how = scalar_text(raw)
        capped(text, self.menu.longest)
        found = self._direct(text) or self._prose(text)
        return parsed(found.value, *how, *found.how)

    def _direct(self, text: str) -> Parsed | None:
        found = self.menu.find(text)
        return parsed(found[0], *found[1]) if found else None

    def _prose(self, text: str) -> Parsed:
        named = self.menu.mentioned(text)
        if not named.options:
            raise self.menu.unknown(text)
        if len(named.options) > 1:
            first, second, *_ = named.options
            raise ReplyError(f"the reply names {first!r} and {second!r}; answer with exactly one option")
        if NEGATION.search(named.rest):
            raise ReplyError(f"the reply names {named.options[0]!r} beside a negation; answer with the option alone")
        return parsed(named.options[0], "prose", *(["label"] if named.labels else []))
