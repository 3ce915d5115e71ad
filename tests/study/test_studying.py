"""`agentmicro study`: what it writes, prints and refuses, how it stops, and how the same command goes on."""

import json
import os
import signal
import subprocess
import sys
import time

import pandas as pd
import pytest
from plots import tables
from servers import FAULTS, Server

from agentmicro.cli import main

TEXT = """
phenomenon = "voter"
[risk]
outcome = "agreement"
margin = 0.05
[micro]
agents = 8
graph = "ring"
[grow]
seeds = 4
turns = 4
vary = { share = [0.25, 0.5, 0.75] }
[identify]
vary = { turns = ["simultaneous"] }
[intervene]
listen = { mind = "majority" }
later = { mind = "stubborn", at = 3 }
[[claim]]
says = "They agree."
that = "agreement"
above = 0.5
"""
TABLES = {"runs.parquet", "turns.parquet", "times.parquet", "runs.csv", "cells.csv", "uses.csv"}
REST = {"study.json", "scenario.toml", "parts", "lock", "tables", "figures", "report.html", "report.md"}


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Every command runs in a folder of its own, with the scenario in it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AGENTMICRO_CACHE_DIR", str(tmp_path / "cache"))
    (tmp_path / "case.toml").write_text(TEXT)


def call(capsys, *words):
    code = main(["study", *words])
    found = capsys.readouterr()
    return code, found.out, found.err


def test_a_study_writes_its_tables_and_its_report_and_says_what_they_say(capsys, tmp_path):
    code, out, err = call(capsys, "case.toml", "--out", "here")
    assert (code, err) == (0, "")
    assert {path.name for path in (tmp_path / "here").iterdir()} == TABLES | REST
    assert out.startswith("case: 7 cells, 28 runs\n")
    assert out.endswith("\nAll tables: here/tables. Report: here/report.html\n")
    for words in ("listen", "turns", "They agree.", "descriptive"):
        assert words in out
    told = json.loads((tmp_path / "here" / "study.json").read_text())
    assert told["command"] == ["agentmicro", "study", "case.toml", "--out", "here"]
    assert (told["runs"], told["ended"], told["scenario_text"]) == (28, "complete", TEXT)


def test_json_is_one_object_with_every_table_as_it_is_on_disk(capsys, tmp_path):
    code, out, _ = call(capsys, "case.toml", "--out", "here", "--json")
    (told,) = json.loads(out, parse_constant=pytest.fail)["studies"]
    assert code == 0
    assert (told["scenario"], told["runs"], told["failed"], told["invalid"]) == ("case", 28, 0, 0)
    assert {"dose", "effects", "arms", "claims", "adequacy"} <= set(told["tables"])
    for name, rows in told["tables"].items():
        frames = [pd.read_csv(f"here/tables/{name}.csv"), pd.read_parquet(f"here/tables/{name}.parquet")]
        assert [len(frame) for frame in frames] == [len(rows)] * 2
        assert [list(frame.columns) for frame in frames] == [list(rows[0])] * 2
    assert not (tmp_path / "here" / "tables" / "attacks.csv").exists()


def test_the_same_command_again_makes_no_run_and_more_seeds_amend(capsys, tmp_path):
    call(capsys, "case.toml", "--out", "here", "--json")
    before = tables(tmp_path / "here"), {path.name: path.read_bytes() for path in (tmp_path / "here/tables").iterdir()}
    call(capsys, "case.toml", "--out", "here", "--json")
    assert (tables("here"), {path.name: path.read_bytes() for path in (tmp_path / "here/tables").iterdir()}) == before
    (told,) = json.loads(call(capsys, "case.toml", "--out", "here", "--json", "--seeds", "6")[1])["studies"]
    assert told["runs"] == 42
    call(capsys, "case.toml", "--out", "fresh", "--json", "--seeds", "6", "--executor", "threads")
    assert tables("fresh") == tables("here")


def test_several_scenarios_get_a_folder_each(capsys, tmp_path):
    (tmp_path / "other.toml").write_text(TEXT.replace("agents = 8", "agents = 6"))
    code, out, _ = call(capsys, "case.toml", "other.toml", "--out", "all", "--json")
    assert [item["out"] for item in json.loads(out)["studies"]] == ["all/case", "all/other"]
    code, _, err = call(capsys, "case.toml", "case.toml", "--out", "all")
    assert (code, err) == (
        1,
        "error: case, case: expected scenarios of different names, since each gets a folder of its name\n",
    )


def test_a_changed_microspecification_is_refused_with_the_difference_a_line_each(capsys, tmp_path):
    call(capsys, "case.toml", "--out", "here", "--json")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "here").rglob("*")}
    code, out, err = call(capsys, "case.toml", "--out", "here", "--set", "agents=9", "--set", "turns=fixed")
    assert (code, out) == (1, "")
    assert err.splitlines() == [
        "error: here: holds a study of another microspecification; give it a folder of its own",
        "  [micro] agents: 8 in the folder, 9 now",
        '  [micro] turns: "random" in the folder, "fixed" now',
    ]
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "here").rglob("*")} == before


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("case.toml",), "Missing option '--out'"),
        (("nosuch", "--out", "x"), "no scenario 'nosuch'"),
        (("case.toml", "--out", "full"), "full: not empty, and no study of agentmicro"),
        (("case.toml", "--out", "case.toml"), "case.toml: expected a folder, and this is a file"),
        (
            ("case.toml", "--out", "x", "--set", "agnts=3"),
            "--set agnts: Voter has no such knob; did you mean 'agents'?",
        ),
        (("case.toml", "--out", "x", "--executor", "dusk"), "executor = 'dusk': expected one of auto, serial, threads"),
        (("case.toml", "--out", "x", "--seeds", "1"), "--seeds"),
        (("case.toml", "--out", "x", "--mode", "rplay"), "--mode rplay: expected one of off, record, replay"),
        (("wrong.toml", "--out", "x"), "wrong.toml: [intervene.much] mind = 'stubborn:99%:5'"),
    ],
)
def test_what_is_wrong_is_one_sentence_and_nothing_is_written(capsys, tmp_path, words, sentence):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").touch()
    (tmp_path / "wrong.toml").write_text(TEXT.replace("listen =", 'much = { mind = "stubborn:99%:5" }\nlisten ='))
    code, out, err = call(capsys, *words)
    assert (code, out) == (1, "")
    assert sentence in err
    assert err.count("\n") == 1
    assert not (tmp_path / "x").exists()


def test_runs_that_failed_and_runs_that_are_no_evidence_exit_2(capsys, tmp_path):
    (tmp_path / "bad.toml").write_text(
        TEXT.replace(
            'listen = { mind = "majority" }', 'silent = { mind = "silent" }\nmany = { mind = "stubborn:9, voter" }'
        )
    )
    code, out, err = call(capsys, "bad.toml", "--out", "here")
    assert code == 2
    assert out.startswith("bad: 8 cells, 32 runs (4 failed, 4 invalid)\n")
    assert err == "8 runs failed, or too many decisions in them did: they count in no result\n"


def test_a_dry_run_counts_and_writes_nothing(capsys, tmp_path):
    code, out, _ = call(capsys, "case.toml", "--out", "here", "--dry-run", "--json")
    assert (code, json.loads(out)["cells"], json.loads(out)["runs"]) == (0, 7, 28)
    assert json.loads(out)["models"]["runs"] == 0
    assert call(capsys, "case.toml", "--out", "here", "--dry-run")[1] == "7 cells, 28 runs\n"
    (tmp_path / "walk.toml").write_text(
        TEXT.replace(
            "vary = { share = [0.25, 0.5, 0.75] }", 'vary = { share = { low = 0, high = 1 } }\ndesign = "adaptive"'
        )
        + '[[threshold]]\nsays = "Half."\nof = "share"\nthat = "share"\nreaches = 0.5\n'
    )
    assert call(capsys, "walk.toml", "--out", "here", "--dry-run")[1] == "5 cells, at most 180 runs\n"
    assert not (tmp_path / "here").exists()


def test_a_dry_run_says_what_language_minds_would_be_asked(capsys):
    words = ("case.toml", "--out", "x", "--dry-run", "--set", "mind=openai/gpt-4o-mini", "--json")
    found = json.loads(call(capsys, *words)[1])
    # All but the null, the later half of one arm and the arm of majorities ask: 8 agents, 4 turns, 4 seeds.
    assert found["models"]["calls"][1] >= 5 * 8 * 4 * 4
    assert found["models"]["cost_usd"][0] > 0


SLOW = TEXT.replace("seeds = 4", "seeds = 400").replace("agents = 8", "agents = 60")


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("executor", ["serial", "processes"])
def test_a_study_that_is_told_to_end_keeps_what_was_made_and_says_how_to_go_on(tmp_path, sent, code, executor):
    (tmp_path / "slow.toml").write_text(SLOW)
    words = ["study", "slow.toml", "--out", "here", "--executor", executor, "--workers", "1"]
    command = [sys.executable, "-m", "agentmicro", *words]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    until = time.monotonic() + 60
    while not any((tmp_path / "here" / "parts").glob("*.jsonl")):
        assert time.monotonic() < until
        time.sleep(0.02)
    # Ctrl-C reaches the whole group, workers included; a batch system ends the process that it started.
    os.killpg(process.pid, sent) if sent is signal.SIGINT else process.send_signal(sent)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (code, "")
    said = f"stopped; what was made is kept in here; to go on: agentmicro {' '.join(words)}\n"
    assert err == said + ("interrupted\n" if code == 130 else "")
    told = json.loads((tmp_path / "here" / "study.json").read_text())
    assert told["ended"] in ("KeyboardInterrupt", "Terminated")
    part = next((tmp_path / "here" / "parts").glob("*.jsonl"))
    assert part.read_bytes().count(b"\n") >= 1


# --- language models

READERS = """
phenomenon = "voter"
[minds.reader]
model = "openai/fake"
[micro]
agents = 5
graph = "ring"
mind = "reader"
[grow]
seeds = 3
turns = 4
[intervene]
later = { mind = "stubborn", at = 3 }
fixed = { turns = "fixed" }
[[claim]]
says = "Nobody is asked in vain."
that = "failure_rate"
below = 0.01
"""


@pytest.fixture
def readers(tmp_path, monkeypatch):
    """A model on loopback that says 0 or 1 by what it is asked."""

    def say(body):
        text = body["messages"][-1]["content"]
        return json.dumps({"number": float(sum(map(ord, text)) % 2)}) if "number" in text else '{"number": 1}'

    (tmp_path / "readers.toml").write_text(READERS)
    monkeypatch.setenv("OPENAI_API_KEY", "planted-secret")
    with Server(answer=say, latency=0.002) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        yield server


def test_a_study_that_its_budget_stops_goes_on_with_a_higher_one_and_pays_for_nothing_twice(capsys, tmp_path, readers):
    words = ("readers.toml", "--price-in", "1", "--price-out", "1", "--out")
    code, out, err = call(capsys, *words, "here", "--max-calls", "60", "--workers", "1")
    assert (code, out) == (3, "")
    assert err.startswith("stopped: the ")
    assert "to go on: agentmicro study readers.toml" in err
    assert (tmp_path / "here" / "record.sqlite").exists()
    assert json.loads((tmp_path / "here" / "study.json").read_text())["ended"].startswith("BudgetReached: ")
    assert 60 <= readers.counts().calls <= 66
    code, _, err = call(capsys, *words, "here", "--yes", "--workers", "1")
    assert (code, err) == (0, "")
    both = readers.counts().calls
    assert call(capsys, *words, "quiet", "--yes", "--workers", "1")[0] == 0
    assert readers.counts().calls - both == both
    assert tables("quiet") == tables("here")


def test_what_an_arm_is_worth_does_not_depend_on_who_was_asked_first(capsys, tmp_path, readers):
    """The late arm shares its first turns with the base, whose replies are recorded: it is worth them all the same."""
    words = ("readers.toml", "--price-in", "1", "--price-out", "1", "--yes", "--json", "--executor", "serial")
    call(capsys, *words, "--out", "here")
    runs = pd.read_csv(tmp_path / "here" / "uses.csv").merge(pd.read_parquet("here/runs.parquet"), on="cell")
    calls = runs.groupby("label")["n_calls"].unique().map(list)
    assert calls["base"] == calls["fixed"] == [20]
    assert calls["later"] == [10]
    assert list(runs["cost_usd"] * 1e6) == pytest.approx(list(runs["tokens_in"] + runs["tokens_out"]))
    turns = pd.read_parquet("here/turns.parquet")
    assert list(turns.groupby("time")["n_calls"].max()) == [0, 5, 10, 15, 20]
    times = pd.read_parquet("here/times.parquet")
    assert times["n_replayed"].sum() >= 3 * 10
    assert times["n_calls"].sum() == readers.counts().calls


def test_a_replay_needs_no_server_and_gives_the_same_tables(capsys, tmp_path, readers):
    words = ("readers.toml", "--price-in", "1", "--price-out", "1", "--yes")
    call(capsys, *words, "--out", "here", "--json")
    readers.stop()
    code, _, err = call(
        capsys, *words, "--out", "again", "--mode", "replay", "--record", "here/record.sqlite", "--json"
    )
    assert (code, err) == (0, "")
    assert tables("again") == tables("here")
    assert readers.counts().calls > 0


def test_a_server_that_answers_nobody_stops_the_study_with_a_way_to_go_on(capsys, tmp_path, readers):
    readers.script = lambda call, body: FAULTS["401"]
    code, out, err = call(capsys, "readers.toml", "--out", "here", "--yes")
    assert (code, out) == (3, "")
    assert err.startswith("stopped: openai/fake: ")
    assert err.splitlines()[-1].startswith("what was made is kept in here; to go on: agentmicro study")


def test_workers_in_processes_ask_under_the_same_session(capsys, tmp_path, readers):
    words = ("readers.toml", "--price-in", "1", "--price-out", "1", "--yes", "--json", "--workers", "2")
    assert call(capsys, *words, "--out", "here", "--executor", "processes")[0] == 0
    asked = readers.counts().calls
    assert call(capsys, *words, "--out", "again", "--executor", "serial", "--record", "here/record.sqlite")[0] == 0
    assert readers.counts().calls == asked  # every reply is in the one record
    assert tables("again") == tables("here")


def test_ctrl_c_does_not_wait_for_models_and_loses_no_reply(tmp_path, readers):
    readers.latency = 0.05
    words = ["study", "readers.toml", "--out", "here", "--yes", "--price-in", "1", "--price-out", "1"]
    process = subprocess.Popen(
        [sys.executable, "-m", "agentmicro", *words], stderr=subprocess.PIPE, text=True, stdout=subprocess.DEVNULL
    )
    until = time.monotonic() + 60
    while readers.counts().calls < 60:
        assert time.monotonic() < until
        time.sleep(0.01)
    readers.latency = 60.0
    time.sleep(0.2)
    begin = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=50)
    assert (process.returncode, err.splitlines()[-1]) == (130, "interrupted")
    assert time.monotonic() - begin < 30
    readers.latency = 0.0
    asked = readers.counts().calls
    done = subprocess.run(
        [sys.executable, "-m", "agentmicro", *words, "--json"], capture_output=True, text=True, timeout=60
    )
    (told,) = json.loads(done.stdout)["studies"]
    assert (done.returncode, told["runs"], told["failed"]) == (0, 12, 0)
    # All arms ask 150 times; what had been answered before is not asked again.
    assert readers.counts().calls - asked < 120
