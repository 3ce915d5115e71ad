"""Interventions: what arms take away, cost and move besides, and which of them no other one beats."""

import numpy as np
import pytest

from agentmicro.study.arms import intervene, pareto, side_effects
from agentmicro.study.statistics import holm, interval
from tests.study.made import study

TEXT = """
phenomenon = "channels"
[risk]
outcome = "conflicts"
worse = "WORSE"
margin = 0.02
[micro]
agents = 12
[grow]
seeds = 12
[intervene]
"more channels" = { channels = 5 }
"taking turns" = { turns = "random", at = 5 }
"other minds" = { minds = "any-free" }
"""
NAMES = ("more channels", "taking turns", "other minds")


def made(tmp_path, worse="high", tokens=(0, 0, 0, 0), cost=0.0):
    """Base conflicts of 0.5; the arms take away 0.4, 0.1 and nothing; the null has 0.7."""
    rng = np.random.default_rng(1)
    base = 0.5 + rng.normal(0, 0.03, 12)
    away = (0.0, 0.4, 0.1, 0.0, -0.2)
    cells = [
        {
            "conflicts": base - gone + rng.normal(0, 0.005, 12) * (gone != 0),
            "settled": np.full(12, float(gone > 0.3)),
            "settled_at": rng.normal(5, 1, 12),
        }
        for gone in away
    ]
    uses = [("base", "base", "reference", 0, {}), ("null", "null", "arm", 4, {"minds": "random"})]
    uses += [("intervene", "base", "reference", 0, {})]
    uses += [("intervene", name, "arm", at, {}) for at, name in enumerate(NAMES, start=1)]
    found = study(tmp_path, TEXT.replace("WORSE", worse), cells, uses)
    found.runs["tokens_in"] = found.runs["cell"].map(dict(enumerate((*tokens, 0))))
    found.runs["tokens_out"] = 1 * (found.runs["tokens_in"] > 0)
    found.runs["cost_usd"] = cost * found.runs["tokens_in"]
    return found, cells


def test_the_reduction_is_paired_and_counts_downwards_where_high_is_worse(tmp_path):
    found, cells = made(tmp_path)
    table = intervene(found).set_index("arm")
    for at, name in enumerate(NAMES, start=1):
        expected = interval(cells[0]["conflicts"] - cells[at]["conflicts"])
        assert tuple(table.loc[name, ["reduction", "low", "high"]]) == pytest.approx(expected)
        assert table.loc[name, "outcome"] == pytest.approx(cells[at]["conflicts"].mean())
        assert table.loc[name, "share"] == pytest.approx(expected[0] / cells[0]["conflicts"].mean())
    assert table["verdict"].tolist() == ["relevant", "relevant", "negligible"]
    assert table["level"].tolist() == ["protocol", "protocol", "model"]
    assert table["p_holm"].to_numpy() == pytest.approx(holm(table["p"].to_numpy()))
    assert table["n"].eq(12).all()


def test_where_low_is_worse_the_signs_turn_and_the_share_is_of_the_way_to_the_null(tmp_path):
    found, cells = made(tmp_path, worse="low")
    table = intervene(found).set_index("arm")
    assert table.loc["more channels", "reduction"] == pytest.approx(-0.4, abs=0.01)
    short = cells[4]["conflicts"].mean() - cells[0]["conflicts"].mean()
    assert table["share"].to_numpy() == pytest.approx(table["reduction"] / short)
    found.runs.loc[found.runs["cell"].eq(4), "conflicts"] = 0.1  # then the null is worse than the base
    assert intervene(found)["share"].isna().all()


def test_a_base_without_risk_has_no_share_of_it_to_take_away(tmp_path):
    found, _ = made(tmp_path)
    found.runs.loc[found.runs["cell"].eq(0), "conflicts"] = 0.0
    assert intervene(found)["share"].isna().all()


def test_tokens_and_dollars_are_those_of_a_run_and_unknown_ones_stay_unknown(tmp_path):
    found, _ = made(tmp_path, tokens=(1000, 3000, 1000, 500), cost=1e-5)
    table = intervene(found).set_index("arm")
    assert table["tokens"].tolist() == [3001, 1001, 501]
    assert table["tokens_change"].tolist() == [2000, 0, -500]
    assert table["cost_usd"].to_numpy() == pytest.approx([0.03, 0.01, 0.005])
    found.runs.loc[found.runs["cell"].eq(1) & found.runs["seed"].eq(3), "cost_usd"] = np.nan
    table = intervene(found).set_index("arm")
    assert np.isnan(table.loc["more channels", "cost_usd"])
    assert table["pareto"].tolist() == [True, True, True]  # by tokens then, of which the best cure takes the most


def test_the_front_holds_the_best_cure_at_every_price(tmp_path):
    assert intervene(made(tmp_path)[0])["pareto"].tolist() == [True, False, False]
    dear = intervene(made(tmp_path, tokens=(0, 900, 50, 60), cost=1e-5)[0])
    assert dear["pareto"].tolist() == [True, True, False]  # the third costs more than doing nothing, and does nothing


def test_no_arm_leaves_the_front_by_luck():
    rng = np.random.default_rng(2)
    common = rng.normal(0, 1, 30)
    same = common + rng.normal(0, 0.3, (2, 30))
    better = common + 1 + rng.normal(0, 0.3, 30)
    worse = np.full(30, np.nan)
    assert pareto(same, [1.0, 1.0]) == [True, True]
    assert pareto(np.array([same[0], better]), [1.0, 1.0]) == [False, True]
    assert pareto(np.array([same[0], better]), [1.0, 2.0]) == [True, True]
    assert pareto(np.array([better, worse]), [1.0, 1.0]) == [True, True]
    assert pareto(np.array([better, same[0]]), [1.0, np.nan]) == [True, True]  # a price that is not known beats nobody


def test_side_effects_are_on_every_measure_but_the_outcome(tmp_path):
    found, cells = made(tmp_path)
    table = side_effects(found)
    assert list(zip(table["arm"], table["measure"], strict=True)) == [
        (name, measure) for name in NAMES for measure in ("settled", "settled_at")
    ]
    row = table.iloc[0]
    assert (row["mean_base"], row["mean"], row["effect"], row["verdict"]) == (0, 1, 1, "relevant")
    late = cells[2]["settled_at"] - cells[0]["settled_at"]
    assert tuple(table.iloc[3][["effect", "low", "high"]]) == pytest.approx(interval(late))
    assert table["p_holm"].to_numpy() == pytest.approx(holm(table["p"].to_numpy()))


def test_a_study_without_arms_has_empty_tables(tmp_path):
    found = study(tmp_path, TEXT.replace("WORSE", "high"), [{"conflicts": [0.1]}], [("base", "", "reference", 0, {})])
    assert intervene(found).empty
    assert side_effects(found).empty
