"""What every table of the command line shares: where text goes, how numbers look, and a bar for those who wait."""

import sys
import time
from collections.abc import Mapping, Sequence
from math import isnan
from typing import Any

from rich import box
from rich.console import Console, Group
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from rich.table import Table

from agentmicro.errors import listed

WIDTH = 110  # columns where no terminal says how many there are
PATIENCE = 1.0  # seconds before a progress bar appears


def console(stderr: bool = False) -> Console:
    """Where text goes: coloured and as wide as the terminal, or plain and of fixed width."""
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else WIDTH
    return Console(stderr=stderr, width=width, highlight=False, markup=False, emoji=False)


class Patience:
    """A progress bar on stderr that appears only on a terminal and only when something takes longer than a moment."""

    def __init__(self, what: str) -> None:
        self.what = what
        self.start = time.perf_counter()
        self.bar: Bar | None = None
        self.task: TaskID | None = None

    def __enter__(self) -> "Patience":
        return self

    def __exit__(self, *error: object) -> None:
        if self.bar:
            self.bar.stop()

    def __call__(self, done: int, total: int) -> None:
        """Hears how far it is."""
        if self.bar is None:
            if not sys.stderr.isatty() or time.perf_counter() - self.start < PATIENCE:
                return
            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
            self.bar = Bar(*columns, console=console(stderr=True), transient=True)
            self.bar.start()
        if self.task is None:
            self.task = self.bar.add_task(self.what, total=total)
        self.bar.update(self.task, completed=done, total=total)


def number(value: float) -> str:
    """A number in four digits; a dash where it is undefined."""
    if isnan(value):
        return "–"
    return f"{int(value):,}" if float(value).is_integer() and abs(value) < 1e15 else f"{value:.4g}"


def grid(*headings: str) -> Table:
    """A table with these headings; `>` before a heading sets its column to the right."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold")
    for heading in headings:
        right = heading.startswith(">")
        table.add_column(heading.removeprefix(">"), justify="right" if right else "left", overflow="fold")
    return table


def of_list(phenomena: Sequence[Mapping[str, Any]], scenarios: Sequence[Mapping[str, str]]) -> Group:
    """The phenomena and the scenarios there are, each with its line."""
    first = grid("phenomenon", "level", "risks", "what it is")
    for item in phenomena:
        first.add_row(item["name"], item["level"], listed(item["kinds"]), item["title"])
    second = grid("scenario", "phenomenon", "risk")
    for item in scenarios:
        second.add_row(item["name"], item["phenomenon"], item["risk"])
    return Group(first, "", second)
