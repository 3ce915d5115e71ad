"""Forecasts: what is rehearsed is what is asked, and the interval holds what a run then uses."""

import pytest

from agentmicro.completion import Scripted
from agentmicro.minds.speaker import Speaker, defined
from agentmicro.phenomena.channels import Channels
from agentmicro.study import forecast as module
from agentmicro.study.forecast import Forecast, Load, Span, forecast

MODEL = "openai/gpt-4o-mini"


class Counting:
    """Answers as a rehearsal does, and keeps what it was asked."""

    def __init__(self):
        self.asked = []
        self.script = Scripted("chance")

    def complete(self, requests):
        self.asked += requests
        return self.script.complete(requests)

    def check(self):
        pass


def characters(knobs, turns):
    """The calls of a run and the characters of their prompts."""
    model = Channels(**knobs, rng=1)
    model.minds[0].provider = counting = Counting()
    for _ in range(turns):
        model.step()
    said = sum(len(message["content"]) for request in counting.asked for message in request.messages)
    return len(counting.asked), said


@pytest.mark.parametrize("turns", [1, 6])
def test_a_run_that_is_rehearsed_whole_is_counted_and_not_guessed(turns):
    knobs = {"agents": 9, "minds": MODEL}
    found = forecast(Channels, knobs, 1, turns)
    calls, said = characters(knobs, turns)
    load = found.loads[MODEL]
    assert (found.runs, load.calls.low, load.calls.about) == (1, calls, calls)
    assert load.tokens_in.about == pytest.approx(said / 4)
    assert load.tokens_in.low == pytest.approx(said / 5)
    assert load.tokens_out.high == pytest.approx(1.1 * 200 * calls)
    assert load.cost.about == pytest.approx((load.tokens_in.about * 0.15 + load.tokens_out.about * 0.6) / 1e6)


@pytest.mark.parametrize("recall", ["none", "last 2", "all", "summarised 3"])
def test_the_rest_of_a_long_run_lies_within_the_interval(monkeypatch, recall):
    monkeypatch.setattr(module, "PROMPTS", 30)
    with defined({"radio": Speaker(MODEL, recall=recall, options={"max_tokens": 50})}):
        knobs = {"agents": 6, "minds": "radio"}
        load = forecast(Channels, knobs, 1, 20).loads[MODEL]
        calls, said = characters(knobs, 20)
    assert load.tokens_in.low <= said / 4 <= load.tokens_in.high
    assert load.calls.about == pytest.approx(calls, rel=0.15)
    assert load.tokens_out.high == pytest.approx(1.1 * 50 * load.calls.about)


def test_embedded_minds_ask_nobody():
    assert forecast(Channels, {}, 1, 50) == Forecast(0, {})


def test_prices_given_come_before_the_tables_and_those_before_the_list():
    with defined({"radio": Speaker("openai/unheard-of", price_in=1.0, price_out=0.0)}):
        knobs = {"agents": 6, "minds": "radio"}
        own, given = (forecast(Channels, knobs, 1, 1, prices).total for prices in ((None, None), (3.0, 0.0)))
    assert own.cost.about == pytest.approx(own.tokens_in.about / 1e6)
    assert given.cost.about == pytest.approx(3 * own.cost.about)
    assert forecast(Channels, {"agents": 6, "minds": "openai/unheard-of"}, 1, 1).total.cost is None


def test_forecasts_add_up_and_an_unknown_price_stays_unknown():
    one = Forecast(1, {"a": Load(Span(1, 2, 3), Span(), Span(), Span(1, 1, 1))})
    two = Forecast(1, {"b": Load(Span(1, 1, 1), Span(), Span(), None)})
    both = one.times(3) + two
    assert (both.runs, both.total.calls, both.total.cost) == (4, Span(4, 7, 10), None)
    assert both.loads["a"].cost == Span(3, 3, 3)
    assert both.as_json()["models"]["b"]["cost_usd"] is None
    assert str(both) == "4 runs, 7 (4 to 10) calls to a, b, 0 tokens in and 0 out, at an unknown price"
