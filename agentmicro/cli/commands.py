"""The commands: run, list, show, new, check; `study`, `record`, `panels` and `doctor` stand in files of their own."""

import json
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agentmicro.cli import options, studying
from agentmicro.cli.asked import Asked, overrides, resolve
from agentmicro.cli.doctor import doctor
from agentmicro.cli.drawing import panels
from agentmicro.cli.opening import app as opening
from agentmicro.cli.options import Json, Set, What
from agentmicro.cli.recording import records
from agentmicro.errors import SpecError

if TYPE_CHECKING:
    from agentmicro.cli.traffic import Traffic
    from agentmicro.knobs import Scalar
    from agentmicro.minds.speaker import Speaker
    from agentmicro.society import Society
    from agentmicro.study.claims import Checked
    from agentmicro.study.forecast import Forecast
    from agentmicro.study.output import Report
    from agentmicro.study.spec import Scenario

    type Study = tuple[Scenario, Mapping[str, Scalar]]

GOOD, BAD, INVALID = 0, 1, 2
LAST_SEED = 2**63 - 1

app = typer.Typer(
    name="agentmicro",
    help="Grow, measure and cure collective risks in populations of LLM agents.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@app.command()
def run(
    context: typer.Context,
    what: What,
    sets: Set = None,
    seed: Annotated[int, typer.Option(min=0, max=LAST_SEED, help="what all luck is keyed by")] = 1,
    turns: Annotated[int | None, typer.Option(min=1, max=10_000_000, help="how long")] = None,
    arm: Annotated[str, typer.Option(metavar="NAME", help="an arm of the scenario's [intervene]")] = "",
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="write manifest, tables and figure here")] = None,
    trace: Annotated[bool, typer.Option("--trace", help="with --out, write who saw what when deciding what")] = False,
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
    """Run something once, beside its null."""
    from agentmicro.cli.traffic import Traffic, mode_of
    from agentmicro.completion.budget import Ceilings
    from agentmicro.minds.speaker import defined

    asked = resolve(what, sets or [], arm)
    if trace and out is None:
        raise SpecError("--trace: expected --out DIR beside it, the folder to write the trace into")
    ceilings = Ceilings(max_cost, max_tokens, max_calls, max_seconds)
    traffic = Traffic(record, mode_of(mode), ceilings, concurrency, price_in, price_out, transport, yes)
    with defined(asked.minds):
        if dry_run:
            _print_forecast(_forecast_of_run(asked, seed, turns or asked.turns, traffic), as_json)
        else:
            _run(asked, seed, turns or asked.turns, out, trace, traffic, context.obj, as_json)


@app.command(name="list")
def list_(
    risk: Annotated[str, typer.Option(metavar="RISK", help="only what grows this risk, or shows at this level")] = "",
    as_json: Json = False,
) -> None:
    """List the phenomena and the scenarios."""
    from agentmicro import phenomena
    from agentmicro.study import files, risks

    known = [
        {"name": name, "title": phenomena.about(name).title, "level": placed.level, "kinds": list(placed.kinds)}
        for name in (risks.of_risk(risk) if risk else phenomena.names())
        for placed in [risks.placed(name)]
    ]
    names = {phenomena.plain(str(item["name"])) for item in known}
    found = [item for item in map(files.summary, files.names()) if phenomena.plain(item["phenomenon"]) in names]
    if as_json:
        _print_json({"phenomena": known, "scenarios": found})
        return
    from agentmicro.study import tables

    tables.console().print(tables.of_list(known, found))


@app.command()
def show(what: What, sets: Set = None) -> None:
    """Show what something is: its risk, knobs, minds and measures."""
    from agentmicro import phenomena
    from agentmicro.minds.speaker import defined
    from agentmicro.study import display, tables
    from agentmicro.study.run import measures

    asked = resolve(what, sets or [])
    sources = {**dict.fromkeys(asked.given, "file"), **dict.fromkeys(asked.overrides, "override")}
    risk = asked.scenario.risk if asked.scenario else None
    about = phenomena.about(phenomena.name_of(asked.cls))
    console = tables.console()
    with defined(asked.minds):
        console.print(display.of_card(asked.cls, about, risk, asked.knobs, sources))
    console.print(display.of_measures(measures(asked.cls), asked.outcome))
    if asked.scenario is not None:
        from agentmicro.study import growing, plan

        made = plan.asked(asked.scenario, asked.overrides)
        digest = growing.manifest(asked.scenario, made, asked.overrides, ())["micro_sha256"]
        typer.echo(f"\nSHA-256 of the microspecification: {digest}")


@app.command()
def new(name: Annotated[str, typer.Argument(metavar="NAME", help="what the phenomenon is called")]) -> None:
    """Write a phenomenon and its scenario, small and working, to start from."""
    from agentmicro import templates

    for line in templates.write(name, Path.cwd()):
        typer.echo(line)


@app.command()
def check(
    context: typer.Context,
    scenarios: Annotated[list[str], typer.Argument(metavar="SCENARIO...", help="names from `list`, or .toml files")],
    sets: Set = None,
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
    """Check the claims of scenarios; exit 0 only if all are held."""
    from agentmicro.cli.traffic import Traffic, mode_of
    from agentmicro.completion.budget import Ceilings
    from agentmicro.minds.speaker import defined
    from agentmicro.study.scenario import load

    ceilings = Ceilings(max_cost, max_tokens, max_calls, max_seconds)
    traffic = Traffic(record, mode_of(mode), ceilings, concurrency, price_in, price_out, transport, yes)
    studies: list[Study] = []
    for item in [load(text) for text in scenarios]:
        with defined(item.minds):
            studies.append((item, overrides(item.cls, item.micro, sets or [])))
    if dry_run:
        _print_forecast(_forecast_of_claims(studies, traffic), as_json)
        return
    done = _check(studies, traffic, context.obj, as_json)
    if as_json:
        _print_json({"scenarios": [item.as_json() for item in done], "held": all(item.held for item in done)})
    if any(item.invalid for item in done):
        typer.echo("not valid: in some runs too many decisions failed", err=True)
        raise typer.Exit(INVALID)
    if not all(item.held for item in done):
        raise typer.Exit(BAD)


app.command()(studying.study)
app.add_typer(records, name="record")
app.command()(panels)
app.command()(doctor)
app.command(name="app")(opening)


def _run(
    asked: Asked,
    seed: int,
    turns: int,
    out: Path | None,
    trace: bool,
    traffic: "Traffic",
    words: Sequence[str],
    as_json: bool,
) -> None:
    """The run and its null, written and printed."""
    from agentmicro.cli.traffic import study
    from agentmicro.study import output
    from agentmicro.study.plan import speaking

    started = datetime.now(UTC)
    speakers = speaking(asked.cls, [asked.knobs, asked.null, *({**asked.knobs, **later} for _, later in asked.steps)])
    kept = out / output.RECORD if out is not None else None
    into: Path | None
    with (
        output.folder(out) if out is not None else nullcontext() as into,
        study(traffic, speakers, kept, words, lambda: str(_forecast_of_run(asked, seed, turns, traffic))) as path,
    ):
        report, model = _played(asked, seed, turns, into if trace else None, words)
        if into is not None:
            output.write(into, report, started)
            _figure(into, report, model, asked.outcome)
    if as_json:
        _print_json(report.as_json())
    else:
        _print_run(report, asked, out, path)
    if not report.run.valid:
        limit = asked.cls.failure_limit
        typer.echo(f"not valid: {report.run.failure_rate:.1%} of the decisions failed, above {limit:.0%}", err=True)
        raise typer.Exit(INVALID)


def _played(asked: Asked, seed: int, turns: int, into: Path | None, words: Sequence[str]) -> "tuple[Report, Society]":
    """The run and its null on the same seed, and the model as the run left it."""
    from agentmicro.study.output import TRACE, Report
    from agentmicro.study.run import build, play
    from agentmicro.study.run import run as run_once
    from agentmicro.study.tables import Patience
    from agentmicro.trace import Trace

    model = build(asked.cls, asked.knobs, seed)
    for at, knobs in asked.steps:
        model.intervene(at, **knobs)
    if into is not None:
        model.trace = Trace(into / TRACE)
    try:
        with Patience("turns") as progress:
            made = play(model, turns, progress)
    finally:
        if model.trace is not None:
            model.trace.close()
    with Patience("turns of the null") as progress:
        same = asked.null == asked.knobs and not asked.steps
        null = made if same else run_once(asked.cls, asked.null, seed, turns, progress)
    finding = asked.cls.finding(made.measures, null.measures)
    name, digest = (asked.scenario.name, asked.scenario.digest) if asked.scenario else (None, None)
    return Report(made, null, finding, ("agentmicro", *words), name, digest), model


def _check(studies: "Sequence[Study]", traffic: "Traffic", words: Sequence[str], as_json: bool) -> "list[Checked]":
    """The verdicts on the claims of each scenario, printed as they come."""
    from agentmicro.cli.traffic import study
    from agentmicro.minds.speaker import defined
    from agentmicro.study import claims, display, tables
    from agentmicro.study.plan import speaking

    speakers: list[Speaker] = []
    for item, change in studies:
        with defined(item.minds):
            speakers += speaking(item.cls, [knobs for knobs, _ in claims.arms(item, change)])
    done = []
    with study(traffic, speakers, None, words, lambda: str(_forecast_of_claims(studies, traffic))) as path:
        for item, change in studies:
            with tables.Patience(f"{item.name}: claims") as progress:
                done.append(claims.check(item, change, progress))
            if not as_json:
                tables.console().print(display.of_check(done[-1]))
    if path is not None and not as_json:
        typer.echo(f"Replies are kept in {path}.")
    return done


def _forecast_of_run(asked: Asked, seed: int, turns: int, traffic: "Traffic") -> "Forecast":
    """What a run and its null will ask."""
    from agentmicro.study.forecast import forecast

    prices = (traffic.price_in, traffic.price_out)
    found = forecast(asked.cls, asked.knobs, seed, turns, prices)
    return found if asked.null == asked.knobs else found + forecast(asked.cls, asked.null, seed, turns, prices)


def _forecast_of_claims(studies: "Sequence[Study]", traffic: "Traffic") -> "Forecast":
    """What the runs of all claims will ask, from one seed of each arm."""
    from agentmicro.minds.speaker import defined
    from agentmicro.study.claims import arms
    from agentmicro.study.forecast import Forecast, forecast

    found, prices = Forecast(), (traffic.price_in, traffic.price_out)
    for item, change in studies:
        with defined(item.minds):
            for knobs, seeds in arms(item, change):
                found += forecast(item.cls, knobs, 1, item.turns, prices).times(seeds)
    return found


def _figure(into: Path, report: "Report", model: "Society", outcome: str) -> None:
    from agentmicro.study import figure

    try:
        figure.save(into, report, model, outcome)
    except ImportError:
        typer.echo("no figure: matplotlib is not installed; it comes with the extra agentmicro[figures]", err=True)


def _print_run(report: "Report", asked: Asked, out: Path | None, kept: Path | None) -> None:
    from agentmicro.study import display, tables
    from agentmicro.study.run import measures

    tables.console().print(display.of_run(report, measures(asked.cls)))
    if kept is not None:
        typer.echo(f"Replies are kept in {kept}.")
    if out is not None:
        typer.echo(f"Written to {out}.")


def _print_forecast(found: "Forecast", as_json: bool) -> None:
    from agentmicro.study import display, tables

    if as_json:
        _print_json(found.as_json())
    else:
        tables.console().print(display.of_forecast(found))


def _print_json(value: Any) -> None:
    typer.echo(json.dumps(value, ensure_ascii=False, allow_nan=False))
