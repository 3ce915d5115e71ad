"""Identification: planted causes are named, what does nothing is negligible in its margin, and all runs are told."""

import numpy as np
import pytest

from agentmicro.study.comparisons import Pair, compared, margin, of_interest, scales
from agentmicro.study.effects import identify
from agentmicro.study.statistics import holm, interval, sign_flip
from tests.study.made import study

TEXT = """
phenomenon = "channels"
[risk]
outcome = "conflicts"
margin = 0.1
[micro]
agents = 12
[grow]
seeds = 20
[identify]
where = { latency = 1 }
measures = ["conflicts", "settled"]
[identify.vary]
turns = ["random"]
memory = [2]
loss = [0.3]
"""
ARMS = [{"latency": 1, "turns": "random"}, {"latency": 1, "memory": 2}, {"latency": 1, "loss": 0.3}]


def made(tmp_path, text=TEXT, seeds=20):
    """Turns halve the conflicts, memory changes nothing in any run, loss moves them by luck alone."""
    rng = np.random.default_rng(1)
    base = 0.6 + rng.normal(0, 0.05, seeds)
    settled = np.zeros(seeds)
    cells = [
        {"conflicts": base, "settled": settled},
        {"conflicts": 0.3 + rng.normal(0, 0.05, seeds), "settled": settled + 1},
        {"conflicts": base, "settled": settled},
        {"conflicts": base + rng.normal(0, 0.4, seeds), "settled": settled},
    ]
    uses = [("identify", "base", "reference", 0, {"latency": 1})]
    uses += [("identify", "", "arm", at, change) for at, change in enumerate(ARMS, start=1)]
    return study(tmp_path, text, cells, uses), cells


def test_the_planted_cause_is_relevant_and_what_does_nothing_is_negligible(tmp_path):
    found, cells = made(tmp_path)
    table = identify(found)
    rows = table[table["measure"].eq("conflicts")].set_index("knob")
    assert rows["verdict"].to_dict() == {"turns": "relevant", "memory": "negligible", "loss": "undecided"}
    assert rows["group"].to_dict() == {"turns": "turn structure", "memory": "memory", "loss": "visibility"}
    assert tuple(rows.loc["turns", ["base", "value"]]) == ("simultaneous", "random")
    assert tuple(rows.loc["memory", ["effect", "low", "high", "p"]]) == (0, 0, 0, 1)
    difference = cells[1]["conflicts"] - cells[0]["conflicts"]
    assert tuple(rows.loc["turns", ["effect", "low", "high"]]) == pytest.approx(interval(difference))
    assert rows.loc["turns", "mean"] - rows.loc["turns", "mean_base"] == pytest.approx(rows.loc["turns", "effect"])
    assert rows.loc["loss", "more"] > 0


def test_the_family_is_every_effect_of_the_table(tmp_path):
    table = identify(made(tmp_path)[0])
    assert len(table) == 6
    assert table["p_holm"].to_numpy() == pytest.approx(holm(table["p"].to_numpy()))


def test_without_a_margin_nothing_is_negligible(tmp_path):
    table = identify(made(tmp_path, TEXT.replace("margin = 0.1\n", ""))[0])
    assert "negligible" not in set(table["verdict"])
    settled = identify(made(tmp_path)[0]).query("measure == 'settled'")
    assert settled["margin"].isna().all()  # the margin of the risk is that of its outcome alone


def test_a_yes_or_no_that_never_changed_needs_more_seeds_than_a_number_that_tells_seeds_apart(tmp_path):
    text = TEXT.replace('measures = ["conflicts", "settled"]', 'measures = ["settled"]\nmargins = { settled = 0.1 }')
    found, _ = made(tmp_path, text)
    found.runs.loc[found.runs["cell"].eq(3) & found.runs["seed"].eq(5), "settled"] = 1.0  # luck can settle it
    rows = identify(found).set_index("knob")
    assert rows.loc["memory", "effect"] == 0
    assert rows.loc["memory", "verdict"] == "undecided"
    assert 5 <= rows.loc["memory", "more"] <= 40  # the rule of three: about 30 seeds in all, or more as one of three


def test_seeds_that_leave_a_measure_undefined_are_counted_and_forbid_a_verdict(tmp_path):
    found, _ = made(tmp_path)
    runs = found.runs
    runs.loc[runs["cell"].eq(1) & runs["seed"].le(3), "conflicts"] = np.nan
    runs.loc[runs["cell"].eq(0) & runs["seed"].eq(20), "valid"] = False
    runs.loc[runs["cell"].eq(1) & runs["seed"].eq(19), ["status", "conflicts"]] = ["failed", np.nan]
    table = identify(found)
    rows = table[table["measure"].eq("conflicts")].set_index("knob")
    assert tuple(rows.loc["turns", ["n", "left_out", "undefined"]]) == (15, 5, 3)
    assert rows.loc["turns", "verdict"] == "undecided"
    assert np.isnan(rows.loc["turns", "more"])
    assert tuple(rows.loc["memory", ["n", "left_out", "undefined", "verdict"]]) == (19, 1, 0, "negligible")


def test_a_measure_that_no_seed_defines_has_a_row_and_no_numbers(tmp_path):
    found, _ = made(tmp_path)
    found.runs["conflicts"] = np.nan
    table = identify(found)
    rows = table[table["measure"].eq("conflicts")]
    assert rows["n"].eq(0).all()
    assert rows[["mean", "effect", "low", "high", "p", "p_holm"]].isna().all(axis=None)
    assert rows["verdict"].eq("undecided").all()


def test_a_study_that_identifies_nothing_has_an_empty_table(tmp_path):
    found = study(tmp_path, TEXT, [{"conflicts": [0.1]}], [("base", "base", "reference", 0, {})])
    assert identify(found).empty
    assert "verdict" in identify(found).columns


def test_pairs_are_compared_on_the_seeds_that_both_cells_have(tmp_path):
    cells = [{"conflicts": [0.1, 0.5, 0.2, 0.9]}, {"conflicts": [0.4, 0.6, 0.4]}]
    found = study(tmp_path, TEXT, cells, [("base", "base", "reference", 0, {})])
    row = compared(found, [Pair(1, 0, "conflicts"), Pair(1, 0, "conflicts", turned=True)])
    assert row["effect"].tolist() == pytest.approx([0.2, -0.2])
    assert row["n"].tolist() == [3, 3]
    assert row["p"][0] == sign_flip(np.array([[0.3, 0.1, 0.2]]))[0]
    assert row["low"][0] == pytest.approx(-row["high"][1])


def test_luck_moves_a_measure_by_its_range_in_the_two_cells_or_else_in_any(tmp_path):
    cells = [{"settled": [0, 0, 0]}, {"settled": [0, 0, 0]}, {"settled": [0, 1, 0]}, {"settled": [1, 1, 1]}]
    found = study(tmp_path, TEXT, cells, [("base", "base", "reference", 0, {})])
    assert scales(found, [Pair(1, 0, "settled"), Pair(2, 0, "settled")]) == [1.0, 1.0]
    found.runs.loc[found.runs["cell"].eq(2), "settled"] = 0
    assert scales(found, [Pair(1, 0, "settled"), Pair(3, 0, "settled")]) == [0.0, 0.0]


def test_what_a_scenario_asks_about_comes_once_with_its_outcome_first(tmp_path):
    text = TEXT + '[[claim]]\nsays = "Late."\nthat = "settled_at"\nbelow = 9\n'
    scenario = study(tmp_path, text, [{"conflicts": [0.1]}], []).scenario
    assert of_interest(scenario) == ("conflicts", "settled", "settled_at")
    assert margin(scenario, "conflicts") == 0.1
    assert np.isnan(margin(scenario, "settled"))
