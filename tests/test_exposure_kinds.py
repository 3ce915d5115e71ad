"""Exposure of every kind of act: messages to some, documents with private and blank parts, several picks, weights."""

from typing import Any, ClassVar

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentmicro.affordances import Artifact, Choice, Message, Number, Picks
from agentmicro.architecture import Architecture
from agentmicro.errors import RuleError, SpecError
from agentmicro.graphs import Links
from agentmicro.meetings import NOBODY
from agentmicro.society import Society
from agentmicro.world import Notice

LETTERS = tuple("ABC")


def small(
    affordance: Any, values: Any, rule: Any = None, *, society: type = Society, sources: Any = None, **plan: Any
) -> Any:
    """A society whose agents open with some values, on a graph given as links, networkx or text."""
    graph, traits = plan.pop("graph", "complete"), plan.pop("traits", None)
    turns = plan.pop("turns", "random")

    class Small(society):
        rules: ClassVar = {"rule": rule} if rule else {}

        def __init__(self, minds: str = "rule" if rule else "stubborn", rng: int = 1) -> None:
            super().__init__(
                affordance,
                agents=len(values),
                minds=minds,
                graph=graph,
                architecture=Architecture(turns=turns, **plan),
                sources=sources,
                traits=traits,
                rng=rng,
            )
            self.begin(affordance.encode_many(values))

    return Small()


def seen_by_all(society: Any) -> Any:
    return society.expose(society.acts.rows)


# --- messages to some


@st.composite
def letters(draw):
    n = draw(st.integers(2, 6))
    agent = st.integers(0, n - 1)
    edges = draw(st.lists(st.tuples(agent, agent), max_size=20))
    texts = st.dictionaries(agent, st.text("xyz", max_size=3), max_size=n)
    return n, edges, draw(st.booleans()), draw(st.lists(st.one_of(st.none(), texts), min_size=n, max_size=n))


@settings(deadline=None)
@given(letters(), st.sampled_from(["full", "anonymous", "hidden"]))
def test_a_message_reaches_exactly_those_it_names_and_who_can_hear_its_author(case, visibility):
    n, edges, directed, values = case
    links = Links.from_edges(n, edges, directed)
    society = small(Message(addressed=True), values, graph=links, communication="addressed", visibility=visibility)
    seen = seen_by_all(society)
    for reader in range(n):
        authors = links.authors[links.starts[reader] : links.starts[reader + 1]].tolist()
        expected = [(values[a][reader], str(a)) for a in authors if values[a] is not None and reader in values[a]]
        heard = [(item.content, item.author) for item in seen.heard(reader)]
        if visibility == "full":
            assert heard == expected
        elif visibility == "anonymous":
            assert sorted(heard) == sorted((text, None) for text, _ in expected)
        else:
            assert heard == []
        assert seen.total()[reader] == len(heard)


def test_a_message_in_a_document_reaches_those_it_names_and_nobody_reads_the_letters_of_others():
    kind = Artifact({"note": Message(addressed=True), "vote": Choice(LETTERS)})
    values = [{"note": {1: "to one"}, "vote": "A"}, {"note": {}, "vote": "B"}, {"note": {0: "x", 1: "y"}, "vote": "C"}]
    seen = seen_by_all(small(kind, values, communication="addressed"))
    assert [[item.content for item in seen.heard(reader)] for reader in range(3)] == [
        [{"note": "x", "vote": "C"}],
        [{"note": "to one", "vote": "A"}, {"note": "y", "vote": "C"}],
        [],
    ]


def test_addressed_needs_a_message_that_can_name_somebody():
    with pytest.raises(
        SpecError, match=r"^communication = 'addressed': expected a Message\(addressed=True\) .* not a number"
    ):
        small(Number(0, 1), [0, 1], communication="addressed")


# --- documents

FORM = Artifact(
    {"vote": Choice(LETTERS), "bid": Number(0, 10), "secret": Choice(LETTERS), "tags": Picks(LETTERS, most=2)},
    private=("secret",),
)


def form(vote, bid, secret, *tags):
    return {"vote": vote, "bid": bid, "secret": secret, "tags": tags}


FORMS = [form("A", 1, "C", "A"), form("B", 4, "C"), None, form("B", 7, "A", "B", "C")]


def test_private_parts_are_shown_to_nobody_by_any_door():
    society = small(FORM, FORMS)
    for rows in (society.acts.rows, np.array([0, 2])):
        seen = society.expose(rows)
        for index in range(len(seen)):
            assert all("secret" not in item.content for item in seen.heard(index))
        assert (seen.flat.act["secret"] == -1).all()
        assert (seen.any()["secret"] == -1).all()
        for ask in (seen.counts, seen.mean):
            with pytest.raises(RuleError, match=r"^part 'secret' is private: nobody hears it from others$"):
                ask("secret")
    assert society.acts.own["secret"].tolist() == [2, 2, -1, 0]
    assert society.members[0].own == {"vote": "A", "bid": 1.0, "secret": "C", "tags": ("A",)}


def test_each_part_has_its_own_counts_and_mean():
    seen = seen_by_all(small(FORM, FORMS))
    assert seen.total().tolist() == [2, 2, 3, 2]
    assert seen.counts("vote").tolist() == [[0, 2, 0], [1, 1, 0], [1, 2, 0], [1, 1, 0]]
    assert seen.counts("tags").tolist() == [[0, 1, 1], [1, 1, 1], [1, 1, 1], [1, 0, 0]]
    assert seen.mean("bid").tolist() == [5.5, 4.0, 4.0, 2.5]


@pytest.mark.parametrize("graph", ["complete", "star"])
@pytest.mark.parametrize("turns", ["random", "simultaneous"])
def test_a_part_left_blank_is_not_heard_and_the_others_are(graph, turns):
    class Stages(Society):
        def asking(self):
            return "vote" if self._turn % 2 else "bid"

    def answer(seen):
        blank = seen.asked.blank(len(seen))
        if seen.part == "vote":
            return np.where(seen.rows > 0, 1, blank)
        return blank

    society = small(FORM, [None] * 4, answer, society=Stages, graph=graph, turns=turns)
    society.step()
    society.step()
    seen = society.expose(np.array([3]))
    voters = [1, 2] if graph == "complete" else []
    assert [(item.content, item.author) for item in seen.heard(0)] == [({"vote": "B"}, str(v)) for v in voters]
    assert society.expose(np.array([0])).heard(0) == [({"vote": "B"}, 1, str(v), 1.0) for v in (1, 2, 3)]
    everyone = seen_by_all(society)
    assert everyone.counts("vote")[:, 1].tolist() == ([3, 2, 2, 2] if graph == "complete" else [3, 0, 0, 0])
    assert np.isnan(everyone.mean("bid")).all()
    assert everyone.one(1).own == {"vote": "B"}
    assert society.members[0].own is None
    assert society.members[2].own == {"vote": "B"}


def test_a_document_of_which_only_the_private_part_is_there_is_not_heard():
    class Secret(Society):
        def asking(self):
            return "secret"

    society = small(FORM, [None] * 3, lambda seen: np.zeros(len(seen), np.int8), society=Secret)
    society.step()
    seen = seen_by_all(society)
    assert [seen.heard(reader) for reader in range(3)] == [[], [], []]
    assert seen.total().tolist() == [0, 0, 0]
    assert FORM.public.is_blank(seen.any()).all()


def test_what_has_no_parts_or_no_options_says_so():
    seen = seen_by_all(small(Number(0, 1), [0, 1]))
    with pytest.raises(RuleError, match=r"^part 'x': the act is a Number and has no parts$"):
        seen.mean("x")
    with pytest.raises(RuleError, match=r"needs a Choice or Picks, and the act is a Number$"):
        seen.counts()


# --- several picks


@settings(deadline=None)
@given(
    st.lists(st.one_of(st.none(), st.lists(st.sampled_from(LETTERS), max_size=2, unique=True)), min_size=1, max_size=6)
)
def test_picks_are_counted_one_by_one_and_picking_nothing_is_an_act(values):
    values = [None if value is None else tuple(value) for value in values]
    society = small(Picks(LETTERS, most=2), values)
    for rows in (society.acts.rows, np.arange(len(values))[::-1]):
        seen = society.expose(rows)
        for index, reader in enumerate(rows.tolist()):
            others = [value for row, value in enumerate(values) if row != reader and value is not None]
            assert seen.counts()[index].tolist() == [sum(letter in value for value in others) for letter in LETTERS]
            assert seen.total()[index] == len(others)
            assert [item.content for item in seen.heard(index)] == others


# --- weights


@st.composite
def weighted(draw):
    n = draw(st.integers(2, 6))
    pairs = st.tuples(st.integers(0, n - 1), st.integers(0, n - 1))
    edges = draw(st.lists(pairs.filter(lambda pair: pair[0] < pair[1]), unique=True, min_size=1, max_size=10))
    weights = draw(st.lists(st.floats(0.1, 10), min_size=len(edges), max_size=len(edges)))
    values = draw(st.lists(st.one_of(st.none(), st.integers(0, 9)), min_size=n, max_size=n))
    return n, edges, weights, draw(st.booleans()), values


@settings(deadline=None)
@given(weighted())
def test_the_mean_weighs_what_is_heard_by_the_graph(case):
    n, edges, weights, directed, values = case
    society = small(Number(0, 9), values, graph=Links.from_edges(n, edges, directed, weights=weights))
    graph = nx.DiGraph() if directed else nx.Graph()
    graph.add_nodes_from(range(n))
    graph.add_weighted_edges_from((*edge, weight) for edge, weight in zip(edges, weights, strict=True))
    for rows in (society.acts.rows, np.arange(n)[::-1]):
        seen = society.expose(rows)
        for mean, reader in zip(seen.mean(), rows.tolist(), strict=True):
            authors = [
                a
                for a in (graph.predecessors(reader) if directed else graph.neighbors(reader))
                if values[a] is not None
            ]
            if authors:
                heavy = [graph.edges[a, reader]["weight"] for a in authors]
                assert mean == pytest.approx(np.average([values[a] for a in authors], weights=heavy), rel=1e-12)
            else:
                assert np.isnan(mean)


def test_whoever_is_met_weighs_the_same_whatever_the_graph():
    links = Links.from_edges(4, [(0, 1), (2, 3)], weights=[5.0, 0.5])
    society = small(Number(0, 9), [1, 2, 3, 4], graph=links, communication="pairs")
    partner = society.meeting(0)
    assert seen_by_all(society).mean().tolist() == [society.acts.own[partner[row]] for row in range(4)]


# --- meetings as arrays


def stamp(seen):
    return seen.rows * 10.0 + (seen.time % 10)


def test_met_gives_ones_own_act_and_the_other_s_in_each_meeting():
    society = small(Number(0, 99), [0, 10, 20, 30], stamp, communication="pairs", memory=2)
    for _ in range(3):
        society.step()
    society._advance()
    met = seen_by_all(society).met(9)
    for row in range(4):
        assert met.turn[row, :2].tolist() == [2, 1]
        for column, turn in enumerate((2, 1)):
            partner = int(society.meeting(turn)[row])
            assert met.partner[row, column] == partner
            assert (met.theirs[row, column], met.mine[row, column]) == (partner * 10 + turn, row * 10 + turn)


@pytest.mark.parametrize("plan", [{"visibility": "hidden"}, {"loss": 1.0}])
def test_met_shows_no_more_than_the_architecture_lets_through(plan):
    society = small(Number(0, 99), [0, 10, 20, 30], stamp, communication="pairs", memory=2, **plan)
    society.step()
    society.step()
    met = seen_by_all(society).met(2)
    assert (met.partner == NOBODY).all()
    assert np.isnan(met.theirs).all()
    assert seen_by_all(society).heard(0) == []


def test_met_needs_pairs():
    with pytest.raises(RuleError, match=r"^met\(\) needs communication = 'pairs'$"):
        seen_by_all(small(Number(0, 1), [0, 1])).met(1)


# --- one agent, and the world


def test_names_are_those_of_the_graph():
    graph = nx.Graph([("ann", "bob"), ("bob", "cy")])
    society = small(Number(0, 9), [1, 2, 3], graph=graph)
    seen = seen_by_all(society)
    assert [(item.content, item.author) for item in seen.heard(1)] == [(1.0, "ann"), (3.0, "cy")]
    assert [seen.one(row).name for row in range(3)] == ["ann", "bob", "cy"]
    assert [member.node for member in society.members] == ["ann", "bob", "cy"]


def test_traits_are_private_to_the_row():
    society = small(Number(0, 9), [1, 2, 3], traits={"signal": np.array([0.5, 0.25, 0.75])})
    seen = society.expose(np.array([2, 0]))
    assert seen.trait("signal").tolist() == [0.75, 0.5]
    assert seen.one(0).trait("signal") == 0.75


def test_the_world_is_heard_after_the_others_whatever_is_hidden_of_them():
    for visibility, others in (("full", 2), ("hidden", 0)):
        notice = Notice("price", 7)
        society = small(Number(0, 9), [1, 2, 3], visibility=visibility, sources={"price": notice})
        heard = society.expose(np.array([1])).heard(0)
        assert len(heard) == others + 1
        assert heard[-1] == (7, 1, "price", 0)


@settings(deadline=None)
@given(st.integers(2, 8), st.integers(0, 99))
def test_questions_are_put_in_every_order_and_under_labels_by_keyed_luck(n, seed):
    society = small(Choice(LETTERS), ["A"] * n)
    society.seed = seed
    offers = [seen_by_all(society).one(row).offer for row in range(n)]
    again = [society.expose(np.array([row])).one(0).offer for row in range(n)]
    assert [(offer.order, offer.labelled) for offer in offers] == [(offer.order, offer.labelled) for offer in again]
    assert all(sorted(offer.order) == [0, 1, 2] for offer in offers)


def test_all_orders_of_options_are_put_alike():
    society = small(Choice(LETTERS), ["A"] * 1200)
    seen = seen_by_all(society)
    offers = [seen.one(row).offer for row in range(1200)]
    counts = np.unique([offer.order for offer in offers], axis=0, return_counts=True)[1]
    assert len(counts) == 6
    assert abs(counts - 200).max() < 4.5 * np.sqrt(200)
    assert abs(sum(offer.labelled for offer in offers) - 600) < 4.5 * np.sqrt(300)
