"""`agentmicro doctor`: what this machine has and lacks, each with what to do about it."""

import json
import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from agentmicro.cli.options import Json, Via
from agentmicro.errors import AgentmicroError, listed

OLDEST = (3, 12)
STACK = ("agentmicro", "mesa", "numpy", "scipy", "networkx", "typer", "rich")
EXTRAS = {
    "llm": ("aiohttp", "json_repair", "litellm"),
    "figures": ("matplotlib",),
    "study": ("jinja2", "matplotlib", "pandas", "pyarrow", "SALib", "statsmodels"),
    "dask": ("distributed",),
    "app": ("matplotlib", "solara"),
    "notebooks": ("matplotlib", "ipykernel"),
}


class State(StrEnum):
    """How it is with one thing."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at, how it is, and what to do if it is not well."""

    what: str
    state: State
    says: str
    remedy: str = ""


def doctor(
    model: Annotated[str | None, typer.Option(metavar="NAME", help="make a one-token call to this model")] = None,
    transport: Via = "",
    as_json: Json = False,
) -> None:
    """Say what this machine has and lacks for language minds, figures and the rest; exit 0 if nothing fails."""
    found = [python(), *stack(), *places(), keys(), *extras()]
    if model is not None:
        found += called(model, transport)
    if as_json:
        typer.echo(json.dumps([asdict(finding) for finding in found]))
    else:
        from rich.text import Text

        from agentmicro.study import tables

        colours = {State.OK: "green", State.WARN: "yellow", State.FAIL: "red"}
        table = tables.grid("what", "is", "found", "what to do")
        for item in found:
            table.add_row(item.what, Text(item.state.value, colours[item.state]), item.says, item.remedy)
        tables.console().print(table)
    if any(finding.state is State.FAIL for finding in found):
        raise typer.Exit(1)


def python() -> Finding:
    """Whether this Python is new enough."""
    has = sys.version.split()[0]
    if sys.version_info[:2] < OLDEST:
        return Finding("Python", State.FAIL, has, f"install Python {OLDEST[0]}.{OLDEST[1]} or newer")
    return Finding("Python", State.OK, has)


def stack() -> Iterator[Finding]:
    """The versions of what agentmicro stands on."""
    for package in STACK:
        try:
            yield Finding(package, State.OK, version(package))
        except PackageNotFoundError:
            yield Finding(package, State.FAIL, "not installed", "install agentmicro again")


def places() -> Iterator[Finding]:
    """Whether results, replies and temporary files can be written."""
    from agentmicro.completion.session import home

    remedies = {
        "this folder": (Path.cwd(), "go to a folder of yours, or give --out elsewhere"),
        "your own record": (home().parent, "set AGENTMICRO_CACHE_DIR to a folder of yours, or give --record"),
        "temporary files": (Path(tempfile.gettempdir()), "set TMPDIR to a folder of yours"),
    }
    for what, (folder, remedy) in remedies.items():
        near = next(each for each in (folder, *folder.parents) if each.is_dir())
        try:
            with tempfile.TemporaryFile(dir=near):
                yield Finding(what, State.OK, str(folder))
        except OSError as error:
            yield Finding(what, State.FAIL, f"{near}: {error.strerror}", remedy)


def keys() -> Finding:
    """Which providers' keys are set, by name."""
    from agentmicro.completion.models import key_variables

    found = [name for name in key_variables() if os.environ.get(name)]
    if found:
        return Finding("keys", State.OK, listed(found))
    remedy = "set one such as OPENAI_API_KEY, here or in .env (see .env.example); servers of your own need none"
    return Finding("keys", State.WARN, "none set", remedy)


def extras() -> Iterator[Finding]:
    """Which extras are installed."""
    for extra, modules in EXTRAS.items():
        lacking = [module for module in modules if find_spec(module) is None]
        if lacking:
            remedy = f"install agentmicro[{extra}] if you want it"
            yield Finding(f"extra {extra}", State.WARN, f"without {listed(lacking)}", remedy)
        else:
            yield Finding(f"extra {extra}", State.OK, "installed")


def called(model: str, transport: str) -> Iterator[Finding]:
    """Whether a model answers a call of one token, and whether its price is known."""
    from agentmicro.completion import Request, Status
    from agentmicro.completion.client import Client
    from agentmicro.completion.record import Mode
    from agentmicro.completion.retry import Patience
    from agentmicro.completion.session import Session, Settings

    patience = Patience(tries=2, call_seconds=30.0, decision_seconds=60.0)
    request = Request(model, "Say yes.", {}, 0, 0, 0, options={"max_tokens": 1})
    try:
        with Session(Settings(mode=Mode.OFF, patience=patience, transport=transport)) as session:
            (reply,) = Client(session).complete([request])
    except AgentmicroError as error:
        yield Finding(model, State.FAIL, str(error), "see docs/language-minds.md for names, keys and servers")
        return
    if reply.status is Status.FAILED:
        yield Finding(model, State.FAIL, reply.error, "try again later, or ask another model")
        return
    says = f"{reply.served or 'a model that does not say its name'} answered in {reply.seconds:.2f} s"
    yield Finding(model, State.OK, says)
    if reply.cost_usd is None:
        remedy = "give --price-in and --price-out to know costs and to keep --max-cost"
        yield Finding("its price", State.WARN, "unknown", remedy)
    else:
        yield Finding("its price", State.OK, f"{reply.cost_usd:.7f} USD for that call")
