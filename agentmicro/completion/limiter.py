"""How many calls may be in flight: a limit that falls at once when the server says so, and rises slowly.

Additive increase and multiplicative decrease (Chiu and Jain 1989, doi:10.1016/0169-7552(89)90019-6), as TCP has it: a
429 halves the limit, once for each episode, and each answer adds 1/limit. Requests and tokens per minute are kept by
token buckets whose size and rate together never admit more than the ceiling in any minute.
"""

import asyncio
import math
from collections import deque
from dataclasses import dataclass

from agentmicro.completion.board import Alone, Board, State
from agentmicro.completion.seam import CallError, Fault
from agentmicro.errors import SpecError

CUT = 0.5
COOLDOWN = 2.0  # seconds after a cut, or after the pause that came with it, in which 429s are still the same episode
CALM = 10.0  # seconds without growth after a server error or a time-out
POLL = 0.01  # seconds between looks at slots that other processes hold
BURST = 10  # the part of a minute's ceiling, one in so many, that may go at once
MOST = 100_000


@dataclass(frozen=True)
class Limits:
    """Ceilings of the traffic of one study: calls in flight, and requests and tokens per minute."""

    concurrency: int = 64
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.concurrency <= MOST:
            raise SpecError(f"concurrency = {self.concurrency}: expected a whole number from 1 to {MOST}")
        for name in ("requests_per_minute", "tokens_per_minute"):
            value = getattr(self, name)
            if value is not None and not 1 <= value < math.inf:
                raise SpecError(f"{name} = {value}: expected a number of 1 or more, or none for no ceiling")


@dataclass(frozen=True, slots=True)
class Permit:
    """Leave to make one call: its slot, when it was given, and the tokens it was counted for."""

    slot: int
    sent: float
    tokens: float


class Limiter:
    """Gives permits in the order in which they are asked for; never more at once than the ceiling, over all processes.

    A permit is asked for by `acquire`, told how its call ended by `answered` or `faulted`, and given back by `release`.
    All of it happens on one event loop and on that loop's clock.
    """

    def __init__(self, limits: Limits, board: Board | None = None) -> None:
        self.limits = limits
        self.board = board if board is not None else Alone()
        self._mine: set[int] = set()
        self._queue: deque[tuple[asyncio.Future[Permit], float]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._limit = 0.0
        self._metered = limits.requests_per_minute is not None or limits.tokens_per_minute is not None

    @property
    def in_flight(self) -> int:
        """Permits that this process holds."""
        return len(self._mine)

    @property
    def limit(self) -> int:
        """Calls in flight that the server seems to bear, as last seen."""
        return int(self._limit) or self.limits.concurrency

    async def acquire(self, tokens: float = 0.0) -> Permit:
        """Waits for its turn, the end of a pause, both buckets and a slot."""
        future: asyncio.Future[Permit] = asyncio.get_running_loop().create_future()
        self._queue.append((future, tokens))
        if len(self._queue) == 1:
            self._pump()
        try:
            return await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled():
                self.release(future.result())
            else:
                self._pump()
            raise

    def answered(self, permit: Permit, tokens: float | None = None) -> None:
        """The call was answered and used so many tokens, if that is known: the limit grows a little."""
        bucket = self.limits.tokens_per_minute
        if self._limit >= self.limits.concurrency and bucket is None:
            return
        now = asyncio.get_running_loop().time()
        with self.board.state() as state:
            if bucket is not None and tokens is not None:
                state.tokens += permit.tokens - tokens
            if now >= max(state.episode, state.calm) and state.limit:
                state.limit = min(self.limits.concurrency, state.limit + 1 / state.limit)
            self._limit = state.limit or self.limits.concurrency

    def faulted(self, permit: Permit, error: CallError) -> None:
        """The call failed: a 429 cuts and pauses, a server error or a time-out only stops the growth."""
        if not error.passing:
            return
        now = asyncio.get_running_loop().time()
        with self.board.state() as state:
            if error.retry_after:
                state.paused = max(state.paused, now + error.retry_after)
            if error.fault is not Fault.RATE:
                state.calm = now + CALM
                return
            if permit.sent >= state.episode:
                state.limit = max(1.0, (state.limit or self.limits.concurrency) * CUT)
                state.episode = now + COOLDOWN
            if error.retry_after:
                state.episode = max(state.episode, state.paused + COOLDOWN)
            self._limit = state.limit or self.limits.concurrency

    def release(self, permit: Permit) -> None:
        """The call is over; the next in line goes."""
        self._mine.discard(permit.slot)
        self.board.free(permit.slot)
        self._pump()

    def _pump(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._queue:
            future, tokens = self._queue[0]
            if not future.done():
                found = self._try(tokens)
                if isinstance(found, float):
                    if found < math.inf:
                        self._timer = asyncio.get_running_loop().call_later(found, self._pump)
                    return
                future.set_result(found)
            self._queue.popleft()
        self.board.hungry(False)

    def _try(self, tokens: float) -> Permit | float:
        """A permit, or the seconds until it is worth asking again; infinite when only a release here can help."""
        if not self._metered:
            return self._admitted(self.board.peek(), tokens)
        with self.board.state() as state:
            return self._admitted(state, tokens)

    def _admitted(self, state: State, tokens: float) -> Permit | float:
        now = asyncio.get_running_loop().time()
        self._limit = min(state.limit or self.limits.concurrency, self.limits.concurrency)
        if now < state.paused:
            return state.paused - now
        wait = self._refill(state, now, tokens)
        if wait > 0:
            return wait
        slot = self._slot()
        if isinstance(slot, float):
            self.board.hungry(True)
            return slot
        state.requests -= 1
        state.tokens -= tokens
        self._mine.add(slot)
        return Permit(slot, now, tokens)

    def _slot(self) -> int | float:
        limit = max(1, int(self._limit))
        rivals = self.board.rivals()
        if len(self._mine) < max(1, limit // (1 + rivals)):
            for slot in range(limit):
                if slot not in self._mine and self.board.take(slot):
                    return slot
        return POLL if rivals or len(self._mine) < limit else math.inf

    def _refill(self, state: State, now: float, tokens: float) -> float:
        """Fills both buckets; the seconds until they hold one request and so many tokens."""
        wait = 0.0
        ceiling = self.limits.requests_per_minute
        if ceiling is not None:
            size = max(1.0, ceiling / BURST)
            rate = (ceiling - size + 1) / 60
            state.requests = _filled(state.requests, state.requests_at, now, size, rate)
            state.requests_at = now
            wait = (1 - state.requests) / rate
        ceiling = self.limits.tokens_per_minute
        if ceiling is not None:
            size = ceiling / BURST
            rate = (ceiling - size) / 60
            state.tokens = _filled(state.tokens, state.tokens_at, now, size, rate)
            state.tokens_at = now
            # A call larger than the bucket goes when the bucket is full, and leaves a debt.
            wait = max(wait, (min(tokens, size) - state.tokens) / rate)
        return wait if wait > 1e-9 else 0.0


def _filled(level: float, then: float, now: float, size: float, rate: float) -> float:
    """The level of a bucket now; one that was never used is full."""
    return size if not then else min(size, level + (now - then) * rate)
