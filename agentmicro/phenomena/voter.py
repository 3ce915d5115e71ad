"""Voter: everybody imitates, by laws whose outcome is known in closed form.

Kind: macro; drift
Risk: none by itself. Imitation without judgement is the null of every claim about influence, and these laws are the
calibration weights of the instrument.
Mechanism: each agent takes over a neighbour's act, the majority's, or the mean of what it hears.
Cures to compare: thresholds, zealots, who is seeded, other turn structures.
References: Clifford and Sudbury 1973 (doi:10.1093/biomet/60.3.581) and Holley and Liggett 1975
(doi:10.1214/aop/1176996306) for the voter; Granovetter 1978 (doi:10.1086/226707) for thresholds; DeGroot 1974
(doi:10.1080/01621459.1974.10480137) for averaging.
"""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

import numpy as np

from agentmicro.acts import Coded
from agentmicro.affordances import Number
from agentmicro.architecture import Agents, Architecture, Graph, Turns
from agentmicro.exposure import Observation, Seen
from agentmicro.knobs import Group, Range
from agentmicro.measures import diversity
from agentmicro.minds import Minds
from agentmicro.society import Seed, Society

PROMPT = """You are one of many agents who each hold a number from 0 (against) to 1 (for). You hold {own}.
The others you can see hold:
{heard}
You tend to agree with the others. Which number do you hold now? {form}"""

SETTLED = 1e-9


def voter(seen: Seen) -> Coded:
    """Takes over the act of one of those it hears, each as likely as the others (Clifford and Sudbury 1973)."""
    picked = seen.any()
    return np.where(np.isnan(picked), seen.own, picked)


def majority(seen: Seen) -> Coded:
    """Takes the side that most of those it hears are on; keeps its own at a tie."""
    mean = seen.mean()
    return np.where(mean > 0.5, 1.0, np.where(mean < 0.5, 0.0, seen.own))


def threshold(
    seen: Seen, at: Annotated[float, Range(0, 1), "the share of those it hears that must be for"] = 0.5
) -> Coded:
    """Is for, and stays so, once a given share of those it hears is (Granovetter 1978)."""
    return np.where(seen.mean() >= at, 1.0, seen.own)


def degroot(seen: Seen, own: Annotated[float, Range(0, 1), "the weight of its own number"] = 0.0) -> Coded:
    """Takes the mean of what it hears, its own number weighed in (DeGroot 1974)."""
    mean = seen.mean()
    return np.where(np.isnan(mean), seen.own, own * seen.own + (1 - own) * mean)


class Voter(Society):
    """Imitators on a network; a given share holds 1 at first."""

    rules: ClassVar = {"voter": voter, "majority": majority, "threshold": threshold, "degroot": degroot}
    null: ClassVar = {"mind": "stubborn"}
    needs: ClassVar = {"seeded": {"graph": "star"}}

    def __init__(
        self,
        agents: Agents = 100,
        graph: Graph = "random_regular(k=4)",
        share: Annotated[float, Range(0, 1), Group.POPULATION, "the share of agents who hold 1 at first"] = 0.5,
        seeded: Annotated[
            Literal["random", "hubs", "leaves"], Group.POPULATION, "which agents hold 1 at first"
        ] = "random",
        turns: Turns = "random",
        mind: Minds = "voter",
        rng: Seed = None,
    ) -> None:
        super().__init__(
            Number(0, 1),
            agents=agents,
            graph=graph,
            architecture=Architecture(turns=turns),
            minds=mind,
            measures={"share": share_of, "agreement": agreement, "settled_at": settled_at},
            rng=rng,
        )
        self.settled = float("nan")
        first = np.zeros(agents)
        first[self.rows_at(seeded, round(share * agents))] = 1
        self.begin(first)

    @classmethod
    def prompt(cls, seen: Observation) -> str:
        """The question a language model is asked."""
        heard = "\n".join(f"- {item.content:g}" for item in seen.heard) or "- nobody"
        return PROMPT.format(own=f"{seen.own:g}", heard=heard, form=seen.offer.form)

    @classmethod
    def finding(cls, values: Mapping[str, float], null: Mapping[str, float]) -> str:
        """What a run shows, in a sentence."""
        if not np.isnan(values["settled_at"]):
            since = f"since turn {values['settled_at']:g}"
            return f"Everybody holds {values['share']:.3g} {since}: imitation alone made consensus."
        return f"{values['agreement']:.0%} are on one side, {null['agreement']:.0%} if nobody listens; not settled yet."

    def unfold(self) -> None:
        """Notes when everybody first held the same."""
        if np.isnan(self.settled) and diversity(self.acts.own) < SETTLED:
            self.settled = float(self.time)


def share_of(model: Voter) -> float:
    """The mean of what everybody holds: the share of ones where numbers are 0 or 1."""
    return float(model.acts.own.mean())


def agreement(model: Voter) -> float:
    """The share of agents on the larger side of one half."""
    above = float((model.acts.own >= 0.5).mean())
    return max(above, 1 - above)


def settled_at(model: Voter) -> float:
    """The turn at which everybody first held the same; NaN while they do not."""
    return model.settled
