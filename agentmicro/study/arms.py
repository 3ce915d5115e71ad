"""Interventions: what each named arm takes away from the risk, what else it moves, and what it costs."""

from collections.abc import Sequence
from math import isfinite, nan
from typing import TYPE_CHECKING

import numpy as np

from agentmicro.study.comparisons import COLUMNS, Pair, compared, counted, margin
from agentmicro.study.results import Study
from agentmicro.study.statistics import SEED, Floats, interval

if TYPE_CHECKING:
    from pandas import DataFrame

ARMS = (
    *("arm", "level", "at", "n", "left_out", "undefined", "outcome", "reduction", "low", "high", "p", "p_holm"),
    *("margin", "verdict", "more", "share", "tokens", "cost_usd", "tokens_change", "pareto"),
)


def intervene(study: Study, seed: int = SEED) -> "DataFrame":
    """The paired reduction of the risk by each arm on the same seeds, with its price; one family for Holm.

    A reduction above 0 is less risk, whichever way the outcome is bad. share: what part of the base's risk is taken
    away, where the risk is counted from 0 if high is worse, and from the null if low is; NaN where the base has none.
    tokens, cost_usd: of a run, in the mean; NaN where unknown. tokens_change: from the base. pareto: see `pareto`.
    """
    import pandas as pd

    scenario, uses = study.scenario, study.stage("intervene", "arm")
    if uses.empty:
        return pd.DataFrame(columns=list(ARMS))
    base, outcome = study.reference("intervene"), scenario.outcome
    cells = {str(label): int(cell) for label, cell in zip(uses["label"], uses["cell"], strict=True)}
    turned = scenario.risk.worse == "high"
    pairs = [Pair(cell, base, outcome, margin(scenario, outcome), turned) for cell in cells.values()]
    frame = compared(study, pairs, seed).rename(columns={"effect": "reduction", "mean": "outcome"})
    frame["arm"] = list(cells)
    frame["level"] = [scenario.intervene[name].level for name in cells]
    frame["at"] = uses["at"].to_numpy(float)
    risk = frame["mean_base"] if turned else pd.Series(_short(study, base), frame.index)
    frame["share"] = frame["reduction"] / risk.where(risk > 0)
    tokens, price = _spent(study, base)
    spent = [_spent(study, cell) for cell in cells.values()]
    frame["tokens"] = [used for used, _ in spent]
    frame["cost_usd"] = [paid for _, paid in spent]
    frame["tokens_change"] = frame["tokens"] - tokens
    priced = all(isfinite(paid) for _, paid in (*spent, (tokens, price)))
    costs = [paid if priced else used for used, paid in ((tokens, price), *spent)]
    sign = -1.0 if turned else 1.0
    cures = [sign * study.values(cell, outcome) for cell in (base, *cells.values())]
    frame["pareto"] = pareto(pd.DataFrame(dict(enumerate(cures))).to_numpy(float).T, costs, seed)[1:]
    return frame[list(ARMS)]


def side_effects(study: Study, seed: int = SEED) -> "DataFrame":
    """The paired effect of each arm on every measure but the outcome, with its verdict; one family for Holm."""
    import pandas as pd

    columns = ["arm", "measure", *COLUMNS]
    uses = study.stage("intervene", "arm")
    if uses.empty:
        return pd.DataFrame(columns=columns)
    base, others = study.reference("intervene"), [name for name in study.measures if name != study.scenario.outcome]
    rows = [
        (str(label), int(cell), name)
        for label, cell in zip(uses["label"], uses["cell"], strict=True)
        for name in others
    ]
    pairs = [Pair(cell, base, name, margin(study.scenario, name)) for _, cell, name in rows]
    frame = compared(study, pairs, seed)
    frame["arm"], frame["measure"] = [arm for arm, _, _ in rows], [name for _, _, name in rows]
    return frame[columns]


def pareto(cures: Floats, costs: Sequence[float], seed: int = SEED) -> list[bool]:
    """Which arms no other arm beats, in the cure and the cost together.

    cures: for each arm what it gains on each seed, NaN where that is not known. An arm is beaten by one that costs no
    more and surely gains more on the same seeds, or that costs less and gains as much in the mean. So arms of one cost
    that the seeds cannot tell apart stay together, and luck alone takes none off the front.
    """
    arms = list(zip(cures, costs, strict=True))
    return [not any(_beats(other, one, seed) for other in arms if other is not one) for one in arms]


def _beats(other: tuple[Floats, float], one: tuple[Floats, float], seed: int) -> bool:
    gain = other[0] - one[0]
    mean, low, _ = interval(gain[np.isfinite(gain)], seed)
    cheaper = other[1] < one[1]
    return (cheaper or other[1] == one[1]) and (low > 0 or (cheaper and mean >= 0))


def _short(study: Study, base: int) -> float:
    """By how much the mean outcome of the base falls short of the null's; NaN where no null was run."""
    null, outcome = study.stage("null")["cell"], study.scenario.outcome
    return (
        float(study.values(int(null.iloc[0]), outcome).mean() - study.values(base, outcome).mean())
        if len(null)
        else nan
    )


def _spent(study: Study, cell: int) -> tuple[float, float]:
    """Tokens and dollars of a run that counts, in the mean; NaN where some run's are unknown."""
    mine = counted(study).query("cell == @cell")
    tokens = (mine["tokens_in"] + mine["tokens_out"]).astype(float)
    return float(tokens.mean(skipna=False)), float(mine["cost_usd"].astype(float).mean(skipna=False))
