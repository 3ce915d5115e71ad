"""A number in a range."""

import math
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Final, final

import numpy as np
from numpy.typing import NDArray

from agentmicro.affordances.base import Acts, Affordance, Offer, Order, closed, rows
from agentmicro.affordances.options import no_order, stripped_marks
from agentmicro.affordances.reading import NEGATION, Parsed, answered, capped, fold, parsed, quoted, unwrap
from agentmicro.errors import ReplyError, SpecError

ROUNDING: Final = 2e-9
"""How far off the step, by rounding error, a number may be."""

EXACT: Final = 2**53 - 1
"""The largest whole number that float64 confuses with no other."""

NUMBER: Final = re.compile(
    r"(?<![^\W_])(?<!\d[.,:/])[-+−]?(?:(?:\d{1,3}(?:,\d{3})++|\d++)(?:\.\d++)?+|\.\d++)(?:[eE][-+]?\d++)?+"
    r"(?![^\W_]|[.,:/]\d)"
)
# These change the number beside them, and reading the number alone would be a silent mistake.
SCALE: Final = re.compile(r"\s*(?:[%‰]|(?:percent|per cent|dozen|hundred|thousand|million|billion|trillion)\b)")
SIGN_BEFORE: Final = re.compile(r"\b(?:minus|negative)\s{1,9}\Z")
DASH_BEFORE: Final = re.compile(r"(?:^|\s)[-−–]\s{1,9}\Z")


@final
@dataclass(frozen=True)
class Number(Affordance):
    """An act is a number from `low` to `high`, on a step or not.

    It is coded as float64, with NaN for blank. Steps count from `low` (from `high`, or from 0, where that is
    infinite); a whole step from a whole start makes the values integers. A number out of range or off the step is
    invalid, never clamped or rounded; only rounding error up to 2e-9 is forgiven on a step.
    """

    kind: ClassVar[str] = "number"
    low: float
    high: float
    step: float | None = None
    unit: str = ""

    def __post_init__(self) -> None:
        for name, bound in (("low", self.low), ("high", self.high)):
            known = isinstance(bound, int | float) and not isinstance(bound, bool)
            # False for NaN, and for an int that float64 cannot hold.
            if not known or not (abs(bound) <= sys.float_info.max or abs(bound) == math.inf):
                raise SpecError(f"Number: {name} = {bound!r} is no number, expected one (or an infinity)")
        if not self.low <= self.high or (self.low == self.high and math.isinf(self.low)):
            raise SpecError(f"Number: low = {self.low} to high = {self.high} is empty, expected low below high")
        step = 1 if self.step is None else self.step
        if isinstance(step, bool) or not isinstance(step, int | float) or not 0 < step < math.inf:
            raise SpecError(f"Number: step = {self.step!r}, expected a number above 0, or None for any number")

    @property
    def start(self) -> float:
        """The number from which the steps count."""
        return next((bound for bound in (self.low, self.high) if math.isfinite(bound)), 0)

    @property
    def whole(self) -> bool:
        """Whether the values are integers."""
        return self.step is not None and float(self.step).is_integer() and float(self.start).is_integer()

    @property
    def dtype(self) -> np.dtype[Any]:
        """float64, also for integers, because blank is NaN."""
        return np.dtype(np.float64)

    def blank(self, n: int) -> Acts:
        """A column of NaN."""
        return np.full(n, np.nan)

    def is_blank(self, acts: Acts) -> NDArray[np.bool_]:
        """True where the number is NaN."""
        return np.asarray(np.isnan(rows(acts, "Number", np.float64)))

    def valid(self, acts: Acts) -> NDArray[np.bool_]:
        """True where the number is in the range and on the step."""
        numbers = rows(acts, "Number", np.float64).astype(np.float64)
        return self._in_range(numbers) & self._on_step(numbers)

    def _slack(self, numbers: NDArray[np.float64]) -> Any:
        if self.step is None:
            return 0.0
        slack = min(ROUNDING, self.step / 100)
        return slack if self.whole else slack + 4 * np.finfo(np.float64).eps * np.abs(numbers)

    def _in_range(self, numbers: NDArray[np.float64]) -> NDArray[np.bool_]:
        with np.errstate(over="ignore", invalid="ignore"):
            slack = self._slack(numbers)
            inside = np.isfinite(numbers) & (numbers >= self.low - slack) & (numbers <= self.high + slack)
        return np.asarray(inside & (np.abs(numbers) <= EXACT) if self.whole else inside)

    def _on_step(self, numbers: NDArray[np.float64]) -> NDArray[np.bool_]:
        if self.step is None:
            return np.ones(numbers.shape, np.bool_)
        finite = np.where(np.isfinite(numbers), numbers, self.start)
        with np.errstate(over="ignore", invalid="ignore"):
            nearest = self.start + np.round((finite - self.start) / self.step) * self.step
            return np.asarray(np.abs(finite - nearest) <= self._slack(finite))

    def _encode(self, value: Any) -> Any:
        return np.float64(self.plain(value))

    def plain(self, value: Any) -> float:
        """A valid number as Python's int, where values are integers, else float."""
        return round(value) if self.whole else float(value)

    def decode(self, coded: Any) -> float | None:
        """The number, an int where the step makes integers; None for NaN."""
        if math.isnan(coded):
            return None
        self.check(coded)
        return self.plain(coded)

    def fault(self, value: object) -> str:
        """Says whether the value is no number, out of the range, or off the step."""
        if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
            return f"{quoted(value)} is no number, expected {self.span}"
        try:
            number = np.array([float(value)])
        except OverflowError:
            number = np.array([math.inf])
        if self.step is None and self.low <= number[0] <= self.high and math.isfinite(number[0]):
            return ""  # without a step there is nothing to round
        if not self._in_range(number)[0]:
            return f"{number[0]:.15g} is out of range, expected {self.span}"
        if not self._on_step(number)[0]:
            return f"{number[0]:.15g} is off the step, expected {self.span}"
        return ""

    @property
    def span(self) -> str:
        """The range in words."""
        low, high = math.isfinite(self.low), math.isfinite(self.high)
        words = "a whole number" if self.whole else "a number"
        if low and high:
            words += f" from {self.low} to {self.high}"
        elif low or high:
            words += f" of at least {self.low}" if low else f" of at most {self.high}"
        if self.step is not None and not (self.whole and self.step == 1):
            words += f" in steps of {self.step} from {self.start}"
        return f"{words}, in {self.unit}" if self.unit else words

    def offer(
        self, order: Order | None = None, labelled: bool = False, names: Mapping[str, int] | None = None
    ) -> "NumberOffer":
        """The whole range."""
        no_order("Number", order)
        return NumberOffer(self, None, labelled, names)


@final
@dataclass(frozen=True)
class NumberOffer(Offer[Number]):
    """One question with a number as its answer."""

    @property
    def text(self) -> str:
        """The range in words."""
        return self.affordance.span

    @property
    def form(self) -> str:
        """How to answer."""
        return f"Answer with one {'whole ' if self.affordance.whole else ''}number and nothing else."

    def describe(self, value: float) -> str:
        """The number and its unit."""
        number = repr(self.write_value(value)).removesuffix(".0")
        with_unit = f"{number} {self.affordance.unit}".rstrip()
        return self.first_exact(self.affordance.plain(value), [lambda: with_unit, lambda: number])

    def parse(self, text: str) -> Parsed:
        """Reads the only number of a text; 3 to 5, 5 %, 5 million and 1,5 are refused, because they say another."""
        return answered(text, self._direct, self.read, self._prose)

    def schema(self) -> dict[str, Any]:
        """`{"number": 42}`."""
        return closed({"number": self.value_schema()}, ["number"])

    def write(self, value: float) -> dict[str, Any]:
        """`{"number": 42}`."""
        return {"number": self.write_value(value)}

    def read(self, raw: object) -> Parsed:
        """Reads `{"number": 42}`, or an object with any single key, or the number alone."""
        inner, how = unwrap(raw, "number")
        found = self.read_value(inner)
        return parsed(found.value, *how, *found.how)

    def value_schema(self) -> dict[str, Any]:
        """The range, and the step where JSON schema can say it: multiples of a whole number."""
        one = self.affordance
        schema: dict[str, Any] = {"type": "integer" if one.whole else "number"}
        if math.isfinite(one.low):
            schema["minimum"] = one.low
        if math.isfinite(one.high):
            schema["maximum"] = one.high
        if one.step is not None and one.whole and one.step != 1 and one.start % one.step == 0:
            schema["multipleOf"] = one.step
        return schema

    def write_value(self, value: float) -> float:
        """The number."""
        self.affordance.check(value)
        return self.affordance.plain(value)

    def read_value(self, raw: Any) -> Parsed:
        """Reads a number, or a text with one number in it."""
        if raw is None:
            raise ReplyError("the reply is empty")
        if isinstance(raw, str):
            capped(raw)
            found = self._direct(raw) or self._prose(raw)
            return parsed(found.value, "type", *found.how)
        return parsed(self._valid(raw))

    def _valid(self, number: Any) -> float:
        if fault := self.affordance.fault(number):
            raise ReplyError(f"in the reply {fault}")
        return self.affordance.plain(number)

    @cached_property
    def _unit(self) -> re.Pattern[str]:
        """The unit after a digit; a unit may hold digits of its own (m2), so it goes before numbers are counted."""
        return re.compile(rf"(?<=\d)\s*{re.escape(self.affordance.unit)}(?![^\W_])", re.IGNORECASE)

    def _direct(self, text: str) -> Parsed | None:
        """Reads the number alone, or with its unit."""
        alone = text.strip()
        plain = self._unit.sub("", alone, count=1) if self.affordance.unit else alone
        if "," in plain or not NUMBER.fullmatch(plain):
            return None
        return parsed(self._valid(_value(plain)), *(["space"] if text != alone else []))

    def _prose(self, text: str) -> Parsed:
        plain = self._unit.sub(" ", text) if self.affordance.unit else text
        found = list(NUMBER.finditer(plain))
        values = list(dict.fromkeys(_value(match[0]) for match in found))
        if not found:
            raise ReplyError(f"the reply {quoted(text)} holds no number in digits, expected {self.affordance.span}")
        if len(values) > 1:
            raise ReplyError(f"the reply names {values[0]:.15g} and {values[1]:.15g}; answer with exactly one number")
        for match in found:
            before, after = plain[max(0, match.start() - 20) : match.start()], plain[match.end() : match.end() + 20]
            # Where numbers can be negative, a dash before one is either a bullet or its sign.
            dash = self.affordance.low < 0 and DASH_BEFORE.search(before)
            if dash or SCALE.match(after.casefold()) or SIGN_BEFORE.search(before.casefold()):
                raise ReplyError(f"the reply {quoted(text)} does not give its number in plain digits alone")
        rest = NUMBER.sub("", plain)
        if NEGATION.search(fold(rest)):
            raise ReplyError(f"the reply {quoted(text)} has a negation beside the number; answer with the number alone")
        how = ["separators"] if any("," in match[0] for match in found) else []
        if (rest and not how) or rest.strip():
            how.append("prose" if stripped_marks(rest).strip("()[]") else "marks" if rest.strip() else "space")
        return parsed(self._valid(values[0]), *how)


def _value(digits: str) -> float:
    """The number that the digits write."""
    plain = digits.replace(",", "").replace("−", "-")
    return int(plain) if len(plain) < 400 and plain.lstrip("+-").isdecimal() else float(plain)
