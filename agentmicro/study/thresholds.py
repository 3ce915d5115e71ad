"""Doses and thresholds: what each measure does over the grown cells, and the critical values at which it turns."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import nan
from typing import TYPE_CHECKING, Any

import numpy as np

from agentmicro.errors import listed
from agentmicro.knobs import Scalar, knobs
from agentmicro.study.comparisons import attempted, by_cell, of_interest, resolved
from agentmicro.study.crossings import Crossing, Curve, isotonic, logistic
from agentmicro.study.results import Study
from agentmicro.study.spec import Threshold
from agentmicro.study.statistics import SEED, intervals

if TYPE_CHECKING:
    from pandas import DataFrame

MEANS = ("n", "left_out", "undefined", "mean", "low", "high")


@dataclass(frozen=True)
class Found:
    """One row of the table of thresholds; `refused` says why there is no estimate, and is empty where there is one.

    where: the knobs that are held, as JSON. isotonic: the estimate of the fit that assumes no shape, to set beside
    that of the method.
    """

    says: str
    of: str
    that: str
    reaches: float
    where: str
    method: str = ""
    estimate: float = nan
    low: float = nan
    high: float = nan
    isotonic: float = nan
    n_values: int = 0
    n_runs: int = 0
    left_out: int = 0
    refused: str = ""


def thresholds(study: Study) -> "DataFrame":
    """The critical values that a scenario asks for, one row each, with its 95% interval or the reason for having none.

    A measure from 0 to 1 is fitted by a logistic curve, and by the isotonic one where the logistic does not fit; any
    other measure by the isotonic one. The cells are those of [grow] that differ in nothing but the knob.
    """
    import pandas as pd

    cells = _grown(study)
    rows = [asdict(_threshold(study, one, cells)) for one in study.scenario.thresholds]
    return pd.DataFrame(rows, columns=list(Found.__dataclass_fields__))


def dose(study: Study, seed: int = SEED) -> "DataFrame":
    """The mean of each measure asked about at each grown cell, with its 95% interval.

    The first columns are the knobs that were varied; one that is called like another column is called knob_NAME.
    """
    import pandas as pd

    scenario = study.scenario
    varied = tuple(dict.fromkeys((*scenario.grow.vary, *scenario.grow.ranges)))
    names = {name: f"knob_{name}" if name in ("cell", "measure", *MEANS) else name for name in varied}
    rows, samples = [], []
    tried = study.runs.groupby("cell")["seed"].nunique()
    values_of = {measure: by_cell(study, measure) for measure in of_interest(scenario)}
    for cell, values in _grown(study).items():
        for measure, cells in values_of.items():
            found = cells[cell]
            known = found.dropna()
            counts = {"n": len(known), "left_out": int(tried.get(cell, 0)) - len(known)}
            counts["undefined"] = len(found) - len(known)
            point = {names[name]: values[name] for name in varied}
            rows.append({**point, "cell": cell, "measure": measure, **counts})
            samples.append(known.to_numpy(float))
    frame = pd.DataFrame(rows, columns=[*names.values(), "cell", "measure", *MEANS])
    for n in sorted({len(values) for values in samples}):
        mine = [index for index, values in enumerate(samples) if len(values) == n]
        table = np.array([samples[index] for index in mine], float).reshape(len(mine), n)
        frame.loc[mine, ["mean", "low", "high"]] = np.column_stack(intervals(table, seed=seed))
    return frame.astype({"mean": float, "low": float, "high": float})


def _grown(study: Study) -> Mapping[int, Mapping[str, Scalar]]:
    """Every knob of each grown cell, in the order of the plan."""
    uses = study.stage("grow", "arm")
    pairs = zip(uses["cell"], uses["changes"], strict=True)
    return {int(cell): resolved(study.scenario, changes) for cell, changes in pairs}


def _threshold(study: Study, asked: Threshold, cells: Mapping[int, Mapping[str, Scalar]]) -> Found:
    says = {"says": asked.says, "of": asked.of, "that": asked.that, "reaches": asked.reaches}
    row: dict[str, Any] = {**says, "where": json.dumps(dict(asked.where))}
    if knobs(study.scenario.cls)[asked.of].kind not in (int, float):
        return Found(**row, refused=f"{asked.of} is no number")
    wanted = resolved(study.scenario, asked.where)
    places = {
        float(values[asked.of]): cell
        for cell, values in cells.items()
        if all(values[name] == value for name, value in wanted.items() if name != asked.of)
    }
    if not places:
        held = listed(f"{name} = {value}" for name, value in asked.where.items()) or "all other knobs as in [micro]"
        return Found(**row, refused=f"[grow] has no cells that vary {asked.of} with {held}")
    curve, undefined = _curve(study, places, asked.that)
    runs = int(curve.n.sum())
    tried = sum(attempted(study, cell) for cell in places.values())
    row |= {"n_values": len(places), "n_runs": runs, "left_out": tried - runs}
    if undefined:
        return Found(**row, refused=f"{asked.that} is undefined in {undefined} of {runs + undefined} runs")
    found, beside = _fitted(curve, asked.reaches)
    return Found(**row, **asdict(found), isotonic=beside.estimate)


def _curve(study: Study, places: Mapping[float, int], measure: str) -> tuple[Curve, int]:
    """A measure by seed at each value of a knob, ascending, and in how many runs it is undefined."""
    import pandas as pd

    columns = {value: study.values(places[value], measure) for value in sorted(places)}
    undefined = sum(int(column.isna().sum()) for column in columns.values())
    return Curve(np.array(list(columns)), pd.DataFrame(columns).to_numpy(float).T), undefined


def _fitted(curve: Curve, level: float) -> tuple[Crossing, Crossing]:
    """The crossing by the method that suits the numbers, and by the isotonic fit."""
    beside = isotonic(curve, level)
    numbers = curve.table[curve.known]
    share = numbers.size and numbers.min() >= 0 and numbers.max() <= 1 and 0 < level < 1
    shaped = logistic(curve, level) if share else beside
    return (beside if shaped.refused else shaped), beside
