"""The record: every reply that was paid for, kept before it is used, and given again instead of being asked for again.

One SQLite file for each study, in WAL mode, for any number of processes and threads. A reply's key is the SHA-256 of
everything that it answers. Texts are stored once, by their own hash. The first reply that is committed under a key is
the reply; whoever comes second is given that one.

A commit survives the death of the process. The disk itself is synchronised once a second, so that a power cut loses the
last second's replies (they are asked for again) instead of every commit costing a wait for the disk.
"""

import asyncio
import hashlib
import itertools
import json
import queue
import sqlite3
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from enum import StrEnum
from operator import attrgetter
from pathlib import Path
from typing import Any, NamedTuple

from agentmicro.completion.budget import Spent, spent
from agentmicro.completion.redact import bare_url
from agentmicro.completion.seam import Reply, Request, Status
from agentmicro.completion.store import FORMAT, RecordError, opened, sentence
from agentmicro.errors import AgentmicroError

SYNC = 1.0  # seconds between synchronisations of the disk
LINGER = 0.005  # seconds that a reply waits for others to share its commit, while others are on their way
GROUP = 64  # replies that wait no longer
CHUNK = 500  # keys in one SELECT
AROUND = 30  # characters shown on each side of a difference
PLACES = ("key", "at", "seed", "agent", "decision", "attempt", "model", "frame", "prompt", "again")
FIELDS = (
    *("text", "status", "structured", "error", "tokens_in", "tokens_out", "tokens_cached", "cost_usd"),
    *("served", "seconds", "calls", "dropped"),
)
COLUMNS = (*PLACES, *FIELDS)
INSERT = f"INSERT OR IGNORE INTO replies ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))})"
TOTAL = (
    "UPDATE totals SET calls = calls + ?, tokens_in = tokens_in + ?, tokens_out = tokens_out + ?, "
    "tokens_cached = tokens_cached + ?, priced_usd = priced_usd + ?, unpriced = unpriced + ?"
)
STATUS = {status.value: status for status in Status}
said = attrgetter(*FIELDS[:-1])


class Mode(StrEnum):
    """What the record is for: nothing, every reply, or every reply and no call."""

    OFF = "off"
    RECORD = "record"
    REPLAY = "replay"


class ReplayMiss(AgentmicroError):
    """A replay needs a reply that is not in the record."""


class Item(NamedTuple):
    """A reply to keep: its key, what its request has in common with others, the request and the reply."""

    key: str
    frame: str
    request: Request
    reply: Reply


class _Job(NamedTuple):
    items: Sequence[Item]
    future: asyncio.Future[list[Reply]]
    loop: asyncio.AbstractEventLoop


canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":"), default=dict).encode


def options(request: Request) -> dict[str, Any]:
    """The sampling parameters with whole numbers written one way, so that 1.0 and 1 are the same temperature."""
    return {
        name: int(value) if isinstance(value, float) and value.is_integer() else value
        for name, value in request.options.items()
    }


def frame(request: Request) -> str:
    """What many requests have in common, as canonical JSON: server, system text, options, schema."""
    common = {"base_url": bare_url(request.base_url), "system": request.system, "schema": request.schema}
    return canonical({**common, "options": options(request)})


def identity(request: Request) -> tuple[str, str]:
    """The key of a request, and its frame.

    The key is the SHA-256 of format, model as asked, frame, question, earlier replies and decision, as canonical JSON.
    """
    common = frame(request)
    decision = (int(request.seed), int(request.agent), int(request.decision), int(request.attempt))
    whole = (FORMAT, request.model, common, request.prompt, request.again, *decision)
    return hashlib.sha256(canonical(whole).encode()).hexdigest(), common


def read_reply(row: Sequence[Any]) -> Reply:
    """The reply in the columns `FIELDS`."""
    text, status, structured, *rest, dropped = row
    values = (text, STATUS[status], bool(structured), *rest, True, tuple(json.loads(dropped)) if dropped else ())
    return Reply(*values)


class Record:
    """The record of one study, as one process uses it; `read_only` for replays, which write nothing."""

    def __init__(self, path: Path, read_only: bool = False) -> None:
        self.path = path
        self.read_only = read_only
        self._reader = opened(path, read_only)
        self._reading = threading.Lock()
        self._queue: queue.SimpleQueue[list[_Job] | threading.Event | None] = queue.SimpleQueue()
        self._writer: threading.Thread | None = None
        self._session: int | None = None
        self._pending: list[_Job] = []
        self._handing = threading.Lock()

    def rows(self, query: str, values: Sequence[Any] = ()) -> list[Any]:
        """What a query finds, as one consistent state."""
        try:
            with self._reading:
                return self._reader.execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise sentence(self.path, error) from None

    def find(self, keys: Sequence[str]) -> dict[str, Reply]:
        """The recorded replies among these keys."""
        found: dict[str, Reply] = {}
        for chunk in itertools.batched(keys, CHUNK):
            places = ", ".join("?" * len(chunk))
            rows = self.rows(f"SELECT key, {', '.join(FIELDS)} FROM replies WHERE key IN ({places})", chunk)
            found.update((row[0], read_reply(row[1:])) for row in rows)
        return found

    async def keep(self, items: Sequence[Item], more: bool = False) -> list[Reply]:
        """Commits replies and gives back what the record now says; with more to come, together with those.

        Once called, the replies are committed even if the caller is cancelled.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[list[Reply]] = loop.create_future()
        with self._handing:
            self._pending.append(_Job(items, future, loop))
            waiting = len(self._pending)
        if not more or waiting >= GROUP:
            self._hand_over()
        elif waiting == 1:
            loop.call_later(LINGER, self._hand_over)
        return await future

    def _hand_over(self) -> None:
        with self._handing:
            jobs, self._pending = self._pending, []
            if jobs and self._writer is None:
                self._writer = threading.Thread(target=self._write, name="agentmicro-record", daemon=True)
                self._writer.start()
        if jobs:
            self._queue.put(jobs)

    def flush(self) -> None:
        """Waits until everything that was to be kept is committed."""
        self._hand_over()
        if self._writer is not None and self._writer.is_alive():
            done = threading.Event()
            self._queue.put(done)
            done.wait()

    def close(self) -> None:
        """Commits what waits and closes the file."""
        self._hand_over()
        if self._writer is not None:
            self._queue.put(None)
            self._writer.join()
            self._writer = None
        with self._reading:
            self._reader.close()

    def total(self) -> Spent:
        """Everything that was ever paid for here, pruned replies included, and the wall time that somebody worked."""
        (row,) = self.rows("SELECT calls, tokens_in, tokens_out, tokens_cached, priced_usd, unpriced FROM totals")
        values = (*row, _union(self.rows("SELECT began, ended FROM sessions ORDER BY began")))
        return Spent(*values)

    def miss(self, request: Request) -> ReplayMiss:
        """The error that says which reply is missing, and what differs from the nearest one that is there."""
        asked = (
            f"the record {self.path} has no reply of {request.model!r} to agent {request.agent}, decision "
            f"{request.decision} (seed {request.seed}, attempt {request.attempt})"
        )
        rows = self.rows(
            "SELECT r.model, r.attempt, f.text, r.again, p.text FROM replies r JOIN texts f ON f.hash = r.frame "
            "JOIN texts p ON p.hash = r.prompt WHERE r.agent = ? AND r.decision = ? AND r.seed = ? "
            "ORDER BY abs(r.attempt - ?), r.model != ?, r.id",
            (int(request.agent), int(request.decision), str(int(request.seed)), request.attempt, request.model),
        )
        if not rows:
            return ReplayMiss(f"{asked}, and none to that decision of any model")
        return ReplayMiss(f"{asked}; it has another request for that decision, and {_difference(request, rows[0])}")

    def _write(self) -> None:
        connection: sqlite3.Connection | None = None
        synced, dirty, going = time.monotonic(), False, True
        while going:
            jobs, events, going = self._waiting(SYNC if dirty else None)
            due = time.monotonic() - synced >= SYNC
            try:
                if connection is None:
                    connection = opened(self.path)
                if jobs:
                    connection.execute(f"PRAGMA synchronous = {'FULL' if due else 'NORMAL'}")
                    outcome: Any = self._commit(connection, [item for job in jobs for item in job.items])
                elif dirty:
                    connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
            except (sqlite3.Error, AgentmicroError) as error:
                outcome = error if isinstance(error, AgentmicroError) else sentence(self.path, error)
            else:
                synced, dirty = (time.monotonic(), False) if due or not jobs else (synced, True)
            _deliver(jobs, outcome if jobs else [])
            for event in events:
                event.set()
        if connection is not None:
            connection.close()

    def _waiting(self, patience: float | None) -> tuple[list[_Job], list[threading.Event], bool]:
        """Everything in the queue, so that what came while the last commit ran shares the next one."""
        jobs: list[_Job] = []
        events: list[threading.Event] = []
        try:
            found = self._queue.get(timeout=patience)
            while found is not None:
                if isinstance(found, threading.Event):
                    events.append(found)
                else:
                    jobs += found
                found = self._queue.get_nowait()
        except queue.Empty:
            return jobs, events, True
        return jobs, events, False

    def _commit(self, connection: sqlite3.Connection, items: Sequence[Item]) -> list[Reply]:
        try:
            connection.execute("BEGIN IMMEDIATE")
            outcome = insert(connection, items)
            cost = spent(item.reply for item in items)
            values = (cost.calls, cost.tokens_in, cost.tokens_out, cost.tokens_cached, cost.priced_usd, cost.unpriced)
            connection.execute(TOTAL, values)
            now = time.time()
            if self._session is None:
                began = connection.execute("INSERT INTO sessions (began, ended) VALUES (?, ?)", (now, now))
                self._session = began.lastrowid
            connection.execute("UPDATE sessions SET ended = ? WHERE id = ?", (now, self._session))
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        return outcome


def insert(connection: sqlite3.Connection, items: Sequence[Item]) -> list[Reply]:
    """Puts replies into the open transaction and gives back what the record says, which is the first under each key."""
    texts: dict[bytes, str] = {}
    rows = [_row(item, texts) for item in items]
    connection.executemany("INSERT OR IGNORE INTO texts VALUES (?, ?)", texts.items())
    before = connection.total_changes
    connection.executemany(INSERT, rows)
    if connection.total_changes - before == len(items):
        return [item.reply for item in items]
    query = f"SELECT {', '.join(FIELDS)} FROM replies WHERE key = ?"
    kept = [read_reply(connection.execute(query, (item.key,)).fetchone()) for item in items]
    return [
        replace(
            item.reply, text=one.text, status=one.status, structured=one.structured, error=one.error, served=one.served
        )
        for item, one in zip(items, kept, strict=True)
    ]


def _row(item: Item, texts: dict[bytes, str]) -> tuple[Any, ...]:
    place, common, request, reply = item
    hashes = []
    for text in (common, request.prompt):
        data = text.encode(errors="replace")
        hashes.append(hashlib.sha256(data).digest()[:16])
        texts[hashes[-1]] = data.decode()
    decision = (str(int(request.seed)), int(request.agent), int(request.decision), int(request.attempt))
    again = canonical(request.again) if request.again else "[]"
    dropped = json.dumps(reply.dropped) if reply.dropped else ""
    return (place, time.time(), *decision, request.model, *hashes, again, *said(reply), dropped)


def _deliver(jobs: Iterable[_Job], outcome: list[Reply] | AgentmicroError) -> None:
    start = 0
    loops: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[list[Reply]], Any]]] = {}
    for job in jobs:
        found = outcome if isinstance(outcome, AgentmicroError) else outcome[start : start + len(job.items)]
        start += len(job.items)
        loops.setdefault(job.loop, []).append((job.future, found))
    for loop, settled in loops.items():
        if not loop.is_closed():
            loop.call_soon_threadsafe(_settle, settled)


def _settle(settled: Iterable[tuple[asyncio.Future[list[Reply]], Any]]) -> None:
    for future, found in settled:
        if future.done():
            continue
        if isinstance(found, AgentmicroError):
            future.set_exception(found)
        else:
            future.set_result(found)


def _union(spans: Iterable[tuple[float, float]]) -> float:
    """The length of the union of spans that are ordered by their beginnings."""
    total, until = 0.0, 0.0
    for began, ended in spans:
        total += max(0.0, ended - max(began, until))
        until = max(until, ended)
    return total


def _difference(request: Request, row: Sequence[Any]) -> str:
    model, attempt, common, again, prompt = row
    there: Mapping[str, Any] = json.loads(common)
    here: Mapping[str, Any] = json.loads(frame(request))
    pairs = [("model", model, request.model), ("attempt", attempt, request.attempt)]
    pairs += [(name, there[name], here[name]) for name in ("base_url", "system", "options", "schema")]
    pairs += [("prompt", prompt, request.prompt), ("earlier replies", again, canonical(request.again))]
    for name, recorded, asked in pairs:
        if recorded != asked:
            return f"its {name} differs{_where(_text(recorded), _text(asked))}"
    return "nothing that is stored differs: the record was written by another format"


def _text(value: Any) -> str:
    return value if isinstance(value, str) else canonical(value)


def _where(recorded: str, asked: str) -> str:
    at = next((index for index, (a, b) in enumerate(zip(recorded, asked, strict=False)) if a != b), -1)
    at = min(len(recorded), len(asked)) if at < 0 else at
    start = max(0, at - AROUND)
    return f" at character {at}: recorded {recorded[start : at + AROUND]!r}, asked {asked[start : at + AROUND]!r}"


__all__ = ["Item", "Mode", "Record", "RecordError", "ReplayMiss", "identity", "insert", "read_reply"]
