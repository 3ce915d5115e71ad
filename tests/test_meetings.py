import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from agentmicro.acts import Acts
from agentmicro.affordances import Choice
from agentmicro.meetings import NOBODY, Meetings, matching


@settings(deadline=None)
@given(st.integers(-5, 2**40), st.integers(0, 1000), st.integers(1, 40))
def test_a_matching_is_perfect_and_leaves_one_alone_only_if_the_number_is_odd(seed, turn, agents):
    partner = matching(seed, turn, agents)
    alone = np.flatnonzero(partner == NOBODY)
    assert alone.size == agents % 2
    rest = np.flatnonzero(partner != NOBODY)
    assert (partner[partner[rest]] == rest).all()
    assert (partner[rest] != rest).all()
    assert partner.tolist() == matching(seed, turn, agents).tolist()


@pytest.mark.parametrize(("agents", "matchings"), [(4, 3), (5, 15), (6, 15)])
def test_every_matching_is_as_likely_as_the_others(agents, matchings):
    found = [matching(1, turn, agents) for turn in range(matchings * 400)]
    counts = np.unique(found, axis=0, return_counts=True)[1]
    assert counts.size == matchings
    assert stats.chisquare(counts).pvalue > 1e-3


def test_successive_turns_are_matched_independently():
    pairs = np.array([[matching(1, turn, 4)[0], matching(1, turn + 1, 4)[0]] for turn in range(0, 5400, 2)])
    counts = np.unique(pairs, axis=0, return_counts=True)[1]
    assert counts.size == 9
    assert stats.chisquare(counts).pvalue > 1e-3


@st.composite
def histories(draw):
    """Who met whom, and what everybody's act was, turn by turn."""
    agents = draw(st.integers(1, 6))
    room = draw(st.integers(0, 5))
    length = draw(st.integers(0, 8))
    history = []
    for _ in range(length):
        free, partner = list(draw(st.permutations(range(agents)))), [NOBODY] * agents
        for _ in range(draw(st.integers(0, agents // 2))):
            one, other = free.pop(), free.pop()
            partner[one], partner[other] = other, one
        history.append((partner, draw(st.lists(st.integers(-1, 2), min_size=agents, max_size=agents))))
    return agents, room, history


@settings(deadline=None, max_examples=150)
@given(histories(), st.data())
def test_before_finds_the_newest_meetings_that_a_full_record_holds(case, data):
    agents, room, history = case
    acts = Acts(Choice(tuple("ABC")), agents)
    meetings = Meetings(acts)
    meetings.reach(room)
    record = {agent: [] for agent in range(agents)}
    for turn, (partner, own) in enumerate(history):
        acts.write(acts.rows, np.array(own, np.int8), float(turn))
        meetings.close(float(turn), np.array(partner))
        for agent, other in enumerate(partner):
            if other != NOBODY:
                record[agent].insert(0, (other, turn, own[other], own[agent]))
    when = data.draw(st.integers(-1, 9))
    depth = data.draw(st.integers(0, 6))
    rows = np.array(data.draw(st.lists(st.integers(0, agents - 1), max_size=8)), np.intp)
    met = meetings.before(rows, float(when), depth)
    for line, agent in enumerate(rows.tolist()):
        known = [meeting for meeting in record[agent][:room] if meeting[1] <= when][:depth]
        found = list(
            zip(met.partner[line].tolist(), met.turn[line].tolist(), met.theirs[line], met.mine[line], strict=True)
        )
        assert found[: len(known)] == known
        assert all(other == NOBODY for other, *_ in found[len(known) :])


def test_more_room_keeps_what_is_remembered():
    acts = Acts(Choice(tuple("AB")), 2)
    acts.write(acts.rows, np.array([0, 1], np.int8), 0.0)
    meetings = Meetings(acts)
    meetings.reach(1)
    for turn in (1.0, 2.0):
        meetings.close(turn, np.array([1, 0]))
    meetings.reach(3)
    meetings.reach(2)
    meetings.close(3.0, np.array([1, 0]))
    assert meetings.before(np.array([0]), 9.0, 5).turn[0, :2].tolist() == [3.0, 2.0]
    assert meetings.before(np.array([0]), 9.0, 5).partner.tolist() == [[1, 1, NOBODY]]
