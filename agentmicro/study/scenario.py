"""A scenario file: data that fully specifies a study and carries its claims, checked against the signature at once.

    phenomenon = "herding"
    [risk]       name, level, outcome, claim, references
    [minds.NAME] a language mind: its model, sampling, system text, persona and recall (see minds.speaker)
    [micro]      every knob that differs from its default
    [grow]       seeds, turns, vary = { knob = [values] }, design
    [intervene]  named arms, each a table of knobs
    [validate]   data, values = { measure = number }, distances
    [[claim]]    says, that, where, against, above | below | between, at, seeds

Its text is data, never code: nothing in it is evaluated, and whatever is not known is refused.
"""

import hashlib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agentmicro.completion import SCRIPTS
from agentmicro.errors import MindError, ScenarioError, SpecError, listed, nearest
from agentmicro.minds import EVERYWHERE
from agentmicro.minds.pick import plain
from agentmicro.minds.speaker import Speaker, defined, speaker
from agentmicro.study.reading import Knobs, Table

LARGEST = 1_000_000  # bytes; a scenario is some kilobytes, so more is a mistake
SEEDS = 20
LEVELS = ("micro", "meso", "macro")
DESIGNS = ("grid", "one-factor", "latin", "sobol", "threshold")
BOUNDS = ("above", "below", "between")
MOST = 10_000_000
NAME = re.compile(r"[\w-]+")


@dataclass(frozen=True)
class Risk:
    """What may go wrong, at which level, and the measure that would show it."""

    name: str = ""
    level: str = ""
    outcome: str = ""
    claim: str = ""
    references: tuple[str, ...] = ()


@dataclass(frozen=True)
class Grow:
    """How often and how long a scenario runs, and which knobs a sweep varies; turns 0: the phenomenon's own length."""

    seeds: int = SEEDS
    turns: int = 0
    vary: Mapping[str, tuple[object, ...]] = field(default_factory=dict)
    design: str = "grid"


@dataclass(frozen=True)
class Validate:
    """What the scenario is to be held against: a data file, published values, and the distances that matter."""

    data: str = ""
    values: Mapping[str, float] = field(default_factory=dict)
    distances: tuple[str, ...] = ()


@dataclass(frozen=True)
class Claim:
    """A sentence that the runs must bear out: a measure, in one arm or between two, and where its mean must lie.

    `above` and `below` are strict; both ends of `between` are allowed. at: the turn that counts; None is the last.
    """

    says: str
    that: str
    bound: str
    low: float
    high: float
    where: Knobs = field(default_factory=dict)
    against: Knobs | None = None
    at: int | None = None
    seeds: int = SEEDS

    @property
    def wanted(self) -> str:
        """The bound in words."""
        if self.bound == "between":
            return f"{self.low:g} to {self.high:g}"
        return f"{self.bound} {self.low if self.bound == 'above' else self.high:g}"

    def holds(self, low: float, high: float) -> bool:
        """Whether a whole interval satisfies the claim."""
        if self.bound == "between":
            return self.low <= low and high <= self.high
        return low > self.low if self.bound == "above" else high < self.high

    def fails(self, low: float, high: float) -> bool:
        """Whether a whole interval violates the claim."""
        if self.bound == "between":
            return high < self.low or low > self.high
        return high <= self.low if self.bound == "above" else low >= self.high


@dataclass(frozen=True)
class Scenario:
    """A checked scenario; `cls` is its phenomenon's class, `digest` the SHA-256 of its text.

    minds: the language minds that it defines; its runs happen inside `minds.speaker.defined(minds)`.
    """

    name: str
    path: Path
    digest: str
    cls: Any
    risk: Risk
    micro: Knobs
    grow: Grow
    intervene: Mapping[str, Knobs]
    validate: Validate
    claims: tuple[Claim, ...]
    minds: Mapping[str, Speaker] = field(default_factory=dict)

    @property
    def turns(self) -> int:
        """How long its runs are."""
        return self.grow.turns or int(self.cls.length)


def folder() -> Path:
    """Where the scenarios of this installation are: inside the package, or beside it in a checkout."""
    package = Path(__file__).parent.parent
    inside = package / "scenarios"
    return inside if inside.is_dir() else package.parent / "scenarios"


def names() -> tuple[str, ...]:
    """The scenarios that can be asked for by name, from any folder."""
    return tuple(sorted(path.stem for path in folder().glob("*.toml")))


def is_path(text: str) -> bool:
    """Whether a text means a file from the current folder rather than a scenario's name."""
    return "/" in text or "\\" in text or text.endswith(".toml")


def locate(text: str) -> Path | None:
    """The file of a scenario given by name or path; None for a name that no scenario has."""
    if is_path(text):
        return Path(text)
    word = text.strip().lower().replace("_", "-")
    return next((folder() / f"{name}.toml" for name in names() if name.lower().replace("_", "-") == word), None)


def load(text: str) -> Scenario:
    """The scenario of that name or in that file, everything in it checked; a ScenarioError says where it is wrong."""
    path = locate(text)
    if path is None:
        raise ScenarioError(f"no scenario {text!r}{nearest(text, names())}; there is {listed(names()) or 'none'}")
    raw = contents(path)
    return _scenario(path, raw, hashlib.sha256(raw).hexdigest())


def summary(name: str) -> dict[str, str]:
    """A scenario's name, phenomenon and risk, as its file says them, unchecked; imports no phenomenon."""
    path = folder() / f"{name}.toml"
    top = parse(path, contents(path))
    risk = top.get("risk")
    says = {key: str(risk.get(key, "")) for key in ("name", "claim")} if isinstance(risk, dict) else {}
    line = says.get("claim") or says.get("name", "")
    return {"name": name, "phenomenon": str(top.get("phenomenon", "")), "risk": line}


def contents(path: Path) -> bytes:
    """The bytes of a scenario file; a ScenarioError where there is no such file or it cannot be one."""
    try:
        if path.is_dir():
            raise ScenarioError(f"{path}: expected a scenario file, and this is a folder")
        if not path.exists():
            near = nearest(path.stem, (found.stem for found in path.parent.glob("*.toml")))
            raise ScenarioError(f"{path}: no such file{near}")
        if not path.is_file():
            raise ScenarioError(f"{path}: expected a scenario file, and this is no regular file")
        if path.stat().st_size > LARGEST:
            raise ScenarioError(f"{path}: {path.stat().st_size:,} bytes; a scenario has at most {LARGEST:,}")
        return path.read_bytes()
    except (OSError, ValueError) as error:
        if isinstance(error, ScenarioError):
            raise
        raise ScenarioError(f"{str(path)!r}: cannot be read: {getattr(error, 'strerror', None) or error}") from None


def parse(path: Path, raw: bytes) -> dict[str, Any]:
    """The tables of a scenario's text; a ScenarioError with the line where it is not TOML."""
    try:
        return tomllib.loads(raw.decode("utf-8-sig").replace("\r\n", "\n"))
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ScenarioError(f"{path}: line {line} is not UTF-8 text") from None
    except tomllib.TOMLDecodeError as error:
        raise ScenarioError(f"{path}: not TOML: {error}") from None
    except (RecursionError, ValueError):  # nested a thousand deep, or a number of thousands of digits
        raise ScenarioError(
            f"{path}: not TOML that a scenario needs: nested too deeply, or a number too long"
        ) from None


def _scenario(path: Path, raw: bytes, digest: str) -> Scenario:
    top = Table(path.name, "", parse(path, raw))
    top.only("phenomenon", "risk", "minds", "micro", "grow", "intervene", "validate", "claim")
    cls = top.phenomenon("phenomenon")
    minds = _minds(top.table("minds"), path.parent, cls)
    with defined(minds):
        return _study(path, digest, top, cls, minds)


def _study(path: Path, digest: str, top: Table, cls: Any, minds: Mapping[str, Speaker]) -> Scenario:
    """What the tables say whose knobs may name the scenario's own minds."""
    micro = top.knobs("micro", cls)
    grow = _grow(top.table("grow"), cls, micro)
    turns = grow.turns or int(cls.length)
    return Scenario(
        name=path.stem,
        path=path,
        digest=digest,
        cls=cls,
        risk=_risk(top.table("risk"), cls),
        micro=micro,
        grow=grow,
        intervene={name: top.table("intervene").knobs(name, cls, micro) for name in top.table("intervene").values},
        validate=_validate(top.table("validate"), cls),
        claims=_claims(top.tables("claim"), cls, micro, grow.seeds, turns),
        minds=minds,
    )


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


def _risk(table: Table, cls: Any) -> Risk:
    table.only("name", "level", "outcome", "claim", "references")
    return Risk(
        name=table.text("name"),
        level=table.choice("level", LEVELS),
        outcome=table.measure("outcome", cls),
        claim=table.text("claim"),
        references=table.texts("references"),
    )


def _grow(table: Table, cls: Any, micro: Knobs) -> Grow:
    table.only("seeds", "turns", "vary", "design")
    vary = table.table("vary")
    return Grow(
        seeds=table.whole("seeds", 2, MOST, SEEDS),
        turns=table.whole("turns", 1, MOST, 0),
        vary={name: vary.several(name, cls, micro) for name in vary.values},
        design=table.choice("design", DESIGNS) or DESIGNS[0],
    )


def _validate(table: Table, cls: Any) -> Validate:
    table.only("data", "values", "distances")
    values = table.table("values")
    return Validate(
        data=table.text("data"),
        values={values.column(name, cls): values.number(name) for name in values.values},
        distances=table.texts("distances"),
    )


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
        low=low if bound != "below" else float("-inf"),
        high=high if bound != "above" else float("inf"),
        where=table.knobs("where", cls, micro),
        against=table.knobs("against", cls, micro) if "against" in table.values else None,
        at=table.whole("at", 0, turns, 0) if "at" in table.values else None,
        seeds=table.whole("seeds", 2, MOST, seeds),
    )
