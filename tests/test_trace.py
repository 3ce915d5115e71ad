import json
import pickle
from typing import Any, ClassVar

import networkx as nx
import numpy as np
import pytest

from agentmicro.affordances import Choice
from agentmicro.architecture import Architecture, Graph, Turns, Visibility
from agentmicro.minds import Decided, Minds, Outcome
from agentmicro.society import Seed, Society
from agentmicro.trace import Trace, influence
from agentmicro.world import Notice


def copy_any(seen: Any) -> Any:
    """Takes over one of the acts it hears."""
    heard = seen.any()
    return np.where(heard < 0, seen.own, heard)


class Lab(Society):
    """Copiers of one of four letters."""

    rules: ClassVar = {"copy": copy_any}

    def __init__(
        self,
        agents: int = 30,
        graph: Graph = "random_regular(k=4)",
        visibility: Visibility = "full",
        turns: Turns = "simultaneous",
        minds: Minds = "copy",
        rng: Seed = None,
    ) -> None:
        super().__init__(
            Choice(tuple("ABCD")),
            agents=agents,
            graph=graph,
            architecture=Architecture(turns=turns, visibility=visibility),
            minds=minds,
            rng=rng,
        )
        self.begin(self.luck("start").below(4))


def run(length: int = 4, trace: Trace | None = None, **knobs: Any) -> Any:
    made = Lab(**{"rng": 1} | knobs)
    made.trace = trace or Trace()
    for _ in range(length):
        made.step()
    return made


def test_an_entry_says_who_saw_what_when_deciding_what():
    made = run(2, agents=3, graph="chain", turns="fixed", minds="stubborn:1@first, copy")
    first = Lab(agents=3, graph="chain", rng=1)
    letters = [member.own for member in first.members]
    entries = list(made.trace)
    assert entries[0] == {
        "time": 1.0,
        "agent": 0,
        "name": "0",
        "decision": 0,
        "mind": "stubborn",
        "saw": [{"content": letters[1], "count": 1, "author": "1", "age": 1.0}],
        "act": letters[0],
        "outcome": "valid",
    }
    assert [(entry["time"], entry["agent"], entry["decision"], entry["mind"]) for entry in entries] == [
        (time, agent, time - 1, "copy" if agent else "stubborn") for time in (1, 2) for agent in range(3)
    ]
    assert entries[1]["saw"][0] == {"content": letters[0], "count": 1, "author": "0", "age": 0.0}


def test_every_decision_is_one_entry_with_its_outcome_and_what_was_said():
    class Flaky:
        name = "flaky"

        def opening(self):
            return None

        def ready(self):
            pass

        def decide(self, seen):
            acts = np.where(seen.rows < 3, 0, -1)
            return Decided(acts, seen.rows.astype(np.int8), tuple(f"reply of {row} ☃" for row in seen.rows))

    made = run(1, agents=6, minds=Flaky())
    entries = list(made.trace)
    assert [entry["outcome"] for entry in entries] == [outcome.name.lower() for outcome in Outcome]
    assert [entry["act"] for entry in entries] == ["A", "A", "A", None, None, None]
    assert [entry["said"] for entry in entries] == [f"reply of {row} ☃" for row in range(6)]


@pytest.mark.parametrize("turns", ["simultaneous", "random", "clocks", "endogenous"])
@pytest.mark.parametrize("visibility", ["full", "anonymous", "counts", "hidden"])
def test_the_file_and_the_memory_hold_the_same(tmp_path, turns, visibility):
    path = tmp_path / "run.jsonl"
    knobs = {"turns": turns, "visibility": visibility, "minds": "copy:20, scripted:chance"}
    memory, file = run(3, **knobs), run(3, Trace(path), **knobs)
    assert list(file.trace) == list(memory.trace)
    assert [json.loads(line) for line in path.read_text().splitlines()] == list(memory.trace)
    assert list(Trace(path)) == list(memory.trace)


def test_reading_in_the_middle_and_pickling_lose_nothing(tmp_path):
    whole, broken = run(4), run(2, Trace(tmp_path / "run.jsonl"))
    assert len(list(broken.trace)) == 60
    again = pickle.loads(pickle.dumps(broken))
    again.step()
    again.step()
    assert list(again.trace) == list(whole.trace)


def test_a_trace_nobody_wrote_is_empty(tmp_path):
    assert list(Trace()) == list(Trace(tmp_path / "none.jsonl")) == []
    assert not (tmp_path / "none.jsonl").exists()


@pytest.mark.parametrize("text", ["snow ☃", "a\nb", '"', "\ud83d"])
def test_any_text_comes_back_from_the_file(tmp_path, text):
    trace, made = Trace(tmp_path / "run.jsonl"), Lab(agents=3, graph="empty", rng=1)
    made.trace = trace
    seen = made.expose(made.acts.rows)
    trace.write(seen, Decided(np.zeros(3, np.int8), None, (text,) * 3), ["somebody"] * 3)
    assert [entry["said"] for entry in trace] == [text] * 3


def test_what_the_world_publishes_may_be_numpy(tmp_path):
    for trace in (Trace(), Trace(tmp_path / "run.jsonl")):
        made = Lab(agents=3, graph="empty", rng=1)
        made.sources["stock"] = Notice("stock", np.int64(7))
        made.trace = trace
        made.step()
        assert [entry["saw"][0]["content"] for entry in trace] == [7, 7, 7]


# --- influence


def entry(time: float, agent: str, act: Any, *saw: Any) -> dict[str, Any]:
    shown = [{"content": content, "count": 1, "author": author, "age": 1.0} for author, content in saw]
    return {"time": time, "agent": int(agent), "name": agent, "act": act, "saw": shown}


def test_lift_by_hand():
    entries = [
        # Turn 1: acts A, A, B, so A is adopted by chance 2 times in 3 and B 1 time in 3.
        entry(1, "0", "A", ("1", "A"), ("2", "B")),
        entry(1, "1", "A", ("0", "B")),
        entry(1, "2", "B", ("0", "B"), ("1", "C")),
        # Turn 2: acts B, B; one decision failed and counts for nothing.
        entry(2, "0", "B", ("1", "A")),
        entry(2, "1", "B", ("0", "B")),
        entry(2, "2", None, ("0", "B")),
    ]
    edges = {pair: dict(data) for *pair, data in influence(entries).edges(data=True) for pair in [tuple(pair)]}
    expected = {
        ("1", "0"): (2, 1, 2 / 3 + 0),
        ("2", "0"): (1, 0, 1 / 3),
        ("0", "1"): (2, 1, 1 / 3 + 1),
        ("0", "2"): (1, 1, 1 / 3),
        ("1", "2"): (1, 0, 0),
    }
    assert edges.keys() == expected.keys()
    for pair, (exposures, adopted, chance) in expected.items():
        assert edges[pair] == pytest.approx(
            {"exposures": exposures, "adopted": adopted, "expected": chance, "lift": (adopted - chance) / exposures}
        )


def test_exposures_without_an_author_do_not_count_and_nothing_gives_an_empty_graph():
    assert len(influence([])) == 0
    assert len(influence([entry(1, "0", "A", (None, "A"))])) == 0
    assert len(influence(run(2, visibility="anonymous").trace)) == 0


def test_acts_at_different_moments_of_a_turn_are_of_the_same_turn():
    at_once = [entry(1, str(agent), act, ("0", "A")) for agent, act in ((1, "A"), (2, "B"))]
    spread = [{**item, "time": 1 + 0.3 * number} for number, item in enumerate(at_once)]
    assert nx.utils.graphs_equal(influence(at_once), influence(spread))


def test_readers_go_by_the_names_of_the_graph(tmp_path):
    path = tmp_path / "friends.edges"
    path.write_text("ann bob\nbob cy\n")
    graph = influence(run(3, agents=3, graph=str(path)).trace)
    assert set(graph.edges) == {("ann", "bob"), ("bob", "ann"), ("bob", "cy"), ("cy", "bob")}


def lift(graph: Any) -> float:
    """The lift over all exposures."""
    adopted, expected, seen = (
        sum(nx.get_edge_attributes(graph, name).values()) for name in ("adopted", "expected", "exposures")
    )
    return (adopted - expected) / seen


@pytest.mark.parametrize("turns", ["simultaneous", "random", "clocks"])
def test_copying_shows_and_stubbornness_does_not(turns):
    knobs = {"agents": 120, "turns": turns, "length": 3}
    assert lift(influence(run(**knobs).trace)) > 0.1
    assert abs(lift(influence(run(**knobs, minds="stubborn").trace))) < 0.05
    assert abs(lift(influence(run(**knobs, minds="random").trace))) < 0.05
