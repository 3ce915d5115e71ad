"""Claims against runs: each sentence of a scenario is held, broken or undecided, with an interval and its null.

A claim is about the mean of one number per seed: a measure in one arm, or its paired difference between two arms on the
same seeds. The interval is Student's, at 95%. Two conventions need saying:

- a number that is the same in every seed has the point as its interval, since what varies with the seed did not vary;
- a number that is undefined (NaN) in some seeds leaves the claim undecided, since leaving those out would select on the
  outcome; one that is undefined in every seed breaks it, since no further seed can be expected to define it.
"""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import ceil, isfinite, nan, sqrt
from typing import TYPE_CHECKING, Any

import numpy as np

from agentmicro.errors import ScenarioError, SpecError
from agentmicro.knobs import Scalar
from agentmicro.minds.speaker import defined
from agentmicro.phenomena import name_of
from agentmicro.study.reading import Knobs
from agentmicro.study.results import Study
from agentmicro.study.run import Ledger, Progress, Run, plain, run
from agentmicro.study.spec import Claim, Scenario

if TYPE_CHECKING:
    from pandas import DataFrame

CONFIDENCE = 0.95
SURE = 1e-12  # a spread this small beside the mean is rounding, not luck


class Verdict(StrEnum):
    """What the runs say to a claim."""

    HELD = "held"
    BROKEN = "broken"
    UNDECIDED = "undecided"


@dataclass(frozen=True)
class Judged:
    """A claim with its verdict: the mean over the seeds, its interval, and the mean of the same under the null.

    undefined: in how many seeds the number was NaN. more: about how many further seeds would decide it, if any can.
    """

    claim: Claim
    verdict: Verdict
    mean: float
    low: float
    high: float
    null: float = nan
    undefined: int = 0
    more: int | None = None

    def as_json(self) -> dict[str, Any]:
        """The claim and its verdict as JSON knows them."""
        claim = self.claim
        asked = {"says": claim.says, "that": claim.that, "where": claim.where, "against": claim.against}
        found = {"verdict": self.verdict.value, "mean": self.mean, "low": self.low, "high": self.high}
        rest = {"null": self.null, "seeds": claim.seeds, "undefined": self.undefined, "more": self.more}
        data: dict[str, Any] = plain({**asked, "at": claim.at, "wanted": claim.wanted, **found, **rest})
        return data


@dataclass(frozen=True)
class Checked:
    """All verdicts of one scenario; `invalid` counts the runs in which too many decisions failed.

    ledger: what language models cost in all runs together.
    """

    scenario: Scenario
    judged: tuple[Judged, ...]
    runs: int
    invalid: int
    seconds: float
    ledger: Ledger

    @property
    def held(self) -> bool:
        """Whether every claim is held."""
        return all(item.verdict is Verdict.HELD for item in self.judged)

    def as_json(self) -> dict[str, Any]:
        """The verdicts as JSON knows them."""
        return {
            "scenario": self.scenario.name,
            "phenomenon": name_of(self.scenario.cls),
            "turns": self.scenario.turns,
            "held": self.held,
            "claims": [item.as_json() for item in self.judged],
            "runs": self.runs,
            "invalid": self.invalid,
            "seconds": self.seconds,
            "ledger": self.ledger.as_json(),
        }


class Runs:
    """The runs of one scenario, each made once: by its resolved knobs, seed and turns."""

    def __init__(self, cls: Any, turns: int) -> None:
        self.cls = cls
        self.turns = turns
        self.made: dict[tuple[object, ...], Mapping[str, list[float]]] = {}
        self.invalid = 0
        self.ledger = Ledger()

    def values(self, arm: Knobs, that: str, at: int | None, seeds: int) -> list[float]:
        """A column at a turn, for the seeds 1, 2, ..."""
        turn = self.turns if at is None else at
        return [self.series(arm, seed)[that][turn] for seed in range(1, seeds + 1)]

    def series(self, arm: Knobs, seed: int) -> Mapping[str, list[float]]:
        """Every column of one run at every turn."""
        knobs = self.cls.checked(arm)
        key = (*sorted(knobs.items()), seed, self.turns)
        if key not in self.made:
            made: Run = run(self.cls, knobs, seed, self.turns)
            self.invalid += not made.valid
            self.ledger += made.ledger
            self.made[key] = made.series
        return self.made[key]


def arms(scenario: Scenario, overrides: Mapping[str, Scalar] | None = None) -> list[tuple[Knobs, int]]:
    """The different arms that the claims of a scenario ask for, their nulls among them, each with its seeds."""
    base, null = {**scenario.micro, **(overrides or {})}, scenario.cls.null
    found: dict[tuple[object, ...], tuple[Knobs, int]] = {}
    for number, claim in enumerate(scenario.claims, start=1):
        given: list[Knobs] = [arm for arm in (claim.where, claim.against) if arm is not None]
        for change in [*given, *({**arm, **null} for arm in given)]:
            try:
                with defined(scenario.minds):
                    knobs = scenario.cls.checked({**base, **change})
            except SpecError as error:
                raise ScenarioError(f"{scenario.path.name}: [claim {number}] {error}") from None
            key = tuple(sorted(knobs.items()))
            found[key] = (knobs, max(claim.seeds, found[key][1] if key in found else 0))
    return list(found.values())


def check(
    scenario: Scenario, overrides: Mapping[str, Scalar] | None = None, progress: Progress | None = None
) -> Checked:
    """Runs what the claims of a scenario ask for and judges them; overrides take the place of knobs in [micro]."""
    if not scenario.claims:
        raise ScenarioError(f"{scenario.path.name}: no [[claim]] to check")
    start = time.perf_counter()
    runs = Runs(scenario.cls, scenario.turns)
    base = {**scenario.micro, **(overrides or {})}
    judged = []
    for number, claim in enumerate(scenario.claims, start=1):
        try:
            with defined(scenario.minds):
                judged.append(_judged(runs, base, claim))
        except SpecError as error:
            raise ScenarioError(f"{scenario.path.name}: [claim {number}] {error}") from None
        if progress:
            progress(number, len(scenario.claims))
    seconds = time.perf_counter() - start
    return Checked(scenario, tuple(judged), len(runs.made), runs.invalid, seconds, runs.ledger)


def of_study(study: Study) -> tuple[Judged, ...]:
    """The verdict on each claim of a scenario from the runs of its study; a run that failed defines nothing."""
    return tuple(
        judge(claim, _found(study, number, claim, ""), _found(study, number, claim, "null"))
        for number, claim in enumerate(study.scenario.claims, start=1)
    )


def claims(study: Study) -> "DataFrame":
    """The claims of a scenario with their verdicts, one row each."""
    import pandas as pd

    columns = ("says", "that", "where", "against", "at", "wanted", "verdict", "mean", "low", "high", "null")
    rows = [item.as_json() for item in of_study(study)]
    for row in rows:
        row |= {name: "" if row[name] is None else json.dumps(row[name]) for name in ("where", "against")}
    return pd.DataFrame(rows, columns=[*columns, "seeds", "undefined", "more"])


def _found(study: Study, number: int, claim: Claim, arm: str) -> list[float]:
    """One number per seed, from the arms of a claim as they are, or under the null."""
    uses = study.stage("claim")
    mine = uses[uses["label"] == str(number)].set_index("role")["cell"]
    roles = ("null", "null against") if arm else ("where", "against")
    found = _by_seed(study, int(mine[roles[0]]), claim)
    if claim.against is None:
        return found
    return [value - beside for value, beside in zip(found, _by_seed(study, int(mine[roles[1]]), claim), strict=True)]


def _by_seed(study: Study, cell: int, claim: Claim) -> list[float]:
    """A column at the claim's turn for the seeds 1, 2, ...; NaN where a run failed or is not there."""
    if claim.at is None:
        values = study.values(cell, claim.that, valid=False)
    else:
        turns = study.turns([cell], ["cell", "seed", "time", claim.that])
        values = turns[turns["time"] == claim.at].set_index("seed")[claim.that]
    return [float(value) for value in values.reindex(range(1, claim.seeds + 1)).to_numpy(float)]


def judge(claim: Claim, values: Sequence[float], null: Sequence[float] = ()) -> Judged:
    """The verdict on a claim from one number per seed, beside the mean of the numbers under the null."""
    found = np.asarray(values, float)
    defined = found[np.isfinite(found)]
    undefined = int(found.size - defined.size)
    beside = float(np.mean(null)) if len(null) and np.isfinite(null).all() else nan
    if not defined.size:
        return Judged(claim, Verdict.BROKEN, nan, nan, nan, beside, undefined)
    mean, half = interval(defined)
    low, high = mean - half, mean + half
    if undefined:
        return Judged(claim, Verdict.UNDECIDED, mean, low, high, beside, undefined)
    if claim.holds(low, high):
        return Judged(claim, Verdict.HELD, mean, low, high, beside)
    if claim.fails(low, high):
        return Judged(claim, Verdict.BROKEN, mean, low, high, beside)
    return Judged(claim, Verdict.UNDECIDED, mean, low, high, beside, more=_more(claim, mean, half, defined.size))


def interval(values: np.ndarray[Any, np.dtype[np.float64]]) -> tuple[float, float]:
    """The mean and the half-width of its 95% interval by Student's t; infinite for one number, 0 for equal ones."""
    mean = float(values.mean())
    if values.size < 2:
        return mean, float("inf")
    spread = float(values.std(ddof=1))
    if spread <= SURE * max(1.0, abs(mean)):
        return float(values[0]), 0.0
    from scipy.special import stdtrit

    return mean, float(stdtrit(values.size - 1, (1 + CONFIDENCE) / 2)) * spread / sqrt(values.size)


def _more(claim: Claim, mean: float, half: float, seeds: int) -> int | None:
    """How many further seeds it takes until such an interval no longer reaches the bound; None where none would do."""
    distance = min(abs(mean - bound) for bound in (claim.low, claim.high) if isfinite(bound))
    if not distance or not isfinite(half):
        return None
    return max(1, ceil(seeds * (half / distance) ** 2) - seeds)


def _judged(runs: Runs, base: Knobs, claim: Claim) -> Judged:
    null: Mapping[str, Scalar] = runs.cls.null
    return judge(claim, _values(runs, base, claim, {}), _values(runs, base, claim, null))


def _values(runs: Runs, base: Knobs, claim: Claim, last: Mapping[str, Scalar]) -> list[float]:
    """One number per seed: the measure in the claim's arm, less that in the arm it is set against."""
    found = runs.values({**base, **claim.where, **last}, claim.that, claim.at, claim.seeds)
    if claim.against is None:
        return found
    other = runs.values({**base, **claim.against, **last}, claim.that, claim.at, claim.seeds)
    return [value - beside for value, beside in zip(found, other, strict=True)]
