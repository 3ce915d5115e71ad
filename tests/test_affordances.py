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

quick = settings(deadline=None, max_examples=80)

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
    reply = json.dumps(written)
    if reply not in getattr(affordance, "options", ()):
        assert affordance.parse(reply).value == value
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
    except ReplyError:
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
    with pytest.raises(SpecError, match=r"no part 'vot'.*did you mean 'vote'"):
        Artifact({"vote": COLOURS}).offer({"vot": (0, 1)})


def test_an_option_not_on_offer_is_never_taken_for_another() -> None:
    offer = COLOURS.offer(order=(0, 2))
    refuses(offer, "I choose dark red.", "'dark red' is not on offer", "red, blue")
    refuses(offer, "dark red", "not on offer")
    assert offer.describe("dark red") == "dark red"


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


@quick
@example("“")
@given(st.text(max_size=30))
def test_a_message_means_itself(text: str) -> None:
    assert Message().parse(Message().describe(text)).value == text


def test_many_values_are_coded_like_one_by_one() -> None:
    drawn = np.random.default_rng(1).integers(0, 50, 400).astype(float)
    number = Number(0, 50, step=1)
    assert number.encode_many(drawn).tolist() == drawn.tolist()  # type: ignore[arg-type]
    assert COLOURS.encode_many(["blue", None, "red", "blue"]).tolist() == [2, -1, 0, 2]
