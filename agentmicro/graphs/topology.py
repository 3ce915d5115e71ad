"""A named topology: what it is, which numbers shape it, and how it is made at any size."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any

from agentmicro.errors import GraphError, listed, nearest
from agentmicro.graphs.links import Ints, Links

Shape = Mapping[str, int | float]

LARGE = 100_000  # from here on graphs are made as edge arrays: networkx would take minutes and gigabytes


@dataclass(frozen=True)
class Parameter:
    """One number that shapes a topology; one without a default counts only when given, in place of `replaces`."""

    name: str
    default: int | float | None
    low: float
    high: float = math.inf
    doc: str = ""
    whole: bool = True
    replaces: str = ""

    @property
    def range(self) -> str:
        """What the number may be, in words: `a whole number from 0 to 1`."""
        kind = "a whole number" if self.whole else "a number"
        return f"{kind} from {self.low:g}" + (f" to {self.high:g}" if math.isfinite(self.high) else "")

    def read(self, value: object, where: str) -> int | float:
        """The value as the int or float this number is, or a GraphError that says its range."""
        number = float(value) if isinstance(value, Real) else math.nan
        if not (math.isfinite(number) and self.low <= number <= self.high) or (self.whole and not number.is_integer()):
            raise GraphError(f"{where}: {self.name} is {self.range}, not {value}")
        return int(number) if self.whole else number


@dataclass(frozen=True)
class Topology:
    """A topology turns a number of agents, a seed and a few numbers into links.

    `edges` makes the rows (author, reader) vectorised at any size and `graph` is networkx's own generator of the same
    law, where it has one; below LARGE agents `graph` is what is used. Both take the shape as keywords, and the seed too
    if `random`. `fits` raises a GraphError where the shape does not fit the number of agents.
    """

    name: str
    doc: str
    parameters: tuple[Parameter, ...] = ()
    least: int = 1
    random: bool = False
    edges: Callable[..., Ints] | None = None
    graph: Callable[..., Any] | None = None
    fits: Callable[..., None] | None = None

    def shape(self, given: Shape) -> dict[str, int | float]:
        """The given numbers, checked, and the defaults of the others."""
        known = {parameter.name: parameter for parameter in self.parameters}
        for name in given:
            if name not in known:
                has = f"takes {listed(known)}" if known else "takes no numbers"
                raise GraphError(f"{self.name} has no {name!r}: it {has}{nearest(name, known)}")
            if known[name].replaces in given:
                raise GraphError(f"{self.name} takes {known[name].replaces} or {name}, not both")
        replaced = {known[name].replaces for name in given}
        filled = {name: known[name].default for name in known if known[name].default is not None} | dict(given)
        return {name: known[name].read(filled[name], self.name) for name in known if name in filled.keys() - replaced}

    def links(self, agents: int, seed: int, shape: Shape) -> Links:
        """Links of this topology: the same agents, seed and full shape always give the same links."""
        if agents < self.least:
            raise GraphError(f"{self.name} needs at least {self.least} agents, not {agents}")
        if self.fits is not None:
            self.fits(agents, **shape)
        if self.edges is None:
            return Links.everyone(agents)
        luck = {"seed": seed} if self.random else {}
        if self.graph is not None and agents < LARGE:
            return Links.of(self.graph(agents, **shape, **luck))
        return Links.from_edges(agents, self.edges(agents, **shape, **luck), directed=bool(shape.get("directed", 0)))
