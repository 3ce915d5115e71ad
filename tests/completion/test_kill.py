"""Killed at random moments, a run loses nothing that was recorded and ends as if it had not been killed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from agentmicro.completion.client import WORKERS

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL")

# A run of 300 decisions, 10 turns of 30 agents, in which each prompt holds what was said a turn before. The server
# writes a line into its ledger when a call arrives. It is a function of the prompt and of nothing else.
RUN = """
import asyncio, hashlib, json, os, random, signal, sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from fakes import request, reply, rate
from agentmicro.completion.client import Client
from agentmicro.completion.limiter import Limits
from agentmicro.completion.record import Record, identity
from agentmicro.completion.retry import Patience
from agentmicro.completion.seam import CallError, Fault
from agentmicro.completion.session import session

FOLDER = Path(sys.argv[1])
PATIENCE = Patience(tries=3, first_wait=0.001, longest_wait=0.002)

class Server:
    def __init__(self, ledger):
        self.ledger = os.open(ledger, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def __call__(self, model, base_url, force):
        return self

    async def send(self, one, seconds):
        digest = hashlib.sha256(one.prompt.encode()).digest()
        os.write(self.ledger, identity(one)[0].encode() + b"\\n")
        await asyncio.sleep(0.001 + digest[0] / 50_000)
        if digest[1] < 8:
            raise CallError(Fault.PROTOCOL, "no JSON")
        return reply(digest.hex()[:8])

    async def close(self):
        pass

def run(path, ledger):
    with session(path, factory=Server(ledger), limits=Limits(4), patience=PATIENCE) as study:
        client, said, told = Client(), ["begin"] * 30, []
        for turn in range(10):
            heard = [f"{turn} {agent} {said[agent - 1]} {said[agent]}?" for agent in range(30)]
            asked = [request(agent, turn, prompt=heard[agent]) for agent in range(30)]
            replies = client.complete(asked)
            said = [one.text for one in replies]
            told.append([(one.text, one.status, one.error) for one in replies])
        return told, study.interrupted

def recorded(path):
    if not path.exists():
        return set()
    record = Record(path, read_only=True)
    found = {place for (place,) in record.rows("SELECT key FROM replies")}
    record.close()
    return found

def child(path, ledger):
    made = os.fork()
    if not made:
        told, interrupted = run(path, ledger)
        Path(f"{path}.told").write_text(json.dumps([told, interrupted]))
        os._exit(0)
    return made

def lines(ledger):
    return ledger.read_text().splitlines() if ledger.exists() else []
"""

MURDER = (
    RUN
    + """
path, ledger, luck = FOLDER / "killed", FOLDER / "ledger", random.Random(1)
kills, ended, again, lost = 0, False, 0, 0
while not ended:
    before, heard = recorded(path), len(lines(ledger))
    made = child(path, ledger)
    if kills < 50 and len(before) < 280:
        while len(lines(ledger)) == heard:  # alive and asking
            time.sleep(0.0005)
        time.sleep(luck.uniform(0, 0.012))
        os.kill(made, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(made, 0)[1])
    assert code in (0, -signal.SIGKILL), code
    ended = code == 0
    kills += not ended
    again += len(before & set(lines(ledger)[heard:]))
    lost += len(before - recorded(path))
told, interrupted = json.loads(Path(f"{path}.told").read_text())
quiet, _ = run(FOLDER / "quiet", FOLDER / "quiet ledger")
print(json.dumps({
    "kills": kills, "again": again, "lost": lost, "same": told == json.loads(json.dumps(quiet)),
    "recorded": len(recorded(path)), "failures": sum(one[1] == "failed" for turn in quiet for one in turn),
    "twice": len(lines(ledger)) - len(set(lines(ledger))), "calls": len(lines(ledger)),
}))
"""
)

COUNT = (
    RUN
    + """
path, ledger = FOLDER / "killed", FOLDER / "ledger"
found = []
for _ in range(12):
    before = set(lines(ledger))
    made = child(path, ledger)
    while len(set(lines(ledger)) - before) < 9:
        time.sleep(0.0005)
    os.kill(made, signal.SIGKILL)
    os.waitpid(made, 0)
    with session(path) as study:
        found.append([study.interrupted, len(set(lines(ledger)) - recorded(path))])
print(json.dumps(found))
"""
)

INTERRUPT = (
    RUN
    + """
path, ledger, luck = FOLDER / "stopped", FOLDER / "ledger", random.Random(2)
stops, again = 0, 0
for _ in range(8):
    before, heard = recorded(path), len(lines(ledger))
    made = os.fork()
    if not made:
        try:
            run(path, ledger)
        except KeyboardInterrupt:
            os._exit(7)
        os._exit(0)
    while len(lines(ledger)) == heard:
        time.sleep(0.0005)
    time.sleep(luck.uniform(0, 0.03))
    os.kill(made, signal.SIGINT)
    stops += os.waitstatus_to_exitcode(os.waitpid(made, 0)[1]) == 7
    again += len(before & set(lines(ledger)[heard:]))
told, _ = run(path, ledger)
quiet, _ = run(FOLDER / "quiet", FOLDER / "quiet ledger")
print(json.dumps([stops, again, told == quiet]))
"""
)

TWO = (
    RUN
    + """
path, ledger = FOLDER / "two", FOLDER / "ledger"
made = [child(path, ledger) for _ in range(2)]
codes = [os.waitstatus_to_exitcode(os.waitpid(each, 0)[1]) for each in made]
told, _ = json.loads(Path(f"{path}.told").read_text())
quiet, _ = run(FOLDER / "quiet", FOLDER / "quiet ledger")
print(json.dumps([codes, told == json.loads(json.dumps(quiet)), len(recorded(path))]))
"""
)


def played(code, folder):
    """What the script prints; it is a process of its own, because it forks and must have no threads."""
    here = str(Path(__file__).parent)
    done = subprocess.run([sys.executable, "-c", code, folder, here], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_fifty_kills_lose_no_reply_repeat_none_and_change_nothing(tmp_path):
    found = played(MURDER, tmp_path)
    assert found["kills"] >= 50
    assert (found["again"], found["lost"]) == (0, 0)
    assert found["same"]
    assert found["recorded"] == 300
    assert found["failures"] > 0  # failures are part of what must come out the same
    assert found["calls"] == 300 + found["twice"]  # what was asked twice was in flight at a kill


def test_the_number_of_calls_in_flight_at_a_kill_is_known(tmp_path):
    found = played(COUNT, tmp_path)
    assert all(told > 0 and truth > 0 for told, truth in found)
    off = sorted(abs(told - truth) for told, truth in found)
    # Mostly exact. The two look at different moments of a request's way (sent, heard of, answered, committed), so they
    # can differ, and by no more than the requests that are under way at once.
    assert off[len(off) // 2] == 0
    assert off[-1] <= 4 * WORKERS


def test_ctrl_c_leaves_a_state_to_go_on_from(tmp_path):
    stops, again, same = played(INTERRUPT, tmp_path)
    assert stops > 0
    assert again == 0
    assert same


def test_two_processes_that_run_the_same_study_at_once_tell_the_same_story(tmp_path):
    assert played(TWO, tmp_path) == [[0, 0], True, 300]
