"""Cascades: lines against the closed forms, and against the enumeration of everything that can happen in short ones."""

import functools
import itertools
from collections import defaultdict
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from agentmicro.phenomena.cascades import Cascades, line_up

HALF = Fraction(1, 2)


def ran(length: int = 0, **knobs: Any) -> Cascades:
    """A run to the end of its lines, or for so many turns."""
    model = Cascades(**{"agents": 6000, "places": 6, "rng": 3} | knobs)
    for _ in range(length or int(model.knobs["places"])):
        model.step()
    return model


def near(found: float, chance: float, lines: int) -> bool:
    """Whether a share of so many lines is what its chance lets expect; the seeds are fixed, so this is no lottery."""
    return bool(stats.binomtest(round(found * lines), lines, float(chance)).pvalue > 1e-3)


# --- the closed forms


def limits(p: float) -> tuple[float, float]:
    """The chances of a right and a wrong cascade in a long line, as Bikhchandani, Hirshleifer and Welch have them."""
    return p * (p + 1) / (2 * (1 - p + p * p)), (p - 2) * (p - 1) / (2 * (1 - p + p * p))


def series(p: float, pairs: int) -> tuple[float, float]:
    """The same after so many pairs: each begins a right one, a wrong one, or neither, which leaves all as it was."""
    none = (p - p * p) ** pairs
    return limits(p)[0] * (1 - none), limits(p)[1] * (1 - none)


def seen(p: float, places: int) -> tuple[float, float]:
    """The same for cascades in which somebody has followed against its signal by the end of the line."""
    sides = []
    for right in (p, 1 - p):
        begins = [(p - p * p) ** (pair - 1) * right * (1 + right) / 2 for pair in range(1, places // 2 + 1)]
        sides.append(sum(c * (1 - right ** (places - 2 * pair)) for pair, c in enumerate(begins, start=1)))
    return sides[0], sides[1]


@pytest.mark.parametrize("mind", ["bayesian", "counting"])
@pytest.mark.parametrize("p", [0.55, 0.7, 0.9])
def test_long_lines_end_in_cascades_as_often_as_the_closed_form_says(p, mind):
    model = ran(agents=60_000, places=30, precision=p, mind=mind)
    right, wrong = seen(p, 30)
    assert near(model.known.right[:, -1].mean(), limits(p)[0], 2000)
    assert near(model.measures["right_cascade"](model), right, 2000)
    assert near(model.measures["wrong_cascade"](model), wrong, 2000)
    assert model.measures["broken"](model) == 0
    assert model.measures["ignored"](model) == 1


def test_the_closed_form_has_the_published_values():
    table = {0.55: 0.5664, 0.6: 0.6316, 2 / 3: 0.7143, 0.7: 0.7532, 0.8: 0.8571, 0.9: 0.9396}
    for p, right in table.items():
        assert limits(p)[0] == pytest.approx(right, abs=6e-5)
        assert sum(limits(p)) == pytest.approx(1)


@pytest.mark.parametrize("pairs", [1, 2, 3])
def test_after_each_pair_leads_of_two_are_as_likely_as_the_closed_form_says(pairs):
    p, lines = 0.7, 4000
    model = ran(2 * pairs, agents=6 * lines, precision=p)
    known = model.known
    red = (known.acts == 0).sum(axis=1) - (known.acts == 1).sum(axis=1)
    lead = np.where(known.truth[:, 0] == 0, red, -red)
    for side, chance in zip((1, -1), series(p, pairs), strict=True):
        assert near((side * lead >= 2).mean(), chance, lines)
    assert near((lead == 0).mean(), (p - p * p) ** pairs, lines)


@pytest.mark.parametrize(("weight", "bound"), [(0.5, 1), (1.5, 2), (2.5, 3), (3.5, 4)])
@pytest.mark.parametrize("mind", ["bayesian", "counting"])
def test_weighing_oneself_moves_the_bounds_of_a_gamblers_ruin(mind, weight, bound):
    # Acts are signals until they lead by more than the weight; then all follow.
    p = 0.65
    model = ran(agents=40_000, places=40, precision=p, mind=f"{mind}(weight={weight})")
    ruin = 1 / (1 + ((1 - p) / p) ** bound)
    assert near((model.known.right[:, -1]).mean(), ruin, 1000)


def test_members_who_take_their_own_signal_at_ties_ruin_at_two():
    p = 0.7
    model = ran(agents=60_000, places=30, precision=p, mind="bayesian(ties=own)")
    assert near(model.measures["right_cascade"](model), p * p / (p * p + (1 - p) ** 2), 2000)
    assert model.measures["ignored_at_one"](model) == 0


def test_hearing_only_the_last_adds_nothing_where_coins_break_ties():
    # c' = p c + p (1 - c) / 2 + (1 - p) c / 2 = (p + c) / 2, whose fixed point is the signal's own p.
    model = ran(agents=40_000, places=20, precision=0.7, graph="ring(k=2, directed=1)", mind="counting")
    assert near(model.known.right[:, -1].mean(), 0.7, 2000)


# --- everything that can happen, with its chance


def majority(heard: list[int], signal: int) -> list[tuple[int, Fraction]]:
    """What a member does that follows most of the acts it hears and its signal, and a coin at ties."""
    balance = sum(heard) + signal
    return [(1 if balance > 0 else -1, Fraction(1))] if balance else [(1, HALF), (-1, HALF)]


def bayes(p: Fraction) -> Any:
    """What a member does who works out the odds by enumerating all that may have led to what it hears."""

    @functools.cache
    def acts(heard: tuple[int, ...], signal: int) -> list[tuple[int, Fraction]]:
        odds = likelihood(p, heard, 1, mind) * (p if signal > 0 else 1 - p)
        against = likelihood(p, heard, -1, mind) * (1 - p if signal > 0 else p)
        return [(1 if odds > against else -1, Fraction(1))] if odds != against else [(1, HALF), (-1, HALF)]

    def mind(heard: list[int], signal: int) -> list[tuple[int, Fraction]]:
        return acts(tuple(heard), signal)

    return mind


def likelihood(p: Fraction, acts: tuple[int, ...], truth: int, mind: Any) -> Fraction:
    """The chance of a history where everybody hears everybody before."""
    chance = Fraction(1)
    for place, act in enumerate(acts):
        chance *= sum(
            (p if signal == truth else 1 - p) * dict(mind(list(acts[:place]), signal)).get(act, Fraction(0))
            for signal in (1, -1)
        )
    return chance


def histories(p: Fraction, places: int, last: int, mind: Any) -> dict[Any, Fraction]:
    """The chance of every history of acts and signals of a line whose truth is +1."""
    found = {((), ()): Fraction(1)}
    for place in range(places):
        longer: dict[Any, Fraction] = defaultdict(Fraction)
        for (acts, signals), chance in found.items():
            for signal in (1, -1):
                for act, odds in mind(list(acts[max(0, place - last) :]), signal):
                    key = (*acts, act), (*signals, signal)
                    longer[key] += chance * odds * (p if signal > 0 else 1 - p)
        found = longer
    return found


def in_cascade(acts: tuple[int, ...], signals: tuple[int, ...]) -> int:
    """The side of the cascade in which a line is: its last acts are alike, and one followed a lead over its signal."""
    run = len(list(itertools.takewhile(lambda act: act == acts[-1], reversed(acts))))
    for place in range(len(acts) - run, len(acts)):
        if acts[place] != signals[place] and sum(acts[:place]) * acts[place] >= 2:
            return acts[-1]
    return 0


LAST = "ring(k={}, directed=1)"


@pytest.mark.parametrize(("name", "graph", "last"), [
    ("counting", "complete", 6), ("counting", LAST.format(2), 1), ("counting", LAST.format(4), 2),
    ("counting", "empty", 0),
    ("bayesian", "complete", 6), ("bayesian", "empty", 0),
])  # fmt: skip
def test_short_lines_do_what_the_enumeration_says(name, graph, last):
    p, lines, places = Fraction(2, 3), 3000, 5
    mind = majority if name == "counting" else bayes(p)
    expected = histories(p, places, last, mind)
    assert sum(expected.values()) == 1
    model = ran(agents=places * lines, places=places, precision=float(p), graph=graph, mind=name)
    known = model.known
    found: dict[Any, int] = defaultdict(int)
    for acts, signals, truth in zip(known.acts, known.signals, known.truth[:, 0], strict=True):
        found[tuple((acts == truth).tolist()), tuple((signals == truth).tolist())] += 1
    chances = {
        (tuple(a > 0 for a in acts), tuple(s > 0 for s in signals)): c for (acts, signals), c in expected.items()
    }
    assert set(found) <= set(chances)
    keys = sorted(key for key in chances if chances[key] * lines >= 5)
    rare = lines - sum(found[key] for key in keys)
    left = max(1e-9, float(1 - sum(chances[key] for key in keys)))
    counts = np.array([*(found[key] for key in keys), rare])
    odds = np.array([*(float(chances[key]) for key in keys), left])
    assert stats.chisquare(counts, odds / odds.sum() * lines).pvalue > 1e-3
    for side, measure in ((1, "right_cascade"), (-1, "wrong_cascade")):
        chance = sum(c for (acts, signals), c in expected.items() if in_cascade(acts, signals) == side)
        assert near(model.measures[measure](model), float(chance), lines)


def test_bayes_rule_by_enumeration_is_the_bayesian_mind_on_every_path():
    p, places = Fraction(3, 4), 6
    mind = bayes(p)
    counted = histories(p, places, places, majority)
    assert histories(p, places, places, mind) == counted  # with all heard, counting does the same on the path


# --- what cures are worth

RELEASES = ((-1, "bayesian"), (10, "bayesian"), (10, "counting"))


def test_a_public_signal_breaks_the_cascades_of_bayesians_and_none_of_those_who_count():
    # A cascade holds (1 + p) / (2 - p) beside one signal, which is less than a signal: a contrary ball undoes it.
    runs = [ran(agents=20_000, places=20, release=release, mind=mind) for release, mind in RELEASES]
    before, bayesians, counters = ({name: of(model) for name, of in model.measures.items()} for model in runs)
    assert bayesians["broken"] > 0.1 > counters["broken"] == 0
    assert counters["wrong_cascade"] == pytest.approx(before["wrong_cascade"], abs=0.005)  # the last undecided lines
    assert bayesians["wrong_cascade"] < before["wrong_cascade"] / 2


def test_the_ball_is_told_from_its_turn_on_and_is_true():
    model = ran(2, release=2)
    assert (model.traits["news"] == model.truth).all()
    assert (ran(1, release=2).traits["news"] == -1).all()
    assert (ran(1, release=0).traits["news"] == model.truth).all()


def test_those_who_decide_alone_follow_their_signals_and_are_read_as_such():
    model = ran(agents=40_000, places=20, alone=7)
    known = model.known
    assert (known.acts[:, :7] == known.signals[:, :7]).all()
    lead = np.where(known.signals[:, :7] == 0, 1, -1).sum(axis=1)
    sure = np.abs(lead) >= 2
    assert (known.acts[sure, 7:] == (lead[sure] < 0)[:, None]).all()


def test_told_signals_make_every_member_the_majority_of_all_signals_so_far():
    known = ran(reveal=True, mind="bayesian(ties=own)").known
    side = np.where(known.signals == 0, 1, -1)
    balance = np.cumsum(side, axis=1)
    assert (np.where(known.acts == 0, 1, -1) == np.where(balance == 0, side, np.sign(balance))).all()


def test_a_true_signal_that_comes_late_and_stays_private_changes_no_act_of_others():
    plain, late = ran(places=12, agents=12_000), ran(places=12, agents=12_000, planted=10, planted_precision=1.0)
    sure = plain.known.cascade[:, 9] >= 0
    assert (plain.known.acts[sure] == late.known.acts[sure]).all()


def test_a_false_first_signal_is_worth_the_first_act():
    # P(wrong) from a wrong first act: the second follows (its signal wrong, or a coin), or evens it out.
    p, lines = 0.7, 2000
    model = ran(agents=20 * lines, places=20, planted=0)
    q = 1 - p
    assert near(model.measures["wrong_cascade"](model), q + p / 2 + p / 2 * limits(p)[1], lines)


# --- order, exposure, measures


@given(st.integers(1, 60), st.integers(1, 25), st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_each_line_has_each_place_once(agents, places, seed):
    for line, place in (line_up(agents, places, None), line_up(agents, places, seed)):
        assert (line == np.arange(agents) // places).all()
        for number in range(1 + line[-1]):
            mine = np.sort(place[line == number])
            assert (mine == np.arange(mine.size)).all()


@pytest.mark.parametrize("turns", ["fixed", "random"])
def test_nobody_hears_another_line_or_who_comes_later(turns):
    model = Cascades(agents=23, places=5, turns=turns, rng=4)
    for author, reader in model.graph.edges:
        assert model.line[author] == model.line[reader]
        assert model.place[author] < model.place[reader]
    assert model.graph.number_of_edges() == 4 * 10 + 3


def test_at_once_or_unseen_everybody_follows_its_own_signal():
    for knobs in ({"turns": "simultaneous"}, {"visibility": "hidden"}, {"graph": "empty"}, {"alone": 6}):
        known = ran(**knobs).known
        assert (known.acts == known.signals).all()
        assert (known.cascade == -1).all()


def test_followers_of_their_own_signals_are_never_in_a_cascade():
    model = ran(mind="own", places=12, agents=6000)
    assert model.measures["wrong_cascade"](model) == model.measures["right_cascade"](model) == 0
    assert near(model.measures["accuracy"](model), 0.7, 6000)
    odds = stats.binom(12, 0.7)
    assert near(model.measures["pooled"](model), odds.sf(6) + odds.pmf(6) / 2, 500)


def test_members_who_give_no_answer_are_passed_over():
    model = ran(mind="silent:2000, bayesian")
    known = model.known
    assert (~known.given).sum() == 2000
    assert model.measures["ignored"](model) == 1


def test_a_language_mind_is_told_all_of_it():
    model = Cascades(agents=12, places=6, alone=1, release=2, rng=1, mind="scripted:chance")
    for _ in range(3):
        model.step()
    seen = model.expose(np.array([3])).one(0)
    text = Cascades.prompt(seen)
    assert "70%" in text
    assert f"drew: {('red', 'blue')[model.traits['signal'][3]]}" in text
    assert f"in public: {('red', 'blue')[model.truth[3]]}" in text
    assert len(seen.heard) == 4  # the protocol and three acts
    shown = Cascades(agents=6, places=6, reveal=True, rng=1, mind="scripted:chance")
    for _ in range(6):
        shown.step()
    assert "signal " in Cascades.prompt(shown.expose(np.array([5])).one(0))


def test_a_finding_is_never_nan():
    model = ran()
    values = {name: measure(model) for name, measure in model.measures.items()}
    empty = Cascades(rng=1)
    nothing = {name: measure(empty) for name, measure in empty.measures.items()}
    for one, other in itertools.product((values, nothing), repeat=2):
        assert "nan" not in Cascades.finding(one, other)
