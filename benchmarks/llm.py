"""What language models cost, as ratios within one run: `python -m benchmarks.llm [--quick] [--out PATH]`.

Servers in other processes answer after a fixed latency. A turn is 100 decisions with 64 in flight: ideally two
waves of the latency. The direct transport is held against that ideal, and the LiteLLM transport against a bare loop
over `litellm.acompletion`, A B A B ..., so that a busy machine slows both sides alike; first call by call, then with
a whole society above.
"""

import argparse
import asyncio
import json
import os
import runpy
import sys
from contextlib import ExitStack, nullcontext
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console

from benchmarks import language, transports
from benchmarks.bench import table
from benchmarks.timing import Measurement

SERVERS = runpy.run_path(str(Path(__file__).parents[1] / "tests" / "servers.py"))


def measured(quick: bool) -> list[Measurement]:
    """All measurements, and on standard error how many connections the slow server saw."""
    repeats, decisions = (1, 20) if quick else (9, 2000)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        slow, near, fast = (
            stack.enter_context(SERVERS["apart"]("--latency", str(latency)))
            for latency in (transports.LATENCY, transports.NEAR, 0)
        )
        found = asyncio.run(transports.measured(slow, fast, repeats, decisions))
        opened = SERVERS["counted"](slow)["opened"]
        print(f"connections opened at the slow server: {opened} by three clients", file=sys.stderr)
        agents, turns = (16, 2) if quick else (1_000, 10)
        place = language.Place(slow, near, fast, folder, agents, turns, repeats)
        return [*found, *language.measured(place)]


def main(arguments: list[str] | None = None) -> int:
    """Measures and prints one JSON line for each, and a table; nothing is judged by the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.llm", description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="few repeats, to see that everything runs")
    parser.add_argument("--out", type=Path, help="where the JSON lines go (default: standard output)")
    chosen = parser.parse_args(arguments)
    os.environ.pop("OPENAI_API_KEY", None)  # a loopback server has no business with it
    found = measured(chosen.quick)
    with chosen.out.open("w", encoding="utf-8") if chosen.out else nullcontext(sys.stdout) as lines:
        for measurement in found:
            print(json.dumps(asdict(measurement)), file=lines, flush=True)
    Console(stderr=True, width=None if sys.stderr.isatty() else 200).print(table(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
