import asyncio
import json
import math
import os
import signal
import subprocess
import sys
from collections import Counter

import pytest
from fakes import now, play, rate
from hypothesis import given, settings
from hypothesis import strategies as st

from agentmicro.completion.board import Alone, BoardError, board_at
from agentmicro.completion.limiter import COOLDOWN, Limiter, Limits
from agentmicro.completion.seam import CallError, Fault
from agentmicro.errors import SpecError


async def work(limiter, seconds, sent, error=None, tokens=0.0, used=None):
    permit = await limiter.acquire(tokens)
    sent.append((now(), limiter.in_flight, permit))
    await asyncio.sleep(seconds)
    if error is None:
        limiter.answered(permit, used)
    else:
        limiter.faulted(permit, error)
    limiter.release(permit)


async def all_of(*works):
    await asyncio.gather(*works)


FAULTS = [None, rate(), rate(3.0), CallError(Fault.SERVER, "500", 500), CallError(Fault.TIMEOUT, "late")]


@settings(deadline=None, max_examples=60)
@given(
    st.integers(1, 9),
    st.lists(st.tuples(st.floats(0, 2), st.floats(0.01, 3), st.sampled_from(FAULTS)), max_size=60),
)
def test_never_more_in_flight_than_the_ceiling_and_everybody_gets_through(ceiling, calls):
    async def story():
        limiter, sent = Limiter(Limits(ceiling)), []

        async def later(start, seconds, error):
            await asyncio.sleep(start)
            await work(limiter, seconds, sent, error)

        await all_of(*(later(*call) for call in calls))
        return limiter, sent

    limiter, sent = play(story())
    assert len(sent) == len(calls)
    assert max((flying for _, flying, _ in sent), default=0) <= ceiling
    assert limiter.in_flight == 0
    assert 1 <= limiter.limit <= ceiling


def test_the_line_is_first_come_first_served():
    async def story():
        limiter, order = Limiter(Limits(2)), []

        async def one(name):
            permit = await limiter.acquire()
            order.append(name)
            await asyncio.sleep(1)
            limiter.release(permit)

        await all_of(*(one(name) for name in range(7)))
        return order, now()

    assert play(story()) == (list(range(7)), 1004.0)


def test_one_episode_of_429s_is_one_cut_and_the_next_episode_another():
    async def story():
        limiter, sent = Limiter(Limits(64)), []
        await all_of(*(work(limiter, 0.1, sent, rate()) for _ in range(64)))
        first = limiter.limit
        await all_of(*(work(limiter, 0.1, sent, rate()) for _ in range(10)))
        during = limiter.limit
        await asyncio.sleep(COOLDOWN)
        await work(limiter, 0.1, sent, rate())
        return first, during, limiter.limit

    assert play(story()) == (32, 32, 16)


def test_calls_that_left_before_a_cut_do_not_cut_again_however_late_their_429_comes():
    async def story():
        limiter, sent = Limiter(Limits(8)), []
        await all_of(work(limiter, 0.1, sent, rate()), work(limiter, 50, sent, rate()))
        return limiter.limit

    assert play(story()) == 4


def test_the_limit_never_falls_below_one_call():
    async def story():
        limiter, sent = Limiter(Limits(4)), []
        for _ in range(6):
            await work(limiter, 0.1, sent, rate())
            await asyncio.sleep(COOLDOWN)
        return limiter.limit

    assert play(story()) == 1


def test_retry_after_pauses_everybody_for_as_long_as_the_server_asks():
    async def story():
        limiter, sent = Limiter(Limits(2)), []
        await all_of(work(limiter, 0.5, sent, rate(7.0)), *(work(limiter, 0.3, sent) for _ in range(6)))
        return [time - 1000 for time, _, _ in sent], limiter.limit

    times, limit = play(story())
    asked_at = 0.5
    assert all(time <= asked_at or time >= asked_at + 7.0 for time in times)
    assert sum(time <= asked_at for time in times) == 3  # at 0 two, at 0.3 one; at 0.6 nobody
    assert limit == 1


def test_a_server_error_that_names_a_time_pauses_everybody_too_and_does_not_cut():
    async def story():
        limiter, sent = Limiter(Limits(4)), []
        await work(limiter, 0.0, sent, CallError(Fault.SERVER, "503", 503, 5.0))
        await work(limiter, 0.0, sent)
        return sent[1][0], limiter.limit

    assert play(story()) == (1005.0, 4)


@pytest.mark.parametrize("fault", [Fault.SERVER, Fault.TIMEOUT, Fault.CONNECTION])
def test_server_errors_and_time_outs_stop_the_growth_and_do_not_cut(fault):
    async def grown(error):
        limiter, sent = Limiter(Limits(64)), []
        await work(limiter, 0.0, sent, rate())
        await asyncio.sleep(COOLDOWN)
        if error:
            await work(limiter, 0.0, sent, error)
        before = limiter.limit
        for _ in range(200):
            await work(limiter, 0.001, sent)
        return before, limiter.limit

    assert play(grown(None))[1] > 32
    assert play(grown(CallError(fault, "no"))) == (32, 32)


@pytest.mark.parametrize("fault", [Fault.AUTH, Fault.REQUEST, Fault.PROTOCOL])
def test_faults_of_the_request_say_nothing_about_the_traffic(fault):
    async def story():
        limiter, sent = Limiter(Limits(8)), []
        await work(limiter, 0.0, sent, CallError(fault, "no", 400, 60.0))
        await work(limiter, 0.0, sent)
        return limiter.limit, now()

    assert play(story()) == (8, 1000.0)


def test_after_a_cut_the_limit_grows_back_slowly_to_the_ceiling_and_no_further():
    async def story():
        limiter, sent, seen = Limiter(Limits(8)), [], []
        await work(limiter, 0.0, sent, rate())
        await asyncio.sleep(COOLDOWN)
        for _ in range(60):
            await work(limiter, 0.01, sent)
            seen.append(limiter.limit)
        return seen

    seen = play(story())
    assert seen == sorted(seen)
    assert seen[0] == 4
    assert seen[-1] == 8
    # Each answer adds 1/limit, so that limit^2 grows by about 2 for each: (64 - 16) / 2 answers from 4 to 8.
    assert seen.index(8) == pytest.approx((64 - 16) / 2, abs=3)


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 300), st.integers(1, 64), st.floats(0, 1), st.integers(1, 400))
def test_no_minute_has_more_requests_than_its_ceiling(ceiling, concurrency, seconds, calls):
    async def story():
        limiter, sent = Limiter(Limits(concurrency, requests_per_minute=ceiling)), []
        await all_of(*(work(limiter, seconds, sent) for _ in range(calls)))
        return [time for time, _, _ in sent]

    times = play(story())
    assert len(times) == calls
    for first, other in zip(times, times[ceiling:], strict=False):
        assert other - first >= 60 - 1e-6


def test_no_minute_has_more_tokens_than_its_ceiling_where_the_estimate_is_right():
    async def story():
        limiter, sent = Limiter(Limits(64, tokens_per_minute=6000)), []
        await all_of(*(work(limiter, 0.1, sent, None, 100.0, 100.0) for _ in range(200)))
        return [time for time, _, _ in sent]

    times = play(story())
    assert all(sum(start <= time < start + 60 for time in times) * 100 <= 6000 for start in times)
    assert times[-1] - times[0] < 220  # and 20,000 tokens do not take much longer than they must


def test_tokens_are_corrected_by_what_the_reply_says():
    async def seconds(used):
        limiter, sent = Limiter(Limits(1, tokens_per_minute=6000)), []
        for _ in range(20):
            await work(limiter, 0.0, sent, None, 100.0, used)
        return now() - 1000

    assert play(seconds(10.0)) == pytest.approx(0.0, abs=1e-6)
    assert play(seconds(400.0)) > 60


def test_a_call_larger_than_the_bucket_still_goes():
    async def story():
        limiter, sent = Limiter(Limits(1, tokens_per_minute=100)), []
        await work(limiter, 0.0, sent, None, 5000.0, 10.0)
        await work(limiter, 0.0, sent, None, 5000.0, 10.0)
        return now() < 1000 + 3600

    assert play(story())


def test_who_is_cancelled_in_line_leaves_no_hole():
    async def story():
        limiter, sent = Limiter(Limits(1)), []
        tasks = [asyncio.ensure_future(work(limiter, 1.0, sent)) for _ in range(4)]
        await asyncio.sleep(0.5)
        tasks[1].cancel()
        await asyncio.sleep(0.5)
        tasks[2].cancel()  # perhaps it was just given its permit
        await asyncio.gather(*tasks, return_exceptions=True)
        await work(limiter, 1.0, sent)
        return limiter.in_flight

    assert play(story()) == 0


@pytest.mark.parametrize(
    ("limits", "sentence"),
    [
        ({"concurrency": 0}, "concurrency = 0: expected a whole number from 1 to 100000"),
        ({"requests_per_minute": 0.5}, "requests_per_minute = 0.5: expected a number of 1 or more"),
        ({"tokens_per_minute": math.inf}, "tokens_per_minute = inf: expected a number of 1 or more"),
    ],
)
def test_limits_that_are_none_are_named(limits, sentence):
    with pytest.raises(SpecError, match=sentence):
        Limits(**limits)


# Several processes -----------------------------------------------------------------------------------------------

CHILD = """
import asyncio, json, os, sys, time
from pathlib import Path
from agentmicro.completion.board import board_at
from agentmicro.completion.limiter import Limiter, Limits
from agentmicro.completion.seam import CallError, Fault
path, calls, seconds, end = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), sys.argv[4]
limiter = Limiter(Limits(6), board_at(path))
log = os.open(f"{path}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
async def work():
    permit = await limiter.acquire()
    limiter.board.sent()
    os.write(log, f"{os.getpid()} +{permit.slot}\\n".encode())
    await asyncio.sleep(seconds)
    if end == "kill":
        os.kill(os.getpid(), 9)
    if end == "cut":
        limiter.faulted(permit, CallError(Fault.RATE, "slow", 429, 0.3))
    os.write(log, f"{os.getpid()} -{permit.slot}\\n".encode())
    limiter.board.settled()
    limiter.release(permit)
async def main():
    await asyncio.gather(*(work() for _ in range(calls)))
    print(json.dumps({"limit": limiter.limit, "found": limiter.board.interrupted}))
print("ready", flush=True)
sys.stdin.readline()
asyncio.run(main())
"""


def children(path, *arguments):
    made = [
        subprocess.Popen(
            [sys.executable, "-c", CHILD, str(path), *map(str, each)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for each in arguments
    ]
    for child in made:
        assert child.stdout.readline() == "ready\n"
    for child in made:
        child.stdin.write("go\n")
        child.stdin.flush()
    outcomes = [child.communicate(timeout=60)[0] for child in made]
    assert all(child.returncode in (0, -signal.SIGKILL) for child in made)
    return [json.loads(text) if text else None for text in outcomes]


@pytest.mark.skipif(os.name == "nt", reason="byte locks of POSIX")
def test_processes_of_one_study_share_one_ceiling_and_each_gets_its_part(tmp_path):
    children(tmp_path / "board", (40, 0.02, "end"), (40, 0.02, "end"))
    flying, peak, begun = set(), 0, Counter()
    shared = 0
    for line in (tmp_path / "board.log").read_text().splitlines():
        process, slot = line.split()
        if slot.startswith("+"):
            assert slot[1:] not in flying  # a slot is one call's, whoever has it
            flying.add(slot[1:])
            begun[process] += 1
        else:
            flying.remove(slot[1:])
        peak = max(peak, len(flying))
        shared += len(begun) == 2 and min(begun.values()) < 40 and max(begun.values()) < 40
    assert peak <= 6
    assert set(begun.values()) == {40}
    assert shared > 20  # neither waited until the other had done everything


@pytest.mark.skipif(os.name == "nt", reason="byte locks of POSIX")
def test_a_killed_process_frees_its_slots_and_leaves_the_number_of_its_calls_in_flight(tmp_path):
    first = children(tmp_path / "board", (50, 0.05, "kill"))
    second = children(tmp_path / "board", (12, 0.001, "end"))
    third = children(tmp_path / "board", (12, 0.001, "end"))
    assert first == [None]
    assert second == [{"limit": 6, "found": 6}]
    assert third == [{"limit": 6, "found": 0}]


@pytest.mark.skipif(os.name == "nt", reason="byte locks of POSIX")
def test_a_pause_and_a_cut_hold_for_every_process(tmp_path):
    path = tmp_path / "board"
    mine = board_at(path)
    try:
        children(path, (1, 0.0, "cut"))
        with mine.state() as state:
            assert state.limit == 3
            assert state.paused > 0
    finally:
        mine.close()


@pytest.mark.skipif(os.name == "nt", reason="byte locks of POSIX")
def test_a_study_is_opened_twice_in_one_process_and_still_has_one_board(tmp_path):
    first, second = board_at(tmp_path / "board"), board_at(tmp_path / "board")
    assert first is second
    first.close()
    assert second.take(0)
    second.close()
    third = board_at(tmp_path / "board")
    assert third is not first
    third.close()


def test_a_board_that_cannot_be_made_is_one_sentence(tmp_path):
    with pytest.raises(BoardError, match=r"missing/board: the study's traffic cannot be shared here: No such file"):
        board_at(tmp_path / "missing" / "board")


def test_without_a_file_nothing_is_shared():
    assert isinstance(board_at(None), Alone)
