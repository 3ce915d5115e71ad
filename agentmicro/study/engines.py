"""Where runs are made: here, in threads, in processes, on a Dask cluster, or on any `concurrent.futures.Executor`.

    serial            one after another, in this process
    threads           for language minds: one process, many calls in flight
    processes         workers of this machine, each with an interpreter of its own
    local-dask        a Dask cluster on this machine, made for the study and closed after it
    dask://HOST:PORT  the Dask cluster whose scheduler is there, and so SLURM, Kubernetes and the rest

An engine takes chunks of runs and gives futures; it knows how many it works on at once, and how to go on when a worker
has died. It decides nothing else: what comes of a run does not depend on it.
"""

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from multiprocessing.connection import wait
from typing import Any, Protocol

from agentmicro.completion import loop
from agentmicro.errors import AgentmicroError, SpecError, listed, nearest
from agentmicro.study.jobs import Context, Done, Order, work

NAMES = ("auto", "serial", "threads", "processes", "local-dask", "dask://HOST:PORT")
CLUSTER = "dask://"
THREADS = 16  # runs at once where each mostly waits for a language model
PATIENCE = 60.0  # seconds until a Dask cluster has its first worker
LOOK = 2.0  # seconds between two looks at how many workers a cluster has


class Engine(Protocol):
    """Takes chunks of runs; `width` is how many it works on at once."""

    @property
    def width(self) -> int:
        """How many chunks it works on at once."""
        ...

    def submit(self, orders: Sequence[Order]) -> "Future[Done]":
        """The future of a chunk of runs."""
        ...

    def ready(self) -> None:
        """Returns when a worker is there that answers; raises what `died` knows when it dies instead."""
        ...

    def renew(self) -> None:
        """Goes on after a worker has died."""
        ...

    def halt(self) -> None:
        """Lets the runs under way end early, where that is possible: what they would show is not wanted any more."""
        ...

    def close(self, now: bool = False) -> None:
        """Ends the workers; `now` without waiting for their runs."""
        ...


class Lost(AgentmicroError):
    """The workers are gone and nobody can bring them back from here; what was made is kept."""


def died(error: BaseException) -> bool:
    """Whether an error says that a worker died with the runs it had."""
    return isinstance(error, BrokenExecutor) or type(error).__name__ == "KilledWorker"


def known(choice: str | Executor) -> None:
    """Raises a SpecError for what is no engine's name."""
    if not isinstance(choice, Executor) and choice not in NAMES and not choice.startswith(CLUSTER):
        raise SpecError(f"executor = {choice!r}: expected one of {listed(NAMES)}{nearest(choice, NAMES)}")


def engine(choice: str | Executor, context: Context, workers: int | None) -> Engine:
    """The engine of that name, ready to work."""
    known(choice)
    if isinstance(choice, Executor):
        return Given(choice, context, workers)
    match choice:
        case "threads":
            return Threads(context, workers or THREADS)
        case "processes":
            return Processes(context, workers or processors())
        case "auto" | "serial":
            return Serial(context)
        case "local-dask":
            return Dask(context, "", workers or processors())
    return Dask(context, choice.removeprefix(CLUSTER), workers)


def processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Serial:
    """One run after another, here."""

    width = 1

    def __init__(self, context: Context) -> None:
        self.context = context

    def submit(self, orders: Sequence[Order]) -> "Future[Done]":
        """Makes the runs; the future is done when it is handed out."""
        future: Future[Done] = Future()
        future.set_result(work(self.context, orders))
        return future

    def ready(self) -> None:
        """It always is."""

    def renew(self) -> None:
        """There are no workers to die."""

    def halt(self) -> None:
        """Nothing is under way."""

    def close(self, now: bool = False) -> None:
        """Nothing to close."""


class Given:
    """An executor of the caller's, who also closes it."""

    def __init__(self, pool: Executor, context: Context, workers: int | None) -> None:
        self.pool = pool
        self.context = context if isinstance(pool, ThreadPoolExecutor) else context.packed()
        self.workers = workers or getattr(pool, "_max_workers", None) or processors()

    @property
    def width(self) -> int:
        """As many as it has workers."""
        return self.workers

    def submit(self, orders: Sequence[Order]) -> "Future[Done]":
        """The future of a chunk."""
        return self.pool.submit(work, self.context, orders)

    def ready(self) -> None:
        """Waits until a worker answers."""
        self.pool.submit(os.getpid).result()

    def renew(self) -> None:
        """Cannot be done for somebody else's executor."""
        raise Lost("a worker of the executor that was given has died: give the study a new one to go on")

    def halt(self) -> None:
        """Its runs go on to their end."""

    def close(self, now: bool = False) -> None:
        """Left to whoever made it."""


class Threads(Given):
    """Threads of this process: for minds that wait for calls."""

    def __init__(self, context: Context, workers: int) -> None:
        self._over = threading.Event()
        self._threads: list[threading.Thread] = []
        pool = ThreadPoolExecutor(workers, initializer=lambda: self._threads.append(threading.current_thread()))
        super().__init__(pool, replace(context, stopped=self._over.is_set), workers)

    def halt(self) -> None:
        """Runs end at their next turn."""
        self._over.set()

    def close(self, now: bool = False) -> None:
        """Waits for the runs; `now` they end at their next turn, and calls in flight are dropped."""
        if now:
            self.halt()
            for thread in self._threads:
                loop.cancel(thread)
        self.pool.shutdown(cancel_futures=now)
        for thread in self._threads:
            loop.allow(thread)


class Processes(Given):
    """Worker processes of this machine; those that die are replaced."""

    def __init__(self, context: Context, workers: int) -> None:
        super().__init__(_pool(workers), context, workers)
        try:
            self.ready()
        except BrokenExecutor:
            raise SpecError(
                "worker processes cannot be started; in a script, the study must stand below "
                "`if __name__ == '__main__':`, because each worker imports the script"
            ) from None

    def renew(self) -> None:
        """A new pool takes the place of the one that broke."""
        self.close(now=True)
        self.pool = _pool(self.workers)

    def close(self, now: bool = False) -> None:
        """Waits for the runs; `now` the workers are ended as they are."""
        if now:
            for process in list((getattr(self.pool, "_processes", None) or {}).values()):
                process.terminate()
        self.pool.shutdown(cancel_futures=now)


def _pool(workers: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), initializer=_enlist)


def _enlist() -> None:
    """A worker leaves Ctrl-C to its parent, and ends when that is killed instead of waiting for it for ever."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent is not None:
            wait([parent.sentinel])
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


class Dask(Given):
    """A Dask cluster, here or elsewhere; its scheduler replaces workers that die."""

    def __init__(self, context: Context, address: str, workers: int | None) -> None:
        self._stack = ExitStack()
        self._looked, self._threads = -LOOK, 1
        self._address, self._asked = address, workers
        super().__init__(self._opened(), context, workers or sys.maxsize)

    def _opened(self) -> Executor:
        """The executor of the cluster, which is made first where it is one of this machine."""
        distributed, address = _distributed(), self._address
        place: Any = address if "://" in address else f"tcp://{address}"
        with ExitStack() as opened:
            if not address:
                place = opened.enter_context(_local(self._asked))
            try:
                self.client = distributed.Client(place, set_as_default=False, timeout=PATIENCE / 4)
                opened.enter_context(self.client)
                self.client.wait_for_workers(1, timeout=PATIENCE)
            except (OSError, TimeoutError, ValueError) as error:
                raise SpecError(f"{CLUSTER}{address}: no scheduler with a worker answers there: {error}") from None
            self._stack = opened.pop_all()
            pool: Executor = self.client.get_executor()
            return pool

    def ready(self) -> None:
        """Waits until a worker answers; a cluster of this machine whose last one is gone for good is made anew."""
        try:
            self.client.wait_for_workers(1, timeout=PATIENCE / 4)
            self.pool.submit(os.getpid).result(PATIENCE)
        except TimeoutError:
            if self._address:
                lost = f"{CLUSTER}{self._address}: no worker has come back; what was made is kept"
                raise Lost(f"{lost}, and the same command goes on") from None
            self.close(now=True)
            self.pool = self._opened()

    @property
    def width(self) -> int:
        """How many threads the workers have together, looked up now and then, because clusters grow and shrink."""
        if time.monotonic() - self._looked > LOOK:
            self._looked = time.monotonic()
            self._threads = int(sum(self.client.nthreads().values()))
        return max(1, min(self._threads, self.workers))

    def renew(self) -> None:
        """The scheduler has done so."""

    def close(self, now: bool = False) -> None:
        """Lets the cluster go, and ends it if it was made for this study."""
        self.pool.shutdown(wait=not now)
        self._stack.close()


def _local(workers: int | None) -> Any:
    """A cluster on this machine; what died with a worker comes back at once, because the runner tries it alone."""
    import dask

    with dask.config.set({"distributed.scheduler.allowed-failures": 0}):
        return _distributed().LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=":0")


def _distributed() -> Any:
    try:
        import distributed
    except ImportError:
        raise SpecError("Dask is not installed; it comes with the extra agentmicro[dask]") from None
    return distributed
