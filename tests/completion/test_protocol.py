"""The protocol as data: how long to wait, what a body is, and what an answer says, whatever it looks like."""

from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentmicro.completion.protocol import answered, asked, failed, retry_after
from agentmicro.completion.routes import route
from agentmicro.completion.seam import CallError, Fault, Request, Status

NOW = 1_800_000_000.0
ROUTE = route("openai/x", "http://127.0.0.1:9/v1")
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["choices", "message", "content", "usage", "error", "code", "refusal", "prompt_tokens"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": "2"}, 2.0),
        ({"RETRY-AFTER": " 2.5 "}, 2.5),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after": formatdate(NOW + 90, usegmt=True)}, 90.0),
        ({"retry-after": formatdate(NOW - 90, usegmt=True)}, 0.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"x-ratelimit-reset": "12"}, 12.0),
        ({"x-ratelimit-reset": str(int(NOW + 30))}, 30.0),
        ({"x-ratelimit-reset": str(int(NOW + 30) * 1000)}, 30.0),
        ({"x-ratelimit-reset-requests": "1m2s", "x-ratelimit-reset-tokens": "20ms"}, 62.0),
        ({"x-ratelimit-reset-tokens": "1h30m0.5s"}, 5400.5),
        (
            {
                "x-ratelimit-reset-requests": "8m",
                "x-ratelimit-remaining-requests": "55",
                "x-ratelimit-reset-tokens": "3s",
                "x-ratelimit-remaining-tokens": "0",
            },
            3.0,
        ),
    ],
)
def test_a_server_says_in_many_ways_how_long_to_wait(headers, seconds):
    assert retry_after(headers, NOW, limited=True) == pytest.approx(seconds)


def test_a_reset_of_limits_counts_only_for_a_limit():
    assert retry_after({"x-ratelimit-reset": "12"}, NOW) is None
    assert retry_after({"retry-after": "12"}, NOW) == 12.0


@given(st.text(max_size=20), st.sampled_from(["retry-after", "retry-after-ms", "x-ratelimit-reset-tokens"]))
def test_whatever_a_header_holds_the_wait_is_none_or_a_number_that_is_not_negative(value, name):
    found = retry_after({name: value}, NOW, limited=True)
    assert found is None or found >= 0


@pytest.mark.parametrize(
    ("status", "fault", "passing"),
    [
        (307, Fault.PROTOCOL, False),
        (400, Fault.REQUEST, False),
        (401, Fault.AUTH, False),
        (403, Fault.AUTH, False),
        (404, Fault.REQUEST, False),
        (408, Fault.TIMEOUT, True),
        (422, Fault.REQUEST, False),
        (429, Fault.RATE, True),
        (500, Fault.SERVER, True),
        (503, Fault.SERVER, True),
        (529, Fault.SERVER, True),
    ],
)
def test_the_status_says_the_kind_of_fault_whatever_the_words(status, fault, passing):
    error = failed(status, {}, b'{"error": {"message": "rate_limit timeout 500"}}', ROUTE)
    assert (error.fault, error.status, error.passing) == (fault, status, passing)


@given(st.binary(max_size=200), st.integers(300, 599))
def test_any_body_of_a_failure_is_one_line(body, status):
    assert len(str(failed(status, {}, body, ROUTE)).splitlines()) == 1


def test_a_key_that_a_server_repeats_is_not_quoted(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "planted-0123456789")
    way = route("openai/x")
    for status in (400, 401, 403, 429, 500):
        error = failed(status, {}, b'{"error": {"message": "no: Bearer planted-0123456789"}}', way)
        assert "planted" not in str(error)
    assert "see OPENAI_API_KEY" in str(failed(401, {}, b"", way))


@given(json_values)
def test_any_json_is_a_reply_or_a_call_error(data):
    try:
        found = answered(data, ROUTE, True, calls=1, seconds=0.0, dropped=())
    except CallError as error:
        found = error.fault
    assert isinstance(found, Fault) or isinstance(found.text, str)


@pytest.mark.parametrize(
    ("text", "structured"), [('{"choice": "A"}', True), ("A", False), ("", False), ("[" * 100_000, False)]
)
def test_only_json_counts_as_held_to_the_schema(text, structured):
    data = {"choices": [{"message": {"content": text}}]}
    reply = answered(data, ROUTE, True, calls=1, seconds=0.0, dropped=())
    assert (reply.text, reply.structured, reply.status) == (text, structured, Status.OK)


def test_a_server_that_counts_no_tokens_leaves_them_unknown():
    for usage in (None, {}, {"prompt_tokens": 0, "completion_tokens": 0}, {"prompt_tokens": "many"}, [1]):
        data = {"choices": [{"message": {"content": "A"}}], "usage": usage}
        reply = answered(data, ROUTE, False, calls=1, seconds=0.0, dropped=())
        assert (reply.tokens_in, reply.tokens_out, reply.tokens_cached, reply.cost_usd) == (None,) * 4


def test_a_body_has_the_conversation_the_options_and_the_schema():
    request = Request("openai/x", "Which?", {"type": "object"}, 1, 2, 3, system="Be brief.", options={"temperature": 0})
    assert asked(request, ROUTE, {}) == {
        "model": "x",
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Which?"}],
        "temperature": 0,
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "answer", "schema": {"type": "object"}, "strict": True},
        },
    }


@pytest.mark.parametrize("name", ["model", "messages", "stream", "n", "response_format"])
def test_an_option_that_would_change_what_is_asked_is_refused(name):
    request = Request("openai/x", "Which?", {}, 1, 2, 3, options={name: 1})
    with pytest.raises(CallError, match=f"the option '{name}' is agentmicro's own to set"):
        asked(request, ROUTE, {})


def test_a_transport_answers_for_its_own_model_only():
    with pytest.raises(CallError, match="asked for openai/y, which is another model's to answer"):
        asked(Request("openai/y", "Which?", {}, 1, 2, 3), ROUTE, {})
