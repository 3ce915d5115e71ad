"""What a page draws of a model, copied out between two turns: a value that no later turn can change.

Large societies are thinned for the eye, never for the measures: at most so many links and travelling messages are
drawn, and a long line keeps the least and the most of each stretch.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite

import numpy as np
from numpy.typing import NDArray

from agentmicro import graphs
from agentmicro.app.paint import Painted, painted
from agentmicro.noise import permutation
from agentmicro.society import Society
from agentmicro.trace import Trace

LINKS = 6_000  # links that are drawn at most
FLIGHTS = 400  # messages on their way that are drawn at most
POINTS = 600  # points of a line at most
TRACED = 20_000  # exposures a turn up to which every decision is written down for the inspector


@dataclass(frozen=True)
class Ground:
    """Where agents stand and who hears whom: it changes only when the graph does.

    sizes: how far each agent reaches, from 0 to 1. hidden: how many links are not drawn.
    """

    key: int
    names: list[str]
    points: list[tuple[float, float]]
    links: list[tuple[int, int]]
    sizes: list[float]
    directed: bool
    hidden: int


@dataclass(frozen=True)
class Frame:
    """One moment of a run: colours, messages on their way, the lines so far, and the ledger.

    flights: author, reader, and how far the message has come, from 0 to 1. docs: what each measure is. traced: whether
    decisions are being written down.
    """

    time: float
    ground: Ground
    acts: Painted
    flights: list[tuple[int, int, float]]
    series: Mapping[str, list[float]]
    docs: Mapping[str, str]
    ledger: Mapping[str, float]
    knobs: Mapping[str, object]
    minds: list[str]
    traced: bool
    valid: bool = True
    entries: Sequence[Mapping[str, object]] = field(default_factory=list, repr=False)


class Camera:
    """Makes the frames of one model; what did not change since the last frame is shared with it."""

    def __init__(self) -> None:
        self._ground: tuple[object, Ground] | None = None

    def __call__(self, model: Society) -> Frame:
        """The model as it stands; called between turns, on the thread that steps it."""
        columns = model.datacollector.model_vars
        series = {name: [_number(value) for value in columns[name]] for name in model.measures}
        ledger = {name: _number(column[-1]) for name, column in columns.items() if name not in model.measures}
        return Frame(
            time=model.time,
            ground=self.ground(model),
            acts=painted(model.affordance, model.acts.own),
            flights=flights(model),
            series=series,
            docs={name: (measure.__doc__ or "").partition("\n")[0] for name, measure in model.measures.items()},
            ledger=ledger,
            knobs=dict(model.knobs),
            minds=[model.minds[seat].name for seat in model.seats.tolist()],
            traced=model.trace is not None,
            valid=model.valid,
            entries=model.trace.entries if model.trace is not None else [],
        )

    def ground(self, model: Society) -> Ground:
        """Where agents stand; laid out anew only when the links are others."""
        if self._ground is None or self._ground[0] is not model.links:
            key = 0 if self._ground is None else self._ground[1].key + 1
            self._ground = model.links, _ground(model, key)
        return self._ground[1]


def traced(model: Society) -> Society:
    """The model with a trace, if it is small enough that writing every decision down does not slow it much."""
    heard = model.links.n - 1 if model.links.complete else float(model.links.degrees.mean())
    if model.links.n * max(1.0, heard) <= TRACED:
        model.trace = Trace()
    return model


def _ground(model: Society, key: int) -> Ground:
    links = model.links
    placed = graphs.layout(links, model.seed) if links.complete or links.degrees.any() else {}
    points = [placed[name] for name in links.names] if placed else _sunflower(links.n)
    edges, hidden = drawn(model)
    reach = links.out_degrees.astype(float)
    most = float(reach.max(initial=0.0))
    sizes = (reach / most if most else reach).tolist()
    return Ground(key, [str(name) for name in links.names], points, edges, sizes, links.directed, hidden)


def _sunflower(n: int) -> list[tuple[float, float]]:
    """Places for those who hear nobody: an even disc, where no pair looks closer than another."""
    steps = np.arange(n)
    far, angle = np.sqrt((steps + 0.5) / n), steps * np.pi * (3 - np.sqrt(5))
    return list(zip((far * np.cos(angle)).tolist(), (far * np.sin(angle)).tolist(), strict=True))


def drawn(model: Society) -> tuple[list[tuple[int, int]], int]:
    """The links that are drawn, author first, each pair once; and how many are left out."""
    links = model.links
    if links.complete:
        total = links.n * (links.n - 1) // 2
        if total > LINKS:
            return [], total
        return [(one, other) for one in range(links.n) for other in range(one + 1, links.n)], 0
    counts, authors = links.of_rows(np.arange(links.n))
    readers = np.repeat(np.arange(links.n), counts)
    pairs = np.column_stack([authors, readers]).astype(int)
    if not links.directed:
        pairs = pairs[pairs[:, 0] < pairs[:, 1]]
    hidden = max(0, len(pairs) - LINKS)
    if hidden:
        pairs = pairs[np.sort(permutation(model.seed, "drawn", len(pairs))[:LINKS])]
    return [(one, other) for one, other in pairs.tolist()], hidden


def flights(model: Society) -> list[tuple[int, int, float]]:
    """The messages that are on their way: acts younger than the delay, to everybody who will hear them."""
    plan, links = model.architecture, model.links
    if not plan.latency or plan.visibility == "hidden" or plan.communication == "pairs" or links.complete:
        return []
    delay = plan.latency + plan.simultaneous
    age = model.time - model.acts.times
    young = (age < delay) & ~model.affordance.is_blank(model.acts.own)
    counts, authors = links.of_rows(np.arange(links.n))
    readers = np.repeat(np.arange(links.n), counts)
    travelling = np.flatnonzero(young[authors])
    if travelling.size > FLIGHTS:
        travelling = np.sort(travelling[permutation(model.seed, "drawn", travelling.size)[:FLIGHTS]])
    far: NDArray[np.float64] = (age[authors[travelling]] + 0.5) / delay
    pairs = zip(authors[travelling].tolist(), readers[travelling].tolist(), far.tolist(), strict=True)
    return [(author, reader, min(1.0, share)) for author, reader, share in pairs]


def thinned(values: Sequence[float], points: int = POINTS) -> list[tuple[int, float]]:
    """A line's points, at most so many: of each stretch the least and the most, in their order."""
    if len(values) <= points:
        return list(enumerate(values))
    kept: list[tuple[int, float]] = []
    edges = np.linspace(0, len(values), points // 2 + 1).astype(int)
    for start, end in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        stretch = [(place, values[place]) for place in range(start, end) if isfinite(values[place])]
        if stretch:
            ends = {min(stretch, key=lambda point: point[1]), max(stretch, key=lambda point: point[1])}
            kept += sorted(ends)
    return kept


def _number(value: object) -> float:
    return float("nan") if value is None else float(value)  # type: ignore[arg-type]
