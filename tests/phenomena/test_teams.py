"""Teams against closed forms: the linear law of taking over, Condorcet's majority, and published counts of turns."""

import re
from typing import Any, get_args

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from agentmicro.affordances.marks import views
from agentmicro.errors import SpecError
from agentmicro.knobs import knobs
from agentmicro.phenomena import teams
from agentmicro.phenomena.teams import Teams

TEAMS = tuple(map(str, knobs(Teams)["team"].choices))
TALKING = tuple(team for team in TEAMS if team not in teams.ONCE)


def made(length: int = 5, **given: Any) -> Teams:
    model = Teams(**{"rng": 1} | given)
    for _ in range(length):
        model.step()
    return model


def values(model: Teams) -> dict[str, float]:
    return {name: measure(model) for name, measure in model.measures.items()}


def mean(that: str, seeds: int, **given: Any) -> float:
    return float(np.mean([values(made(rng=seed, **given))[that] for seed in range(seeds)]))


def wrong(model: Teams) -> np.ndarray[Any, Any]:
    """The share of wrong claims in each member's draft, an open one being half wrong."""
    return np.asarray(((1 - views(model.acts.own, model.truth.size) * model.truth) / 2).mean(axis=1))


def odds(members: int, error: float) -> float:
    """How often most of so many are wrong, ties by a coin."""
    tie = binom.pmf(members / 2, members, error) / 2 if members % 2 == 0 else 0.0
    return float(binom.sf(members // 2, members, error) + tie)


# --- what is taken over


def expected(model: Teams, error: float, rounds: int, law: dict[str, float]) -> list[float]:
    """The chance that each member is wrong, by the linear law, one member and one author after another."""
    graph = model.graph if model.graph.is_directed() else model.graph.to_directed()
    faulty = int(np.flatnonzero(~model.sound)[0])
    now = [1.0 if row == faulty else (1 - law["catch"]) * error for row in range(len(graph))]
    for _ in range(rounds - 1):
        last = list(now)
        for row in set(range(len(graph))) - {faulty}:
            heard = list(graph.predecessors(row))
            mixed = last[row]
            for author in heard:
                heed = law["adoption"] * (law["upward"] if model.depth[author] > model.depth[row] else 1)
                mixed += heed * (last[author] - last[row]) / len(heard)
            slip = 1 - (1 - law["slip"]) ** len(heard)
            now[row] = (1 - law["catch"]) * (mixed * (1 - slip) + (1 - mixed) * slip)
    return now


@pytest.mark.parametrize("team", ["flat", "hierarchical", "ring", "star", "wheel", "tree", "complete"])
@pytest.mark.parametrize("row", [0, 2])
def test_deferential_members_follow_the_linear_law_wherever_the_fault_is(team, row):
    law = {"adoption": 0.6, "upward": 0.3, "slip": 0.03, "catch": 0.2}
    minds = "deferential(adoption=0.6, upward=0.3, slip=0.03)"
    given = {"team": team, "agents": 5, "claims": 1000, "competence": 0.8, "iterations": 1, "rounds": 3}
    runs = [made(3, **given, minds=minds, faulty=row, verify="everybody", catch=0.2, rng=seed) for seed in range(8)]
    found = np.mean([wrong(model) for model in runs], axis=0)
    assert np.abs(found - expected(runs[0], 0.2, 3, law)).max() < 4.5 * np.sqrt(0.25 / 8000)


@pytest.mark.parametrize("adoption", [0.0, 0.5, 1.0])
def test_down_a_chain_an_error_is_mixed_with_the_next_members_own_and_checked(adoption):
    error, catch = 0.25, 0.4
    links = [(1 - catch) * error]
    for _ in range(4):
        links.append((1 - catch) * ((1 - adoption) * error + adoption * links[-1]))
    given = {"team": "chain", "agents": 5, "claims": 1000, "competence": 0.75, "iterations": 1, "rounds": 1}
    given |= {"turns": "fixed", "verify": "everybody", "catch": catch, "minds": f"deferential(adoption={adoption})"}
    found = np.mean([wrong(made(1, **given, rng=seed)) for seed in range(8)], axis=0)
    assert np.abs(found - links).max() < 4.5 * np.sqrt(0.25 / 8000)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 999), st.sampled_from(TALKING), st.sampled_from(["simultaneous", "fixed"]))
def test_comparing_takes_the_side_of_most_it_hears(seed, team, turns):
    model = made(2, team=team, agents=6, claims=7, competence=0.6, turns=turns, minds="comparing(adoption=1)", rng=seed)
    graph = model.graph if model.graph.is_directed() else model.graph.to_directed()
    last = views(model.acts.own, 7).tolist()
    wrote = {row for row in range(6) if not model.affordance.is_blank(model.acts.own[row : row + 1])[0]}
    now = [list(view) for view in last]
    acting = model.acts.rows.tolist()
    for row in acting:
        before = last if turns == "simultaneous" else now
        for claim in range(7):
            own = before[row][claim] if row in wrote else int(model.traits["notes"][row, claim])
            heard = sum(before[author][claim] for author in graph.predecessors(row) if author in wrote)
            now[row][claim] = int(np.sign(heard)) or own
        wrote |= {row} if turns == "fixed" else set()
    model.step()
    assert views(model.acts.own, 7).tolist() == now


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 999), st.sampled_from(["star", "wheel", "centralised", "hybrid"]))
def test_a_lead_that_heeds_nobody_below_keeps_its_notes(seed, team):
    model = made(team=team, minds="comparing(upward=0)", rng=seed)
    assert views(model.acts.own, 20)[0].tolist() == model.traits["notes"][0].tolist()


@pytest.mark.parametrize("mind", ["comparing", "deferential"])
def test_rank_does_not_show_where_authors_do_not(mind):
    named = [made(team="star", minds=f"{mind}(upward={upward})").acts.own.tolist() for upward in (0, 1)]
    unnamed = [
        made(team="star", visibility="anonymous", minds=f"{mind}(upward={upward})").acts.own.tolist()
        for upward in (0, 1)
    ]
    assert named[0] != named[1]
    assert unnamed[0] == unnamed[1] == named[1]
    model = Teams(team="star", rng=1)
    model.change(visibility="anonymous")
    assert not model.traits["below"].any()
    model.change(visibility="full")
    assert model.traits["below"].any()


# --- what is known


@pytest.mark.parametrize(("readings", "competence"), [(1, 0.8), (3, 0.75), (4, 0.6)])
@pytest.mark.parametrize("members", [3, 4])
def test_a_vote_on_independent_work_is_condorcets(readings, competence, members):
    error = odds(readings, 1 - competence)
    given = {"agents": members, "claims": 1000, "competence": competence, "iterations": readings}
    vote = mean("accuracy", 8, team="independent", answer="vote", **given)
    assert vote == pytest.approx(1 - odds(members, error), abs=4.5 * np.sqrt(0.25 / 8000))
    lead = mean("accuracy", 8, team="centralised", rounds=1, **given | {"agents": members + 1})
    assert lead == pytest.approx(1 - odds(members, error), abs=4.5 * np.sqrt(0.25 / 8000))
    assert mean("unaided", 8, **given) == pytest.approx(1 - error, abs=4.5 * np.sqrt(0.25 / 16000))


def test_members_who_read_alike_have_the_same_notes_and_more_readings_do_not_mend_them():
    model = made(alike=1.0, team="complete", claims=1000, iterations=99, competence=0.75)
    notes = model.traits["notes"]
    assert (notes == notes[0]).all()
    assert values(model)["accuracy"] == values(model)["unaided"] == pytest.approx(0.75, abs=0.06)
    some = made(alike=0.4, team="complete", claims=1000, iterations=99, competence=0.75)
    assert values(some)["unaided"] == pytest.approx(1 - 0.4 * 0.25, abs=0.04)


@pytest.mark.parametrize("each", [1, 2, 4])
def test_turns_are_divided_among_the_tools_that_a_member_carries(each):
    model = Teams(team="independent", agents=4, claims=1000, tools=4, tools_each=each, iterations=6, rng=3)
    read = model.traits["read"]
    for row in range(4):
        carried = {(row * each + step) % 4 for step in range(each)}
        assert set((np.flatnonzero(read[row]) % 4).tolist()) == carried
        assert read[row].mean() == pytest.approx(each / 4)
    found = (model.traits["notes"] == model.truth)[read].mean()
    per = 6 / each
    mixed = (1 - per % 1) * odds(int(per), 0.25) + per % 1 * odds(int(per) + 1, 0.25)
    assert found == pytest.approx(1 - mixed, abs=0.035)


def test_what_nobody_looks_into_stays_open_and_is_half_right():
    model = made(team="complete", agents=2, claims=40, tools=4, tools_each=1, competence=1.0)
    assert values(model)["accuracy"] == 0.75
    assert values(model)["success"] == 0.5**20
    thin = Teams(team="independent", agents=6, claims=1000, tools=4, iterations=1)
    assert thin.traits["read"].mean() == pytest.approx(0.25, abs=0.03)


# --- what it costs


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 5), st.integers(1, 6), st.integers(1, 4))
def test_turns_are_the_published_counts(workers, iterations, rounds):
    def spent(team: str, members: int) -> dict[str, float]:
        return values(made(rounds + 1, team=team, agents=members, iterations=iterations, rounds=rounds))

    n, k, r = workers, iterations, rounds
    assert spent("single", n)["turns"] == k
    assert spent("independent", n)["turns"] == n * k + (n > 1)
    assert spent("decentralised", n)["turns"] == r * n * k + (n > 1)
    led = spent("centralised", n + 1)
    assert led["turns"] == r * n * k + r
    assert led["messages"] == r * n + max(0, r - 2) * n
    assert led["overhead"] == pytest.approx(100 * (led["turns"] - k) / k)
    assert led["efficiency"] == pytest.approx(led["accuracy"] / (1 + led["overhead"] / 100))
    assert led["density"] == led["messages"] / led["turns"]
    mixed = spent("hybrid", n + 1)
    peers = max(0, r - 1) * 2 * (n - 1)
    assert mixed["turns"] == r * n * k + r + peers
    assert mixed["messages"] == led["messages"] + peers
    budget = int(led["turns"] + led["messages"])
    assert values(made(1, team="single", iterations=budget))["volume"] == led["volume"]


def test_a_check_costs_a_turn_and_mends_what_it_shows():
    plain, checked = (values(made(team="star", verify=who, catch=1)) for who in ("nobody", "everybody"))
    assert checked["accuracy"] == checked["success"] == checked["benign"] == 1
    assert checked["turns"] - plain["turns"] == 6 * 3
    lead = values(made(verify="lead", catch=1))
    assert lead["accuracy"] == 1
    assert lead["turns"] == values(made())["turns"] + 3
    assert values(made(team="chain", agents=3, turns="fixed", verify="last", catch=1))["accuracy"] == 1


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 999), st.sampled_from(TEAMS), st.sampled_from(["usual", "vote", "all", "last"]))
def test_errors_of_an_answer_are_bounded_and_those_of_the_artefact_are_counted(seed, team, answer):
    model = made(team=team, agents=5, answer=answer, claims=300, competence=0.7, rng=seed)
    found, members = values(model), len(model.acts.rows)
    assert found["amplification_answer"] <= 1 / (1 - found["unaided"]) + 1e-9
    assert found["amplification_artefact"] == pytest.approx(wrong(model).sum() / (1 - found["unaided"]))
    assert found["gain"] == pytest.approx(found["accuracy"] - found["unaided"])
    if team == "independent":
        assert found["amplification_artefact"] == pytest.approx(members)
        assert answer != "usual" or found["amplification_answer"] == pytest.approx(1)


# --- faults


def test_frequency_is_how_often_and_severity_how_badly():
    given = {"team": "independent", "agents": 2, "answer": "lead", "claims": 50, "competence": 1.0, "faulty": 0}
    found = np.array([wrong(made(1, **given, frequency=0.3, severity=0.6, rng=seed))[0] for seed in range(300)])
    assert (found > 0).mean() == pytest.approx(0.3, abs=4.5 * np.sqrt(0.21 / 300))
    assert found[found > 0].mean() == pytest.approx(0.6, abs=4.5 * np.sqrt(0.24 / 50 / 70))


def test_the_faulty_row_is_always_wrong_and_counts_in_the_answer_but_not_among_the_sound():
    model = made(team="complete", agents=3, competence=1.0, faulty=1, minds="alone")
    assert wrong(model).tolist() == [0, 1, 0]
    assert values(model)["benign"] == values(model)["unaided"] == values(model)["accuracy"] == 1
    assert values(made(team="complete", agents=3, competence=1.0, faulty=1, minds="alone", answer="all"))[
        "accuracy"
    ] == pytest.approx(2 / 3)


def test_luck_does_not_move_with_the_fault():
    """Two arms that differ only in the fault have the same task and the same notes."""
    clean, ill = Teams(rng=4), Teams(rng=4, faulty=3)
    assert (clean.traits["notes"] == ill.traits["notes"]).all()
    assert (clean.truth == ill.truth).all()


@pytest.mark.parametrize("given", [{"faulty": 6}, {"team": "single", "faulty": 1}])
def test_a_fault_has_a_row(given):
    with pytest.raises(SpecError, match=r"^faulty = \d: expected a row from 0 to \d, or -1 for none$"):
        Teams(**given)


# --- shapes


def test_who_hears_whom():
    assert set(TEAMS) == {*get_args(teams.Architectures), *get_args(teams.Shapes)}
    assert len(Teams(team="single", agents=9).members) == 1
    assert Teams(team="independent").graph.size() == 0
    assert nx.utils.graphs_equal(nx.Graph(Teams(team="centralised", agents=4).graph), nx.star_graph(3))
    assert sorted(Teams(team="hybrid", agents=4).graph.edges) == [(0, 1), (0, 2), (0, 3), (1, 2), (2, 3)]
    assert sorted(Teams(team="chain", agents=3).graph.edges) == [(0, 1), (1, 2)]
    assert Teams(team="chain", agents=3).graph.is_directed()
    assert not Teams(team="flat", agents=3).graph.is_directed()
    assert sorted(Teams(team="hierarchical", agents=3).graph.edges) == [(0, 1), (0, 2), (1, 2), (2, 1)]
    assert Teams(team="tree", agents=7).depth.tolist() == [0, 1, 1, 2, 2, 2, 2]
    assert Teams(team="wheel", agents=4).depth.tolist() == [0, 1, 1, 1]
    assert Teams(team="ring").depth.any() == Teams(team="flat").depth.any() == False  # noqa: E712


def test_nobody_writes_after_the_last_round_and_a_lead_writes_once_more():
    model = made(9, team="centralised", rounds=2)
    assert model.decisions.tolist() == [2, 2, 2, 2, 2, 2]
    assert model.acts.times.tolist() == [3, 2, 2, 2, 2, 2]
    assert made(9, team="ring", rounds=2).decisions.tolist() == [2] * 6
    assert made(9, team="independent", rounds=2).decisions.tolist() == [1] * 6


def test_before_there_is_an_answer_it_has_no_accuracy():
    found = values(Teams(rng=1))
    undefined = {"accuracy", "success", "benign", "gain", "overhead", "efficiency", "density", "redundancy"}
    assert {name for name, value in found.items() if np.isnan(value)} >= undefined
    assert Teams.finding(found, found) == "The team has not answered."
    assert "has 90% of the claims right" in Teams.finding(
        {"accuracy": 0.9, "unaided": 0.8, "overhead": 100.0}, {"accuracy": 0.5}
    )


# --- what a language mind is asked


def test_a_prompt_says_what_was_checked_and_what_was_read():
    model = made(2, team="star", agents=5, claims=6, tools=2, tools_each=1, verify="everybody", catch=0.5)
    seen = model.expose(model.acts.rows)
    shown = teams.checks(seen)
    assert shown.any()
    for row in range(5):
        text = Teams.prompt(seen.one(row))
        told = re.search(r"looked at the source: (.*)\.", text)
        checked = set(told[1].split(", ")) if told else set()
        truth = {f"claim {claim + 1} {'true' if model.truth[claim] > 0 else 'false'}" for claim in range(6)}
        assert checked == {one for one in truth if shown[row, int(one.split()[1]) - 1]}
        notes = re.search(r"notes say: (.*?)\.", text)
        assert notes is not None
        assert {int(one.split()[1]) % 2 for one in notes[1].split(", ")} == {(row + 1) % 2}
        assert ("its lead" in text) == (row == 0)


def test_a_script_can_sit_in_a_team_beside_a_faulty_rule():
    model = made(3, minds="scripted:chance", faulty=2, claims=4)
    assert model.n_failed_decisions == 0
    assert wrong(model)[2] == 1


def test_the_picture_shows_every_member():
    figure = pytest.importorskip("matplotlib.figure")
    for team in TEAMS:
        axes = figure.Figure().subplots()
        model = made(1, team=team, faulty=0)
        model.draw(axes)
        labels = [text.get_text() for text in axes.texts if text.get_text()]
        assert len(labels) == len(model.acts.rows)
        assert labels[0].startswith("0\n")
        assert "thick" in axes.get_title()
