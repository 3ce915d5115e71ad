"""A mind that a scenario defines reaches the server as it was written: sampling, who it is, what it recalls."""

import json
import re
from collections import Counter

import pytest
from servers import Server, obliging

from agentmicro.cli import main

TABLE = """
phenomenon = "channels"
[minds.radio]
model = "openai/fake"
temperature = 0.5
{more}
[micro]
agents = 6
minds = "radio:4, first-free"
"""
WORDS = ("run", "case.toml", "--turns", "5", "--json", "--record", "here.sqlite")


@pytest.fixture
def prompts(tmp_path, monkeypatch, capsys):
    """What the server is asked in five turns by four agents with such a mind, in the order of the calls."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_API_KEY", "planted-secret")

    def run(more):
        asked = []
        (tmp_path / "case.toml").write_text(TABLE.format(more=more))
        with Server(answer=lambda body: asked.append(body) or obliging(body)) as server:
            monkeypatch.setenv("OPENAI_BASE_URL", server.url)
            assert main([*WORDS, "--concurrency", "1"]) == 0
        found = json.loads(capsys.readouterr().out)
        assert found["minds"] == {"radio": 4, "first-free": 2}
        assert main([*WORDS, "--mode", "replay"]) == 0
        again = json.loads(capsys.readouterr().out)
        assert (again["measures"], again["ledger"]["replayed"]) == (found["measures"], len(asked))
        return asked

    return run


def question(body):
    return body["messages"][-1]["content"]


def episodes(body):
    return re.findall(r"^- turn (\d+):", question(body), re.MULTILINE)


def test_sampling_is_as_written_and_nothing_is_recalled_if_nobody_says(prompts):
    asked = prompts("top_p = 0.9")
    assert len(asked) == 20
    assert {(body["temperature"], body["top_p"]) for body in asked} == {(0.5, 0.9)}
    assert not any("What you remember" in question(body) for body in asked)


def test_the_last_turns_are_told(prompts):
    asked = prompts('recall = "last 2"')
    assert [episodes(body) for body in asked[::4]] == [[], ["1"], ["1", "2"], ["2", "3"], ["3", "4"]]


def test_a_summary_is_a_recorded_decision_of_the_mind(prompts):
    asked = prompts('recall = "summarised 2"')
    folds = ["Sum up what you remember" in question(body) for body in asked]
    assert (sum(folds), len(asked)) == (8, 28)
    assert [episodes(body) for body, fold in zip(asked, folds, strict=True) if fold][::4] == [["1", "2"], ["3", "4"]]
    assert "Your summary of what was before: hello" in question(asked[-1])


def test_each_agent_is_told_who_it_is(prompts, tmp_path):
    (tmp_path / "people.csv").write_text("persona\nYou are Ada.\nYou are Bob.\n")
    asked = prompts('system = "Be brief."\npersona = "people.csv"')
    told = Counter((body["messages"][0]["role"], body["messages"][0]["content"]) for body in asked)
    assert set(told) == {("system", f"Be brief.\n\nYou are {name}.") for name in ("Ada", "Bob")}
    assert told.total() == 20


def test_a_folder_of_identities_is_one_agent_each(prompts, tmp_path):
    for agent in ("ada", "bob"):
        (tmp_path / "people" / agent).mkdir(parents=True)
        for name in ("IDENTITY.md", "SOUL.md"):
            (tmp_path / "people" / agent / name).write_text(f"{agent} {name}\n")
    told = {body["messages"][0]["content"] for body in prompts('persona = "people/"')}
    assert told == {f"{agent} IDENTITY.md\n\n{agent} SOUL.md" for agent in ("ada", "bob")}
