"""Graphs from files: GraphML, and lists of edges as plain text."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree.ElementTree import ParseError

import networkx as nx
import numpy as np

from agentmicro.errors import GraphError
from agentmicro.graphs.links import Links

GRAPHML = (".graphml", ".graphml.gz")
ENDINGS = (*GRAPHML, ".edges", ".edgelist", ".csv", ".txt")


def read(path: str) -> Links:
    """The links a file describes.

    GraphML says itself whether it is directed. Otherwise each line is one edge: author, reader and perhaps a weight
    (1 if missing), apart by commas or white space; `#` begins a comment, and a first line `directed` makes every edge
    one way. Names that are exactly 0 to n-1 are the agents' numbers; other names become labels in order of appearance.
    """
    try:
        return _graphml(path) if path.lower().endswith(GRAPHML) else _edge_list(path)
    except (GraphError, OSError, UnicodeDecodeError) as error:
        raise GraphError(f"the graph file {path!r} cannot be read: {error}") from None


def _graphml(path: str) -> Links:
    try:
        graph = nx.read_graphml(path)
    except (ParseError, nx.NetworkXError, KeyError, ValueError, EOFError) as error:
        raise GraphError(f"it is not GraphML: {error}") from None
    return Links.of(nx.relabel_nodes(graph, dict(zip(graph, _numbered(list(graph)), strict=True))))


@dataclass
class _Lines:
    """What the lines read so far say."""

    directed: bool = False
    number: dict[str, int] = field(default_factory=dict)
    edges: list[tuple[int, int]] = field(default_factory=list)
    weights: list[float] = field(default_factory=list)
    weighted: bool = False

    def add(self, cells: list[str], where: str) -> None:
        """One more line, cut into cells."""
        if len(cells) not in (2, 3) or not all(cells):
            raise GraphError(f"{where}: an edge is author, reader and perhaps a weight, not {' '.join(cells)!r}")
        try:
            self.weights.append(float(cells[2]) if len(cells) == 3 else 1.0)
        except ValueError:
            raise GraphError(f"{where}: the weight of an edge is a number, not {cells[2]!r}") from None
        self.weighted |= len(cells) == 3
        author, reader = (self.number.setdefault(name, len(self.number)) for name in cells[:2])
        self.edges.append((author, reader))


def _edge_list(path: str) -> Links:
    lines = _Lines()
    for at, text in _meant(path):
        if not lines.edges and text.lower() in ("directed", "undirected"):
            lines.directed = text.lower() == "directed"
        else:
            cells = text.split(",") if "," in text else text.split()
            lines.add([cell.strip() for cell in cells], f"line {at}")
    if not lines.number:
        raise GraphError("it has no edges")
    names = _numbered(list(lines.number))
    edges = np.array(lines.edges)
    labels = names if isinstance(names[0], str) else None
    return Links.from_edges(
        len(names),
        edges if labels else np.array(names)[edges],
        directed=lines.directed,
        labels=labels,
        weights=lines.weights if lines.weighted else None,
    )


def _meant(path: str) -> Iterator[tuple[int, str]]:
    """The lines with something on them besides a comment, numbered as an editor does."""
    with Path(path).open(encoding="utf-8-sig") as file:
        for at, line in enumerate(file, 1):
            text = line.partition("#")[0].strip()
            if text:
                yield at, text


def _numbered(names: list[str]) -> list[str] | list[int]:
    """The names as numbers if they are exactly 0 to n-1 in plain digits, else as they are."""
    return [int(name) for name in names] if set(names) == {str(row) for row in range(len(names))} else names
