"""The text that names a graph, and the one door through which graphs are made."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import networkx as nx

from agentmicro.errors import GraphError, listed, nearest
from agentmicro.graphs.families import TOPOLOGIES
from agentmicro.graphs.files import ENDINGS, read
from agentmicro.graphs.links import Links


@dataclass(frozen=True)
class GraphSpec:
    """A graph spec is a topology's name with its numbers, or the path of a file.

    The name is normalised and the numbers are checked and completed by their defaults when it is made, so equal graphs
    have equal specs. `str(spec)` leaves the defaults out, and `parse(str(spec)) == spec`.
    """

    name: str = ""
    shape: Mapping[str, int | float] = field(default_factory=dict)
    path: str | None = None

    def __post_init__(self) -> None:
        if self.path is not None:
            if self.name or self.shape:
                raise GraphError(f"a graph is a topology or a file, not both {self.name!r} and {self.path!r}")
            return
        name = re.sub(r"[\s_-]+", "_", self.name.strip()).lower()
        if name not in TOPOLOGIES:
            raise GraphError(
                f"there is no topology {self.name!r}: choose one of {listed(TOPOLOGIES)}, or a file ending in "
                f"{listed(ENDINGS)}{nearest(name, TOPOLOGIES)}"
            )
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "shape", TOPOLOGIES[name].shape(self.shape))

    def __hash__(self) -> int:
        return hash(str(self))

    def __str__(self) -> str:
        if self.path is not None:
            return self.path
        usual = {parameter.name: parameter.default for parameter in TOPOLOGIES[self.name].parameters}
        said = [f"{name}={value!r}" for name, value in self.shape.items() if value != usual[name]]
        return f"{self.name}({', '.join(said)})" if said else self.name


def parse(text: str) -> GraphSpec:
    """A text names a graph: `ring`, `Small World`, `small_world(k=6, p=0.1)` or `friends.graphml`."""
    text = text.strip()
    if text.lower().endswith(ENDINGS):
        return GraphSpec(path=text)
    match = re.fullmatch(r"([^()]+?)\s*(?:\((.*)\))?", text, re.DOTALL)
    if match is None:
        raise GraphError(f"a topology is written as small_world or small_world(k=6, p=0.1), not {text!r}")
    return GraphSpec(match[1], _numbers(match[2] or "", text))


def build(source: "GraphSpec | str | Links | nx.Graph[Any]", agents: int, seed: int) -> Links:
    """A text, a spec, a networkx graph or links become the links of so many agents.

    The same spec, agents and seed always give the same links, whatever ran before; nothing global is read or changed.
    A graph that is given or read from a file must have exactly that many agents.
    """
    if agents < 1:
        raise GraphError(f"a graph needs at least 1 agent, not {agents}")
    if seed < 0:
        raise GraphError(f"the seed of a graph is a whole number from 0, not {seed}")
    spec = parse(source) if isinstance(source, str) else source
    if isinstance(spec, GraphSpec):
        if spec.path is None:
            return TOPOLOGIES[spec.name].links(int(agents), int(seed), spec.shape)
        links, called = read(spec.path), f"the graph file {spec.path!r}"
    elif isinstance(spec, Links):
        links, called = spec, "the links given"
    elif isinstance(spec, nx.Graph):
        links, called = Links.of(spec), "the networkx graph given"
    else:
        raise GraphError(f"a graph is a text, a GraphSpec, a networkx graph or Links, not {spec!r}")
    if links.n != agents:
        raise GraphError(f"{called} has {links.n} agents, not the {agents} asked for")
    return links


def _numbers(text: str, whole: str) -> dict[str, int | float]:
    numbers: dict[str, int | float] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or name in numbers:
            raise GraphError(f"the numbers of a topology are each given once, as k=6, not {part!r} in {whole!r}")
        try:
            numbers[name] = int(value) if re.fullmatch(r"[+-]?\d+", value) else float(value)
        except ValueError:
            raise GraphError(f"{name} in {whole!r} is a number, not {value!r}") from None
    return numbers
