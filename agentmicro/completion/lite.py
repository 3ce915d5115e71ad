"""The LiteLLM transport: any provider. LiteLLM is imported here and nowhere else, and only when a transport is made."""

import functools
import gc
import json
import os
from collections.abc import Iterator
from importlib import import_module
from typing import Any
from weakref import WeakSet

from agentmicro.completion.adapting import Memory, adapted
from agentmicro.completion.protocol import FORMAT, failed, key_of, lost, scrubbed, unreadable
from agentmicro.completion.routes import Route
from agentmicro.completion.seam import CallError, Reply, Request

FOREVER = 3600.0  # seconds; `adapted` keeps the time, and LiteLLM would open a client for each time-out it is given
BEFORE = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_MODE": "PRODUCTION"}  # no download of prices, no .env read


class Lite:
    """One model of any provider, through `litellm.acompletion`, with its retries, caches and callbacks left off.

    It belongs to the event loop that it first sends on. What LiteLLM says that it would drop for a provider is left out
    here instead, so that the reply can name it.
    """

    def __init__(self, route: Route) -> None:
        self.route = route
        self._litellm = _litellm()
        self._memory = Memory()
        self._asked: set[str] = set()
        _LIVING.add(self)

    async def send(self, request: Request, seconds: float) -> Reply:
        """The reply to one request within so many seconds; raises CallError when there is none."""
        if not self._asked.issuperset(names := {FORMAT, *request.options}):
            self._memory.of(self.route).update(dict.fromkeys(_untaken(self._litellm, self.route, names), ""))
            self._asked |= names
        return await adapted(request, self.route, seconds, self._memory, self._exchange)

    async def close(self) -> None:
        """Closes LiteLLM's connections, which all its models share, when the last transport is closed."""
        _LIVING.discard(self)
        if not _LIVING:
            await import_module("litellm.litellm_core_utils.logging_worker").GLOBAL_LOGGING_WORKER.stop()
            await self._litellm.close_litellm_async_clients()
            self._litellm.in_memory_llm_clients_cache.flush_cache()

    async def _exchange(self, body: dict[str, Any]) -> object:
        route = self.route
        fixed = {
            "model": f"{route.provider}/{route.name}",
            "base_url": route.base_url,
            "api_key": key_of(route) or ("none" if route.base_url else None),
            "timeout": FOREVER,
            "max_retries": 0,
            "num_retries": 0,
            "drop_params": True,
        }
        try:
            answer = await self._litellm.acompletion(**{**body, **fixed})
        except Exception as error:  # LiteLLM raises its own, the SDKs' and plain ones alike
            raise _read(error, route) from None
        return _plain(answer.model_dump(), route)


_LIVING: WeakSet[Lite] = WeakSet()


@functools.cache
def _litellm() -> Any:
    """The module; collecting garbage while it is imported would take as long as the rest of the import."""
    for name, value in BEFORE.items():
        os.environ.setdefault(name, value)
    collecting = gc.isenabled()
    gc.disable()
    try:
        module = import_module("litellm")
    finally:
        gc.freeze()
        if collecting:
            gc.enable()
    module.__dict__.update(suppress_debug_info=True, disable_hf_tokenizer_download=True)
    return module


def _untaken(litellm: Any, route: Route, names: set[str]) -> set[str]:
    """The options that LiteLLM would drop on the way to this provider."""
    taken = litellm.get_supported_openai_params(model=route.name, custom_llm_provider=route.provider)
    return set() if taken is None else (names & set(litellm.OPENAI_CHAT_COMPLETION_PARAMS)) - set(taken)


def _plain(answer: dict[str, Any], route: Route) -> dict[str, Any]:
    """The completion as its server sent it: LiteLLM puts refusals elsewhere and the provider before the model."""
    for choice in answer.get("choices", []):
        message = choice.get("message") or {}
        message.setdefault("refusal", (message.get("provider_specific_fields") or {}).get("refusal"))
    if isinstance(answer.get("model"), str):
        answer["model"] = answer["model"].removeprefix(f"{route.provider}/")
    return answer


def _read(error: BaseException, route: Route) -> CallError:
    """The error of a call that LiteLLM raised for, read from what its library for HTTP says beneath it.

    LiteLLM's own classes depend on words in the message, and it reports a lost connection as the server's error.
    """
    import httpx

    chain = list(_chain(error))
    for each in chain:
        if isinstance(each, httpx.HTTPStatusError):
            return failed(each.response.status_code, each.response.headers, _body(each.response), route)
        if isinstance(each, httpx.TransportError):
            return lost(route)
    if any(isinstance(each, json.JSONDecodeError) for each in chain):
        return unreadable(route, "no JSON")
    status = getattr(error, "status_code", None)
    said = str(error).rpartition("Exception - ")[2]
    if isinstance(status, int) and status >= 400 and status != 500:
        return failed(status, {}, json.dumps({"error": {"message": said}}).encode(), route)
    return unreadable(route, f"nothing that LiteLLM can read: {scrubbed(said)}")


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _body(response: Any) -> bytes:
    return bytes(response.content) if response.is_stream_consumed else b""
