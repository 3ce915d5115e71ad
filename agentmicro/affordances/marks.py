"""Picks as marks: rows of picked codes as tables with a column per option, and back; and picks for and against."""

import numpy as np
from numpy.typing import NDArray

from agentmicro.affordances.base import Acts

type Marks = NDArray[np.bool_]
type Views = NDArray[np.int8]


def marked(acts: Acts, options: int) -> Marks:
    """Which options each row picks; none in a blank row."""
    marks = np.zeros((len(acts), options + 1), np.bool_)
    np.put_along_axis(marks, np.where(acts < 0, options, acts.astype(np.intp)), True, axis=1)
    return marks[:, :options]


def picked(marks: Marks) -> Acts:
    """The rows of a `Picks` that may pick every option: what is marked in ascending order, then -1."""
    options = marks.shape[1]
    ordered = np.sort(np.where(marks, np.arange(options), options), axis=1)
    return np.where(ordered < options, ordered, -1)


def views(acts: Acts, claims: int) -> Views:
    """What each row says of some claims, where the options are all claims as true, then all as false.

    1 is true, -1 is false, and 0 is a claim that is left open or called both.
    """
    marks = marked(acts, 2 * claims).astype(np.int8)
    return marks[:, :claims] - marks[:, claims:]


def stated(found: Views) -> Acts:
    """The rows whose `views` are these."""
    return picked(np.hstack((found > 0, found < 0)))
