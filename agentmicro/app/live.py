"""A live run: a configuration, the controller that plays it, and the null beside it on the same seed.

This is what a page holds, and all that it needs: it knows nothing of Solara, and a test can drive it without a browser.
"""

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Any

from agentmicro.app.configuration import Configuration
from agentmicro.app.controller import Controller, State, Status
from agentmicro.app.snapshot import Camera, Frame, traced
from agentmicro.app.spending import Purse, speakers
from agentmicro.architecture import NAMES
from agentmicro.errors import SpecError
from agentmicro.knobs import Scalar
from agentmicro.minds import LanguageMind
from agentmicro.society import MINDS, Society

type Shown = State[Frame]

BESIDE = 20_000  # agents up to which the null is run beside


@dataclass(frozen=True)
class View:
    """What a page shows of a live run: its configuration, its state, and the null's measures so far."""

    configuration: Configuration
    state: Shown
    null: dict[str, list[float]]


class Live:
    """Plays a configuration; `tell` hears of every new view, on whatever thread made it.

    other: whether this is the second of two compared runs. beside: whether the null is run too. purse: what may be
    spent, its own if none is given; a run that asks nobody needs none.
    """

    def __init__(
        self,
        configuration: Configuration,
        tell: Callable[[View], None] | None = None,
        *,
        other: bool = False,
        beside: bool = True,
        purse: Purse | None = None,
    ) -> None:
        self._tell, self._other, self._beside = tell, other, beside
        self.purse = purse if purse is not None else Purse()
        self._null: Controller[Frame] | None = None
        self._nulls: dict[str, list[float]] = {}
        self._take(configuration)
        self.controller: Controller[Frame] = Controller(self._make, Camera(), self._heard, self._hold)
        self._start_null()

    @property
    def configuration(self) -> Configuration:
        """What is played, changes on the way included."""
        return self._configuration

    @property
    def second(self) -> bool:
        """Whether this is the second of two compared runs."""
        return self._other

    @property
    def view(self) -> View:
        """What there is to show now."""
        return View(self._configuration, self.controller.state, self._nulls)

    def play(self) -> None:
        """Runs turn after turn; a turn that was paused in its middle goes on."""
        self.controller.play()
        self.purse.resume()
        self._say()

    def pause(self) -> None:
        """Stops after the turn under way; where a language model is asked, new calls are not even begun."""
        if self.asked:
            self.purse.pause()
        self.controller.pause()
        self._say()

    def step(self) -> None:
        """Takes one turn more, or ends the one that was paused in its middle."""
        held = self.purse.paused
        self.purse.resume()
        if held and self.controller.state.busy:
            self.controller.pause()
        else:
            self.controller.step()
        self._say()

    def cancel(self) -> None:
        """Drops the turn that is under way, with the calls that are in flight."""
        self.controller.cancel()
        self.purse.drop()
        self._say()

    def restart(self, configuration: Configuration) -> None:
        """Throws the run away and begins another; one with other conditions needs a leave of its own to spend."""
        if replace(configuration, changes=()) != replace(self._configuration, changes=()):
            self.purse.revoke()
        self._take(configuration)
        self.controller.reset()
        self.purse.drop()
        self._start_null()

    def reset(self) -> None:
        """Begins the same run again, without the changes that were made on the way."""
        self.restart(replace(self._configuration, changes=()))

    def change(self, name: str, value: Scalar) -> "Future[None]":
        """Changes a knob at once; it acts from the next turn on, and is part of the configuration from now on."""

        def act(model: Society) -> None:
            model.change(**{name: value})
            before = self.asked
            self._take(self._configuration.changed(model.time + 1, **{name: value}))
            if self.asked != before:
                self.purse.revoke()

        return self.controller.ask(act)

    def close(self) -> None:
        """Ends whatever runs; a turn that waits in a pause is dropped."""
        self.controller.end()
        self.purse.drop()
        self.controller.close()
        if self._null is not None:
            self._null.close()

    def _take(self, configuration: Configuration) -> None:
        self._configuration = configuration
        self.asked = speakers(configuration, self._other)

    def _make(self) -> tuple[Society, int]:
        model, turns = self._configuration.build(other=self._other)
        return traced(model), turns

    def _hold(self, model: Society) -> str:
        return self.purse.hold(model, self.asked)

    def _start_null(self) -> None:
        """Runs the null beside, to its end, unless it is the run itself, would cost money, or is too large."""
        if self._null is not None:
            self._null.close()
            self._null = None
        self._nulls = {}
        null = nothing(self._configuration, self._other) if self._beside else None
        if null is not None:
            self._null = Controller(null.build, Camera(), self._heard_null)
            self._null.play()

    def _heard_null(self, state: Shown) -> None:
        if state.frame is not None:
            self._nulls = dict(state.frame.series)
            if state.status is Status.FINISHED:
                self._heard(self.controller.state)

    def _heard(self, state: Shown) -> None:
        if self._tell is not None:
            self._tell(View(self._configuration, state, self._nulls))

    def _say(self) -> None:
        self._heard(self.controller.state)


def nothing(configuration: Configuration, other: bool = False) -> Configuration | None:
    """The configuration of the null: the same, with the mechanism taken away; None where it cannot be run for free."""
    cls = configuration.cls
    given = {**configuration.knobs, **(configuration.other if other else {})}
    if not cls.null or cls.checked(given) == cls.checked({**given, **cls.null}):
        return None
    try:
        null = replace(configuration, knobs={**given, **cls.null}, other={}, changes=())
        values = null.values
    except SpecError:
        return None
    if int(values.get("agents", 0)) > BESIDE or speaks(cls, values):
        return None
    return null


def speaks(cls: Any, values: dict[str, Scalar]) -> bool:
    """Whether any of the minds named is a language model."""
    from agentmicro.minds import pick

    texts = [str(values[name]) for name in MINDS if name in values]
    return any(isinstance(seat.mind, LanguageMind) for text in texts for seat in pick(text, cls.rules, cls.prompt))


def at_once(cls: Any, name: str) -> bool:
    """Whether a knob can be changed while a run goes on."""
    return name in (*NAMES, *MINDS, "graph") or name in cls.live
