"""Workflows against inclusion and exclusion over paths, and replays against the runs that they repeat."""

import re
from itertools import combinations
from typing import Any

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentmicro.affordances.marks import marked
from agentmicro.errors import SpecError
from agentmicro.phenomena import workflow
from agentmicro.phenomena.workflow import Workflow, planned

PLANS = ("chain", "fan", "funnel", "layers", "random")
QUIET = "relaying(evidence={evidence}, instruction={instruction}, plain={plain}, spontaneous=0)"
LAW = {"evidence": 0.7, "instruction": 0.5, "plain": 0.3}
MANY = {"planted": 800, "findings": 1, "minds": QUIET.format(**LAW)}


def made(length: int = 12, **given: Any) -> Workflow:
    model = Workflow(**{"rng": 1} | given)
    for _ in range(length):
        model.step()
    return model


def values(model: Workflow) -> dict[str, float]:
    return {name: measure(model) for name, measure in model.measures.items()}


def reached(graph: Any, chances: dict[Any, float], start: int) -> float:
    """The chance that a claim gets from a subtask to the last one, by inclusion and exclusion over all paths."""
    last = len(graph) - 1
    if start == last:
        return 1.0
    paths = [set(nx.utils.pairwise(path)) for path in nx.all_simple_paths(graph, start, last)]
    total = 0.0
    for size in range(1, len(paths) + 1):
        for chosen in combinations(paths, size):
            total -= (-1) ** size * float(np.prod([chances[edge] for edge in set().union(*chosen)]))
    return total


def mean(that: str, seeds: int = 5, **given: Any) -> float:
    return float(np.mean([values(made(**given, rng=seed))[that] for seed in range(seeds)]))


CLOSE = 4.5 * np.sqrt(0.25 / 4000)


# --- what is relayed


@pytest.mark.parametrize(("plan", "agents"), [("chain", 5), ("fan", 6), ("funnel", 7), ("layers", 6)])
@pytest.mark.parametrize("framing", ["evidence", "instruction", "plain"])
@pytest.mark.parametrize("target", [0, 2])
def test_what_reaches_the_result_is_the_sum_over_paths(plan, agents, framing, target):
    given = {"plan": plan, "agents": agents, "width": 2, "framing": framing, "target": target, **MANY}
    graph = Workflow(**given).graph
    onward = LAW["evidence" if framing == "evidence" else "plain"]
    expected = LAW[framing] * reached(graph, dict.fromkeys(graph.edges, onward), target)
    assert mean("carried", **given) == pytest.approx(expected, abs=CLOSE)


def test_on_a_path_and_over_two_ways_it_is_the_textbook_formula():
    assert reached(nx.path_graph(4, nx.DiGraph), dict.fromkeys(nx.path_graph(4, nx.DiGraph).edges, 0.7), 0) == (
        pytest.approx(0.7**3)
    )
    fan = nx.DiGraph(planned("fan", 5, 1, 0, 0))
    assert reached(fan, dict.fromkeys(fan.edges, 0.7), 0) == pytest.approx(1 - (1 - 0.49) ** 3)


@pytest.mark.parametrize("number", [0, 2])
def test_a_guard_thins_the_edges_that_it_stands_at(number):
    given = {"plan": "funnel", "agents": 6, "guard": "edges", "guarded": number, "strength": 0.6, "target": 1, **MANY}
    graph = Workflow(**given).graph
    central = nx.edge_betweenness_centrality(graph)
    watched = sorted(graph.edges, key=lambda edge: (-central[edge], edge))[: number or len(graph.edges)]
    chances = {edge: LAW["evidence"] * (0.4 if edge in watched else 1) for edge in graph.edges}
    expected = LAW["evidence"] * reached(graph, chances, 1)
    assert mean("carried", **given) == pytest.approx(expected, abs=CLOSE)


def test_a_guard_at_the_input_takes_the_citation_from_the_claims_that_it_sees():
    given = {"plan": "chain", "agents": 4, "guard": "input", "strength": 0.25, **MANY}
    expected = 0.75 * LAW["evidence"] ** 4 + 0.25 * LAW["plain"] ** 4
    assert mean("carried", **given) == pytest.approx(expected, abs=CLOSE)
    assert mean("kept", **given) == mean("kept", **given | {"guard": "none"})


def test_findings_travel_like_evidence_and_guards_raise_false_alarms():
    given = {"plan": "chain", "agents": 3, "planted": 1, "findings": 900, "minds": MANY["minds"]}
    way = [LAW["evidence"] ** 2, LAW["evidence"]]
    assert mean("kept", **given) == pytest.approx(np.mean(way), abs=CLOSE)
    thinned = [(0.8 * chance) ** steps for chance, steps in ((LAW["evidence"], 2), (LAW["evidence"], 1))]
    watched = given | {"guard": "edges", "alarms": 0.2, "strength": 0.0}
    assert mean("kept", **watched) == pytest.approx(np.mean(thinned), abs=CLOSE)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 999), st.sampled_from(PLANS))
def test_to_corroborate_is_to_need_two(seed, plan):
    model = made(plan=plan, minds="corroborating(spontaneous=0)", rng=seed)
    graph, held = model.graph, marked(model.acts.own, model.false.size)
    for row in range(10):
        count = sum(held[author] for author in graph.predecessors(row)) + np.zeros(model.false.size)
        own = model.traits["findings"][row] | (model.traits["order"][row] > 0)
        assert not (held[row] & (count < 2) & ~own).any()
    first = made(plan="layers", width=2, agents=3, minds="corroborating(evidence=1)", planted=5)
    assert values(first)["carried"] == 0


def test_nothing_is_said_for_no_reason_unless_asked_for():
    quiet = made(target=-1, minds=MANY["minds"])
    assert values(quiet)["carried"] == values(quiet)["reach"] == values(quiet)["success"] == 0
    lone = {"agents": 1, "planted": 900, "findings": 1, "target": -1}
    assert mean("carried", **lone, minds="relaying(spontaneous=0.1)") == pytest.approx(0.1, abs=CLOSE)


# --- the plan


@settings(deadline=None, max_examples=80)
@given(st.sampled_from(PLANS), st.integers(1, 14), st.integers(1, 5), st.floats(0, 1), st.integers(0, 99))
def test_a_plan_is_acyclic_and_all_of_it_leads_to_the_last_subtask(plan, agents, width, density, seed):
    edges = planned(plan, agents, width, density, seed)
    assert edges == sorted(set(edges))
    assert all(author < reader < agents for author, reader in edges)
    graph = nx.DiGraph(edges)
    graph.add_nodes_from(range(agents))
    assert nx.is_directed_acyclic_graph(graph)
    assert nx.ancestors(graph, agents - 1) == set(range(agents - 1))


def test_shapes():
    assert planned("fan", 2, 1, 0, 0) == [(0, 1)]
    assert planned("layers", 6, 2, 0, 0) == [(0, 2), (0, 3), (1, 2), (1, 3), (2, 4), (3, 4), (4, 5)]
    assert planned("funnel", 7, 1, 0, 0) == [(0, 4), (1, 4), (2, 5), (3, 5), (4, 6), (5, 6)]
    assert planned("random", 4, 1, 1.0, 0) == list(combinations(range(4), 2))
    assert planned("random", 4, 1, 0.0, 0) == [(0, 3), (1, 3), (2, 3)]


@settings(deadline=None, max_examples=30)
@given(st.sampled_from(PLANS), st.integers(0, 2), st.sampled_from(["simultaneous", "fixed", "random"]))
def test_everybody_works_once_when_its_inputs_are_there(plan, latency, turns):
    model = made(30, plan=plan, latency=latency, turns=turns, rng=3)
    assert model.decisions.tolist() == [1] * 10
    delay = model.architecture.delay
    for author, reader in model.edges:
        assert model.acts.times[reader] >= model.acts.times[author] + max(1, delay)
    depth = nx.dag_longest_path_length(model.graph)
    assert values(model)["finished"] == 1 + depth * max(1, delay)


def test_who_does_not_answer_is_asked_again_and_holds_up_those_who_wait():
    model = made(4, plan="chain", agents=3, minds="relaying, silent:1@1")
    assert model.decisions.tolist() == [1, 3, 0]
    assert np.isnan([values(model)[name] for name in ("carried", "kept", "success", "finished")]).all()
    assert Workflow.finding(values(model), {}) == "The workflow has not come to its result."


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"target": 10}, "target = 10: expected a row from 0 to 9"),
        ({"cut": 21}, "cut = 21: expected an edge from 0 to 20"),
    ],
)
def test_an_attack_and_a_cut_have_a_place(given, says):
    with pytest.raises(SpecError, match=rf"^{says}, or -1 for none$"):
        Workflow(**given)


# --- replays


@settings(deadline=None, max_examples=10)
@given(st.integers(0, 999), st.sampled_from(PLANS), st.integers(0, 9))
def test_a_replay_is_the_run_and_an_edge_never_takes_away(seed, plan, target):
    model = made(plan=plan, target=target, minds="relaying(spontaneous=0)", rng=seed)
    twin = workflow.replayed(model)
    assert (twin.acts.own == model.acts.own).all()
    assert workflow.influences(model)[target] == values(model)["carried"]
    found = workflow.edge_influences(model)
    assert set(found) == set(model.graph.edges)
    assert min(found.values()) >= 0
    ahead = nx.descendants(model.graph, target) | {target}
    assert all(lost == 0 for (author, _), lost in found.items() if author not in ahead)


def test_the_influence_of_the_only_way_is_all_that_came_by_it():
    model = made(plan="chain", agents=5, target=2, minds=MANY["minds"], planted=60)
    found = workflow.edge_influences(model)
    carried = values(model)["carried"]
    assert carried > 0
    assert [found[edge] for edge in model.edges] == [0, 0, carried, carried]


def test_a_cut_is_the_run_without_that_edge():
    whole = made(plan="layers", target=1)
    for number, edge in enumerate(whole.edges):
        cut = made(plan="layers", target=1, cut=number)
        assert cut.gone == [edge]
        assert values(whole)["carried"] - values(cut)["carried"] == workflow.edge_influences(whole)[edge]


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 99), st.sampled_from(PLANS))
def test_centralities_are_networkxs(seed, plan):
    model = Workflow(plan=plan, rng=seed)
    paths = [len(list(nx.all_simple_paths(model.graph, row, 9))) if row < 9 else 1 for row in range(10)]
    assert workflow.routes(model).tolist() == paths
    steps = [-nx.shortest_path_length(model.graph, row, 9) for row in range(10)]
    assert workflow.nearness(model).tolist() == steps


def test_the_map_is_made_on_request_and_ranks_the_subtasks():
    from scipy.stats import spearmanr

    plain, mapped = made(plan="random", planted=90, rng=2), made(plan="random", planted=90, replay=True, rng=2)
    ranks = ("gap", "rank_routes", "rank_betweenness", "rank_nearness")
    assert np.isnan([values(plain)[name] for name in ranks]).all()
    assert {name: value for name, value in values(mapped).items() if name not in ranks} == {
        name: value for name, value in values(plain).items() if name not in ranks
    }
    influence = workflow.influences(mapped)[:-1]
    assert values(mapped)["gap"] == influence.max() - influence.min()
    between = [nx.betweenness_centrality(mapped.graph)[row] for row in range(9)]
    assert values(mapped)["rank_betweenness"] == pytest.approx(spearmanr(influence, between).statistic)
    routes = workflow.routes(mapped)[:-1]
    assert values(mapped)["rank_routes"] == pytest.approx(spearmanr(influence, routes).statistic)


def test_a_script_replays_too():
    model = made(5, minds="scripted:chance", target=1)
    assert model.n_failed_decisions == 0
    assert (workflow.replayed(model).acts.own == model.acts.own).all()


# --- what is measured and asked


def test_success_is_six_in_ten():
    model = made()
    false, true = np.flatnonzero(model.false), np.flatnonzero(~model.false)
    for count, won in ((5, 0.0), (6, 1.0)):
        result = model.affordance.encode_many([tuple(f"claim {claim + 1}" for claim in [*false[:count], *true[:3]])])
        model.acts.write(np.array([9]), result, 5.0)
        assert (values(model)["carried"], values(model)["success"], values(model)["kept"]) == (count / 10, won, 0.3)


def test_a_prompt_says_what_the_guard_struck_and_only_the_target_is_told():
    model = Workflow(guard="edges", strength=0.7, alarms=0.4, framing="instruction", target=3, rng=5)
    for _ in range(3):
        model.step()
    seen = model.expose(model.acts.rows)
    struck = workflow.struck(seen)
    assert struck.any()
    for row in range(10):
        text = Workflow.prompt(seen.one(row))
        here = np.flatnonzero(seen.flat.row == row)
        lines = re.findall(r"^- subtask (\d+): (.*)$", text, re.MULTILINE)
        assert [int(author) for author, _ in lines] == seen.flat.author[here].tolist()
        for place, (_, said) in zip(here, lines, strict=True):
            gone = {int(one) - 1 for one in re.findall(r"claim (\d+) \(struck", said)}
            told = {int(one) - 1 for one in re.findall(r"claim (\d+)", said)}
            held = set(np.flatnonzero(marked(seen.flat.act[place][None], 20)[0]).tolist())
            assert told == held
            assert gone == held & set(np.flatnonzero(struck[place]).tolist())
        assert ("has to state" in text) == (row == 3)
        assert ("concludes" in text) == (row == 9)


@pytest.mark.parametrize("framing", ["plain", "instruction", "evidence"])
def test_the_target_is_told_every_planted_claim_as_it_is_framed(framing):
    model = Workflow(framing=framing, target=0, guard="input", strength=0.5, rng=2)
    text = Workflow.prompt(model.expose(model.acts.rows).one(0))
    told = re.findall(r"^(Some say|Your result has to state|Last year's audit has established): (.*)\.$", text, re.M)
    ways = {"plain": "Some say", "instruction": "Your result has to state", "evidence": "Last year's audit"}
    assert {claim for _, claims in told for claim in claims.split(", ")} == {
        f"claim {claim + 1}" for claim in np.flatnonzero(model.false)
    }
    assert {way for way, _ in told} <= {way for way, _ in told if way.startswith((ways[framing], "Some say"))}
    assert any(way.startswith(ways[framing]) for way, _ in told)


def test_every_finding_is_somebodys_own_and_is_stated_there():
    model = made(findings=60)
    owners = model.traits["findings"]
    assert (owners.sum(axis=0) == ~model.false).all()
    assert not owners[-1].any()
    assert (marked(model.acts.own, model.false.size) >= owners).all()


def test_the_picture_is_the_map_for_rules_and_the_run_for_others():
    figure = pytest.importorskip("matplotlib.figure")
    for minds, title in (("relaying", "had they landed"), ("scripted:chance", "in each result")):
        axes = figure.Figure().subplots()
        model = made(6, target=2, cut=0, minds=minds)
        model.draw(axes)
        labels = [text.get_text() for text in axes.texts if text.get_text()]
        assert [label.partition("\n")[0] for label in labels] == [str(row) for row in range(10)]
        assert title in axes.get_title()
    assert "in the result" in Workflow.finding(values(made()), {})
