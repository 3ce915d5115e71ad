"""The taxonomy: every phenomenon is placed in it, and what is asked of it is found or refused by name."""

import json

import pytest
from typer.testing import CliRunner

from agentmicro import phenomena
from agentmicro.cli.commands import app
from agentmicro.errors import SpecError
from agentmicro.phenomena import About
from agentmicro.study import risks


@pytest.mark.parametrize("name", phenomena.names())
def test_every_phenomenon_is_placed(name):
    found = risks.placed(name)
    assert found.level in risks.LEVELS
    assert found.kinds
    assert set(found.kinds) <= set(risks.KINDS)


@pytest.mark.parametrize("text", ["coordination failure", "Coordination-Failure", "coordination_failures"])
def test_a_risk_is_found_however_it_is_written(text):
    assert "channels" in risks.of_risk(text)


def test_a_level_is_asked_for_like_a_risk():
    assert set(risks.of_risk("macro")) >= {"channels", "herding"}
    assert not set(risks.of_risk("macro")) & set(risks.of_risk("micro"))


def test_an_unknown_risk_is_refused_with_the_nearest():
    with pytest.raises(SpecError, match="no risk 'herdign'; did you mean 'herding'"):
        risks.of_risk("herdign")


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ("mackro; herding", "level 'mackro': expected one of micro, meso, macro; did you mean 'macro'"),
        ("macro; hrding", "'hrding': expected some of .*did you mean 'herding'"),
        ("macro", "'': expected some of"),
    ],
)
def test_a_wrong_place_is_refused(monkeypatch, said, sentence):
    monkeypatch.setattr(phenomena, "about", lambda name: About("Mine", {"Kind": said}))
    with pytest.raises(SpecError, match=f"phenomenon mine: Kind: {sentence}"):
        risks.placed("mine")


def test_a_phenomenon_that_does_not_say_is_listed_all_the_same(monkeypatch):
    monkeypatch.setattr(phenomena, "about", lambda name: About("Mine", {}))
    assert risks.placed("mine") == risks.Placed("", ())


def test_the_list_can_be_cut_to_a_risk():
    found = json.loads(CliRunner().invoke(app, ["list", "--risk", "herding", "--json"]).stdout)
    assert "herding" in {item["name"] for item in found["phenomena"]}
    assert "channels" not in {item["name"] for item in found["phenomena"]}
    assert all("herding" in item["kinds"] for item in found["phenomena"])
    assert {item["phenomenon"] for item in found["scenarios"]} <= {item["name"] for item in found["phenomena"]}
