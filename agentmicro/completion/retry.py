"""Asking until there is a reply, a reason to stop, or no patience left.

Waits grow exponentially with full jitter (Brooker 2015, "Exponential backoff and jitter"), drawn by keyed luck, so that
a run waits the same way every time.
"""

import asyncio
import contextlib
import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from agentmicro.completion.limiter import Limiter
from agentmicro.completion.seam import CallError, Fault, Reply, Request, Status, Transport
from agentmicro.errors import SpecError
from agentmicro.noise import Chance

CHARACTERS = 4  # to a token, about, in English
ANSWER = 200  # tokens to expect where the request sets no ceiling
OPTIONS = ("max_completion_tokens", "max_tokens")


@dataclass(frozen=True)
class Patience:
    """How often and how long: tries and seconds per decision, seconds per call, the first and the longest wait.

    A decision's seconds start when its first call leaves, so that standing in line costs no patience.
    """

    tries: int = 5
    call_seconds: float = 60.0
    decision_seconds: float = 120.0
    first_wait: float = 1.0
    longest_wait: float = 30.0

    def __post_init__(self) -> None:
        if self.tries < 1:
            raise SpecError(f"tries = {self.tries}: expected 1 or more")
        for name in ("call_seconds", "decision_seconds", "first_wait", "longest_wait"):
            if not 0 < getattr(self, name) < math.inf:
                raise SpecError(f"{name} = {getattr(self, name)}: expected seconds above 0")

    def ceiling(self, failures: int) -> float:
        """The longest wait after so many failures."""
        return min(self.longest_wait, self.first_wait * 2.0 ** min(failures - 1, 60))


@dataclass(frozen=True)
class Answer:
    """How a decision's calls ended: the reply, and the last fault if there was none."""

    reply: Reply
    fault: CallError | None = None


def expected(request: Request) -> float:
    """Tokens that a call will probably use, for the ceiling per minute; corrected when the reply says how many."""
    said = len(request.prompt) + len(request.system) + sum(len(reply) + len(wrong) for reply, wrong in request.again)
    most = next((request.options[name] for name in OPTIONS if name in request.options), ANSWER)
    return said / CHARACTERS + float(most)


async def call(transport: Transport, request: Request, seconds: float) -> Reply:
    """One call, over after so many seconds whatever the transport does; raises CallError when there is no reply.

    A transport that ignores its cancellation is left behind, and what it returns later is dropped.
    """
    task = asyncio.ensure_future(transport.send(request, seconds))
    try:
        await asyncio.wait({task}, timeout=seconds)
    finally:
        if not task.done():
            task.add_done_callback(_dropped)
            task.cancel()
    if not task.done():
        raise CallError(Fault.TIMEOUT, f"no reply within {seconds:g} s")
    return task.result()


def _dropped(task: asyncio.Future[Reply]) -> None:
    with contextlib.suppress(BaseException):  # seen and dropped, or asyncio reports an exception nobody looked at
        task.result()


async def ask(
    request: Request,
    transport: Transport,
    limiter: Limiter,
    patience: Patience,
    halted: Callable[[], bool] = lambda: False,
) -> Answer | None:
    """The answer to a request after as many calls as patience allows; None when everything halts before one.

    Passing faults are tried again, others end the decision at once. Retry-After is waited for, and where it is longer
    than the patience that is left, the decision ends without waiting.
    """
    luck = Chance(request.seed, f"retry {request.attempt}", request.decision, request.agent)
    clock = asyncio.get_running_loop().time
    tokens = expected(request) if limiter.limits.tokens_per_minute else 0.0
    began: float | None = None
    fault = CallError(Fault.TIMEOUT, "never sent")
    calls = 0
    while calls < patience.tries:
        permit = await limiter.acquire(tokens)
        try:
            began = clock() if began is None else began
            left = patience.decision_seconds - (clock() - began)
            if halted():
                return None
            if left <= 0:
                break
            calls += 1
            limiter.board.sent()
            reply = await call(transport, request, min(patience.call_seconds, left))
        except CallError as error:
            fault = error
            limiter.board.settled()
            limiter.faulted(permit, error)
        else:
            limiter.answered(permit, _used(reply))
            return Answer(replace(reply, calls=calls, seconds=clock() - began))
        finally:
            limiter.release(permit)
        wait = max(luck() * patience.ceiling(calls), fault.retry_after or 0.0)
        if not fault.passing or calls == patience.tries or clock() - began + wait >= patience.decision_seconds:
            break
        await asyncio.sleep(wait)
    return Answer(_failed(fault, calls, clock() - (began or clock()), patience), fault)


def _failed(fault: CallError, calls: int, seconds: float, patience: Patience) -> Reply:
    tries = f", after {calls} calls" if calls > 1 else ""
    asked = f"; the server asks to wait {fault.retry_after:g} s" if fault.retry_after else ""
    limit = (
        f" (a decision may take {patience.decision_seconds:g} s)" if fault.passing and calls < patience.tries else ""
    )
    return Reply(
        "", Status.FAILED, error=f"{fault.fault.value}: {fault}{asked}{tries}{limit}", calls=calls, seconds=seconds
    )


def _used(reply: Reply) -> float | None:
    if reply.tokens_in is None or reply.tokens_out is None:
        return None
    return reply.tokens_in + reply.tokens_out
