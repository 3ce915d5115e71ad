"""The answer in three sentences: each is written from verdicts, and says what was not asked for."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from agentmicro.study.answer import answer
from agentmicro.study.text import amount
from agentmicro.study.thresholds import thresholds
from tests.study import whole


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return whole.study(tmp_path_factory.mktemp("whole"))


def effects(*rows):
    return pd.DataFrame(map(str.split, rows), columns=["knob", "measure", "verdict"])


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (["turns conflicts relevant"], "changed alone, turns moves conflicts."),
        (
            ["turns conflicts relevant", "loss conflicts relevant", "graph conflicts undecided"],
            "changed alone, turns and loss move conflicts, graph is undecided for it.",
        ),
        (
            ["place conflicts negligible", "place conflicts relevant", "a conflicts negligible"],
            "changed alone, place moves conflicts, a changes it negligibly.",
        ),
        (
            ["a settled negligible", "b settled negligible", "a settled_at relevant"],
            "changed alone, a and b change settled negligibly; a moves settled_at.",
        ),
        (["a settled relevant", "b conflicts undecided"], "changed alone, b is undecided for conflicts."),
        ([f"{knob} conflicts relevant" for knob in "abcdef"], "changed alone, a, b, c, d and 2 more move conflicts."),
    ],
)
def test_what_grows_it_is_said_by_verdict(study, rows, said):
    text = answer(study, {"effects": effects(*rows)})[0].text
    base = study.values(study.reference("base"), "conflicts")
    assert text.startswith(f"as the scenario stands, conflicts is {base.mean():.4g} (")
    assert f"over 12 seeds, and {study.values(1, 'conflicts').mean():.4g} where minds=random; " in text
    assert text.endswith(said)


def arm(name, verdict, reduction, share=0.5):
    row = {"arm": name, "verdict": verdict, "reduction": reduction, "low": reduction - 0.1, "high": reduction + 0.1}
    return row | {"share": share}


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (
            [arm("a", "relevant", 0.5), arm("b", "relevant", 0.25), arm("c", "undecided", 0.05)],
            "most by “a”, under which conflicts falls by 0.5 (0.4 to 0.6), 50% of the risk; “b” helps too; "
            "1 of 3 is undecided.",
        ),
        (
            [arm("a", "relevant", -0.5), arm("b", "negligible", 0.0)],
            "no intervention is shown to take risk away; “a” makes it worse; “b” does too little.",
        ),
        ([arm("a", "undecided", np.nan)], "none of 1 interventions can be judged, since no pair of runs counts."),
        (
            [arm("a", "undecided", 0.4), arm("b", "undecided", np.nan)],
            "no intervention is shown to take risk away; 2 of 2 are undecided.",
        ),
    ],
)
def test_what_cures_it_is_said_by_verdict(study, rows, said):
    assert answer(study, {"arms": pd.DataFrame(rows)})[2].text == said


def test_a_cure_of_what_is_low_makes_it_rise(study):
    low = whole.other(study, risk=replace(study.scenario.risk, worse="low"))
    text = answer(low, {"arms": pd.DataFrame([arm("a", "relevant", 0.5, np.nan)])})[2].text
    assert text == "most by “a”, under which conflicts rises by 0.5 (0.4 to 0.6)."


def test_where_it_tips_is_said_or_why_not(study):
    table = thresholds(study)
    first, second = table.to_dict("records")
    text = answer(study, {"thresholds": table})[1].text
    low, high = amount(first["low"]), amount(first["high"])
    assert text.startswith(f"conflicts reaches 0.5 at loss = {amount(first['estimate'])} ({low} to {high}); ")
    assert text.endswith(f"no threshold is stated for loss: {second['refused']}.")
