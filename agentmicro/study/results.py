"""A study as its results: what every run was for, what it showed, and how two arms compare on the same seeds."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentmicro.errors import SpecError, listed, nearest
from agentmicro.study.spec import Scenario

if TYPE_CHECKING:
    from pandas import DataFrame, Series

STAGES = ("base", "null", "grow", "identify", "intervene", "attack", "validate", "claim")
SUCCEEDED, FAILED = "succeeded", "failed"


@dataclass(frozen=True)
class Study:
    """What a scenario's runs have shown so far.

    uses: one row per thing that a cell of runs is for: `stage` (one of STAGES), `label`, `role` (`arm` or `reference`),
    `cell` (a number), `seeds`, `changes` (the knobs that differ from [micro], as JSON) and `at` (the time from which
    they do; NaN from the start). A cell may have several uses: its runs are made once. In the stage `grow` there is one
    row per point of the design; in `identify` the changed knob alone, with the base as `reference`; in `intervene` the
    named arms, the unchanged base as `reference`; in `attack` the label is the row or slot, the arm without an
    attack is the `reference`; in `claim` the label is the claim's number and the role `where` or `against`, `null` or
    `null against`.
    runs: one row per run: `cell`, `seed`, `status` (succeeded | failed), `error`, `valid`, `knob_NAME` for each knob,
    the measures at the end by their names, and the ledger (`n_decisions`, `failure_rate`, `tokens_in`, `cost_usd` ...).
    folder: where it is kept, with `turns.parquet`, one row per run and turn (`cell`, `seed`, `time`, columns).
    """

    scenario: Scenario
    uses: "DataFrame"
    runs: "DataFrame"
    folder: Path | None = None

    @property
    def measures(self) -> tuple[str, ...]:
        """What the phenomenon measures."""
        return tuple(self.scenario.cls(rng=0).measures)

    def stage(self, name: str, role: str | None = None) -> "DataFrame":
        """The uses of a stage, in the order of the plan; with a role only those."""
        found = self.uses[self.uses["stage"] == name]
        return found if role is None else found[found["role"] == role]

    def reference(self, stage: str) -> int:
        """The cell that the arms of a stage are set against."""
        return int(self.stage(stage, "reference")["cell"].iloc[0])

    def values(self, cell: int, measure: str, valid: bool = True) -> "Series[float]":
        """A measure at the end of each run of a cell that succeeded, and is valid unless that is not asked, by seed."""
        if measure not in self.runs.columns:
            raise SpecError(
                f"no measure {measure!r}{nearest(measure, self.measures)}; there is {listed(self.measures)}"
            )
        mine = self.runs[(self.runs["cell"] == cell) & (self.runs["status"] == SUCCEEDED)]
        counted = (mine[mine["valid"].astype(bool)] if valid else mine).set_index("seed").sort_index()
        found: Series[float] = counted[measure].astype(float)
        return found

    def paired(self, cell: int, reference: int, measure: str) -> "DataFrame":
        """A measure in two cells on the seeds that both have: `value`, `beside` and their `difference`, by seed."""
        import pandas as pd

        both = pd.DataFrame({"value": self.values(cell, measure), "beside": self.values(reference, measure)}).dropna()
        both["difference"] = both["value"] - both["beside"]
        return both

    def left_out(self, cell: int) -> Mapping[str, int]:
        """How many runs of a cell do not count, by the reason: failed, or invalid."""
        mine = self.runs[self.runs["cell"] == cell]
        failed = int((mine["status"] == FAILED).sum())
        return {"failed": failed, "invalid": int((~mine["valid"].astype(bool)).sum()) - failed}

    def turns(self, cells: Any = None, columns: Any = None) -> "DataFrame":
        """One row per run and turn, of some cells if asked; read from the folder each time."""
        import pandas as pd

        if self.folder is None:
            raise SpecError("this study is not kept in a folder, so it has no table of turns")
        filters = None if cells is None else [("cell", "in", [int(cell) for cell in cells])]
        return pd.read_parquet(self.folder / "turns.parquet", columns=columns, filters=filters)
