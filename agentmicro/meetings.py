"""Random pairs: who meets whom at a turn, and what each remembers of its meetings."""

from dataclasses import dataclass

import numpy as np

from agentmicro.acts import Acts, Coded, Rows, Times
from agentmicro.noise import permutation

NOBODY = -1


def matching(seed: int, turn: int, agents: int) -> Rows:
    """The partner of each agent at a turn: a uniformly random perfect matching, one left alone if the number is odd."""
    order = permutation(seed, "pairs", agents, turn)
    even = agents - agents % 2
    partner = np.full(agents, NOBODY, np.intp)
    partner[order[:even:2]], partner[order[1:even:2]] = order[1:even:2], order[:even:2]
    return partner


@dataclass(frozen=True)
class Met:
    """Meetings of a batch, newest first: one row per agent, one column per meeting; partner -1 where there is none."""

    partner: Rows
    turn: Times
    theirs: Coded
    mine: Coded


class Meetings:
    """The last meetings of every agent, with the acts of both as they stood when the turn was over."""

    def __init__(self, acts: Acts) -> None:
        self._acts = acts
        self._partner = np.full((len(acts.rows), 0), NOBODY, np.intp)
        self._turn = np.zeros((len(acts.rows), 0))
        self._theirs = self._mine = np.zeros((len(acts.rows), 0, *acts.own.shape[1:]), acts.own.dtype)

    def reach(self, depth: int) -> None:
        """Makes room for so many meetings of each agent."""
        more = depth - self._partner.shape[1]
        if more <= 0:
            return
        agents = len(self._acts.rows)
        blank = np.repeat(self._acts.affordance.blank(agents)[:, None], more, axis=1)
        self._partner = np.concatenate([self._partner, np.full((agents, more), NOBODY, np.intp)], axis=1)
        self._turn = np.concatenate([self._turn, np.full((agents, more), np.inf)], axis=1)
        self._theirs = np.concatenate([self._theirs, blank], axis=1)
        self._mine = np.concatenate([self._mine, blank], axis=1)

    def close(self, turn: float, partner: Rows) -> None:
        """Writes down the meetings of a turn that is over."""
        met = np.flatnonzero(partner != NOBODY)
        if not met.size or not self._partner.shape[1]:
            return
        own = self._acts.own
        news = (partner[met], turn, own[partner[met]], own[met])
        for column, new in zip((self._partner, self._turn, self._theirs, self._mine), news, strict=True):
            kept = column[met, :-1]
            column[met, 1:] = kept
            column[met, 0] = new

    def before(self, rows: Rows, when: float, depth: int) -> Met:
        """The newest `depth` meetings of some agents that were over by the end of turn `when`."""
        partner, turn = self._partner[rows], self._turn[rows]
        known = (partner != NOBODY) & (turn <= when)
        order = np.argsort(~known, axis=1, kind="stable")[:, :depth]
        lines = np.arange(rows.size)[:, None]
        partner = np.where(known[lines, order], partner[lines, order], NOBODY)
        return Met(partner, turn[lines, order], self._theirs[rows][lines, order], self._mine[rows][lines, order])
