"""A log whose every entry carries a digest of all before it, so that nobody rewrites the past unnoticed.

    digest = SHA-256(digest of the entry before + the body as canonical JSON)

Whoever keeps the last digest, the head, finds every entry that was changed, taken out, put in or moved, at the end of
the log as well. Without a head the chain vouches for its inside only: a log that was cut short, or whose digests were
computed anew from some entry on, hangs together. What was false when it was written stays false.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from agentmicro.errors import SpecError

START = "0" * 64  # what stands before the first entry


class Entry(NamedTuple):
    """One entry: its body as canonical JSON, and the digest that ties it to all before it."""

    text: str
    digest: str

    @property
    def body(self) -> Any:
        """What was logged, as JSON reads it back."""
        return json.loads(self.text)


class Chained:
    """A log that is only ever appended to; entries are immutable, and so is what they were made from."""

    def __init__(self) -> None:
        self._entries: list[Entry] = []

    def append(self, body: object) -> Entry:
        """Adds an entry at the end; a body that JSON cannot hold is a SpecError."""
        text = canonical(body)
        entry = Entry(text, linked(self.head, text))
        self._entries.append(entry)
        return entry

    @property
    def head(self) -> str:
        """The digest of the last entry: kept elsewhere, it vouches for the whole log."""
        return self._entries[-1].digest if self._entries else START

    def since(self, place: int) -> list[Entry]:
        """The entries from a place on."""
        return self._entries[place:]

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries)


def canonical(body: object) -> str:
    """The one text of a body: sorted keys, no spaces, ASCII, finite numbers only."""
    try:
        return json.dumps(body, sort_keys=True, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise SpecError(f"the log cannot hold {str(body)[:80]!r}, expected what JSON holds: {error}") from None


def linked(before: str, text: str) -> str:
    """The digest of an entry: of the digest before it and its own text."""
    return hashlib.sha256(f"{before}{text}".encode()).hexdigest()


def first_broken(entries: Iterable[Entry], after: str = START, head: str | None = None) -> int | None:
    """The place of the first entry that does not follow from all before it; None where the log is whole.

    after: the digest before the first entry, for the rest of a log. head: the digest that the last entry must have;
    a log that hangs together and ends otherwise is broken at its end, the place after its last entry.
    """
    place = -1
    for place, entry in enumerate(entries):
        if entry.digest != linked(after, entry.text):
            return place
        after = entry.digest
    return place + 1 if head is not None and after != head else None


def written(entries: Iterable[Entry]) -> str:
    """The entries as JSON lines, an object with `body` and `digest` in each."""
    return "".join(f'{{"body":{entry.text},"digest":"{entry.digest}"}}\n' for entry in entries)


def read(text: str) -> list[Entry]:
    """The entries of JSON lines, as they stand there: `first_broken` says whether they are what was written."""
    found = []
    for number, line in enumerate(text.splitlines(), start=1):
        try:
            raw = json.loads(line, object_pairs_hook=_once)
        except (ValueError, RecursionError) as error:
            raise SpecError(f"line {number} of the log is no JSON: {error}") from None
        if not isinstance(raw, dict) or set(raw) != {"body", "digest"} or not isinstance(raw["digest"], str):
            raise SpecError(f"line {number} of the log is no entry, expected an object with body and digest")
        found.append(Entry(canonical(raw["body"]), raw["digest"]))
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object whose keys are all different: of two values under one key a reader might take either."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands twice in one object")
    return found
