"""Mesa's own runner and ours: the same phenomenon, the same seeds, the same numbers, for every phenomenon there is."""

from pathlib import Path

import mesa
import pytest

from agentmicro import phenomena
from agentmicro.study.growing import grow
from agentmicro.study.spec import Grow, Scenario
from agentmicro.trials import small


@pytest.mark.parametrize("name", phenomena.names())
def test_a_batch_run_and_a_study_give_the_same_numbers(tmp_path, name):
    cls = phenomena.find(name)
    micro = cls.checked(small(cls))
    rows = mesa.batch_run(cls, micro, rng=[1, 2], max_steps=3, number_processes=1, display_progress=False)
    made = Scenario(name, Path(f"{name}.toml"), "", cls, micro=micro, grow=Grow(seeds=2, turns=3))
    runs = grow(made, tmp_path, executor="serial").runs
    ours = runs[runs["cell"] == 0].set_index("seed")
    assert list(ours["status"]) == ["succeeded", "succeeded"]
    for row in rows:
        for measure in (*cls(rng=0).measures, "n_decisions", "failure_rate"):
            assert ours.loc[row["rng"], measure] == pytest.approx(float(row[measure]), rel=0, abs=0, nan_ok=True), (
                measure
            )
