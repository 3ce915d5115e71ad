"""Frames: what is drawn of a model is what is there, thinned for the eye where it is too much."""

from math import inf, nan

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentmicro.app.snapshot import LINKS, TRACED, Camera, drawn, flights, thinned, traced
from agentmicro.phenomena.channels import Channels
from agentmicro.phenomena.herding import Herding
from agentmicro.phenomena.voter import Voter


def test_a_frame_shows_every_agent_link_and_measure():
    model = Voter(agents=30, graph="small_world(k=4, p=0.2)", rng=3)
    for _ in range(4):
        model.step()
    frame = Camera()(model)
    links = {frozenset(pair) for pair in frame.ground.links}
    names = {name: row for row, name in enumerate(frame.ground.names)}
    graph = nx.relabel_nodes(model.links.graph, lambda node: names[str(node)])
    assert links == {frozenset(edge) for edge in graph.to_undirected().edges}
    assert (len(frame.ground.points), len(frame.acts.codes), frame.time) == (30, 30, 4)
    assert all(-1.001 <= place <= 1.001 for point in frame.ground.points for place in point)
    table = model.datacollector.get_model_vars_dataframe()
    for name, values in frame.series.items():
        np.testing.assert_array_equal(values, table[name].to_numpy(float))
    degrees = [graph.degree[row] for row in range(30)]
    assert frame.ground.sizes == pytest.approx([degree / max(degrees) for degree in degrees])
    assert set(frame.series) == set(model.measures)
    assert frame.ledger["n_decisions"] == 30 * 4


def test_a_frame_does_not_change_when_the_model_goes_on():
    model = traced(Voter(agents=30, rng=1))
    model.step()
    frame = Camera()(model)
    kept = list(frame.acts.codes), {name: list(values) for name, values in frame.series.items()}
    for _ in range(3):
        model.step()
    assert (frame.acts.codes, dict(frame.series)) == kept


def test_the_ground_is_shared_until_the_graph_is_another():
    model, camera = Channels(agents=12, graph="ring", rng=1), Camera()
    first = camera(model).ground
    model.step()
    assert camera(model).ground is first
    model.change(graph="complete")
    model.step()
    second = camera(model).ground
    assert (second.key, len(second.links)) == (first.key + 1, 12 * 11 // 2)


def test_too_many_links_are_drawn_in_part_and_the_rest_is_counted():
    model = Voter(agents=2_000, graph="small_world(k=20, p=0.1)", rng=1)
    links, hidden = drawn(model)
    assert (len(links), hidden) == (LINKS, model.links.graph.to_undirected().number_of_edges() - LINKS)
    assert len({frozenset(pair) for pair in links}) == LINKS
    crowd = Voter(agents=2_000, graph="complete", rng=1)
    assert drawn(crowd) == ([], 2_000 * 1_999 // 2)


def test_only_small_runs_write_every_decision_down():
    assert traced(Voter(agents=40, rng=1)).trace is not None
    assert traced(Voter(agents=TRACED + 1, graph="ring", rng=1)).trace is None


def test_messages_are_on_their_way_for_as_long_as_they_take():
    model = Channels(agents=10, graph="ring", latency=2, rng=1)
    for _ in range(4):
        model.step()
    found = flights(model)
    assert found
    neighbours = {(one, other) for one in range(10) for other in ((one - 1) % 10, (one + 1) % 10)}
    assert {(author, reader) for author, reader, _ in found} <= neighbours
    ages = {author: model.time - model.acts.times[author] for author, _, _ in found}
    assert all(age < 3 for age in ages.values())
    assert all(far == pytest.approx(min(1, (ages[author] + 0.5) / 3)) for author, _, far in found)
    for quiet in ({"latency": 0}, {"latency": 2, "visibility": "hidden"}, {"latency": 2, "graph": "complete"}):
        still = Channels(**{"agents": 10, "graph": "ring", **quiet}, rng=1)
        still.step()
        assert flights(still) == []


def test_who_hears_nobody_has_a_place_of_its_own():
    ground = Camera()(Herding(agents=50, rng=1)).ground
    assert len(set(ground.points)) == 50
    assert ground.links == []


@given(st.lists(st.floats(-5, 5) | st.just(nan) | st.just(inf), max_size=400), st.integers(2, 50))
def test_a_thinned_line_keeps_its_ends_up_and_down(values, points):
    found = thinned(values, points)
    assert all(found[place][0] < found[place + 1][0] for place in range(len(found) - 1))
    assert len(found) <= max(points, 2)
    if len(values) <= points:
        assert [place for place, _ in found] == list(range(len(values)))
        return
    finite = [value for value in values if np.isfinite(value)]
    kept = [value for _, value in found]
    assert (max(kept, default=None), min(kept, default=None)) == (
        max(finite, default=None),
        min(finite, default=None),
    )
    assert all(values[place] == value for place, value in found)
