from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentmicro.affordances import Artifact, Choice, Message, Number, Picks
from agentmicro.architecture import Architecture, Turns, Visibility
from agentmicro.completion import Reply, Scripted, Status
from agentmicro.minds import LanguageMind, Minds, Outcome
from agentmicro.society import Seed, Society
from agentmicro.trace import Trace

LETTERS = ("Alpha", "Beta", "Gamma")


class Lab(Society):
    """A society of language minds on one kind of act."""

    kind: ClassVar[Any] = Choice(LETTERS)

    def __init__(
        self,
        agents: int = 6,
        turns: Turns = "simultaneous",
        visibility: Visibility = "full",
        minds: Minds = "scripted:first",
        rng: Seed = None,
    ) -> None:
        plan = Architecture(turns=turns, visibility=visibility)
        super().__init__(self.kind, agents=agents, graph="complete", architecture=plan, minds=minds, rng=rng)
        self.asked: list[Any] = []
        self.begin()


def of(kind: Any) -> type[Lab]:
    return type("OfKind", (Lab,), {"kind": kind})


def speaking(script: Any, kind: Any = None, length: int = 1, **knobs: Any) -> Any:
    mind = LanguageMind("test", Scripted(script), Lab.prompt)
    made = of(kind or Lab.kind)(**{"rng": 1} | knobs, minds=mind)
    made.trace = Trace()
    for _ in range(length):
        made.step()
    return made


KINDS = [
    Choice(LETTERS),
    Picks(LETTERS, most=2, least=1),
    Number(2, 8, step=2),
    Number(0, 9, step=1),
    Message(limit=3),
    Message(addressed=True),
    Artifact({"vote": Choice(LETTERS), "bid": Number(0, 1), "why": Message(), "tags": Picks(LETTERS, most=2)}),
]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
@pytest.mark.parametrize("script", ["first", "chance"])
@pytest.mark.parametrize("turns", ["simultaneous", "random"])
def test_scripted_models_act_validly_on_every_kind(kind, script, turns):
    made = of(kind)(minds=f"scripted:{script}", turns=turns, rng=2)
    for _ in range(3):
        made.step()
    assert made.outcomes[Outcome.VALID] + made.outcomes[Outcome.REPAIRED] == 18
    assert kind.valid(made.acts.own).all()


@pytest.mark.parametrize(
    ("script", "outcome"),
    [
        (lambda request: "Beta", "valid"),
        (lambda request: "  **beta**  ", "repaired"),
        (lambda request: "Delta", "invalid"),
        (lambda request: "", "invalid"),
        (lambda request: Reply("no", Status.REFUSED), "refused"),
        (lambda request: Reply("", Status.FAILED, error="time-out"), "failed"),
        (lambda request: 1 / 0, "failed"),
        ("refuse", "refused"),
        ("silent", "invalid"),
    ],
)
def test_every_reply_ends_as_what_it_is_and_only_usable_ones_become_acts(script, outcome):
    made = speaking(script)
    assert {entry["outcome"] for entry in made.trace} == {outcome}
    usable = outcome in ("valid", "repaired")
    assert {entry["act"] for entry in made.trace} == ({"Beta"} if usable else {None})
    assert [member.own for member in made.members] == (["Beta"] * 6 if usable else [None] * 6)
    assert made.failure_rate == float(not usable)


def test_the_question_holds_all_that_is_heard_and_every_option():
    prompts = []

    def script(request):
        prompts.append(request)
        return LETTERS[request.agent % 3]

    made = speaking(script, length=2, turns="fixed")
    by_decision = {(request.agent, request.decision): request.prompt for request in prompts}
    for entry in made.trace:
        prompt = by_decision[entry["agent"], entry["decision"]]
        assert all(str(item["content"]) in prompt for item in entry["saw"])
        assert all(letter in prompt for letter in LETTERS)
        assert prompt.count("\n- ") >= len(entry["saw"])
    assert {request.seed for request in prompts} == {1}


@pytest.mark.parametrize("turns", ["simultaneous", "random", "endogenous"])
def test_a_list_of_replies_does_not_depend_on_the_order_of_calls(turns):
    made = speaking(list(LETTERS), length=3, turns=turns)
    for entry in made.trace:
        assert entry["act"] == LETTERS[(entry["agent"] + entry["decision"]) % 3]
        assert entry["said"] == entry["act"]


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10**6))
def test_a_model_that_takes_the_first_option_chooses_at_random_because_options_are_shuffled(seed):
    made = of(Choice(LETTERS))(agents=300, visibility="hidden", rng=seed)
    made.step()
    counts = np.bincount(made.acts.own, minlength=3)
    assert abs(counts - 100).max() < 5 * np.sqrt(300 * 2 / 9)


def test_the_same_seed_gives_the_same_questions_however_turns_are_cut():
    def asked(turns):
        found = {}

        def script(request):
            found[request.agent, request.decision] = (request.prompt, repr(request.schema))
            return LETTERS[(request.agent * 7 + request.decision) % 3]

        mind = LanguageMind("test", Scripted(script), Lab.prompt)
        made = Lab(turns=turns, minds=mind, rng=3)
        if turns == "fixed":
            made.change(turns="fixed")
        for _ in range(2):
            made.step()
        return found

    assert asked("simultaneous") == asked("simultaneous")
    assert asked("fixed").keys() == asked("random").keys()


def test_mixed_with_rules_each_keeps_its_own_outcomes_and_words():
    made = Lab(minds="scripted:refuse:2@first, random", rng=1)
    made.trace = Trace()
    made.step()
    assert [entry["outcome"] for entry in made.trace] == ["refused"] * 2 + ["valid"] * 4
    assert [bool(entry["said"]) for entry in made.trace] == [True] * 2 + [False] * 4
    assert made.n_failed_decisions == 2
