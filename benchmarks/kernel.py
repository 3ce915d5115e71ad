"""The benchmarks of deciding and moving: feeds, imitation, waves, luck, recording."""

import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from agentmicro.exposure import Seen
from agentmicro.minds import Decided
from agentmicro.noise import Luck
from agentmicro.phenomena.herding import Herding
from agentmicro.phenomena.voter import Voter
from agentmicro.trace import Trace
from agentmicro.turns import order_of
from benchmarks import references
from benchmarks.timing import Measurement, compared, interleaved, seconds

ITEMS, MOST = 48, 3
SMALL_WORLD = "small_world(k=6)"


def herding(quick: bool, repeats: int) -> Iterator[Measurement]:
    """Endorsing 3 of 48 items, reshuffled for each reader, all at once, measures and data collection included."""
    for n in (1_000,) if quick else (1_000, 10_000, 100_000):
        ours, scan = Herding(agents=n, rng=1), references.FullScan(n, ITEMS, MOST)
        aim = 1.0 if n >= 10_000 else None
        timed = partial(compared, "herding", n=n, unit="us/decision", scale=1e6 / n)
        pairs = interleaved(ours.step, scan.step, repeats)
        yield timed("turn, mind two-stage", "NumPy full scan", pairs=pairs, most=aim)
        whole = Herding(agents=n, mind="popularity", rng=1)
        pairs = interleaved(whole.step, scan.step, repeats)
        yield timed("turn, mind popularity (all 48 places)", "NumPy full scan", pairs=pairs)
        if n <= 10_000:
            plain = references.PlainFeed(n, ITEMS, MOST)
            pairs = interleaved(ours.step, plain.step, repeats)
            yield timed("turn, mind two-stage", "plain Mesa", pairs=pairs)


def imitation(quick: bool, repeats: int) -> Iterator[Measurement]:
    """One simultaneous turn of everybody on a small world, measures and data collection included."""
    n = 10_000 if quick else 1_000_000
    model = Voter(agents=n, graph=SMALL_WORLD, turns="simultaneous", rng=1)
    for mind in ("voter", "degroot"):
        model.change(mind=mind)
        values = np.random.default_rng(1).random(n)
        pairs = interleaved(model.step, partial(references.product, model.links.matrix, values), repeats)
        yield compared(
            "imitation",
            f"turn, mind {mind}",
            "sparse product",
            n,
            pairs,
            most=None if quick else 3.0,
            unit="us/agent",
            scale=1e6 / n,
        )


@dataclass
class Slow:
    """A mind that answers a batch of any size after a fixed latency, as language models asked at once do."""

    latency: float
    name: str = "slow"

    def decide(self, seen: Seen) -> Decided:
        """Keeps every act, after the latency."""
        time.sleep(self.latency)
        return Decided(seen.own)

    def opening(self) -> None:
        """It begins as the phenomenon says."""

    def ready(self) -> None:
        """It costs nothing but time."""


def waves(quick: bool, repeats: int) -> Iterator[Measurement]:
    """A sequential turn cut into waves, against the same turn one agent at a time and against depth times latency."""
    n, latency = (100, 0.002) if quick else (1_000, 0.02)
    at_once, single = (Voter(agents=n, graph=SMALL_WORLD, turns="random", rng=1) for _ in range(2))

    def one_by_one() -> None:
        single.time += 1
        for row in order_of("random", single.seed, int(single.time), single.acts.rows)[:, None]:
            single.move(row)

    pairs = interleaved(at_once.step, one_by_one, repeats)
    assert np.array_equal(at_once.acts.own, single.acts.own), "waves and one at a time differ"
    depth = len(at_once.waves(at_once.acts.rows))
    note = f"{depth} waves; same acts after {int(single.time)} turns"
    yield compared("waves", "turn in waves", "one agent at a time", n, pairs, unit="ms", scale=1e3, note=note)

    slow = Voter(agents=n, graph=SMALL_WORLD, turns="random", rng=1)
    slow.minds = (Slow(latency),)
    timed = []
    for _ in range(repeats):
        spent = seconds(slow.step)
        timed.append((spent, len(slow.waves(slow.acts.rows)) * latency))
    yield compared(
        "waves",
        f"turn of minds that take {latency * 1e3:g} ms",
        "depth x latency",
        n,
        timed,
        most=None if quick else 1.1,
        unit="ms",
        scale=1e3,
    )


def luck(quick: bool, repeats: int) -> Iterator[Measurement]:
    """48 keyed draws for each reader, against NumPy's own generator and against the full scan that it serves."""
    n = 2_000 if quick else 20_000
    rows, rng, scan = np.arange(n), np.random.default_rng(1), references.FullScan(n, ITEMS, MOST)

    def draw() -> object:
        return Luck(1, "decide", 3, rows)(ITEMS)

    timed = partial(compared, "luck", "48 draws", n=n, unit="ns/draw", scale=1e9 / (n * ITEMS))
    yield timed("NumPy generator", pairs=interleaved(draw, partial(rng.random, (n, ITEMS)), repeats))
    yield timed("NumPy full scan", pairs=interleaved(draw, scan.step, repeats))


def recording(quick: bool, repeats: int) -> Iterator[Measurement]:
    """A row of data per turn, and one line of trace per decision."""
    model = Voter(agents=100, graph=SMALL_WORLD, turns="simultaneous", rng=1)
    reporters = [*model.measures.values(), *(lambda model, name=name: getattr(model, name) for name in _ledger(model))]
    columns: list[list[object]] = [[] for _ in reporters]
    turns, values = 200, len(reporters)

    def collected() -> None:
        for _ in range(turns):
            model.datacollector.collect(model)

    def appended() -> None:
        for _ in range(turns):
            for column, reporter in zip(columns, reporters, strict=True):
                column.append(reporter(model))

    pairs = interleaved(collected, appended, repeats)
    over = statistics.median(mine - theirs for mine, theirs in pairs) * 1e6 / (turns * values)
    yield compared(
        "recording", "a row of data with its measures", "the same values in lists", 100, pairs,
        unit="us/value", scale=1e6 / (turns * values), note=f"{over:.2f} us a value beside measuring",
    )  # fmt: skip
    yield from _traced(200 if quick else 1_000, repeats)


def _ledger(model: Voter) -> list[str]:
    return [name for name in model.datacollector.model_reporters if name not in model.measures]


def _traced(n: int, repeats: int) -> Iterator[Measurement]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trace.jsonl"
        for kind, trace in (("in memory", Trace()), ("on disk", Trace(path))):
            traced, plain = (Voter(agents=n, graph=SMALL_WORLD, turns="simultaneous", rng=1) for _ in range(2))
            traced.trace = trace
            pairs = interleaved(traced.step, plain.step, repeats)
            note = ""
            if trace.path is not None:
                trace.close()
                note = f"{path.stat().st_size / traced.n_decisions:.0f} bytes a decision"
            yield compared(
                "recording",
                f"turn with trace {kind}",
                "turn without",
                n,
                pairs,
                unit="us/decision",
                scale=1e6 / n,
                note=note,
            )
