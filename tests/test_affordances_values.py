"""Number, Message and Artifact: every repair of a slip, and every reply that must not be repaired."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentmicro.affordances import Affordance, Artifact, Choice, Message, Number, Offer, Picks
from agentmicro.errors import ReplyError, SpecError

quick = settings(deadline=None, max_examples=80)

COLOURS = Choice(("red", "dark red", "blue"))
FRUIT = Picks(("apple", "salt and pepper", "salt", "pepper", "fig, dried", "kiwi"), 3)


def refuses(offer: Affordance | Offer[Any], text: str, *parts: str) -> None:
    """The reply is refused with one sentence that holds these parts."""
    with pytest.raises(ReplyError) as caught:
        offer.parse(text)
    for part in parts:
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("42", 42), ("+42", 42), ("42.", 42), (" 42 ", 42), ("**42**", 42), ("42.0", 42), ("42 units", 42),
        ("42units", 42),
        ("1,000", 1000), ("1,000.00", 1000), ("about 42", 42), ("I'd say 42. Answer: 42", 42), ("4e1", 40),
        ('"42"', 42),
        ('{"number": 42}', 42), ('{"x": 42}', 42), ("```\n42\n```", 42), ("$42", 42), ("- 42", 42),
        ('{"number": "42"}', 42),
        ("Agent7 says 42", 42),
    ],
)  # fmt: skip
def test_number_reads_the_only_number(text: str, value: int) -> None:
    found = Number(0, 5000, step=1, unit="units").parse(text)
    assert found.value == value
    assert type(found.value) is int


@pytest.mark.parametrize(
    "text",
    ["", "None", "forty", "3 to 5", "3-5", "3/4", "1.2.3", "3,5", "5%", "5 percent", "5 million", "5k", "minus 5", "-5",
     "5001", "4.5", "not 42", "10:30", "NaN", "Infinity", "9" * 5000, "true", "1e999", '{"number": true}', "1,0000"],
)  # fmt: skip
def test_number_refuses_what_says_another_number(text: str) -> None:
    refuses(Number(0, 5000, step=1), text)


def test_number_names_its_repairs_and_reasons() -> None:
    number = Number(0, 5000, step=1, unit="units")
    assert number.parse("42") == (42, False, ())
    assert number.parse("42 units") == (42, False, ())
    assert number.parse(" 42").how == ("space",)
    assert number.parse("42.").how == ("marks",)
    assert number.parse("1,000").how == ("separators",)
    assert number.parse("about 42").how == ("prose",)
    refuses(number, "6000", "6000 is out of range, expected a whole number from 0 to 5000, in units")
    refuses(number, "4.5", "4.5 is off the step")
    refuses(number, "3 or 5", "names 3 and 5; answer with exactly one number")
    refuses(Number(-5, 5), "- 4", "plain digits")
    assert Number(0, 100, unit="%").parse("5%").value == 5.0
    assert Number(-5, 5).parse("−4").value == -4.0
    assert number.describe(7) == "7 units"


def test_number_ranges_and_steps() -> None:
    tenths = Number(0, 0.3, step=0.1)
    assert tenths.valid(np.array([0.0, 0.1, 0.1 + 0.2, 3 * 0.1, 0.15, 0.4, np.nan, np.inf])).tolist() == [
        True, True, True, True, False, False, False, False]  # fmt: skip
    whole = Number(0, 10, step=1)
    assert whole.valid(np.array([3 + 1e-9, 3 + 1e-6, 10.5, -1])).tolist() == [True, False, False, False]
    assert whole.decode(np.float64(3)) == 3
    assert type(whole.decode(np.float64(3))) is int
    assert type(Number(0, 10).parse("3").value) is float
    assert Number(1, 10, step=3).valid(np.array([1, 4, 7, 10, 3])).tolist() == [True] * 4 + [False]
    assert not Number(0.5, 2, step=1).whole
    free = Number(-math.inf, math.inf)
    assert free.valid(np.array([-1e308, 1e308, np.inf, np.nan])).tolist() == [True, True, False, False]
    assert free.offer().text == "a number"
    count = Number(0, math.inf, step=1)
    assert count.offer().text == "a whole number of at least 0"
    assert count.valid(np.array([2.0**53 - 1, 2.0**53, 2.0**60])).tolist() == [True, False, False]
    with pytest.raises(SpecError, match="out of range"):
        count.encode(2**53 + 1)
    with pytest.raises(SpecError, match="out of range"):
        count.encode(10**400)
    assert Number(0, 100, step=5).schema()["properties"]["number"] == {
        "type": "integer", "minimum": 0, "maximum": 100, "multipleOf": 5}  # fmt: skip


@pytest.mark.parametrize(
    "spec",
    [
        (1, 0),
        (math.nan, 1),
        (0, 1, 0),
        (0, 1, -1),
        (0, 1, math.inf),
        (True, 2),
        ("0", 1),
        (0, 10**400),
        (math.inf, math.inf),
    ],
)
def test_number_refuses_impossible_ranges(spec: tuple[Any, ...]) -> None:
    with pytest.raises(SpecError, match="expected"):
        Number(*spec)


@quick
@given(st.floats(allow_nan=True), st.floats(0.001, 100), st.integers(-50, 50), st.integers(0, 100))
def test_number_rows_and_values_agree(x: float, step: float, low: int, count: int) -> None:
    number = Number(low, low + step * count, step)
    assert number.valid(np.array([x]))[0] == (number.fault(x) == "")
    k = count // 2
    assert number.valid(np.array([low + step * k])).all()


# Message


def test_message_keeps_what_was_said() -> None:
    message = Message(limit=20)
    assert message.parse("Hello, all!") == ("Hello, all!", False, ())
    assert message.parse(" Hello \n") == ("Hello", True, ("space",))
    assert message.parse('"Hello"') == ("Hello", True, ("marks",))
    assert message.parse('{"message": "Hello"}') == ("Hello", True, ("json",))
    assert message.parse('{"price": 5}').value == '{"price": 5}'
    assert message.parse("**Hi** `x`.").value == "**Hi** `x`."
    assert message.describe("") == '""'
    assert message.parse('""').value == ""
    assert message.valid(np.array(["", None, "x" * 20, "x" * 21, 5], object)).tolist() == [
        True,
        False,
        True,
        False,
        False,
    ]
    refuses(message, "x" * 21, "21 characters, expected at most 20")
    refuses(message, "", "the reply is empty")
    refuses(message, "null", "the reply is empty")
    with pytest.raises(SpecError, match="limit = 0"):
        Message(limit=0)


NAMES = {"Ann": 3, "Bob": 0, "to be": 7}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("Ann: hi", {3: "hi"}),
        ("To Ann: hi\nthere\n@bob: yo: ok", {3: "hi\nthere", 0: "yo: ok"}),
        ("**Ann:** hi", {3: "hi"}),
        ("- ann : hi", {3: "hi"}),
        ("to be: hi", {7: "hi"}),
        ('{"Ann": "hi", "Bob": "yo"}', {3: "hi", 0: "yo"}),
        ('{"message": {"Ann": "hi"}}', {3: "hi"}),
        ('Here: {"Ann": "hi"}', {3: "hi"}),
        ("```json\n{}\n```", {}),
        ("{}", {}),
        ("Nobody.", {}),
    ],
)
def test_addressed_messages_go_by_name(text: str, value: dict[int, str]) -> None:
    assert Message(addressed=True).offer(names=NAMES).parse(text).value == value


def test_addressed_messages_refuse_strangers_and_loss() -> None:
    message = Message(addressed=True, limit=9)
    offer = message.offer(names=NAMES)
    assert offer.text == "messages of at most 9 characters to any of: Ann, Bob, to be"
    refuses(offer, '{"Anne": "hi"}', "'Anne' is nobody to write to", "Ann, Bob, to be", "did you mean")
    refuses(offer, "hello there", "addressed to nobody")
    refuses(offer, "hello\nAnn: hi", "addressed to nobody")
    refuses(offer, "Ann: hi\nann: ho", "same agent twice")
    refuses(offer, "Ann: 1234567890", "10 characters, expected at most 9")
    refuses(offer, "", "empty")
    assert message.parse('{"12": "hi"}').value == {12: "hi"}
    assert message.describe({12: "hi"}) == "12: hi"
    with pytest.raises(SpecError, match="row 5 has no name"):
        offer.describe({5: "x"})
    for names in ({"Ann": 1, "ann": 2}, {"Ann": 1, "Bob": 1}, {" ": 1}):
        with pytest.raises(SpecError, match=r"names|rows"):
            message.offer(names=names)
    for value in ({-1: "x"}, {"a": "x"}, {1: 5}, "x"):
        with pytest.raises(SpecError):
            message.encode(value)


# Artifact

BALLOT = Artifact(
    {"value": Number(0, 50, step=1), "vote": Choice(("stop", "continue")), "why": Message()}, private=("why",)
)
CAST = {"value": 3, "vote": "stop", "why": "I am tired"}


@pytest.mark.parametrize(
    ("text", "how"),
    [
        ('{"value": 3, "vote": "stop", "why": "I am tired"}', ()),
        ('{"Value": 3, "vote": "STOP", "why": "I am tired"}', ("case",)),
        ('{"artifact": {"value": 3, "vote": "stop", "why": "I am tired"}}', ("key",)),
        ('```json\n{"value": "3", "vote": "stop", "why": "I am tired", "x": 1}\n```', ("fence", "extra", "type")),
        ('My ballot: {"value": 3, "vote": "stop", "why": "I am tired"}', ("prose",)),
        ("value: 3\nvote: stop\nwhy: I am tired", ("lines",)),
        ("Here you are.\n**Value:** 3\n- vote: stop.\nwhy: I am tired", ("lines", "prose", "marks")),
    ],
)
def test_artifact_reads_documents(text: str, how: tuple[str, ...]) -> None:
    found = BALLOT.parse(text)
    assert found.value == CAST
    assert set(found.how) == set(how)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "empty"),
        ("I vote stop", "none of the parts value, vote, why"),
        ('{"value": 3, "vote": "stop"}', "the part 'why' is missing"),
        ('{"value": 51, "vote": "stop", "why": ""}', "in the part 'value', in the reply 51 is out of range"),
        ('{"value": 3, "vote": null, "why": ""}', "in the part 'vote', the reply is empty"),
        ("value: 3\nvalue: 4\nvote: stop\nwhy: x", "twice"),
        ('{"value": 3, "Value": 4, "vote": "stop", "why": "x"}', "twice"),
        ("[1]", "none of the parts"),
    ],
)
def test_artifact_refuses_documents(text: str, part: str) -> None:
    refuses(BALLOT, text, part)


def test_artifact_columns_and_privacy() -> None:
    acts = BALLOT.encode_many([CAST, None])
    assert acts["value"][0] == 3
    assert acts["vote"].tolist() == [0, -1]
    assert BALLOT.part("vote").valid(acts["vote"]).tolist() == [True, False]
    assert BALLOT.public.decode(acts[0]) == {"value": 3, "vote": "stop"}
    assert BALLOT.public.valid(acts).tolist() == [True, False]
    shown = BALLOT.public.describe(BALLOT.public.decode(acts[0]))
    assert "tired" not in shown
    assert shown == "value: 3\nvote: stop"
    assert COLOURS.public is COLOURS
    acts["vote"][0] = -1
    assert not BALLOT.valid(acts)[0]
    assert not BALLOT.is_blank(acts)[0]
    assert BALLOT.public.decode(acts[0]) == {"value": 3}
    with pytest.raises(SpecError, match="no field 'value'"):
        BALLOT.valid(np.zeros(2))
    assert Artifact({"a": COLOURS, "b": COLOURS}) != Artifact({"b": COLOURS, "a": COLOURS})


def test_artifact_offers_each_part() -> None:
    offer = BALLOT.offer(order={"vote": (1, 0)}, labelled=True)
    assert offer.text == ("value: a whole number from 0 to 50\nvote:\nA) continue\nB) stop\nwhy: a message to all")
    assert offer.parse('{"value": 3, "vote": "B", "why": "I am tired"}').value == CAST
    assert '"value", "vote", "why"' in offer.form


@pytest.mark.parametrize(
    ("parts", "private", "part"),
    [
        ({}, (), "no parts"),
        ({"a": BALLOT}, (), "no parts"),
        ({"a": COLOURS, "A": COLOURS}, (), "letter case"),
        ({"": COLOURS}, (), "no text"),
        ({"note": COLOURS, "b": COLOURS}, ("not",), "'not' is no part.*did you mean 'note'"),
        ({"a": COLOURS}, ("a",), "all parts"),
    ],
)
def test_artifact_refuses_impossible_documents(parts: Any, private: tuple[str, ...], part: str) -> None:
    with pytest.raises(SpecError, match=part):
        Artifact(parts, private)


@pytest.mark.parametrize("value", [{}, {**CAST, "x": 1}, {**CAST, "value": 51}, "x", None])
def test_artifact_checks_values(value: Any) -> None:
    with pytest.raises(SpecError):
        BALLOT.encode(value)


# Hostile replies


@pytest.mark.parametrize(
    "text",
    ["x" * 10**7, "[" * 10**7, '{"a":' * 2 * 10**6, "`" * 10**7, " " * 10**7, "```\n" * 2 * 10**6, "9" * 10**7,
     '["a",' * 10**4, "{" * 10**5, "1," * 40_000, "red, " * 15_000, "*" * 90_000, "\n" * 90_000 + "x", '"' * 90_001],
    ids=lambda text: f"{text[:4]!r} x {len(text)}",
)  # fmt: skip
@pytest.mark.parametrize(
    "affordance", [COLOURS, FRUIT, Number(0, 1), Message(limit=9), Message(True), BALLOT], ids=repr
)
def test_huge_and_nested_replies_end(affordance: Affordance, text: str) -> None:
    try:
        found = affordance.parse(text)
    except ReplyError:
        return
    assert affordance.fault(found.value) == ""
