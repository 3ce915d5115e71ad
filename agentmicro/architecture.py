"""The interaction architecture: who can hear whom, what of it and how late, who moves when, and what is remembered.

These are the micro-variables of agentic microphysics as one frozen value. They are interpreted by the kernel alone
(`exposure`, `turns`, `society`), so that a phenomenon cannot get them subtly wrong and every one of them can be varied
by itself.
"""

from dataclasses import dataclass, fields
from numbers import Integral, Real
from typing import Annotated, Literal, NamedTuple

from agentmicro import graphs
from agentmicro.errors import KnobError, listed, nearest
from agentmicro.knobs import Group, Range, Written

type Content = object

COMMUNICATION = ("network", "everyone", "addressed", "pairs")
VISIBILITY = ("full", "anonymous", "counts", "hidden")
TURNS = ("simultaneous", "random", "fixed", "clocks", "endogenous")
URGENCY = ("unsettled", "addressed", "waiting")
ALL = -1


class Exposure(NamedTuple):
    """One thing that an agent is shown: what, how many of it, by whom if that is visible, and how old it is."""

    content: Content
    count: int = 1  # type: ignore[assignment]
    author: str | None = None
    age: float = 0


@dataclass(frozen=True)
class Architecture:
    """The protocol of one society.

    communication: `network` (the neighbours on the graph), `everyone`, `addressed` (neighbours whose message names the
    reader), `pairs` (the one met at that turn).
    visibility: `full` (content and author), `anonymous` (content), `counts` (how many of each content), `hidden`.
    latency: how many turns pass before an act can be seen. loss: the chance that a reader never gets an act.
    shown: how many of those it could hear an agent is shown at each decision; 0 shows all.
    turns: `simultaneous`, `random` (a new order each turn), `fixed`, `clocks` (each agent at its own Poisson times), or
    `endogenous` (whoever is most urgent goes next, everyone once a turn), by the rule named in `urgency`.
    memory: how many earlier turns of what was heard are still before the agent; 0 none, -1 all.
    """

    communication: str = "network"
    visibility: str = "full"
    latency: int = 0
    loss: float = 0.0
    shown: int = 0
    turns: str = "simultaneous"
    urgency: str = "unsettled"
    memory: int = 0

    def __post_init__(self) -> None:
        for name, choices in CHOICES.items():
            value = getattr(self, name)
            if value not in choices:
                raise KnobError(f"{name} = {value!r}: expected one of {listed(choices)}{nearest(value, choices)}")
        for name, least in (("latency", 0), ("shown", 0), ("memory", ALL)):
            value = getattr(self, name)
            if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
                raise KnobError(f"{name} = {value!r}: expected a whole number from {least}")
        if not isinstance(self.loss, Real) or not 0 <= self.loss <= 1:
            raise KnobError(f"loss = {self.loss!r}: expected a number from 0 to 1")

    @property
    def simultaneous(self) -> bool:
        """Whether everyone decides before anyone's act is seen."""
        return self.turns == "simultaneous"

    @property
    def delay(self) -> int:
        """How many turns back an agent looks: simultaneity is one turn of latency."""
        return self.latency + self.simultaneous

    @property
    def plain(self) -> bool:
        """Whether every standing act reaches every reader: nothing lost, left out or remembered."""
        return not (self.loss or self.shown or self.memory)


CHOICES = {"communication": COMMUNICATION, "visibility": VISIBILITY, "turns": TURNS, "urgency": URGENCY}
NAMES = tuple(field.name for field in fields(Architecture))

Agents = Annotated[int, Range(1, 10_000_000), Group.POPULATION, "how many agents"]
Graph = Annotated[
    str, Written(graphs.parse, tuple(graphs.TOPOLOGIES)), Group.COMMUNICATION, "who hears whom: a topology or a file"
]
Communication = Annotated[
    Literal["network", "everyone", "addressed", "pairs"], Group.COMMUNICATION, "who can reach whom"
]
Visibility = Annotated[
    Literal["full", "anonymous", "counts", "hidden"], Group.VISIBILITY, "what is shown of the acts of others"
]
Latency = Annotated[int, Range(0, 1000), Group.VISIBILITY, "turns before an act can be seen"]
Loss = Annotated[float, Range(0, 1), Group.VISIBILITY, "the chance that a reader never gets an act"]
Shown = Annotated[int, Range(0, 1_000_000), Group.VISIBILITY, "how many neighbours are shown at a time; 0 shows all"]
Turns = Annotated[Literal["simultaneous", "random", "fixed", "clocks", "endogenous"], Group.TURNS, "who decides when"]
Urgency = Annotated[Literal["unsettled", "addressed", "waiting"], Group.TURNS, "who goes next in endogenous turns"]
Memory = Annotated[int, Range(ALL, 1_000_000), Group.MEMORY, "earlier turns still before the agent; 0 none, -1 all"]
