import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentmicro.graphs import Links
from agentmicro.graphs.sketch import MARK, circle, levels, sketch

figure = pytest.importorskip("matplotlib.figure")


@given(st.integers(1, 30))
def test_a_circle_has_different_places_at_one_distance_from_its_middle(n):
    places = circle(n)
    assert np.allclose(np.hypot(*places.T), 1)
    assert len(np.unique(places.round(9), axis=0)) == n
    assert places[0] == pytest.approx([0, 1])


@given(st.lists(st.integers(0, 4), min_size=1, max_size=20))
def test_levels_go_from_left_to_right_and_each_is_centred(level):
    places = levels(level)
    assert places[:, 0].tolist() == level
    assert len(np.unique(places, axis=0)) == len(level)
    for one in set(level):
        heights = [height for height, own in zip(places[:, 1], level, strict=True) if own == one]
        assert sum(heights) == pytest.approx(0)
        assert heights == sorted(heights, reverse=True)


def drawn(links, places, **more):
    axes = figure.Figure().subplots()
    values = np.linspace(0, 1, links.n)
    values[-1] = np.nan
    sketch(axes, links, places, values.tolist(), [str(row) for row in range(links.n)], **more)
    return axes


def arrows(axes):
    return [text.arrow_patch for text in axes.texts if getattr(text, "arrow_patch", None)]


def test_a_sketch_has_an_arrow_for_each_link_a_disc_and_a_text_for_each_agent():
    links = Links.from_edges(4, [(0, 1), (1, 2), (0, 2)], directed=True)
    axes = drawn(links, levels([0, 1, 2, 2]), ringed=[1], widths={(1, 2): 4.0})
    assert len(arrows(axes)) == 3
    assert [text.get_text() for text in axes.texts if text.get_text()] == ["0", "1", "2", "3"]
    rims = [disc.get_linewidth()[0] for disc in axes.collections[1::2]]
    assert rims[1] == max(rims) > rims[0]
    assert [patch.get_linewidth() for patch in arrows(axes)] == [0.9, 0.9, 4.0]
    full = [disc.get_facecolor()[0, 3] for disc in axes.collections[1::2]]
    assert full[0] < full[1] < full[2]
    assert MARK == "#D55E00"


def test_links_swerve_round_those_who_stand_in_the_way_and_missing_ones_are_dashed():
    links = Links.from_edges(3, [(0, 2)], directed=True)
    straight, dashed = (arrows(drawn(links, places, dashed=[(0, 1)])) for places in (circle(3), levels([0, 1, 2])))
    assert [patch.get_connectionstyle().rad for patch in straight] == [0, 0]
    assert dashed[0].get_connectionstyle().rad > 0
    assert [patch.get_linestyle() for patch in dashed] == ["solid", "dashed"]
