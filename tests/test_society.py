"""The society as a model: its loop, the outcomes of decisions, and rules that go wrong."""

import pickle
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lab import Flaky, Lab, mover, run

from agentmicro.affordances import Choice
from agentmicro.architecture import Architecture, Turns
from agentmicro.errors import RuleError
from agentmicro.minds import Minds, each
from agentmicro.society import Seed, Society
from agentmicro.trace import Trace
from agentmicro.world import Notice


def told(society: Any) -> list[Any]:
    """The trace, in an order that does not depend on how turns are cut."""
    return sorted(society.trace, key=lambda entry: (entry["time"], entry["agent"]))


plans = st.fixed_dictionaries(
    {
        "graph": st.sampled_from(["ring", "star", "random(degree=3.0, directed=1)", "complete"]),
        "communication": st.sampled_from(["network", "everyone", "pairs"]),
        "visibility": st.sampled_from(["full", "anonymous", "counts", "hidden"]),
        "loss": st.sampled_from([0.0, 0.3]),
        "shown": st.sampled_from([0, 2]),
        "memory": st.sampled_from([0, 2, -1]),
        "minds": st.sampled_from(["mover", "moody", "moody:3, stubborn:2@hubs, mover", "random:25%, mover:75%"]),
        "rng": st.integers(0, 999),
    }
)


# --- laws of the loop


@settings(deadline=None, max_examples=25)
@given(plans, st.integers(0, 2))
def test_simultaneous_is_any_order_with_one_turn_of_latency(plan, latency):
    at_once = run(4, **plan, turns="simultaneous", latency=latency)
    for turns in ("random", "fixed"):
        one_by_one = run(4, **plan, turns=turns, latency=latency + 1)
        assert told(at_once) == told(one_by_one)
        assert at_once.acts.own.tobytes() == one_by_one.acts.own.tobytes()


@settings(deadline=None, max_examples=25)
@given(plans, st.sampled_from(["random", "fixed", "simultaneous"]), st.integers(0, 2))
def test_a_turn_may_be_taken_one_agent_at_a_time(plan, turns, latency):
    class OneByOne(Lab):
        def step(self):
            self._advance()
            for row in self.orders[self._turn]:
                self.members[row].step()
            self.unfold()

    from agentmicro.turns import order_of

    together, apart = run(4, **plan, turns=turns, latency=latency), OneByOne(**plan, turns=turns, latency=latency)
    apart.orders = {turn: order_of(turns, apart.seed, turn, apart.acts.rows).tolist() for turn in range(6)}
    apart.trace = Trace()
    for _ in range(4):
        apart.step()
    assert told(together) == told(apart)


@settings(deadline=None, max_examples=25)
@given(plans, st.sampled_from(["random", "simultaneous", "clocks", "endogenous"]))
def test_everyone_is_the_complete_graph_trace_for_trace(plan, turns):
    plan = plan | {"turns": turns, "minds": "moody:3, mover"}
    everyone = run(3, **plan | {"communication": "everyone"})
    complete = run(3, **plan | {"communication": "network", "graph": "complete"})
    assert list(everyone.trace) == list(complete.trace)


@settings(deadline=None, max_examples=25)
@given(plans, st.sampled_from(["random", "simultaneous", "clocks", "endogenous"]), st.integers(0, 2))
def test_a_pickle_in_the_middle_continues_identically(plan, turns, latency):
    whole = run(4, **plan, turns=turns, latency=latency)
    half = pickle.loads(pickle.dumps(run(2, **plan, turns=turns, latency=latency)))
    half.step()
    half.step()
    assert list(half.trace) == list(whole.trace)
    assert half.acts.own.tobytes() == whole.acts.own.tobytes()


def test_latency_shifts_what_is_seen():
    class Clock(Lab):
        rules: ClassVar = {"clock": lambda seen: np.minimum(seen.rows * 0.01 + seen.time / 1000, 1)}

    for turns in ("simultaneous", "random"):
        for latency in range(4):
            made = run(7, Clock, minds="clock", turns=turns, latency=latency)
            for entry in made.trace:
                then = entry["time"] - latency - (turns == "simultaneous")
                if latency and then > 0:
                    shown = {(item["author"], item["content"], item["age"]) for item in entry["saw"]}
                    neighbours = [(entry["agent"] + step) % 8 for step in (-1, 1)]
                    assert shown == {(str(a), a * 0.01 + then / 1000, entry["time"] - then) for a in neighbours}


def test_a_latency_longer_than_the_run_leaves_the_opening_acts_in_view():
    class Late(Society):
        rules: ClassVar = {"echo": lambda seen: seen.counts().argmax(axis=1)}

        def __init__(self, opening: bool = True, turns: Turns = "random", rng: Seed = None) -> None:
            plan = Architecture(latency=3, turns=turns)
            super().__init__(Choice(tuple("AB")), agents=4, minds="echo", graph="complete", architecture=plan, rng=rng)
            self.begin(np.array([0, 1, 1, 1]) if opening else None)

    for turns in ("random", "simultaneous"):
        assert run(2, Late, turns=turns).expose(np.arange(4)).counts().tolist() == [[0, 3], [1, 2], [1, 2], [1, 2]]
        silent = run(2, Late, opening=False, turns=turns)
        for rows in (silent.acts.rows, np.arange(4)):
            assert silent.expose(rows).counts().tolist() == [[0, 0]] * 4  # nobody had acted by then
            assert silent.expose(rows).total().tolist() == [0] * 4


# --- outcomes


def test_failed_decisions_leave_standing_acts_and_are_counted():
    made = Lab(agents=6, minds=Flaky(range(6)), rng=2)
    before = made.acts.own.copy()
    absorbed = []
    made.absorb = lambda seen, acts: absorbed.append((seen.rows.tolist(), acts.tolist()))
    made.step()
    made.step()
    assert made.acts.own.tolist() == [0.75] * 3 + before[3:].tolist()
    assert made.acts.times.tolist() == [2, 2, 2, 0, 0, 0]
    assert absorbed == [([0, 1, 2], [0.75] * 3)] * 2
    assert made.outcomes.tolist() == [2] * 6
    assert (made.n_decisions, made.n_repaired_decisions, made.n_failed_decisions) == (12, 4, 6)
    assert (made.failure_rate, made.valid) == (0.5, False)
    assert made.decisions.tolist() == [2] * 6
    row = made.datacollector.get_model_vars_dataframe().iloc[-1]
    assert (row["n_decisions"], row["n_failed_decisions"], row["failure_rate"]) == (12, 6, 0.5)


def test_silence_runs_to_the_end_as_failure():
    for turns in ("simultaneous", "random", "clocks", "endogenous"):
        made = run(5, minds="silent", turns=turns)
        assert made.failure_rate == 1
        assert not made.valid
        assert {entry["outcome"] for entry in made.trace} == {"failed"}
        assert {entry["act"] for entry in made.trace} == {None}
    assert Lab(rng=1).failure_rate == 0


def test_what_absorb_is_given_is_what_the_agents_saw():
    """Sees the same world in `absorb` as when deciding, for mixtures, failures and every turn structure."""

    class Watched(Lab):
        rules: ClassVar = {"mover": mover, "peek": lambda seen: np.where(self_draw(seen) < 0.3, np.nan, 0.5)}

        def __init__(self, turns: Turns = "random", minds: Minds = "peek:3, mover", rng: Seed = None) -> None:
            super().__init__(turns=turns, minds=minds, rng=rng)

        def absorb(self, seen, acts):
            drawn = dict(zip(seen.rows.tolist(), self_draw(seen).tolist(), strict=True))
            for row, value in drawn.items():
                assert value == DRAWN[row, self.decisions[row]]

    class Draws(Notice):
        def view(self, when, luck, time):
            view = super().view(when, luck, time)
            view.drawn = luck()
            return view

    def self_draw(seen):
        drawn = seen.world["n"].drawn
        for row, value in zip(seen.rows.tolist(), drawn.tolist(), strict=True):
            DRAWN.setdefault((row, int(seen._scene.decisions[row])), value)
        return drawn

    DRAWN: dict[Any, float] = {}
    for turns in ("random", "simultaneous"):
        DRAWN.clear()
        made = Watched(turns=turns, rng=3)
        made.sources["n"] = Draws("n", 0)
        for _ in range(4):
            made.step()


# --- rules that go wrong


@pytest.mark.parametrize(
    ("rule", "sentence"),
    [
        (
            lambda seen: np.zeros(3),
            r"rule 'bad' returned an array of shape \(3,\) and type float64 for 8 agents; expected \(8,\), float64",
        ),
        (lambda seen: np.zeros((8, 2)), r"rule 'bad' returned an array of shape \(8, 2\)"),
        (lambda seen: 0.5, r"rule 'bad' returned an array of shape \(\)"),
        (lambda seen: ["a"] * 8, r"rule 'bad' returned an array of shape \(8,\) and type <U1"),
        (lambda seen: [[1], [2, 3]], r"rule 'bad' raised ValueError"),
        (lambda seen: np.zeros(8, complex), r"rule 'bad' returned .* type complex128"),
        (
            lambda seen: np.where(seen.rows == 5, 1.5, 0.5),
            r"rule 'bad' of agent 5 at time 1, having seen own = 0\.\d+, heard = .*, returned .*1\.5.*, which is no",
        ),
        (
            lambda seen: np.array([1 / (row - 3) if row == 3 else 0.5 for row in seen.rows.tolist()]),
            r"rule 'bad' of agent 3 at time 1, having seen own = .*, heard = \[.*\], raised ZeroDivisionError: ",
        ),
        (
            each(lambda seen: "high" if seen.row == 2 else 0.5),
            r"rule 'bad' of agent 2 at time 1, .* raised SpecError: Number: 'high' is no number",
        ),
    ],
)
def test_a_rule_that_raises_or_returns_nonsense_stops_the_run_with_a_sentence(rule, sentence):
    class Bad(Lab):
        rules: ClassVar = {"bad": rule}

    with pytest.raises(RuleError, match=f"^{sentence}"):
        run(1, Bad, minds="bad")


def test_a_rule_that_answers_a_choice_with_fractions_is_named():
    class Bad(Society):
        rules: ClassVar = {"bad": lambda seen: np.full(len(seen), 0.5)}

        def __init__(self, minds: Minds = "bad", rng: Seed = None) -> None:
            super().__init__(Choice(tuple("AB")), agents=3, minds=minds, rng=rng)
            self.begin()

    with pytest.raises(RuleError, match=r"^rule 'bad' returned .*float64.* for 3 agents"):
        run(1, Bad)


def test_a_rule_cannot_change_the_table_behind_its_back():
    def vandal(seen):
        seen.own[0] = 0.0
        return seen.own

    class Bad(Lab):
        rules: ClassVar = {"vandal": vandal}

    with pytest.raises(RuleError, match=r"rule 'vandal' .*read-only"):
        run(1, Bad, minds="vandal")
