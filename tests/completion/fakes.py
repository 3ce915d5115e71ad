"""Transports that do as they are told, and an event loop whose time passes only when everybody waits."""

import asyncio
import selectors
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from agentmicro.completion.seam import CallError, Fault, Reply, Request, Status

OK = Status.OK


def request(agent: int = 0, decision: int = 0, **changes: Any) -> Request:
    asked = {"model": "fake/model", "prompt": f"agent {agent}, decision {decision}?", "schema": {"type": "string"}}
    return Request(**{**asked, "seed": 1, "agent": agent, "decision": decision, **changes})


def reply(text: str = "yes", **changes: Any) -> Reply:
    used = {"tokens_in": 10, "tokens_out": 2, "tokens_cached": 4, "cost_usd": 0.25, "served": "model-1"}
    return Reply(text, **{**used, **changes})


def rate(retry_after: float | None = None) -> CallError:
    return CallError(Fault.RATE, "slow down", 429, retry_after)


class Fake:
    """Answers by a function of the request and of how often that request was sent; it counts what is in flight."""

    def __init__(self, answer: Callable[[Request, int], Any] = lambda request, call: reply(request.prompt)) -> None:
        self.answer = answer
        self.sent: list[Request] = []
        self.in_flight = self.peak = 0
        self.closed = False

    def __call__(self, model: str, base_url: str | None, force: str) -> "Fake":
        return self

    async def send(self, request: Request, seconds: float) -> Reply:
        call = sum(each == request for each in self.sent) if len(self.sent) < 500 else 0
        self.sent.append(request)
        self.in_flight += 1
        self.peak = max(self.peak, self.in_flight)
        try:
            found = self.answer(request, call)
            if isinstance(found, Awaitable):
                found = await found
            if isinstance(found, Exception):
                raise found
            return found
        finally:
            self.in_flight -= 1

    async def close(self) -> None:
        self.closed = True


class _Jumping(selectors.DefaultSelector):
    now = 1000.0

    def select(self, timeout: float | None = None) -> Any:
        found = super().select(0)
        if not found:
            assert timeout is not None, "everybody waits for ever"
            self.now += max(timeout, 0.0)
        return found


def play[T](coroutine: Coroutine[Any, Any, T]) -> T:
    """Runs a coroutine on a clock that starts at 1000 and jumps to whatever is due next."""
    selector = _Jumping()
    loop = asyncio.SelectorEventLoop(selector)
    loop.time = lambda: selector.now
    try:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            return runner.run(coroutine)
    finally:
        loop.close()


def now() -> float:
    return asyncio.get_running_loop().time()
