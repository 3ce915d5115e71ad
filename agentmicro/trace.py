"""The trace: who saw what when deciding what, one line of JSON per decision, and the influence graph made from it.

Where minds talk, an entry also has the question and the raw text of the reply, and the order and labels in which the
options were put, so that an artefact of position can be measured.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import floor
from pathlib import Path
from typing import IO, Any

import networkx as nx
import numpy as np

from agentmicro.affordances import Affordance
from agentmicro.exposure import Seen
from agentmicro.minds import Decided, Outcome

type Entry = dict[str, Any]


class Trace:
    """Collects the decisions of a run, in memory or, with a path, as JSON lines on disk.

    It costs a text view of every exposure, so it is off unless a society is given one: `society.trace = Trace()`.
    """

    def __init__(self, path: str | Path | None = None) -> None:
        self.path = None if path is None else Path(path)
        self._entries: list[Entry] = []
        self._file: IO[str] | None = None

    def write(self, seen: Seen, decided: Decided, minds: Sequence[str]) -> None:
        """Adds one entry for each decision of a batch, with the name of its mind, before it settles."""
        for index, row in enumerate(seen.rows.tolist()):
            one = seen.one(index)
            outcome = Outcome.VALID if decided.outcomes is None else Outcome(int(decided.outcomes[index]))
            entry: Entry = {
                "time": seen.time,
                "agent": row,
                "name": one.name,
                "decision": one.decision[1],
                "mind": minds[index],
                "saw": [exposure._asdict() for exposure in seen.heard(index)],
                "act": _act(seen.asked, decided, index),
                "outcome": outcome.name.lower(),
            }
            if decided.asked is not None:
                entry["asked"] = decided.asked[index]
            if decided.said is not None:
                entry |= {"said": decided.said[index], "order": one.offer.order, "labelled": one.offer.labelled}
            self._add(entry)

    def __iter__(self) -> Iterator[Entry]:
        """The entries so far, in the order in which the decisions were made."""
        if self.path is None:
            yield from self._entries
            return
        self.close()
        if self.path.exists():
            with self.path.open(encoding="utf-8") as lines:
                yield from map(json.loads, lines)

    @property
    def entries(self) -> Sequence[Entry]:
        """The entries that are kept in memory, a list that only grows: it can be read while a run goes on."""
        return self._entries

    def close(self) -> None:
        """Writes out what is buffered; a later entry opens the file again."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _add(self, entry: Entry) -> None:
        if self.path is None:
            self._entries.append(json.loads(json.dumps(entry, default=_plain)))
            return
        if self._file is None:
            self._file = self.path.open("a", encoding="utf-8")
        self._file.write(json.dumps(entry, default=_plain) + "\n")

    def __getstate__(self) -> dict[str, Any]:
        self.close()
        return self.__dict__


def influence(entries: Iterable[Mapping[str, Any]]) -> Any:
    """Who moved whom: a directed networkx graph from authors to readers, made from the entries of a trace.

    Each edge counts its exposures and how many of them were followed by the same act (`adopted`), beside how many
    would be if the acts of that turn were shuffled among its deciders (`expected`, in closed form: for each exposure
    the share of the turn's acts that equal what was shown). `lift` is adopted less expected, per exposure. Only
    exposures that show their author count, so the trace must come from `full` visibility.
    """
    turns: defaultdict[int, list[Mapping[str, Any]]] = defaultdict(list)
    for entry in entries:
        if entry["act"] is not None:
            turns[floor(entry["time"])].append(entry)
    tally: defaultdict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    expected: Counter[tuple[str, str]] = Counter()
    for decided in turns.values():
        acts = Counter(json.dumps(entry["act"]) for entry in decided)
        for entry in decided:
            for shown in entry["saw"]:
                if shown["author"] is None:
                    continue
                pair, content = (shown["author"], entry["name"]), json.dumps(shown["content"])
                tally[pair].update(exposures=1, adopted=int(content == json.dumps(entry["act"])))
                expected[pair] += acts[content] / len(decided)  # type: ignore[assignment]
    graph = nx.DiGraph()
    for (author, reader), counts in tally.items():
        seen, adopted, chance = counts["exposures"], counts["adopted"], float(expected[author, reader])
        graph.add_edge(author, reader, exposures=seen, adopted=adopted, expected=chance, lift=(adopted - chance) / seen)
    return graph


def _plain(value: Any) -> object:
    """A NumPy number, such as the world may publish, as JSON has it."""
    return value.item() if isinstance(value, np.generic) else str(value)


def _act(kind: Affordance, decided: Decided, index: int) -> object:
    coded = decided.acts[index : index + 1]
    return None if kind.is_blank(coded)[0] else kind.decode(coded[0])
