"""The adequacy card and the claims of a study: each answer follows from the runs, and none is given untested."""

import numpy as np
import pytest

from agentmicro.study.adequacy import adequacy
from agentmicro.study.claims import Verdict, claims, of_study
from tests.study.made import study

BASE = [("base", "base", "reference", 0, {}), ("null", "null", "arm", 1, {"mind": "uniform"})]
CLAIM = [("claim", "1", "where", 0, {}), ("claim", "1", "null", 1, {})]
RISK = 'phenomenon = "herding"\n[risk]\noutcome = "gini"\n'
SAID = RISK + '[grow]\nseeds = 4\n[[claim]]\nsays = "It herds."\nthat = "gini"\nabove = 0.5\n'
HIGH, LOW = [0.8, 0.82, 0.79, 0.81], [0.1, 0.12, 0.09, 0.11]


def answers(tmp_path, text, base, null, uses=(*BASE, *CLAIM)):
    found = adequacy(study(tmp_path, text, [{"gini": base}, {"gini": null}], uses))
    return dict(zip(found["adequacy"], found["answer"], strict=True))


def test_each_answer_follows_from_its_test(tmp_path):
    text = SAID + "[validate]\nvalues.gini = 0.8\n"
    uses = (*BASE, *CLAIM, ("validate", "base", "reference", 0, {}))
    assert answers(tmp_path, text, HIGH, LOW, uses) == {
        "descriptive": "yes",
        "explanatory": "yes",
        "observational": "yes",
    }
    assert answers(tmp_path, text, LOW, HIGH, uses) == {
        "descriptive": "no",
        "explanatory": "no",
        "observational": "no",
    }


def test_what_is_not_tested_says_so(tmp_path):
    uses = (BASE[0], ("null", "null", "arm", 0, {}))
    found = answers(tmp_path, RISK, HIGH, LOW, uses)
    assert set(found.values()) == {"not tested"}


def test_a_mechanism_whose_loss_changes_too_little_explains_nothing(tmp_path):
    near = [value - 0.01 for value in HIGH]
    assert answers(tmp_path, RISK, HIGH, near)["explanatory"] == "yes"
    assert answers(tmp_path, RISK.replace("gini", "gini") + "margin = 0.1\n", HIGH, near)["explanatory"] == "no"


def test_where_low_is_worse_the_risk_falls_as_the_outcome_rises(tmp_path):
    assert answers(tmp_path, RISK + 'worse = "low"\n', LOW, HIGH)["explanatory"] == "yes"
    assert answers(tmp_path, RISK + 'worse = "low"\n', HIGH, LOW)["explanatory"] == "no"


def test_an_outcome_that_is_undefined_decides_nothing(tmp_path):
    assert answers(tmp_path, RISK, [np.nan] * 4, LOW)["explanatory"] == "undecided"


def test_claims_are_judged_from_the_runs_of_a_study(tmp_path):
    made = study(tmp_path, SAID, [{"gini": HIGH}, {"gini": LOW}], (*BASE, *CLAIM))
    (judged,) = of_study(made)
    assert judged.verdict is Verdict.HELD
    assert (judged.mean, judged.null) == (pytest.approx(np.mean(HIGH)), pytest.approx(np.mean(LOW)))
    row = claims(made).iloc[0]
    assert (row["verdict"], row["says"], row["wanted"], row["where"]) == ("held", "It herds.", "above 0.5", "{}")


def test_a_run_that_failed_leaves_a_claim_undecided(tmp_path):
    made = study(tmp_path, SAID, [{"gini": HIGH}, {"gini": LOW}], (*BASE, *CLAIM))
    made.runs.loc[0, "status"] = "failed"
    (judged,) = of_study(made)
    assert (judged.verdict, judged.undefined) == (Verdict.UNDECIDED, 1)


def test_a_claim_about_a_difference_takes_it_seed_by_seed(tmp_path):
    text = SAID.replace("above = 0.5", 'against = { order = "fixed" }\nabove = 0.5')
    uses = (*BASE, *CLAIM, ("claim", "1", "against", 1, {}), ("claim", "1", "null against", 0, {}))
    (judged,) = of_study(study(tmp_path, text, [{"gini": HIGH}, {"gini": LOW}], uses))
    assert judged.mean == pytest.approx(np.mean(HIGH) - np.mean(LOW))
    assert judged.null == pytest.approx(np.mean(LOW) - np.mean(HIGH))
