"""Classical algorithms of synchronous message passing: each agent tells its neighbours a note that it keeps of itself.

A note is three whole numbers, and what is told is the note in a sentence, so that an agent needs to remember nothing of
its neighbours: it hears their notes again in every round. A plan is a first note and a step: the new note from the own
one and from those heard. All are functions of a batch, and luck comes in as numbers already drawn.

References: flooding with the smallest number, Lynch 1996, Distributed Algorithms, chapter 4; two voices for what is
relayed, Koo 2004 (doi:10.1145/1011767.1011807); random colour trials, Johansson 1999
(doi:10.1016/S0020-0190(99)00064-2); the maximal independent set by random order, Blelloch, Fineman and Shun 2012
(arXiv:1202.3205), after Luby 1986 (doi:10.1137/0215074); matching by mutual proposals, Hoepman 2004 (arXiv:cs/0410047).
"""

import functools
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

type Ints = NDArray[np.int64]
type Flags = NDArray[np.bool_]

OPEN, OUT, IN = 0, 1, 2  # of an agent before, beside and in a cover


class Known(NamedTuple):
    """What each agent of a batch knows by itself.

    number: its own, different from all others'. near: its neighbours, in an order on which the two ends of a link
    agree: if i's list puts j before k, the link with j is the better one for both. groups: how many there are. checks:
    who wants a second voice for what is relayed. notices: who notices now that it clashes with a neighbour.
    """

    rows: Ints
    number: Ints
    value: Ints
    near: list[tuple[int, ...]]
    groups: int
    checks: Flags
    notices: Flags
    luck: NDArray[np.float64]

    @property
    def degrees(self) -> Ints:
        """How many neighbours each has."""
        return np.array([len(near) for near in self.near], np.int64)

    @property
    def listed(self) -> Ints:
        """The neighbours of all of them, list after list."""
        return np.array([other for near in self.near for other in near], np.int64)


class Heard(NamedTuple):
    """The notes that a batch hears: which row of the batch, from whom, and the three numbers."""

    row: Ints
    author: Ints
    notes: Ints

    def any(self, flags: Flags, size: int) -> Flags:
        """Which rows hear at least one note with a flag."""
        return np.asarray(np.bincount(self.row[flags], minlength=size) > 0)


def flood_first(known: Known) -> Ints:
    """The lowest number it knows is its own, from no steps away; beside it, the value it holds."""
    return np.column_stack([known.number, np.zeros_like(known.number), known.value])


def flood(known: Known, own: Ints, heard: Heard) -> Ints:
    """Takes over the lowest number it hears; an agent that checks wants it from its owner or from two neighbours."""
    number, steps, value = heard.notes.T
    order = np.lexsort((steps, value, number, heard.row))
    claims = np.column_stack([heard.row, number, value])[order]
    starts = np.flatnonzero(np.append(True, (claims[1:] != claims[:-1]).any(axis=1))[: len(claims)])
    row, lowest, worth = claims[starts].T
    voices = np.diff(np.append(starts, len(claims)))
    away = steps[order][starts]
    sound = ~known.checks[row] | (away == 0) | (voices > 1)
    better = np.flatnonzero(sound & (lowest < own[row, 0]))
    better = better[np.lexsort((-voices[better], lowest[better], row[better]))]
    rows, first = np.unique(row[better], return_index=True)
    best = better[first]
    new = own.copy()
    new[rows] = np.column_stack([lowest[best], away[best] + 1, worth[best]])
    return new


def colour_first(known: Known) -> Ints:
    """Tries any group, by luck."""
    group = 1 + (known.luck * known.groups).astype(np.int64)
    return np.column_stack([group, np.zeros_like(group), known.number])


def colour(known: Known, own: Ints, heard: Heard) -> Ints:
    """Settles in its group unless a neighbour comes first there; then it tries one that no neighbour is in, by luck.

    Who has settled comes before who has not, and of equals the lower number.
    """
    group, settled, number = heard.notes.T
    mine, fixed, rank = own[heard.row].T
    before = (settled > fixed) | ((settled == fixed) & (number < rank))
    moves = np.flatnonzero(heard.any((group == mine) & before, len(own)) & known.notices)
    inside = (group >= 1) & (group <= known.groups)
    used = np.zeros((len(own), known.groups + 1), bool)
    used[heard.row[inside], group[inside]] = True
    free = np.cumsum(~used[moves, 1:], axis=1)
    drawn = (known.luck[moves] * free[:, -1]).astype(np.int64)
    new = own.copy()
    new[:, 1] = 1
    new[moves, 0] = 1 + (free > drawn[:, None]).argmax(axis=1)
    new[moves, 1] = 0
    return new


def cover_first(known: Known) -> Ints:
    """Undecided; out of the cover if it has no neighbours."""
    state = np.where(known.degrees, OPEN, OUT)
    return np.column_stack([state, known.number, np.zeros_like(state)])


def cover(known: Known, own: Ints, heard: Heard) -> Ints:
    """Stays out of the cover once all lower numbers that it hears are in, and is in once a neighbour is out.

    Those who are out are a maximal independent set, so that those who are in are a minimal cover.
    """
    state, number, _ = heard.notes.T
    lower, size, mine = number < own[heard.row, 1], len(own), own[:, 0]
    told = np.bincount(heard.row, minlength=size)
    beside = heard.any(state == OUT, size)
    waits = heard.any(lower & (state != IN), size)
    clash = heard.any(lower & (state == OUT), size) & known.notices
    spare = (told == known.degrees) & ~beside & known.notices
    new = own.copy()
    cases = [(mine == OPEN) & beside, (mine == OPEN) & (told > 0) & ~waits, (mine == OUT) & clash, (mine == IN) & spare]
    new[:, 0] = np.select(cases, [IN, OUT, IN, OPEN], mine)
    return new


def match_first(known: Known) -> Ints:
    """Asks the first on its list; without neighbours nobody, which is noted as asking itself."""
    return _asking(known, np.repeat(np.arange(len(known.near)), known.degrees), known.listed)


def match(known: Known, own: Ints, heard: Heard) -> Ints:
    """Is paired once the neighbour it asks asks it; else asks the first on its list that it hears to be free.

    It goes on asking a neighbour of whom it hears nothing, but turns to no other of whom it hears nothing.
    """
    asked, paired, _ = heard.notes.T
    me, size = known.rows[heard.row], len(own)
    wanted = heard.author == own[heard.row, 0]
    gone = (paired == 1) & (asked != me)
    left = heard.any(wanted & gone, size)
    stays = (own[:, 1] == 1) & ~(left & known.notices)
    mutual = (own[:, 1] == 0) & heard.any(wanted & (asked == me), size)
    waits = np.flatnonzero(~left)
    free = np.append(heard.row[~gone], waits), np.append(heard.author[~gone], own[waits, 0])
    new = _asking(known, *free)
    new[stays | mutual] = own[stays | mutual]
    new[mutual, 1] = 1
    return new


def _asking(known: Known, rows: Ints, free: Ints) -> Ints:
    """A note that asks the first on the list of each row that is free for it; nobody if none is."""
    readers, listed = np.repeat(np.arange(len(known.near)), known.degrees), known.listed
    left = np.isin(_pairs(readers, listed), _pairs(rows, free))
    found, first = np.unique(readers[left], return_index=True)
    new = np.zeros((len(known.near), 3), np.int64)
    new[:, 0] = known.rows
    new[found, 0] = listed[left][first]
    return new


def _pairs(rows: Ints, others: Ints) -> Ints:
    return np.asarray((rows << 32) | others)


@dataclass(frozen=True)
class Plan:
    """One algorithm: the first note, the step to the next, what notes amount to, how one is told, and told falsely.

    means: the answer of each note, for agents of some rows and numbers; -1 names nobody. untrue: what an agent that is
    mistaken tells a neighbour, which stands at a place of its list, instead of its note; it is told how many groups
    there are.
    """

    first: Callable[[Known], Ints]
    step: Callable[[Known, Ints, Heard], Ints]
    said: str
    means: Callable[[Ints, Ints, Ints], Ints]
    untrue: Callable[[list[int], int, int, int], tuple[int, int, int]]

    def say(self, note: Iterable[int]) -> str:
        """The sentence of a note; numbers for which it has no place are left out."""
        return self.said.format(*note)

    @functools.lru_cache(maxsize=1 << 16)  # noqa: B019 - plans are few and live as long as the module
    def read(self, text: str) -> tuple[int, ...]:
        """The three numbers of a note; nothing for what is not said in this plan's words."""
        found = re.fullmatch(re.escape(self.said).replace(r"\{\}", r"(\d{1,9})"), text)
        return (*map(int, found.groups()), 0, 0)[:3] if found else ()


ELECT = Plan(
    flood_first,
    flood,
    "The lowest number I know is {}, from {} steps away.",
    means=lambda note, rows, number: np.asarray((note[:, 0] != number).astype(np.int64)),
    untrue=lambda note, neighbour, place, groups: (0, 1, 0),
)
AGREE = Plan(
    flood_first,
    flood,
    "The lowest number I know is {}, from {} steps away, and its value is {}.",
    means=lambda note, rows, number: note[:, 2],
    untrue=lambda note, neighbour, place, groups: (0, 1, place % 2),
)
COLOUR = Plan(
    colour_first,
    colour,
    "I am in group {}, settled: {}. My number is {}.",
    means=lambda note, rows, number: note[:, 0] - 1,
    untrue=lambda note, neighbour, place, groups: (note[0] % groups + 1, 1, note[2]),
)
COVER = Plan(
    cover_first,
    cover,
    "Coordinator: {} (0 undecided, 1 no, 2 yes). My number is {}.",
    means=lambda note, rows, number: np.asarray((note[:, 0] == OUT).astype(np.int64)),  # undecided, better covered
    untrue=lambda note, neighbour, place, groups: ({OPEN: OPEN, OUT: IN, IN: OUT}[note[0]], note[1], 0),
)
MATCH = Plan(
    match_first,
    match,
    "I ask agent {}, paired: {}.",
    means=lambda note, rows, number: np.where(note[:, 0] == rows, -1, note[:, 0]),
    untrue=lambda note, neighbour, place, groups: (neighbour, 0, 0),
)
