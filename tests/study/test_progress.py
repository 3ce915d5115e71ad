"""The bar for those who wait: what it tells, and that it keeps quiet where nobody looks."""

import sys

import pytest

from agentmicro.study import progress
from agentmicro.study.progress import Watch
from agentmicro.study.runner import Progressed


def terminal(monkeypatch):
    """Makes stderr a terminal, as it is in the middle of a test."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "150")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(progress, "PATIENCE", 0.0)


def test_it_tells_how_far_how_fast_what_failed_and_what_it_cost(capsys, monkeypatch):
    terminal(monkeypatch)
    with Watch("herding", lambda: 0.5) as watch:
        watch(Progressed(3, 10, 1))
    err = capsys.readouterr().err
    assert "herding" in err
    assert "3/10" in err
    assert "runs a second, 1 failed, 0.5000 USD" in err


def test_what_nobody_knows_is_not_told(capsys, monkeypatch):
    terminal(monkeypatch)
    with Watch("herding", lambda: None) as watch:
        watch(Progressed(3, 10, 0))
    err = capsys.readouterr().err
    assert "runs a second" in err
    assert "USD" not in err
    assert "failed" not in err


@pytest.mark.parametrize("seconds", [0.0, 60.0])
def test_it_is_quiet_in_a_file_and_where_all_is_over_in_a_moment(capsys, monkeypatch, seconds):
    if seconds:
        monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(progress, "PATIENCE", seconds)
    with Watch("herding") as watch:
        watch(Progressed(10, 10, 0))
    assert capsys.readouterr().err == ""
