"""The benchmarks of the whole: building a society, memory, growth with its size, and the start of a cold process."""

import gc
import os
import statistics
import subprocess
import sys
import tempfile
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from agentmicro import graphs
from agentmicro.phenomena.herding import Herding
from agentmicro.phenomena.voter import Voter
from agentmicro.society import Society
from benchmarks import references
from benchmarks.kernel import SMALL_WORLD
from benchmarks.timing import Measurement, Pairs, Work, compared, interleaved, quartiles, seconds

ROOT = Path(__file__).resolve().parents[1]


def building(quick: bool, repeats: int) -> Iterator[Measurement]:
    """Making a society, against bare Mesa agents and their graph; and what an agent takes beside the graph."""
    n = 5_000 if quick else 1_000_000

    def society() -> object:
        return Voter(agents=n, graph=SMALL_WORLD, turns="simultaneous", rng=1)

    def bare() -> object:
        return references.bare_agents(n), graphs.build(SMALL_WORLD, n, 1)

    pairs = [(_clean(society), _clean(bare)) for _ in range(repeats)]
    most = None if quick else 2.0
    what = "society with graph"
    yield compared("building", what, "bare agents and graph", n, pairs, most=most, unit="us/agent", scale=1e6 / n)

    n = min(n, 100_000)
    links = _traced(lambda: graphs.build(SMALL_WORLD, n, 1))
    made = _traced(lambda: _used(Voter(agents=n, graph=SMALL_WORLD, turns="simultaneous", rng=1)))
    plain = _traced(lambda: references.bare_agents(n))
    mine, theirs = (made - links) / n, plain / n
    yield Measurement(
        "building", "memory beside the graph, after two turns", "bare agents", n, 1, "bytes/agent", mine, theirs,
        mine / theirs, aim="ours <= 400", met=mine <= 400, note=f"the graph: {links / n:.0f}",
    )  # fmt: skip


def _clean(make: Work) -> float:
    gc.collect()  # a million agents of the side before must not be collected on this side's time
    return seconds(make)


def _used(model: Voter) -> Voter:
    model.step()
    model.step()
    return model


def _traced(make: Work) -> int:
    gc.collect()
    tracemalloc.start()
    made = make()
    gc.collect()
    size = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    del made
    return size


def growth(quick: bool, repeats: int) -> Iterator[Measurement]:
    """The exponent of time per turn against the number of agents, beside that of the bare sparse product."""
    sizes = (1_000, 3_000, 10_000) if quick else (1_000, 10_000, 100_000, 1_000_000)
    models = [Voter(agents=n, graph=SMALL_WORLD, turns="simultaneous", rng=1) for n in sizes]
    products = [(model.links.matrix, np.random.default_rng(1).random(model.links.n)) for model in models]
    for mind in ("voter", "degroot"):
        for model in models:
            model.change(mind=mind)
            model.step()
        pairs: Pairs = []
        for _ in range(repeats):
            ours = [seconds(model.step, 3) for model in models]
            theirs = [seconds(partial(references.product, *given), 3) for given in products]
            pairs.append((_exponent(sizes, ours), _exponent(sizes, theirs)))
        low, mine, high = quartiles([own for own, _ in pairs])
        yield Measurement(
            "growth", f"turn, mind {mind}, upper decades to n", "sparse product", sizes[-1], repeats, "exponent", mine,
            statistics.median(bare for _, bare in pairs), aim="ours <= 1.05", met=None if quick else mine <= 1.05,
            note=f"quartiles {low:.3f} to {high:.3f}",
        )  # fmt: skip


def age(quick: bool, repeats: int) -> Iterator[Measurement]:
    """A turn late in a run, against the same turn early in it: the past must not make the present slower."""
    n, early, late = (100, 5, 20) if quick else (1_000, 10, 200)
    makes: dict[str, Callable[[], Society]] = {
        "herding": partial(Herding, agents=n, rng=1),
        "voter": partial(Voter, agents=n, graph=SMALL_WORLD, turns="simultaneous", rng=1),
    }
    for name, make in makes.items():
        young, old = make(), make()
        for model, turns in ((young, early), (old, late)):
            for _ in range(turns):
                model.step()
        pairs = [(seconds(old.step), seconds(young.step)) for _ in range(repeats)]
        yield compared(
            "age",
            f"{name}, turn {late}",
            f"turn {early}",
            n,
            pairs,
            most=None if quick else 1.1,
            unit="us/agent",
            scale=1e6 / n,
        )


def _exponent(sizes: tuple[int, ...], times: list[float]) -> float:
    """The slope on logarithmic scales over the upper decades, where fixed costs no longer hide the growth."""
    return float(np.polyfit(np.log(sizes[1:]), np.log(times[1:]), 1)[0])


def start(quick: bool, repeats: int) -> Iterator[Measurement]:
    """Cold processes with a warm file cache: importing the package, and the first result on the command line."""
    with tempfile.TemporaryDirectory() as compiled:
        process = partial(_process, compiled)
        pairs = interleaved(process("-c", "import agentmicro"), process("-c", "pass"), repeats)
        more = statistics.median(mine - theirs for mine, theirs in pairs)
        found = compared("start", "import agentmicro", "bare Python", 1, pairs, note=f"{more:+.3f} s")
        yield replace(found, aim="ours - reference <= 0.15 s", met=more <= 0.15)
        if quick:  # compiling Mesa and pandas afresh takes longer than all the rest
            return
        run = process("-m", "agentmicro", "run", "herding", "--json")
        pairs = interleaved(run, process("-c", "import mesa"), repeats)
        over = statistics.median((mine - 0.3) / theirs for mine, theirs in pairs)
        found = compared("start", "agentmicro run herding", "import mesa", 1, pairs, note=f"{over:.2f}")
        yield replace(found, aim="(ours - 0.3 s) / reference <= 1.2", met=over <= 1.2)


def _process(compiled: str, *arguments: str) -> Work:
    """A call that runs Python from the root of the repository and fails loudly.

    Bytecode is kept in a folder of its own: where writing it is switched off, compiling would be all that is measured.
    """
    given = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment = given | {"PYTHONPYCACHEPREFIX": compiled}

    def run() -> object:
        return subprocess.run([sys.executable, *arguments], cwd=ROOT, env=environment, check=True, capture_output=True)

    return run
