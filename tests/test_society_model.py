"""The society as a Mesa model: who sits where, what the constructor takes, and the handles on its rows."""

import mesa
import numpy as np
import pytest
from lab import Flaky, Lab, run

from agentmicro.errors import KnobError, MindError, SpecError
from agentmicro.phenomena.voter import Voter
from agentmicro.society import Member, seed_of

# --- seats


@pytest.mark.parametrize("place", ["hubs", "leaves"])
def test_hubs_are_the_hubs(place):
    made = Lab(agents=60, graph="scale_free", minds=f"stubborn:7@{place}, mover", rng=3)
    degrees = np.array([made.graph.degree(node) for node in range(60)])
    placed, others = degrees[made.seats == 0], degrees[made.seats == 1]
    assert placed.size == 7
    assert (placed.min() >= others.max()) if place == "hubs" else (placed.max() <= others.min())


def test_hubs_are_those_with_most_readers_not_those_that_hear_most():
    made = Lab(agents=9, graph="star(directed=1)", minds="stubborn:1@hubs, mover", rng=3)
    assert np.flatnonzero(made.seats == 0).tolist() == [0]


def test_places_by_row_and_at_the_ends():
    assert Lab(minds="stubborn:2@5+1, mover", rng=1).seats.tolist() == [1, 0, 1, 1, 1, 0, 1, 1]
    assert Lab(minds="mover, stubborn:3@last", rng=1).seats.tolist() == [0] * 5 + [1] * 3
    assert Lab(minds="stubborn:1@first, mover", rng=1).seats.tolist() == [0] + [1] * 7


def test_random_places_are_drawn_by_the_seed_and_evenly():
    seats = np.array([Lab(minds="stubborn:2, mover", rng=seed).seats for seed in range(400)])
    assert (np.sum(seats == 0, axis=1) == 2).all()
    assert abs(np.sum(seats == 0, axis=0) - 100).max() < 4.5 * np.sqrt(75)
    assert seats[7].tolist() == Lab(minds="stubborn:2, mover", rng=7).seats.tolist()


def test_every_agent_decides_with_its_own_mind():
    made = run(3, minds="stubborn:3@first, mover")
    start = Lab(rng=1).acts.own
    assert made.acts.own[:3].tolist() == start[:3].tolist()
    assert (made.acts.own[3:] != start[3:]).all()
    assert {(entry["agent"] < 3, entry["mind"]) for entry in made.trace} == {(True, "stubborn"), (False, "mover")}


def test_zealots_begin_with_the_act_they_are_given():
    made = Lab(minds="stubborn(act=0.25):2@first, stubborn(act=1):1@last, mover", rng=1)
    assert made.acts.own[[0, 1, 7]].tolist() == [0.25, 0.25, 1.0]
    assert made.acts.own[2:7].tolist() == Lab(rng=1).acts.own[2:7].tolist()
    clocked = Lab(minds="stubborn(act=0.25):2@first, mover", turns="clocks", latency=2, rng=1)
    assert clocked.expose(np.array([0])).heard(0)[0].content == 0.25
    with pytest.raises(MindError, match=r"^stubborn: act = '7': .*7"):
        Lab(minds="stubborn(act=7)", rng=1)


# --- the constructor and its seed


@pytest.mark.parametrize("rng", [7, np.int64(7), "7", 7.0])
def test_a_whole_number_is_the_seed_however_it_is_written(rng):
    assert seed_of(rng) == 7


def test_other_kinds_of_seed_are_reduced_to_a_number_reproducibly():
    for make in (lambda: np.random.default_rng(3), lambda: np.random.SeedSequence(3), lambda: [1, 2]):
        assert seed_of(make()) == seed_of(make())
        assert run(2, rng=make()).acts.own.tolist() == run(2, rng=make()).acts.own.tolist()
    assert len({seed_of(None) for _ in range(20)}) == 20
    assert len({seed_of(np.random.SeedSequence(k)) for k in range(20)}) == 20


@pytest.mark.parametrize("rng", ["seven", 7.5, float("nan"), -1, {}, object()])
def test_what_is_no_seed_is_refused(rng):
    with pytest.raises(SpecError, match=r"^rng = .*: expected a whole number from 0, such as 7$"):
        Lab(rng=rng)


def test_a_seed_fixes_the_run_and_another_changes_it():
    assert list(run(rng=4).trace) == list(run(rng=4).trace)
    assert list(run(rng=4).trace) != list(run(rng=5).trace)


def test_a_wrong_call_is_refused_before_anything_is_built():
    for knobs, sentence in (
        ({"agents": 0}, "agents = 0: expected a whole number from 1"),
        ({"agnets": 3}, "agnets: Lab has no such knob; did you mean 'agents'"),
        ({"graph": "rong"}, "graph = 'rong': there is no topology 'rong'"),
        ({"minds": "mofer"}, "minds = 'mofer': no mind 'mofer'; did you mean 'mover'"),
        ({"turns": "all"}, "turns = 'all': expected one of simultaneous"),
    ):
        with pytest.raises(SpecError, match=f"^{sentence}"):
            Lab(**knobs)
    with pytest.raises(KnobError, match=r"^agents = 0"):
        Lab(0)


def test_knobs_are_kept_as_they_were_resolved():
    made = Lab(5, "star", loss=0, rng=1)
    assert (made.knobs["agents"], made.knobs["graph"], made.knobs["loss"]) == (5, "star", 0.0)
    assert "rng" not in made.knobs
    assert Lab(minds=Flaky([0] * 8), rng=1).knobs["minds"] == "flaky"


# --- handles


def test_members_are_handles_on_their_rows():
    made = Lab(rng=1)
    assert [member.row for member in made.members] == list(range(8))
    assert [member.own for member in made.members] == made.acts.own.tolist()
    assert all(isinstance(member, Member) for member in made.agents)
    before = made.acts.own.copy()
    made.members[3].step()
    assert np.flatnonzero(made.acts.own != before).tolist() == [3]
    assert made.decisions.tolist() == [0, 0, 0, 1, 0, 0, 0, 0]


def test_the_network_has_every_member_in_its_cell_and_follows_the_graph():
    made = Lab(graph="star", rng=1)
    assert [cell.coordinate for cell in made.network.all_cells] == list(range(8))
    assert all(member.cell.coordinate == member.node for member in made.members)
    assert {other.row for other in made.members[0].cell.neighborhood.agents} == set(range(1, 8))
    made.change(graph="ring")
    assert {other.coordinate for other in made.network[0].connections.values()} == {1, 7}
    assert [len(list(cell.agents)) for cell in made.network.all_cells] == [1] * 8


def test_mesa_can_shuffle_collect_and_sweep():
    made = Lab(rng=1, turns="random")
    made.agents.shuffle_do("step")
    assert made.decisions.tolist() == [1] * 8
    assert len(made.agents.get("own")) == 8
    rows = mesa.batch_run(Lab, {"latency": [0, 1]}, rng=[1, 2], max_steps=2, display_progress=False)
    assert {row["n_decisions"] for row in rows} == {16}


class Guarded(Voter):
    """A voter among whom one zealot is always seated by the phenomenon itself."""

    def cast(self, minds):
        return f"stubborn(act=1):1@2, {minds}"


def test_members_that_a_phenomenon_seats_itself_stay_when_the_minds_of_the_others_change():
    model = Guarded(agents=6, rng=1)
    names = [[model.minds[seat].name for seat in model.seats]]
    model.change(mind="majority")
    names.append([model.minds[seat].name for seat in model.seats])
    assert [found[2] for found in names] == ["stubborn", "stubborn"]
    assert [set(found[:2] + found[3:]) for found in names] == [{"voter"}, {"majority"}]
    assert model.knobs["mind"] == "majority"
