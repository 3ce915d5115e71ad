"""What a society of language minds costs, from prompt to ledger: turns, layers, waves, and the record."""

import gc
import json
import statistics
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from time import perf_counter, process_time

from agentmicro.completion import Provider, Reply, Request
from agentmicro.completion.client import Client
from agentmicro.completion.limiter import Limits
from agentmicro.completion.loop import run
from agentmicro.completion.session import Session, session
from agentmicro.minds.language import LanguageMind
from agentmicro.minds.speaker import Speaker, defined
from agentmicro.phenomena.channels import Channels
from agentmicro.phenomena.herding import Herding
from agentmicro.society import Society
from benchmarks.timing import Measurement, Pairs, compared
from benchmarks.transports import DECISIONS, IDEAL, LATENCY, NEAR, WHAT, bare, turn

MODEL = "openai/fake"
SMALL_WORLD = "small_world(k=6)"
WAVE = 256  # in flight: no wave of a thousand agents is larger, or the ideal would be another

type Spent = tuple[float, float]  # wall and processor time


@dataclass(frozen=True)
class Place:
    """Where the measurements are made: a server for each latency, a folder for records, and how much is done."""

    slow: str  # answers after the latency of a simultaneous turn
    near: str  # answers after a shorter one
    fast: str  # answers at once
    folder: Path
    agents: int
    turns: int
    repeats: int


@dataclass
class Canned:
    """A provider that gives everyone the same reply at once, so that all below it costs nothing."""

    reply: Reply

    def complete(self, requests: Sequence[Request]) -> list[Reply]:
        """The reply, for each."""
        return [self.reply] * len(requests)

    def check(self) -> None:
        """It has no ceiling."""


@dataclass
class Overheard:
    """A provider that keeps what another one is asked."""

    provider: Provider
    asked: list[Request] = field(default_factory=list)

    def complete(self, requests: Sequence[Request]) -> list[Reply]:
        """The other's replies."""
        self.asked += requests
        return self.provider.complete(requests)

    def check(self) -> None:
        """The other's ceiling."""
        self.provider.check()


@dataclass
class Instant:
    """A transport to nowhere that answers at once."""

    reply: Reply

    async def send(self, request: Request, seconds: float) -> Reply:
        """The reply."""
        return self.reply

    async def close(self) -> None:
        """It has no connections."""


CHOSEN = Reply('{"choice": "A"}', structured=True, tokens_in=40, tokens_out=5, served="served-1")


def speaking(kind: type[Society], url: str, **given: object) -> Society:
    """A society in which one model takes every seat, named as a scenario names it."""
    with defined({"fake": Speaker(MODEL, base_url=url)}):
        model = kind(rng=1, **{"mind" if kind is Herding else "minds": "fake"}, **given)  # type: ignore[arg-type]
    return model


def language(model: Society) -> LanguageMind:
    """The one mind of a society that speaks."""
    (mind,) = model.minds
    assert isinstance(mind, LanguageMind)
    return mind


def spent(work: Callable[[], object]) -> Spent:
    """The wall and the processor time of all threads; what earlier work left behind is freed outside the clock."""
    gc.collect()
    begin, worked = perf_counter(), process_time()
    work()
    return perf_counter() - begin, process_time() - worked


def measured(place: Place) -> Iterator[Measurement]:
    """All measurements of societies."""
    gc.collect()
    gc.freeze()  # LiteLLM alone leaves a million objects, which every later collection would walk through
    yield from turns(place)
    yield from layers(place)
    yield from waves(place, place.near, NEAR)
    yield from waves(place, place.slow, LATENCY)
    yield from replays(place)


def turns(place: Place) -> Iterator[Measurement]:
    """One simultaneous turn of herding, against the ideal and against the same prompts in a bare LiteLLM loop."""
    named = partial(compared, n=DECISIONS, unit="ms", scale=1000)
    with session(place.folder / "direct.sqlite", transport="direct"):
        model = speaking(Herding, place.slow, agents=DECISIONS)
        model.step()  # connections, caches and imports are not what is measured
        pairs: Pairs = [(spent(model.step)[0], IDEAL) for _ in range(place.repeats)]
        assert model.failure_rate == 0, "a decision of the benchmark failed"
    yield named("society, direct", f"herding: {WHAT}", "ideal", pairs=pairs, most=1.25)
    with session(place.folder / "litellm.sqlite", transport="litellm"):
        model = speaking(Herding, place.slow, agents=DECISIONS)
        call = bare(place.slow, prompts(model).__getitem__)
        model.step()
        run(turn(call))
        pairs = [(spent(model.step)[0], run(turn(call))[0]) for _ in range(place.repeats)]
        assert model.failure_rate == 0, "a decision of the benchmark failed"
    yield named("society, litellm", f"herding: {WHAT}", "bare acompletion, same prompts", pairs=pairs, most=1.1)


def prompts(model: Society) -> list[Request]:
    """What everyone would be asked now."""
    mind, seen = language(model), model.expose(model.acts.rows)
    return [mind.request(seen.one(index)) for index in range(len(seen))]


def layers(place: Place) -> Iterator[Measurement]:
    """A turn of channels without latency, built up layer by layer: each layer costs what it adds to the one before.

    Differences instead of a profile, because the layers run on three threads and a profiler slows them unevenly.
    """
    stages: dict[str, tuple[Session, Provider | None]] = {
        "above the client": (session(mode="off"), Canned(CHOSEN)),
        "client": (session(mode="off", factory=lambda *_: Instant(CHOSEN)), None),
        "transport": (session(mode="off", transport="direct"), None),
        "record": (session(place.folder / "layers.sqlite", transport="direct"), None),
    }
    found: dict[str, list[Spent]] = {name: [] for name in stages}
    with ExitStack() as stack:
        models = {}
        for name, (settings, provider) in stages.items():
            stack.callback(settings.end)
            models[name] = model = speaking(Channels, place.fast, agents=place.agents)
            language(model).provider = provider or Client(settings, model.account)
            model.step()
        for _ in range(place.repeats):
            for name, model in models.items():
                found[name].append(spent(model.step))
    yield from _stacked(found, place.agents)
    yield from above(place)


def _stacked(found: dict[str, list[Spent]], agents: int) -> Iterator[Measurement]:
    what = "channels, no latency, direct"
    repeats = len(found["record"])
    wall = statistics.median(wall for wall, _ in found["record"]) / agents
    rate = f"{1 / wall:,.0f} decisions a second"
    yield Measurement(
        "society, all layers", what, "", agents, repeats, "us/decision", wall * 1e6,
        aim="3,000 a second", met=wall <= 1 / 3000, note=rate,
    )  # fmt: skip
    before, total = 0.0, statistics.median(worked for _, worked in found["record"])
    for layer, times in found.items():
        worked = statistics.median(worked for _, worked in times)
        share = f"{(worked - before) / total:.0%} of the processor time"
        each = (worked - before) / agents * 1e6
        yield Measurement(f"layer: {layer}", f"{what}, processor", "", agents, repeats, "us/decision", each, note=share)
        before = worked
    for index, name in enumerate(("wall", "processor")):
        pairs: Pairs = [
            (on[index] / agents, off[index] / agents)
            for on, off in zip(found["record"], found["transport"], strict=True)
        ]
        part = 1 - 1 / statistics.median(on / off for on, off in pairs)
        yield compared(
            f"record, {name}", what, "without a record", agents, pairs, most=1.25,
            unit="us/decision", scale=1e6, note=f"the record is {part:.0%} of the turn",
        )  # fmt: skip


def above(place: Place) -> Iterator[Measurement]:
    """What stands above the client, part by part, on one thread."""
    model = speaking(Channels, place.fast, agents=place.agents)
    language(model).provider = Canned(CHOSEN)
    parts: dict[str, list[float]] = {"prompt": [], "parse": [], "kernel and the rest": []}
    for _ in range(place.repeats):
        whole = spent(model.step)[1]
        asking = spent(lambda: prompts(model))[1]
        seen = model.expose(model.acts.rows)
        offers = [seen.one(index).offer for index in range(len(seen))]
        reading = spent(lambda: [offer.read(json.loads(CHOSEN.text)) for offer in offers])[1]  # noqa: B023
        for part, worked in zip(parts, (asking, reading, whole - asking - reading), strict=True):
            parts[part].append(worked)
    for name, times in parts.items():
        each = statistics.median(times) / place.agents * 1e6
        yield Measurement(f"above: {name}", "channels, processor", "", place.agents, place.repeats, "us/decision", each)


def waves(place: Place, url: str, latency: float) -> Iterator[Measurement]:
    """A sequential turn on a sparse network in waves, against waves times latency."""
    with session(place.folder / f"waves {latency}.sqlite", transport="direct", limits=Limits(WAVE)):
        model = speaking(Channels, url, agents=place.agents, graph=SMALL_WORLD, turns="random")
        model.step()
        pairs: Pairs = []
        sizes = []
        for _ in range(place.repeats):
            wall, _ = spent(model.step)
            batches = model.waves(model.acts.rows)
            sizes.append((len(batches), max(batch.size for batch in batches)))
            pairs.append((wall, len(batches) * latency))
        assert model.failure_rate == 0, "a decision of the benchmark failed"
    count, largest = (sorted(column)[len(column) // 2] for column in zip(*sizes, strict=True))
    yield compared(
        "society, waves", f"channels on {SMALL_WORLD}, {latency * 1e3:g} ms, direct", "waves x latency",
        place.agents, pairs, most=1.3, unit="ms", scale=1000, note=f"{count} waves, the largest of {largest}",
    )  # fmt: skip


def replays(place: Place) -> Iterator[Measurement]:
    """Recorded decisions given again, to the whole society and at the client in one batch."""
    path, decisions = place.folder / "replay.sqlite", place.agents * place.turns
    with session(path, transport="direct"):
        first = speaking(Channels, place.fast, agents=place.agents)
        heard = language(first).provider = Overheard(language(first).provider)
        for _ in range(place.turns):
            first.step()

    def society() -> float:
        model = speaking(Channels, place.fast, agents=place.agents)
        wall = sum(spent(model.step)[0] for _ in range(place.turns))
        assert model.n_replayed == decisions, "the replay asked for something new"
        assert (model.acts.own == first.acts.own).all(), "the replay is another run"
        return wall / decisions

    def client() -> float:
        return spent(lambda: Client().complete(heard.asked))[0] / decisions

    with session(path, mode="replay"):
        found = [(society(), client()) for _ in range(place.repeats + 1)][1:]
    for name, what, times in zip(
        ("society", "client"), ("channels", "the same, in one batch"), zip(*found, strict=True), strict=True
    ):
        each = statistics.median(times)
        yield Measurement(
            f"replay, {name}", what, "", decisions, len(times), "us/decision", each * 1e6,
            aim="20,000 a second", met=each <= 1 / 20_000, note=f"{1 / each:,.0f} decisions a second",
        )  # fmt: skip
