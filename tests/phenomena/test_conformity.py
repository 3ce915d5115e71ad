"""Conformity: every protocol and law against its closed form, and both definitions of the rates against counts."""

from math import exp, log, sqrt, tanh

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from agentmicro.errors import SpecError
from agentmicro.measures.conformity import steadfast, swayed
from agentmicro.phenomena.conformity import Conformity

SUBJECTS = 3000


def ran(turns=None, **knobs):
    """A run to its end; six peers unless said otherwise."""
    peers = knobs.setdefault("peers", 6)
    model = Conformity(**{"agents": SUBJECTS * (1 + peers), "rng": 1} | knobs)
    for _ in range(turns or 2 + int(model.knobs["history"]) + int(model.knobs["reflections"])):
        model.step()
    return model


def measured(model):
    return {name: measure(model) for name, measure in model.measures.items()}


def softmax(right, majority, other, options=3):
    """The chances of the right answer, where the majority gives a wrong one, and the log-odds of each are given."""
    weights = [exp(right), exp(majority)] + [exp(other)] * (options - 2)
    return weights[0] / sum(weights)


def near(found, chance, n):
    """Whether a share of n is what its chance lets expect, at five standard errors."""
    return abs(found - chance) < 5 * sqrt(max(chance * (1 - chance), 1e-4) / n)


def evidence(skill, options=3):
    return log(skill * (options - 1) / (1 - skill))


# --- closed forms


@pytest.mark.parametrize("protocol", ["raw", "wrong", "correct", "trust", "doubt"])
@pytest.mark.parametrize("skill", [0.4, 0.8])
def test_a_subject_that_hears_nobody_has_the_rates_of_two_independent_answers(protocol, skill):
    found = measured(ran(protocol=protocol, skill=skill, mind="own"))
    wins, base = (skill, 1 - skill) if protocol == "correct" else (1 - skill, skill)
    assert near(found["conformity"], wins, SUBJECTS * base)
    assert near(found["conformity_of_all"], wins * base, SUBJECTS)


@pytest.mark.parametrize("history", [0, 1, 4])
@pytest.mark.parametrize("protocol", ["trust", "doubt"])
def test_trust_by_record_has_the_rate_of_its_beliefs_worked_out_by_hand(protocol, history):
    skill, weight, power, prior, strength = 0.7, 0.4, 0.5, 0.6, 3.0
    mind = f"record(weight={weight}, power={power}, prior={prior}, strength={strength})"
    found = measured(ran(protocol=protocol, history=history, skill=skill, mind=mind))
    hits = history if protocol == "trust" else 0
    trusted = (prior * strength + hits) / (strength + history)
    force = weight * sqrt(6) * log(2 * trusted / (1 - trusted))
    own = evidence(skill)
    right = softmax(own, force, 0) if protocol == "trust" else softmax(own + force, 0, 0)
    assert near(found["conformity"], 1 - right, SUBJECTS * skill)
    assert near(found["accuracy"], right, SUBJECTS)
    assert found[f"{protocol}_conformity"] == found["conformity"]


def test_with_weight_and_power_one_the_record_is_bayes_rule_enumerated():
    # Peers are right with chance t and otherwise give either wrong answer; the majority is unanimous.
    skill, trusted, peers = 0.7, 0.45, 3
    likelihood = [skill * ((1 - trusted) / 2) ** peers, (1 - skill) / 2 * trusted**peers]
    likelihood.append((1 - skill) / 2 * ((1 - trusted) / 2) ** peers)
    right = likelihood[0] / sum(likelihood)
    mind = f"record(weight=1, power=1, prior={trusted})"
    found = measured(ran(protocol="wrong", peers=peers, skill=skill, mind=mind))
    assert near(found["accuracy"], right, SUBJECTS)


@pytest.mark.parametrize("peers", [1, 3, 9])
@pytest.mark.parametrize(
    ("mind", "force"),
    [("impact(weight=0.8, power=0.5)", lambda n: 0.8 * sqrt(n)), ("saturating(weight=0.6)", lambda n: 0.6 * min(n, 3))],
)
def test_the_force_of_numbers_grows_as_its_law_says(mind, force, peers):
    model = ran(protocol="wrong", peers=peers, mind=mind, skill=0.7)
    found = measured(model)
    assert near(found["accuracy"], softmax(evidence(0.7), force(peers), 0), SUBJECTS)


def test_an_ally_takes_one_from_the_majority_and_speaks_for_the_truth():
    mind = "impact(weight=0.8, power=0.5)"
    found = measured(ran(protocol="wrong", dissenters=1, mind=mind, skill=0.7))
    assert near(found["accuracy"], softmax(evidence(0.7) + 0.8, 0.8 * sqrt(5), 0), SUBJECTS)


def test_a_devils_advocate_says_anything_but_what_the_majority_says():
    model = ran(protocol="wrong", dissenters=1, dissent="devil", mind="impact(weight=0.8)", skill=0.7, options=4)
    assert (model.minority != model.majority).all()
    assert near((model.minority == model.right)[:, -1].mean(), 1 / 3, SUBJECTS)
    own, force = evidence(0.7, 4), 0.8 * sqrt(5)
    chance = softmax(own + 0.8, force, 0, 4) / 3
    total = exp(own) + exp(force) + exp(0.8) + 1
    chance += 2 / 3 * exp(own) / total
    assert near(measured(model)["accuracy"], chance, SUBJECTS)


@pytest.mark.parametrize("beta", [0.5, 2.0])
def test_with_two_answers_the_share_is_the_published_law(beta):
    skill = 0.75
    h = log(skill / (1 - skill)) / (2 * beta)
    for dissenters, m in ((0, -1.0), (1, -4 / 6), (2, -2 / 6)):
        found = measured(
            ran(protocol="wrong", options=2, skill=skill, dissenters=dissenters, mind=f"share(beta={beta})")
        )
        assert near(found["accuracy"], (1 + tanh(beta * (m + h))) / 2, SUBJECTS)


def test_each_reflection_counts_its_own_evidence_once_more():
    for reflections in (0, 1, 2):
        found = measured(ran(protocol="wrong", mind="impact(weight=1.0)", skill=0.7, reflections=reflections))
        own = (1 + reflections) * evidence(0.7)
        assert near(found["accuracy"], softmax(own, sqrt(6), 0), SUBJECTS)
        assert near(found["raw_accuracy"], 0.7, SUBJECTS)


def test_where_questions_differ_the_rate_without_peers_is_a_ratio_of_moments():
    found = measured(ran(protocol="raw", spread=1.5, skill=0.7))
    first, second = (
        integrate.quad(lambda z, k=k: (softmax(evidence(0.7) + 1.5 * z, 0, 0) ** k) * stats.norm.pdf(z), -8, 8)[0]
        for k in (1, 2)
    )
    assert near(found["raw_accuracy"], first, SUBJECTS)
    assert near(found["conformity"], 1 - second / first, SUBJECTS * first)


# --- what the subject can know


def test_without_feedback_the_record_is_kept_against_its_own_answers():
    model = ran(protocol="trust", history=1, skill=0.7, feedback=False, mind="record(prior=0.6, strength=3)")
    own, forces = evidence(0.7), []
    for agreed in (1, 0):  # whether its answer in the first round was that of its peers, which was right
        trusted = (1.8 + agreed) / 4
        forces.append(0.4 * sqrt(6) * log(2 * trusted / (1 - trusted)))
    met = softmax(own + 0.4 * sqrt(6) * log(2 * 0.6 / 0.4), 0, 0)
    chance = met * softmax(own, forces[0], 0) + (1 - met) * softmax(own, forces[1], 0)
    assert near(measured(model)["accuracy"], chance, SUBJECTS)


@pytest.mark.parametrize("protocol", ["trust", "doubt"])
def test_without_memory_trust_and_doubt_are_guidance_without_a_history(protocol):
    forgot = measured(ran(protocol=protocol, memory=0, history=4))
    fresh = measured(ran(protocol=protocol, history=0))
    assert near(forgot["accuracy"], fresh["accuracy"], SUBJECTS / 2)


def test_a_lapse_anywhere_in_a_remembered_history_is_one_round_less_of_trust():
    trusted = (0.7 * 2 + 3) / 6
    chance = softmax(evidence(0.7), 0.4 * sqrt(6) * log(2 * trusted / (1 - trusted)), 0)
    for lapse in range(4):
        assert near(measured(ran(protocol="trust", history=4, lapse=lapse))["accuracy"], chance, SUBJECTS)


def test_with_a_memory_of_one_round_the_last_round_is_all_the_record():
    for lapse, hits in ((2, 0), (0, 1)):
        trusted = (0.7 * 2 + hits) / 3
        chance = softmax(evidence(0.7), 0.4 * sqrt(6) * log(2 * trusted / (1 - trusted)), 0)
        found = measured(ran(protocol="trust", history=3, memory=1, lapse=lapse))
        assert near(found["accuracy"], chance, SUBJECTS)


def test_hidden_or_late_peers_move_nobody_and_lost_ones_thin_the_majority():
    hidden = measured(ran(protocol="wrong", visibility="hidden"))
    late = measured(ran(protocol="wrong", latency=1))
    assert near(hidden["accuracy"], 0.7, SUBJECTS)
    assert late["accuracy"] == hidden["accuracy"]
    found = measured(ran(protocol="wrong", loss=0.4, mind="impact(weight=1.0)", skill=0.7))
    chances = [softmax(evidence(0.7), sqrt(n), 0) for n in range(7)]
    assert near(found["accuracy"], stats.binom(6, 0.6).pmf(range(7)) @ chances, SUBJECTS)


# --- the script and the session


def test_protocols_are_scripted_as_published():
    table = {"wrong": [False], "correct": [True], "trust": [True, True, False], "doubt": [False, False, True]}
    for protocol, honest in table.items():
        model = ran(protocol=protocol, turns=1, agents=70)
        assert (model.honest[:, 1:] == honest).all()
        assert ((model.majority == model.right)[:, 1:] == honest).all()
        assert (model.right[:, 0] == model.right[:, -1]).all()


def test_twins_are_one_person_once_in_trust_and_once_in_doubt():
    model = ran(agents=71, history=3)
    assert model.kind.tolist() == [3, 4] * 5 + [3]
    assert (model.right[0:10:2] == model.right[1:10:2]).all()
    alone, after = model.answers[:10, 0].reshape(5, 2), model.answers[:10, -1].reshape(5, 2)
    truth = model.right[:10, 0].reshape(5, 2)
    right, kept = alone[:, 0] == truth[:, 0], (after == truth).all(axis=1)
    found = measured(model)
    assert found["independence"] == pytest.approx((right & kept).sum() / right.sum())
    assert found["independence_of_all"] == pytest.approx((right & kept).sum() / 5)


def test_a_session_waits_for_its_subject_and_unfinished_ones_are_left_out():
    model = Conformity(agents=140, peers=6, protocol="wrong", mind="own:70, silent:70@first", rng=2)
    for _ in range(4):
        model.step()
    assert (model.round == [0] * 10 + [1] * 10).all()
    assert np.isfinite(measured(model)["conformity_of_all"])
    assert (model.answers[:10] == -1).all()
    assert model.n_failed_decisions == 40  # ten subjects, four turns; peers take no decisions
    assert model.n_decisions == 60


def test_a_prompt_tells_the_past_and_asks_the_first_question_again():
    asked = []

    class Noted(Conformity):
        @classmethod
        def prompt(cls, seen):
            asked.append(super().prompt(seen))
            return asked[-1]

    model = Noted(agents=4, peers=3, protocol="trust", history=2, mind="scripted:chance", reflections=1, rng=3)
    for _ in range(5):
        model.step()
    first, _, _, text, again = asked
    question = next(line for line in first.splitlines() if line.startswith("The question now: "))
    assert "in round" not in first
    for part in (question, "in round 1", "in round 3"):
        assert part in text
    assert text.count("The right answer was") == 2
    assert "once more" not in text
    assert "once more" in again


@pytest.mark.parametrize(
    ("knobs", "words"),
    [({"peers": 4, "dissenters": 2}, "fewer than half"), ({"visibility": "counts"}, "memory = 0")],
)
def test_knobs_that_do_not_fit_together_are_refused(knobs, words):
    with pytest.raises(SpecError, match=words):
        Conformity(agents=20, **knobs)


# --- the two definitions


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.booleans()), max_size=30))
def test_rates_are_the_counts_that_both_definitions_name(cases):
    alone, after, toward = (np.array([case[k] for case in cases], bool) for k in range(3))
    could = [case for case in cases if case[0] != case[2]]
    were = [case for case in could if case[1] == case[2]]
    for of_all, base in ((False, could), (True, cases)):
        found = swayed(alone, after, toward, of_all)
        assert np.isnan(found) if not base else found == pytest.approx(len(were) / len(base))
    kept = sum(a and b for a, b, _ in cases)
    for of_all, size in ((False, sum(alone)), (True, len(cases))):
        found = steadfast(alone, after, of_all)
        assert np.isnan(found) if not size else found == pytest.approx(kept / size)
