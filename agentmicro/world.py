"""The world is an author too: feeds, prices and pools are public acts of the environment, exposed like any other.

A source is something the environment publishes. A phenomenon writes to it when acts settle; members get a `view` of it
as it stood `latency` turns ago, never the source itself.
"""

import functools
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from agentmicro.acts import Past
from agentmicro.architecture import Exposure
from agentmicro.errors import KnobError, listed, nearest
from agentmicro.noise import Luck, permutation

type Items = NDArray[np.integer]

ORDERS = ("shuffled", "fixed", "popular", "attack")
BLOCK = 1 << 13  # readers whose slates stay in the processor's cache while they are shuffled


class View(Protocol):
    """What a batch of readers is shown of one source."""

    def exposures(self, index: int) -> list[Exposure]:
        """What the index-th reader of the batch is shown, in its order."""
        ...


class Source(Protocol):
    """Something that the environment publishes."""

    latency: int

    def advance(self, turn: float, reach: float) -> None:
        """Moves to a later turn: what stands now becomes the past."""
        ...

    def view(self, when: float, luck: Luck, time: float) -> View:
        """What a batch of readers sees of the state at the end of turn `when`."""
        ...


class _Dated[State]:
    """A state that is replaced, never changed in place, with its past."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.turn = 0.0
        self._past: Past[State] = Past()

    def advance(self, turn: float, reach: float) -> None:
        if turn > self.turn:
            if reach > 0:
                self._past.keep(self.turn, self.state, reach)
            self.turn = turn

    def at(self, when: float) -> State:
        found = None if when >= self.turn else self._past.at(when)
        return self.state if found is None else found


class Notice:
    """One public value, such as a price, a score or a stock: the same for everyone."""

    def __init__(self, name: str, value: object, latency: int = 0) -> None:
        self.name = name
        self.latency = latency
        self._dated = _Dated((value, 0.0))

    @property
    def value(self) -> object:
        """The value that stands now."""
        return self._dated.state[0]

    def publish(self, value: object, time: float) -> None:
        """Replaces the value."""
        self._dated.state = (value, time)

    def advance(self, turn: float, reach: float) -> None:
        """Moves to a later turn: what stands now becomes the past."""
        self._dated.advance(turn, reach)

    def view(self, when: float, luck: Luck, time: float) -> "NoticeView":
        """The value as it stood at the end of turn `when`."""
        value, since = self._dated.at(when)
        return NoticeView(self.name, value, time - since)


class NoticeView:
    """A public value as the readers of one batch see it."""

    def __init__(self, name: str, value: object, age: float) -> None:
        self.name, self.value, self.age = name, value, age

    def exposures(self, index: int) -> list[Exposure]:
        """The value, by the name under which it is published."""
        return [Exposure(self.value, 1, self.name, self.age)]


class Feed:
    """A slate of items with like counts, shown to each reader in its own order.

    order: `shuffled` (anew at each visit), `fixed` (one order for all), `popular` (most liked first), `attack`
    (shuffled around the `target`, which always stands at `place`, 1 being the top). signal: whether the like counts are
    shown.
    """

    def __init__(
        self,
        items: tuple[str, ...],
        *,
        seed: int,
        order: str = "shuffled",
        signal: bool = True,
        likes: Items | None = None,
        latency: int = 0,
        place: int = 1,
        name: str = "feed",
    ) -> None:
        self.items = items
        self.name = name
        self.order = order
        self.signal = signal
        self.latency = latency
        self.put(place)
        self.slate = permutation(seed, "slate", len(items))
        self.target = int(permutation(seed, "target", len(items))[0])
        start = np.zeros(len(items), np.int64) if likes is None else np.asarray(likes, np.int64)
        self._dated = _Dated(start)

    @property
    def likes(self) -> NDArray[np.int64]:
        """How often each item has been liked by now."""
        return self._dated.state

    def like(self, counts: NDArray[np.integer]) -> None:
        """Adds likes, one count per item."""
        self._dated.state = self._dated.state + counts

    def put(self, place: int) -> None:
        """Says at which place an attack puts its target."""
        if not 1 <= place <= len(self.items):
            most = len(self.items)
            raise KnobError(f"place = {place}: expected a place from 1 to {most:,}, as many as there are items")
        self.place = place

    def advance(self, turn: float, reach: float) -> None:
        """Moves to a later turn: what stands now becomes the past."""
        self._dated.advance(turn, reach)

    def view(self, when: float, luck: Luck, time: float) -> "FeedView":
        """The feed with the likes of the end of turn `when`, in an order for each reader."""
        if self.order not in ORDERS:
            raise KnobError(f"order = {self.order!r}: expected one of {listed(ORDERS)}{nearest(self.order, ORDERS)}")
        likes = self._dated.at(when)
        return FeedView(self, likes, luck, time - max(0.0, min(when, self._dated.turn)))


class FeedView:
    """The feed as the readers of one batch see it: an order for each and the likes beside the items.

    Orders are made from the top down and only as deep as somebody looks, since a reader who stops at the fifth item
    never needs the other forty-three; looking deeper later continues the same order.
    """

    def __init__(self, feed: Feed, likes: NDArray[np.int64], luck: Luck, age: float) -> None:
        self._feed = feed
        self._luck = luck
        self._age = age
        self._likes = likes
        self._depth = 0
        self.size = len(feed.items)

    @property
    def likes(self) -> NDArray[np.int64]:
        """The like count shown beside each item: zeros when the signal is hidden."""
        return self._likes if self._feed.signal else np.zeros_like(self._likes)

    @property
    def signal(self) -> bool:
        """Whether like counts are shown at all."""
        return self._feed.signal

    def top(self, depth: int) -> Items:
        """The items at the first `depth` places, one row per reader; places are numbered from 0."""
        depth = min(depth, self.size)
        if self._feed.order in ("fixed", "popular"):
            ranked = self._feed.slate
            if self._feed.order == "popular":
                ranked = ranked[np.argsort(-self._likes[ranked], kind="stable")]
            return np.broadcast_to(ranked[:depth], (self._luck.keys.size, depth))
        if self._feed.order != "attack" or self._feed.place == 1:
            self._deal(depth)
            return self._dealt[:, :depth]
        above = self._feed.place - 1
        self._deal(min(depth + 1, self.size))
        return self._dealt[:, np.r_[1 : above + 1, 0, above + 1 : self.size][:depth]]

    def places(self, items: Items) -> NDArray[np.int64]:
        """The place (from 1) at which each reader was shown some items, one row per reader; 0 for -1."""
        depth = max(self._depth, 1)
        while True:
            shown = self.top(depth)
            found = shown[:, None, :] == items[:, :, None]
            place = np.where(found.any(axis=2), found.argmax(axis=2) + 1, 0)
            if depth >= self.size or not ((place == 0) & (items >= 0)).any():
                return place
            depth = self.size

    def exposures(self, index: int) -> list[Exposure]:
        """The items in this reader's order; the count is the likes shown, 0 when they are hidden."""
        shown = self.top(self.size)[index]
        likes, items = self.likes.tolist(), self._feed.items
        name, age = self._feed.name, self._age
        return [Exposure(items[item], likes[item], name, age) for item in shown.tolist()]

    @functools.cached_property
    def _dealt(self) -> Items:
        start = np.arange(self.size, dtype=np.int16 if self.size < 1 << 15 else np.int32)
        if self._feed.order == "attack":
            start[[0, self._feed.target]] = start[[self._feed.target, 0]]
        return np.tile(start, (self._luck.keys.size, 1))

    def _deal(self, depth: int) -> None:
        """Continues a Fisher-Yates shuffle of each reader's slate down to a place."""
        first = max(self._depth, int(self._feed.order == "attack"))
        if depth <= first:
            return
        draws = self._luck(depth - first)
        for begin in range(0, len(draws), BLOCK):
            dealt = self._dealt[begin : begin + BLOCK]
            cells, starts = dealt.reshape(-1), np.arange(len(dealt)) * self.size
            for place, draw in enumerate(draws[begin : begin + BLOCK].T, start=first):
                swap = starts + place + (draw * (self.size - place)).astype(np.intp)
                taken = cells[swap]
                cells[swap] = dealt[:, place]
                dealt[:, place] = taken
        self._depth = depth
