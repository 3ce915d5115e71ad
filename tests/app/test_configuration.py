"""Configurations: what a link carries comes back whole, and what is copied gives the same numbers headless."""

import json
import shlex
import subprocess
import sys
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentmicro.app.configuration import Change, Configuration, read
from agentmicro.errors import AgentmicroError, SpecError

KNOBS = st.fixed_dictionaries(
    {},
    optional={
        "agents": st.integers(2, 60),
        "channels": st.integers(2, 26),
        "graph": st.sampled_from(["ring", "small_world(k=6, p=0.1)", "complete"]),
        "minds": st.sampled_from(["any-free", "any-free:50%, stubborn", "stubborn(act=1):2@hubs, any-free", "random"]),
        "turns": st.sampled_from(["simultaneous", "random"]),
        "loss": st.floats(0, 1),
    },
)
LIVE = st.fixed_dictionaries(
    {}, optional={"turns": st.just("fixed"), "latency": st.integers(0, 3), "loss": st.floats(0, 1)}
)
CHANGES = st.lists(st.tuples(st.integers(1, 9), LIVE.filter(bool)), max_size=3, unique_by=lambda pair: pair[0])


@settings(deadline=None, max_examples=60)
@given(KNOBS, st.integers(0, 2**63 - 1), st.integers(1, 100), CHANGES, KNOBS)
def test_a_link_carries_the_whole_configuration(knobs, seed, turns, changes, other):
    asked = Configuration("channels", knobs, seed, turns, tuple(Change(float(at), one) for at, one in changes), other)
    assert read(asked.query()) == asked
    assert read("?" + asked.query()) == asked


def measures(model):
    return model.datacollector.get_model_vars_dataframe().iloc[-1].to_dict()


def played(configuration):
    model, turns = configuration.build()
    for _ in range(turns):
        model.step()
    return model


def test_the_copied_script_prints_the_numbers_of_the_run():
    asked = Configuration("herding", {"agents": 40, "order": "attack"}, 5, 6, (Change(3.0, {"order": "shuffled"}),))
    done = subprocess.run([sys.executable, "-c", asked.script()], capture_output=True, text=True, check=True)
    printed = dict(line.split() for line in done.stdout.splitlines() if len(line.split()) == 2)
    found = measures(played(asked))
    assert float(printed["attack_share"]) == pytest.approx(found["attack_share"], rel=1e-5)
    assert float(printed["mean_position"]) == pytest.approx(found["mean_position"], rel=1e-5)


@pytest.mark.parametrize("times", [(), (3.0,), (2.0, 4.0)])
def test_the_copied_scenario_gives_the_numbers_of_the_run_to_the_digit(times, tmp_path):
    asked = Configuration("herding", {"agents": 30, "signal": "hidden"}, 5, 6)
    for time, order in zip(times, ("fixed", "shuffled"), strict=False):
        asked = asked.changed(time, order=order, likes_latency=1)
    path = tmp_path / f"{asked.phenomenon}-copy.toml"
    path.write_text(asked.scenario())
    words = shlex.split(asked.command())
    command = [sys.executable, "-m", *words, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    found = json.loads(done.stdout)["measures"]
    last = measures(played(asked))
    assert {name: value for name, value in found.items() if value is not None} == {
        name: last[name] for name, value in found.items() if value is not None
    }
    assert sum(value is not None for value in found.values()) > 5


def test_an_arm_that_is_not_there_is_one_sentence(tmp_path):
    path = tmp_path / "copy.toml"
    path.write_text(Configuration("voter", {}, 1, 3, (Change(2.0, {"turns": "fixed"}),)).scenario())
    for words, sentence in (
        ((str(path), "--arm", "as change"), "no such arm; did you mean 'as changed'"),
        (("voter", "--arm", "x"), "--arm x: "),
    ):
        command = [sys.executable, "-m", "agentmicro", "run", *words]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (done.returncode, sentence in done.stderr) == (1, True), done.stderr


def test_a_change_takes_the_place_of_an_earlier_one_of_the_same_knob_and_time():
    asked = Configuration("channels").changed(3, latency=1).changed(5, loss=0.5).changed(3, latency=2, loss=0.1)
    assert asked.changes == (Change(3, {"latency": 2, "loss": 0.1}), Change(5, {"loss": 0.5}))


def test_the_second_run_differs_in_the_knobs_that_are_named_and_in_nothing_else():
    asked = Configuration("herding", {"agents": 30}, 4, 5, other={"signal": "hidden"})
    (one, _), (other, _) = asked.build(), asked.build(other=True)
    differing = {name for name, value in one.knobs.items() if other.knobs[name] != value}
    assert (differing, one.seed, other.seed) == ({"signal"}, 4, 4)


def test_what_is_a_default_is_not_carried():
    assert Configuration("voter", {"agents": Configuration("voter").values["agents"]}).knobs == {}


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("", "no phenomenon ''"),
        ("run=votre", "no phenomenon 'votre'; did you mean 'voter'"),
        ("run=voter&sed=1", "link: no part 'sed'; did you mean 'seed'"),
        ("run=voter&seed=x", "link: seed = 'x': expected a whole number"),
        ("run=voter&seed=-1", "seed = -1: expected a whole number from 0"),
        ("run=voter&turns=1000000", "turns = 1000000: expected a whole number from 1"),
        ("run=voter&k.agent=3", "agent: Voter has no such knob; did you mean 'agents'"),
        ("run=voter&k.agents=-3", "agents = -3: expected a whole number from 1"),
        ("run=voter&k.graph=/etc/passwd.csv", "the app reads no files"),
        ("run=voter&o.graph=x.graphml", "the app reads no files"),
        ("run=voter&3.graph=x.csv", "the app reads no files"),
        ("run=voter&x.turns=fixed", "link: 'x': expected k, o, or the time of a change"),
        ("run=voter&nan.turns=fixed", "link: 'nan': expected k, o, or the time"),
        ("run=voter&k.mind=__import__('os')", "no mind"),
    ],
)
def test_a_link_that_cannot_be_is_one_sentence(query, sentence):
    with pytest.raises(SpecError, match=sentence) as caught:
        read(query)
    assert "\n" not in str(caught.value)


@settings(deadline=None, max_examples=200)
@given(st.text(max_size=80))
def test_no_link_whatever_it_says_gives_anything_but_a_run_or_a_sentence(text):
    with suppress(AgentmicroError):
        assert read(f"run=voter&{text}").phenomenon == "voter"
