"""Cascades in lines of acts, against the definition read out member by member."""

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from agentmicro.measures.cascades import recorded, share

LINES = st.integers(1, 12).flatmap(
    lambda n: st.tuples(
        st.lists(st.sampled_from((-1, 0, 0, 1)), min_size=n, max_size=n),
        st.lists(st.sampled_from((0, 1)), min_size=n, max_size=n),
    )
)


def state(acts: list[int], signals: list[int]) -> int:
    """The side of the cascade at the end: the last acts are alike, and one followed a lead of two over its signal."""
    members = [(act, signal) for act, signal in zip(acts, signals, strict=True) if act >= 0]
    for place in reversed(range(len(members))):
        act, signal = members[place]
        if act != members[-1][0]:
            break
        before = [other for other, _ in members[:place]]
        if act != signal and before.count(act) - before.count(1 - act) >= 2:
            return act
    return -1


@given(LINES)
def test_a_line_is_where_the_definition_says_after_each_act(line):
    acts, signals = line
    known = recorded(np.array([acts]), np.array([signals]), np.zeros((1, len(acts)), np.int64))
    states = [state(acts[:end], signals[:end]) for end in range(1, len(acts) + 1)]
    assert known.cascade[0].tolist() == states
    left = any(one >= 0 and other != one for one, other in itertools.pairwise(states))
    assert bool(known.broken[0]) == left
    assert known.ends[0] == {-1: 1, 0: 2, 1: 0}[states[-1]]


@given(LINES)
def test_the_lead_is_that_of_those_before(line):
    acts, signals = line
    known = recorded(np.array([acts]), np.array([signals]), np.ones((1, len(acts)), np.int64))
    for place in range(len(acts)):
        assert known.lead[0, place] == acts[:place].count(0) - acts[:place].count(1)
        against = known.lead[0, place] * (1 if signals[place] else -1)
        assert known.against[0, place] == against


def test_a_share_of_nobody_is_undefined():
    assert np.isnan(share(np.ones(3, bool), np.zeros(3, bool)))
