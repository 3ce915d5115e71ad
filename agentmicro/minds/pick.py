"""Who decides, written in one line: `majority`, `majority:45, stubborn:5@hubs`, `two-stage(gate=4):90%, uniform`.

    minds  = mind [, mind ...]
    mind   = name [(parameter=value, ...)] [:amount [@place]]
    amount = a number of agents, a percentage such as 10%, or nothing for the rest
    place  = random | hubs | leaves | first | last | row+row+...

A name is one of the phenomenon's rules, one that every phenomenon has (stubborn, silent, random), a mind that the
scenario defines in `[minds.NAME]`, any language model by its LiteLLM name such as `openai/gpt-4o-mini`, with sampling
parameters in the parentheses, or `scripted:NAME` for a scripted language model.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from agentmicro.completion import Account, Provider, Scripted
from agentmicro.errors import KnobError, MindError, listed, nearest
from agentmicro.graphs import Links
from agentmicro.knobs import Group, knobs, missing
from agentmicro.minds.language import LanguageMind, Prompt
from agentmicro.minds.mind import Mind, Seat
from agentmicro.minds.rules import EVERYWHERE, Rule, RuleMind
from agentmicro.minds.speaker import SAMPLING, Speaker, speakers
from agentmicro.noise import permutation

Minds = Annotated[str, Group.POPULATION, "who decides: a mind, or several with their amounts"]

PLACES = ("random", "hubs", "leaves", "first", "last")
ITEM = re.compile(
    r"(?P<name>[^()]+?)\s*(?:\((?P<params>[^()]*)\))?\s*"
    r"(?::\s*(?P<amount>\d+(?:\.\d+)?)\s*(?P<percent>%)?(?:@(?P<place>[a-z]+|\d+(?:\+\d+)*))?)?"
)


def plain(name: str) -> str:
    """A rule's name as it is compared: lower case, words joined by hyphens."""
    return re.sub(r"[\s_]+", "-", name.strip().lower())


def split(text: str) -> list[str]:
    """The parts between the commas that stand outside parentheses."""
    parts = re.split(r",(?![^()]*\))", text)
    return [part.strip() for part in parts]


def pick(text: str, rules: Mapping[str, Rule], prompt: Prompt, account: Account | None = None) -> tuple[Seat, ...]:
    """The minds that a text names with their amounts and places; a MindError says what is wrong and who there is.

    Language minds put what they spend on the account.
    """
    casting = Casting(rules, prompt, account)
    seats = tuple(_seat(item, casting) for item in split(text))
    if sum(seat.amount is None for seat in seats) > 1:
        raise MindError(f"{text!r}: only one mind can take the rest; give the others an amount, as in 'a:45, b:5'")
    return seats


class Casting(NamedTuple):
    """What minds are made from: the rules there are, the question to language models, and who pays."""

    rules: Mapping[str, Rule]
    prompt: Prompt
    account: Account | None


def _seat(item: str, casting: Casting) -> Seat:
    found = ITEM.fullmatch(item)
    if not found:
        example = listed(list(casting.rules)[:2]) or "stubborn"
        raise MindError(f"{item!r}: expected a mind such as {example}, with an amount as in 'name:5'")
    mind = _mind(found["name"].strip(), found["params"], casting)
    word = found["place"] or "random"
    if not word[0].isdigit() and word not in PLACES:
        expected = f"{listed(PLACES)} or rows such as 0+4"
        raise MindError(f"{item!r}: no place {word!r}; expected {expected}{nearest(word, PLACES)}")
    place = tuple(int(row) for row in word.split("+")) if word[0].isdigit() else word
    if found["amount"] is None:
        return Seat(mind, None, False, place)
    amount = float(found["amount"])
    if found["percent"] and amount > 100:
        raise MindError(f"{item!r}: {amount:g}% is more than everyone")
    if not found["percent"] and not amount.is_integer():
        raise MindError(f"{item!r}: expected a whole number of agents, or a percentage such as 10%")
    return Seat(mind, amount / 100 if found["percent"] else amount, bool(found["percent"]), place)


def _mind(name: str, params: str | None, casting: Casting) -> Mind:
    if name.startswith("scripted:"):
        return LanguageMind(name, Scripted(name.removeprefix("scripted:"), casting.account), casting.prompt)
    if name in speakers():
        return _language(name, speakers()[name], casting)
    known = {plain(rule): function for rule, function in {**EVERYWHERE, **casting.rules}.items()}
    word = plain(name)
    if word in known:
        return RuleMind(word, known[word], _params(word, known[word], params or ""))
    from agentmicro.completion import models

    if models.is_model(name):
        return _language(name, Speaker(name, **_sampling(name, params or "")), casting)
    there = f"there is {listed([*known, *speakers()])}, scripted:NAME, and any model as 'provider/name'"
    raise MindError(f"no mind {name!r}{nearest(word, known) or models.suggestion(name)}; {there}")


def _language(name: str, speaker: Speaker, casting: Casting) -> Mind:
    if speaker.model.startswith("scripted:"):
        provider: Provider = Scripted(speaker.model.removeprefix("scripted:"), casting.account)
    else:
        from agentmicro.completion.client import Client

        provider = Client(account=casting.account)
    return LanguageMind(name, provider, casting.prompt, speaker)


def _sampling(name: str, text: str) -> dict[str, Any]:
    """The sampling parameters that stand behind a model's name, as in `openai/gpt-4o-mini(temperature=0.2)`."""
    found: dict[str, object] = {}
    for pair in split(text) if text.strip() else []:
        key, equals, value = (part.strip() for part in pair.partition("="))
        if not equals or key not in SAMPLING:
            raise MindError(
                f"{name}({text}): expected parameter=value with one of {listed(SAMPLING)}{nearest(key, SAMPLING)}"
            )
        try:
            found[key] = value if key == "reasoning_effort" else int(value) if value.isdigit() else float(value)
        except ValueError:
            raise MindError(f"{name}({text}): {key} = {value!r}: expected a number") from None
    return {"options": found}


def _params(name: str, rule: Rule, text: str) -> dict[str, object]:
    known = knobs(rule)
    found: dict[str, object] = {}
    for pair in split(text) if text.strip() else []:
        key, equals, value = (part.strip() for part in pair.partition("="))
        if not equals:
            raise MindError(f"{name}({text}): expected parameter=value, got {pair!r}")
        try:
            if key not in known:
                raise missing(key, name, known)
            if key in found:
                raise KnobError(f"{key} is given twice")
            found[key] = known[key].read(value.strip("'\""))
        except KnobError as error:
            raise MindError(f"{name}({text}): {error}") from None
    return found


def seated(seats: tuple[Seat, ...], links: Links, seed: int) -> NDArray[np.int16]:
    """Which seat each agent takes: placed groups first, in the order written, the others at random; all keyed luck."""
    agents = links.n
    sizes = _sizes(seats, agents)
    taken = np.full(agents, -1, np.int16)
    shuffled = permutation(seed, "placement", agents)
    for index in sorted(range(len(seats)), key=lambda index: seats[index].place == "random"):
        order = candidates(seats[index].place, links, shuffled)
        free = order[taken[order] < 0][: sizes[index]]
        if free.size < sizes[index]:
            raise MindError(f"{seats[index].mind.name}: {sizes[index]} agents at {free.size} free rows")
        taken[free] = index
    return taken


def candidates(place: str | tuple[int, ...], links: Links, shuffled: NDArray[np.intp]) -> NDArray[np.intp]:
    """The rows at a place, best first; equals stand in the shuffled order."""
    if isinstance(place, tuple):
        rows = np.array(place)
        if rows.max() >= links.n or len(set(place)) < len(place):
            raise MindError(f"rows {listed(place)}: expected different rows from 0 to {links.n - 1}")
        return rows
    if place == "random":
        return shuffled
    if place in ("first", "last"):
        rows = np.arange(links.n)
        return rows if place == "first" else rows[::-1]
    readers = links.out_degrees[shuffled]
    return shuffled[np.argsort(-readers if place == "hubs" else readers, kind="stable")]


def _sizes(seats: tuple[Seat, ...], agents: int) -> list[int]:
    """Whole numbers of agents that add up to everyone; the rest goes to the seat without an amount."""
    asked = [None if seat.amount is None else seat.amount * (agents if seat.share else 1) for seat in seats]
    sizes = [None if amount is None else round(amount) for amount in asked]
    given = sum(size for size in sizes if size is not None)
    if None in sizes and given <= agents:
        return [agents - given if size is None else size for size in sizes]
    if all(seat.share for seat in seats) and abs(sum(amount or 0 for amount in asked) - agents) < 1e-6 * agents:
        edges = np.round(np.cumsum([0.0, *(amount or 0.0 for amount in asked)])).astype(int)
        return [int(size) for size in np.diff(edges)]
    if given != agents:
        text = listed(f"{seat.mind.name}:{size}" for seat, size in zip(seats, sizes, strict=True) if size is not None)
        raise MindError(f"{text} seat {given} agents, and there are {agents}")
    return [size or 0 for size in sizes]
