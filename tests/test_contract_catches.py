"""The contract can fail: phenomena that are wrong on purpose, each with all the laws that it breaks and no others."""

import itertools
from typing import Annotated, ClassVar

import numpy as np
import pytest

from agentmicro import contract
from agentmicro.affordances import Choice
from agentmicro.architecture import Agents, Architecture, Graph, Latency, Turns, Visibility
from agentmicro.contract import LAWS, Broken
from agentmicro.knobs import Range
from agentmicro.minds import Minds
from agentmicro.society import Society
from agentmicro.world import Notice

OPTIONS = ("red", "green", "blue", "pink")
MODELS: list[Society] = []
GENERATOR = np.random.default_rng(3)
COUNTER = itertools.count()


def crowd(seen):
    """The option heard most; luck breaks ties and errs."""
    return (seen.counts() + 1.5 * seen.luck(len(OPTIONS))).argmax(axis=1)


def reds(model):
    return float((model.acts.own == 0).sum())


class Good(Society):
    """Breaks no law."""

    rules: ClassVar = {"crowd": crowd}
    columns: ClassVar = {"reds": reds}

    def __init__(
        self,
        agents: Agents = 30,
        graph: Graph = "ring",
        visibility: Visibility = "full",
        latency: Latency = 0,
        turns: Turns = "simultaneous",
        mind: Minds = "crowd",
        rng=None,
    ):
        super().__init__(
            Choice(OPTIONS),
            agents=agents,
            graph=graph,
            architecture=Architecture(visibility=visibility, latency=latency, turns=turns),
            minds=mind,
            measures=self.columns,
            rng=rng,
        )
        self.prepare(rng)
        self.begin(self.first(rng))

    def prepare(self, rng):
        """For what a subclass adds before the first act."""

    def first(self, rng):
        return self.luck("start").below(len(OPTIONS))

    @classmethod
    def prompt(cls, seen):
        heard = ", ".join(f"{item.content} by {item.count}" for item in seen.heard)
        return f"You are {seen.own}. You see {heard or 'nobody'}.\n{seen.offer.text}\n{seen.offer.form}"


# --- knobs


class DeadKnob(Good):
    """Offers a knob that nobody reads."""

    def __init__(self, agents: Agents = 30, zeal: Annotated[float, Range(0, 1)] = 0.5, mind: Minds = "crowd", rng=None):
        super().__init__(agents=agents, mind=mind, rng=rng)


class DeadMind(Good):
    """Offers a mind and seats another."""

    def __init__(self, agents: Agents = 30, mind: Minds = "crowd", rng=None):
        super().__init__(agents=agents, mind="crowd", rng=rng)


class SaidInert(Good):
    """Excuses a knob that matters."""

    inert: ClassVar = {"latency": "nobody looks back"}


class NoSuchKnob(Good):
    """Excuses a knob that there is not."""

    inert: ClassVar = {"zeal": "there is none"}


# --- seeds and luck


class Unseeded(Good):
    """Starts by luck that no seed keys."""

    def first(self, rng):
        return GENERATOR.integers(len(OPTIONS), size=len(self.acts.rows))


def first_of_the_most(seen):
    return seen.counts().argmax(axis=1)


class SameLuck(Good):
    """Has luck that no seed changes, and minds that do not draw."""

    rules: ClassVar = {"crowd": first_of_the_most}

    def first(self, rng):
        return self.acts.rows % len(OPTIONS)


class SeedsByHand(Good):
    """Seeds its start by what it was given, not by the seed of the run."""

    def first(self, rng):
        return np.random.default_rng(rng if isinstance(rng, int) else 0).integers(4, size=len(self.acts.rows))


def in_order(seen):
    return (seen.counts() + GENERATOR.random((len(seen), len(OPTIONS)))).argmax(axis=1)


class LuckInOrder(Good):
    """Draws from a generator that all decisions share."""

    rules: ClassVar = {"crowd": in_order}


def by_place(seen):
    luck = np.random.default_rng(int(seen.time)).random((len(seen), len(OPTIONS)))
    return (seen.counts() + 1.5 * luck).argmax(axis=1)


class LuckByPlace(Good):
    """Draws by the place of an agent in its batch."""

    rules: ClassVar = {"crowd": by_place}


# --- channels beside exposure


def peek(seen):
    acts = MODELS[-1].acts.own
    return np.where(seen.luck() < 0.5, acts[(seen.rows + len(acts) // 2) % len(acts)], seen.own)


class Peeks(Good):
    """Reads the acts of agents that nobody exposed, through a list of models."""

    rules: ClassVar = {"crowd": peek}

    def prepare(self, rng):
        MODELS.append(self)


class PromptPeeks(Good):
    """Tells its language minds what an agent far away did, and how visible acts are does not matter."""

    @classmethod
    def prompt(cls, seen):
        far = seen._seen._scene.acts.own[(seen.row + 6) % 12]
        return f"{super().prompt(seen)} Far away: {OPTIONS[far]}."


class Live(Notice):
    """A notice that says it is late and shows what stands now."""

    def view(self, when, luck, time):
        return super().view(time, luck, time)


def by_board(seen):
    """Reads the board; nothing of the others."""
    value = np.full(len(seen), seen.world["board"].value)
    return ((value + seen.rows) * seen.luck.below(4) % 4).astype(np.int8)


class LiveSource(Good):
    """Publishes at once what it declares to publish late."""

    rules: ClassVar = {"crowd": by_board}

    def prepare(self, rng):
        self.sources["board"] = Live("board", 0, latency=1)

    def absorb(self, seen, acts):
        self.sources["board"].publish(self.sources["board"].value + int(acts.sum()), seen.time)


class ActingCounts(Good):
    """Does things to its world when it is asked who may act."""

    def prepare(self, rng):
        self.sources["asked"] = Notice("asked", 0, latency=1)

    def acting(self):
        self.sources["asked"].publish(self.sources["asked"].value + 1, self.time)
        return super().acting()


# --- prompts


class HidesOption(Good):
    """Does not offer the last option."""

    @classmethod
    def prompt(cls, seen):
        return super().prompt(seen).replace("pink", "white")


class HidesExposure(Good):
    """Shows no more than one neighbour."""

    @classmethod
    def prompt(cls, seen):
        seen.heard = seen.heard[:1]
        return super().prompt(seen)


class HidesCounts(Good):
    """Shows what is heard and not how often."""

    @classmethod
    def prompt(cls, seen):
        seen.heard = [item._replace(count=1) for item in seen.heard]
        return super().prompt(seen)


class OwnOrder(Good):
    """Puts the options in the same order for all."""

    @classmethod
    def prompt(cls, seen):
        return super().prompt(seen).replace(seen.offer.text, ", ".join(OPTIONS))


class RandomPrompt(Good):
    """Numbers its prompts."""

    @classmethod
    def prompt(cls, seen):
        return f"{next(COUNTER)}. {super().prompt(seen)}"


# --- failures, copies, processes


def odds(model):
    return float("inf") if model.n_failed_decisions else 1.0


class Infinite(Good):
    """Has a measure that is infinite when nobody answers."""

    columns: ClassVar = {"odds": odds}


def share(model):
    return 0.0 if not model.n_decisions else 1 / (model.n_decisions - model.n_failed_decisions)


class Raising(Infinite):
    """Has a measure that raises when nobody answers."""

    columns: ClassVar = {"odds": share}


class FillsIn(Good):
    """Takes the first option where a decision fails, and counts it as valid."""

    def decide(self, seen):
        decided = super().decide(seen)
        return decided._replace(acts=np.maximum(decided.acts, 0), outcomes=None)


class Unpicklable(Good):
    """Keeps a function that cannot be pickled."""

    def prepare(self, rng):
        self.tool = lambda: None


class Forgets(Good):
    """Loses half of its state when it is copied."""

    def __getstate__(self):
        return {**self.__dict__, "decisions": self.decisions * 0}


class WhoAsks(Good):
    """Lets its start depend on how its language model is reached."""

    def first(self, rng):
        provider = getattr(self.minds[0], "provider", None)
        return (super().first(rng) + callable(getattr(provider, "script", None))) % len(OPTIONS)


def hashed(model):
    return float(hash("a text") % 1000)


class Hashes(Good):
    """Measures by Python's hash of a text, which is another in each process."""

    columns: ClassVar = {"hash": hashed}


# What luck that no seed keys breaks: every law that compares two runs.
COMPARED = (
    "seed_fixes_the_run waves_equal_one_by_one simultaneity_is_latency shuffle_do_is_a_turn knobs_rebuild_the_run "
    "luck_is_order_free"
)
# --- the null


class SameNull(Good):
    """Its null takes nothing away."""

    null: ClassVar = {"mind": "crowd"}


class NoNull(Good):
    """Its null is no knob that it has."""

    null: ClassVar = {"minds": "random"}


class SaysNan(Good):
    """Its finding shows a number that is none."""

    @classmethod
    def finding(cls, values, null):
        return f"died at turn {float('nan'):g}"


CATCHES = {
    Good: "",
    DeadKnob: "every_knob_matters",
    DeadMind: "every_knob_matters silence_is_counted",
    SaidInert: "every_knob_matters",
    NoSuchKnob: "every_knob_matters",
    Unseeded: f"{COMPARED} prompts_say_everything replies_replay",
    SameLuck: "seed_fixes_the_run",
    SeedsByHand: "knobs_rebuild_the_run",
    LuckInOrder: f"{COMPARED} exposure_is_the_only_channel copies_continue",
    LuckByPlace: "luck_is_order_free waves_equal_one_by_one simultaneity_is_latency",
    Peeks: "exposure_is_the_only_channel simultaneity_is_latency knobs_rebuild_the_run luck_is_order_free",
    PromptPeeks: "exposure_is_the_only_channel",
    LiveSource: "waves_equal_one_by_one simultaneity_is_latency luck_is_order_free",
    ActingCounts: "shuffle_do_is_a_turn",
    HidesOption: "prompts_say_everything",
    HidesExposure: "prompts_say_everything",
    HidesCounts: "prompts_say_everything",
    OwnOrder: "prompts_say_everything",
    RandomPrompt: "prompts_say_everything exposure_is_the_only_channel replies_replay",
    Infinite: "silence_is_counted",
    Raising: "silence_is_counted",
    FillsIn: "silence_is_counted",
    Unpicklable: "copies_continue",
    Forgets: "copies_continue",
    WhoAsks: "replies_replay",
    SameNull: "null_takes_something_away",
    NoNull: "null_takes_something_away",
    SaysNan: "null_takes_something_away",
}


def breaks(cls, law):
    """Whether a law finds something, said in the sentence that all laws use."""
    try:
        law(cls, graph="ring", visibility="counts", latency=0)
    except Broken as error:
        return str(error).startswith(f"{cls.__name__} breaks '")
    return False


@pytest.mark.parametrize(("cls", "expected"), CATCHES.items(), ids=lambda value: getattr(value, "__name__", ""))
def test_a_broken_phenomenon_breaks_its_laws_and_no_others(cls, expected):
    broken = [law.__name__ for law in LAWS if law is not contract.workers_agree and breaks(cls, law)]
    assert sorted(broken) == sorted(expected.split())


def test_workers_that_disagree_are_caught():
    with pytest.raises(Broken, match=r"Hashes breaks 'workers agree'.*hash of run 0 .* from one process and"):
        contract.workers_agree(Hashes)


def test_every_law_is_broken_by_somebody():
    assert {law.__name__ for law in LAWS} == {"workers_agree", *" ".join(CATCHES.values()).split()}
