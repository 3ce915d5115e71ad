"""Designs: which points they visit, against their definitions and scipy's and SALib's own results."""

from itertools import product

import numpy as np
import pytest
from plots import Plots
from SALib.analyze import morris as effects
from SALib.analyze import sobol as indices

from agentmicro.errors import SpecError
from agentmicro.study.designs import design
from agentmicro.study.spec import Grow

BASE = Plots.checked({"size": 5})
MIXED = {"vary": {"turns": ("simultaneous", "random", "fixed")}, "ranges": {"share": (0.2, 0.8), "size": (1, 4)}}


def visited(**given):
    return design(Grow(**given), Plots, BASE)


def test_a_grid_is_every_combination_in_the_order_of_the_values():
    made = visited(vary={"size": (1, 2), "agents": (6, 9, 12)})
    assert [tuple(point.values()) for point in made.points] == list(product((1, 2), (6, 9, 12)))
    assert made.unit is None


def test_one_factor_changes_each_knob_alone_around_the_base():
    made = visited(vary={"size": (5, 7, 9), "agents": (6, 9)}, design="one-factor")
    base = {"size": 5, "agents": 6}
    assert made.points[0] == base
    assert [sum(point[name] != base[name] for name in base) for point in made.points[1:]] == [1, 1, 1]
    assert len(made.points) == 4


def test_nothing_varies_and_adaptive_has_no_points_of_its_own():
    assert visited().points == ()
    assert visited(vary={"size": (1, 2)}, design="adaptive").points == ()


def test_a_hypercube_has_one_point_in_each_slice_of_every_range():
    made = visited(**MIXED, design="latin", samples=12)
    assert len(made.points) == 12
    share = [point["share"] for point in made.points]
    assert sorted(np.floor((np.array(share) - 0.2) / 0.6 * 12)) == list(range(12))
    assert sorted(point["size"] for point in made.points) == sorted([1, 2, 3, 4] * 3)
    assert sorted(point["turns"] for point in made.points) == sorted(MIXED["vary"]["turns"] * 4)


@pytest.mark.parametrize("kind", ["latin", "sobol", "morris"])
def test_sampled_points_are_legal_and_always_the_same_and_leave_numpys_luck_alone(kind):
    np.random.seed(7)  # noqa: NPY002 - the state that must not change
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    one, two = visited(**MIXED, design=kind, samples=8), visited(**MIXED, design=kind, samples=8)
    assert (np.random.get_state()[1] == before).all()  # noqa: NPY002
    assert one.points == two.points
    for point in one.points:
        assert type(point["size"]) is int
        assert 0.2 <= point["share"] <= 0.8
        Plots.checked(point)
    assert {point["turns"] for point in one.points} == set(MIXED["vary"]["turns"])
    assert {point["size"] for point in one.points} <= {1, 2, 3, 4}


def test_each_step_of_a_trajectory_changes_one_axis():
    made = visited(**MIXED, design="morris", samples=5)
    assert len(made.points) == 5 * (3 + 1)
    for trajectory in made.unit.reshape(5, 4, 3):
        assert ((np.diff(trajectory, axis=0) != 0).sum(axis=1) == 1).all()


def test_saltellis_arrangement_gives_back_the_indices_of_a_known_function():
    """Y = 3 a + b on the unit square: S1 = ST = 9/10 and 1/10."""
    made = visited(ranges={"share": (0.0, 1.0), "size": (0, 100)}, design="sobol", samples=256)
    assert len(made.points) == 256 * (2 + 2)
    values = np.array([3 * point["share"] + point["size"] / 100 for point in made.points])
    found = indices.analyze(made.problem, values, calc_second_order=False, seed=1)
    assert found["S1"] == pytest.approx([0.9, 0.1], abs=0.03)
    assert found["ST"] == pytest.approx([0.9, 0.1], abs=0.03)


def test_elementary_effects_of_a_linear_function_are_its_slopes():
    made = visited(ranges={"share": (0.0, 1.0)}, vary={"turns": ("simultaneous", "random")}, design="morris", samples=6)
    shares = dict(zip(made.names, made.unit.T, strict=True))["share"]
    found = effects.analyze(made.problem, made.unit, 4 * shares, seed=1)
    assert dict(zip(found["names"], found["mu_star"], strict=True)) == pytest.approx({"turns": 0, "share": 4})


def test_sobol_takes_a_power_of_two():
    with pytest.raises(SpecError, match=r"\[grow\] samples = 100: expected a power of two .* such as 128"):
        visited(**MIXED, design="sobol", samples=100)


def test_what_is_not_given_is_drawn_in_a_number_that_fits_the_knobs():
    counts = {kind: len(visited(**MIXED, design=kind).points) for kind in ("latin", "sobol", "morris")}
    assert counts == {"latin": 30, "sobol": 64 * 5, "morris": 10 * 4}
