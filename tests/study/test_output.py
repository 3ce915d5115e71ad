"""Result files: all of them or none, and they say what ran."""

import csv
import json
from datetime import UTC, datetime

import pytest

from agentmicro.errors import SpecError
from agentmicro.phenomena.voter import Voter
from agentmicro.study import output
from agentmicro.study.output import Report, folder, write
from agentmicro.study.run import plain, run


@pytest.fixture(scope="module")
def report():
    knobs = {"agents": 10}
    made, null = (run(Voter, {**knobs, **more}, 1, 4) for more in ({}, {"mind": "stubborn"}))
    return Report(made, null, "All is well.", ("agentmicro", "run", "voter"), "voter", "abc")


def rows(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def test_the_manifest_says_what_ran(tmp_path, report):
    with folder(tmp_path / "a" / "b") as into:
        write(into, report, datetime.now(UTC))
    found = json.loads((tmp_path / "a" / "b" / "manifest.json").read_text())
    assert set(found["versions"]) == {"python", "agentmicro", "mesa", "numpy", "networkx", "scipy"}
    assert (found["command"], found["scenario_sha256"]) == (["agentmicro", "run", "voter"], "abc")
    assert found["knobs"] == report.run.knobs
    assert found["minds"] == {"voter": 10}
    assert found["started"] <= found["finished"]


def test_tables_hold_the_run_beside_its_null(tmp_path, report):
    with folder(tmp_path / "out") as into:
        write(into, report, datetime.now(UTC))
    (one,) = rows(tmp_path / "out" / "run.csv")
    assert (one["knob_share"], float(one["share"])) == ("0.5", report.run.measures["share"])
    assert float(one["null_share"]) == report.null.measures["share"]
    turns = rows(tmp_path / "out" / "turns.csv")
    assert [int(row["time"]) for row in turns] == [0, 1, 2, 3, 4]
    assert [float(row["share"]) for row in turns] == report.run.series["share"]
    assert turns[0]["settled_at"] == ""


def test_nothing_is_left_behind_when_something_goes_wrong(tmp_path, report):
    def fail():
        with folder(tmp_path / "out") as into:
            write(into, report, datetime.now(UTC))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_an_earlier_run_is_replaced_and_other_files_stay(tmp_path, report):
    with folder(tmp_path) as into:
        write(into, report, datetime.now(UTC))
        (into / "figure.png").write_text("old")
    (tmp_path / "notes.txt").write_text("mine")
    with folder(tmp_path) as into:
        write(into, report, datetime.now(UTC))
    assert {path.name for path in tmp_path.iterdir()} == {"manifest.json", "run.csv", "turns.csv", "notes.txt"}


def test_what_is_not_ours_is_not_touched(tmp_path):
    (tmp_path / "manifest.json").write_text('{"name": "something else"}')
    with pytest.raises(SpecError, match="not empty, and no earlier run"), folder(tmp_path):
        pass
    (tmp_path / "file").write_text("")
    with pytest.raises(SpecError, match="expected a folder, and this is a file"), folder(tmp_path / "file"):
        pass


def test_what_is_no_number_is_null_in_json():
    assert plain({"a": [float("nan"), float("-inf"), 1.0], 2: ("x", None, True)}) == {
        "a": [None, None, 1.0],
        "2": ["x", None, True],
    }


def test_a_run_and_its_null_share_their_seed(report):
    with pytest.raises(SpecError, match="the same seed"):
        Report(report.run, run(Voter, {"agents": 10}, 2, 4), "")


def test_outside_of_a_checkout_there_is_no_commit(tmp_path, monkeypatch):
    monkeypatch.setattr(output, "__file__", str(tmp_path / "agentmicro" / "study" / "output.py"))
    assert output.commit() is None


def test_a_folder_that_holds_a_record_only_is_one_to_go_on_in(tmp_path, report):
    for end in ("", "-wal", "-shm", ".traffic"):
        (tmp_path / f"record.sqlite{end}").write_text("kept")
    with folder(tmp_path) as into:
        write(into, report, datetime.now(UTC))
    assert (tmp_path / "record.sqlite").read_text() == "kept"
    assert (tmp_path / "manifest.json").exists()


def test_the_ledger_is_in_the_manifest_and_an_unknown_cost_is_null(tmp_path):
    made = run(Voter, {"agents": 10, "mind": "scripted:chance"}, 1, 2)
    with folder(tmp_path / "out") as into:
        write(into, Report(made, made, ""), datetime.now(UTC))
    found = json.loads((tmp_path / "out" / "manifest.json").read_text())["ledger"]
    assert (found["calls"], found["cost_usd"], found["served"]) == (20, None, ["scripted:chance"])
    (row,) = rows(tmp_path / "out" / "run.csv")
    assert (row["n_calls"], row["cost_usd"]) == ("20", "")
