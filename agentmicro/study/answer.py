"""The answer of a study in three sentences, written from its verdicts: what grows it, where it tips, what cures it."""

from collections.abc import Iterable, Mapping
from math import isfinite, nan
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from agentmicro.study.canvas import Row
from agentmicro.study.claims import interval
from agentmicro.study.display import assigned
from agentmicro.study.results import FAILED, Study
from agentmicro.study.text import amount, spanned

if TYPE_CHECKING:
    from pandas import DataFrame

type Floats = NDArray[np.float64]

MOST = 4  # things named in a sentence; the rest are counted
ASKED = 2  # measures that a sentence is about where the outcome is none of them, and reasons that it gives
VERBS = (
    ("relevant", "moves {}", "move {}"),
    ("negligible", "changes {} negligibly", "change {} negligibly"),
    ("undecided", "is undecided for {}", "are undecided for {}"),
)


class Sentence(NamedTuple):
    """A question and what the runs say to it."""

    lead: str
    text: str


def answer(study: Study, tables: Mapping[str, "DataFrame"]) -> tuple[Sentence, ...]:
    """Three sentences, each true of the tables; a stage that was not asked for says so."""
    return (
        Sentence("What grows it", _grown(study, tables.get("effects"))),
        Sentence("Where it tips", _tipping(tables.get("thresholds"))),
        Sentence("What cures it", _cured(study, tables.get("arms"))),
    )


def named(names: Iterable[str]) -> str:
    """A few names as a sentence lists them, and how many more there are."""
    every = list(dict.fromkeys(names))
    kept, rest = every[:MOST], len(every) - MOST
    if rest > 0:
        return f"{', '.join(kept)} and {rest} more"
    return " and ".join([", ".join(kept[:-1]), kept[-1]] if len(kept) > 1 else kept)


def _grown(study: Study, effects: "DataFrame | None") -> str:
    outcome = study.scenario.outcome
    runs = study.runs
    if not len(runs):
        return "nothing has run yet."
    if (runs["status"] == FAILED).all():
        return f"nothing can be said, since all {len(runs):,} runs failed."
    cells = study.stage("base")["cell"]
    values: Floats = np.empty(0)
    if len(cells):
        values = np.asarray(study.values(int(cells.iloc[0]), outcome).dropna(), np.float64)
    if not values.size:
        return f"{outcome} is not known as the scenario stands, since no run of it counts and defines it."
    mean, half = interval(values)
    text = f"as the scenario stands, {outcome} is {spanned(mean, mean - half, mean + half)} over {values.size:,} seeds"
    null = _null(study)
    text += f", and {amount(null)} where {assigned(study.scenario.cls.null)}" if isfinite(null) else ""
    return f"{text}; {_moved(outcome, effects)}."


def _null(study: Study) -> float:
    cells, own = study.stage("null")["cell"], study.stage("base")["cell"]
    if not len(cells) or int(cells.iloc[0]) == int(own.iloc[0]):
        return nan
    values = study.values(int(cells.iloc[0]), study.scenario.outcome).dropna()
    return float(values.mean()) if len(values) else nan


def _moved(outcome: str, effects: "DataFrame | None") -> str:
    """Which knobs matter for the outcome, or else for the first measures that were asked about, by verdict."""
    if effects is None or effects.empty:
        return "which knobs matter was not tested"
    measures = list(dict.fromkeys(effects["measure"]))
    asked = [outcome] if outcome in measures else measures[:ASKED]
    return f"changed alone, {'; '.join(_verdicts(name, effects[effects['measure'] == name]) for name in asked)}"


def _verdicts(measure: str, effects: "DataFrame") -> str:
    """The knobs by the strongest verdict that one of their values has."""
    left = list(dict.fromkeys(map(str, effects["knob"])))
    parts: list[str] = []
    for verdict, one, more in VERBS:
        mine = [knob for knob in left if knob in set(effects.loc[effects["verdict"] == verdict, "knob"])]
        left = [knob for knob in left if knob not in mine]
        if mine:
            parts.append(f"{named(mine)} {(one if len(mine) == 1 else more).format(measure if not parts else 'it')}")
    return ", ".join(parts)


def _tipping(table: "DataFrame | None") -> str:
    if table is None or table.empty:
        return "no threshold was asked for."
    rows = table.to_dict("records")
    known = [row for row in rows if isfinite(row["estimate"])]
    refused = [row for row in rows if not isfinite(row["estimate"])]
    parts = [
        f"{row['that']} reaches {amount(row['reaches'])} at {row['of']} = "
        f"{spanned(row['estimate'], row['low'], row['high'])}"
        for row in known[:MOST]
    ]
    parts += [f"{len(known) - MOST} more are in the table"] if len(known) > MOST else []
    parts += [f"no threshold is stated for {row['of']}: {row['refused']}" for row in refused[:ASKED]]
    parts += [f"nor for {len(refused) - ASKED} more"] if len(refused) > ASKED else []
    return f"{'; '.join(parts).rstrip('.')}."


def _cured(study: Study, arms: "DataFrame | None") -> str:
    if arms is None or arms.empty:
        return "no intervention was tried."
    rows = arms[arms["reduction"].notna()].sort_values("reduction", ascending=False, kind="stable").to_dict("records")
    if not rows:
        return f"none of {len(arms)} interventions can be judged, since no pair of runs counts."
    good = [row for row in rows if row["verdict"] == "relevant" and row["reduction"] > 0]
    worse = [row for row in rows if row["verdict"] == "relevant" and row["reduction"] < 0]
    little = [row for row in rows if row["verdict"] == "negligible"]
    rest = len(arms) - len(good) - len(worse) - len(little)
    parts = [_best(study, good[0])] if good else ["no intervention is shown to take risk away"]
    for group, one, more in ((good[1:], "helps too", "help too"), (worse, "makes it worse", "make it worse")):
        parts += [f"{named(map(_quoted, group))} {one if len(group) == 1 else more}"] if group else []
    parts += [f"{named(map(_quoted, little))} {'does' if len(little) == 1 else 'do'} too little"] if little else []
    if rest:
        parts.append(f"{rest} of {len(arms)} {'is' if rest == 1 else 'are'} undecided")
    return f"{'; '.join(parts)}."


def _best(study: Study, row: Row) -> str:
    share, risk = row["share"], study.scenario.risk
    part = f", {share:.0%} of the risk" if isfinite(share) and 0 < share <= 1 else ""
    moves = "falls" if risk.worse == "high" else "rises"
    taken = spanned(row["reduction"], row["low"], row["high"])
    return f"most by {_quoted(row)}, under which {study.scenario.outcome} {moves} by {taken}{part}"


def _quoted(row: Row) -> str:
    return f"“{row['arm']}”"
