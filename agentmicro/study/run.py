"""One run: a phenomenon with its knobs and a seed goes in, what the population became comes out."""

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import isfinite, nan
from typing import Any

import numpy as np

from agentmicro.completion import Spent
from agentmicro.errors import RuleError
from agentmicro.knobs import Scalar
from agentmicro.minds import Mind, Outcome
from agentmicro.phenomena import name_of
from agentmicro.society import Society

type Progress = Callable[[int, int], None]
type Series = Mapping[str, list[float]]


@dataclass(frozen=True)
class Ledger:
    """What language models were asked and cost, and which of them answered."""

    spent: Spent = field(default_factory=Spent)
    served: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """Whether any model was asked, now or when the record was made."""
        return bool(self.spent.calls or self.spent.replayed)

    def __add__(self, other: "Ledger") -> "Ledger":
        return Ledger(self.spent + other.spent, tuple(sorted({*self.served, *other.served})))

    def as_json(self) -> dict[str, Any]:
        """The ledger as JSON and tables know it; an unknown cost is None."""
        names = ("calls", "replayed", "tokens_in", "tokens_out", "tokens_cached", "cost_usd")
        return {**{name: getattr(self.spent, name) for name in names}, "served": list(self.served)}


@dataclass(frozen=True)
class Run:
    """What one run showed.

    knobs: all, resolved. measures: at the end. series: every column at every turn, the first entry at time 0.
    decisions: how many ended in which way. minds: how many agents each decides for. valid: whether few enough decisions
    failed for the run to count as evidence. seconds: how long the turns took. ledger: what language models cost.
    """

    phenomenon: str
    seed: int
    turns: int
    knobs: Mapping[str, Scalar]
    measures: Mapping[str, float]
    series: Series
    decisions: Mapping[str, int]
    minds: Mapping[str, int]
    valid: bool
    seconds: float
    ledger: Ledger

    @property
    def failure_rate(self) -> float:
        """The share of decisions that gave no act."""
        return self.series["failure_rate"][-1]


def run(
    cls: type[Society], knobs: Mapping[str, Scalar], seed: int, turns: int, progress: Progress | None = None
) -> Run:
    """Builds a phenomenon, lets it live for so many turns, and reports; the same arguments give the same numbers."""
    return play(build(cls, knobs, seed), turns, progress)


def build(cls: Any, knobs: Mapping[str, Scalar], seed: int) -> Society:
    """A phenomenon with its knobs and a seed, at time 0."""
    society: Society = cls(**knobs, rng=seed)
    return society


def play(model: Society, turns: int, progress: Progress | None = None) -> Run:
    """Lets a model live for so many turns and reports; `progress(done, turns)` hears of each turn."""
    start = time.perf_counter()
    for turn in range(turns):
        model.step()
        if progress:
            progress(turn + 1, turns)
    seconds = time.perf_counter() - start
    series = {name: [_float(name, one) for one in column] for name, column in model.datacollector.model_vars.items()}
    return Run(
        phenomenon=name_of(type(model)),
        seed=model.seed,
        turns=turns,
        knobs=dict(model.knobs),
        measures={name: series[name][-1] for name in model.measures},
        series=series,
        decisions={outcome.name.lower(): int(model.outcomes[outcome]) for outcome in Outcome},
        minds=_minds(model),
        valid=model.valid,
        seconds=seconds,
        ledger=Ledger(model.account.spent, model.served),
    )


def _float(name: str, value: Any) -> float:
    """The number; NaN for what is not known, such as a price that nobody has stated."""
    try:
        return nan if value is None else float(value)
    except (TypeError, ValueError):
        raise RuleError(
            f"measure {name!r} returned {value!r:.80}: expected a number, or NaN where it is undefined"
        ) from None


def _minds(model: Society) -> dict[str, int]:
    agents = np.bincount(model.seats, minlength=len(model.minds)).tolist()
    found: Counter[str] = Counter()
    for mind, count in zip(model.minds, agents, strict=True):
        found[spelled(mind)] += count
    return dict(found)


def spelled(mind: Mind) -> str:
    """A mind as it is written: its name, and the parameters it was given."""
    given = getattr(mind, "params", {})
    return f"{mind.name}({', '.join(f'{name}={value}' for name, value in given.items())})" if given else mind.name


def measures(cls: type[Society]) -> Mapping[str, str]:
    """What a phenomenon measures, each with the first line of its docstring; builds one."""
    found = build(cls, {}, 0).measures
    return {name: (measure.__doc__ or "").strip().partition("\n")[0] for name, measure in found.items()}


def plain(value: Any) -> Any:
    """The value as JSON knows it: NaN and infinities become null."""
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    return None if isinstance(value, float) and not isfinite(value) else value
