"""Information cascades: what lines of members who act one after another have done, and when they stopped using signals.

Acts and signals are codes: 0 for one side, 1 for the other, -1 for no act.
"""

from math import nan
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

type Codes = NDArray[np.integer]
type Flags = NDArray[np.bool_]

NONE = -1
LEAD = 2  # so many acts more for one side outweigh a signal for the other


def sides(codes: NDArray[np.generic]) -> NDArray[np.float64]:
    """+1 for the first side, -1 for the second, 0 for neither."""
    return np.where(codes == NONE, 0.0, 1.0 - 2.0 * codes.astype(float))


class Record(NamedTuple):
    """Lines by the order in which their members acted: what they did and knew, and what came of it.

    lead: how many more of those before chose the first side than the second. cascade: the side of the cascade in which
    the line is after each act, -1 for none. broken: which lines have left a cascade.
    """

    acts: Codes
    signals: Codes
    truth: Codes
    lead: Codes
    cascade: Codes
    broken: Flags

    @property
    def given(self) -> Flags:
        """Who has acted."""
        return np.asarray(self.acts != NONE)

    @property
    def right(self) -> Flags:
        """Who has acted, and rightly."""
        return np.asarray(self.given & (self.acts == self.truth))

    @property
    def ends(self) -> Codes:
        """Whether each line is in a wrong cascade (0), in none (1) or in a right one (2)."""
        last, truth = self.cascade[:, -1], self.truth[:, 0]
        return np.select([last == NONE, last == truth], [1, 2], 0)

    @property
    def against(self) -> Codes:
        """How far those before each member lead against its signal."""
        return np.asarray(-self.lead * sides(self.signals))


def recorded(acts: Codes, signals: Codes, truth: Codes) -> Record:
    """Follows each line: it is in a cascade while all do alike and one of them followed a lead against its signal.

    The lead is of two acts or more. Who has not acted is passed over.
    """
    lead, cascade = np.zeros(acts.shape, np.int64), np.full(acts.shape, NONE)
    ahead, run = np.zeros(len(acts), np.int64), np.full(len(acts), NONE)
    inside, broken = np.zeros(len(acts), bool), np.zeros(len(acts), bool)
    for place in range(acts.shape[1]):
        act, side = acts[:, place], sides(acts[:, place])
        lead[:, place] = ahead
        turned = (act != NONE) & (act != run)
        broken |= turned & inside
        followed = (act != NONE) & (act != signals[:, place]) & (ahead * side >= LEAD)
        inside = (inside & ~turned) | followed
        run = np.where(act == NONE, run, act)
        ahead = ahead + side.astype(np.int64)
        cascade[:, place] = np.where(inside, run, NONE)
    return Record(acts, signals, truth, lead, cascade, broken)


def share(part: Flags, whole: Flags) -> float:
    """How many of some are also others; NaN where there are none."""
    return float(part[whole].mean()) if whole.any() else nan
