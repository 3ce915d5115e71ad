"""Doses and thresholds of a study: which cells belong to a curve, what is left out, and what is refused."""

import json
from dataclasses import replace

import numpy as np
import pytest

from agentmicro.study.crossings import Curve, isotonic, logistic
from agentmicro.study.statistics import interval
from agentmicro.study.thresholds import dose, thresholds
from tests.study.made import study

HEAD = 'phenomenon = "channels"\n[risk]\noutcome = "conflicts"\n[micro]\nagents = 10\n'
GROW = "[grow]\nseeds = 30\nvary = { loss = [0.0, 0.2, 0.4, 0.6, 0.8], channels = [3, 4] }\n"
ASK = '[[threshold]]\nsays = "It turns."\nof = "loss"\nthat = "settled"\nreaches = 0.5\n'
FOUR = ASK.replace("It turns", "It turns with four") + "where = { channels = 4 }\n"
LOSS = np.array([0.0, 0.2, 0.4, 0.6, 0.8])


def settled(middle, seed, seeds=30):
    chance = 1 / (1 + np.exp(12 * (LOSS - middle)))
    return (np.random.default_rng(seed).random((5, seeds)) < chance[:, None]).astype(float)


def made(tmp_path, text=HEAD + GROW + ASK + FOUR):
    """Ten cells, five losses with three channels and five with four; settling turns at 0.3 and at 0.5."""
    three, four = settled(0.3, 1), settled(0.5, 2)
    cells = [{"settled": row, "conflicts": 1 - row} for row in (*three, *four)]
    uses = [("grow", "", "arm", at, {"loss": loss}) for at, loss in enumerate(LOSS.tolist())]
    uses += [("grow", "", "arm", 5 + at, {"loss": loss, "channels": 4}) for at, loss in enumerate(LOSS.tolist())]
    return study(tmp_path, text, cells, uses), three, four


def test_each_threshold_is_found_on_the_cells_that_differ_in_its_knob_alone(tmp_path):
    found, three, four = made(tmp_path)
    table = thresholds(found).set_index("says")
    for says, numbers, where in (("It turns.", three, {}), ("It turns with four.", four, {"channels": 4})):
        row, expected = table.loc[says], logistic(Curve(LOSS, numbers), 0.5)
        assert tuple(row[["method", "estimate", "low", "high"]]) == (
            "logistic",
            expected.estimate,
            expected.low,
            expected.high,
        )
        assert row["isotonic"] == isotonic(Curve(LOSS, numbers), 0.5).estimate
        assert json.loads(row["where"]) == where
        assert (row["n_values"], row["n_runs"], row["left_out"], row["refused"]) == (5, 150, 0, "")
    assert table.loc["It turns.", "estimate"] < 0.4 < table.loc["It turns with four.", "estimate"]


def test_a_measure_that_is_no_share_has_the_isotonic_fit(tmp_path):
    found, three, _ = made(tmp_path)
    found.runs["settled"] *= 7.0
    table = thresholds(found)
    assert set(table["method"]) == {"isotonic"}
    assert table["estimate"][0] == isotonic(Curve(LOSS, 7 * three), 0.5).estimate


def refused(tmp_path, ask, change=None):
    found, *_ = made(tmp_path, HEAD + GROW + ask)
    if change:
        change(found.runs)
    row = thresholds(found).iloc[0]
    assert np.isnan(row["estimate"])
    return row["refused"]


def test_a_threshold_that_cannot_be_told_says_why(tmp_path):
    assert refused(tmp_path, ASK.replace("0.5", "1.5")).endswith("which does not bracket 1.5")
    few = ASK.replace('of = "loss"', 'of = "channels"')
    assert refused(tmp_path, few) == "2 values were run, and a curve takes at least 3"


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ({"of": "graph"}, "graph is no number"),
        ({"where": {"turns": "random"}}, "[grow] has no cells that vary loss with turns = random"),
    ],
)
def test_a_scenario_made_by_hand_may_ask_for_what_was_not_grown(tmp_path, asked, why):
    found, *_ = made(tmp_path)
    scenario = replace(found.scenario, thresholds=(replace(found.scenario.thresholds[0], **asked),))
    assert thresholds(replace(found, scenario=scenario))["refused"].tolist() == [why]


def test_what_some_runs_leave_undefined_has_no_threshold(tmp_path):
    def some(runs):
        runs.loc[runs["cell"].eq(2) & runs["seed"].le(4), "settled"] = np.nan

    assert refused(tmp_path, ASK, some) == "settled is undefined in 4 of 150 runs"


def test_runs_that_failed_are_left_out_and_counted(tmp_path):
    found, three, _ = made(tmp_path)
    lost = found.runs["cell"].eq(1) & found.runs["seed"].le(3)
    found.runs.loc[lost, ["status", "settled", "conflicts"]] = ["failed", np.nan, np.nan]
    row = thresholds(found).iloc[0]
    numbers = three.copy()
    numbers[1, :3] = np.nan
    assert row["estimate"] == logistic(Curve(LOSS, numbers), 0.5).estimate
    assert (row["n_runs"], row["left_out"]) == (147, 3)


def test_no_runs_at_all_are_refused_and_not_a_crash(tmp_path):
    found, *_ = made(tmp_path)
    found.runs["status"] = "failed"
    table = thresholds(found)
    assert table["refused"].str.startswith("fewer than 2 seeds count").all()
    assert dose(found)["n"].eq(0).all()
    assert thresholds(study(tmp_path, HEAD + GROW, [{"conflicts": [0.0]}], [("base", "", "reference", 0, {})])).empty


def test_the_dose_table_holds_every_mean_with_its_interval(tmp_path):
    found, three, _ = made(tmp_path)
    undefined = found.runs["cell"].eq(0) & found.runs["seed"].le(2)
    found.runs.loc[undefined, "settled"] = np.nan
    invalid = found.runs["cell"].eq(3) & found.runs["seed"].eq(1)
    found.runs.loc[invalid, "valid"] = False
    table = dose(found)
    assert list(table.columns[:4]) == ["loss", "channels", "cell", "measure"]
    assert len(table) == 10 * 2  # settled and conflicts are asked about, settled_at is not
    rows = table[table["measure"].eq("settled")].set_index("cell")
    assert tuple(rows.loc[0, ["loss", "channels", "n", "left_out", "undefined"]]) == (0.0, 3, 28, 2, 2)
    assert tuple(rows.loc[3, ["n", "left_out", "undefined"]]) == (29, 1, 0)
    assert tuple(rows.loc[2, ["mean", "low", "high"]]) == pytest.approx(interval(three[2]))


def test_a_knob_called_like_a_column_keeps_a_column_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setattr(
        "agentmicro.study.thresholds.MEANS", ("n", "left_out", "undefined", "mean", "low", "high", "loss")
    )
    found, *_ = made(tmp_path)
    assert "knob_loss" in dose(found).columns
