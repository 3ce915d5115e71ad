"""Both transports give the same replies and the same errors for the same exchanges, over a real server on loopback."""

import asyncio
from dataclasses import fields, replace

import pytest
from servers import FAULTS, Server, closed_port

from agentmicro.completion.models import transport_for
from agentmicro.completion.seam import CallError, Fault, Reply, Request, Status

SCHEMA = {
    "type": "object",
    "properties": {"choice": {"type": "string", "enum": ["A", "B"]}},
    "required": ["choice"],
    "additionalProperties": False,
}
SECRET = "sk-planted-0123456789abcdef"
MODELS = ("openai/gpt-4o-mini", "hosted_vllm/some/model", "lm_studio/x")
WAYS = ("direct", "litellm")
# What LiteLLM says where it cannot read an answer is its own, so that only the kind of fault is the same.
OWN_WORDS = ("not an object", "wrong shape")

type Ended = Reply | tuple[Fault, int | None, float | None, str]


def question(model: str, **more: object) -> Request:
    return Request(model, "Which?", SCHEMA, 1, 2, 3, **more)


async def ended(model: str, url: str, way: str, request: Request, seconds: float) -> Ended:
    """The reply, or what the error says; without the port and without the time it took."""
    transport = transport_for(model, url, way)
    port = url.rpartition(":")[2]
    try:
        reply = await transport.send(request, seconds)
        return replace(reply, seconds=0.0, error=reply.error.replace(port, "PORT/v1"))
    except CallError as error:
        wait = None if error.retry_after is None else round(error.retry_after, 0 if error.retry_after > 1000 else 6)
        return error.fault, error.status, wait, str(error).replace(port, "PORT/v1")
    finally:
        await transport.close()


def exchange(model: str, way: str, name: str, **more: object) -> tuple[Ended, Server]:
    seconds = 1.5 if name == "hang" else 20.0
    with Server(script={1: FAULTS[name]} if name in FAULTS else None) as server:
        return asyncio.run(ended(model, server.url, way, question(model, **more), seconds)), server


@pytest.mark.parametrize(
    ("model", "name"),
    [
        *((MODELS[0], name) for name in ("nothing", *FAULTS) if name != "redirect"),
        *((model, name) for model in MODELS[1:] for name in ("nothing", "429 after", "503", "refusal", "no usage")),
    ],
)
def test_one_exchange_ends_alike_on_both_transports(model, name):
    direct, ours = exchange(model, "direct", name, options={"temperature": 0.5, "seed": 3})
    lite, theirs = exchange(model, "litellm", name, options={"temperature": 0.5, "seed": 3})
    assert ours.last == theirs.last
    assert ours.seen.calls == theirs.seen.calls == 1
    if name in OWN_WORDS:
        direct, lite = direct[:-1], lite[:-1]
    if name == "429 date":
        assert abs(direct[2] - lite[2]) < 60
        direct, lite = direct[:2], lite[:2]
    assert direct == lite


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("name", "fault", "status", "wait"),
    [
        ("429", Fault.RATE, 429, None),
        ("429 after", Fault.RATE, 429, 1.5),
        ("429 after-ms", Fault.RATE, 429, 0.25),
        ("429 reset", Fault.RATE, 429, 62.0),
        ("500", Fault.SERVER, 500, None),
        ("502", Fault.SERVER, 502, None),
        ("503 after", Fault.SERVER, 503, 2.0),
        ("hang", Fault.TIMEOUT, None, None),
        ("reset", Fault.CONNECTION, None, None),
        ("cut", Fault.CONNECTION, None, None),
        ("invalid json", Fault.PROTOCOL, None, None),
        ("wrong shape", Fault.PROTOCOL, None, None),
        ("no choices", Fault.PROTOCOL, None, None),
        ("huge", Fault.PROTOCOL, None, None),
        ("error in 200", Fault.SERVER, 502, None),
        ("401", Fault.AUTH, 401, None),
        ("404", Fault.REQUEST, 404, None),
        ("408", Fault.TIMEOUT, 408, None),
    ],
)
def test_a_fault_is_what_it_is(way, name, fault, status, wait):
    assert exchange(MODELS[0], way, name)[0][:3] == (fault, status, wait)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("name", "reply"),
    [
        ("nothing", Reply('{"choice": "A"}', structured=True)),
        ("unknown option", Reply('{"choice": "an option that does not exist"}', structured=True)),
        ("empty", Reply("")),
        ("null", Reply("")),
        ("refusal", Reply("I can't help with that.", Status.REFUSED)),
        ("content filter", Reply("I", Status.REFUSED)),
    ],
)
def test_a_reply_says_what_came_what_it_used_and_who_answered(way, name, reply):
    found, _ = exchange(MODELS[1], way, name)
    assert found == replace(reply, tokens_in=40, tokens_out=5, tokens_cached=8, served="served-1")


@pytest.mark.parametrize("way", WAYS)
def test_a_server_that_nobody_runs_is_a_connection_fault(way):
    url = f"http://127.0.0.1:{closed_port()}/v1"
    found = asyncio.run(ended(MODELS[0], url, way, question(MODELS[0]), 20.0))
    assert found[:3] == (Fault.CONNECTION, None, None)
    url = "http://no-such-host.invalid/v1"
    assert asyncio.run(ended(MODELS[0], url, way, question(MODELS[0]), 20.0))[0] is Fault.CONNECTION


@pytest.mark.parametrize("way", WAYS)
def test_a_server_that_dies_and_comes_back_is_reached_again_by_the_same_transport(way):
    async def story() -> list[object]:
        told: list[object] = []
        with Server() as server:
            transport = transport_for(MODELS[0], server.url, way)
            for act in (None, server.stop, server.start):
                if act:
                    await asyncio.to_thread(act)
                for _ in range(2):  # the first may find a connection that died
                    try:
                        told.append((await transport.send(question(MODELS[0]), 20.0)).text)
                    except CallError as error:
                        told.append(error.fault)
            await transport.close()
        return told

    before, _, dead, still, _, after = asyncio.run(story())
    assert before == after == '{"choice": "A"}'
    assert dead is still is Fault.CONNECTION


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("rejected", "sent"), [(("seed",), {"temperature"}), (("response_format",), {"seed", "temperature"})]
)
def test_what_a_server_does_not_take_is_left_out_from_then_on_and_named(way, rejected, sent):
    async def twice(url: str) -> list[Reply]:
        transport = transport_for(MODELS[0], url, way)
        request = question(MODELS[0], options={"temperature": 0.5, "seed": 3})
        replies = [await transport.send(request, 20.0) for _ in range(2)]
        await transport.close()
        return replies

    with Server(rejects=rejected, answer=lambda _: '{"choice": "B"}') as server:
        first, second = asyncio.run(twice(server.url))
    assert (first.calls, second.calls, server.seen.calls) == (2, 1, 3)
    assert first.dropped == second.dropped == rejected
    assert first.structured is second.structured is ("response_format" not in rejected)
    assert sent == set(server.last) & {"temperature", "seed"}


@pytest.mark.parametrize("way", WAYS)
def test_an_option_under_its_new_name_is_not_dropped(way):
    with Server(rejects=("max_tokens",)) as server:
        request = question("openai/local", options={"max_tokens": 7})
        found = asyncio.run(ended("openai/local", server.url, way, request, 20.0))
    assert (found.calls, found.dropped) == (2, ())
    assert server.last["max_completion_tokens"] == 7


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", ["nothing", "401", "403", "500", "502", "reset", "cut", "wrong shape", "huge"])
def test_the_key_is_sent_to_the_server_and_told_to_nobody(monkeypatch, capfd, caplog, way, name):
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)

    def telling(_: int, body: object) -> object:
        fault = FAULTS.get(name)
        if name == "403":
            fault = replace(fault, body=b'{"error": {"message": "Bearer ' + SECRET.encode() + b' is not allowed"}}')
        return fault

    with caplog.at_level("DEBUG"), Server(script=telling) as server:
        transport = transport_for(MODELS[0], server.url, way)

        async def send() -> object:
            try:
                return await transport.send(question(MODELS[0]), 20.0)
            except CallError as error:
                return error
            finally:
                await transport.close()

        found = asyncio.run(send())
    assert server.seen.keys == {SECRET: 1}
    shown = [str(found), repr(found), repr(transport), repr(vars(transport))]
    while isinstance(found, BaseException):
        shown += [str(found), repr(found.args), repr(vars(found))]
        found = found.__cause__ or (None if found.__suppress_context__ else found.__context__)
    out, err = capfd.readouterr()
    assert not [text for text in (*shown, out, err, caplog.text) if SECRET in text]


def test_replies_are_compared_by_every_field():
    assert {"text", "status", "structured", "tokens_cached", "cost_usd", "served", "calls", "dropped"} <= {
        each.name for each in fields(Reply)
    }
