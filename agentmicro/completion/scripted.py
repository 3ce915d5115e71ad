"""A model without a model: replies from a list, a function or a named script, for demonstrations and tests."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from agentmicro.completion.budget import Account, spent
from agentmicro.completion.seam import Reply, Request, Status
from agentmicro.errors import MindError, listed, nearest
from agentmicro.noise import Chance

type Script = Callable[[Request], str | Reply]


class Scripted:
    """Answers from a script: a function of the request, a list that is walked through in turn, or a name in `SCRIPTS`.

    A list gives agent a's n-th decision its (a + n)-th entry, so that replies do not depend on the order of calls.
    """

    def __init__(self, script: Script | Sequence[str] | str, account: Account | None = None) -> None:
        if isinstance(script, str) and script not in SCRIPTS:
            raise MindError(f"scripted:{script}: expected one of {listed(SCRIPTS)}{nearest(script, SCRIPTS)}")
        if isinstance(script, Sequence) and not script:
            raise MindError("scripted: an empty list of replies, expected at least one")
        self.script = script
        self.account = account if account is not None else Account()

    def complete(self, requests: Sequence[Request]) -> list[Reply]:
        """One reply for each request, in order; a script that raises is a failed call with its error."""
        replies = [self._reply(request) for request in requests]
        self.account.add(spent(replies))
        self.account.used(replies)
        return replies

    def check(self) -> None:
        """A script has no ceiling."""

    def _reply(self, request: Request) -> Reply:
        script = SCRIPTS[self.script] if isinstance(self.script, str) else self.script
        try:
            found = script(request) if callable(script) else script[(request.agent + request.decision) % len(script)]
        except Exception as error:  # whatever a user's script raises is this call's failure, kept as data
            return Reply("", Status.FAILED, error=f"{type(error).__name__}: {error}")
        if isinstance(found, Reply):
            return found
        if not isinstance(found, str):
            error = f"TypeError: the script returned {found!r}, expected a text or a Reply"
            return Reply("", Status.FAILED, error=error)
        return Reply(found, served=request.model)


def first(request: Request) -> Reply:
    """The first thing that the schema allows."""
    return Reply(json.dumps(_example(request.schema, None)), structured=True, served=request.model)


def chance(request: Request) -> Reply:
    """Anything that the schema allows, drawn by keyed luck."""
    luck = Chance(request.seed, "script", request.decision, request.agent)
    return Reply(json.dumps(_example(request.schema, luck)), structured=True, served=request.model)


def silent(request: Request) -> str:
    """Nothing."""
    return ""


def refuse(request: Request) -> Reply:
    """A refusal."""
    return Reply("I can't help with that.", Status.REFUSED)


SCRIPTS: dict[str, Script] = {"first": first, "chance": chance, "silent": silent, "refuse": refuse}


def _example(schema: Mapping[str, Any], luck: Chance | None) -> object:
    if "anyOf" in schema:
        ways = schema["anyOf"]
        return _example(ways[0] if luck is None else luck.choice(ways), luck)
    if "enum" in schema:
        return schema["enum"][0] if luck is None else luck.choice(schema["enum"])
    match schema.get("type"):
        case "object":
            return {name: _example(inner, luck) for name, inner in schema.get("properties", {}).items()}
        case "array":
            return _several(schema, luck)
        case "integer" | "number":
            return _number(schema, luck)
        case _:
            return "hello"[: schema.get("maxLength")]


def _several(schema: Mapping[str, Any], luck: Chance | None) -> list[object]:
    least, most = schema.get("minItems", 0), schema.get("maxItems", 1)
    choices = list(schema["items"].get("enum", []))
    if luck is None:
        return choices[: max(least, min(1, most))]
    size = least + luck.below(most - least + 1)
    return [choices[index] for index in luck.order(len(choices))[:size]]


def _number(schema: Mapping[str, Any], luck: Chance | None) -> float | int:
    low = schema.get("minimum", min(0, schema.get("maximum", 0)))
    high = schema.get("maximum", low + 1)
    step = schema.get("multipleOf")
    if luck is None:
        return int(low) if schema["type"] == "integer" else float(low)
    if step is None:
        return (
            float(low + luck() * (high - low)) if schema["type"] == "number" else int(low + luck.below(high - low + 1))
        )
    drawn = low + step * luck.below(int((high - low) / step + 1e-9) + 1)
    return int(drawn) if schema["type"] == "integer" else float(drawn)
