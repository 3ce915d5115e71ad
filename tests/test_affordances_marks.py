import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from agentmicro.affordances import Picks
from agentmicro.affordances.marks import marked, picked, stated, views

TABLES = st.tuples(st.integers(0, 5), st.integers(1, 140))


@given(arrays(bool, TABLES))
def test_marks_are_the_picks_of_the_affordance_and_back(marks):
    kind = Picks([f"option {number}" for number in range(marks.shape[1])], most=marks.shape[1])
    names = [tuple(np.array(kind.options)[row].tolist()) for row in marks]
    coded = kind.encode_many(names)
    assert (picked(marks) == coded).all()
    assert (marked(coded, marks.shape[1]) == marks).all()
    assert kind.valid(picked(marks)).all()


def test_a_blank_row_marks_nothing_and_the_order_of_picks_is_no_matter():
    kind = Picks(("a", "b", "c"), most=3)
    assert not marked(kind.blank(2), 3).any()
    assert marked(kind.encode_many([("c", "a")]), 3).tolist() == [[True, False, True]]


@given(arrays(np.int8, TABLES, elements=st.integers(-1, 1)))
def test_views_are_what_is_stated(found):
    assert (views(stated(found), found.shape[1]) == found).all()


def test_a_claim_called_both_is_open():
    kind = Picks(("x true", "y true", "x false", "y false"), most=4)
    rows = kind.encode_many([("x true", "x false", "y false"), ()])
    assert views(rows, 2).tolist() == [[0, -1], [0, 0]]
