"""Orders, accounts and the auditor by themselves; the market on a network is in tests/phenomena/test_economy.py."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentmicro.chained import Chained, first_broken
from agentmicro.settlement import (
    ARRIVED,
    ASTRAY,
    DRAWS,
    KEPT,
    PLACED,
    SETTLED,
    SHIPPED,
    TWICE_PAID,
    UNPAID,
    UNSEEN,
    Auditor,
    Ledger,
    Market,
    Order,
)

TERMS = {
    "settlement": "immediate",
    "deadline": 3,
    "duplication": 0.0,
    "numbered": False,
    "check": 0.0,
    "log": "chained",
    "records": 1.0,
    "audit": 1.0,
    "strikes": 1,
    "permeability": 0.0,
}


def order(buyer=0, seller=1, price=10, placed=1.0, settlement="immediate", luck=0.5):
    return Order(buyer, seller, price, placed, settlement, [luck] * DRAWS)


def market(money=100, agents=3, forged=(), tamperer=-1, **terms):
    return Market(TERMS | terms, money, np.isin(np.arange(agents), forged), tamperer)


def lived(one, what=(PLACED, SHIPPED, ARRIVED), **terms):
    """A market in which one order was placed at 1, shipped at 2 and arrived at 3, or some of that; it ends at 4."""
    made = market(**terms)
    for turn in (1, 2, 3, 4):
        made.turn([(float(turn), turn - 1, one)] if turn - 1 in what and turn < 4 else [], float(turn))
    return made


FATES = [
    # settlement, what happens, fate, what is lost of a price of 10, what buyer and seller have of 100 each
    ("immediate", (PLACED, SHIPPED, ARRIVED), SETTLED, 0, (90, 110)),
    ("immediate", (PLACED, SHIPPED), ASTRAY, 10, (90, 110)),
    ("immediate", (PLACED,), UNSEEN, 10, (90, 110)),
    ("escrow", (PLACED, SHIPPED, ARRIVED), SETTLED, 0, (90, 110)),
    ("escrow", (PLACED, SHIPPED), ASTRAY, 10, (100, 100)),
    ("escrow", (PLACED,), UNSEEN, 0, (100, 100)),
    ("credit", (PLACED, SHIPPED, ARRIVED), SETTLED, 0, (90, 110)),
    ("credit", (PLACED, SHIPPED), ASTRAY, 10, (100, 100)),
    ("credit", (PLACED,), UNSEEN, 0, (100, 100)),
]


@pytest.mark.parametrize(("settlement", "what", "fate", "lost", "held"), FATES)
def test_what_becomes_of_an_order(settlement, what, fate, lost, held):
    one = order(settlement=settlement)
    made = lived(one, what, settlement=settlement)
    assert (one.fate, one.lost) == (fate, lost)
    assert tuple(made.ledger.held[:2].tolist()) == held
    assert made.fates == {fate: 10}
    assert (made.losses, made.count["counted"]) == ({fate: lost}, 1)


def test_an_order_that_was_seen_and_kept_back_is_no_order_that_was_never_seen():
    one = order()
    one.kept = True
    made = lived(one, (PLACED,))
    assert (one.fate, one.lost, made.losses.total()) == (KEPT, 10, 10)


@pytest.mark.parametrize("settlement", ["immediate", "credit"])
def test_an_instruction_that_arrives_twice_pays_twice_unless_it_is_numbered(settlement):
    for numbered, paid, held in ((False, 2, (80, 120)), (True, 1, (90, 110))):
        one = order(settlement=settlement)
        made = lived(one, settlement=settlement, duplication=1.0, numbered=numbered)
        assert (one.paid, one.lost) == (paid, 10 * (paid - 1))
        assert tuple(made.ledger.held[:2].tolist()) == held
        assert made.count["twice"] == paid - 1


def test_escrow_pays_once_whatever_arrives_twice_and_gives_the_rest_back():
    one = order(settlement="escrow")
    made = market(settlement="escrow", duplication=1.0)
    made.turn([(1.0, PLACED, one)], 1.0)
    assert made.ledger.locked.tolist() == [20, 0, 0]
    made.turn([(2.0, SHIPPED, one), (2.0, ARRIVED, one)], 2.0)
    assert (one.paid, one.fate, made.ledger.locked.sum()) == (1, SETTLED, 0)
    assert made.ledger.held.tolist() == [90, 110, 100]


def test_money_promised_twice_on_credit_is_spent_once_and_bounces_once():
    first, second = (order(seller=seller, price=80, settlement="credit") for seller in (1, 2))
    made = market(settlement="credit")
    second.placed = 1.5
    made.turn([(1.0, PLACED, first), (1.5, PLACED, second)], 2.0)
    assert made.free().tolist() == [0, 100, 100]
    both = [(3.0, what, one) for one in (first, second) for what in (SHIPPED, ARRIVED)]
    made.turn(both, 3.0)
    made.turn([], 5.0)
    assert [first.fate, second.fate, second.bounced, second.lost] == [SETTLED, UNPAID, True, 80]
    assert made.ledger.held.tolist() == [20, 180, 100]
    assert (made.count["twice"], made.barred) == (1, {0})


def test_what_comes_in_at_one_moment_is_spent_from_the_next_on():
    made = market(money=10)
    gives, spends, later = order(0, 1), order(1, 2, price=15), order(1, 2, price=15, placed=1.5)
    made.turn([(1.0, PLACED, gives), (1.0, PLACED, spends), (1.5, PLACED, later)], 2.0)
    assert [one.number >= 0 for one in (gives, spends, later)] == [True, False, True]
    assert made.ledger.held.tolist() == [0, 5, 25]


def test_orders_without_money_or_price_are_refused_and_nothing_is_shipped_for_them():
    poor, priceless = order(price=101), order(price=0)
    made = lived(poor)
    made.turn([(5.0, PLACED, priceless)], 5.0)
    assert (made.count["refused"], made.count["placed"], len(made.ledger.log)) == (2, 0, 0)


@pytest.mark.parametrize("forger", [0, 1])
def test_a_forged_credential_that_is_looked_up_stops_the_order(forger):
    assert lived(order(), forged=[forger], check=1.0).count["refused"] == 1
    assert lived(order(), forged=[forger], check=0.0).count["refused"] == 0
    assert lived(order(), forged=[2], check=1.0).count["refused"] == 0


def test_nobody_can_make_the_holder_of_a_forged_credential_pay():
    one = order(settlement="credit")
    made = lived(one, settlement="credit", forged=[0])
    assert (one.fate, one.lost, made.ledger.held.tolist()) == (UNPAID, 10, [100, 100, 100])
    assert (made.cheated, made.barred, made.count["twice"]) == ({0}, {0}, 0)


def test_the_barred_are_stopped_where_credentials_are_looked_up():
    one = order()
    made = lived(one, (PLACED,), check=1.0)
    assert made.barred == {1}
    made.turn([(5.0, PLACED, order(placed=5.0))], 5.0)
    assert made.count["refused"] == 1


AUDITS = [
    # settlement, what happens, what is recorded, who is barred, whether the log tells it rightly
    ("immediate", (PLACED,), 1.0, {1}, True),  # it may be the order that was lost: the log cannot know
    ("immediate", (PLACED, SHIPPED), 1.0, set(), True),
    ("immediate", (PLACED, SHIPPED), 0.0, {1}, True),
    ("immediate", (PLACED, SHIPPED, ARRIVED), 1.0, set(), True),
    ("immediate", (PLACED, SHIPPED, ARRIVED), 0.0, {1}, False),  # done, and without a trace of it
    ("escrow", (PLACED,), 0.0, set(), True),
    ("escrow", (PLACED, SHIPPED, ARRIVED), 0.0, set(), True),
    ("credit", (PLACED,), 1.0, set(), True),
    ("credit", (PLACED,), 0.0, set(), False),
    ("credit", (PLACED, SHIPPED, ARRIVED), 0.0, set(), True),
]


@pytest.mark.parametrize(("settlement", "what", "records", "barred", "known"), AUDITS)
def test_what_the_log_tells_and_whom_it_bars(settlement, what, records, barred, known):
    made = lived(order(settlement=settlement), what, settlement=settlement, records=records)
    assert (made.barred, bool(made.count["known"])) == (barred, known)


def test_as_many_strikes_as_it_takes():
    made = market(strikes=2)
    for turn in range(1, 8):
        made.turn([(float(turn), PLACED, order(placed=float(turn)))], float(turn))
        assert made.barred == ({1} if turn >= 5 else set())


def test_without_an_audit_or_a_log_nobody_is_barred():
    assert lived(order(), (PLACED,), audit=0.0).barred == set()
    without = lived(order(), (PLACED,), log="none")
    assert (without.barred, len(without.ledger.log), without.count["known"]) == (set(), 0, 0)


def test_struck_from_a_plain_log_is_gone_and_from_a_chained_log_is_seen():
    plain = lived(order(), (PLACED,), log="plain", tamperer=1)
    assert (plain.barred, plain.count["known"], plain.auditor.altered) == (set(), 0, 0)
    chained = lived(order(), (PLACED,), log="chained", tamperer=1)
    assert (chained.barred, chained.count["known"], chained.auditor.altered) == ({1}, 1, 1)
    unhurt = lived(order(), (PLACED,), log="plain", tamperer=0)
    assert (unhurt.barred, unhurt.count["known"]) == ({1}, 1)


def test_an_auditor_reads_each_entry_once():
    ledger, auditor, one = Ledger(2, 100), Auditor(), order()
    one.number = 0
    for paid in (1, 2, 3):
        ledger.move("pay", one, 1.0)
        auditor.read(ledger.log, chained=True)
        assert auditor.told[0].paid == paid
    auditor.read(Chained(), chained=False)
    assert auditor.told[0].paid == 3


def test_owners_settle_their_share_of_gains_and_losses():
    ledger = Ledger(3, 100)
    ledger.held[:] = [40, 180, 100]
    ledger.locked[:] = [20, 0, 0]
    ledger.balance(0.5, 1.0)
    assert ledger.held.tolist() == [60, 140, 100]
    assert (ledger.outside, ledger.paid_in) == (20, 20)
    ledger.balance(1.0, 2.0)
    assert ledger.held.tolist() == [80, 100, 100]
    assert ledger.outside == 320 - 280 - 20 + 20


events = st.lists(
    st.tuples(
        st.integers(0, 4),  # buyer
        st.integers(0, 4),  # seller
        st.integers(1, 30),  # price
        st.integers(0, 3),  # how far it gets
        st.floats(0, 0.999),  # its luck
    ),
    max_size=25,
)
terms = st.fixed_dictionaries(
    {
        "settlement": st.sampled_from(["immediate", "escrow", "credit"]),
        "deadline": st.integers(1, 4),
        "duplication": st.sampled_from([0.0, 0.5, 1.0]),
        "numbered": st.booleans(),
        "check": st.sampled_from([0.0, 0.5]),
        "log": st.sampled_from(["none", "plain", "chained"]),
        "records": st.sampled_from([0.0, 0.5, 1.0]),
        "permeability": st.sampled_from([0.0, 0.3, 1.0]),
    }
)


@settings(deadline=None)
@given(events, terms, st.integers(-1, 4))
def test_money_is_never_made_or_destroyed_and_the_log_alone_makes_the_accounts_again(found, given_terms, tamperer):
    made = market(money=50, agents=5, forged=[3], tamperer=tamperer, **given_terms)
    ledger, waiting = made.ledger, []
    for turn, (buyer, seller, price, far, luck) in enumerate(found, start=1):
        one = order(buyer, seller, price, float(turn), given_terms["settlement"], luck)
        waiting.append((one, far))
        happened = [(float(turn), PLACED, one)]
        for old, reach in waiting:
            if turn == old.placed + 1 and reach > 1:
                happened.append((float(turn), SHIPPED, old))
            if turn == old.placed + 2 and reach > 2 and not old.received and old in made.open:
                happened.append((float(turn), ARRIVED, old))
        made.turn(happened, float(turn))
        assert ledger.held.sum() + ledger.locked.sum() + ledger.outside == 250
        assert (ledger.held >= 0).all()
        assert (ledger.locked >= 0).all()
        if given_terms["log"] != "none":
            assert first_broken(ledger.log, head=ledger.log.head) is None
            assert accounts(ledger.log, 5, 50) == (ledger.held.tolist(), ledger.locked.tolist())
    for one, _ in waiting:
        assert one.lost >= 0
        assert one.settlement != "escrow" or one.fate not in (TWICE_PAID, UNPAID)


def accounts(log, agents, money):
    """What everyone holds and has locked, from the log alone."""
    held, locked = [money] * agents, [0] * agents
    for body in (entry.body for entry in log):
        match body["do"]:
            case "pay" | "settle":
                held[body["buyer"]] -= body["price"]
                held[body["seller"]] += body["price"]
            case "lock":
                held[body["buyer"]] -= body["price"]
                locked[body["buyer"]] += body["price"]
            case "release":
                locked[body["buyer"]] -= body["price"]
                held[body["seller"]] += body["price"]
            case "refund":
                locked[body["buyer"]] -= body["price"]
                held[body["buyer"]] += body["price"]
            case "owners":
                held = [one + flow for one, flow in zip(held, body["flows"], strict=True)]
    return held, locked
