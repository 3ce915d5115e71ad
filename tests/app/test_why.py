"""Why: an influence tree goes from an act to what it repeats, and never past what the trace shows."""

import pytest

from agentmicro.app.snapshot import traced
from agentmicro.app.why import decisions, tree
from agentmicro.phenomena.voter import Voter

ROWS = {"a": 0, "b": 1, "c": 2}


def entry(agent, time, act, *saw):
    shown = [{"author": author, "content": content, "age": age, "count": 1} for author, content, age in saw]
    return {"agent": agent, "name": "abc"[agent], "time": time, "act": act, "saw": shown}


def test_a_chain_of_repetitions_is_followed_back():
    trace = [entry(0, 1, "X"), entry(1, 2, "X", ("a", "X", 1)), entry(2, 3, "X", ("b", "X", 1))]
    found = tree(trace, ROWS, trace[-1])
    assert [(one.author, one.reader, one.depth, one.content) for one in found] == [(1, 2, 1, "X"), (0, 1, 2, "X")]
    assert tree(trace, ROWS, trace[-1], depth=1) == found[:1]


def test_other_acts_and_exposures_without_an_author_lead_nowhere():
    trace = [entry(2, 1, "X", ("b", "Y", 1), (None, "X", 1), ("stranger", "X", 1))]
    assert tree(trace, ROWS, trace[0]) == []


def test_only_what_the_author_had_done_when_it_was_seen_is_followed():
    trace = [entry(0, 1, "X"), entry(1, 2, "X", ("a", "X", 1)), entry(1, 5, "X", ("c", "X", 1)),
             entry(2, 3, "X", ("b", "X", 1))]  # fmt: skip
    assert [(one.author, one.reader) for one in tree(trace, ROWS, trace[-1])] == [(1, 2), (0, 1)]


def test_a_circle_ends():
    trace = [entry(0, 1, "X", ("b", "X", 0)), entry(1, 1, "X", ("a", "X", 0)), entry(0, 2, "X", ("b", "X", 1))]
    found = tree(trace, ROWS, trace[-1], depth=9)
    assert len(found) == 2


def test_parts_of_an_act_are_followed_too():
    trace = [entry(2, 1, {"answer": "yes", "words": "hm"}, ("a", {"answer": "yes", "words": "ok"}, 1)),
             entry(2, 1, ["p", "q"], ("b", "q", 1))]  # fmt: skip
    assert [[one.author for one in tree(trace, ROWS, one)] for one in trace] == [[0], [1]]


@pytest.mark.parametrize("turns", ["simultaneous", "random"])
def test_in_a_voter_model_whoever_changed_followed_somebody_it_saw(turns):
    model = traced(Voter(agents=25, turns=turns, rng=2))
    for _ in range(3):
        model.step()
    entries = list(model.trace)
    rows = {one["name"]: one["agent"] for one in entries}
    changed = 0
    last = {}
    for one in entries:
        if one["agent"] in last and one["act"] != last[one["agent"]]:
            changed += 1
            assert [step for step in tree(entries, rows, one) if step.depth == 1]
        last[one["agent"]] = one["act"]
    assert changed
    mine = decisions(entries, 7)
    assert [one["time"] for one in mine] == sorted(one["time"] for one in mine)
    assert len(mine) == 3
    assert decisions(entries, 7, upto=0) == []
