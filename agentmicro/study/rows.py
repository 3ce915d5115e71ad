"""Tables of a study as a reader wants them: chosen columns, estimates with their intervals, numbers in four digits."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from math import isfinite, isnan
from typing import TYPE_CHECKING, Any

from agentmicro.study.canvas import Row
from agentmicro.study.display import assigned
from agentmicro.study.pages import Grid
from agentmicro.study.text import AS_IT_IS, amount

if TYPE_CHECKING:
    from pandas import DataFrame

MOST = 60  # rows printed of one table; the whole is beside the page
HYPHEN = re.compile(r"(?<!\w)-(?=\d)")  # where print has a minus sign
SMALL = 0.001  # a chance below it is said to be below it

type Column = tuple[str, tuple[str, ...], Callable[[Row], str]]


def value(found: Any) -> str:
    """Anything as a cell: numbers in four digits, yes or no, a dash for what is not there."""
    if found is None or (isinstance(found, float) and isnan(found)):
        return "–"
    if isinstance(found, bool) or type(found).__name__ in ("bool_", "bool"):
        return "yes" if found else "no"
    return amount(float(found)) if isinstance(found, int | float) or hasattr(found, "dtype") else str(found) or "–"


def span(low: Any, high: Any) -> str:
    """An interval; a dash where an end is not known."""
    known = low is not None and high is not None and isfinite(low) and isfinite(high)
    return f"{value(float(low))} to {value(float(high))}" if known else "–"


def chance(found: Any) -> str:
    """A p value."""
    return f"< {SMALL:g}" if found is not None and found < SMALL else value(found)


def settings(found: Any) -> str:
    """Knobs with their values, which a table may hold as JSON."""
    given = json.loads(found) if isinstance(found, str) and found.startswith("{") else found
    if isinstance(given, Mapping):
        return assigned(given) or AS_IT_IS
    return value(given)


def plain(heading: str, name: str, show: Callable[[Any], str] = value) -> Column:
    """A column shown as it is."""
    return heading, (name,), lambda row: show(row[name])


def estimate(heading: str, name: str, low: str = "low", high: str = "high") -> tuple[Column, Column]:
    """Two columns: an estimate, and its 95% interval."""
    return plain(f">{heading}", name), (">95% interval", (low, high), lambda row: span(row[low], row[high]))


def _about(row: Row) -> str:
    """What a claim is about: a measure in one arm, or its difference between two."""
    where = f" with {settings(row['where'])}" if row["where"] not in ("", "{}") else ""
    return f"{row['that']}{where}{f', less that with {settings(row["against"])}' if row['against'] else ''}"


def _minus(found: Any) -> str:
    """A text with numbers in it, with the sign that print uses."""
    return HYPHEN.sub("−", str(found))


COLUMNS: Mapping[str, Sequence[Column]] = {
    "effects": (
        plain("knob", "knob"),
        ("change", ("base", "value"), lambda row: f"{value(row['base'])} → {value(row['value'])}"),
        plain("measure", "measure"), *estimate("effect", "effect"), plain(">p (Holm)", "p_holm", chance),
        plain(">margin", "margin"), plain("verdict", "verdict"), plain(">more seeds", "more"), plain(">n", "n"),
        plain(">left out", "left_out"),
    ),
    "thresholds": (
        plain("threshold", "says"), plain("of", "of"), plain("measure", "that"), plain(">reaches", "reaches"),
        plain("where", "where", settings), plain("fit", "method"), *estimate("estimate", "estimate"),
        plain(">values", "n_values"), plain(">runs", "n_runs"), plain("not stated because", "refused"),
    ),
    "arms": (
        plain("arm", "arm"), plain("level", "level"), plain(">from", "at"), plain(">outcome", "outcome"),
        *estimate("reduction", "reduction"), plain(">p (Holm)", "p_holm", chance), plain("verdict", "verdict"),
        plain(">more seeds", "more"), plain(">share", "share"),
        plain(">tokens a run", "tokens"), plain(">USD a run", "cost_usd"), plain("Pareto", "pareto"), plain(">n", "n"),
        plain(">left out", "left_out"),
    ),
    "side_effects": (
        plain("arm", "arm"), plain("measure", "measure"), plain(">base", "mean_base"), plain(">mean", "mean"),
        *estimate("change", "effect"), plain(">p (Holm)", "p_holm", chance), plain("verdict", "verdict"),
        plain(">n", "n"), plain(">left out", "left_out"),
    ),
    "claims": (
        plain("claim", "says"), plain("verdict", "verdict"), ("about", ("that", "where", "against"), _about),
        *estimate("mean", "mean"), plain("wanted", "wanted", _minus), plain(">null", "null"), plain(">seeds", "seeds"),
        plain(">undefined", "undefined"), plain(">more seeds", "more"),
    ),
    "validation": (
        plain("measure", "measure"), plain("dimension", "dimension"), plain(">n", "n"), *estimate("runs", "mean"),
        plain("field", "field"), *estimate("distance", "distance", "distance_low", "distance_high"),
        plain("verdict", "verdict"), plain("source", "source"), plain("grade", "grade"), plain(">left out", "left_out"),
    ),
    "adequacy": (
        plain("adequacy", "adequacy"), plain("question", "question"), plain("answer", "answer"), plain("test", "test"),
        plain("found", "found"),
    ),
    "attacks": (
        plain(">place", "place"), *estimate("change", "effect"), plain(">p (Holm)", "p_holm", chance),
        plain("verdict", "verdict"), plain(">n", "n"), plain(">degree", "degree"), plain(">betweenness", "betweenness"),
        plain(">closeness", "closeness"), plain(">pagerank", "pagerank"), plain(">left out", "left_out"),
    ),
}  # fmt: skip


NOTHING = {"–", AS_IT_IS}
FREE = (">tokens a run", ">USD a run")  # left out where nothing was spent
SAME = (">n", ">left out", ">undefined", ">seeds")  # said once, in the caption, where every row has the same


def grid(name: str, frame: "DataFrame", caption: str) -> Grid:
    """A table of a study as print has it: no columns that are empty throughout, and no rows past the sixtieth."""
    known = COLUMNS.get(name)
    columns = [column for column in known if set(column[1]) <= set(frame.columns)] if known else _all(frame)
    rows = frame.head(MOST).to_dict("records")
    found = [(heading, [show(row) for row in rows]) for heading, _, show in columns]
    same = [(head, cells[0]) for head, cells in found if head in SAME and len(rows) > 1 and len(set(cells)) == 1]
    bare = {head for head, cells in found if set(cells) <= (NOTHING | {"0"} if head in FREE else NOTHING)}
    kept = [(head, cells) for head, cells in found if head not in bare and (head, *cells[:1]) not in same]
    told = [caption]
    told += [f"In every row: {', '.join(f'{head[1:]} {text}' for head, text in same)}."] if same else []
    told += [f"The first {MOST} of {len(frame):,} rows; all are in tables/{name}.csv."] if len(frame) > MOST else []
    return Grid(" ".join(told), tuple(head for head, _ in kept), tuple(zip(*(cells for _, cells in kept), strict=True)))


def _all(frame: "DataFrame") -> list[Column]:
    """Every column under its own name, numbers to the right, the ends of an interval together."""
    from pandas.api.types import is_bool_dtype, is_numeric_dtype

    found: list[Column] = []
    names = [name for name in map(str, frame.columns) if name != "cell"]  # a number that means something to no reader
    for name in names:
        right = is_numeric_dtype(frame[name]) and not is_bool_dtype(frame[name])
        show = chance if name == "p" or name.startswith("p_") else value
        if name == "low" and "high" in names:
            found.append((">95% interval", ("low", "high"), lambda row: span(row["low"], row["high"])))
        elif not (name == "high" and "low" in names):
            found.append(plain(f"{'>' if right else ''}{name.replace('_', ' ')}", name, show))
    return found
