"""Language minds through every door, against a real server on loopback: the same numbers, and no key anywhere."""

import csv
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import mesa
import nbformat
import pytest
from nbclient import NotebookClient
from servers import FAULTS, Server, completion, failure

from agentmicro.cli import main
from agentmicro.completion.session import session
from agentmicro.phenomena.channels import Channels
from agentmicro.phenomena.herding import Herding

KEY = "planted-secret"
SMALL = ("--set", "agents=12", "--turns", "4")
SHUFFLED = ("--set", "order=shuffled")  # as Herding is by itself; its scenario has one order for all


def digest(body):
    return int(hashlib.sha256(json.dumps(body["messages"]).encode()).hexdigest(), 16)


def reading(body):
    """Anything that the schema allows, by what was asked and by nothing else."""
    schema, luck = body["response_format"]["json_schema"]["schema"], digest(body)
    (name, inner), *_ = schema["properties"].items()
    if "enum" in inner:
        return json.dumps({name: inner["enum"][luck % len(inner["enum"])]})
    if inner["type"] == "array":
        options = inner["items"]["enum"]
        return json.dumps({name: [options[luck % len(options)]]})
    return json.dumps({name: f"summary {luck % 1000}"})


@pytest.fixture
def server():
    with Server(answer=reading) as found:
        yield found


@pytest.fixture(autouse=True)
def door(request, tmp_path, monkeypatch, caplog):
    """A folder, a key and a server; afterwards the key is looked for in everything that was written."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AGENTMICRO_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    if "server" in request.fixturenames:
        monkeypatch.setenv("OPENAI_BASE_URL", request.getfixturevalue("server").url)
    yield
    for path in tmp_path.rglob("*"):
        if path.is_file() and path.name != ".env":
            assert KEY.encode() not in path.read_bytes(), path
    assert KEY not in caplog.text


def call(capfd, *words):
    """The exit code, what went to stdout and what to stderr, none of which holds the key."""
    code = main(list(words))
    out, err = capfd.readouterr()
    assert KEY not in out + err
    return code, out, err


def ran(capfd, *words):
    code, out, err = call(capfd, "run", *words, "--json")
    assert (code, err) == (0, "")
    return json.loads(out)


def lines(folder):
    return (Path(folder) / "decisions.jsonl").read_bytes()


# --- the command line


@pytest.mark.parametrize(("name", "knob"), [("herding", "mind"), ("channels", "minds")])
def test_one_word_puts_a_model_in_every_seat(server, capfd, name, knob):
    words = (name, *SMALL, "--set", f"{knob}=openai/fake")
    code, out, err = call(capfd, "run", *words, "--out", "made", "--trace")
    assert (code, err) == (0, "")
    assert "48 decisions, 0.0% failed" in out
    told = "48 calls, 0 replayed; 1,920 tokens in (384 cached), 240 out; cost unknown; served: served-1"
    assert told in " ".join(out.split())
    assert "Replies are kept in made/record.sqlite." in out
    found = json.loads(Path("made/manifest.json").read_text())
    spent = {"calls": 48, "replayed": 0, "tokens_in": 1920, "tokens_out": 240, "tokens_cached": 384, "cost_usd": None}
    assert found["ledger"] == {**spent, "served": ["served-1"]}
    assert found["decisions"]["valid"] == 48
    assert server.counts().keys == {KEY: 48}
    with Path("made/run.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert (row["n_calls"], row["tokens_in"], row["cost_usd"], row["valid"]) == ("48", "1920", "", "True")


def test_a_replay_needs_no_server_and_no_key_and_tells_the_same_story(server, capfd, monkeypatch):
    words = ("herding", *SMALL, "--set", "mind=openai/fake", "--trace")
    first = ran(capfd, *words, "--out", "made")
    server.stop()
    monkeypatch.delenv("OPENAI_API_KEY")
    second = ran(capfd, *words, "--out", "again", "--record", "made/record.sqlite", "--mode", "replay")
    assert lines("again") == lines("made")
    assert second["measures"] == first["measures"]
    assert (second["ledger"]["calls"], second["ledger"]["replayed"]) == (0, 48)
    code, _, err = call(capfd, "run", *words[:-1], "--seed", "2", "--record", "made/record.sqlite", "--mode", "replay")
    assert code == 1
    assert "has no reply of 'openai/fake' to agent" in err


def test_an_exported_record_is_all_that_others_need(server, capfd):
    words = ("channels", *SMALL, "--set", "minds=openai/fake", "--trace")
    ran(capfd, *words, "--out", "made")
    server.stop()
    assert call(capfd, "record", "export", "made/record.sqlite", "paper.jsonl")[1] == (
        "48 replies written to paper.jsonl.\n"
    )
    assert call(capfd, "record", "import", "mine.sqlite", "paper.jsonl")[1] == "48 new replies in mine.sqlite.\n"
    ran(capfd, *words, "--out", "theirs", "--record", "mine.sqlite", "--mode", "replay")
    assert lines("theirs") == lines("made")
    (line,) = json.loads(call(capfd, "record", "show", "made/record.sqlite", "--json")[1])
    assert (line["model"], line["status"], line["replies"], line["tokens_in"]) == ("openai/fake", "ok", 48, 1920)
    assert "openai/fake" in call(capfd, "record", "show", "made/record.sqlite")[1]
    assert call(capfd, "record", "prune", "mine.sqlite", "--seed", "1")[1] == "48 replies forgotten in mine.sqlite.\n"
    code, _, err = call(capfd, "record", "prune", "mine.sqlite")
    assert (code, "expected at least one of model, seed, before, failed" in err) == (1, True)


def test_off_keeps_nothing(server, capfd, tmp_path):
    found = ran(capfd, "channels", *SMALL, "--set", "minds=openai/fake", "--mode", "off")
    assert found["ledger"]["calls"] == 48
    assert list(tmp_path.iterdir()) == []


# --- the other doors


def test_a_notebook_where_a_loop_is_running_shows_the_same_numbers(server, capfd):
    cell = """
import asyncio, json
asyncio.get_running_loop()
from agentmicro.phenomena.herding import Herding
model = Herding(agents=12, mind="openai/fake", rng=1)
for _ in range(4):
    model.step()
print(json.dumps([model.datacollector.model_vars["mean_position"][-1], model.n_calls]))
"""
    found = ran(capfd, "herding", *SMALL, *SHUFFLED, "--set", "mind=openai/fake", "--record", "other.sqlite")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell)])
    NotebookClient(notebook, timeout=60, kernel_name="python3").execute()
    (output,) = notebook.cells[0].outputs
    assert KEY not in str(notebook)
    assert json.loads(output.text) == [found["measures"]["mean_position"], 48]


@pytest.mark.parametrize(("cls", "knob", "measure"), [(Herding, "mind", "gini"), (Channels, "minds", "conflicts")])
def test_batch_run_shows_the_same_numbers(server, capfd, cls, knob, measure):
    rows = mesa.batch_run(
        cls, {knob: "openai/fake", "agents": 12}, rng=[1, 2], max_steps=4, display_progress=False, number_processes=1
    )
    assert [row["n_calls"] for row in rows] == [48, 48]
    assert [row["failure_rate"] for row in rows] == [0.0, 0.0]
    usual = SHUFFLED if cls is Herding else ()
    found = ran(capfd, cls.__name__.lower(), *SMALL, *usual, "--set", f"{knob}=openai/fake")
    assert found["measures"][measure] == rows[0][measure]
    assert (found["ledger"]["calls"], found["ledger"]["replayed"]) == (0, 48)  # one record behind both doors


# --- ended from outside


@pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_ended_in_the_middle_the_same_command_goes_on_and_repeats_nothing(capfd, tmp_path, monkeypatch, how):
    words = ["run", "herding", *SMALL, "--set", "mind=openai/fake", "--trace", "--concurrency", "3"]
    with Server(answer=reading) as quiet:
        monkeypatch.setenv("OPENAI_BASE_URL", quiet.url)
        assert call(capfd, *words, "--out", "quiet")[0] == 0
    with Server(answer=reading, latency=0.05) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        started = subprocess.Popen(
            [sys.executable, "-m", "agentmicro", *words, "--out", "made"],
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
        while server.counts().calls < 20 and started.poll() is None:
            time.sleep(0.005)
        started.send_signal(how)
        told = started.communicate(timeout=30)[1]
        assert {path.name for path in (tmp_path / "made").iterdir()} <= {
            f"record.sqlite{end}" for end in ("", "-wal", "-shm", ".traffic")
        }
        server.latency = 0.0
        code, _, err = call(capfd, *words, "--out", "made")
        assert code == 0
        twice = server.counts().bodies - quiet.counts().bodies
    assert quiet.counts().bodies - server.counts().bodies == Counter()
    assert twice.total() <= 12  # three on the wire, and those whose commit was under way
    assert lines("made") == lines("quiet")
    if how == signal.SIGINT:
        assert started.returncode == 130
        on = f"to go on: agentmicro {' '.join(words)} --out made"
        assert told == f"every reply is kept in made/record.sqlite; {on}\ninterrupted\n"
    else:
        assert int(re.match(r"(\d+) calls were in flight when this study was last killed", err)[1]) >= twice.total() > 0


# --- ceilings


PRICED = ("--price-in", "1000000", "--price-out", "1000000")  # 45 USD for a call of 45 tokens


@pytest.mark.parametrize(
    ("ceiling", "higher"),
    [
        (("--max-calls", "20"), ("--max-calls", "100")),
        (("--max-tokens", "900"), ("--max-tokens", "4500")),
        (("--max-cost", "900"), ("--max-cost", "4500")),
        (("--max-seconds", "0"), ("--max-seconds", "1000")),
    ],
)
def test_a_ceiling_ends_with_exit_3_and_a_higher_one_goes_on(server, capfd, tmp_path, ceiling, higher):
    words = ("herding", *SMALL, "--set", "mind=openai/fake", "--trace", *PRICED)
    code, out, err = call(capfd, "run", *words, "--out", "made", *ceiling)
    assert (code, out) == (3, "")
    assert err.startswith("stopped: the run has used ")
    assert err.splitlines()[1] == f"to go on: agentmicro run {' '.join(words)} --out made {' '.join(ceiling)}"
    assert server.counts().calls <= 24
    assert not (tmp_path / "made" / "manifest.json").exists()
    found = ran(capfd, *words, "--out", "made", *higher)
    assert server.counts().calls == 48
    assert found["ledger"]["calls"] + found["ledger"]["replayed"] == 48
    ran(capfd, *words, "--out", "quiet")
    assert lines("made") == lines("quiet")


def test_the_cost_is_what_the_tokens_cost(server, capfd):
    found = ran(capfd, "channels", *SMALL, "--set", "minds=openai/fake", "--price-in", "2", "--price-out", "8")
    assert found["ledger"]["cost_usd"] == pytest.approx((1920 * 2 + 240 * 8) / 1e6)


CLAIM = """
phenomenon = "channels"
[micro]
agents = 8
minds = "openai/fake"
[grow]
seeds = 3
turns = 2
[[claim]]
says = "Some links clash."
that = "conflicts"
between = [-5, 5]
"""


def test_the_ceiling_of_a_check_holds_for_all_of_its_runs(server, capfd, tmp_path):
    (tmp_path / "one.toml").write_text(CLAIM)
    code, _, err = call(capfd, "check", "one.toml", "--max-calls", "20", "--record", "here.sqlite")
    assert code == 3
    assert "to go on: agentmicro check one.toml --max-calls 20 --record here.sqlite" in err
    assert 20 <= server.counts().calls <= 24
    code, out, _ = call(capfd, "check", "one.toml", "--json", "--max-calls", "30", "--record", "here.sqlite")
    (found,) = json.loads(out)["scenarios"]
    assert (code, found["held"]) == (0, True)
    assert found["ledger"]["calls"] + found["ledger"]["replayed"] == 48 == server.counts().calls
    assert call(capfd, "check", "one.toml", "--mode", "replay", "--record", "here.sqlite")[0] == 0


# --- failures


def bad(body):
    """Whether a decision is one of those that go wrong: by its question, not by its re-asks."""
    return digest({"messages": [one for one in body["messages"] if one["role"] == "user"][:1]}) % 3 == 0


@pytest.mark.parametrize(
    ("reply", "outcome"),
    [
        ("I have no idea.", "invalid"),
        ("", "invalid"),
        (FAULTS["refusal"], "refused"),
        (FAULTS["content filter"], "refused"),
        (FAULTS["400"], "failed"),
        (FAULTS["not an object"], "failed"),
    ],
)
def test_what_goes_wrong_is_counted_and_the_run_is_no_evidence(server, capfd, reply, outcome):
    server.answer = lambda body: reply if bad(body) else reading(body)
    words = ("run", "channels", *SMALL, "--set", "minds=openai/fake", "--trace")
    code, out, err = call(capfd, *words, "--out", "made", "--json")
    found = json.loads(out)
    assert (code, found["valid"]) == (2, False)
    wrong = found["decisions"][outcome]
    assert 0 < wrong < 48
    assert wrong + found["decisions"]["valid"] == 48
    assert err == f"not valid: {wrong / 48:.1%} of the decisions failed, above 5%\n"
    again = call(capfd, *words, "--out", "again", "--json", "--record", "made/record.sqlite", "--mode", "replay")
    assert (again[0], json.loads(again[1])["decisions"]) == (2, found["decisions"])
    assert lines("again") == lines("made")
    kept = [json.loads(line) for line in lines("made").splitlines()]
    assert {entry["act"] for entry in kept if entry["outcome"] == outcome} == {None}


def test_what_cannot_be_read_is_asked_again_with_what_was_wrong(server, capfd):
    asked = []

    def second_time(body):
        asked.append(body["messages"])
        return reading(body) if len(body["messages"]) > 1 else "Channel Z, I think."

    server.answer = second_time
    found = ran(capfd, "channels", *SMALL, "--set", "minds=openai/fake")
    assert found["decisions"]["reasked"] == 48
    assert (found["valid"], found["ledger"]["calls"]) == (True, 96)
    again = [messages for messages in asked if len(messages) > 1]
    assert all(messages[1] == {"role": "assistant", "content": "Channel Z, I think."} for messages in again)
    assert all("cannot be used" in messages[2]["content"] for messages in again)


# --- keys


@pytest.mark.parametrize(
    "reply",
    [
        failure(401, f"Incorrect API key provided: {KEY}"),
        failure(400, f"The header 'Bearer {KEY}' cannot be read"),
        completion(f"Your key is {KEY}."),
    ],
    ids=["401", "400", "reply"],
)
def test_a_server_that_repeats_the_key_is_quoted_without_it(server, capfd, tmp_path, reply):
    server.answer = lambda body: reply.decode() if isinstance(reply, bytes) else reply
    code, _, _ = call(capfd, "run", "channels", *SMALL, "--set", "minds=openai/fake", "--out", "made", "--trace")
    assert code in (1, 2)
    assert (tmp_path / "made" / "record.sqlite").exists()


def test_nothing_that_is_made_shows_the_key(server):
    with session("here.sqlite") as study:
        model = Channels(agents=4, minds="openai/fake", rng=1)
        model.step()
        (mind,) = model.minds
        opened = study.opened()
        shown = [model, mind, mind.provider, mind.speaker, study, study.settings, opened, opened.record]
        transport = next(iter(opened._transports.values()))
        shown += [transport, transport.route, vars(transport), vars(mind), vars(opened)]
        assert KEY not in " ".join(map(repr, shown))


def test_keys_in_dotenv_are_read_by_the_command_line_and_shown_by_nobody(server, capfd, tmp_path, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY")
    (tmp_path / ".env").write_text(f"OPENAI_API_KEY='{KEY}'\n")
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")
    ran(capfd, "channels", *SMALL, "--set", "minds=openai/fake", "--out", "made", "--trace")
    assert server.counts().keys == {KEY: 48}
    monkeypatch.delenv("OPENAI_API_KEY")
