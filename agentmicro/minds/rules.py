"""Rules: minds that are named behavioural laws, as functions of a batch of observations."""

import functools
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from agentmicro.acts import Coded
from agentmicro.affordances import Affordance, Choice, Number, Picks, Tools
from agentmicro.errors import RuleError, SpecError, listed
from agentmicro.exposure import Seen
from agentmicro.minds.mind import Decided, Outcome

type Rule = Callable[..., Any]


def each(rule: Callable[..., object]) -> Rule:
    """Lifts a rule of one observation to a rule of a batch: values in, one value out, None for silence."""

    @functools.wraps(rule)
    def batch(seen: Seen, **params: object) -> Coded:
        return seen.asked.encode_many([rule(seen.one(index), **params) for index in range(len(seen))])

    return batch


class RuleMind:
    """A rule with its parameters as a mind: it checks that what comes out are acts.

    A blank row is silence and counts as failed. A rule that raises, or returns what is no act, stops the run with a
    RuleError that names the rule, the agent, the time and what the agent saw.
    """

    def __init__(self, name: str, rule: Rule, params: Mapping[str, object]) -> None:
        self.name = name
        self.rule = rule
        self.params = dict(params)

    def ready(self) -> None:
        """A rule costs nothing."""

    def opening(self) -> object:
        """The act given as the parameter `act`, as zealots have it."""
        return self.params.get("act") or None

    def decide(self, seen: Seen) -> Decided:
        """The acts that the rule gives, checked row by row."""
        kind = seen.asked
        blank = kind.blank(len(seen))
        try:
            answer = self.rule(seen, **self.params)
            acts = blank if answer is None else np.asarray(answer)
        except RuleError:
            raise
        except Exception as error:
            raise self._raised(seen, error) from error
        good = self._valid(kind, acts, blank)
        if good.all():
            self._within_roles(seen, kind, acts)
            return Decided(acts)
        wrong = np.flatnonzero(~good & ~kind.is_blank(acts))
        if wrong.size:
            index = int(wrong[0])
            raise RuleError(
                f"{self._where(seen, index)} returned {acts[index]}, which is no act: expected {_codes(kind)}"
            )
        self._within_roles(seen, kind, acts)
        return Decided(acts, np.where(good, Outcome.VALID, Outcome.FAILED).astype(np.int8))

    def _valid(self, kind: Affordance, acts: Coded, blank: Coded) -> NDArray[np.bool_]:
        """Which rows are acts; a RuleError if the array has not the shape and type of a table of them."""
        if acts.shape == blank.shape and (acts.dtype.kind in "OUS") == (blank.dtype.kind == "O"):
            with suppress(SpecError):
                return kind.valid(acts)
        found = f"an array of shape {acts.shape} and type {acts.dtype}"
        raise RuleError(
            f"rule {self.name!r} returned {found} for {len(blank)} agents; expected {blank.shape}, {blank.dtype}"
        )

    def _within_roles(self, seen: Seen, kind: Affordance, acts: Coded) -> None:
        """Raises when an agent calls an action that its role may not use."""
        if not isinstance(kind, Tools) or kind.roles is None:
            return
        wrong = np.flatnonzero(kind.oversteps(acts, seen.roles))
        if wrong.size:
            index = int(wrong[0])
            tool, role = kind.part("tool").decode(acts["tool"][index]), str(seen.roles[index])
            raise RuleError(
                f"{self._where(seen, index)} called the action {tool!r}, which the role {role!r} may not use: "
                f"expected one of {listed(kind.roles[role])}"
            )

    def _raised(self, seen: Seen, error: Exception) -> RuleError:
        """The error of the first agent for whom the rule raises by itself; keyed luck makes asking again harmless."""
        for index in range(len(seen)):
            try:
                self.rule(seen.only(np.array([index])), **self.params)
            except Exception as found:
                return RuleError(f"{self._where(seen, index)} raised {type(found).__name__}: {found}")
        return RuleError(f"rule {self.name!r} raised {type(error).__name__}: {error}")

    def _where(self, seen: Seen, index: int) -> str:
        try:
            saw = repr(seen.one(index))
        except Exception as error:  # the description must not hide the error that it describes
            saw = f"what cannot be shown ({type(error).__name__})"
        return f"rule {self.name!r} of agent {int(seen.rows[index])} at time {seen.time:g}, having seen {saw},"


def _codes(kind: Affordance) -> str:
    """What a row of a rule's array may be, in words."""
    if isinstance(kind, Choice | Picks):
        named = [f"{code} for {option}" for code, option in enumerate(kind.options[:6])]
        more = ", and so on" if len(kind.options) > 6 else ""
        return f"{'a row of codes' if isinstance(kind, Picks) else 'a code'}: {listed(named)}{more}"
    return f"a {kind.kind} that the phenomenon allows ({kind.offer().form})"


def stubborn(seen: Seen, act: Annotated[str, "what it always does; empty for what it began with"] = "") -> Coded:
    """Never changes: a zealot."""
    if not act:
        return seen.own if seen.part is None else seen.own[seen.part]
    value = seen.asked.parse(act).value
    return seen.asked.encode_many([value] * len(seen))


def silent(seen: Seen) -> None:
    """Never answers: every decision fails."""


def random(seen: Seen) -> Coded:
    """Takes anything, each act as likely as the others, whatever it sees: independent choice."""
    kind = seen.asked
    if isinstance(kind, Choice):
        return seen.luck.below(len(kind.options))
    if isinstance(kind, Picks):
        ranked = np.argsort(seen.luck(len(kind.options)), axis=1)[:, : kind.most]
        return ranked
    if isinstance(kind, Number):
        if not np.isfinite(kind.high - kind.low):
            raise RuleError(f"rule 'random' cannot choose a number without bounds, from {kind.low} to {kind.high}")
        if kind.step is None:
            return kind.low + seen.luck() * (kind.high - kind.low)
        return kind.low + kind.step * seen.luck.below(int((kind.high - kind.low) / kind.step + 1e-9) + 1)
    raise RuleError(f"rule 'random' cannot choose a {type(kind).__name__}; it takes a Choice, Picks or Number")


EVERYWHERE: Mapping[str, Rule] = {"stubborn": stubborn, "silent": silent, "random": random}
