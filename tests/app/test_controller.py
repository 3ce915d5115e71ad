"""The controller: the clock never skips whatever is clicked, and the page is never kept waiting."""

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import ClassVar

import pytest

from agentmicro.app.controller import Controller, Status
from agentmicro.completion import loop
from agentmicro.errors import KnobError
from agentmicro.phenomena.voter import Voter

TURNS = 30


class Slow(Voter):
    """A voter whose turns wait at a gate, or for a call that nobody answers."""

    gate: threading.Event | None = None
    hangs: ClassVar = set[float]()
    raises: ClassVar = set[float]()
    threads: ClassVar = set[str]()

    def unfold(self) -> None:
        type(self).threads.add(threading.current_thread().name)
        if self.gate is not None:
            assert self.gate.wait(30)
        if self.time in self.hangs:
            self.hangs.discard(self.time)
            loop.run(asyncio.sleep(60))
        if self.time in self.raises:
            raise RuntimeError("the rule is broken")


@pytest.fixture
def slow():
    Slow.gate, Slow.hangs, Slow.raises, Slow.threads = None, set(), set(), set()
    return Slow


@pytest.fixture
def control(slow):
    """Makes controllers, keeps what they say, and closes them."""
    made = []

    def make(cls=slow, turns=TURNS, seed=1, told=None):
        heard = [] if told is None else told
        controller = Controller(lambda: (cls(agents=60, rng=seed), turns), look, heard.append)
        made.append(controller)
        wait(controller, lambda state: state.status is not Status.BUILDING)
        return controller, heard

    yield make
    for controller in made:
        if Slow.gate is not None:
            Slow.gate.set()
        controller.close()


def look(model):
    return model.time, model.acts.own.tolist()


def wait(controller, until, seconds=20.0):
    end = time.monotonic() + seconds
    while not until(controller.state):
        assert time.monotonic() < end, controller.state
        time.sleep(0.002)
    return controller.state


def straight(turns, seed=1):
    model = Voter(agents=60, rng=seed)
    for _ in range(turns):
        model.step()
    return model.acts.own.tolist()


def test_a_run_that_plays_to_its_end_is_the_run_by_hand(control):
    controller, heard = control()
    assert controller.state.frame == (0, straight(0))
    controller.play()
    state = wait(controller, lambda state: state.status is Status.FINISHED)
    assert (state.time, state.frame) == (TURNS, (TURNS, straight(TURNS)))
    times = [state.time for state in heard if state.run == 1]
    assert times == sorted(times)


def test_a_step_is_one_turn_and_a_play_can_be_stepped_out_of(control):
    controller, _ = control()
    for turn in (1, 2, 3):
        controller.step()
        state = wait(controller, lambda state, turn=turn: state.time == turn and not state.busy)
        assert (state.status, state.frame) == (Status.READY, (turn, straight(turn)))


def test_toggling_fast_during_a_slow_turn_never_skips_the_clock(control, slow):
    slow.gate = threading.Event()
    controller, heard = control()
    controller.play()
    wait(controller, lambda state: state.busy)
    for _ in range(50):
        controller.pause()
        controller.play()
    start = time.monotonic()
    controller.pause()
    assert time.monotonic() - start < 0.5
    slow.gate.set()
    wait(controller, lambda state: not state.busy)
    paused = controller.state.time
    assert paused == 1
    controller.play()
    wait(controller, lambda state: state.status is Status.FINISHED)
    shown = [state.time for state in heard]
    assert all(after - before in (0, 1) for before, after in pairwise(shown))
    assert controller.state.frame[1] == straight(TURNS)


def test_commands_from_many_threads_leave_one_thread_at_the_model(control, slow):
    controller, _ = control()
    with ThreadPoolExecutor(8) as pool:
        for command in (controller.play, controller.pause, controller.step) * 60:
            pool.submit(command)
    controller.play()
    state = wait(controller, lambda state: state.status is Status.FINISHED)
    assert (state.time, state.frame[1]) == (TURNS, straight(TURNS))
    assert slow.threads == {"agentmicro-model"}


def test_steps_that_were_asked_for_while_one_was_under_way_are_taken_one_by_one(control, slow):
    slow.gate = threading.Event()
    controller, _ = control()
    for _ in range(3):
        controller.step()
    slow.gate.set()
    state = wait(controller, lambda state: state.time == 3 and not state.busy)
    assert state.frame == (3, straight(3))


def test_a_rule_that_raises_ends_the_run_and_not_the_worker(control, slow):
    slow.raises = {4.0}
    controller, _ = control()
    controller.play()
    state = wait(controller, lambda state: state.status is Status.FAILED)
    assert "RuntimeError: the rule is broken" in state.error
    controller.play()
    controller.step()
    time.sleep(0.05)
    assert controller.state.status is Status.FAILED
    slow.raises = set()
    controller.reset()
    state = wait(controller, lambda state: state.run == 2 and state.status is Status.READY)
    assert (state.time, state.error) == (0, "")
    controller.play()
    assert wait(controller, lambda state: state.status is Status.FINISHED).frame[1] == straight(TURNS)


def test_a_model_that_cannot_be_built_says_why(control):
    def broken():
        raise KnobError("agents = 0: expected more")

    controller = Controller(broken, look)
    state = wait(controller, lambda state: state.status is Status.FAILED)
    assert state.error == "agents = 0: expected more"
    controller.reset(lambda: (Voter(agents=60, rng=1), 3))
    wait(controller, lambda state: state.status is Status.READY)
    controller.close()


def test_a_cancelled_turn_is_taken_back_and_the_run_goes_on_as_if_it_had_not_begun(control, slow):
    slow.hangs = {6.0}
    controller, _ = control()
    controller.play()
    wait(controller, lambda state: state.time == 5 and state.busy)
    start = time.monotonic()
    controller.cancel()
    state = wait(controller, lambda state: state.status is Status.READY and not state.busy)
    assert time.monotonic() - start < 1
    assert (state.time, state.frame, state.run) == (5, (5, straight(5)), 1)
    controller.play()
    assert wait(controller, lambda state: state.status is Status.FINISHED).frame[1] == straight(TURNS)


def test_a_reset_does_not_wait_for_the_turn_that_is_under_way(control, slow):
    slow.hangs = {3.0}
    controller, _ = control()
    controller.play()
    wait(controller, lambda state: state.time == 2 and state.busy)
    controller.reset()
    state = wait(controller, lambda state: state.run == 2 and state.status is Status.READY, seconds=3)
    assert (state.time, state.frame) == (0, (0, straight(0)))


def test_a_change_acts_between_two_turns_as_an_intervention_does(control):
    controller, _ = control(turns=3)
    controller.step()
    wait(controller, lambda state: state.time == 1 and not state.busy)
    controller.change(turns="simultaneous").result(5)
    controller.play()
    found = wait(controller, lambda state: state.status is Status.FINISHED).frame[1]
    model = Voter(agents=60, rng=1)
    model.intervene(2, turns="simultaneous")
    for _ in range(3):
        model.step()
    assert found == model.acts.own.tolist()
    assert found != straight(3)


def test_a_change_that_cannot_be_is_the_askers_error_alone(control):
    controller, _ = control()
    with pytest.raises(KnobError, match="agents: cannot change during a run"):
        controller.change(agents=5).result(5)
    assert controller.state.status is Status.READY
    assert controller.ask(lambda model: model.time).result(5) == 0


def test_two_controllers_share_nothing(control):
    (one, _), (other, _) = control(seed=1), control(seed=2)
    one.play()
    other.step()
    wait(one, lambda state: state.status is Status.FINISHED)
    state = wait(other, lambda state: state.time == 1 and not state.busy)
    assert (one.state.frame[1], state.frame[1]) == (straight(TURNS, 1), straight(1, 2))


def test_closing_ends_the_worker_and_answers_what_was_asked(control, slow):
    slow.hangs = {1.0}
    controller, _ = control()
    controller.play()
    wait(controller, lambda state: state.busy)
    controller.close()
    assert controller.state.status is Status.CLOSED
    assert not controller._thread.is_alive()
    assert controller.ask(lambda model: model.time).cancelled()


def test_a_page_that_is_gone_does_not_stop_the_model(control):
    class Gone(list):
        def append(self, state):
            raise ConnectionError

    controller, _ = control(told=Gone())
    controller.play()
    wait(controller, lambda state: state.status is Status.FINISHED)


def test_a_delay_can_be_broken_off_by_any_command(control):
    controller, _ = control()
    controller.delay = 60.0
    controller.play()
    wait(controller, lambda state: state.time == 1)
    controller.delay = 0.0
    controller.step()
    wait(controller, lambda state: state.time == 2 and not state.busy, seconds=3)
