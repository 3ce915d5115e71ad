"""A bar for those who wait for a study: how fast, how long still, how many failed, and what it has cost."""

import sys
import time
from collections.abc import Callable

from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from agentmicro.study.runner import Progressed
from agentmicro.study.tables import PATIENCE, console

OFTEN = 0.2  # seconds between two looks at what was spent


class Watch:
    """A bar on stderr that appears only on a terminal and only when a study takes longer than a moment.

    spent: what the study has cost until now, in USD; None where nobody is asked, or nobody knows.
    """

    def __init__(self, what: str, spent: Callable[[], float | None] | None = None) -> None:
        self._what = what
        self._spent = spent
        self._start = time.perf_counter()
        self._looked = 0.0
        self._text = ""
        self._bar: Bar | None = None

    def __enter__(self) -> "Watch":
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def __call__(self, found: Progressed) -> None:
        """Hears how far it is."""
        now = time.perf_counter()
        if self._bar is None:
            if not sys.stderr.isatty() or now - self._start < PATIENCE:
                return
            self._bar = _bar(self._what)
        if now - self._looked > OFTEN:
            self._looked, self._text = now, self._told(found, now - self._start)
        (task,) = self._bar.task_ids
        self._bar.update(task, completed=found.made, total=found.missing, told=self._text)

    def _told(self, found: Progressed, seconds: float) -> str:
        told = [f"{found.made / seconds:.3g} runs a second"]
        told += [f"{found.failed:,} failed"] if found.failed else []
        spent = self._spent() if self._spent is not None else None
        told += [f"{spent:.4f} USD"] if spent is not None else []
        return ", ".join(told)


def _bar(what: str) -> Bar:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    bar = Bar(*columns, TextColumn("{task.fields[told]}"), console=console(stderr=True), transient=True)
    bar.add_task(what, total=None, told="")
    bar.start()
    return bar
