"""The command line: run, list, show, new, check.

Exit codes: 0 good; 1 bad input, or a claim that is not held; 2 finished, but too many decisions failed for the runs to
count as evidence; 3 kept for budgets; 130 interrupted. What is wrong is one sentence on stderr.
"""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agentmicro.errors import AgentmicroError, KnobError, SpecError, listed, nearest
from agentmicro.knobs import Scalar

if TYPE_CHECKING:
    from agentmicro.society import Society
    from agentmicro.study.claims import Checked
    from agentmicro.study.output import Report
    from agentmicro.study.scenario import Scenario

GOOD, BAD, INVALID, INTERRUPTED = 0, 1, 2, 130
LAST_SEED = 2**63 - 1

app = typer.Typer(
    name="agentmicro",
    help="Grow, measure and cure collective risks in populations of LLM agents.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

What = Annotated[str, typer.Argument(metavar="SCENARIO|PHENOMENON", help="a name from `list`, or a .toml file")]
Set = Annotated[list[str] | None, typer.Option("--set", metavar="KNOB=VALUE", help="another value for a knob")]
Json = Annotated[bool, typer.Option("--json", help="print one JSON object")]


@dataclass(frozen=True)
class Asked:
    """What a command is about: a phenomenon, its knobs from file and command line, and the scenario if there is one."""

    cls: "type[Society]"
    scenario: "Scenario | None"
    given: Mapping[str, Scalar]
    overrides: Mapping[str, Scalar]

    @property
    def knobs(self) -> dict[str, Scalar]:
        """Every knob with its value."""
        return self.cls.checked({**self.given, **self.overrides})

    @property
    def turns(self) -> int:
        """How long a run is if nobody says."""
        return self.scenario.turns if self.scenario else self.cls.length


@app.command()
def run(
    what: What,
    sets: Set = None,
    seed: Annotated[int, typer.Option(min=0, max=LAST_SEED, help="what all luck is keyed by")] = 1,
    turns: Annotated[int | None, typer.Option(min=1, max=10_000_000, help="how long")] = None,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="write manifest, tables and figure here")] = None,
    trace: Annotated[bool, typer.Option("--trace", help="with --out, write who saw what when deciding what")] = False,
    as_json: Json = False,
) -> None:
    """Run something once, beside its null."""
    asked = resolve(what, sets or [])
    if trace and out is None:
        raise SpecError("--trace: expected --out DIR beside it, the folder to write the trace into")
    from agentmicro.study import output

    started = datetime.now(UTC)
    with output.folder(out) if out is not None else nullcontext() as into:
        report, model = _run(asked, seed, turns or asked.turns, into if trace else None)
        if into is not None:
            output.write(into, report, started)
            _figure(into, report, model, asked)
    if as_json:
        _print_json(report.as_json())
    else:
        _print_run(report, asked, out)
    if not report.run.valid:
        limit = asked.cls.failure_limit
        typer.echo(f"not valid: {report.run.failure_rate:.1%} of the decisions failed, above {limit:.0%}", err=True)
        raise typer.Exit(INVALID)


@app.command(name="list")
def list_(as_json: Json = False) -> None:
    """List the phenomena and the scenarios."""
    from agentmicro import phenomena
    from agentmicro.study import scenario

    known = {name: phenomena.about(name).title for name in phenomena.names()}
    found = [_listed(scenario.parse(path, scenario.contents(path)), path.stem) for path in scenario.paths()]
    if as_json:
        _print_json({"phenomena": [{"name": name, "title": title} for name, title in known.items()], "scenarios": found})
        return
    from agentmicro.study import tables

    tables.console().print(tables.of_list(known, found))


@app.command()
def show(what: What, sets: Set = None) -> None:
    """Show what something is: its risk, knobs, minds and measures."""
    from agentmicro import phenomena
    from agentmicro.study import display
    from agentmicro.study.run import measures

    asked = resolve(what, sets or [])
    sources = {**dict.fromkeys(asked.given, "file"), **dict.fromkeys(asked.overrides, "override")}
    risk = asked.scenario.risk if asked.scenario else None
    about = phenomena.about(phenomena.name_of(asked.cls))
    console = display.console()
    console.print(display.of_card(asked.cls, about, risk, asked.knobs, sources))
    console.print(display.of_measures(measures(asked.cls), _outcome(asked)))


@app.command()
def new(name: Annotated[str, typer.Argument(metavar="NAME", help="what the phenomenon is called")]) -> None:
    """Write a phenomenon and its scenario, small and working, to start from."""
    from agentmicro import templates

    written = templates.write(name, Path.cwd())
    for line in written.lines:
        typer.echo(line)


@app.command()
def check(
    scenarios: Annotated[list[str], typer.Argument(metavar="SCENARIO...", help="names from `list`, or .toml files")],
    sets: Set = None,
    as_json: Json = False,
) -> None:
    """Check the claims of scenarios; exit 0 only if all are held."""
    from agentmicro.study import display
    from agentmicro.study.claims import check
    from agentmicro.study.scenario import load

    loaded = [load(text) for text in scenarios]
    changes = [overrides(item.cls, item.micro, sets or []) for item in loaded]
    done: list[Checked] = []
    for item, change in zip(loaded, changes, strict=True):
        with display.Patience(f"{item.name}: claims") as progress:
            done.append(check(item, change, progress))
        if not as_json:
            display.console().print(display.of_check(done[-1]))
    if as_json:
        _print_json({"scenarios": [item.as_json() for item in done], "held": all(item.held for item in done)})
    if any(item.invalid for item in done):
        typer.echo("not valid: in some runs too many decisions failed", err=True)
        raise typer.Exit(INVALID)
    if not all(item.held for item in done):
        raise typer.Exit(BAD)
