"""Colours: every act has its entry in the legend, and the few are told apart."""

from math import inf

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from agentmicro.affordances import Artifact, Choice, Message, Number, Picks, Tools
from agentmicro.app.paint import FEW, NONE, RAMP, painted


def of(kind, values):
    return painted(kind, kind.encode_many(values))


def test_options_have_their_own_colours_and_who_has_not_acted_is_hollow():
    found = of(Choice(("A", "B", "C")), ["C", "A", None, "B"])
    assert [found.legend[code] for code in found.codes] == [
        ("C", FEW[2]),
        ("A", FEW[0]),
        ("not yet", NONE),
        ("B", FEW[1]),
    ]
    assert len({colour for _, colour in found.legend}) == 4


@given(st.integers(9, 300))
def test_many_options_share_an_even_ramp_in_their_order(count):
    options = tuple(f"option {number}" for number in range(count))
    found = of(Choice(options), list(options))
    assert found.codes == sorted(found.codes)
    assert set(found.codes) == set(range(len(RAMP)) if count >= len(RAMP) else found.codes)
    first = {code: options[found.codes.index(code)] for code in set(found.codes)}  # the first of each step names it
    assert {code: found.legend[code][0] for code in first} == first


@given(st.lists(st.floats(0, 1), min_size=1, max_size=50))
def test_numbers_fall_into_the_step_of_the_ramp_that_holds_them(values):
    kind = Number(0, 1)
    found = painted(kind, np.array(values))
    for code, value in zip(found.codes, values, strict=True):
        assert 0 <= code <= 9
        assert code / 10 - 1e-9 <= value <= (code + 1) / 10 + 1e-9
    edges = [f"{step / 10:.3g}" for step in range(11)]
    assert [text for text, _ in found.legend[:-1]] == [f"{edges[step]} to {edges[step + 1]}" for step in range(10)]


def test_numbers_without_ends_are_set_between_the_least_and_the_most():
    found = painted(Number(-inf, inf), np.array([5.0, 10.0, 15.0, np.nan]))
    assert (found.codes[0], found.codes[1], found.codes[2]) == (0, 5, 9)
    assert found.legend[found.codes[3]][0] == "not yet"


def test_picks_are_painted_by_how_many_and_tools_by_which():
    found = of(Picks(("a", "b", "c"), most=2), [("a", "b"), ("c",), ()])
    assert [found.legend[code][0] for code in found.codes[:2]] == ["2 picked", "1 picked"]
    tools = Tools({"post": {"text": Message()}, "wait": {}})
    told = of(tools, [{"wait": {}}, {"post": {"text": "hello"}}])
    assert [told.legend[code][0] for code in told.codes] == ["wait", "post"]


def test_an_artifact_is_painted_by_the_public_part_that_can_best_be_seen():
    kind = Artifact({"secret": Choice(("x", "y")), "words": Message(), "answer": Choice(("no", "yes"))}, ("secret",))
    found = of(kind, [{"secret": "x", "words": "hm", "answer": "yes"}, {"secret": "y", "words": "", "answer": "no"}])
    assert (found.what, [found.legend[code][0] for code in found.codes]) == ("answer", ["yes", "no"])


def test_a_long_option_is_cut_in_the_legend():
    text = of(Choice(("x" * 100, "y")), ["y"]).legend[0][0]
    assert (len(text), text[-1]) == (24, "…")
