"""Calls as rows, values and text: exact round trips over any set of actions, and every repair by example."""

import json
import math
import pickle
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentmicro.affordances import Affordance, Choice, Message, Number, Picks, Tools
from agentmicro.errors import ReplyError

quick = settings(deadline=None, max_examples=80)

NAMES = ["vote", "up", "tool", "name", "arguments", "function", "call", "wait", "none", "é", "a-b", "_x", "x", "ﬁx"]
WORDS = ["A", "vote", "a, b", 'say "hi"', "it's", "()", "wait()", "{}", "null", "1", " padded ", "line\nbreak", "none"]


@st.composite
def leaves(draw: st.DrawFn) -> tuple[Affordance, Any]:
    """An argument with a value of it."""
    options = draw(st.lists(st.sampled_from(WORDS), min_size=1, unique_by=str.casefold))
    texts = st.text(max_size=9) | st.sampled_from(WORDS)
    kind = draw(st.sampled_from(["choice", "picks", "number", "whole", "message", "letters"]))
    match kind:
        case "choice":
            return Choice(options), draw(st.sampled_from(options))
        case "picks":
            value = draw(st.lists(st.sampled_from(options), unique=True))
            return Picks(options, len(options)), tuple(value)
        case "number":
            return Number(-math.inf, math.inf), draw(st.floats(-1e300, 1e300))
        case "whole":
            return Number(-5, 5, 1), draw(st.integers(-5, 5))
        case "message":
            return Message(), draw(texts)
    return Message(addressed=True), draw(st.dictionaries(st.integers(0, 9), texts, max_size=3))


@st.composite
def calls(draw: st.DrawFn) -> tuple[Tools, dict[str, Any]]:
    """A set of actions with a call of one of them."""
    tools = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=4, unique=True))
    drawn = {
        tool: {name: draw(leaves()) for name in draw(st.lists(st.sampled_from(NAMES), max_size=3, unique=True))}
        for tool in tools
    }
    kinds = {tool: {name: kind for name, (kind, _) in arguments.items()} for tool, arguments in drawn.items()}
    tool = draw(st.sampled_from(tools))
    return Tools(kinds), {tool: {name: value for name, (_, value) in drawn[tool].items()}}


def conforms(value: Any, schema: dict[str, Any]) -> bool:
    """A JSON schema validator of the few keywords that calls use, written apart from them."""
    if "anyOf" in schema:
        return sum(conforms(value, one) for one in schema["anyOf"]) == 1
    match schema["type"]:
        case "object":
            if not isinstance(value, dict) or not set(schema["required"]) <= set(value):
                return False
            texts = schema.get("patternProperties", {}).get("^[0-9]+$")
            inner = {key: schema["properties"].get(key, texts if key.isdecimal() else None) for key in value}
            return all(inner[key] and conforms(value[key], inner[key]) for key in value)
        case "array":
            size = schema["minItems"] <= len(value) <= schema["maxItems"]
            return size and all(conforms(item, schema["items"]) for item in value)
        case "string":
            fits = isinstance(value, str) and len(value) <= schema.get("maxLength", math.inf)
            return fits and value in schema.get("enum", [value])
    typed = isinstance(value, int if schema["type"] == "integer" else int | float)
    return typed and schema.get("minimum", -math.inf) <= value <= schema.get("maximum", math.inf)


# --- the three views


@quick
@given(calls())
def test_text_is_read_back_exactly(act: tuple[Tools, Any]) -> None:
    tools, value = act
    assert tools.parse(tools.describe(value)).value == value
    assert json.loads(tools.describe(value)).keys() == value.keys()


@quick
@given(calls())
def test_json_is_read_back_exactly_and_fits_the_schema(act: tuple[Tools, Any]) -> None:
    tools, value = act
    written = json.loads(json.dumps(tools.write(value)))
    assert tools.read(written) == (value, False, ())
    assert tools.parse(json.dumps(written)).value == value
    assert conforms(written, tools.schema())
    assert json.loads(json.dumps(tools.schema())) == tools.schema()


@quick
@given(calls())
def test_rows_are_decoded_exactly(act: tuple[Tools, Any]) -> None:
    tools, value = act
    coded = tools.encode_many([value, None, value])
    assert coded.dtype == tools.dtype == tools.blank(0).dtype
    assert tools.valid(coded).tolist() == [True, False, True]
    assert tools.is_blank(coded).tolist() == [False, True, False]
    assert tools.decode(coded[0]) == value
    assert tools.decode(coded[1]) is None
    assert list(tools.decode(tools.encode(value)) or ()) == list(value)
    assert not tools.valid(tools.blank(3)).any()


@quick
@given(calls())
def test_a_row_with_an_argument_too_few_or_too_many_is_no_call(act: tuple[Tools, Any]) -> None:
    tools, value = act
    [tool] = value
    row, empty = tools.encode_many([value]), tools.blank(1)
    for field, part in tools.parts.items():
        changed = row.copy()
        if field == "tool" or field.startswith(f"{tool}."):
            changed[field] = part.blank(1)
            stays = list(tools.parts) == [field]
            assert tools.is_blank(changed).tolist() == [stays or not value[tool]]
            assert not tools.valid(changed).any()
        stray = empty.copy()
        stray[field] = row[field]
        assert tools.is_blank(stray).tolist() == [bool(part.is_blank(row[field])[0])]
        assert tools.valid(stray).tolist() == [field == "tool" and not value[tool]]


@quick
@given(calls(), st.data())
def test_arguments_of_two_actions_at_once_are_no_call(act: tuple[Tools, Any], data: st.DataObject) -> None:
    tools, value = act
    [tool] = value
    others = [field for field in tools.parts if field != "tool" and not field.startswith(f"{tool}.")]
    if others:
        field = data.draw(st.sampled_from(others))
        row = tools.encode_many([value])
        kind = tools.parts[field]
        row[field][0] = kind.encode(
            kind.options[0] if isinstance(kind, Choice) else 0 if isinstance(kind, Number) else
            () if isinstance(kind, Picks) else {} if kind.addressed else ""  # type: ignore[attr-defined]
        )  # fmt: skip
        assert not tools.valid(row).any()
        assert not tools.is_blank(row).any()


@quick
@given(calls())
def test_tools_survive_pickling_and_hash(act: tuple[Tools, Any]) -> None:
    tools, value = act
    copy = pickle.loads(pickle.dumps(tools))
    assert copy == tools
    assert hash(copy) == hash(tools)
    assert copy.describe(value) == tools.describe(value)
    offer = tools.offer()
    assert pickle.loads(pickle.dumps(offer)).text == offer.text
    assert tools != Tools(tools.actions, {"reader": tuple(tools.actions)})


PIECES = ["vote", "wait", "post", "(", ")", "{", "}", '"', "'", "=", ",", ":", "A", "up", "\\", "[", "]", "\n", " "]


@quick
@given(st.lists(st.sampled_from(PIECES), max_size=25).map("".join) | st.text(max_size=40))
def test_any_text_is_read_as_a_valid_call_or_refused(text: str) -> None:
    try:
        found = FORUM.parse(text)
    except ReplyError:
        return
    assert FORUM.fault(found.value) == ""
    assert found.repaired == bool(found.how)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["vote", "wait", "A", "up", '{"a": 1}']),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(["tools", "vote", "wait", "name", "arguments", "function", "post", "up", "x"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)


@quick
@given(JSON)
def test_any_json_is_read_as_a_valid_call_or_refused(raw: Any) -> None:
    try:
        found = FORUM.read(raw)
    except ReplyError:
        return
    assert FORUM.fault(found.value) == ""


# --- an offer

FORUM = Tools(
    {
        "post": {"text": Message(limit=20)},
        "vote": {"post": Choice(("A", "B")), "up": Choice(("up", "down"))},
        "wait": {},
        "rate": {"stars": Number(1, 5, 1), "tags": Picks(("old", "new", "odd"), 2)},
    },
    roles={"reader": ("wait", "vote"), "editor": ("post", "vote", "wait", "rate")},
)
VOTE = {"vote": {"post": "A", "up": "up"}}


def test_an_offer_shows_its_actions_in_order_with_the_ranges_of_their_arguments() -> None:
    offer = FORUM.offer(order=(3, 2, 0))
    assert offer.text == (
        "rate, with the arguments stars, tags:\nstars: a whole number from 1 to 5\ntags, a list of 0 to 2 of\n"
        "- old\n- new\n- odd\n\nwait, without arguments\n\n"
        "post, with the arguments text:\ntext: a message to all of at most 20 characters"
    )
    assert '{"<action>": {"<argument>": <value>}}' in offer.form
    assert (offer.order, offer.labelled) == ((3, 2, 0), False)


def test_the_schema_has_one_closed_alternative_per_action_on_offer() -> None:
    def exactly(parts: dict[str, Any]) -> dict[str, Any]:
        return {"type": "object", "properties": parts, "required": list(parts), "additionalProperties": False}

    choices = {"post": {"type": "string", "enum": ["A", "B"]}, "up": {"type": "string", "enum": ["up", "down"]}}
    alternatives = [exactly({"wait": exactly({})}), exactly({"vote": exactly(choices)})]
    assert FORUM.offer(order=(2, 1)).schema() == exactly({"tools": {"anyOf": alternatives}})


@quick
@given(st.permutations(range(4)), st.integers(1, 4))
def test_an_action_not_on_offer_is_refused_with_what_is(order: list[int], size: int) -> None:
    offer = FORUM.offer(order=order[:size])
    tools = list(FORUM.actions)
    shown = ", ".join(tools[index] for index in order[:size])
    for index in order[size:]:
        ways = (tools[index], f'{{"{tools[index]}": {{}}}}', f"{tools[index]}()", f'{{"name": "{tools[index]}"}}')
        for text in ways:
            with pytest.raises(ReplyError) as caught:
                offer.parse(text)
            assert str(caught.value) == f"the action {tools[index]!r} is not on offer; the actions on offer are {shown}"


def test_a_call_that_is_not_on_offer_is_still_described() -> None:
    assert FORUM.offer(order=(2,)).describe(VOTE) == '{"vote": {"post": "A", "up": "up"}}'


def test_messages_to_some_go_by_the_names_of_the_offer() -> None:
    offer = Tools({"whisper": {"to": Message(addressed=True)}}).offer(names={"Ann": 3, "Bob": 5})
    assert "Ann, Bob" in offer.text
    assert offer.describe({"whisper": {"to": {5: "hi"}}}) == '{"whisper": {"to": {"Bob": "hi"}}}'
    assert offer.parse('whisper(to={"ann": "hi"})').value == {"whisper": {"to": {3: "hi"}}}


# --- repairs


@pytest.mark.parametrize(
    ("text", "how"),
    [
        ('{"vote": {"post": "A", "up": "up"}}', ()),
        ('\n {"vote":{"up":"up","post":"A"}}\n', ()),
        ('{"tools": {"vote": {"post": "A", "up": "up"}}}', ("key",)),
        ('{"VOTE": {"Post": "A", "up": "up"}}', ("case",)),
        ('{"vote": {"post": "a", "up": "UP"}}', ("case",)),
        ('{"vote": {"post": "A", "up": "up"}, "reason": "fun"}', ("extra",)),
        ('{"vote": {"post": "A", "up": "up", "reason": "fun"}}', ("extra",)),
        ('{"vote": "{\\"post\\": \\"A\\", \\"up\\": \\"up\\"}"}', ("type",)),
        ('```json\n{"vote": {"post": "A", "up": "up"}}\n```', ("fence",)),
        ('Let me see. {"vote": {"post": "A", "up": "up"}} That is it.', ("prose",)),
        ('I won\'t post. {"vote": {"post": "A", "up": "up"}}', ("prose",)),
        ('{\n"vote": {"post": "A", "up": "up"}}.', ("marks",)),
        ('{"name": "vote", "arguments": {"post": "A", "up": "up"}}', ("call",)),
        ('{"name": "vote", "arguments": "{\\"post\\": \\"A\\", \\"up\\": \\"up\\"}"}', ("call", "type")),
        ('{"id": "1", "name": "vote", "input": {"post": "A", "up": "up"}}', ("call", "extra")),
        ('{"tool": "vote", "arguments": {"post": "A", "up": "up"}}', ("call",)),
        ('{"tool": "Vote", "post": "A", "up": "up"}', ("call",)),
        ('{"type": "function", "function": {"name": "vote", "arguments": {"post": "A", "up": "up"}}}', ("key", "call")),
        ('{"name": "vote", "parameters": {"post": "A", "up": "up"}}', ("call",)),
        ('vote(post="A", up="up")', ("call",)),
        ("vote(post='A', up='up')", ("call",)),
        ("vote(post=A, up=up,)", ("call",)),
        ('vote("A", "up")', ("call",)),
        ('vote ( "A" , up = "up" )', ("call",)),
        ('vote({"post": "A", "up": "up"})', ("call",)),
        ('Vote(post="a", UP="up")', ("call", "case")),
        ('`vote(post="A", up="up")`', ("call", "marks")),
        ('```python\nvote(post="A", up="up")\n```', ("fence", "call")),
        ('I pick A: vote(post="A", up="up")', ("call", "prose")),
        ('vote(post="A", up="up") (see {above}), vote(post="A", up="up")', ("call", "prose")),
    ],
)
def test_ordinary_slips_are_repaired(text: str, how: tuple[str, ...]) -> None:
    assert FORUM.parse(text) == (VOTE, bool(how), how)


@pytest.mark.parametrize(
    ("text", "how"),
    [
        ('{"wait": {}}', ()),
        ("wait", ("bare",)),
        ("**Wait**.", ("bare",)),
        ('"wait"', ("bare",)),
        ("wait()", ("call",)),
        ('{"wait": null}', ("type",)),
        ('{"wait": ""}', ("type",)),
        ('{"action": "wait"}', ("call",)),
        ('{"tool": "wait", "because": "tired"}', ("call", "extra")),
    ],
)
def test_an_action_without_arguments_may_be_called_by_name(text: str, how: tuple[str, ...]) -> None:
    assert FORUM.parse(text) == ({"wait": {}}, bool(how), how)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('post(text="a (b), {c} \\"d\\"")', 'a (b), {c} "d"'),
        ("post(text='a (b), c')", "a (b), c"),
        ("post(it's fine)", "it's fine"),
        ('{"post": {"text": "vote(A, up)"}}!', "vote(A, up)"),
        ('post("x = 1, y == 2")', "x = 1, y == 2"),
        ("post(text=7)", "7"),
    ],
)
def test_texts_may_hold_what_calls_are_made_of(text: str, value: str) -> None:
    assert FORUM.parse(text).value == {"post": {"text": value}}


def test_lists_and_numbers_are_read_in_calls() -> None:
    for text in ('rate(stars=3, tags=["odd", "new"])', 'rate(3, tags="odd, new")', 'rate("3", ["odd", "new"])'):
        assert FORUM.parse(text).value == {"rate": {"stars": 3, "tags": ("odd", "new")}}


def test_the_structured_reply_may_lack_its_object() -> None:
    assert FORUM.read(VOTE) == (VOTE, True, ("bare",))
    assert FORUM.read({"tools": VOTE, "why": 1}) == (VOTE, True, ("extra",))
    assert FORUM.read({"tools": "wait"}) == ({"wait": {}}, True, ("bare",))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "the reply is empty"),
        ("null", "the reply is empty"),
        ('{"tools": null}', "the reply '{\"tools\": null}' calls none of the actions on offer: post, vote, wait, rate"),
        ("wat", "the reply 'wat' calls none of the actions on offer: post, vote, wait, rate; did you mean 'wait'?"),
        (
            '{"post": "A", "up": "up"}',
            'the reply \'{"post": "A", "up": "up"}\' calls none of the actions on offer: post, vote, wait, rate',
        ),
        ("[1]", "the reply is [1], expected a JSON object with one of post, vote, wait, rate"),
        ('{"wait": {}, "post": {"text": "x"}}', "the reply calls 'wait', 'post'; call exactly one action"),
        ('{"name": "wait", "vote": {"post": "A"}}', "the reply calls 'vote', 'wait'; call exactly one action"),
        ("wait() post(hi)", "the reply holds the answers {'wait': {}} and {'post': {'text': 'hi'}}; give one"),
        (
            '{"wait": {}} wait() post(hi)',
            "the reply holds the answers {'wait': {}} and {'post': {'text': 'hi'}}; give one",
        ),
        (
            "I will not wait()",
            "the reply 'I will not wait()' has a negation beside the call; answer with the call alone",
        ),
        ('{"vote": {"post": "A"}}', "the argument 'up' of the action 'vote' is missing, expected post, up"),
        ("vote", "the argument 'post' of the action 'vote' is missing, expected post, up"),
        ('{"vote": "A, up"}', "the arguments of the action 'vote' are no JSON object of post, up"),
        (
            '{"vote": {"post": "A", "Post": "B", "up": "up"}}',
            "the reply gives an argument of the action 'vote' twice, expected post, up once each",
        ),
        ("vote(A, post=B, up=up)", "the reply gives an argument of the action 'vote' twice"),
        ("wait(1)", "the action 'wait' takes nothing, not also '1'"),
        ("vote(A, up, B)", "the action 'vote' takes post, up, not also ' B'"),
        ('post("a" "b")', '\'"a" "b"\' is no value; write texts in double quotes, as in JSON'),
        (
            '{"vote": {"post": "C", "up": "up"}}',
            "in the argument 'post' of the action 'vote', the reply 'C' is none of the options on offer: A, B",
        ),
        (
            "post(text=" + "x" * 21 + ")",
            "in the argument 'text' of the action 'post', in the reply the message has 21 characters, "
            "expected at most 20",
        ),
        ("x" * 100_001, "the reply has 100,001 characters; at most 100,000 are read"),
    ],
)
def test_what_cannot_be_read_is_refused_with_a_sentence(text: str, sentence: str) -> None:
    with pytest.raises(ReplyError) as caught:
        FORUM.parse(text)
    assert str(caught.value) == sentence


def test_an_unclosed_bracket_hides_nothing_after_it() -> None:
    assert FORUM.parse("hm :( {so} vote( wait()").value == {"wait": {}}
    with pytest.raises(ReplyError):
        FORUM.parse("vote(" * 15_000)
