"""Why an agent did what it did, from the trace alone: what it saw, and whose acts its own repeats, back in time.

An act is said to follow an exposure that showed the same content: that is what can be seen from outside, and no proof
of cause. What a cause is, a second run with that one thing changed would show.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

DEPTH = 3  # steps back that an influence tree goes
WIDE = 12  # edges that one step may add

type Entry = Mapping[str, Any]


@dataclass(frozen=True)
class Followed:
    """One step of an influence: who repeated what of whom, how many steps before the act that was asked about."""

    author: int
    reader: int
    content: str
    time: float
    depth: int


def decisions(entries: Sequence[Entry], agent: int, upto: int | None = None) -> list[Entry]:
    """The decisions of one agent, oldest first; the first `upto` entries count, all of them by default."""
    return [entry for entry in entries[:upto] if entry["agent"] == agent]


def tree(entries: Sequence[Entry], rows: Mapping[str, int], entry: Entry, depth: int = DEPTH) -> list[Followed]:
    """Whom an act followed, whom those had followed, and so on, nearest first; rows: the row of each name.

    Each agent is looked at once. Exposures without an author lead nowhere.
    """
    by_agent: dict[int, list[Entry]] = {}
    for one in entries:
        by_agent.setdefault(one["agent"], []).append(one)
    found: list[Followed] = []
    seen = {entry["agent"]}
    step = [entry]
    for level in range(1, depth + 1):
        before: list[Entry] = []
        for one in step:
            for author, content, age in _echoes(one, rows)[:WIDE]:
                found.append(Followed(author, one["agent"], content, one["time"], level))
                if author not in seen:
                    seen.add(author)
                    made = [past for past in by_agent.get(author, ()) if past["time"] <= one["time"] - age + 1e-9]
                    before += made[-1:]
        step = before
    return found


def _echoes(entry: Entry, rows: Mapping[str, int]) -> list[tuple[int, str, float]]:
    """The exposures of a decision whose content is the act, or part of it: author, content and age."""
    acted = {_text(entry["act"]), *map(_text, _parts(entry["act"]))}
    return [
        (rows[shown["author"]], _text(shown["content"]), shown["age"])
        for shown in entry["saw"]
        if shown["author"] in rows and acted & {_text(shown["content"]), *map(_text, _parts(shown["content"]))}
    ]


def _parts(value: Any) -> list[Any]:
    if isinstance(value, Mapping):
        return list(value.values())
    return list(value) if isinstance(value, list | tuple) else []


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
