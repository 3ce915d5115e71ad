"""The topologies with luck: for each, the check, networkx's generator and a vectorised maker of the same law."""

from collections.abc import Iterator
from math import floor
from typing import Any

import networkx as nx
import numpy as np
from numpy.typing import NDArray

from agentmicro.errors import GraphError
from agentmicro.graphs.links import Ints, Links
from agentmicro.graphs.orderly import even_below, ring_edges

TRIES = 100


def small_world_fits(n: int, k: int, p: float) -> None:
    """The ring that is rewired takes an even k."""
    even_below("small_world", n, k)


def small_world_graph(n: int, k: int, p: float, seed: int) -> Any:
    """Networkx's connected Watts-Strogatz graph."""
    try:
        return nx.connected_watts_strogatz_graph(n, k, p, tries=TRIES, seed=seed)
    except nx.NetworkXError:
        raise _never_connected(n, k, p) from None


def small_world_edges(n: int, k: int, p: float, seed: int) -> Ints:
    """A ring whose links are each rewired at one end with chance p, again until everyone is connected.

    Watts and Strogatz (1998) rewire one link after another and let no new link repeat one that is there; here all are
    rewired at once, and a new link repeats neither a kept nor a new one nor the one it replaces. The two laws differ by
    the few collisions with links that are rewired later, a share k/n: k must be far below n.
    """
    rng, ring = np.random.default_rng(seed), ring_edges(n, k)
    for _ in range(TRIES):
        edges = _rewired(rng, n, ring, rng.random(len(ring)) < p)
        if Links.from_edges(n, edges).is_connected():
            return edges
    raise _never_connected(n, k, p)


def scale_free_fits(n: int, m: int) -> None:
    """A newcomer has m others to link to."""
    _at_most("scale_free", "m", m, n - 1, n)


def scale_free_graph(n: int, m: int, seed: int) -> Any:
    """Networkx's Barabasi-Albert graph."""
    return nx.barabasi_albert_graph(n, m, seed=seed)


def scale_free_edges(n: int, m: int, seed: int) -> Ints:
    """A star of m+1 grows: each newcomer links to m earlier agents by their degrees (Barabasi and Albert, 1999)."""
    luck = _uniform(np.random.default_rng(seed))
    ends = [0] * m + list(range(1, m + 1))  # everyone as often as its degree, so a uniform pick is preferential
    for newcomer in range(m + 1, n):
        size, chosen = len(ends), set[int]()
        while len(chosen) < m:
            chosen.add(ends[int(next(luck) * size)])
        ends.extend(chosen)
        ends.extend([newcomer] * m)
    return np.array(ends).reshape(-1, 2, m).swapaxes(1, 2).reshape(-1, 2)


def random_fits(n: int, directed: int, degree: float | None = None, p: float | None = None) -> None:
    """The mean degree is at most everybody else."""
    if degree is not None:
        _at_most("random", "degree", degree, n - 1, n)


def random_graph(n: int, directed: int, seed: int, degree: float = 0.0, p: float | None = None) -> Any:
    """Networkx's Erdos-Renyi graph."""
    return nx.fast_gnp_random_graph(n, _chance(n, degree, p), seed=seed, directed=bool(directed))


def random_edges(n: int, directed: int, seed: int, degree: float = 0.0, p: float | None = None) -> Ints:
    """Each pair, or if directed each ordered pair, is linked with the same chance (Erdos and Renyi, 1959)."""
    rng, chance = np.random.default_rng(seed), _chance(n, degree, p)
    if not directed:
        return _pairs_within(rng, n, chance)
    authors, readers = np.divmod(_some(rng, n * (n - 1), chance), max(n - 1, 1))
    return np.column_stack((authors, readers + (readers >= authors)))


def random_regular_fits(n: int, k: int) -> None:
    """A regular graph has k below n, and an even number of ends."""
    if k >= n or n * k % 2:
        near = sorted((other for other in range(1, n) if n * other % 2 == 0), key=lambda other: abs(other - k))[:2]
        raise GraphError(
            f"random_regular with {n} agents takes k below {n}{' and even' if n % 2 else ''}, not k={k}; "
            + (f"nearest: k={' or k='.join(map(str, sorted(near)))}" if near else "it needs at least 2 agents")
        )


def random_regular_graph(n: int, k: int, seed: int) -> Any:
    """Networkx's random regular graph."""
    return nx.random_regular_graph(k, n, seed=seed)


def random_regular_edges(n: int, k: int, seed: int) -> Ints:
    """Everyone holds k ends, which are joined at random until none is left (Steger and Wormald, 1999)."""
    rng = np.random.default_rng(seed)
    while True:
        keys = _joined(rng, n, k)
        if keys is not None:
            return np.column_stack(np.divmod(keys, n))


def delaunay_edges(n: int, seed: int) -> Ints:
    """Agents at uniform places in the unit square, linked to those next to them (Delaunay triangulation)."""
    from scipy.spatial import Delaunay

    corners = Delaunay(np.random.default_rng(seed).random((n, 2))).simplices.astype(np.int64)
    return np.concatenate((corners[:, :2], corners[:, 1:], corners[:, ::2]))


def stochastic_blocks_fits(n: int, blocks: int, inside: float, between: float) -> None:
    """Nobody expects more neighbours in its block, or outside it, than there are agents."""
    _at_most("stochastic_blocks", "blocks", blocks, n, n)
    sizes = _sizes(n, blocks)
    _at_most("stochastic_blocks", "inside", inside, float(sizes.min() - 1), n)
    _at_most("stochastic_blocks", "between", between, _outside(n, sizes), n)


def stochastic_blocks_graph(n: int, blocks: int, inside: float, between: float, seed: int) -> Any:
    """Networkx's stochastic block model."""
    sizes = _sizes(n, blocks)
    chances = np.full((blocks, blocks), between / _outside(n, sizes))
    np.fill_diagonal(chances, inside / np.maximum(sizes - 1, 1))
    return nx.stochastic_block_model(sizes.tolist(), chances.tolist(), seed=seed)


def stochastic_blocks_edges(n: int, blocks: int, inside: float, between: float, seed: int) -> Ints:
    """Equal blocks: so many neighbours are expected in the own block and outside it (Holland et al., 1983)."""
    rng, sizes, edges, begin = np.random.default_rng(seed), _sizes(n, blocks), [], 0
    outside = between / _outside(n, sizes)
    for size in sizes.tolist():
        end = begin + size
        edges.append(begin + _pairs_within(rng, size, inside / max(size - 1, 1)))
        edges.append(_pairs_across(rng, begin, end, n, outside))
        begin = end
    return np.concatenate(edges)


def bipartite_fits(n: int, left: float, degree: float) -> None:
    """Both sides have somebody, and enough for the degree."""
    side = round(left * n)
    if not 1 <= side < n:
        raise GraphError(f"bipartite with left={left:g} leaves one of its sides without any of the {n} agents")
    _at_most("bipartite", "degree", degree, _fullest(n, side), n)


def bipartite_graph(n: int, left: float, degree: float, seed: int) -> Any:
    """Networkx's random bipartite graph."""
    side = round(left * n)
    return nx.bipartite.random_graph(side, n - side, degree / _fullest(n, side), seed=seed)


def bipartite_edges(n: int, left: float, degree: float, seed: int) -> Ints:
    """Each pair from opposite sides is linked with the same chance, so that the mean degree is `degree`."""
    side = round(left * n)
    return _pairs_across(np.random.default_rng(seed), 0, side, n, degree / _fullest(n, side))


def _at_most(name: str, knob: str, value: float, top: float, n: int) -> None:
    if value > top:
        most = floor(top * 1e4) / 1e4  # rounded down, so that what the message offers is accepted
        raise GraphError(f"{name} with {n} agents takes {knob} up to {most:.10g}, not {value:.10g}")


def _never_connected(n: int, k: int, p: float) -> GraphError:
    return GraphError(
        f"small_world(k={k}, p={p:g}) with {n} agents cut somebody off in each of {TRIES} tries; raise k or lower p"
    )


def _uniform(rng: np.random.Generator) -> Iterator[float]:
    while True:
        yield from rng.random(1 << 12).tolist()


def _chance(n: int, degree: float, p: float | None) -> float:
    return degree / max(n - 1, 1) if p is None else p


def _fullest(n: int, side: int) -> float:
    """The mean degree where everyone is linked to the whole other side."""
    return 2 * side * (n - side) / n


def _sizes(n: int, blocks: int) -> Ints:
    return n // blocks + (np.arange(blocks) < n % blocks)


def _outside(n: int, sizes: Ints) -> float:
    """How many agents somebody finds outside its block, on average."""
    return float(n - (sizes**2).sum() / n)


def _some(rng: np.random.Generator, pairs: int, p: float) -> Ints:
    """Each of so many pairs with chance p, by itself: a binomial number of them, drawn without replacement."""
    return rng.choice(pairs, size=rng.binomial(pairs, p), replace=False, shuffle=False)


def _pairs_within(rng: np.random.Generator, n: int, p: float) -> Ints:
    keys = _some(rng, n * (n - 1) // 2, p)
    high = ((1 + np.sqrt(1 + 8 * keys)) / 2).astype(np.int64)
    high -= high * (high - 1) // 2 > keys  # the square root is off by one where it rounds up
    return np.column_stack((keys - high * (high - 1) // 2, high))


def _pairs_across(rng: np.random.Generator, begin: int, end: int, n: int, p: float) -> Ints:
    keys = _some(rng, (end - begin) * (n - end), p)
    ones, others = np.divmod(keys, max(n - end, 1))
    return np.column_stack((begin + ones, end + others))


def _keys(n: int, ones: Ints, others: Ints) -> Ints:
    return np.minimum(ones, others) * n + np.maximum(ones, others)


def _new(keys: Ints, present: Ints) -> NDArray[np.bool_]:
    """Which keys are the first of their value and not present."""
    first = np.zeros(len(keys), bool)
    first[np.unique(keys, return_index=True)[1]] = True
    return first & ~np.isin(keys, present)


def _rewired(rng: np.random.Generator, n: int, ring: Ints, lost: NDArray[np.bool_]) -> Ints:
    edges = ring.copy()
    present = _keys(n, *ring[~lost].T)
    todo = np.flatnonzero(lost)
    while len(todo):
        ones, others = ring[todo, 0], rng.integers(n, size=len(todo))
        keys = _keys(n, ones, others)
        good = _new(keys, present) & (ones != others) & (others != ring[todo, 1])
        edges[todo[good], 1] = others[good]
        present = np.concatenate((present, keys[good]))
        todo = todo[~good]
    return edges


def _joined(rng: np.random.Generator, n: int, k: int) -> Ints | None:
    """The keys of a regular graph, or None where the ends that are left cannot be joined."""
    present, ends = np.empty(0, np.int64), np.repeat(np.arange(n), k)
    while len(ends):
        rng.shuffle(ends)
        ones, others = ends[::2], ends[1::2]
        keys = _keys(n, ones, others)
        good = _new(keys, present) & (ones != others)
        present = np.concatenate((present, keys[good]))
        ends = np.concatenate((ones[~good], others[~good]))
        left = np.unique(ends)
        # More than k agents cannot all be linked to one another, since each of them still has an end free.
        if 0 < len(left) <= k and np.isin(_keys(n, left[:, None], left)[np.triu_indices(len(left), 1)], present).all():
            return None
    return present
