import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentmicro.acts import Acts, Past
from agentmicro.affordances import Artifact, Choice, Message, Number

ANSWER = Artifact({"vote": Choice(tuple("ABC")), "bid": Number(0, 10)})


# --- the past of anything


@settings(deadline=None, max_examples=200)
@given(st.lists(st.integers(1, 3), max_size=12), st.integers(0, 6), st.floats(-2, 40))
def test_the_past_is_exact_as_far_back_as_its_reach(gaps, reach, when):
    past, kept, time = Past(), [], 0
    for number, gap in enumerate(gaps):
        past.keep(time, number, reach)
        kept.append((time, number))
        time += gap
    if not kept:
        assert past.at(when) is None
    elif when >= kept[-1][0] + 1 - reach:
        assert past.at(when) == next((state for then, state in reversed(kept) if then <= when), kept[0][1])
    assert len(past) <= len(kept)


def test_before_all_that_is_kept_stands_the_oldest():
    past = Past()
    assert past.at(0) is None
    past.keep(3, "c", 9)
    assert (past.at(-5), past.at(3), past.at(8)) == ("c", "c", "c")


def test_what_nobody_can_ask_for_is_forgotten():
    past = Past()
    for time in range(1000):
        past.keep(time, time, 3)
    assert len(past) <= 4
    assert past.at(997) == 997


# --- the table against a list of snapshots


@st.composite
def scripts(draw):
    """A random life of a table: turns pass, some or all agents act, a part or the whole, and somebody looks back."""
    steps = st.one_of(
        st.tuples(st.just("advance"), st.integers(1, 3)),
        st.tuples(st.just("everyone"), st.integers(0, 99)),
        st.tuples(st.just("repeat"), st.just(0)),
        st.tuples(st.just("some"), st.lists(st.integers(0, 3), min_size=1, max_size=4, unique=True)),
        st.tuples(st.just("part"), st.lists(st.integers(0, 3), min_size=1, max_size=4, unique=True)),
    )
    return draw(st.lists(steps, max_size=25)), draw(st.integers(0, 5))


@settings(deadline=None, max_examples=250)
@given(scripts())
def test_acts_as_of_any_turn_within_reach_equal_a_list_of_snapshots(case):
    steps, reach = case
    acts = Acts(ANSWER, 4)
    acts.reach = float(reach)
    ends = {}  # turn -> what stood at its end, copied

    def snapshot():
        return acts.own.tolist(), acts.times.tolist()

    for number, (step, what) in enumerate(steps, start=1):
        if step == "advance":
            for turn in range(int(acts.turn), int(acts.turn) + what):
                ends[turn] = snapshot()
            acts.advance(acts.turn + what)
        elif step == "everyone":
            rows = np.array([(what % 3, number)] * 4, ANSWER.dtype)
            acts.write(acts.rows, rows, acts.turn)
        elif step == "repeat":  # a rule that answers with the very array that stands, as zealots do
            acts.write(acts.rows, acts.own, acts.turn)
        elif step == "some":
            acts.write(np.array(what), np.array([(number % 3, number)] * len(what), ANSWER.dtype), acts.turn)
        else:
            acts.write(np.array(what), np.full(len(what), number, float), acts.turn, part="bid")
        for turn in range(max(0, int(acts.turn) - reach), int(acts.turn)):
            own, times = acts.at(turn)
            assert repr((own.tolist(), times.tolist())) == repr(ends[turn])
        assert repr(snapshot()) == repr((acts.at(acts.turn)[0].tolist(), acts.at(acts.turn + 7)[1].tolist()))
        assert acts.blanks == ANSWER.is_blank(acts.own).sum()


def test_a_part_is_written_without_touching_the_others():
    acts = Acts(ANSWER, 3)
    acts.write(np.array([0, 1]), np.array([2, 0], np.int8), 1.0, part="vote")
    assert acts.own["vote"].tolist() == [2, 0, -1]
    assert np.isnan(acts.own["bid"]).all()
    assert acts.blanks == 1
    acts.write(acts.rows, np.array([1.0, 2.0, 3.0]), 2.0, part="bid")
    assert acts.own["vote"].tolist() == [2, 0, -1]
    assert acts.own["bid"].tolist() == [1, 2, 3]
    assert (acts.blanks, acts.times.tolist()) == (0, [2, 2, 2])


def test_the_table_never_writes_into_an_array_that_it_was_given():
    mine = np.array([0, 1, 2], np.int8)
    acts = Acts(Choice(tuple("ABC")), 3)
    acts.write(acts.rows, mine, 0.0)
    acts.write(np.array([0]), np.array([2], np.int8), 0.0)
    assert mine.tolist() == [0, 1, 2]
    acts.write(acts.rows, np.broadcast_to(np.int8(1), 3), 1.0)
    acts.write(np.array([0]), np.array([2], np.int8), 1.0)
    assert acts.own.tolist() == [2, 1, 1]


def test_acts_are_kept_in_the_type_of_their_affordance():
    acts = Acts(Choice(tuple("ABC")), 2)
    acts.write(acts.rows, np.array([2, 1], np.int64), 0.0)
    assert acts.own.dtype == np.int8
    texts = Acts(Message(), 2)
    texts.write(texts.rows, np.array(["a", "longer"]), 0.0)
    texts.write(np.array([0]), np.array(["much longer than before"]), 0.0)
    assert texts.own.tolist() == ["much longer than before", "longer"]


def test_without_reach_nothing_is_kept():
    acts = Acts(Choice(tuple("AB")), 1)
    for turn in range(5):
        acts.advance(turn)
        acts.write(np.array([0]), np.array([turn % 2], np.int8), float(turn))
    assert len(acts._past) == 0
    assert acts.at(0)[0].tolist() == [0]


def test_time_does_not_run_backwards():
    acts = Acts(Choice(tuple("AB")), 1)
    acts.reach = 5
    acts.advance(3)
    acts.advance(2)
    assert acts.turn == 3
    assert len(acts._past) == 1


@pytest.mark.parametrize("written", [0, 1, 3])
def test_how_many_have_not_acted_is_known_for_every_turn_kept(written):
    acts = Acts(Choice(tuple("AB")), 3)
    acts.reach = 9
    acts.write(np.arange(written), np.zeros(written, np.int8), 0.0)
    acts.advance(1)
    acts.write(acts.rows, np.zeros(3, np.int8), 1.0)
    acts.advance(2)
    assert [acts.blanks_at(turn) for turn in (0, 1, 2)] == [3 - written, 0, 0]


def test_an_opening_may_leave_some_without_an_act():
    acts = Acts(Choice(tuple("AB")), 3)
    acts.write(acts.rows, np.array([0, -1, -1], np.int8), 0.0)
    assert acts.blanks == 2
    acts.write(acts.rows, np.array([0, 1, -1], np.int8), 0.0)
    assert acts.blanks == 1
