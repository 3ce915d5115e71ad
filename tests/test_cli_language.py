"""What the command line asks before it lets language models cost money, and what it says about a machine."""

import json
import os
import sys
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from servers import Server, closed_port

from agentmicro.cli import dotenv, main
from agentmicro.cli.asked import resolve
from agentmicro.completion.models import key_variables
from agentmicro.completion.routes import PROVIDERS


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AGENTMICRO_CACHE_DIR", str(tmp_path / "cache"))


def call(capsys, *words):
    code = main(list(words))
    found = capsys.readouterr()
    return code, found.out, found.err


# --- .env


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("A=b", {"A": "b"}),
        ("  export A = b c  ", {"A": "b c"}),
        ("A=\"b # c\"\nB='d=e' # f\nC=g # h", {"A": "b # c", "B": "d=e", "C": "g"}),
        ("# A=b\n\nA\n=b\n1A=c\nA-B=d\nA=", {}),
        ('A="no end', {"A": '"no end'}),
        ("A=1\r\nB=2\r\n", {"A": "1", "B": "2"}),
        ("A=https://x.y/v1?a=b", {"A": "https://x.y/v1?a=b"}),
    ],
)
def test_dotenv_lines_are_names_and_values_and_the_rest_is_left_alone(text, found):
    assert dict(dotenv.variables(text)) == found


@given(st.text())
def test_no_file_is_too_strange(text):
    for name, value in dotenv.variables(text):
        assert name.isidentifier()
        assert value


def test_the_nearest_file_counts_and_the_real_environment_wins(tmp_path, monkeypatch):
    for name in ("A_TEST", "B_TEST", "C_TEST"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("B_TEST", "real")
    (tmp_path / ".env").write_text("A_TEST=above\nC_TEST=above\n")
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    (inner / ".env").mkdir()  # a virtual environment of that name
    (tmp_path / "a" / ".env").write_text("A_TEST=near\nB_TEST=near\n")
    assert dotenv.load(inner) == tmp_path / "a" / ".env"
    assert (os.environ["A_TEST"], os.environ["B_TEST"], "C_TEST" in os.environ) == ("near", "real", False)
    monkeypatch.delenv("A_TEST")


def test_the_example_names_variables_that_are_looked_for_and_sets_none(request):
    text = (request.config.rootpath / ".env.example").read_text()
    assert dict(dotenv.variables(text)) == {}
    named = set(dotenv.variables(text.replace("\n# ", "\n").replace("=\n", "=x\n")))
    looked = {*key_variables(), *(base for provider in PROVIDERS.values() for base in provider.bases)}
    assert {name for name, _ in named if not name.startswith("AGENTMICRO_")} <= looked
    assert {"OPENAI_API_KEY", "ANTHROPIC_API_KEY", "AGENTMICRO_MAX_COST"} <= {name for name, _ in named}


# --- leave to spend money

WORDS = ("run", "channels", "--turns", "1", "--set", "minds=openai/gpt-4o-mini")


@pytest.fixture
def paid(monkeypatch):
    """A model that costs money, and a way to it that leads nowhere."""
    monkeypatch.setenv("OPENAI_API_KEY", "planted-secret")
    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("the network was used"))


@pytest.mark.parametrize("words", [WORDS, ("check", "channels", *WORDS[-2:])])
def test_a_model_that_costs_money_is_asked_only_with_leave(capsys, tmp_path, paid, words):
    code, out, err = call(capsys, *words)
    assert (code, out) == (1, "")
    assert err == (
        "error: openai/gpt-4o-mini may cost money: give --yes, or a ceiling with --max-cost, --max-tokens or "
        "--max-calls; --dry-run says what to expect\n"
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("flags", [("--max-cost", "0"), ("--max-tokens", "0"), ("--max-calls", "0")])
def test_a_ceiling_is_leave_and_so_is_its_variable(capsys, monkeypatch, paid, flags):
    assert call(capsys, *WORDS, *flags)[0] == 3
    name = f"AGENTMICRO_{flags[0].removeprefix('--').replace('-', '_').upper()}"
    monkeypatch.setenv(name, flags[1])
    assert call(capsys, *WORDS)[0] == 3


def test_on_a_terminal_it_is_a_question_with_the_numbers(capsys, monkeypatch, paid):
    for stream in ("stdin", "stderr"):
        monkeypatch.setattr(getattr(sys, stream), "isatty", lambda: True, raising=False)
    monkeypatch.setattr("typer.confirm", lambda *_, **__: False)
    code, _, err = call(capsys, *WORDS)
    assert code == 1
    assert err.startswith("1 runs, 40 (40 to 44) calls to openai/gpt-4o-mini, ")
    assert err.endswith("error: not confirmed, so nobody was asked\n")


def test_what_costs_nothing_needs_no_leave(capsys, monkeypatch, paid):
    assert call(capsys, "run", "channels", "--turns", "1", "--set", "minds=scripted:chance")[0] == 0
    assert "may cost money" not in call(capsys, *WORDS, "--mode", "replay")[2]
    assert call(capsys, *WORDS, "--price-in", "0", "--price-out", "0", "--max-seconds", "0")[0] == 3
    monkeypatch.setenv("OPENAI_BASE_URL", "http://localhost:9/v1")
    assert call(capsys, *WORDS, "--max-seconds", "0")[0] == 3


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--set", "minds=openai/unheard-of", "--max-cost", "1"), "--max-cost 1: the price of openai/unheard-of is"),
        (("--mode", "rplay"), "--mode rplay: expected one of off, record, replay; did you mean 'replay'?"),
        (("--max-calls", "-1"), "--max-calls"),
        (("--set", "minds=opnai/x", "--yes"), "no provider 'opnai'; did you mean 'openai'?"),
        (("--set", "minds=anthropic/x", "--yes"), "anthropic/x needs a key: set the environment variable ANTHROPIC"),
        (("--set", "minds=openai/x", "--yes", "--transport", "drect"), "transport = 'drect': expected one of direct"),
        (("--set", "minds=openai/x", "--mode", "replay", "--record", "no.sqlite"), "no.sqlite: there is no such file"),
    ],
)
def test_what_cannot_be_asked_is_one_sentence(capsys, tmp_path, paid, words, sentence):
    code, out, err = call(capsys, "run", "channels", "--turns", "1", *words)
    assert (code, out) == (1, "")
    assert err.startswith("error: ")
    assert sentence in err
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_each_mind_has_its_own_price_and_a_flag_holds_for_all(capsys, tmp_path, paid):
    table = '[minds.{}]\nmodel = "openai/{}"\nprice_in = {}\nprice_out = {}\n'
    tables = table.format("a", "one", 0.0, 0.0) + table.format("b", "two", 2.0, 2.0)
    (tmp_path / "case.toml").write_text(f'phenomenon = "channels"\n{tables}[micro]\nminds = "a:5, b"\n')
    code, _, err = call(capsys, "run", "case.toml")
    assert code == 1
    assert err.startswith("error: openai/two may cost money")
    assert call(capsys, "run", "case.toml", "--price-in", "3", "--max-cost", "0")[0] == 3


# --- what to expect


def test_a_dry_run_counts_what_would_be_asked_and_calls_nobody(capsys, tmp_path, paid):
    code, out, _ = call(capsys, "run", "channels", "--set", "minds=openai/gpt-4o-mini", "--dry-run", "--json")
    found = json.loads(out)
    assert code == 0
    assert found["runs"] == 1
    assert found["calls"] == [4000, 4000, 4400]
    for low, about, high in (found[name] for name in ("tokens_in", "tokens_out", "cost_usd")):
        assert 0 < low < about < high
    assert list(tmp_path.iterdir()) == []
    code, out, _ = call(capsys, "run", "channels", "--set", "minds=openai/gpt-4o-mini", "--dry-run")
    assert (code, "nobody was asked" in out) == (0, True)


def test_a_dry_run_of_claims_counts_every_arm_once(capsys):
    found = json.loads(call(capsys, "check", "herding-language", "--dry-run", "--json")[1])
    assert found["runs"] == 20  # with likes and without, ten seeds each; the null asks nobody
    assert found["calls"][1] == 20 * 40 * 5
    assert found["cost_usd"] is None


def test_the_shipped_scenario_needs_no_network_and_one_word_changes_its_model(capsys, tmp_path, paid):
    code, out, err = call(capsys, "run", "herding-language", "--turns", "1")
    assert (code, err) == (0, "")
    assert "reader: 40 agents" in out
    assert "40 calls, 0 replayed" in out
    text = resolve("herding-language", []).scenario.path.read_text()
    assert Counter(text.split())['"scripted:chance"'] == 1
    (tmp_path / "mine.toml").write_text(text.replace("scripted:chance", "openai/gpt-4o-mini"))
    assert "openai/gpt-4o-mini may cost money" in call(capsys, "run", "mine.toml")[2]


# --- doctor


def test_doctor_finds_nothing_wrong_here_and_names_keys_without_their_values(capsys, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "planted-secret")
    code, out, err = call(capsys, "doctor", "--json")
    found = {item["what"]: item for item in json.loads(out)}
    assert (code, err) == (0, "")
    assert found["keys"]["says"] == "OPENAI_API_KEY"
    assert {found[name]["state"] for name in ("Python", "mesa", "this folder", "your own record")} == {"ok"}
    assert "planted-secret" not in out + call(capsys, "doctor")[1]


def test_doctor_says_what_to_do_without_keys_and_extras(capsys, monkeypatch):
    monkeypatch.setattr("agentmicro.cli.doctor.EXTRAS", {"llm": ("nothing_of_that_name",)})
    found = {item["what"]: item for item in json.loads(call(capsys, "doctor", "--json")[1])}
    assert (found["keys"]["state"], "OPENAI_API_KEY" in found["keys"]["remedy"]) == ("warn", True)
    assert (found["extra llm"]["state"], "agentmicro[llm]" in found["extra llm"]["remedy"]) == ("warn", True)


def test_doctor_fails_where_nothing_can_be_written(capsys, monkeypatch):
    monkeypatch.setattr("tempfile.TemporaryFile", lambda **_: (_ for _ in ()).throw(PermissionError(13, "denied")))
    code, out, _ = call(capsys, "doctor", "--json")
    wrong = [item for item in json.loads(out) if item["state"] == "fail"]
    assert (code, len(wrong)) == (1, 3)
    assert all(item["remedy"] for item in wrong)


def test_doctor_calls_a_model_for_one_token(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("OPENAI_API_KEY", "planted-secret")
    with Server() as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        code, out, _ = call(capsys, "doctor", "--model", "openai/fake", "--json")
        assert (server.counts().calls, server.last["max_tokens"]) == (1, 1)
    found = {item["what"]: item for item in json.loads(out)}
    assert (code, found["openai/fake"]["state"], found["its price"]["state"]) == (0, "ok", "warn")
    assert found["openai/fake"]["says"].startswith("served-1 answered in ")
    monkeypatch.setenv("OPENAI_BASE_URL", f"http://127.0.0.1:{closed_port()}/v1")
    code, out, _ = call(capsys, "doctor", "--model", "openai/fake", "--json")
    assert (code, json.loads(out)[-1]["state"]) == (1, "fail")
    assert list(tmp_path.iterdir()) == []


def test_doctor_says_which_variable_a_model_needs(capsys):
    code, out, _ = call(capsys, "doctor", "--model", "openai/gpt-4o-mini", "--json")
    assert (code, "OPENAI_API_KEY" in json.loads(out)[-1]["says"]) == (1, True)
