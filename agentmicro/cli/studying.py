"""`agentmicro study`: all five stages of a scenario into a folder, from which the same command goes on."""

import json
import shlex
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import reduce
from operator import add
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agentmicro.cli import options
from agentmicro.cli.asked import overrides
from agentmicro.cli.options import Json, Set
from agentmicro.errors import SpecError, listed
from agentmicro.knobs import Scalar

if TYPE_CHECKING:
    from pandas import DataFrame

    from agentmicro.cli.traffic import Traffic
    from agentmicro.study.forecast import Forecast
    from agentmicro.study.plan import Plan
    from agentmicro.study.results import Study
    from agentmicro.study.spec import Scenario

SHOWN = 12  # rows of a table on a terminal; all are in the folder
BAD, INCOMPLETE, REACHED, INTERRUPTED, TERMINATED = 1, 2, 3, 130, 143

Scenarios = Annotated[list[str], typer.Argument(metavar="SCENARIO...", help="names from `list`, or .toml files")]
Out = Annotated[
    Path, typer.Option("--out", metavar="DIR", help="the study's folder; several scenarios get one each in it")
]
Seeds = Annotated[
    int | None, typer.Option("--seeds", min=2, max=10_000_000, help="how many, instead of the scenario's")
]
ExecutorIs = Annotated[
    str,
    typer.Option(
        "--executor",
        metavar="auto|serial|threads|processes|local-dask|dask://HOST:PORT",
        help="who makes the runs; the results are the same",
    ),
]
Workers = Annotated[int | None, typer.Option("--workers", min=1, help="how many of them")]


@dataclass(frozen=True)
class Asked:
    """One study of a command: what of, with which knobs and seeds instead of its own, into which folder, made how."""

    scenario: "Scenario"
    overrides: Mapping[str, Scalar]
    seeds: int | None
    out: Path
    executor: str
    workers: int | None
    words: Sequence[str]

    @property
    def made(self) -> "Scenario":
        """The scenario as it is asked for."""
        from agentmicro.study.plan import asked

        return asked(self.scenario, self.overrides, self.seeds)

    @property
    def plan(self) -> "Plan":
        """What is known from the start of the cells and their runs."""
        from agentmicro.study.plan import plan
        from agentmicro.study.rounds import points

        return plan(self.made, points(self.made))

    @property
    def runs(self) -> int:
        """How many runs it takes, at most."""
        from agentmicro.study.rounds import budget

        return self.plan.runs + (budget(self.made) if self.made.grow.design == "adaptive" else 0)


class Terminated(KeyboardInterrupt):
    """The process was told to end: it stops as after Ctrl-C."""


def study(
    context: typer.Context,
    scenarios: Scenarios,
    out: Out,
    sets: Set = None,
    seeds: Seeds = None,
    executor: ExecutorIs = "auto",
    workers: Workers = None,
    as_json: Json = False,
    record: options.RecordAt = None,
    mode: options.ModeIs = "record",
    max_cost: options.MaxCost = None,
    max_tokens: options.MaxTokens = None,
    max_calls: options.MaxCalls = None,
    max_seconds: options.MaxSeconds = None,
    concurrency: options.Concurrency = None,
    price_in: options.PriceIn = None,
    price_out: options.PriceOut = None,
    transport: options.Via = "",
    yes: options.Yes = False,
    dry_run: options.DryRun = False,
) -> None:
    """Grow a scenario, judge it, report it; the same command goes on."""
    from agentmicro.cli.traffic import Traffic, mode_of
    from agentmicro.completion.budget import Ceilings
    from agentmicro.minds.speaker import defined
    from agentmicro.study.engines import known
    from agentmicro.study.scenario import load

    known(executor)
    ceilings = Ceilings(max_cost, max_tokens, max_calls, max_seconds)
    traffic = Traffic(record, mode_of(mode), ceilings, concurrency, price_in, price_out, transport, yes)
    found = [load(text) for text in scenarios]
    names = [item.name for item in found]
    if len(set(names)) < len(names):
        raise SpecError(f"{listed(names)}: expected scenarios of different names, since each gets a folder of its name")
    asked = []
    for item in found:
        folder = out / item.name if len(found) > 1 else out
        with defined(item.minds):
            change = overrides(item.cls, item.micro, sets or [])
        asked.append(Asked(item, change, seeds, folder, executor, workers, context.obj))
    if dry_run:
        _forecast(asked, traffic, as_json)
        return
    told = [_study(item, traffic, as_json) for item in asked]
    if as_json:
        typer.echo(json.dumps({"studies": told}, ensure_ascii=False, allow_nan=False))
    unusable = sum(item["failed"] + item["invalid"] for item in told)
    if unusable:
        typer.echo(f"{unusable:,} runs failed, or too many decisions in them did: they count in no result", err=True)
        raise typer.Exit(INCOMPLETE)


def _study(asked: Asked, traffic: "Traffic", as_json: bool) -> dict[str, Any]:
    """One study from its plan to its report; returns what is told of it as JSON."""
    from agentmicro.study import growing, report, stages, store

    try:
        store.refuse(asked.out, growing.manifest(asked.scenario, asked.made, asked.overrides, ()))
        found = _grown(asked, traffic)
    except store.Changed as error:
        typer.echo("\n".join((f"error: {error}", *(f"  {line}" for line in error.differences))), err=True)
        raise typer.Exit(BAD) from None
    tables = stages.tables(found)
    stages.write(tables, asked.out)
    report.write(found, tables, asked.out)
    if not as_json:
        _print(asked, found, tables)
    return _as_json(asked, found, tables)


def _grown(asked: Asked, traffic: "Traffic") -> "Study":
    """All runs of a study; where it is stopped, the way to go on is said."""
    from agentmicro.cli.traffic import study as session
    from agentmicro.completion.client import ProviderError
    from agentmicro.minds.speaker import defined
    from agentmicro.study.growing import grow
    from agentmicro.study.output import RECORD
    from agentmicro.study.plan import speaking
    from agentmicro.study.progress import Watch
    from agentmicro.study.rounds import arms

    with defined(asked.scenario.minds):
        speakers = speaking(asked.scenario.cls, arms(asked.made))
    expectation = lambda: str(_load(asked, traffic))  # noqa: E731
    with session(traffic, speakers, asked.out / RECORD, asked.words, expectation):
        try:
            with _terminable(), Watch(asked.scenario.name, _spending() if speakers else None) as watch:
                return grow(
                    asked.scenario,
                    asked.out,
                    overrides=asked.overrides,
                    seeds=asked.seeds,
                    executor=asked.executor,
                    workers=asked.workers,
                    progress=watch,
                    command=("agentmicro", *asked.words),
                )
        except KeyboardInterrupt as error:
            typer.echo(f"stopped; {_go_on(asked)}", err=True)
            raise typer.Exit(TERMINATED if isinstance(error, Terminated) else INTERRUPTED) from None
        except ProviderError as error:
            typer.echo(f"stopped: {error}\n{_go_on(asked)}", err=True)
            raise typer.Exit(REACHED) from None


def _go_on(asked: Asked) -> str:
    command = shlex.join(["agentmicro", *asked.words])
    return f"what was made is kept in {asked.out}; to go on: {command}"


@contextmanager
def _terminable() -> Iterator[None]:
    """Within it, being told to end is an exception, so that what was made is kept and workers are ended too."""

    def told(*_: object) -> None:
        raise Terminated

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, told)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _spending() -> Any:
    """What the current session has cost so far, as a function."""
    from agentmicro.completion.session import current

    return lambda: current().total().cost_usd


def _load(asked: Asked, traffic: "Traffic") -> "Forecast":
    """What all runs will ask of language models, from one seed of each arm; new arms are taken to be like the base."""
    from agentmicro.minds.speaker import defined
    from agentmicro.study.forecast import Forecast, forecast

    found, prices, plan = Forecast(), (traffic.price_in, traffic.price_out), asked.plan
    cls, turns = asked.scenario.cls, asked.made.turns
    with defined(asked.scenario.minds):
        for key, cell in plan.cells.items():
            found += forecast(cls, cell.knobs, 1, turns, prices).times(plan.seeds[key])
        if asked.runs > plan.runs:
            found += forecast(cls, plan.base, 1, turns, prices).times(asked.runs - plan.runs)
    return found


def _forecast(asked: Sequence[Asked], traffic: "Traffic", as_json: bool) -> None:
    """Says how many cells, runs and calls there would be."""
    from agentmicro.study import display, tables

    cells, runs = (sum(len(item.plan.cells) for item in asked), sum(item.runs for item in asked))
    found = reduce(add, (_load(item, traffic) for item in asked))
    if as_json:
        typer.echo(json.dumps({"cells": cells, "runs": runs, "models": found.as_json()}))
        return
    most = "at most " if any(item.made.grow.design == "adaptive" for item in asked) else ""
    typer.echo(f"{cells:,} cells, {most}{runs:,} runs")
    if found.loads:
        tables.console().print(display.of_forecast(found))


def _print(asked: Asked, found: "Study", tables: Mapping[str, "DataFrame"]) -> None:
    """The tables as a terminal shows them, and where the report is."""
    from rich.text import Text

    from agentmicro.study.report import HTML
    from agentmicro.study.rows import grid
    from agentmicro.study.stages import TABLES
    from agentmicro.study.tables import console
    from agentmicro.study.tables import grid as drawn

    out = console()
    failed, invalid = _unusable(found)
    wrong = f" ({failed:,} failed, {invalid:,} invalid)" if failed or invalid else ""
    cells = found.runs["cell"].nunique()
    out.print(Text(f"{found.scenario.name}: {cells:,} cells, {len(found.runs):,} runs{wrong}", "bold"))
    for name, frame in tables.items():
        if len(frame):
            shown = grid(name, frame.head(SHOWN), "")
            table = drawn(*shown.headings)
            for row in shown.rows:
                table.add_row(*row)
            more = f" The first {SHOWN} of {len(frame):,} rows." if len(frame) > SHOWN else ""
            title = Text.assemble((name.replace("_", " ").capitalize(), "bold"), (f"  {shown.caption}{more}", "dim"))
            out.print("", title, table)
    typer.echo(f"\nAll tables: {asked.out / TABLES}. Report: {asked.out / HTML}")


def _as_json(asked: Asked, found: "Study", tables: Mapping[str, "DataFrame"]) -> dict[str, Any]:
    from agentmicro.study.report import HTML

    failed, invalid = _unusable(found)
    told: dict[str, Any] = {
        "scenario": found.scenario.name,
        "out": str(asked.out),
        "cells": int(found.runs["cell"].nunique()),
        "runs": len(found.runs),
        "failed": failed,
        "invalid": invalid,
        "report": str(asked.out / HTML),
    }
    # pandas writes what is no number as null, which JSON knows.
    told["tables"] = {name: json.loads(frame.to_json(orient="records")) for name, frame in tables.items() if len(frame)}
    return told


def _unusable(found: "Study") -> tuple[int, int]:
    """How many runs failed, and in how many more too many decisions did."""
    from agentmicro.study.results import FAILED

    failed = int((found.runs["status"] == FAILED).sum())
    return failed, int((~found.runs["valid"].astype(bool)).sum()) - failed
