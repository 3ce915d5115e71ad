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
from agentmicro.architecture import NAMES
from agentmicro.errors import SpecError
from agentmicro.knobs import Scalar
from agentmicro.minds import LanguageMind
from agentmicro.society import MINDS, Society

type Shown = State[Frame]

SLOW, FAST = 1.0, 0.0  # seconds between turns at the two ends of the slider
BESIDE = 20_000  # agents up to which the null is run beside


@dataclass(frozen=True)
class View:
    """What a page shows of a live run: its configuration, its state, and the null's measures so far."""

    configuration: Configuration
    state: Shown
    null: dict[str, list[float]]


class Live:
    """Plays a configuration; `tell` hears of every new view, on whatever thread made it.

    other: whether this is the second of two compared runs. beside: whether the null is run too.
    """

    def __init__(
        self,
        configuration: Configuration,
        tell: Callable[[View], None] | None = None,
        *,
        other: bool = False,
        beside: bool = True,
    ) -> None:
        self._configuration, self._tell, self._other, self._beside = configuration, tell, other, beside
        self._null: Controller[Frame] | None = None
        self._nulls: dict[str, list[float]] = {}
        self.controller: Controller[Frame] = Controller(self._made(configuration), Camera(), self._heard)
        self._start_null()

    @property
    def configuration(self) -> Configuration:
        """What is played, changes on the way included."""
        return self._configuration

    @property
    def view(self) -> View:
        """What there is to show now."""
        return View(self._configuration, self.controller.state, self._nulls)

    def restart(self, configuration: Configuration) -> None:
        """Throws the run away and begins another."""
        self._configuration = configuration
        self.controller.reset(self._made(configuration))
        self._start_null()

    def reset(self) -> None:
        """Begins the same run again, without the changes that were made on the way."""
        self.restart(replace(self._configuration, changes=()))

    def change(self, name: str, value: Scalar) -> "Future[None]":
        """Changes a knob at once; it acts from the next turn on, and is part of the configuration from now on."""

        def act(model: Society) -> None:
            model.change(**{name: value})
            self._configuration = self._configuration.changed(model.time + 1, **{name: value})

        return self.controller.ask(act)

    def close(self) -> None:
        """Ends whatever runs."""
        self.controller.close()
        if self._null is not None:
            self._null.close()

    def _made(self, configuration: Configuration) -> Callable[[], tuple[Society, int]]:
        def make() -> tuple[Society, int]:
            model, turns = configuration.build(other=self._other)
            return traced(model), turns

        return make

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
