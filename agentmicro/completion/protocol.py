"""The OpenAI protocol as data: what is asked, what an answer says, and what kind of fault a failure is.

Both transports read and write through these functions, so that one exchange gives one reply or one error, whichever way
it took. No sentence made here holds a key: a server that repeats it is quoted without it.
"""

import json
import math
import os
import re
import time
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any

from agentmicro.completion.prices import cost
from agentmicro.completion.redact import redacted
from agentmicro.completion.routes import Route
from agentmicro.completion.seam import CallError, Fault, Reply, Request, Status

LARGEST = 2_000_000  # bytes of a body: a hundred times what the longest answer needs
FORMAT = "response_format"
RESERVED = ("model", "messages", "stream", "n", FORMAT)
LONGEST_ERROR = 10_000  # characters of what a server says about a failure that are looked at
QUOTED = 300  # and that are quoted
FILTERED = ("content_filter", "content_policy_violation")
SPAN = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


class Rejected(CallError):
    """The server does not take the request; said, code and param are its words for what it does not take."""

    def __init__(self, text: str, status: int, said: str, code: str, param: str) -> None:
        super().__init__(Fault.REQUEST, text, status)
        self.said = said
        self.code = code
        self.param = param


class Filtered(CallError):
    """The provider's filter refused the question; said is how it puts that."""

    def __init__(self, text: str, status: int, said: str) -> None:
        super().__init__(Fault.REQUEST, text, status)
        self.said = said


def asked(request: Request, route: Route, left_out: Mapping[str, str]) -> dict[str, Any]:
    """The body of a request, without the options that its server does not take, or under the names that it does."""
    if request.model != route.asked:
        raise CallError(Fault.REQUEST, f"{route.where}: asked for {request.model}, which is another model's to answer")
    body: dict[str, Any] = {"model": route.name, "messages": request.messages}
    for name, value in request.options.items():
        if name in RESERVED:
            raise CallError(Fault.REQUEST, f"{route.where}: the option {name!r} is agentmicro's own to set")
        if sent := left_out.get(name, name):
            body[sent] = value
    if request.schema and route.structured and FORMAT not in left_out:
        held = {"name": "answer", "schema": request.schema, "strict": True}
        body[FORMAT] = {"type": "json_schema", "json_schema": held}
    return body


def answered(data: object, route: Route, held: bool, *, calls: int, seconds: float, dropped: tuple[str, ...]) -> Reply:
    """The reply in a chat completion; a CallError where it is none. held: a schema was sent along.

    A model counts as held to the schema only if its text is JSON, because some servers take a schema and ignore it. No
    prompt has zero tokens: a server, or LiteLLM for it, that says so does not count.
    """
    match data:
        case {"choices": [{"message": {**message}, **choice}, *_], **rest}:
            pass
        case {"error": {**error}}:
            code = error.get("code")
            raise failed(code if isinstance(code, int) and code >= 400 else 200, {}, json.dumps(data).encode(), route)
        case _:
            raise unreadable(route, "JSON that is no chat completion")
    text, refusal = message.get("content"), message.get("refusal")
    if not isinstance(text, str | None):
        raise unreadable(route, "a content that is no text")
    if len(text or "") > LARGEST:
        raise too_large(route)
    refused = bool(refusal) or choice.get("finish_reason") == "content_filter"
    tokens_in, tokens_out, cached = _usage(rest.get("usage"))
    named = rest.get("model")
    served = named if isinstance(named, str) else None
    return Reply(
        text or (str(refusal) if refusal else ""),
        Status.REFUSED if refused else Status.OK,
        structured=held and not refused and _is_json(text or ""),
        tokens_in=tokens_in,
        tokens_out=tokens_out,
        tokens_cached=cached,
        cost_usd=cost(served, tokens_in, tokens_out, cached, asked=route.asked),
        served=served,
        seconds=seconds,
        calls=calls,
        dropped=dropped,
    )


def _usage(usage: object) -> tuple[int | None, int | None, int | None]:
    if not isinstance(usage, Mapping) or not _number(usage.get("prompt_tokens")):
        return None, None, None
    details = usage.get("prompt_tokens_details")
    cached = details.get("cached_tokens") if isinstance(details, Mapping) else usage.get("prompt_cache_hit_tokens")
    return _number(usage["prompt_tokens"]), _number(usage.get("completion_tokens")), _number(cached)


def _number(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def failed(status: int, headers: Mapping[str, str], body: bytes, route: Route) -> CallError:
    """The error of an answer that is none: its kind by its status, and how long the server asks to wait."""
    said, code, param = _said(body)
    said = scrubbed(said)
    fault = _fault(status)
    wait = retry_after(headers, time.time(), limited=status == 429) if fault in (Fault.RATE, Fault.SERVER) else None
    text = f"{route.where}: {_sentence(fault, status, said, route)}"
    if status in (400, 422) and code in FILTERED:
        return Filtered(text, status, said)
    if status in (400, 422):
        return Rejected(text, status, said, code, param)
    return CallError(fault, text, status, wait)


def _fault(status: int) -> Fault:
    match status:
        case 401 | 402 | 403:
            return Fault.AUTH
        case 408:
            return Fault.TIMEOUT
        case 429:
            return Fault.RATE
        case _ if 400 <= status < 500:
            return Fault.REQUEST
        case _ if status >= 500:
            return Fault.SERVER
        case _:
            return Fault.PROTOCOL


def _sentence(fault: Fault, status: int, said: str, route: Route) -> str:
    if status == 401:  # quoted without its words: servers repeat parts of the key
        return f"no access (401), see {route.key}" if route.key else "no access (401), it wants a key"
    if 300 <= status < 400:
        return f"a redirect ({status}), and redirects are not followed"
    return f"{fault} ({status})" + (f": {said}" if said else "")


def _said(body: bytes) -> tuple[str, str, str]:
    """What a server says about a failure, its code, and the parameter that it names."""
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        data = body.decode("utf-8", "replace")
    error = data.get("error", data) if isinstance(data, Mapping) else data
    if not isinstance(error, Mapping):
        return str(error), "", ""
    said = error.get("message") or error.get("detail") or error
    return str(said), str(error.get("code") or ""), str(error.get("param") or "")


def key_of(route: Route) -> str:
    """The key as it stands in the environment now; nothing where there is none."""
    return os.environ.get(route.key, "").strip() if route.key else ""


def scrubbed(text: str) -> str:
    """The first words of a text on one line, without keys."""
    return redacted(" ".join(text[:LONGEST_ERROR].split()))[:QUOTED]


def unreadable(route: Route, what: str) -> CallError:
    """The error of an answer that came whole and is not the protocol."""
    return CallError(Fault.PROTOCOL, f"{route.where}: answered with {what}")


def too_large(route: Route) -> CallError:
    """The error of an answer that is larger than any answer."""
    return unreadable(route, f"more than {LARGEST // 1_000_000} MB")


def lost(route: Route) -> CallError:
    """The error of a connection that cannot be made or does not last."""
    return CallError(Fault.CONNECTION, f"{route.where}: the connection was not made, or was lost")


def late(route: Route, seconds: float) -> CallError:
    """The error of a call without an answer in time."""
    return CallError(Fault.TIMEOUT, f"{route.where}: no answer within {seconds:.3g} s")


def retry_after(headers: Mapping[str, str], now: float, *, limited: bool = False) -> float | None:
    """The seconds that a server asks to wait, None where it does not.

    Read from retry-after-ms, Retry-After (seconds or a date) and, when it was limited, x-ratelimit-reset*: seconds, a
    span such as 1m2s, or a time; of several limits, the longest wait among those with nothing remaining.
    """
    given = {name.lower(): value.strip() for name, value in headers.items()}
    if (milliseconds := _finite(given.get("retry-after-ms", ""))) is not None:
        return milliseconds / 1000
    if "retry-after" in given:
        return _wait(given["retry-after"], now)
    prefix = "x-ratelimit-reset"
    resets = {name.removeprefix(prefix): _wait(value, now) for name, value in given.items() if name.startswith(prefix)}
    exhausted = {kind for kind in resets if given.get(f"x-ratelimit-remaining{kind}") == "0"} or set(resets)
    waits = [wait for kind, wait in resets.items() if kind in exhausted and wait is not None]
    return max(waits, default=None) if limited else None


def _wait(text: str, now: float) -> float | None:
    number = _finite(text)
    if number is not None:  # beyond a year of seconds it is a time, beyond the year 3000 in milliseconds
        when = number / 1000 if number > 3e10 else number
        return max(0.0, when - now) if when > 3e7 else when
    spans = SPAN.findall(text)
    if spans and "".join(amount + unit for amount, unit in spans) == text:
        return sum(float(amount) * UNITS[unit] for amount, unit in spans)
    try:
        when_date = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    stamped = when_date if when_date.tzinfo else when_date.replace(tzinfo=UTC)
    return max(0.0, stamped.timestamp() - now)


def _finite(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) and number >= 0 else None
