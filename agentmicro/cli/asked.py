"""What a word on the command line means: a phenomenon, its knobs from file and flags, and perhaps a scenario."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agentmicro.errors import KnobError, SpecError, listed, nearest
from agentmicro.knobs import Scalar

if TYPE_CHECKING:
    from agentmicro.minds.speaker import Speaker
    from agentmicro.society import Society
    from agentmicro.study.spec import Scenario


@dataclass(frozen=True)
class Asked:
    """What a command is about: a phenomenon, its knobs from file and command line, and the scenario if there is one.

    steps: what changes during the run, and when, where an arm of the scenario says so.
    """

    cls: "type[Society]"
    scenario: "Scenario | None"
    given: Mapping[str, Scalar]
    overrides: Mapping[str, Scalar]
    steps: tuple[tuple[float, Mapping[str, Scalar]], ...] = ()

    @property
    def minds(self) -> "Mapping[str, Speaker]":
        """The minds that the scenario defines."""
        return self.scenario.minds if self.scenario else {}

    @property
    def knobs(self) -> dict[str, Scalar]:
        """Every knob with its value."""
        return self.cls.checked({**self.given, **self.overrides})

    @property
    def null(self) -> dict[str, Scalar]:
        """Every knob with its value where the mechanism is taken away."""
        return self.cls.checked({**self.knobs, **self.cls.null})

    @property
    def turns(self) -> int:
        """How long a run is if nobody says."""
        return self.scenario.turns if self.scenario else self.cls.length

    @property
    def outcome(self) -> str:
        """The measure that would show the risk: the scenario's, or the phenomenon's first."""
        from agentmicro.study.run import measures

        return self.scenario.outcome if self.scenario else next(iter(measures(self.cls)))


def resolve(what: str, sets: Sequence[str], arm: str = "") -> Asked:
    """What a word on the command line means: a scenario or an arm of it, or a phenomenon; with the knobs set beside."""
    from agentmicro import phenomena
    from agentmicro.minds.speaker import defined
    from agentmicro.study import files, scenario

    if files.locate(what) is not None:
        found = scenario.load(what)
        with defined(found.minds):
            return _armed(found, sets, arm)
    if arm:
        raise SpecError(f"--arm {arm}: expected a scenario beside it, since arms stand in its [intervene]")
    if phenomena.plain(what) not in phenomena.names():
        known = tuple(dict.fromkeys((*files.names(), *phenomena.names())))
        raise SpecError(f"no scenario or phenomenon {what!r}{nearest(what, known)}; there is {listed(known)}")
    cls = phenomena.find(what)
    return Asked(cls, None, {}, overrides(cls, {}, sets))


def _armed(scenario: "Scenario", sets: Sequence[str], arm: str) -> Asked:
    """A scenario as it stands in [micro], or one of its arms."""
    if arm and arm not in scenario.intervene:
        arms = listed(scenario.intervene) or "none"
        raise SpecError(f"--arm {arm}: no such arm{nearest(arm, scenario.intervene)}; {scenario.name} has {arms}")
    chosen = scenario.intervene.get(arm)
    first = chosen.knobs if chosen is not None and chosen.at is None else {}
    given = {**scenario.micro, **first}
    steps = chosen.steps if chosen is not None else ()
    return Asked(scenario.cls, scenario, given, overrides(scenario.cls, given, sets), steps)


def overrides(cls: "type[Society]", given: Mapping[str, Scalar], sets: Sequence[str]) -> dict[str, Scalar]:
    """The knobs written as `knob=value`, read and checked; the last one wins."""
    from agentmicro.knobs import knobs, missing

    known = knobs(cls)
    found: dict[str, Scalar] = {}
    try:
        for text in sets:
            name, equals, value = (part.strip() for part in text.partition("="))
            if not equals or not name:
                raise KnobError(f"{text}: expected knob=value, such as {next(iter(known))}=5")
            if name not in known:
                raise missing(name, cls.__name__, known)
            found[name] = known[name].read(value)
        cls.checked({**given, **found})
    except SpecError as error:
        raise type(error)(f"--set {error}") from None
    return found
