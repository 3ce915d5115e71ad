"""What all runs of one study share: the record, the limiter, the budget, and the connections.

    with session("study.record", limits=Limits(concurrency=16)):
        ...  # every language mind asked in here, on any thread, is asked under this session

A session is its settings; what it opens belongs to one process. Pickled or forked, it opens its own there: on the same
record, and on the same board of slots.
"""

import atexit
import os
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Self

from agentmicro.completion.board import board_at
from agentmicro.completion.budget import Budget, Ceilings, Spent
from agentmicro.completion.limiter import Limiter, Limits
from agentmicro.completion.loop import run
from agentmicro.completion.record import Mode, Record
from agentmicro.completion.retry import Patience
from agentmicro.completion.seam import Reply, Request, Transport
from agentmicro.errors import SpecError, listed, nearest

type Factory = Callable[[str, str | None, str], Transport]


@dataclass(frozen=True)
class Settings:
    """A session as data.

    path: the record; None is the user's own, `home()`. mode: record | replay | off. transport: direct | litellm, empty
    to let the model decide. price_in, price_out: USD per million tokens, before the list. give_up: so many decisions of
    a model in a row without an answer stop the run. factory: makes transports, for tests and servers of one's own.
    """

    path: Path | None = None
    mode: Mode = Mode.RECORD
    limits: Limits = field(default_factory=Limits)
    patience: Patience = field(default_factory=Patience)
    budget: Budget = field(default_factory=Budget)
    transport: str = ""
    price_in: float | None = None
    price_out: float | None = None
    give_up: int = 20
    factory: Factory | None = None


def home() -> Path:
    """The record of whoever opens no session: in AGENTMICRO_CACHE_DIR, or where the platform keeps caches."""
    given = os.environ.get("AGENTMICRO_CACHE_DIR")
    if given:
        return Path(given) / "record.sqlite"
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "agentmicro" / "record.sqlite"


@dataclass
class Health:
    """Whether a model ever answered here, and how many decisions in a row it has left unanswered."""

    answered: bool = False
    streak: int = 0

    def well(self) -> None:
        """It answered."""
        self.answered, self.streak = True, 0


class Opened:
    """What a session holds in one process."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.process = os.getpid()
        self.spent = Spent()
        path = settings.path if settings.path is not None else home()
        recording = settings.mode is Mode.RECORD
        self.record = None if settings.mode is Mode.OFF else Record(path, read_only=not recording)
        self.limiter = Limiter(settings.limits, board_at(Path(f"{path}.traffic") if recording else None))
        self._transports: dict[tuple[str, str | None, str], Transport] = {}
        self._health: dict[tuple[str, str | None], Health] = {}

    def transport(self, request: Request) -> Transport:
        """The transport to a request's model, made when first needed."""
        place = (request.model, request.base_url, self.settings.transport or request.transport)
        if place not in self._transports:
            make = self.settings.factory or _reached(self.settings.limits.concurrency)
            self._transports[place] = make(*place)
        return self._transports[place]

    def health(self, request: Request) -> Health:
        """How a request's model has been answering."""
        return self._health.setdefault((request.model, request.base_url), Health())

    def priced(self, request: Request, reply: Reply) -> Reply:
        """The reply at the prices of the session, or else of the request, where there are some."""
        sent = request.price_in if self.settings.price_in is None else self.settings.price_in
        received = request.price_out if self.settings.price_out is None else self.settings.price_out
        if sent is None and received is None:
            return reply
        from agentmicro.completion.prices import cost

        tokens = (reply.tokens_in, reply.tokens_out, reply.tokens_cached)
        usd = cost(reply.served, *tokens, asked=request.model, price_in=sent, price_out=received)
        return replace(reply, cost_usd=usd)

    def total(self) -> Spent:
        """What the study has spent since it began; without a record, what this process has."""
        return self.record.total() if self.record is not None else self.spent

    def close(self) -> None:
        """Closes connections, record and board."""
        if self._transports:
            run(self._hang_up())
        if self.record is not None:
            self.record.close()
        self.limiter.board.close()

    async def _hang_up(self) -> None:
        for transport in self._transports.values():
            await transport.close()
        self._transports.clear()


def _reached(connections: int) -> Factory:
    from agentmicro.completion.models import transport_for

    return partial(transport_for, connections=connections)


class Session:
    """The settings of a study's calls, and in each process what they opened there; a context that makes it current."""

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings if settings is not None else Settings()
        self._opened: Opened | None = None

    def __reduce__(self) -> tuple[type["Session"], tuple[Settings]]:
        return Session, (self.settings,)

    def opened(self) -> Opened:
        """What the session holds in this process, opened when first asked."""
        with _lock:
            if self._opened is not None and self._opened.process != os.getpid():
                _inherited.append(self._opened)
                self._opened = None
            if self._opened is None:
                self._opened = Opened(self.settings)
            return self._opened

    @property
    def interrupted(self) -> int:
        """Calls that were in flight when earlier processes of this study were killed: paid for perhaps, and lost."""
        return self.opened().limiter.board.interrupted

    def total(self) -> Spent:
        """What the study has spent since it began, in all its processes."""
        return self.opened().total()

    def begin(self) -> Self:
        """Opens the session and makes it the current one of the process; what is wrong with it is raised here."""
        self.opened()
        _current.append(self)
        return self

    def end(self) -> None:
        """Closes what is open; the session that was current before is current again."""
        if self in _current:
            _current.remove(self)
        opened, self._opened = self._opened, None
        if opened is not None and opened.process == os.getpid():
            opened.close()

    def __enter__(self) -> Self:
        return self.begin()

    def __exit__(self, *_: object) -> None:
        self.end()


_lock = threading.RLock()
_current: list[Session] = []
_default: Session | None = None
_inherited: list[Opened] = []  # a forked child must neither use nor close its parent's database, so it keeps it


def _unlock() -> None:
    global _lock
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_unlock)


@atexit.register
def _leave() -> None:
    for each in [*_current, *([_default] if _default is not None else [])]:
        each.end()


def session(path: Path | str | None = None, mode: Mode | str = Mode.RECORD, **settings: Any) -> Session:
    """A session on a record, for `with`; the settings are those of `Settings`."""
    if mode not in list(Mode):
        raise SpecError(f"record mode {mode!r}: expected one of {listed(Mode)}{nearest(mode, Mode)}")
    return Session(Settings(Path(path) if path is not None else None, Mode(mode), **settings))


def begun() -> Session | None:
    """The session that was begun last and has not ended, if there is one."""
    with _lock:
        return _current[-1] if _current else None


def current() -> Session:
    """The session that was begun last and has not ended; without one, the user's own record.

    AGENTMICRO_MAX_CONCURRENCY is its ceiling of calls in flight and AGENTMICRO_MAX_COST, in USD, that of each run.
    """
    global _default
    with _lock:
        found = begun()
        if found is not None:
            return found
        settings = _environment()
        if _default is not None and _default.settings != settings:
            _default.end()
        if _default is None or _default.settings != settings:
            _default = Session(settings)
        return _default


def _environment() -> Settings:
    concurrency = _number("AGENTMICRO_MAX_CONCURRENCY")
    limits = Limits() if concurrency is None else Limits(int(concurrency))
    return Settings(home(), limits=limits, budget=Budget(run=Ceilings(usd=_number("AGENTMICRO_MAX_COST"))))


def _number(name: str) -> float | None:
    text = os.environ.get(name, "")
    try:
        return float(text) if text else None
    except ValueError:
        raise SpecError(f"{name} = {text!r}: expected a number") from None
