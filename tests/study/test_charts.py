"""Charts: what is drawn are the numbers of the tables, named so that they can be read, whatever was left out."""

import itertools
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from matplotlib.figure import Figure

from agentmicro.study import canvas, charts, curves, forest, maps
from agentmicro.study.spec import Attack
from agentmicro.study.text import marked, told
from tests.study import whole

FINITE = st.floats(-100, 100, allow_nan=False)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return whole.study(tmp_path_factory.mktemp("whole"), tokens=500)


@pytest.fixture(scope="module")
def tables(study):
    found = whole.tables(study)
    return found | {"dose": curves.by_knob(found["dose"], study.scenario.grow.vary)}


@pytest.fixture
def painted(monkeypatch):
    """Charts give the figures themselves, by name, with their captions."""

    def drawn(name, caption, paint, height=3.0, width=canvas.WIDTH):
        import matplotlib

        with matplotlib.rc_context(canvas.LOOK):
            figure = Figure(figsize=(width, height), layout="constrained")
            paint(figure)
        return name, caption, figure

    for module in (charts, forest, maps):
        monkeypatch.setattr(module, "drawn", drawn)


def texts(axes):
    return [text.get_text() for text in axes.texts]


def lines(axes):
    """Every line with more than one point, as a list of (x, y)."""
    found = [np.column_stack(line.get_data()).astype(float).tolist() for line in axes.lines]
    return [line for line in found if len(line) > 1]


# --- labels


@given(st.lists(FINITE, min_size=1, max_size=12), st.floats(0, 20))
@example([0.0, 0.0, 0.0], 1.0)
def test_names_are_moved_apart_in_their_order_and_no_more_than_needed(places, gap):
    moved = canvas.spread(places, gap)
    order = sorted(range(len(places)), key=lambda index: places[index])
    for one, other in itertools.pairwise(order):
        assert moved[other] - moved[one] >= gap - 1e-9
    assert sum(moved) == pytest.approx(sum(places), abs=1e-6)
    if all(abs(one - other) > gap for one, other in itertools.combinations(places, 2)):
        assert moved == pytest.approx(places)


@given(st.lists(st.integers(), unique=True), st.integers(2, 9))
def test_thinning_keeps_both_ends_and_the_order(items, most):
    kept = curves.thinned(items, most)
    assert len(kept) == min(len(items), most)
    assert kept == [item for item in items if item in kept]
    assert kept[:1] == items[:1]
    assert kept[-1:] == items[-1:]


@given(st.text(max_size=60))
def test_every_text_can_be_drawn(text):
    shown = canvas.clean(text, 20)
    assert len(shown) <= 20
    assert shown.isprintable()


def test_a_formula_is_drawn_word_by_word_and_without_a_warning():
    def paint(figure):
        axes = figure.subplots()
        axes.set_title(canvas.clean("$\\frac{1$ \U0001f600 漢字 \x00"))
        canvas.plain_numbers(axes.xaxis)

    plate = canvas.drawn("a", "caption", paint)
    assert plate.png.startswith(b"\x89PNG")
    assert "$\\frac{1$ \U0001f600 □□" in plate.svg


def test_an_inline_drawing_has_names_of_its_own_and_no_comments():
    plate = canvas.drawn("mine", "", lambda figure: figure.subplots().set_title("<script>"))
    assert plate.inline.startswith("<svg")
    assert "<!--" not in plate.inline
    assert "metadata" not in plate.inline
    assert 'id="mine-figure_1"' in plate.inline
    assert "var(--k333333, #333333)" in plate.inline


@given(st.text())
def test_what_is_told_has_no_letter_that_cannot_be_seen_and_an_end(text):
    shown = told(text, 10)
    assert len(shown) <= 10 + len(f" … ({len(text):,} letters)")
    assert all(letter.isprintable() or letter in "\n\u2028\u2029" or letter.isspace() for letter in shown)
    shown.encode()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a_b * c", "a\\_b \\* c"),
        ("[x](y)", "\\[x\\](y)"),
        ("- no list\nnor this", "\\- no list nor this"),
        ("1. no list", "1\\. no list"),
        ("1.5 is a number", "1.5 is a number"),
        ("<b> & |", "&lt;b&gt; &amp; \\|"),
    ],
)
def test_markdown_shows_a_text_as_it_is(text, shown):
    assert marked(text) == shown


# --- dose and response


def dose(rows, columns=("knob_x", "knob_line")):
    frame = pd.DataFrame(rows, columns=[*columns, "mean"])
    return frame.assign(measure="m", n=5, low=frame["mean"] - 1, high=frame["mean"] + 1)


def test_curves_are_the_numbers_of_the_table():
    table = dose([(2, "b", 20.0), (1, "b", 10.0), (1, "a", 1.0), (2, "a", np.nan)])
    found = curves.curves(table, "m", "x", "line")
    assert [name for name, _ in found.lines] == ["b", "a"]
    assert [[(p.x, p.mean, p.low, p.high) for p in points] for _, points in found.lines] == [
        [(1, 10, 9, 11), (2, 20, 19, 21)],
        [(1, 1, 0, 2)],
    ]
    assert (found.names, found.n, found.ordered) == ((), (5, 5), False)


def test_words_on_the_axis_stand_in_their_order_and_numbers_order_the_lines():
    table = dose([("ring", 9, 1.0), ("ring", 2, 2.0), ("star", 9, 3.0), ("star", 2, 4.0)])
    found = curves.curves(table, "m", "x", "line")
    assert (found.names, found.ordered, found.xs) == (("ring", "star"), True, [0, 1])
    assert [name for name, _ in found.lines] == ["2", "9"]
    axes = Figure().subplots()
    curves.draw(axes, found)
    assert [label.get_text() for label in axes.get_xticklabels()] == ["ring", "star"]


def test_other_knobs_are_held_and_true_is_no_number():
    table = dose([(1, True, 1.0), (1, False, 2.0), (2, True, 3.0), (2, False, 4.0)])
    held = curves.curves(table, "m", "x", "", {"line": False})
    assert [point.mean for point in held.lines[0][1]] == [2, 4]
    assert curves.curves(table, "m", "line", "", {"x": 1}).names == ("True", "False")
    assert curves.curves(table, "other", "x") is None


@pytest.mark.parametrize(
    ("values", "logarithmic"), [((1, 2, 48), True), ((1, 2, 3), False), ((0, 2, 48), False), ((1, 1000), False)]
)
def test_an_axis_is_logarithmic_where_values_span_much(values, logarithmic):
    found = curves.curves(dose([(value, 0, 1.0) for value in values]), "m", "x")
    assert found.logarithmic == logarithmic
    axes = Figure().subplots()
    curves.draw(axes, found)
    assert (axes.get_xscale() == "log") == logarithmic
    assert axes.get_ylim()[0] == 0


def test_many_lines_are_thinned_and_no_two_share_a_colour():
    found = curves.curves(dose([(x, line, 1.0 * line) for x in (1, 2) for line in range(20)]), "m", "x", "line")
    assert (len(found.lines), found.every) == (curves.MOST, 20)
    assert len(set(curves.colours(found))) == curves.MOST


def test_the_dose_chart_draws_every_line_and_the_null(study, tables, painted):
    (name, caption, figure), (other, _, _) = charts.doses(study, tables["dose"])
    axes = figure.axes[0]
    expected = tables["dose"].query("measure == 'conflicts' and knob_channels == 4").sort_values("knob_loss")
    assert expected[["knob_loss", "mean"]].to_numpy().tolist() in lines(axes)
    assert texts(axes) == ["channels = 3", "channels = 4", "channels = 6", "null"]
    assert (name, other) == ("dose-conflicts", "dose-others")
    assert "(n = 12) with 95% intervals" in caption
    assert "minds=random" in caption
    assert axes.get_xlabel() == "loss: the chance that a reader never gets an act"


@pytest.mark.parametrize(("design", "panels"), [("one-factor", 2), ("sobol", 2), ("latin", 2), ("morris", 2)])
def test_other_designs_have_a_chart_for_each_knob(study, tables, painted, design, panels):
    other = whole.other(study, grow=replace(study.scenario.grow, design=design))
    [(_, caption, figure)] = charts.doses(other, tables["dose"])
    assert len(figure.axes) == panels
    assert {axes.get_xlabel() for axes in figure.axes} == {"loss", "channels"}
    assert ("Sampled design" in caption) == (design != "one-factor")


def test_a_study_that_varied_nothing_or_measured_nothing_has_no_dose_chart(study, tables):
    assert charts.doses(whole.other(study, grow=replace(study.scenario.grow, vary={})), tables["dose"]) == []
    assert charts.doses(study, tables["dose"].assign(mean=np.nan)) == []
    assert charts.doses(study, tables["dose"].head(0)) == []


def test_a_knob_that_is_called_like_a_column_is_told_from_it():
    table = pd.DataFrame({"knob_n": [1, 2], "x": [3, 4], "n": [5, 5]})
    assert list(curves.by_knob(table, ("n", "x"))) == ["knob_n", "knob_x", "n"]


# --- thresholds


def test_a_threshold_is_drawn_with_its_band_its_level_and_every_run(study, tables, painted):
    [(name, caption, figure)] = charts.thresholds(study, tables["thresholds"], tables["dose"])
    row = tables["thresholds"].iloc[0]
    axes = figure.axes[0]
    band = axes.patches[0].get_extents().transformed(axes.transData.inverted())
    assert (band.x0, band.x1) == pytest.approx((row["low"], row["high"]))
    drawn = lines(axes)
    assert [[row["estimate"], 0], [row["estimate"], 1]] in drawn
    assert [[0, 0.5], [1, 0.5]] in drawn
    runs = study.runs[study.runs["cell"].isin(study.stage("grow")["cell"]) & (study.runs["knob_channels"] == 3)]
    assert sorted(runs[["knob_loss", "conflicts"]].to_numpy(float).tolist()) in [sorted(line) for line in drawn]
    assert name == "threshold-1-loss"
    assert "by the logistic fit" in caption
    assert "Held: channels=3" in caption


def test_refused_thresholds_are_not_drawn(study, tables):
    refused = tables["thresholds"].iloc[1:]
    assert charts.thresholds(study, refused, tables["dose"]) == []
    assert charts.thresholds(study, tables["thresholds"], None) == []


# --- over the turns


def test_the_band_over_the_turns_holds_the_middle_of_the_runs(study, painted):
    [(_, caption, figure)] = charts.trajectories(study)
    turns = study.turns([study.reference("base")])
    axes = figure.axes[0]
    middle = turns.groupby("time")["conflicts"].median()
    assert np.column_stack([middle.index, middle]).tolist() in lines(axes)
    assert texts(axes) == ["null", "as it is"]
    wide = turns.pivot(index="time", columns="seed", values="conflicts").to_numpy()
    low, high = np.quantile(wide[0], [0.05, 0.95])
    starts = [path.vertices[path.vertices[:, 0] == 0][:, 1] for one in axes.collections for path in one.get_paths()]
    assert any((start.min(), start.max()) == pytest.approx((low, high)) for start in starts)
    assert "(n = 12)" in caption


def test_every_arm_is_drawn_over_the_turns_with_when_it_sets_in(study, painted):
    [(_, caption, figure)] = charts.arms_over_turns(study)
    assert texts(figure.axes[0]) == ["as it is", *(canvas.clean(name, 26) for name in study.scenario.intervene)]
    assert [[10, 0], [10, 1]] in lines(figure.axes[0])
    assert "at 10." in caption


def test_nothing_is_drawn_over_turns_that_were_not_kept(study, tmp_path):
    for folder in (None, tmp_path):
        bare = replace(study, folder=folder)
        assert charts.trajectories(bare) == charts.arms_over_turns(bare) == []


def test_an_outcome_that_is_yes_or_no_is_drawn_as_a_share(study, painted, tmp_path):
    turns = study.turns().assign(conflicts=lambda frame: (frame["conflicts"] > 0.5).astype(float))
    turns.to_parquet(tmp_path / "turns.parquet")
    [(_, caption, figure)] = charts.trajectories(replace(study, folder=tmp_path))
    share = turns[turns["cell"] == study.reference("base")].groupby("time")["conflicts"].mean()
    assert np.column_stack([share.index, share]).tolist() in lines(figure.axes[0])
    assert "Share of the runs" in caption


# --- forests


def test_a_forest_names_every_knob_its_change_and_its_verdict(study, tables, painted):
    (name, caption, figure), _ = forest.effects(study, tables["effects"])
    axes = figure.axes[0]
    mine = tables["effects"][tables["effects"]["measure"] == "conflicts"]
    labels = {label.get_text() for label in axes.get_yticklabels()}
    assert {"turns: simultaneous → random", "channels: 3 → 4", "turn structure", "affordances"} <= labels
    assert len(labels) == len(mine) + mine["group"].nunique()
    points = {float(line.get_xdata()[0]) for line in axes.lines if len(line.get_xdata()) == 1}
    assert points == set(mine["effect"])
    said = texts(axes)
    assert sum(text.startswith("undecided, ") for text in said) == (mine["verdict"] == "undecided").sum()
    assert said.count("relevant") == (mine["verdict"] == "relevant").sum()
    band = axes.patches[0].get_extents().transformed(axes.transData.inverted())
    assert (band.x0, band.x1) == pytest.approx((-0.03, 0.03))
    assert name == "effects-conflicts"
    assert "±0.03" in caption


def test_a_forest_of_many_rows_draws_the_largest_and_says_so(study, tables, painted):
    one = tables["effects"][tables["effects"]["measure"] == "conflicts"]
    many = pd.concat([one.assign(effect=one["effect"] + shift) for shift in range(9)], ignore_index=True)
    [(_, caption, figure)] = forest.effects(study, many)
    assert len([line for line in figure.axes[0].lines if len(line.get_xdata()) == 1]) == forest.ROWS
    assert f"The {forest.ROWS} largest of {len(many)} are drawn." in caption


def test_effects_that_nobody_could_measure_are_not_drawn(study, tables):
    assert forest.effects(study, tables["effects"].assign(effect=np.nan)) == []


def test_arms_are_drawn_against_what_they_cost(study, tables, painted):
    [(_, caption, figure)] = forest.arms(study, tables["arms"], tables["side_effects"])
    above, below = figure.axes
    rows = tables["arms"].sort_values("reduction", ascending=False)
    assert [label.get_text() for label in above.get_yticklabels()] == [
        f"{row.arm} (from 10)" if row.at == 10 else row.arm for row in rows.itertuples()
    ]
    assert set(texts(below)) == set(rows["arm"])
    points = {(line.get_xdata()[0], line.get_ydata()[0]) for line in below.lines if len(line.get_xdata()) == 1}
    assert points == set(zip(rows["cost_usd"], rows["reduction"], strict=True))
    assert "cost (USD a run)" in caption


def test_arms_that_cost_the_same_are_drawn_against_what_else_they_change(study, tables, painted):
    free = tables["arms"].assign(tokens=0.0, cost_usd=0.0)
    [(_, caption, figure)] = forest.arms(study, free, tables["side_effects"])
    moved = tables["side_effects"].query("p_holm <= 0.05").groupby("arm").size()
    below = figure.axes[1]
    assert {line.get_xdata()[0] for line in below.lines if len(line.get_xdata()) == 1} >= set(moved)
    assert "other measures changed" in caption
    [(_, alone, one)] = forest.arms(study, free, None)
    assert len(one.axes) == 1
    assert "Below" not in alone
    assert forest.arms(study, free.assign(reduction=np.nan), None) == []


def test_sensitivity_is_drawn_by_the_indices_there_are(study, tables, painted):
    [(_, _, figure)] = forest.sensitivity(study, tables["sensitivity"])
    points = {line.get_xdata()[0] for line in figure.axes[0].lines if len(line.get_xdata()) == 1}
    assert points == {*tables["sensitivity"]["S1"], *tables["sensitivity"]["ST"]}
    assert texts(figure.axes[0]) == ["with interactions", "alone"]
    morris = pd.DataFrame({"knob": ["a", "b"], "mu_star": [1.0, 2.0], "method": "morris"})
    [(_, caption, figure)] = forest.sensitivity(study, morris)
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["b", "a"]
    assert "Morris" in caption
    assert forest.sensitivity(study, pd.DataFrame({"knob": ["a"]})) == []


# --- the attack


def test_the_attack_is_drawn_on_the_graph_and_against_centrality(study, tables, painted):
    [(_, caption, figure)] = maps.attacks(study, tables["attacks"])
    graph, beside = figure.axes[:2]
    assert len(graph.collections[-1].get_offsets()) == 24
    assert graph.collections[0].get_segments()
    effects = sorted(float(line.get_ydata()[0]) for line in beside.lines if len(line.get_xdata()) == 1)
    assert effects == pytest.approx(sorted(tables["attacks"]["effect"]))
    assert beside.get_xlabel() == "degree"
    assert "Rank correlation of the effect with degree" in caption
    assert "hollow" not in caption
    [(_, caption, _)] = maps.attacks(study, tables["attacks"].head(5))
    assert "hollow" in caption


def test_more_risk_is_red_whichever_end_is_bad(study, painted):
    table = pd.DataFrame({"place": [0, 1, 2], "effect": [1.0, -1.0, 0.0], "low": [0.5, -2, -1], "high": [2, -0.5, 1.0]})
    table = table.assign(n=3, degree=np.nan, betweenness=np.nan, closeness=np.nan, pagerank=np.nan)
    slots = whole.other(study, attack=Attack("slot", "place"))
    shades = {}
    for worse in ("high", "low"):
        other = whole.other(slots, risk=replace(study.scenario.risk, worse=worse))
        [(_, _, figure)] = maps.attacks(other, table)
        dots = [line for line in figure.axes[0].lines if len(line.get_xdata()) == 1]
        shades[worse] = [line.get_color() for line in dots]
    assert shades["high"] == [canvas.VERMILION, canvas.BLUE, canvas.NULL]
    assert shades["low"] == [canvas.BLUE, canvas.VERMILION, canvas.NULL]


def test_without_a_graph_the_attack_is_drawn_over_the_agents(study, tables, painted):
    alone = whole.other(study, micro={**study.scenario.micro, "graph": "complete"})
    [(_, caption, figure)] = maps.attacks(alone, tables["attacks"])
    assert [axes.get_xlabel() for axes in figure.axes] == ["agent"]
    assert "No graph tells these agents apart." in caption
    assert maps.attacks(whole.other(study, attack=None), tables["attacks"]) == []
    assert maps.attacks(study, tables["attacks"].assign(effect=np.nan)) == []


@given(st.lists(st.integers(0, 5), min_size=1, max_size=20))
def test_places_that_fall_together_are_set_apart_around_where_they_are(places):
    assume(len(set(places)) > 1)
    moved = maps._beside([float(place) for place in places])
    assert len(set(moved)) == len(moved)
    for place in set(places):
        assert np.mean([x for x, at in zip(moved, places, strict=True) if at == place]) == pytest.approx(place)


@pytest.mark.parametrize(
    ("xs", "logarithmic", "kept"),
    [
        ([0.0, 0.02, 0.05, 0.1, 0.3], False, [0.0, 0.05, 0.1, 0.3]),
        ([0.3, 0.8, 0.9, 0.95], False, [0.3, 0.8, 0.95]),
        ([0.3, 0.6, 0.63, 0.95], False, [0.3, 0.6, 0.95]),
        ([1, 10, 11, 100], True, [1, 10, 100]),
        ([5], False, [5]),
    ],
)
def test_names_under_an_axis_never_run_into_each_other(xs, logarithmic, kept):
    from agentmicro.study.curves import apart

    assert apart(xs, logarithmic) == kept
