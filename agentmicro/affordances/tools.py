"""One named action with its arguments, out of several, of which a role may use only some.

Beside the repairs of `reading` there is `call`: a call in another notation than the one asked for, such as
`vote(post="A")` or `{"name": "vote", "arguments": {"post": "A"}}`.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any, ClassVar, Final, final

import numpy as np
from numpy.typing import NDArray

from agentmicro.affordances.artifact import Artifact
from agentmicro.affordances.base import Acts, Affordance, Offer, Order, closed
from agentmicro.affordances.choice import Choice
from agentmicro.affordances.options import checked_order, stripped_marks
from agentmicro.affordances.picks import Picks
from agentmicro.affordances.reading import (
    MISSING,
    NEGATION,
    TRIES,
    Parsed,
    agreed,
    bare,
    capped,
    fold,
    given,
    is_nothing,
    parsed,
    quoted,
    unfenced,
    whole_json,
)
from agentmicro.errors import ReplyError, SpecError, listed, nearest

type Actions = Mapping[str, Mapping[str, Affordance]]

TOOL: Final = "tool"
"""The field that says which action a row calls."""

KEY: Final = "tools"
"""The one key of a structured reply, which therefore is no name of an action."""

NAME: Final = re.compile(r"[^\W\d][\w-]*")
CALLED: Final = ("tool", "name", "action", "function")
GIVEN: Final = ("arguments", "parameters", "args", "input")
AROUND: Final = (KEY, "function", "function_call", "tool_call", "call", "action", "tool")
# Strings first, so that brackets and commas inside them are none; an apostrophe inside a word opens no string.
STRUCTURE: Final = re.compile(r'"(?:[^"\\]|\\.)*+"|(?<!\w)\'(?:[^\'\\]|\\.)*+\'|\\.|[\[\](){},]', re.DOTALL)
ARGUMENT: Final = re.compile(r"\s*([^\W\d][\w-]*)\s*=(?!=)")
DEPTH: Final = dict.fromkeys("([{", 1) | dict.fromkeys(")]}", -1)


@final
@dataclass(frozen=True, init=False, eq=False)
class Tools(Affordance):
    """An act is a call: one of several named actions, with the arguments of that action and no others.

    Its value is what a reader sees and JSON holds, `{"vote": {"post": "A", "up": "up"}}`, and `{"wait": {}}` for an
    action without arguments. It is coded as one structured NumPy type: the field "tool" is the action's index, -1 for
    blank, and each argument has a field such as "vote.post", blank in the rows that call another action. `roles` names
    the actions that agents of each role may use, by the names in the society's trait "role".
    """

    kind: ClassVar[str] = "tools"
    actions: Actions
    roles: Mapping[str, tuple[str, ...]] | None

    def __init__(self, actions: Actions, roles: Mapping[str, tuple[str, ...]] | None = None) -> None:
        _check_actions(actions)
        kept = {tool: MappingProxyType(dict(arguments)) for tool, arguments in actions.items()}
        object.__setattr__(self, "actions", MappingProxyType(kept))
        object.__setattr__(self, "roles", None if roles is None else MappingProxyType(_checked_roles(roles, actions)))

    # The order of the actions is their code and that of the arguments is the order of the fields.
    def _identity(self) -> tuple[Any, ...]:
        actions = tuple((tool, tuple(arguments.items())) for tool, arguments in self.actions.items())
        return actions, None if self.roles is None else tuple(self.roles.items())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Tools) and self._identity() == other._identity()

    def __hash__(self) -> int:
        return hash(self._identity())

    def __reduce__(self) -> tuple[Any, ...]:
        actions = {tool: dict(arguments) for tool, arguments in self.actions.items()}
        return Tools, (actions, None if self.roles is None else dict(self.roles))

    # --- parts and roles

    @cached_property
    def parts(self) -> Mapping[str, Affordance]:
        """The affordance of each field: "tool" is a Choice of the action, "vote.post" an argument."""
        fields: dict[str, Affordance] = {TOOL: Choice(self.actions)}
        for tool, arguments in self.actions.items():
            fields |= {f"{tool}.{name}": argument for name, argument in arguments.items()}
        return fields

    def part(self, name: str) -> Affordance:
        """The affordance of one field."""
        if name not in self.parts:
            raise SpecError(
                f"Tools: there is no part {name!r}, expected one of {listed(self.parts)}{nearest(name, self.parts)}"
            )
        return self.parts[name]

    def may(self, role: object) -> tuple[int, ...]:
        """The actions that a role may use, by index, as the `order` of an offer; all of them where there are no roles.

        A role that is not defined is a `SpecError`.
        """
        if self.roles is None:
            return tuple(range(len(self.actions)))
        used = self.roles.get(str(role))
        if used is None:
            hint = nearest(str(role), self.roles)
            raise SpecError(f"Tools: there is no role {str(role)!r}, expected one of {listed(self.roles)}{hint}")
        return tuple(code for code, tool in enumerate(self.actions) if tool in used)

    def oversteps(self, acts: Acts, roles: NDArray[Any]) -> NDArray[np.bool_]:
        """True where a row calls an action that its agent's role may not use; a blank row calls nothing."""
        codes, known = acts[TOOL], np.zeros(len(acts), np.bool_)
        wrong = np.zeros(len(acts), np.bool_)
        for role in self.roles or ():
            mine = np.asarray(roles == role)
            wrong |= mine & ~np.isin(codes, (-1, *self.may(role)))
            known |= mine
        if self.roles and not known.all():
            self.may(roles[np.flatnonzero(~known)[0]])
        return wrong

    # --- rows

    @cached_property
    def _dtype(self) -> np.dtype[Any]:
        return np.dtype([(field, part.dtype) for field, part in self.parts.items()])

    @property
    def dtype(self) -> np.dtype[Any]:
        """A structure of the action's code and a field for each argument of each action."""
        return self._dtype

    def blank(self, n: int) -> Acts:
        """Rows that call nothing."""
        acts = np.empty(n, self._dtype)
        for field, part in self.parts.items():
            acts[field] = part.blank(n)
        return acts

    def is_blank(self, acts: Acts) -> NDArray[np.bool_]:
        """True where no action is called and no argument is given."""
        self._fields(acts)
        blank = np.asarray(acts[TOOL] == -1)
        # Nearly all rows call something, so only the others are looked at field by field.
        left = np.flatnonzero(blank)
        for field, part in self.parts.items():
            if left.size and field != TOOL:
                blank[left] &= part.is_blank(acts[field][left])
        return blank

    def valid(self, acts: Acts) -> NDArray[np.bool_]:
        """True where exactly the arguments of the action called are given, each of them valid."""
        self._fields(acts)
        good = self.parts[TOOL].valid(acts[TOOL])
        for code, (tool, arguments) in enumerate(self.actions.items()):
            calls = np.asarray(acts[TOOL] == code)
            mine, others = np.flatnonzero(calls), np.flatnonzero(~calls)
            for name, argument in arguments.items():
                column = acts[f"{tool}.{name}"]
                good[mine] &= argument.valid(column[mine])
                good[others] &= argument.is_blank(column[others])
        return good

    def _fields(self, acts: Any) -> None:
        names = getattr(acts, "dtype", np.dtype(object)).names or ()
        if names != self._dtype.names:
            raise SpecError(f"Tools: the acts have the fields {listed(names) or 'none'}, expected {listed(self.parts)}")

    def _encode(self, value: Any) -> Any:
        row = self.blank(1)
        [(tool, arguments)] = value.items()
        row[TOOL][0] = self.parts[TOOL].encode(tool)
        for name, argument in self.actions[tool].items():
            row[f"{tool}.{name}"][0] = argument.encode(arguments[name])
        return row[0]

    def decode(self, coded: Any) -> dict[str, dict[str, Any]] | None:
        """The action called with its arguments; None for a row that calls nothing."""
        self._fields(coded)
        tool = self.parts[TOOL].decode(coded[TOOL])
        if tool is None:
            return None
        values = {name: part.decode(coded[f"{tool}.{name}"]) for name, part in self.actions[tool].items()}
        call = {tool: {name: value for name, value in values.items() if value is not None}}
        self.check(call)
        return call

    def fault(self, value: object) -> str:
        """Says whether the value is no call, or which action or argument is unknown, missing or wrong."""
        if not isinstance(value, Mapping) or len(value) != 1:
            return f"{quoted(value)} is no mapping of one action to its arguments"
        [(tool, values)] = value.items()
        if tool not in self.actions:
            return f"there is no action {tool!r}, expected one of {listed(self.actions)}{nearest(tool, self.actions)}"
        arguments, whose = self.actions[tool], f"of the action {tool!r}"
        if not isinstance(values, Mapping):
            return f"the arguments {whose} are {quoted(values)}, expected a mapping"
        for name in values:
            if name not in arguments:
                known = f"expected {listed(arguments) or 'none'}{nearest(name, arguments)}"
                return f"there is no argument {name!r} {whose}, {known}"
        for name, argument in arguments.items():
            if name not in values:
                return f"the argument {name!r} {whose} is missing"
            if fault := argument.fault(values[name]):
                return f"in the argument {name!r} {whose}, {fault}"
        return ""

    def offer(
        self, order: Order | None = None, labelled: bool = False, names: Mapping[str, int] | None = None
    ) -> "ToolsOffer":
        """The actions in the order given; those left out are not on offer."""
        return ToolsOffer(self, checked_order("Tools", order, len(self.actions)), labelled, names)


@final
@dataclass(frozen=True)
class ToolsOffer(Offer[Tools]):
    """A call of one action out of those on offer."""

    @cached_property
    def actions(self) -> dict[str, dict[str, Offer[Any]]]:
        """The actions on offer, in the order shown, each with the offers of its arguments."""
        every = list(self.affordance.actions.items())
        return {
            tool: {name: argument.offer(names=self.names) for name, argument in arguments.items()}
            for tool, arguments in (every[index] for index in self.order)
        }

    @property
    def text(self) -> str:
        """The actions on offer, each with what its arguments may be; options stand on lines of their own."""
        return "\n\n".join(
            "\n".join([f"{tool}, with the arguments {listed(arguments)}:", *map(_range, arguments, arguments.values())])
            if arguments
            else f"{tool}, without arguments"
            for tool, arguments in self.actions.items()
        )

    @property
    def form(self) -> str:
        """How to answer."""
        return (
            "Answer with a JSON object whose only key is the name of one action and whose value is the object of its "
            'arguments, as in {"<action>": {"<argument>": <value>}} or {"<action>": {}}, and nothing else.'
        )

    def describe(self, value: Mapping[str, Any]) -> str:
        """The call as a JSON object."""
        return json.dumps(self.write_value(value), ensure_ascii=False)

    def parse(self, text: str) -> Parsed:
        """Reads a call: a JSON object, `vote(post="A")`, the bare name of an action, or the only call in a sentence."""
        given(text)
        inside = unfenced(text)
        fence = () if inside is None else ("fence",)
        inside = text if inside is None else inside
        if is_nothing(inside) and not self._known(inside):
            raise ReplyError("the reply is empty")
        raw = inside if self._known(inside) else whole_json(inside)
        found = self._prose(inside) if raw is MISSING else self.read_value(raw)
        return parsed(found.value, *fence, *found.how)

    def schema(self) -> dict[str, Any]:
        """`{"tools": {action: arguments}}`: providers take alternatives inside an object only."""
        return closed({KEY: self.value_schema()}, [KEY])

    def write(self, value: Mapping[str, Any]) -> dict[str, Any]:
        """`{"tools": {action: arguments}}`."""
        return {KEY: self.write_value(value)}

    def read(self, raw: object) -> Parsed:
        """Reads `{"tools": {action: arguments}}`, or the call alone."""
        if not isinstance(raw, dict) or KEY not in raw:
            found = self.read_value(raw)
            return parsed(found.value, "bare", *found.how)
        found = self.read_value(raw[KEY])
        return parsed(found.value, *(["extra"] if len(raw) > 1 else []), *found.how)

    def value_schema(self) -> dict[str, Any]:
        """One alternative per action on offer: an object with that action as its only key."""
        calls = []
        for tool, arguments in self.actions.items():
            schemas = {name: offer.value_schema() for name, offer in arguments.items()}
            calls.append(closed({tool: closed(schemas, list(schemas))}, [tool]))
        return {"anyOf": calls}

    def write_value(self, value: Mapping[str, Any]) -> dict[str, Any]:
        """The action called with the JSON of each argument."""
        self.affordance.check(value)
        [(tool, arguments)] = value.items()
        offers = self.actions.get(tool) or self.affordance.offer(names=self.names).actions[tool]
        return {tool: {name: offer.write_value(arguments[name]) for name, offer in offers.items()}}

    def read_value(self, raw: Any) -> Parsed:
        """Reads `{action: arguments}`, and the notations in which models were taught to call functions."""
        if isinstance(raw, str) and raw.strip():
            return self._call(self._named(raw), {}, "bare")
        if raw is None or isinstance(raw, str):
            raise ReplyError("the reply is empty")
        if not isinstance(raw, dict):
            raise ReplyError(f"the reply is {quoted(raw)}, expected a JSON object with one of {listed(self.actions)}")
        if found := self._called(raw):
            return found
        inner = next((raw[key] for key in AROUND if isinstance(raw.get(key), dict)), None)
        if inner and (found := self._called(inner)):
            return parsed(found.value, "key", *found.how)
        raise self._unknown(json.dumps(raw, ensure_ascii=False))

    # --- how replies are read

    def _known(self, text: str) -> str | None:
        return _same(text, self.affordance.actions)

    def _named(self, text: str) -> str:
        """The action on offer that a word names."""
        tool = self._known(text)
        if tool is None:
            raise self._unknown(text)
        if tool not in self.actions:
            raise ReplyError(f"the action {tool!r} is not on offer; the actions on offer are {listed(self.actions)}")
        return tool

    def _unknown(self, text: str) -> ReplyError:
        hint = nearest(text[:200], self.actions)
        return ReplyError(f"the reply {quoted(text)} calls none of the actions on offer: {listed(self.actions)}{hint}")

    def _called(self, raw: dict[str, Any]) -> Parsed | None:
        """The call that an object is: the action is a key, or stands under a key such as "name"; None if neither."""
        keys = [key for key in raw if self._known(key) and (len(raw) == 1 or isinstance(raw[key], dict))]
        inside = next((key for key in GIVEN if key in raw), None)
        words = [key for key in CALLED if isinstance(raw.get(key), str) and (inside or self._known(raw[key]))][:1]
        if len(keys) + len(words) > 1:
            both = listed(map(repr, (*keys, *(raw[word] for word in words))))
            raise ReplyError(f"the reply calls {both}; call exactly one action")
        if keys:
            tool = self._named(keys[0])
            how = [*["extra"] * (len(raw) > 1), *["case"] * (keys[0] != tool)]
            return self._call(tool, raw[keys[0]], *how)
        if not words:
            return None
        rest = {key: value for key, value in raw.items() if key != words[0]}
        extra = ["extra"] if inside and len(rest) > 1 else []
        return self._call(self._named(raw[words[0]]), rest[inside] if inside else rest, "call", *extra)

    def _call(self, tool: str, raw: Any, *how: str) -> Parsed:
        """The call of an action on offer with the JSON of its arguments: an object, or a text that holds one."""
        offers, whose = self.actions[tool], f"of the action {tool!r}"
        kinds = [*how, *["type"] * (not isinstance(raw, dict))]
        if isinstance(raw, str):
            raw = whole_json(raw) if raw.strip() else None
        raw = {} if raw is None else raw
        if not isinstance(raw, dict):
            raise ReplyError(f"the arguments {whose} are no JSON object of {listed(offers) or 'nothing'}")
        named = [(name, key) for key in raw if (name := _same(key, offers))]
        if len(dict(named)) < len(named):
            raise ReplyError(f"the reply gives an argument {whose} twice, expected {listed(offers)} once each")
        kinds += ["extra"] * (len(named) < len(raw)) + ["case"] * any(name != key for name, key in named)
        keys, values = dict(named), {}
        for name, offer in offers.items():
            if name not in keys:
                raise ReplyError(f"the argument {name!r} {whose} is missing, expected {listed(offers)}")
            try:
                found = offer.read_value(raw[keys[name]])
            except ReplyError as error:
                raise ReplyError(f"in the argument {name!r} {whose}, {error}") from None
            values[name] = found.value
            kinds.extend(found.how)
        return parsed({tool: values}, *kinds)

    @cached_property
    def _start(self) -> re.Pattern[str]:
        """Where a call may begin: at a brace, or at the name of an action before a bracket."""
        return re.compile(rf"(?<![\w.-])({'|'.join(self.affordance.actions)})\s*\(|\{{", re.IGNORECASE)

    def _prose(self, text: str) -> Parsed:
        """Reads the one call in a text, in whatever notation; beside a negation only JSON is taken at its word."""
        capped(text)
        found: list[Parsed] = []
        rest, at, done = "", 0, 0
        for _ in range(TRIES):
            if (match := self._start.search(text, at)) is None:
                break
            at, end = match.end(), _closing(text, match.end() - 1)
            raw = whole_json(text[at - 1 : end]) if end and not match[1] else MISSING
            if not end or (raw is MISSING and not match[1]):
                continue
            found.append(self._spoken(match[1], text[at : end - 1]) if match[1] else self.read_value(raw))
            rest, at, done = rest + text[done : match.start()], end, end
        rest = (rest + text[done:]).strip()
        if not found:
            raise self._unknown(text)
        one = agreed(found)
        if "call" in one.how and NEGATION.search(fold(rest)):
            raise ReplyError(f"the reply {quoted(text)} has a negation beside the call; answer with the call alone")
        around = "prose" if stripped_marks(rest) else "marks"
        return parsed(one.value, *one.how, *([around] if rest else []))

    def _spoken(self, name: str, text: str) -> Parsed:
        """The call with the arguments that stand in the brackets of `vote(post="A", up="up")`, by name or by place."""
        tool = self._named(name)
        places, pieces = list(self.actions[tool]), _pieces(text)
        if len(pieces) == 1 and isinstance(raw := whole_json(pieces[0]), dict):
            return self._call(tool, raw, "call")
        pairs = []
        for place, piece in enumerate(pieces):
            named = ARGUMENT.match(piece)
            if not named and place >= len(places):
                raise ReplyError(f"the action {tool!r} takes {listed(places) or 'nothing'}, not also {quoted(piece)}")
            pairs.append((named[1], piece[named.end() :]) if named else (places[place], piece))
        if len(dict(pairs)) < len(pairs):
            raise ReplyError(f"the reply gives an argument of the action {tool!r} twice")
        return self._call(tool, {key: _literal(piece) for key, piece in pairs}, "call")


def _check_names(what: str, names: object) -> None:
    """Refuses names that a reader could confuse."""
    if not isinstance(names, Mapping):
        raise SpecError(f"Tools: the {what}s are {quoted(names)}, expected a mapping of their names")
    for name in names:
        if not isinstance(name, str) or not NAME.fullmatch(name) or name == KEY:
            rule = f"expected a letter, then letters, digits, _ or -, and not {KEY!r}"
            raise SpecError(f"Tools: the {what} cannot be named {name!r}, {rule}")
    if len({fold(name) for name in names}) < len(names):
        raise SpecError(f"Tools: the {what}s {listed(names)} differ at most by letter case")


def _check_actions(actions: Actions) -> None:
    """Refuses a set of actions that is none, and arguments that are compound themselves."""
    _check_names("action", actions)
    if not actions:
        raise SpecError("Tools: there are no actions, expected at least one")
    for tool, arguments in actions.items():
        _check_names(f"{tool} argument", arguments)
        for name, argument in arguments.items():
            if not isinstance(argument, Affordance) or isinstance(argument, Artifact | Tools):
                found = f"the {tool} argument {name!r} is {quoted(argument)}"
                raise SpecError(f"Tools: {found}, expected an affordance that has no parts")


def _checked_roles(roles: Mapping[str, tuple[str, ...]], actions: Actions) -> dict[str, tuple[str, ...]]:
    """The actions of each role, in the order of the actions; a role that may do nothing is a `SpecError`."""
    if not isinstance(roles, Mapping) or not roles:
        raise SpecError(f"Tools: the roles are {quoted(roles)}, expected a mapping of roles to actions, or None")
    for role, used in roles.items():
        if not isinstance(role, str) or not role.strip() or isinstance(used, str) or not used:
            raise SpecError(f"Tools: the role {role!r} may use {used!r}, expected words and a tuple of actions")
        for tool in used:
            if tool not in actions:
                known = f"expected some of {listed(actions)}{nearest(str(tool), actions)}"
                raise SpecError(f"Tools: the role {role!r} may use {tool!r}, which is no action, {known}")
    return {role: tuple(tool for tool in actions if tool in used) for role, used in roles.items()}


def _range(name: str, offer: Offer[Any]) -> str:
    """What one argument may be; its options stand on lines of their own."""
    kind = offer.affordance
    if isinstance(kind, Picks):
        return f"{name}, a list of {kind.least} to {kind.most} of\n{offer.text}"
    return f"{name}, one of\n{offer.text}" if isinstance(kind, Choice) else f"{name}: {offer.text}"


def _same(text: str, names: Iterable[str]) -> str | None:
    """The name that a text is, up to letter case and marks."""
    if text in names:
        return text
    folded = {fold(name): name for name in names}
    return folded.get(fold(text)) or folded.get(fold(bare(text)))


def _closing(text: str, start: int) -> int:
    """The place after the bracket that closes the one at `start`, outside of strings; 0 where nothing does."""
    depth = 0
    for token in STRUCTURE.finditer(text, start):
        depth += DEPTH.get(token[0], 0)
        if depth == 0:
            return token.end()
    return 0


def _pieces(text: str) -> list[str]:
    """The text between commas that stand outside of strings and brackets."""
    pieces, depth, start = [], 0, 0
    for token in STRUCTURE.finditer(text):
        depth += DEPTH.get(token[0], 0)
        if token[0] == "," and depth == 0:
            pieces.append(text[start : token.start()])
            start = token.end()
    return [piece for piece in (*pieces, text[start:]) if piece.strip()]


def _literal(text: str) -> Any:
    """The value that an argument is written as: JSON, a text in single quotes without others inside, or a word."""
    text = text.strip()
    single = len(text) > 1 and text[0] == text[-1] == "'" and not re.search(r'["\'\\]', text[1:-1])
    raw = whole_json(f'"{text[1:-1]}"' if single else text)
    if raw is MISSING and {text[:1], text[-1:]} & {'"', "'"}:
        raise ReplyError(f"{quoted(text)} is no value; write texts in double quotes, as in JSON")
    return text if raw is MISSING else raw
