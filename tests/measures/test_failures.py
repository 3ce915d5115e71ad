"""Failure labels on traces written by hand, on traces of runs, and against a naive count."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentmicro.affordances import Artifact, Choice, Message
from agentmicro.completion import Scripted
from agentmicro.measures import failure_modes
from agentmicro.measures.failures import (
    DECIDED,
    DISOBEYED,
    IGNORED,
    REPEATED,
    UNAWARE,
    UNDECIDED,
    WITHHELD,
)
from agentmicro.minds import LanguageMind, Minds, Outcome
from agentmicro.phenomena.channels import Channels
from agentmicro.society import Society
from agentmicro.trace import Trace


def entry(time: float, agent: int, act: Any, saw: Any = (), outcome: str = "valid") -> dict[str, Any]:
    """A line of a trace: what was shown is a list of (author, content)."""
    shown = [{"content": content, "count": 1, "author": author, "age": time} for author, content in saw]
    return {"time": time, "agent": agent, "act": act, "saw": shown, "outcome": outcome}


def times(entries: list[dict[str, Any]]) -> dict[str, int]:
    return {name: mode.times for name, mode in failure_modes(entries).items() if mode.times}


def test_every_mode_of_the_taxonomy_is_decided_or_said_to_be_undecidable():
    codes = [name.split()[0] for name in (*DECIDED, *UNDECIDED)]
    assert sorted(codes) == [f"1.{n}" for n in range(1, 6)] + [f"2.{n}" for n in range(1, 7)] + ["3.1", "3.2", "3.3"]
    assert list(failure_modes([])) == list(DECIDED)
    assert all(np.isnan(mode.share) for mode in failure_modes([]).values())


def test_a_reply_that_is_no_act_disobeys_and_a_failed_call_does_not():
    found = failure_modes(
        [entry(1, 0, None, outcome="invalid"), *(entry(1, n, None, outcome="failed") for n in (1, 2))]
    )
    assert found[DISOBEYED] == (1, 3)
    assert found[DISOBEYED].share == pytest.approx(1 / 3)
    assert all(mode.occasions == 0 for name, mode in found.items() if name != DISOBEYED)


def test_a_step_is_repeated_when_nothing_new_was_shown():
    first, again = entry(1, 0, "A", [("1", "B")]), entry(2, 0, "A", [("1", "B")])
    moving = [entry(1, 1, "B"), entry(2, 1, "C")]
    assert times([first, *moving, again]) == {REPEATED: 1}
    assert times([first, *moving, entry(2, 0, "B", [("1", "B")])]) == {}


def test_something_new_that_changes_nothing_is_ignored_input():
    moving = [entry(1, 1, "B"), entry(2, 1, "C")]
    first = entry(1, 0, "A", [("1", "B")])
    assert times([first, *moving, entry(2, 0, "A", [("1", "C")])]) == {IGNORED: 1}
    assert times([first, *moving, entry(2, 0, "A", [("2", "B")])]) == {IGNORED: 1}
    assert times([first, *moving, entry(2, 0, "A", [])]) == {REPEATED: 1}
    assert failure_modes([first, *moving, entry(2, 0, "C", [("1", "C")])])[IGNORED] == (0, 1)


def test_a_group_at_rest_for_two_turns_goes_on_for_nothing():
    rows = [entry(turn, agent, "A", [("x", "A")]) for turn in range(1, 6) for agent in (0, 1)]
    found = failure_modes(rows)
    assert found[UNAWARE] == (6, 8)  # turn 2 repeats turn 1, and turns 3, 4 and 5 come after a turn of repetition
    assert found[REPEATED] == (2, 2)
    rows[-1] = entry(5, 1, "B", [("x", "A")])
    assert failure_modes(rows)[UNAWARE] == (4, 8)


def test_silence_after_something_new_withholds():
    said = [entry(1, 0, "", [("1", "help")]), entry(2, 0, {}, [("1", "help!")])]
    assert failure_modes(said)[WITHHELD] == (2, 2)
    assert failure_modes([entry(1, 0, "")])[WITHHELD] == (0, 0)
    assert failure_modes([entry(1, 0, {"3": "yes", "4": ""}, [("1", "help")])])[WITHHELD] == (0, 1)
    assert failure_modes([entry(1, 0, {"value": 3, "reason": ""}, [("1", "help")])])[WITHHELD] == (1, 1)
    assert failure_modes([entry(1, 0, [], [("1", "help")])])[WITHHELD] == (0, 1)


ROWS = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.sampled_from(["A", "B", ""]),
        st.sets(st.sampled_from(["x", "y"])),
        st.sampled_from(["valid", "reasked", "invalid", "failed"]),
    ),
    max_size=25,
)


@given(ROWS)
def test_the_counts_are_those_of_a_naive_reading(rows):
    entries = [
        entry(
            1 + turn // 3, agent, act if outcome in ("valid", "reasked") else None, [("1", one) for one in saw], outcome
        )
        for turn, (agent, act, saw, outcome) in enumerate(rows)
    ]
    good = [line for line in entries if line["outcome"] in ("valid", "reasked")]

    def before(place):
        mine = [line for line in good[:place] if line["agent"] == good[place]["agent"]]
        return mine[-1] if mine else None

    def shown(line):
        return {item["content"] for item in line["saw"]}

    same = [bool((old := before(place)) and old["act"] == line["act"]) for place, line in enumerate(good)]
    news = [bool(shown(line) - (shown(old) if (old := before(place)) else set())) for place, line in enumerate(good)]
    turns = sorted({line["time"] for line in good})
    quiet = [all(one for one, line in zip(same, good, strict=True) if line["time"] == turn) for turn in turns]
    rest = {turn for place, turn in enumerate(turns) if place and quiet[place] and quiet[place - 1]}
    expected = {
        DISOBEYED: [line["outcome"] == "invalid" for line in entries],
        REPEATED: [s for p, s in enumerate(same) if before(p) and not news[p] and good[p]["time"] not in rest],
        UNAWARE: [line["time"] in rest for p, line in enumerate(good) if before(p)],
        WITHHELD: [line["act"] == "" for p, line in enumerate(good) if news[p]],
        IGNORED: [s for p, s in enumerate(same) if before(p) and news[p] and good[p]["time"] not in rest],
    }
    assert failure_modes(entries) == {name: (sum(marks), len(marks)) for name, marks in expected.items()}


# --- on traces of runs


def traced(model: Society, turns: int) -> Trace:
    model.trace = Trace()
    for _ in range(turns):
        model.step()
    return model.trace


def test_zealots_repeat_themselves_and_a_settled_group_is_at_rest():
    zealots = failure_modes(traced(Channels(agents=6, minds="stubborn", rng=1), 5))
    assert zealots[UNAWARE] == (18, 24)
    assert zealots[REPEATED] == (6, 6)
    assert zealots[IGNORED] == (0, 0)
    settled = failure_modes(traced(Channels(agents=8, turns="random", rng=1), 12))
    assert settled[UNAWARE].times > 0
    drawn = failure_modes(traced(Channels(agents=8, minds="random", rng=1), 12))
    assert drawn[UNAWARE].times == 0
    assert drawn[IGNORED].share == pytest.approx(1 / 3, abs=0.2)


class Talk(Society):
    """Everybody writes and votes."""

    def __init__(self, minds: Minds = "silent", rng=None):
        acts = Artifact({"text": Message(), "vote": Choice(("yes", "no"))})
        super().__init__(acts, agents=3, graph="complete", minds=minds, rng=rng)
        self.begin()


def test_the_labels_of_a_language_run_are_those_of_its_file(tmp_path):
    replies = [json.dumps({"text": text, "vote": vote}) for text, vote in (("hello", "yes"), ("", "no"))] + ["???"]
    model = Talk(LanguageMind("script", Scripted(replies), Talk.prompt), rng=1)
    model.trace = Trace(tmp_path / "decisions.jsonl")
    for _ in range(4):
        model.step()
    found = failure_modes(model.trace)
    assert found[DISOBEYED].times == model.outcomes[Outcome.INVALID] > 0
    assert found == failure_modes(map(json.loads, (tmp_path / "decisions.jsonl").read_text("utf-8").splitlines()))
