"""Validation: each verdict from samples whose relation is known, and the exponents from a law that is known."""

import csv

import numpy as np
import pytest

from agentmicro.errors import ScenarioError
from agentmicro.study.validation import tail, validate
from tests.study.made import study

HEAD = 'phenomenon = "herding"\n[validate]\n'
USES = [("validate", "base", "reference", 0, {})]


@pytest.fixture
def draw():
    return np.random.default_rng(3)


def one(tmp_path, table, values, measure="gini"):
    found = validate(study(tmp_path, HEAD + table, [{measure: values}], USES))
    assert len(found) == 1
    return found.iloc[0]


@pytest.mark.parametrize(
    ("values", "table", "verdict"),
    [
        ([0.40, 0.41, 0.39, 0.40], "values.gini = 0.4", "matches"),
        ([0.50, 0.51, 0.49, 0.50], "values.gini = 0.4", "differs"),
        ([0.30, 0.55, 0.35, 0.45], "values.gini = 0.4", "undecided"),
        ([0.50, 0.51, 0.49, 0.50], "tolerance = 0.5\nvalues.gini = 0.4", "matches"),
        ([0.40, 0.41, 0.39, 0.40], "values.gini = { low = 0.3, high = 0.5 }", "matches"),
        ([0.40, 0.41, 0.39, 0.40], "values.gini = { low = 0.6, high = 0.7 }", "differs"),
        ([0.40, 0.41, 0.39, 0.40], "values.gini = { low = 0.3, high = 0.4 }", "undecided"),
    ],
)
def test_a_published_figure_is_met_only_by_a_whole_interval(tmp_path, values, table, verdict):
    found = one(tmp_path, table, values)
    assert found["verdict"] == verdict
    assert found["mean"] == pytest.approx(np.mean(values))
    assert found["distance_low"] <= found["distance"] <= found["distance_high"]


def test_the_relative_error_is_that_of_the_mean(tmp_path):
    found = one(tmp_path, 'values.gini = { value = 0.5, source = "arXiv:1", grade = "measured" }', [0.4, 0.4])
    assert found["distance"] == pytest.approx(-0.2)
    assert (found["source"], found["grade"], found["n"]) == ("arXiv:1", "measured", 2)


def test_runs_that_define_nothing_are_counted_and_left_out(tmp_path):
    found = one(tmp_path, "values.gini = 0.4", [0.4, np.nan, 0.4])
    assert (found["n"], found["left_out"], found["mean"]) == (2, 1, 0.4)
    assert one(tmp_path, "values.gini = 0.4", [np.nan, np.nan])["verdict"] == "undecided"


def held(tmp_path, values, field, dimension, tolerance=0.1):
    with (tmp_path / "field.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerows([["id", "share"], *enumerate(field), [0, ""]])
    table = f'data = "field.csv"\ncolumns = {{ gini = "share" }}\ndistances = ["{dimension}"]\ntolerance = {tolerance}'
    return one(tmp_path, table, values)


@pytest.mark.parametrize("dimension", ["relative", "wasserstein"])
def test_samples_of_one_law_match_and_of_two_differ(tmp_path, draw, dimension):
    field = draw.normal(10, 1, 400)
    assert held(tmp_path, draw.normal(10, 1, 400), field, dimension, 0.3)["verdict"] == "matches"
    assert held(tmp_path, draw.normal(14, 1, 400), field, dimension, 0.3)["verdict"] == "differs"
    assert held(tmp_path, draw.normal(10, 1, 6), field, dimension, 0.001)["verdict"] == "undecided"


def test_wassersteins_distance_is_the_shift_in_standard_deviations(tmp_path, draw):
    field = draw.normal(0, 2, 3000)
    found = held(tmp_path, field + 3, field, "wasserstein")
    assert found["distance"] == pytest.approx(3 / field.std(ddof=1))
    assert found["distance_low"] <= found["distance"] <= found["distance_high"]


def test_two_samples_of_one_law_are_rarely_told_apart(draw):
    from agentmicro.study.validation import _of_functions, _of_samples

    for told in (_of_samples, _of_functions):
        verdicts = [told(draw.normal(0, 1, 15), draw.normal(0, 1, 15), 0.01).verdict for _ in range(60)]
        assert verdicts.count("differs") <= 8  # 5% of 60 are 3; above 8 has a chance below 1% under the binomial law


def test_a_small_p_says_differs_and_a_large_one_says_nothing(tmp_path, draw):
    field = draw.normal(0, 1, 300)
    assert held(tmp_path, draw.normal(1, 1, 300), field, "ks")["verdict"] == "differs"
    assert held(tmp_path, field.copy(), field, "ks")["verdict"] == "undecided"


@pytest.mark.parametrize("exponent", [1.8, 2.5, 3.2])
def test_the_exponent_of_a_pareto_law_is_found_within_its_error(draw, exponent):
    values = 3.0 * (1 - draw.random(4000)) ** (-1 / (exponent - 1))
    fitted, error, start, size = tail(values)
    assert abs(fitted - exponent) < 4 * error
    assert error == pytest.approx((fitted - 1) / np.sqrt(size))
    assert start >= 3.0


def test_the_tail_starts_where_the_law_does(draw):
    body = draw.uniform(0.1, 5, 3000)
    law = 5.0 * (1 - draw.random(3000)) ** (-1 / 1.5)
    fitted, error, start, _ = tail(np.concatenate([body, law]))
    assert 4 < start < 9
    assert abs(fitted - 2.5) < 4 * error


def test_an_exponent_is_held_against_that_of_the_column(tmp_path, draw):
    field = (1 - draw.random(4000)) ** (-1 / 1.5)
    assert held(tmp_path, draw.normal(2.5, 0.05, 30), field, "exponent")["verdict"] == "matches"
    assert held(tmp_path, draw.normal(4.0, 0.05, 30), field, "exponent")["verdict"] == "differs"
    assert held(tmp_path, [2.5, 2.6], [1.0, 2.0], "exponent")["verdict"] == "undecided"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("id,sahre\n1,2\n", "field.csv: no column 'share'; did you mean 'sahre'"),
        ("id,share\n1,x\n", "field.csv: line 2: share = 'x': expected a number"),
        ("id,share\n1,inf\n", "expected finite numbers, at least one"),
        ("id,share\n", "expected finite numbers, at least one"),
    ],
)
def test_a_bad_data_file_is_one_sentence(tmp_path, text, sentence):
    (tmp_path / "field.csv").write_text(text)
    with pytest.raises(ScenarioError, match=sentence):
        one(tmp_path, 'data = "field.csv"\ncolumns = { gini = "share" }\ndistances = ["ks"]', [1.0, 2.0])


def test_without_anything_to_hold_it_against_there_are_no_rows(tmp_path):
    found = validate(study(tmp_path, 'phenomenon = "herding"', [{"gini": [1.0]}], USES))
    assert found.empty
    assert "verdict" in found.columns
