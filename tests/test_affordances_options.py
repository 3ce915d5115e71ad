"""Choice and Picks: every repair of a slip, and every reply that must not be repaired."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentmicro.affordances import Affordance, Choice, Offer, Picks
from agentmicro.errors import ReplyError, SpecError

quick = settings(deadline=None, max_examples=80)

COLOURS = Choice(("red", "dark red", "blue"))


def refuses(offer: Affordance | Offer[Any], text: str, *parts: str) -> None:
    """The reply is refused with one sentence that holds these parts."""
    with pytest.raises(ReplyError) as caught:
        offer.parse(text)
    for part in parts:
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("text", "value", "how"),
    [
        ("red", "red", ()),
        ("RED", "red", ("case",)),
        ("  red\n", "red", ("space",)),
        ("dark  red", "dark red", ("space",)),
        ("'red'", "red", ("marks",)),
        ("`red`", "red", ("marks",)),
        ("**red**", "red", ("marks",)),
        ("“red”", "red", ("marks",)),
        ("- red", "red", ("marks",)),
        ("Red.", "red", ("marks", "case")),
        ("```\nred\n```", "red", ("fence",)),
        ("```text\nRed\n```\n", "red", ("fence", "case")),
        ('{"choice": "red"}', "red", ("json",)),
        ('{"answer": "red"}', "red", ("json", "key")),
        ('{"reason": "x", "choice": "red"}', "red", ("json", "extra")),
        ('```json\n{"choice": "red"}\n```', "red", ("fence", "json")),
        ('Well, blue is bad: {"choice": "red"} is all.', "red", ("json", "prose")),
        ("Answer: dark red", "dark red", ("prose",)),
        ("I choose red. Yes, red!", "red", ("prose",)),
        ("My DARK\nRED choice", "dark red", ("prose",)),
    ],
)
def test_choice_repairs_and_names_them(text: str, value: str, how: tuple[str, ...]) -> None:
    assert COLOURS.parse(text) == (value, bool(how), how)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "the reply is empty"),
        (" \n", "the reply is empty"),
        ("None", "the reply is empty"),
        ("null", "the reply is empty"),
        ('{"choice": null}', "the reply is empty"),
        ("blu", "'blu' is none of the options on offer: red, dark red, blue; did you mean 'blue'?"),
        ("red or blue", "the reply names 'red' and 'blue'"),
        ("I would not pick red", "'red' beside a negation"),
        ("I can't choose red", "negation"),
        ("infrared", "none of the options"),
        ("red-hot", "none of the options"),
        ('{"choice": "purple"} rather than red', "purple"),
        ('{"choice": "red", "choice": "blue"}', "'red' and 'blue'"),
        ('{"choice": "red"} or {"choice": "blue"}', "'red' and 'blue'"),
        ('{"a": "red", "b": "red"}', "expected the one key 'choice'"),
        ("x" * 200_000, "200,000 characters; at most"),
    ],
)
def test_choice_refuses_with_one_sentence(text: str, part: str) -> None:
    refuses(COLOURS, text, part)


@quick
@given(
    st.sampled_from(COLOURS.options),
    st.sampled_from(
        ["{}", " {} ", '"{}"', "`{}`", "*{}*", "{}.", "({})", "Answer: {}", "I choose {}.", "```\n{}\n```"]
    ),
    st.sampled_from([str, str.upper, str.title]),
)
def test_every_slip_leads_to_the_same_option(option: str, slip: str, case: Any) -> None:
    found = COLOURS.parse(slip.format(case(option)))
    assert found.value == option
    assert found.repaired == (slip.format(case(option)) != option)


def test_words_are_whole_and_longest_first() -> None:
    say = Choice(("can", "can do", "1", "1.5", "C++", "C"))
    refuses(say, "I can't", "none of the options")
    assert say.parse("we can do this").value == "can do"
    assert say.parse("it is 1.5 then").value == "1.5"
    assert say.parse("use C++ here").value == "C++"
    assert Choice(("-1", "0", "1")).parse(" -1.").value == "-1"
    refuses(Choice(("Stop!", "Stop?")), "stop", "'Stop!' or 'Stop?'")


def test_choice_reads_json_scalars_as_their_text() -> None:
    assert Choice(("1", "2")).read({"choice": 2}) == ("2", True, ("type",))
    assert Choice(("true", "false")).read(True).value == "true"
    assert COLOURS.read("red") == ("red", True, ("bare",))
    with pytest.raises(ReplyError, match="where one text was expected"):
        COLOURS.read({"choice": ["red"]})


@pytest.mark.parametrize(
    ("options", "part"),
    [((), "no options"), ("red", "the one text 'red'"), (("a", " "), "' ' is no text"), (("a", 1), "1 is no text"),
     (("a", "a"), "'a' and 'a' are the same"), (("Yes", "yes"), "'Yes' and 'yes' are the same up to letter case")],
)  # fmt: skip
def test_options_that_nobody_could_tell_apart_are_refused(options: Any, part: str) -> None:
    for build in (Choice, lambda chosen: Picks(chosen, 1)):
        with pytest.raises(SpecError, match=part):
            build(options)


@pytest.mark.parametrize(("count", "dtype"), [(1, "int8"), (128, "int8"), (129, "int16"), (40_000, "int32")])
def test_codes_take_the_smallest_signed_type(count: int, dtype: str) -> None:
    choice = Choice(str(i) for i in range(count))
    assert choice.dtype == np.dtype(dtype)
    assert choice.decode(choice.encode(str(count - 1))) == str(count - 1)
    assert Picks(choice.options, 1).dtype.base == np.dtype(dtype)


def test_choice_checks_rows() -> None:
    assert COLOURS.valid(np.array([-2, -1, 0, 2, 3])).tolist() == [False, False, True, True, False]
    with pytest.raises(SpecError, match="float64 of shape"):
        COLOURS.valid(np.array([0.5]))
    with pytest.raises(SpecError, match="the code 3 is none of 0 to 2"):
        COLOURS.decode(3)
    with pytest.raises(SpecError, match="'rde' is no option, expected one of red, dark red, blue; did you mean 'red'"):
        COLOURS.encode("rde")


# Picks

FRUIT = Picks(("apple", "salt and pepper", "salt", "pepper", "fig, dried", "kiwi"), 3)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("kiwi, apple", ("kiwi", "apple")),
        ("kiwi; apple", ("kiwi", "apple")),
        ("kiwi\napple", ("kiwi", "apple")),
        ("kiwi and apple", ("kiwi", "apple")),
        ("kiwi, apple, and salt", ("kiwi", "apple", "salt")),
        ("salt and pepper", ("salt and pepper",)),
        ("salt and pepper and kiwi", ("salt and pepper", "kiwi")),
        ("fig, dried, kiwi", ("fig, dried", "kiwi")),
        ("- kiwi\n- apple", ("kiwi", "apple")),
        ("* Kiwi.\n* Apple.", ("kiwi", "apple")),
        ("1. kiwi\n2) apple", ("kiwi", "apple")),
        ('["kiwi", "fig, dried"]', ("kiwi", "fig, dried")),
        ('{"picks": ["kiwi"]}', ("kiwi",)),
        ('```json\n["kiwi"]\n```', ("kiwi",)),
        ("['kiwi', 'apple']", ("kiwi", "apple")),
        ("kiwi, kiwi", ("kiwi",)),
        ("I pick kiwi and apple.", ("kiwi", "apple")),
        ("none", ()),
        ("None.", ()),
        ("Nothing", ()),
        ("[]", ()),
        ('{"picks": []}', ()),
    ],
)
def test_picks_reads_lists(text: str, value: tuple[str, ...]) -> None:
    assert FRUIT.parse(text).value == value


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "the reply is empty"),
        ("null", "the reply is empty"),
        ("kiwi, apple, salt, pepper", "4 options are picked, expected 0 to 3"),
        ("kiwi, purple", "'purple' is none of the options on offer"),
        ('["kiwi", "purple"]', "'purple' is none"),
        ("red kiwi, purple apples", "'purple apples' is none"),
        ("kiwi or apple", "no plain list"),
        ("kiwi but not apple", "no plain list"),
        ("kiwi\n" * 200_000, "characters"),
    ],
)
def test_picks_refuses_and_never_cuts(text: str, part: str) -> None:
    refuses(FRUIT, text, part)


def test_picks_names_its_repairs_and_keeps_its_bounds() -> None:
    assert FRUIT.parse("kiwi, apple") == (("kiwi", "apple"), False, ())
    assert FRUIT.parse('["kiwi", "kiwi"]').how == ("repeat",)
    assert "marks" in FRUIT.parse("- kiwi\n- apple").how
    exactly = Picks(("a", "b", "c"), most=2, least=2)
    refuses(exactly, "a", "1 options are picked, expected exactly 2")
    refuses(exactly, "none", "0 options are picked")
    refuses(exactly, "a, a", "1 options are picked")
    assert exactly.offer().form == "Answer with exactly 2 of the options, separated by commas, and nothing else."
    with pytest.raises(SpecError, match="1 options are on offer, expected at least 2"):
        exactly.offer((0,))
    for most, least in ((0, 0), (4, 0), (2, 3), ("2", 0)):
        with pytest.raises(SpecError, match="expected"):
            Picks(("a", "b", "c"), most, least)  # type: ignore[arg-type]


def test_picks_rows() -> None:
    three = Picks(("a", "b", "c"), 3, 1)
    rows = np.array(
        [[-2, -1, -1], [-1, -1, -1], [0, -1, -1], [2, 0, 1], [0, -1, 1], [0, 0, -1], [3, -1, -1], [0, -2, 1]]
    )
    assert three.valid(rows).tolist() == [False, False, True, True, False, False, False, False]
    assert three.is_blank(rows).tolist() == [True] + [False] * 7
    assert three.encode(("c", "a")).tolist() == [2, 0, -1]
    free = Picks(("a", "b"), 1)
    assert free.encode(()).tolist() == [-1]
    assert free.decode(free.encode(())) == ()
    assert free.valid(free.encode_many([()])).all()
    with pytest.raises(SpecError, match="expected int64 of shape"):
        three.valid(np.zeros(3, int))
    for value in (["a"], ("a", "a"), ("z",), ()):
        with pytest.raises(SpecError):
            three.encode(value)
