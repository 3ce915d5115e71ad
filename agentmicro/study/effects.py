"""Identification: which knobs matter when they are changed alone, and which are negligible within a stated margin."""

from typing import TYPE_CHECKING

from agentmicro.knobs import knobs
from agentmicro.study.comparisons import COLUMNS, Pair, compared, margin, resolved
from agentmicro.study.results import Study
from agentmicro.study.statistics import SEED

if TYPE_CHECKING:
    from pandas import DataFrame


def identify(study: Study, seed: int = SEED) -> "DataFrame":
    """The paired effect of each knob alone on each measure asked about, with its verdict; one family for Holm.

    group: the micro-variable that the knob belongs to. The other columns are those of `comparisons.compared`.
    """
    import pandas as pd

    scenario = study.scenario
    columns = ["knob", "group", "base", "value", "measure", *COLUMNS]
    arms = study.stage("identify", "arm")
    if arms.empty:
        return pd.DataFrame(columns=columns)
    known, reference = knobs(scenario.cls), study.reference("identify")
    base = resolved(scenario, study.stage("identify", "reference")["changes"].iloc[0])
    measures = scenario.identify.measures or (scenario.outcome,)
    rows, pairs = [], []
    for cell, changes in zip(arms["cell"], arms["changes"], strict=True):
        value = resolved(scenario, changes)
        knob = next(name for name in value if value[name] != base[name])
        for measure in measures:
            changed = {"knob": knob, "group": known[knob].group.value, "base": str(base[knob])}
            rows.append({**changed, "value": str(value[knob]), "measure": measure})
            pairs.append(Pair(int(cell), reference, measure, margin(scenario, measure)))
    return pd.concat([pd.DataFrame(rows), compared(study, pairs, seed)], axis=1)[columns]
