"""The token share of variance against regressions by statsmodels and planted shares."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from statsmodels.formula.api import ols

from agentmicro.study.variance import SHARES, shares, variance
from tests.study.made import study

TEXT = 'phenomenon = "channels"\n[risk]\noutcome = "conflicts"\n'


def runs(rng, cells=6, seeds=20, of_tokens=1.0, of_cells=1.0, luck=1.0):
    """An outcome made of tokens, which differ between cells and between runs, of the cell itself, and of luck."""
    cell, seed = np.repeat(np.arange(cells), seeds), np.tile(np.arange(1, seeds + 1), cells)
    tokens = 100 * rng.normal(0, 1, cells)[cell] + 100 * rng.normal(0, 1, cell.size) + 1_000
    own = rng.normal(0, 1, cells)[cell]
    outcome = of_tokens * tokens / 100 + of_cells * own + luck * rng.normal(0, 1, cell.size)
    return pd.DataFrame({"cell": cell, "seed": seed, "tokens": tokens.round(), "conflicts": outcome})


def made(tmp_path, frame):
    found = study(tmp_path, TEXT, [{"conflicts": [0.0]}], [("base", "base", "reference", 0, {})])
    return replace(found, runs=completed(frame))


def completed(frame):
    return frame.assign(status="succeeded", valid=True, tokens_in=frame["tokens"] - 10, tokens_out=10)


def test_shares_are_the_r_squared_of_three_regressions():
    frame = runs(np.random.default_rng(1))
    found = dict(
        zip(
            SHARES,
            shares(*(frame[name].to_numpy(float) for name in ("conflicts", "tokens")), frame["cell"].to_numpy()),
            strict=True,
        )
    )
    tokens, cells, both = (
        ols(f"conflicts ~ {right}", frame).fit().rsquared for right in ("tokens", "C(cell)", "tokens + C(cell)")
    )
    assert found["tokens alone"] == pytest.approx(tokens)
    assert found["protocol alone"] == pytest.approx(cells)
    assert found["both"] == pytest.approx(both)
    assert found["tokens beyond protocol"] == pytest.approx(both - cells)
    assert found["protocol beyond tokens"] == pytest.approx(both - tokens)


def test_planted_shares_lie_within_their_intervals_at_about_the_nominal_rate(tmp_path):
    found, held = made(tmp_path, runs(np.random.default_rng(0))), []
    for seed in range(120):
        rng = np.random.default_rng(seed)
        frame = runs(rng, of_cells=0.0)
        own = frame["tokens"] / 100
        truth = own.var(ddof=0) / (own.var(ddof=0) + 1.0)  # of these very tokens: only the luck is drawn anew
        row = variance(replace(found, runs=completed(frame))).set_index("explained_by").loc["tokens alone"]
        held.append(row["low"] <= truth <= row["high"])
    assert 0.88 <= np.mean(held) <= 0.99


def test_protocol_that_explains_everything_leaves_nothing_to_tokens(tmp_path):
    frame = runs(np.random.default_rng(2), of_tokens=0.0, of_cells=3.0, luck=0.1)
    table = variance(made(tmp_path, frame)).set_index("explained_by")
    assert table.loc["protocol alone", "share"] > 0.98
    assert table.loc["tokens beyond protocol", "high"] < 0.02
    assert (table["low"] <= table["share"]).all()
    assert (table["share"] <= table["high"]).all()
    assert (table[["share", "low", "high"]].to_numpy() >= 0).all()
    assert tuple(table.iloc[0][["n_runs", "n_seeds", "left_out"]]) == (120, 20, 0)


def test_runs_that_do_not_count_are_told(tmp_path):
    frame = runs(np.random.default_rng(3))
    found = made(tmp_path, frame)
    found.runs.loc[found.runs["seed"].eq(1) & found.runs["cell"].eq(0), "conflicts"] = np.nan
    found.runs.loc[found.runs["seed"].eq(2) & found.runs["cell"].eq(0), "status"] = "failed"
    assert variance(found)["left_out"].eq(2).all()


def test_without_tokens_or_without_seeds_there_is_nothing_to_share(tmp_path):
    frame = runs(np.random.default_rng(4))
    assert variance(made(tmp_path, frame.assign(tokens=10))).empty
    assert variance(made(tmp_path, frame[frame["seed"].le(2)])).empty
    assert variance(made(tmp_path, frame.assign(conflicts=1.0))).empty
