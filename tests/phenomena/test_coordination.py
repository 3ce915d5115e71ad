import json
import re
from itertools import product

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentmicro import contract
from agentmicro.completion import Scripted
from agentmicro.errors import SpecError
from agentmicro.measures.network_tasks import TASKS
from agentmicro.minds import LanguageMind
from agentmicro.phenomena.coordination import Coordination

FAMILIES = ("small_world(k=4, p=0.4)", "scale_free", "delaunay")


def ended(**knobs):
    """A group after its answers, undisturbed unless the knobs say otherwise."""
    model = Coordination(**{"silent": 0.0, "rng": 1, **knobs})
    for _ in range(model.rounds + 1):
        model.step()
    return model


def last(model, name):
    return float(model.datacollector.model_vars[name][-1])


def lowest(model):
    """The row of the agent with the lowest number."""
    return int(np.argmin(model.traits["number"]))


# --- the classical algorithms solve the tasks


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(TASKS), st.sampled_from([*FAMILIES, "tree", "chain", "complete"]), st.integers(5, 20), st.data())
def test_undisturbed_agents_with_rounds_enough_solve_every_task(task, graph, agents, data):
    model = ended(task=task, graph=graph, agents=agents, rounds=2 * agents, rng=data.draw(st.integers(0, 99)))
    assert last(model, "solved") == last(model, "score") == last(model, "met") == 1
    network, answers = model.graph, model.answers.tolist()
    if task == "coloring":
        assert all(answers[a] != answers[b] for a, b in network.edges)
    if task == "vertex_cover":
        outside = np.flatnonzero(model.answers).tolist()
        assert not network.subgraph(outside).edges
        assert nx.is_dominating_set(network, outside)
    if task == "matching":
        pairs = {tuple(sorted((row, partner))) for row, partner in enumerate(answers) if partner < agents}
        assert nx.is_maximal_matching(network, pairs)
    if task == "leader_election":
        assert answers.index(0) == lowest(model)
    if task == "consensus":
        assert set(answers) == {model.traits["value"][lowest(model)]}


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 999), st.sampled_from(["random(degree=2.0)", "random(degree=4.0)", "star"]), st.integers(1, 6))
def test_whom_an_agent_is_paired_with_is_a_neighbour_whatever_disturbs_it(seed, graph, rounds):
    model = ended(
        task="matching",
        agents=10,
        graph=graph,
        rounds=rounds,
        rng=seed,
        silent=0.2,
        false_claims=2,
        loss=0.3,
        latency=seed % 2,
    )
    for row, partner in enumerate(model.answers.tolist()):
        assert partner == 10 or model.graph.has_edge(row, partner)


# --- too late


@pytest.mark.parametrize("latency", [0, 1, 2])
@pytest.mark.parametrize("graph", FAMILIES)
def test_late_or_slow_an_agent_knows_the_lowest_number_as_far_as_letters_have_come(graph, latency):
    outcomes = []
    for seed, delay in product(range(3), range(0, 12, 2)):
        knobs = {"agents": 20, "graph": graph, "delay": delay, "latency": latency, "rng": seed}
        elected, agreed = (ended(task=task, **knobs) for task in ("leader_election", "consensus"))
        reach = max(0, elected.rounds - delay) // (1 + latency)
        number, value = elected.traits["number"], elected.traits["value"]
        best = [
            min(nx.single_source_shortest_path_length(elected.graph, row, reach), key=lambda other: number[other])
            for row in range(20)
        ]
        assert elected.answers.tolist() == [int(best[row] != row) for row in range(20)]
        assert agreed.answers.tolist() == [value[other] for other in best]
        everywhere = reach >= nx.eccentricity(elected.graph, lowest(elected))
        assert last(elected, "solved") == 1 or not everywhere
        outcomes.append(last(elected, "solved"))
    assert set(outcomes) == {0, 1}


def test_a_plan_taken_up_after_the_rounds_is_every_agent_for_itself():
    model = ended(task="leader_election", agents=12, delay=100)
    assert (model.answers == 0).all()
    assert last(model, "letters") == 0


# --- silence


def test_a_silent_agent_with_the_lowest_number_is_a_second_leader_where_everybody_hears_everybody():
    outcomes = set()
    for seed in range(40):
        model = ended(task="leader_election", agents=10, graph="complete", silent=0.3, rng=seed)
        quiet = model.traits["quiet"]
        assert quiet.sum() == 3
        assert last(model, "solved") == (not quiet[lowest(model)])
        outcomes.add(bool(quiet[lowest(model)]))
    assert len(outcomes) == 2


def test_silent_agents_keep_their_values_where_they_have_lower_numbers():
    for seed in range(40):
        model = ended(task="consensus", agents=9, graph="complete", silent=0.4, rng=seed)
        told = np.flatnonzero(~model.traits["quiet"])
        best = told[np.argmin(model.traits["number"][told])]
        value, number = model.traits["value"], model.traits["number"]
        assert model.answers.tolist() == [value[row] if number[row] < number[best] else value[best] for row in range(9)]


def test_silent_agents_write_to_nobody_and_the_mind_does_what_the_knob_does():
    model = ended(agents=20, graph="ring", rounds=5, silent=0.25)
    assert last(model, "letters") == 5 * 2 * 15 / 20
    rows = "+".join(map(str, np.flatnonzero(model.traits["quiet"])))
    seated = ended(agents=20, graph="ring", rounds=5, minds=f"classical, quiet:5@{rows}")
    assert (seated.answers == model.answers).all()


# --- claims that are not so


@pytest.mark.parametrize("graph", FAMILIES)
def test_one_false_claim_leaves_everybody_without_a_leader(graph):
    for seed in range(5):
        model = ended(task="leader_election", agents=30, graph=graph, false_claims=1, rng=seed)
        assert (model.answers == 1).all()
        assert last(model, "solved") == last(model, "met") == 0


def test_where_everybody_hears_everybody_one_liar_is_caught_by_a_second_voice_and_two_are_not():
    for seed in range(5):
        for liars in (1, 2):
            model = ended(task="leader_election", agents=10, graph="complete", false_claims=liars, verify=1.0, rng=seed)
            assert last(model, "solved") == (liars == 1)


def test_a_second_voice_that_cannot_be_had_stops_true_claims_too():
    model = ended(task="leader_election", agents=9, graph="ring", verify=1.0)
    number = model.traits["number"]
    near = {row: min(number[row], *(number[other] for other in model.graph[row])) for row in range(9)}
    # On a ring a claim comes from one side alone until both sides meet: only what is next to its owner is believed.
    assert [answer == 0 for answer in model.answers] == [near[row] == number[row] for row in range(9)]


def test_a_mistaken_colour_harms_its_neighbours_alone():
    harmed = 0
    for seed in range(30):
        model = ended(agents=30, false_claims=1, rng=seed)
        liar = int(np.flatnonzero(model.traits["mistaken"])[0])
        wrong = {frozenset(edge) for edge in model.graph.edges if len(set(model.answers[list(edge)])) == 1}
        assert all(liar in edge for edge in wrong)
        harmed += bool(wrong)
    assert 0 < harmed < 30


def test_a_mistaken_mind_does_what_the_knob_does():
    for task in TASKS:
        model = ended(task=task, agents=12, false_claims=1, rng=3)
        row = int(np.flatnonzero(model.traits["mistaken"])[0])
        assert (ended(task=task, agents=12, minds=f"classical, mistaken:1@{row}", rng=3).answers == model.answers).all()


# --- clashes


def test_unnoticed_clashes_leave_the_groups_drawn_at_first():
    model = Coordination(agents=20, silent=0.0, mediate=0.0, rng=4)
    model.step()
    first = model.answers.copy()
    while model.time <= model.rounds:
        model.step()
    assert (model.answers == first).all()
    assert last(model, "solved") == 0


# --- answers by luck


@pytest.mark.parametrize("task", TASKS)
def test_answers_by_luck_score_chance_on_average(task):
    scores, chances = [], []
    for seed in range(150):
        model = ended(task=task, agents=6, graph="delaunay", minds="random", rounds=1, rng=seed)
        assert last(model, "letters") == 0
        scores.append(last(model, "score"))
        chances.append(last(model, "chance"))
    gap = np.array(scores) - np.array(chances)
    assert abs(gap.mean()) < 4 * gap.std() / np.sqrt(150)
    assert gap.std() > 0


# --- rounds, letters and answers


@pytest.mark.parametrize("task", TASKS)
def test_each_agent_is_asked_once_a_round_and_once_for_its_answer(task):
    model = ended(task=task, agents=16, graph="scale_free")
    assert model.n_decisions == 16 * (model.rounds + 1)
    assert last(model, "letters") * 16 == model.rounds * model.links.exposures
    before = model.answers.copy()
    model.step()
    assert model.n_decisions == 16 * (model.rounds + 1)
    assert (model.answers == before).all()


def test_in_the_rounds_an_answer_is_what_the_note_would_mean_and_unknown_of_others():
    model = Coordination(task="leader_election", agents=9, graph="chain", minds="classical, scripted:first:1@0", rng=2)
    assert (model.answers == -1).all()
    model.step()
    assert model.answers.tolist() == [-1] + [0] * 8
    while model.time <= model.rounds:
        model.step()
    assert set(model.answers.tolist()) == {0, 1}


def test_the_corrected_score_is_zero_at_chance_and_one_when_solved():
    model = ended(agents=12, minds="random")
    score, chance = last(model, "score"), last(model, "chance")
    assert last(model, "corrected") == pytest.approx((score - chance) / (1 - chance))
    assert last(ended(agents=12), "corrected") == 1
    assert np.isnan(last(ended(agents=3, graph="empty"), "corrected"))


@pytest.mark.parametrize("task", TASKS)
def test_groups_in_parts_and_alone_get_a_clear_answer(task):
    alone = ended(task=task, agents=1, graph="empty")
    assert (last(alone, "solved"), alone.n_decisions) == (1, alone.rounds + 1)
    # Nobody at all is linked: each is a leader to itself, and there are two values if luck gives two.
    apart = ended(task=task, agents=6, graph="empty")
    assert last(apart, "solved") == (task not in ("leader_election", "consensus"))
    assert last(apart, "letters") == 0


def test_wrong_knobs_are_refused_in_a_sentence():
    with pytest.raises(SpecError, match="links are directed, expected an undirected graph"):
        Coordination(graph="ring(directed=1)")
    with pytest.raises(SpecError, match="false_claims = 33: expected at most the number of agents, 32"):
        Coordination(false_claims=33)
    model = Coordination(agents=8, rng=1)
    with pytest.raises(SpecError, match="links are directed"):
        model.change(graph="ring(directed=1)")


def test_a_new_graph_brings_new_neighbours():
    model = Coordination(agents=8, graph="ring", silent=0.0, rng=1)
    model.step()
    model.change(graph="star")
    assert sorted(model.traits["near"][0]) == list(range(1, 8))
    assert model.traits["near"][3] == (0,)
    model.change(latency=2)
    assert "3 rounds later" in model.traits["brief"][0]


# --- language minds


def lowest_name(request):
    """A model that floods the lowest name: it reads its prompt and says in words what it knows."""
    me = int(re.search(r"You are agent (\d+)", request.prompt)[1])
    known = min([me, *map(int, re.findall(r"the lowest is (\d+)", request.prompt))])
    held[me] = min(known, held.get(me, me))
    if "What is your answer" in request.prompt:
        return "Yes" if held[me] == me else "No"
    near = re.search(r"You are linked to: (.*)\.", request.prompt)[1].split(", ")
    return json.dumps(dict.fromkeys(near, f"the lowest is {held[me]}"))


held: dict[int, int] = {}


def test_language_minds_that_write_to_neighbours_by_name_elect_a_leader():
    held.clear()
    mind = LanguageMind("flooder", Scripted(lowest_name), Coordination.prompt)
    model = ended(task="leader_election", agents=12, graph="delaunay", minds=mind)
    assert model.answers.tolist() == [0] + [1] * 11
    assert last(model, "solved") == 1
    assert model.failure_rate == 0


def test_a_prompt_says_who_wrote_what_who_did_not_and_how_many_rounds_are_left():
    model = Coordination(agents=6, graph="chain", silent=0.0, rounds=2, minds="classical, quiet:1@1", rng=1)
    asked = []
    for _ in range(3):
        model.step()
        asked.append(model.prompt(model.expose(model.acts.rows).one(2)))
    assert "Rounds of" not in asked[0]
    assert [re.search(r"can write: (\d)", text)[1] for text in asked] == ["2", "1", "0"]
    assert "- nothing\nLinked to you and not heard from: 1, 3." in asked[0]
    assert "not heard from: 1." in asked[1]
    assert re.search(r"- from 3 \(rounds ago: 1\): I am in group \d, settled: [01]. My number is \d\.", asked[1])
    assert "messages to any of: 1, 3" in asked[1]
    assert "What is your answer?" in asked[2]
    assert all(f"Group {number}" in asked[2] for number in (1, 2, 3))


def test_embedded_minds_read_nothing_into_what_language_minds_write():
    model = ended(task="matching", agents=10, minds="classical, scripted:chance:3")
    assert model.failure_rate == 0
    assert last(model, "met") < 1


# --- the laws, with answers inside the few turns of a trial

LAWS = (
    contract.prompts_say_everything,
    contract.exposure_is_the_only_channel,
    contract.luck_is_order_free,
    contract.silence_is_counted,
)


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
@pytest.mark.parametrize("task", TASKS)
def test_every_task_passes_the_laws_up_to_its_answers(task, law):
    law(Coordination, task=task, rounds=2, false_claims=1, verify=0.5, mediate=0.5)


@pytest.mark.parametrize("task", TASKS)
def test_the_picture_counts_who_does_its_part(task):
    from matplotlib.figure import Figure

    model = ended(task=task, agents=20, silent=0.3)
    axes = Figure().subplots()
    model.draw(axes)
    done = round(20 * last(model, "met"))
    assert axes.get_title() == f"{task.replace('_', ' ')}: {done} of 20 do their part"
    drawn = {item.get_label(): len(item.get_offsets()) for item in axes.collections if hasattr(item, "get_sizes")}
    assert sum(count for name, count in drawn.items() if name.endswith("does its part")) == done
    assert drawn["silent or mistaken"] == 6
