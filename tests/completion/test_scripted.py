import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentmicro.affordances import Artifact, Choice, Message, Number, Picks
from agentmicro.completion import SCRIPTS, Reply, Request, Scripted, Status
from agentmicro.errors import MindError

LETTERS = tuple("ABC")


def ask(kind, agent=0, decision=0, seed=1):
    return Request("model", "prompt", kind.offer().schema(), seed, agent, decision)


def reply(script, request):
    return Scripted(script).complete([request])[0]


numbers = st.builds(
    lambda low, width, step: Number(low, low + width * (step or 1), step),
    st.integers(-50, 50),
    st.integers(1, 20),
    st.sampled_from([None, 1]),  # other steps are more than a JSON schema can say
)
simple = st.one_of(
    st.just(Choice(LETTERS)),
    st.builds(
        lambda least, more: Picks(LETTERS, most=min(3, max(1, least + more)), least=min(least, 3)),
        st.integers(0, 3),
        st.integers(0, 3),
    ),
    numbers,
    st.sampled_from(
        [
            Message(),
            Message(limit=2),
            Message(addressed=True),
            Number(float("-inf"), -5),
            Number(3, float("inf"), step=1),
            Number(-2, 6, step=2),
        ]
    ),
)
kinds = st.one_of(simple, st.builds(lambda a, b: Artifact({"one": a, "two": b}), simple, simple))


@settings(deadline=None, max_examples=150)
@given(kinds, st.sampled_from(["first", "chance"]), st.integers(0, 50), st.integers(0, 50))
def test_the_example_is_something_that_the_schema_allows(kind, script, agent, decision):
    answer = reply(script, ask(kind, agent, decision))
    assert answer.status is Status.OK
    value = kind.offer().read(json.loads(answer.text)).value
    assert kind.valid(kind.encode_many([value])).all()


def test_chance_takes_everything_and_depends_on_the_decision_alone():
    kind = Picks(LETTERS, most=2)
    found = {reply("chance", ask(kind, agent)).text for agent in range(300)}
    assert len(found) == 1 + 3 + 6
    requests = [ask(kind, agent, decision) for agent in range(5) for decision in range(3)]
    together = Scripted("chance").complete(requests)
    assert [answer.text for answer in together] == [reply("chance", request).text for request in requests]
    assert reply("chance", ask(kind, seed=1)).text == reply("chance", ask(kind, seed=1)).text


def test_a_list_is_walked_by_agent_and_decision():
    for agent in range(4):
        for decision in range(4):
            assert reply(["x", "y", "z"], ask(Message(), agent, decision)).text == "xyz"[(agent + decision) % 3]


def test_a_function_answers_with_a_text_or_a_reply():
    assert reply(lambda request: f"agent {request.agent}", ask(Message(), 3)) == Reply("agent 3", served="model")
    made = Reply("no", Status.REFUSED)
    assert reply(lambda request: made, ask(Message())) is made
    assert reply("refuse", ask(Message())).status is Status.REFUSED
    assert reply("silent", ask(Message())).text == ""


@pytest.mark.parametrize(
    ("script", "error"),
    [
        (lambda request: 1 / 0, "ZeroDivisionError: division by zero"),
        (lambda request: {}["x"], "KeyError: 'x'"),
        (lambda request: None, "TypeError: the script returned None, expected a text or a Reply"),
        (lambda request: 5, "TypeError: the script returned 5, expected a text or a Reply"),
    ],
)
def test_a_script_that_goes_wrong_is_a_failed_call_that_says_why(script, error):
    answer = reply(script, ask(Message()))
    assert (answer.status, answer.text, answer.error) == (Status.FAILED, "", error)


def test_an_unknown_name_or_an_empty_list_is_refused_at_once():
    with pytest.raises(MindError, match=r"^scripted:frist: expected one of first, .*; did you mean 'first'\?$"):
        Scripted("frist")
    with pytest.raises(MindError, match=r"^scripted: an empty list of replies, expected at least one$"):
        Scripted([])


def test_the_named_scripts_are_those_that_minds_can_name():
    assert list(SCRIPTS) == ["first", "chance", "silent", "refuse"]
    assert all(script.__doc__ for script in SCRIPTS.values())
