import pickle

import pytest
from fakes import reply
from hypothesis import given
from hypothesis import strategies as st

from agentmicro.completion.budget import OVERRUN, Account, Budget, BudgetReached, Ceilings, Spent, spent
from agentmicro.completion.seam import Reply, Status
from agentmicro.errors import SpecError

counts = st.integers(0, 10**6)
amounts = st.builds(Spent, counts, counts, counts, counts, counts.map(float), counts, counts.map(float), counts)


@given(amounts, amounts, amounts)
def test_spending_adds_up_in_any_order(one, two, three):
    assert (one + two) + three == three + (two + one)
    assert one + Spent() == one
    assert (one + two).tokens == one.tokens + two.tokens


def test_replies_add_up_and_an_unknown_price_is_none_and_never_zero():
    replies = [reply(), reply(calls=3), reply(cost_usd=None), reply(tokens_in=None, tokens_cached=None)]
    found = spent(replies)
    assert found == Spent(6, 30, 8, 12, 0.75, 1)
    assert found.cost_usd is None
    assert spent(replies[:2]).cost_usd == 0.5


def test_what_comes_from_the_record_costs_nothing_now():
    assert spent([reply(replayed=True), reply(replayed=True)]) == Spent(replayed=2)


def test_a_failed_call_counts_as_a_call_and_its_price_is_not_missed():
    assert spent([Reply("", Status.FAILED, error="no", calls=5)]) == Spent(calls=5)


@pytest.mark.parametrize(
    ("ceilings", "used", "sentence"),
    [
        (Ceilings(usd=5), Spent(priced_usd=5.25), "the run has used 5.25 of 5 USD: everything is recorded; give the"),
        (Ceilings(tokens=100), Spent(tokens_in=60, tokens_out=40), "100 of 100 tokens"),
        (Ceilings(calls=10), Spent(calls=12), "12 of 10 calls"),
        (Ceilings(seconds=60), Spent(seconds=61.5), "61.5 of 60 seconds"),
    ],
)
def test_each_ceiling_stops_the_run_and_the_study_and_says_which(ceilings, used, sentence):
    with pytest.raises(BudgetReached, match=sentence):
        Budget(run=ceilings).check(used, Spent())
    with pytest.raises(BudgetReached, match=sentence.replace("the run", "the study")):
        Budget(study=ceilings).check(Spent(), used)
    Budget(run=ceilings).check(Spent(), used)
    Budget().check(used, used)


def test_inside_a_turn_a_ceiling_is_passed_by_a_tenth_before_it_stops():
    budget = Budget(run=Ceilings(calls=100))
    budget.check(Spent(calls=109), Spent(), OVERRUN)
    with pytest.raises(BudgetReached):
        budget.check(Spent(calls=111), Spent(), OVERRUN)


def test_a_ceiling_in_dollars_needs_prices():
    with pytest.raises(SpecError, match=r"the price of 3 replies is unknown; give the price per million tokens"):
        Budget(study=Ceilings(usd=5)).check(Spent(unpriced=3), Spent())
    Budget(study=Ceilings(tokens=5)).check(Spent(unpriced=3), Spent(unpriced=3))


@pytest.mark.parametrize("value", [-1, float("nan"), float("inf")])
def test_a_ceiling_that_is_none_is_named(value):
    with pytest.raises(SpecError, match=f"a ceiling of {value} usd: expected 0 or more"):
        Ceilings(usd=value)


def test_an_account_adds_up_counts_its_wall_time_and_can_be_sent_elsewhere():
    account = Account()
    account.add(Spent(calls=2))
    account.add(Spent(calls=3, replayed=1))
    copy = pickle.loads(pickle.dumps(account))
    assert (copy.spent.calls, copy.spent.replayed) == (5, 1)
    assert account.spent.seconds <= copy.spent.seconds < account.spent.seconds + 60
