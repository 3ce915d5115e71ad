"""Runs: the same arguments give the same numbers, and all of them are written down."""

import numpy as np

from agentmicro.phenomena.channels import Channels
from agentmicro.phenomena.voter import Voter
from agentmicro.study.run import measures, run


def test_a_run_is_what_stepping_the_model_shows():
    found = run(Voter, {"agents": 30}, seed=7, turns=5)
    model = Voter(agents=30, rng=7)
    for _ in range(5):
        model.step()
    np.testing.assert_equal(dict(found.series), model.datacollector.model_vars)
    assert found.measures["share"] == model.datacollector.model_vars["share"][-1]
    assert found.knobs == model.knobs
    assert found.phenomenon == "voter"
    assert sum(found.decisions.values()) == 30 * 5 == found.decisions["valid"]


def test_every_column_has_one_entry_per_turn_and_one_for_the_start():
    found = run(Channels, {}, seed=1, turns=4)
    assert {len(values) for values in found.series.values()} == {5}
    assert run(Channels, {}, seed=1, turns=4).series["conflicts"] == found.series["conflicts"]
    assert run(Channels, {}, seed=2, turns=4).series["conflicts"] != found.series["conflicts"]


def test_progress_hears_of_every_turn():
    heard = []
    run(Voter, {"agents": 5}, 1, 3, lambda done, total: heard.append((done, total)))
    assert heard == [(1, 3), (2, 3), (3, 3)]


def test_minds_are_counted_as_they_are_written():
    found = run(Voter, {"agents": 20, "mind": "threshold(at=0.3):12, stubborn:3, voter"}, 1, 1)
    assert found.minds == {"threshold(at=0.3)": 12, "stubborn": 3, "voter": 5}


def test_a_run_in_which_decisions_fail_is_not_valid():
    found = run(Voter, {"agents": 20, "mind": "silent:2, voter"}, 1, 2)
    assert not found.valid
    assert found.failure_rate == 0.1
    assert found.decisions["failed"] == 4


def test_what_is_not_known_is_no_number():
    found = run(Voter, {"agents": 8, "mind": "scripted:chance"}, 1, 2)
    assert found.valid
    assert np.isnan(found.series["cost_usd"][-1])
    assert found.minds == {"scripted:chance": 8}


def test_every_measure_has_a_line():
    assert all(doc.endswith(".") for doc in measures(Voter).values())
    assert list(measures(Voter)) == ["share", "agreement", "settled_at"]
