"""Sensitivity: how much of the outcome each knob moves over a whole design, and how much of it is luck.

The indices are SALib's, of the mean over the seeds at each point. That mean still holds some luck: the seeds are common
to all points, so what a seed does everywhere cancels, and what it does at one point only is told from the rest by a
two-way analysis of variance (points by seeds) and taken out of Sobol's indices.
"""

from collections.abc import Mapping
from importlib import import_module
from math import isfinite, nan
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from agentmicro.errors import SpecError
from agentmicro.knobs import knobs
from agentmicro.study.comparisons import by_cell, resolved
from agentmicro.study.designs import LEVELS, Design, design
from agentmicro.study.results import Study
from agentmicro.study.statistics import SEED, Floats

if TYPE_CHECKING:
    from pandas import DataFrame

INDICES = {"morris": ("mu", "mu_star", "mu_star_conf", "sigma"), "sobol": ("S1", "S1_conf", "ST", "ST_conf")}
RESAMPLED = 999
FEWEST = 2  # trajectories or base points


class Components(NamedTuple):
    """Where the variance of single runs comes from: the point, the seed, and what a seed does at one point only."""

    points: float
    seeds: float
    rest: float

    @property
    def luck(self) -> float:
        """The share that is luck; NaN where nothing varies."""
        total = sum(self)
        return (self.seeds + self.rest) / total if total > 0 else nan


def sensitivity(study: Study, seed: int = SEED) -> "DataFrame":
    """How much of the outcome each knob moves: Morris' mu, mu_star and sigma, or Sobol's S1 and ST, by design.

    An elementary effect is per full range of the knob, or per list of its values; its direction, mu, is NaN for words.
    replication: the share of the variance of single runs that is luck. noise: the share of the variance of the means
    over the seeds that is luck left over; NaN with one seed, and then nothing is taken out. n: how many trajectories or
    base points count; left_out: how many hold a point where no run counts, or where some run leaves the outcome
    undefined. Empty for designs that have no such indices.
    """
    import pandas as pd

    grow = study.scenario.grow
    indices = INDICES.get(grow.design, ())
    columns = ["method", "measure", "knob", *indices, "replication", "noise", "n", "left_out"]
    made = design(grow, study.scenario.cls, resolved(study.scenario))
    if not indices or not made.points:
        return pd.DataFrame(columns=columns)
    cells = _cells(study, made)
    found_in = by_cell(study, study.scenario.outcome)
    numbers = np.unique(cells).tolist()
    tables = pd.DataFrame({cell: found_in[cell] for cell in numbers})
    means = {cell: found_in[cell].mean(skipna=False) for cell in numbers}
    values = np.array([means[cell] for cell in cells.tolist()], float)
    size = len(made.names) + (1 if grow.design == "morris" else 2)
    whole = np.isfinite(values).reshape(-1, size).all(axis=1)
    kept = np.repeat(whole, size)
    by_seed = tables[np.unique(cells[kept]).tolist()].dropna()  # the seeds that all points have
    parts, seeds = components(by_seed.to_numpy(float).T), len(by_seed)
    found = dict.fromkeys(indices, np.full(len(made.names), nan))
    noise = nan
    if whole.sum() >= FEWEST:
        spread = float(values[kept].var())
        noise = parts.rest / seeds / spread if seeds and spread > 0 else nan
        assert made.unit is not None
        analysed = _morris if grow.design == "morris" else _sobol
        found = {**found, **analysed(made, made.unit[kept], values[kept], cells[kept], noise, seed)}
    if grow.design == "morris":
        words = np.array([knobs(study.scenario.cls)[name].kind is str for name in made.names])
        found["mu"] = np.where(words, nan, found["mu"])
    frame = pd.DataFrame({"method": grow.design, "measure": study.scenario.outcome, "knob": made.names, **found})
    counts = {"n": int(whole.sum()), "left_out": int((~whole).sum())}
    return frame.assign(replication=parts.luck, noise=noise, **counts)[columns]


def components(table: Floats) -> Components:
    """The variance components of a table with a row per point and a column per seed, from the seeds that all have.

    By the law of total variance they add up to the variance of a single run at a point drawn from the design. NaN with
    fewer than two points or two common seeds.
    """
    common = table[:, np.isfinite(table).all(axis=0)]
    points, seeds = common.shape
    if points < 2 or seeds < 2:
        return Components(nan, nan, nan)
    by_point, by_seed = common.mean(axis=1), common.mean(axis=0)
    rest = common - by_point[:, None] - by_seed + common.mean()
    noise = float((rest**2).sum()) / (points - 1) / (seeds - 1)
    of_points = max(0.0, float(by_point.var(ddof=1)) - noise / seeds)
    of_seeds = max(0.0, float(by_seed.var(ddof=1)) - noise / points)
    return Components(of_points, of_seeds, noise)


def _cells(study: Study, made: Design) -> NDArray[np.int64]:
    """The cell of each point of a design, in the order of the design."""
    uses = study.stage("grow", "arm")
    known = {
        tuple(resolved(study.scenario, changes).items()): int(cell)
        for cell, changes in zip(uses["cell"], uses["changes"], strict=True)
    }
    asked = [tuple(resolved(study.scenario, point).items()) for point in made.points]
    if not set(asked) <= set(known):
        raise SpecError("the grown cells are not those of the design: expected the study of this very scenario")
    return np.array([known[point] for point in asked])


def _morris(
    made: Design, unit: Floats, values: Floats, cells: NDArray[np.int64], noise: float, seed: int
) -> Mapping[str, Floats]:
    analyze = _salib("morris").analyze
    found = analyze(made.problem, unit, values, num_resamples=RESAMPLED, num_levels=LEVELS, seed=seed)
    return {name: np.asarray(found[name], float) for name in INDICES["morris"]}


def _sobol(
    made: Design, unit: Floats, values: Floats, cells: NDArray[np.int64], noise: float, seed: int
) -> Mapping[str, Floats]:
    """The first and total indices of the expected outcome: those of the means, less what luck adds to them."""
    if np.ptp(values) == 0:
        return {}
    analyze = _salib("sobol").analyze
    found = analyze(made.problem, values, calc_second_order=False, num_resamples=RESAMPLED, seed=seed)
    by_row = cells.reshape(-1, len(made.names) + 2)
    first, last, between = by_row[:, :1], by_row[:, -1:], by_row[:, 1:-1]
    # The estimators multiply or subtract outcomes of two points, whose luck is one and the same if they are one cell.
    alone = (between == last).mean(axis=0) - (first == last).mean()
    total = (between != first).mean(axis=0)
    noise = noise if isfinite(noise) else 0.0
    left = 1 - noise if noise < 1 else nan
    return {
        "S1": (found["S1"] - noise * alone) / left,
        "S1_conf": found["S1_conf"] / left,
        "ST": (found["ST"] - noise * total) / left,
        "ST_conf": found["ST_conf"] / left,
    }


def _salib(name: str) -> Any:
    try:
        return import_module(f"SALib.analyze.{name}")
    except ImportError:
        raise SpecError(f"the design {name} needs SALib, which comes with the extra agentmicro[study]") from None
