"""Every phenomenon passes every law, and so do phenomena that offer every micro-variable at once."""

import copy
from typing import Annotated, ClassVar

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agentmicro import contract
from agentmicro import phenomena as registry
from agentmicro.affordances import Affordance, Artifact, Choice, Message, Number, Picks
from agentmicro.architecture import (
    COMMUNICATION,
    TURNS,
    URGENCY,
    VISIBILITY,
    Agents,
    Architecture,
    Communication,
    Graph,
    Latency,
    Loss,
    Memory,
    Shown,
    Turns,
    Urgency,
    Visibility,
)
from agentmicro.contract import LAWS, Broken
from agentmicro.errors import SpecError
from agentmicro.knobs import Range, knobs
from agentmicro.minds import Minds, each
from agentmicro.phenomena.channels import Channels
from agentmicro.phenomena.herding import Herding
from agentmicro.phenomena.voter import Voter
from agentmicro.society import Society
from agentmicro.trials import alternatives, contexts, run, small
from agentmicro.world import Notice

SLOW = (contract.workers_agree, contract.every_knob_matters)
FAST = tuple(law for law in LAWS if law not in SLOW)


def crowd(seen):
    """The option heard most, or one of all options by luck; a drawn option now and then."""
    counts = seen.counts() + seen.luck(len(seen.affordance.options)) * 1.5
    return counts.argmax(axis=1)


def mean(seen):
    heard = seen.mean()
    return np.where(np.isnan(heard), seen.own, 0.5 * heard + 0.25 * seen.own + 0.25 * seen.luck())


def any_of(seen):
    heard = seen.any()
    return np.where(seen.affordance.is_blank(heard), seen.own, heard)


def slate(seen):
    counts = seen.counts() + seen.luck(len(seen.affordance.options)) * 1.5
    return np.argsort(-counts, axis=1)[:, :2]


@each
def letters(seen):
    """Writes to each of those it has heard from, and to the next agent, what it has heard so far."""
    names = sorted({str(item.content)[:12] for item in seen.heard})
    text = f"{seen.row}:{int(seen.luck() * 100)}:{','.join(names)}"[:20]
    readers = [int(item.author) for item in seen.heard if item.author and item.author.isdigit()]
    return dict.fromkeys([(seen.row + 1) % 12, *readers], text)


PROMPT = "You did: {own}. You see, at level {level}:\n{heard}\n{options}\n{form}"


class Everything(Society):
    """Offers every micro-variable; what an act is, is the business of its subclasses."""

    act: ClassVar[Affordance] = Choice(("red", "green", "blue"))
    rules: ClassVar = {"crowd": crowd, "any-of": any_of}
    needs: ClassVar = {"urgency": {"turns": "endogenous"}, "graph": {"communication": "network"}}

    def __init__(
        self,
        agents: Agents = 30,
        graph: Graph = "small_world(k=4, p=0.2)",
        communication: Communication = "network",
        visibility: Visibility = "full",
        latency: Latency = 0,
        loss: Loss = 0.0,
        shown: Shown = 0,
        turns: Turns = "random",
        urgency: Urgency = "unsettled",
        memory: Memory = 0,
        board: Annotated[int, Range(0, 3), "turns before the public count can be seen"] = 0,
        minds: Minds = "crowd:90%, stubborn",
        rng=None,
    ):
        if communication == "addressed" and not isinstance(self.act, Message):
            raise SpecError("communication = 'addressed' needs messages")
        plan = Architecture(communication, visibility, latency, loss, shown, turns, urgency, memory)
        super().__init__(
            self.act,
            agents=agents,
            graph=graph,
            architecture=plan,
            minds=minds,
            measures={"told": told},
            sources={"board": Notice("board", 0, board)},
            rng=rng,
        )
        self.begin(self.first())

    def first(self):
        return self.luck("start").below(3)

    @classmethod
    def prompt(cls, seen):
        heard = "\n".join(f"- {item.content} ({item.count})" for item in seen.heard)
        return PROMPT.format(own=seen.own, level=seen.time, heard=heard, options=seen.offer.text, form=seen.offer.form)

    def absorb(self, seen, acts):
        board = self.sources["board"]
        board.publish(board.value + len(seen), seen.time)


class Levels(Everything):
    """Acts are numbers."""

    act = Number(0, 1)
    rules: ClassVar = {"mean": mean, "any-of": any_of, "crowd": mean}

    def first(self):
        return self.luck("start")()


class Slates(Everything):
    """Acts are picks of two."""

    act = Picks(("red", "green", "blue", "pink"), most=2)
    rules: ClassVar = {"slate": slate, "crowd": slate}

    def first(self):
        return np.argsort(self.luck("start")(4), axis=1)[:, :2]


class Post(Everything):
    """Acts are messages to some."""

    act = Message(addressed=True)
    rules: ClassVar = {"letters": letters, "crowd": letters}

    def first(self):
        acts = np.empty(len(self.acts.rows), object)
        acts[:] = [{(row + 1) % len(acts): f"hello from {row}"} for row in range(len(acts))]
        return acts


def forms(seen):
    acts = seen.affordance.blank(len(seen))
    acts["colour"] = crowd_of(seen, "colour")
    acts["level"] = seen.luck()
    return acts


def crowd_of(seen, part):
    return (seen.counts(part) + seen.luck(3) * 1.5).argmax(axis=1)


class Forms(Everything):
    """Acts are documents of two parts."""

    act = Artifact({"colour": Choice(("red", "green", "blue")), "level": Number(0, 1)})
    rules: ClassVar = {"forms": forms, "crowd": forms}

    def first(self):
        acts = self.affordance.blank(len(self.acts.rows))
        acts["colour"], acts["level"] = super().first(), 0.5
        return acts


def told(model):
    """How many decisions the public board has counted."""
    return float(model.sources["board"].value)


MADE = (Everything, Levels, Slates, Post)


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
@pytest.mark.parametrize("name", registry.names())
def test_every_phenomenon_passes_every_law(name, law):
    law(registry.find(name))


def test_the_prompts_of_documents_are_checked_too():
    contract.prompts_say_everything(Forms)


@pytest.mark.parametrize("law", [*FAST, contract.every_knob_matters], ids=lambda law: law.__name__)
@pytest.mark.parametrize("cls", [Everything, Post], ids=lambda cls: cls.__name__)
def test_every_micro_variable_passes_every_law(cls, law):
    law(cls)


protocols = st.fixed_dictionaries(
    {
        "graph": st.sampled_from(["ring(directed=1)", "random(degree=3.0, directed=1)", "complete", "star", "tree"]),
        "communication": st.sampled_from([name for name in COMMUNICATION if name != "addressed"]),
        "visibility": st.sampled_from(VISIBILITY),
        "latency": st.integers(0, 2),
        "loss": st.sampled_from([0.0, 0.4]),
        "shown": st.integers(0, 2),
        "turns": st.sampled_from(TURNS),
        "urgency": st.sampled_from(URGENCY),
        "memory": st.integers(-1, 2),
        "board": st.integers(0, 1),
        "minds": st.sampled_from(["crowd", "crowd:50%, stubborn", "crowd:6, silent:2@hubs, stubborn"]),
    }
)


@settings(deadline=None, max_examples=60, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(MADE), st.sampled_from(FAST), protocols)
def test_micro_variables_pass_every_law_together(cls, law, protocol):
    law(cls, **protocol)


# --- a rule of one agent and the same rule of all at once


@each
def first_free_each(seen):
    used = dict.fromkeys(seen.affordance.options, 0)
    for item in seen.heard:
        used[item.content] += item.count
    return min(used, key=used.get) if used[seen.own] else seen.own


@each
def any_free_each(seen):
    used = dict.fromkeys(seen.affordance.options, 0)
    for item in seen.heard:
        used[item.content] += item.count
    drawn = dict(zip(used, seen.luck(len(used)), strict=True))
    least = [channel for channel in used if used[channel] == min(used.values())]
    return max(least, key=drawn.get) if used[seen.own] else seen.own


@each
def voter_each(seen):
    heard = sorted(seen.heard, key=lambda item: int(item.author))
    drawn = seen.luck.below(len(heard))
    return heard[drawn].content if heard else seen.own


@each
def majority_each(seen):
    for_it = sum(item.content for item in seen.heard)
    half = len(seen.heard) / 2
    return 1.0 if for_it > half else 0.0 if for_it < half else seen.own


@each
def two_stage_each(seen, gate=5, base=-1.0, step=1.5):
    shown = seen.heard[:gate]
    drawn = np.clip(seen.luck(len(shown)), 1e-16, None)
    wanted = [base + step * (item.count >= 1) + np.log(u / (1 - u)) for item, u in zip(shown, drawn, strict=True)]
    best = sorted((place for place, want in enumerate(wanted) if want > 0), key=lambda place: -wanted[place])
    return tuple(shown[place].content for place in best[: seen.affordance.most])


TWINS = [
    (Channels, "first-free", first_free_each),
    (Channels, "any-free", any_free_each),
    (Voter, "voter", voter_each),
    (Voter, "majority", majority_each),
    (Herding, "two-stage", two_stage_each),
]


def sets(found):
    """Runs whose picks are compared as sets: the order of picks in an act has no meaning."""
    return [
        entry | {"act": sorted(entry["act"]) if isinstance(entry["act"], list) else entry["act"]} for entry in found
    ]


@pytest.mark.parametrize("turns", TURNS)
@pytest.mark.parametrize(("cls", "name", "twin"), TWINS, ids=[name for _, name, _ in TWINS])
def test_a_rule_of_one_agent_is_the_rule_of_all(cls, name, twin, turns):
    one = type(cls.__name__, (cls,), {"rules": {**cls.rules, name: twin}})
    knob = "minds" if cls is Channels else "mind"
    for seed in (1, 2):
        scalar = run(one(agents=14, turns=turns, rng=seed, **{knob: name}))
        array = run(cls(agents=14, turns=turns, rng=seed, **{knob: name}))
        assert sets(scalar.entries) == sets(array.entries)
        assert scalar.measures == array.measures


# --- the trials themselves


def test_contexts_vary_one_thing_at_a_time():
    plain, *others = contexts(Channels, latency=1)
    assert plain == {"agents": 12, "latency": 1}
    assert all(len(other.items() - plain.items()) == 1 for other in others)
    assert {"agents": 12, "latency": 1, "minds": "any-free"} in others
    assert not any(other["latency"] != 1 for other in others)


def test_small_keeps_what_is_given_and_leaves_what_is_unknown():
    assert small(Voter, share=0.2, nonsense=3) == {"agents": 12, "share": 0.2}
    assert small(Voter, agents=9) == {"agents": 9}


def test_alternatives_lie_in_the_range_and_differ_from_now():
    for cls in (Voter, Channels, Herding, Everything):
        for knob in knobs(cls).values():
            found = alternatives(cls, knob, knob.default)
            assert found
            assert knob.default not in found
            assert [knob.check(value) for value in found if not isinstance(value, str)] == [
                value for value in found if not isinstance(value, str)
            ]


def test_a_law_is_broken_in_one_sentence():
    class Dead(Channels):
        inert: ClassVar = {"latency": "said to do nothing"}

    with pytest.raises(Broken, match=r"^Dead breaks 'every knob matters': latency is said to be inert, but 1 makes"):
        contract.every_knob_matters(Dead)


def test_a_standing_act_of_the_past_is_never_rewritten():
    """A whole turn that changes nothing, then one agent by hand: what stood before must stay as it was."""
    model = Channels(agents=6, turns="simultaneous", latency=1, minds="stubborn", rng=1)
    model.step()
    model.step()
    before = copy.deepcopy(model.acts.at(1)[0])
    model.acts.write(np.array([2]), np.array([(model.acts.own[2] + 1) % 3]), 2.0)
    assert (model.acts.at(1)[0] == before).all()
