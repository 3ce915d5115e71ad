"""What a study costs beside its runs, as ratios within one run: `python -m benchmarks.studies [--quick] [--out PATH]`.

`voter` with ten agents and five turns is a tiny run of some three milliseconds: there our runner, which writes every
run and every turn to the disk and makes tables of them, is held against `mesa.batch_run`, which keeps the last row of
each run in memory. Runs of about a second show what a second process gains. Both sides take turns, A B A B ...
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import mesa
from rich.console import Console

from agentmicro.phenomena.herding import Herding
from agentmicro.phenomena.voter import Voter
from agentmicro.study.growing import grow
from agentmicro.study.spec import Grow, Scenario
from benchmarks.bench import table
from benchmarks.timing import Measurement, compared, seconds

TINY = {"agents": 10}
SECOND = {"agents": 2_000, "mind": "popularity"}
TURNS, LONG_TURNS = 5, 150


def measured(quick: bool, repeats: int) -> Iterator[Measurement]:
    """All measurements."""
    yield from against_mesa(200 if quick else 10_000, repeats)
    yield from memory(100 if quick else 1_000, 200 if quick else 10_000)
    yield from two_processes(4 if quick else 24, 3 if quick else LONG_TURNS, repeats)


def tiny(runs: int, out: str) -> None:
    """So many tiny runs as a study: half of them the base, half its null."""
    made = Scenario("voter", Path("voter.toml"), "", Voter, micro=TINY, grow=Grow(seeds=runs // 2, turns=TURNS))
    grow(made, out, executor="serial")


def batch(runs: int) -> list[dict[str, object]]:
    """The same runs by Mesa's runner."""
    minds = ["voter", Voter.null["mind"]]
    rows: list[dict[str, object]] = mesa.batch_run(
        Voter, {**TINY, "mind": minds}, rng=range(1, runs // 2 + 1), max_steps=TURNS, display_progress=False
    )
    return rows


def against_mesa(runs: int, repeats: int) -> Iterator[Measurement]:
    """Our runner against Mesa's, both in one process."""
    tiny_once(20)
    pairs = []
    for _ in range(repeats):
        ours = tiny_once(runs)
        pairs.append((ours, seconds(partial(batch, runs))))
    found = compared("study", "tiny runs, serial", "mesa.batch_run", runs, pairs, unit="ms/run", scale=1e3 / runs)
    yield replace(found, aim="ratio <= 1", met=None if runs < 1_000 else (found.ratio or 0) <= 1)


def tiny_once(runs: int) -> float:
    """The seconds of a study of tiny runs in a new folder, from its plan to its tables."""
    with tempfile.TemporaryDirectory() as out:
        return seconds(partial(tiny, runs, out))


def memory(few: int, many: int) -> Iterator[Measurement]:
    """The largest resident memory of a process that makes so many tiny runs, beside ten times fewer."""
    low, high = peak("tiny", few), peak("tiny", many)
    each = 1_000 * (high - low) / (many - few)
    mesas = peak("batch", many) - peak("batch", few)
    note = f"{high - low:+.1f} MB, {each:.1f} kB a run; mesa.batch_run {mesas:+.1f} MB"
    aim = "the table of runs: <= 3 kB a run"
    met = None if many < 1_000 else each <= 3
    yield Measurement(
        "study", "peak memory", f"{few:,} runs", many, 1, "MB", high, low, high / low, aim=aim, met=met, note=note
    )


def peak(which: str, runs: int) -> float:
    """The peak of a process of its own, in MB."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.studies", "--peak", which, str(runs)],
        capture_output=True, text=True, check=True, cwd=Path(__file__).parents[1],
    )  # fmt: skip
    return float(done.stdout)


def two_processes(runs: int, turns: int, repeats: int) -> Iterator[Measurement]:
    """Two worker processes against one, their start included, on runs of about a second."""
    made = Scenario("herding", Path("h.toml"), "", Herding, micro=SECOND, grow=Grow(seeds=runs // 2, turns=turns))

    def by(workers: int) -> float:
        with tempfile.TemporaryDirectory() as out:
            return seconds(lambda: grow(made, out, executor="processes", workers=workers))

    pairs = [(by(2), by(1)) for _ in range(repeats)]
    alone = seconds(lambda: _long(turns))
    note = f"a run takes {alone:.2f} s here"
    found = compared("study", "long runs, 2 processes", "1 process", runs, pairs, note=note)
    gain = 1 / (found.ratio or 1)
    yield replace(found, aim="1.7 times as fast", met=None if turns < LONG_TURNS else gain >= 1.7)


def _long(turns: int) -> None:
    model = Herding(agents=2_000, mind="popularity", rng=1)
    for _ in range(turns):
        model.step()


def main(arguments: list[str] | None = None) -> int:
    """Measures and prints one JSON line for each, and a table; nothing is judged by the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.studies", description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="the smallest sizes, to see that everything runs")
    parser.add_argument("--repeats", type=int, help="pairs of each measurement (default 3, with --quick 1)")
    parser.add_argument("--out", type=Path, help="where the JSON lines go (default: standard output)")
    parser.add_argument("--peak", nargs=2, metavar=("WHICH", "RUNS"), help=argparse.SUPPRESS)
    chosen = parser.parse_args(arguments)
    if chosen.peak:
        which, runs = chosen.peak
        with tempfile.TemporaryDirectory() as out:
            _ = tiny(int(runs), out) if which == "tiny" else batch(int(runs))
        # Not ru_maxrss, which a process inherits from the one that started it.
        status = Path("/proc/self/status").read_text()
        print(int(status.partition("VmHWM:")[2].split()[0]) / 1024)
        return 0
    found = []
    with chosen.out.open("w", encoding="utf-8") if chosen.out else nullcontext(sys.stdout) as lines:
        for measurement in measured(chosen.quick, chosen.repeats or (1 if chosen.quick else 3)):
            found.append(measurement)
            print(json.dumps(asdict(measurement)), file=lines, flush=True)
    Console(stderr=True, width=None if sys.stderr.isatty() else 200).print(table(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
