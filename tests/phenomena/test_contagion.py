"""Contagion against what is known in closed form: small populations exactly, endless ones by their recursion."""

from collections import Counter
from itertools import permutations, product
from typing import Any

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure
from scipy.stats import binom, chisquare

from agentmicro.errors import SpecError
from agentmicro.phenomena.contagion import Contagion
from agentmicro.trace import Trace

S, C, G = 0, 1, 2


def grown(length: int, **knobs: Any) -> Contagion:
    model = Contagion(**{"rng": 1} | knobs)
    for _ in range(length):
        model.step()
    return model


def series(model: Contagion, name: str) -> np.ndarray:
    return np.array(model.datacollector.model_vars[name], float)


# --- pairs, exactly


def matchings(agents: int) -> list[tuple[tuple[int, int], ...]]:
    """Every perfect matching, one left alone where the number is odd."""
    found = {
        tuple(sorted(tuple(sorted(order[at : at + 2])) for at in range(0, agents - agents % 2, 2)))
        for order in permutations(range(agents))
    }
    return sorted(found)  # each arises from as many orders as any other


def chain(agents: int, turns: int, beta: float, gamma: float, two_way: bool, immune: bool) -> dict[tuple, float]:
    """The exact chance of each (carriers, guarded) after some turns from one patient, by enumeration of everything."""
    pairings = [
        [pair if asks else pair[::-1] for pair, asks in zip(matching, coins, strict=True)]
        for matching in matchings(agents)
        for coins in product((True, False), repeat=agents // 2)
    ]
    chances: Counter[tuple[int, ...]] = Counter({(C, *[S] * (agents - 1)): 1.0})
    for _ in range(turns):
        later: Counter[tuple[int, ...]] = Counter()
        for state, weight in chances.items():
            for pairing in pairings:
                reads = {reader: author for author, reader in pairing}
                if two_way:
                    reads |= dict(pairing)
                options = []
                for agent, held in enumerate(state):
                    if held == C:
                        options.append([(C, 1 - gamma), (G if immune else S, gamma)])
                    elif held == S and agent in reads and state[reads[agent]] == C:
                        options.append([(C, beta), (S, 1 - beta)])
                    else:
                        options.append([(held, 1.0)])
                for outcome in product(*options):
                    chance = np.prod([part[1] for part in outcome])
                    later[tuple(part[0] for part in outcome)] += weight * chance / len(pairings)
        chances = later
    tallied: Counter[tuple] = Counter()
    for state, weight in chances.items():
        tallied[state.count(C), state.count(G)] += weight
    return tallied


@pytest.mark.parametrize(
    ("agents", "direction", "immune"), [(4, "one-way", False), (5, "two-way", False), (4, "two-way", True)]
)
def test_small_populations_follow_the_exact_chain(agents, direction, immune):
    turns, seeds, beta, gamma = 3, 1200, 0.7, 0.25
    exact = chain(agents, turns, beta, gamma, direction == "two-way", immune)
    assert sum(exact.values()) == pytest.approx(1)
    knobs = {"agents": agents, "patients": 1, "beta": beta, "gamma": gamma, "direction": direction, "immune": immune}
    found: Counter[tuple] = Counter()
    for seed in range(seeds):
        own = grown(turns, rng=seed, **knobs).acts.own.tolist()
        found[own.count(C), own.count(G)] += 1
    assert set(found) <= set(exact)
    common = [state for state in exact if exact[state] * seeds >= 5]
    expected = np.array([exact[state] * seeds for state in common])
    observed = np.array([found[state] for state in common], float)
    if len(common) < len(exact):
        expected, observed = np.append(expected, seeds - expected.sum()), np.append(observed, seeds - observed.sum())
    assert chisquare(observed, expected).pvalue > 0.001


@settings(deadline=None, max_examples=30)
@given(st.integers(2, 40), st.integers(0, 99), st.integers(0, 9))
def test_one_way_half_of_each_pair_reads_and_two_way_both_do(agents, seed, turn):
    one, two = (Contagion(agents=agents, patients=1, direction=way, rng=seed) for way in ("one-way", "two-way"))
    met, read = two.meeting(turn), one.meeting(turn)
    everyone = np.arange(agents)
    assert (met >= 0).sum() == agents - agents % 2
    assert all(met[met[row]] == row for row in everyone if met[row] >= 0)
    readers = everyone[read >= 0]
    assert readers.size == agents // 2
    assert (read[readers] == met[readers]).all()
    assert (read[read[readers]] == -1).all()


def test_who_reads_is_a_fair_coin():
    model = Contagion(agents=2, patients=1, rng=3)
    first = sum(int(model.meeting(turn)[0] >= 0) for turn in range(2000))
    assert binom.cdf(min(first, 2000 - first), 2000, 0.5) > 0.0005


# --- endless populations


def recursion(turns: int, first: float, beta: float, gamma: float, immune: bool) -> np.ndarray:
    """c' = (1 - gamma) c + beta c s; those who stop are plain again, or guarded."""
    carriers, plain, found = first, 1 - first, [first]
    for _ in range(turns):
        new, gone = beta * carriers * plain, gamma * carriers
        carriers, plain = carriers + new - gone, plain - new + (0 if immune else gone)
        found.append(carriers)
    return np.array(found)


@pytest.mark.parametrize("immune", [False, True])
@pytest.mark.parametrize(("direction", "factor"), [("one-way", 0.5), ("two-way", 1.0)])
@pytest.mark.parametrize(("beta", "gamma", "loss"), [(0.9, 0.1, 0.0), (0.6, 0.25, 0.0), (1.0, 0.05, 0.4)])
def test_large_populations_follow_the_recursion_of_agent_smith(beta, gamma, loss, direction, factor, immune):
    knobs = {"beta": beta, "gamma": gamma, "loss": loss, "direction": direction, "immune": immune}
    model = grown(25, agents=40_000, patients=2000, **knobs)
    expected = recursion(25, 0.05, beta * factor * (1 - loss), gamma, immune)
    assert np.abs(series(model, "carriers") - expected).max() < 0.015


def test_the_published_closed_form_holds_where_chances_are_small():
    beta, gamma, first, agents = 0.08, 0.02, 0.05, 20_000
    model = grown(300, agents=agents, patients=int(first * agents), beta=beta, gamma=gamma)
    time, excess = np.arange(301), beta - 2 * gamma
    closed = first * excess / ((excess - first * beta) * np.exp(-excess * time / 2) + first * beta)
    assert closed[-1] > 0.45  # of 1 - 2 gamma / beta = 0.5, so that the whole curve is passed through
    assert np.abs(series(model, "carriers") - closed).max() < 0.02


@pytest.mark.parametrize(("beta", "dies"), [(0.14, True), (0.3, False)])
def test_a_note_lives_on_where_beta_exceeds_twice_gamma(beta, dies):
    last = series(grown(300, agents=2000, patients=200, beta=beta, gamma=0.1), "carriers")[-1]
    assert last == 0 if dies else abs(last - (1 - 0.2 / beta)) < 0.08


@pytest.mark.parametrize(("covered", "expected"), [(0.3, 0.45), (0.5, 0.25), (0.85, 0.0)])
def test_cover_protects_the_rest_beyond_its_own_share(covered, expected):
    # dc/dt = beta c (1 - covered - c) / 2 - gamma c, so c ends at 1 - covered - 2 gamma / beta.
    knobs = {"beta": 0.8, "gamma": 0.1, "defence": "marking+tagging", "covered": covered}
    model = grown(150, agents=20_000, patients=2000, **knobs)
    assert series(model, "carriers")[-20:].mean() == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize(("defence", "share"), [("tagging", 0.94), ("marking", 0.76), ("marking+tagging", 0.0)])
def test_a_defence_lets_the_reported_share_through(defence, share):
    model = grown(6, agents=20_000, patients=4000, beta=1.0, gamma=0.0, defence=defence)
    read, caught = model.tally[:2]
    assert abs(caught / read - share) < 4 * np.sqrt(share * (1 - share) / read) + 1e-12


def test_keeping_apart_ends_the_chain_by_its_own_reproduction_number():
    # A carrier is read once for sure, and then for as long as it neither stopped nor showed it. A patient is first
    # looked at a turn later than those it catches. A chain of R < 1 each has 1 / (1 - R) carriers for each at its head.
    beta, gamma, alpha, patients = 0.8, 0.1, 0.8, 40
    again = 1 / (1 - (1 - gamma) * (1 - alpha))
    first, ratio = beta / 2 * (1 + (1 - gamma) * again), beta / 2 * again
    knobs = {"agents": 20_000, "patients": patients, "beta": beta, "gamma": gamma, "alpha": alpha, "quarantine": 1000}
    sizes = [series(grown(30, rng=seed, **knobs), "reached")[-1] * 20_000 / patients for seed in range(20)]
    standard_error = np.std(sizes, ddof=1) / np.sqrt(20)
    assert standard_error < 0.1
    assert np.mean(sizes) == pytest.approx(1 + first / (1 - ratio), abs=3.5 * standard_error)


# --- memory


@pytest.mark.parametrize(("memory", "loss"), [(2, 0.3), (1, 0.2), (2, 0.8)])
def test_a_memory_that_runs_over_forgets_by_its_recursion(memory, loss):
    model = grown(20, agents=40_000, patients=4000, direction="two-way", minds="remembered", memory=memory, loss=loss)
    carriers = [0.1]
    for turn in range(1, 21):
        notes = [carriers[turn - back] for back in range(1, memory + 2) if turn >= back]
        carriers.append(1 - float(np.prod([1 - (1 - loss) * share for share in notes])))
    assert np.abs(series(model, "carriers") - carriers).max() < 0.015
    assert (carriers[-1] > carriers[0]) == ((memory + 1) * (1 - loss) > 1)


def test_without_memory_two_way_readers_swap_notes():
    model = grown(12, agents=60, patients=7, direction="two-way", minds="remembered")
    assert (series(model, "carriers") * 60).round().tolist() == [7] * 13


# --- graphs


@settings(deadline=None, max_examples=25)
@given(
    st.sampled_from(["ring", "tree", "tree(directed=1)", "scale_free", "star", "chain(directed=1)", "complete"]),
    st.integers(0, 29),
    st.integers(0, 50),
)
def test_a_sure_note_reaches_the_ball_around_its_patient(graph, patient, seed):
    knobs = {"agents": 30, "patients": 1, "patient": patient, "graph": graph, "communication": "network"}
    model = Contagion(beta=1.0, gamma=0.0, rng=seed, **knobs)
    distance = nx.single_source_shortest_path_length(model.graph, patient)
    for turn in range(1, 8):
        model.step()
        assert set(np.flatnonzero(model.acts.own == C)) == {row for row in distance if distance[row] <= turn}
    reach = max(distance.values())
    if len(distance) == 30 and reach <= 7:
        assert series(model, "all_at")[-1] == reach
    else:
        assert np.isnan(series(model, "all_at")[-1])


@pytest.mark.parametrize(("patients", "beta"), [(1, 0.3), (3, 0.2), (8, 0.1)])
def test_each_carrier_that_is_heard_is_a_chance_of_its_own(patients, beta):
    knobs = {"agents": 4000, "patients": patients, "beta": beta, "gamma": 0.0, "communication": "network"}
    model = grown(1, **knobs)
    chance, others = 1 - (1 - beta) ** patients, 4000 - patients
    caught = int((model.acts.own == C).sum()) - patients
    assert abs(caught - others * chance) < 4 * np.sqrt(others * chance * (1 - chance))


def test_what_is_remembered_is_read_again():
    knobs = {"agents": 2000, "patients": 1, "patient": 0, "graph": "star(directed=1)", "communication": "network"}
    once, again = (grown(2, beta=0.2, gamma=0.0, memory=memory, **knobs) for memory in (0, 1))
    # The hub says the same twice; whoever has both notes before it at the second turn had three readings in all.
    assert (once.acts.own == C).mean() == pytest.approx(1 - 0.8**2, abs=0.04)
    assert (again.acts.own == C).mean() == pytest.approx(1 - 0.8**3, abs=0.04)


@pytest.mark.parametrize("graph", ["star", "scale_free", "complete", "tree(directed=1)"])
def test_who_shows_it_at_once_passes_it_on_once(graph):
    knobs = {"graph": graph, "communication": "network", "beta": 1.0, "gamma": 0.0, "alpha": 1.0, "quarantine": 3}
    model = Contagion(agents=25, patients=1, patient=2, rng=4, **knobs)
    ball = {2, *model.graph.successors(2)} if model.graph.is_directed() else {2, *model.graph.neighbors(2)}
    for _ in range(9):
        model.step()
        assert set(np.flatnonzero(model.acts.own == C)) == ball
    assert series(model, "symptoms")[-1] == len(ball) / 25


def test_those_kept_apart_come_back_and_the_graph_with_them():
    knobs = {"graph": "ring", "communication": "network", "beta": 1.0, "gamma": 0.0, "alpha": 1.0, "quarantine": 2}
    model = grown(1, agents=9, patients=1, patient=0, **knobs)
    whole = model.whole
    assert set(model.graph.edges) == {(a, b) for a in range(2, 8) for b in range(2, 8) if abs(a - b) == 1}
    model.change(alpha=0.0)
    model.step()
    model.step()
    assert model.links is whole
    model.step()
    assert set(np.flatnonzero(model.acts.own == C)) == {0, 1, 2, 7, 8}
    model.change(graph="chain", alpha=1.0)
    model.step()
    model.change(alpha=0.0)
    model.step()
    model.step()
    assert model.links.exposures == 16  # the chain that it was changed to, and not the ring


def test_in_pairs_those_kept_apart_neither_read_nor_are_read():
    model = grown(12, agents=41, patients=10, alpha=0.7, quarantine=2, direction="two-way")
    partner = model.meeting(13)
    apart = model.apart_until >= 13
    assert 0 < apart.sum() < 41
    assert (partner[apart] == -1).all()
    assert not apart[partner[partner >= 0]].any()


# --- measures, changes and words


def test_passed_and_dropped_are_the_chances_that_ruled():
    model = grown(40, agents=5000, patients=50, beta=0.6, gamma=0.15)
    for name, chance, tries in (("passed", 0.6, model.tally[0]), ("dropped", 0.15, model.tally[2])):
        assert abs(series(model, name)[-1] - chance) < 4 * np.sqrt(chance * (1 - chance) / tries)


@pytest.mark.parametrize("turns", ["simultaneous", "random", "fixed", "clocks"])
def test_measures_are_what_the_trace_says(turns):
    model = Contagion(agents=20, patients=2, turns=turns, gamma=0.3, minds="contact:80%, random", rng=5)
    ever, half = {row for row in range(20) if model.acts.own[row] == C}, None
    read = caught = held = left = 0
    own = {row: int(model.acts.own[row]) for row in range(20)}
    model.trace = Trace()
    for turn in range(1, 16):
        before = len(list(model.trace))
        model.step()
        for entry in list(model.trace)[before:]:
            was, now = own[entry["agent"]], {"plain": S, "chain": C}[entry["act"]]
            if was == C:
                held, left = held + 1, left + (now != C)
            elif any(item["content"] == "chain" for item in entry["saw"]):
                read, caught = read + 1, caught + (now == C)
            own[entry["agent"]] = now
        ever |= {row for row in own if own[row] == C}
        half = turn if half is None and len(ever) >= 10 else half
        row = {name: column[-1] for name, column in model.datacollector.model_vars.items()}
        assert row["carriers"] == sum(held_ == C for held_ in own.values()) / 20
        assert row["reached"] == len(ever) / 20
        assert row["passed"] == pytest.approx(caught / read, nan_ok=True)
        assert row["dropped"] == pytest.approx(left / held, nan_ok=True)
    assert series(model, "half_at")[-1] == half


def test_symptoms_are_shown_by_carriers_alone_and_as_often_as_said():
    model = grown(3, agents=4000, patients=4000, gamma=0.0, alpha=0.3)
    assert series(model, "symptoms")[-1] == pytest.approx(0.3, abs=4 * np.sqrt(0.21 / 4000))
    assert not series(grown(3, patients=0), "symptoms").any()


def test_a_defence_acts_from_the_turn_at_which_it_is_switched_on():
    model = Contagion(agents=300, patients=5, beta=1.0, gamma=0.0, rng=2)
    model.intervene(12, defence="marking+tagging")
    for _ in range(25):
        model.step()
    reached = series(model, "reached")
    assert (np.diff(reached[1:12]) > 0).any()
    assert reached[11] < 1
    assert (reached[11:] == reached[11]).all()


def test_recovery_can_be_switched_on():
    model = Contagion(agents=300, patients=300, gamma=0.0, beta=0.0, rng=2)
    model.intervene(4, gamma=1.0)
    for _ in range(4):
        model.step()
    assert series(model, "carriers").tolist() == [1, 1, 1, 1, 0]


def test_the_patients_are_where_they_are_said_to_be():
    assert np.flatnonzero(Contagion(agents=30, patients=1, patient=17, rng=1).acts.own).tolist() == [17]
    several = [set(np.flatnonzero(Contagion(agents=30, patients=3, patient=17, rng=s).acts.own)) for s in range(5)]
    assert all(17 in rows and len(rows) == 3 for rows in several)
    assert len(set(map(frozenset, several))) > 1
    assert Contagion(agents=30, patients=30, rng=1).acts.own.tolist() == [1] * 30
    with pytest.raises(SpecError, match=r"^patient = 30: expected a row from 0 to 29, or -1$"):
        Contagion(agents=30, patient=30)
    with pytest.raises(SpecError, match=r"^patients = 31: expected at most as many as there are agents, 30$"):
        Contagion(agents=30, patients=31)


def prompts(**knobs: Any) -> list[str]:
    model = grown(2, agents=20, patients=5, **{"turns": "random"} | knobs)
    seen = model.expose(model.acts.rows)
    return [model.prompt(seen.one(row)) for row in range(20)]


def test_the_prompt_has_the_defence_of_its_reader():
    plain, both = prompts(), prompts(defence="marking+tagging")
    assert not any("another agent]" in text or "^" in text for text in plain)
    assert all("^" in text for text in both)
    half = prompts(defence="tagging", covered=0.5, direction="two-way")
    assert sum("[written by another agent] a " in text for text in half) == 10
    assert not any("guarded" in text for text in plain)
    assert all("guarded agent" in text for text in prompts(immune=True))


@pytest.mark.parametrize(
    ("knobs", "expected"),
    [
        ({}, True),
        ({"loss": 0.5}, True),
        ({"immune": True}, False),
        ({"communication": "network"}, False),
        ({"quarantine": 2}, False),
        ({"memory": 1}, False),
        ({"minds": "contact:50%, remembered"}, False),
        ({"turns": "random"}, False),
        ({"defence": "marking", "covered": 0.5}, False),
    ],
)
def test_the_picture_has_the_closed_form_where_it_rules(knobs, expected):
    axes = Figure().subplots()
    model = grown(8, **knobs)
    model.draw(axes)
    carriers = 256 * series(model, "carriers")
    share, began, stopped = axes.lines[0].get_xdata(), axes.lines[0].get_ydata(), axes.lines[1].get_ydata()
    assert np.allclose(share * 2.56, carriers[:-1])
    assert np.allclose(2.56 * (began - stopped), np.diff(carriers))
    assert len(axes.lines) == (4 if expected else 2)
    if expected:  # the curves cross where gains and losses balance, at 1 - 2 gamma / (beta (1 - loss))
        gain, loss = (line.get_ydata()[1:] for line in axes.lines[2:])
        balance = 1 - 0.2 / (0.8 * (1 - knobs.get("loss", 0)))
        assert (np.sign(gain - loss) == np.sign(balance - np.arange(1, 101) / 100).round(9)).mean() > 0.98
