"""What a scenario says, as frozen values, from the risk to the claims.

`scenario.load` reads them from a file and checks everything in them; a program may also make them by hand.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import nan
from pathlib import Path
from typing import Any

from agentmicro.knobs import Scalar
from agentmicro.minds.speaker import Speaker
from agentmicro.society import MINDS

type Knobs = Mapping[str, Scalar]
type Values = Mapping[str, tuple[Scalar, ...]]

SEEDS = 20
DESIGNS = ("grid", "one-factor", "latin", "sobol", "morris", "adaptive")


@dataclass(frozen=True)
class Risk:
    """What may go wrong, at which level, and the measure that would show it.

    worse: whether `high` or `low` values of the outcome are the risk. margin: the smallest difference of the outcome
    that matters; NaN where nobody has said.
    """

    name: str = ""
    level: str = ""
    outcome: str = ""
    claim: str = ""
    references: tuple[str, ...] = ()
    worse: str = "high"
    margin: float = nan


@dataclass(frozen=True)
class Grow:
    """How often and how long a scenario runs, and which knobs a sweep varies; turns 0: the phenomenon's own length.

    ranges: numeric knobs given as `{ low, high }` instead of values, for designs that sample. samples: how many points
    such a design takes (rows of the hypercube, base points of Sobol, trajectories of Morris). budget: the most runs
    that an adaptive design makes.
    """

    seeds: int = SEEDS
    turns: int = 0
    vary: Values = field(default_factory=dict)
    ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    design: str = "grid"
    samples: int = 0
    budget: int = 0


@dataclass(frozen=True)
class Identify:
    """Which knobs are changed alone, on which measures that is judged, and what is too little to matter.

    vary: other values for each knob than the base has. where: the knobs of the base, on top of [micro]. margins: the
    smallest difference of each measure that matters.
    """

    vary: Values = field(default_factory=dict)
    measures: tuple[str, ...] = ()
    margins: Mapping[str, float] = field(default_factory=dict)
    where: Knobs = field(default_factory=dict)


@dataclass(frozen=True)
class Threshold:
    """The value of a knob at which a measure reaches a level: the critical value that a study looks for."""

    says: str
    of: str
    that: str
    reaches: float
    where: Knobs = field(default_factory=dict)


@dataclass(frozen=True)
class Arm:
    """A named change of knobs: from the start, or at a time; later: further changes, each with its time."""

    name: str
    knobs: Knobs
    at: float | None = None
    later: tuple[tuple[float, Knobs], ...] = ()

    @property
    def steps(self) -> tuple[tuple[float, Knobs], ...]:
        """Every change that happens at a time, in order."""
        return () if self.at is None else ((self.at, self.knobs), *self.later)

    @property
    def level(self) -> str:
        """`model` where only minds change, `protocol` where only the rules around them do, else `both`."""
        changed = {*self.knobs, *(name for _, knobs in self.later for name in knobs)}
        minds = len(changed & set(MINDS))
        return "protocol" if not minds else "model" if minds == len(changed) else "both"


@dataclass(frozen=True)
class Attack:
    """The same attack at one place after another.

    kind: `node` (`name` is a knob that holds a row), `slot` (a knob that holds a place in an order) or `mind` (`name`
    is the mind seated at each row). that: the measure it is judged by; empty is the outcome. rows: the places; empty
    means all of them, or `sample` of them. knobs: what else the attacked arms change.
    """

    kind: str
    name: str
    that: str = ""
    rows: tuple[int, ...] = ()
    sample: int = 0
    knobs: Knobs = field(default_factory=dict)


@dataclass(frozen=True)
class Published:
    """A value, or a range of them, that somebody has published about a measure.

    grade: how far the figure is to be trusted, in the author's words.
    """

    value: float = nan
    low: float = nan
    high: float = nan
    source: str = ""
    grade: str = ""


@dataclass(frozen=True)
class Validate:
    """What the scenario is to be held against: a data file, published values, and the distances that matter.

    columns: for each measure the column of the file. tolerance: up to which relative difference runs and field match.
    where: the knobs of the arm that is compared, on top of [micro].
    """

    data: str = ""
    columns: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, Published] = field(default_factory=dict)
    distances: tuple[str, ...] = ()
    tolerance: float = 0.1
    where: Knobs = field(default_factory=dict)


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
    risk: Risk = field(default_factory=Risk)
    micro: Knobs = field(default_factory=dict)
    grow: Grow = field(default_factory=Grow)
    identify: Identify = field(default_factory=Identify)
    thresholds: tuple[Threshold, ...] = ()
    intervene: Mapping[str, Arm] = field(default_factory=dict)
    attack: Attack | None = None
    validate: Validate = field(default_factory=Validate)
    claims: tuple[Claim, ...] = ()
    minds: Mapping[str, Speaker] = field(default_factory=dict)

    @property
    def turns(self) -> int:
        """How long its runs are."""
        return self.grow.turns or int(self.cls.length)

    @property
    def outcome(self) -> str:
        """The measure that would show the risk: the scenario's, or the phenomenon's first."""
        return self.risk.outcome or next(iter(self.cls(rng=0).measures))

    @property
    def attacked(self) -> str:
        """The measure that attacks are judged by."""
        return (self.attack.that if self.attack else "") or self.outcome
