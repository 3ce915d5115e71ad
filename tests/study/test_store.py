"""The folder of a study: nothing is lost, nothing is mixed, and what is not ours is left alone."""

import base64
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from plots import Plots, scenario, tables

from agentmicro.errors import SpecError
from agentmicro.study import compaction, store
from agentmicro.study.growing import grow, load, manifest
from agentmicro.study.jobs import failed, names, numbers
from agentmicro.study.plan import Job, plan
from agentmicro.study.rounds import points
from agentmicro.study.run import run
from agentmicro.study.store import Changed, Store, differences, look

RUNS = 40  # of the whole scenario: 9 cells with 4 seeds, of which a claim and its null have 6


@pytest.fixture(scope="module")
def quiet(tmp_path_factory):
    """The tables of a study that nothing disturbed."""
    folder = tmp_path_factory.mktemp("quiet")
    grow(scenario(), folder, executor="serial")
    return tables(folder)


def uncompacted(folder, monkeypatch):
    """A folder whose runs are all made and stand in parts only."""
    with monkeypatch.context() as patched:
        patched.setattr("agentmicro.study.rounds.compact", lambda *_: None)
        patched.setattr("agentmicro.study.growing._study", lambda *_: None)
        patched.setattr("agentmicro.study.growing._counts", lambda *_: {})
        grow(scenario(), folder, executor="serial")
    return folder


# --- what the tables say


def test_the_tables_hold_what_runs_by_hand_give(tmp_path):
    study = grow(scenario(), tmp_path, executor="serial")
    cell = study.stage("grow")["cell"].iloc[1]
    by_hand = run(Plots, Plots.checked({"size": 10}), 2, 5)
    row = study.runs[(study.runs["cell"] == cell) & (study.runs["seed"] == 2)].iloc[0]
    assert {name: row[name] for name in by_hand.measures} == by_hand.measures
    assert (row["knob_size"], row["knob_mind"], row["n_decisions"], row["n_valid"]) == (10, "drift", 30, 30)
    turns = study.turns([cell]).query("seed == 2")
    assert list(turns["time"]) == [0, 1, 2, 3, 4, 5]
    for name in ("level", "spread", "n_decisions", "failure_rate"):
        np.testing.assert_array_equal(turns[name], by_hand.series[name])
    assert np.isnan(turns["spread"].iloc[0])


def test_an_arm_at_a_time_is_the_base_until_then(tmp_path):
    study = grow(scenario(), tmp_path, executor="serial")
    arm, base = study.stage("intervene", "arm")["cell"].iloc[0], study.reference("intervene")
    changed, plain = (study.turns([cell]).query("seed == 1")["spread"].to_numpy() for cell in (arm, base))
    np.testing.assert_array_equal(changed[:3], plain[:3])
    assert (changed[3:] == changed[2]).all()
    assert not (plain[3:] == plain[2]).any()


def test_numbers_are_in_the_order_of_the_plan_and_runs_in_that_of_the_seeds(tmp_path):
    study = grow(scenario(), tmp_path, executor="serial")
    assert list(study.uses["cell"].drop_duplicates()) == sorted(study.uses["cell"].unique())
    pairs = list(zip(study.runs["cell"], study.runs["seed"], strict=True))
    assert pairs == sorted(pairs)
    counts = study.runs["cell"].value_counts()
    claimed = study.stage("claim", "where")["cell"].iloc[0]
    assert set(counts.drop([claimed, study.stage("claim", "null")["cell"].iloc[0]])) == {4}
    assert counts[claimed] == 6


def test_text_and_parquet_are_the_same_table(tmp_path):
    study = grow(scenario(), tmp_path, executor="serial")
    text = pd.read_csv(tmp_path / "runs.csv", keep_default_na=False, na_values={"spread": ["nan"]})
    assert list(text.columns) == list(study.runs.columns)
    assert len(text) == len(study.runs)
    for name in ("level", "spread", "seed"):
        np.testing.assert_allclose(text[name].astype(float), study.runs[name], rtol=1e-15)


def test_the_manifest_says_what_it_takes_to_make_it_again(tmp_path):
    study = grow(scenario(), tmp_path, executor="serial", overrides={"agents": 7}, command=("agentmicro", "study"))
    told = json.loads((tmp_path / "study.json").read_text())
    assert told["micro"]["agents"] == 7
    assert (told["sources"]["agents"], told["sources"]["size"]) == ("override", "default")
    assert {"micro_sha256", "versions", "commit", "started", "finished", "code", "seeds"} <= set(told)
    assert (told["runs"], told["failed"], told["ended"]) == (len(study.runs), 0, "complete")
    assert told["command"] == ["agentmicro", "study"]


def test_what_depends_on_the_day_is_a_table_of_its_own(tmp_path):
    study = grow(scenario(), tmp_path, executor="serial")
    times = pd.read_parquet(tmp_path / "times.parquet")
    assert list(times["seed"]) == list(study.runs["seed"])
    assert (times["seconds"] > 0).all()
    assert not {"seconds", "n_replayed"} & set(study.runs.columns)


# --- going on


def test_the_same_call_again_makes_nothing_and_changes_no_byte(tmp_path, quiet, monkeypatch):
    grow(scenario(), tmp_path, executor="serial")
    monkeypatch.setattr("agentmicro.study.engines.work", lambda *_: pytest.fail("a run was made again"))
    grow(scenario(), tmp_path, executor="serial")
    load(tmp_path, scenario())
    assert tables(tmp_path) == quiet


@pytest.mark.parametrize("first", [{"seeds": 2}, {"vary": {"size": (10,)}}, {"claims": (), "intervene": {}}])
def test_an_amended_study_is_the_one_that_was_asked_for_at_once(tmp_path, quiet, monkeypatch, first):
    monkeypatch.setattr(compaction, "MOMENTS", 40)
    before = grow(scenario(**first), tmp_path, executor="serial")
    study = grow(scenario(), tmp_path, executor="serial")
    assert len(study.runs) > len(before.runs)
    fresh = tmp_path / "fresh"
    grow(scenario(), fresh, executor="serial")
    assert tables(tmp_path) == tables(fresh)
    monkeypatch.undo()
    assert {name: quiet[name] for name in ("runs.parquet", "uses.csv")} == {
        name: tables(tmp_path)[name] for name in ("runs.parquet", "uses.csv")
    }


def test_runs_that_are_asked_for_no_more_are_kept_behind_the_others(tmp_path):
    grow(scenario(), tmp_path, executor="serial")
    study = grow(scenario(vary={"size": (10, 50)}, seeds=2), tmp_path, executor="serial")
    assert study.runs.groupby("cell").size().max() == 6
    gone = set(study.runs["cell"]) - set(study.uses["cell"])
    assert gone == set() or min(gone) > study.uses["cell"].max()
    assert len(grow(scenario(), tmp_path, executor="serial").runs) > len(study.stage("grow"))


def test_runs_without_tables_become_tables_when_the_study_is_loaded(tmp_path, quiet, monkeypatch):
    uncompacted(tmp_path, monkeypatch)
    assert not (tmp_path / "runs.parquet").exists()
    assert len(load(tmp_path, scenario()).runs) == RUNS
    assert tables(tmp_path) == quiet
    assert list((tmp_path / "parts").iterdir()) == []


# --- kills


@pytest.mark.parametrize("after", range(1, 11))
def test_a_kill_while_the_tables_change_places_loses_and_doubles_nothing(tmp_path, quiet, monkeypatch, after):
    """Every step on the way (each rename and each removal) is the last one once."""
    uncompacted(tmp_path, monkeypatch)
    steps = iter(range(after))

    def step(name):
        real = getattr(Path, name)

        def stepped(*given, **named):
            if next(steps, None) is None:
                raise KeyboardInterrupt
            return real(*given, **named)

        return stepped

    with monkeypatch.context() as patched:
        for name in ("replace", "unlink"):
            patched.setattr(Path, name, step(name))
        try:
            load(tmp_path, scenario())
        except KeyboardInterrupt:
            pass
        else:
            assert after > 8
    assert len(load(tmp_path, scenario()).runs) == RUNS
    assert tables(tmp_path) == quiet
    assert {path.name for path in tmp_path.iterdir()} == {
        *quiet, *("times.parquet", "study.json", "scenario.toml", "parts", "lock")
    }  # fmt: skip


@pytest.mark.parametrize("torn", [1, 40, -1])
def test_a_torn_line_is_no_run_and_is_made_again(tmp_path, quiet, monkeypatch, torn):
    uncompacted(tmp_path, monkeypatch)
    (part,) = (tmp_path / "parts").iterdir()
    lines = part.read_bytes().splitlines(keepends=True)
    part.write_bytes(b"".join(lines[:-1]) + lines[-1][:torn])
    with Store(tmp_path) as opened:
        made = plan(scenario(), points(scenario()))
        assert sum(job not in opened for job in made.jobs()) == 1
    study = grow(scenario(), tmp_path, executor="serial")
    assert len(study.runs) == RUNS
    assert tables(tmp_path) == quiet


def test_garbage_in_the_middle_of_a_part_is_passed_over(tmp_path, quiet, monkeypatch):
    uncompacted(tmp_path, monkeypatch)
    (part,) = (tmp_path / "parts").iterdir()
    lines = part.read_bytes().splitlines(keepends=True)
    lines[3:5] = [b"\0\0\0\0\n", b'{"cell": 1}\n', b"\xff\xfe\n"]
    part.write_bytes(b"".join(lines))
    grow(scenario(), tmp_path, executor="serial")
    assert tables(tmp_path) == quiet


def test_the_last_line_of_a_run_counts_and_one_whose_worker_died_is_made_again(tmp_path):
    job = Job("a", 1)
    with Store(tmp_path) as opened:
        opened.keep([failed(job, store.DIED), failed(Job("a", 2), "ValueError: no", "Traceback ...")])
        assert job not in opened
        assert Job("a", 2) in opened
    with Store(tmp_path) as opened:
        assert (job in opened, Job("a", 2) in opened, opened.seeds("a")) == (False, True, [1, 2])
        opened.keep([failed(job, "ValueError: yes")])
        assert job in opened
        assert opened.line(*opened.place("a", 1))["error"] == "ValueError: yes"
    told = [json.loads(line) for line in (tmp_path / "errors.jsonl").read_text().splitlines()]
    assert [item["error"] for item in told] == ["worker died", "ValueError: no", "ValueError: yes"]
    assert told[1]["traceback"] == "Traceback ..."


# --- what is refused


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        ({"micro": {"agents": 9}}, "[micro] agents: 6 in the folder, 9 now"),
        ({"micro": {"turns": "random"}}, '[micro] turns: "simultaneous" in the folder, "random" now'),
    ],
)
def test_another_microspecification_is_refused_with_what_differs_and_nothing_is_written(tmp_path, changed, line):
    grow(scenario(), tmp_path, executor="serial")
    before = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    with pytest.raises(Changed, match="holds a study of another microspecification") as caught:
        grow(scenario(**changed), tmp_path, executor="serial")
    assert caught.value.differences == (line,)
    assert {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before


def test_another_code_or_length_or_mind_is_refused_too():
    now = manifest(scenario(), scenario(), {}, ())
    other = {**now, "turns": 9, "code": {"version": "0.0.1", "phenomenon": "x", "kernel": now["code"]["kernel"]}}
    other |= {"minds": {"reader": {"model": "a/b"}}, "phenomenon": "voter"}
    assert differences(other, now) == [
        'phenomenon: "voter" in the folder, "plots" now',
        "[grow] turns: 9 in the folder, 5 now",
        '[minds.reader] model: "a/b" in the folder, not there now',
        f'version: "0.0.1" in the folder, "{now["code"]["version"]}" now',
        "code of the phenomenon has changed",
    ]
    assert differences(now, now) == []


def test_a_folder_that_is_not_ours_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(SpecError, match="not empty, and no study of agentmicro; expected a new or an empty folder"):
        grow(scenario(), tmp_path)
    with pytest.raises(SpecError, match="expected a folder, and this is a file"):
        grow(scenario(), tmp_path / "thesis.tex")
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
    with pytest.raises(SpecError, match="there is no study; `agentmicro study SCENARIO --out"):
        load(tmp_path / "none")


@pytest.mark.parametrize("text", ["{", "[]", '{"phenomenon": "x"}', "\0"])
def test_a_manifest_that_is_none_is_refused(tmp_path, text):
    (tmp_path / "study.json").write_text(text)
    with pytest.raises(SpecError, match=r"study\.json"):
        look(tmp_path)


def test_what_a_kill_left_before_there_was_a_manifest_is_no_obstacle(tmp_path):
    (tmp_path / "lock").write_text("1")
    (tmp_path / "record.sqlite-wal").touch()
    assert look(tmp_path) is None
    assert len(grow(scenario(claims=()), tmp_path, executor="serial").runs) == 28


def test_a_scenario_that_is_in_no_file_must_be_given_to_load(tmp_path):
    grow(scenario(), tmp_path, executor="serial")
    with pytest.raises(SpecError, match=r"made by hand and is in no file; expected load\(folder, scenario\)"):
        load(tmp_path)


def test_a_measure_with_the_name_of_a_column_is_refused(monkeypatch):
    monkeypatch.setattr(compaction, "names", lambda cls: ("level", "error"))
    with pytest.raises(SpecError, match="measure 'error' has the name of a column of every study"):
        compaction._runs_schema(Plots)


def test_two_writers_keep_out_of_each_others_way(tmp_path):
    hold = (
        "import sys, time; from pathlib import Path; from agentmicro.study.store import Store\n"
        "with Store(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", hold, str(tmp_path)], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(SpecError, match=rf"process {other.pid} is at work on this study"):
            grow(scenario(), tmp_path, executor="serial")
        other.kill()
        other.wait()
    assert len(grow(scenario(), tmp_path, executor="serial").runs) == RUNS  # the lock went with its process
    with Store(tmp_path), pytest.raises(SpecError, match=f"process {os.getpid()}"):
        Store(tmp_path)


def test_a_line_carries_every_digit(tmp_path):
    series = np.array([[0.1, np.nan, 1e-300, -0.0] * 6])[:, : len(names(Plots))]
    line = {"series": base64.b64encode(series.tobytes()).decode()}
    found = numbers(Plots, line)
    assert found.tobytes() == series.tobytes()
