"""The figure: the outcome beside its null, labelled, the same bytes for the same run."""

import pytest

from agentmicro.phenomena.voter import Voter
from agentmicro.study import figure
from agentmicro.study.output import Report
from agentmicro.study.run import build, play, run


def drawn(tmp_path, model, turns=4, outcome="share"):
    report = Report(play(model, turns), run(Voter, {"agents": 10, "mind": "stubborn"}, 1, turns), "")
    figure.save(tmp_path, report, model, outcome)
    return (tmp_path / "figure.png").read_bytes(), (tmp_path / "figure.svg").read_bytes()


class Drawing(Voter):
    """A voter that has more to show than a line."""

    def draw(self, axes):
        axes.set(xlabel="what it holds", ylabel="agents")
        axes.hist(self.acts.own)


def test_both_formats_are_written_and_repeat(tmp_path):
    png, svg = drawn(tmp_path, build(Voter, {"agents": 10}, 1))
    assert png.startswith(b"\x89PNG")
    assert b"<svg" in svg
    assert drawn(tmp_path, build(Voter, {"agents": 10}, 1)) == (png, svg)


def test_what_a_phenomenon_draws_becomes_a_second_panel(tmp_path):
    one = drawn(tmp_path, build(Voter, {"agents": 10}, 1))
    two = drawn(tmp_path, build(Drawing, {"agents": 10}, 1))
    assert two[1].count(b'id="axes_') == one[1].count(b'id="axes_') + 1


@pytest.mark.parametrize("outcome", ["settled_at", "failure_rate"])
@pytest.mark.parametrize("turns", [1, 30])
def test_columns_without_numbers_or_without_change_are_drawn_too(tmp_path, outcome, turns):
    assert drawn(tmp_path, build(Voter, {"agents": 10, "mind": "stubborn"}, 1), turns, outcome)[0]


def test_axes_are_labelled_and_lines_are_named(tmp_path):
    from matplotlib.figure import Figure

    report = Report(run(Voter, {"agents": 10}, 1, 4), run(Voter, {"agents": 10, "mind": "stubborn"}, 1, 4), "")
    axes = Figure().subplots()
    figure.over_turns(axes, report, "settled_at", "When it settled; NaN before.")
    figure.over_turns(axes, report, "share", "The share; with a caveat.")
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("time (turns)", "share")
    assert axes.get_title() == "The share"
    assert {text.get_text() for text in axes.texts} >= {"run", "null:\nmind=stubborn"}
