"""The society in time: changes during a run, clocks and their latency, and whoever is most urgent goes next."""

from typing import Any, ClassVar, Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from agentmicro.affordances import Choice, Message, Number
from agentmicro.architecture import (
    Agents,
    Architecture,
    Communication,
    Graph,
    Latency,
    Memory,
    Turns,
    Urgency,
    Visibility,
)
from agentmicro.errors import GraphError, KnobError, MindError, SpecError
from agentmicro.exposure import Seen
from agentmicro.minds import Minds
from agentmicro.society import Seed, Society
from agentmicro.trace import Trace
from agentmicro.world import Feed

NAMES = ("communication", "visibility", "latency", "turns", "urgency", "memory")


def mover(seen: Seen) -> Any:
    """Moves towards what it hears, with some luck: every difference in what is heard or drawn shows."""
    return np.clip(np.nan_to_num(seen.mean(), nan=0.1) * 0.9 + seen.luck() * 0.1, 0, 1)


class Lab(Society):
    """A society with every knob that may change during a run, and a feed beside it."""

    rules: ClassVar = {"mover": mover}
    live: ClassVar = frozenset({"order"})

    def __init__(
        self,
        agents: Agents = 8,
        graph: Graph = "ring",
        communication: Communication = "network",
        visibility: Visibility = "full",
        latency: Latency = 0,
        turns: Turns = "simultaneous",
        urgency: Urgency = "unsettled",
        memory: Memory = 0,
        order: Literal["shuffled", "fixed"] = "shuffled",
        size: int = 3,
        minds: Minds = "mover",
        rng: Seed = None,
    ) -> None:
        plan = dict(zip(NAMES, (communication, visibility, latency, turns, urgency, memory), strict=True))
        super().__init__(
            Number(0, 1), agents=agents, graph=graph, architecture=Architecture(**plan), minds=minds, rng=rng
        )
        self.feed = Feed(("a", "b"), seed=self.seed, order=order, latency=1)
        self.sources["feed"] = self.feed
        self.moves: list[tuple[float, int]] = []
        self.begin(self.luck("start")())

    def adapt(self, name, value):
        if name == "order":
            self.feed.order = value

    def absorb(self, seen, acts):
        self.moves += [(seen.time, row) for row in seen.rows.tolist()]


def run(length: float = 6, changes: Any = (), society: type[Society] = Lab, **knobs: Any) -> Any:
    made = society(**{"rng": 1} | knobs)
    made.trace = Trace()
    for time, change in changes:
        made.intervene(time, **change)
    made.run_until(length)
    return made


def told(society: Any) -> list[Any]:
    return sorted(society.trace, key=lambda entry: (entry["time"], entry["agent"]))


# --- changes during a run

changes = st.sampled_from(
    [
        {"visibility": "hidden"},
        {"turns": "random"},
        {"turns": "fixed", "latency": 1},
        {"latency": 3},
        {"memory": 2},
        {"communication": "everyone"},
        {"communication": "pairs"},
        {"graph": "star"},
        {"minds": "stubborn:2@hubs, mover"},
        {"order": "fixed"},
    ]
)


@settings(deadline=None, max_examples=40)
@given(changes, st.integers(1, 5), st.sampled_from(["simultaneous", "random"]))
def test_a_change_acts_from_the_turn_at_its_time_and_not_before(change, time, turns):
    plain, changed = told(run(turns=turns)), told(run(6, [(time, change)], turns=turns))
    assert [entry for entry in changed if entry["time"] < time] == [entry for entry in plain if entry["time"] < time]

    by_hand = Lab(turns=turns, rng=1)
    by_hand.trace = Trace()
    for _ in range(time - 1):
        by_hand.step()
    by_hand.change(**change)
    for _ in range(time - 1, 6):
        by_hand.step()
    assert changed == told(by_hand)


def test_hidden_from_a_turn_on_shows_nothing_from_that_turn_on():
    for entry in run(6, [(4, {"visibility": "hidden"})]).trace:
        assert (len(entry["saw"]) == 2 + 2) == (entry["time"] < 4)  # two neighbours and the two items of the feed
        assert len(entry["saw"]) == (4 if entry["time"] < 4 else 2)


def test_a_change_at_the_first_turn_is_the_same_as_a_knob():
    for change in ({"visibility": "hidden"}, {"graph": "star"}, {"turns": "random"}, {"minds": "stubborn:3, mover"}):
        assert list(run(4, [(1, change)]).trace) == list(run(4, **change).trace)


def test_a_change_of_graph_is_who_hears_whom_from_then_on():
    made = run(5, [(3, {"graph": "star"})])
    for entry in made.trace:
        authors = {int(item["author"]) for item in entry["saw"] if item["author"] != "feed"}
        agent = entry["agent"]
        star = set(range(1, 8)) if agent == 0 else {0}
        assert authors == (star if entry["time"] >= 3 else {(agent - 1) % 8, (agent + 1) % 8})
    assert made.knobs["graph"] == "star"


def test_several_changes_may_come_at_one_time_and_between_turns():
    made = run(6, [(2, {"latency": 1}), (2, {"memory": 2}), (3.5, {"minds": "stubborn"})])
    assert (made.architecture.latency, made.architecture.memory, made.knobs["minds"]) == (1, 2, "stubborn")
    minds = {entry["time"]: entry["mind"] for entry in made.trace}
    assert minds == {1: "mover", 2: "mover", 3: "mover", 4: "stubborn", 5: "stubborn", 6: "stubborn"}


def test_what_cannot_change_is_refused_at_once():
    made = Lab(rng=1)
    for change, error, sentence in (
        ({"agents": 3}, KnobError, "agents: cannot change during a run; what can: graph, communication, visibility"),
        ({"size": 3}, KnobError, "size: cannot change during a run"),
        ({"visibilty": "full"}, KnobError, "visibilty: cannot change during a run; did you mean 'visibility'"),
        ({"loss": 0.5}, KnobError, "loss: cannot change during a run"),  # no knob of this phenomenon
        ({"visibility": "none"}, KnobError, "visibility = 'none': expected one of"),
        ({"latency": -1}, KnobError, "latency = -1: expected a whole number"),
        ({"graph": "rong"}, GraphError, "graph = 'rong': there is no topology"),
        ({"minds": "mofer"}, MindError, "minds = 'mofer': no mind 'mofer'; did you mean 'mover'"),
        ({"order": "up"}, KnobError, "order = 'up': expected one of shuffled, fixed"),
    ):
        for attempt in (lambda change=change: made.intervene(3, **change), lambda change=change: made.change(**change)):
            with pytest.raises(error, match=f"^{sentence}"):
                attempt()
    with pytest.raises(SpecError, match=r"^time = 0: expected a time after now, 0$"):
        made.intervene(0, latency=1)
    made.run_until(3)
    assert list(made.knobs.values()) == list(Lab(rng=1).knobs.values())


def test_a_refused_change_changes_nothing_of_what_was_asked_with_it():
    made = Lab(rng=1)
    with pytest.raises(KnobError):
        made.change(latency=2, visibility="none")
    assert made.architecture.latency == 0


def test_new_minds_take_their_seats_and_decide_on():
    made = run(6, [(4, {"minds": "stubborn:8"})])
    acts = {time: [e["act"] for e in told(made) if e["time"] == time] for time in range(1, 7)}
    assert acts[3] != acts[2]
    assert acts[4] == acts[3] == acts[6]
    assert made.decisions.tolist() == [6] * 8


# --- clocks


@pytest.mark.parametrize("agents", [1, 30])
def test_each_agent_acts_at_its_own_poisson_times(agents):
    made = run(1500 / agents, turns="clocks", agents=agents, graph="empty", minds="mover", rng=3)
    times: dict[int, list[float]] = {}
    for time, row in made.moves:
        times.setdefault(row, [0.0]).append(time)
    gaps = np.concatenate([np.diff(found) for found in times.values()])
    # Gaps that the end of the run cuts off would bias short runs: the first ones of each agent are enough.
    first = np.concatenate([np.diff(found)[:25] for found in times.values()])
    assert stats.kstest(first if agents > 1 else gaps, "expon").pvalue > 1e-3
    assert abs(len(made.moves) - 1500) < 4.5 * np.sqrt(1500)
    counts = [len(found) - 1 for found in times.values()]
    assert abs(np.corrcoef(first[:-1], first[1:])[0, 1]) < 4.5 / np.sqrt(len(first))
    assert agents == 1 or 0.3 < np.var(counts) / 50 < 2


def test_a_clock_depends_on_its_agent_and_not_on_the_others():
    few, many = run(20, turns="clocks", agents=3, graph="empty"), run(20, turns="clocks", agents=9, graph="complete")
    assert few.moves == [move for move in many.moves if move[1] < 3]


@pytest.mark.parametrize("latency", [0, 1, 3])
def test_under_clocks_an_act_is_seen_exactly_when_its_latency_is_over(latency):
    made = run(15, turns="clocks", latency=latency, graph="star", rng=5)
    moved = [(time, row) for time, row in made.moves]
    for entry in made.trace:
        for item in entry["saw"]:
            if item["author"] != "feed":
                last = [
                    t
                    for t, row in moved
                    if str(row) == item["author"] and t + latency <= entry["time"] and t < entry["time"]
                ]
                assert entry["time"] - item["age"] == pytest.approx(max(last, default=0.0))


def test_a_clock_never_runs_twice_however_often_turns_change():
    switches = [(4, {"turns": "random"}), (5, {"turns": "clocks"}), (6, {"turns": "fixed"}), (7, {"turns": "clocks"})]
    made = run(207, switches, turns="clocks", agents=10, rng=2)
    late = [time for time, _ in made.moves if time >= 7]
    assert abs(len(late) - 2000) < 4.5 * np.sqrt(2000)
    assert sum(5 <= time < 6 for time, _ in made.moves) < 30


def test_letters_under_way_do_not_rewrite_what_stands_when_clocks_stop():
    made = Lab(turns="clocks", latency=4, rng=2)
    made.intervene(5, turns="random", latency=0)
    made.run_until(5)
    standing, times = made.acts.own.copy(), made.acts.times.copy()
    assert (times == 5).all()
    made.change(minds="silent")
    made.run_until(12)
    assert made.acts.own.tolist() == standing.tolist()
    assert made.acts.times.tolist() == times.tolist()


def test_a_shorter_latency_does_not_mix_letters_up():
    made = run(14, [(5, {"latency": 1})], turns="clocks", latency=6, graph="star", rng=5)
    for entry in made.trace:
        if entry["time"] > 11:
            for item in entry["saw"]:
                last = [t for t, row in made.moves if str(row) == item["author"] and t + 1 <= entry["time"]]
                assert item["author"] == "feed" or entry["time"] - item["age"] == pytest.approx(max(last))


def test_switching_clocks_and_latency_on_keeps_what_stands_and_its_age():
    made = run(6, [(4, {"turns": "clocks", "latency": 2})])
    entry = next(iter(e for e in made.trace if e["time"] >= 4))
    assert {item["age"] for item in entry["saw"][:2]} == {entry["time"] - 3}


def test_under_clocks_only_those_who_may_act_do():
    class Few(Lab):
        def acting(self):
            return np.array([1, 4])

    made = run(40, society=Few, turns="clocks", rng=3)
    assert {row for _, row in made.moves} == {1, 4}
    assert abs(len(made.moves) - 80) < 4.5 * np.sqrt(80)


# --- who is most urgent


def distance(society: Any) -> Any:
    """How far each is from the mean of its neighbours on the ring, from the table alone."""
    own = society.acts.own
    return np.abs((np.roll(own, 1) + np.roll(own, -1)) / 2 - own)


def test_the_least_settled_goes_next_and_everyone_goes_once():
    class Watched(Lab):
        def move(self, rows):
            left = sorted(set(range(8)) - {row for time, row in self.moves if time == self.time})
            far = distance(self)
            assert far[rows[0]] == pytest.approx(far[left].max())
            super().move(rows)

    made = run(5, society=Watched, turns="endogenous")
    for turn in range(1, 6):
        assert sorted(row for time, row in made.moves if time == turn) == list(range(8))


def test_under_pairs_the_urgency_of_the_partner_is_looked_at_anew():
    class Watched(Lab):
        def move(self, rows):
            left = sorted(set(range(8)) - {row for time, row in self.moves if time == self.time})
            far = np.abs(self.acts.own[self.meeting(int(self.time))] - self.acts.own)
            assert far[rows[0]] == pytest.approx(far[left].max())
            super().move(rows)

    run(5, society=Watched, turns="endogenous", communication="pairs", graph="empty")


def test_whoever_has_waited_longest_goes_next():
    class Some(Lab):
        def acting(self):
            return np.array([self._turn % 3, 3, 7]) if self._turn < 4 else self.acts.rows

    made = run(4, society=Some, turns="endogenous", urgency="waiting")
    last = [row for time, row in made.moves if time == 4]
    assert set(last[:3]) == {4, 5, 6}
    assert last[3:5] == [1, 2]
    assert set(last[5:]) == {0, 3, 7}


def test_whoever_is_named_most_often_goes_next():
    class Letters(Society):
        rules: ClassVar = {
            "write": lambda seen: seen.affordance.encode_many([{3: "x"} if row != 3 else {} for row in seen.rows])
        }

        def __init__(self, minds: Minds = "write", rng: Seed = None) -> None:
            plan = Architecture(communication="addressed", turns="endogenous", urgency="addressed")
            super().__init__(
                Message(addressed=True), agents=6, graph="complete", architecture=plan, minds=minds, rng=rng
            )
            self.moves: list[int] = []
            self.begin()

        def absorb(self, seen, acts):
            self.moves += seen.rows.tolist()

    made = Letters(rng=1)
    made.step()
    made.step()
    assert made.moves[1 if made.moves[0] != 3 else 0] == 3
    assert made.moves[6] == 3  # written to by all who came after it
    assert sorted(made.moves[6:]) == list(range(6))


def test_equals_in_urgency_go_in_an_order_drawn_anew():
    made = run(300, turns="endogenous", graph="empty", agents=3)
    orders = [tuple(row for _, row in made.moves[at : at + 3]) for at in range(0, 900, 3)]
    counts = np.unique(orders, axis=0, return_counts=True)[1]
    assert len(counts) == 6
    assert stats.chisquare(counts).pvalue > 1e-3


@pytest.mark.parametrize("kind", [Choice(tuple("AB")), Message()])
def test_nobody_is_unsettled_who_hears_nothing(kind):
    class Alone(Society):
        def __init__(self, minds: Minds = "stubborn", rng: Seed = None) -> None:
            plan = Architecture(turns="endogenous", visibility="hidden")
            super().__init__(kind, agents=3, graph="complete", architecture=plan, minds=minds, rng=rng)
            self.begin()

    made = Alone(rng=1)
    made.step()
    assert made.expose(made.acts.rows).unsettled().tolist() == [0, 0, 0]
