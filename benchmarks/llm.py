"""What a call to a language model costs, as ratios within one run: `python -m benchmarks.llm [--quick] [--out PATH]`.

One server in another process answers after a fixed latency. A turn is 100 decisions with 64 in flight: ideally two
waves of the latency. The direct transport is held against that ideal, and the LiteLLM transport against a bare loop
over `litellm.acompletion`, A B A B ..., so that a busy machine slows both sides alike.
"""

import argparse
import asyncio
import json
import os
import runpy
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from time import perf_counter, process_time

from rich.console import Console

from agentmicro.completion.models import transport_for
from agentmicro.completion.seam import Reply, Request, Transport
from benchmarks.bench import table
from benchmarks.timing import Measurement, Pairs, compared

MODEL = "openai/loopback"
DECISIONS, IN_FLIGHT, LATENCY = 100, 64, 0.05
IDEAL = -(-DECISIONS // IN_FLIGHT) * LATENCY
LONG = 60.0
SCHEMA = {
    "type": "object",
    "properties": {"choice": {"type": "string", "enum": ["A", "B"]}},
    "required": ["choice"],
    "additionalProperties": False,
}
SERVERS = runpy.run_path(str(Path(__file__).parents[1] / "tests" / "servers.py"))

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


def bare(url: str) -> Call:
    """One decision over LiteLLM as its documentation has it."""
    from litellm import acompletion

    async def call(agent: int) -> object:
        asked = question(agent)
        schema = {"type": "json_schema", "json_schema": {"name": "answer", "schema": SCHEMA, "strict": True}}
        return await acompletion(
            model=MODEL,
            messages=asked.messages,
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
        await turn(call)  # connections, caches and imports are not what is measured
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
    what = f"{DECISIONS} decisions, {LATENCY * 1000:.0f} ms, {IN_FLIGHT} in flight"
    yield compared("direct turn", what, "ideal", DECISIONS, turns, most=1.25, unit="ms", scale=1000)
    yield compared("litellm turn", what, "bare acompletion", DECISIONS, lites, most=1.1, unit="ms", scale=1000)
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


def main(arguments: list[str] | None = None) -> int:
    """Measures and prints one JSON line for each, and a table; nothing is judged by the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.llm", description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="few repeats, to see that everything runs")
    parser.add_argument("--out", type=Path, help="where the JSON lines go (default: standard output)")
    chosen = parser.parse_args(arguments)
    repeats, decisions = (1, 40) if chosen.quick else (9, 2000)
    os.environ.pop("OPENAI_API_KEY", None)  # a loopback server has no business with it
    with SERVERS["apart"]("--latency", str(LATENCY)) as slow, SERVERS["apart"]() as fast:
        found = asyncio.run(measured(slow, fast, repeats, decisions))
        opened = SERVERS["counted"](slow)["opened"]
    with chosen.out.open("w", encoding="utf-8") if chosen.out else nullcontext(sys.stdout) as lines:
        for measurement in found:
            print(json.dumps(asdict(measurement)), file=lines, flush=True)
    Console(stderr=True, width=None if sys.stderr.isatty() else 200).print(table(found))
    print(f"connections opened at the slow server: {opened} by three clients", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
