import pickle
from dataclasses import FrozenInstanceError, fields
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentmicro import architecture as micro
from agentmicro.architecture import Architecture, Exposure
from agentmicro.errors import KnobError


def test_the_default_is_neighbours_seen_in_full_one_turn_later():
    plan = Architecture()
    assert (plan.communication, plan.visibility, plan.turns, plan.delay, plan.plain) == (
        "network",
        "full",
        "simultaneous",
        1,
        True,
    )


@given(st.integers(0, 50), st.sampled_from(micro.TURNS))
def test_simultaneity_is_one_turn_of_latency(latency, turns):
    plan = Architecture(latency=latency, turns=turns)
    assert plan.delay == latency + (turns == "simultaneous")
    assert plan.simultaneous == (turns == "simultaneous")


@pytest.mark.parametrize(
    ("change", "plain"),
    [
        ({"loss": 0.1}, False),
        ({"shown": 2}, False),
        ({"memory": 1}, False),
        ({"memory": -1}, False),
        ({"latency": 3}, True),
        ({"visibility": "counts"}, True),
        ({"communication": "everyone"}, True),
    ],
)
def test_plain_means_that_nothing_is_lost_left_out_or_remembered(change, plain):
    assert Architecture(**change).plain is plain


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            {"turns": "simultanous"},
            "turns = 'simultanous': expected one of simultaneous, .*did you mean 'simultaneous'",
        ),
        ({"visibility": "none"}, "visibility = 'none': expected one of full, anonymous, counts, hidden"),
        ({"communication": 3}, "communication = 3: expected one of network, everyone, addressed, pairs"),
        ({"urgency": "first"}, "urgency = 'first': expected one of unsettled, addressed, waiting"),
        ({"latency": -1}, "latency = -1: expected a whole number from 0"),
        ({"latency": 1.5}, "latency = 1.5: expected a whole number from 0"),
        ({"latency": "two"}, "latency = 'two': expected a whole number from 0"),
        ({"shown": -2}, "shown = -2: expected a whole number from 0"),
        ({"shown": True}, "shown = True: expected a whole number from 0"),
        ({"memory": -2}, "memory = -2: expected a whole number from -1"),
        ({"memory": None}, "memory = None: expected a whole number from -1"),
        ({"loss": 1.1}, "loss = 1.1: expected a number from 0 to 1"),
        ({"loss": float("nan")}, "loss = nan: expected a number from 0 to 1"),
        ({"loss": "half"}, "loss = 'half': expected a number from 0 to 1"),
    ],
)
def test_a_wrong_value_gets_one_sentence(change, sentence):
    with pytest.raises(KnobError, match=f"^{sentence}"):
        Architecture(**change)


def test_the_choices_offered_as_knobs_are_those_the_kernel_takes():
    for name, hint in (("communication", micro.Communication), ("visibility", micro.Visibility)):
        assert get_args(get_args(hint)[0]) == micro.CHOICES[name]
    assert get_args(get_args(micro.Turns)[0]) == micro.TURNS
    assert get_args(get_args(micro.Urgency)[0]) == micro.URGENCY
    assert [field.name for field in fields(Architecture)] == list(micro.NAMES)


def test_an_architecture_is_a_frozen_value():
    plan = Architecture(memory=3)
    with pytest.raises(FrozenInstanceError):
        plan.memory = 4
    assert pickle.loads(pickle.dumps(plan)) == plan
    assert {plan: 1}[Architecture(memory=3)] == 1


def test_an_exposure_is_one_act_of_nobody_in_particular_unless_it_says_more():
    assert Exposure("A") == ("A", 1, None, 0)
