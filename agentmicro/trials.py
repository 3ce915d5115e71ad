"""Trials: the small runs that the contract is checked on, and how two of them are compared.

The laws themselves are in `contract`; here is what they need: the knobs of many small runs (`contexts`,
`alternatives`), turns cut into batches by another hand (`cut_by`), acts changed behind backs (`imposed`), and
what a prompt leaves out (`omission`).
"""

import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple, Never

import numpy as np

from agentmicro import architecture as micro
from agentmicro.acts import Rows
from agentmicro.affordances import Affordance, Choice, Picks
from agentmicro.completion import Request, Scripted
from agentmicro.errors import ReplyError, SpecError, listed
from agentmicro.exposure import Seen
from agentmicro.knobs import Knob, Scalar, knobs
from agentmicro.meetings import NOBODY
from agentmicro.minds import EVERYWHERE
from agentmicro.noise import permutation
from agentmicro.society import MINDS, Seed, Society
from agentmicro.trace import Entry, Trace
from agentmicro.turns import order_of

type Phenomenon = type[Society]
type Given = dict[str, Scalar]

SEED = 7
SIZE = 12  # agents: enough for every named topology, few enough for hundreds of runs
LENGTH = 5
LARGE = 1000  # the largest number that is tried for a knob, unless its default is of that order
VARIED: Mapping[str, tuple[Scalar, ...]] = {
    "turns": micro.TURNS,
    "visibility": micro.VISIBILITY,
    "communication": micro.COMMUNICATION,
    "urgency": micro.URGENCY,
    "latency": (1, 2),
    "loss": (0.3,),
    "shown": (2,),
    "memory": (2, micro.ALL),
    "graph": ("ring(directed=1)", "random(degree=3.0, directed=1)", "complete", "star", "empty"),
}


class Broken(AssertionError):
    """A phenomenon breaks a law of the contract."""


class Run(NamedTuple):
    """What a run leaves behind: its decisions by time and agent, and its measures turn by turn."""

    entries: list[Entry]
    measures: list[dict[str, str]]


def broken(cls: Phenomenon, law: str, given: Mapping[str, object], what: str) -> Never:
    """Raises `Broken` with the one sentence that all laws use."""
    where = f", with {listed(f'{name} = {value!r}' for name, value in given.items())}" if given else ""
    raise Broken(f"{cls.__name__} breaks '{law}'{where}: {what}")


# --- runs


def run(model: Society, turns: int = LENGTH) -> Run:
    """So many turns of a model, and all that it has left behind since its start."""
    model.trace = model.trace or Trace()
    for _ in range(turns):
        model.step()
    columns = {name: model.datacollector.model_vars[name] for name in model.measures}  # not what the calls cost
    # Twelve digits: batches may add up in another order, which is no other run.
    rows = zip(*([f"{value:.12g}" for value in column] for column in columns.values()), strict=True)
    entries = sorted(model.trace, key=lambda entry: (entry["time"], entry["agent"], entry["decision"]))
    return Run(entries, [dict(zip(columns, row, strict=True)) for row in rows])


def made(cls: Phenomenon, given: Mapping[str, object], rng: Seed = SEED) -> Society:
    """The model that some knobs make."""
    make: Callable[..., Society] = cls
    return make(**given, rng=rng)


def built(cls: Phenomenon, given: Given) -> Society | None:
    """The model that some knobs make, or None where the phenomenon refuses them."""
    try:
        return made(cls, given)
    except SpecError:
        return None


def small(cls: Phenomenon, **given: Scalar) -> Given:
    """Those of the knobs given that the phenomenon has, for few agents if its other knobs allow it."""
    found = {name: value for name, value in given.items() if name in knobs(cls)}
    fewer = {"agents": SIZE, **found}
    return fewer if "agents" in knobs(cls) and built(cls, fewer) is not None else found


def contexts(cls: Phenomenon, **given: Scalar) -> Iterator[Given]:
    """The knobs of a law's runs: those given alone, then beside one other micro-variable or mind at a time."""
    known, base = knobs(cls), small(cls, **given)
    yield base
    for name, values in {**VARIED, **dict.fromkeys(MINDS, tuple(cls.rules))}.items():
        for value in values if name in known and name not in given else ():
            if built(cls, base | {name: value}) is not None:
                yield base | {name: value}


def turn_structures(cls: Phenomenon, **given: Scalar) -> Iterator[Given]:
    """The knobs given, under every turn structure that the phenomenon offers."""
    for name in micro.TURNS if "turns" in knobs(cls) and "turns" not in given else ("",):
        yield small(cls, **given, **({"turns": name} if name else {}))


def alternatives(cls: Phenomenon, knob: Knob, now: Scalar) -> list[Scalar]:
    """Other values for a knob: its choices, the words its text starts with, the minds, or numbers near and far."""
    found: Iterable[Scalar]
    if knob.choices or knob.kind is bool:
        found = knob.choices or (True, False)
    elif knob.name in MINDS:
        found = (*cls.rules, *EVERYWHERE)
    elif isinstance(now, str):
        found = knob.written.names if knob.written else ()
    else:
        low, high = (knob.range.low, knob.range.high) if knob.range else (-math.inf, math.inf)
        near = (now + 1, now - 1, 2 * now, now / 2, low, (low + high) / 2, high)
        most = max(LARGE, 10 * abs(now))
        inside = [number for number in near if low <= number <= high and abs(number) <= most]
        found = [math.floor(number) for number in inside] if knob.kind is int else inside
    return [value for value in dict.fromkeys(found) if value != now]


# --- turns cut by another hand


def cut_by(cls: Phenomenon, waves: Callable[[Society, Rows], list[Rows]]) -> Phenomenon:
    """The same phenomenon, its turns cut into batches by a function of the model and the rows."""
    return type(cls.__name__, (cls,), {"waves": waves})


def one_by_one(model: Society, rows: Rows) -> list[Rows]:
    """Single agents in the order of the turn."""
    return list(order_of(model.architecture.turns, model.seed, int(model.time), rows)[:, None])


def in_batches(model: Society, rows: Rows) -> list[Rows]:
    """Three batches of agents in an order of their own."""
    return np.array_split(rows[permutation(model.seed, "batches", rows.size, int(model.time))], 3)


def backwards(_: Society, rows: Rows) -> list[Rows]:
    """Single agents, the last one first."""
    return list(rows[::-1, None])


# --- differences


def compare(cls: Phenomenon, law: str, given: Given, runs: Mapping[str, Run]) -> None:
    """Raises `Broken` for the first decision, or else the first measure, in which two runs differ."""
    (here, ours), (there, theirs) = runs.items()
    for one, other in zip(ours.entries, theirs.entries, strict=False):
        for part in sorted(one.keys() | other.keys(), key=list(one).index):
            if json.dumps(one.get(part)) != json.dumps(other.get(part)):
                who = f"agent {one['agent']} at time {one['time']:g}"
                broken(cls, law, given, f"{part} of {who} is {one.get(part)!r} {here} and {other.get(part)!r} {there}")
    if len(ours.entries) != len(theirs.entries):
        broken(cls, law, given, f"there are {len(ours.entries)} decisions {here} and {len(theirs.entries)} {there}")
    for turn, (first, second) in enumerate(zip(ours.measures, theirs.measures, strict=True)):
        for name in first:
            if first[name] != second[name]:
                broken(cls, law, given, f"{name} in row {turn} is {first[name]} {here} and {second[name]} {there}")


def behaviour(found: Run) -> str:
    """All of a run but what its minds are called."""
    return json.dumps([[entry | {"mind": ""} for entry in found.entries], found.measures])


def written(kind: Affordance, acts: np.ndarray[Any, Any]) -> list[str]:
    """Acts as texts that can be compared, blank ones included."""
    return [json.dumps(kind.decode(act), default=str) for act in acts]


# --- exposure


def answers(model: Society) -> dict[tuple[int, str, str], str]:
    """What each agent would hear, be asked and do now, in one batch and alone; nothing settles."""
    found = {}
    rows = model.acts.rows
    for way, batches in (("among all", [rows]), ("alone", list(rows[:, None]))):
        for batch in batches:
            seen = model.expose(batch)
            acts = written(seen.asked, model.decide(seen).acts)
            for index, row in enumerate(batch.tolist()):
                found[row, way, "exposure"] = str(seen.heard(index))
                found[row, way, "prompt"] = model.prompt(seen.one(index))
                found[row, way, "act"] = acts[index]
    return found


def readers(model: Society, row: int) -> set[int]:
    """The agents that may be shown something of one agent, by the architecture in force."""
    plan = model.architecture
    if plan.visibility == "hidden":
        return set()
    if plan.communication != "pairs":
        return set(np.flatnonzero(model.channel.pattern.toarray()[:, row]).tolist())
    met = set(np.flatnonzero(model.meeting(int(model.time)) == row).tolist())
    if model._meetings is not None:
        met |= set(np.flatnonzero((model._meetings._partner == row).any(axis=1)).tolist())
    return met


def other_values(model: Society, row: int) -> list[object]:
    """Two values that differ from an agent's standing act, drawn by keyed luck from all that is allowed."""
    kind, found = model.affordance, []
    for draw in range(20):
        asked = Request("", "", kind.offer().schema(), model.seed, row, draw)
        try:
            value = kind.parse(Scripted("chance").complete([asked])[0].text).value
        except ReplyError:  # addressed messages have nobody to go to here
            continue
        if written(kind, kind.encode_many([value])) != written(kind, model.acts.own[row : row + 1]):
            found.append(value)
    return found[:2]


@contextmanager
def imposed(model: Society, row: int, value: object) -> Iterator[None]:
    """For a while an agent has done something else, now and at all times that anybody can look back to."""
    coded = model.affordance.encode_many([value])[0]
    places: list[tuple[np.ndarray[Any, Any], Any]] = []
    for table in (model.acts, model._public):
        states = [table.own, *(state[0] for _, state in table._past._states)]
        places += [(own, np.arange(len(own)) == row) for own in states]
    if (meetings := model._meetings) is not None:
        mine = np.arange(len(model.acts.rows))[:, None] == row
        places.append((meetings._theirs, meetings._partner == row))
        places.append((meetings._mine, mine & (meetings._partner != NOBODY)))
    before = [array.copy() for array, _ in places]
    for array, where in places:
        array[where] = coded
    try:
        yield
    finally:
        for (array, _), old in zip(places, before, strict=True):
            array[...] = old


# --- prompts


def omission(cls: Phenomenon, seen: Seen, index: int) -> str:
    """What the prompt of one agent leaves out of what it hears, as the end of a sentence; nothing if it is complete."""
    one = seen.one(index)
    text, heard = cls.prompt(seen.one(index)), one.heard  # its own observation: a prompt could change the one it gets
    rest = text.replace(one.offer.text, " ").replace(one.offer.form, " ")
    for place, item in enumerate(heard):
        before, after = heard[:place], heard[place + 1 :]
        for content in _atoms(item.content):
            if not any(re.search(rf"(?<![\w.]){re.escape(form)}(?!\w|\.\d)", rest) for form in _forms(content)):
                return f"does not show {content!r}, which it hears: {text!r}"
        if _prompt(cls, seen, index, heard=before + after) == text:
            return f"is the same without {item}: {text!r}"
        if item.count > 1 and _prompt(cls, seen, index, heard=[*before, item._replace(count=1), *after]) == text:
            return f"does not show how many {item} stands for: {text!r}"
    return ""


def misput(cls: Phenomenon, seen: Seen, index: int) -> str:
    """What is wrong with how one agent is asked, as the end of a sentence; nothing if all is well."""
    one, kind = seen.one(index), seen.asked
    text, offer = cls.prompt(seen.one(index)), one.offer
    values = [] if one.own is None or seen.part else [one.own]
    if isinstance(kind, Choice | Picks):
        for option in kind.options:
            if option not in text:
                return f"hides the option {option!r}: {text!r}"
        turned = kind.offer(order=offer.order[::-1], labelled=offer.labelled)
        if len(kind.options) > 1 and _prompt(cls, seen, index, offer=turned) == text:
            return f"puts the options in an order of its own: {text!r}"
        values += kind.options if isinstance(kind, Choice) else [(option,) for option in kind.options]
    for value in values:
        if not kind.fault(value) and offer.parse(offer.describe(value)).value != value:
            return f"describes {value!r} as {offer.describe(value)!r}, which is read as something else"
    return ""


def _prompt(cls: Phenomenon, seen: Seen, index: int, **put: object) -> str:
    """The prompt of one agent, some of its observation put in by hand."""
    one = seen.one(index)
    for name, value in put.items():
        setattr(one, name, value)
    return cls.prompt(one)


def _atoms(content: object) -> Iterator[object]:
    """The texts and numbers that a content is made of."""
    if isinstance(content, Mapping):
        content = tuple(content.values())
    if isinstance(content, list | tuple | set | frozenset):
        for part in content:
            yield from _atoms(part)
    elif content is not None and content != "":
        yield content


def _forms(content: object) -> set[str]:
    """The ways in which a prompt may write a text or a number."""
    if isinstance(content, int | float):
        return {str(content), *(f"{content:{form}}" for form in ("g", ".3g", ".1f", ".2f", ",", ".0%"))}
    return {str(content)}
