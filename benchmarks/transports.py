"""What one call costs: the direct transport against the ideal, the LiteLLM transport against LiteLLM by itself."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from time import perf_counter, process_time

from agentmicro.completion.models import transport_for
from agentmicro.completion.seam import Reply, Request, Transport
from benchmarks.timing import Measurement, Pairs, compared

MODEL = "openai/loopback"
DECISIONS, IN_FLIGHT, LATENCY, NEAR = 100, 64, 0.05, 0.02
IDEAL = -(-DECISIONS // IN_FLIGHT) * LATENCY
WHAT = f"{DECISIONS} decisions, {LATENCY * 1000:.0f} ms, {IN_FLIGHT} in flight"
LONG = 60.0
SCHEMA = {
    "type": "object",
    "properties": {"choice": {"type": "string", "enum": ["A", "B"]}},
    "required": ["choice"],
    "additionalProperties": False,
}

type Call = Callable[[int], Awaitable[object]]


def question(agent: int) -> Request:
    """What agent asks: a prompt of a usual length."""
    heard = "\n".join(f"Agent {other} says: A" for other in range(10))
    return Request(MODEL, f"You are agent {agent}.\n{heard}\nAnswer A or B.", SCHEMA, 0, agent, 0, system="Be brief.")


def sending(transport: Transport) -> Call:
    """One decision over a transport."""

    async def call(agent: int) -> Reply:
        return await transport.send(question(agent), LONG)

    return call


def bare(url: str, asked: Callable[[int], Request] = question) -> Call:
    """One decision over LiteLLM as its documentation has it."""
    from litellm import acompletion

    async def call(agent: int) -> object:
        request = asked(agent)
        schema = {"type": "json_schema", "json_schema": {"name": "answer", "schema": request.schema, "strict": True}}
        return await acompletion(
            model=request.model,
            messages=request.messages,
            base_url=url,
            api_key="none",
            timeout=LONG,
            max_retries=0,
            response_format=schema,
        )

    return call


async def turn(call: Call, decisions: int = DECISIONS) -> tuple[float, float]:
    """The wall and the processor time of so many decisions, so many of them in flight."""
    free = asyncio.Semaphore(IN_FLIGHT)

    async def one(agent: int) -> None:
        async with free:
            await call(agent)

    begin, worked = perf_counter(), process_time()
    await asyncio.gather(*(one(agent) for agent in range(decisions)))
    return perf_counter() - begin, process_time() - worked


async def measured(slow: str, fast: str, repeats: int, decisions: int) -> list[Measurement]:
    """All measurements, on one event loop, against a server with latency and one without."""
    direct, quick = (transport_for(MODEL, url, "direct") for url in (slow, fast))
    lite, brisk = (transport_for(MODEL, url, "litellm") for url in (slow, fast))
    both: dict[str, tuple[Call, Call]] = {
        "turn": (sending(lite), bare(slow)),
        "rate": (sending(brisk), bare(fast)),
    }
    for call in (sending(direct), sending(quick), *both["turn"], *both["rate"]):
        await turn(call, min(DECISIONS, decisions))  # connections, caches and imports are not what is measured
    turns: Pairs = [((await turn(sending(direct)))[0], IDEAL) for _ in range(repeats)]
    lites: Pairs = [tuple([(await turn(call))[0] for call in both["turn"]]) for _ in range(repeats)]  # type: ignore[misc]
    direct_rates = [await turn(sending(quick), decisions) for _ in range(repeats)]
    lite_rates = [[await turn(call, decisions // 4) for call in both["rate"]] for _ in range(repeats)]
    for transport in (direct, quick, lite, brisk):
        await transport.close()
    return list(_lines(turns, lites, direct_rates, lite_rates, decisions))


def _lines(
    turns: Pairs,
    lites: Pairs,
    direct_rates: list[tuple[float, float]],
    lite_rates: list[list[tuple[float, float]]],
    decisions: int,
) -> Iterator[Measurement]:
    yield compared("direct turn", WHAT, "ideal", DECISIONS, turns, most=1.25, unit="ms", scale=1000)
    yield compared("litellm turn", WHAT, "bare acompletion", DECISIONS, lites, most=1.1, unit="ms", scale=1000)
    quarter = decisions // 4
    for index, (name, most) in enumerate((("wall", None), ("processor", 1.1))):
        pairs: Pairs = [(ours[index] / quarter, theirs[index] / quarter) for ours, theirs in lite_rates]
        yield compared(
            f"litellm {name}",
            "a call, no latency",
            "bare acompletion",
            quarter,
            pairs,
            most=most,
            unit="ms",
            scale=1000,
        )
        each = sorted(spent[index] / decisions for spent in direct_rates)[len(direct_rates) // 2]
        rate = f"{1 / each:,.0f} a second" if name == "wall" else "aim 0.4 ms with all layers"
        yield Measurement(
            f"direct {name}", "a call, no latency", "", decisions, len(direct_rates), "ms", each * 1000, note=rate
        )
