"""What tokens cost, from the price list that LiteLLM ships, read as a file: LiteLLM itself is not imported."""

import functools
import json
import re
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

PRICES = "model_prices_and_context_window_backup.json"
PROVIDERS = "provider_endpoints_support_backup.json"
DATED = re.compile(r"[-@](\d{4}-\d{2}-\d{2}|\d{8}|\d{3,4}|latest)$")
MILLION = 1_000_000


class Price(NamedTuple):
    """USD per token sent, per token received, and per token sent that was in the provider's cache."""

    sent: float
    received: float
    cached: float


def cost(
    served: str | None,
    tokens_in: int | None,
    tokens_out: int | None,
    tokens_cached: int | None = None,
    *,
    asked: str = "",
    price_in: float | None = None,
    price_out: float | None = None,
) -> float | None:
    """USD for one call; None, never 0, where the price or the number of tokens is unknown.

    The cached tokens are among tokens_in. served is the model that answered, and asked the one that was asked for: it
    names the provider. price_in and price_out, in USD per million tokens, come before the list; then cached tokens
    cost what the others do.
    """
    price = price_of(served, asked, price_in, price_out)
    if price is None or tokens_in is None or tokens_out is None:
        return None
    cached = min(tokens_cached or 0, tokens_in)
    return (tokens_in - cached) * price.sent + cached * price.cached + tokens_out * price.received


@functools.lru_cache(maxsize=1024)
def price_of(
    served: str | None, asked: str = "", price_in: float | None = None, price_out: float | None = None
) -> Price | None:
    """The price of a model; None where nobody knows it.

    The served name comes before the one that was asked for, and both before the same without their dates. A list price
    holds for the provider that was asked only, because the same weights cost something else elsewhere.
    """
    exact = [name for name in (served, asked) if name]
    provider = asked.partition("/")[0] if "/" in asked else ""
    names = (_full(name, provider) for name in (*exact, *(DATED.sub("", name) for name in exact)))
    listed = next((prices()[name] for name in names if name in prices()), None)
    if price_in is None and price_out is None:
        return listed
    sent = _per_token(price_in, listed and listed.sent)
    received = _per_token(price_out, listed and listed.received)
    if sent is None or received is None:
        return None
    return Price(sent, received, listed.cached if listed and price_in is None else sent)


def _full(name: str, provider: str) -> str:
    return name if not provider or name.startswith(f"{provider}/") else f"{provider}/{name}"


def _per_token(given: float | None, listed: float | None) -> float | None:
    return listed if given is None else given / MILLION


@functools.cache
def prices() -> Mapping[str, Price]:
    """The list by `provider/model`, and by the bare names that it has; empty where LiteLLM is not installed."""
    found: dict[str, Price] = {}
    for name, entry in _shipped(PRICES).items():
        sent, received = entry.get("input_cost_per_token"), entry.get("output_cost_per_token")
        if isinstance(sent, int | float) and isinstance(received, int | float):
            price = Price(sent, received, entry.get("cache_read_input_token_cost", sent))
            found[name] = found[_full(name, entry.get("litellm_provider", ""))] = price
    return found


@functools.cache
def providers() -> frozenset[str]:
    """The providers that LiteLLM can reach, as it spells them; empty where it is not installed."""
    return frozenset(_shipped(PROVIDERS).get("providers", {}))


def _shipped(name: str) -> dict[str, Any]:
    """A data file of LiteLLM; finding the package executes nothing of it."""
    found = find_spec("litellm")
    path = Path(found.origin).with_name(name) if found and found.origin else None
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path and path.is_file() else {}
