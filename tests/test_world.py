import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from agentmicro.errors import KnobError
from agentmicro.noise import Luck
from agentmicro.world import ORDERS, Feed, Notice


def feed(size=48, order="shuffled", seed=1, **options):
    return Feed(tuple(f"item {number}" for number in range(size)), seed=seed, order=order, **options)


def look(source, readers=5, when=0.0, time=0.0, seed=1, decision=0):
    return source.view(when, Luck(seed, source.name, decision, np.arange(readers)), time)


sizes, orders, seeds = st.integers(1, 60), st.sampled_from(ORDERS), st.integers(-3, 2**40)


# --- orders


@settings(deadline=None)
@given(sizes, orders, seeds, st.integers(1, 60), st.lists(st.integers(1, 60), min_size=1, max_size=6))
def test_looking_deeper_continues_the_same_order(size, order, seed, place, depths):
    source = feed(size, order, seed, place=min(place, size))
    whole = look(source, seed=seed).top(size)
    assert (np.sort(whole, axis=1) == np.arange(size)).all()
    view = look(source, seed=seed)
    for depth in depths:
        assert view.top(depth).tolist() == whole[:, :depth].tolist()
    assert view.top(size).tolist() == whole.tolist()


@settings(deadline=None)
@given(sizes, orders, seeds, st.data())
def test_a_place_is_where_the_item_stands_whatever_was_looked_at_before(size, order, seed, data):
    source = feed(size, order, seed)
    view = look(source, readers=3, seed=seed)
    if data.draw(st.booleans()):
        view.top(data.draw(st.integers(1, size)))
    items = np.array(
        data.draw(st.lists(st.lists(st.integers(-1, size - 1), min_size=2, max_size=2), min_size=3, max_size=3))
    )
    places = view.places(items)
    orders_of = look(source, readers=3, seed=seed).top(size).tolist()
    expected = [
        [line.index(item) + 1 if item >= 0 else 0 for item in row]
        for line, row in zip(orders_of, items.tolist(), strict=True)
    ]
    assert places.tolist() == expected


def test_the_places_of_the_top_are_1_2_3():
    for order in ORDERS:
        view = look(feed(9, order))
        assert view.places(view.top(9)).tolist() == [list(range(1, 10))] * 5


@pytest.mark.parametrize("order", ["shuffled", "attack"])
def test_shuffled_orders_are_uniform_permutations(order):
    source = feed(4, order)
    shown = look(source, readers=24_000).top(4)
    counts = np.unique(shown, axis=0, return_counts=True)[1]
    assert counts.size == (24 if order == "shuffled" else 6)
    assert stats.chisquare(counts).pvalue > 1e-3


@pytest.mark.parametrize("depth", [1, 5, 48])
def test_every_item_is_as_likely_at_every_place(depth):
    shown = look(feed(48), readers=20_000).top(depth)
    for place in {0, depth - 1}:
        assert stats.chisquare(np.bincount(shown[:, place], minlength=48)).pvalue > 1e-3


def test_the_attacked_item_is_on_top_for_everyone_and_differs_between_seeds():
    source = feed(20, "attack")
    assert (look(source, readers=50).top(20)[:, 0] == source.target).all()
    targets = np.bincount([feed(20, "attack", seed).target for seed in range(4000)], minlength=20)
    assert stats.chisquare(targets).pvalue > 1e-3


@pytest.mark.parametrize("place", [1, 2, 7, 20])
def test_the_attacked_item_stands_where_it_is_put_and_the_others_are_shuffled_around_it(place):
    source = feed(20, "attack", place=place)
    shown = look(source, readers=2000).top(20)
    assert (shown[:, place - 1] == source.target).all()
    other = 0 if place > 1 else 19
    counts = np.bincount(shown[:, other], minlength=20)
    assert counts[source.target] == 0
    assert stats.chisquare(np.delete(counts, source.target)).pvalue > 1e-3


@pytest.mark.parametrize("place", [0, 21])
def test_a_place_that_the_feed_does_not_have_is_refused(place):
    with pytest.raises(KnobError, match=f"^place = {place}: expected a place from 1 to 20"):
        feed(20, "attack", place=place)


def test_a_fixed_order_is_the_same_for_all_at_every_visit():
    source = feed(20, "fixed")
    first, later = look(source).top(20), look(source, decision=7).top(20)
    assert len(np.unique(np.vstack([first, later]), axis=0)) == 1
    assert first[0].tolist() == source.slate.tolist()


@pytest.mark.parametrize("order", ["shuffled", "attack"])
def test_each_reader_gets_a_new_order_at_each_visit(order):
    source = feed(30, order)
    shown = np.vstack([look(source, decision=visit).top(30) for visit in range(4)])
    assert len(np.unique(shown, axis=0)) == len(shown)


def test_a_reader_sees_the_same_order_whoever_else_looks():
    source = feed(30)
    everyone = look(source, readers=40).top(30)
    some = source.view(0.0, Luck(1, "feed", 0, np.array([31, 3])), 0.0).top(30)
    assert some.tolist() == everyone[[31, 3]].tolist()


@settings(deadline=None)
@given(st.lists(st.integers(0, 5), min_size=1, max_size=20), seeds)
def test_popular_puts_the_most_liked_first_and_equals_in_the_fixed_order(likes, seed):
    source = feed(len(likes), "popular", seed, likes=np.array(likes))
    slate = source.slate.tolist()
    expected = sorted(slate, key=lambda item: (-likes[item], slate.index(item)))
    assert look(source).top(len(likes)).tolist() == [expected] * 5


def test_an_unknown_order_is_refused_when_somebody_looks():
    with pytest.raises(KnobError, match=r"^order = 'popullar': expected one of shuffled, .*did you mean 'popular'\?$"):
        look(feed(3, "popullar"))


# --- likes


def test_likes_add_up_and_old_views_keep_theirs():
    source = feed(3)
    before = look(source)
    source.like(np.array([1, 0, 2]))
    source.like(np.array([0, 1, 2]))
    assert source.likes.tolist() == [1, 1, 4]
    assert before.likes.tolist() == [0, 0, 0]


def test_hidden_likes_are_shown_as_none_although_they_are_counted():
    source = feed(3, signal=False, likes=np.array([3, 0, 1]))
    view = look(source, readers=1)
    assert not view.signal
    assert view.likes.tolist() == [0, 0, 0]
    assert [item.count for item in view.exposures(0)] == [0, 0, 0]
    assert source.likes.tolist() == [3, 0, 1]


@settings(deadline=None, max_examples=150)
@given(st.lists(st.lists(st.integers(0, 9), max_size=3), max_size=12), st.integers(0, 4))
def test_likes_are_those_of_the_end_of_the_turn_asked_for(turns, reach):
    source, ends = feed(1), []
    for turn, news in enumerate(turns):
        source.advance(turn, reach)
        for count in news:
            source.like(np.array([count]))
        ends.append(source.likes[0])
        for back in range(min(reach, turn) + 1):
            assert look(source, when=turn - back).likes.tolist() == [ends[turn - back]]


def test_exposures_are_the_items_in_the_order_of_the_reader_with_their_likes():
    source = feed(6, likes=np.arange(6))
    view = look(source, readers=2)
    shown = view.exposures(1)
    assert [item.content for item in shown] == [f"item {item}" for item in view.top(6)[1]]
    assert [item.count for item in shown] == view.top(6)[1].tolist()
    assert {item.author for item in shown} == {"feed"}


def test_the_age_of_likes_is_the_time_since_they_were_counted():
    source = feed(1)
    for turn in range(1, 6):
        source.advance(turn, 3)
    assert look(source, when=5, time=5.0).exposures(0)[0].age == 0
    assert look(source, when=3, time=5.0).exposures(0)[0].age == 2
    assert look(source, when=5, time=5.5).exposures(0)[0].age == 0.5


# --- notices


def test_a_notice_says_what_was_true_then_and_since_when():
    notice = Notice("price", 10.0)
    notice.advance(1, 2)
    notice.publish(12.0, 1.0)
    notice.advance(2, 2)
    assert notice.value == 12.0
    assert look(notice, when=2, time=3.0).exposures(0) == [(12.0, 1, "price", 2.0)]
    assert look(notice, when=0, time=3.0).exposures(0) == [(10.0, 1, "price", 3.0)]


@settings(deadline=None)
@given(st.lists(st.booleans(), max_size=15), st.integers(0, 5))
def test_a_notice_as_of_a_turn_is_the_last_one_published_by_then(published, reach):
    notice, ends = Notice("n", -1), []
    for turn, news in enumerate(published):
        notice.advance(turn, reach)
        if news:
            notice.publish(turn, float(turn))
        ends.append(notice.value)
        for back in range(min(reach, turn) + 1):
            value = ends[turn - back]
            seen = look(notice, when=turn - back, time=float(turn)).exposures(4)
            assert seen == [(value, 1, "n", turn - max(value, 0))]
