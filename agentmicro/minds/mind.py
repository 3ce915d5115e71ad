"""What a mind is: a batch of observations goes in, acts and how each decision ended come out."""

from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from agentmicro.acts import Coded
from agentmicro.exposure import Seen


class Outcome(IntEnum):
    """How a decision ended; the first three give an act, the others leave the agent's standing act as it was."""

    VALID = 0
    REPAIRED = 1
    REASKED = 2
    REFUSED = 3
    INVALID = 4
    FAILED = 5


USABLE = Outcome.REASKED


class Decided(NamedTuple):
    """The acts of a batch, coded, and how each decision ended; None where all are valid.

    said, asked: where minds talk, the raw text of each last reply and of each question.
    """

    acts: Coded
    outcomes: NDArray[np.int8] | None = None
    said: tuple[str, ...] | None = None
    asked: tuple[str, ...] | None = None


class Mind(Protocol):
    """Whoever decides for some agents; it belongs to the agents, not to the model."""

    name: str

    def decide(self, seen: Seen) -> Decided:
        """The acts of the agents of a batch, from what they are shown."""
        ...

    def ready(self) -> None:
        """Raises BudgetReached when no further turn may be paid for."""
        ...

    def opening(self) -> object:
        """The act with which its agents begin, or None to begin as the phenomenon says."""
        ...


@dataclass(frozen=True)
class Seat:
    """So many places for one mind, and where: `random`, `hubs`, `leaves`, `first`, `last` or a list of rows."""

    mind: Mind
    amount: float | None = None
    share: bool = False
    place: str | tuple[int, ...] = "random"
