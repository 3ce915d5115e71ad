"""What a report says, section by section, from the runs and tables of a study; what has nothing to say is left out."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from math import isfinite
from typing import TYPE_CHECKING, Any

from agentmicro import phenomena
from agentmicro.knobs import knobs
from agentmicro.study import run
from agentmicro.study.answer import answer
from agentmicro.study.canvas import Plate
from agentmicro.study.comparisons import resolved
from agentmicro.study.pages import Block, Grid, Listing, Page, Prose, Section, numbered
from agentmicro.study.results import FAILED, STAGES, Study
from agentmicro.study.rows import grid, value
from agentmicro.study.text import told

if TYPE_CHECKING:
    from pandas import DataFrame

MANIFEST = "study.json"
ERRORS = 10  # different errors that are printed
CAPTIONS = {
    "thresholds": "Thresholds: the value of a knob at which a measure reaches a level.",
    "dose": "Means over seeds at each point of the design.",
    "effects": "Paired effects of single knobs on the same seeds; p by permutation, corrected over the family.",
    "arms": "Interventions: what each takes away from the risk, and what it costs.",
    "side_effects": "What the interventions do to every other measure.",
    "attacks": "The attack at each place: the paired change, and how central the place is.",
    "sensitivity": "Sensitivity indices of the outcome; how much of the variance is luck: of single runs (replication) "
    "and of the means over seeds (noise).",
    "variance": "How much of the variance of the outcome over all runs is explained, and by what.",
    "adequacy": "The adequacy card: three questions, the test behind each answer, and what it found.",
    "validation": "Runs beside published values and field data.",
    "claims": "The claims of the scenario with their verdicts.",
}
PLACED = {
    "growing": ("What was grown", ()),
    "thresholds": ("Thresholds", ("thresholds",)),
    "identification": ("What matters", ("effects",)),
    "sensitivity": ("Sensitivity", ("sensitivity", "variance")),
    "interventions": ("Interventions", ("arms",)),
    "attack": ("Attack", ()),
}


def page(study: Study, tables: Mapping[str, "DataFrame"], plates: Mapping[str, Sequence[Plate]]) -> Page:
    """The whole report; `plates` are the figures of each section by its key."""
    scenario = study.scenario
    name = phenomena.name_of(scenario.cls)
    results = [
        Section(key, title, (*plates.get(key, ()), *_grids(tables, names))) for key, (title, names) in PLACED.items()
    ]
    sections = [
        _asked(study),
        Section("card", "Microspecification", (_card(study),)),
        *results,
        Section("validity", "Runs and their validity", tuple(_validity(study))),
        Section("cost", "Cost", tuple(_cost(study))),
        Section("adequacy", "Adequacy", tuple(_grids(tables, ("adequacy",)))),
        Section("validation", "Validation", tuple(_grids(tables, ("validation",)))),
        Section("claims", "Claims", tuple(_grids(tables, ("claims",)))),
        Section("reproduce", "How to reproduce it", tuple(_reproduce(study))),
        Section("numbers", "The numbers behind the figures", tuple(_further(tables))),
    ]
    return Page(
        kicker=phenomena.about(name).title,
        title=_titled(scenario.risk.name or scenario.name),
        standfirst=scenario.risk.claim,
        answer=answer(study, tables),
        facts=tuple(_facts(study, tables)),
        sections=numbered(sections),
    )


def _titled(text: str) -> str:
    return text[:1].upper() + text[1:]


def _grids(tables: Mapping[str, "DataFrame"], names: Sequence[str]) -> list[Block]:
    return [grid(name, tables[name], CAPTIONS.get(name, _titled(name))) for name in names if _filled(tables, name)]


def _filled(tables: Mapping[str, "DataFrame"], name: str) -> bool:
    return name in tables and len(tables[name]) > 0


def _further(tables: Mapping[str, "DataFrame"]) -> list[Block]:
    """Tables that no other section shows."""
    shown = {"adequacy", "validation", "claims", *(name for _, names in PLACED.values() for name in names)}
    return _grids(tables, [name for name in tables if name not in shown])


def _facts(study: Study, tables: Mapping[str, "DataFrame"]) -> list[tuple[str, str]]:
    runs = study.runs
    failed, invalid = _unusable(runs)
    found = [("runs", value(len(runs))), ("failed", value(failed)), ("invalid", value(invalid))]
    found.append(("seeds in each arm", value(study.scenario.grow.seeds)))
    found.append(("turns", value(study.scenario.turns)))
    if _filled(tables, "claims"):
        verdicts = tables["claims"]["verdict"].astype(str)
        found.append(("claims held", f"{int((verdicts == 'held').sum())} of {len(verdicts)}"))
    return [*found, ("cost", _spent(study))]


def _unusable(runs: "DataFrame") -> tuple[int, int]:
    """How many runs failed, and in how many more too many decisions did."""
    if not len(runs):
        return 0, 0
    failed = runs["status"] == FAILED
    return int(failed.sum()), int((~runs["valid"].astype(bool) & ~failed).sum())


def _asked(study: Study) -> Section:
    risk, scenario = study.scenario.risk, study.scenario
    doc = run.measures(scenario.cls).get(scenario.outcome, "")
    mechanism = phenomena.about(phenomena.name_of(scenario.cls)).sections.get("Mechanism", "")
    blocks: list[Block] = [
        Prose(f"{risk.name or scenario.name}{f', at the {risk.level} level' if risk.level else ''}.", "Risk"),
        Prose(f"{scenario.outcome}; {risk.worse} values are the risk. {doc}", "Outcome"),
    ]
    blocks += [Prose(risk.claim, "Claim")] if risk.claim else []
    blocks += [Prose(mechanism, "Mechanism")] if mechanism else []
    if isfinite(risk.margin):
        blocks.append(Prose(f"a difference of the outcome below {value(risk.margin)} does not matter.", "Margin"))
    blocks += [Prose(f"{'; '.join(risk.references)}.", "References")] if risk.references else []
    return Section("asked", "What was asked", tuple(blocks))


def _card(study: Study) -> Grid:
    """Every knob with its value and where that came from."""
    scenario, own = study.scenario, resolved(study.scenario)
    sources = manifest(study).get("sources", {})
    rows = []
    known = knobs(scenario.cls)
    for group in dict.fromkeys(knob.group for knob in known.values()):
        for name, knob in known.items():
            if knob.group is group:
                source = sources.get(name, "file" if name in scenario.micro else "default")
                rows.append((str(group), name, value(own[name]), str(source), knob.doc))
    digest = manifest(study).get("micro_sha256", "")
    caption = "Every knob of the unchanged scenario, with its value and where that came from."
    caption += f" SHA-256 of the microspecification: {digest}." if digest else ""
    return Grid(caption, ("micro-variable", "knob", "value", "from", "what it is"), tuple(rows))


def _validity(study: Study) -> list[Block]:
    """How many runs each stage made, how many of them do not count, and why."""
    runs = study.runs
    if not len(runs):
        return [Prose("Nothing has run yet.")]
    rows = []
    for stage in STAGES:
        mine = runs[runs["cell"].isin(study.stage(stage)["cell"])]
        if len(mine):
            failed, invalid = _unusable(mine)
            rate = mine["failure_rate"].mean() if "failure_rate" in mine else float("nan")
            cells = mine["cell"].nunique()
            rows.append((stage, *map(value, (cells, len(mine), failed, invalid, float(rate)))))
    headings = ("stage", ">arms", ">runs", ">failed", ">invalid", ">failed decisions (share)")
    caption = "Runs by what they are for; a run that serves several stages is made once and counted in each. A run is "
    caption += f"invalid where more than {study.scenario.cls.failure_limit:.0%} of its decisions failed; it counts in "
    caption += "no result."
    found: list[Block] = [Grid(caption, headings, tuple(rows))]
    errors = Counter(told(error, 300) for error in runs.loc[runs["status"] == FAILED, "error"])
    if errors:
        listing = tuple((text, value(count)) for text, count in errors.most_common(ERRORS))
        found.append(Grid("Why runs failed.", ("error", ">runs"), listing))
    return found


def _total(runs: "DataFrame", name: str) -> float | None:
    """The sum of a column of the ledger; NaN where a part is not known, None where there is no such column."""
    return float(runs[name].astype(float).sum(skipna=False)) if name in runs.columns and len(runs) else None


def _asked_models(runs: "DataFrame") -> bool:
    return bool((_total(runs.fillna({"tokens_in": 0}), "tokens_in") or 0) > 0)


def _spent(study: Study) -> str:
    if not _asked_models(study.runs):
        return "none"
    cost = _total(study.runs[study.runs["status"] != FAILED], "cost_usd")
    return "unknown" if cost is None or not isfinite(cost) else f"{cost:.4g} USD"


def _cost(study: Study) -> list[Block]:
    runs = study.runs[study.runs["status"] != FAILED] if len(study.runs) else study.runs
    if not _asked_models(runs):
        return [Prose("No language model was asked, so nothing was spent but time.")]
    names = {"n_calls": "calls", "replayed": "replayed", "tokens_in": "tokens in", "tokens_out": "tokens out"}
    names |= {"tokens_cached": "of them cached", "cost_usd": "cost (USD)"}
    rows = [(words, value(total)) for name, words in names.items() if (total := _total(runs, name)) is not None]
    served = (
        sorted({str(name) for name in runs["served_models"].dropna()} - {""}) if "served_models" in runs.columns else []
    )
    caption = "What language models were asked in all runs together; an unknown price makes the cost unknown."
    found: list[Block] = [Grid(caption, ("of all runs", ">sum"), tuple(rows))]
    return [*found, Prose(f"{', '.join(served)}.", "Served by")] if served else found


def manifest(study: Study) -> Mapping[str, Any]:
    """What the folder of a study says of how it was made; empty where there is none."""
    path = None if study.folder is None else study.folder / MANIFEST
    if path is None or not path.exists():
        return {}
    found: Mapping[str, Any] = json.loads(path.read_text("utf-8"))
    return found


def _reproduce(study: Study) -> list[Block]:
    """The command, the manifest, and the scenario's text."""
    import shlex

    found = manifest(study)
    command = found.get("command") or ["agentmicro", "study", study.scenario.name]
    blocks: list[Block] = [Listing(command if isinstance(command, str) else shlex.join(map(str, command)))]
    left = {"command", "scenario_text", "micro", "sources", "knobs"}
    rows = list(_flat({name: inner for name, inner in found.items() if name not in left}))
    rows = rows or [("scenario", study.scenario.name), ("scenario_sha256", study.scenario.digest)]
    blocks.append(Grid("The manifest: what ran, and with what.", ("what", "value"), tuple(rows)))
    text = found.get("scenario_text")
    return [*blocks, Prose("", "The scenario"), Listing(str(text))] if text else blocks


def _flat(found: Mapping[str, Any], before: str = "") -> list[tuple[str, str]]:
    """Nested tables as one, names joined by dots, lists as words."""
    rows = []
    for name, inner in found.items():
        if isinstance(inner, Mapping):
            rows += _flat(inner, f"{before}{name}.")
        elif isinstance(inner, list | tuple):
            rows.append((f"{before}{name}", ", ".join(map(value, inner)) or "–"))
        else:
            rows.append((f"{before}{name}", value(inner) if not isinstance(inner, int) else str(inner)))
    return rows
