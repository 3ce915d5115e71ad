"""Debate: urns and votes against their closed forms, small debates against the enumeration of all that can happen."""

import itertools
from collections import Counter, defaultdict
from fractions import Fraction
from typing import Any

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from agentmicro.errors import SpecError
from agentmicro.phenomena.debate import Debate, plurality, task

GRAPHS = {
    "complete": nx.complete_graph(3),
    "chain": nx.path_graph(3),
    "empty": nx.empty_graph(3),
    "ring of four": nx.cycle_graph(4),
    "star of four": nx.star_graph(3),
}


def disjoint(path: Any, graph: nx.Graph, copies: int) -> str:
    """A file of many copies of a small graph, so that one run is many debates."""
    n = len(graph)
    path.write_text("".join(f"{c * n + a} {c * n + b}\n" for c in range(copies) for a, b in graph.edges))
    return str(path)


def debates(path: Any, graph: nx.Graph, copies: int, length: int, **knobs: Any) -> list[Any]:
    """The answers of many debates after each turn, one row per debate."""
    n = len(graph)
    text = disjoint(path, graph, copies) if graph.edges else "empty"
    model = Debate(agents=n * copies, graph=text, rounds=length - 1, **{"rng": 1} | knobs)
    for _ in range(length):
        model.step()
    return [answers.reshape(copies, n) for answers in model.past]


def fits(found: Any, chances: Any) -> bool:
    """Whether counts are what their chances let expect; the seeds are fixed, so this is no lottery."""
    counts, expected = np.asarray(found, float), np.asarray(chances, float) * np.sum(found)
    rare = expected < 5
    counts, expected = np.append(counts[~rare], counts[rare].sum()), np.append(expected[~rare], expected[rare].sum())
    kept = expected > 0
    assert counts[~kept].sum() == 0
    return bool(stats.chisquare(counts[kept], expected[kept]).pvalue > 1e-4)


# --- the urn: in a fixed order everybody hears all before it, which is Polya's urn


@pytest.mark.parametrize(("skill", "strength"), [(0.6, 4.0), (0.3, 1.0), (0.5, 20.0)])
def test_a_debate_in_a_fixed_order_is_polyas_urn(tmp_path, skill, strength):
    n, copies = 6, 3000
    graph = nx.complete_graph(n)
    knobs = {"options": 2, "skill": skill, "strength": strength, "turns": "fixed"}
    (first,) = debates(tmp_path / "g.edges", graph, copies, 1, **knobs)
    right = np.bincount((first == 0).sum(axis=1), minlength=n + 1)
    urn = stats.betabinom(n, skill * strength, (1 - skill) * strength)
    assert fits(right, urn.pmf(np.arange(n + 1)))
    assert not fits(right, stats.binom(n, skill).pmf(np.arange(n + 1)))  # nor are they independent


def test_an_urn_of_three_colours_is_dirichlet_multinomial(tmp_path):
    n, copies = 4, 3000
    knobs = {"options": 3, "skill": 0.5, "strength": 2.0, "turns": "fixed", "mind": "dcm(weight=0.5)"}
    (first,) = debates(tmp_path / "g.edges", nx.complete_graph(n), copies, 1, **knobs)
    found = Counter(tuple(np.bincount(row, minlength=3).tolist()) for row in first)
    kinds = [(a, b, n - a - b) for a in range(n + 1) for b in range(n + 1 - a)]
    # An answer that adds half to a strength of 2 is one that adds 1 to a strength of 4.
    urn = stats.dirichlet_multinomial([2.0, 1.0, 1.0], n)
    assert fits([found[kind] for kind in kinds], [urn.pmf(kind) for kind in kinds])


# --- everybody at once: all that can happen, with its chance


def enumerated(graph: nx.Graph, skills: list[Fraction], strength: int, turns: int, edge: int = 0) -> list[Any]:
    """The chance of every set of answers (1 is right) after each turn, from all histories of a debate."""
    histories = {(): Fraction(1)}
    ends = []
    for turn in range(turns):
        longer: dict[Any, Fraction] = {}
        for history, chance in histories.items():
            believed = []
            for member in graph:
                heard = [answers[other] for answers in history for other in graph[member]]
                right, wrong = sum(heard) * (1 + edge), len(heard) - sum(heard)
                believed.append((skills[member] * strength + right) / (strength + right + wrong))
            for answers in itertools.product((1, 0), repeat=len(graph)):
                odds = chance
                for belief, answer in zip(believed, answers, strict=True):
                    odds *= belief if answer else 1 - belief
                longer[(*history, answers)] = odds
        histories = longer
        ends.append(defaultdict(Fraction))
        for history, chance in histories.items():
            ends[turn][history[-1]] += chance
    return ends


def mean(end: Any) -> list[Fraction]:
    """The chance of each member to be right."""
    return [sum(chance * answers[member] for answers, chance in end.items()) for member in range(len(next(iter(end))))]


@pytest.mark.parametrize("name", GRAPHS)
def test_the_chance_to_be_right_is_a_martingale_exactly_whoever_hears_whom(name):
    graph, skill = GRAPHS[name], Fraction(3, 5)
    for end in enumerated(graph, [skill] * len(graph), 2, 3 if len(graph) == 3 else 2):
        assert mean(end) == [skill] * len(graph)


@pytest.mark.parametrize("name", ["complete", "chain", "star of four"])
def test_debates_are_distributed_as_enumerated(tmp_path, name):
    graph, copies, turns = GRAPHS[name], 4000, 3 if len(GRAPHS[name]) == 3 else 2
    found = debates(tmp_path / "g.edges", graph, copies, turns, options=2, skill=0.6, strength=2.0)
    for answers, end in zip(found, enumerated(graph, [Fraction(3, 5)] * len(graph), 2, turns), strict=True):
        counts = Counter(tuple(row) for row in (answers == 0).astype(int).tolist())
        assert fits([counts[state] for state in end], [float(chance) for chance in end.values()])


def test_without_memory_only_the_last_answers_count_and_the_mean_stays(tmp_path):
    graph, copies, n = nx.complete_graph(3), 4000, 3
    found = debates(tmp_path / "g.edges", graph, copies, 4, options=2, skill=0.7, strength=1.0, memory=0)
    # From one turn to the next it is a Markov chain of the number of right answers.
    chain = np.zeros((n + 1, n + 1))
    for right in range(n + 1):
        belief = [(0.7 + right - own) / 3.0 for own in [1] * right + [0] * (n - right)]
        for answers in itertools.product((1, 0), repeat=n):
            chain[right, sum(answers)] += np.prod([b if a else 1 - b for b, a in zip(belief, answers, strict=True)])
    now = stats.binom(n, 0.7).pmf(np.arange(n + 1))
    for answers in found:
        assert now @ np.arange(n + 1) == pytest.approx(n * 0.7)
        assert fits(np.bincount((answers == 0).sum(axis=1), minlength=n + 1), now)
        now = now @ chain


@pytest.mark.parametrize("graph", ["complete", "ring", "star", "small_world(k=4)", "empty"])
def test_no_topology_moves_the_expected_accuracy(tmp_path, graph):
    made = Debate(agents=7, graph=graph, rng=5).graph
    found = debates(tmp_path / "g.edges", nx.Graph(made), 1500, 6, options=4, skill=0.55, strength=3.0)
    for answers in found:
        shares = (answers == 0).mean(axis=1)
        assert abs(shares.mean() - 0.55) < 4 * shares.std() / np.sqrt(len(shares))


def expected(graph: nx.Graph, skills: Any, strength: float, turns: int) -> list[Any]:
    """The chance to be right after each turn where skills differ: a linear recursion, since what is heard adds up."""
    hears = nx.to_numpy_array(graph, nodelist=range(len(graph)))
    chances = [np.asarray(skills, float)]
    for turn in range(1, turns):
        heard = hears @ sum(chances)
        chances.append((strength * chances[0] + heard) / (strength + turn * hears.sum(axis=1)))
    return chances


def test_the_recursion_for_unequal_members_is_what_enumeration_gives():
    for graph, skills in ((GRAPHS["chain"], [9, 5, 2]), (GRAPHS["complete"], [9, 5, 2]), (GRAPHS["empty"], [1, 5, 9])):
        ends = enumerated(graph, [Fraction(skill, 10) for skill in skills], 3, 3)
        for end, chances in zip(ends, expected(graph, np.array(skills) / 10, 3, 3), strict=True):
            assert [float(chance) for chance in mean(end)] == pytest.approx(chances.tolist())


@pytest.mark.parametrize("expert", [0, 1])
def test_an_expert_moves_the_mean_by_its_place(expert):
    knobs = {"graph": "star", "expert": expert, "expert_skill": 0.95, "skill": 0.5, "strength": 2.0, "options": 2}
    skills = [0.95 if member == expert else 0.5 for member in range(5)]
    chances = expected(nx.star_graph(4), skills, 2.0, 4)
    found = np.zeros((4, 5))
    runs = 1200
    for seed in range(runs):
        model = Debate(rng=seed, rounds=3, **knobs)
        for _ in range(4):
            model.step()
        found += np.array(model.past) == 0
    for counts, chance in zip(found, chances, strict=True):
        assert (np.abs(counts - runs * chance) < 4.5 * np.sqrt(runs * chance * (1 - chance))).all()
    hub, leaf = (expected(nx.star_graph(4), [0.95 if i == row else 0.5 for i in range(5)], 2.0, 4) for row in (0, 1))
    assert hub[0].mean() == pytest.approx(leaf[0].mean())
    assert hub[-1].mean() > leaf[-1].mean() + 0.05


def test_only_answers_that_weigh_more_when_right_beat_the_martingale():
    graph, skill = GRAPHS["complete"], Fraction(3, 5)
    ends = enumerated(graph, [skill] * 3, 2, 3, edge=1)
    means = [float(mean(end)[0]) for end in ends]
    assert means[0] == 0.6 < means[1] < means[2]
    found = []
    for seed in range(1500):
        model = Debate(agents=3, options=2, skill=0.6, strength=2.0, mind="dcm(edge=1)", rounds=2, rng=seed)
        for _ in range(3):
            model.step()
        found.append((model.acts.own == 0).mean())
    assert abs(np.mean(found) - means[2]) < 4 * np.std(found) / np.sqrt(len(found))


# --- votes


def test_a_vote_of_first_answers_is_condorcets():
    for agents in (4, 5):
        found = []
        for seed in range(1500):
            model = Debate(agents=agents, options=2, skill=0.6, rounds=0, rng=seed)
            model.step()
            found.append(model.measures["vote"](model))
        law = stats.binom(agents, 0.6)
        half = law.pmf(agents / 2) / 2 if agents % 2 == 0 else 0.0
        chance = law.sf(agents // 2) + half
        assert abs(np.mean(found) - chance) < 4 * np.std(found) / np.sqrt(len(found))


@given(st.lists(st.integers(-1, 3), max_size=12))
def test_a_plurality_vote_draws_its_ties(answers):
    counts = Counter(answer for answer in answers if answer >= 0)
    most = [answer for answer in counts if counts[answer] == max(counts.values())]
    share = plurality(np.array(answers, np.int8))
    assert share == ((0 in most) / len(most)) if most else np.isnan(share)


def test_a_panel_is_independent_answers_and_grows_by_them():
    model = Debate(agents=5, options=2, skill=0.6, rng=3)
    assert model.panel(12).tolist() == model.panel(40)[:12].tolist()
    panels = np.array([Debate(agents=5, options=2, skill=0.6, rng=seed).panel(15) for seed in range(1500)])
    right = np.bincount((panels == 0).sum(axis=1), minlength=16)
    assert fits(right, stats.binom(15, 0.6).pmf(np.arange(16)))
    expert = Debate(agents=3, expert=1, expert_skill=1.0, skill=0.0, rng=1).panel(9) == 0
    assert expert.tolist() == [False, True, False] * 3


@pytest.mark.parametrize(
    ("graph", "degrees"), [("complete", [4] * 5), ("ring", [2] * 5), ("star", [4, 1, 1, 1, 1]), ("empty", [0] * 5)]
)
def test_tokens_are_answers_written_and_answers_shown(graph, degrees):
    for memory in (-1, 0, 2):
        model = Debate(graph=graph, memory=memory, rounds=4, rng=1)
        spent = 0
        for turn in range(7):
            if turn <= 4:
                before = turn if memory < 0 else min(turn, memory + 1)
                spent += 5 + before * sum(degrees)
            model.step()
            assert model.measures["tokens"](model) == spent


def test_gains_are_against_the_first_answers_and_against_the_panel():
    model = Debate(rng=6)
    for turn in range(6):
        model.step()
        found = {name: column[-1] for name, column in model.datacollector.model_vars.items()}
        first, now = model.past[0], model.acts.own
        assert found["accuracy"] == pytest.approx((now == 0).mean())
        assert found["accuracy_gain"] == pytest.approx((now == 0).mean() - (first == 0).mean())
        assert found["vote_gain"] == plurality(now) - plurality(first)
        assert found["token_gain"] == plurality(now) - plurality(model.panel(int(found["tokens"])))
        assert found["agreement"] == np.bincount(now).max() / 5
        assert turn or found["accuracy_gain"] == found["vote_gain"] == 0


# --- rules and the end


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 999), st.sampled_from(["complete", "ring", "star", "empty"]), st.integers(0, 1))
def test_majority_by_its_law(seed, graph, memory):
    model = Debate(agents=6, options=3, skill=0.4, graph=graph, mind="majority", memory=memory, rng=seed)
    for _ in range(3):
        model.step()
    heard = model.past[-2 - memory : -1]
    for row in range(6):
        own = int(model.past[-2][row])
        counts = Counter([own, *(int(acts[other]) for acts in heard for other in model.graph[row])])
        most = [answer for answer in counts if counts[answer] == max(counts.values())]
        assert model.acts.own[row] == own if own in most else model.acts.own[row] in most


@pytest.mark.parametrize("mind", ["majority", "copy", "dcm"])
def test_alone_everybody_answers_by_its_own_belief(mind):
    found = np.zeros(4)
    for seed in range(200):
        model = Debate(options=4, skill=0.4, mind=mind, rng=seed)
        model.step()
        found += np.bincount(model.acts.own, minlength=4)
    assert fits(found, [0.4, 0.2, 0.2, 0.2])


def test_copies_are_of_what_is_heard_and_keep_the_mean():
    shares = []
    for seed in range(600):
        model = Debate(agents=5, graph="ring", options=2, skill=0.6, mind="copy", memory=0, rng=seed)
        for _ in range(4):
            model.step()
        before, after = model.past[-2], model.past[-1]
        assert all(after[row] in {before[row - 1], before[(row + 1) % 5]} for row in range(5))
        shares.append((after == 0).mean())
    assert abs(np.mean(shares) - 0.6) < 4 * np.std(shares) / np.sqrt(len(shares))
    still = Debate(graph="empty", mind="copy", rng=1)
    for _ in range(3):
        still.step()
    assert (still.past[0] == still.past[2]).all()


def test_after_the_last_round_nobody_answers():
    model = Debate(rounds=2, rng=2)
    for _ in range(3):
        model.step()
    acts, asked = model.acts.own.copy(), model.n_decisions
    for _ in range(3):
        model.step()
    assert (model.acts.own == acts).all()
    assert model.n_decisions == asked == 15


@given(st.integers(0, 10**6), st.integers(2, 20))
def test_the_first_answer_is_right_and_no_other(seed, options):
    question, answers = task(seed, options)
    numbers = question.removeprefix("What is ").removesuffix("?").replace("*", "").replace("+", "").split()
    one, two, three = map(int, numbers)
    assert answers[0] == str(one * two + three)
    assert len(set(answers)) == options
    assert all(int(answer) > 0 for answer in answers)


def test_a_prompt_shows_the_question_and_who_answered_what():
    model = Debate(rng=1, visibility="full")
    assert "nobody yet" in Debate.prompt(model.expose(model.acts.rows).one(0))
    model.step()
    model.step()
    text = Debate.prompt(model.expose(model.acts.rows).one(2))
    assert model.sources["question"].value in text
    assert "member 4, 1 turn(s) ago" in text


def test_an_expert_must_be_a_member():
    with pytest.raises(SpecError, match=r"expert = 5: expected a row from 0 to 4, or -1"):
        Debate(expert=5)


def test_the_picture_has_a_square_for_every_answer():
    from matplotlib.figure import Figure

    model = Debate(agents=6, rounds=3, options=4, skill=0.5, rng=2)
    for _ in range(6):
        model.step()
    axes = Figure().subplots()
    model.draw(axes)
    drawn = {squares.get_label(): len(squares.get_offsets()) for squares in axes.collections}
    past = np.array(model.past[:4])
    assert sum(drawn.values()) == 24
    assert drawn["right"] == (past == 0).sum()


def test_a_finding_never_shows_what_is_not_known():
    model = Debate(rng=1)
    ends = {name: column[-1] for name, column in model.datacollector.model_vars.items()}
    assert Debate.finding(ends, ends) == "Nobody has answered yet."
    model.step()
    ends = {name: column[-1] for name, column in model.datacollector.model_vars.items()}
    assert "nan" not in Debate.finding(ends, ends)
