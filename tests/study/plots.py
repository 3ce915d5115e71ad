"""A small phenomenon whose runs raise, die or take their time on request, and studies of it that are in no file."""

import os
import signal
import time
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np

from agentmicro.affordances import Number
from agentmicro.architecture import Agents, Architecture, Turns
from agentmicro.exposure import Seen
from agentmicro.knobs import Group, Range
from agentmicro.minds import Minds
from agentmicro.society import Seed, Society
from agentmicro.study.spec import Arm, Claim, Grow, Identify, Risk, Scenario

BAD = 3  # the seed whose run is in trouble


def drift(seen: Seen) -> Any:
    return np.clip(np.nan_to_num(seen.mean(), nan=0.5) + 0.2 * (seen.luck() - 0.5), 0, 1)


class Plots(Society):
    """Neighbours that drift together."""

    rules: ClassVar = {"drift": drift}
    null: ClassVar = {"mind": "stubborn"}

    def __init__(
        self,
        agents: Agents = 6,
        share: Annotated[float, Range(0, 1), Group.POPULATION, "the first number of everyone"] = 0.5,
        size: Annotated[int, Range(0, 100), Group.WORLD, "something to vary"] = 0,
        trouble: Literal["none", "raises", "dies", "dies once", "slow", "absurd"] = "none",
        turns: Turns = "simultaneous",
        mind: Minds = "drift",
        rng: Seed = None,
    ) -> None:
        super().__init__(
            Number(0, 1),
            agents=agents,
            graph="ring",
            architecture=Architecture(turns=turns),
            minds=mind,
            measures={"level": level, "spread": spread},
            rng=rng,
        )
        self.trouble, self.size = trouble, size
        self.begin(np.full(agents, share))

    def unfold(self) -> None:
        if self.trouble == "slow":
            time.sleep(0.005)
        elif self.seed == BAD:
            self.fail()

    def fail(self) -> None:
        flag = Path(os.environ.get("PLOTS_FLAG", ""))
        if self.trouble == "raises":
            raise ArithmeticError(f"a plot\nof seed {self.seed} in {object()!r}")
        if self.trouble == "dies" or (self.trouble == "dies once" and not flag.exists()):
            if self.trouble == "dies once":
                flag.touch()
            os.kill(os.getpid(), signal.SIGKILL)


def level(model: Plots) -> float:
    """The mean number, above what the size makes of it."""
    return float(model.acts.own.mean()) + (0.02 * model.size if model.trouble != "absurd" else float("nan"))


def spread(model: Plots) -> float:
    """How far the numbers lie apart; undefined at the start."""
    return float(model.acts.own.std()) if model.time else float("nan")


def scenario(**changes: Any) -> Scenario:
    """A study of plots with an arm at a time, knobs changed alone, and a claim; its [grow] from the keywords."""
    grow = {name: changes.pop(name) for name in ("seeds", "vary", "ranges", "design", "budget") if name in changes}
    made = Scenario(
        name="plots",
        path=Path("plots.toml"),
        digest="",
        cls=Plots,
        risk=Risk(outcome="level"),
        grow=Grow(**{"seeds": 4, "turns": 5, "vary": {"size": (5, 10)}, **grow}),
        identify=Identify(vary={"share": (0.2,), "agents": (8,)}),
        intervene={"halt": Arm("halt", {"mind": "stubborn"}, at=3.0)},
        claims=(Claim("It rises.", "level", "above", 0.1, float("inf"), where={"size": 20}, seeds=6),),
    )
    return replace(made, **changes)


TABLES = ("runs.parquet", "turns.parquet", "runs.csv", "uses.csv", "cells.csv")


def tables(folder: Path) -> dict[str, bytes]:
    """The tables of a study, byte by byte."""
    return {name: (Path(folder) / name).read_bytes() for name in TABLES}
