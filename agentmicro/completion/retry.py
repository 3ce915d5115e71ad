"""Asking until there is a reply, a reason to stop, or no patience left.

Waits grow exponentially with full jitter (Brooker 2015, "Exponential backoff and jitter"), drawn by keyed luck, so that
a run waits the same way every time.
"""

import asyncio
import contextlib
import math
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


class Halt:
    """A stop for everybody who asks together: calls in flight end, and whoever only waits is woken and goes."""

    def __init__(self) -> None:
        self.reason: Exception | None = None
        self.asking: set[asyncio.Task[None]] = set()
        self.calling: set[asyncio.Task[None] | None] = set()

    def __call__(self, reason: Exception) -> None:
        """Stops, for this reason unless there is one already."""
        if self.reason is None:
            self.reason = reason
            for task in self.asking - self.calling - {asyncio.current_task()}:
                task.cancel()


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
    request: Request, transport: Transport, limiter: Limiter, patience: Patience, halt: Halt
) -> Answer | None:
    """The answer to a request after as many calls as patience allows; None when everything halts before one.

    Passing faults are tried again, others end the decision at once. Retry-After is waited for, and where it is longer
    than the patience that is left, the decision ends without waiting.
    """
    luck = Chance(request.seed, f"retry {request.attempt}", request.decision, request.agent)
    clock = asyncio.get_running_loop().time
    tokens = expected(request) if limiter.limits.tokens_per_minute else 0.0
    fault = CallError(Fault.TIMEOUT, "never sent")
    began = math.nan
    calls = 0
    while calls < patience.tries:
        permit = await limiter.acquire(tokens)
        began = began if calls else clock()
        left = patience.decision_seconds - (clock() - began)
        if halt.reason is not None or left <= 0:
            limiter.release(permit)
            break
        calls += 1
        try:
            reply = await _counted(request, transport, limiter, min(patience.call_seconds, left), halt)
        except CallError as error:
            fault = error
            limiter.board.settled()
            if (
                error.retry_after or 0.0
            ) < patience.decision_seconds:  # a longer pause is a stop, for the caller to make
                limiter.faulted(permit, error)
        else:
            limiter.answered(permit, _used(reply))
            return Answer(replace(reply, calls=reply.calls + calls - 1, seconds=clock() - began))
        finally:
            limiter.release(permit)
        wait = max(luck() * patience.ceiling(calls), fault.retry_after or 0.0)
        if not fault.passing or calls == patience.tries or clock() - began + wait >= patience.decision_seconds:
            break
        await asyncio.sleep(wait)
    if halt.reason is not None:
        return None
    return Answer(_failed(fault, calls, clock() - began, patience), fault)


async def _counted(request: Request, transport: Transport, limiter: Limiter, seconds: float, halt: Halt) -> Reply:
    """One call that a halt lets end, and that the board counts as sent; who keeps its reply counts it as settled."""
    task = asyncio.current_task()
    halt.calling.add(task)
    limiter.board.sent()
    try:
        return await call(transport, request, seconds)
    finally:
        halt.calling.discard(task)


def _failed(fault: CallError, calls: int, seconds: float, patience: Patience) -> Reply:
    said = f"{fault.fault.value}: {fault}"
    if fault.retry_after:
        said += f"; the server asks to wait {fault.retry_after:g} s"
    if calls > 1:
        said += f"; {calls} calls"
    if fault.passing and calls < patience.tries:
        said += f"; a decision may take {patience.decision_seconds:g} s"
    return Reply("", Status.FAILED, error=said, calls=calls, seconds=seconds)


def _used(reply: Reply) -> float | None:
    if reply.tokens_in is None or reply.tokens_out is None:
        return None
    return reply.tokens_in + reply.tokens_out
