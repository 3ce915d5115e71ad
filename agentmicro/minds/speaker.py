"""How a language model is put into a seat: its model, its sampling, who it is told to be, and what it recalls.

A scenario defines such minds in tables and then names them like any other:

    [minds.cautious]
    model = "openai/gpt-4o-mini"
    temperature = 0.2
    system = "You think twice before you change your mind."
    persona = "personas.csv"
    recall = "last 5"
"""

import csv
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import MappingProxyType

from agentmicro.errors import MindError, SpecError, listed, nearest
from agentmicro.minds.recall import Recall

SAMPLING = ("temperature", "top_p", "max_tokens", "presence_penalty", "frequency_penalty", "seed", "reasoning_effort")
LARGEST = 1_000_000  # bytes of personas that are read from one file
IDENTITY = (".md", ".txt")


@dataclass(frozen=True)
class Speaker:
    """One way of asking a model.

    model: its LiteLLM name. system: what it is told before every question. personas: one text per agent, walked
    through in the order of rows and begun again. recall: what of its own past it is told. reasks: how often it is asked
    again after a reply that cannot be read. options: sampling parameters. base_url, transport: the server and how to
    reach it. price_in, price_out: USD per million tokens, where the price is not known.
    """

    model: str
    system: str = ""
    personas: tuple[str, ...] = ()
    recall: str = "none"
    reasks: int = 2
    base_url: str | None = None
    transport: str = ""
    price_in: float | None = None
    price_out: float | None = None
    options: Mapping[str, float | int | str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        Recall.of(self.recall)
        if not 0 <= self.reasks <= 10:
            raise MindError(f"reasks = {self.reasks!r}: expected a whole number from 0 to 10")
        if self.transport not in ("", "direct", "litellm"):
            raise MindError(f"transport = {self.transport!r}: expected direct or litellm")

    def system_for(self, agent: int) -> str:
        """What one agent is told before its question: the system text, then its persona."""
        persona = self.personas[agent % len(self.personas)] if self.personas else ""
        return "\n\n".join(text for text in (self.system, persona) if text)


KEYS: Mapping[str, tuple[type, ...]] = {
    "model": (str,),
    "system": (str,),
    "persona": (str, list),
    "recall": (str,),
    "reasks": (int,),
    "base_url": (str,),
    "transport": (str,),
    "price_in": (int, float),
    "price_out": (int, float),
    "temperature": (int, float),
    "top_p": (int, float),
    "max_tokens": (int,),
    "presence_penalty": (int, float),
    "frequency_penalty": (int, float),
    "seed": (int,),
    "reasoning_effort": (str,),
}


def speaker(table: Mapping[str, object], folder: Path) -> Speaker:
    """The speaker that a table describes; persona files stand in or below the folder."""
    for key, value in table.items():
        if key not in KEYS:
            raise MindError(f"no key {key!r}{nearest(key, KEYS)}; expected {listed(KEYS)}")
        if not isinstance(value, KEYS[key]) or isinstance(value, bool):
            raise MindError(f"{key} = {value!r}: expected {listed(kind.__name__ for kind in KEYS[key])}")
    if not table.get("model"):
        raise MindError("model is missing; expected a name such as 'openai/gpt-4o-mini'")
    plain = {item.name for item in fields(Speaker)} - {"personas", "options"}
    given = {key: value for key, value in table.items() if key in plain}
    sampling = {key: value for key, value in table.items() if key in SAMPLING}
    return Speaker(**given, personas=personas(table.get("persona", ""), folder), options=sampling)  # type: ignore[arg-type]


def personas(source: object, folder: Path) -> tuple[str, ...]:
    """One text per agent: a list, a CSV or JSONL file with a column `persona`, a folder of identity files, or itself.

    A folder has one folder per agent, in the order of their names, with files such as SOUL.md and IDENTITY.md that are
    joined in the order of theirs. A text that names no file is itself the persona of everyone.
    """
    if isinstance(source, list):
        return tuple(str(text) for text in source)
    text = str(source)
    if not text:
        return ()
    named = text.endswith((".csv", ".jsonl", "/"))
    path = (folder / text).resolve()
    if not named and not (len(text) < 200 and "\n" not in text and path.is_dir()):
        return (text,)
    if not path.is_relative_to(folder.resolve()):
        raise MindError(f"persona = {text!r}: expected a file or folder beside the scenario, not outside its folder")
    if not path.exists():
        raise MindError(f"persona = {text!r}: there is no such file or folder in {folder}")
    found = tuple(_folder(path) if path.is_dir() else _file(path))
    if not found:
        raise MindError(f"persona = {text!r}: there are no personas in it")
    return found


def _folder(path: Path) -> Iterator[str]:
    for agent in sorted(entry for entry in path.iterdir() if entry.is_dir()):
        parts = sorted(entry for entry in agent.iterdir() if entry.suffix in IDENTITY)
        yield "\n\n".join(_read(part).strip() for part in parts)


def _file(path: Path) -> Iterator[str]:
    lines = _read(path).splitlines()
    rows = csv.DictReader(lines) if path.suffix == ".csv" else _json_lines(path, lines)
    for number, row in enumerate(rows, start=1):
        if not row.get("persona"):
            raise MindError(f"{path.name}: row {number} has no persona; expected a column of that name")
        yield str(row["persona"])


def _json_lines(path: Path, lines: list[str]) -> Iterator[Mapping[str, object]]:
    for number, line in enumerate(lines, start=1):
        if line.strip():
            try:
                row = json.loads(line)
            except json.JSONDecodeError as error:
                raise MindError(f"{path.name}: line {number} is no JSON: {error.msg}") from None
            yield row if isinstance(row, dict) else {}


def _read(path: Path) -> str:
    if path.stat().st_size > LARGEST:
        raise MindError(f"{path.name}: larger than {LARGEST:,} bytes")
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise MindError(f"{path.name}: cannot be read as UTF-8 text: {error}") from None


_DEFINED: ContextVar[Mapping[str, Speaker]] = ContextVar("defined", default=MappingProxyType({}))


@contextmanager
def defined(speakers: Mapping[str, Speaker]) -> Iterator[None]:
    """Within it, these names are minds that a text may name, beside the phenomenon's own."""
    clash = [name for name in speakers if not name or not name.replace("-", "").replace("_", "").isalnum()]
    if clash:
        raise SpecError(f"[minds.{clash[0]}]: expected a name of letters, digits, - and _")
    token = _DEFINED.set({**_DEFINED.get(), **speakers})
    try:
        yield
    finally:
        _DEFINED.reset(token)


def speakers() -> Mapping[str, Speaker]:
    """The minds defined here and now."""
    return _DEFINED.get()
