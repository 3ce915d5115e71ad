"""The file under the record: its tables, how it is opened, and what its errors mean."""

import sqlite3
import time
from pathlib import Path
from urllib.parse import quote

from agentmicro.errors import AgentmicroError

FORMAT = 1
APPLICATION = 0x61676D63  # in the file's header, so that nobody takes another program's database for a record
PATIENCE = 60.0  # seconds to wait for another process's commit
SCHEMA = f"""
CREATE TABLE texts (hash BLOB PRIMARY KEY, text TEXT NOT NULL);
CREATE TABLE replies (
    id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, at REAL NOT NULL,
    seed TEXT NOT NULL, agent INTEGER NOT NULL, decision INTEGER NOT NULL, attempt INTEGER NOT NULL,
    model TEXT NOT NULL, frame BLOB NOT NULL, prompt BLOB NOT NULL, again TEXT NOT NULL,
    text TEXT NOT NULL, status TEXT NOT NULL, structured INTEGER NOT NULL, error TEXT NOT NULL,
    tokens_in INTEGER, tokens_out INTEGER, tokens_cached INTEGER, cost_usd REAL, served TEXT,
    seconds REAL NOT NULL, calls INTEGER NOT NULL, dropped TEXT NOT NULL
);
CREATE TABLE totals (
    calls INTEGER NOT NULL, tokens_in INTEGER NOT NULL, tokens_out INTEGER NOT NULL, tokens_cached INTEGER NOT NULL,
    priced_usd REAL NOT NULL, unpriced INTEGER NOT NULL
);
INSERT INTO totals VALUES (0, 0, 0, 0, 0.0, 0);
CREATE TABLE sessions (id INTEGER PRIMARY KEY, began REAL NOT NULL, ended REAL NOT NULL);
PRAGMA application_id = {APPLICATION};
PRAGMA user_version = {FORMAT};
"""


class RecordError(AgentmicroError):
    """The record cannot be read or written."""


def sentence(path: Path, error: Exception) -> RecordError:
    """What an error of the database means for whoever reads it."""
    name = getattr(error, "sqlite_errorname", "") or ""
    meanings = (
        ("SQLITE_FULL", "the disk is full; free some space and give the same command again"),
        ("SQLITE_READONLY", "it cannot be written; make it writable, or replay it only"),
        ("SQLITE_NOTADB", "this is no record, or it is damaged; move it away or restore it"),
        ("SQLITE_CORRUPT", "the record is damaged; move it away or restore it"),
        ("SQLITE_CANTOPEN", "it cannot be opened or made; check that its folder is there and writable"),
        ("SQLITE_BUSY", f"another process has held it for more than {PATIENCE:g} s"),
        ("SQLITE_IOERR", "the disk refuses to read or write; is it full, over a quota, or gone?"),
    )
    meaning = next((text for start, text in meanings if name.startswith(start)), str(error))
    return RecordError(f"the record {path}: {meaning}")


def opened(path: Path, read_only: bool = False) -> sqlite3.Connection:
    """A connection to the record at a path, made if it may be written and is not there yet."""
    if read_only and not path.is_file():
        raise RecordError(f"the record {path}: there is no such file to replay")
    try:
        if read_only:
            return _readable(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = _connected(path, "rwc")
        try:
            _prepare(connection, path)
        except BaseException:
            connection.close()
            raise
    except sqlite3.Error as error:
        raise sentence(path, error) from None
    except OSError as error:
        raise RecordError(f"the record {path}: {error.strerror}") from None
    return connection


def _connected(path: Path, mode: str) -> sqlite3.Connection:
    address = f"file:{quote(str(path.absolute()))}?mode={mode}"
    return sqlite3.connect(address, PATIENCE, isolation_level=None, check_same_thread=False, uri=True)


def _readable(path: Path) -> sqlite3.Connection:
    connection = _connected(path, "ro")
    try:
        _verify(connection, path)
    except sqlite3.OperationalError:
        connection.close()
        log = Path(f"{path}-wal")
        if log.exists() and log.stat().st_size:
            raise
        connection = _connected(path, "ro&immutable=1")  # on a read-only disk there is no place for the shared index
        _verify(connection, path)
    return connection


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    _wal(connection)
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("BEGIN IMMEDIATE")
    try:
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if not tables:
            for statement in SCHEMA.split(";"):
                connection.execute(statement)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    _verify(connection, path)


def _wal(connection: sqlite3.Connection) -> None:
    """Two processes that make the file at once collide here, and SQLite does not wait by itself."""
    until = time.monotonic() + PATIENCE
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if not (error.sqlite_errorname or "").startswith("SQLITE_BUSY") or time.monotonic() > until:
                raise
            time.sleep(0.01)


def _verify(connection: sqlite3.Connection, path: Path) -> None:
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if application != APPLICATION:
        raise RecordError(f"the record {path}: this is a database of another program; choose another place")
    if version > FORMAT:
        raise RecordError(
            f"the record {path}: it has format {version} and this agentmicro reads up to {FORMAT}; update agentmicro"
        )
