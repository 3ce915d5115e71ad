"""Who is exposed to whom, as compressed rows: for each reader, the authors it hears."""

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any

import networkx as nx
import numpy as np
from numpy.typing import ArrayLike, NDArray

from agentmicro.errors import GraphError, listed

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Ints = NDArray[np.int64]
Rows = tuple[Ints, NDArray[np.int32]]
Weights = NDArray[np.float64]

LISTED = 10_000  # up to this many agents, "everyone hears everyone" may be written out pair by pair


@dataclass(frozen=True, eq=False, repr=False)
class Links:
    """Links say which authors each reader is exposed to.

    An edge u -> v carries what u says to v; an undirected edge carries both ways. Nobody is linked to itself and no
    pair is linked twice. Links never change, links of equal content are equal, and caches are not pickled. Make them
    with `of`, `from_edges`, `everyone` or `nobody`. `complete` is true exactly when everyone is exposed to all others
    without weights, however the links were made; their pairs are then not stored.
    """

    n: int
    directed: bool
    complete: bool
    labels: tuple[Hashable, ...] | None
    weights: Weights | None
    _rows: Rows | None

    def __post_init__(self) -> None:
        for array in (self.weights, *(self._rows or ())):
            if array is not None:
                _still(array)

    @classmethod
    def everyone(cls, n: int) -> "Links":
        """Everyone is exposed to everyone else, and no pair is stored."""
        return cls(_counted(n), False, True, None, None, None)

    @classmethod
    def nobody(cls, n: int) -> "Links":
        """Nobody is exposed to anybody."""
        return cls.from_edges(n, np.empty((0, 2), np.int64))

    @classmethod
    def of(cls, graph: Any) -> "Links":
        """A networkx graph says who is exposed to whom: u -> v exposes v to u.

        Nodes named 0 to n-1 keep their numbers; other names become `labels`, in the order of the graph. Edges that have
        a `weight` keep it, and then those without one weigh 1. Other attributes of nodes and edges are not kept.
        """
        names = list(graph.nodes)
        numbered = set(names) == set(range(len(names)))
        number = {name: int(name) if numbered else row for row, name in enumerate(names)}
        edges = [(number[author], number[reader]) for author, reader in graph.edges()]
        given = [weight for _, _, weight in graph.edges(data="weight")]
        weighted = any(weight is not None for weight in given)
        return cls.from_edges(
            len(names),
            np.array(edges, np.int64).reshape(-1, 2),
            directed=graph.is_directed(),
            labels=None if numbered else names,
            weights=[1.0 if weight is None else weight for weight in given] if weighted else None,
        )

    @classmethod
    def from_edges(
        cls,
        n: int,
        edges: ArrayLike,
        directed: bool = False,
        labels: Iterable[Hashable] | None = None,
        weights: ArrayLike | None = None,
    ) -> "Links":
        """Pairs (author, reader) of row numbers say who is exposed to whom; undirected pairs count both ways.

        Pairs of one with itself are dropped and repeated pairs are one pair. A pair repeated with two different weights
        is a GraphError, because no choice between them is right for everybody.
        """
        n = _counted(n)
        names = None if labels is None else _names(n, labels)
        authors, readers = _ends(n, edges)
        heavy = None if weights is None else _weights(weights, len(authors))
        if not directed:
            authors, readers = np.concatenate((authors, readers)), np.concatenate((readers, authors))
            heavy = None if heavy is None else np.concatenate((heavy, heavy))
        apart = authors != readers
        keys, heavy, clash = _once_each(readers[apart] * n + authors[apart], None if heavy is None else heavy[apart])
        if clash is not None:
            reader, author = (at if names is None else names[at] for at in divmod(clash, n))
            raise GraphError(f"the edge between {author!r} and {reader!r} is given twice with different weights")
        if heavy is None and len(keys) == n * (n - 1):
            return cls(n, bool(directed), True, names, None, None)
        rows = np.searchsorted(keys, np.arange(n + 1) * n), (keys % n).astype(np.int32)
        return cls(n, bool(directed), False, names, heavy, rows)

    @property
    def starts(self) -> Ints:
        """Reader i's authors begin at `starts[i]` and end before `starts[i + 1]`."""
        return self._listed[0]

    @property
    def authors(self) -> NDArray[np.int32]:
        """The authors each reader is exposed to, reader after reader, ascending within a reader."""
        return self._listed[1]

    @property
    def exposures(self) -> int:
        """The number of (reader, author) pairs; an undirected edge is two."""
        return self.n * (self.n - 1) if self._rows is None else len(self._rows[1])

    @property
    def names(self) -> tuple[Hashable, ...]:
        """What each row is called: its label, or else its number."""
        return self.labels or tuple(range(self.n))

    @cached_property
    def degrees(self) -> Ints:
        """How many authors each reader is exposed to."""
        return _still(np.full(self.n, self.n - 1) if self._rows is None else np.diff(self._rows[0]))

    @cached_property
    def out_degrees(self) -> Ints:
        """How many readers each author has."""
        return self.degrees if self._rows is None else _still(np.bincount(self._rows[1], minlength=self.n))

    @cached_property
    def matrix(self) -> "csr_array":
        """Readers by authors: the weight of each exposure, or 1, so `matrix @ x` sums what each reader hears."""
        starts, authors = self._listed
        values = _still(np.ones(len(authors))) if self.weights is None else self.weights
        return _sparse(values, authors, starts)

    @cached_property
    def pattern(self) -> "csr_array":
        """Readers by authors with 1 for each exposure, whatever it weighs, so `pattern @ x` counts."""
        if self.weights is None:
            return self.matrix
        return _sparse(np.ones(self.exposures), self.authors, self.starts)

    @cached_property
    def strengths(self) -> Weights:
        """What each reader's exposures weigh together."""
        if self.weights is None:
            return _still(self.degrees.astype(np.float64))
        return _still(np.asarray(self.matrix.sum(axis=1), np.float64))

    @cached_property
    def heard_by(self) -> "Links":
        """The links turned round: for each author, the readers that hear it."""
        if not self.directed:
            return self
        turned = self.edges()[:, ::-1]
        return Links.from_edges(self.n, turned, True, self.labels, self.weights)

    def weights_of(self, readers: NDArray[np.integer], authors: NDArray[np.integer]) -> Weights:
        """The weights of some exposures, pair by pair; 1 where the links have none."""
        if self.weights is None:
            return np.ones(len(readers))
        keys = np.repeat(np.arange(self.n), self.degrees) * self.n + self.authors
        return self.weights[np.searchsorted(keys, readers * self.n + authors)]

    @cached_property
    def graph(self) -> Any:
        """The networkx Graph or DiGraph with the labels; frozen, because the links would not follow a change."""
        made = nx.DiGraph() if self.directed else nx.Graph()
        names = self.names
        made.add_nodes_from(names)
        pairs = ((names[author], names[reader]) for author, reader in self.edges().tolist())
        if self.weights is None:
            made.add_edges_from(pairs)
        else:
            heavy = self.weights[self._once].tolist()
            made.add_weighted_edges_from((*pair, weight) for pair, weight in zip(pairs, heavy, strict=True))
        return nx.freeze(made)

    def of_rows(self, rows: ArrayLike) -> tuple[Ints, NDArray[np.int32]]:
        """How many authors each of these readers (0 to n-1) has, and all those authors, reader after reader.

        The authors may be a view into the links: read them, do not write.
        """
        readers = np.asarray(rows, dtype=np.int64)
        if self._rows is None:
            self._affordable(len(readers) * (self.n - 1))
            others = np.arange(self.n - 1, dtype=np.int32)
            return np.full(len(readers), self.n - 1), (others + (others >= readers[:, None])).ravel()
        starts, authors = self._rows
        begins, ends = starts[readers], starts[readers + 1]
        counts = ends - begins
        if not len(readers):
            return counts, authors[:0]
        if (begins[1:] == ends[:-1]).all():  # rows that follow one another, as one row or all of them do, are one slice
            return counts, authors[begins[0] : ends[-1]]
        before = np.cumsum(counts)
        return counts, authors[np.arange(before[-1]) + np.repeat(ends - before, counts)]

    def edges(self) -> Ints:
        """One row (author, reader) per edge; an undirected edge has one row, its smaller number first."""
        authors = self.authors.astype(np.int64)
        return np.column_stack((authors, np.repeat(np.arange(self.n), self.degrees)))[self._once]

    def is_connected(self) -> bool:
        """Everyone is linked to everyone by some path, whatever the direction of its edges."""
        if self._rows is None:
            return True
        starts, authors = self._rows
        from scipy.sparse.csgraph import connected_components

        bare = _sparse(np.ones(len(authors), np.int8), authors, starts)
        return bool(connected_components(bare, directed=self.directed, connection="weak", return_labels=False) == 1)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Links):
            return NotImplemented
        return (
            (self.n, self.directed, self.complete) == (other.n, other.directed, other.complete)
            and self.labels == other.labels
            and _same(self.weights, other.weights)
            and (self.complete or (_same(self.starts, other.starts) and _same(self.authors, other.authors)))
        )

    def __hash__(self) -> int:
        return hash((self.n, self.directed, self.exposures))

    def __reduce__(self) -> tuple[Callable[..., "Links"], tuple[Any, ...]]:
        return Links, tuple(getattr(self, field.name) for field in fields(self))

    def __repr__(self) -> str:
        edges = self.exposures if self.directed else self.exposures // 2
        kinds = {"complete": self.complete, "directed": self.directed, "weighted": self.weights is not None}
        return f"Links({listed([f'{self.n} agents', f'{edges} edges', *(kind for kind in kinds if kinds[kind])])})"

    @cached_property
    def _listed(self) -> Rows:
        if self._rows is not None:
            return self._rows
        self._affordable(self.n * (self.n - 1))
        return _still(np.arange(self.n + 1) * (self.n - 1)), _still(self.of_rows(np.arange(self.n))[1])

    @property
    def _once(self) -> NDArray[np.bool_] | slice:
        if self.directed:
            return slice(None)
        return np.asarray(self.authors < np.repeat(np.arange(self.n), self.degrees))

    def _affordable(self, pairs: int) -> None:
        if pairs > LISTED * (LISTED - 1):
            raise GraphError(
                f"everyone hears everyone among {self.n} agents: {pairs} pairs are too many to list, at most "
                f"{LISTED} agents are; use `links.complete` and `links.n` instead"
            )


def _sparse(values: NDArray[Any], authors: NDArray[np.int32], starts: Ints) -> "csr_array":
    """Compressed rows as SciPy has them; SciPy is loaded here, since many runs multiply nothing."""
    from scipy.sparse import csr_array

    return csr_array((values, authors, starts), shape=(len(starts) - 1, len(starts) - 1))


def _still[Shape: tuple[int, ...], Kind: np.generic](
    array: np.ndarray[Shape, np.dtype[Kind]],
) -> np.ndarray[Shape, np.dtype[Kind]]:
    array.flags.writeable = False
    return array


def _counted(n: int) -> int:
    if n < 1:
        raise GraphError(f"links need at least 1 agent, not {n}")
    return int(n)


def _ends(n: int, edges: ArrayLike) -> tuple[Ints, Ints]:
    pairs = np.asarray(edges)
    if pairs.size == 0:
        pairs = np.empty((0, 2), np.int64)
    if pairs.ndim != 2 or pairs.shape[1] != 2 or not np.issubdtype(pairs.dtype, np.integer):
        raise GraphError(
            f"edges are rows of two whole numbers (author, reader), not {pairs.dtype} of shape {pairs.shape}"
        )
    outside = pairs[(pairs < 0) | (pairs >= n)]
    if len(outside):
        raise GraphError(f"edges name agents 0 to {n - 1}, not {outside[0]}")
    return pairs[:, 0].astype(np.int64), pairs[:, 1].astype(np.int64)


def _weights(weights: ArrayLike, edges: int) -> Weights:
    try:
        heavy = np.asarray(weights, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise GraphError(f"the weights of edges are numbers: {error}") from None
    if heavy.shape != (edges,):
        raise GraphError(f"weights are one number per edge, {edges} in all, not an array of shape {heavy.shape}")
    if not np.isfinite(heavy).all():
        raise GraphError(f"the weights of edges are finite, not {heavy[~np.isfinite(heavy)][0]}")
    return heavy


def _names(n: int, labels: Iterable[Hashable]) -> tuple[Hashable, ...] | None:
    names = tuple(labels)
    if len(set(names)) != n or len(names) != n:
        raise GraphError(f"labels are {n} different names, one per agent, not {len(set(names))} among {len(names)}")
    return None if names == tuple(range(n)) else names


def _once_each(keys: Ints, weights: Weights | None) -> tuple[Ints, Weights | None, int | None]:
    """The different keys, ascending, their weights, and a key that has two weights if there is one."""
    if weights is None:
        keys = np.sort(keys)
        return keys[np.append(True, keys[1:] != keys[:-1])[: len(keys)]], None, None
    order = np.argsort(keys, kind="stable")
    keys, weights = keys[order], weights[order]
    again = np.append(False, keys[1:] == keys[:-1])[: len(keys)]
    clash = keys[again & (weights != np.roll(weights, 1))]
    return keys[~again], weights[~again], int(clash[0]) if len(clash) else None


def _same(mine: NDArray[Any] | None, theirs: NDArray[Any] | None) -> bool:
    return mine is theirs or (mine is not None and theirs is not None and np.array_equal(mine, theirs))
