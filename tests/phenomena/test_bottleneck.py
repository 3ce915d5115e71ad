"""Bottleneck against queueing theory: sample paths exactly, long runs by their closed forms."""

import copy
from math import factorial
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure
from scipy.optimize import brentq
from scipy.sparse import lil_array
from scipy.sparse.linalg import spsolve

from agentmicro.errors import SpecError
from agentmicro.noise import Chance
from agentmicro.phenomena.bottleneck import Bottleneck
from agentmicro.trace import Trace


def grown(length: int, **knobs: Any) -> Bottleneck:
    model = Bottleneck(**{"rng": 1, "slip": 0.0} | knobs)
    for _ in range(length):
        model.step()
    return model


def last(model: Bottleneck, name: str) -> float:
    return float(model.datacollector.model_vars[name][-1])


def mean_of(name: str, seeds: int, length: int, **knobs: Any) -> tuple[float, float]:
    """The mean of a measure over independent runs, and its standard error."""
    found = [last(grown(length, rng=seed, **knobs), name) for seed in range(seeds)]
    return float(np.mean(found)), float(np.std(found, ddof=1) / np.sqrt(seeds))


# --- sample paths, exactly


def luck(seed: int, stream: str, decision: int, agent: int) -> float:
    return Chance(seed, stream, decision, agent).exponential()


@pytest.mark.parametrize(("servers", "load"), [(1, 0.7), (1, 1.4), (3, 2.2)])
def test_one_agent_waits_by_the_recursion_of_kiefer_and_wolfowitz(servers, load):
    length, seed = 300, 4
    model = grown(length, rng=seed, stages=1, width=1, servers=servers, load=load)
    free, now, waited, done = [0.0] * servers, 0.0, 0.0, 0
    for number in range(1, 2000):
        now += luck(seed, "arrival", number - 1, 0) / load
        if now > length:
            break
        begin = max(now, min(free))
        free[free.index(min(free))] = end = begin + luck(seed, "work", 1, number)
        waited += min(begin, length) - now
        done += end <= length
    assert model.arrived == number - 1
    assert model.right == done
    assert last(model, "waiting") == pytest.approx(waited / (number - 1))


class Watched(Bottleneck):
    """Writes down when each task comes and goes."""

    def begin(self, acts: Any = None) -> None:
        self.came: list[float] = []
        self.went: list[float] = []
        super().begin(acts)

    def arrive(self) -> None:
        self.came.append(float(self.time))
        super().arrive()

    def finished(self, task: Any, line: Any) -> None:
        before = self.right + self.wrong
        super().finished(task, line)
        self.went += [float(self.time)] * (self.right + self.wrong - before)


WORLDS = st.fixed_dictionaries(
    {
        "stages": st.integers(1, 3),
        "width": st.integers(1, 4),
        "load": st.sampled_from([0.3, 0.9, 2.0]),
        "servers": st.integers(1, 2),
        "service": st.sampled_from(["exponential", "constant"]),
        "weak": st.integers(-1, 1),
        "bandwidth": st.sampled_from([0.0, 0.5, 3.0]),
        "slip": st.sampled_from([0.0, 0.4]),
        "check": st.sampled_from([0.0, 0.6]),
        "board": st.sampled_from(["shown", "hidden"]),
        "minds": st.sampled_from(["shortest", "random", "two-choices", "in-turn", "stubborn", "silent"]),
    }
)


@settings(deadline=None, max_examples=40)
@given(WORLDS, st.integers(0, 999))
def test_no_task_is_lost_and_littles_law_holds_on_every_path(world, seed):
    model = Watched(rng=seed, **world)
    for _ in range(25):
        model.step()
    held = sum(map(len, model.desks)) + sum(map(len, model.channels))
    assert model.arrived == len(model.came) == model.right + model.wrong + held
    assert len(model.went) == model.right + model.wrong
    # The area under the number of tasks in the system is the time that all tasks together have spent in it.
    area = sum(line.wait_time + line.work_time for line in (*model.desks, *model.channels))
    assert area == pytest.approx(sum(model.went) + 25 * held - sum(model.came))
    shares = [last(model, name) for name in ("right", "wrong", "held_by_agents", "held_by_channels")]
    assert sum(shares) == pytest.approx(1) if model.arrived else np.isnan(shares).all()
    for line in model.desks:
        assert len(line.busy) <= world["servers"]
        assert not line.waiting or len(line.busy) == world["servers"]
    if not world["bandwidth"]:
        assert np.isnan(last(model, "channel_waiting"))


def test_who_decides_changes_who_works_and_not_what_there_is_to_do():
    blind, sighted = (grown(60, minds=mind, bandwidth=2.0) for mind in ("random", "shortest"))
    assert blind.arrived == sighted.arrived
    alone = grown(60, minds="random", stages=2, bandwidth=0.0)
    assert alone.arrived == blind.arrived


# --- closed forms


def erlang_c(servers: int, load: float) -> float:
    """The chance of having to wait in M/M/c."""
    top = load**servers / factorial(servers) * servers / (servers - load)
    return top / (sum(load**k / factorial(k) for k in range(servers)) + top)


@pytest.mark.parametrize("load", [0.4, 0.6])
def test_a_single_agent_is_m_m_1(load):
    length = 20_000
    model = grown(length, stages=1, width=1, load=load)
    # The mean of n successive waits has about this variance (Daley 1968), n being the tasks that came.
    variance = load * (2 + 5 * load - 4 * load**2 + load**3) / (1 - load) ** 4 / (load * length)
    assert last(model, "waiting") == pytest.approx(load / (1 - load), abs=4 * np.sqrt(variance))
    assert last(model, "utilisation") == pytest.approx(load, abs=4 * np.sqrt(2 * load / length))
    assert last(model, "queue") == pytest.approx(load**2 / (1 - load), rel=0.15)
    assert last(model, "throughput") == pytest.approx(load, abs=4 * np.sqrt(load / length))


@pytest.mark.parametrize(("servers", "load"), [(2, 1.4), (5, 3.5)])
def test_many_hands_are_m_m_c(servers, load):
    wait, error = mean_of("waiting", 16, 600, stages=1, width=1, servers=servers, load=load)
    assert wait == pytest.approx(erlang_c(servers, load) / (servers - load), abs=4 * error)
    assert error < 0.15 * wait


def test_constant_work_halves_the_wait():
    wait, error = mean_of("waiting", 16, 1000, stages=1, width=1, load=0.7, service="constant")
    assert wait == pytest.approx(0.7 / (2 * 0.3), abs=4 * error)  # Pollaczek and Khinchine
    assert error < 0.06


def test_handing_on_blindly_is_a_network_of_jackson():
    runs = [grown(800, rng=seed, stages=2, width=3, load=0.6, minds="random") for seed in range(12)]
    # The numbers at the six agents are those of six M/M/1 queues: each on average 1.5, the second stage like the first.
    numbers = np.array([[(line.wait_time + line.work_time) / 800 for line in model.desks] for model in runs])
    for stage in (numbers[:, :3].mean(axis=1), numbers[:, 3:].mean(axis=1)):
        error = stage.std(ddof=1) / np.sqrt(12)
        assert stage.mean() == pytest.approx(1.5, abs=4 * error)
        assert error < 0.08


def test_channels_are_queues_too():
    knobs = {"stages": 1, "width": 3, "load": 0.6, "bandwidth": 1.0, "minds": "random"}
    wait, error = mean_of("channel_waiting", 12, 800, **knobs)
    assert wait == pytest.approx(0.6 / 0.4, abs=4 * error)
    assert error < 0.12
    after, error = mean_of("waiting", 12, 800, **knobs)
    assert after == pytest.approx(0.6 / 0.4, abs=4 * error)  # what leaves M/M/1 comes as it came (Burke 1956)


def test_taking_turns_is_g_m_1():
    # Each of three agents gets every third task, three Poisson gaps apart: s = (a / (a + 1 - s))^3, wait s / (1 - s).
    rate = 3 * 0.8
    root = brentq(lambda s: (rate / (rate + 1 - s)) ** 3 - s, 0, 1 - 1e-6)
    wait, error = mean_of("waiting", 16, 700, stages=1, width=3, load=0.8, minds="in-turn")
    assert wait == pytest.approx(root / (1 - root), abs=4 * error)
    assert wait < 0.6 * 0.8 / 0.2


def shorter_of_two(load: float, most: int = 60) -> float:
    """The mean wait under join-the-shorter-queue with two agents, from its Markov chain solved numerically."""
    states = {(a, b): a * (most + 1) + b for a in range(most + 1) for b in range(most + 1)}
    rates = lil_array((len(states), len(states)))
    for (a, b), here in states.items():
        moves = [(max(a - 1, 0), b, 1.0), (a, max(b - 1, 0), 1.0)]
        to_first = 0.5 if a == b else float(a < b)
        moves += [(min(a + 1, most), b, 2 * load * to_first), (a, min(b + 1, most), 2 * load * (1 - to_first))]
        for x, y, rate in moves:
            rates[states[x, y], here] += rate
            rates[here, here] -= rate
    rates[0, :] = 1.0
    chances = spsolve(rates.tocsc(), np.append(1.0, np.zeros(len(states) - 1)))
    waiting = sum(chances[here] * (max(a - 1, 0) + max(b - 1, 0)) for (a, b), here in states.items())
    return float(waiting / (2 * load))


@pytest.mark.parametrize("mind", ["shortest", "two-choices"])
def test_with_two_agents_the_shorter_queue_is_its_markov_chain(mind):
    exact = shorter_of_two(0.7)
    assert erlang_c(2, 1.4) / 0.6 < exact < 0.7 / 0.3  # between one queue for both and a queue of luck
    wait, error = mean_of("waiting", 16, 700, stages=1, width=2, load=0.7, minds=mind)
    assert wait == pytest.approx(exact, abs=4 * error)
    assert error < 0.08


@pytest.mark.parametrize(("slip", "check", "stages"), [(0.1, 0.0, 4), (0.2, 0.5, 3), (0.3, 1.0, 2)])
def test_errors_survive_as_their_recursion_says(slip, check, stages):
    wrong = 0.0
    for _ in range(stages):
        wrong = slip + (1 - slip) * (1 - check) * wrong
    model = grown(1200, stages=stages, width=2, load=0.5, slip=slip, check=check, minds="random")
    done = model.right + model.wrong
    assert model.wrong / done == pytest.approx(wrong, abs=4 * np.sqrt(wrong * (1 - wrong) / done))
    if not check:
        assert wrong == pytest.approx(1 - (1 - slip) ** stages)


def test_what_is_checked_is_worked_on_again():
    model = grown(3000, stages=2, width=2, load=0.6, slip=0.3, check=0.8, minds="random")
    first, second = (sum(line.joined for line in model.desks[at : at + 2]) for at in (0, 2))
    passed = first - sum(map(len, model.desks[:2]))
    again = second - passed
    assert again / passed == pytest.approx(0.3 * 0.8, abs=4 * np.sqrt(0.24 * 0.76 / passed))


@pytest.mark.parametrize("weak", [0, 3])
def test_a_slow_agent_is_slow_by_as_much_as_is_said(weak):
    model = grown(2000, stages=2, width=2, load=0.3, weak=weak, slowness=2.0, minds="random")
    work = [line.work_time / 2000 for line in model.desks]
    assert work[weak] == pytest.approx(0.6, abs=0.08)
    assert np.delete(work, weak) == pytest.approx([0.3] * 3, abs=0.05)


def test_an_overloaded_agent_keeps_what_it_cannot_do():
    model = grown(2000, stages=1, width=4, load=0.6, weak=1, slowness=4.0, minds="random")
    # A quarter of the tasks goes to it and it does 1 / 4 a turn of the 0.6 that come.
    assert last(model, "held_by_agents") == pytest.approx((1 - 0.25 / 0.6) / 4, abs=0.015)
    assert last(grown(2000, stages=1, width=4, load=0.6, weak=1, slowness=4.0), "held_by_agents") < 0.005


# --- who gets it


def boards(model: Bottleneck, length: int) -> list[tuple[dict[str, Any], list[Any]]]:
    """Each decision with the lengths that stood at the end of each turn before it."""
    model.trace, ends, found = Trace(), [model.lengths()], []
    for _ in range(length):
        before = len(list(model.trace))
        model.step()
        found += [(entry, list(ends)) for entry in list(model.trace)[before:]]
        ends.append(model.lengths())
    return found


@pytest.mark.parametrize("latency", [1, 3])
def test_the_board_is_as_old_as_it_is_said_to_be(latency):
    # A decision in turn t, from time t to t + 1, reads the board as it stood when turn t - latency ended.
    for entry, ends in boards(Bottleneck(board_latency=latency, load=1.2, rng=2), 12):
        (shown,) = entry["saw"]
        turn = int(entry["time"])
        if turn >= latency:
            assert [*map(tuple, shown["content"])] == [*ends[turn - latency + 1]]


@pytest.mark.parametrize("mind", ["shortest", "two-choices", "in-turn"])
def test_each_mind_hands_on_by_its_law(mind):
    model = Bottleneck(minds=mind, width=3, load=1.1, rng=5)
    own = dict(enumerate(model.acts.own.tolist()))
    longest = total = 0
    for entry, _ in boards(model, 80):
        agent, lane = entry["agent"], "ABC".index(entry["act"])
        stage = 0 if agent == 6 else 1
        tasks = entry["saw"][0]["content"][stage]
        if mind == "shortest":
            assert tasks[lane] == min(tasks)
        elif mind == "two-choices":
            assert sorted(tasks)[1] >= tasks[lane]  # of two agents one is not the longest
        else:
            assert lane == (own[agent] + 1) % 3
        longest, total, own[agent] = longest + (tasks[lane] > min(tasks)), total + 1, lane
    assert longest == 0 if mind == "shortest" else 0 < longest < total


def test_a_fresh_board_has_the_state_of_the_moment():
    for entry, _ in boards(Bottleneck(rng=3), 20):
        (shown,) = entry["saw"]
        assert shown["age"] >= 0
    model = Bottleneck(rng=3, load=2.0)
    for _ in range(20):
        model.step()
        assert model.board.value == model.lengths()


def test_without_a_board_the_shortest_queue_is_luck():
    knobs = {"stages": 1, "width": 4, "load": 0.7, "board": "hidden"}
    hidden, error = mean_of("waiting", 10, 500, minds="shortest", **knobs)
    assert hidden == pytest.approx(0.7 / 0.3, abs=4 * error)
    model = grown(20, **knobs)
    assert model.expose(model.acts.rows).one(0).heard == []


def test_where_there_is_no_choice_nobody_is_asked():
    assert grown(20, width=1).n_decisions == 0
    model = grown(30, width=3, stages=3, load=0.5)
    assert model.n_decisions == model.arrived + sum(
        line.joined - len(line) for line in model.desks[: 2 * 3]
    )  # each task on coming, and each that left the first two stages


def test_who_does_not_answer_hands_on_as_before():
    model = grown(60, minds="silent", stages=1, width=4)
    lane = int(model.acts.own[-1])
    assert [line.joined for line in model.desks] == [model.arrived if row == lane else 0 for row in range(4)]


# --- changes and words


def test_the_world_changes_when_it_is_told_to():
    model = grown(300, stages=1, width=1, load=1.6)
    assert len(model.desks[0]) > 100
    model.change(servers=40, load=0.1)
    assert len(model.desks[0].busy) == 40
    for _ in range(60):
        model.step()
    assert len(model.desks[0]) < 5
    flooded = grown(200, stages=1, width=2, bandwidth=0.2)
    assert sum(map(len, flooded.channels)) > 100
    flooded.change(bandwidth=0.0)
    for _ in range(40):
        flooded.step()
    assert sum(map(len, flooded.channels)) == 0
    board = grown(5)
    board.change(board="hidden")
    assert not board.expose(board.acts.rows).world
    board.change(board="shown", board_latency=2)
    assert board.sources["board"].latency == 2


def test_a_copy_goes_on_alike_with_tasks_on_their_way():
    model = grown(30, bandwidth=1.0, servers=2, load=1.5, slip=0.2, check=0.5)
    other = copy.deepcopy(model)
    for _ in range(20):
        model.step()
        other.step()
    assert repr(model.datacollector.model_vars) == repr(other.datacollector.model_vars)
    assert model.lengths() == other.lengths()


def test_a_row_that_is_not_there_cannot_be_weak():
    with pytest.raises(SpecError, match=r"^weak = 9: expected a row from 0 to 8, or -1$"):
        Bottleneck(weak=9)


def test_the_prompt_names_the_stage_and_the_numbers():
    model = grown(15, load=1.3)
    seen = model.expose(model.acts.rows)
    counts = ", ".join(f"{name} {count}" for name, count in zip("ABCD", model.lengths()[1], strict=True))
    assert "ready for stage 1" in model.prompt(seen.one(8))
    assert "ready for stage 2" in model.prompt(seen.one(2))
    assert f"- stage 2: {counts}" in model.prompt(seen.one(2))
    hidden = grown(5, board="hidden")
    assert "- unknown" in hidden.prompt(hidden.expose(hidden.acts.rows).one(0))


@pytest.mark.parametrize(
    ("knobs", "where"),
    [({"load": 1.5}, "at nodes"), ({"bandwidth": 0.3}, "at edges"), ({"slip": 0.3, "load": 0.3}, "along paths")],
)
def test_the_finding_names_where_most_is_lost(knobs, where):
    model = grown(200, **knobs)
    values = {name: last(model, name) for name in model.measures}
    null = {name: last(grown(200, **knobs | Bottleneck.null), name) for name in model.measures}
    assert null["waiting"] == null["wrong"] == null["held_by_channels"] == 0
    text = model.finding(values, null)
    assert f"most is lost {where}. A task waited {values['waiting']:.2f} turns" in text
    nothing = values | {"held_by_agents": 0.0, "held_by_channels": 0.0, "wrong": 0.0, "waiting": float("nan")}
    assert model.finding(nothing, null).endswith("0% done wrong.")
    assert model.finding(values | {"right": float("nan")}, values) == "No task has arrived."


@pytest.mark.parametrize("bandwidth", [0.0, 1.0])
def test_the_picture_has_a_bar_for_each_agent(bandwidth):
    axes = Figure().subplots()
    model = grown(50, bandwidth=bandwidth)
    model.draw(axes)
    heights = [bar.get_height() for bar in axes.patches]
    bars = 8 + bool(bandwidth)
    assert len(heights) == 2 * bars
    area = sum(line.wait_time + line.work_time for line in (*model.desks, *model.channels))
    assert sum(heights) * 50 == pytest.approx(area)
