"""What people do with a record: look at it, ship it with a paper, take one in, and forget parts of it."""

import json
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from itertools import batched
from pathlib import Path
from typing import Any

from agentmicro.completion.budget import Spent
from agentmicro.completion.record import FIELDS, Item, identity, insert, read_reply
from agentmicro.completion.seam import Reply, Request, Status
from agentmicro.completion.store import FORMAT, RecordError, opened, sentence
from agentmicro.errors import SpecError

BATCH = 1000
ROWS = (
    "SELECT r.seed, r.agent, r.decision, r.attempt, r.model, f.text, p.text, r.again, "
    f"{', '.join('r.' + name for name in FIELDS)} FROM replies r JOIN texts f ON f.hash = r.frame "
    "JOIN texts p ON p.hash = r.prompt ORDER BY r.model, r.seed, r.decision, r.agent, r.attempt, r.key"
)
SUMS = (
    "SELECT model, status, count(*), sum(calls), total(tokens_in), total(tokens_out), total(tokens_cached), "
    "total(cost_usd), sum(cost_usd IS NULL AND status != 'failed'), total(seconds) "
    "FROM replies GROUP BY model, status ORDER BY model, status"
)
TEXTS = "DELETE FROM texts WHERE hash NOT IN (SELECT frame FROM replies UNION SELECT prompt FROM replies)"


@dataclass(frozen=True)
class Line:
    """The replies of one model that ended one way, and what they cost whoever asked for them."""

    model: str
    status: Status
    replies: int
    spent: Spent


def show(path: Path) -> list[Line]:
    """What a record holds, by model and status."""
    connection = opened(path, read_only=True)
    try:
        rows = connection.execute(SUMS).fetchall()
    except sqlite3.Error as error:
        raise sentence(path, error) from None
    finally:
        connection.close()
    return [
        Line(model, Status(status), count, Spent(calls, int(sent), int(got), int(cached), usd, unpriced, seconds))
        for model, status, count, calls, sent, got, cached, usd, unpriced, seconds in rows
    ]


def export(path: Path, target: Path) -> int:
    """Writes a record as JSONL, one reply a line in an order that depends on nothing but the replies; how many."""
    connection = opened(path, read_only=True)
    count = 0
    try:
        with target.open("w", encoding="utf-8") as file:
            for row in connection.execute(ROWS):
                file.write(json.dumps(_line(row), sort_keys=True) + "\n")
                count += 1
    except sqlite3.Error as error:
        raise sentence(path, error) from None
    except OSError as error:
        raise RecordError(f"{target}: {error.strerror}") from None
    finally:
        connection.close()
    return count


def load(path: Path, source: Path) -> int:
    """Takes an exported record into another, made if it isn't there; how many replies were new.

    All of them or none: a line that cannot be read is an error that names it. What others paid does not count as spent.
    """
    connection = opened(path)
    try:
        before = connection.total_changes
        (had,) = connection.execute("SELECT count(*) FROM replies").fetchone()
        connection.execute("BEGIN IMMEDIATE")
        for lines in batched(_items(source), BATCH):
            insert(connection, lines)
        (has,) = connection.execute("SELECT count(*) FROM replies").fetchone()
        connection.execute("COMMIT" if connection.total_changes > before else "ROLLBACK")
    except sqlite3.Error as error:
        raise sentence(path, error) from None
    except OSError as error:
        raise RecordError(f"{source}: {error.strerror}") from None
    finally:
        connection.close()
    return int(has - had)


def prune(
    path: Path, model: str | None = None, seed: int | None = None, before: float | None = None, failed: bool = False
) -> int:
    """Forgets the replies that meet all conditions given: a model, a seed, older than a time, failed; how many.

    What they cost stays spent.
    """
    wheres = {
        "model = ?": model,
        "seed = ?": None if seed is None else str(seed),
        "at < ?": before,
        "status = ?": "failed" if failed else None,
    }
    given = {where: value for where, value in wheres.items() if value is not None}
    if not given:
        raise SpecError(f"prune {path}: expected at least one of model, seed, before, failed")
    if not path.is_file():
        raise RecordError(f"the record {path}: there is no such file to prune")
    connection = opened(path)
    try:
        connection.execute("BEGIN IMMEDIATE")
        gone = connection.execute(f"DELETE FROM replies WHERE {' AND '.join(given)}", list(given.values())).rowcount
        connection.execute(TEXTS)
        connection.execute("COMMIT")
    except sqlite3.Error as error:
        raise sentence(path, error) from None
    finally:
        connection.close()
    return gone


def _line(row: tuple[Any, ...]) -> dict[str, Any]:
    seed, agent, decision, attempt, model, common, prompt, again, *reply = row
    found = read_reply(reply)
    said = {field.name: getattr(found, field.name) for field in fields(Reply) if field.name != "replayed"}
    asked = {"model": model, "prompt": prompt, "seed": int(seed), "agent": agent, "decision": decision}
    asked |= {"attempt": attempt, "again": json.loads(again), **json.loads(common)}
    return {"format": FORMAT, "request": asked, "reply": said}


def _items(source: Path) -> Iterator[Item]:
    with source.open(encoding="utf-8") as file:
        yield from (_item(source, number, line) for number, line in _numbered(file))


def _numbered(lines: Iterable[str]) -> Iterator[tuple[int, str]]:
    return ((number, line) for number, line in enumerate(lines, start=1) if line.strip())


def _item(source: Path, number: int, line: str) -> Item:
    try:
        found = json.loads(line)
        version = found["format"]
        if version != FORMAT:
            raise RecordError(f"{source}, line {number}: format {version}; this agentmicro reads format {FORMAT}")
        asked, said = found["request"], found["reply"]
        again = tuple((reply, wrong) for reply, wrong in asked.pop("again"))
        request = Request(**asked, again=again)
        dropped = tuple(said.pop("dropped", ()))
        reply = Reply(**{**said, "status": Status(said["status"])}, dropped=dropped)
        return Item(*identity(request), request, reply)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise RecordError(f"{source}, line {number}: expected a recorded reply as export writes it: {error}") from None
