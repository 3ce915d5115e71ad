"""Template: a few alarmed agents alarm everybody, where one alarmed neighbour is reason enough.

Kind: macro; contagion, cascade
Risk: a false alarm that nobody checks reaches the whole population.
Mechanism: each agent takes the alarm of others as evidence, so one mistake is counted again at every step.
Cures to compare: more neighbours needed, fewer links, agents that never follow.
References: the threshold model of Granovetter 1978 (doi:10.1086/226707). The parameters here are ours.
"""

from collections.abc import Mapping
from typing import Annotated, ClassVar

import numpy as np

from agentmicro.acts import Coded
from agentmicro.affordances import Choice
from agentmicro.architecture import Agents, Architecture, Graph, Turns
from agentmicro.exposure import Observation, Seen
from agentmicro.knobs import Group, Range
from agentmicro.minds import Minds
from agentmicro.society import Seed, Society


# Change this first: how a mind decides. A batch of observations in, one coded act each out (0 calm, 1 alarmed).
def follow(seen: Seen, needed: Annotated[int, Range(1, 100), "how many alarmed neighbours it takes"] = 1) -> Coded:
    """Raises the alarm, for good, once enough of its neighbours have."""
    return np.where(seen.counts()[:, 1] >= needed, 1, seen.own)


class Template(Society):
    """Agents on a network who are calm or alarmed."""

    rules: ClassVar = {"follow": follow}
    null: ClassVar = {"mind": "stubborn"}  # what takes your mechanism away: here, nobody listens

    def __init__(  # every parameter is a knob for files, the command line and the app: add yours with a type and a line
        self,
        agents: Agents = 100,
        graph: Graph = "ring",
        alarmed: Annotated[float, Range(0, 1), Group.POPULATION, "the share of agents alarmed at first"] = 0.05,
        turns: Turns = "simultaneous",
        mind: Minds = "follow",
        rng: Seed = None,
    ) -> None:
        acts, plan = Choice(("calm", "alarmed")), Architecture(turns=turns)
        super().__init__(
            acts, agents=agents, graph=graph, architecture=plan, minds=mind, measures={"reach": reach}, rng=rng
        )
        first = np.zeros(agents, np.int64)
        first[self.rows_at("random", round(alarmed * agents))] = 1
        self.begin(first)  # last: the acts at time 0; what a measure reads must be set before

    @classmethod
    def prompt(cls, seen: Observation) -> str:
        """What a language model is asked: all that it hears, the options, and how to answer."""
        heard = ", ".join(f"{item.count} {item.content}" for item in seen.heard) or "nobody"
        return f"You are {seen.own}. Near you: {heard}. What are you now?\n{seen.offer.text}\n{seen.offer.form}"

    @classmethod
    def finding(cls, values: Mapping[str, float], null: Mapping[str, float]) -> str:
        """What a run shows, in a sentence."""
        return f"The alarm reached {values['reach']:.0%}; without listening it stays at {null['reach']:.0%}."


def reach(model: Template) -> float:  # a measure; its first line is what tables say about it
    """The share of agents who are alarmed."""
    return float((model.acts.own == 1).mean())
