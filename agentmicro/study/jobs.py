"""What a worker does: it makes runs, and says what came of each in one line of JSON.

A line holds `cell`, `seed` and `status`. A run that succeeded has a `row` of what is known of it as a whole and a
`series`, every column at every turn, as the bytes of its numbers, so that no digit is lost; one that failed has its
`error` in a sentence and a `traceback`. `took` is what depends on the day: the seconds, and what was paid this time.
"""

import base64
import functools
import inspect
import json
import os
import pickle
import re
import socket
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import agentmicro
from agentmicro.completion import BudgetReached, Spent
from agentmicro.errors import RuleError, SpecError, listed
from agentmicro.knobs import Scalar, knobs
from agentmicro.minds import Outcome
from agentmicro.minds.speaker import Speaker, defined
from agentmicro.society import Society
from agentmicro.study.plan import Cell, Job, digest
from agentmicro.study.reading import columns
from agentmicro.study.results import FAILED, SUCCEEDED
from agentmicro.study.run import build
from agentmicro.study.spec import Knobs

# Everything of the package that a run is made from; what reads and tells results may change under a study.
APART = ("phenomena", "study", "cli", "templates", "app", "contract.py", "trials.py")
DECISIONS = tuple(f"n_{outcome.name.lower()}" for outcome in Outcome)
PAID = ("n_calls", "tokens_in", "tokens_out", "tokens_cached", "cost_usd")
LONGEST = 500  # characters of an error in a table
ADDRESS = re.compile(r"0x[0-9a-fA-F]{4,}")


@dataclass(frozen=True)
class Context:
    """What every worker must know besides its jobs.

    code: the digests of what runs are made from, by which a worker knows that it runs the same. session: where language
    minds ask, for workers in processes of their own. stopped: whether runs are to end at their next turn.
    """

    cls: Any
    turns: int
    minds: Mapping[str, Speaker]
    code: Mapping[str, str]
    session: Any = None
    stopped: Callable[[], bool] = bool

    def packed(self) -> bytes:
        """The context as another process can have it: without the flag, which does not reach that far."""
        return pickle.dumps(Context(self.cls, self.turns, self.minds, self.code, self.session))


class Stopped(Exception):
    """A run was told to end before its last turn."""


class Order(NamedTuple):
    """A run to make, with the cell itself."""

    job: Job
    cell: Cell


@dataclass(frozen=True)
class Done:
    """The lines of the runs that ended, and how many of them failed.

    seconds: how long they took together. halt: what stops the study, if anything does.
    """

    lines: tuple[str, ...]
    failed: int
    seconds: float
    halt: Exception | None = None


def work(context: Context | bytes, orders: Sequence[Order]) -> Done:
    """Makes runs one after another; a run that raises is a line like any other, and what concerns all runs stops."""
    here = unpacked(context) if isinstance(context, bytes) else context
    start = time.perf_counter()
    lines: list[str] = []
    halt, wrong = None, 0
    for order in orders:
        try:
            lines.append(live(here, order))
        except Exception as error:
            if here.stopped():
                break
            if halting(error):
                halt = error
                break
            wrong += 1
            lines.append(failed(order.job, _sentence(error), traceback.format_exc()))
    return Done(tuple(lines), wrong, time.perf_counter() - start, halt)


def live(context: Context, order: Order) -> str:
    """One run from beginning to end, as its line."""
    with defined(context.minds):
        model = build(context.cls, _given(context.cls, order.cell.knobs), order.job.seed)
        for at, changes in order.cell.steps:
            model.intervene(at, **changes)
        worth = [model.account.worth]
        start = time.perf_counter()
        for _ in range(context.turns):
            model.step()
            worth.append(model.account.worth)
            if context.stopped():
                raise Stopped
        seconds = time.perf_counter() - start
    spent = model.account.spent
    decisions = dict(zip(DECISIONS, model.outcomes.tolist(), strict=True))
    line = {
        "cell": order.job.cell,
        "seed": order.job.seed,
        "status": SUCCEEDED,
        "row": {**decisions, "served_models": listed(model.served)},
        "series": base64.b64encode(_series(context.cls, model, worth).tobytes()).decode(),
        "took": {"seconds": seconds, **_paid(spent), "n_replayed": spent.replayed},
    }
    return json.dumps(line)


def failed(job: Job, error: str, told: str = "") -> str:
    """The line of a run that failed."""
    return json.dumps({"cell": job.cell, "seed": job.seed, "status": FAILED, "error": error, "traceback": told})


@functools.cache
def names(cls: Any) -> tuple[str, ...]:
    """The columns of a run's series: measures and ledger, but for replays, which depend on what was recorded before."""
    return tuple(name for name in columns(cls) if name != "n_replayed")


def numbers(cls: Any, line: Mapping[str, Any]) -> NDArray[np.float64]:
    """The series of a line: one row per turn, one column per name."""
    return np.frombuffer(base64.b64decode(line["series"]), "<f8").reshape(-1, len(names(cls)))


def halting(error: Exception) -> bool:
    """Whether an error is no matter of one run: a ceiling, a provider that answers nobody, a record that fails."""
    from agentmicro.completion.board import BoardError
    from agentmicro.completion.client import ProviderError
    from agentmicro.completion.record import RecordError, ReplayMiss

    return isinstance(error, BudgetReached | BoardError | ProviderError | RecordError | ReplayMiss)


def code(cls: Any) -> dict[str, str]:
    """Digests of what runs are made from: the phenomenon's file, and the package without what only reads results."""
    source = Path(inspect.getsourcefile(cls) or "")
    own = source.read_text("utf-8") if source.is_file() else cls.__qualname__
    return {"version": agentmicro.__version__, "phenomenon": digest(own), "kernel": _kernel()}


@functools.cache
def _kernel() -> str:
    home = Path(agentmicro.__file__).parent
    files = sorted(path for path in home.rglob("*.py") if path.relative_to(home).parts[0] not in APART)
    return digest([[path.relative_to(home).as_posix(), path.read_text("utf-8")] for path in files])


@functools.lru_cache(maxsize=8)
def unpacked(packed: bytes) -> Context:
    """The context in a process of its own: its session is begun there, and its code must be the same."""
    context: Context = pickle.loads(packed)
    own = code(context.cls)
    for name, value in context.code.items():
        if own[name] != value:
            raise SpecError(
                f"the worker {os.getpid()} on {socket.gethostname()} runs another agentmicro: its {name} differs; "
                "install there what is installed here"
            )
    if context.session is not None:
        context.session.begin()
    return context


def _given(cls: Any, values: Knobs) -> dict[str, Scalar]:
    """The knobs that differ from their defaults: the others need no second check."""
    known = knobs(cls)
    return {
        name: value
        for name, value in values.items()
        if value != known[name].default or type(value) is not type(known[name].default)
    }


def _sentence(error: Exception) -> str:
    """An error in one line that is the same wherever it happened."""
    text = ADDRESS.sub("0x…", " ".join(str(error).split()))
    return f"{type(error).__name__}: {text}"[:LONGEST]


def _series(cls: Any, model: Society, worth: Sequence[Spent]) -> NDArray[np.float64]:
    """Every column at every turn; the ledger says what the replies are worth, whoever paid for them."""
    known: dict[str, Sequence[Any]] = dict(model.datacollector.model_vars)
    unknown = known.keys() - set(columns(cls))
    if unknown:
        raise RuleError(
            f"measure {min(unknown)!r} exists with some knobs only: expected the same measures in every run, "
            "NaN where one is undefined"
        )
    if worth[-1] is not worth[0]:
        known |= dict(zip(PAID, zip(*(_paid(item).values() for item in worth), strict=True), strict=True))
    undefined = [np.nan] * len(worth)
    found = [known.get(name, undefined) for name in names(cls)]
    try:
        return np.ascontiguousarray(np.array(found, "<f8").T)
    except (TypeError, ValueError):
        wrong = next(name for name, column in zip(names(cls), found, strict=True) if not _numbers(column))
        raise RuleError(f"measure {wrong!r}: expected a number at every turn, or NaN where it is undefined") from None


def _numbers(column: Sequence[Any]) -> bool:
    try:
        return np.array(column, float).ndim == 1
    except (TypeError, ValueError):
        return False


def _paid(spent: Spent) -> dict[str, float | None]:
    return dict(
        zip(PAID, (spent.calls, spent.tokens_in, spent.tokens_out, spent.tokens_cached, spent.cost_usd), strict=True)
    )
