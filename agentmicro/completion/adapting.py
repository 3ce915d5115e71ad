"""What a server does not take is found out once, left out from then on, and named in every reply."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from time import perf_counter
from typing import Any

from agentmicro.completion.protocol import FORMAT, Filtered, Rejected, answered, asked, late
from agentmicro.completion.routes import Route
from agentmicro.completion.seam import Reply, Request, Status

type Exchange = Callable[[dict[str, Any]], Awaitable[object]]

RENAMED = {"max_tokens": "max_completion_tokens"}  # the old and the new name of one option
UNKNOWN = re.compile(
    r"un(known|supported|recogni[sz]ed|expected|available)|extra (input|field)|invalid (argument|field)"
    r"|(not|n't) (\w+ )?(support|permit|allow|recogni[sz]e|implement|available)",
    re.IGNORECASE,
)
ABOUT_FORMAT = re.compile(r"response.?format|schema|structured|guided|grammar", re.IGNORECASE)


class Memory:
    """What each model at each server does not take, and the name under which it does."""

    def __init__(self) -> None:
        self._left_out: dict[tuple[str | None, str], dict[str, str]] = {}

    def of(self, route: Route) -> dict[str, str]:
        """What is left out for one model at one server: the option, and its other name or nothing."""
        return self._left_out.setdefault((route.base_url, route.name), {})


async def adapted(request: Request, route: Route, seconds: float, memory: Memory, exchange: Exchange) -> Reply:
    """The reply within so many seconds, after as many calls as it takes to learn what the server does not take.

    Each call leaves out one option more than the last, so that there is an end; `dropped` names what was left out. A
    question that the provider's filter turns down is a refusal.
    """
    begin, left_out = perf_counter(), memory.of(route)
    calls = 0
    try:
        async with asyncio.timeout(seconds):
            while True:
                body = asked(request, route, left_out)
                calls += 1
                try:
                    data = await exchange(body)
                    break
                except Rejected as error:
                    left_out |= _learnt(error, body, request)
    except TimeoutError:
        raise late(route, seconds) from None
    except Filtered as error:
        spent, dropped = perf_counter() - begin, _dropped(request, body)
        return Reply(error.said, Status.REFUSED, error=str(error), seconds=spent, calls=calls, dropped=dropped)
    spent, dropped = perf_counter() - begin, _dropped(request, body)
    return answered(data, route, FORMAT in body, calls=calls, seconds=spent, dropped=dropped)


def _learnt(error: Rejected, body: Mapping[str, Any], request: Request) -> dict[str, str]:
    """The option that a rejection is about, with its other name if it has one; the rejection again if there is none."""
    sent = {RENAMED.get(name, name): name for name in request.options} | {name: name for name in request.options}
    names = [name for name in sent if name in body]
    first = error.param.partition(".")[0]
    unknown = UNKNOWN.search(f"{error.code} {error.said}")
    found = [first] if first in names else [name for name in names if re.search(rf"\b{re.escape(name)}\b", error.said)]
    if unknown and found:
        option = sent[found[0]]
        return {option: RENAMED.get(option, "") if found[0] == option else ""}
    if FORMAT in body and (first == FORMAT or ABOUT_FORMAT.search(error.said)):
        return {FORMAT: ""}
    raise error


def _dropped(request: Request, body: Mapping[str, Any]) -> tuple[str, ...]:
    """What was asked for and is not in the body under either name."""
    lost = [name for name in request.options if name not in body and RENAMED.get(name) not in body]
    return tuple([*lost, FORMAT] if request.schema and FORMAT not in body else lost)
