"""Societies are Mesa models: batch runs, data frames, agent sets, cells and Mesa's own pages work on them unchanged."""

import copy
import pickle

import mesa
import networkx as nx
import numpy as np
import pandas as pd
import pytest

from agentmicro.phenomena.channels import Channels
from agentmicro.phenomena.herding import Herding
from agentmicro.phenomena.voter import Voter
from agentmicro.society import LEDGER, Member


@pytest.fixture(scope="module")
def issue():
    """The rows of the sweep of the issue, by one process and by two."""
    sweep = {"signal": ["hidden", "organic"], "agents": 50}
    return [
        mesa.batch_run(Herding, sweep, rng=[1, 2, 3], max_steps=5, number_processes=number, display_progress=False)
        for number in (1, 2)
    ]


def test_a_batch_run_gives_one_row_per_run(issue):
    one, _ = issue
    assert len(one) == 2 * 3
    assert {(row["signal"], row["rng"]) for row in one} == {(s, r) for s in ("hidden", "organic") for r in (1, 2, 3)}
    assert all(row["Step"] == 5 and row["n_decisions"] == 250 and row["failure_rate"] == 0 for row in one)


def test_two_processes_give_the_rows_of_one(issue):
    one, two = (pd.DataFrame(rows).sort_values("RunId").reset_index(drop=True) for rows in issue)
    pd.testing.assert_frame_equal(one, two)


def test_a_batch_run_gives_what_a_run_by_hand_gives(issue):
    model = Herding(signal="organic", agents=50, rng=2)
    for _ in range(5):
        model.step()
    row = next(row for row in issue[0] if row["signal"] == "organic" and row["rng"] == 2)
    for name, value in model.datacollector.get_model_vars_dataframe().iloc[-1].items():
        assert row[name] == value or (np.isnan(row[name]) and np.isnan(value)), name


@pytest.mark.parametrize("cls", [Voter, Channels, Herding])
def test_the_data_frame_has_a_row_for_the_start_and_one_per_turn(cls):
    model = cls(agents=12, rng=1)
    for _ in range(4):
        model.step()
    frame = model.datacollector.get_model_vars_dataframe()
    assert list(frame.columns) == [*model.measures, *LEDGER]
    assert list(frame["n_decisions"]) == [0, 12, 24, 36, 48]
    assert all(frame.dtypes.map(pd.api.types.is_numeric_dtype))


def test_agents_are_handles_on_the_rows_of_the_table():
    model = Channels(agents=12, rng=1)
    assert [agent.row for agent in model.members] == list(range(12))
    assert model.agents.get("own") == [model.affordance.decode(act) for act in model.acts.own]
    assert len(model.agents.select(lambda agent: agent.own == "A")) == int((model.acts.own == 0).sum())
    assert all(isinstance(agent, Member) for agent in model.agents)


def test_agents_taken_by_agent_reporters_make_a_frame():
    model = Voter(agents=12, rng=1)
    model.datacollector = mesa.DataCollector(agent_reporters={"own": "own"})
    model.step()
    frame = model.datacollector.get_agent_vars_dataframe()
    assert list(frame["own"]) == list(model.acts.own)


def test_the_network_holds_every_member_in_the_cell_of_its_node():
    model = Channels(agents=12, graph="small_world(k=4, p=0.2)", rng=1)
    assert nx.utils.graphs_equal(nx.Graph(model.network.G), nx.Graph(model.graph))
    for member in model.members:
        assert member.cell is model.network[member.node]
        assert list(member.cell.agents) == [member]
    row = model.members[3]
    assert {near.coordinate for near in row.cell.neighborhood} == set(model.graph.neighbors(row.node))


def test_the_network_follows_a_change_of_the_graph():
    model = Voter(agents=12, graph="ring", rng=1)
    assert model.network.G.number_of_edges() == 12
    model.change(graph="complete")
    assert model.network.G.number_of_edges() == 66
    assert all(member.cell is model.network[member.node] for member in model.members)
    assert all(len(cell.agents) == 1 for cell in model.network.all_cells)


def test_a_model_with_a_network_is_copied_whole():
    model = Voter(agents=12, rng=1)
    assert model.network is not None
    for other in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        assert all(member.cell is other.network[member.node] for member in other.members)
        assert all(member.model is other for member in other.members)


def test_building_the_network_changes_no_luck():
    plain, celled = Voter(agents=12, rng=1), Voter(agents=12, rng=1)
    assert celled.network is not None
    for model in (plain, celled):
        model.step()
    assert (plain.acts.own == celled.acts.own).all()


def test_run_for_and_scheduled_events_go_with_turns():
    model = Voter(agents=12, rng=1)
    seen = []

    def look():
        seen.append(model.n_decisions)

    model.schedule_event(look, at=2.5)
    model.run_for(4)
    assert seen == [24]
    assert model.n_decisions == 48
