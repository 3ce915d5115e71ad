"""What calls cost, and the ceilings that stop a run or a study before they cost more.

A ceiling stops between turns: `check` is asked there, everything paid for is in the record, and the same command goes
on from it. A turn is cut short only where it would itself cost far more than was allowed: no call leaves once a ceiling
is passed by a tenth (`OVERRUN`).
"""

import math
import time
from collections.abc import Iterable
from dataclasses import dataclass, fields

from agentmicro.completion.seam import Reply, Status
from agentmicro.errors import AgentmicroError, SpecError

OVERRUN = 1.1


class BudgetReached(AgentmicroError):
    """A ceiling is reached: everything is saved, and a higher ceiling goes on from here."""


@dataclass(frozen=True)
class Spent:
    """What was spent, and it adds up: replies from the record count as replayed and as nothing else.

    calls: every try, failed ones too. tokens: where the server told; cached ones are part of those that went in.
    priced_usd: the cost of all replies whose price is known. unpriced: replies whose price is not. seconds: wall time.
    """

    calls: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    tokens_cached: int = 0
    priced_usd: float = 0.0
    unpriced: int = 0
    seconds: float = 0.0
    replayed: int = 0

    @property
    def cost_usd(self) -> float | None:
        """The cost, None as soon as any price is unknown."""
        return None if self.unpriced else self.priced_usd

    @property
    def tokens(self) -> int:
        """Tokens in and out."""
        return self.tokens_in + self.tokens_out

    def __add__(self, other: "Spent") -> "Spent":
        return Spent(
            self.calls + other.calls,
            self.tokens_in + other.tokens_in,
            self.tokens_out + other.tokens_out,
            self.tokens_cached + other.tokens_cached,
            self.priced_usd + other.priced_usd,
            self.unpriced + other.unpriced,
            self.seconds + other.seconds,
            self.replayed + other.replayed,
        )


def spent(replies: Iterable[Reply], recorded: bool = False) -> Spent:
    """What replies cost together; a failed call costs what is known of it, and its price is not missed.

    recorded: whether replies from the record count as what they cost when they were made.
    """
    calls = tokens_in = tokens_out = cached = unpriced = replayed = 0
    usd = 0.0
    for reply in replies:
        if reply.replayed and not recorded:
            replayed += 1
            continue
        calls += reply.calls
        tokens_in += reply.tokens_in or 0
        tokens_out += reply.tokens_out or 0
        cached += reply.tokens_cached or 0
        usd += reply.cost_usd or 0.0
        unpriced += reply.cost_usd is None and reply.status is not Status.FAILED
    return Spent(calls, tokens_in, tokens_out, cached, usd, unpriced, 0.0, replayed)


@dataclass(frozen=True)
class Ceilings:
    """The most that may be spent, in dollars, tokens, calls and seconds of wall time; None is no ceiling."""

    usd: float | None = None
    tokens: float | None = None
    calls: float | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value is not None and not 0 <= value < math.inf:
                raise SpecError(f"a ceiling of {value} {field.name}: expected 0 or more, or none for no ceiling")

    def reached(self, spent: Spent, factor: float = 1.0) -> str | None:
        """The first ceiling that is reached, as `12 of 10 calls`; with a factor, the first that is passed by it."""
        for name, used in (
            ("usd", spent.priced_usd),
            ("tokens", spent.tokens),
            ("calls", spent.calls),
            ("seconds", spent.seconds),
        ):
            ceiling = getattr(self, name)
            if ceiling is not None and used >= ceiling * factor:
                unit = "USD" if name == "usd" else name
                return f"{used:.6g} of {ceiling:.6g} {unit}"
        return None


@dataclass(frozen=True)
class Budget:
    """The ceilings of each run, which counts what it pays itself, and of the study, which counts what was ever paid."""

    run: Ceilings = Ceilings()
    study: Ceilings = Ceilings()

    @property
    def bounded(self) -> bool:
        """Whether there is any ceiling."""
        return self != Budget()

    def check(self, run: Spent, study: Spent, factor: float = 1.0) -> None:
        """Raises BudgetReached where a ceiling is reached, and SpecError where one cannot be kept."""
        if run.unpriced and (self.run.usd is not None or self.study.usd is not None):
            raise SpecError(
                f"a ceiling in USD cannot be kept: the price of {run.unpriced} replies is unknown; "
                "give the price per million tokens in and out, or a ceiling in tokens or calls"
            )
        for scope, ceilings, used in (("run", self.run, run), ("study", self.study, study)):
            found = ceilings.reached(used, factor)
            if found:
                raise BudgetReached(
                    f"the {scope} has used {found}: everything is recorded; "
                    "give the same command with a higher ceiling to go on"
                )


class Account:
    """What one run has spent since it began; the minds of one society share one.

    worth: what its replies cost whoever paid for them and when, so that runs compare though some were replayed.
    """

    def __init__(self) -> None:
        self.worth = Spent()
        self._spent = Spent()
        self._began = time.monotonic()

    @property
    def spent(self) -> Spent:
        """Everything until now, the wall time included."""
        return self._spent + Spent(seconds=time.monotonic() - self._began)

    def add(self, more: Spent) -> None:
        """Adds what a batch has cost."""
        self._spent += more

    def used(self, replies: Iterable[Reply]) -> None:
        """Adds what replies are worth."""
        self.worth += spent(replies, recorded=True)
