from dataclasses import FrozenInstanceError
from typing import Annotated, Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentmicro.architecture import Agents, Graph, Loss, Turns
from agentmicro.errors import GraphError, KnobError, SpecError
from agentmicro.knobs import Group, Knob, Range, Written, knobs, missing, resolve


def even(text):
    """A grammar for the tests: texts of even length."""
    if len(text) % 2:
        raise SpecError(f"{text!r} has an odd length")


class Thing:
    """Something with one knob of every kind."""

    def __init__(
        self,
        agents: Annotated[int, Range(1, 20_000), Group.POPULATION, "how many agents"] = 10,
        loss: Annotated[float, Range(0, 1), Group.VISIBILITY, "the chance of loss"] = 0.5,
        open: bool = False,
        name: str = "none",
        order: Annotated[Literal["shuffled", "fixed"], Group.COMMUNICATION, "the order"] = "fixed",
        level: Literal[1, 2, 5] = 2,
        text: Annotated[str, Written(even, ("ab",))] = "ab",
        free: float = 0.0,
        rng: int | None = None,
    ) -> None:
        self.agents = agents


class Child(Thing):
    """A phenomenon that inherits its constructor."""


class Narrower(Thing):
    """A phenomenon with a constructor of its own."""

    def __init__(self, size: Annotated[Agents, "how many readers"] = 5, rng: int | None = None) -> None:
        super().__init__(size)


FOUND = knobs(Thing)


# --- reading the signature


def test_knobs_stand_in_the_order_of_the_signature_and_leave_out_the_seed():
    assert list(FOUND) == ["agents", "loss", "open", "name", "order", "level", "text", "free"]


def test_a_knob_says_its_type_default_range_choices_group_and_line():
    assert FOUND["agents"] == Knob(
        "agents", int, 10, range=Range(1, 20_000), group=Group.POPULATION, doc="how many agents"
    )
    assert (FOUND["order"].kind, FOUND["order"].choices) == (str, ("shuffled", "fixed"))
    assert (FOUND["level"].kind, FOUND["level"].choices) == (int, (1, 2, 5))
    assert (FOUND["open"].kind, FOUND["open"].group, FOUND["open"].doc) == (bool, Group.WORLD, "")
    with pytest.raises(FrozenInstanceError):
        FOUND["agents"].default = 3


def test_a_class_without_a_constructor_of_its_own_has_the_knobs_of_its_parent():
    assert dict(knobs(Child)) == dict(FOUND)
    assert list(knobs(Narrower)) == ["size"]


def test_the_knobs_of_a_class_cannot_be_changed_by_a_reader():
    with pytest.raises(TypeError):
        FOUND["agents"] = 3


def test_the_line_nearest_to_the_knob_wins():
    assert knobs(Narrower)["size"].doc == "how many readers"
    assert knobs(Narrower)["size"].range == Range(1, 10_000_000)


def test_a_rule_offers_its_parameters_and_not_what_it_sees():
    def rule(seen, gate: Annotated[int, Range(1, 9)] = 5, *, word="x"):
        return seen

    assert {name: (knob.kind, knob.default) for name, knob in knobs(rule).items()} == {
        "gate": (int, 5),
        "word": (str, "x"),
    }


def test_a_knob_without_a_default_or_of_another_type_is_refused_by_name():
    class Bare:
        def __init__(self, size: int) -> None: ...

    class Odd:
        def __init__(self, size: list[int] = []) -> None: ...  # noqa: B006

    with pytest.raises(KnobError, match=r"Bare: knob 'size' has no default"):
        knobs(Bare)
    with pytest.raises(KnobError, match=r"Odd: knob 'size' has type list\[int\]; a knob is an int, float"):
        knobs(Odd)


# --- checking values


@pytest.mark.parametrize(
    ("name", "value", "kept"),
    [
        ("agents", 5, 5),
        ("agents", 5.0, 5),
        ("agents", 1, 1),
        ("agents", 20_000, 20_000),
        ("loss", 0, 0.0),
        ("loss", 1, 1.0),
        ("loss", 0.25, 0.25),
        ("free", -1e300, -1e300),
        ("open", True, True),
        ("name", "", ""),
        ("order", "shuffled", "shuffled"),
        ("level", 5, 5),
        ("text", "abcd", "abcd"),
    ],
)
def test_a_right_value_comes_back_in_the_type_of_its_knob(name, value, kept):
    found = FOUND[name].check(value)
    assert found == kept
    assert type(found) is FOUND[name].kind


@pytest.mark.parametrize(
    ("name", "value", "kept"),
    [
        *[("agents", dtype(7), 7) for dtype in (np.int8, np.int64, np.uint16, np.float64, np.float32)],
        ("loss", np.float32(0.5), 0.5),
        ("loss", np.int64(1), 1.0),
        ("open", np.bool_(True), True),
        ("name", np.str_("x"), "x"),
        ("order", np.str_("fixed"), "fixed"),
        ("level", np.int64(5), 5),
    ],
)
def test_numpy_scalars_are_taken_as_the_plain_values_they_are(name, value, kept):
    found = FOUND[name].check(value)
    assert found == kept
    assert type(found) is FOUND[name].kind


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("agents", 0, "agents = 0: expected a whole number from 1 to 20,000"),
        ("agents", 20_001, "agents = 20001: expected a whole number from 1 to 20,000"),
        ("agents", 2.5, "agents = 2.5: expected a whole number from 1 to 20,000"),
        ("agents", True, "agents = True: expected a whole number from 1 to 20,000"),
        ("agents", "5", "agents = '5': expected a whole number from 1 to 20,000"),
        ("agents", None, "agents = None: expected a whole number from 1 to 20,000"),
        ("agents", float("inf"), "agents = inf: expected a whole number from 1 to 20,000"),
        ("agents", float("nan"), "agents = nan: expected a whole number from 1 to 20,000"),
        ("agents", [5], "agents = [5]: expected a whole number from 1 to 20,000"),
        ("agents", 5j, "agents = 5j: expected a whole number from 1 to 20,000"),
        ("loss", 1.01, "loss = 1.01: expected a number from 0 to 1"),
        ("loss", -0.1, "loss = -0.1: expected a number from 0 to 1"),
        ("loss", True, "loss = True: expected a number from 0 to 1"),
        ("loss", float("nan"), "loss = nan: expected a number from 0 to 1"),
        ("loss", "much", "loss = 'much': expected a number from 0 to 1"),
        ("free", "x", "free = 'x': expected a number"),
        ("open", 1, "open = 1: expected true or false"),
        ("open", "true", "open = 'true': expected true or false"),
        ("open", None, "open = None: expected true or false"),
        ("name", 3, "name = 3: expected a text"),
        ("name", None, "name = None: expected a text"),
        ("order", "fixd", "order = 'fixd': expected one of shuffled, fixed; did you mean 'fixed'?"),
        ("order", "zzz", "order = 'zzz': expected one of shuffled, fixed"),
        ("order", 3, "order = 3: expected one of shuffled, fixed"),
        ("order", True, "order = True: expected one of shuffled, fixed"),
        ("order", ["fixed"], "order = ['fixed']: expected one of shuffled, fixed"),
        ("level", 3, "level = 3: expected one of 1, 2, 5"),
        ("level", True, "level = True: expected one of 1, 2, 5"),
        ("level", "5", "level = '5': expected one of 1, 2, 5"),
    ],
)
def test_a_wrong_value_gets_one_sentence(name, value, sentence):
    with pytest.raises(KnobError) as caught:
        FOUND[name].check(value)
    assert str(caught.value).startswith(sentence)
    assert "\n" not in str(caught.value)


def test_a_text_with_a_grammar_is_checked_by_it_and_keeps_its_kind_of_error():
    with pytest.raises(SpecError, match=r"^text = 'abc': 'abc' has an odd length$"):
        FOUND["text"].check("abc")

    class Linked:
        def __init__(self, graph: Graph = "ring") -> None: ...

    with pytest.raises(GraphError, match=r"^graph = 'rong': there is no topology .*did you mean 'ring'\?$"):
        resolve(Linked, {"graph": "rong"})
    assert resolve(Linked, {"graph": "small_world(k=6)"}) == {"graph": "small_world(k=6)"}


@settings(deadline=None)
@given(st.integers(-(10**9), 10**9), st.integers(-100, 100), st.integers(0, 200))
def test_a_range_allows_its_ends_and_nothing_beyond(value, low, width):
    knob = Knob("x", int, low, range=Range(low, low + width))
    if low <= value <= low + width:
        assert knob.check(value) == value
    else:
        with pytest.raises(KnobError):
            knob.check(value)


# --- reading texts


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("agents", "12", 12),
        ("agents", " 12 ", 12),
        ("agents", "1_000", 1000),
        ("agents", "1e3", 1000),
        ("agents", "5.0", 5),
        ("loss", "0.25", 0.25),
        ("loss", "1", 1.0),
        ("loss", "1e-3", 0.001),
        ("free", "-3", -3.0),
        ("open", "true", True),
        ("open", "Yes", True),
        ("open", "1", True),
        ("open", "no", False),
        ("open", "FALSE", False),
        ("name", " two words ", "two words"),
        ("name", "5", "5"),
        ("order", "shuffled", "shuffled"),
        ("level", "5", 5),
    ],
)
def test_a_text_is_read_as_its_knob_takes_it(name, text, value):
    found = FOUND[name].read(text)
    assert found == value
    assert type(found) is FOUND[name].kind


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("agents", "many", "agents = 'many': expected a whole number from 1 to 20,000"),
        ("agents", "", "agents = '': expected a whole number from 1 to 20,000"),
        ("agents", "2.5", "agents = 2.5: expected a whole number from 1 to 20,000"),
        ("agents", "0", "agents = 0: expected a whole number from 1 to 20,000"),
        ("agents", "inf", "agents = inf: expected a whole number from 1 to 20,000"),
        ("agents", "true", "agents = 'true': expected a whole number from 1 to 20,000"),
        ("loss", "nan", "loss = nan: expected a number from 0 to 1"),
        ("loss", "2", "loss = 2.0: expected a number from 0 to 1"),
        ("open", "maybe", "open = 'maybe': expected true or false"),
        ("level", "3", "level = 3: expected one of 1, 2, 5"),
        ("order", "fixd", "order = 'fixd': expected one of shuffled, fixed; did you mean 'fixed'?"),
    ],
)
def test_a_text_that_cannot_be_read_gets_one_sentence(name, text, sentence):
    with pytest.raises(KnobError) as caught:
        FOUND[name].read(text)
    assert str(caught.value).startswith(sentence)


@settings(deadline=None)
@given(st.one_of(st.integers(1, 20_000), st.floats(0, 1)), st.booleans())
def test_what_is_written_is_read_back(number, flag):
    knob = FOUND["agents" if isinstance(number, int) else "loss"]
    assert knob.read(str(number)) == number
    assert FOUND["open"].read(str(flag)) is flag


@settings(deadline=None)
@given(st.sampled_from(sorted(FOUND)), st.text(max_size=8))
def test_any_text_is_read_or_refused_in_a_sentence(name, text):
    refused = False
    try:
        found = FOUND[name].read(text)
    except SpecError as error:
        refused = str(error).startswith(f"{name} = ")
    assert refused or FOUND[name].check(found) == found


# --- resolving a call


def test_resolve_fills_in_defaults_and_types():
    found = resolve(Thing, {"agents": np.int64(3), "loss": 1})
    assert found == {
        "agents": 3,
        "loss": 1.0,
        "open": False,
        "name": "none",
        "order": "fixed",
        "level": 2,
        "text": "ab",
        "free": 0.0,
    }
    assert type(found["agents"]) is int


def test_an_unknown_name_is_refused_with_the_nearest_and_all_names():
    with pytest.raises(
        KnobError, match=r"^agnets: Thing has no such knob; did you mean 'agents'\?; it has agents, loss, .*free$"
    ):
        resolve(Thing, {"agnets": 3})
    assert str(missing("x", "Empty", ())) == "x: Empty has no such knob; it has none"


def test_the_first_wrong_value_in_the_order_of_the_signature_is_named():
    with pytest.raises(KnobError, match=r"^agents = 0"):
        resolve(Thing, {"loss": 3, "agents": 0})


def test_the_annotations_of_the_micro_variables_make_knobs():
    class Small:
        def __init__(self, agents: Agents = 3, loss: Loss = 0.0, turns: Turns = "random") -> None: ...

    found = knobs(Small)
    assert [knob.group for knob in found.values()] == [Group.POPULATION, Group.VISIBILITY, Group.TURNS]
    assert all(knob.doc for knob in found.values())
    assert found["turns"].expected == "one of simultaneous, random, fixed, clocks, endogenous"
