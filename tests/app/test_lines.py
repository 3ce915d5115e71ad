"""Charts: the points stand where the numbers say, and whatever is named in them is escaped."""

import xml.etree.ElementTree as ET
from math import inf, isfinite, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentmicro.app.exports import sheet, table
from agentmicro.app.lines import BOTTOM, HEIGHT, LEFT, NULL, OTHER, RIGHT, RUN, TOP, WIDTH, Line, chart, extent, tick

VALUES = st.lists(st.floats(-1e6, 1e6) | st.just(nan), max_size=60)


def points(svg, kind):
    root = ET.fromstring(svg)
    return [tuple(map(float, pair.split(","))) for line in root.iter("polyline") if line.get("class") == kind
            for pair in line.get("points").split()]  # fmt: skip


def test_a_line_stands_where_its_numbers_say():
    found = points(chart("x", "doc", [Line(RUN, [0.0, 1.0, 0.5])], 4, {}), RUN)
    wide, high = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
    expected = [(LEFT, TOP + high), (LEFT + wide / 4, TOP), (LEFT + wide / 2, TOP + high / 2)]
    assert [value for pair in found for value in pair] == pytest.approx(
        [v for pair in expected for v in pair], abs=0.06
    )


def test_the_run_its_null_and_another_are_told_apart_and_changes_are_marked():
    lines = [Line(NULL, [0.1, 0.2]), Line(OTHER, [0.5, 0.6]), Line(RUN, [0.3, 0.9])]
    svg = chart("x", "doc", lines, 5, {2.0: "latency=1"})
    assert [len(points(svg, kind)) for kind in (NULL, OTHER, RUN)] == [2, 2, 2]
    mark = next(line for line in ET.fromstring(svg).iter("line") if line.get("class") == "mark")
    assert float(mark.get("x1")) == pytest.approx(LEFT + 2 / 5 * (WIDTH - LEFT - RIGHT), abs=0.06)
    assert mark.find("title").text == "latency=1"


def test_what_is_undefined_is_said_and_not_drawn():
    svg = chart("x", "doc", [Line(RUN, [nan, nan])], 3, {})
    assert "undefined so far" in svg
    assert points(svg, RUN) == []


def test_every_text_is_escaped():
    hostile = "<script>alert('1')</script>&\""
    svg = chart(hostile, hostile, [Line(RUN, [1.0, 2.0])], 3, {1.0: hostile})
    assert "<script" not in svg
    assert [title.text for title in ET.fromstring(svg).iter("title")] == [hostile] * 2


@given(VALUES, VALUES, st.integers(1, 80))
def test_no_point_leaves_its_chart(run, null, turns):
    svg = chart("x", "doc", [Line(NULL, null[: turns + 1]), Line(RUN, run[: turns + 1])], turns, {})
    for x, y in (*points(svg, RUN), *points(svg, NULL)):
        assert LEFT - 0.1 <= x <= WIDTH - RIGHT + 0.1
        assert TOP - 0.1 <= y <= HEIGHT - BOTTOM + 0.1


@given(st.lists(st.floats(-1e9, 1e9), max_size=20))
def test_an_axis_holds_its_values_and_starts_at_zero_where_nothing_is_below(values):
    low, high = extent(values)
    assert isfinite(high - low)
    assert low < high
    assert all(low <= value <= high for value in values)
    if values and min(values) >= 0:
        assert low == 0


def test_shares_have_the_whole_axis_and_ticks_the_digits_they_need():
    assert extent([0.2, 0.4]) == (0.0, 1.0)
    assert (tick(0.25, 0.5), tick(12.0, 40.0), tick(123456.0, 1e6), tick(0.0, 0.5)) == ("0.25", "12", "1.23e+05", "0")


def test_a_table_has_every_number_to_the_last_digit():
    found = table({"a": [0.1, 1 / 3, nan], "b": [1.0, 2.0, inf]}, {"a": [0.5]})
    head, *rows = [line.split(",") for line in found.splitlines()]
    assert head == ["turn", "a", "b", "null_a"]
    assert [row[0] for row in rows] == ["0", "1", "2"]
    assert [float(row[1]) for row in rows[:2]] == [0.1, 1 / 3]
    assert (rows[2][1], rows[0][3], rows[1][3]) == ("nan", "0.5", "")


def test_a_sheet_is_one_svg_in_which_no_chart_covers_another():
    svg = sheet([chart(name, "doc", [Line(RUN, [1.0, 2.0])], 3, {}) for name in "abc"])
    root = ET.fromstring(svg)
    inner = root.findall("{http://www.w3.org/2000/svg}svg")
    places = [(float(one.get("x")), float(one.get("y"))) for one in inner]
    assert len(set(places)) == 3
    width, height = float(root.get("width")), float(root.get("height"))
    assert all(x + WIDTH <= width and y + HEIGHT <= height for x, y in places)
    for (x, y), (u, v) in ((one, other) for one in places for other in places if one < other):
        assert abs(x - u) >= WIDTH or abs(y - v) >= HEIGHT
