"""Opinions against what is known of the laws: mean-field maps, exact chains, the classical algorithms written out."""

from itertools import pairwise
from math import atanh, log, sqrt
from typing import Any

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure
from scipy.optimize import brentq
from scipy.stats import binom

from agentmicro import contract
from agentmicro.errors import SpecError
from agentmicro.measures.mean_field import spinodal, standing, tipping_share
from agentmicro.minds.opinion_laws import FORCES, critical_size, force_at
from agentmicro.phenomena.opinions import MEASURES, Opinions


def grown(length: int, **knobs: Any) -> Opinions:
    model = Opinions(**{"rng": 1} | knobs)
    for _ in range(length):
        model.step()
    return model


def series(model: Opinions, name: str) -> np.ndarray:
    return np.array(model.datacollector.model_vars[name], float)


def last(model: Opinions, name: str) -> float:
    return float(series(model, name)[-1])


def roots(beta: float, preference: float, share: float = 0.0, side: float = -1.0) -> list[float]:
    """The standing states by scipy, between the signs of a coarse grid."""

    def excess(m: float) -> float:
        return (1 - share) * np.tanh(beta * (m + preference)) + share * side - m

    grid = np.linspace(-1.001, 1.0013, 1501)  # so that no root lies on a point of it
    return [brentq(excess, a, b) for a, b in pairwise(grid) if excess(a) * excess(b) < 0]


# --- the mean field


@pytest.mark.parametrize(
    ("beta", "published"), [(1.2, 0.047), (1.5, 0.138), (2, 0.266), (2.5, 0.362), (3, 0.434), (4, 0.537), (5, 0.606)]
)
def test_the_spinodal_is_where_two_of_three_states_meet(beta, published):
    assert spinodal(beta) == pytest.approx(published, abs=5e-4)
    assert len(roots(beta, spinodal(beta) - 1e-3)) == 3
    assert len(roots(beta, spinodal(beta) + 1e-3)) == 1


def test_no_majority_sustains_itself_below_a_force_of_one():
    assert spinodal(1.0) == spinodal(0.4) == 0
    assert np.isnan(tipping_share(0.9, 0.1))


@settings(deadline=None, max_examples=60)
@given(st.floats(0.2, 6), st.floats(-1, 1), st.floats(0, 0.9), st.sampled_from([-1.0, 1.0]))
def test_standing_states_are_those_that_scipy_finds(beta, preference, share, side):
    ours, theirs = standing(beta, preference, share, side), roots(beta, preference, share, side)
    if len(ours) == len(theirs):  # two states that all but touch may fall between the points of the coarse grid
        assert ours == pytest.approx(theirs, abs=1e-9)
    else:
        assert np.diff(ours).min(initial=1) < 0.01
    assert np.abs((1 - share) * np.tanh(beta * (ours + preference)) + share * side - ours).max() < 1e-8


def settles(beta: float, preference: float, share: float, m: float) -> float:
    for _ in range(4000):
        m = (1 - share) * np.tanh(beta * (m + preference)) - share
    return m


@pytest.mark.parametrize(("beta", "preference"), [(2.99, 0.31), (2.99, -0.31), (3.91, 0.46), (1.6, 0.05), (2.2, 0.1)])
def test_at_the_tipping_share_the_majority_jumps(beta, preference):
    share = tipping_share(beta, preference)
    before, after = (settles(beta, preference, share + step, 1.0) for step in (-2e-3, 2e-3))
    assert before - after > 0.15
    assert min(abs(state - after) for state in roots(beta, preference, share + 2e-3)) < 1e-6


def test_a_majority_beyond_the_spinodal_needs_nobody_to_fall():
    assert tipping_share(3.0, -spinodal(3.0) - 0.02) == 0
    assert 0 < tipping_share(3.0, -spinodal(3.0) + 0.02) < 0.05


@pytest.mark.parametrize(
    ("beta", "preference", "share"), [(2.0, 0.1, 0.0), (2.0, 0.4, 0.0), (0.7, 0.1, 0.9), (3, 0, 0.7)]
)
def test_a_large_population_settles_at_the_root_in_whose_basin_it_starts(beta, preference, share):
    knobs = {"agents": 5000, "share": share, "preference": preference, "mind": f"force(beta={beta})"}
    model = grown(40, turns="simultaneous", **knobs)
    found, m = roots(beta, preference), 2 * share - 1
    for _ in range(2000):
        m = np.tanh(beta * (m + preference))
    expected = min(found, key=lambda root: abs(root - m))
    assert series(model, "bias")[-10:].mean() == pytest.approx(expected, abs=0.02)


@pytest.mark.parametrize(("preference", "comes_back"), [(0.15, False), (0.45, True)])
def test_what_stubborn_agents_did_is_undone_just_beyond_the_spinodal(preference, comes_back):
    assert (preference > spinodal(2.5)) == comes_back
    knobs = {"agents": 4000, "share": 0.9, "preference": preference, "mind": "force(beta=2.5)", "turns": "simultaneous"}
    model = grown(120, stubborn=tipping_share(2.5, preference) + 0.05, since=10, until=60, **knobs)
    free = series(model, "free_bias")
    low, high = roots(2.5, preference)[0], roots(2.5, preference)[-1]
    assert free[10] == pytest.approx(high, abs=0.03)
    assert free[60] < -0.5
    assert free[-1] == pytest.approx(high if comes_back else low, abs=0.05)


@pytest.mark.parametrize(("heard", "preference", "beta"), [(0.2, 0.0, 1.5), (0.9, -0.3, 2.0), (0.5, 0.4, 1.0)])
def test_one_decision_follows_the_law(heard, preference, beta):
    model = Opinions(agents=4000, share=heard, preference=preference, mind=f"force(beta={beta})", turns="simultaneous")
    model.step()
    chance = (1 + np.tanh(beta * (2 * heard - 1 + preference))) / 2
    assert 1e-4 < binom.cdf((model.acts.own == 1).sum(), 4000, chance) < 1 - 1e-4


def test_those_who_hear_nobody_follow_their_preference():
    model = grown(1, agents=4000, visibility="hidden", preference=0.3, mind="force(beta=2)", share=0.0)
    assert 1e-4 < binom.cdf((model.acts.own == 1).sum(), 4000, (1 + np.tanh(0.6)) / 2) < 1 - 1e-4


def test_the_force_that_is_seen_is_the_one_that_ruled():
    model = grown(6, agents=3000, graph="random_regular(k=8)", share=0.5, preference=0.1, mind="force(beta=0.8)")
    assert last(model, "seen_force") == pytest.approx(0.8, abs=0.08)
    assert last(model, "seen_preference") == pytest.approx(0.1, abs=0.04)


# --- measured models


def test_measured_models_decide_by_the_published_numbers():
    assert force_at("gpt-4o", [10, 20, 50, 100, 500]) == pytest.approx([5.5, 3.8, 2.9, 1.48, 1.22])
    assert force_at("gpt-4o", sqrt(50 * 100)) == pytest.approx((2.9 + 1.48) / 2)
    assert force_at("gpt-4-turbo", [2, 10_000]) == pytest.approx([4.84, 3.4])
    names = {"framing": "claim", "preference": 0.0, "share": 0.5, "turns": "simultaneous"}
    model = grown(1, agents=50_000, graph="empty", mind="measured(model=gpt-5-mini)", **names)
    assert last(model, "bias") == pytest.approx(np.tanh(2.32 * 0.5), abs=0.02)
    assert last(model, "misaligned") == pytest.approx((1 - np.tanh(2.32 * 0.5)) / 2, abs=0.01)


def test_critical_sizes_are_where_the_force_meets_half_the_log_of_the_size():
    size = critical_size("gpt-4o")
    assert force_at("gpt-4o", size) == pytest.approx(log(size) / 2, abs=1e-3)
    assert size == pytest.approx(80, rel=0.15)  # published: about 80
    assert critical_size("gpt-4-turbo") == pytest.approx(1000, rel=0.1)  # published: about 1,000
    assert np.isnan(critical_size("gpt-4"))  # known at one size only


def test_a_model_that_was_not_measured_is_refused():
    with pytest.raises(SpecError, match=r"gpt-4p.*there is gpt-4-turbo"):
        Opinions(mind="measured(model=gpt-4p)")
    assert all(min(one.betas) > 1 and min(one.betas.values()) > 0 for one in FORCES.values())


# --- the voter, exactly


def chain(agents: int) -> np.ndarray:
    """The transitions of how many agree where everybody at once copies one of the others on a complete graph."""
    found = np.zeros((agents + 1, agents + 1))
    for agree in range(agents + 1):
        kept = binom.pmf(np.arange(agree + 1), agree, max(agree - 1, 0) / (agents - 1))
        won = binom.pmf(np.arange(agents - agree + 1), agents - agree, agree / (agents - 1))
        found[agree] = np.convolve(kept, won)
    return found


def test_voters_fix_by_their_first_share_in_the_time_of_the_exact_chain():
    agents, seeds = 9, 250
    moves = chain(agents)[1:-1, 1:-1]
    times = np.linalg.solve(np.eye(agents - 1) - moves, np.ones(agents - 1))
    knobs = {"agents": agents, "share": 1 / 3, "mind": "voter", "turns": "simultaneous"}
    ended, won = [], 0
    for seed in range(seeds):
        model = Opinions(rng=seed, **knobs)
        while np.isnan(model.consensus):
            model.step()
        ended.append(model.consensus)
        won += int(model.acts.own[0])
    assert np.mean(ended) == pytest.approx(times[2], abs=3.5 * np.std(ended) / sqrt(seeds))
    assert 5e-4 < binom.cdf(won, seeds, 1 / 3) < 1 - 5e-4


# --- thresholds


@pytest.mark.parametrize("at", [0.2, 0.34, 0.5, 0.7])
@pytest.mark.parametrize("seed", [1, 2])
def test_thresholds_play_the_best_answers_of_the_classical_game(at, seed):
    model = Opinions(
        agents=60, graph="random(degree=4)", share=0.3, mind=f"threshold(at={at})", turns="simultaneous", rng=seed
    )
    graph, state = model.graph, dict(enumerate(model.acts.own.tolist()))
    for _ in range(12):
        model.step()
        answers = {}
        for agent in graph:
            near = list(graph[agent])
            agreeing = sum(state[other] for other in near)
            answers[agent] = state[agent] if not near else int(agreeing >= at * len(near) - 1e-9)
        state = answers
        assert dict(enumerate(model.acts.own.tolist())) == state


@pytest.mark.parametrize(("at", "spreads"), [(0.5, True), (0.51, False)])
def test_on_a_ring_an_opinion_spreads_from_one_agent_up_to_a_threshold_of_one_half(at, spreads):
    knobs = {"agents": 30, "graph": "ring", "share": 0.0, "stubborn": 1 / 30, "zealot": 4, "side": "agree"}
    model = grown(20, mind=f"threshold(at={at})", turns="fixed", **knobs)
    assert last(model, "bias") == (1.0 if spreads else pytest.approx(-28 / 30))


# --- opinions on a line


def line(mind: str, **knobs: Any) -> Opinions:
    return Opinions(**{"mind": mind, "turns": "simultaneous", "share": 0.5, "rng": 3} | knobs)


@pytest.mark.parametrize("confidence", [0.05, 0.1, 0.15, 0.22, 0.3])
def test_hegselmann_and_krause_as_written_out(confidence):
    model = line(f"hegselmann-krause(confidence={confidence})", agents=80)
    x, turns = (model.acts.own + 1) / 2, 0
    while turns < 60:
        turns += 1
        model.step()
        near = np.abs(x[:, None] - x[None, :]) <= confidence
        later = (near * x).sum(axis=1) / near.sum(axis=1)
        assert (model.acts.own + 1) / 2 == pytest.approx(later, abs=1e-9)
        still, x = np.abs(later - x).max() < 1e-12, later
        if still:
            break
    assert turns < 60  # it ends after finitely many turns, far fewer than the cube of the number of agents
    groups = 1 + (np.diff(np.sort(x)) > 1e-6).sum()
    if all(size >= 4 for size in np.unique(np.round(x, 6), return_counts=True)[1]):
        assert last(model, "camps") == groups
    assert np.diff(np.sort(x))[np.diff(np.sort(x)) > 1e-6].min(initial=1) > confidence


def test_hegselmann_and_krause_agree_where_they_listen_far_enough():
    assert [
        last(grown(30, mind=f"hegselmann-krause(confidence={c})", turns="simultaneous", agents=400, share=0.5), "camps")
        for c in (0.3, 0.5)
    ] == [1, 1]


@settings(deadline=None, max_examples=25)
@given(st.integers(2, 40), st.floats(0.02, 0.6), st.integers(0, 99))
def test_pairs_of_deffuant_keep_the_mean_and_the_gaps(agents, confidence, seed):
    model = line(f"deffuant(confidence={confidence!r})", agents=agents, communication="pairs", rng=seed)
    start = model.acts.own.copy()
    ranked = np.sort(start)
    cut = ranked[np.flatnonzero(np.diff(ranked) > 2 * confidence)]
    sides = [start > value for value in cut]
    for _ in range(15):
        model.step()
    assert model.acts.own.mean() == pytest.approx(start.mean(), abs=1e-9)
    for value, above in zip(cut, sides, strict=True):
        assert ((model.acts.own > value) == above).all()


def pairwise_camps(agents: int, confidence: float, seed: int) -> int:
    """Deffuant as it was written: random pairs, one after another, on [0, 1]; camps of one in twenty or more."""
    luck = np.random.default_rng(seed)
    x = luck.random(agents)
    for _ in range(60 * agents // 2):
        one, other = luck.choice(agents, 2, replace=False)
        if abs(x[one] - x[other]) < confidence:
            x[one] = x[other] = (x[one] + x[other]) / 2
    ranked = np.sort(x)
    sizes = np.diff([0, *(np.flatnonzero(np.diff(ranked) > 0.025) + 1), agents])
    return int((sizes >= agents / 20).sum())


@pytest.mark.parametrize(("confidence", "near"), [(0.5, 1), (0.25, 2), (0.15, 3), (0.1, 5)])
def test_deffuant_makes_as_many_camps_as_when_written_out(confidence, near):
    knobs = {"agents": 100, "communication": "pairs", "turns": "simultaneous", "share": 0.5}
    mind = f"deffuant(confidence={confidence})"
    ours = [last(grown(60, mind=mind, rng=seed, **knobs), "camps") for seed in range(12)]
    theirs = [pairwise_camps(100, confidence, seed) for seed in range(12)]
    error = sqrt((np.var(ours, ddof=1) + np.var(theirs, ddof=1)) / 12)
    assert abs(np.mean(ours) - np.mean(theirs)) <= 3.5 * error + 1e-9
    assert abs(np.mean(ours) - near) < 1.01  # the rule of thumb, 1 / (2 confidence)


@pytest.mark.parametrize("graph", ["small_world(k=4)", "scale_free(m=2)", "random_regular(k=3)"])
def test_averaging_is_a_matrix_power(graph):
    model = line("degroot(own=0.3)", agents=40, graph=graph)
    start = model.acts.own.copy()
    links = nx.to_numpy_array(model.graph, nodelist=range(40))
    weights = 0.3 * np.eye(40) + 0.7 * links / links.sum(axis=1, keepdims=True)
    for _ in range(9):
        model.step()
    assert model.acts.own == pytest.approx(np.linalg.matrix_power(weights, 9) @ start, abs=1e-10)


def test_confirmation_bias_accepts_with_its_chance():
    model = line("biased(tolerance=0.5, pace=1.0)", agents=6000, communication="pairs")
    start, partner = model.acts.own.copy(), model.meeting(0)
    model.step()
    gap = np.abs(start[partner] - start)
    moved = np.abs(model.acts.own - start) > 1e-12
    for low, high in pairwise([0.0, 0.3, 0.6, 0.9, 1.2, 2.0]):
        chosen = (gap > low) & (gap <= high)
        expected = np.exp(-gap[chosen] / 2 / 0.5)
        spread = sqrt((expected * (1 - expected)).sum()) + 1e-9
        assert abs(moved[chosen].sum() - expected.sum()) < 4 * spread


# --- nudges, the stubborn, the question


@pytest.mark.parametrize("agree", [10, 25, 41])
@pytest.mark.parametrize("nudge", ["passive", "active"])
def test_nudges_are_voices_more(agree, nudge):
    agents, beta = 50, 1.7
    counts = np.zeros((2, 2))
    for seed in range(60):
        model = Opinions(
            agents=agents,
            share=agree / agents,
            nudge=nudge,
            preference=0,
            turns="simultaneous",
            mind=f"force(beta={beta})",
            rng=seed,
        )
        start = model.acts.own.copy()
        model.step()
        for own in (0, 1):
            counts[own] += [(start == own).sum(), model.acts.own[start == own].sum()]
    for own in (0, 1):
        voices = [1.0] * (agree - own) + [-1.0] * (agents - 1 - agree + own)
        voices += [0.0] * (49 // 2 + 1) if nudge == "passive" else [1.0 - 2 * own]
        chance = (1 + np.tanh(beta * np.mean(voices))) / 2
        assert 2e-4 < binom.cdf(counts[own, 1], counts[own, 0], chance) < 1 - 2e-4


@pytest.mark.parametrize("mind", ["voter", "deffuant", "hegselmann-krause", "threshold", "degroot", "biased"])
@pytest.mark.parametrize("nudge", ["passive", "active"])
def test_every_law_hears_the_nudge(mind, nudge):
    plain, other = (grown(5, mind=mind, nudge=kind, share=0.4, graph="ring") for kind in ("none", nudge))
    same = (plain.acts.own == other.acts.own).all()
    # A leader at the other end is too far away for some, and the middle turns no majority around.
    deaf = {("hegselmann-krause", "active"), ("threshold", "passive")}
    assert same == ((mind, nudge) in deaf)


def test_balanced_perspectives_reach_those_near_the_middle_alone():
    model = line("hegselmann-krause(confidence=0.2)", agents=2, graph="empty", nudge="passive", share=0.5)
    start = model.acts.own.copy()
    model.step()
    expected = [x / 2 if abs(x) <= 0.4 else x for x in start]  # alone: one perspective beside one's own opinion
    assert model.acts.own == pytest.approx(expected)


def test_stubborn_agents_hold_their_side_between_two_turns():
    knobs = {"agents": 40, "stubborn": 0.25, "since": 3, "until": 6, "side": "agree", "zealot": 7, "mind": "random"}
    model = Opinions(rng=2, **knobs)
    for turn in range(1, 10):
        model.step()
        held = np.setdiff1d(np.arange(40), model.free)
        assert held.size == (10 if 3 <= turn < 6 else 0)
        assert (model.acts.own[held] == 1).all()
        assert (7 in held) == (3 <= turn < 6)
    assert model.n_decisions == 3 * 40 + 3 * 30 + 3 * 40 + 10  # becoming stubborn is a decision, being it is none


def test_changes_during_a_run_take_effect():
    model = grown(2, stubborn=0.5, mind="random", agents=40, side="agree")
    model.change(side="disagree")
    assert (model.acts.own[model.zealots] == 0).all()
    model.change(stubborn=0.0)
    assert model.free.size == 40
    model.change(framing="opposite", preference=0.7, nudge="active")
    assert set(model.traits["preference"].tolist()) == {-0.7}
    assert set(model.traits["nudge"].tolist()) == {2}
    with pytest.raises(SpecError, match="on a line"):
        model.change(mind="deffuant")


@pytest.mark.parametrize("knobs", [{"zealot": 50}, {"scale": "sides", "mind": "force:10, degroot"}])
def test_what_does_not_fit_together_is_refused(knobs):
    with pytest.raises(SpecError):
        Opinions(**knobs)


def test_the_opposite_statement_turns_a_preference_around():
    one = grown(5, framing="opposite", preference=0.3)
    other = grown(5, framing="claim", preference=-0.3)
    assert (one.acts.own == other.acts.own).all()


@pytest.mark.parametrize("mind", ["force", "measured", "voter", "threshold", "random"])
def test_laws_of_two_sides_work_on_a_line_too(mind):
    model = grown(3, mind=mind, scale="line", share=0.4)
    assert (np.abs(model.acts.own) <= 1).all()
    assert np.isnan(last(model, "seen_force"))


# --- measures and words


@settings(deadline=None, max_examples=40)
@given(st.lists(st.floats(-1, 1), min_size=1, max_size=30))
def test_camps_and_consensus_are_counted_as_by_hand(values):
    model = Opinions(agents=len(values), scale="line", rng=1)
    model.acts.write(model.acts.rows, np.array(values), 0.0)
    ranked, groups = sorted(values), [1]
    for one, other in pairwise(ranked):
        if other - one > 0.05:
            groups.append(1)
        else:
            groups[-1] += 1
    assert MEASURES["camps"](model) == sum(size >= 0.05 * len(values) for size in groups)
    assert MEASURES["bias"](model) == pytest.approx(np.mean(values))
    assert MEASURES["polarisation"](model) == pytest.approx(len(values) * np.var(values), abs=1e-9)


@pytest.mark.parametrize("knobs", [{}, {"mind": "deffuant"}, {"mind": "silent"}, {"agents": 1}, {"stubborn": 1.0}])
def test_a_run_can_be_told_and_drawn(knobs):
    model, null = grown(4, **knobs), grown(4, **{**knobs, **Opinions.null})
    values, beside = ({name: last(run, name) for name in MEASURES} for run in (model, null))
    assert "nan" not in Opinions.finding(values, beside).lower()
    axes = Figure().add_subplot()
    model.draw(axes)
    assert axes.get_title()


def test_the_picture_has_the_states_of_the_law():
    axes = Figure().add_subplot()
    grown(3, preference=0.1, mind="force(beta=2.5)").draw(axes)
    marks = [x for drawn in axes.lines if drawn.get_marker() == "o" for x in drawn.get_xdata()]
    assert sorted(marks) == pytest.approx(roots(2.5, 0.1), abs=1e-9)
    assert spinodal(2.5) == pytest.approx(sqrt(0.6) - atanh(sqrt(0.6)) / 2.5)


@pytest.mark.parametrize("knobs", [{"scale": "line", "nudge": "passive"}, {"nudge": "active", "stubborn": 0.2}])
def test_the_laws_of_the_contract_hold_beside_nudges_and_the_stubborn_too(knobs):
    still = {"latency": 0, "loss": 0.0, "shown": 0, "communication": "network", "graph": "ring"}
    contract.prompts_say_everything(Opinions, **knobs, **still)
    contract.waves_equal_one_by_one(Opinions, mind="force", **knobs, **still)
