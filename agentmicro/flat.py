"""Exposures one by one: whose act reached which reader, and what it says to that reader."""

from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from agentmicro.acts import Coded, Rows, Times
from agentmicro.affordances import Affordance, Artifact, Message, Number, Tools
from agentmicro.architecture import Exposure
from agentmicro.errors import RuleError


class Flat(NamedTuple):
    """Exposures one by one: which row of the batch, whose act, the act, and when it was made.

    Within a row what stands comes first, by author, then what is remembered, turn by turn backwards.
    """

    row: Rows
    author: Rows
    act: Coded
    time: Times

    def take(self, indices: Rows | slice) -> "Flat":
        """Some of the exposures."""
        return Flat(self.row[indices], self.author[indices], self.act[indices], self.time[indices])


def part_of(kind: Affordance, part: str | None) -> Affordance:
    """The affordance of one part of an act, or of the whole; a RuleError where the act has no parts."""
    if part is None:
        return kind
    if not isinstance(kind, Artifact | Tools):
        raise RuleError(f"part {part!r}: the act is a {type(kind).__name__} and has no parts")
    return kind.part(part)


def column(acts: Coded, part: str | None) -> Coded:
    """One part of some acts, or the acts."""
    return acts if part is None else acts[part]


def differs(kind: Affordance, acts: Coded, others: Coded) -> NDArray[np.bool_]:
    """Where two acts differ; a part that both leave blank, which may be NaN, is the same."""
    if isinstance(kind, Tools):
        parts = [differs(part, acts[name], others[name]) for name, part in kind.parts.items()]
        return np.asarray(np.any(parts, axis=0))
    unlike = acts != others
    unlike = np.asarray(unlike.any(axis=1) if unlike.ndim > 1 else unlike)
    return unlike & ~(kind.is_blank(acts) & kind.is_blank(others)) if isinstance(kind, Number) else unlike


def once_each(flat: Flat) -> Flat:
    """Shown at several decisions, an act is still one exposure."""
    order = np.lexsort((flat.time, flat.author, flat.row))
    key = np.column_stack([flat.row, flat.author, flat.time])[order]
    first = np.append(True, (key[1:] != key[:-1]).any(axis=1))[: len(key)]
    return flat.take(np.sort(order[first]))


def content(kind: Affordance, act: Any, reader: int) -> object:
    """An act as its reader gets it: of a message to some, the text that names the reader."""
    value = kind.decode(act)
    if isinstance(kind, Message):
        return value[reader] if kind.addressed else value
    if isinstance(kind, Artifact):
        return _received(kind.parts, value, reader)
    if isinstance(kind, Tools):
        return {tool: _received(kind.actions[tool], arguments, reader) for tool, arguments in value.items()}
    return value


def _received(parts: Mapping[str, Affordance], values: Mapping[str, Any], reader: int) -> dict[str, Any]:
    """The parts of an act as its reader gets them, without the messages to others."""
    found = {}
    for name, value in values.items():
        if not is_addressed(parts[name]):
            found[name] = value
        elif reader in value:
            found[name] = value[reader]
    return found


def is_addressed(kind: Affordance) -> bool:
    """Whether it is a message to some."""
    return isinstance(kind, Message) and kind.addressed


def addresses(kind: Affordance) -> bool:
    """Whether an act can name whom it is for."""
    return any(map(is_addressed, kind.parts.values() if isinstance(kind, Artifact | Tools) else (kind,)))


def addressed(flat: Flat, rows: Rows, kind: Affordance) -> Flat:
    """Keeps the acts whose message names their reader."""
    parts = kind.parts if isinstance(kind, Artifact | Tools) else {}
    letters = [flat.act[name] for name, part in parts.items() if is_addressed(part)] or [flat.act]
    readers = rows[flat.row].tolist()
    named = [
        any(isinstance(act, dict) and reader in act for act in acts)
        for reader, *acts in zip(readers, *letters, strict=True)
    ]
    return flat.take(np.flatnonzero(named))


def counted(shown: list[Exposure]) -> list[Exposure]:
    """One exposure per content with its count, most frequent first; the age is that of the newest."""
    tally: Counter[str] = Counter()
    first: dict[str, Exposure] = {}
    for item in shown:
        tally[str(item.content)] += 1
        known = first.setdefault(str(item.content), item)
        if item.age < known.age:
            first[str(item.content)] = item
    return [
        Exposure(first[text].content, count, None, first[text].age)
        for text, count in sorted(tally.items(), key=lambda pair: (-pair[1], pair[0]))
    ]
