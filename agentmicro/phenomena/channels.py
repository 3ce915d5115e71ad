"""Channels: neighbours must pick different channels, and agents that reason alike may never settle.

Kind: macro; coordination failure
Risk: coordination failure as loss of liveness. Everybody does the sensible thing, yet the group stalls.
Mechanism: agents that decide alike and at once all jump to the same free channel, and jump again.
Cures to compare: one after another, unlike tie-breaking, more channels, memory of where others were.
References: a distributed graph colouring game, as in Kearns, Suri and Montfort 2006
(doi:10.1126/science.1127207); the failure is the one that the AgentsNet benchmark reports for language models
(arXiv 2507.08616). The rules and their parameters are ours.
"""

from collections.abc import Mapping
from typing import Annotated, ClassVar

import numpy as np

from agentmicro.acts import Coded
from agentmicro.affordances import Choice
from agentmicro.architecture import Agents, Architecture, Graph, Latency, Loss, Memory, Turns, Visibility
from agentmicro.exposure import Observation, Seen
from agentmicro.knobs import Group, Range
from agentmicro.measures import conflict
from agentmicro.minds import Minds
from agentmicro.society import Seed, Society

WISHES = (
    "You want a channel that no station near you uses.",
    "You would like to be alone on your channel among the stations near you.",
)
PROMPT = """You run a radio station and broadcast on channel {own}. Stations near you broadcast on:
{heard}
{wish}
{options}
{form}"""


def first_free(seen: Seen) -> Coded:
    """Stays if alone on its channel, else takes the first of the least used."""
    used = seen.counts()
    alone = used[np.arange(len(seen)), seen.own] == 0
    return np.where(alone, seen.own, used.argmin(axis=1))


def any_free(seen: Seen) -> Coded:
    """As first-free, but draws among the least used."""
    used = seen.counts()
    alone = used[np.arange(len(seen)), seen.own] == 0
    least = used == used.min(axis=1, keepdims=True)
    drawn = np.where(least, seen.luck(used.shape[1]), -1).argmax(axis=1)
    return np.where(alone, seen.own, drawn)


class Channels(Society):
    """Stations on a network, each on one channel."""

    rules: ClassVar = {"first-free": first_free, "any-free": any_free}
    null: ClassVar = {"minds": "random"}

    def __init__(
        self,
        agents: Agents = 40,
        channels: Annotated[int, Range(2, 26), Group.AFFORDANCES, "how many channels there are"] = 3,
        graph: Graph = "ring",
        turns: Turns = "simultaneous",
        visibility: Visibility = "full",
        latency: Latency = 0,
        loss: Loss = 0.0,
        memory: Memory = 0,
        minds: Minds = "first-free",
        rng: Seed = None,
    ) -> None:
        super().__init__(
            Choice(tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZ"[:channels])),
            agents=agents,
            graph=graph,
            architecture=Architecture(turns=turns, visibility=visibility, latency=latency, loss=loss, memory=memory),
            minds=minds,
            measures={"conflicts": conflicts, "settled": settled, "settled_at": settled_at},
            rng=rng,
        )
        self.free_since = float("nan")
        self.begin(self.luck("start").below(channels))

    @classmethod
    def prompt(cls, seen: Observation) -> str:
        """The question a language model is asked."""
        heard = "\n".join(f"- {item.content} ({item.count})" for item in seen.heard) or "- unknown"
        wish = seen.phrase(*WISHES)
        return PROMPT.format(own=seen.own, heard=heard, wish=wish, options=seen.offer.text, form=seen.offer.form)

    @classmethod
    def finding(cls, values: Mapping[str, float], null: Mapping[str, float]) -> str:
        """What a run shows, in a sentence."""
        if values["settled"]:
            return f"The group settled at turn {values['settled_at']:g}: no two neighbours share a channel."
        clash = f"{values['conflicts']:.0%} of the links clash, {null['conflicts']:.0%} under random choice"
        return f"The group has not settled: {clash}."

    def begin(self, acts: Coded | None = None) -> None:
        """Opens the run and notes whether it is settled from the start."""
        super().begin(acts)
        self.unfold()

    def unfold(self) -> None:
        """Notes since when no two neighbours share a channel."""
        if conflicts(self) > 0:
            self.free_since = float("nan")
        elif np.isnan(self.free_since):
            self.free_since = float(self.time)


def conflicts(model: Channels) -> float:
    """The share of links whose two ends use the same channel; 0 without links."""
    found = conflict(model.acts.own, model.links)
    return 0.0 if np.isnan(found) else found


def settled(model: Channels) -> float:
    """1 while no two neighbours share a channel, else 0."""
    return float(not np.isnan(model.free_since))


def settled_at(model: Channels) -> float:
    """The turn since which no two neighbours share a channel; NaN while some do."""
    return model.free_since
