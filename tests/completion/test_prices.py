"""What calls cost: the shipped list is read as it is, unknown is None, and LiteLLM is not imported for it."""

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentmicro.completion import prices
from agentmicro.completion.prices import cost, price_of

tokens = st.integers(0, 10**7)
usd = st.floats(0, 1000)


@pytest.fixture(scope="module")
def shipped():
    return json.loads(Path(find_spec("litellm").origin).with_name(prices.PRICES).read_text(encoding="utf-8"))


@pytest.mark.parametrize("asked", ["openai/gpt-4o-mini", "gpt-4o-mini"])
def test_a_call_costs_what_the_list_says_with_cached_tokens_apart(shipped, asked):
    entry = shipped["gpt-4o-mini"]
    expected = (
        700 * entry["input_cost_per_token"]
        + 300 * entry["cache_read_input_token_cost"]
        + 50 * entry["output_cost_per_token"]
    )
    assert cost("gpt-4o-mini", 1000, 50, 300, asked=asked) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("served", "asked", "name"),
    [
        ("gpt-4o-mini-2024-07-18", "openai/gpt-4o-mini", "gpt-4o-mini-2024-07-18"),
        ("gpt-4o-mini-2031-01-01", "openai/gpt-4o-mini", "gpt-4o-mini"),
        ("gpt-4o-mini-2031-01-01", "", "gpt-4o-mini"),
        (None, "anthropic/claude-sonnet-4-5-20991231", "claude-sonnet-4-5"),
        ("mistral-small-9912", "mistral/mistral-small-latest", "mistral/mistral-small-latest"),
        ("deepseek-chat", "deepseek/deepseek-chat", "deepseek/deepseek-chat"),
    ],
)
def test_a_dated_name_that_is_not_listed_falls_back_to_the_name_asked_and_then_to_the_plain_one(
    shipped, served, asked, name
):
    price = price_of(served, asked)
    assert (price.sent, price.received) == tuple(shipped[name][f"{way}_cost_per_token"] for way in ("input", "output"))


@pytest.mark.parametrize(
    ("served", "asked"),
    [
        ("gpt-4o-mini", "hosted_vllm/gpt-4o-mini"),  # the same name at another provider is another price
        ("nothing-of-the-kind", "openai/nothing-of-the-kind"),
        (None, ""),
    ],
)
def test_an_unknown_price_is_none_and_never_zero(served, asked):
    assert cost(served, 10, 10, asked=asked) is None


@pytest.mark.parametrize(("sent", "received"), [(None, 5), (5, None), (None, None)])
def test_unknown_tokens_cost_an_unknown_amount(sent, received):
    assert cost("gpt-4o-mini", sent, received) is None


@settings(deadline=None)
@given(tokens, tokens, tokens, usd, usd)
def test_given_prices_are_usd_per_million_and_come_before_the_list(sent, received, cached, price_in, price_out):
    found = cost("gpt-4o-mini", sent, received, cached, price_in=price_in, price_out=price_out)
    assert found == pytest.approx((sent * price_in + received * price_out) / 1e6, rel=1e-9, abs=1e-12)


def test_one_given_price_leaves_the_other_to_the_list_and_is_not_enough_without_it(shipped):
    listed = shipped["gpt-4o-mini"]["output_cost_per_token"]
    assert cost("gpt-4o-mini", 10, 10, price_in=2.0) == pytest.approx(10 * 2e-6 + 10 * listed)
    assert cost("unheard-of", 10, 10, price_in=2.0) is None


@settings(deadline=None)
@given(tokens, tokens, tokens)
def test_more_tokens_never_cost_less_and_cached_ones_never_more(sent, received, cached):
    whole = cost("gpt-4o-mini", sent, received)
    assert 0 <= cost("gpt-4o-mini", sent, received, cached) <= whole + 1e-15
    assert cost("gpt-4o-mini", sent + 1, received + 1) > whole


def test_reading_the_prices_imports_no_litellm():
    code = (
        "import sys; from agentmicro.completion.prices import cost, providers;"
        "assert cost('gpt-4o-mini', 1, 1) and 'anthropic' in providers(); print(*sys.modules)"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"litellm", "openai", "httpx", "aiohttp"} & set(loaded)


def test_without_litellm_there_are_no_prices_and_given_ones_still_count(monkeypatch):
    monkeypatch.setattr(prices, "find_spec", lambda _: None)
    for remembered in (prices.prices, prices.providers, price_of):
        remembered.cache_clear()
    try:
        assert cost("gpt-4o-mini", 10, 10) is None
        assert cost("gpt-4o-mini", 10, 10, price_in=1, price_out=2) == pytest.approx(3e-5)
    finally:
        for remembered in (prices.prices, prices.providers, price_of):
            remembered.cache_clear()
