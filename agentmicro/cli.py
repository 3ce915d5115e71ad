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

UsageError: Any = typer.BadParameter.__bases__[0]  # click's own, or the copy of click that a newer Typer carries

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
    context: typer.Context,
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
    into: Path | None
    with output.folder(out) if out is not None else nullcontext() as into:
        report, model = _run(asked, seed, turns or asked.turns, into if trace else None, context.obj)
        if into is not None:
            output.write(into, report, started)
            _figure(into, report, model, _outcome(asked))
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
    found = [scenario.summary(name) for name in scenario.names()]
    if as_json:
        _print_json(
            {"phenomena": [{"name": name, "title": title} for name, title in known.items()], "scenarios": found}
        )
        return
    from agentmicro.study import tables

    tables.console().print(tables.of_list(known, found))


@app.command()
def show(what: What, sets: Set = None) -> None:
    """Show what something is: its risk, knobs, minds and measures."""
    from agentmicro import phenomena
    from agentmicro.study import display, tables
    from agentmicro.study.run import measures

    asked = resolve(what, sets or [])
    sources = {**dict.fromkeys(asked.given, "file"), **dict.fromkeys(asked.overrides, "override")}
    risk = asked.scenario.risk if asked.scenario else None
    about = phenomena.about(phenomena.name_of(asked.cls))
    console = tables.console()
    console.print(display.of_card(asked.cls, about, risk, asked.knobs, sources))
    console.print(display.of_measures(measures(asked.cls), _outcome(asked)))


@app.command()
def new(name: Annotated[str, typer.Argument(metavar="NAME", help="what the phenomenon is called")]) -> None:
    """Write a phenomenon and its scenario, small and working, to start from."""
    from agentmicro import templates

    for line in templates.write(name, Path.cwd()):
        typer.echo(line)


@app.command()
def check(
    scenarios: Annotated[list[str], typer.Argument(metavar="SCENARIO...", help="names from `list`, or .toml files")],
    sets: Set = None,
    as_json: Json = False,
) -> None:
    """Check the claims of scenarios; exit 0 only if all are held."""
    from agentmicro.study import claims, display, tables
    from agentmicro.study.scenario import load

    loaded = [load(text) for text in scenarios]
    changes = [overrides(item.cls, item.micro, sets or []) for item in loaded]
    done: list[Checked] = []
    for item, change in zip(loaded, changes, strict=True):
        with tables.Patience(f"{item.name}: claims") as progress:
            done.append(claims.check(item, change, progress))
        if not as_json:
            tables.console().print(display.of_check(done[-1]))
    if as_json:
        _print_json({"scenarios": [item.as_json() for item in done], "held": all(item.held for item in done)})
    if any(item.invalid for item in done):
        typer.echo("not valid: in some runs too many decisions failed", err=True)
        raise typer.Exit(INVALID)
    if not all(item.held for item in done):
        raise typer.Exit(BAD)


def resolve(what: str, sets: Sequence[str]) -> Asked:
    """What a word on the command line means: a scenario, or else a phenomenon; with the knobs set beside it."""
    from agentmicro import phenomena
    from agentmicro.study import scenario

    if scenario.locate(what) is not None:
        found = scenario.load(what)
        return Asked(found.cls, found, found.micro, overrides(found.cls, found.micro, sets))
    if phenomena.plain(what) not in phenomena.names():
        known = tuple(dict.fromkeys((*scenario.names(), *phenomena.names())))
        raise SpecError(f"no scenario or phenomenon {what!r}{nearest(what, known)}; there is {listed(known)}")
    cls = phenomena.find(what)
    return Asked(cls, None, {}, overrides(cls, {}, sets))


def overrides(cls: "type[Society]", given: Mapping[str, Scalar], sets: Sequence[str]) -> dict[str, Scalar]:
    """The knobs written as `knob=value`, read and checked; the last one wins."""
    from agentmicro.knobs import knobs, missing

    known = knobs(cls)
    found: dict[str, Scalar] = {}
    try:
        for text in sets:
            name, equals, value = (part.strip() for part in text.partition("="))
            if not equals or not name:
                raise KnobError(f"{text}: expected knob=value, such as {next(iter(known))}=5")
            if name not in known:
                raise missing(name, cls.__name__, known)
            found[name] = known[name].read(value)
        cls.checked({**given, **found})
    except SpecError as error:
        raise type(error)(f"--set {error}") from None
    return found


def _run(asked: Asked, seed: int, turns: int, into: Path | None, words: Sequence[str]) -> "tuple[Report, Society]":
    """The run and its null on the same seed, and the model as the run left it."""
    from agentmicro.study.output import TRACE, Report
    from agentmicro.study.run import build, play
    from agentmicro.study.run import run as run_once
    from agentmicro.study.tables import Patience
    from agentmicro.trace import Trace

    model = build(asked.cls, asked.knobs, seed)
    if into is not None:
        model.trace = Trace(into / TRACE)
    with Patience("turns") as progress:
        made = play(model, turns, progress)
    if model.trace is not None:
        model.trace.close()
    without = asked.cls.checked({**asked.knobs, **asked.cls.null})
    with Patience("turns of the null") as progress:
        null = made if without == asked.knobs else run_once(asked.cls, without, seed, turns, progress)
    finding = asked.cls.finding(made.measures, null.measures)
    name, digest = (asked.scenario.name, asked.scenario.digest) if asked.scenario else (None, None)
    return Report(made, null, finding, ("agentmicro", *words), name, digest), model


def _figure(into: Path, report: "Report", model: "Society", outcome: str) -> None:
    from agentmicro.study import figure

    try:
        figure.save(into, report, model, outcome)
    except ImportError:
        typer.echo("no figure: matplotlib is not installed; it comes with the extra agentmicro[figures]", err=True)


def _outcome(asked: Asked) -> str:
    from agentmicro.study.run import measures

    return (asked.scenario.risk.outcome if asked.scenario else "") or next(iter(measures(asked.cls)))


def _print_run(report: "Report", asked: Asked, out: Path | None) -> None:
    from agentmicro.study import display, tables
    from agentmicro.study.run import measures

    tables.console().print(display.of_run(report, measures(asked.cls)))
    if out is not None:
        typer.echo(f"Written to {out}.")


def _print_json(value: Any) -> None:
    typer.echo(json.dumps(value, ensure_ascii=False, allow_nan=False))


def main(args: Sequence[str] | None = None) -> int:
    """Runs a command line and returns its exit code; what is wrong becomes one sentence on stderr."""
    words = list(sys.argv[1:] if args is None else args)
    try:
        command = typer.main.get_command(app)
        code = command.main(words or ["--help"], prog_name="agentmicro", standalone_mode=False, obj=words)
        sys.stdout.flush()
    except (AgentmicroError, UsageError, OSError, MemoryError) as error:
        return _failed(error)
    except KeyboardInterrupt:
        code = INTERRUPTED
    if code == INTERRUPTED:
        typer.echo("interrupted", err=True)
    return int(code or GOOD)


def _failed(error: Any) -> int:
    if isinstance(error, BrokenPipeError):
        # Whoever read has had enough, which is no error; the interpreter must not flush into the closed pipe at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BAD
    text = error.format_message() if isinstance(error, UsageError) else str(error)
    if isinstance(error, MemoryError):
        text = f"not enough memory: {error}"
    elif isinstance(error, OSError):
        text = f"{error.filename}: {error.strerror}" if error.filename else str(error)
    typer.echo(f"error: {' '.join(text.split())}", err=True)
    return BAD
