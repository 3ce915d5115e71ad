"""Teams: members share out a task, hand drafts on and answer together; who hears whom decides what becomes of errors.

Kind: meso; coordination failure, cascade
Risk: a team that costs many times the turns of one agent, carries one member's error to all, and answers no better.
Mechanism: each member reads every claim of a task and may misread it; it then takes over, claim by claim, some of what
those it hears have written. A lead, a vote or a check can mend errors; a faulty member and handing on can add them.
Cures to compare: checks, a vote in place of a last word, less heed to those below, one agent with as many turns.
References: Kim et al. 2025 (arXiv 2512.08296) for the five architectures, the counts of turns and the definitions of
overhead, efficiency and message density; Huang et al. 2024 (arXiv 2408.00989) for chain, flat and hierarchical teams
and for faults with a frequency and a severity; Yu et al. 2024 (NetSafe, arXiv 2410.15686) for an attacker on ring,
star, wheel, tree and complete graphs; Xie et al. 2026 (arXiv 2603.04474) for adoption that depends on direction;
Choi et al. 2025 (arXiv 2508.17536) for debate as a martingale. The task and every parameter are ours.
"""

from collections.abc import Callable, Mapping
from itertools import permutations
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from agentmicro import measures
from agentmicro.acts import Coded, Rows
from agentmicro.affordances import Picks
from agentmicro.affordances.marks import Marks, Views, stated, views
from agentmicro.architecture import Agents, Architecture, Latency, Loss, Turns, Visibility
from agentmicro.errors import SpecError
from agentmicro.exposure import Observation, Seen
from agentmicro.graphs import Links
from agentmicro.graphs.sketch import circle, levels, sketch
from agentmicro.knobs import Group, Range, Scalar
from agentmicro.minds import Mind, Minds
from agentmicro.noise import Luck
from agentmicro.society import Seed, Society

type Floats = NDArray[np.floating]

LED = ("centralised", "hybrid", "hierarchical", "star", "wheel")
COORDINATED = ("centralised", "hybrid")  # their lead puts together and does no work of its own
ONCE = ("single", "independent")  # nobody hears anybody, so there is one round
USUAL = {"independent": "all", "chain": "last"} | dict.fromkeys(("single", *COORDINATED), "lead")
GRAPHS = {"centralised": "star", "decentralised": "complete", "chain": "chain(directed=1)", "flat": "chain"}
GRAPHS |= dict.fromkeys(ONCE, "empty")
PROMPT = """You are member {name} of a team{role}. The team must find out which of {claims} claims are true.
Your own notes say: {notes}.{checked}
Your last draft says: {own}.
Drafts of other members say:
{heard}
Write your draft: for each claim pick whether it is true or false, or neither to leave it open.
{options}
{form}"""

Architectures = Literal["single", "independent", "centralised", "decentralised", "hybrid"]
Shapes = Literal["chain", "flat", "hierarchical", "ring", "star", "wheel", "tree", "complete"]
Team = Annotated[Literal[Architectures, Shapes], Group.COMMUNICATION, "who hears whom"]
Answer = Annotated[Literal["usual", "lead", "last", "vote", "all"], Group.AFFORDANCES, "whose draft the team hands in"]
Verify = Annotated[Literal["nobody", "lead", "last", "everybody"], Group.AFFORDANCES, "who checks claims as it writes"]
Adoption = Annotated[float, Range(0, 1), "chance of taking over what is brought to it against its own view"]
Upward = Annotated[float, Range(0, 1), "how far it heeds members below it, as a share of how far it heeds others"]
Slip = Annotated[float, Range(0, 1), "chance that working in one draft garbles a claim"]

Frequency = Annotated[float, Range(0, 1), Group.POPULATION, "chance that a faulty member's draft is corrupted"]
Severity = Annotated[float, Range(0, 1), Group.POPULATION, "chance that a claim of a corrupted draft is made wrong"]


def draft(seen: Seen, follow: Callable[[Floats, Floats], Views], adoption: float, upward: float, slip: float) -> Views:
    """What each member writes: its last draft, or at first its notes, revised by what it hears, then what it checks.

    `follow` says which view those it hears bring to it, from how far they lean towards true (-1 to 1) and a draw.
    """
    notes, flat = seen.trait("notes").astype(np.int8), seen.flat
    own = np.where(seen.affordance.is_blank(seen.own)[:, None], notes, views(seen.own, notes.shape[1]))
    said = views(flat.act, notes.shape[1])
    weight = np.where(seen.trait("below")[flat.row, flat.author], upward, 1.0)[:, None]
    count, weights, lean = np.zeros((3, *own.shape))
    for table, part in ((count, said != 0), (weights, weight * (said != 0)), (lean, weight * said)):
        np.add.at(table, flat.row, part)
    side = follow(np.divide(lean, weights, out=lean, where=weights > 0), seen.luck(own.shape[1]))
    heed = np.where(seen.trait("read"), adoption * weights / np.maximum(count, 1), 1.0)
    wrote = np.where((weights > 0) & (side != 0) & (seen.luck(own.shape[1]) < heed), side, own)
    garbled = seen.luck(own.shape[1]) < 1 - (1 - slip) ** np.bincount(flat.row, minlength=len(seen))[:, None]
    return np.where(checks(seen), seen.trait("truth"), np.where(garbled, -wrote, wrote)).astype(np.int8)


def checks(seen: Seen) -> Marks:
    """Which claims a check shows to each member at this decision: the same for a rule and for a prompt."""
    catch = seen.trait("catch").astype(float)
    shown = np.zeros(seen.trait("notes").shape, np.bool_)
    for index in np.flatnonzero(catch > 0).tolist():
        shown[index] = np.array(seen.one(index).chance("check")(shown.shape[1])) < catch[index]
    return shown


def comparing(seen: Seen, adoption: Adoption = 0.7, upward: Upward = 1.0, slip: Slip = 0.0) -> Coded:
    """Takes over, by chance, what most of those it hears say of a claim."""
    return stated(draft(seen, lambda lean, _: np.sign(lean).astype(np.int8), adoption, upward, slip))


def deferential(seen: Seen, adoption: Adoption = 0.7, upward: Upward = 1.0, slip: Slip = 0.0) -> Coded:
    """Takes over, by chance, what one of those it hears says of a claim, each as likely as the others."""
    return stated(draft(seen, lambda lean, drawn: np.where(2 * drawn - 1 < lean, 1, -1), adoption, upward, slip))


def alone(seen: Seen) -> Coded:
    """Hands in its own notes, whatever it hears."""
    return stated(seen.trait("notes").astype(np.int8))


def faulty(seen: Seen, frequency: Frequency = 1.0, severity: Severity = 1.0) -> Coded:
    """Works like comparing; some of its drafts are corrupted, and in those some claims are made wrong."""
    truth = seen.trait("truth").astype(np.int8)
    struck = (seen.luck() < frequency)[:, None] & (seen.luck(truth.shape[1]) < severity)
    return stated(np.where(struck, -truth, views(comparing(seen), truth.shape[1])))


def depths(team: str, members: int) -> NDArray[np.int64]:
    """How far below the top each member stands; all at the top where nobody leads."""
    rows = np.arange(members)
    if team == "tree":
        return np.frexp(rows + 1)[1].astype(np.int64) - 1
    return np.minimum(rows, 1) * (team in LED)


def linked(team: str, agents: int) -> Links | str:
    """Who hears whom in a team: a named topology, or pairs of an author and its reader."""
    down, peers = [(0, row) for row in range(1, agents)], range(1, agents)
    if team == "hybrid":
        return Links.from_edges(agents, down + [(row, row + 1) for row in peers[:-1]])
    if team == "hierarchical":
        return Links.from_edges(agents, down + list(permutations(peers, 2)), directed=True)
    return GRAPHS.get(team, team)


class Teams(Society):
    """Members of a team who each read the claims of a task, hand their drafts on and answer together."""

    rules: ClassVar = {"comparing": comparing, "deferential": deferential, "alone": alone, "faulty": faulty}
    null: ClassVar = {"team": "independent"}
    needs: ClassVar = {
        **{"tools_each": {"tools": 4}, "catch": {"verify": "everybody"}},
        **{"frequency": {"faulty": 1}, "severity": {"faulty": 1}},
    }
    length: ClassVar = 5

    def __init__(
        self,
        team: Team = "centralised",
        agents: Annotated[Agents, "how many members, a lead included; a single agent is one"] = 6,
        claims: Annotated[int, Range(1, 1000), Group.WORLD, "how many claims the task has"] = 20,
        competence: Annotated[float, Range(0.5, 1), Group.POPULATION, "chance that one reading is right"] = 0.75,
        alike: Annotated[float, Range(0, 1), Group.POPULATION, "share of claims that all members read alike"] = 0.0,
        iterations: Annotated[int, Range(1, 1000), Group.POPULATION, "reasoning turns in each decision"] = 3,
        tools: Annotated[int, Range(1, 1000), Group.WORLD, "how many tools the task needs, one for each claim"] = 1,
        tools_each: Annotated[int, Range(0, 1000), Group.AFFORDANCES, "how many of them a member has; 0: all"] = 0,
        rounds: Annotated[int, Range(1, 1000), Group.TURNS, "rounds until the team answers"] = 3,
        answer: Answer = "usual",
        verify: Verify = "nobody",
        catch: Annotated[float, Range(0, 1), Group.AFFORDANCES, "chance that a check shows the truth of a claim"] = 0.5,
        faulty: Annotated[int, Range(-1, 10_000_000), Group.POPULATION, "row of the faulty member; -1: none"] = -1,
        frequency: Frequency = 1.0,
        severity: Severity = 1.0,
        turns: Turns = "simultaneous",
        visibility: Visibility = "full",
        latency: Latency = 0,
        loss: Loss = 0.0,
        minds: Minds = "comparing",
        rng: Seed = None,
    ) -> None:
        size = 1 if team == "single" else agents
        names = [f"claim {number} {view}" for view in ("true", "false") for number in range(1, claims + 1)]
        super().__init__(
            Picks(names, most=2 * claims),
            agents=size,
            graph=linked(team, size),
            architecture=Architecture(turns=turns, visibility=visibility, latency=latency, loss=loss),
            minds=minds,
            measures=MEASURES,
            rng=rng,
        )
        self.answer = USUAL.get(team, "vote") if answer == "usual" else answer
        self.span = 1 if team in ONCE else rounds
        self.iterations = iterations
        self.sound = self.acts.rows != faulty
        self.depth = depths(team, size)
        self.working = (self.acts.rows > 0) | (team not in COORDINATED)
        self.stepwise = team == "hybrid"
        self.messages = self.peered = 0
        self._task(claims, competence, alike, tools, tools_each or tools)
        self._places(verify, catch)
        self.adapt("visibility", visibility)
        self.begin()

    def cast(self, minds: str | Mind) -> str | Mind:
        """The minds of the team, with a faulty one in its row where there is one."""
        knobs, members = self.knobs, self.links.n
        row = int(knobs["faulty"])
        if row < 0:
            return minds
        if row >= members:
            raise SpecError(f"faulty = {row}: expected a row from 0 to {members - 1}, or -1 for none")
        if not isinstance(minds, str):
            raise SpecError("minds: expected a text, because a faulty member is seated beside them")
        return f"{minds}, faulty(frequency={knobs['frequency']}, severity={knobs['severity']}):1@{row}"

    @classmethod
    def prompt(cls, seen: Observation) -> str:
        """The question a language model is asked."""
        kind = seen.affordance
        assert isinstance(kind, Picks)
        notes, truth, catch = (np.asarray(seen.trait(name)) for name in ("notes", "truth", "catch"))
        shown = (np.array(seen.chance("check")(truth.size)) < catch) * truth
        checked = f"\nYou have just looked at the source: {_said(kind, shown)}." if shown.any() else ""
        heard = [
            f"- {f'member {item.author}' if item.author else 'a member'}"
            f"{f' ({item.count} drafts alike)' if item.count > 1 else ''}: {_said(kind, item.content)}"
            for item in seen.heard
        ]
        said = {"notes": _said(kind, notes), "checked": checked, "own": _said(kind, seen.own)}
        put = {"heard": "\n".join(heard) or "- none", "options": seen.offer.text, "form": seen.offer.form}
        return PROMPT.format(name=seen.name, role=seen.trait("role"), claims=truth.size, **said, **put)

    @classmethod
    def finding(cls, values: Mapping[str, float], null: Mapping[str, float]) -> str:
        """What a run shows, in a sentence."""
        if np.isnan(values["accuracy"]):
            return "The team has not answered."
        right = f"The team's answer has {values['accuracy']:.0%} of the claims right"
        alone = f"a member's own work {values['unaided']:.0%}"
        return f"{right}, {alone}; it took {values['overhead']:.0f}% more turns than a single agent."

    def acting(self) -> Rows:
        """Who works acts in every round; who only puts together acts from the second round to one beyond the last."""
        late = np.where(self.working, 0, 1)
        acting = (self.time > late) & (self.time <= self.span + late)
        return self.acts.rows if acting.all() else self.acts.rows[acting]

    def absorb(self, seen: Seen, acts: Coded) -> None:
        """Counts the drafts that were read; in a hybrid team, those between peers are steps of their own."""
        flat = seen.flat
        self.messages += flat.row.size
        self.peered += int(((flat.author > 0) & (seen.rows[flat.row] > 0)).sum()) if self.stepwise else 0

    def adapt(self, name: str, value: Scalar) -> None:
        """Who stands below whom is known only where authors are shown."""
        if name == "visibility":
            self.traits["below"] = (self.depth > self.depth[:, None]) & (value == "full")

    def draw(self, axes: Any) -> None:
        """Draws who hears whom, and how much of each member's draft is wrong."""
        wrong = np.full(self.acts.rows.size, np.nan)
        wrong[~self.affordance.is_blank(self.acts.own)] = 1 - rightness(self, drafts(self)).mean(axis=1)
        places = circle(wrong.size)
        if self.depth.any():
            places = -levels(self.depth)[:, ::-1]
        elif self.knobs["team"] in ("chain", "flat"):
            places = levels(self.acts.rows)
        texts = [f"{row}\n" + ("-" if np.isnan(share) else f"{share:.0%}") for row, share in enumerate(wrong)]
        sketch(axes, self.links, places, wrong.tolist(), texts, np.flatnonzero(~self.sound).tolist())
        axes.set_title("Member, and how much of its draft is wrong" + ("" if self.sound.all() else " (thick: faulty)"))

    def _task(self, claims: int, competence: float, alike: float, tools: int, each: int) -> None:
        """What each member knows of each claim: the majority of its readings, a share of its turns for each tool."""
        claim, each = np.arange(claims), min(each, tools)
        carried = (claim % tools - self.acts.rows[:, None] * each) % tools < each
        spent = np.where(self.working, self.iterations, 0)[:, None] / each
        readings = np.where(carried, np.floor(spent + self.luck("readings")(claims)), 0).astype(np.int64)
        few, which = np.unique(readings, return_inverse=True)
        chances = np.array([measures.majority_error(count, competence) for count in few.tolist()])
        wrong = self.luck("notes")(claims) < chances[which].reshape(readings.shape)
        shared = Luck(self.seed, "alike", 0, claim)(2)
        wrong = np.where(shared[:, 0] < alike, shared[:, 1] < 1 - competence, wrong)
        self.truth = np.where(Luck(self.seed, "truth", 0, claim)() < 0.5, 1, -1).astype(np.int8)
        notes = np.where(wrong, -self.truth, self.truth) * (readings > 0)
        # The truth is a trait for whoever checks or falsifies; no other rule may look at it.
        self.traits |= {"truth": np.broadcast_to(self.truth, wrong.shape), "notes": notes, "read": readings > 0}

    def _places(self, verify: str, catch: float) -> None:
        """Who checks, who leads, and what each decision costs: a check takes a turn more."""
        rows = self.acts.rows
        checking = {"nobody": rows < 0, "lead": rows == 0, "last": rows == rows[-1], "everybody": rows >= 0}[verify]
        role = np.where((self.depth == 0) & self.depth.any(), ", its lead", "")
        self.price = np.where(self.working, self.iterations, 1) + (checking & (catch > 0))
        self.traits |= {"catch": np.where(checking, catch, 0.0), "role": role}


def rightness(model: Teams, found: Views) -> Floats:
    """How right each view is: 1 right, 0 wrong, and one half where a claim is left open, as a guess would be."""
    return (1 + found * model.truth) / 2


def drafts(model: Teams, own: Coded | None = None) -> Views:
    """The views in some drafts, by default in all that stand: one row per member that has written."""
    own = model.acts.own if own is None else own
    return views(own[~model.affordance.is_blank(own)], model.truth.size)


def answered(model: Teams) -> Floats:
    """How right each claim of the team's answer is, one row per draft in it; a tied vote leaves a claim open."""
    own = model.acts.own
    found = drafts(model, {"lead": own[:1], "last": own[-1:]}.get(model.answer, own))
    if model.answer == "vote" and len(found):
        found = np.sign(found.sum(axis=0, keepdims=True)).astype(np.int8)
    return rightness(model, found)


def accuracy(model: Teams) -> float:
    """The share of claims that are right in the team's answer; NaN before there is one."""
    return _mean(answered(model))


def success(model: Teams) -> float:
    """1 if every claim of the team's answer is right, else 0; an open claim is a fair coin."""
    right = answered(model)
    return float(right.prod()) if right.size else float("nan")


def benign(model: Teams) -> float:
    """The mean share of right claims in the drafts of sound members; NaN before there are any."""
    return _mean(rightness(model, drafts(model, model.acts.own[model.sound])))


def unaided(model: Teams) -> float:
    """The mean share of claims that sound members have right by their own notes: what one agent would hand in."""
    return _mean(rightness(model, model.traits["notes"][model.sound & model.working].astype(np.int8)))


def gain(model: Teams) -> float:
    """What working together adds: the accuracy of the answer, less that of a member's own work."""
    return accuracy(model) - unaided(model)


def amplification_answer(model: Teams) -> float:
    """Error amplification of the answer: its share of wrong claims, over that of a member's own work."""
    return measures.amplification(1 - accuracy(model), 1 - unaided(model))


def amplification_artefact(model: Teams) -> float:
    """Error amplification of the artefact: wrong claims in all drafts side by side, over those in one member's work."""
    right = rightness(model, drafts(model))
    wrong = float((1 - right).sum()) if right.size else float("nan")
    return measures.amplification(wrong, model.truth.size * (1 - unaided(model)))


def turns(model: Teams) -> float:
    """The reasoning turns spent, with one to put drafts together and, in a hybrid team, one for each between peers."""
    together = model.answer in ("vote", "all") and model.price.size > 1 and bool(model.decisions.any())
    return float(model.decisions @ model.price + together + model.peered)


def messages(model: Teams) -> float:
    """How many drafts of others were read."""
    return float(model.messages)


def volume(model: Teams) -> float:
    """How many claims were written or read, which is what tokens grow with; spent tokens are in a run's ledger."""
    return model.truth.size * (turns(model) + messages(model))


def overhead(model: Teams) -> float:
    """Coordination overhead: the turns beyond those of a single agent, in percent of a single agent's."""
    return measures.overhead(turns(model), model.iterations) if model.decisions.any() else float("nan")


def efficiency(model: Teams) -> float:
    """Accuracy per turn, in turns of a single agent."""
    return measures.efficiency(accuracy(model), turns(model), model.iterations)


def density(model: Teams) -> float:
    """Message density: drafts read per reasoning turn."""
    return measures.message_density(messages(model), turns(model))


def redundancy(model: Teams) -> float:
    """How alike the drafts are: the mean cosine of pairs of them, true being 1 and false -1."""
    return measures.redundancy(drafts(model))


def _mean(right: Floats) -> float:
    return float(right.mean()) if right.size else float("nan")


def _said(kind: Picks, said: object) -> str:
    """A draft as its picks or as an array of views, in words."""
    if isinstance(said, np.ndarray):
        said = kind.decode(stated(said[None])[0])
    return ", ".join(said) or "nothing" if isinstance(said, tuple) else "nothing yet"


MEASURES = {
    measure.__name__: measure
    for measure in (
        *(accuracy, success, benign, unaided, gain, amplification_answer, amplification_artefact),
        *(turns, messages, volume, overhead, efficiency, density, redundancy),
    )
}
