"""Live runs: what a page holds plays as the configuration says, and asks nobody before somebody says so."""

import time
from dataclasses import replace

import pytest
from servers import Answer, Server, completion, obliging

from agentmicro import phenomena
from agentmicro.app.configuration import Configuration
from agentmicro.app.controller import Status
from agentmicro.app.live import Live, at_once, nothing
from agentmicro.app.spending import Purse, expected, speakers, suggested
from agentmicro.completion.budget import BudgetReached, Ceilings
from agentmicro.completion.session import session
from agentmicro.errors import SpecError
from agentmicro.knobs import knobs
from agentmicro.study.forecast import Forecast, Load, Span

TURNS = 3


@pytest.fixture
def live():
    made = []

    def make(configuration, **more):
        made.append(Live(configuration, **more))
        wait(made[-1], lambda state: state.status is not Status.BUILDING)
        return made[-1]

    yield make
    for each in made:
        each.close()


def wait(live, until, seconds=20.0):
    end = time.monotonic() + seconds
    while not until(live.view.state):
        assert time.monotonic() < end, live.view.state
        time.sleep(0.005)
    return live.view.state


def finished(live):
    live.play()
    return wait(live, lambda state: state.status is Status.FINISHED)


@pytest.mark.parametrize("name", phenomena.names())
def test_the_controls_of_every_phenomenon_build_its_model_and_a_reset_repeats_it(name, live):
    cls = phenomena.find(name)
    values = {knob: each.read(str(each.default)) for knob, each in knobs(cls).items()}
    run = live(Configuration(name, values, 3, TURNS), beside=False)
    assert run.configuration.knobs == {}
    first = finished(run).frame
    run.reset()
    wait(run, lambda state: state.run == 2 and state.status is Status.READY)
    again = finished(run).frame
    assert (first.acts, dict(first.knobs)) == (again.acts, dict(again.knobs))
    assert {name: list(map(repr, line)) for name, line in first.series.items()} == {
        name: list(map(repr, line)) for name, line in again.series.items()
    }


def test_the_null_is_run_beside_on_the_same_seed(live):
    asked = Configuration("herding", {"agents": 20}, 4, 5)
    run = live(asked)
    end = time.monotonic() + 20
    while len(next(iter(run.view.null.values()), [])) < 6:
        assert time.monotonic() < end
        time.sleep(0.01)
    model = asked.cls(**asked.cls.checked({"agents": 20, **asked.cls.null}), rng=4)
    for _ in range(5):
        model.step()
    table = model.datacollector.get_model_vars_dataframe()
    assert {name: repr(line[-1]) for name, line in run.view.null.items()} == {
        name: repr(float(table[name].iloc[-1])) for name in model.measures
    }


def test_no_null_beside_itself_or_beside_a_language_model():
    assert nothing(Configuration("herding", dict(Configuration("herding").cls.null))) is None
    assert nothing(Configuration("herding")) is not None
    assert not at_once(phenomena.find("herding"), "agents")
    assert at_once(phenomena.find("channels"), "latency")


def test_a_change_on_the_way_is_part_of_the_run_and_outlives_a_cancelled_turn(live):
    run = live(Configuration("channels", {"agents": 20}, 2, 6), beside=False)
    run.step()
    wait(run, lambda state: state.time == 1 and not state.busy)
    run.change("latency", 2).result(5)
    assert run.configuration.changes[0].at == 2
    run.step()
    wait(run, lambda state: state.time == 2 and not state.busy)
    found = finished(run).frame
    model, turns = run.configuration.build()
    for _ in range(turns):
        model.step()
    assert [repr(line[-1]) for line in found.series.values()] == [
        repr(float(value)) for value in model.datacollector.get_model_vars_dataframe().iloc[-1][list(model.measures)]
    ]


# --- language minds


@pytest.fixture
def asking(monkeypatch, tmp_path):
    """A server whose answers take as long as a model's name says, and a record of its own."""

    def say(body):
        seconds = {"slow": 5.0, "slowish": 1.0}.get(body["model"], 0.0)
        return Answer(body=completion(obliging(body)), wait=seconds)

    monkeypatch.setenv("OPENAI_API_KEY", "not-a-key")
    with Server(answer=say) as server, session(tmp_path / "record.sqlite"):
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        yield server


def spoken(model="openai/quick", agents=6, turns=4):
    return Configuration("channels", {"agents": agents, "minds": model}, 1, turns)


def test_nobody_is_asked_before_somebody_allows_it(live, asking):
    run = live(spoken())
    assert [speaker.model for speaker in run.asked] == ["openai/quick"]
    run.play()
    state = wait(run, lambda state: bool(state.held))
    assert (state.time, asking.seen.calls, "allow the calls first" in state.held) == (0, 0, True)
    run.purse.allow(Ceilings(calls=100))
    assert finished(run).time == 4
    assert asking.seen.calls == run.purse.spent.calls == 24


def test_a_change_that_would_come_by_a_link_or_by_a_click_asks_nobody_either(live, asking):
    by_link = Configuration("channels", {"agents": 4}, 1, 4).changed(2, minds="openai/quick")
    assert speakers(by_link)
    run = live(by_link)
    run.play()
    assert wait(run, lambda state: bool(state.held)).time == 0
    run = live(Configuration("channels", {"agents": 4}, 1, 4))
    run.step()
    wait(run, lambda state: state.time == 1 and not state.busy)
    run.change("minds", "openai/quick").result(5)
    run.play()
    assert wait(run, lambda state: bool(state.held)).time == 1
    assert asking.seen.calls == 0


def test_other_conditions_need_a_leave_of_their_own_and_the_same_run_again_does_not(live, asking):
    run = live(spoken(turns=2))
    run.purse.allow(Ceilings(calls=100))
    finished(run)
    run.reset()
    wait(run, lambda state: state.run == 2 and state.status is Status.READY)
    assert (finished(run).time, asking.seen.calls) == (2, 12)  # by now the record has every reply
    run.restart(replace(run.configuration, seed=9))
    run.play()
    assert wait(run, lambda state: bool(state.held)).time == 0
    assert asking.seen.calls == 12


def test_a_ceiling_is_kept_within_a_turn_and_a_higher_one_goes_on_from_there(live, asking):
    run = live(spoken(turns=2))
    run.purse.allow(Ceilings(calls=8))
    run.play()
    state = wait(run, lambda state: bool(state.held))
    assert (state.time, asking.seen.calls) == (1, 8)
    run.purse.allow(Ceilings(calls=50))
    assert finished(run).time == 2
    assert asking.seen.calls == 12


def test_a_pause_begins_no_new_calls_and_a_step_ends_the_turn(live, asking, tmp_path):
    run = live(spoken("openai/slowish", agents=6))
    run.purse.allow(Ceilings(calls=100))
    run.purse.room = lambda: 2  # six decisions in three batches
    run.play()
    wait(run, lambda _: asking.seen.in_flight == 2)
    run.pause()
    wait(run, lambda _: asking.seen.in_flight == 0)
    time.sleep(0.5)
    assert (asking.seen.calls, run.view.state.busy, run.view.state.time) == (2, True, 0)
    run.cancel()
    assert wait(run, lambda state: not state.busy, seconds=2).time == 0
    assert asking.seen.calls == 2


def test_a_cancelled_turn_is_dropped_within_a_second_and_closing_ends_the_worker(live, asking):
    run = live(spoken("openai/slow", agents=3))
    run.purse.allow(Ceilings(calls=100))
    run.play()
    wait(run, lambda _: asking.seen.in_flight == 3)
    start = time.monotonic()
    run.cancel()
    state = wait(run, lambda state: not state.busy and state.status is Status.READY)
    assert (time.monotonic() - start < 1, state.time, state.wanted) == (True, 0, False)
    run.play()
    wait(run, lambda _: asking.seen.calls == 6)
    run.close()
    assert run.view.state.status is Status.CLOSED


def test_a_paused_turn_can_be_closed(live, asking):
    run = live(spoken(agents=3))
    run.purse.allow(Ceilings(calls=100))
    run.purse.pause()
    run.controller.play()
    wait(run, lambda state: state.busy)
    start = time.monotonic()
    run.close()
    assert (time.monotonic() - start < 2, asking.seen.calls) == (True, 0)


def test_a_ceiling_must_be_one_that_can_be_kept():
    with pytest.raises(SpecError, match="no ceiling"):
        Purse().allow(Ceilings())
    unpriced = Forecast(1, {"x": Load(Span(9, 9, 9), cost=None)})
    with pytest.raises(SpecError, match="price is unknown"):
        Purse().allow(Ceilings(usd=1), unpriced)
    assert suggested(unpriced) == Ceilings(calls=9)
    priced = Forecast(1, {"x": Load(Span(9, 9, 9), cost=Span(0.1, 0.2, 0.301))})
    assert suggested(priced) == Ceilings(usd=0.31)
    purse = Purse()
    with pytest.raises(BudgetReached, match="allow the calls first"):
        purse.room()
    purse.allow(Ceilings(usd=0.1), priced)
    assert purse.room() == 2  # 0.1 USD at no more than 0.301 / 9 USD a call, or one at least


def test_what_a_run_would_ask_is_estimated_without_asking(asking):
    found = expected(spoken())
    assert (found.total.calls.about, list(found.loads), asking.seen.calls) == (24, ["openai/quick"], 0)
    assert not expected(Configuration("voter")).loads
