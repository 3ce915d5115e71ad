from contextlib import suppress
from typing import Annotated, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentmicro.errors import MindError
from agentmicro.graphs import build
from agentmicro.knobs import Range
from agentmicro.minds import LanguageMind, RuleMind, candidates, pick, seated
from agentmicro.minds.pick import plain, split


def two_stage(seen: Any, gate: Annotated[int, Range(1, 9)] = 5, base: float = -1.0, word: str = "x") -> Any:
    """A rule with parameters."""
    return seen.own


RULES = {"two-stage": two_stage, "majority": lambda seen: seen.own}
RING = build("ring", 10, 1)


def seats(text: str) -> Any:
    return pick(text, RULES, str)


def shape(text: str) -> Any:
    return [(seat.mind.name, seat.amount, seat.share, seat.place) for seat in seats(text)]


# --- the grammar


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("majority", [("majority", None, False, "random")]),
        ("  Majority ", [("majority", None, False, "random")]),
        ("Two Stage", [("two-stage", None, False, "random")]),
        ("two_stage:3", [("two-stage", 3, False, "random")]),
        ("majority:45, stubborn:5@hubs", [("majority", 45, False, "random"), ("stubborn", 5, False, "hubs")]),
        ("two-stage(gate=4):90%, majority", [("two-stage", 0.9, True, "random"), ("majority", None, False, "random")]),
        ("stubborn:12.5%@leaves,majority", [("stubborn", 0.125, True, "leaves"), ("majority", None, False, "random")]),
        ("stubborn : 2@0+4, majority", [("stubborn", 2, False, (0, 4)), ("majority", None, False, "random")]),
        ("stubborn:1@7, majority", [("stubborn", 1, False, (7,)), ("majority", None, False, "random")]),
        ("silent:0, random:3@first", [("silent", 0, False, "random"), ("random", 3, False, "first")]),
        ("scripted:first", [("scripted:first", None, False, "random")]),
        ("scripted:first:5@hubs", [("scripted:first", 5, False, "hubs")]),
        (
            "scripted:chance:20%, majority",
            [("scripted:chance", 0.2, True, "random"), ("majority", None, False, "random")],
        ),
        ("majority:3, majority:2", [("majority", 3, False, "random"), ("majority", 2, False, "random")]),
    ],
)
def test_a_line_names_minds_amounts_and_places(text, found):
    assert shape(text) == found


def test_names_lead_to_what_they_name():
    rule, script = (seat.mind for seat in seats("Two_Stage(gate=4, base=-2.5, word='a b'):3, scripted:first"))
    assert isinstance(rule, RuleMind)
    assert (rule.rule, rule.params) == (two_stage, {"gate": 4, "base": -2.5, "word": "a b"})
    assert isinstance(script, LanguageMind)


def test_a_phenomenon_s_own_rule_goes_before_that_of_every_phenomenon():
    def mine(seen):
        return seen.own

    assert pick("stubborn", {"stubborn": mine}, str)[0].mind.rule is mine


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("majorty", "no mind 'majorty'; did you mean 'majority'"),
        ("majority@hubs", "no mind 'majority@hubs'; did you mean 'majority'"),
        ("", "'': expected a mind such as two-stage, majority, with an amount as in 'name:5'"),
        ("majority,,stubborn:3", "'': expected a mind such as"),
        ("majority(", r"'majority\(': expected a mind such as"),
        ("majority:3@", "no mind 'majority:3@'"),
        ("majority, stubborn", "'majority, stubborn': only one mind can take the rest; give the others an amount"),
        (
            "majority:3@top",
            "'majority:3@top': no place 'top'; expected random, hubs, leaves, first, last or rows such as 0",
        ),
        ("majority:3@hub", "'majority:3@hub': no place 'hub'; .*; did you mean 'hubs'"),
        ("majority:110%", "'majority:110%': 110% is more than everyone"),
        ("majority:2.5", "'majority:2.5': expected a whole number of agents, or a percentage such as 10%"),
        ("two-stage(gate=99)", r"two-stage\(gate=99\): gate = 99: expected a whole number from 1 to 9"),
        ("two-stage(gate=x)", r"two-stage\(gate=x\): gate = 'x': expected a whole number from 1 to 9"),
        (
            "two-stage(gat=3)",
            r"two-stage\(gat=3\): gat: two-stage has no such knob; did you mean 'gate'\?; it has gate",
        ),
        ("two-stage(3)", r"two-stage\(3\): expected parameter=value, got '3'"),
        ("two-stage(gate=3, gate=4)", r"two-stage\(gate=3, gate=4\): gate is given twice"),
        ("majority(gate=3)", r"majority\(gate=3\): gate: majority has no such knob; it has none"),
        ("scripted:frist", "scripted:frist: expected one of first, chance, silent, refuse; did you mean 'first'"),
        ("scripted:", "scripted:: expected one of first"),
    ],
)
def test_what_names_nobody_gets_one_sentence(text, sentence):
    with pytest.raises(MindError, match=f"^{sentence}") as caught:
        seats(text)
    assert "\n" not in str(caught.value)


@settings(deadline=None)
@given(st.text(alphabet="ab-:,()@%=+5 ", max_size=14))
def test_any_text_is_read_or_refused(text):
    found: Any = "a sentence"
    with suppress(MindError):
        found = seats(text)
    assert found


@given(st.text(alphabet="aB _-", min_size=1, max_size=8))
def test_names_are_compared_plainly(name):
    assert plain(plain(name)) == plain(name) == plain(name.upper())


def test_commas_in_parentheses_do_not_part_minds():
    assert split("a(x=1, y=2):3, b ,c(z=1)") == ["a(x=1, y=2):3", "b", "c(z=1)"]


# --- seats


def sizes(text: str, agents: int) -> list[int]:
    taken = seated(seats(text), build("empty", agents, 1), seed=3)
    return np.bincount(taken, minlength=len(seats(text))).tolist()


@pytest.mark.parametrize(
    ("text", "agents", "found"),
    [
        ("majority", 7, [7]),
        ("majority:3, stubborn", 7, [3, 4]),
        ("majority:50%, stubborn:50%", 7, [4, 3]),
        ("majority:33%, stubborn:33%, random:34%", 10, [3, 4, 3]),
        ("majority:10%, stubborn", 7, [1, 6]),
        ("majority:10%, stubborn:9", 10, [1, 9]),
        ("majority:100%", 3, [3]),
        ("majority:0, stubborn", 3, [0, 3]),
        ("majority:3, stubborn", 3, [3, 0]),
    ],
)
def test_amounts_and_shares_add_up_to_everyone(text, agents, found):
    assert sizes(text, agents) == found


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("majority:5", "majority:5 seat 5 agents, and there are 10"),
        ("majority:7, stubborn:7", "majority:7, stubborn:7 seat 14 agents, and there are 10"),
        ("majority:11, stubborn", "majority:11 seat 11 agents, and there are 10"),
        ("majority:60%, stubborn:60%", "majority:6, stubborn:6 seat 12 agents, and there are 10"),
        ("stubborn:3@0+4, majority", "stubborn: 3 agents at 2 free rows"),
        ("stubborn:2@first, random:1@1, majority", "random: 1 agents at 0 free rows"),
        ("stubborn:1@12, majority", "rows 12: expected different rows from 0 to 9"),
        ("stubborn:2@4+4, majority", "rows 4, 4: expected different rows from 0 to 9"),
    ],
)
def test_seats_that_do_not_fit_are_refused(text, sentence):
    with pytest.raises(MindError, match=f"^{sentence}$"):
        seated(seats(text), RING, seed=3)


@settings(deadline=None)
@given(st.lists(st.integers(1, 100), min_size=1, max_size=6), st.integers(1, 200), st.integers(0, 99))
def test_shares_of_everyone_are_off_by_less_than_one_agent(parts, agents, seed):
    percent = [100 * part / sum(parts) for part in parts]
    text = ", ".join(f"majority:{share:.10f}%" for share in percent)
    taken = seated(seats(text), build("empty", agents, 1), seed)
    found = np.bincount(taken, minlength=len(parts))
    assert found.sum() == agents
    assert (np.abs(found - np.array(percent) * agents / 100) < 1 + 1e-6).all()


@settings(deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(["hubs", "leaves", "random", "first", "last"]))
def test_candidates_are_everyone_best_first(seed, place):
    links = build("scale_free", 20, 1)
    shuffled = np.random.default_rng(seed).permutation(20)
    found = candidates(place, links, shuffled)
    assert sorted(found.tolist()) == list(range(20))
    degrees = links.out_degrees[found].tolist()
    if place == "hubs":
        assert degrees == sorted(degrees, reverse=True)
    if place == "leaves":
        assert degrees == sorted(degrees)


def test_a_placed_group_goes_before_a_random_one_wherever_it_is_written():
    taken = seated(seats("majority:8, stubborn:2@0+1"), RING, seed=3)
    assert np.flatnonzero(taken == 1).tolist() == [0, 1]
