"""What each agent of a batch is shown: the only channel from one agent to another.

`Seen` is a batch of observations and lazy: nothing is built that a mind does not ask for. It is valid until the batch
settles. The array view (`counts`, `mean`, `any`) and the text view (`heard`) read the same exposures.
"""

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agentmicro import noise
from agentmicro.acts import Acts, Coded, Rows, Times
from agentmicro.affordances import Affordance, Artifact, Choice, Message, Number, Offer, Picks, Tools
from agentmicro.architecture import ALL, Architecture, Exposure
from agentmicro.errors import RuleError, SpecError, listed
from agentmicro.flat import Flat, addressed, column, content, counted, differs, is_addressed, once_each, part_of
from agentmicro.graphs import Links
from agentmicro.meetings import NOBODY, Meetings, Met
from agentmicro.noise import Chance, Luck
from agentmicro.world import Source, View

type Floats = NDArray[np.floating]

TOGETHER = 4096  # about so many exposures are made at once where they are asked for row by row


@dataclass(frozen=True)
class Scene:
    """All that an exposure is made of; assembled by the society, read by `Seen` alone."""

    seed: int
    time: float
    turn: float
    architecture: Architecture
    affordance: Affordance
    part: str | None
    acts: Acts
    public: Acts
    delay: int
    links: Links
    partner: Rows | None
    meetings: Meetings | None
    decisions: NDArray[np.int64]
    sources: Mapping[str, Source]
    traits: Mapping[str, NDArray[np.generic]]
    names: "Names"


class Names:
    """What agents are called: node labels where the graph has them, else their row numbers."""

    def __init__(self, labels: tuple[object, ...] | None) -> None:
        self._labels = labels

    def __getitem__(self, row: int) -> str:
        return str(row if self._labels is None else self._labels[row])


class Seen:
    """A batch of observations: what the architecture shows to each of some agents at the moment of deciding.

    rows: the agents. own: their own standing acts, coded. time: now. Everything about others comes through `counts`,
    `mean`, `any`, `total`, `met`, `flat` and `heard`; everything about the world through `world`.
    """

    def __init__(self, scene: Scene, rows: Rows) -> None:
        self._scene = scene
        self.rows = rows
        self.time = scene.time
        self.affordance = scene.affordance
        self.part = scene.part
        self._nearby: tuple[int, Flat, list[int]] | None = None
        self._arranged: tuple[int, Floats] | None = None

    def __len__(self) -> int:
        return int(self.rows.size)

    # --- the agents themselves

    @functools.cached_property
    def own(self) -> Coded:
        """The standing act of each agent of the batch, coded."""
        own = self._scene.acts.own
        if self.rows is not self._scene.acts.rows:
            return own[self.rows]
        own = own.view()
        own.flags.writeable = False  # it is the table itself, which only `settle` may write
        return own

    def trait(self, name: str) -> NDArray[np.generic]:
        """What each agent of the batch privately is or knows, such as a signal."""
        return self._scene.traits[name][self.rows]

    @property
    def roles(self) -> NDArray[np.generic]:
        """The role of each agent of the batch, by name: the trait "role", which acts that have roles need."""
        if "role" not in self._scene.traits:
            raise SpecError("the acts have roles and there is no trait 'role', expected one role name per agent")
        return self.trait("role")

    @functools.cached_property
    def luck(self) -> Luck:
        """The keyed draws of these decisions."""
        return Luck(self._scene.seed, "decide", self._decisions, self.rows)

    @property
    def asked(self) -> Affordance:
        """The affordance that is asked for now: the whole act, or one part of it."""
        return part_of(self.affordance, self.part)

    # --- the others, as arrays

    def counts(self, part: str | None = None) -> Floats:
        """How many of each option the agents hear: one row per agent, one column per option."""
        kind = part_of(self.affordance, part)
        if not isinstance(kind, Choice | Picks):
            raise RuleError(f"counts() needs a Choice or Picks, and the act is a {type(kind).__name__}")
        options = len(kind.options)
        if self._direct and part is None and isinstance(kind, Choice):
            if self._scene.links.complete:
                held = self._standing[:, None] == np.arange(options)
                return np.asarray(held.sum(axis=0) - held[self.rows].astype(float))
            if self._whole:
                return self._tally(self._standing, options)
        row, _, acts = self._heard_of(kind, part)
        if acts.ndim > 1:
            row, acts = np.repeat(row, acts.shape[1])[acts.ravel() >= 0], acts.ravel()[acts.ravel() >= 0]
        return np.bincount(row * options + acts, minlength=len(self) * options).reshape(-1, options) * 1.0

    def mean(self, part: str | None = None) -> Floats:
        """The mean number that each agent hears, by the weights of the graph if it has any; NaN where it hears none."""
        links = self._scene.links
        with np.errstate(invalid="ignore"):
            if self._direct and part is None and links.complete:
                numbers = self._standing.astype(float, copy=False)
                return np.asarray((numbers.sum() - numbers[self.rows]) / np.float64(links.n - 1))
            if self._whole and part is None:
                return np.asarray(links.matrix @ self._standing.astype(float, copy=False)) / links.strengths
            row, author, numbers = self._heard_of(part_of(self.affordance, part), part)
            met = self._scene.architecture.communication == "pairs"
            weights = np.ones(row.size) if met else links.weights_of(self.rows[row], author)
            numbers = numbers.astype(float)
            total = np.bincount(row, weights * numbers, minlength=len(self))
            return total / np.bincount(row, weights, minlength=len(self))

    def total(self) -> Floats:
        """How many acts each agent hears."""
        if self._direct:
            return self._scene.links.degrees[self.rows].astype(float)
        return np.bincount(self.flat.row, minlength=len(self)).astype(float)

    def any(self) -> Coded:
        """One of the acts that each agent hears, each as likely as the others; blank where it hears none."""
        links = self._scene.links
        if self._direct:
            degrees = links.degrees[self.rows]
            drawn = self.luck.below(degrees)
            if links.complete and links.n > 1:
                authors: Rows = drawn + (drawn >= self.rows)
            elif not links.complete and links.authors.size:
                authors = links.authors[np.minimum(links.starts[self.rows] + drawn, links.authors.size - 1)]
            else:
                authors = self.rows
            picked = self._standing[authors]
        else:
            flat, starts = self.flat, np.searchsorted(self.flat.row, np.arange(len(self)))
            degrees = np.bincount(flat.row, minlength=len(self))
            drawn = starts + self.luck.below(degrees)
            if not flat.act.size:
                return self.affordance.blank(len(self))
            picked = flat.act[np.minimum(drawn, flat.act.size - 1)]
        alone = np.flatnonzero(degrees == 0)
        if alone.size:
            picked[alone] = self.affordance.blank(alone.size)
        return picked

    def met(self, depth: int) -> Met:
        """The last meetings of each agent under `pairs`, newest first, its own act in each beside the other's."""
        scene = self._scene
        if scene.meetings is None:
            raise RuleError("met() needs communication = 'pairs'")
        depth = min(depth, 1 + (scene.architecture.memory if scene.architecture.memory != ALL else depth))
        met = scene.meetings.before(self.rows, scene.turn - max(1, scene.delay), depth)
        unseen = np.full(met.partner.shape, scene.architecture.visibility == "hidden")
        if scene.architecture.loss:
            unseen |= self._lost(met.turn, met.partner, np.broadcast_to(self.rows[:, None], met.turn.shape))
        met.partner[unseen], met.theirs[unseen] = NOBODY, self.affordance.blank(1)[0]
        return met

    @functools.cached_property
    def flat(self) -> Flat:
        """Every exposure of the batch, one by one; the authors in it are for the kernel and for `full` visibility."""
        return self._flat(self.rows)

    # --- the world

    @functools.cached_property
    def world(self) -> Mapping[str, View]:
        """What the environment shows to this batch, by the name of the source."""
        scene = self._scene
        views = {}
        for name, source in scene.sources.items():
            when = scene.turn - source.latency - scene.architecture.simultaneous
            views[name] = source.view(when, Luck(scene.seed, name, self._decisions, self.rows), scene.time)
        return views

    # --- one agent at a time

    def heard(self, index: int) -> list[Exposure]:
        """All that the index-th agent of the batch is shown: what stands, what is remembered, what the world shows."""
        scene = self._scene
        flat = self._near(index)
        public = self.affordance.public if isinstance(self.affordance, Artifact) else self.affordance
        contents = [content(public, act, int(self.rows[index])) for act in flat.act]
        ages = (scene.time - flat.time).tolist()
        shown = [
            Exposure(content, 1, scene.names[author], age)
            for content, author, age in zip(contents, flat.author.tolist(), ages, strict=True)
        ]
        visibility = scene.architecture.visibility
        if visibility == "anonymous":
            shown = sorted(
                (item._replace(author=None) for item in shown), key=lambda item: (item.age, str(item.content))
            )
        elif visibility == "counts":
            shown = counted(shown)
        for view in self.world.values():
            shown.extend(view.exposures(index))
        return shown

    def one(self, index: int) -> "Observation":
        """The observation of the index-th agent of the batch by itself."""
        return Observation(self, index)

    def only(self, indices: Rows) -> "Seen":
        """The same moment for some of the agents of the batch."""
        return Seen(self._scene, self.rows[indices])

    def unsettled(self) -> Floats:
        """How far each agent's own act is from what it hears: the share that differs, or the distance to the mean."""
        kind = self.affordance
        if isinstance(kind, Number):
            return np.asarray(np.nan_to_num(np.abs(self.mean() - self.own.astype(float))))
        flat = self.flat
        unlike = differs(kind, flat.act, self.own[flat.row])
        total = np.bincount(flat.row, minlength=len(self))
        return np.asarray(np.bincount(flat.row, unlike, minlength=len(self)) / np.maximum(total, 1))

    # --- how exposures are made

    @property
    def _decisions(self) -> NDArray[np.int64]:
        decisions = self._scene.decisions
        return decisions if self.rows is self._scene.acts.rows else decisions[self.rows]

    @functools.cached_property
    def _standing(self) -> Coded:
        """The acts that stand for a reader now: those of `delay` turns ago."""
        return self._scene.public.at(self._scene.turn - self._scene.delay)[0]

    @property
    def _direct(self) -> bool:
        """Whether an exposure is simply the standing act of each author."""
        plan = self._scene.architecture
        return (
            plan.plain
            and plan.communication in ("network", "everyone")
            and plan.visibility != "hidden"
            and not isinstance(self.affordance, Artifact)  # of which parts may be private or still blank
            and not self._scene.public.blanks_at(self._scene.turn - self._scene.delay)
        )

    @property
    def _whole(self) -> bool:
        """Whether the batch is everyone, so that one sparse product serves all."""
        return self._direct and self.rows is self._scene.acts.rows

    def _tally(self, acts: Coded, options: int) -> Floats:
        """Counts by one sparse product per option; the last option is what is left of all that is heard."""
        tally = np.empty((len(self), options))
        tally[:, -1] = self._scene.links.degrees
        for option in range(options - 1):
            tally[:, option] = self._scene.links.pattern @ (acts == option).astype(float)
            tally[:, -1] -= tally[:, option]
        return tally

    def _heard_of(self, kind: Affordance, part: str | None) -> tuple[Rows, Rows, Coded]:
        """What is heard of one kind of act, without what was left blank: the row of the batch, who, and the act."""
        if isinstance(self.affordance, Artifact) and part in self.affordance.private:
            raise RuleError(f"part {part!r} is private: nobody hears it from others")
        acts = column(self.flat.act, part)
        given = np.flatnonzero(~kind.is_blank(acts))
        return self.flat.row[given], self.flat.author[given], acts[given]

    def _near(self, index: int) -> Flat:
        """The exposures of one row; those of the rows around it are made with them, for whoever asks row by row."""
        first = index - index % self._block
        if self._nearby is None or self._nearby[0] != first:
            rows = self.rows[first : first + self._block]
            flat = self._flat(rows)
            self._nearby = first, flat, np.searchsorted(flat.row, np.arange(rows.size + 1)).tolist()
        _, flat, starts = self._nearby
        return flat.take(slice(starts[index - first], starts[index - first + 1]))

    @functools.cached_property
    def _block(self) -> int:
        """How many rows are made at once: many on a sparse graph, one where a row alone is large."""
        return max(1, TOGETHER // (1 + int(self._scene.links.degrees[self.rows].max(initial=0))))

    def _arrangement(self, index: int, options: int) -> tuple[tuple[int, ...], bool]:
        """In which order one row gets the options, and whether with labels: the draws of its stream `offer`."""
        block = max(1, TOGETHER // options)
        first = index - index % block
        if self._arranged is None or self._arranged[0] != first:
            scene, rows = self._scene, self.rows[first : first + block]
            self._arranged = first, Luck(scene.seed, "offer", scene.decisions[rows], rows)(1 + options)
        labelled, *drawn = self._arranged[1][index - first].tolist()
        return tuple(sorted(range(options), key=drawn.__getitem__)), labelled < 0.5

    def _flat(self, rows: Rows) -> Flat:
        plan = self._scene.architecture
        if plan.visibility == "hidden":
            layers = []
        elif plan.communication == "pairs":
            layers = self._flat_pairs(rows)
        else:
            layers = self._flat_links(rows)
        if not layers:
            none = np.zeros(0, np.intp)
            return Flat(none, none, self.affordance.blank(0), np.zeros(0))
        joined = layers[0] if len(layers) == 1 else Flat(*map(np.concatenate, zip(*layers, strict=True)))
        if plan.communication == "addressed" or is_addressed(self.affordance):
            joined = addressed(joined, rows, self.affordance)
        if isinstance(self.affordance, Artifact):
            for name in self.affordance.private:
                joined.act[name] = self.affordance.part(name).blank(len(joined.act))
        keep = ~self.affordance.is_blank(joined.act)
        if not keep.all():
            joined = joined.take(np.flatnonzero(keep))
        if len(layers) > 1:
            joined = once_each(joined) if plan.shown else joined
            order = np.argsort(joined.row, kind="stable")
            joined = joined.take(order)
        return joined

    def _flat_links(self, rows: Rows) -> list[Flat]:
        scene, plan = self._scene, self._scene.architecture
        newest = scene.turn - scene.delay
        depth = max(0, int(newest))
        depth = depth if plan.memory == ALL else min(plan.memory, depth)
        counts, authors = scene.links.of_rows(rows)
        index = np.repeat(np.arange(rows.size), counts)
        layers: list[Flat] = []
        newer: Times | None = None
        for back in range(depth + 1):
            acts, times = scene.public.at(newest - back)
            row, author = self._shown(rows, index, authors, back) if plan.shown else (index, authors)
            if newer is not None and not plan.shown:
                fresh = times[author] < newer[author]
                row, author = row[fresh], author[fresh]
            if plan.loss:
                got = ~self._lost(times[author], author, rows[row])
                row, author = row[got], author[got]
            layers.append(Flat(row, author, acts[author], times[author]))
            newer = times
        return layers

    def _shown(self, rows: Rows, index: Rows, authors: Rows, back: int) -> tuple[Rows, Rows]:
        """Draws the neighbours that are shown at a decision, the same whoever else is in the batch."""
        scene = self._scene
        keys = noise.keys(scene.seed, "shown", scene.decisions[rows] - back, rows)
        order = np.lexsort((noise.crossed(keys[index], authors), index))
        starts = np.searchsorted(index, np.arange(rows.size))
        rank = np.arange(index.size) - starts[index]
        kept = np.sort(order[rank < scene.architecture.shown])
        return index[kept], authors[kept]

    def _flat_pairs(self, rows: Rows) -> list[Flat]:
        scene, plan = self._scene, self._scene.architecture
        layers: list[Flat] = []
        if scene.delay == 0 and scene.partner is not None:
            partner = scene.partner[rows]
            here = np.flatnonzero(partner != NOBODY)
            acts, times = scene.public.own, scene.public.times
            layers.append(Flat(here, partner[here], acts[partner[here]], times[partner[here]]))
        if scene.meetings is not None:
            delay = max(1, scene.delay)
            past = (int(scene.turn) if plan.memory == ALL else plan.memory) + bool(scene.delay)
            met = scene.meetings.before(rows, scene.turn - delay, past)
            old = met.turn + delay <= scene.acts.times[rows][:, None]
            remembered = np.inf if plan.memory == ALL else plan.memory
            row, column = np.nonzero((met.partner != NOBODY) & (~old | (np.cumsum(old, axis=1) <= remembered)))
            layers.append(Flat(row, met.partner[row, column], met.theirs[row, column], met.turn[row, column]))
        if plan.loss:
            lost = [self._lost(layer.time, layer.author, rows[layer.row]) for layer in layers]
            layers = [layer.take(np.flatnonzero(~gone)) for layer, gone in zip(layers, lost, strict=True)]
        return layers

    def _lost(self, times: Times, authors: Rows, readers: Rows) -> NDArray[np.bool_]:
        """Which acts never reach which readers: one draw for each act, by its author and time, and reader."""
        messages = noise.keys(self._scene.seed, "loss", times.view(np.int64), authors)
        return np.asarray(noise.crossed(messages, readers) < self._scene.architecture.loss)


class Observation:
    """What one agent is shown: values instead of arrays, for rules of one agent and for prompts.

    own: its standing act. heard: a list of `Exposure`. luck: the draws of this decision. name, time, traits.
    """

    def __init__(self, seen: Seen, index: int) -> None:
        self._seen = seen
        self._index = index
        self.row = int(seen.rows[index])
        self.time = seen.time
        self.affordance = seen.asked

    @property
    def name(self) -> str:
        """What this agent is called."""
        return self._seen._scene.names[self.row]

    @functools.cached_property
    def own(self) -> object:
        """Its own standing act as a value; None before its first."""
        return self._seen.affordance.decode(self._seen.own[self._index])

    @functools.cached_property
    def heard(self) -> list[Exposure]:
        """All that it is shown: what stands, what it remembers, what the world shows."""
        return self._seen.heard(self._index)

    @functools.cached_property
    def luck(self) -> Chance:
        """The keyed draws of this decision: the same numbers that the array form draws for this row."""
        return self.chance("decide")

    def chance(self, stream: str) -> Chance:
        """The keyed draws of this decision in another stream, such as the order in which options are put."""
        return Chance(self.decision[0], stream, self.decision[1], self.row)

    @functools.cached_property
    def decision(self) -> tuple[int, int]:
        """The run's seed and which of its decisions this is: what makes the decision's draws its own."""
        scene = self._seen._scene
        return scene.seed, int(scene.decisions[self.row])

    def trait(self, name: str) -> object:
        """What it privately is or knows."""
        value = self._seen._scene.traits[name][self.row]
        return value.item() if isinstance(value, np.generic) else value

    @functools.cached_property
    def offer(self) -> Offer[Any]:
        """The question as put to this agent: options in an order, and under labels, drawn by keyed luck."""
        kind = self.affordance
        if isinstance(kind, Choice | Picks):
            return _arranged(kind, *self._seen._arrangement(self._index, len(kind.options)))
        if isinstance(kind, Tools):
            mine = kind.may(self._seen.only(np.array([self._index])).roles[0]) if kind.roles else kind.may(None)
            return kind.offer(
                order=[mine[place] for place in self.chance("offer").order(len(mine))], names=self._neighbours()
            )
        if isinstance(kind, Message | Artifact):
            return kind.offer(names=self._neighbours())
        return kind.offer()

    def phrase(self, *ways: str) -> str:
        """One of several ways of saying the same, by keyed luck, so that an effect of the wording averages out."""
        return self.chance("phrase").choice(ways)

    def _neighbours(self) -> dict[str, int]:
        scene = self._seen._scene
        readers = scene.links.heard_by.of_rows(np.array([self.row]))[1]
        return {scene.names[row]: row for row in readers.tolist()}

    def __repr__(self) -> str:
        heard = listed(f"{item.content!r}" + (f" x{item.count}" if item.count > 1 else "") for item in self.heard[:8])
        return f"own = {self.own!r}, heard = [{heard}{', ...' if len(self.heard) > 8 else ''}]"


@functools.lru_cache(maxsize=256)
def _arranged(kind: Choice | Picks, order: tuple[int, ...], labelled: bool) -> Offer[Any]:
    """The options in an order: few options have few orders, and agents with the same one share what is made of it."""
    return kind.offer(order=order, labelled=labelled)
