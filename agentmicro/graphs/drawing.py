"""Where to draw each agent; nothing but drawing asks."""

from collections.abc import Hashable

import networkx as nx
import numpy as np
from numpy.typing import NDArray

from agentmicro.graphs.links import Links

Points = NDArray[np.float64]

FEW, SOME = 12, 500


def layout(links: Links, seed: int = 0) -> dict[Hashable, tuple[float, float]]:
    """Each agent has a place in the square from -1 to 1, the same for the same links and seed.

    A circle if everyone hears everyone, if everybody's neighbours are the same steps away (rings), or if the agents are
    few; else springs up to 500 agents, and above that the two slowest modes of a walk on the graph.
    """
    if links.complete or links.n <= FEW or _circulant(links):
        points = _circle(links.n)
    elif links.n <= SOME:
        placed = nx.spring_layout(links.graph, seed=seed % 2**32, weight=None)
        points = np.array([placed[name] for name in links.names])
    else:
        points = _modes(links, seed)
    return {name: (x, y) for name, (x, y) in zip(links.names, points.tolist(), strict=True)}


def _circulant(links: Links) -> bool:
    degree = int(links.degrees[0])
    if degree == 0 or (links.degrees != degree).any():
        return False
    steps = (links.authors.reshape(-1, degree) - np.arange(links.n)[:, None]) % links.n
    steps.sort(axis=1)
    return bool((steps == steps[0]).all())


def _circle(n: int) -> Points:
    angles = 2 * np.pi * np.arange(n) / n
    return np.column_stack((np.cos(angles), np.sin(angles)))


def _modes(links: Links, seed: int) -> Points:
    """Averaging over neighbours, again and again, leaves the slowest modes; ranks spread them over the square."""
    hears = links.matrix.astype(bool).astype(float)
    both = hears + hears.T
    sizes = np.maximum(both.sum(axis=1), 1.0)[:, None]
    points = np.random.default_rng(seed).standard_normal((links.n, 2))
    for _ in range(100):
        points = (points + both @ points / sizes) / 2
        points = np.linalg.qr(points - points.mean(axis=0))[0]
    ranks = points.argsort(axis=0, kind="stable").argsort(axis=0)
    return 2.0 * ranks / (links.n - 1) - 1.0
