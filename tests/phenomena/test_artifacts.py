from collections import Counter, defaultdict
from math import ceil, sqrt

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from agentmicro.errors import SpecError
from agentmicro.minds import each
from agentmicro.phenomena.artifacts import LETTERS, Artifacts, table
from agentmicro.trace import Trace

CLEAN = {"fidelity": 1.0, "omission": 0.0}
GRAPHS = ["chain", "ring", "star", "tree", "complete", "random(degree=3.0)", "ring(directed=1)", "scale_free"]
EXCHANGES = ["talk", "handover", "pool"]


def run(length=40, cls=Artifacts, traced=False, **knobs):
    model = cls(**{"rng": 1} | knobs)
    model.trace = Trace() if traced else None
    for _ in range(length):
        model.step()
    return model


def last(model, name):
    return model.datacollector.model_vars[name][-1]


def result(model):
    return table(model.acts.own)[model.last]


def right_after(writings, fidelity, values):
    """How likely an item is right after so many writings: the q-ary symmetric channel, by its transition matrix."""
    wrong = (1 - fidelity) / (values - 1)
    matrix = np.full((values, values), wrong) + np.eye(values) * (fidelity - wrong)
    return float(np.linalg.matrix_power(matrix, writings)[0, 0])


def near(count, trials, chance):
    return abs(count - trials * chance) <= 4.5 * sqrt(trials * chance * (1 - chance)) + 1e-9


# --- closed forms


def right_by_role(runs, **knobs):
    """How many items of each role are right in the result, over runs, and of how many."""
    right, items = 0, knobs["items"]
    for seed in range(runs):
        model = run(rng=seed, **knobs)
        assert model.done == model.done
        right = right + (result(model) == model.truth).reshape(-1, items).sum(axis=1)
    return right, runs * items


@pytest.mark.parametrize("values", [2, 4, 26])
@pytest.mark.parametrize("exchange", EXCHANGES)
def test_errors_grow_with_the_writings_between_who_knows_and_who_hands_in(exchange, values):
    knobs = {"agents": 6, "items": 10, "values": values, "fidelity": 0.8, "omission": 0.0, "exchange": exchange}
    right, trials = right_by_role(40, **knobs)
    for role, count in enumerate(right.tolist()):
        hops = 5 - role
        if exchange != "talk" or hops in (0, 1, 2, 5):  # in between, a role also hears its own words come back
            assert near(count, trials, right_after(1 + (min(1, hops) if exchange == "pool" else hops), 0.8, values))


def test_the_errors_of_a_pool_are_binomial():
    chance = 1 - right_after(2, 0.7, 4)
    found = Counter()
    for seed in range(250):
        model = run(8, rng=seed, agents=4, items=3, values=4, fidelity=0.7, omission=0.0, exchange="pool")
        found[int((result(model) != model.truth)[:9].sum())] += 1
    expected = 250 * stats.binom.pmf(np.arange(10), 9, chance)
    low, high = 2, 7
    cells = [range(low), *([k] for k in range(low, high)), range(high, 10)]
    seen = [sum(found[k] for k in cell) for cell in cells]
    wanted = [sum(expected[k] for k in cell) for cell in cells]
    assert stats.chisquare(seen, wanted).pvalue > 1e-4


@pytest.mark.parametrize("exchange", ["handover", "pool"])
def test_what_is_dropped_from_a_document_is_gone_unless_its_fields_must_be_filled(exchange):
    knobs = {"agents": 5, "items": 10, "fidelity": 1.0, "omission": 0.15, "exchange": exchange}
    right, trials = right_by_role(40, **knobs)
    for role, count in enumerate(right.tolist()):
        writings = 1 + (min(1, 4 - role) if exchange == "pool" else 4 - role)
        assert near(count, trials, 0.85**writings)
    filled, trials = right_by_role(10, typed=True, **knobs)
    assert filled.tolist() == [trials] * 5


@pytest.mark.parametrize("exchange", EXCHANGES)
@pytest.mark.parametrize("faulty", [1, 3])
def test_a_faulty_role_spoils_what_passes_through_its_hands(exchange, faulty):
    knobs = {"agents": 5, "items": 10, "values": 3, "fidelity": 0.9, "omission": 0.0, "exchange": exchange}
    right, trials = right_by_role(40, faulty=faulty, severity=0.6, **knobs)
    for role, count in enumerate(right.tolist()):
        path = {role, 4} if exchange == "pool" else set(range(role, 5))
        chances = [0.9 * (0.4 if one == faulty else 1.0) for one in path]
        together = 1 / 3 + 2 / 3 * np.prod([1 - 3 / 2 * (1 - chance) for chance in chances])
        assert near(count, trials, together)


@pytest.mark.parametrize("wait", [0, 2, 6])
def test_talking_on_and_comparing_is_a_repetition_code(wait):
    """Everybody hears the owner once a turn: the majority of an odd number of copies, written once more."""
    knobs = {"agents": 4, "items": 10, "values": 2, "fidelity": 0.75, "omission": 0.0, "graph": "complete"}
    right, trials = right_by_role(60, memory=-1, wait=wait, **knobs)
    most = stats.binom.sf((wait + 1) // 2, wait + 1, 0.75)
    assert near(right[:3].sum(), 3 * trials, most * 0.75 + (1 - most) * 0.25)
    assert near(right[3], trials, 0.75)


def test_documents_freeze_what_talk_repairs():
    knobs = {"agents": 4, "items": 10, "values": 2, "fidelity": 0.75, "omission": 0.0, "graph": "complete"}
    frozen = [run(rng=seed, exchange="pool", wait=6, **knobs) for seed in range(15)]
    at_once = [run(rng=seed, exchange="pool", **knobs) for seed in range(15)]
    assert [last(model, "errors") for model in frozen] == [last(model, "errors") for model in at_once]


# --- who writes when


def flow(model, base):
    """The order of work by networkx: along links that lead nearer to the role that hands in, equals by row."""
    graph = nx.DiGraph()
    graph.add_nodes_from(range(base.n))
    links = base.graph if base.directed else base.graph.to_directed()
    far = nx.single_source_shortest_path_length(links.reverse(), model.last)
    for author, reader in links.edges:
        if reader in far and (far[author], -author) > (far[reader], -reader):
            graph.add_edge(author, reader)
    return graph


@settings(deadline=None, max_examples=80)
@given(
    st.sampled_from(GRAPHS),
    st.sampled_from(["handover", "pool"]),
    st.sampled_from(["simultaneous", "random", "fixed"]),
    st.integers(0, 2),
    st.integers(4, 9),
    st.booleans(),
    st.integers(0, 99),
)
def test_documents_are_written_in_topological_order(graph, exchange, turns, latency, agents, first, seed):
    row = 0 if first else -1
    knobs = {"graph": graph, "exchange": exchange, "turns": turns, "latency": latency, "agents": agents}
    model = run(30, rng=seed, result=row, traced=True, items=1, **knobs | CLEAN)
    base = Artifacts(rng=seed, agents=agents, graph=graph).links
    order = flow(model, base)
    assert nx.is_directed_acyclic_graph(order)
    reads = order if exchange == "handover" else nx.transitive_closure_dag(order)
    assert {tuple(edge) for edge in model.reads.edges().tolist()} == set(reads.edges)
    wait = max(1, latency + (turns == "simultaneous"))
    expected = {row: 1 + wait * depth for depth, rows in enumerate(nx.topological_generations(order)) for row in rows}
    assert {row: model.written[row] for row in range(agents)} == expected
    assert len(list(model.trace)) == agents
    reached = nx.ancestors(order, model.last) | {model.last}
    mine = [model.truth[row] if row in reached else 0 for row in range(agents)]
    assert result(model).tolist() == mine
    assert last(model, "errors") == pytest.approx(1 - len(reached) / agents)
    assert last(model, "handed_in") == max(expected.values())
    assert last(model, "messages") == reads.number_of_edges()


@settings(deadline=None, max_examples=40)
@given(st.sampled_from(GRAPHS), st.sampled_from(["handover", "pool"]), st.integers(4, 8), st.integers(0, 99))
def test_what_a_test_finds_is_written_anew_with_all_that_was_made_from_it(graph, exchange, agents, seed):
    """As a build would: what is sent back, and whatever is older than something that it was made from."""
    knobs = {"graph": graph, "exchange": exchange, "agents": agents, "items": 2, "fidelity": 0.6, "omission": 0.0}
    model = Artifacts(rng=seed, verify=1.0, retries=50, **knobs)
    order = flow(model, Artifacts(rng=seed, agents=agents, graph=graph).links)
    reads = order if exchange == "handover" else nx.transitive_closure_dag(order)
    while not model.tries and model.done != model.done:
        model.step()
    if model.tries:
        found = np.flatnonzero(result(model) != model.truth)
        back = {model.last, *(found // 2).tolist()}
        anew = set().union(back, *(nx.descendants(reads, row) for row in back))
        writers = Counter()
        while set(writers) < anew:
            model.step()
            wrote = set(np.flatnonzero(model.written == model.time).tolist())
            assert wrote
            assert not any(nx.ancestors(reads, row) & wrote for row in wrote)
            writers.update(wrote)
        assert writers == Counter(anew)
    for _ in range(400):
        model.step()
    assert model.done == model.done
    if len(nx.ancestors(order, model.last)) == agents - 1:
        assert last(model, "errors") == 0


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_after_the_result_is_handed_in_nobody_writes(exchange):
    model = run(exchange=exchange, traced=True)
    assert model.done < 40
    assert max(entry["time"] for entry in model.trace) == model.done
    spent = last(model, "messages"), last(model, "cost")
    model.step()
    assert (last(model, "messages"), last(model, "cost")) == spent


def test_talk_ends_when_every_role_is_mentioned_or_typed_when_every_item_is_stated():
    early = late = 0
    for seed in range(20):
        knobs = {"rng": seed, "omission": 0.08, "fidelity": 1.0, "agents": 4}
        plain, typed = run(**knobs), run(150, **knobs, typed=True)
        assert (result(plain).reshape(4, -1) > 0).any(axis=1).all()
        assert last(typed, "missing") == last(typed, "errors") == 0
        assert plain.done <= typed.done
        early, late = early + plain.done, late + typed.done
    assert early < late


# --- what it takes


def test_talk_costs_a_message_per_listener_and_turn_and_documents_one_per_reader():
    for agents in (3, 6):
        knobs = {"agents": agents, **CLEAN}
        chain = run(rng=1, **knobs)
        assert (last(chain, "handed_in"), last(chain, "messages")) == (agents, 2 * (agents - 1) * (agents - 1))
        group = run(graph="complete", **knobs)
        assert (last(group, "handed_in"), last(group, "messages")) == (2, agents * (agents - 1))
        handed = run(exchange="handover", **knobs)
        assert (last(handed, "handed_in"), last(handed, "messages")) == (agents, agents - 1)
        pulled = run(exchange="pool", **knobs)
        assert (last(pulled, "handed_in"), last(pulled, "messages")) == (agents, agents * (agents - 1) / 2)


@settings(deadline=None, max_examples=40)
@given(st.sampled_from(GRAPHS), st.sampled_from(EXCHANGES), st.booleans(), st.integers(0, 99))
def test_the_bill_is_what_the_trace_says_was_read_and_what_stands_was_written(graph, exchange, typed, seed):
    knobs = {"graph": graph, "exchange": exchange, "typed": typed, "agents": 5, "omission": 0.1, "rng": seed}
    model = Artifacts(price=0.3, **knobs)
    model.trace = Trace()
    written = 0
    for _ in range(12):
        model.step()
        written += int((table(model.acts.own)[model.written == model.time] > 0).sum())
    read = sum(len([1 for value in item["content"].values() if value != "unknown"]) for item in saw(model))
    assert last(model, "messages") == len(saw(model))
    right = int((result(model) == model.truth).sum())
    assert last(model, "cost") == pytest.approx(0.3 * (read + written) / right) if right else True
    assert last(model, "wrong") + last(model, "missing") == pytest.approx(last(model, "errors"))
    assert last(model, "errors") == pytest.approx(1 - right / 15)


def saw(model):
    return [item for entry in model.trace for item in entry["saw"]]


def test_a_price_changes_the_bill_and_nothing_else():
    dear, cheap = run(price=1.0), run(price=0.25)
    for name in ("errors", "handed_in", "messages", "tests"):
        assert dear.datacollector.model_vars[name] == cheap.datacollector.model_vars[name]
    assert last(cheap, "cost") == pytest.approx(last(dear, "cost") / 4)


def test_tests_find_their_share_and_give_up_after_their_tries():
    knobs = {"agents": 5, "fidelity": 0.7, "omission": 0.0, "exchange": "pool"}
    untested = [last(run(rng=seed, **knobs), "errors") for seed in range(20)]
    blind = [run(rng=seed, verify=0.0, retries=9, **knobs) for seed in range(20)]
    hasty = [run(rng=seed, verify=1.0, retries=0, **knobs) for seed in range(20)]
    assert [last(model, "errors") for model in blind] == [last(model, "errors") for model in hasty] == untested
    means = []
    for verify in (0.2, 1.0):
        models = [run(150, rng=seed, verify=verify, retries=30, **knobs) for seed in range(20)]
        assert all(model.done == model.done for model in models)
        means.append(np.mean([last(model, "errors") for model in models]))
    assert means[1] == 0 < means[0] < np.mean(untested)
    twice = run(rng=3, verify=1.0, retries=2, **knobs | {"fidelity": 0.1})
    assert last(twice, "tests") == 2


# --- minds and changes


def law(seen, owners_word):
    """The document of one role, from the text view."""
    names = seen.trait("items").split(", ")
    owner = {name: name.rpartition(".")[0] for name in names}
    part, scope, own = seen.trait("part"), seen.trait("scope"), seen.own or {}
    mine = iter(part.tolist())
    found = {}
    for place, name in enumerate(names):
        votes = defaultdict(float)
        for item in seen.heard:
            said = item.content.get(name, "unknown")
            if said != "unknown":
                votes[said] += owners_word if item.author == owner[name] else 1.0
        votes[own.get(name, "unknown")] += 0.5
        best = max(sorted(votes, key=lambda value: (value != "unknown", value)), key=votes.get)
        value = LETTERS[next(mine) - 1] if owner[name] == seen.name else best
        found[name] = value if scope[place] else "unknown"
    return found


@pytest.mark.parametrize("exchange", EXCHANGES)
@pytest.mark.parametrize(("name", "weight"), [("scribe", 1e6), ("hearsay", 1.0)])
def test_a_mind_by_its_law(exchange, name, weight):
    def twin(seen):
        return law(seen, weight)

    cls = type("Artifacts", (Artifacts,), {"rules": {**Artifacts.rules, "twin": each(twin)}})
    for graph, turns in (("ring(k=4)", "simultaneous"), ("complete", "random"), ("small_world", "clocks")):
        knobs = {"exchange": exchange, "graph": graph, "turns": turns, "fidelity": 0.7, "typed": True, "agents": 7}
        ours = run(12, traced=True, minds=name, memory=1, **knobs)
        theirs = run(12, cls=cls, traced=True, minds="twin", memory=1, **knobs)
        strip = [[{**entry, "mind": ""} for entry in model.trace] for model in (ours, theirs)]
        assert strip[0] == strip[1]


def test_another_graph_is_another_order_of_work_from_then_on():
    model = Artifacts(agents=8, exchange="handover", rng=1, **CLEAN)
    model.step()
    model.change(graph="star")
    assert {tuple(edge) for edge in model.reads.edges().tolist()} == {(0, 7), *((row, 0) for row in range(1, 7))}
    for _ in range(5):
        model.step()
    assert model.done <= 4
    assert last(model, "errors") == 0


def test_fidelity_can_change_during_a_run():
    model = Artifacts(exchange="handover", rng=1, fidelity=0.0, omission=0.0)
    model.step()
    assert (table(model.acts.own)[0, :3] != model.truth[:3]).all()
    model.change(fidelity=1.0)
    for _ in range(6):
        model.step()
    assert (result(model)[3:] == model.truth[3:]).all()
    assert (result(model)[:3] == table(model.acts.own)[0, :3]).all()


@pytest.mark.parametrize("knob", ["result", "faulty"])
def test_a_row_that_is_not_there_is_refused(knob):
    with pytest.raises(SpecError, match=f"{knob} = 6: expected a row below 6, or -1"):
        Artifacts(agents=6, **{knob: 6})


def test_a_prompt_tells_a_role_what_is_its_own_to_say():
    model = run(2, exchange="pool", minds="scripted:chance", agents=3, items=2, values=3, rng=4)
    text = model.prompt(model.expose(model.acts.rows).one(1))
    known = ", ".join(f"1.{item + 1}={LETTERS[code - 1]}" for item, code in enumerate(model.truth[2:4].tolist()))
    assert f"Your part: {known}\n" in text
    assert "Write down 1.1, 1.2; say unknown" in text
    assert "role 2\nhands in" in text


def test_the_finding_and_the_picture():
    matplotlib = pytest.importorskip("matplotlib.figure")
    axes = matplotlib.Figure().subplots()
    model = Artifacts(agents=3, items=2, rng=1, **CLEAN)
    model.draw(axes)
    values = {name: float(measure(model)) for name, measure in model.measures.items()}
    assert Artifacts.finding(values, values).startswith(
        "The result was not handed in: as it stands it lacks or has wrong 100%"
    )
    for _ in range(ceil(values["errors"]) * 3):
        model.step()
    model.draw(axes)
    assert axes.images[-1].get_array().tolist()[2] == [1] * 6
    values = {name: float(measure(model)) for name, measure in model.measures.items()}
    assert Artifacts.finding(values, values).startswith("The result was handed in at turn 3: 0% of its items are wrong")
