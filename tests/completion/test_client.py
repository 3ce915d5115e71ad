import asyncio
import json
import os
import pickle
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from fakes import Fake, rate, reply, request

from agentmicro.completion.archive import prune, show
from agentmicro.completion.budget import Account, Budget, BudgetReached, Ceilings
from agentmicro.completion.client import Client, ProviderError
from agentmicro.completion.limiter import Limits
from agentmicro.completion.record import RecordError, ReplayMiss
from agentmicro.completion.retry import Patience
from agentmicro.completion.seam import CallError, Fault, Status
from agentmicro.completion.session import Session, Settings, current, home, session
from agentmicro.errors import SpecError

QUICK = Patience(tries=3, call_seconds=0.2, decision_seconds=2.0, first_wait=0.001, longest_wait=0.002)
DOWN = CallError(Fault.SERVER, "the server says 503", 503)


def asks(count, decision=0, **changes):
    return [request(agent, decision, **changes) for agent in range(count)]


def texts(replies):
    return [one.text for one in replies]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "study.record"


def opened(path, fake, mode="record", **settings):
    return session(path, mode, factory=fake, **{"patience": QUICK, **settings})


def test_replies_come_in_the_order_of_the_requests_and_none_is_asked_for_twice(path):
    async def later(one):
        await asyncio.sleep(0.02 - one.agent / 5000)
        return reply(f"to {one.agent}")

    fake = Fake(lambda one, call: later(one))
    with opened(path, fake):
        client = Client()
        first = client.complete(asks(60))
        second = client.complete([*asks(60)[::-1], *asks(3, 1)])
    assert texts(first) == [f"to {agent}" for agent in range(60)]
    assert texts(second) == [*texts(first)[::-1], "to 0", "to 1", "to 2"]
    assert [one.replayed for one in second] == [True] * 60 + [False] * 3
    assert len(fake.sent) == 63
    assert fake.closed
    assert (client.spent.calls, client.spent.replayed, client.spent.cost_usd) == (63, 60, 63 * 0.25)


def test_an_account_knows_what_replies_are_worth_whoever_paid_for_them(path):
    fake = Fake(lambda one, call: rate() if one.agent == 3 else reply("yes"))
    with opened(path, fake):
        first, again = Client(), Client()
        first.complete(asks(4))
        again.complete(asks(6))
    assert (again.spent.calls, again.spent.replayed, again.spent.tokens_in) == (2, 4, 20)
    assert (first.account.worth.calls, first.account.worth.tokens_in, first.account.worth.priced_usd) == (6, 30, 0.75)
    assert (again.account.worth.calls, again.account.worth.tokens_in, again.account.worth.replayed) == (8, 50, 0)
    assert again.account.worth.cost_usd == 1.25


def test_the_same_request_twice_in_one_batch_is_one_call(path):
    fake = Fake()
    with opened(path, fake):
        assert texts(Client().complete([request(1), request(2), request(1)])) == [
            request(1).prompt,
            request(2).prompt,
            request(1).prompt,
        ]
    assert len(fake.sent) == 2


def test_a_replay_needs_no_network_and_a_miss_is_an_error(path):
    with opened(path, Fake()):
        before = Client().complete(asks(20))
    never = Fake(lambda one, call: pytest.fail("a replay called"))
    with opened(path, never, "replay") as replayed:
        assert texts(Client().complete(asks(20))) == texts(before)
        with pytest.raises(ReplayMiss, match=r"no reply of 'fake/model' to agent 20, decision 0"):
            Client().complete(asks(21))
        assert replayed.total().calls == 20


def test_without_a_record_every_decision_is_asked_again(path):
    fake = Fake()
    with opened(path, fake, "off") as off:
        for _ in range(2):
            Client().complete([request(1), request(1)])
        assert off.total().calls == 4
    assert len(fake.sent) == 4
    assert not path.exists()


def test_a_refusal_is_a_reply(path):
    fake = Fake(lambda one, call: reply("I won't.", status=Status.REFUSED))
    for _ in range(2):
        with opened(path, fake):
            assert Client().complete([request()])[0].status is Status.REFUSED
    assert len(fake.sent) == 1


# Failures --------------------------------------------------------------------------------------------------------


def test_a_failure_that_was_used_is_replayed_as_a_failure_until_it_is_forgotten(path):
    fake = Fake(lambda one, call: DOWN if one.agent == 3 else reply())
    for _ in range(2):
        with opened(path, fake):
            found = Client().complete(asks(5))
            assert [one.status is Status.FAILED for one in found] == [False, False, False, True, False]
            assert found[3].error == "server error: the server says 503; 3 calls"
    assert len(fake.sent) == 4 + QUICK.tries
    assert prune(path, failed=True) == 1
    with opened(path, Fake()):
        assert Client().complete(asks(5))[3].text == request(3).prompt


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (CallError(Fault.AUTH, "the key is refused", 401), "fake/model: no access: the key is refused"),
        (CallError(Fault.AUTH, "no right", 403), "fake/model: no access: no right"),
        (CallError(Fault.REQUEST, "no such model", 404), "fake/model: bad request: no such model"),
        (CallError(Fault.CONNECTION, "nobody listens"), "fake/model: connection: nobody listens; 3 calls"),
        (rate(3600.0), "the server asks to wait 3600 s.*give the same command again then"),
    ],
)
def test_what_would_fail_every_decision_stops_the_run_with_one_sentence(path, error, sentence):
    fake = Fake(lambda one, call: error)
    with opened(path, fake), pytest.raises(ProviderError, match=sentence):
        Client().complete(asks(4))
    assert show(path) == []  # nothing was used as data, so the same command asks again
    with opened(path, Fake()):
        assert texts(Client().complete(asks(4))) == [one.prompt for one in asks(4)]


def test_a_model_that_answered_before_may_fail_single_decisions_whatever_the_fault(path):
    fault = {1: CallError(Fault.REQUEST, "too long", 400), 2: CallError(Fault.AUTH, "not this prompt", 403)}
    fake = Fake(lambda one, call: fault.get(one.agent) or reply())
    with opened(path, fake):
        Client().complete([request(0)])
        assert [one.status for one in Client().complete(asks(4))] == ["ok", "failed", "failed", "ok"]


def test_an_outage_stops_the_run_instead_of_filling_it_with_failures(path):
    fake = Fake(lambda one, call: DOWN if one.decision else reply())
    with opened(path, fake, give_up=10, limits=Limits(4)):
        client = Client()
        client.complete(asks(3))
        with pytest.raises(ProviderError, match=r"the last 10 decisions got no answer.*503.*same command again"):
            client.complete(asks(1000, 1))
    assert len(fake.sent) < 100
    assert [line.status for line in show(path)] == [Status.OK]


def test_a_transport_that_breaks_its_promise_is_a_bug_and_is_not_quoted(path):
    def broken(one, call):
        raise KeyError("Authorization: Bearer very-secret-value")

    with opened(path, Fake(broken)), pytest.raises(ProviderError, match="raised KeyError in broken, line") as found:
        Client().complete([request()])
    assert "very-secret" not in str(found.value)
    assert found.value.__cause__ is None


def test_a_stop_lets_calls_in_flight_end_sends_no_more_and_loses_no_reply(path):
    async def slow(one):
        await asyncio.sleep(0.02)
        return CallError(Fault.AUTH, "revoked", 401) if one.agent == 2 else reply(f"to {one.agent}")

    fake = Fake(lambda one, call: slow(one))
    with opened(path, fake, limits=Limits(8)), pytest.raises(ProviderError, match="revoked"):
        Client().complete(asks(200))
    (line,) = show(path)
    assert line.replies == len(fake.sent) - 1 < 30
    again = Fake(lambda one, call: reply(f"to {one.agent}"))
    with opened(path, again):
        assert texts(Client().complete(asks(200))) == [f"to {agent}" for agent in range(200)]
    assert len(again.sent) == 200 - line.replies


# Traffic ---------------------------------------------------------------------------------------------------------


def test_no_more_calls_are_in_flight_than_the_ceiling_and_a_pause_holds_for_all(path):
    async def slow(one, call):
        await asyncio.sleep(0.001)
        if one.agent % 7 == 0 and call == 0:
            return rate(0.01)
        return reply(str(one.agent))

    fake = Fake(slow)
    with opened(path, fake, limits=Limits(5)) as study:
        assert texts(Client().complete(asks(100))) == [str(agent) for agent in range(100)]
        assert study.opened().limiter.limit < 5
        assert study.opened().limiter.in_flight == 0
    assert 2 <= fake.peak <= 5


def test_a_hang_that_ignores_cancellation_is_a_time_out_and_costs_no_other_decision(path):
    async def stubborn():
        end = asyncio.get_running_loop().time() + 1.5
        while asyncio.get_running_loop().time() < end:
            try:
                await asyncio.sleep(0.1)
            except asyncio.CancelledError:
                continue

    fake = Fake(lambda one, call: stubborn() if one.agent == 1 else reply())
    with opened(path, fake):
        found = Client().complete(asks(4))
    assert [one.status for one in found] == ["ok", "failed", "ok", "ok"]
    assert found[1].error == "time-out: no reply within 0.2 s; 3 calls"


def test_threads_share_the_session_and_its_record(path):
    fake = Fake()
    found = {}
    with opened(path, fake):
        threads = [
            threading.Thread(target=lambda n=n: found.update({n: Client().complete(asks(30, n % 2))})) for n in range(6)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert all(texts(found[n]) == [one.prompt for one in asks(30, n % 2)] for n in range(6))
    assert show(path)[0].replies == 60


# Money -----------------------------------------------------------------------------------------------------------


def test_a_run_stops_between_turns_and_a_study_remembers_what_earlier_runs_paid(path):
    budget = Budget(run=Ceilings(calls=15), study=Ceilings(usd=5.0))
    with opened(path, Fake(), budget=budget):
        client = Client()
        client.complete(asks(10))
        client.check()
        client.complete(asks(5, 1))
        with pytest.raises(BudgetReached, match="the run has used 15 of 15 calls"):
            client.check()
        other = Client(account=Account())
        other.complete([*asks(10), *asks(5, 1)])
        other.check()  # replays are free
    with opened(path, Fake(), budget=budget):
        later = Client()
        later.complete(asks(5, 2))
        with pytest.raises(BudgetReached, match="the study has used 5 of 5 USD: everything is recorded"):
            later.check()


def test_inside_a_turn_no_call_leaves_that_is_far_beyond_a_ceiling(path):
    fake = Fake()
    with opened(path, fake, budget=Budget(run=Ceilings(calls=20)), limits=Limits(2)):
        client = Client()
        with pytest.raises(BudgetReached, match=r"the run has used 2\d of 20 calls"):
            client.complete(asks(500))
        assert client.spent.calls == len(fake.sent) <= 22 + 4 * 2
    assert show(path)[0].replies == len(fake.sent)
    with opened(path, fake):
        assert len(Client().complete(asks(500))) == 500
    assert len(fake.sent) == 500


def test_minds_that_share_an_account_share_the_ceiling(path):
    with opened(path, Fake(), budget=Budget(run=Ceilings(tokens=100))):
        account = Account()
        one, two = Client(account=account), Client(account=account)
        one.complete(asks(5))
        two.complete(asks(5, 1))
        with pytest.raises(BudgetReached, match="120 of 100 tokens"):
            one.check()


def test_prices_of_the_session_come_before_all_others(path):
    with opened(path, Fake(lambda one, call: reply(cost_usd=None)), price_in=1.0, price_out=10.0):
        assert Client().complete([request()])[0].cost_usd == pytest.approx((10 * 1.0 + 2 * 10.0) / 1e6)


# Keys ------------------------------------------------------------------------------------------------------------


def test_a_planted_key_is_in_nothing_that_is_written_or_shown(path, monkeypatch):
    planted = "planted-key-0123456789"
    monkeypatch.setenv("SOME_PROVIDER_API_KEY", planted)

    def leaky(one, call):
        words = f"Authorization: Bearer {planted}, and sk-abcdefghijklmnopqrstuv"
        return CallError(Fault.PROTOCOL, words) if one.agent else reply(f"you sent {planted}, half \ud800 a pair")

    with opened(path, Fake(leaky)) as study:
        found = Client().complete(asks(2))
        shown = [repr(found), repr(study.settings), repr(study), repr(Client())]
        files = [file.read_bytes() for file in path.parent.iterdir()]
    files += [file.read_bytes() for file in path.parent.iterdir()]
    assert found[0].text == "you sent [hidden], half \N{REPLACEMENT CHARACTER} a pair"
    assert "sk-abc" not in found[1].error
    assert all(planted not in text for text in shown)
    assert all(planted.encode() not in data for data in files)


@pytest.mark.parametrize("name", ["api_key", "Authorization", "extra_headers"])
def test_a_key_among_the_options_is_refused(path, name):
    with opened(path, Fake()), pytest.raises(SpecError, match=f"the option {name} would write a key into the record"):
        Client().complete([request(options={name: "hush", "max_tokens": 3})])


# Sessions --------------------------------------------------------------------------------------------------------


def test_the_session_that_was_begun_last_is_current_and_its_end_gives_back_the_one_before(tmp_path):
    with session(tmp_path / "a") as outer:
        with session(tmp_path / "b") as inner:
            assert current() is inner
            seen = []
            thread = threading.Thread(target=lambda: seen.append(current()))
            thread.start()
            thread.join()
            assert seen == [inner]
        assert current() is outer


def test_without_a_session_the_users_own_record_and_the_environments_limits_hold(tmp_path, monkeypatch):
    monkeypatch.setenv("AGENTMICRO_CACHE_DIR", str(tmp_path))
    monkeypatch.setenv("AGENTMICRO_MAX_CONCURRENCY", "7")
    monkeypatch.setenv("AGENTMICRO_MAX_COST", "2.5")
    found = current()
    assert found is current()
    assert found.settings.path == home() == tmp_path / "record.sqlite"
    assert found.settings.limits.concurrency == 7
    assert found.settings.budget.run.usd == 2.5
    monkeypatch.setenv("AGENTMICRO_MAX_COST", "much")
    with pytest.raises(SpecError, match="AGENTMICRO_MAX_COST = 'much': expected a number"):
        current()


def test_a_mode_that_is_none_is_named(tmp_path):
    with pytest.raises(
        SpecError, match=r"record mode 'replya': expected one of off, record, replay; did you mean 'rep"
    ):
        session(tmp_path / "r", "replya")


def test_a_session_that_cannot_be_opened_says_so_when_it_begins(tmp_path):
    (tmp_path / "r").write_text("no database " * 500)
    with pytest.raises(RecordError, match="this is no record"), session(tmp_path / "r"):
        pass


def test_a_client_and_a_session_travel_as_data_and_open_their_own_files_there(path):
    with opened(path, Fake()) as study:
        client = Client(study)
        client.complete(asks(3))
        copy = pickle.loads(pickle.dumps(Client(Session(Settings(path, study.settings.mode)))))
        assert copy.session.settings.path == path
        assert [one.replayed for one in copy.complete(asks(3))] == [True] * 3
        copy.session.end()
        assert client.complete(asks(4))[3].text == request(3).prompt


CHILDREN = """
import json, os, sys, warnings
warnings.simplefilter("ignore", DeprecationWarning)
sys.path.insert(0, sys.argv[2])
from fakes import Fake, reply, request
from agentmicro.completion.client import Client
from agentmicro.completion.session import session
with session(sys.argv[1], factory=Fake(lambda one, call: reply(f"{os.getpid()}"))) as study:
    Client().complete([request(0)])
    children = []
    for start in (1, 50):
        child = os.fork()
        if not child:
            found = Client().complete([request(agent) for agent in range(start, start + 100)])
            os._exit(len(found) != 100)
        children.append(child)
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    found = Client().complete([request(agent) for agent in range(150)])
    print(json.dumps([codes, sum(one.replayed for one in found), study.total().calls >= 150]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_forked_children_work_on_the_same_record(path):
    here = str(Path(__file__).parent)
    done = subprocess.run([sys.executable, "-c", CHILDREN, path, here], capture_output=True, text=True, timeout=60)
    assert not done.stderr
    assert json.loads(done.stdout) == [[0, 0], 150, True]
