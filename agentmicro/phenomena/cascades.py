"""Cascades: members decide one after another, and after a few they follow those before them whatever they know.

Kind: macro; cascade, herding
Risk: two acts that happen to be alike can decide for everybody after them. The rest is unanimous and looks like much
evidence, yet holds that of two or three members, so that a population that knows the truth may well act against it.
Mechanism: each member has a private signal and sees the acts, not the signals, of those before it. Once these lead by
two, its own signal cannot tip the balance, so its act says nothing new, and this holds for all who come after.
Cures to compare: let the first decide unseeing, reveal signals with acts, a public signal late, weigh oneself more.
References: Bikhchandani, Hirshleifer and Welch 1992 (doi:10.1086/261849), fair coins at ties, and Banerjee 1992
(doi:10.2307/2118364), for the model. Anderson and Holt 1997 (American Economic Review 87:847) for urns and for members
who take their own signal at a tie; Eyster and Rabin 2010 (doi:10.1257/mic.2.4.221) for counting acts as if they were
signals. How a member weighs itself, slips, and reads an act that nobody should do is ours, as is every number.
"""

from collections.abc import Mapping
from math import nan
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from agentmicro import graphs
from agentmicro.acts import Coded, Rows
from agentmicro.affordances import Artifact, Choice
from agentmicro.architecture import Agents, Architecture, Graph, Latency, Loss, Shown, Turns, Visibility
from agentmicro.exposure import Observation, Seen
from agentmicro.graphs import Links
from agentmicro.knobs import Group, Range
from agentmicro.measures.cascades import LEAD, NONE, Record, recorded, share, sides
from agentmicro.minds import Minds
from agentmicro.noise import permutation, seed_for
from agentmicro.society import Seed, Society, seed_of
from agentmicro.world import Notice

type Floats = NDArray[np.float64]
Ties = Annotated[Literal["coin", "own"], "at a tie: toss a coin, or take its own signal"]
Slip = Annotated[float, Range(0, 1), "the chance of doing the other thing; nobody allows for it"]

URNS = ("red", "blue")
TINTS = {"right": "#4095C5", "wrong": "#E08640"}  # light, so that black dots on them can be seen
PROMPT = """One of two urns was chosen by the toss of a fair coin: the red urn or the blue urn.
{public}
You and others say, one after another, which urn it is. Nobody gains or loses by what the others say.
The ball that you drew: {signal}
The ball that was drawn in public: {news}
The others said:
{heard}
Which urn is it?
{options}
{form}"""


class History(NamedTuple):
    """What a batch hears of others, oldest first: a row each, +1 for red, -1 for blue, 0 for nothing; and when."""

    side: Floats
    time: Floats


def history(seen: Seen) -> History:
    """The acts that each member hears, or the signals beside them where these are told."""
    flat = seen.flat
    codes = flat.act["signal"] if isinstance(seen.affordance, Artifact) else flat.act
    order = np.lexsort((flat.time, flat.row))
    row = flat.row[order]
    column = np.arange(row.size) - np.searchsorted(row, row)
    shape = (len(seen), int(column.max(initial=-1)) + 1)
    side, time = np.zeros(shape), np.zeros(shape)
    side[row, column], time[row, column] = sides(codes[order]), flat.time[order]
    return History(side, time)


def choose(seen: Seen, belief: Floats, ties: str, slip: float) -> Coded:
    """Takes the likelier side; beside it, where signals are told, says the signal it has."""
    luck = seen.luck(2)
    signal = sides(seen.trait("signal"))
    even = signal if ties == "own" else np.where(luck[:, 0] < 0.5, 1.0, -1.0)
    side = np.where(np.abs(belief) < 1e-9, even, belief) * np.where(luck[:, 1] < slip, -1, 1)
    acts = (side < 0).astype(np.int64)
    if not isinstance(seen.affordance, Artifact):
        return acts
    both = seen.affordance.blank(len(seen))
    both["act"], both["signal"] = acts, seen.trait("signal")
    return both


def added(belief: Floats, side: Floats, precision: Floats, weight: float, ties: str) -> Floats:
    """What an act says, in signals, to those who know on which belief it was made; 0 where no signal could matter.

    An act that no signal could have led to is read as the signal of whoever did it.
    """
    even = 0.5 if ties == "coin" else np.array([[1.0], [0.0]])
    tipped = belief + weight * np.array([[1.0], [-1.0]])  # with a red signal, with a blue one
    red = np.where(np.abs(tipped) < 1e-9, even, tipped > 0)
    chance = np.where(side > 0, red, 1 - red)
    if_red = precision * chance[0] + (1 - precision) * chance[1]
    if_blue = (1 - precision) * chance[0] + precision * chance[1]
    never = (if_red == 0) & (if_blue == 0)
    ratio = np.log(np.where(never, 1, if_red) / np.where(never, 1, if_blue))
    return np.where(never, side, ratio / np.log(precision / (1 - precision)))


def bayesian(
    seen: Seen,
    weight: Annotated[float, Range(0, 1000), "how many signals its own counts for; 1 is Bayes' rule"] = 1.0,
    ties: Ties = "coin",
    slip: Slip = 0.0,
) -> Coded:
    """Works out which acts can have said anything, takes all others for alike, and adds its own signal.

    It is Bayes' rule where it hears all who came before; otherwise it takes what it hears for all that there was.
    """
    told, news = isinstance(seen.affordance, Artifact), sides(seen.trait("news"))
    precision, alone, release = (seen.trait(name).astype(float) for name in ("precision", "alone", "release"))
    belief = np.zeros(len(seen))
    for side, time in zip(*(column.T for column in history(seen)), strict=True):
        public = belief + news * (time > release)
        read = side if told else added(public, side, precision, weight, ties)
        belief = belief + np.where(side == 0, 0, np.where(time <= alone, side, read))
    return choose(seen, belief + news + weight * sides(seen.trait("signal")), ties, slip)


def counting(
    seen: Seen,
    weight: Annotated[float, Range(0, 1000), "how many acts its own signal counts for"] = 1.0,
    ties: Ties = "coin",
    slip: Slip = 0.0,
) -> Coded:
    """Counts every act it hears as one signal, as if nobody had followed anybody."""
    belief = history(seen).side.sum(axis=1) + sides(seen.trait("news"))
    return choose(seen, belief + weight * sides(seen.trait("signal")), ties, slip)


def own(seen: Seen, slip: Slip = 0.0) -> Coded:
    """Follows its own signal, whatever it sees."""
    return choose(seen, sides(seen.trait("signal")), "own", slip)


class Cascades(Society):
    """Lines of members who decide one after another."""

    rules: ClassVar = {"bayesian": bayesian, "counting": counting, "own": own}
    null: ClassVar = {"visibility": "hidden"}
    needs: ClassVar = {"planted": {"planted_precision": 1.0}, "planted_precision": {"planted": 0}}
    length: ClassVar = 20

    def __init__(
        self,
        agents: Agents = 1000,
        places: Annotated[int, Range(1, 10_000), Group.POPULATION, "how many decide in turn in each line"] = 20,
        precision: Annotated[float, Range(0.51, 0.99), Group.WORLD, "the chance that a signal is right"] = 0.7,
        alone: Annotated[int, Range(0, 10_000), Group.VISIBILITY, "for how many turns nobody sees anybody"] = 0,
        reveal: Annotated[bool, Group.COMMUNICATION, "whether members tell their signals with their acts"] = False,
        release: Annotated[
            int, Range(-1, 10_000), Group.WORLD, "after which turn a true signal is made public; -1: never"
        ] = -1,
        planted: Annotated[
            int, Range(-1, 10_000), Group.POPULATION, "the member of each line with a planted signal; -1: none"
        ] = -1,
        planted_precision: Annotated[
            float, Range(0, 1), Group.POPULATION, "the chance that a planted signal is right; nobody knows of it"
        ] = 0.0,
        graph: Graph = "complete",
        turns: Turns = "fixed",
        visibility: Visibility = "full",
        latency: Latency = 0,
        loss: Loss = 0.0,
        shown: Shown = 0,
        mind: Minds = "bayesian",
        rng: Seed = None,
    ) -> None:
        seed = seed_of(rng)
        self.line, self.place = line_up(agents, places, seed if turns == "random" else None)
        said = Choice(URNS)
        # Everybody has known the rules since before the start; news of the same turn would part the lines' waves.
        rules = Notice("protocol", protocol(precision, alone, release), latency=1)
        super().__init__(
            Artifact({"act": said, "signal": said}) if reveal else said,
            agents=agents,
            graph=graph,
            architecture=Architecture(
                turns=turns,
                visibility="hidden" if alone else visibility,
                latency=latency,
                loss=loss,
                shown=shown,
            ),
            minds=mind,
            measures=MEASURES,
            sources={"protocol": rules},
            rng=seed,
        )
        self.alone, self.release, self.at_once = alone, release, turns == "simultaneous"
        first = np.flatnonzero(np.arange(agents) % places == 0)
        self.truth = self.luck("urn").below(2)[first][self.line]
        chance = np.where(np.arange(agents) % places == planted, planted_precision, precision)
        self.traits["signal"] = np.where(self.luck("signal")() < chance, self.truth, 1 - self.truth)
        self.traits["news"] = np.full(agents, NONE)
        for name, value in (("precision", precision), ("alone", alone), ("release", release)):
            self.traits[name] = np.full(agents, value)
        self.record: Record | None = None
        self.unfold()
        self.begin()

    def _linked(self, graph: object, agents: int) -> Links:
        """Who hears whom in one line, by places, and the same in every line; nobody hears who comes later."""
        places = min(agents, int(self.knobs["places"]))
        links = graphs.build(graph, places, seed_for(self.seed, "topology"))
        counts, authors = links.of_rows(np.arange(places))
        pairs = np.column_stack([authors, np.repeat(np.arange(places), counts)]).astype(np.int64)
        pairs = pairs[pairs[:, 0] < pairs[:, 1]]
        seats = np.full((1 + self.line[-1], places), NONE)
        seats[self.line, self.place] = np.arange(agents)
        edges = seats[:, pairs].reshape(-1, 2)
        return Links.from_edges(agents, edges[(edges != NONE).all(axis=1)], directed=True)

    @classmethod
    def prompt(cls, seen: Observation) -> str:
        """The question a language model is asked."""
        public = [str(item.content) for item in seen.heard if item.author == "protocol"]
        heard = [
            f"- {item.content if isinstance(item.content, str) else told(item.content)}"
            f" ({item.count if item.count > 1 else 'one'} of them, {item.author or 'unknown'}, {item.age:g} turns ago)"
            for item in seen.heard
            if item.author != "protocol"
        ]
        signal, news = (seen.trait(name) for name in ("signal", "news"))
        return PROMPT.format(
            public="\n".join(public),
            signal=URNS[int(str(signal))],
            news="none so far" if news == NONE else URNS[int(str(news))],
            heard="\n".join(heard) or "- nobody so far",
            options=seen.offer.text,
            form=seen.offer.form,
        )

    @classmethod
    def finding(cls, values: Mapping[str, float], null: Mapping[str, float]) -> str:
        """What a run shows, in two sentences."""
        if np.isnan(values["late_accuracy"]):
            return "Nobody has decided yet."
        wrong, right = values["wrong_cascade"], values["right_cascade"]
        ended = f"{wrong:.0%} of the lines are in a wrong cascade and {right:.0%} in a right one"
        late, alone = values["late_accuracy"], null["late_accuracy"]
        beside = "" if np.isnan(alone) else f", {alone:.0%} if they saw nobody"
        known = f"all signals of a line together would be right in {values['pooled']:.0%}"
        return f"{ended}. {late:.0%} of the late members are right{beside}; {known}."

    def acting(self) -> Rows:
        """One place after another, a turn each; all at once if turns are simultaneous; by clocks, who is due."""
        if self.at_once:
            return self.acts.rows if self.time <= 1 else self.acts.rows[:0]
        if self.architecture.turns == "clocks":
            return np.flatnonzero((self.place < self.time) & self.affordance.is_blank(self.acts.own))
        return np.flatnonzero(self.place == int(self.time) - 1)

    def unfold(self) -> None:
        """The ball in public is drawn and those who had to decide alone are over, when it is their time."""
        self.record = None
        if int(self.time) == self.release:
            self.traits["news"] = self.truth
        if self.alone and int(self.time) == self.alone:
            self.rearrange(visibility=self.knobs["visibility"])

    @property
    def known(self) -> "Record":
        """What the lines have done so far, in the order in which it was done."""
        if self.record is None:
            acts = self.acts.own["act"] if isinstance(self.affordance, Artifact) else self.acts.own
            order = np.lexsort((self.place, self.acts.times, self.line))
            column = np.arange(order.size) - np.searchsorted(self.line, self.line)
            tables = [np.full((1 + self.line[-1], 1 + column.max()), NONE) for _ in range(3)]
            for table, values in zip(tables, (acts, self.traits["signal"], self.truth), strict=True):
                table[self.line, column] = values[order]
            self.record = recorded(*tables)
        return self.record

    def draw(self, axes: Any) -> None:
        """Draws who did what in up to 60 lines, those that ended alike together, and who went against its signal."""
        from matplotlib.colors import ListedColormap

        known = self.known
        wrong = known.given & ~known.right
        order = np.lexsort((-wrong.sum(axis=1), known.ends))[:: max(1, len(known.acts) // 60)][:60]
        kind = np.where(known.given, np.where(wrong, 2, 1), 0)[order]
        axes.imshow(
            kind,
            cmap=ListedColormap(["#FFFFFF", *TINTS.values()]),
            vmin=0,
            vmax=2,
            aspect="auto",
            interpolation="nearest",
            extent=(0.5, kind.shape[1] + 0.5, len(kind) + 0.5, 0.5),
            zorder=3,  # above the grid
        )
        line, place = np.nonzero((known.given & (known.acts != known.signals))[order])
        axes.scatter(place + 1, line + 1, s=min(12, 500 / len(kind)), color="black", linewidths=0, zorder=4)
        for name, colour in TINTS.items():
            axes.scatter([], [], marker="s", color=colour, label=name)
        axes.scatter([], [], s=10, color="black", label="against its own signal")
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=3, frameon=False)
        axes.set(title="Who followed whom", xlabel="place in the line", ylabel="line")
        axes.locator_params(integer=True)


def line_up(agents: int, places: int, seed: int | None) -> tuple[Rows, Rows]:
    """The line of each member and its place in it: as the rows stand, or drawn anew for each line."""
    line, place = np.divmod(np.arange(agents), places)
    if seed is not None:
        place[np.lexsort((permutation(seed, "places", agents), line))] = place.copy()
    return line, place


def protocol(precision: float, alone: int, release: int) -> str:
    """What everybody is told of the urns and of the order of things."""
    rules = [f"Of the balls in each urn, {precision:.0%} have its colour.", "Each draws a ball and puts it back."]
    rules += [f"In the first {alone} turns nobody heard anybody."] * (alone > 0)
    rules += [f"After turn {release} a ball is drawn in public."] * (release >= 0)
    return " ".join(rules)


def told(content: object) -> str:
    """An act and the signal told with it, in words."""
    assert isinstance(content, Mapping)
    return ", ".join(f"{part} {value}" for part, value in content.items())


def begun(known: Record) -> NDArray[np.bool_]:
    """Lines in which somebody has acted."""
    return np.asarray(known.given.any(axis=1))


def wrong_cascade(model: Cascades) -> float:
    """The share of lines that are in a cascade on the wrong side."""
    return share(model.known.ends == 0, begun(model.known))


def right_cascade(model: Cascades) -> float:
    """The share of lines that are in a cascade on the right side."""
    return share(model.known.ends == 2, begun(model.known))


def broken(model: Cascades) -> float:
    """How fragile cascades are: the share of lines that have left one, of those that were ever in one."""
    return share(model.known.broken, (model.known.cascade != NONE).any(axis=1))


def ignored(model: Cascades) -> float:
    """The share of members who act against their signal, where those before lead against it by two or more."""
    known = model.known
    return share(known.acts != known.signals, known.given & (known.against >= LEAD))


def ignored_at_one(model: Cascades) -> float:
    """The share of members who act against their signal, where those before lead against it by one."""
    known = model.known
    return share(known.acts != known.signals, known.given & (known.against == 1))


def accuracy(model: Cascades) -> float:
    """The share of members who are right, of those who have acted."""
    return share(model.known.right, model.known.given)


def late_accuracy(model: Cascades) -> float:
    """The share of members who are right, of the last quarter of those who have acted in each line."""
    given = model.known.given
    later = given[:, ::-1].cumsum(axis=1)[:, ::-1]  # how many have acted from here on
    return share(model.known.right, given & (later <= np.ceil(given.sum(axis=1, keepdims=True) / 4)))


def pooled(model: Cascades) -> float:
    """The chance that most signals of those who have acted are right, ties drawn: what lines know together."""
    known = model.known
    lead = (sides(known.signals) * known.given).sum(axis=1) * sides(known.truth[:, 0])
    return float(((1 + np.sign(lead)) / 2)[begun(known)].mean()) if begun(known).any() else nan


def lost(model: Cascades) -> float:
    """What is lost of what lines know: how often their signals together would be right, less the late members."""
    return pooled(model) - late_accuracy(model)


MEASURES = {
    measure.__name__: measure
    for measure in (
        wrong_cascade,
        right_cascade,
        broken,
        ignored,
        ignored_at_one,
        accuracy,
        late_accuracy,
        pooled,
        lost,
    )
}
