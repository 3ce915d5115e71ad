"""Who decides when: orders, and the waves in which a sequential order can be run without changing its result."""

import numpy as np
from numpy.typing import NDArray

from agentmicro import noise
from agentmicro.acts import Rows
from agentmicro.graphs import Links


def order_of(turns: str, seed: int, turn: int, rows: Rows) -> Rows:
    """The rows in the order in which they decide this turn: as they stand, or shuffled by keyed luck."""
    return rows[noise.permutation(seed, "order", rows.size, turn)] if turns == "random" else rows


def waves(order: Rows, links: Links) -> list[Rows]:
    """Cuts a sequential order into batches whose members may decide at once with the result of one after another.

    An agent waits for every earlier agent that it hears, and must not act before an earlier agent that hears it has
    looked (the second clause matters on directed graphs). A wave is the longest such chain behind an agent, so the
    number of waves is the least possible under these two clauses.
    """
    position = np.full(links.n, -1, np.int64)
    position[order] = np.arange(order.size)
    level = np.zeros(links.n, np.int64)
    waiting = _later(order, position, links)[1]
    front = order[waiting[order] == 0]
    while front.size:
        (after, sources, strict), _ = _later(front, position, links)
        np.maximum.at(level, after, level[sources] + strict)
        np.subtract.at(waiting, after, 1)
        reached = np.unique(after)
        front = reached[waiting[reached] == 0]
    levels = level[order]
    ranked = np.argsort(levels, kind="stable")
    return np.split(order[ranked], np.flatnonzero(np.diff(levels[ranked])) + 1)


def _later(
    rows: Rows, position: NDArray[np.int64], links: Links
) -> tuple[tuple[NDArray[np.integer], Rows, NDArray[np.int64]], NDArray[np.int64]]:
    """The pairs (later, earlier, whether the later one hears the earlier) that start at some rows, and their tally."""
    parts = [_edges(rows, links.heard_by, 1)]
    if links.directed:
        parts.append(_edges(rows, links, 0))
    after, sources, strict = (np.concatenate(column) for column in zip(*parts, strict=True))
    keep = position[after] > position[sources]
    after, sources, strict = after[keep], sources[keep], strict[keep]
    return (after, sources, strict), np.bincount(after, minlength=links.n)


def _edges(rows: Rows, links: Links, strict: int) -> tuple[NDArray[np.integer], Rows, NDArray[np.int64]]:
    counts, others = links.of_rows(rows)
    return others, np.repeat(rows, counts), np.full(others.size, strict, np.int64)
