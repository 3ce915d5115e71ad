import asyncio
import itertools

import pytest
from fakes import Fake, now, play, rate, reply, request
from hypothesis import given, settings
from hypothesis import strategies as st

from agentmicro.completion.limiter import Limiter, Limits
from agentmicro.completion.retry import Halt, Patience, ask, expected
from agentmicro.completion.seam import CallError, Fault, Status
from agentmicro.errors import SpecError
from agentmicro.noise import key, uniform

SERVER = CallError(Fault.SERVER, "the server says 500", 500)


def asked(answer, patience=None, one=None):
    """The answer, the seconds it took, and the times of the calls, on a clock that jumps."""
    times = []

    def note(request, call):
        times.append(now() - 1000)
        return answer(request, call)

    async def story():
        found = await ask(one or request(), Fake(note), Limiter(Limits()), patience or Patience(), Halt())
        return found, now() - 1000

    found, seconds = play(story())
    return found, seconds, times


def test_an_answer_is_passed_on_with_the_calls_and_the_seconds_that_it_took():
    found, seconds, times = asked(lambda request, call: SERVER if call < 2 else reply("yes", calls=2))
    assert found.fault is None
    assert (found.reply.text, found.reply.status, found.reply.calls) == ("yes", Status.OK, 4)  # the last one took two
    assert found.reply.seconds == seconds
    assert len(times) == 3


@pytest.mark.parametrize("fault", [Fault.RATE, Fault.SERVER, Fault.TIMEOUT, Fault.CONNECTION])
def test_passing_faults_are_tried_again_and_no_more_often_than_allowed(fault):
    found, _, times = asked(lambda request, call: CallError(fault, "nothing"), Patience(tries=4))
    assert len(times) == 4
    assert (found.reply.status, found.reply.calls, found.reply.error) == (
        Status.FAILED,
        4,
        f"{fault.value}: nothing; 4 calls",
    )
    assert found.fault.fault is fault


@pytest.mark.parametrize("fault", [Fault.AUTH, Fault.REQUEST, Fault.PROTOCOL])
def test_faults_that_do_not_pass_fail_at_once(fault):
    found, seconds, times = asked(lambda request, call: CallError(fault, "no"))
    assert (len(times), seconds, found.reply.error) == (1, 0.0, f"{fault.value}: no")


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2**40), st.integers(0, 999), st.integers(0, 99), st.integers(0, 3))
def test_waits_are_keyed_luck_below_an_exponential_ceiling(seed, agent, decision, attempt):
    one = request(agent, decision, seed=seed, attempt=attempt)
    patience = Patience(tries=6, first_wait=1.0, longest_wait=5.0)
    _, _, times = asked(lambda request, call: SERVER, patience, one)
    luck = key(seed, f"retry {attempt}", decision, agent)
    waits = [uniform(luck, draw) * ceiling for draw, ceiling in enumerate((1.0, 2.0, 4.0, 5.0, 5.0))]
    assert [b - a for a, b in itertools.pairwise(times)] == pytest.approx(waits, abs=1e-6)


def test_retry_after_is_waited_for():
    _, _, times = asked(lambda request, call: reply() if call else rate(20.0))
    assert times == [0.0, 20.0]


def test_a_server_that_asks_for_more_than_the_patience_fails_the_decision_at_once():
    found, seconds, times = asked(lambda request, call: rate(500.0))
    assert (len(times), seconds) == (1, 0.0)
    assert found.reply.error == ("rate limit: slow down; the server asks to wait 500 s; a decision may take 120 s")


@pytest.mark.parametrize("stubborn", [False, True])
def test_a_call_ends_at_its_time_out_even_if_the_transport_ignores_its_cancellation(stubborn):
    async def hang():
        for _ in range(100):
            try:
                await asyncio.sleep(1000)
            except asyncio.CancelledError:
                if not stubborn:
                    raise

    found, seconds, times = asked(lambda request, call: reply() if call else hang(), Patience(call_seconds=7.0))
    assert found.reply.text == "yes"
    assert 7.0 <= times[1] <= 8.0
    assert seconds == times[1]


def test_a_decision_ends_at_its_time_limit_whatever_is_left_of_its_tries():
    async def hang():
        await asyncio.sleep(1000)

    patience = Patience(tries=50, call_seconds=50.0, decision_seconds=120.0)
    found, seconds, times = asked(lambda request, call: hang(), patience)
    assert seconds <= 120.0
    assert len(times) == 3
    assert found.reply.error.startswith("time-out: no reply within ")
    assert found.reply.error.endswith("; 3 calls; a decision may take 120 s")


def test_standing_in_line_costs_no_patience():
    async def slow():
        await asyncio.sleep(50.0)
        return reply()

    async def story():
        limiter = Limiter(Limits(1))
        fake, halt = Fake(lambda request, call: slow()), Halt()
        return await asyncio.gather(*(ask(request(agent), fake, limiter, Patience(), halt) for agent in range(10)))

    assert [answer.reply.text for answer in play(story())] == ["yes"] * 10


def test_a_halt_wakes_who_waits_and_lets_calls_in_flight_end():
    async def slow():
        await asyncio.sleep(5.0)
        return reply()

    async def story():
        limiter, halt = Limiter(Limits(2)), Halt()
        fake = Fake(lambda request, call: slow() if request.agent else SERVER)
        tasks = [
            asyncio.ensure_future(ask(request(agent), fake, limiter, Patience(first_wait=60.0), halt))
            for agent in range(6)
        ]
        halt.asking = set(tasks)
        await asyncio.sleep(1.0)
        halt(SpecError("first"))
        halt(SpecError("second"))
        found = await asyncio.gather(*tasks, return_exceptions=True)
        return found, str(halt.reason), now(), len(fake.sent), limiter.in_flight

    found, reason, time, sent, in_flight = play(story())
    answered = [one for one in found if not isinstance(one, asyncio.CancelledError)]
    assert [one.reply.text for one in answered] == ["yes", "yes"]
    assert (reason, time, sent, in_flight) == ("first", 1005.0, 3, 0)


def test_cancelling_a_decision_gives_its_slot_back():
    async def story():
        limiter = Limiter(Limits(1))
        hang = Fake(lambda request, call: asyncio.sleep(1000))
        task = asyncio.ensure_future(ask(request(), hang, limiter, Patience(), Halt()))
        await asyncio.sleep(1)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await asyncio.sleep(0)
        return limiter.in_flight, hang.in_flight, task.cancelled()

    assert play(story()) == (0, 0, True)


def test_a_call_is_expected_to_use_its_prompt_and_the_answers_ceiling():
    one = request(prompt="x" * 400, system="y" * 40, options={"max_tokens": 30})
    assert expected(one) == 140
    assert expected(request(prompt="x" * 400)) == 300


@pytest.mark.parametrize(("name", "value"), [("tries", 0), ("call_seconds", 0.0), ("decision_seconds", float("inf"))])
def test_patience_that_is_none_is_named(name, value):
    with pytest.raises(SpecError, match=f"{name} = {value}: expected"):
        Patience(**{name: value})
