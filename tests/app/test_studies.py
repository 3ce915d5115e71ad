"""The studies that the page lists: those below its folder, and nothing that a visitor names."""

import json

import pytest

from agentmicro.app import studies


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setenv(studies.ROOT, str(tmp_path / "here"))
    (tmp_path / "here").mkdir()
    return tmp_path / "here"


def study(folder, **about):
    (folder / "parts").mkdir(parents=True)
    (folder / "study.json").write_text(json.dumps({"phenomenon": "herding", **about}))
    return folder


def test_studies_are_listed_the_newest_first(root):
    study(root / "old", started="2026-01-01", finished="2026-01-02", runs=7, ended="complete")
    study(root / "deep" / "new", started="2026-02-01", finished="2026-02-02", runs=9, ended="complete")
    assert [(one.name, one.runs, one.ended) for one in studies.found()] == [
        ("deep/new", 9, "complete"),
        ("old", 7, "complete"),
    ]


def test_one_that_is_being_made_counts_the_runs_there_are(root):
    folder = study(root / "making", started="2026-01-01")
    (folder / "parts" / "1.jsonl").write_text("{}\n{}\n")
    (folder / "parts" / "2.jsonl").write_text("{}\n")
    (one,) = studies.found()
    assert (one.runs, one.ended, one.report) == (3, "being made", False)
    (folder / "report.html").write_text("<p>done</p>")
    assert studies.found()[0].report


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", "\xff", '{"phenomenon"'])
def test_what_is_no_study_is_left_out(root, text):
    (root / "bad").mkdir()
    (root / "bad" / "study.json").write_text(text, "latin-1")
    assert studies.found() == []


def test_nothing_outside_the_folder_is_found(root):
    study(root.parent / "outside")
    assert studies.found() == []
    (root / "link").symlink_to(root.parent / "outside")
    assert studies.found() == []


def test_a_report_that_is_too_large_is_named_and_not_sent(root, monkeypatch):
    folder = study(root / "big")
    (folder / "report.html").write_text("<p>" + "x" * 200)
    assert studies._report(folder).startswith("<p>x")
    monkeypatch.setattr(studies, "LARGEST", 100)
    assert "more than a page can hold" in studies._report(folder)
