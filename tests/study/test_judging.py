"""What all tables that judge a study have in common: they depend on its runs alone, and can be written and read."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from agentmicro.study import arms, attacks, effects, thresholds, variance
from tests.study.whole import study

STAGES = (
    *(effects.identify, thresholds.dose, thresholds.thresholds),
    *(arms.intervene, arms.side_effects, attacks.attacks, variance.variance),
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return study(tmp_path_factory.mktemp("whole"), failed=1, tokens=1_000)


@pytest.mark.parametrize("stage", STAGES)
def test_the_order_in_which_runs_were_made_is_forgotten(whole, stage):
    first = stage(whole)
    assert len(first)
    again = stage(replace(whole, runs=whole.runs.sample(frac=1, random_state=1)))
    pd.testing.assert_frame_equal(again, first, check_exact=True)
    assert again.attrs.keys() == first.attrs.keys()


@pytest.mark.parametrize("stage", STAGES)
def test_every_table_can_be_written_and_read(whole, stage, tmp_path):
    table = stage(whole)
    assert all(name == name.lower().replace(" ", "_") for name in table.columns)
    table.to_parquet(tmp_path / "table.parquet", index=False)
    read = pd.read_parquet(tmp_path / "table.parquet")
    pd.testing.assert_frame_equal(read, table, check_dtype=False)
    table.to_csv(tmp_path / "table.csv", index=False)
    assert len(pd.read_csv(tmp_path / "table.csv")) == len(table)


def test_runs_that_failed_are_told_in_every_table_of_effects(whole):
    assert effects.identify(whole)["left_out"].eq(1).all()
    assert arms.intervene(whole)["left_out"].eq(1).all()
    assert attacks.attacks(whole)["left_out"].eq(1).all()
    assert thresholds.dose(whole)["left_out"].eq(1).all()
    assert np.isfinite(effects.identify(whole)["effect"]).all()
