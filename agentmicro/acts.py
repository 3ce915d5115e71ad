"""The table of acts: the standing act of every agent, with as much of the past as the architecture looks back."""

from collections import deque
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agentmicro.affordances import Affordance

type Coded = NDArray[Any]
type Times = NDArray[np.float64]
type Rows = NDArray[np.integer]


class Past[State]:
    """States with the time at which each was last true, kept as far back as anyone may look."""

    def __init__(self) -> None:
        self._states: deque[tuple[float, State]] = deque()

    def keep(self, time: float, state: State, reach: float) -> None:
        """Remembers the state that stood until the end of `time`, and forgets what nobody within reach can ask for."""
        self._states.append((time, state))
        while len(self._states) > 1 and self._states[1][0] <= time - reach:
            self._states.popleft()

    def at(self, when: float) -> State | None:
        """The state that stood at the end of `when`, or the oldest that is kept; None where nothing is kept."""
        found = None
        for time, state in self._states:
            if time > when and found is not None:
                break
            found = state
        return found

    def __len__(self) -> int:
        return len(self._states)


class Acts:
    """One row per agent: its standing act and when it was made.

    Whole-population writes replace the arrays, so the past costs no copy; partial writes copy once per turn and only
    while somebody can look back.
    """

    def __init__(self, affordance: Affordance, agents: int) -> None:
        self.affordance = affordance
        self.rows: Rows = np.arange(agents)
        self.own: Coded = affordance.blank(agents)
        self.times: Times = np.zeros(agents)
        self.turn = 0.0
        self.reach = 0.0
        self.blanks = agents
        self._past: Past[tuple[Coded, Times, int]] = Past()
        self._shared = False

    def advance(self, turn: float) -> None:
        """Moves to a later turn: what stands now becomes the past."""
        if turn <= self.turn:
            return
        if self.reach > 0:
            self._past.keep(self.turn, (self.own, self.times, self.blanks), self.reach)
            self._shared = True
        self.turn = turn

    def write(self, rows: Rows, acts: Coded, time: float, part: str | None = None) -> None:
        """Makes the acts of some rows, none of them blank once everybody has acted, their standing acts."""
        if rows is self.rows and part is None:
            self.own = acts.astype(self.own.dtype, copy=not acts.flags.writeable)
            self.times = np.full(rows.size, time)
            self.blanks = self.blanks and int(self.affordance.is_blank(self.own).sum())
            self._shared = True  # the array may be the rule's own, or the very one that stood before
            return
        if self._shared:
            self.own, self.times, self._shared = self.own.copy(), self.times.copy(), False
        if self.blanks:
            self.blanks -= int(self.affordance.is_blank(self.own[rows]).sum())
        if part is None:
            self.own[rows] = acts
        else:
            self.own[part][rows] = acts
        self.times[rows] = time

    def copy(self, other: "Acts") -> None:
        """Takes over what stands in another table of the same agents."""
        self.own, self.times, self.blanks = other.own.copy(), other.times.copy(), other.blanks

    def at(self, when: float) -> tuple[Coded, Times]:
        """The standing acts and their times as they were at the end of turn `when`."""
        return self._at(when)[:2]

    def blanks_at(self, when: float) -> int:
        """How many agents had not acted by the end of turn `when`."""
        return self._at(when)[2]

    def _at(self, when: float) -> tuple[Coded, Times, int]:
        now = self.own, self.times, self.blanks
        return now if when >= self.turn else self._past.at(when) or now
