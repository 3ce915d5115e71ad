"""What is particular to the direct transport: its connections, its memory, and what it does not follow."""

import asyncio
import tracemalloc

import pytest
from servers import FAULTS, Answer, Server, completion

from agentmicro.completion.models import transport_for
from agentmicro.completion.seam import CallError, Fault, Reply, Request

MODEL = "openai/x"


def question(agent: int = 0) -> Request:
    return Request(MODEL, f"Which, agent {agent}?", {}, 1, agent, 3)


def send(url: str, *requests: Request, connections: int = 8, seconds: float = 20.0) -> list[Reply | BaseException]:
    async def go() -> list[Reply | BaseException]:
        transport = transport_for(MODEL, url, "direct", connections=connections)
        found = await asyncio.gather(*(transport.send(each, seconds) for each in requests), return_exceptions=True)
        await transport.close()
        return found

    return asyncio.run(go())


def test_replies_come_to_who_asked_over_no_more_connections_than_the_bound():
    with Server(latency=0.01) as server:
        replies = send(server.url, *(question(agent) for agent in range(40)), connections=8)
    assert [reply.text for reply in replies] == [f"Which, agent {agent}?" for agent in range(40)]
    assert server.seen.opened == server.seen.most_open == server.seen.most_in_flight == 8


def test_a_redirect_is_not_followed():
    with Server() as elsewhere:
        moved = Answer(307, b"", (("Location", elsewhere.url + "/chat/completions"),))
        with Server(script={1: moved}) as server:
            (error,) = send(server.url, question())
    assert isinstance(error, CallError)
    assert (error.fault, error.status) == (Fault.PROTOCOL, 307)
    assert "redirects are not followed" in str(error)
    assert elsewhere.seen.opened == 0


def test_of_a_reply_without_end_no_more_is_held_than_an_answer_can_have():
    with Server(script={1: FAULTS["429"], 2: Answer(body=completion("x" * 30_000_000))}) as server:
        send(server.url, question())  # imports and connections are not what is measured
        tracemalloc.start()
        try:
            (error,) = send(server.url, question())
            _, most = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert isinstance(error, CallError)
    assert str(error).endswith("answered with more than 2 MB")
    assert most < 30_000_000 + 10_000_000  # the server in this process builds the 30 MB once


def test_a_call_that_is_cancelled_stops_and_leaves_the_transport_sound():
    async def story(url: str) -> str:
        transport = transport_for(MODEL, url, "direct")
        hanging = asyncio.create_task(transport.send(question(), 60.0))
        await asyncio.sleep(0.1)
        hanging.cancel()
        with pytest.raises(asyncio.CancelledError):
            await hanging
        reply = await transport.send(question(1), 20.0)
        await transport.close()
        return reply.text

    with Server(script={1: FAULTS["hang"]}) as server:
        assert asyncio.run(story(server.url)) == "Which, agent 1?"


def test_many_calls_at_once_that_meet_one_rejection_all_end_well():
    request = Request(MODEL, "Which?", {"enum": ["A"]}, 1, 2, 3, options={"seed": 1, "temperature": 1, "top_p": 1})
    with Server(rejects=("seed", "top_p", "response_format"), latency=0.01) as server:
        replies = send(server.url, *[request] * 10)
    assert {reply.dropped for reply in replies} == {("seed", "top_p", "response_format")}
    assert max(reply.calls for reply in replies) <= 4


@pytest.mark.parametrize("status", [400, 422])
def test_a_value_out_of_range_is_the_callers_to_mend_and_no_option_to_drop(status):
    body = b'{"error": {"message": "temperature must be at most 2", "param": "temperature"}}'
    request = Request(MODEL, "Which?", {}, 1, 2, 3, options={"temperature": 9})
    with Server(script=lambda *_: Answer(status, body)) as server:
        (error,) = send(server.url, request)
    assert "temperature must be at most 2" in str(error)
    assert server.seen.calls == 1


def test_the_time_limit_holds_over_all_calls_of_one_decision():
    with Server(rejects=("response_format",), latency=0.3) as server:
        (error,) = send(server.url, Request(MODEL, "Which?", {"enum": ["A"]}, 1, 2, 3), seconds=0.45)
    assert isinstance(error, CallError)
    assert (error.fault, server.seen.calls) == (Fault.TIMEOUT, 2)
    assert "no answer within 0.45 s" in str(error)


def test_a_transport_works_again_after_it_was_closed():
    async def story(url: str) -> list[str]:
        transport, said = transport_for(MODEL, url, "direct"), []
        for agent in range(2):
            said.append((await transport.send(question(agent), 20.0)).text)
            await transport.close()
        return said

    with Server() as server:
        assert asyncio.run(story(server.url)) == ["Which, agent 0?", "Which, agent 1?"]


def test_a_key_with_a_newline_at_its_end_is_sent_without_it(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "planted-0123456789\n")
    with Server() as server:
        send(server.url, question())
    assert dict(server.seen.keys) == {"planted-0123456789": 1}
