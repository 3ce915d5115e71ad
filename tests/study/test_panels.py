"""Panels: many studies in one figure, the same bytes each time, from studies in memory or in their folders."""

from dataclasses import replace

import pytest
from matplotlib.figure import Figure

from agentmicro.cli import main
from agentmicro.errors import SpecError
from agentmicro.study import panels
from agentmicro.study.growing import grow
from tests.study import whole

SMALL = """
phenomenon = "voter"
[risk]
outcome = "agreement"
claim = "Imitation alone makes consensus."
[micro]
agents = 10
[grow]
seeds = 2
turns = 2
vary = { share = [0.2, 0.4, 0.6], agents = [6, 10] }
"""


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return whole.study(tmp_path_factory.mktemp("whole"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A study that was grown into a folder."""
    here = tmp_path_factory.mktemp("grown")
    (here / "small.toml").write_text(SMALL)
    grow(str(here / "small.toml"), here / "study", executor="serial")
    return here / "study"


@pytest.fixture
def painted(monkeypatch):
    """The figure that is drawn, and not its bytes."""
    kept = []

    def saved(paint, formats, height, width):
        kept.append(Figure(figsize=(width, height), layout="constrained"))
        paint(kept[-1])
        return dict.fromkeys(formats, b"")

    monkeypatch.setattr(panels, "saved", saved)
    return kept


def texts(axes):
    return [text.get_text() for text in axes.texts]


@pytest.mark.parametrize(("kind", "begins"), [("svg", b"<?xml"), ("png", b"\x89PNG"), ("pdf", b"%PDF")])
def test_each_format_is_written_and_repeats(study, tmp_path, kind, begins):
    one = panels.panels([study], tmp_path / f"one.{kind}")
    two = panels.panels([study], tmp_path / "new" / f"two.{kind.upper()}")
    assert one.read_bytes() == two.read_bytes()
    assert one.read_bytes().startswith(begins)


def test_nine_studies_are_three_by_three_and_lettered(study, painted, tmp_path):
    panels.panels([study] * 9, tmp_path / "nine.svg")
    figure = painted[0]
    assert [axes.get_subplotspec().num1 for axes in figure.axes] == list(range(9))
    assert figure.axes[0].get_gridspec().nrows == figure.axes[0].get_gridspec().ncols == 3
    assert [texts(axes)[0] for axes in figure.axes] == [f"{letter}  Channels" for letter in "abcdefghi"]
    assert texts(figure.axes[8])[1].replace("\n", " ") == study.scenario.risk.claim
    assert texts(figure.axes[0])[2:] == ["channels = 3", "channels = 4", "channels = 6", "null"]


def test_places_that_are_left_over_stay_empty(study, painted, tmp_path):
    panels.panels([study] * 5, tmp_path / "five.svg")
    assert len(painted[0].axes) == 5


def test_a_panel_shows_the_outcome_against_the_knobs_that_were_varied(folder, painted, tmp_path):
    panels.panels([folder], tmp_path / "a.svg")
    axes = painted[0].axes[0]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("share", "agreement")
    assert texts(axes)[:2] == ["a  Voter", "Imitation alone makes consensus."]
    assert texts(axes)[2:] == ["agents = 6", "agents = 10", "null"]


def test_other_designs_and_none_have_a_panel_too(study, painted, tmp_path):
    grow = study.scenario.grow
    made = [
        whole.other(study, grow=replace(grow, design="one-factor")),
        whole.other(study, grow=replace(grow, design="sobol")),
        whole.other(study, grow=replace(grow, vary={}), risk=replace(study.scenario.risk, claim="long " * 99)),
    ]
    panels.panels(made, tmp_path / "a.svg")
    single, cloud, none = painted[0].axes
    assert texts(single)[2:] == ["null"]
    assert len(cloud.lines[0].get_xdata()) == 18
    assert texts(none)[2:] == ["no knob was varied"]
    assert texts(none)[1].count("\n") == panels.LINES - 1
    assert texts(none)[1].endswith("…")


def test_what_cannot_be_drawn_is_said_in_a_sentence(study, tmp_path):
    with pytest.raises(SpecError, match=r"a\.jpg: expected a file that ends in one of \.svg, \.png, \.pdf"):
        panels.panels([study], tmp_path / "a.jpg")
    with pytest.raises(SpecError, match="at least one study"):
        panels.panels([], tmp_path / "a.svg")
    with pytest.raises(SpecError, match="there is no study"):
        panels.panels([tmp_path / "nothing"], tmp_path / "a.svg")
    assert not (tmp_path / "a.svg").exists()


def test_one_command_draws_the_panels(folder, tmp_path, capsys):
    assert main(["panels", str(folder), str(folder), "--out", str(tmp_path / "two.png")]) == 0
    assert (tmp_path / "two.png").read_bytes().startswith(b"\x89PNG")
    assert capsys.readouterr().out == f"Drawn to {tmp_path / 'two.png'}.\n"
    assert main(["panels", str(tmp_path), "--out", str(tmp_path / "a.png")]) == 1


def test_letters_go_on_after_z():
    assert panels._letters(28)[-3:] == ["z", "aa", "ab"]
