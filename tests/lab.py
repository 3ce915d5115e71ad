"""A society with every knob of the architecture, for tests of the parts of the kernel."""

from typing import Any, ClassVar, Literal

import numpy as np

from agentmicro.affordances import Number
from agentmicro.architecture import (
    Agents,
    Architecture,
    Communication,
    Graph,
    Latency,
    Loss,
    Memory,
    Shown,
    Turns,
    Visibility,
)
from agentmicro.exposure import Seen
from agentmicro.minds import Decided, Minds
from agentmicro.society import Seed, Society
from agentmicro.trace import Trace

NAMES = ("communication", "visibility", "latency", "loss", "shown", "turns", "memory")


def mover(seen: Seen) -> Any:
    """Moves towards what it hears, with some luck: every difference in what is heard or drawn shows."""
    return np.clip(np.nan_to_num(seen.mean(), nan=0.1) * 0.9 + seen.luck() * 0.1, 0, 1)


def moody(seen: Seen, silence: float = 0.3) -> Any:
    """As mover, but now and then it says nothing."""
    return np.where(seen.luck() < silence, np.nan, mover(seen))


class Lab(Society):
    """A society with every knob."""

    rules: ClassVar = {"mover": mover, "moody": moody}
    live: ClassVar = frozenset({"price"})

    def __init__(
        self,
        agents: Agents = 8,
        graph: Graph = "ring",
        communication: Communication = "network",
        visibility: Visibility = "full",
        latency: Latency = 0,
        loss: Loss = 0.0,
        shown: Shown = 0,
        turns: Turns = "simultaneous",
        memory: Memory = 0,
        price: Literal["low", "high"] = "low",
        size: int = 3,
        minds: Minds = "mover",
        rng: Seed = None,
    ) -> None:
        plan = dict(zip(NAMES, (communication, visibility, latency, loss, shown, turns, memory), strict=True))
        super().__init__(
            Number(0, 1), agents=agents, graph=graph, architecture=Architecture(**plan), minds=minds, rng=rng
        )
        self.adapted: list[Any] = []
        self.begin(self.luck("start")())

    def adapt(self, name, value):
        self.adapted.append((self.time, name, value))


def run(length: int = 6, society: type[Society] = Lab, **knobs: Any) -> Any:
    made = society(**{"rng": 1} | knobs)
    made.trace = Trace()
    for _ in range(length):
        made.step()
    return made


class Flaky:
    """A mind whose decisions end in a given way, agent by agent."""

    name = "flaky"

    def __init__(self, outcomes):
        self.outcomes = np.array(outcomes, np.int8)

    def opening(self):
        return None

    def ready(self):
        pass

    def decide(self, seen):
        return Decided(np.full(len(seen), 0.75), self.outcomes[seen.rows])
