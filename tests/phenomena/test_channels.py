from typing import Any

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentmicro.phenomena.channels import Channels

SEEDS = range(30)


def settle(length: int = 100, **knobs: Any) -> bool:
    """Whether a group settles within so many turns."""
    model = Channels(**knobs)
    for _ in range(length):
        model.step()
        if model.free_since == model.free_since:
            return True
    return False


def clashes(model: Channels) -> float:
    """The share of links whose two ends use the same channel, by networkx."""
    own = model.acts.own
    return float(np.mean([own[a] == own[b] for a, b in model.graph.edges]))


def test_alike_agents_that_decide_at_once_never_settle_and_taking_turns_cures_it():
    assert [settle(rng=seed, turns="simultaneous") for seed in SEEDS] == [False] * 30
    for turns in ("random", "fixed"):
        assert [settle(rng=seed, turns=turns) for seed in SEEDS] == [True] * 30


def test_unlike_tie_breaking_helps_where_there_is_room():
    alike = [settle(rng=seed, channels=5) for seed in SEEDS]
    unlike = [settle(rng=seed, channels=5, minds="any-free") for seed in SEEDS]
    assert sum(alike) <= 3 < sum(unlike) == 30


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 999), st.integers(2, 5), st.sampled_from(["ring", "star", "random(degree=3.0)", "complete"]))
def test_first_free_by_its_law(seed, channels, graph):
    model = Channels(agents=7, channels=channels, graph=graph, rng=seed)
    before = model.acts.own.tolist()
    expected = []
    for agent in range(7):
        heard = [before[other] for other in model.graph.neighbors(agent)]
        used = [heard.count(channel) for channel in range(channels)]
        expected.append(before[agent] if used[before[agent]] == 0 else used.index(min(used)))
    model.step()
    assert model.acts.own.tolist() == expected


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 999), st.integers(2, 5))
def test_any_free_stays_if_alone_and_else_takes_one_of_the_least_used(seed, channels):
    model = Channels(agents=7, channels=channels, graph="wheel", minds="any-free", rng=seed)
    before = model.acts.own.tolist()
    model.step()
    for agent, after in enumerate(model.acts.own.tolist()):
        heard = [before[other] for other in model.graph.neighbors(agent)]
        used = [heard.count(channel) for channel in range(channels)]
        assert after == before[agent] if used[before[agent]] == 0 else used[after] == min(used)


def test_any_free_draws_the_tied_channels_alike():
    counts = np.zeros(4)
    for seed in range(40):
        model = Channels(agents=60, channels=4, graph="ring", minds="any-free", rng=seed)
        model.acts.write(model.acts.rows, np.zeros(60, np.int8), 0.0)
        model.step()
        counts += np.bincount(model.acts.own, minlength=4)
    assert counts[0] == 0
    assert np.abs(counts[1:] - 800).max() < 4.5 * np.sqrt(800)


@pytest.mark.parametrize("turns", ["simultaneous", "random"])
def test_what_is_measured_is_what_networkx_counts(turns):
    model = Channels(agents=30, graph="small_world", turns=turns, minds="any-free", rng=4)
    since = 0.0 if clashes(model) == 0 else np.nan
    for turn in range(1, 40):
        model.step()
        since = (turn if np.isnan(since) else since) if clashes(model) == 0 else np.nan
        row = model.datacollector.get_model_vars_dataframe().iloc[-1]
        assert row["conflicts"] == pytest.approx(clashes(model))
        assert row["settled"] == float(clashes(model) == 0)
        assert repr(float(row["settled_at"])) == repr(float(since))


def test_a_group_that_cannot_clash_is_settled_from_the_start():
    model = Channels(agents=5, graph="empty", rng=1)
    assert model.datacollector.get_model_vars_dataframe()["conflicts"].tolist() == [0.0]
    assert model.free_since == 0.0
    model.step()
    row = model.datacollector.get_model_vars_dataframe().iloc[-1]
    assert (row["settled"], row["settled_at"]) == (1.0, 0.0)


def test_the_hidden_stay_where_they_are():
    model = Channels(agents=12, visibility="hidden", rng=1)
    before = model.acts.own.tolist()
    model.step()
    assert model.acts.own.tolist() == before


def test_once_settled_alike_agents_stay_settled_when_taking_turns():
    model = Channels(agents=20, turns="random", rng=2)
    for _ in range(60):
        model.step()
    settled = model.acts.own.tolist()
    assert all(settled[a] != settled[b] for a, b in nx.cycle_graph(20).edges)
    model.step()
    assert model.acts.own.tolist() == settled
