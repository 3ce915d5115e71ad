"""Artifacts: what is passed on by talk decays with every retelling; documents that are pulled stay what they were.

Kind: meso; drift, coordination failure
Risk: what one role knows reaches the result changed or not at all, and nobody can tell, since all have it so.
Mechanism: each role knows a part of the result. Every writing changes or drops an item now and then, so that errors
grow with the number of writings between the role that knows and the role that hands in.
Cures to compare: documents handed over, a pool from which the originals are pulled, documents whose fields must be
filled, tests of the result, a channel that is cheaper or more faithful, talking on and comparing what was said.
References: MetaGPT (Hong et al. 2023, arXiv 2308.00352): roles that act once their documents are there and pull them
from a shared pool; LatentMAS (arXiv 2511.20639): a channel by its cost and fidelity; Huang et al. 2024 (arXiv
2408.00989): an agent whose items are wrong at a rate. The rates are ours, and so is the symmetric channel.
"""

from collections.abc import Mapping
from math import isnan, nan
from typing import Annotated, Any, ClassVar, Literal

import networkx as nx
import numpy as np
from numpy.typing import NDArray

from agentmicro import graphs
from agentmicro.acts import Coded, Rows
from agentmicro.affordances import Artifact, Choice
from agentmicro.architecture import Agents, Architecture, Graph, Latency, Memory, Turns
from agentmicro.errors import SpecError
from agentmicro.exposure import Observation, Seen
from agentmicro.graphs import Links
from agentmicro.knobs import Group, Range, Scalar
from agentmicro.minds import Decided, Minds
from agentmicro.noise import Luck, seed_for
from agentmicro.society import Seed, Society, seed_of

type Table = NDArray[np.int8]  # a row per document and a column per item: 0 unknown, else its value; -1 never written

UNKNOWN = "unknown"
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
PROMPT = """You are role {name} of a team that makes one document together. Each role knows one part of it; role {last}
hands in the whole.
Your part: {part}
What has reached you:
{heard}
What you wrote last: {own}
Found wrong or missing by a test: {found}
Write down {scope}; say unknown for an item that you do not know or were not asked for.
{options}
{form}"""


def table(acts: Coded) -> Table:
    """Documents as one array."""
    return np.ascontiguousarray(acts).view(np.int8).reshape(len(acts), acts.dtype.itemsize)


def compiled(seen: Seen, owners_word: float) -> Coded:
    """Its own part as it is, and of every other item that it is to state what most of what it hears says.

    owners_word: how many words of others the word of the role counts whose part an item is. At a tie, and where nobody
    says anything, it states what it wrote last.
    """
    flat, part, scope = seen.flat, np.asarray(seen.trait("part")), np.asarray(seen.trait("scope"))
    said, own = table(flat.act).clip(0), table(seen.own).clip(0)
    items, owner = np.arange(own.shape[1]), np.arange(own.shape[1]) // part.shape[1]
    values = 1 + int(max(said.max(initial=0), own.max(initial=0)))
    cells = (flat.row[:, None] * items.size + items) * values + said
    weight = np.where(flat.author[:, None] == owner, owners_word, 1.0) * (said > 0)
    votes = np.bincount(cells.ravel(), weight.ravel(), own.size * values).reshape(*own.shape, values)
    np.put_along_axis(votes, own[:, :, None], np.take_along_axis(votes, own[:, :, None], 2) + 0.5, 2)
    found = votes.argmax(axis=2)
    found[owner == seen.rows[:, None]] = part.ravel()
    acts = seen.affordance.blank(len(seen))
    acts.view(np.int8).reshape(found.shape)[:] = np.where(scope, found, 0)
    return acts


def scribe(seen: Seen) -> Coded:
    """Takes each item from the role whose part it is, where it hears that, and else what most say."""
    return compiled(seen, owners_word=1e6)


def hearsay(seen: Seen) -> Coded:
    """Takes what most say of each item, whoever says it."""
    return compiled(seen, owners_word=1.0)


class Artifacts(Society):
    """Roles that put one document together out of the parts that each of them knows."""

    rules: ClassVar = {"scribe": scribe, "hearsay": hearsay}
    null: ClassVar = {"fidelity": 1.0, "omission": 0.0, "faulty": -1}
    needs: ClassVar = {
        "typed": {"graph": "complete", "omission": 0.2},
        "verify": {"graph": "complete"},
        "retries": {"graph": "complete", "verify": 1.0},
        "wait": {"graph": "complete"},
        "severity": {"faulty": 11},
    }
    live: ClassVar = frozenset(("typed", "fidelity", "omission", "severity", "verify", "retries", "wait", "price"))
    length: ClassVar = 40

    def __init__(
        self,
        agents: Annotated[Agents, Range(2, 200), "how many roles"] = 6,
        items: Annotated[int, Range(1, 20), Group.AFFORDANCES, "how many items each role's part has"] = 3,
        values: Annotated[int, Range(2, 26), Group.AFFORDANCES, "how many values an item may have"] = 4,
        graph: Annotated[Graph, "who works for whom, and who talks to whom"] = "chain",
        result: Annotated[int, Range(-1, 199), Group.POPULATION, "the row that hands in; -1 for the last"] = -1,
        exchange: Annotated[
            Literal["talk", "handover", "pool"],
            Group.COMMUNICATION,
            "all talk in every turn, documents go from one to the next, or originals are pulled from a pool",
        ] = "talk",
        typed: Annotated[bool, Group.AFFORDANCES, "a document counts only once all its fields are filled"] = False,
        fidelity: Annotated[float, Range(0, 1), Group.VISIBILITY, "the chance that an item stays as written"] = 0.95,
        omission: Annotated[float, Range(0, 1), Group.VISIBILITY, "the chance that an item is dropped"] = 0.02,
        faulty: Annotated[int, Range(-1, 199), Group.POPULATION, "the row whose writings are faulty; -1 none"] = -1,
        severity: Annotated[float, Range(0, 1), Group.POPULATION, "the chance that it gets an item wrong"] = 0.5,
        verify: Annotated[float, Range(0, 1), "the chance that a test finds a wrong or missing item"] = 0.0,
        retries: Annotated[int, Range(0, 1000), "how often the result may come back from the tests"] = 3,
        wait: Annotated[int, Range(0, 1000), Group.TURNS, "turns that a whole result still waits before it counts"] = 0,
        price: Annotated[float, Range(0.001, 1000), "what stating an item costs, text being 1"] = 1.0,
        turns: Turns = "simultaneous",
        latency: Latency = 0,
        memory: Memory = 0,
        minds: Minds = "scribe",
        rng: Seed = None,
    ) -> None:
        for name, row in (("result", result), ("faulty", faulty)):
            if row >= agents:
                raise SpecError(f"{name} = {row}: expected a row below {agents}, or -1")
        seed = seed_of(rng)
        base = graphs.build(graph, agents, seed_for(seed, "topology"))
        self.last = result if result >= 0 else agents - 1
        self.exchange, self.faulty = exchange, faulty
        self.names = tuple(map(str, base.names))
        self.item_names = tuple(f"{name}.{item + 1}" for name in self.names for item in range(items))
        field = Choice((UNKNOWN, *LETTERS[:values]))
        super().__init__(
            Artifact(dict.fromkeys(self.item_names, field)),
            agents=agents,
            graph=base,
            architecture=Architecture(turns=turns, latency=latency, memory=memory),
            minds=minds,
            measures=MEASURES,
            rng=seed,
        )
        self.terms: Mapping[str, Any] = self.knobs  # as they stand now, since some may change during a run
        self.values = values
        part = 1 + (self.luck("part")(items) * values).astype(np.int8)
        self.truth: Table = part.ravel()
        self.traits["part"] = part
        self._plan(base, items)
        self.traits["last"] = np.full(agents, self.names[self.last])
        self.traits["items"] = np.full(agents, ", ".join(self.item_names))
        self.traits["found"] = np.full(agents, "nothing", object)
        self.written = np.full(agents, nan)
        self.flagged = np.zeros(agents, bool)
        self.whole = self.tested = self.done = nan
        self.tries = self.messages = self.statements = 0
        self.begin()

    @classmethod
    def prompt(cls, seen: Observation) -> str:
        """The question a language model is asked."""
        names = str(seen.trait("items")).split(", ")
        part, scope = np.asarray(seen.trait("part")), np.asarray(seen.trait("scope"))
        mine = names[seen.row * part.size : (seen.row + 1) * part.size]
        asked = [name for name, wanted in zip(names, scope, strict=True) if wanted]
        heard = [f"- from {item.author}, {item.age:g} turns ago: {_said(item.content)}" for item in seen.heard]
        return PROMPT.format(
            name=seen.name,
            last=seen.trait("last"),
            part=_said(dict(zip(mine, (LETTERS[code - 1] for code in part.tolist()), strict=True))),
            heard="\n".join(heard) or "- nothing",
            own=_said(seen.own),
            found=seen.trait("found"),
            scope="every item" if len(asked) == len(names) else ", ".join(asked),
            options=seen.offer.text,
            form=seen.offer.form,
        )

    @classmethod
    def finding(cls, values: Mapping[str, float], null: Mapping[str, float]) -> str:
        """What a run shows, in a sentence."""
        if np.isnan(values["handed_in"]):
            return (
                f"The result was not handed in: as it stands it lacks or has wrong {values['errors']:.0%} of its items."
            )
        wrong = f"{values['wrong']:.0%} of its items are wrong and {values['missing']:.0%} missing"
        cost = "" if np.isnan(values["cost"]) else f", at a cost of {values['cost']:.1f} per right item"
        return f"The result was handed in at turn {values['handed_in']:g}: {wrong}{cost}."

    # --- who writes when

    def acting(self) -> Rows:
        """Who has something to write: everybody who talks, or whose document is due and all that it reads is there."""
        if not isnan(self.done):
            return self.acts.rows[:0]
        if self.exchange == "talk":
            return self.acts.rows
        owed, arrives = self._owed(), self.written + self.architecture.delay
        waiting = (self.known & owed).sum(axis=1) > owed  # for somebody upstream
        late = np.bincount(self.reader, arrives[self.author] > float(self.time), owed.size) > 0
        return np.flatnonzero(owed & ~waiting & ~late)

    def _owed(self) -> NDArray[np.bool_]:
        """Whose document is missing, sent back, not filled, or older than one that it was made from."""
        stated = table(self.acts.own) > 0
        unfilled = (np.asarray(self.traits["scope"]) > stated).any(axis=1) & bool(self.terms["typed"])
        seen = self.written - self.architecture.delay
        stale = np.bincount(self.reader, self.written[self.author] > seen[self.reader], len(stated)) > 0
        return np.asarray(np.isnan(self.written) | unfilled | self.flagged | stale)

    # --- what becomes of a writing

    def settle(self, seen: Seen, decided: Decided) -> None:
        """What is written goes through the channel, which may change or drop items, before anybody can read it."""
        super().settle(seen, decided._replace(acts=self._carried(seen, decided.acts)))

    def _carried(self, seen: Seen, acts: Coded) -> Coded:
        """Documents as they arrive: talk is said anew each time, in a document only what is rewritten can change."""
        sent = table(acts).copy()
        before = table(self.acts.own[seen.rows])
        exposed = (sent > 0) & ((sent != before) | (self.exchange == "talk"))
        rows = np.flatnonzero(exposed.any(axis=1))
        luck = Luck(self.seed, "channel", self.decisions[seen.rows[rows]], seen.rows[rows])
        change, other, drop = (luck(sent.shape[1]) for _ in range(3))
        right = np.where(seen.rows[rows] == self.faulty, 1 - self.terms["severity"], 1.0) * self.terms["fidelity"]
        text, struck = sent[rows], exposed[rows]
        shifted = (text + (other * (self.values - 1)).astype(np.int8)) % self.values + 1
        text = np.where(struck & (change >= right[:, None]), shifted, text)
        sent[rows] = np.where(struck & (drop < self.terms["omission"]), 0, text)
        carried = acts.copy()
        carried.view(np.int8).reshape(sent.shape)[:] = sent
        return carried

    def absorb(self, seen: Seen, acts: Coded) -> None:
        """Counts what was read and written, and notes who has written."""
        self.written[seen.rows] = seen.time
        self.flagged[seen.rows] = False
        self.messages += seen.flat.row.size
        self.statements += int((table(seen.flat.act) > 0).sum()) + int((table(acts) > 0).sum())

    def unfold(self) -> None:
        """Tests the result when a new one is there, and takes it or sends it back."""
        written = float(self.written[self.last])
        if not isnan(self.done) or isnan(written) or not self._whole():
            return
        self.whole = float(self.time) if isnan(self.whole) else self.whole
        if self.time < self.whole + self.terms["wait"] or written == self.tested:
            return
        self.tested = written
        wrong = table(self.acts.own)[self.last] != self.truth
        luck = Luck(self.seed, "tests", self.tries, np.arange(wrong.size))()
        found = np.flatnonzero(wrong & (luck < self.terms["verify"]))
        if not found.size or self.tries >= self.terms["retries"]:
            self.done = float(self.time)
            return
        self.tries += 1
        owners = np.unique(found // self.traits["part"].shape[1])
        self.flagged[[self.last, *owners]] = True
        self.traits["found"] = np.full(len(self.names), "nothing", object)
        self.traits["found"][[self.last, *owners]] = ", ".join(self.item_names[item] for item in found)

    def _whole(self) -> bool:
        """Whether the result is one: all fields filled; untyped, all it is made of there, or in talk all mentioned."""
        if self.exchange != "talk":
            return not self._owed().any()
        stated = (table(self.acts.own)[self.last] > 0).reshape(len(self.names), -1)[self.known[self.last]]
        return bool(stated.all() if self.terms["typed"] else stated.any(axis=1).all())

    def adapt(self, name: str, value: Scalar) -> None:
        """Another graph is another order of work."""
        if name == "graph":
            self._plan(self.links, self.traits["part"].shape[1])

    def _plan(self, base: Links, items: int) -> None:
        """Who reads whom, who is upstream of the result, and which items each role is to state."""
        flow = nx.DiGraph(workflow(base, self.last).tolist())
        flow.add_nodes_from(range(base.n))
        whole = nx.transitive_closure_dag(flow)
        known = np.eye(base.n, dtype=bool) | (nx.to_numpy_array(whole, nodelist=range(base.n)).T > 0)
        scope = {"talk": np.ones_like(known), "handover": known, "pool": np.eye(base.n, dtype=bool)}[self.exchange]
        scope[self.last] |= known[self.last]
        edges = (whole if self.exchange == "pool" else flow).edges
        self.reads = Links.from_edges(base.n, np.array(edges).reshape(-1, 2), directed=True, labels=base.labels)
        self.author, self.reader = self.reads.edges().T
        self.known = known
        self.links = base if self.exchange == "talk" else self.reads
        self.rearrange()
        self.traits["scope"] = np.repeat(scope, items, axis=1)

    def draw(self, axes: Any) -> None:
        """Draws what each role has written of each item: right, wrong or nothing."""
        from matplotlib.colors import ListedColormap

        own = table(self.acts.own)
        marks = np.where(own <= 0, 0, np.where(own == self.truth, 1, 2))
        colours = ListedColormap(["#E0E0E0", "#0072B2", "#D55E00"])
        axes.imshow(marks, aspect="auto", cmap=colours, vmin=0, vmax=2, interpolation="nearest", zorder=2)
        roles, items = len(own), own.shape[1] // len(own)
        axes.hlines(np.arange(1, roles) - 0.5, -0.5, marks.shape[1] - 0.5, color="white", linewidth=2.0, zorder=3)
        axes.vlines(np.arange(1, roles) * items - 0.5, -0.5, roles - 0.5, color="white", linewidth=2.0, zorder=3)
        every = max(1, -(-roles // 12))
        axes.set_xticks((np.arange(roles)[::every] + 0.5) * items - 0.5, self.names[::every])
        axes.set_yticks(np.arange(roles)[::every], self.names[::every])
        axes.set(title="What each role has written last\n(blue right, red wrong, grey nothing)")
        axes.set(xlabel="items, by the role that knows them", ylabel=f"role ({self.names[self.last]} hands in)")


def workflow(base: Links, last: int) -> NDArray[np.int64]:
    """Whose document goes to whom: along each link that leads nearer to the role that hands in; equals by row.

    Roles that have no way there work for nobody.
    """
    far = np.full(base.n, -1)
    far[last] = 0
    front = np.array([last])
    while front.size:
        authors = np.unique(base.of_rows(front)[1])
        front = authors[far[authors] < 0]
        far[front] = far.max() + 1
    counts, author = base.of_rows(np.arange(base.n))
    reader = np.repeat(np.arange(base.n), counts)
    nearer = (far[author] > far[reader]) | ((far[author] == far[reader]) & (author < reader))
    nearer &= far[reader] >= 0
    return np.column_stack([author[nearer], reader[nearer]])


def _said(content: object) -> str:
    """A document in words."""
    return (
        ", ".join(f"{name}={value}" for name, value in content.items()) if isinstance(content, Mapping) else "nothing"
    )


def _result(model: Artifacts) -> Table:
    return np.asarray(table(model.acts.own)[model.last])


def errors(model: Artifacts) -> float:
    """The share of items that the result, as it stands, has wrong or not at all."""
    return float((_result(model) != model.truth).mean())


def wrong(model: Artifacts) -> float:
    """The share of items that the result has wrong: what has drifted on the way."""
    return float(((_result(model) > 0) & (_result(model) != model.truth)).mean())


def missing(model: Artifacts) -> float:
    """The share of items that the result does not have: what was dropped on the way."""
    return float((_result(model) <= 0).mean())


def handed_in(model: Artifacts) -> float:
    """The turn at which the result was handed in; NaN before."""
    return model.done


def messages(model: Artifacts) -> float:
    """How many documents have reached a reader so far, each time that somebody reads one."""
    return float(model.messages)


def cost(model: Artifacts) -> float:
    """What was paid for items written and read, per right item of the result; NaN while none is right."""
    right = float((_result(model) == model.truth).sum())
    return model.terms["price"] * model.statements / right if right else nan


def tests(model: Artifacts) -> float:
    """How often the result came back from the tests."""
    return float(model.tries)


MEASURES = {measure.__name__: measure for measure in (errors, wrong, missing, handed_in, messages, cost, tests)}
