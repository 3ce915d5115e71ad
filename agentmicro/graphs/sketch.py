"""A sketch of a small network on matplotlib axes: who is linked to whom, with one number for each agent."""

from collections.abc import Collection, Mapping, Sequence
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from agentmicro.graphs.links import Links

LINE, INK, MARK = "#9A9A9A", "#333333", "#D55E00"
DISC, GAP = 620, 14  # the area of a disc and where its arrows end, in points
BEND = 0.28

type Points = NDArray[np.float64]


def circle(n: int) -> Points:
    """So many places on a circle, the first at the top, then clockwise."""
    angles = np.pi / 2 - 2 * np.pi * np.arange(n) / n
    return np.column_stack((np.cos(angles), np.sin(angles)))


def levels(level: ArrayLike) -> Points:
    """Places by level, from left to right; those of one level stand above each other, the first on top."""
    found = np.asarray(level, np.int64)
    before = np.array([np.sum(found[:row] == own) for row, own in enumerate(found.tolist())])
    return np.column_stack((found, (np.bincount(found)[found] - 1) / 2 - before)).astype(float)


def sketch(
    axes: Any,
    links: Links,
    places: Points,
    values: Sequence[float],
    texts: Sequence[str],
    ringed: Collection[int] = (),
    dashed: Collection[tuple[int, int]] = (),
    widths: Mapping[tuple[int, int], float] | None = None,
) -> None:
    """Draws agents as discs, the darker the higher their value (0 to 1, NaN is empty), each with a text in it.

    Arrows run from author to reader, and links that carry both ways are plain. Ringed agents have a thick border;
    dashed pairs are drawn as links that are not there. widths: how wide some arrows are, in points.
    """
    solid = [tuple(pair) for pair in links.edges().tolist()]
    for author, reader in (*solid, *dashed):
        style = {
            "arrowstyle": "-|>" if links.directed else "-",
            "color": LINE,
            "lw": (widths or {}).get((author, reader), 0.9),
        }
        style |= {"shrinkA": GAP, "shrinkB": GAP, "connectionstyle": f"arc3,rad={_bend(places, author, reader)}"}
        style |= {"linestyle": "dashed"} if (author, reader) in dashed else {}
        axes.annotate("", places[reader], places[author], arrowprops=style)
    for row, (value, text) in enumerate(zip(values, texts, strict=True)):
        rim = {"edgecolors": MARK, "linewidths": 2.8} if row in ringed else {"edgecolors": INK, "linewidths": 0.8}
        full = (MARK, 0.85 * value) if isfinite(value) else "white"
        axes.scatter(*places[row], s=DISC, color="white", zorder=2)  # so that no line shows through a pale disc
        axes.scatter(*places[row], s=DISC, facecolors=[full], zorder=3, **rim)
        axes.text(*places[row], text, ha="center", va="center", fontsize=7.2, linespacing=0.95, color=INK, zorder=4)
    axes.set(xticks=[], yticks=[])
    axes.set_frame_on(False)
    axes.margins(0.16)


def _bend(places: Points, author: int, reader: int) -> float:
    """How far a link swerves: only where somebody else stands in its way."""
    way, off = places[reader] - places[author], places - places[author]
    along = off @ way / (way @ way)
    beside = np.abs(way[0] * off[:, 1] - way[1] * off[:, 0]) / np.hypot(*way)
    return BEND if bool(((along > 1e-6) & (along < 1 - 1e-6) & (beside < 0.1)).any()) else 0.0
