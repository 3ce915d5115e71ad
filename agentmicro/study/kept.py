"""The tables of a study as they lie in its folder, of which a row, a series or a column is read at a time."""

import csv
import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from agentmicro.errors import SpecError
from agentmicro.study.plan import Cell
from agentmicro.study.results import SUCCEEDED

if TYPE_CHECKING:
    import pyarrow as pa

RUNS, TURNS, TIMES = "runs.parquet", "turns.parquet", "times.parquet"
TEXT, CELLS, USES = "runs.csv", "cells.csv", "uses.csv"
OPEN = 4  # row groups of one table that stay in memory


class Kept:
    """The tables of runs in a folder; without any there are no rows."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._stack = ExitStack()
        self._files: dict[str, Rows] = {}
        self._starts: NDArray[np.int64] | None = None
        self._ends: dict[str, list[float]] = {}
        if (folder / RUNS).exists():
            for name in (RUNS, TURNS, TIMES):
                self._files[name] = Rows(self._stack.enter_context(parquet().ParquetFile(folder / name)))

    def cells(self) -> dict[str, Cell]:
        """The arms by their keys, in the order of their numbers."""
        if not self._files:
            return {}
        with (self.folder / CELLS).open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        return {row["key"]: _cell(row) for row in rows}

    def rows(self) -> Iterator[tuple[str, int, str, str]]:
        """The key, seed, status and error of each row of the table of runs."""
        if self._files:
            keys = list(self.cells())
            for number, seed, status, error in self._files[RUNS].each("cell", "seed", "status", "error"):
                yield keys[number], seed, status, error

    def end(self, row: int, measure: str) -> float:
        """A measure at the end of the run in a row of the table of runs; NaN if it failed."""
        if measure not in self._ends:
            self._ends[measure] = [value for (value,) in self._files[RUNS].each(measure)]
        return self._ends[measure][row]

    def line(self, row: int) -> dict[str, Any]:
        """A row of the table of runs as the line that it was."""
        found: dict[str, Any] = self._files[RUNS].take(row, 1).to_pylist()[0]
        took: dict[str, Any] = self._files[TIMES].take(row, 1).to_pylist()[0]
        return {"status": found["status"], "error": found["error"], "row": found, "took": took}

    def series(self, row: int, columns: tuple[str, ...]) -> NDArray[np.float64]:
        """The turns of the run in a row of the table of runs; none if it failed."""
        if self._starts is None:
            # Runs of one study are equally long, and those that failed have no turns.
            succeeded = np.array([status == SUCCEEDED for (status,) in self._files[RUNS].each("status")])
            each = self._files[TURNS].count // max(1, int(succeeded.sum()))
            self._starts = np.concatenate([[0], np.cumsum(succeeded * each)]).astype(np.int64)
        start, stop = int(self._starts[row]), int(self._starts[row + 1])
        if start == stop:
            return np.zeros((0, len(columns)))
        found = self._files[TURNS].take(start, stop - start)
        return np.column_stack([found.column(name).to_numpy() for name in columns])

    def close(self) -> None:
        """Closes the files."""
        self._files.clear()
        self._stack.close()


def _cell(row: Mapping[str, str]) -> Cell:
    steps = tuple((float(at), changes) for at, changes in json.loads(row["steps"]))
    return Cell(json.loads(row["knobs"]), steps)


class Rows:
    """A table on disk, of which some rows are asked for; the row groups asked for last stay in memory."""

    def __init__(self, file: Any) -> None:
        self.file = file
        sizes = [file.metadata.row_group(group).num_rows for group in range(file.metadata.num_row_groups)]
        self._ends = np.cumsum([0, *sizes])
        self._group = lru_cache(maxsize=OPEN)(file.read_row_group)

    @property
    def count(self) -> int:
        """How many rows there are."""
        return int(self._ends[-1])

    def each(self, *columns: str) -> Iterator[tuple[Any, ...]]:
        """Some columns of every row."""
        for batch in self.file.iter_batches(columns=list(columns)):
            yield from zip(*(batch.column(name).to_pylist() for name in columns), strict=True)

    def take(self, start: int, count: int) -> "pa.Table":
        """So many rows from a row on."""
        import pyarrow as pa

        group = int(np.searchsorted(self._ends, start, side="right")) - 1
        found = []
        while count > 0:
            piece = self._group(group).slice(start - int(self._ends[group]), count)
            found.append(piece)
            start, count, group = start + piece.num_rows, count - piece.num_rows, group + 1
        return pa.concat_tables(found)


def parquet() -> Any:
    """The library that reads and writes tables."""
    try:
        import pyarrow.parquet
    except ImportError:
        raise SpecError("studies keep tables with pyarrow, which comes with the extra agentmicro[study]") from None
    return pyarrow.parquet
