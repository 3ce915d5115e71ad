"""Coordination: agents on a network must solve a task together by writing to their neighbours, round by round.

Kind: macro; coordination failure
Risk: everybody does something sensible and the group fails as a whole: nobody is the leader, or two are; two values
where one was wanted; neighbours that do the same. A single fault can be enough.
Mechanism: for some rounds agents write to their neighbours and know nothing of the others. The plan is taken up too
late, some follow it without telling, what neighbours say is taken over unchecked, clashes go unnoticed.
Cures to compare: more rounds, everybody speaking, a second voice for what is relayed, noticing clashes, more links.
References: Groetschla et al. 2025 (AgentsNet, arXiv:2507.08616) for the five tasks, the rounds, the scores and the
failures, which are reported from transcripts of language models. The embedded minds are the classical algorithms of
`minds.local`, each cited there, and the parameters of their failures are ours.
"""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from agentmicro import graphs
from agentmicro.acts import Coded, Rows
from agentmicro.affordances import Artifact, Choice, Message
from agentmicro.architecture import Agents, Architecture, Graph, Latency, Loss
from agentmicro.errors import SpecError, listed
from agentmicro.exposure import Observation, Seen
from agentmicro.graphs import Links
from agentmicro.knobs import Group, Range, Scalar
from agentmicro.measures import network_tasks
from agentmicro.measures.network_tasks import TASKS, YES, options, published_rounds
from agentmicro.minds import Minds, local
from agentmicro.minds.local import Heard, Ints, Known, Plan
from agentmicro.noise import crossed, keys, permutation, seed_for
from agentmicro.society import Seed, Society, seed_of
from agentmicro.world import Notice

DONE, UNDONE, FAINT = "#0072B2", "#D55E00", "#757575"

GOALS = {
    "coloring": "Sort yourselves into {groups} groups, Group 1 to Group {groups}, so that no two linked agents are in "
    "the same group. In the end each agent says which group it is in.",
    "vertex_cover": "Choose coordinators, so that of any two linked agents at least one is a coordinator, and so that "
    "every coordinator is linked to an agent that is none. In the end each agent says whether it is a coordinator.",
    "matching": "Form pairs of linked agents. In the end each agent names its partner, which must name it in return, "
    "or None, which is right only if all agents that it is linked to have partners.",
    "leader_election": "Choose one leader. In the end each agent says whether it is the leader, and exactly one of you "
    "must say Yes.",
    "consensus": "Agree on one value, 0 or 1. In the end each agent names a value, and all must name the same.",
}
BRIEF = """There are {agents} agents, each linked to some of the others. {goal}
You have {rounds} rounds. In a round all agents write at the same time, each to agents that it is linked to, and what is
written is read {later}. After the rounds everybody gives an answer, and nobody can write any more."""
PROMPT = """You are agent {name}. You are linked to: {near}.
{brief}

Written to you:
{heard}
Linked to you and not heard from: {silent}.
Rounds left in which you can write: {left}.

{ask}
{options}
{form}"""
WRITE = "What do you write now? You may leave out agents to whom you write nothing."
ANSWER = "The rounds are over. What is your answer?"

PLANS = {
    "coloring": local.COLOUR,
    "vertex_cover": local.COVER,
    "matching": local.MATCH,
    "leader_election": local.ELECT,
    "consensus": local.AGREE,
}


def trait(seen: Seen, name: str) -> Any:
    """What each agent of a batch knows, as the array that it is."""
    return seen.trait(name)


def listened(plan: Plan, seen: Seen) -> tuple[Ints, Heard]:
    """What the agents of a batch noted of themselves, and the notes that they hear."""
    flat = seen.flat
    others = zip(seen.rows[flat.row].tolist(), flat.act["messages"], strict=True)
    said = [plan.read(letters[reader]) for reader, letters in others]
    kept = np.array([index for index, note in enumerate(said) if note], np.int64)
    notes = np.array([note for note in said if note], np.int64).reshape(-1, 3)
    row, author = flat.row[kept].astype(np.int64), flat.author[kept].astype(np.int64)
    return noted(plan, seen.rows, seen.own["messages"]), Heard(row, author, notes)


def noted(plan: Plan, rows: Rows, messages: Coded) -> Ints:
    """The notes of some agents, which they keep as a letter to themselves; -1 before the first."""
    own = [
        plan.read((letters or {}).get(row, "")) or (-1, 0, 0)
        for row, letters in zip(rows.tolist(), messages, strict=True)
    ]
    return np.array(own, np.int64).reshape(-1, 3)


def follow(seen: Seen, quiet: bool = False, mistaken: bool = False) -> Coded:
    """Follows the plan for the task: a new note, told to the neighbours, or in the end the answer that it means.

    Quiet agents send no letters but the one to themselves; mistaken ones tell their neighbours what is not so.
    """
    plan, groups = PLANS[TASKS[trait(seen, "task")[0]]], int(trait(seen, "groups")[0])
    known = Known(
        rows=seen.rows.astype(np.int64),
        number=trait(seen, "number"),
        value=trait(seen, "value"),
        near=trait(seen, "near").tolist(),
        groups=groups,
        checks=trait(seen, "checks"),
        notices=seen.luck() < trait(seen, "mediate"),
        luck=seen.luck(),
    )
    own, heard = listened(plan, seen)
    note = np.where(own[:, :1] < 0, plan.first(known), plan.step(known, own, heard))
    if seen.part == "answer":
        meant = plan.means(note, known.rows, known.number)
        return np.where(meant < 0, trait(seen, "agents"), meant)
    letters = np.empty(len(seen), object)
    late, silent = seen.time <= trait(seen, "delay"), quiet | trait(seen, "quiet")
    wrong = mistaken | trait(seen, "mistaken")
    for index, (row, numbers) in enumerate(zip(seen.rows.tolist(), note.tolist(), strict=True)):
        near = () if silent[index] else known.near[index]
        told = dict.fromkeys(near, plan.say(numbers))
        if wrong[index]:
            told = {to: plan.say(plan.untrue(numbers, to, place, groups)) for place, to in enumerate(near)}
        letters[index] = {} if late[index] else {row: plan.say(numbers), **told}
    return letters


def classical(seen: Seen) -> Coded:
    """Follows the classical algorithm of the task, with the failures that the knobs give it (see `minds.local`)."""
    return follow(seen)


def quiet(seen: Seen) -> Coded:
    """Follows the classical algorithm by what it hears, and never tells anybody: a plan assumed, not agreed."""
    return follow(seen, quiet=True)


def mistaken(seen: Seen) -> Coded:
    """Follows the classical algorithm, and tells its neighbours what is not so."""
    return follow(seen, mistaken=True)


def guess(seen: Seen) -> Coded:
    """Writes to nobody and answers by luck, each answer as likely as the others; leads with one chance in n."""
    if seen.part == "messages":
        return seen.asked.encode_many([{}] * len(seen))
    task, agents, luck = TASKS[trait(seen, "task")[0]], trait(seen, "agents"), seen.luck()
    if task == "leader_election":
        return np.asarray((luck * agents >= 1).astype(np.int64))
    if task == "matching":
        named = [(*near, agents[0]) for near in trait(seen, "near")]
        return np.array([names[int(draw * len(names))] for names, draw in zip(named, luck.tolist(), strict=True)])
    return np.asarray((luck * (trait(seen, "groups") if task == "coloring" else 2)).astype(np.int64))


class Coordination(Society):
    """Agents that write to their neighbours for some rounds and then answer, each for itself.

    silent, delay, verify, false_claims and mediate describe the embedded minds; language models bring failures of their
    own, and the minds `quiet` and `mistaken` can be seated among them.
    """

    rules: ClassVar = {"classical": classical, "quiet": quiet, "mistaken": mistaken, "random": guess}
    null: ClassVar = {"silent": 0.0, "delay": 0, "false_claims": 0, "mediate": 1.0, "minds": "classical"}
    needs: ClassVar = {"verify": {"task": "leader_election", "false_claims": 1}}
    length: ClassVar = 20

    def __init__(
        self,
        task: Annotated[
            Literal["coloring", "vertex_cover", "matching", "leader_election", "consensus"],
            Group.AFFORDANCES,
            "what the group has to do",
        ] = "coloring",
        agents: Agents = 32,
        graph: Graph = "small_world(k=4, p=0.4)",
        rounds: Annotated[int, Range(0, 10_000), Group.TURNS, "rounds of writing; 0 for the published number"] = 0,
        latency: Latency = 0,
        loss: Loss = 0.0,
        silent: Annotated[float, Range(0, 1), Group.COMMUNICATION, "the share of agents that never tell anybody"] = 0.1,
        delay: Annotated[int, Range(0, 10_000), Group.TURNS, "rounds that pass before the plan is taken up"] = 0,
        verify: Annotated[float, Range(0, 1), Group.MEMORY, "the share of agents that want a second voice"] = 0.0,
        false_claims: Annotated[
            int, Range(0, 1_000_000), Group.POPULATION, "how many agents tell others what is not so"
        ] = 0,
        mediate: Annotated[float, Range(0, 1), Group.AFFORDANCES, "the chance in a round of noticing a clash"] = 1.0,
        minds: Minds = "classical",
        rng: Seed = None,
    ) -> None:
        seed = seed_of(rng)
        links = two_way(graphs.build(graph, agents, seed_for(seed, "topology")))
        if false_claims > agents:
            raise SpecError(f"false_claims = {false_claims}: expected at most the number of agents, {agents}")
        self.task = task
        self.groups = int(links.degrees.max()) + 1
        self.rounds = rounds or published_rounds(task, links)
        self.left = Notice("rounds left", self.rounds)
        parts = {"messages": Message(addressed=True), "answer": Choice(options(task, links))}
        super().__init__(
            Artifact(parts, private=("answer",)),
            agents=agents,
            graph=links,
            architecture=Architecture(communication="addressed", latency=latency, loss=loss),
            minds=minds,
            measures=MEASURES,
            sources={"rounds left": self.left},
            rng=seed,
        )
        self.sent = 0
        self.floor = float("nan")
        chosen = {"quiet": round(silent * agents), "mistaken": false_claims, "checks": round(verify * agents)}
        for name, count in chosen.items():
            self.traits[name] = np.isin(self.acts.rows, self.rows_at("random", count, name))
        known = {"task": TASKS.index(task), "groups": self.groups, "agents": agents, "delay": delay, "mediate": mediate}
        self.traits |= {name: np.full(agents, value) for name, value in known.items()}
        self.traits |= {"number": 1 + permutation(seed, "number", agents), "value": self.luck("value").below(2)}
        self._introduce()
        self.begin()

    def _introduce(self) -> None:
        """Tells everybody the rules and its neighbours, in an order on which the two ends of each link agree."""
        links, agents = two_way(self.links), self.links.n
        readers, authors = np.repeat(np.arange(agents), links.degrees), links.authors
        lot = crossed(keys(self.seed, "link", 0, np.minimum(readers, authors)), np.maximum(readers, authors))
        ranked = authors[np.lexsort((lot, readers))].tolist()
        near, named, called = np.empty(agents, object), np.empty(agents, object), list(map(str, links.names))
        for row, (start, end) in enumerate(zip(links.starts[:-1].tolist(), links.starts[1:].tolist(), strict=True)):
            near[row] = tuple(ranked[start:end])
            named[row] = tuple(called[other] for other in sorted(near[row]))
        later = f"{1 + self.architecture.latency} rounds later" if self.architecture.latency else "in the next round"
        goal = GOALS[self.task].format(groups=self.groups)
        brief = BRIEF.format(agents=agents, goal=goal, rounds=self.rounds, later=later)
        self.traits |= {"near": near, "named": named, "brief": np.full(agents, brief, object)}
        self.floor = network_tasks.chance(self.task, links, self.groups, self.seed)

    @classmethod
    def prompt(cls, seen: Observation) -> str:
        """The question a language model is asked: what to write to whom, and after the rounds its answer."""
        named: Any = seen.trait("named")
        left = [item.content for item in seen.heard if not isinstance(item.content, Mapping)]
        letters = [
            (one.author, one.age, one.content["messages"]) for one in seen.heard if isinstance(one.content, Mapping)
        ]
        quiet = set(named) - {author for author, _, _ in letters}
        return PROMPT.format(
            name=seen.name,
            near=listed(named) or "nobody",
            brief=seen.trait("brief"),
            heard="\n".join(f"- from {author} (rounds ago: {age:g}): {text}" for author, age, text in letters)
            or "- nothing",
            silent=listed(name for name in named if name in quiet) or "nobody",
            left=listed(left),
            ask=WRITE if isinstance(seen.affordance, Message) else ANSWER,
            options=seen.offer.text,
            form=seen.offer.form,
        )

    @classmethod
    def finding(cls, values: Mapping[str, float], null: Mapping[str, float]) -> str:
        """What a run shows, in a sentence."""
        floor = f"(answers by luck score {values['chance']:.2f} on average)"
        if values["solved"]:
            return f"The task is solved: everybody does its part {floor}."
        found = f"{values['met']:.0%} of the agents do their part, and the score is {values['score']:.2f} {floor}"
        rest = (
            "the undisturbed classical algorithm solves it"
            if null["solved"]
            else "neither does the classical algorithm"
        )
        return f"The task is not solved: {found}; {rest}."

    def acting(self) -> Rows:
        """Everybody, until the answers are given."""
        return self.acts.rows if self.time <= self.rounds + 1 else self.acts.rows[:0]

    def asking(self) -> str:
        """Letters in the rounds, and the answer after the last."""
        return "messages" if self.time <= self.rounds else "answer"

    def absorb(self, seen: Seen, acts: Coded) -> None:
        """Counts the letters that go to others."""
        if seen.part == "messages":
            self.sent += sum(len(act) - (row in act) for row, act in zip(seen.rows.tolist(), acts, strict=True))

    def unfold(self) -> None:
        """Publishes how many rounds are left."""
        self.left.publish(max(0, self.rounds - int(self.time)), float(self.time))

    def adapt(self, name: str, value: Scalar) -> None:
        """A change of graph gives everybody other neighbours; rounds and groups stay as they were announced."""
        if name in ("graph", "latency"):
            self._introduce()

    @property
    def answers(self) -> Ints:
        """What each agent has answered, coded; in the rounds, what its note would mean; -1 where there is neither."""
        given: Ints = self.acts.own["answer"].astype(np.int64)
        if self.asking() == "answer":
            return given
        plan, rows = PLANS[self.task], self.acts.rows.astype(np.int64)
        notes = noted(plan, rows, self.acts.own["messages"])
        meant = plan.means(notes, rows, np.asarray(self.traits["number"], np.int64))
        return np.where(notes[:, 0] < 0, -1, np.where(meant < 0, len(rows), meant))

    def draw(self, axes: Any) -> None:
        """Draws the network: who does its part and who does not, and on which links the task fails."""
        from matplotlib.collections import LineCollection

        places = np.array(list(graphs.layout(self.links, self.seed).values()))
        ends, codes, done = self.links.edges(), self.answers, met_by(self)
        one, other = codes[ends].T
        broken = {
            "coloring": one == other,
            "vertex_cover": (one != YES) & (other != YES),
            "consensus": one != other,
        }.get(self.task, np.zeros(len(ends), bool))
        pairs = (one == ends[:, 1]) & (other == ends[:, 0]) & (self.task == "matching")
        for chosen, style in (
            (~broken, {"color": FAINT, "linewidth": 0.6, "alpha": 0.5}),
            (broken, {"color": UNDONE, "linewidth": 2.0}),
            (pairs, {"color": DONE, "linewidth": 3.0}),
        ):
            axes.add_collection(LineCollection(places[ends[chosen]], zorder=1, **style))
        size = float(np.clip(3000 / len(codes), 6, 110))
        yes = (codes == YES) & np.isin(self.task, ["vertex_cover", "leader_election"])
        odd = np.asarray(self.traits["quiet"]) | np.asarray(self.traits["mistaken"])
        for chosen, colour, mark, scale, name in (
            (done & ~yes, DONE, "o", size, "does its part"),
            (~done & ~yes, UNDONE, "o", size, "does not"),
            (done & yes, DONE, "s", size, "Yes, and does its part"),
            (~done & yes, UNDONE, "s", size, "Yes, and does not"),
            (odd, "none", "o", 2 * size, "silent or mistaken"),
        ):
            if chosen.any():
                edge = "#333333" if colour == "none" else colour
                axes.scatter(*places[chosen].T, s=scale, c=colour, edgecolors=edge, marker=mark, zorder=2, label=name)
        axes.set(title=f"{self.task.replace('_', ' ')}: {int(done.sum())} of {len(done)} do their part", aspect="equal")
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, 0.02), ncols=3, frameon=False, fontsize=8)
        axes.set_axis_off()


def score(model: Coordination) -> float:
    """How far the answers solve the task, by the soft score of AgentsNet."""
    return network_tasks.score(model.task, model.answers, model.links)


def solved(model: Coordination) -> float:
    """1 if everybody does its part, else 0."""
    return float(met_by(model).all())


def met(model: Coordination) -> float:
    """The share of agents that do their part of the task."""
    return float(met_by(model).mean())


def chance(model: Coordination) -> float:
    """The score that answers by luck have on average on this network."""
    return model.floor


def corrected(model: Coordination) -> float:
    """How far the score rises above chance: 0 at chance, 1 if solved, NaN where chance alone solves the task."""
    return (score(model) - model.floor) / (1 - model.floor) if model.floor < 1 else float("nan")


def letters(model: Coordination) -> float:
    """How many letters each agent has sent to others so far, on average."""
    return model.sent / len(model.acts.rows)


def met_by(model: Coordination) -> NDArray[np.bool_]:
    """Which agents do their part of the task."""
    return network_tasks.met(model.task, model.answers, model.links)


MEASURES = {"solved": solved, "score": score, "met": met, "chance": chance, "corrected": corrected, "letters": letters}


def two_way(links: Links) -> Links:
    """The links, of which each carries letters both ways; a SpecError for directed ones."""
    if links.directed:
        raise SpecError("graph: the links are directed, expected an undirected graph: who gets letters can write back")
    return links
