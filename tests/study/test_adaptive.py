"""Adaptive proposals: they walk to a threshold, spend seeds where least is known, and know when to stop."""

from itertools import pairwise

import numpy as np
import pytest

from agentmicro.study.adaptive import MOST, START, propose, widest


def walked(chance, low, high, whole=False, seeds=10, width=1.0, level=0.5, most=5_000, seed=1):
    """What was found once nothing more is proposed, where a run is 1 with a chance that depends on the knob."""
    rng, found = np.random.default_rng(seed), {}
    while todo := propose(found, level, low, high, whole, seeds, width):
        for value, count in todo:
            assert low <= value <= high
            assert count > len(found.get(value, ()))  # a proposal always asks for something that is not there yet
            missing = count - len(found.get(value, ()))
            found[value] = [*found.get(value, ()), *(rng.random(missing) < chance(value)).astype(float).tolist()]
        assert sum(map(len, found.values())) < most
    return found


def logistic(middle, slope):
    return lambda value: 1 / (1 + np.exp(-slope * (value - middle)))


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize(
    ("middle", "slope", "low", "high", "whole", "width"),
    [
        (3.3, 2.0, 0, 10, False, 1.0),
        (3.3, -2.0, 0, 10, False, 0.5),
        (37, 0.2, 2, 100, True, 10),
        (37, 5, 2, 100, True, 1),
    ],
)
def test_a_walk_ends_with_two_values_that_enclose_the_threshold(seed, middle, slope, low, high, whole, width):
    found = walked(logistic(middle, slope), low, high, whole, width=width, seed=seed)
    means = {value: np.mean(numbers) for value, numbers in sorted(found.items())}
    sides = [(value, mean >= 0.5) for value, mean in means.items()]
    near, far = next((a, b) for (a, one), (b, other) in pairwise(sides) if one != other)
    assert near - width <= middle <= far + width
    assert far - near <= max(width, 1 if whole else 0)
    if whole:
        assert all(value == int(value) for value in found)


def test_a_sharp_step_takes_few_runs():
    found = walked(lambda value: float(value > 6.2), 0, 10, width=0.1)
    assert sum(map(len, found.values())) <= 200
    assert max(value for value, numbers in found.items() if not numbers[0]) <= 6.2


def test_the_walk_begins_with_evenly_spaced_values():
    assert propose({}, 0.5, 0, 1, False, 7, 0.1) == [(value, 7) for value in np.linspace(0, 1, START)]
    assert propose({}, 0.5, 1, 3, True, 7, 1) == [(1, 7), (2, 7), (3, 7)]
    half = {0.0: [0.0] * 7, 0.25: [0.0] * 3}
    assert propose(half, 0.5, 0, 1, False, 7, 0.1)[0] == (0.25, 7)


def test_a_range_that_does_not_bracket_the_level_is_given_up():
    assert len(walked(lambda value: 0.0, 0, 10)) == START
    assert len(walked(lambda value: 1.0, 0, 10)) == START


def test_undefined_numbers_neither_bracket_nor_run_for_ever():
    nothing = {value: [np.nan] * 5 for value in np.linspace(0, 1, START).tolist()}
    assert propose(nothing, 0.5, 0, 1, False, 5, 0.1) == []


def test_a_value_that_lies_on_the_threshold_uses_up_its_seeds_and_ends():
    rng, found = np.random.default_rng(3), {}
    while todo := propose(found, 0.5, 0, 4, True, 4, 1.0):
        for value, count in todo:
            numbers = rng.permutation([0.0, 1.0] * (count // 2)) if value == 2 else np.full(count, float(value > 2))
            found[value] = numbers.tolist()
    assert max(map(len, found.values())) <= 4 * MOST


def test_seeds_go_where_the_interval_is_widest():
    rng = np.random.default_rng(4)
    spread = {"calm": 0.1, "wild": 5.0, "wilder": 5.5}
    found = {}
    assert widest({name: [] for name in spread}, 6) == [(name, 6) for name in spread]
    for _ in range(4):
        for name, count in widest({name: found.get(name, []) for name in spread}, 6):
            found[name] = rng.normal(0, spread[name], count).tolist()
    assert len(found["calm"]) == 6
    assert min(len(found["wild"]), len(found["wilder"])) > 6
    assert widest(found, 6, width=100.0) == []


def test_what_no_seed_defines_and_what_never_varies_gets_no_more_seeds():
    assert widest({1: [np.nan] * 6, 2: [0.5] * 6}, 6) == []
