"""The runner: hands out runs in chunks to an engine, keeps what comes back, and outlives workers that die.

Chunks take some tenths of a second, so that handing over costs little and a kill loses little; only a few are on their
way at once, so memory does not grow with the study. A worker that dies takes its chunk with it: those runs are made
again one by one, alone, so that the one that kills its worker is known, and it becomes a failed run.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Executor, Future, wait
from dataclasses import dataclass
from itertools import islice

from agentmicro.errors import AgentmicroError, SpecError
from agentmicro.study.engines import Lost, Serial, died, engine, processors
from agentmicro.study.jobs import Context, Done, Order, failed
from agentmicro.study.plan import Job
from agentmicro.study.store import DIED

CHUNK = 0.3  # seconds of runs that are handed over at once
AHEAD = 2  # chunks on their way for each that is worked on
GROWTH = 4  # times the last chunk, at most: the first runs may not be like the others
PAYS = 4.0  # seconds that several processes must save before they are started
KNOWN = 3  # runs after which the others are believed to be as long
AGAIN = 2  # times that a run is tried alone after a worker died with it
STARTS = 10  # workers in a row that die before they do anything


@dataclass(frozen=True)
class Progressed:
    """How far a study is: runs made now, of those that were missing, and how many of them failed."""

    made: int
    missing: int
    failed: int


type Tell = Callable[[Progressed], None]
type Keep = Callable[[Sequence[str]], None]


class Runner:
    """Makes runs on an engine; what the runs show never depends on which.

    choice: an engine's name or an executor. `auto` begins here and goes on in processes once that saves time, unless
    waiting is all that the runs do (`waits`), which is for threads.
    """

    def __init__(
        self,
        context: Context,
        choice: str | Executor,
        workers: int | None,
        keep: Keep,
        tell: Tell | None = None,
        waits: bool = False,
    ) -> None:
        self._context = context
        self._workers = workers
        self._keep = keep
        self._tell = tell
        self._auto = choice == "auto" and not waits
        self._engine = engine("threads" if choice == "auto" and waits else choice, context, workers)
        self._waiting: dict[Future[Done], Sequence[Order]] = {}
        self._suspects: deque[Order] = deque()
        self._tries: Counter[Job] = Counter()
        self._pace = 0.0  # seconds to a run
        self._chunk = 1
        self._made = self._missing = self._failed = self._sent = 0

    def make(self, orders: Iterable[Order], count: int) -> None:
        """Makes so many runs; returns when all have ended and are kept."""
        supply = iter(orders)
        self._missing += count
        while True:
            self._hand_out(supply)
            if self._waiting:
                self._take()
            elif self._suspects:
                self._alone()
            else:
                return

    def close(self, now: bool = False) -> None:
        """Ends the workers; `now` without waiting for their runs."""
        self._engine.close(now)

    def _hand_out(self, supply: Iterator[Order]) -> None:
        if self._auto and self._saves():
            self._engine, self._auto = engine("processes", self._context, self._workers), False
        ahead = 1 if isinstance(self._engine, Serial) else self._engine.width * AHEAD
        while not self._suspects and len(self._waiting) < ahead:
            orders = list(islice(supply, self._size()))
            if not orders:
                return
            self._sent += len(orders)
            try:
                self._waiting[self._engine.submit(orders)] = orders
            except Exception as error:
                if not died(error):
                    raise
                self._suspects.extend(orders)

    def _size(self) -> int:
        """How many runs the next chunk has: as many as fit its time, and few enough that all workers end together."""
        fitting = int(CHUNK / self._pace) if self._pace else 1
        fair = (self._missing - self._sent) // (AHEAD * self._engine.width)
        self._chunk = max(1, min(fitting, fair, GROWTH * self._chunk))
        return self._chunk

    def _saves(self) -> bool:
        """Whether starting processes saves more time than it takes, as far as the runs until now tell."""
        workers = self._workers or processors()
        left = (self._missing - self._made) * self._pace
        return self._made >= KNOWN and left * (1 - 1 / workers) > PAYS

    def _take(self) -> None:
        done, _ = wait(self._waiting, return_when=FIRST_COMPLETED)
        broken = False
        for future in done:
            orders = self._waiting.pop(future)
            found = self._result(future)
            if found is None:
                broken = True
                self._suspects.extend(orders)
            else:
                self._note(found)
        if broken:
            self._break()

    def _result(self, future: "Future[Done]") -> Done | None:
        """What a chunk gave; None if its worker died."""
        try:
            return future.result()
        except CancelledError:
            raise Lost("the workers are gone; what was made is kept, and the same command goes on") from None
        except AgentmicroError:
            raise
        except Exception as error:
            if died(error):
                return None
            said = " ".join(str(error).split())
            raise SpecError(f"the workers cannot make runs: {type(error).__name__}: {said}") from error

    def _note(self, found: Done) -> None:
        self._keep(found.lines)
        if found.lines:
            pace = found.seconds / len(found.lines)
            self._pace = (self._pace + pace) / 2 if self._pace else pace
            self._made += len(found.lines)
            self._failed += found.failed
        if self._tell is not None:
            self._tell(Progressed(self._made, self._missing, self._failed))
        if found.halt is not None:
            self._halt(found.halt)

    def _halt(self, reason: Exception) -> None:
        """Keeps what the others still bring home, then stops the study."""
        self._engine.halt()
        for future in wait(self._waiting).done:
            found = self._result(future)
            if found is not None:
                self._keep(found.lines)
        self._waiting.clear()
        raise reason

    def _break(self) -> None:
        """After a worker died: all that it and its fellows had is under suspicion."""
        for future in wait(self._waiting).done:
            orders = self._waiting.pop(future)
            found = self._result(future)
            if found is None:
                self._suspects.extend(orders)
            else:
                self._note(found)
        self._engine.renew()

    def _alone(self) -> None:
        """One suspect, with nobody else at work, so that whatever happens is its doing."""
        order = self._suspects.popleft()
        self._recover()
        self._tries[order.job] += 1
        found = None
        try:
            found = self._result(self._engine.submit([order]))
        except Exception as error:
            if not died(error):
                raise
        if found is None:
            self._engine.renew()
            if self._tries[order.job] < AGAIN:
                self._suspects.append(order)
                return
            found = Done((failed(order.job, DIED),), 1, self._pace)
        self._note(found)

    def _recover(self) -> None:
        """Waits for a worker that lives; one that is killed while it starts blames no run."""
        for _ in range(STARTS):
            try:
                self._engine.ready()
            except Exception as error:
                if not died(error):
                    raise
                self._engine.renew()
            else:
                return
        raise Lost(f"{STARTS} workers in a row died as they started; what was made is kept")
