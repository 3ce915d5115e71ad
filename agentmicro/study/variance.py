"""What explains the outcome: how much of its variance goes with the tokens spent, and how much with the protocol.

A claim of the field is that tokens alone explain most of how groups of language models perform. It is held up here
against the cells that were run: what tokens explain, what the arms explain, and what either adds to the other.
"""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from agentmicro.study.comparisons import counted
from agentmicro.study.results import Study
from agentmicro.study.statistics import SEED, Floats, intervals

if TYPE_CHECKING:
    from pandas import DataFrame

SHARES = ("tokens alone", "protocol alone", "both", "tokens beyond protocol", "protocol beyond tokens")
FEWEST = 3  # seeds, each left out in turn


def variance(study: Study, seed: int = SEED) -> "DataFrame":
    """The shares of the outcome's variance over all runs that count: with tokens (a straight line) and with the arm.

    A share is an R squared, corrected for its bias by leaving out one seed at a time, with the interval of the pseudo-
    values. Runs that leave the outcome undefined are counted in left_out. Empty where no tokens were spent, or the same
    in every run.
    """
    import pandas as pd

    runs = counted(study)
    tokens = (runs["tokens_in"] + runs["tokens_out"]).astype(float)
    outcome = runs[study.scenario.outcome].astype(float)
    known = (tokens.notna() & outcome.notna()).to_numpy()
    columns = ["measure", "explained_by", "share", "low", "high", "n_runs", "n_seeds", "left_out"]
    y, t = (np.asarray(column[known], np.float64) for column in (outcome, tokens))
    cells, seeds = (runs[name].to_numpy()[known] for name in ("cell", "seed"))
    each = np.unique(seeds)
    if not y.size or np.ptp(t) == 0 or np.ptp(y) == 0 or each.size < FEWEST:
        return pd.DataFrame(columns=columns)
    all_seeds = shares(y, t, cells)
    without = np.array([shares(y[seeds != one], t[seeds != one], cells[seeds != one]) for one in each])
    pseudo = each.size * all_seeds - (each.size - 1) * without
    ends = np.clip(np.column_stack(intervals(pseudo.T, seed=seed)), 0, 1)
    frame = pd.DataFrame(ends, columns=["share", "low", "high"])
    counts = {"n_runs": y.size, "n_seeds": each.size, "left_out": len(study.runs) - y.size}
    return frame.assign(measure=study.scenario.outcome, explained_by=SHARES, **counts)[columns]


def shares(y: Floats, t: Floats, cells: NDArray[np.int_]) -> Floats:
    """R squared of y on t, on the cells, on both, and what t adds to the cells and the cells to t."""
    group = np.unique(cells, return_inverse=True)[1]
    size = np.bincount(group)
    y_in, t_in = (values - (np.bincount(group, values) / size)[group] for values in (y, t))
    total = float(((y - y.mean()) ** 2).sum())
    of_tokens = _line(y - y.mean(), t - t.mean()) / total if total else np.nan
    of_cells = 1 - float((y_in**2).sum()) / total if total else np.nan
    both = of_cells + _line(y_in, t_in) / total if total else np.nan
    return np.array([of_tokens, of_cells, both, both - of_cells, both - of_tokens])


def _line(y: Floats, t: Floats) -> float:
    """What a straight line in t takes away from the sum of squares of y, both centred."""
    spread = float((t**2).sum())
    return float((y * t).sum()) ** 2 / spread if spread else 0.0
