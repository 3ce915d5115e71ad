"""Debate: members answer, hear each other and answer again; by itself that moves nobody closer to the truth.

Kind: meso; cascade, herding
Risk: a debate that ends in consensus looks like evidence. Its members count each other's answers as if they were
independent, so they agree more and more while they are right no more often, and a vote of theirs is worth less.
Mechanism: a belief is a Dirichlet distribution over the answers. An answer is drawn from it, and every answer that is
heard adds to it. Among equals, whoever listens to whom, the expected belief in the truth stays: a martingale.
Cures to compare: vote at once, spend the same tokens on more independent answers, sparse or no links, expert hubs.
References: Choi et al. 2025 (arXiv 2508.17536) for the model, the three modes (everybody, a ring, a centre) and vote
against debate; its update is taken from a description of the paper. Eggenberger and Polya 1923
(doi:10.1002/zamm.19230030407) for the urn that it is in a fixed order. Every parameter is ours.
"""

from collections.abc import Mapping
from math import ceil, nan
from typing import Annotated, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from agentmicro.acts import Coded, Rows
from agentmicro.affordances import Choice
from agentmicro.architecture import Agents, Architecture, Graph, Latency, Loss, Memory, Shown, Turns, Visibility
from agentmicro.errors import SpecError
from agentmicro.exposure import Observation, Seen
from agentmicro.knobs import Group, Range
from agentmicro.measures import agreement as share_of_mode
from agentmicro.minds import Minds
from agentmicro.noise import Chance
from agentmicro.society import Seed, Society, seed_of
from agentmicro.world import Notice

type Floats = NDArray[np.float64]

RIGHT = 0  # the code of the right answer; its place and label in a prompt are drawn anew for each decision
PANEL = 10_000  # the most votes of a panel that are drawn; so many independent votes are as good as all
PROMPT = """You and other members answer the same question, in several rounds.
{question}
Your last answer: {own}
The others answered:
{heard}
Which answer do you give now?
{options}
{form}"""


def drawn(seen: Seen, belief: Floats) -> Coded:
    """An answer for each member, as likely as its belief says."""
    edges = np.cumsum(belief, axis=1)
    return np.asarray((seen.luck()[:, None] * edges[:, -1:] >= edges[:, :-1]).sum(axis=1))


def prior(seen: Seen) -> Floats:
    """What each member believed before it heard anybody."""
    return seen.trait("prior").astype(np.float64)


def dcm(
    seen: Seen,
    weight: Annotated[float, Range(0, 1000), "what an answer that is heard adds to the belief in it"] = 1.0,
    edge: Annotated[float, Range(-1, 1000), "how much more a right answer adds than a wrong one"] = 0.0,
) -> Coded:
    """Draws its answer from its first belief with the answers before it added: Dirichlet compound multinomial."""
    added = weight * seen.counts()
    added[:, RIGHT] *= 1 + edge
    return drawn(seen, prior(seen) + added)


def majority(seen: Seen) -> Coded:
    """Takes the most frequent of the answers before it, its own among them; keeps its own at a tie."""
    counts = seen.counts()
    given = np.flatnonzero(seen.own >= 0)
    counts[given, seen.own[given]] += 1.5  # its own counts once, and half more to win its ties
    tied = counts == counts.max(axis=1, keepdims=True)
    return np.where(counts.sum(axis=1) > 0, drawn(seen, tied.astype(float)), drawn(seen, prior(seen)))


def copy(seen: Seen) -> Coded:
    """Takes over one of the answers that it hears, each as likely as the others."""
    heard = seen.any()
    own = np.where(seen.own >= 0, seen.own, drawn(seen, prior(seen)))
    return np.where(heard >= 0, heard, own)


class Debate(Society):
    """Members who answer one question, round after round."""

    rules: ClassVar = {"dcm": dcm, "majority": majority, "copy": copy}
    null: ClassVar = {"graph": "empty"}
    needs: ClassVar = {"expert_skill": {"expert": 0}}
    length: ClassVar = 6

    def __init__(
        self,
        agents: Agents = 5,
        options: Annotated[int, Range(2, 20), Group.AFFORDANCES, "how many answers there are, one of them right"] = 4,
        skill: Annotated[float, Range(0, 1), Group.POPULATION, "a member's first belief in the right answer"] = 0.5,
        strength: Annotated[
            float, Range(0.001, 1000), Group.POPULATION, "how many heard answers a first belief weighs"
        ] = 1.0,
        expert: Annotated[int, Range(-1, 10_000_000), Group.POPULATION, "the row of an expert; -1 for none"] = -1,
        expert_skill: Annotated[float, Range(0, 1), Group.POPULATION, "the expert's belief in the right answer"] = 0.95,
        rounds: Annotated[int, Range(0, 10_000), Group.TURNS, "rounds of debate after everybody's first answer"] = 5,
        graph: Graph = "complete",
        turns: Turns = "simultaneous",
        visibility: Visibility = "full",
        latency: Latency = 0,
        loss: Loss = 0.0,
        shown: Shown = 0,
        memory: Memory = -1,
        mind: Minds = "dcm",
        rng: Seed = None,
    ) -> None:
        if expert >= agents:
            raise SpecError(f"expert = {expert}: expected a row from 0 to {agents - 1}, or -1")
        seed = seed_of(rng)
        question, answers = task(seed, options)
        super().__init__(
            Choice(answers),
            agents=agents,
            graph=graph,
            architecture=Architecture(
                turns=turns, visibility=visibility, latency=latency, loss=loss, shown=shown, memory=memory
            ),
            minds=mind,
            measures=MEASURES,
            sources={"question": Notice("question", question)},
            rng=seed,
        )
        skills = np.full(agents, skill)
        if expert >= 0:
            skills[expert] = expert_skill
        beliefs = np.repeat((1 - skills)[:, None] / (options - 1), options, axis=1)
        beliefs[:, RIGHT] = skills
        self.traits["prior"] = strength * beliefs
        self.rounds = rounds
        self.tokens = 0
        self.first = {"accuracy": nan, "vote": nan}
        self.past: list[Coded] = []
        self.begin()

    @classmethod
    def prompt(cls, seen: Observation) -> str:
        """The question a language model is asked."""
        kind = seen.affordance
        assert isinstance(kind, Choice)
        heard = [
            f"- {item.content} ({who}, {item.age:g} turn(s) ago)"
            for item in seen.heard
            if item.content in kind.options
            for who in [f"{item.count} members" if item.count > 1 else f"member {item.author or 'unknown'}"]
        ]
        return PROMPT.format(
            question="\n".join(str(item.content) for item in seen.heard if item.content not in kind.options),
            own=seen.own or "none yet",
            heard="\n".join(heard) or "- nobody yet",
            options=seen.offer.text,
            form=seen.offer.form,
        )

    @classmethod
    def finding(cls, values: Mapping[str, float], null: Mapping[str, float]) -> str:
        """What a run shows, in two sentences."""
        if np.isnan(values["accuracy_gain"]):
            return "Nobody has answered yet."
        was = values["accuracy"] - values["accuracy_gain"]
        told = f"{was:.0%} were right at first and {values['accuracy']:.0%} at the end, {values['agreement']:.0%} agree"
        beside = f"one over {values['tokens']:g} independent answers {values['panel_vote']:.2g}"
        return f"{told}. The chance that a vote over their answers is right is {values['vote']:.2g}, of {beside}."

    def acting(self) -> Rows:
        """Everybody, for one first answer and so many rounds."""
        return self.acts.rows if self.time <= 1 + self.rounds else self.acts.rows[:0]

    def absorb(self, seen: Seen, acts: Coded) -> None:
        """Every answer costs a unit to write, and every answer shown a unit to read."""
        self.tokens += len(seen) + int(seen.total().sum())

    def unfold(self) -> None:
        """Notes what the first answers were worth."""
        self.past.append(self.acts.own.copy())
        if np.isnan(self.first["vote"]):
            self.first = {"accuracy": accuracy(self), "vote": vote(self)}

    def panel(self, size: int) -> Coded:
        """So many independent answers, the members taking turns to give one from their first beliefs."""
        members = len(self.acts.rows)
        edges = np.cumsum(self.traits["prior"], axis=1)
        luck = self.luck("panel")(ceil(size / members))
        answers = (luck[:, :, None] * edges[:, None, -1:] >= edges[:, None, :-1]).sum(axis=2)
        return np.asarray(answers.T.ravel()[:size])

    def draw(self, axes: Any) -> None:
        """Draws every member's answers, round by round: right, the most frequent wrong one, others."""
        past = np.array(self.past[: 1 + self.rounds]).reshape(-1, len(self.acts.rows))
        common = np.bincount(past[past > RIGHT], minlength=2).argmax()
        kinds = {"right": ("#0072B2", past == RIGHT), "the commonest wrong answer": ("#D55E00", past == common)}
        kinds["other wrong answers"] = ("#757575", (past > RIGHT) & (past != common))
        side = min(220 / (1 + len(past)), 130 / past.shape[1], 24)  # points
        for name, (colour, where) in kinds.items():
            if where.any():
                axes.scatter(*np.nonzero(where), s=side**2, marker="s", color=colour, label=name)
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=3, frameon=False, markerscale=7 / side)
        axes.set(title="Who answered what", xlabel="round of debate (0: alone)", ylabel="member")
        axes.margins(0.5 / max(1, len(past)), 0.5 / past.shape[1])
        axes.locator_params(integer=True)


def task(seed: int, options: int) -> tuple[str, tuple[str, ...]]:
    """A question of arithmetic and its answers, the right one first."""
    luck = Chance(seed, "question", 0, 0)
    one, two, three = 12 + luck.below(88), 12 + luck.below(88), 100 + luck.below(900)
    right = one * two + three
    slips = [sign * size for size in (10, 100, one, two, 1, 20, *range(2, 10)) for sign in (1, -1)]
    near = dict.fromkeys([right, *(right + slip for slip in slips)])
    return f"What is {one} * {two} + {three}?", tuple(str(answer) for answer in list(near)[:options])


def plurality(answers: Coded) -> float:
    """The chance that a plurality vote over some answers is right, ties drawn; NaN without answers."""
    counts = np.bincount(answers[answers >= 0], minlength=1)
    most = counts == counts.max()
    return float(most[RIGHT] / most.sum()) if counts.any() else nan


def accuracy(model: Debate) -> float:
    """The share of members whose answer is right, among those who have answered."""
    given = model.acts.own[model.acts.own >= 0]
    return float((given == RIGHT).mean()) if given.size else nan


def vote(model: Debate) -> float:
    """The chance that a vote over the members' answers is right: 0 or 1, or a share where answers tie."""
    return plurality(model.acts.own)


def panel_vote(model: Debate) -> float:
    """The chance that a vote is right over as many independent answers as the debate has cost tokens."""
    return plurality(model.panel(min(model.tokens, PANEL)))


def token_gain(model: Debate) -> float:
    """What debate adds to a vote at equal tokens: the vote less that of the independent answers."""
    return vote(model) - panel_vote(model)


def accuracy_gain(model: Debate) -> float:
    """What debate has added to the accuracy: now, less that of the first answers; a martingale's mean is 0."""
    return accuracy(model) - model.first["accuracy"]


def vote_gain(model: Debate) -> float:
    """What debate has added to the vote: now, less the vote over the first answers."""
    return vote(model) - model.first["vote"]


def agreement(model: Debate) -> float:
    """The share of members who give the most frequent answer."""
    return share_of_mode(model.acts.own)


def tokens(model: Debate) -> float:
    """What the debate has cost, in answers written and answers shown."""
    return float(model.tokens)


MEASURES = {
    measure.__name__: measure
    for measure in (vote, accuracy, accuracy_gain, vote_gain, token_gain, panel_vote, agreement, tokens)
}
