"""Runs, verdicts and cards as a person reads them: tables for a terminal, plain text where there is none."""

import inspect
from collections.abc import Mapping
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from agentmicro.errors import listed
from agentmicro.knobs import Knob, knobs
from agentmicro.minds import EVERYWHERE
from agentmicro.minds.speaker import speakers
from agentmicro.phenomena import About
from agentmicro.study.claims import Checked, Judged, Verdict
from agentmicro.study.forecast import Forecast, count, usd
from agentmicro.study.output import Report
from agentmicro.study.reading import Knobs
from agentmicro.study.run import Ledger
from agentmicro.study.spec import Risk
from agentmicro.study.tables import grid, number

COLOURS = {Verdict.HELD: "green", Verdict.BROKEN: "red", Verdict.UNDECIDED: "yellow"}


def of_run(report: Report, docs: Mapping[str, str]) -> Group:
    """What a run showed, beside its null, with the finding in words."""
    run = report.run
    minds = listed(f"{name}: {count:,} agents" for name, count in run.minds.items())
    origin = f" (scenario {report.scenario})" if report.scenario else ""
    header = f"{run.phenomenon}{origin}; {minds}; seed {run.seed}, {run.turns:,} turns"
    table = grid("measure", ">value", ">null", "what it is")
    for name, value in run.measures.items():
        table.add_row(name, number(value), number(report.null.measures[name]), docs.get(name, ""))
    other = [f"{count:,} {outcome}" for outcome, count in run.decisions.items() if count and outcome != "valid"]
    ended = f"{sum(run.decisions.values()):,} decisions, {run.failure_rate:.1%} failed"
    told = [f"{ended}{f' ({listed(other)})' if other else ''}; {run.seconds:.2f} s"]
    told += [of_ledger(run.ledger)] if run.ledger else []
    told += [f"null: {of_ledger(report.null.ledger)}"] if report.null.ledger and report.null is not run else []
    return Group(Text(header, "bold"), "", table, "", Text(report.finding), *(Text(line, "dim") for line in told))


def of_ledger(ledger: Ledger) -> str:
    """What language models were asked and cost, in a line."""
    spent = ledger.spent
    cached = f" ({spent.tokens_cached:,} cached)" if spent.tokens_cached else ""
    cost = "cost unknown" if spent.cost_usd is None else f"{spent.cost_usd:.4f} USD"
    calls = f"{spent.calls:,} calls, {spent.replayed:,} replayed"
    tokens = f"{spent.tokens_in:,} tokens in{cached}, {spent.tokens_out:,} out"
    return f"{calls}; {tokens}; {cost}; served: {listed(ledger.served) or 'unknown'}"


def of_forecast(found: Forecast) -> Group:
    """What a study will ask and cost, by model, each number with its interval."""
    table = grid("model", ">calls", ">tokens in", ">tokens out", ">USD")
    for name, load in {**found.loads, **({"all": found.total} if len(found.loads) > 1 else {})}.items():
        spans = (load.calls, load.tokens_in, load.tokens_out)
        table.add_row(name, *map(count, spans), "unknown" if load.cost is None else usd(load.cost))
    note = "Estimated from rendered prompts; nobody was asked. What is recorded is free; hidden thinking is extra."
    return Group(Text(f"{found.runs:,} runs", "bold"), "", table, "", Text(note, "dim"))


def of_check(checked: Checked) -> Group:
    """The verdict on each claim of a scenario, with its interval and its null."""
    table = grid("claim", "verdict", ">mean", "95% interval", "wanted", ">null")
    for item in checked.judged:
        low, high = number(item.low), number(item.high)
        shown = low if low == high else f"{low} to {high}"
        verdict = Text(item.verdict.value, COLOURS[item.verdict])
        claim = Text.assemble(item.claim.says, (f"\n{_asks(item)}", "dim"))
        table.add_row(claim, verdict, number(item.mean), shown, item.claim.wanted, number(item.null))
    held = sum(item.verdict is Verdict.HELD for item in checked.judged)
    invalid = f", {checked.invalid} with too many failed decisions" if checked.invalid else ""
    ended = f"{held} of {len(checked.judged)} claims held; {checked.runs:,} runs{invalid}, {checked.seconds:.1f} s"
    told = [ended, *([of_ledger(checked.ledger)] if checked.ledger else [])]
    return Group(Text(checked.scenario.name, "bold"), "", table, "", *(Text(line, "dim") for line in told), "")


def _asks(item: Judged) -> str:
    claim = item.claim
    where = f" with {assigned(claim.where)}" if claim.where else ""
    against = f", less that with {assigned(claim.against) or 'nothing changed'}" if claim.against is not None else ""
    at = f" at turn {claim.at}" if claim.at is not None else ""
    notes = [f"{claim.seeds} seeds"]
    if item.undefined:
        notes.append(f"undefined in {item.undefined}")
    if item.verdict is Verdict.UNDECIDED and item.more is not None:
        notes.append(f"about {item.more:,} more would decide")
    return f"{claim.that}{where}{against}{at} ({listed(notes)})"


def assigned(values: Knobs) -> str:
    """Knobs as they are written on a command line."""
    return listed(f"{name}={value}" for name, value in values.items())


def of_card(cls: Any, about: About, risk: Risk | None, given: Knobs, sources: Mapping[str, str]) -> Group:
    """All that a person needs to know before running something: what, why, the knobs and the minds."""
    parts: list[Any] = [Text(about.title, "bold"), Text()]
    if risk and risk.claim:
        parts += [Text.assemble(("This scenario: ", "bold"), risk.claim), Text()]
    for heading, text in about.sections.items():
        parts.append(Text.assemble((f"{heading}: ", "bold"), text))
    parts += ["", _knobs(cls, given, sources), "", _minds(cls), ""]
    return Group(*parts)


def of_measures(docs: Mapping[str, str], outcome: str) -> Table:
    """What is measured; the outcome is marked."""
    table = grid("measure", "what it is")
    for name, doc in docs.items():
        table.add_row(f"{name} (outcome)" if name == outcome else name, doc)
    return table


def _knobs(cls: Any, given: Knobs, sources: Mapping[str, str]) -> Table:
    table = grid("knob", "value", "from", "takes", "what it is")
    found = knobs(cls)
    for group in dict.fromkeys(knob.group for knob in found.values()):
        table.add_row(Text(str(group), "italic"), "", "", "", "")
        for name, knob in found.items():
            if knob.group is group:
                takes = _takes(cls, knob)
                table.add_row(f"  {name}", str(given[name]), sources.get(name, "default"), takes, _doc(cls, knob))
    return table


def _takes(cls: Any, knob: Knob) -> str:
    if knob.choices:
        return listed(knob.choices)
    if knob.range:
        return str(knob.range)
    if knob.written:
        return listed(knob.written.names)
    return listed(cls.rules) if knob.name in ("mind", "minds") else knob.kind.__name__


def _doc(cls: Any, knob: Knob) -> str:
    notes = [f"acts only with {assigned(cls.needs[knob.name])}"] if knob.name in cls.needs else []
    notes += [f"inert: {cls.inert[knob.name]}"] if knob.name in cls.inert else []
    return "; ".join([knob.doc, *notes])


def _minds(cls: Any) -> Table:
    table = grid("mind", "what it does", "parameters")
    for name, rule in {**cls.rules, **EVERYWHERE}.items():
        doc = (inspect.getdoc(rule) or "").partition("\n")[0]
        params = [f"{knob.name}={knob.default!r} ({knob.doc})" for knob in knobs(rule).values()]
        table.add_row(name, doc, "\n".join(params))
    for name, speaker in speakers().items():
        table.add_row(
            name, f"Asks {speaker.model}.", f"recall={speaker.recall!r}, {assigned(speaker.options)}".rstrip(", ")
        )
    return table
