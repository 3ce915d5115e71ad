"""The society: a Mesa model whose agents are handles on rows of a table, and whose one loop is macro -> micro -> macro.

    seen = expose(rows)          what the architecture lets each of them see
    decided = decide(seen)       each agent's mind, in a declared order
    settle(rows, seen, decided)  acts become part of the world

A phenomenon subclasses `Society`: its constructor's signature is its knobs, and it adds its acts, its minds, what it
does to its world (`absorb`) and its measures.
"""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import replace
from math import floor
from typing import Any, ClassVar, Self

import mesa
import numpy as np
from mesa.discrete_space import CellAgent, Network
from numpy.typing import NDArray

from agentmicro import architecture as micro
from agentmicro import graphs
from agentmicro.acts import Acts, Coded, Rows
from agentmicro.affordances import Affordance
from agentmicro.architecture import ALL, Architecture
from agentmicro.completion import Account
from agentmicro.errors import KnobError, MindError, ReplyError, RuleError, SpecError, listed, nearest
from agentmicro.exposure import Names, Observation, Scene, Seen
from agentmicro.flat import Flat, addressed, addresses
from agentmicro.graphs import Links
from agentmicro.knobs import Scalar, knobs, resolve
from agentmicro.meetings import NOBODY, Meetings, matching
from agentmicro.minds import USABLE, Decided, Mind, Outcome, Rule, Seat, candidates, pick, seated
from agentmicro.noise import Chance, Luck, permutation, seed_for
from agentmicro.trace import Trace
from agentmicro.turns import order_of, waves
from agentmicro.world import Source

type Measure = Callable[[Any], float]
type Seed = int | np.integer | str | np.random.Generator | np.random.SeedSequence | None

LEDGER = (
    *("n_decisions", "n_repaired_decisions", "n_failed_decisions", "failure_rate", "valid"),
    *("n_calls", "n_replayed", "tokens_in", "tokens_out", "tokens_cached", "cost_usd"),
)
MINDS = ("mind", "minds")


class Member(CellAgent):
    """One agent: a thin handle on its row of the society's table."""

    model: "Society"

    @property
    def row(self) -> int:
        """Its row; members are the first agents of their model, so it is the unique id less one."""
        return int(self.unique_id) - 1

    @property
    def node(self) -> object:
        """Its node in `society.graph`."""
        labels = self.model.links.labels
        return self.row if labels is None else labels[self.row]

    @property
    def own(self) -> object:
        """Its standing act as a value; None before its first."""
        acts = self.model.acts
        return acts.affordance.decode(acts.own[self.row])

    def step(self) -> None:
        """A turn of this agent alone: it looks, decides and acts at once."""
        self.model.move(np.array([self.row]))

    def ring(self) -> None:
        """Its clock rings: it takes a turn and sets its clock anew."""
        self.model.rung(self)


class Society(mesa.Model):
    """A population under one interaction architecture; subclass it to make a phenomenon.

    rules: the phenomenon's embedded minds by name. prompt: the question to a language model. null: the knobs that
    take the mechanism away. live: knobs that may change during a run, besides the architecture, the graph and the
    minds. needs: knobs that act only beside certain values of others. inert: knobs that cannot change the trace, each
    with the reason. length: the turns of a run if nobody says. failure_limit: the share of failed decisions above
    which a run is not valid.
    """

    rules: ClassVar[Mapping[str, Rule]] = {}
    null: ClassVar[Mapping[str, Scalar]] = {}
    live: ClassVar[frozenset[str]] = frozenset()
    needs: ClassVar[Mapping[str, Mapping[str, Scalar]]] = {}
    inert: ClassVar[Mapping[str, str]] = {}
    length: ClassVar[int] = 50
    failure_limit: ClassVar[float] = 0.05

    knobs: dict[str, Scalar]

    def __new__(cls, *args: object, **given: object) -> Self:
        """Checks the call against the signature before anything is built."""
        society: Self = super().__new__(cls)
        named = dict(zip(knobs(cls), args, strict=False)) | given
        society.knobs = cls.checked({name: value for name, value in named.items() if name != "rng"})
        return society

    @classmethod
    def checked(cls, given: Mapping[str, object]) -> dict[str, Scalar]:
        """Every knob with its value, given or default; a SpecError for the first that is wrong. Builds nothing."""
        made = {name: mind for name, mind in given.items() if name in MINDS and hasattr(mind, "decide")}
        found = resolve(cls, {name: value for name, value in given.items() if name not in made})
        for name in MINDS:
            if name in found and name not in made:
                try:
                    pick(str(found[name]), cls.rules, cls.prompt)
                except MindError as error:
                    raise MindError(f"{name} = {found[name]!r}: {error}") from None
        return found | {name: str(getattr(mind, "name", "a mind")) for name, mind in made.items()}

    def __init__(
        self,
        affordance: Affordance,
        *,
        agents: int,
        minds: str | Mind,
        architecture: Architecture | None = None,
        graph: object = "empty",
        measures: Mapping[str, Measure] | None = None,
        sources: Mapping[str, Source] | None = None,
        traits: Mapping[str, NDArray[np.generic]] | None = None,
        rng: Seed = None,
    ) -> None:
        self.seed = seed_of(rng)
        super().__init__(rng=self.seed)
        self.architecture = architecture or Architecture()
        self.affordance = affordance
        self.sources: dict[str, Source] = dict(sources or {})
        self.traits: dict[str, NDArray[np.generic]] = dict(traits or {})
        self.links = self._linked(graph, agents)
        self.acts = Acts(affordance, agents)
        self.decisions = np.zeros(agents, np.int64)
        self.outcomes = np.zeros(len(Outcome), np.int64)
        self.account = Account()
        self.trace: Trace | None = None
        self._pending: list[tuple[float, dict[str, Scalar]]] = []
        self._turn = 0
        self._public = self.acts
        self._meetings: Meetings | None = None
        self._letters: list[tuple[float, Rows, Coded, float]] = []
        self._calls = np.zeros(agents)
        self._rings = np.full(agents, np.nan)
        self._clocked = self._begun = False
        self._pairs: tuple[int, Rows] | None = None
        self._space: Network | None = None
        Member.create_agents(self, agents)
        self._seat(minds)
        self._prepare()
        self.measures: dict[str, Measure] = dict(measures or {})
        self.datacollector = mesa.DataCollector({**self.measures, **{name: name for name in LEDGER}})

    # --- for the phenomenon

    @classmethod
    def prompt(cls, seen: Observation) -> str:
        """The question a language model is asked: override it with one that says what the phenomenon is about."""
        heard = "\n".join(f"- {item.content} ({item.count})" for item in seen.heard) or "- nothing"
        own = "nothing yet" if seen.own is None else seen.own
        return f"Your last act: {own}\nYou see:\n{heard}\nYou may answer:\n{seen.offer.text}\n{seen.offer.form}"

    @classmethod
    def finding(cls, values: Mapping[str, float], null: Mapping[str, float]) -> str:
        """What a run shows, in a sentence, from its measures and those of the null: override it."""
        known = {name: value for name, value in values.items() if value == value and null[name] == null[name]}
        found = [f"{name} is {value:.3g} (null {null[name]:.3g})" for name, value in known.items()]
        return "; ".join(found) or "Nothing can be said yet."

    def begin(self, acts: Coded | None = None) -> None:
        """Opens the run: the acts with which everybody starts, zealots' own, the clocks, and the first row of data."""
        if acts is not None:
            self.acts.write(self.acts.rows, np.asarray(acts), 0.0)
        for index, mind in enumerate(self.minds):
            opening = mind.opening()
            rows = np.flatnonzero(self.seats == index)
            if opening is not None and rows.size:
                try:
                    value = self.affordance.parse(str(opening)).value
                except ReplyError as error:
                    raise MindError(f"{mind.name}: act = {opening!r}: {error}") from None
                self.acts.write(rows, self.affordance.encode_many([value] * rows.size), 0.0)
        if self._public is not self.acts:
            self._public.copy(self.acts)
        self._begun = True
        self.datacollector.collect(self)

    def cast(self, minds: str | Mind) -> str | Mind:
        """Who decides, in full: what the knob says, and the members that the phenomenon seats beside them.

        It is asked at the start, before the phenomenon's own constructor goes on, and at every change of minds.
        """
        return minds

    def acting(self) -> Rows:
        """Who may act this turn: everyone, unless the phenomenon says otherwise."""
        return self.acts.rows

    def asking(self) -> str | None:
        """The part of a compound act that is asked for this turn; None asks for the whole act."""
        return None

    def meeting(self, turn: int) -> Rows:
        """The partner of each agent at a turn under `pairs`; -1 for nobody."""
        return matching(self.seed, turn, len(self.acts.rows))

    def absorb(self, seen: Seen, acts: Coded) -> None:
        """What acts do to the world when they settle; `seen` and `acts` hold the usable decisions only."""

    def unfold(self) -> None:
        """What the world does by itself at the end of each turn, such as growing back."""

    def adapt(self, name: str, value: Scalar) -> None:
        """What changing one of the `live` knobs during a run does to the world."""

    def luck(self, stream: str) -> Luck:
        """Keyed draws, one row per agent, for the phenomenon's own use: traits, first acts, the world."""
        return Luck(self.seed, stream, 0, self.acts.rows)

    def rows_at(self, place: str, count: int, stream: str = "start") -> Rows:
        """So many agents at a place of the network (`random`, `hubs`, `leaves`, `first`, `last`), by keyed luck."""
        if count > len(self.acts.rows):
            raise SpecError(f"{count:,} agents were to be chosen ({place}), and there are {len(self.acts.rows):,}")
        return candidates(place, self.links, permutation(self.seed, stream, len(self.acts.rows)))[:count]

    # --- the loop

    def step(self) -> None:
        """One turn of everybody who may act, then a row of data."""
        if not self._begun:
            raise RuleError(f"{type(self).__name__} never called begin(); call it at the end of its constructor")
        for mind in self.minds:
            mind.ready()
        self._advance()
        rows, plan = self.acting(), self.architecture
        if plan.turns == "endogenous":
            self._urgent(rows)
        elif plan.turns != "clocks":
            for wave in self.waves(rows):
                self.move(wave)
        self.unfold()
        self.datacollector.collect(self)

    def move(self, rows: Rows) -> None:
        """The one place where outputs become inputs: some agents look, decide and act."""
        self._advance()
        if not rows.size:
            return
        seen = self.expose(rows)
        decided = self.decide(seen)
        if self.trace is not None:
            self.trace.write(seen, decided, [self.minds[seat].name for seat in self.seats[seen.rows].tolist()])
        self.settle(seen, decided)

    def expose(self, rows: Rows) -> Seen:
        """Macro to micro: what the architecture lets each of some agents see now."""
        self._advance()
        clocks = self.architecture.turns == "clocks"
        paired = self.architecture.communication == "pairs"
        scene = Scene(
            seed=self.seed,
            time=float(self.time),
            turn=self._turn,
            architecture=self.architecture,
            affordance=self.affordance,
            part=self.asking(),
            acts=self.acts,
            public=self._public,
            delay=0 if clocks else self.architecture.delay,
            links=self.channel,
            partner=self._partner(self._turn) if paired else None,
            meetings=self._meetings,
            decisions=self.decisions,
            sources=self.sources,
            traits=self.traits,
            names=Names(self.links.labels),
        )
        return Seen(scene, rows)

    def decide(self, seen: Seen) -> Decided:
        """Micro: the acts of each agent's mind from what it is shown."""
        if len(self.minds) == 1:
            return self.minds[0].decide(seen)
        acts = seen.asked.blank(len(seen))
        outcomes = np.zeros(len(seen), np.int8)
        said = [""] * len(seen)
        asked = [""] * len(seen)
        seats = self.seats[seen.rows]
        for index in np.unique(seats).tolist():
            mine = np.flatnonzero(seats == index)
            decided = self.minds[index].decide(seen.only(mine))
            acts[mine] = decided.acts
            if decided.outcomes is not None:
                outcomes[mine] = decided.outcomes
            for row, text in zip(mine.tolist(), decided.said or (), strict=False):
                said[row] = text
            for row, text in zip(mine.tolist(), decided.asked or (), strict=False):
                asked[row] = text
        ended = outcomes if outcomes.any() else None
        return Decided(acts, ended, tuple(said) if any(said + asked) else None, tuple(asked) if any(asked) else None)

    def settle(self, seen: Seen, decided: Decided) -> None:
        """Micro to macro: usable acts become standing acts and part of the world; every decision is counted."""
        rows = decided_by = seen.rows
        acts = decided.acts
        if decided.outcomes is None:
            self.outcomes[Outcome.VALID] += rows.size
        else:
            self.outcomes += np.bincount(decided.outcomes, minlength=len(Outcome))
            usable = np.flatnonzero(decided.outcomes <= USABLE)
            seen, rows, acts = (
                (seen, rows, acts) if usable.size == rows.size else (seen.only(usable), rows[usable], acts[usable])
            )
        if rows.size:
            self._deliver(rows, acts, seen.part)
            self.absorb(seen, acts)
        # Last, because what `seen` is still asked for in `absorb` belongs to the decisions that were just made.
        if decided_by is self.acts.rows:
            self.decisions = self.decisions + 1
        else:
            self.decisions[decided_by] += 1

    # --- turns

    def waves(self, rows: Rows) -> list[Rows]:
        """The batches of this turn: all at once, or the longest runs of a sequential order that change nothing."""
        plan = self.architecture
        order = order_of(plan.turns, self.seed, self._turn, rows)
        apart = not any(source.latency + plan.simultaneous == 0 for source in self.sources.values())
        if plan.simultaneous or (apart and (plan.delay or plan.visibility == "hidden")):
            return [rows]
        links = self._reached()
        return list(order[:, None]) if not apart or links.complete else waves(order, links)

    def _reached(self) -> Links:
        """Who can hear whom at this turn."""
        if self.architecture.communication != "pairs":
            return self.channel
        partner = self._partner(self._turn)
        met = np.flatnonzero(partner != NOBODY)
        return Links.from_edges(self.links.n, np.column_stack([met, partner[met]]))

    def _urgent(self, rows: Rows) -> None:
        """Everyone moves once, the most urgent first; urgency is looked at anew after each move."""
        left = np.zeros(self.links.n, bool)
        left[rows] = True
        ties = permutation(self.seed, "order", self.links.n, self._turn)
        heard_by = self._reached().heard_by
        urgency = self._urgency(rows, np.zeros(self.links.n))
        for _ in range(rows.size):
            row = ties[np.argmax(np.where(left, urgency, -np.inf)[ties])]
            self.move(np.array([row]))
            left[row] = False
            readers = heard_by.of_rows(np.array([row]))[1]
            urgency = self._urgency(readers[left[readers]], urgency)

    def _urgency(self, rows: Rows, urgency: NDArray[np.float64]) -> NDArray[np.float64]:
        match self.architecture.urgency:
            case "unsettled":
                urgency[rows] = self.expose(rows).unsettled() if rows.size else 0
            case "addressed":
                urgency[rows] = self._calls[rows]
            case "waiting":
                urgency[rows] = self.time - self.acts.times[rows]
        return urgency

    def rung(self, member: Member) -> None:
        """A member's clock has rung: it moves, and its next time is drawn."""
        if self.architecture.turns != "clocks" or self._rings[member.row] != self.time:
            return
        self._advance()
        rows, row = self.acting(), np.array([member.row])
        if rows is self.acts.rows or member.row in rows:
            self.move(row)
        else:
            self.decisions[row] += 1  # a ring that passes, so that the next gap is drawn anew
        self._set_clock(member)

    def _set_clock(self, member: Member) -> None:
        gap = Chance(self.seed, "clock", int(self.decisions[member.row]), member.row).exponential()
        self._rings[member.row] = self.time + max(gap, 1e-12)
        self.schedule_event(member.ring, at=float(self._rings[member.row]))

    # --- changes during a run

    def intervene(self, time: float, **changes: Scalar) -> None:
        """Schedules a change of knobs: it acts just before the turn at that time. Wrong names are refused at once."""
        for name, value in changes.items():
            self._changeable(name, value)
        if time <= self.time:
            raise SpecError(f"time = {time:g}: expected a time after now, {self.time:g}")
        self._pending.append((time, changes))
        self.schedule_event(self._due, at=float(np.nextafter(time, -np.inf)))

    def change(self, **changes: Scalar) -> None:
        """Changes knobs now: the architecture, the minds, the graph, or what the phenomenon lists as `live`."""
        checked = {name: self._changeable(name, value) for name, value in changes.items()}
        for name, value in checked.items():
            if name in micro.NAMES:
                self.rearrange(**{name: value})
            elif name in MINDS:
                self._seat(str(value))
            elif name == "graph":
                self.links = self._linked(value, len(self.acts.rows))
                self._space = None
            self.adapt(name, value)
            self.knobs[name] = value
        self.rearrange()

    def rearrange(self, **plan: Scalar) -> None:
        """Changes the architecture now, also where it is no knob of the phenomenon."""
        self.architecture = replace(self.architecture, **plan)  # type: ignore[arg-type]
        self._prepare()

    def _due(self) -> None:
        due = [changes for time, changes in self._pending if np.nextafter(time, -np.inf) <= self.time]
        self._pending = [item for item in self._pending if np.nextafter(item[0], -np.inf) > self.time]
        for changes in due:
            self.change(**changes)

    def _changeable(self, name: str, value: Scalar) -> Scalar:
        can = [knob for knob in self.knobs if knob in (*micro.NAMES, *MINDS, "graph") or knob in self.live]
        if name not in can:
            raise KnobError(
                f"{name}: cannot change during a run{nearest(name, can)}; what can: {listed(can) or 'nothing'}"
            )
        return self.checked({name: value})[name]

    # --- what a run shows

    @property
    def graph(self) -> Any:
        """Who hears whom, as networkx."""
        return self.links.graph

    @property
    def network(self) -> Network:
        """A Mesa network space with every member in its cell, made when first asked."""
        if self._space is None:
            graph = self.graph
            self._space = Network(graph, layout=graphs.layout(self.links), random=self.random)
            for member in self.members:
                member.cell = self._space[member.node]
        return self._space

    @property
    def members(self) -> mesa.agent.AgentSet:
        """The agents of the table, in the order of its rows."""
        return self.agents_by_type[Member]

    @property
    def n_decisions(self) -> int:
        """How many decisions were asked for."""
        return int(self.outcomes.sum())

    @property
    def n_repaired_decisions(self) -> int:
        """How many replies were repaired or asked for again before they could be read."""
        return int(self.outcomes[Outcome.REPAIRED] + self.outcomes[Outcome.REASKED])

    @property
    def n_failed_decisions(self) -> int:
        """How many decisions gave no act: refused, invalid or failed."""
        return int(self.outcomes[USABLE + 1 :].sum())

    @property
    def failure_rate(self) -> float:
        """The share of decisions that gave no act; 0 before the first."""
        return self.n_failed_decisions / max(1, self.n_decisions)

    @property
    def n_calls(self) -> int:
        """How many calls language models took, failed tries included."""
        return self.account.spent.calls

    @property
    def n_replayed(self) -> int:
        """How many replies came from the record and cost nothing."""
        return self.account.spent.replayed

    @property
    def tokens_in(self) -> int:
        """Tokens that went to language models."""
        return self.account.spent.tokens_in

    @property
    def tokens_out(self) -> int:
        """Tokens that came from language models."""
        return self.account.spent.tokens_out

    @property
    def tokens_cached(self) -> int:
        """Those of the tokens in that the provider had cached."""
        return self.account.spent.tokens_cached

    @property
    def cost_usd(self) -> float | None:
        """What the run cost in dollars; None as soon as a price is unknown."""
        return self.account.spent.cost_usd

    @property
    def served(self) -> tuple[str, ...]:
        """The models that answered, which need not be those that were asked."""
        return tuple(sorted({name for mind in self.minds for name in getattr(mind, "served", ())}))

    @property
    def valid(self) -> bool:
        """Whether few enough decisions failed for the run to count as evidence."""
        return self.failure_rate <= self.failure_limit

    # --- inside

    def _advance(self) -> None:
        """Closes the turns that are over: what stood in them becomes the past."""
        turn = floor(self.time)
        if turn <= self._turn:
            return
        if self._meetings is not None:
            self._meetings.close(self._turn, self._partner(self._turn))
        self.acts.advance(turn)
        if self._public is not self.acts:
            self._public.advance(turn)
        for source in self.sources.values():
            source.advance(turn, source.latency + self.architecture.simultaneous)
        self._turn = turn

    def _prepare(self) -> None:
        """Makes room for as much of the past as the architecture looks back, and starts what it needs."""
        plan = self.architecture
        if plan.communication == "addressed" and not addresses(self.affordance):
            kind = self.affordance.kind
            raise SpecError(f"communication = 'addressed': expected a Message(addressed=True) as the act, not a {kind}")
        reach = float("inf") if plan.memory == ALL else plan.memory
        if plan.turns == "clocks":
            if plan.latency and self._public is self.acts:
                self._public = Acts(self.affordance, len(self.acts.rows))
                self._public.copy(self.acts)
            self.acts.reach = self._public.reach = reach
            if not self._clocked:
                self._clocked = True
                for member in self.members:
                    self._set_clock(member)
        else:
            self._clocked = False
            self._public = self.acts
            self._letters.clear()
            self.acts.reach = plan.delay + reach
        if plan.communication == "pairs":
            self._meetings = self._meetings or Meetings(self.acts)
            self._meetings.reach(int(min(plan.delay + reach + 1, 1000)))
        everyone = plan.communication == "everyone"
        self.channel = Links.everyone(len(self.acts.rows)) if everyone else self.links

    def _deliver(self, rows: Rows, acts: Coded, part: str | None) -> None:
        """Makes acts standing acts, and public at once or, under clocks, when their latency is over."""
        self.acts.write(rows, acts, float(self.time), part)
        if self._public is not self.acts:
            due = float(self.time + self.architecture.latency)
            self._letters.append((due, rows, self.acts.own[rows], float(self.time)))
            self.schedule_event(self._arrived, at=due)
        if self.architecture.turns == "endogenous" and self.architecture.urgency == "addressed":
            np.add.at(self._calls, self._called(rows), 1)
            self._calls[rows] = 0

    def _called(self, rows: Rows) -> Rows:
        """Who is reached by the standing acts of some agents, once for each act."""
        counts, readers = self._reached().heard_by.of_rows(rows)
        if self.architecture.communication != "addressed":
            return readers
        authors = np.repeat(rows, counts)
        letters = Flat(np.arange(readers.size), authors, self.acts.own[authors], self.acts.times[authors])
        return readers[addressed(letters, readers, self.affordance).row]

    def _arrived(self) -> None:
        """Makes public what is due; an act that a later one of its author has overtaken stays unseen."""
        self._advance()
        due = [letter for letter in self._letters if letter[0] <= self.time]
        self._letters = [letter for letter in self._letters if letter[0] > self.time]
        for _, rows, acts, time in due:
            fresh = np.flatnonzero(self._public.times[rows] <= time)
            self._public.write(rows[fresh], acts[fresh], time)

    def _partner(self, turn: int) -> Rows:
        if self._pairs is None or self._pairs[0] != turn:
            self._pairs = (turn, self.meeting(turn))
        return self._pairs[1]

    def _linked(self, graph: object, agents: int) -> Links:
        return graphs.build(graph, agents, seed_for(self.seed, "topology"))

    def _seat(self, minds: str | Mind) -> None:
        cast = self.cast(minds)
        seats = pick(cast, self.rules, self.prompt, self.account) if isinstance(cast, str) else (Seat(cast),)
        self.seats = seated(seats, self.links, self.seed)
        self.minds = tuple(seat.mind for seat in seats)


def seed_of(rng: Seed) -> int:
    """The whole number that keys all luck of a run, from whatever Mesa accepts as `rng`; None draws a fresh one."""
    if rng is None:
        return secrets.randbits(32)
    if isinstance(rng, np.random.Generator):
        return int(rng.integers(2**32))
    try:
        if isinstance(rng, list | tuple):
            rng = np.random.SeedSequence(rng)
        if isinstance(rng, np.random.SeedSequence):
            return int(rng.generate_state(1)[0])
        seed = int(rng)
    except (TypeError, ValueError, OverflowError):
        seed = -1
    if seed < 0 or (isinstance(rng, float) and seed != rng):
        raise SpecError(f"rng = {rng!r}: expected a whole number from 0, such as 7")
    return seed
