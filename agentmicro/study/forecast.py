"""What a study will ask of language models and cost: its first turns are rehearsed, and no call is made.

Each agent's prompt is rendered from what it would be shown, and a stand-in answers by keyed luck. What follows the
rehearsed turns is extrapolated: as many calls per turn, with prompts between as long as these were and growing as
fast as these grew. Texts become tokens at 5 to 3 characters each, about 4. The upper end has one decision in ten asked
again, the schema as part of the prompt, and answers as long as `max_tokens` allows, or of 200 tokens where it is not
set. A model that thinks before it answers, without `max_tokens`, may lie above all of it.
"""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from agentmicro.completion import Reply, Request, Scripted
from agentmicro.completion.prices import Price, price_of
from agentmicro.completion.retry import ANSWER, CHARACTERS, OPTIONS
from agentmicro.errors import listed
from agentmicro.knobs import Scalar
from agentmicro.minds import LanguageMind
from agentmicro.minds.speaker import Speaker
from agentmicro.study.run import build

PROMPTS = 5_000  # rendered prompts after which the rest is extrapolated
SHORT, LONG = 5, 3  # characters to a token
AGAIN = 0.1  # the share of decisions that is asked again, at most


@dataclass(frozen=True)
class Span:
    """A number that is expected, between the lowest and the highest that are likely."""

    low: float = 0.0
    about: float = 0.0
    high: float = 0.0

    def __add__(self, other: "Span") -> "Span":
        return Span(self.low + other.low, self.about + other.about, self.high + other.high)

    def __mul__(self, times: float) -> "Span":
        return Span(self.low * times, self.about * times, self.high * times)


@dataclass(frozen=True)
class Load:
    """What one model is asked and says: calls, tokens in and out, USD or None where its price is unknown."""

    calls: Span = Span()
    tokens_in: Span = Span()
    tokens_out: Span = Span()
    cost: Span | None = Span()

    def __add__(self, other: "Load") -> "Load":
        cost = None if self.cost is None or other.cost is None else self.cost + other.cost
        calls, sent = self.calls + other.calls, self.tokens_in + other.tokens_in
        return Load(calls, sent, self.tokens_out + other.tokens_out, cost)

    def __mul__(self, times: float) -> "Load":
        cost = None if self.cost is None else self.cost * times
        return Load(self.calls * times, self.tokens_in * times, self.tokens_out * times, cost)


@dataclass(frozen=True)
class Forecast:
    """So many runs, and what they ask of each model."""

    runs: int = 0
    loads: Mapping[str, Load] = field(default_factory=dict)

    @property
    def total(self) -> Load:
        """All models together."""
        return sum(self.loads.values(), Load())

    def __add__(self, other: "Forecast") -> "Forecast":
        names = dict.fromkeys([*self.loads, *other.loads])
        loads = {name: self.loads.get(name, Load()) + other.loads.get(name, Load()) for name in names}
        return Forecast(self.runs + other.runs, loads)

    def times(self, runs: int) -> "Forecast":
        """The same so many times."""
        return Forecast(self.runs * runs, {name: load * runs for name, load in self.loads.items()})

    def as_json(self) -> dict[str, Any]:
        """The forecast as JSON knows it."""
        models = {name: _as_json(load) for name, load in self.loads.items()}
        return {"runs": self.runs, **_as_json(self.total), "models": models}

    def __str__(self) -> str:
        total = self.total
        cost = "at an unknown price" if total.cost is None else f"for {usd(total.cost)} USD"
        tokens = f"{count(total.tokens_in)} tokens in and {count(total.tokens_out)} out"
        return f"{self.runs:,} runs, {count(total.calls)} calls to {listed(self.loads) or 'nobody'}, {tokens}, {cost}"


def forecast(
    cls: Any,
    knobs: Mapping[str, Scalar],
    seed: int,
    turns: int,
    prices: tuple[float | None, float | None] = (None, None),
) -> Forecast:
    """What one run will ask; no run if it asks nobody. prices: USD per million tokens in and out, before the list."""
    model = build(cls, knobs, seed)
    stands: dict[str, _Rehearsal] = {}
    for mind in model.minds:
        if isinstance(mind, LanguageMind):
            mind.provider = stands.setdefault(mind.speaker.model, _Rehearsal(_price(mind.speaker, prices)))
    rehearsed = 0
    while stands and rehearsed < turns and sum(stand.prompts for stand in stands.values()) < PROMPTS:
        for stand in stands.values():
            stand.turns.append(_Turn())
        model.step()
        rehearsed += 1
    return Forecast(bool(stands), {name: stand.load(turns) for name, stand in stands.items()})


def _price(speaker: Speaker, prices: tuple[float | None, float | None]) -> Price | None:
    """The price of a speaker's model: the one given, else its table's, else the list's."""
    sent, received = prices
    return price_of(
        None,
        speaker.model,
        speaker.price_in if sent is None else sent,
        speaker.price_out if received is None else received,
    )


@dataclass
class _Turn:
    calls: int = 0
    said: int = 0
    schema: int = 0
    answered: int = 0
    most: float = 0.0


class _Rehearsal:
    """Stands in for a model: counts what it is asked, and answers anything that the schema allows."""

    def __init__(self, price: Price | None) -> None:
        self.price = price
        self.turns: list[_Turn] = []
        self._script = Scripted("chance")

    @property
    def prompts(self) -> int:
        return sum(turn.calls for turn in self.turns)

    def check(self) -> None:
        """A rehearsal has no ceiling."""

    def complete(self, requests: Sequence[Request]) -> list[Reply]:
        """One reply for each request."""
        replies, turn = self._script.complete(requests), self.turns[-1]
        lengths: defaultdict[int, int] = defaultdict(int)
        for request, reply in zip(requests, replies, strict=True):
            key = id(request.schema)
            lengths[key] = lengths[key] or len(json.dumps(request.schema))
            turn.calls += 1
            turn.said += sum(len(message["content"]) for message in request.messages)
            turn.schema += lengths[key]
            turn.answered += len(reply.text)
            turn.most += float(next((request.options[name] for name in OPTIONS if name in request.options), ANSWER))
        return replies

    def load(self, turns: int) -> Load:
        """What all turns ask, from those that were rehearsed."""
        rest = turns - len(self.turns)
        calls, schema, answered = (self._all(part, rest) for part in ("calls", "schema", "answered"))
        level, growing = self._said(rest)
        again = 1 + AGAIN
        most = max(self._all("most", rest), answered / LONG)
        sent = Span(level / SHORT, (level + growing) / 2 / CHARACTERS, (growing + schema) * again / LONG)
        received = Span(answered / SHORT, answered / CHARACTERS, most * again)
        cost = None if self.price is None else sent * self.price.sent + received * self.price.received
        return Load(Span(calls, calls, calls * again), sent, received, cost)

    def _all(self, part: str, rest: int) -> float:
        known = sum(getattr(turn, part) for turn in self.turns)
        return float(known + rest * known / max(1, len(self.turns)))

    def _said(self, rest: int) -> tuple[float, float]:
        """Characters of all prompts if those to come are as long as these, and if they go on growing."""
        known = [turn.said for turn in self.turns]
        if not known:
            return 0.0, 0.0
        growth = max(0.0, (known[-1] - known[0]) / (len(known) - 1)) if len(known) > 1 else 0.0
        level = min(known[-1], sum(known) / len(known))
        return sum(known) + rest * level, sum(known) + rest * known[-1] + growth * rest * (rest + 1) / 2


def _as_json(load: Load) -> dict[str, Any]:
    spans = {"calls": load.calls, "tokens_in": load.tokens_in, "tokens_out": load.tokens_out, "cost_usd": load.cost}
    return {name: None if span is None else [span.low, span.about, span.high] for name, span in spans.items()}


def count(span: Span) -> str:
    """A count with its interval, if it has one."""
    ends = "" if round(span.low) == round(span.high) else f" ({span.low:,.0f} to {span.high:,.0f})"
    return f"{span.about:,.0f}{ends}"


def usd(span: Span) -> str:
    """An amount with its interval."""
    return f"{span.about:.4g} ({span.low:.4g} to {span.high:.4g})"
