"""Agreement: quorums by arithmetic, rules by naive forms of themselves, filters by their theorem, times by survival."""

import itertools
from collections import Counter
from fractions import Fraction
from math import ceil, comb
from typing import Any

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentmicro import contract
from agentmicro.errors import MindError, SpecError
from agentmicro.minds import LanguageMind
from agentmicro.phenomena.agreement import Agreement, votes_needed

GRAPHS = ("complete", "ring", "star", "random(degree=3.0)", "random(degree=3.0, directed=1)", "empty")
CONTINUE, STOP = 0, 1


def play(turns: int, **knobs: Any) -> Agreement:
    model = Agreement(**{"rng": 1} | knobs)
    for _ in range(turns):
        model.step()
    return model


def over(**knobs: Any) -> Agreement:
    """A run until it has ended."""
    model = Agreement(**{"rng": 1} | knobs)
    while not model.ended:
        model.step()
    return model


def hold(model: Agreement, values: Any) -> Agreement:
    """Puts values into members' mouths, and takes them for what they brought."""
    acts = model.acts.own.copy()
    acts["value"] = values
    model.acts.write(model.acts.rows, acts, 0.0)
    model.first = acts["value"][model.honest]
    return model


def last(model: Agreement) -> dict[str, float]:
    return {name: column[-1] for name, column in model.datacollector.model_vars.items()}


def hears(model: Agreement) -> list[list[int]]:
    """The authors of each reader, by networkx."""
    graph = model.graph if model.graph.is_directed() else model.graph.to_directed()
    return [sorted(graph.predecessors(row)) for row in range(len(graph))]


# --- quorums


@given(st.integers(1, 12), st.integers(1, 12), st.integers(1, 500))
def test_votes_needed_are_the_quorum_rounded_up(part, whole, base):
    share = Fraction(min(part, whole), whole)
    assert votes_needed(float(share), base) == ceil(share * base)
    assert (votes_needed(0.55, 100), votes_needed(0.07, 100)) == (55, 7)  # as floats, both products are a bit more


def test_votes_needed_in_the_published_settings():
    assert [votes_needed(2 / 3, n) for n in (4, 8, 16)] == [3, 6, 11]
    assert [Agreement(byzantine=b).needed for b in range(6)] == [6, 6, 7, 8, 8, 9]
    assert [Agreement(byzantine=b, quorum_base="honest").needed for b in range(6)] == [6] * 6


@pytest.mark.parametrize("base", ["all", "honest"])
@pytest.mark.parametrize("quorum", [Fraction(1, 3), Fraction(1, 2), Fraction(2, 3), Fraction(1)])
def test_who_can_block_or_forge_a_vote_exhaustively(base, quorum):
    for honest, byzantine in itertools.product(range(1, 5), range(4)):
        needed = ceil(quorum * (honest if base == "honest" else honest + byzantine))
        passed = set()
        for willing, votes in itertools.product(range(honest + 1), ("continue", "stop")):
            model = play(
                2,
                honest=honest,
                byzantine=byzantine,
                quorum=float(quorum),
                quorum_base=base,
                minds=f"hasty:{willing}, stubborn:{honest - willing}",
                foe=f"saboteur(votes={votes})",
            )
            stops = willing + byzantine * (votes == "stop")
            assert (model.ended == "vote") == (stops >= needed)
            passed |= {(willing, votes)} if model.ended else set()
        blocked, forged = (honest, "continue") not in passed, (0, "stop") in passed
        assert blocked == (honest < needed)
        assert forged == (byzantine >= needed)
        if base == "all" and quorum == Fraction(2, 3):
            assert blocked == (byzantine > honest / 2)


def test_beyond_half_as_many_byzantine_members_nothing_ends_though_all_honest_members_agree():
    for byzantine in range(8):
        found = last(over(byzantine=byzantine, foe="scatter", patience=3))
        assert found["split"] == 0
        assert found["by_deadline"] == (byzantine > 4) == 1 - found["by_vote"]


# --- rules


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 999), st.sampled_from(GRAPHS), st.sampled_from(["random", "own", "lowest"]), st.integers(1, 9))
def test_mode_by_its_law(seed, graph, ties, values):
    model = Agreement(honest=8, graph=graph, values=values, minds=f"mode(ties={ties})", rng=seed)
    before = model.acts.own["value"].tolist()
    model.step()
    for row, authors in enumerate(hears(model)):
        counts = Counter(before[other] for other in [row, *authors])
        most = [value for value, count in counts.items() if count == max(counts.values())]
        now = model.acts.own["value"][row]
        assert now in most
        if ties == "lowest":
            assert now == min(most)
        if ties == "own" and before[row] in most:
            assert now == before[row]


def test_ties_are_drawn_alike():
    counts = np.zeros(8)
    for seed in range(150):
        model = hold(Agreement(values=7, rng=seed), np.arange(8))
        model.step()
        counts += np.bincount(model.acts.own["value"].astype(int), minlength=8)
    assert np.abs(counts - 150).max() < 4.5 * np.sqrt(150)


def test_who_keeps_its_own_at_ties_stalls_exactly_where_no_value_is_most_frequent():
    for seed in range(60):
        model = Agreement(honest=4, values=6, minds="mode(ties=own)", deadline=6, rng=seed)
        counts = sorted(Counter(model.first.tolist()).values())
        clear = len(counts) == 1 or counts[-1] > counts[-2]
        apart = len(counts) == 4
        while not model.ended:
            model.step()
        if clear:
            assert last(model)["honest_value"] == model.agreed_at == 1
        if apart:
            assert (model.ended, model.past[-1].tolist()) == ("deadline", model.first.tolist())


def test_slips_are_as_frequent_as_said_and_unanimity_falls_with_the_number_of_members():
    slip, values, runs = 0.2, 4, 700
    for honest in (2, 5):
        same = 1 - slip + slip / (values + 1)
        chance = same**honest + values * (slip / (values + 1)) ** honest
        found = 0
        for seed in range(runs):
            model = hold(Agreement(honest=honest, values=values, minds=f"mode(slip={slip})", rng=seed), 2.0)
            model.step()
            found += np.ptp(model.acts.own["value"]) == 0
        assert abs(found - runs * chance) < 4 * np.sqrt(runs * chance * (1 - chance))


def filtered(own: float, heard: list[float], drop: int) -> float:
    """W-MSR as its authors say it, step by step."""
    larger = sorted(value for value in heard if value > own)
    smaller = sorted(value for value in heard if value < own)
    larger = larger[: len(larger) - drop] if len(larger) > drop else []
    smaller = smaller[drop:] if len(smaller) > drop else []
    kept = [own, *larger, *smaller, *(value for value in heard if value == own)]
    return sum(kept) / len(kept)


@settings(deadline=None, max_examples=60)
@given(
    st.integers(0, 999),
    st.sampled_from(GRAPHS),
    st.integers(0, 3),
    st.sampled_from([0.0, 1.0]),
    st.sampled_from([3, 50]),
)
def test_the_filter_is_the_naive_one(seed, graph, drop, grain, values):
    model = Agreement(honest=8, graph=graph, grain=grain, values=values, minds=f"wmsr(drop={drop})", rng=seed)
    before = model.acts.own["value"].tolist()
    model.step()
    for row, authors in enumerate(hears(model)):
        expected = filtered(before[row], [before[other] for other in authors], drop)
        off = abs(model.acts.own["value"][row] - expected)
        assert off <= 0.5 + 1e-9 if grain else off < 1e-9


def robust(graph: nx.Graph, r: int, s: int) -> bool:
    """(r, s)-robustness by its definition: every two disjoint sets of nodes, all counted out."""
    return violation(graph, r, s) is None


def violation(graph: nx.Graph, r: int, s: int) -> tuple[set[int], set[int], set[int]] | None:
    """Two disjoint sets that break (r, s)-robustness, and their nodes with r neighbours outside of their set."""
    nodes = list(graph)
    for sides in itertools.product((0, 1, 2), repeat=len(nodes)):
        first, second = ({node for node in nodes if sides[node] == side} for side in (1, 2))
        if first and second:
            out = [{node for node in part if len(set(graph[node]) - part) >= r} for part in (first, second)]
            if out[0] != first and out[1] != second and len(out[0] | out[1]) < s:
                return first, second, out[0] | out[1]
    return None


SMALL = [graph for graph in nx.graph_atlas_g() if len(graph) == 5 and nx.is_connected(graph)]
FOR_EVER = {"grain": 0.0, "told": "none_exist", "quorum": 1.0, "deadline": 1000, "honest": 4, "byzantine": 1}


def on(graph: nx.Graph, path: Any) -> str:
    path.write_text("".join(f"{a} {b}\n" for a, b in sorted(graph.edges)))
    return str(path)


def test_small_graphs_are_of_both_kinds():
    kinds = [robust(graph, 2, 2) for graph in SMALL]
    assert len(SMALL) == 21
    assert 3 <= sum(kinds) <= 18
    assert robust(nx.complete_graph(5), 3, 5)
    assert not robust(nx.cycle_graph(5), 2, 2)


@pytest.mark.parametrize("graph", [graph for graph in SMALL if robust(graph, 2, 2)], ids=lambda graph: graph.name)
def test_on_a_robust_graph_the_filter_agrees_inside_the_honest_range_wherever_one_foe_sits(graph, tmp_path):
    """LeBlanc et al. 2013, theorem on (F + 1, F + 1)-robust networks, with F = 1."""
    text = on(graph, tmp_path / "g.edges")
    for row, foe, seed in itertools.product(range(5), ("saboteur", "saboteur(say=0)", "scatter"), range(2)):
        model = play(160, graph=text, foe=foe, seat=row, minds="wmsr(drop=1)", rng=seed, **FOR_EVER)
        found = model.acts.own["value"][model.honest]
        assert np.ptp(found) < 0.01
        assert model.first.min() - 1e-9 <= found.min() <= found.max() <= model.first.max() + 1e-9


@pytest.mark.parametrize("graph", [graph for graph in SMALL if not robust(graph, 2, 2)], ids=lambda graph: graph.name)
def test_on_any_other_graph_one_foe_can_keep_them_apart(graph, tmp_path):
    """The construction of the same theorem's other half: two sets that cannot be moved, one foe between them."""
    low, high, foes = violation(graph, 2, 2)
    start = np.array([0.0 if node in low else 50.0 if node in high else 25.0 for node in range(5)])
    foe = next(iter(foes), None)
    knobs = {**FOR_EVER, "honest": 5, "byzantine": 0}
    if foe is not None:
        knobs = {**FOR_EVER, "seat": foe, "foe": f"saboteur(say={start[foe]})"}
    model = hold(Agreement(graph=on(graph, tmp_path / "g.edges"), minds="wmsr(drop=1)", rng=1, **knobs), start)
    for _ in range(120):
        model.step()
    assert all(model.acts.own["value"][node] == 0 for node in low)
    assert all(model.acts.own["value"][node] == 50 for node in high)


@pytest.mark.parametrize("graph", ["complete", "ring", "star", "scale_free(m=2)"])
def test_averaging_is_the_matrix_power_and_its_limit_is_degroots(graph):
    model = Agreement(honest=12, graph=graph, grain=0.0, minds="average", told="none_exist", quorum=1.0, rng=3)
    model.needed = 13  # nobody may stop it
    start = model.first.copy()
    weights = nx.to_numpy_array(model.graph, nodelist=range(12)) + np.eye(12)
    matrix = weights / weights.sum(axis=1, keepdims=True)
    for turn in range(1, 13):
        model.step()
        expected = np.linalg.matrix_power(matrix, (turn + 1) // 2) @ start
        assert np.abs(model.acts.own["value"] - expected).max() < 1e-9
    model.deadline = 10_000
    for _ in range(2000):
        model.step()
    degrees = weights.sum(axis=1)
    assert model.acts.own["value"] == pytest.approx(np.full(12, start @ degrees / degrees.sum()), abs=1e-6)


def test_whole_numbers_are_the_mean_rounded():
    model = hold(Agreement(honest=4, minds="average"), [0.0, 1.0, 1.0, 1.0])
    model.step()
    assert model.acts.own["value"].tolist() == [1, 1, 1, 1]
    model = hold(Agreement(honest=4, minds="average"), [0.0, 0.0, 1.0, 1.0])
    model.step()
    assert model.acts.own["value"].tolist() == [1, 1, 1, 1]


# --- votes


def test_none_exist_waits_for_everybody_and_may_exist_for_a_quorum():
    values = [7.0] * 6 + [3.0, 4.0]
    for told, votes in (("may_exist", [STOP] * 6 + [CONTINUE] * 2), ("none_exist", [CONTINUE] * 8)):
        model = hold(Agreement(told=told, minds="mode:6@first, stubborn", rng=2), values)
        model.step()
        model.step()
        assert model.acts.own["vote"].tolist() == votes
        assert model.ended == ("vote" if told == "may_exist" else "")


@pytest.mark.parametrize("patience", [1, 2, 5])
def test_patience_is_so_many_votes_in_a_row(patience):
    model = hold(Agreement(patience=patience), 9.0)
    while not model.ended:
        model.step()
    assert (model.rounds, model.agreed_at) == (patience, 1)


def test_patience_starts_anew_when_the_values_come_apart():
    model = hold(Agreement(patience=2, minds="stubborn:7@first, mode"), 9.0)
    model.step()
    model.step()
    assert model.traits["calm"].tolist() == [1] * 8
    hold(model, [1.0] * 4 + [9.0] * 4)
    model.step()
    model.step()
    assert model.traits["calm"].tolist() == [0] * 8


def test_who_hears_nobody_does_not_take_that_for_agreement():
    for knobs in ({"graph": "empty"}, {"visibility": "hidden"}):
        assert last(over(deadline=5, minds="mode", **knobs))["by_deadline"] == 1


def test_agreement_among_neighbours_is_not_agreement():
    model = hold(Agreement(graph="ring(k=2)", honest=12, patience=2), [1.0] * 6 + [2.0] * 6)
    while not model.ended:
        model.step()
    assert (model.ended, last(model)["split"], model.rounds) == ("vote", 1, 2)


# --- what is measured


CASES = [
    ([5.0] * 4, "hasty", "vote", "honest_value"),
    ([5.0] * 4, "stubborn", "deadline", "honest_value"),
    ([6.0] * 4, "hasty", "vote", "foreign_value"),
    ([6.0] * 4, "stubborn", "deadline", "foreign_value"),
    ([5.0, 5.0, 5.0, 6.0], "hasty:3@first, stubborn", "vote", "split"),
    ([5.0, 5.0, 5.0, 6.0], "stubborn", "deadline", "split"),
]


@pytest.mark.parametrize(("values", "minds", "ended", "unanimity"), CASES)
def test_the_two_axes_are_apart(values, minds, ended, unanimity):
    model = Agreement(honest=4, minds=minds, deadline=2, told="none_exist")
    hold(model, values)
    model.first = np.array([5.0, 1.0, 9.0, 9.0])
    while not model.ended:
        model.step()
    found = last(model)
    assert [found[name] for name in ("by_vote", "by_deadline")] == [ended == "vote", ended == "deadline"]
    axis = ("honest_value", "foreign_value", "split")
    assert [found[name] for name in axis] == [name == unanimity for name in axis]
    assert found["valid_agreement"] == (ended == "vote" and unanimity == "honest_value")
    assert found["rounds"] == (1 if ended == "vote" else 2)
    assert found["agreement"] == (0.75 if unanimity == "split" else 1)
    assert found["inside"] == 1


def test_a_value_that_nobody_brought_may_be_a_compromise_or_a_foe_s():
    compromise = last(over(minds="average", rng=4))
    assert (compromise["foreign_value"], compromise["inside"]) == (1, 1)
    dragged = hold(Agreement(honest=3, byzantine=3, minds="average", quorum=1.0, rng=2, grain=0.0), np.nan)
    start = np.where(dragged.honest, 10.0, np.nan)
    hold(dragged, start)
    for _ in range(40):
        dragged.step()
    assert last(dragged)["inside"] == 0


def test_once_it_has_ended_nothing_moves():
    model = over(minds="hasty", rng=5)
    acts, asked, found = model.acts.own.copy(), model.n_decisions, last(model)
    for _ in range(5):
        model.step()
    assert (model.acts.own == acts).all()
    assert model.n_decisions == asked
    assert repr(last(model)) == repr(found)


def test_agreed_at_is_the_round_since_which_honest_members_are_of_one_value():
    model = hold(Agreement(minds="stubborn"), 3.0)
    for turn in range(6):
        if turn == 4:
            hold(model, [3.0] * 7 + [4.0])
        model.step()
    column = model.datacollector.model_vars["agreed_at"]
    assert np.isnan(column[:2]).all()
    assert column[2:5] == [1, 1, 1]
    assert np.isnan(column[6])


def test_times_to_a_vote_are_survival_data_for_statsmodels():
    """Three members who vote by coin pass a vote of two with chance 1/2 a round: S(t) = 2**-t, censored at 4."""
    from statsmodels.duration.survfunc import SurvfuncRight

    runs = [last(over(honest=3, minds="random", deadline=4, rng=seed)) for seed in range(500)]
    hazard = (comb(3, 2) + comb(3, 3)) / 2**3
    fitted = SurvfuncRight([run["rounds"] for run in runs], [run["by_vote"] for run in runs])
    assert fitted.surv_times.tolist() == [1, 2, 3, 4]
    for time, survived, error in zip(fitted.surv_times, fitted.surv_prob, fitted.surv_prob_se, strict=True):
        assert abs(survived - (1 - hazard) ** time) < 4 * error
    assert {run["rounds"] for run in runs if not run["by_vote"]} == {4}


# --- Byzantine members


def test_byzantine_members_sit_where_they_are_put_and_begin_without_a_value():
    model = Agreement(byzantine=3, seat=4, foe="saboteur(say=2)", rng=7)
    rows = model.foes().tolist()
    assert rows[0] == 4
    assert len(set(rows)) == 3
    assert np.isnan(model.acts.own["value"][rows]).all()
    heard = [item.content for item in model.expose(np.array([0])).heard(0) if item.author in map(str, rows)]
    assert heard == [{"vote": "continue"}] * 3
    model.step()
    assert model.acts.own["value"][rows].tolist() == [2, 2, 2]
    assert {model.minds[seat].name for seat in model.seats[rows]} == {"saboteur"}
    assert {tuple(sorted(Agreement(byzantine=2, rng=seed).foes().tolist())) for seed in range(20)} != {tuple(rows[:2])}


def test_they_stay_when_the_minds_of_the_others_change():
    model = Agreement(byzantine=2, rng=3)
    rows = model.foes().tolist()
    model.change(minds="stubborn:5, hasty:3")
    names = np.array([mind.name for mind in model.minds])[model.seats]
    assert names[rows].tolist() == ["saboteur"] * 2
    assert sorted(np.delete(names, rows).tolist()) == ["hasty"] * 3 + ["stubborn"] * 5


def test_what_cannot_be_seated_is_refused():
    with pytest.raises(SpecError, match=r"seat = 10: expected a row from 0 to 9, or -1"):
        Agreement(byzantine=2, seat=10)
    with pytest.raises(MindError, match=r"foe = 'sabotuer': no mind 'sabotuer'; did you mean 'saboteur'"):
        Agreement(foe="sabotuer")
    with pytest.raises(MindError):
        Agreement(byzantine=2, foe="saboteur:1")
    mind = LanguageMind("scripted:chance", None, Agreement.prompt)
    with pytest.raises(SpecError, match="expected a text, because Byzantine members are seated beside them"):
        Agreement(byzantine=1, minds=mind)


@pytest.mark.parametrize(("say", "values", "grain", "said"), [(50, 20, 1.0, 20), (-3, 20, 1.0, 0), (7.4, 20, 0.0, 7.4)])
def test_a_saboteur_says_the_nearest_value_allowed(say, values, grain, said):
    model = play(1, byzantine=1, seat=0, foe=f"saboteur(say={say})", values=values, grain=grain)
    assert model.acts.own["value"][0] == said


LAWS = [
    contract.seed_fixes_the_run,
    contract.waves_equal_one_by_one,
    contract.simultaneity_is_latency,
    contract.shuffle_do_is_a_turn,
    contract.prompts_say_everything,
    contract.exposure_is_the_only_channel,
    contract.luck_is_order_free,
    contract.copies_continue,
]


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
def test_the_laws_hold_beside_byzantine_members(law):
    law(Agreement, honest=5, byzantine=3, patience=2, foe="scatter(votes=stop)")


def test_a_prompt_tells_each_its_aim_and_all_of_them_the_rule():
    model = Agreement(byzantine=1, seat=0, told="none_exist", patience=4, rng=1)
    seen = model.expose(model.acts.rows)
    foe, honest = Agreement.prompt(seen.one(0)), Agreement.prompt(seen.one(1))
    assert "You are Byzantine" in foe
    assert "You are Byzantine" not in honest
    assert "agreed 4 vote(s) in a row" in honest
    for text in (foe, honest):
        assert "round 1 of at most 50" in text
        assert "6 of 9 members vote to stop" in text
        assert "No member is Byzantine" in text


def test_the_picture_has_a_line_for_every_member():
    from matplotlib.figure import Figure

    model = over(byzantine=2, foe="scatter", rng=3)
    axes = Figure().subplots()
    model.draw(axes)
    assert len(axes.lines) == 10 + 1
    assert axes.lines[-1].get_xdata() == [model.rounds, model.rounds]


def test_a_finding_names_both_axes():
    none = {"agreement": 0.25}
    for minds, ends in (("mode", "A vote ended it"), ("stubborn", "No vote ended it")):
        text = Agreement.finding(last(over(minds=minds, patience=3)), none)
        assert text.startswith(ends)
    assert Agreement.finding(last(Agreement(rng=1)), none).startswith("It goes on after 0 rounds")
