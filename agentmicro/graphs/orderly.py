"""The topologies without luck: for each, the check, networkx's generator and the array maker of the same edges."""

from math import isqrt
from typing import Any

import networkx as nx
import numpy as np

from agentmicro.errors import GraphError, listed
from agentmicro.graphs.links import Ints


def empty_edges(n: int) -> Ints:
    """No edges."""
    return np.empty((0, 2), np.int64)


def even_below(name: str, n: int, k: int) -> None:
    """The neighbours on a ring are as many to the left as to the right, and fewer than the agents."""
    if k % 2 or k >= n:
        top = (n - 1) // 2 * 2
        near = listed(f"k={near}" for near in sorted({min(max(2, k // 2 * 2), top), min((k + 1) // 2 * 2, top)}))
        raise GraphError(
            f"{name} with {n} agents takes an even k below {n}, not k={k}; "
            + (f"nearest: {near}" if top else "it needs at least 3 agents")
        )


def ring_fits(n: int, k: int, directed: int) -> None:
    """The ring takes an even k."""
    even_below("ring", n, k)


def ring_graph(n: int, k: int, directed: int) -> Any:
    """Networkx's circulant graph; directed, each speaks to the next k/2."""
    graph = nx.circulant_graph(n, range(1, k // 2 + 1), create_using=nx.DiGraph if directed else nx.Graph)
    if directed:
        graph.remove_edges_from([(author, reader) for author, reader in graph.edges if (reader - author) % n > k // 2])
    return graph


def ring_edges(n: int, k: int, directed: int = 0) -> Ints:
    """Each agent and the next k/2 around the ring."""
    authors = np.tile(np.arange(n), k // 2)
    return np.column_stack((authors, (authors + np.repeat(np.arange(1, k // 2 + 1), n)) % n))


def chain_graph(n: int, directed: int) -> Any:
    """Networkx's path graph."""
    return nx.path_graph(n, create_using=_kind(directed))


def chain_edges(n: int, directed: int) -> Ints:
    """Each agent and the next."""
    return np.column_stack((np.arange(n - 1), np.arange(1, n)))


def star_graph(n: int, directed: int) -> Any:
    """Networkx's full tree whose root has everybody else as children; its `star_graph` cannot be directed."""
    return tree_graph(n, max(n - 1, 1), directed)


def star_edges(n: int, directed: int) -> Ints:
    """Agent 0, the hub, and each other."""
    return np.column_stack((np.zeros(n - 1, np.int64), np.arange(1, n)))


def wheel_graph(n: int) -> Any:
    """Networkx's wheel graph."""
    return nx.wheel_graph(n)


def wheel_edges(n: int) -> Ints:
    """A star whose leaves form a ring."""
    return np.concatenate((star_edges(n, 0), ring_edges(n - 1, 2) + 1))


def tree_graph(n: int, branching: int, directed: int) -> Any:
    """Networkx's full r-ary tree."""
    return nx.full_rary_tree(branching, n, create_using=_kind(directed))


def tree_edges(n: int, branching: int, directed: int) -> Ints:
    """Each parent and its children, level by level."""
    children = np.arange(1, n)
    return np.column_stack(((children - 1) // branching, children))


def lattice_graph(n: int) -> Any:
    """Networkx's grid, cut after n nodes."""
    wide = _wide(n)
    grid = nx.convert_node_labels_to_integers(nx.grid_2d_graph(-(-n // wide), wide))
    return grid.subgraph(range(n))


def lattice_edges(n: int) -> Ints:
    """Each agent, its right neighbour in the row and the one below."""
    wide, here = _wide(n), np.arange(n)
    right = here[(here % wide < wide - 1) & (here + 1 < n)]
    below = here[: max(n - wide, 0)]
    return np.concatenate((np.column_stack((right, right + 1)), np.column_stack((below, below + wide))))


def torus_fits(n: int) -> None:
    """The agents fill a rectangle whose sides are at least 3."""
    if _high(n) is None:
        below = next((m for m in range(n, 8, -1) if _high(m)), None)
        above = next(m for m in range(max(n, 9), n + 10) if _high(m))
        near = listed(m for m in (below, above) if m)
        raise GraphError(
            f"a torus needs a number of agents that is two sides of at least 3 multiplied, not {n}; nearest: {near}"
        )


def torus_graph(n: int) -> Any:
    """Networkx's periodic grid."""
    high = _high(n) or n
    return nx.convert_node_labels_to_integers(nx.grid_2d_graph(high, n // high, periodic=True))


def torus_edges(n: int) -> Ints:
    """Each agent, its right neighbour and the one below, around both edges of the grid."""
    here = np.arange(n)
    wide = n // (_high(n) or n)
    right = here - here % wide + (here + 1) % wide
    return np.concatenate((np.column_stack((here, right)), np.column_stack((here, (here + wide) % n))))


def caveman_fits(n: int, clique: int) -> None:
    """There are at least two cliques."""
    if n <= clique:
        raise GraphError(f"caveman needs cliques smaller than the {n} agents, so clique at most {n - 1}, not {clique}")


def caveman_edges(n: int, clique: int) -> Ints:
    """Cliques in a ring: the first member of each gives up its link to the second for one to the previous clique."""
    low, high = np.triu_indices(clique, 1)
    begins = np.arange(0, n, clique)
    pairs = np.column_stack(((begins[:, None] + low).ravel(), (begins[:, None] + high).ravel()))
    given_up = (pairs[:, 0] % clique == 0) & (pairs[:, 1] == pairs[:, 0] + 1)
    inside = pairs[(pairs[:, 1] < n) & ~given_up]
    return np.concatenate((inside, np.column_stack((begins, (begins - 1) % n))))


def _kind(directed: int) -> Any:
    return nx.DiGraph if directed else nx.Graph


def _wide(n: int) -> int:
    return isqrt(n - 1) + 1


def _high(n: int) -> int | None:
    """The shorter side of the squarest torus of n agents, if there is one."""
    return next((side for side in range(isqrt(n), 2, -1) if n % side == 0), None)
