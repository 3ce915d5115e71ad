"""Herding: every embedded mind against its stated law, and the world they act in."""

from typing import Any

import numpy as np
import pytest
from scipy import stats
from scipy.special import expit

from agentmicro.measures import gini, gini_null
from agentmicro.phenomena.herding import Herding, feed_of, proof


def run(length: int = 10, **knobs: Any) -> Herding:
    model = Herding(**{"rng": 3} | knobs)
    for _ in range(length):
        model.step()
    return model


def values(model: Herding) -> Any:
    return model.datacollector.get_model_vars_dataframe().iloc[-1]


def close(successes: Any, trials: Any, chance: Any, within: float = 4.5) -> bool:
    """Whether counts are what a chance gives, all of them within so many standard deviations."""
    successes, trials = np.asarray(successes, float), np.asarray(trials, float)
    spread = np.sqrt(trials * chance * (1 - chance))
    return bool((np.abs(successes - trials * chance) <= within * np.maximum(spread, 1e-9)).all())


# --- the null


@pytest.mark.parametrize("turns", ["simultaneous", "random"])
def test_uniform_readers_endorse_places_and_items_alike(turns):
    model = run(8, mind="uniform", turns=turns, agents=300)
    found, picks = values(model), 8 * 300 * 3
    assert found["mean_position"] == pytest.approx(24.5, abs=4 * np.sqrt((48**2 - 1) / 12 / picks))
    assert stats.chisquare(model.profile).pvalue > 1e-3
    assert stats.chisquare(model.endorsed).pvalue > 1e-3
    assert model.profile.sum() == model.endorsed.sum() == picks
    assert abs(found["herding_z"]) < 4
    null = gini_null(picks, 48, seed=9)
    assert gini(model.endorsed) == pytest.approx(null.mean, abs=4 * null.sd)
    assert found["attack_share"] == pytest.approx(1 / 48, abs=4 * np.sqrt(1 / 48 / picks))
    assert found["overlap"] == pytest.approx(0.033, abs=0.01)


# --- two stages


def test_without_likes_an_item_inside_the_gate_is_endorsed_with_the_base_chance_and_outside_never():
    model = run(signal="hidden", endorse=5, mind="two-stage(gate=5, base=-0.7)")
    visits = 200 * 10
    assert close(model.profile[:5], visits, expit(-0.7))
    assert model.profile[5:].sum() == 0
    assert np.isnan(values(model)["proof_step"])
    assert list(model.proof) == [0]


@pytest.mark.parametrize("gate", [1, 3, 48, 60])
def test_the_gate_is_where_attention_ends(gate):
    model = run(3, signal="hidden", endorse=48, mind=f"two-stage(gate={gate})")
    assert close(model.profile[:gate], 600, expit(-1.0))
    assert model.profile[gate:].sum() == 0


def test_any_visible_like_adds_the_step_and_more_add_nothing():
    model = run(20, signal="seeded", endorse=5, mind="two-stage(base=-1, step=1.5)")
    assert len(model.proof) > 5
    for likes, (shown, endorsed) in model.proof.items():
        assert close(endorsed, shown, expit(-1 + 1.5 * (likes >= 1)))
    assert sum(table[0].sum() for table in model.proof.values()) == 20 * 200 * 5


def test_at_most_so_many_are_endorsed_and_the_best_of_them():
    model = run(5, signal="hidden", endorse=2, mind="two-stage(gate=6, base=8)")
    picks = (model.acts.own >= 0).sum(axis=1)
    assert (picks == 2).mean() > 0.99
    assert close(model.profile[:6], 5 * 200, 2 / 6)


def test_slope_readers_are_drawn_by_the_logarithm_of_the_likes():
    model = run(20, signal="seeded", endorse=5, mind="slope(base=-2, rate=0.6)")
    for likes, (shown, endorsed) in model.proof.items():
        assert close(endorsed, shown, expit(-2 + 0.6 * np.log1p(likes)))


def test_the_fit_tells_the_step_from_the_slope():
    two = proof(run(30, signal="seeded", endorse=5, mind="two-stage(base=-1, step=1.5)"))
    assert two.step == pytest.approx(1.5, abs=3 * two.step_error)
    assert two.slope == pytest.approx(0.0, abs=3 * two.slope_error)
    assert two.position == pytest.approx(0.0, abs=0.1)
    assert two.step_error < 0.3
    one = proof(run(30, signal="seeded", endorse=5, mind="slope(base=-2, rate=0.6)"))
    assert one.slope == pytest.approx(0.6, abs=3 * one.slope_error)
    assert one.slope > 3 * one.slope_error
    assert one.step == pytest.approx(0.0, abs=3 * one.step_error)
    none = proof(run(30, signal="seeded", mind="uniform"))
    assert none.step == pytest.approx(0.0, abs=3 * none.step_error)
    assert none.slope == pytest.approx(0.0, abs=3 * none.slope_error)


# --- the other minds


@pytest.mark.parametrize(("attraction", "satisfied", "patience"), [(0.3, 0.5, 0.9), (0.6, 0.1, 1.0), (0.2, 1.0, 0.7)])
def test_cascade_readers_go_down_the_list_by_the_closed_form(attraction, satisfied, patience):
    mind = f"cascade-click(attraction={attraction}, satisfied={satisfied}, patience={patience})"
    model = run(items=20, endorse=20, mind=mind)
    goes_on = attraction * (1 - satisfied) + (1 - attraction) * patience
    assert close(model.profile, 2000, attraction * goes_on ** np.arange(20))


def test_cascade_readers_stop_when_they_may_endorse_no_more():
    model = run(items=10, endorse=1, mind="cascade-click(attraction=0.5, satisfied=0, patience=1)")
    assert close(model.profile, 2000, 0.5 ** np.arange(1, 11))


@pytest.mark.parametrize("power", [0, 1, 2])
def test_popularity_readers_endorse_by_likes_wherever_items_stand(power):
    model = run(signal="seeded", items=12, endorse=1, seeded_likes=10, mind=f"popularity(power={power})")
    weights = (1.0 + model.seeds) ** power
    assert stats.chisquare(model.endorsed, weights / weights.sum() * model.endorsed.sum()).pvalue > 1e-3
    assert model.endorsed.sum() == 2000
    assert stats.chisquare(model.profile).pvalue > 1e-3


# --- the world


def test_likes_are_the_endorsements_so_far_unless_they_are_seeded():
    organic = run(5)
    assert organic.feed.likes.tolist() == organic.endorsed.tolist()
    seeded = run(5, signal="seeded", seeded_share=0.5, seeded_likes=40)
    assert seeded.feed.likes.tolist() == seeded.seeds.tolist()
    liked = np.sort(seeded.seeds[seeded.seeds > 0])
    assert (liked.size, liked[0], liked[-1]) == (24, 1, 40)


@pytest.mark.parametrize("turns", ["simultaneous", "random"])
@pytest.mark.parametrize("latency", [0, 1, 3])
def test_likes_are_shown_as_late_as_they_are_said_to_be(turns, latency):
    model, ends = Herding(agents=20, items=6, likes_latency=latency, turns=turns, rng=1), [np.zeros(6, int)]
    watched = []

    def absorb(seen, acts, settle=model.absorb):
        watched.append((seen.time, feed_of(seen).likes.copy(), model.endorsed.copy()))
        settle(seen, acts)

    model.absorb = absorb
    for _ in range(6):
        model.step()
        ends.append(model.endorsed.copy())
    assert len(watched) == (6 * 20 if turns == "random" and latency == 0 else 6)
    for time, shown, now in watched:
        then = int(time) - latency - (turns == "simultaneous")
        assert shown.tolist() == (now if then == time else ends[max(0, then)]).tolist()


def test_the_attacked_item_is_on_top_and_gains_by_it_although_likes_alone_do_nothing():
    model = run(signal="hidden", endorse=5, order="attack")
    visits = 2000
    assert close(model.endorsed[model.feed.target], visits, expit(-1.0))
    others = np.delete(model.endorsed, model.feed.target)
    assert close(others, visits, 4 / 47 * expit(-1.0))
    assert values(model)["attack_share"] > 5 * values(run(signal="hidden", endorse=5))["attack_share"]
    assert values(run(mind="uniform", order="attack"))["attack_share"] < 0.03


def test_a_fixed_order_gathers_all_endorsements_on_the_items_at_its_top():
    model = run(order="fixed")
    assert set(np.flatnonzero(model.endorsed)) == set(model.feed.slate[:5].tolist())
    assert values(model)["gini"] > 0.85
    assert values(run())["gini"] < 0.2


def test_a_popular_order_shows_the_most_liked_of_the_turns_before_first():
    model = run(1, order="popular", mind="uniform", agents=20)
    seen = model.expose(model.acts.rows)
    top = feed_of(seen).top(48)[7]
    likes = model.endorsed[top]
    assert (np.diff(likes) <= 0).all() or model.time == 1  # at once: the likes shown are those before this turn
    model.step()
    before = feed_of(seen).top(48)[0].tolist()
    assert before == model.feed.slate.tolist()
    lock = run(20, order="popular")
    assert values(lock)["gini"] > 0.85


def test_hidden_likes_change_nothing_however_many_there_are():
    knobs = {"length": 6, "endorse": 5}
    hidden = run(**knobs, signal="hidden")
    assert values(hidden)["gini"] == values(run(**knobs, signal="hidden", mind="two-stage(step=9)"))["gini"]
    assert run(**knobs, mind="two-stage(step=0)").endorsed.tolist() == hidden.endorsed.tolist()


@pytest.mark.parametrize("turns", ["simultaneous", "random"])
@pytest.mark.parametrize("minds", ["two-stage:40, silent", "two-stage:40, two-stage(gate=3):60, silent"])
def test_places_are_those_that_readers_saw_in_mixtures_and_when_others_fail(turns, minds):
    model = run(3, agents=120, turns=turns, mind=minds)
    assert model.profile[5:].sum() == 0
    assert model.profile[:5].sum() == model.endorsed.sum() > 0


def test_a_change_of_order_signal_or_latency_during_a_run_changes_the_feed():
    model = Herding(rng=2)
    model.intervene(3, order="fixed")
    model.intervene(4, signal="hidden", likes_latency=2)
    model.intervene(5, signal="seeded")
    model.run_until(2)
    assert (model.endorsed > 0).sum() > 40
    before = model.endorsed.copy()
    model.run_until(3)
    assert set(np.flatnonzero(model.endorsed - before)) == set(model.feed.slate[:5].tolist())
    model.run_until(4)
    assert (model.feed.signal, model.feed.latency) == (False, 2)
    model.run_until(6)
    assert model.feed.likes.tolist() == model.seeds.tolist()


def test_measures_are_nan_where_nothing_was_endorsed():
    model = run(3, mind="silent")
    found = values(model)
    assert found["failure_rate"] == 1
    assert all(np.isnan(found[name]) for name in ("mean_position", "top_share", "attack_share", "low_share"))


def test_a_prompt_lists_the_feed_in_the_order_of_the_reader():
    model = run(2, agents=3, items=4)
    observation = model.expose(model.acts.rows).one(1)
    prompt = Herding.prompt(observation)
    for place, item in enumerate(observation.heard, start=1):
        line = f"{place}. {item.content}" + (f" ({item.count} likes)" if item.count else "")
        assert line in prompt.splitlines()
    assert "up to 3 items" in prompt
