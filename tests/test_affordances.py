"""Acts as rows, values and text: the three views of one affordance must never drift apart."""

import json
import math
import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from agentmicro.affordances import Affordance, Artifact, Choice, Message, Number, Offer, Picks
from agentmicro.errors import ReplyError, SpecError

settings.register_profile("affordances", deadline=None, max_examples=80)
quick = settings(settings.get_profile("affordances"))

COLOURS = Choice(("red", "dark red", "blue"))
TRICKY = [
    "a, b", "a", "b", 'say "hi"', "it's", "[]", '["a"]', '{"picks": ["a"]}', '{"choice": "a"}', "none", "null", "Stop!",
    "stop it", "C++", "C", "line\nbreak", "a and b", "1", "-1", "1.5", "B", "Option A", "(c)", "- x", "1. y", "`code`",
    "**bold**", "not", "ß", "é", "中文", "or", "```\nx\n```", " padded ", "B) q", "x: y", "\x00", "\u2028",
]  # fmt: skip


def words() -> st.SearchStrategy[str]:
    """Option texts: ordinary ones, tricky ones, and anything that is not white space."""
    return st.sampled_from(TRICKY) | st.text(min_size=1, max_size=8).filter(str.strip) | st.from_regex(r"[a-z]{2,6}")


def option_lists(most: int = 8) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(words().filter(str.strip), min_size=1, max_size=most, unique_by=str.casefold).map(tuple)


@st.composite
def choices(draw: st.DrawFn) -> tuple[Choice, str]:
    options = draw(option_lists())
    return Choice(options), draw(st.sampled_from(options))


@st.composite
def picks(draw: st.DrawFn) -> tuple[Picks, tuple[str, ...]]:
    options = draw(option_lists())
    most = draw(st.integers(1, len(options)))
    least = draw(st.integers(0, most))
    value = draw(st.lists(st.sampled_from(options), min_size=least, max_size=most, unique=True))
    return Picks(options, most, least), tuple(value)


@st.composite
def numbers(draw: st.DrawFn) -> tuple[Number, float]:
    unit = draw(st.sampled_from(["", "units", "%", "m2", "per 100 g", "e5", "$", "-", ",000"]))
    if draw(st.booleans()):
        low, step, count = draw(st.integers(-1000, 1000)), draw(st.integers(1, 9)), draw(st.integers(0, 500))
        return Number(low, low + step * count, step, unit), low + step * draw(st.integers(0, count))
    low = draw(st.floats(-1e12, 1e12) | st.just(-math.inf))
    high = draw(st.floats(max(low, -1e300), 1e300) | st.just(math.inf))
    value = draw(st.floats(max(low, -1e300), min(high, 1e300)))
    return Number(low, high, None, unit), value


@st.composite
def messages(draw: st.DrawFn) -> tuple[Message, Any]:
    texts = st.text(max_size=20) | st.sampled_from(
        ["", "None", " a ", '"q"', '{"message": "x"}', "2: b", "{}", "a\n3: b"]
    )
    limit = draw(st.none() | st.integers(20, 99))
    if draw(st.booleans()):
        return Message(limit=limit), draw(texts)
    return Message(addressed=True, limit=limit), draw(st.dictionaries(st.integers(0, 30), texts, max_size=4))


SIMPLE = [choices(), picks(), numbers(), messages()]


@st.composite
def artifacts(draw: st.DrawFn) -> tuple[Artifact, dict[str, Any]]:
    names = draw(st.lists(st.sampled_from(["vote", "value", "note to all", "a:b", "é", "x"]), min_size=1, unique=True))
    drawn = {name: draw(st.one_of(SIMPLE)) for name in names}
    private = draw(st.sets(st.sampled_from(names), max_size=len(names) - 1))
    parts = {name: part for name, (part, _) in drawn.items()}
    return Artifact(parts, tuple(private)), {name: value for name, (_, value) in drawn.items()}


def acts() -> st.SearchStrategy[tuple[Any, Any]]:
    return st.one_of(*SIMPLE, artifacts())


def conforms(value: Any, schema: dict[str, Any]) -> bool:
    """A JSON schema validator of the few keywords that affordances use, written apart from them."""
    kind = schema["type"]
    if kind == "object":
        patterns = schema.get("patternProperties", {})
        assert schema["additionalProperties"] is False
        return (
            isinstance(value, dict)
            and set(schema["required"]) <= set(value)
            and all(
                conforms(item, schema["properties"][key])
                if key in schema["properties"]
                else bool(patterns) and key.isdecimal() and conforms(item, patterns["^[0-9]+$"])
                for key, item in value.items()
            )
        )
    if kind == "array":
        distinct = len({json.dumps(item) for item in value}) == len(value)
        counted = schema["minItems"] <= len(value) <= schema["maxItems"]
        return isinstance(value, list) and distinct and counted and all(conforms(v, schema["items"]) for v in value)
    if kind == "string":
        allowed = "enum" not in schema or value in schema["enum"]
        return isinstance(value, str) and allowed and len(value) <= schema.get("maxLength", math.inf)
    inside = schema.get("minimum", -math.inf) <= value <= schema.get("maximum", math.inf)
    stepped = value % schema["multipleOf"] == 0 if "multipleOf" in schema else True
    return isinstance(value, int if kind == "integer" else int | float) and inside and stepped


def refuses(offer: Affordance | Offer[Any], text: str, *parts: str) -> None:
    """The reply is refused with one sentence that holds these parts."""
    with pytest.raises(ReplyError) as caught:
        offer.parse(text)
    for part in parts:
        assert part in str(caught.value)


# The three views of every kind


@quick
@given(acts())
def test_text_is_read_back_exactly(act: tuple[Any, Any]) -> None:
    affordance, value = act
    assert affordance.parse(affordance.describe(value)).value == value


@quick
@given(acts())
def test_json_is_read_back_exactly_and_fits_the_schema(act: tuple[Any, Any]) -> None:
    affordance, value = act
    written = affordance.write(value)
    assert affordance.read(written) == (value, False, ())
    assert affordance.parse(json.dumps(written)).value == value or isinstance(affordance, Choice | Message)
    assert conforms(written, affordance.schema())
    assert json.loads(json.dumps(affordance.schema())) == affordance.schema()


@quick
@given(acts())
def test_rows_are_decoded_exactly(act: tuple[Any, Any]) -> None:
    affordance, value = act
    coded = affordance.encode_many([value, None, value])
    assert coded.dtype == affordance.blank(0).dtype
    assert coded.shape[1:] == affordance.dtype.shape
    assert np.empty(3, affordance.dtype).shape == coded.shape
    assert affordance.valid(coded).tolist() == [True, False, True]
    assert affordance.is_blank(coded).tolist() == [False, True, False]
    assert affordance.decode(coded[0]) == value
    assert affordance.decode(affordance.encode(value)) == value
    assert affordance.decode(coded[1]) is None
    assert affordance.is_blank(affordance.blank(4)).all()
    assert not affordance.valid(affordance.blank(4)).any()


@quick
@given(acts())
def test_affordances_survive_pickling_and_hash(act: tuple[Any, Any]) -> None:
    affordance, value = act
    copy = pickle.loads(pickle.dumps(affordance))
    assert copy == affordance
    assert hash(copy) == hash(affordance)
    assert copy.describe(value) == affordance.describe(value)
    offer = affordance.offer(labelled=True)
    assert pickle.loads(pickle.dumps(offer)).text == offer.text


@quick
@given(acts(), st.text(max_size=60) | st.lists(st.sampled_from([*TRICKY, ", ", ": ", "\n", "vote", "3"])).map("".join))
def test_any_text_is_read_as_a_valid_act_or_refused(act: tuple[Any, Any], text: str) -> None:
    affordance, _ = act
    try:
        found = affordance.parse(text)
    except ReplyError as error:
        assert str(error)
        return
    assert affordance.fault(found.value) == ""
    assert affordance.valid(affordance.encode_many([found.value])).all()
    assert found.repaired == bool(found.how)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["choice", "vote", "1", "x"]), inner),
    max_leaves=6,
)


@quick
@given(acts(), JSON)
def test_any_json_is_read_as_a_valid_act_or_refused(act: tuple[Any, Any], raw: Any) -> None:
    affordance, _ = act
    try:
        found = affordance.read(raw)
    except ReplyError:
        return
    assert affordance.fault(found.value) == ""


# Offers


@st.composite
def arranged(draw: st.DrawFn) -> tuple[Offer[Any], tuple[str, ...]]:
    affordance = draw(st.one_of(choices(), picks()))[0]
    count = len(affordance.options)
    least = getattr(affordance, "least", 1)
    size = draw(st.integers(max(1, least), count))
    order = tuple(draw(st.permutations(range(count)))[:size])
    return affordance.offer(order, draw(st.booleans())), tuple(affordance.options[index] for index in order)


@quick
@given(arranged(), st.data())
def test_every_offer_shows_and_reads_its_options(case: tuple[Offer[Any], tuple[str, ...]], data: st.DataObject) -> None:
    offer, shown = case
    assert all(option in offer.text for option in shown)
    if isinstance(offer.affordance, Choice):
        assert offer.schema()["properties"]["choice"]["enum"] == list(shown)
        for option in shown:
            assert offer.parse(offer.describe(option)) == (option, False, ())
            assert offer.parse(option).value == option
        for option in set(offer.affordance.options) - set(shown):
            refuses(offer, option, "is not on offer")
        return
    size = st.integers(offer.affordance.least, min(offer.affordance.most, len(shown)))
    value = tuple(data.draw(st.permutations(shown))[: data.draw(size)])
    assert offer.parse(offer.describe(value)).value == value
    assert conforms(offer.write(value), offer.schema())


@quick
@given(arranged())
def test_a_label_stands_for_its_option_and_for_no_other(case: tuple[Offer[Any], tuple[str, ...]]) -> None:
    offer, shown = case
    labels = offer.labels  # type: ignore[attr-defined]
    assert labels in ((), tuple("ABCDEFGH"[: len(shown)]))
    for label, option in zip(labels, shown, strict=False):
        if isinstance(offer.affordance, Choice):
            found = offer.parse(label)
            assert found.value == option
            assert "label" in found.how


@pytest.mark.parametrize(
    "options",
    [("A", "B", "C"), ("x", "b"), ("x", "(B)"), ("x", "Option A"), ("plan B", "plan C"), ("x", "b)"), ("x", "“a”")],
)
def test_options_that_look_like_labels_get_none(options: tuple[str, ...]) -> None:
    offer = Choice(options).offer(order=range(len(options))[::-1], labelled=True)
    assert offer.labels == ()
    assert all(offer.parse(option).value == option for option in options)


@pytest.mark.parametrize(
    "text", ["B", "b", "(B)", "B)", "B.", "**B**", "Option B", "option b.", "B. red", "B) red", "B: red", "Answer: B",
             "The answer is B.", "I choose B because of its warmth", "B, red", '{"choice": "B"}'],
)  # fmt: skip
def test_labels_are_repaired_into_options(text: str) -> None:
    offer = COLOURS.offer(order=(2, 0, 1), labelled=True)
    assert offer.text == "A) blue\nB) red\nC) dark red"
    found = offer.parse(text)
    assert found.value == "red"
    assert "label" in found.how


def test_a_label_that_contradicts_its_option_is_refused() -> None:
    offer = COLOURS.offer(order=(2, 0, 1), labelled=True)
    refuses(offer, "B. blue", "'red'", "'blue'")
    refuses(offer, "B because blue is worse", "'red'", "'blue'")
    assert offer.parse("A nice one is dark red").value == "dark red"
    picked = Picks(COLOURS.options, 2).offer(labelled=True)
    refuses(picked, "B. blue")
    refuses(picked, "B, purple", "purple")
    assert picked.parse("A, C").value == ("red", "blue")
    assert picked.parse("A) red\nC) blue").value == ("red", "blue")


def test_more_than_26_options_are_numbered() -> None:
    options = tuple(f"word{'x' * i}" for i in range(30))
    offer = Choice(options).offer(order=range(29, -1, -1), labelled=True)
    assert offer.labels == tuple(str(i) for i in range(1, 31))
    assert offer.parse("30").value == options[0]
    assert offer.parse("(2) wordxxxx" + "x" * 24).value == options[28]
    refuses(offer, "1. word", repr(options[29]), "'word'")
    refuses(Picks(options, 3).offer(labelled=True), "1. wordxxx\n2. wordx")


@pytest.mark.parametrize("order", [(), (0, 0), (3,), (-1,)])
def test_an_order_that_arranges_nothing_is_refused(order: tuple[int, ...]) -> None:
    with pytest.raises(SpecError, match=r"the order .* is no arrangement of the options, expected .* 0 to 2"):
        COLOURS.offer(order)


def test_an_order_needs_options() -> None:
    for affordance in (Number(0, 1), Message(), Artifact({"value": Number(0, 1)})):
        with pytest.raises(SpecError):
            affordance.offer((0,))
    with pytest.raises(SpecError, match="no part 'vot'.*did you mean 'vote'"):
        Artifact({"vote": COLOURS}).offer({"vot": (0, 1)})


def test_an_option_not_on_offer_is_never_taken_for_another() -> None:
    offer = COLOURS.offer(order=(0, 2))
    refuses(offer, "I choose dark red.", "'dark red' is not on offer", "red, blue")
    refuses(offer, "dark red", "not on offer")
    assert offer.describe("dark red") == "dark red"


# Choice


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


# Number


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("42", 42), ("+42", 42), ("42.", 42), (" 42 ", 42), ("**42**", 42), ("42.0", 42), ("42 units", 42), ("42units", 42),
        ("1,000", 1000), ("1,000.00", 1000), ("about 42", 42), ("I'd say 42. Answer: 42", 42), ("4e1", 40), ('"42"', 42),
        ('{"number": 42}', 42), ('{"x": 42}', 42), ("```\n42\n```", 42), ("$42", 42), ("- 42", 42), ('{"number": "42"}', 42),
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
    assert count.valid(np.array([2.0**53, 2.0**60])).tolist() == [True, False]
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
        ("**Ann:** hi", {3: "** hi"}),
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
    if text.startswith("**"):
        value = {3: "hi"}
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
        with pytest.raises(SpecError, match="names"):
            message.offer(names=names)
    for value in ({-1: "x"}, {"a": "x"}, {1: 5}, "x"):
        with pytest.raises(SpecError):
            message.encode(value)


@quick
@given(
    st.dictionaries(words(), st.integers(0, 99), min_size=1, max_size=4).filter(
        lambda names: len({" ".join(n.casefold().split()) for n in names}) == len(names) == len(set(names.values()))
    ),
    st.data(),
)
def test_addressed_messages_are_read_back_under_any_names(names: dict[str, int], data: st.DataObject) -> None:
    try:
        offer = Message(addressed=True).offer(names=names)
    except SpecError:
        assume(False)
    value = data.draw(st.dictionaries(st.sampled_from(sorted(names.values())), st.text(max_size=9)))
    assert offer.parse(offer.describe(value)).value == value
    assert offer.read(offer.write(value)) == (value, False, ())
    assert conforms(offer.write(value), offer.schema())


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
    with pytest.raises(SpecError, match="'vote' is blank"):
        BALLOT.decode(acts[0])
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
        assert affordance.fault(affordance.parse(text).value) == ""
    except ReplyError as error:
        assert len(str(error)) < 400


@quick
@example("“")
@given(st.text(max_size=30))
def test_a_message_means_itself(text: str) -> None:
    assert Message().parse(Message().describe(text)).value == text
