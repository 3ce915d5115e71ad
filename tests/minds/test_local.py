"""The classical algorithms against what they compute, written out the plain way on networkx graphs."""

from itertools import pairwise

import networkx as nx
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from agentmicro.minds.local import AGREE, COLOUR, COVER, ELECT, MATCH, Heard, Known
from agentmicro.noise import Luck

PLANS = {"elect": ELECT, "agree": AGREE, "colour": COLOUR, "cover": COVER, "match": MATCH}
graphs = st.builds(
    lambda n, p, seed: nx.gnp_random_graph(n, p, seed=seed),
    st.integers(1, 14),
    st.sampled_from([0.1, 0.3, 0.7]),
    st.integers(0, 10_000),
)


class Room:
    """Agents that follow one plan in synchronous rounds, as their notes stand."""

    def __init__(self, plan, graph, seed, checks=(), notices=True):
        self.plan, self.graph, self.seed = plan, graph, seed
        rng = np.random.default_rng(seed)
        self.number = 1 + rng.permutation(len(graph))
        self.value = rng.integers(0, 2, len(graph))
        order = rng.permutation(graph.number_of_edges())
        self.lot = {frozenset(edge): place for edge, place in zip(graph.edges, order, strict=True)}
        self.near = [tuple(sorted(graph[i], key=lambda j, i=i: self.lot[frozenset((i, j))])) for i in graph]
        self.checks = np.isin(range(len(graph)), list(checks))
        self.notices = np.full(len(graph), notices)
        self.time = 0
        self.notes = plan.first(self.known)

    @property
    def known(self):
        luck = Luck(self.seed, "test", self.time, np.arange(len(self.graph)))()
        groups = 1 + max(degree for _, degree in self.graph.degree)
        rows = np.arange(len(self.graph))
        return Known(rows, self.number, self.value, self.near, groups, self.checks, self.notices, luck)

    def heard(self, lies=None):
        """All notes as neighbours hear them; `lies` gives the notes that some agents tell instead of theirs."""
        pairs = [(reader, author) for reader in self.graph for author in sorted(self.graph[reader])]
        told = [(lies or {}).get(author, tuple(self.notes[author])) for _, author in pairs]
        rows, authors = np.array(pairs, np.int64).reshape(-1, 2).T
        return Heard(rows, authors, np.array(told, np.int64).reshape(-1, 3))

    def round(self, lies=None):
        self.time += 1
        self.notes = self.plan.step(self.known, self.notes, self.heard(lies))

    def run(self, rounds):
        for _ in range(rounds):
            self.round()
        return self

    @property
    def meant(self):
        return self.plan.means(self.notes, np.arange(len(self.graph)), self.number)


@settings(deadline=None, max_examples=80)
@given(graphs, st.integers(0, 99), st.integers(0, 6))
def test_after_so_many_rounds_an_agent_knows_the_lowest_number_so_many_steps_around(graph, seed, rounds):
    room = Room(AGREE, graph, seed).run(rounds)
    for agent in graph:
        around = nx.single_source_shortest_path_length(graph, agent, cutoff=rounds)
        best = min(around, key=lambda other: room.number[other])
        assert room.notes[agent].tolist() == [room.number[best], around[best], room.value[best]]


@settings(deadline=None, max_examples=80)
@given(graphs, st.integers(0, 99), st.sets(st.integers(0, 13)))
def test_who_checks_wants_the_owner_or_two_neighbours(graph, seed, checks):
    room = Room(ELECT, graph, seed, checks)
    lowest = {agent: int(room.number[agent]) for agent in graph}
    for _ in range(5):
        before = dict(lowest)
        for agent in graph:
            for number in sorted(set(before.values())):
                voices = [other for other in graph[agent] if before[other] == number]
                own = any(room.number[other] == number for other in voices)
                enough = voices and (agent not in checks or own or len(voices) > 1)
                if enough and number < lowest[agent]:
                    lowest[agent] = number
        room.round()
        assert room.notes[:, 0].tolist() == [lowest[agent] for agent in graph]


def test_a_false_claim_needs_two_mouths_where_agents_check():
    graph = nx.complete_graph(6)
    for liars, fooled in (({0}, False), ({0, 1}, True)):
        room = Room(ELECT, graph, 1, checks=graph)
        for _ in range(4):
            room.round(dict.fromkeys(liars, (0, 1, 0)))
        honest = [agent for agent in graph if agent not in liars]
        assert (room.notes[honest, 0] == 0).all() == fooled
        assert (room.notes[honest, 0] == 0).any() == fooled


def test_of_two_values_for_the_lowest_number_the_one_with_more_voices_is_taken():
    room = Room(AGREE, nx.star_graph(3), 2)
    room.round({1: (0, 1, 1), 2: (0, 1, 0), 3: (0, 1, 1)})
    assert room.notes[0].tolist() == [0, 2, 1]


@settings(deadline=None, max_examples=80)
@given(graphs, st.integers(0, 99))
def test_colours_settle_in_a_proper_colouring_and_stay(graph, seed):
    room = Room(COLOUR, graph, seed).run(40)
    assert all(room.meant[a] != room.meant[b] for a, b in graph.edges)
    assert room.meant.min() >= 0
    assert room.meant.max() <= max(degree for _, degree in graph.degree)
    assert (room.notes[:, 1] == 1).all()
    before = room.notes.copy()
    assert (room.run(3).notes == before).all()


@settings(deadline=None, max_examples=80)
@given(graphs, st.integers(0, 99))
def test_who_moves_takes_a_group_that_no_neighbour_was_in(graph, seed):
    room = Room(COLOUR, graph, seed)
    for _ in range(5):
        before = room.notes.copy()
        room.round()
        for agent in np.flatnonzero(room.notes[:, 0] != before[:, 0]).tolist():
            assert room.notes[agent, 0] not in {before[other, 0] for other in graph[agent]}
            assert any(before[other, 0] == before[agent, 0] for other in graph[agent])


@settings(deadline=None, max_examples=60)
@given(graphs, st.integers(0, 99))
def test_clashes_that_nobody_notices_stay(graph, seed):
    room = Room(COLOUR, graph, seed, notices=False)
    first = room.notes[:, 0].copy()
    assert (room.run(5).notes[:, 0] == first).all()


def test_groups_are_drawn_alike():
    graph = nx.star_graph(4)
    moved = np.zeros(6)
    for seed in range(2_000):
        room = Room(COLOUR, graph, seed)
        room.notes[:] = [[3, 0, 9], [3, 1, 1], [3, 1, 2], [5, 1, 3], [5, 1, 4]]
        room.round()
        moved[room.notes[0, 0]] += 1
    assert moved[[0, 3, 5]].sum() == 0
    assert np.abs(moved[[1, 2, 4]] - 2_000 / 3).max() < 4.5 * np.sqrt(2_000 * 2 / 9)


def test_who_has_settled_stays_before_a_lower_number_and_of_two_settled_the_lower_stays():
    for settled, moves in (([1, 0], [False, True]), ([0, 1], [True, False]), ([1, 1], [False, True])):
        room = Room(COLOUR, nx.path_graph(2), 1)
        room.notes[:] = [[1, settled[0], 5], [1, settled[1], 6]]
        assert ((room.plan.step(room.known, room.notes, room.heard())[:, 0] != 1) == moves).all()


IN, OUT, OPEN = 2, 1, 0


@pytest.mark.parametrize(
    ("mine", "others", "notices", "then"),
    [
        (OPEN, {}, True, OPEN),  # it has heard nobody, and does not know that it is the lowest
        (OPEN, {1: (OPEN, 9)}, True, OUT),
        (OPEN, {1: (OPEN, 2)}, True, OPEN),
        (OPEN, {1: (IN, 2)}, True, OUT),
        (OPEN, {1: (OUT, 9)}, False, IN),
        (OUT, {1: (OUT, 9)}, True, OUT),
        (OUT, {1: (OUT, 2)}, True, IN),
        (OUT, {1: (OUT, 2)}, False, OUT),
        (IN, {1: (IN, 2), 2: (OUT, 9)}, True, IN),
        (IN, {1: (IN, 2), 2: (IN, 9)}, True, OPEN),  # nobody that it hears needs it
        (IN, {1: (IN, 2), 2: (IN, 9)}, False, IN),
        (IN, {1: (IN, 2)}, True, IN),  # and of one it has not heard
    ],
)
def test_what_an_agent_hears_decides_whether_it_is_in_the_cover(mine, others, notices, then):
    room = Room(COVER, nx.star_graph(2), 1, notices=notices)
    room.notes[0] = [mine, 5, 0]
    heard = Heard(
        np.zeros(len(others), np.int64),
        np.array(list(others), np.int64),
        np.array([(*note, 0) for note in others.values()], np.int64).reshape(-1, 3),
    )
    assert room.plan.step(room.known, room.notes, heard)[0, 0] == then


@settings(deadline=None, max_examples=100)
@given(graphs, st.integers(0, 99))
def test_those_out_of_the_cover_are_the_independent_set_in_the_order_of_numbers(graph, seed):
    room = Room(COVER, graph, seed).run(2 * len(graph) + 2)
    independent = set()
    for agent in sorted(graph, key=lambda agent: room.number[agent]):
        if not independent & set(graph[agent]):
            independent.add(agent)
    assert room.meant.tolist() == [int(agent in independent) for agent in graph]


@settings(deadline=None, max_examples=100)
@given(graphs, st.integers(0, 99))
def test_mutual_proposals_make_the_greedy_matching_in_the_order_of_links(graph, seed):
    room = Room(MATCH, graph, seed).run(2 * len(graph) + 2)
    partner = dict.fromkeys(graph, -1)
    for a, b in sorted(graph.edges, key=lambda edge: room.lot[frozenset(edge)]):
        if partner[a] == partner[b] == -1:
            partner[a], partner[b] = b, a
    assert room.meant.tolist() == [partner[agent] for agent in graph]


@settings(deadline=None, max_examples=60)
@given(graphs, st.integers(0, 99))
def test_who_is_paired_is_paired_back(graph, seed):
    room = Room(MATCH, graph, seed)
    for _ in range(8):
        room.round()
        asked, paired, _ = room.notes.T
        for agent in np.flatnonzero(paired).tolist():
            assert graph.has_edge(agent, asked[agent])
            assert asked[asked[agent]] == agent


def test_who_is_left_by_its_partner_asks_again_if_it_notices():
    graph = nx.path_graph(3)
    for notices, asked in ((True, 2), (False, 0)):
        room = Room(MATCH, graph, 1, notices=notices)
        room.notes[:] = [[0, 0, 0], [0, 1, 0], [1, 0, 0]]
        room.round({0: (9, 1, 0)})
        assert room.notes[1, 0] == asked


def test_an_agent_goes_on_asking_whom_it_does_not_hear_and_turns_to_nobody_else_it_does_not_hear():
    room = Room(MATCH, nx.star_graph(3), 3)
    first, _, third = room.near[0]
    unheard = Heard(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros((0, 3), np.int64))
    room.notes = room.plan.step(room.known, room.notes, unheard)
    assert room.notes[0].tolist() == [first, 0, 0]
    gone = Heard(np.array([0, 0]), np.array([first, third]), np.array([[9, 1, 0], [0, 0, 0]]))
    assert MATCH.step(room.known, room.notes, gone)[0].tolist() == [third, 0, 0]
    alone = Heard(np.array([0]), np.array([first]), np.array([[9, 1, 0]]))
    assert MATCH.step(room.known, room.notes, alone)[0].tolist() == [0, 0, 0]


@settings(deadline=None, max_examples=40)
@given(graphs, st.integers(0, 99), st.sampled_from(list(PLANS.values())))
def test_a_step_of_some_is_the_step_of_all(graph, seed, plan):
    """A batch may hold any of the agents: nobody's note depends on who else is in it."""
    room = Room(plan, graph, seed).run(1)
    whole = plan.step(room.known, room.notes, room.heard())
    part = [agent for agent in graph if agent % 2]
    assume(part)
    known, heard = room.known, room.heard()
    some = Known(
        known.rows[part],
        known.number[part],
        known.value[part],
        [known.near[agent] for agent in part],
        known.groups,
        known.checks[part],
        known.notices[part],
        known.luck[part],
    )
    kept = np.isin(heard.row, part)
    fewer = Heard(np.searchsorted(part, heard.row[kept]), heard.author[kept], heard.notes[kept])
    assert (plan.step(some, room.notes[part], fewer) == whole[part]).all()


@pytest.mark.parametrize("name", PLANS)
@given(st.lists(st.integers(0, 999_999_999), min_size=3, max_size=3), st.text(max_size=30))
def test_a_note_is_read_as_it_was_said_and_nothing_else_is(name, note, text):
    plan = PLANS[name]
    places = plan.said.count("{}")
    assert plan.read(plan.say(note)) == (*note[:places], 0, 0, 0)[:3]
    assert plan.read(text) == ()
    assert plan.read(plan.say(note) + " Thanks.") == ()


def test_numbers_too_long_for_a_table_are_not_read():
    assert ELECT.read(ELECT.say((10**9, 1))) == ()
    assert ELECT.read(ELECT.say((10**9 - 1, 1))) == (10**9 - 1, 1, 0)


def test_false_notes_differ_from_the_true_ones():
    assert ELECT.untrue([4, 2, 1], 7, 0, 5) == (0, 1, 0)
    assert [AGREE.untrue([4, 2, 1], 7, place, 5)[2] for place in range(4)] == [0, 1, 0, 1]
    groups = [COLOUR.untrue([group, 0, 9], 7, 0, 5)[0] for group in range(1, 6)]
    assert groups == [2, 3, 4, 5, 1]
    assert [COVER.untrue([state, 9, 0], 7, 0, 5)[0] for state in range(3)] == [0, 2, 1]
    assert MATCH.untrue([4, 1, 0], 7, 0, 5) == (7, 0, 0)


def test_the_sentences_say_which_plan_they_are_of():
    for one, other in pairwise([ELECT, AGREE, COLOUR, COVER, MATCH]):
        assert other.read(one.say((1, 0, 1))) == ()
