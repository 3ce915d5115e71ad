"""The controller: one worker thread per model, which alone steps it, reads it and changes it.

A page sends commands and gets frames; neither waits for the other. So the page answers at once whatever a model takes,
the clock cannot skip however fast somebody toggles play and pause, and two pages never share a model.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from agentmicro.completion import loop
from agentmicro.completion.budget import BudgetReached
from agentmicro.completion.loop import Cancelled
from agentmicro.errors import AgentmicroError
from agentmicro.knobs import Scalar
from agentmicro.society import Society

PULSE = 0.05  # seconds between the frames of a run that plays: more than a page can show is not worth drawing
GRACE = 5.0  # seconds that a worker gets to end


class Status(StrEnum):
    """What a controller is doing."""

    BUILDING = "building"
    READY = "ready"
    PLAYING = "playing"
    STEPPING = "stepping"
    FINISHED = "finished"
    FAILED = "failed"
    CLOSED = "closed"


@dataclass(frozen=True)
class State[Frame]:
    """What a page may know: a value of its own, never the model.

    run: how many models there have been, so that a late frame of an old one can be told. busy: whether a step is under
    way. frame: what `look` made of the model after the last step that was shown. held: why the next turn may not begin.
    wanted: whether more turns are asked for than the one that may be under way.
    """

    status: Status = Status.BUILDING
    run: int = 0
    time: float = 0.0
    turns: int = 0
    busy: bool = False
    error: str = ""
    frame: Frame | None = None
    held: str = ""
    wanted: bool = False


type Make = Callable[[], tuple[Society, int]]


class Controller[Frame]:
    """Plays one model at a time; every method returns at once.

    make: builds the model and says how many turns it is to run. look: reads a frame from it, on the worker's thread.
    tell: hears of every new state, on the worker's thread. hold: says before a turn why it may not begin, or nothing.
    delay: seconds between the turns of a run that plays.
    """

    def __init__(
        self,
        make: Make,
        look: Callable[[Society], Frame],
        tell: Callable[[State[Frame]], None] | None = None,
        hold: Callable[[Society], str] | None = None,
    ) -> None:
        self.delay = 0.0
        self._make, self._look, self._tell, self._hold = make, look, tell, hold
        self._state: State[Frame] = State()
        self._model: Society | None = None
        self._wake = threading.Condition()
        self._calls: deque[tuple[Callable[[Society], Any], Future[Any]]] = deque()
        self._playing, self._steps, self._rebuild, self._closing = False, 0, True, False
        self._shown = 0.0
        self._thread = threading.Thread(target=self._work, name="agentmicro-model", daemon=True)
        self._thread.start()

    @property
    def state(self) -> State[Frame]:
        """What is known now."""
        return replace(self._state, wanted=self._playing or self._steps > 0)

    def play(self) -> None:
        """Runs turn after turn until the end, or until it is paused."""
        self._command(playing=True)

    def pause(self) -> None:
        """Stops after the turn that is under way."""
        self._command(playing=False)

    def step(self) -> None:
        """Takes one turn more, whatever was going on."""
        self._command(playing=False, steps=1)

    def reset(self, make: Make | None = None) -> None:
        """Throws the model away, with the turn that is under way, and builds one anew."""
        with self._wake:
            self._make = make or self._make
            self._rebuild = True
        self._command(playing=False)
        self.cancel()

    def change(self, **knobs: Scalar) -> "Future[None]":
        """Changes knobs between two turns; the future fails with the sentence that says why it cannot be."""
        return self.ask(lambda model: model.change(**knobs))

    def ask[Answer](self, question: Callable[[Society], Answer]) -> "Future[Answer]":
        """Puts a question to the model between two turns."""
        answer: Future[Answer] = Future()
        with self._wake:
            if self._closing:
                answer.cancel()
                return answer
            self._calls.append((question, answer))
            self._wake.notify()
        return answer

    def cancel(self) -> None:
        """Drops the turn that is under way, if a language model keeps it waiting.

        What that turn was to show is lost, and what was answered stays in the record; the model is built anew and
        plays the turns that were complete once more.
        """
        with self._wake:
            self._playing, self._steps = False, 0
        loop.cancel(self._thread)

    def close(self) -> None:
        """Ends the worker; a page that closes leaves nothing running and nothing spending."""
        self.end()
        if threading.current_thread() is not self._thread:
            self._thread.join(GRACE)

    def end(self) -> None:
        """Tells the worker to end, and does not wait for it."""
        with self._wake:
            self._closing = True
            self._playing, self._steps = False, 0
            self._wake.notify()
        loop.cancel(self._thread)

    def _command(self, playing: bool, steps: int = 0) -> None:
        with self._wake:
            self._playing = playing
            self._steps += steps
            self._wake.notify()

    # --- the worker

    def _work(self) -> None:
        while True:
            with self._wake:
                while not (self._rebuild or self._calls or self._playing or self._steps or self._closing):
                    self._wake.wait()
                if self._closing:
                    break
                building, self._rebuild = self._rebuild, False
                calls = () if building else tuple(self._calls)
                if calls:
                    self._calls.clear()
            if building:
                self._build()
            elif calls:
                self._answer(calls)
            else:
                self._turn()
        self._hear(replace(self._state, status=Status.CLOSED, busy=False))
        while self._calls:
            self._calls.popleft()[1].cancel()

    def _build(self, until: float = 0.0, held: str = "") -> None:
        """Makes the model, and plays it up to a turn that it had reached before."""
        run = self._state.run + (until == 0)
        self._hear(replace(self._state, status=Status.BUILDING, run=run, busy=True, error=""))
        self._model = None
        loop.allow(self._thread)
        try:
            model, turns = self._make()
            while model.time < until:
                model.step()
            self._model = model
            self._hear(State(self._resting(model, turns), run, model.time, turns, False, "", self._look(model), held))
        except Exception as error:
            self._hear(State(Status.FAILED, run, error=sentence(error), frame=None))

    def _answer(self, calls: tuple[tuple[Callable[[Society], Any], Future[Any]], ...]) -> None:
        for question, answer in calls:
            if not answer.set_running_or_notify_cancel():
                continue
            try:
                if self._model is None:
                    raise AgentmicroError("there is no model to ask: reset the run")
                answer.set_result(question(self._model))
            except Exception as error:  # it is the asker's: the future carries it
                answer.set_exception(error)
        if self._model is not None:
            self._show(self._model)

    def _turn(self) -> None:
        """One turn, and the frame of it; a turn that raises ends the run, never the worker."""
        with self._wake:
            single = self._steps > 0
            self._steps = max(0, self._steps - 1)
        model, state = self._model, self._state
        if model is None or state.status is Status.FAILED or model.time >= state.turns:
            self._stop()
            return
        held = self._hold(model) if self._hold is not None else ""
        if held:
            self._stop()
            self._hear(replace(state, status=Status.READY, busy=False, held=held))
            return
        self._hear(replace(state, status=Status.STEPPING if single else Status.PLAYING, busy=True, held=""))
        loop.allow(self._thread)
        start, reached = time.monotonic(), model.time
        try:
            model.step()
        except (Cancelled, BudgetReached) as error:
            self._stop()
            if not (self._rebuild or self._closing):
                self._build(until=reached, held=str(error) if isinstance(error, BudgetReached) else "")
            return
        except Exception as error:
            self._stop()
            self._hear(replace(self._state, status=Status.FAILED, busy=False, error=sentence(error)))
            return
        if model.time >= state.turns:
            self._stop()
        resting = not self._playing and not self._steps
        if resting or time.monotonic() - self._shown >= PULSE:
            self._show(model)
        else:
            self._hear(replace(self._state, time=model.time))
        self._rest(start)

    def _rest(self, start: float) -> None:
        """Waits out what is left of the delay, unless a command comes first."""
        with self._wake:
            left = start + self.delay - time.monotonic()
            if self._playing and left > 0 and not (self._steps or self._calls or self._rebuild or self._closing):
                self._wake.wait(left)

    def _stop(self) -> None:
        with self._wake:
            self._playing, self._steps = False, 0

    def _show(self, model: Society) -> None:
        self._shown = time.monotonic()
        state = self._state
        status = Status.PLAYING if self._playing else self._resting(model, state.turns)
        self._hear(replace(state, status=status, time=model.time, busy=False, frame=self._look(model)))

    def _resting(self, model: Society, turns: int) -> Status:
        return Status.FINISHED if model.time >= turns else Status.READY

    def _hear(self, state: State[Frame]) -> None:
        self._state = state
        if self._tell is not None:
            with suppress(Exception):  # a page that is gone must not stop the model of another command
                self._tell(self.state)


def sentence(error: Exception) -> str:
    """An error as a page shows it: ours are sentences, others are named."""
    return str(error) if isinstance(error, AgentmicroError) else f"{type(error).__name__}: {error}"
