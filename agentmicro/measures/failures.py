"""Failure modes of the MAST taxonomy, as far as a trace alone decides them.

The taxonomy (Cemri et al. 2025, arXiv 2503.13657) names fourteen modes, which its authors label by reading what agents
say. A trace has who saw what when doing what, which decides five of them by a rule (`DECIDED`) and leaves nine
(`UNDECIDED`). A rule marks events, not blame: an agent that keeps its act for a good reason is marked, too, so that a
share means something beside that of another arm or of the null, never by itself.

Entries are those of a run's trace (`agentmicro.trace`): mappings with `time`, `agent`, `saw`, `act` and `outcome`.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from json import dumps
from math import floor
from typing import Any, Final, NamedTuple

type Entry = Mapping[str, Any]

DISOBEYED: Final = "1.1 disobey task specification"
REPEATED: Final = "1.3 step repetition"
UNAWARE: Final = "1.5 unaware of termination conditions"
WITHHELD: Final = "2.4 information withholding"
IGNORED: Final = "2.5 ignored other agent's input"

DECIDED: Mapping[str, str] = {
    DISOBEYED: "the reply was no act that the task allows, however often it was asked for",
    REPEATED: "shown nothing new, the agent does what it did last, while others still move",
    UNAWARE: "for the second turn running everybody does what they did last, and they are still asked",
    WITHHELD: "shown something new, the agent sends nothing but empty messages",
    IGNORED: "shown something new, the agent does what it did last, while others move",
}
UNDECIDED: Mapping[str, str] = {
    "1.2 disobey role specification": "roles are not in the trace, and an action beyond one is refused",
    "1.4 loss of conversation history": "what an agent remembers is not in the trace",
    "2.1 conversation reset": "whether a restart was warranted is a matter of meaning",
    "2.2 fail to ask for clarification": "whether something was unclear is a matter of meaning",
    "2.3 task derailment": "what belongs to the task is a matter of meaning",
    "2.6 reasoning-action mismatch": "whether an act follows from the words before it is a matter of meaning",
    "3.1 premature termination": "the objective is not in the trace",
    "3.2 no or incomplete verification": "what had to be checked is not in the trace",
    "3.3 incorrect verification": "what is true is not in the trace",
}
USABLE = ("valid", "repaired", "reasked")


class FailureMode(NamedTuple):
    """How often a failure mode occurred, and at how many decisions it could have."""

    times: int
    occasions: int

    @property
    def share(self) -> float:
        """The part of those decisions; `nan` where there is none."""
        return self.times / self.occasions if self.occasions else float("nan")


class _Step(NamedTuple):
    """One usable decision: its turn, and what in it is as it was at its agent's last."""

    turn: int
    first: bool
    repeats: bool
    news: bool
    silent: bool


def failure_modes(entries: Iterable[Entry]) -> dict[str, FailureMode]:
    """The modes of the MAST taxonomy that a trace decides, each with its count and its occasions.

    What an agent is shown is compared by author, content and number, so that the same act grown older is nothing new.
    Decisions that failed or were refused are neither modes nor occasions, and an agent's first act repeats nothing. A
    repetition is one thing only: 1.5 in a turn at rest, else 2.5 where there was something new, else 1.3. Acts without
    texts cannot be silent; an act that is several parts is silent if all its texts are empty.
    """
    decided = list(entries)
    steps = _steps(decided)
    resting = _resting(steps)
    later = [step for step in steps if not step.first]
    moving = [step for step in later if step.turn not in resting]
    return {
        DISOBEYED: _counted(entry["outcome"] == "invalid" for entry in decided),
        REPEATED: _counted(step.repeats for step in moving if not step.news),
        UNAWARE: _counted(step.turn in resting for step in later),
        WITHHELD: _counted(step.silent for step in steps if step.news),
        IGNORED: _counted(step.repeats for step in moving if step.news),
    }


def _counted(marks: Iterable[bool]) -> FailureMode:
    found = list(marks)
    return FailureMode(sum(found), len(found))


def _steps(entries: Iterable[Entry]) -> list[_Step]:
    last: dict[Any, tuple[str, set[str]]] = {}
    steps = []
    for entry in entries:
        if entry["outcome"] not in USABLE:
            continue
        act = dumps(entry["act"], sort_keys=True)
        saw = {dumps([shown["author"], shown["content"], shown["count"]], sort_keys=True) for shown in entry["saw"]}
        before, known = last.get(entry["agent"], (None, set()))
        texts = list(_texts(entry["act"]))
        silent = bool(texts) and not any(texts)
        steps.append(_Step(floor(entry["time"]), before is None, act == before, bool(saw - known), silent))
        last[entry["agent"]] = act, saw
    return steps


def _resting(steps: Iterable[_Step]) -> set[int]:
    """The turns in which everybody repeats their last act, right after a turn in which everybody did."""
    rests: defaultdict[int, bool] = defaultdict(lambda: True)
    for step in steps:
        rests[step.turn] &= step.repeats
    return {turn for before, turn in pairwise(sorted(rests)) if rests[before] and rests[turn]}


def _texts(act: object) -> Iterator[str]:
    """The texts in an act; a message to nobody is an empty one."""
    if isinstance(act, str):
        yield act
    elif isinstance(act, dict):
        yield from (text for part in act.values() for text in _texts(part))
        if not act:
            yield ""
