import asyncio
import os
import subprocess
import sys
import threading

import pytest

from agentmicro.completion import loop


async def where():
    return threading.current_thread().name, id(asyncio.get_running_loop())


def test_every_thread_gets_the_same_loop_on_a_thread_of_its_own():
    found = [loop.run(where())]
    other = threading.Thread(target=lambda: found.append(loop.run(where())))
    other.start()
    other.join()
    assert found[0] == found[1]
    assert found[0][0] != threading.current_thread().name


def test_a_caller_whose_own_loop_is_running_can_wait_too():
    async def cell():
        return loop.run(asyncio.sleep(0, "done"))

    assert asyncio.run(cell()) == "done"


def test_what_a_coroutine_raises_is_raised_by_run():
    async def breaks():
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        loop.run(breaks())


def test_waiting_on_the_loops_own_thread_is_an_error_and_no_deadlock():
    async def inside():
        loop.run(asyncio.sleep(0))

    with pytest.raises(RuntimeError, match="await instead"):
        loop.run(inside())


def test_after_a_stop_the_next_run_has_a_new_loop():
    before = loop.run(where())
    loop.stop()
    loop.stop()
    assert before[0] not in [thread.name for thread in threading.enumerate()]
    assert loop.run(asyncio.sleep(0, 1)) == 1


def script(code: str) -> str:
    head = "import asyncio, os, signal, sys, threading, time\nfrom agentmicro.completion import loop\n"
    done = subprocess.run([sys.executable, "-c", head + code], capture_output=True, text=True, timeout=60, check=True)
    assert not done.stderr
    return done.stdout


def test_ctrl_c_cancels_what_runs_lets_it_end_and_leaves_the_loop_usable():
    code = """
async def long():
    try:
        threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
        await asyncio.sleep(60)
    finally:
        await asyncio.sleep(0.05)
        print("ended")
try:
    loop.run(long())
except KeyboardInterrupt:
    print("interrupted", loop.run(asyncio.sleep(0, "usable")))
"""
    assert script(code).split() == ["ended", "interrupted", "usable"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_starts_its_own_loop():
    code = """
import warnings
warnings.simplefilter("ignore", DeprecationWarning)
loop.run(asyncio.sleep(0))
child = os.fork()
if not child:
    os._exit(loop.run(asyncio.sleep(0, 7)))
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), loop.run(asyncio.sleep(0, 8)))
"""
    assert script(code).split() == ["7", "8"]


def test_the_process_ends_in_order_while_something_still_runs_on_the_loop():
    code = """
async def background():
    try:
        await asyncio.sleep(60)
    finally:
        print("ended")
async def start():
    globals()["task"] = asyncio.create_task(background())
    await asyncio.sleep(0)
loop.run(start())
print("left")
"""
    assert script(code).split() == ["left", "ended"]


def waiting(seconds=60):
    """A thread that waits for a call, and what became of it."""
    begun, ended, found = threading.Event(), threading.Event(), []

    async def call():
        begun.set()
        try:
            await asyncio.sleep(seconds)
        finally:
            ended.set()

    def work():
        try:
            loop.run(call())
        except loop.Cancelled as error:
            found.append(str(error))

    thread = threading.Thread(target=work)
    return thread, begun, ended, found


def test_another_thread_can_drop_the_calls_that_one_waits_for():
    thread, begun, ended, found = waiting()
    thread.start()
    assert begun.wait(10)
    loop.cancel(thread)
    thread.join(10)
    assert ended.is_set()
    assert found == ["calls to language models were cancelled before they were answered"]
    assert loop.run(where())


def test_calls_made_after_a_cancellation_are_dropped_until_they_are_allowed():
    thread, _, _, found = waiting()
    loop.cancel(thread)
    thread.start()
    thread.join(10)
    assert found
    loop.allow(threading.current_thread())
    loop.cancel(threading.current_thread())
    with pytest.raises(loop.Cancelled):
        loop.run(asyncio.sleep(60))
    loop.allow(threading.current_thread())
    assert loop.run(asyncio.sleep(0, "again")) == "again"


def test_dropping_the_calls_of_one_thread_leaves_those_of_another():
    threads = [waiting(0.3) for _ in range(2)]
    for thread, *_ in threads:
        thread.start()
    for _, begun, *_ in threads:
        assert begun.wait(10)
    loop.cancel(threads[0][0])
    for thread, *_ in threads:
        thread.join(10)
    assert [len(found) for *_, found in threads] == [1, 0]
