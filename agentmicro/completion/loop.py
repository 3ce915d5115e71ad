"""One event loop in one thread, for every call of the process.

Transports keep their connections on the loop that opened them, so there is one loop that outlives every call. It runs
in its own daemon thread; callers on any other thread, a notebook cell with a running loop of its own included, hand it
a coroutine and wait.
"""

import asyncio
import atexit
import concurrent.futures
import os
import threading
from collections.abc import Callable, Coroutine
from typing import Any

from agentmicro.errors import AgentmicroError

GRACE = 10.0  # seconds that cancelled calls get to end

_lock = threading.Lock()
_dropped: set[threading.Thread] = set()  # threads whose calls are not wanted until they say so
_waiting: "dict[threading.Thread, Callable[[], object]]" = {}  # what drops the calls that a thread waits for
_home: "_Home | None" = None


class Cancelled(AgentmicroError):
    """Calls were dropped because whoever waited for them was told to; nothing is known of their answers."""


class _Home:
    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self._work, name="agentmicro-calls", daemon=True)
        self.thread.start()

    def _work(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()
        left = asyncio.all_tasks(self.loop)
        for task in left:
            task.cancel()
        if left:
            self.loop.run_until_complete(asyncio.wait(left, timeout=GRACE / 2))
        self.loop.close()

    def stop(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(GRACE)


def _forget() -> None:
    """A forked child has the memory of the loop but not its thread, and perhaps a lock that nobody will release."""
    global _home, _lock
    _home, _lock = None, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def _current() -> _Home:
    global _home
    with _lock:
        if _home is None:
            _home = _Home()
        return _home


def run[T](coroutine: Coroutine[Any, Any, T]) -> T:
    """Runs a coroutine on the process's loop and waits for its result, whatever thread asks.

    Ctrl-C while waiting cancels the coroutine, lets it end, and then goes on as the interruption it is; `cancel` from
    another thread does the same and ends in `Cancelled`.
    """
    home = _current()
    if threading.current_thread() is home.thread:
        coroutine.close()
        raise RuntimeError("run() was called on the loop's own thread, where it would wait for itself: await instead")
    thread, tasks = threading.current_thread(), list[asyncio.Task[Any]]()

    async def held() -> T:
        task = asyncio.current_task()
        assert task is not None
        tasks.append(task)
        return await coroutine

    def drop() -> None:
        if tasks:
            tasks[0].cancel()
        elif not future.done():
            home.loop.call_soon(drop)  # it has not begun: a task that never ran could not end its calls

    future = asyncio.run_coroutine_threadsafe(held(), home.loop)
    _waiting[thread] = lambda: home.loop.call_soon_threadsafe(drop)
    try:
        if thread in _dropped:
            _waiting[thread]()
        return future.result()
    except concurrent.futures.CancelledError:
        raise Cancelled("calls to language models were cancelled before they were answered") from None
    except BaseException:
        if not future.done():
            home.loop.call_soon_threadsafe(drop)
            concurrent.futures.wait([future], GRACE)
        raise
    finally:
        _waiting.pop(thread, None)


def cancel(thread: threading.Thread) -> None:
    """Drops the calls that a thread waits for, and any that it makes until `allow`; its `run` raises `Cancelled`."""
    _dropped.add(thread)
    drop = _waiting.get(thread)
    if drop is not None:
        drop()


def allow(thread: threading.Thread) -> None:
    """Lets a thread make calls again."""
    _dropped.discard(thread)


def stop() -> None:
    """Ends the loop and its thread; the next `run` starts another."""
    global _home
    with _lock:
        home, _home = _home, None
    if home is not None:
        home.stop()


atexit.register(stop)
