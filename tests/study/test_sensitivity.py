"""Sensitivity against functions whose indices are known, with luck planted on top of them."""

import json

import numpy as np
import pandas as pd
import pytest

from agentmicro.study.comparisons import resolved
from agentmicro.study.designs import design
from agentmicro.study.results import Study
from agentmicro.study.scenario import load
from agentmicro.study.sensitivity import components, sensitivity

HEAD = 'phenomenon = "herding"\n[risk]\noutcome = "gini"\n'
SOBOL = (
    HEAD
    + '[grow]\nseeds = 4\ndesign = "sobol"\nsamples = 512\n'
    + "vary.seeded_share = { low = 0.0, high = 1.0 }\nvary.seeded_likes = { low = 1, high = 1000000 }\n"
    + "vary.items = { low = 2, high = 10000 }\n"
)
MORRIS = (
    SOBOL.replace('"sobol"\nsamples = 512', '"morris"\nsamples = 20')
    + 'vary.order = ["shuffled", "fixed", "popular"]\n'
)


def ishigami(unit):
    """Its first indices are 0.3139, 0.4424 and 0, its total ones 0.5576, 0.4424 and 0.2437."""
    x = np.pi * (2 * unit - 1)
    return np.sin(x[:, 0]) + 7 * np.sin(x[:, 1]) ** 2 + 0.1 * x[:, 2] ** 4 * np.sin(x[:, 0])


def grown(tmp_path, text, formula, seeds=4, luck=0.0, common=0.0):
    """A study whose outcome is a formula of the unit cube, plus luck of each run and what a seed does everywhere."""
    path = tmp_path / "made.toml"
    path.write_text(text)
    scenario = load(str(path))
    made = design(scenario.grow, scenario.cls, resolved(scenario))
    numbers: dict[str, int] = {}
    cells = [numbers.setdefault(str(point), len(numbers)) for point in made.points]
    rng = np.random.default_rng(1)
    values = formula(made.unit)[:, None] + rng.normal(0, common, seeds)
    noise = rng.normal(0, luck, (len(numbers), seeds))
    first = [cells.index(number) for number in range(len(numbers))]
    uses = pd.DataFrame(
        {
            "stage": "grow",
            "role": "arm",
            "cell": cells,
            "changes": [json.dumps(dict(point)) for point in made.points],
        }
    )
    table = (values[first] + noise).ravel()
    runs = pd.DataFrame(
        {
            "cell": np.repeat(np.arange(len(numbers)), seeds),
            "seed": np.tile(np.arange(1, seeds + 1), len(numbers)),
            "status": "succeeded",
            "valid": True,
            "gini": table,
        }
    )
    return Study(scenario, uses, runs)


def test_sobol_finds_the_indices_of_ishigami(tmp_path):
    table = sensitivity(grown(tmp_path, SOBOL, ishigami, seeds=1)).set_index("knob")
    assert list(table.index) == ["seeded_share", "seeded_likes", "items"]
    assert table["S1"].to_numpy() == pytest.approx([0.3139, 0.4424, 0.0], abs=0.04)
    assert table["ST"].to_numpy() == pytest.approx([0.5576, 0.4424, 0.2437], abs=0.04)
    assert np.isnan(table["replication"]).all()  # one seed cannot tell luck from the knobs
    assert table["n"].eq(512).all()


def test_luck_is_told_from_the_knobs_and_taken_out_of_the_indices(tmp_path):
    study = grown(tmp_path, SOBOL, ishigami, seeds=4, luck=3.0, common=2.0)
    table = sensitivity(study).set_index("knob")
    assert table["S1"].to_numpy() == pytest.approx([0.3139, 0.4424, 0.0], abs=0.07)
    assert table["ST"].to_numpy() == pytest.approx([0.5576, 0.4424, 0.2437], abs=0.07)
    spread = 13.84  # the variance of Ishigami's function
    seeds = np.random.default_rng(1).normal(0, 2.0, 4).var(ddof=1)  # those that were drawn
    assert table["replication"].iloc[0] == pytest.approx((9 + seeds) / (spread + 9 + seeds), abs=0.02)
    assert table["noise"].iloc[0] == pytest.approx(9 / 4 / (spread + 9 / 4), abs=0.02)


def test_luck_of_a_cell_that_several_points_share_is_one_and_the_same(tmp_path):
    """Two switches make four cells, so that most points of the design are repeats of one another."""
    text = HEAD + '[grow]\nseeds = 8\ndesign = "sobol"\nsamples = 512\n'
    text += 'vary.order = ["shuffled", "fixed"]\nvary.turns = ["simultaneous", "random"]\n'

    def switches(unit):
        return 3.0 * (unit[:, 0] >= 0.5) + 1.0 * (unit[:, 1] >= 0.5)

    for luck, near in ((0.0, 0.05), (1.0, 0.25)):
        table = sensitivity(grown(tmp_path, text, switches, seeds=8, luck=luck))
        assert table["S1"].to_numpy() == pytest.approx([0.9, 0.1], abs=near)
        assert table["ST"].to_numpy() == pytest.approx([0.9, 0.1], abs=near)


def test_morris_finds_the_slopes_of_a_plane_and_no_direction_of_words(tmp_path):
    def plane(unit):
        word = np.minimum(np.floor(3 * unit[:, 0]), 2)  # lists of values come before ranges
        return 2 * unit[:, 1] - 5 * unit[:, 2] + 0.5 * word

    table = sensitivity(grown(tmp_path, MORRIS, plane, seeds=2)).set_index("knob")
    numbers = table.loc[["seeded_share", "seeded_likes", "items"]]
    assert numbers["mu"].to_numpy() == pytest.approx([2, -5, 0])
    assert numbers["mu_star"].to_numpy() == pytest.approx([2, 5, 0])
    assert numbers["sigma"].to_numpy() == pytest.approx([0, 0, 0], abs=1e-9)
    assert np.isnan(table.loc["order", "mu"])
    assert 0.5 <= table.loc["order", "mu_star"] * 2 / 3 <= 1.0  # two thirds of the list are one or two words
    assert table["replication"].eq(0).all()
    assert "S1" not in table.columns


def test_what_is_missing_takes_its_whole_base_point_away_and_is_counted(tmp_path):
    study = grown(tmp_path, SOBOL, ishigami, seeds=2)
    study.runs.loc[study.runs["cell"].eq(0), "status"] = "failed"
    study.runs.loc[study.runs["cell"].eq(7) & study.runs["seed"].eq(1), "gini"] = np.nan
    table = sensitivity(study)
    assert table["n"].eq(510).all()
    assert table["left_out"].eq(2).all()
    assert table["S1"].to_numpy() == pytest.approx([0.3139, 0.4424, 0.0], abs=0.04)


def test_what_does_not_vary_or_never_ran_has_rows_without_numbers(tmp_path):
    flat = sensitivity(grown(tmp_path, SOBOL, lambda unit: np.ones(len(unit)), seeds=2))
    assert flat[["S1", "ST", "replication"]].isna().all(axis=None)
    study = grown(tmp_path, MORRIS, lambda unit: unit[:, 0])
    study.runs["status"] = "failed"
    table = sensitivity(study)
    assert table["n"].eq(0).all()
    assert table[["mu", "mu_star", "sigma"]].isna().all(axis=None)


def test_designs_without_indices_have_an_empty_table(tmp_path):
    grid = HEAD + "[grow]\nseeds = 2\nvary = { agents = [10, 20] }\n"
    path = tmp_path / "grid.toml"
    path.write_text(grid)
    empty = pd.DataFrame({"stage": [], "role": [], "cell": [], "changes": []})
    assert sensitivity(Study(load(str(path)), empty, pd.DataFrame())).empty


def test_variance_components_are_those_that_were_planted():
    rng = np.random.default_rng(2)
    found = []
    for _ in range(300):
        points, seeds, rest = rng.normal(0, 2, (40, 1)), rng.normal(0, 1, (1, 12)), rng.normal(0, 3, (40, 12))
        found.append(components(points + seeds + rest))
    mean, error = np.mean(found, axis=0), np.std(found, axis=0) / np.sqrt(300)
    assert (np.abs(mean - [4, 1, 9]) < 4 * error + 0.02).all()
    assert np.mean([one.luck for one in found]) == pytest.approx(10 / 14, abs=0.02)


def test_variance_components_need_two_points_on_two_common_seeds():
    assert np.isnan(components(np.ones((1, 5)))).all()
    apart = np.array([[1.0, np.nan, 2.0], [np.nan, 1.0, 2.0]])
    assert np.isnan(components(apart)).all()
    assert components(np.array([[1.0, 1.0], [3.0, 3.0]])) == pytest.approx((2.0, 0.0, 0.0))
