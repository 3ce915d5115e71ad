"""Plain honest code that does the same work without agentmicro: Mesa as its users write it, and NumPy at its limit."""

from math import exp, log1p

import mesa
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

GATE_SLOPE, STEP = -0.6, 0.5


class Reader(mesa.Agent):  # type: ignore[misc]  # Mesa ships no types
    """A reader of a news feed, written as most users of Mesa write agents."""

    def decide(self) -> None:
        """Shuffles the feed, weighs every item by a logit of place and likes, and draws three without repeats."""
        feed, random, likes = self.model.feed, self.model.random, self.model.likes
        random.shuffle(feed)
        weights = [exp(GATE_SLOPE * place + STEP * log1p(likes[item])) for place, item in enumerate(feed)]
        self.picked: list[int] = []
        for _ in range(self.model.most):
            (place,) = random.choices(range(len(feed)), weights)
            self.picked.append(feed[place])
            weights[place] = 0.0

    def endorse(self) -> None:
        """Adds its likes once everybody has decided."""
        for item in self.picked:
            self.model.likes[item] += 1


class PlainFeed(mesa.Model):  # type: ignore[misc]
    """Readers of a feed on plain Mesa, all deciding at once; no measures and no data collection."""

    def __init__(self, readers: int, items: int, most: int) -> None:
        super().__init__(rng=1)
        self.feed, self.likes, self.most = list(range(items)), [0] * items, most
        Reader.create_agents(self, readers)

    def step(self) -> None:
        """Everybody decides, then everybody's endorsements become likes."""
        self.agents.do("decide")
        self.agents.do("endorse")


class FullScan:
    """The limit of NumPy for readers who look at the whole feed: one batch, no keyed luck, no measures."""

    def __init__(self, readers: int, items: int, most: int) -> None:
        self.rng = np.random.default_rng(1)
        self.shape, self.most = (readers, items), most
        self.likes = np.zeros(items, np.int64)

    def step(self) -> None:
        """Orders the feed for each reader and draws the endorsed items by Gumbel top-k."""
        shown = self.rng.random(self.shape).argsort(axis=1)
        utility = GATE_SLOPE * np.arange(self.shape[1]) + (STEP * np.log1p(self.likes))[shown]
        utility += self.rng.gumbel(size=self.shape)
        best = np.argpartition(-utility, self.most - 1, axis=1)[:, : self.most]
        picked = np.take_along_axis(shown, best, axis=1)
        self.likes += np.bincount(picked.ravel(), minlength=self.shape[1])


class Bare(mesa.Agent):  # type: ignore[misc]
    """An agent that does nothing: the least that Mesa can make."""


def bare_agents(n: int) -> mesa.Model:
    """A Mesa model with so many agents that do nothing."""
    model = mesa.Model(rng=1)
    Bare.create_agents(model, n)
    return model


def product(matrix: csr_array, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """One sparse product: the sum of what each reader hears."""
    return np.asarray(matrix @ values)
