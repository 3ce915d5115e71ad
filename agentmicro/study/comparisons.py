"""Two cells on the same seeds: how far a measure moves between them, and what may be said of it."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import nan
from typing import TYPE_CHECKING, Any

from agentmicro.knobs import Scalar
from agentmicro.minds.speaker import defined
from agentmicro.study.results import SUCCEEDED, Study
from agentmicro.study.spec import Scenario
from agentmicro.study.statistics import SEED, judged

if TYPE_CHECKING:
    from pandas import DataFrame, Series

COLUMNS = (
    *("n", "left_out", "undefined", "mean_base", "mean", "effect", "low", "high"),
    *("p", "p_holm", "margin", "verdict", "more"),
)


@dataclass(frozen=True)
class Pair:
    """A cell set against another on one measure; `margin` is the smallest difference of it that matters.

    turned: whether the difference is taken the other way round, as for a reduction.
    """

    cell: int
    reference: int
    measure: str
    margin: float = nan
    turned: bool = False


def compared(study: Study, pairs: Sequence[Pair], seed: int = SEED) -> "DataFrame":
    """Paired effects as one family: a row per pair with its interval, its p-values and its verdict.

    n: the seeds that count in both cells and define the measure in both. left_out: those that were run in both and do
    not; undefined: how many of these because the measure is. An effect that some seeds leave undefined gets no verdict,
    since to leave those seeds out is to select on the outcome. A measure that tells most seeds apart and is the same in
    both cells on every one is taken for a measure of the same runs.
    """
    import pandas as pd

    rows, differences = [], []
    ranges = scales(study, pairs)
    values = {measure: by_cell(study, measure) for measure in {pair.measure for pair in pairs}}
    for number, pair in enumerate(pairs):
        mine, other = (values[pair.measure][cell] for cell in (pair.cell, pair.reference))
        both = pd.DataFrame({"value": mine, "beside": other}, index=mine.index.intersection(other.index))
        known = both.dropna()
        ends = known["beside"], known["value"]
        difference = (ends[0] - ends[1] if pair.turned else ends[1] - ends[0]).to_numpy(float)
        differences.append(difference)
        if not difference.any() and known["value"].nunique() > len(known) / 2:
            ranges[number] = 0.0
        rows.append(
            {
                "n": len(known),
                "left_out": attempted(study, pair.cell, pair.reference) - len(known),
                "undefined": len(both) - len(known),
                "mean_base": known["beside"].mean(),
                "mean": known["value"].mean(),
                "margin": pair.margin,
            }
        )
    found = judged(differences, [pair.margin for pair in pairs], ranges, [not row["undefined"] for row in rows], seed)
    frame = pd.DataFrame(rows, columns=COLUMNS)
    for name in ("effect", "low", "high", "p", "p_holm", "more"):
        frame[name] = getattr(found, name)
    frame["verdict"] = [verdict.value for verdict in found.verdict]
    return frame


def scales(study: Study, pairs: Sequence[Pair]) -> list[float]:
    """How far luck moves the measure of each pair: its range over the seeds of the two cells.

    Where it is the same in all seeds of both, the largest range within any cell: what always ends alike here, such as a
    yes or no, may end otherwise on a seed that was not run.
    """
    runs = counted(study)
    values = runs[sorted({pair.measure for pair in pairs})].astype(float).groupby(runs["cell"])
    ranges = values.max() - values.min()
    most = ranges.max()
    own = [ranges[pair.measure].reindex([pair.cell, pair.reference]).max() for pair in pairs]
    return [float(mine or most[pair.measure]) for mine, pair in zip(own, pairs, strict=True)]


def resolved(scenario: Scenario, changes: Mapping[str, Any] | str = "{}") -> Mapping[str, Scalar]:
    """Every knob of an arm: [micro] with some changes, which a table of uses holds as JSON."""
    given = json.loads(changes) if isinstance(changes, str) else changes
    with defined(scenario.minds):
        found: Mapping[str, Scalar] = scenario.cls.checked({**scenario.micro, **given})
    return found


def of_interest(scenario: Scenario) -> tuple[str, ...]:
    """The measures that a scenario asks about: its outcome, then those of its thresholds, effects and claims."""
    levels, claims = [one.that for one in scenario.thresholds], [one.that for one in scenario.claims]
    return tuple(dict.fromkeys((scenario.outcome, *levels, *scenario.identify.measures, *claims)))


def margin(scenario: Scenario, measure: str) -> float:
    """The smallest difference of a measure that matters, NaN where nobody has said."""
    of_outcome = scenario.risk.margin if measure == scenario.outcome else nan
    return scenario.identify.margins.get(measure, of_outcome)


def counted(study: Study) -> "DataFrame":
    """The runs that count, those that succeeded and are valid, by cell and seed."""
    runs = study.runs[(study.runs["status"] == SUCCEEDED) & study.runs["valid"].astype(bool)]
    return runs.sort_values(["cell", "seed"])


def by_cell(study: Study, measure: str) -> "Mapping[int, Series[float]]":
    """What `Study.values` says of every cell, in one pass; a cell without runs that count has no values."""
    import pandas as pd

    runs = counted(study).set_index("seed")
    groups = {int(str(cell)): values for cell, values in runs[measure].astype(float).groupby(runs["cell"])}
    return defaultdict(lambda: pd.Series(dtype=float), groups)


def attempted(study: Study, *cells: int) -> int:
    """How many seeds were run in each of some cells, whatever came of them."""
    runs = study.runs
    return len(set.intersection(*(set(runs.loc[runs["cell"] == cell, "seed"]) for cell in cells)))
