from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from agentmicro.affordances import Artifact, Choice, Message, Number, Picks
from agentmicro.errors import RuleError
from agentmicro.minds import Minds, each
from agentmicro.society import Seed, Society

LETTERS = tuple("ABCD")


def made(
    kind: Any, minds: str, agents: int = 5, opening: Any = None, rules: Any = None, society: type = Society
) -> Any:
    class Lab(society):
        pass

    Lab.rules = rules or {}

    class Small(Lab):
        def __init__(self, minds: Minds = minds, rng: Seed = None) -> None:
            super().__init__(kind, agents=agents, graph="complete", minds=minds, rng=rng)
            self.begin(None if opening is None else kind.encode_many(opening))

    return Small(rng=1)


# --- @each: one observation in, one value out


@settings(deadline=None, max_examples=40)
@given(st.lists(st.sampled_from(LETTERS), min_size=2, max_size=7), st.integers(0, 99))
def test_each_of_the_scalar_form_equals_the_array_form(values, shift):
    def batch(seen):
        heard, drawn = seen.counts(), seen.luck()
        return np.where(drawn < 0.5, (heard.argmax(axis=1) + shift) % 4, np.where(drawn < 0.9, seen.own, -1))

    @each
    def single(seen):
        heard = [item.content for item in seen.heard]
        most = max(LETTERS, key=lambda letter: (heard.count(letter), -LETTERS.index(letter)))
        drawn = seen.luck()
        if drawn < 0.5:
            return LETTERS[(LETTERS.index(most) + shift) % 4]
        return seen.own if drawn < 0.9 else None

    rules = {"batch": batch, "single": single}
    societies = [made(Choice(LETTERS), name, len(values), values, rules) for name in rules]
    for _ in range(3):
        for society in societies:
            society.step()
        assert societies[0].acts.own.tolist() == societies[1].acts.own.tolist()
        assert societies[0].outcomes.tolist() == societies[1].outcomes.tolist()


def test_each_keeps_its_name_its_text_and_its_parameters():
    def nudge(seen, by: float = 0.5):
        """Adds a little."""
        return seen.own + by

    lifted = each(nudge)
    assert (lifted.__name__, lifted.__doc__) == ("nudge", "Adds a little.")
    society = made(Number(0, 9), "nudge(by=2)", 3, [1, 2, 3], {"nudge": lifted})
    society.step()
    assert society.acts.own.tolist() == [3, 4, 5]


@pytest.mark.parametrize(
    ("kind", "value"),
    [(Choice(LETTERS), "C"), (Number(0, 9), 4.5), (Picks(LETTERS, most=3), ("D", "A")), (Message(), "hello")],
)
def test_each_gives_values_of_every_kind(kind, value):
    society = made(kind, "say", rules={"say": each(lambda seen: value if seen.row else None)})
    society.step()
    assert [member.own for member in society.members] == [None] + [value] * 4
    assert society.n_failed_decisions == 1


# --- minds that every phenomenon has


@pytest.mark.parametrize(
    ("kind", "opening"),
    [
        (Choice(LETTERS), ["A", "B", None, "D", "A"]),
        (Number(0, 1), [0, 1, None, 0.5, 0]),
        (Message(), ["a", "", None, "b", "c"]),
        (Picks(LETTERS, most=2), [("A",), (), None, ("B", "C"), ("D",)]),
        (Artifact({"x": Choice(LETTERS)}), [{"x": "A"}, {"x": "B"}, None, {"x": "C"}, {"x": "D"}]),
    ],
)
def test_the_stubborn_never_change_and_who_has_no_act_stays_silent(kind, opening):
    society = made(kind, "stubborn", opening=opening)
    for _ in range(3):
        society.step()
    assert [member.own for member in society.members] == opening
    assert society.n_failed_decisions == 3
    assert society.n_decisions == 15


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (Choice(LETTERS), "C", "C"),
        (Number(0, 1), "0.25", 0.25),
        (Number(0, 1), "0", 0.0),
        (Message(), "'hello there'", "hello there"),
        (Picks(LETTERS, most=2), "B", ("B",)),
    ],
)
def test_a_zealot_has_its_act_from_the_start_to_the_end(kind, text, value):
    society = made(kind, f"stubborn(act={text})")
    assert {member.own for member in society.members} == {value}
    society.step()
    assert {member.own for member in society.members} == {value}
    assert society.failure_rate == 0


def test_the_stubborn_keep_each_part_when_asked_for_parts():
    class Parts(Society):
        def asking(self):
            return "x"

    kind = Artifact({"x": Choice(LETTERS), "y": Number(0, 1)})
    society = made(kind, "stubborn", 2, [{"x": "A", "y": 0}, {"x": "B", "y": 1}], society=Parts)
    society.step()
    assert [member.own["x"] for member in society.members] == ["A", "B"]


def test_the_silent_fail_every_time():
    society = made(Choice(LETTERS), "silent", opening=list("ABCDA"))
    society.step()
    assert [member.own for member in society.members] == list("ABCDA")
    assert society.failure_rate == 1


@pytest.mark.parametrize("kind", [Choice(LETTERS), Number(2, 5, step=1), Number(0, 1, step=0.25)])
def test_random_takes_every_act_alike(kind):
    society = made(kind, "random", 4000)
    society.step()
    counts = np.unique(society.acts.own, return_counts=True)[1]
    assert counts.size == (5 if kind == Number(0, 1, step=0.25) else 4)
    assert stats.chisquare(counts).pvalue > 1e-3


def test_random_numbers_and_picks_are_uniform():
    society = made(Number(-2, 6), "random", 4000)
    society.step()
    assert stats.kstest(society.acts.own, "uniform", args=(-2, 8)).pvalue > 1e-3
    picks = made(Picks(LETTERS, most=2), "random", 4000)
    picks.step()
    counts = np.unique(picks.acts.own, axis=0, return_counts=True)[1]
    assert counts.size == 12
    assert stats.chisquare(counts).pvalue > 1e-3


@pytest.mark.parametrize("kind", [Number(0, float("inf")), Number(float("-inf"), 0, step=1)])
def test_random_needs_a_range_to_draw_from(kind):
    with pytest.raises(RuleError, match=r"^rule 'random' cannot choose a number without bounds"):
        made(kind, "random").step()


def test_random_writes_no_texts():
    with pytest.raises(RuleError, match=r"^rule 'random' cannot choose a Message; it takes a Choice, Picks or Number$"):
        made(Message(), "random").step()
