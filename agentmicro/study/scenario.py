"""A scenario file: data that fully specifies a study and carries its claims, checked against the signature at once.

    phenomenon = "herding"
    [risk]        name, level, outcome, worse = "high" | "low", margin, claim, references
    [minds.NAME]  a language mind: its model, sampling, system text, persona and recall (see minds.speaker)
    [micro]       every knob that differs from its default
    [grow]        seeds, turns, vary = { knob = [values] or { low, high } }, design, samples, budget
    [identify]    vary, measures, margins = { measure = number }, where: knobs changed alone (default: those of [grow])
    [[threshold]] says, of = knob, that = measure, reaches = number, where
    [intervene]   named arms, each a table of knobs, with `at` from that time on; or a list of such tables
    [attack]      node = knob | slot = knob | mind = "mind", that, rows, sample, knobs: one attack at each place
    [validate]    data, columns = { measure = column }, values = { measure = number or table },
                  distances, tolerance, where
    [[claim]]     says, that, where, against, above | below | between, at, seeds

Its text is data, never code: nothing in it is evaluated, and whatever is not known is refused.
"""

import hashlib
import re
from collections.abc import Mapping
from math import inf, isfinite, nan
from pathlib import Path
from typing import Any

from agentmicro.completion import SCRIPTS
from agentmicro.errors import MindError, ScenarioError, SpecError, listed, nearest
from agentmicro.knobs import Scalar, knobs
from agentmicro.minds import EVERYWHERE, pick
from agentmicro.minds.pick import plain
from agentmicro.minds.speaker import Speaker, defined, speaker
from agentmicro.study.files import contents, locate, names, parse
from agentmicro.study.reading import Table
from agentmicro.study.spec import (
    DESIGNS,
    SEEDS,
    Arm,
    Attack,
    Claim,
    Grow,
    Identify,
    Knobs,
    Published,
    Risk,
    Scenario,
    Threshold,
    Validate,
    Values,
)

LEVELS = ("micro", "meso", "macro")
SAMPLED = ("latin", "sobol", "morris")
BOUNDS = ("above", "below", "between")
PLACES = ("node", "slot", "mind")
DISTANCES = ("relative", "wasserstein", "ks", "exponent")
MOST = 10_000_000
TABLES = (
    "phenomenon",
    "risk",
    "minds",
    "micro",
    "grow",
    "identify",
    "threshold",
    "intervene",
    "attack",
    "validate",
    "claim",
)
NAME = re.compile(r"[\w-]+")


def load(text: str) -> Scenario:
    """The scenario of that name or in that file, everything in it checked; a ScenarioError says where it is wrong."""
    path = locate(text)
    if path is None:
        raise ScenarioError(f"no scenario {text!r}{nearest(text, names())}; there is {listed(names()) or 'none'}")
    raw = contents(path)
    return _scenario(path, raw, hashlib.sha256(raw).hexdigest())


def _scenario(path: Path, raw: bytes, digest: str) -> Scenario:
    top = Table(path.name, "", parse(path, raw))
    top.only(*TABLES)
    cls = top.phenomenon("phenomenon")
    minds = _minds(top.table("minds"), path.parent, cls)
    with defined(minds):
        return _study(path, digest, top, cls, minds)


def _study(path: Path, digest: str, top: Table, cls: Any, minds: Mapping[str, Speaker]) -> Scenario:
    """What the tables say whose knobs may name the scenario's own minds."""
    micro = top.knobs("micro", cls)
    risk, grow = _risk(top.table("risk"), cls), _grow(top.table("grow"), cls, micro)
    turns = grow.turns or int(cls.length)
    return Scenario(
        name=path.stem,
        path=path,
        digest=digest,
        cls=cls,
        risk=risk,
        micro=micro,
        grow=grow,
        identify=_identify(top.table("identify"), cls, micro, grow, risk),
        thresholds=tuple(_threshold(table, cls, micro, grow) for table in top.tables("threshold")),
        intervene={name: _arm(top.table("intervene"), name, cls, micro) for name in top.table("intervene").values},
        attack=_attack(top.table("attack"), cls, micro) if "attack" in top.values else None,
        validate=_validate(top.table("validate"), cls, micro, path.parent),
        claims=_claims(top.tables("claim"), cls, micro, grow.seeds, turns),
        minds=minds,
    )


def _risk(table: Table, cls: Any) -> Risk:
    table.only("name", "level", "outcome", "worse", "margin", "claim", "references")
    return Risk(
        name=table.text("name"),
        level=table.choice("level", LEVELS),
        outcome=table.measure("outcome", cls),
        claim=table.text("claim"),
        references=table.texts("references"),
        worse=table.choice("worse", ("high", "low")) or "high",
        margin=table.positive("margin") if "margin" in table.values else nan,
    )


def _grow(table: Table, cls: Any, micro: Knobs) -> Grow:
    table.only("seeds", "turns", "vary", "design", "samples", "budget")
    design = table.choice("design", DESIGNS) or DESIGNS[0]
    vary, ranges = _vary(table.table("vary"), cls, micro)
    for name in ranges:
        if design not in (*SAMPLED, "adaptive"):
            expected = f"a list of values for the design {design}; ranges are for {listed((*SAMPLED, 'adaptive'))}"
            raise table.table("vary").wrong(name, expected)
    for key, designs in (("samples", SAMPLED), ("budget", ("adaptive",))):
        if key in table.values and design not in designs:
            raise ScenarioError(f"{table.place} {key}: the design {design} takes none; it is for {listed(designs)}")
    if design == "adaptive" and len(vary) + len(ranges) != 1:
        raise ScenarioError(f"{table.place} design = 'adaptive': expected exactly one knob in vary")
    return Grow(
        seeds=table.whole("seeds", 2, MOST, SEEDS),
        turns=table.whole("turns", 1, MOST, 0),
        vary=vary,
        ranges=ranges,
        design=design,
        samples=table.whole("samples", 1, MOST, 0),
        budget=table.whole("budget", 1, MOST, 0),
    )


def _vary(table: Table, cls: Any, base: Knobs) -> tuple[Values, Mapping[str, tuple[float, float]]]:
    """The knobs that are given values, and those that are given a range."""
    vary: dict[str, tuple[Scalar, ...]] = {}
    ranges: dict[str, tuple[float, float]] = {}
    for name, value in table.values.items():
        if not isinstance(value, dict):
            vary[name] = table.several(name, cls, base)
            continue
        inside = table.table(name)
        inside.only("low", "high")
        inside.needs_all("low", "high")
        for end in ("low", "high"):
            knob = Table(table.file, table.name, {name: {name: inside.values[end]}}).knobs(name, cls, base)[name]
            if isinstance(knob, bool) or not isinstance(knob, int | float):
                raise table.wrong(name, "a list of values, since it is no number")
        low, high = inside.number("low"), inside.number("high")
        if not low < high:
            raise table.wrong(name, "a range whose low end is below its high end")
        ranges[name] = (low, high)
    return vary, ranges


def _identify(table: Table, cls: Any, micro: Knobs, grow: Grow, risk: Risk) -> Identify:
    """What is changed alone: by default the knobs and values that [grow] varies, judged by the outcome."""
    table.only("vary", "measures", "margins", "where")
    where = table.knobs("where", cls, micro)
    base = {**micro, **where}
    vary, ranges = _vary(table.table("vary"), cls, base) if "vary" in table.values else (grow.vary, {})
    if ranges:
        raise table.table("vary").wrong(next(iter(ranges)), "a list of values")
    outcome = risk.outcome or next(iter(cls(rng=0).measures))
    measures = tuple(table.one_measure(name, "measures", cls) for name in table.texts("measures")) or (outcome,)
    inside = table.table("margins")
    margins = {inside.column(name, cls): inside.positive(name) for name in inside.values}
    if isfinite(risk.margin):
        margins = {outcome: risk.margin, **margins}
    now = cls.checked(base)
    others = {name: tuple(value for value in values if value != now[name]) for name, values in vary.items()}
    return Identify({name: values for name, values in others.items() if values}, measures, margins, where)


def _threshold(table: Table, cls: Any, micro: Knobs, grow: Grow) -> Threshold:
    table.only("says", "of", "that", "reaches", "where")
    table.needs("says", "of", "that")
    table.needs_all("reaches")
    of, varied = table.text("of"), {**grow.vary, **grow.ranges}
    if of not in varied:
        raise table.wrong("of", f"a knob that [grow] varies{nearest(of, varied)}, of which there is {listed(varied)}")
    if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in varied[of]):
        raise table.wrong("of", "a knob whose values are numbers")
    where = table.knobs("where", cls, micro)
    for name, value in where.items():
        if name == of or value not in grow.vary.get(name, ()):
            raise table.table("where").wrong(name, "a value that [grow] varies it over")
    return Threshold(table.text("says"), of, table.measure("that", cls), table.number("reaches"), where)


def _arm(table: Table, name: str, cls: Any, micro: Knobs) -> Arm:
    """A named arm: a table of knobs, perhaps with a time, or a list of such tables, each with a later time."""
    if not isinstance(table.values[name], list):
        found, at = _step(table, name, cls, micro)
        steps: tuple[tuple[float, Knobs], ...] = () if at is None else ((at, found),)
        arm = Arm(name, found, at)
    else:
        parts = [
            _step(Table(table.file, table.name, {inside.name: inside.values}), inside.name, cls, micro)
            for inside in table.tables(name)
        ]
        times = [at for _, at in parts if at is not None]
        if not parts or len(times) < len(parts) or sorted(set(times)) != times:
            raise table.wrong(name, "one table of knobs, or a list of tables whose `at` grows from each to the next")
        steps = tuple(zip(times, (found for found, _ in parts), strict=True))
        arm = Arm(name, parts[0][0], times[0], steps[1:])
    _happens(Table(table.file, f"{table.name}.{name}", {}), steps, cls, micro)
    return arm


def _step(table: Table, name: str, cls: Any, micro: Knobs) -> tuple[Knobs, float | None]:
    """The knobs of an arm, and `at`, the time of their change unless the phenomenon has a knob of that name."""
    inside = table.table(name)
    timed = "at" in inside.values and "at" not in knobs(cls)
    given = {key: value for key, value in inside.values.items() if not (timed and key == "at")}
    found = Table(table.file, table.name, {name: given}).knobs(name, cls, micro)
    if not found:
        raise ScenarioError(f"{inside.place} expected at least one knob that differs from [micro]")
    return found, inside.positive("at") if timed else None


def _happens(place: Table, steps: tuple[tuple[float, Knobs], ...], cls: Any, micro: Knobs) -> None:
    """Refuses changes that cannot happen during a run."""
    if not steps:
        return
    try:
        model = cls(**cls.checked(micro), rng=0)
        for at, found in steps:
            model.intervene(at, **found)
    except SpecError as error:
        raise ScenarioError(f"{place.place} {error}") from None


def _attack(table: Table, cls: Any, micro: Knobs) -> Attack:
    table.only(*PLACES, "that", "rows", "sample", "knobs")
    given = [kind for kind in PLACES if kind in table.values]
    if len(given) != 1:
        raise ScenarioError(
            f"{table.place} expected exactly one of {listed(PLACES)}, and it has {listed(given) or 'none'}"
        )
    kind, name = given[0], table.text(given[0])
    known = {word: knob for word, knob in knobs(cls).items() if knob.kind is int}
    if kind != "mind" and name not in known:
        raise table.wrong(kind, f"a knob that takes a whole number{nearest(name, known)}: {listed(known)}")
    if kind == "mind":
        try:
            pick(name, cls.rules, cls.prompt)
        except SpecError as error:
            raise ScenarioError(f"{table.place} {error}") from None
    that = table.measure("that", cls)
    sample, given_knobs = table.whole("sample", 1, MOST, 0), table.knobs("knobs", cls, micro)
    return Attack(kind, name, that, table.places("rows"), sample, given_knobs)


def _validate(table: Table, cls: Any, micro: Knobs, folder: Path) -> Validate:
    table.only("data", "columns", "values", "distances", "tolerance", "where")
    values, columns = table.table("values"), table.table("columns")
    for word in table.texts("distances"):
        if word not in DISTANCES:
            raise table.wrong("distances", f"some of {listed(DISTANCES)}{nearest(word, DISTANCES)}")
    if columns.values and not table.text("data"):
        raise ScenarioError(f"{table.place} columns: expected data beside it, the file that they stand in")
    return Validate(
        data=str(table.inside("data", folder)) if table.text("data") else "",
        columns={columns.column(name, cls): columns.text(name) for name in columns.values},
        values={values.column(name, cls): _published(values, name) for name in values.values},
        distances=table.texts("distances"),
        tolerance=table.positive("tolerance") if "tolerance" in table.values else Validate.tolerance,
        where=table.knobs("where", cls, micro),
    )


def _published(table: Table, name: str) -> Published:
    """A published figure: a number, or a table with a value or a range, its source and its grade."""
    if not isinstance(table.values[name], dict):
        return Published(value=table.number(name))
    inside = table.table(name)
    inside.only("value", "low", "high", "source", "grade")
    found = {key: inside.number(key) for key in ("value", "low", "high") if key in inside.values}
    if set(found) not in ({"value"}, {"low", "high"}, {"value", "low", "high"}):
        raise ScenarioError(f"{inside.place} expected value, or low and high, or all three")
    published = Published(**found, source=inside.text("source"), grade=inside.text("grade"))
    if published.low > published.high:
        raise inside.wrong("low", "a number that is not above high")
    return published


def _minds(table: Table, folder: Path, cls: Any) -> dict[str, Speaker]:
    found = {}
    for name in table.values:
        inside = table.table(name)
        if plain(name) in {plain(rule) for rule in (*EVERYWHERE, *cls.rules)}:
            raise ScenarioError(f"{inside.place} {cls.__name__} has a mind of that name; expected another one")
        if not NAME.fullmatch(name):
            raise ScenarioError(f"{inside.place} expected a name of letters, digits, - and _")
        try:
            found[name] = speaker(inside.values, folder)
            _model(found[name].model)
        except SpecError as error:
            raise ScenarioError(f"{inside.place} {error}") from None
    return found


def _model(name: str) -> None:
    """Refuses a name that is neither a script's nor a model's."""
    from agentmicro.completion import models

    kind, colon, script = name.partition(":")
    if colon and kind == "scripted":
        if script not in SCRIPTS:
            raise MindError(f"model = {name!r}: expected one of {listed(SCRIPTS)}{nearest(script, SCRIPTS)}")
    elif not models.is_model(name):
        hint = models.suggestion(name)
        raise MindError(f"model = {name!r}: expected a name such as 'openai/gpt-4o-mini' or 'scripted:chance'{hint}")


def _claims(tables: list[Table], cls: Any, micro: Knobs, seeds: int, turns: int) -> tuple[Claim, ...]:
    found: dict[Any, int] = {}
    claims = []
    for number, table in enumerate(tables, start=1):
        claim = _claim(table, cls, micro, seeds, turns)
        for what, key in (("says", claim.says), ("asks", repr(sorted(_asked(table).items(), key=str)))):
            if (what, key) in found:
                raise ScenarioError(f"{table.place} {what} the same as claim {found[what, key]}")
            found[what, key] = number
        claims.append(claim)
    return tuple(claims)


def _asked(table: Table) -> dict[str, object]:
    return {key: value for key, value in table.values.items() if key != "says"}


def _claim(table: Table, cls: Any, micro: Knobs, seeds: int, turns: int) -> Claim:
    table.only("says", "that", "where", "against", *BOUNDS, "at", "seeds")
    given = [bound for bound in BOUNDS if bound in table.values]
    if len(given) != 1:
        raise ScenarioError(
            f"{table.place}: expected exactly one of {listed(BOUNDS)}, and it has {listed(given) or 'none'}"
        )
    bound = given[0]
    low, high = table.interval(bound) if bound == "between" else (table.number(bound),) * 2
    table.needs("says", "that")
    return Claim(
        says=table.text("says"),
        that=table.measure("that", cls),
        bound=bound,
        low=low if bound != "below" else -inf,
        high=high if bound != "above" else inf,
        where=table.knobs("where", cls, micro),
        against=table.knobs("against", cls, micro) if "against" in table.values else None,
        at=table.whole("at", 0, turns, 0) if "at" in table.values else None,
        seeds=table.whole("seeds", 2, MOST, seeds),
    )
