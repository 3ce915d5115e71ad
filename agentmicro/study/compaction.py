"""Compaction: the runs of a study become tables, sorted, one row group at a time, so that memory stays flat.

Cells are numbered in the order of the plan, then seeds follow in order; the tables depend on the runs and the plan, and
on nothing else: not on who made the runs, in which order, or how often that was interrupted.
"""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from agentmicro.errors import SpecError
from agentmicro.knobs import knobs
from agentmicro.society import LEDGER
from agentmicro.study.jobs import DECISIONS, PAID, names, numbers
from agentmicro.study.kept import CELLS, RUNS, TEXT, TIMES, TURNS, USES, parquet
from agentmicro.study.plan import Cell, Plan
from agentmicro.study.results import SUCCEEDED
from agentmicro.study.store import NEW, Store

if TYPE_CHECKING:
    import pyarrow as pa

ROWS = 1_000  # runs to a row group
MOMENTS = 8_000  # turns to a row group, about
FIRST = ("cell", "seed", "status", "error")
FLOATS = ("failure_rate", "cost_usd")
TOOK = ("seconds", *PAID, "n_replayed")


def compact(store: Store, plan: Plan, cls: Any) -> None:
    """Writes the tables anew from all runs there are, and lets the parts go; does nothing where nothing is new."""
    cells = _all_cells(store, plan)
    numbering = {key: number for number, key in enumerate(cells)}
    texts = {CELLS: _cells(cells), USES: _uses(plan, numbering)}
    if not store.parts and all(_same(store.folder / name, text) for name, text in texts.items()):
        return
    with _Writer(store.folder, cls) as writer:
        for key, cell in cells.items():
            for seed in store.seeds(key):
                line, series = _found(store, cls, key, seed)
                writer.add(numbering[key], seed, cell, line, series)
    for name, text in texts.items():
        (store.folder / f"{name}{NEW}").write_text(text, encoding="utf-8")
    store.settled((RUNS, TURNS, TIMES, TEXT, CELLS, USES))


def end(store: Store, cls: Any, cell: str, seed: int, measure: str) -> float:
    """A measure at the end of one run; NaN if it failed."""
    part, offset = store.place(cell, seed)
    if not part:
        return store.kept.end(offset, measure)
    series = _series(cls, store.line(part, offset))
    return float(series[-1, names(cls).index(measure)]) if series.size else float("nan")


def _found(store: Store, cls: Any, cell: str, seed: int) -> tuple[Mapping[str, Any], NDArray[np.float64]]:
    """A run's line and its series, from a part or from the tables."""
    part, offset = store.place(cell, seed)
    if part:
        line = store.line(part, offset)
        return line, _series(cls, line)
    return store.kept.line(offset), store.kept.series(offset, names(cls))


def _series(cls: Any, line: Mapping[str, Any]) -> NDArray[np.float64]:
    return numbers(cls, line) if line["status"] == SUCCEEDED else np.zeros((0, len(names(cls))))


class _Writer:
    """The new tables, beside the old ones."""

    def __init__(self, folder: Path, cls: Any) -> None:
        from pyarrow import csv as text

        self.columns = names(cls)
        self.schemas = {RUNS: _runs_schema(cls), TURNS: _turns_schema(cls), TIMES: _times_schema()}
        kinds = {field.name: str(field.type) for field in self.schemas[RUNS]}
        unknown = {"double": np.nan, "int64": 0, "bool": False, "string": ""}
        self._blank = {name: unknown[kind] for name, kind in kinds.items()}
        self._counts = [name for name in self.columns if kinds[name] == "int64"]
        self._rows: list[dict[str, Any]] = []
        self._times: list[dict[str, Any]] = []
        self._series: list[tuple[int, int, NDArray[np.float64]]] = []
        self._moments = 0
        with ExitStack() as stack:
            self._files = {
                name: stack.enter_context(parquet().ParquetWriter(folder / f"{name}{NEW}", schema))
                for name, schema in self.schemas.items()
            }
            self._text = stack.enter_context(text.CSVWriter(folder / f"{TEXT}{NEW}", self.schemas[RUNS]))
            self._stack = stack.pop_all()

    def __enter__(self) -> "_Writer":
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        with self._stack:
            if kind is None:
                self._flush_runs()
                self._flush_turns()

    def add(self, number: int, seed: int, cell: Cell, line: Mapping[str, Any], series: NDArray[np.float64]) -> None:
        """One more run."""
        last = dict(zip(self.columns, series[-1].tolist(), strict=True)) if series.size else {}
        row = {**self._blank, **line.get("row", {}), **last, "error": line.get("error", "")}
        row |= {"cell": number, "seed": seed, "status": line["status"], "valid": bool(row["valid"])}
        row |= {f"knob_{name}": value for name, value in cell.knobs.items()}
        row |= {name: int(row[name]) for name in self._counts}
        self._rows.append(row)
        took = line.get("took", {})
        self._times.append({**{name: took.get(name) for name in TOOK}, "cell": number, "seed": seed})
        self._series.append((number, seed, series))
        self._moments += len(series)
        if len(self._rows) >= ROWS:
            self._flush_runs()
        if self._moments >= MOMENTS:
            self._flush_turns()

    def _flush_runs(self) -> None:
        import pyarrow as pa

        if self._rows:
            runs = pa.Table.from_pylist(self._rows, schema=self.schemas[RUNS])
            self._files[RUNS].write_table(runs)
            self._text.write_table(runs)
            self._files[TIMES].write_table(pa.Table.from_pylist(self._times, schema=self.schemas[TIMES]))
        self._rows.clear()
        self._times.clear()

    def _flush_turns(self) -> None:
        import pyarrow as pa

        if self._moments:
            lengths = [len(series) for _, _, series in self._series]
            columns: list[Any] = [np.repeat([item[place] for item in self._series], lengths) for place in (0, 1)]
            columns.append(np.concatenate([np.arange(length, dtype=float) for length in lengths]))
            columns += list(np.concatenate([series for _, _, series in self._series]).T)
            self._files[TURNS].write_table(pa.Table.from_arrays(columns, schema=self.schemas[TURNS]))
        self._series.clear()
        self._moments = 0


def _all_cells(store: Store, plan: Plan) -> dict[str, Cell]:
    """The plan's cells, then those that were asked for before and no longer are: what was made is kept."""
    before = store.kept.cells()
    return plan.cells | {key: before[key] for key in sorted(before) if key not in plan.cells and store.seeds(key)}


def _cells(cells: Mapping[str, Cell]) -> str:
    rows = [
        {"cell": number, "key": key, "steps": json.dumps(cell.steps), "knobs": json.dumps(dict(cell.knobs))}
        for number, (key, cell) in enumerate(cells.items())
    ]
    return _csv(("cell", "key", "steps", "knobs"), rows)


def _uses(plan: Plan, numbering: Mapping[str, int]) -> str:
    rows = [
        {**use._asdict(), "cell": numbering[use.cell], "at": "" if np.isnan(use.at) else use.at} for use in plan.uses
    ]
    return _csv(("stage", "label", "role", "cell", "seeds", "changes", "at"), rows)


def _csv(columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _same(path: Path, text: str) -> bool:
    return path.exists() and path.read_text("utf-8") == text


def _runs_schema(cls: Any) -> "pa.Schema":
    import pyarrow as pa

    kinds = {int: pa.int64(), float: pa.float64(), bool: pa.bool_(), str: pa.string()}
    measured = [name for name in names(cls) if name not in LEDGER]
    clash = {*FIRST, "time", "served_models", *DECISIONS} & set(measured)
    if clash:
        raise SpecError(f"measure {sorted(clash)[0]!r} has the name of a column of every study; give it another one")
    ledger = [name for name in names(cls) if name in LEDGER and name != "valid"]
    fields = [("cell", pa.int64()), ("seed", pa.int64()), ("status", pa.string()), ("error", pa.string())]
    fields += [("valid", pa.bool_())]
    fields += [(f"knob_{name}", kinds[knob.kind]) for name, knob in knobs(cls).items()]
    fields += [(name, pa.float64()) for name in measured]
    fields += [(name, pa.float64() if name in FLOATS else pa.int64()) for name in (*ledger, *DECISIONS)]
    return pa.schema([*fields, ("served_models", pa.string())])


def _turns_schema(cls: Any) -> "pa.Schema":
    import pyarrow as pa

    fields = [("cell", pa.int64()), ("seed", pa.int64()), ("time", pa.float64())]
    return pa.schema([*fields, *((name, pa.float64()) for name in names(cls))])


def _times_schema() -> "pa.Schema":
    import pyarrow as pa

    fields = [(name, pa.float64() if name in ("seconds", "cost_usd") else pa.int64()) for name in TOOK]
    return pa.schema([("cell", pa.int64()), ("seed", pa.int64()), *fields])
