import json
from collections import defaultdict
from itertools import groupby, pairwise
from math import ceil, comb, sqrt

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentmicro.chained import first_broken
from agentmicro.errors import KnobError, SpecError
from agentmicro.minds import each
from agentmicro.phenomena.economy import Economy, trader, zero
from agentmicro.trace import Trace

CLEAN = {"loss": 0.0, "duplication": 0.0, "forgers": 0, "audit": 0.0}


def run(length=12, cls=Economy, traced=False, **knobs):
    model = cls(**{"rng": 1} | knobs)
    model.trace = Trace() if traced else None
    for _ in range(length):
        model.step()
    return model


def last(model, name):
    return model.datacollector.model_vars[name][-1]


# --- the whole economy once more, from what the trace says that everybody saw and did


class Book:
    """A market written out by hand, for terms in which nothing is left to luck."""

    def __init__(self, model):
        self.terms = model.knobs
        self.names = [str(name) for name in model.links.names]
        self.money = dict.fromkeys(self.names, self.terms["money"])
        self.forged = {name for name, bad in zip(self.names, model.traits["forged"], strict=True) if bad}
        self.orders = {}
        self.sent = defaultdict(list)
        self.refused = 0

    def read(self, entries):
        for turn, batch in groupby(entries, key=lambda entry: ceil(entry["time"])):
            income = defaultdict(int)
            for time, moment in groupby(batch, key=lambda entry: entry["time"]):
                self.add(income)
                acts = list(moment)
                for step in (self.place, self.ship, self.receive):
                    for entry in acts:
                        step(entry, time, income)
            self.add(income)
            self.expire(turn)

    def add(self, income):
        for name, amount in income.items():
            self.money[name] += amount
        income.clear()

    def place(self, entry, time, income):
        buyer, seller = entry["name"], entry["act"]["order"]
        if seller == "nobody":
            return
        asked = [(item["age"], item["content"]["ask"]) for item in entry["saw"] if item["author"] == seller]
        price = min(asked)[1] if asked else 0
        if not price or self.money[buyer] < price or (self.terms["check"] and {buyer, seller} & self.forged):
            self.refused += 1
            return
        twice = self.terms["duplication"] and not self.terms["numbered"]
        order = {"buyer": buyer, "seller": seller, "price": price, "end": "", "twice": twice, "locked": 0, "paid": 0}
        self.orders[buyer, round(time, 6)] = order | {"at": time, "shipped": None}
        if self.terms["settlement"] != "credit":
            self.take(self.orders[buyer, round(time, 6)], income)

    def take(self, order, income):
        """Takes the price from the buyer, once or twice, into escrow or for the seller."""
        for _ in range(2 if order["twice"] and self.money[order["buyer"]] >= 2 * order["price"] else 1):
            self.money[order["buyer"]] -= order["price"]
            if self.terms["settlement"] == "escrow":
                order["locked"] += order["price"]
            else:
                income[order["seller"]] += order["price"]
                order["paid"] += 1

    def ship(self, entry, time, income):
        for item in entry["saw"] if entry["act"]["deliver"] == "deliver" else ():
            order = self.orders.get((item["author"], round(time - item["age"], 6)))
            mine = isinstance(item["content"], dict) and item["content"]["order"] == entry["name"]
            if mine and order and not order["end"] and order["shipped"] is None:
                order["shipped"] = time
                self.sent[entry["name"], round(time, 6)].append(order)

    def receive(self, entry, time, income):
        for item in entry["saw"]:
            for order in self.sent.get((item["author"], round(time - item["age"], 6)), ()):
                if order["buyer"] != entry["name"] or order["end"]:
                    continue
                if self.terms["settlement"] == "escrow":
                    order["paid"], order["locked"] = 1, order["locked"] - order["price"]
                    income[order["seller"]] += order["price"]
                elif self.terms["settlement"] == "credit" and self.can_pay(order):
                    self.take(order, income)
                order["end"] = "received"

    def can_pay(self, order):
        return order["buyer"] not in self.forged and self.money[order["buyer"]] >= order["price"]

    def expire(self, turn):
        for order in self.orders.values():
            if not order["end"] and order["at"] + self.terms["deadline"] <= turn:
                order["end"] = "expired"
            if order["end"]:
                self.money[order["buyer"]] += order["locked"]
                order["locked"] = 0

    def counted(self, turn):
        return [order for order in self.orders.values() if order["at"] + self.terms["deadline"] <= turn]


WORLDS = st.fixed_dictionaries(
    {
        "graph": st.sampled_from(["ring", "star", "random(degree=3.0)", "complete", "ring(directed=1)"]),
        "turns": st.sampled_from(["simultaneous", "random", "fixed", "clocks"]),
        "latency": st.integers(0, 2),
        "loss": st.sampled_from([0.0, 0.3]),
        "memory": st.integers(-1, 2),
        "settlement": st.sampled_from(["immediate", "escrow", "credit"]),
        "deadline": st.integers(1, 6),
        "duplication": st.sampled_from([0.0, 1.0]),
        "numbered": st.booleans(),
        "forgers": st.integers(0, 3),
        "check": st.sampled_from([0.0, 1.0]),
        "money": st.sampled_from([5, 30, 1000]),
        "minds": st.sampled_from(["trader", "trader(careful=false)", "zero", "trader:3, zero", "trader(wary=true)"]),
        "rng": st.integers(0, 999),
    }
)


@settings(deadline=None, max_examples=60)
@given(WORLDS)
def test_an_economy_is_what_a_book_written_from_its_trace_says(world):
    model = run(8, traced=True, agents=7, audit=0.0, **world)
    book = Book(model)
    book.read(sorted(model.trace, key=lambda entry: (entry["time"], entry["agent"])))
    assert [book.money[name] for name in book.names] == model.market.ledger.held.tolist()
    done = book.counted(model.time)
    assert model.market.count["counted"] == len(done)
    assert model.market.count["refused"] == book.refused
    if done:
        settled = [order["end"] == "received" and order["paid"] == 1 for order in done]
        assert last(model, "settled") == pytest.approx(np.mean(settled))
        value = sum(order["price"] for order in done)
        assert last(model, "value_lost") == pytest.approx(sum(map(lost, done)) / value)


def lost(order):
    """What one of the two parties has lost on an order, case by case."""
    if order["end"] == "received":
        return order["price"] * (1 if order["paid"] == 0 else order["paid"] - 1)
    if order["paid"]:
        return order["price"] * order["paid"]
    return order["price"] if order["shipped"] is not None else 0


@settings(deadline=None, max_examples=30)
@given(
    WORLDS,
    st.fixed_dictionaries(
        {
            "permeability": st.sampled_from([0.0, 0.2, 1.0]),
            "records": st.sampled_from([0.0, 0.5, 1.0]),
            "audit": st.sampled_from([0.0, 1.0]),
            "strikes": st.integers(1, 2),
            "log": st.sampled_from(["plain", "chained"]),
            "tamperer": st.integers(-1, 6),
        }
    ),
)
def test_money_is_conserved_and_the_log_verifies_and_makes_the_accounts_again(world, terms):
    model = Economy(agents=7, **world | terms)
    ledger = model.market.ledger
    for _ in range(8):
        model.step()
        assert ledger.held.sum() + ledger.locked.sum() + ledger.outside == 7 * world["money"]
        assert ledger.held.min() >= 0
        assert first_broken(ledger.log, head=ledger.log.head) is None
        assert from_log(ledger.log, 7, world["money"]) == (ledger.held + ledger.locked).tolist()
        for name in ("settled", "value_lost", "double_spends", "reconstructed", "refused", "gini", "idle"):
            value = last(model, name)
            assert np.isnan(value) or 0 <= value <= (2 if name == "value_lost" else 1)


def from_log(log, agents, money):
    """What everyone owns, from the log alone."""
    own = [money] * agents
    for body in (json.loads(entry.text) for entry in log):
        if body["do"] in ("pay", "settle", "release"):
            own[body["buyer"]] -= body["price"]
            own[body["seller"]] += body["price"]
        elif body["do"] == "owners":
            own = [one + flow for one, flow in zip(own, body["flows"], strict=True)]
    return own


# --- closed forms: what messages that get lost do to each way of settling


def shares(names, runs=4, **knobs):
    """The means of some measures over seeds, and how many orders they are made of."""
    models = [run(34, agents=50, money=100_000, rng=seed, **knobs) for seed in range(runs)]
    orders = sum(model.market.count["counted"] for model in models)
    return [float(np.mean([last(model, name) for model in models])) for name in names], orders


def near(found, expected, orders):
    return abs(found - expected) < 4.5 * sqrt(expected * (1 - expected) / orders) + 1e-9


@pytest.mark.parametrize("loss", [0.1, 0.4])
@pytest.mark.parametrize("settlement", ["immediate", "escrow", "credit"])
def test_lost_messages_cost_what_the_closed_form_says(loss, settlement):
    arrives = (1 - loss) ** 2
    expected = {"immediate": 1 - arrives, "escrow": (1 - loss) * loss, "credit": (1 - loss) * loss}
    names = ("settled", "value_lost", "double_spends")
    knobs = CLEAN | {"loss": loss, "settlement": settlement, "minds": "zero(ask=5)"}
    (settled, gone, twice), orders = shares(names, **knobs)
    assert orders > 5000
    assert near(settled, arrives, orders)
    assert near(gone, expected[settlement], orders)
    assert twice == 0


@pytest.mark.parametrize("records", [0.3, 1.0])
@pytest.mark.parametrize("settlement", ["immediate", "escrow", "credit"])
def test_the_log_alone_tells_what_the_closed_form_says(records, settlement):
    arrives = 0.8**2
    expected = {
        "immediate": 1 - arrives * (1 - records),  # what arrived and was not recorded looks as if it had not
        "escrow": 1.0,  # the ledger sees both sides
        # What was never paid is known where the buyer wrote down its order, or the seller its delivery.
        "credit": arrives + 0.2 * records + 0.8 * 0.2 * (1 - (1 - records) ** 2),
    }[settlement]
    knobs = CLEAN | {"loss": 0.2, "settlement": settlement, "minds": "zero", "records": records}
    (told,), orders = shares(["reconstructed"], **knobs)
    assert near(told, expected, orders)


@pytest.mark.parametrize("settlement", ["immediate", "credit"])
def test_instructions_that_arrive_twice_are_paid_twice(settlement):
    knobs = CLEAN | {"duplication": 0.3, "settlement": settlement, "minds": "zero"}
    (twice, settled), orders = shares(["double_spends", "settled"], **knobs)
    assert near(twice, 0.3, orders)
    assert settled == pytest.approx(1 - twice)
    for cure in ({"numbered": True}, {"settlement": "escrow"}):
        assert shares(["double_spends", "settled", "value_lost"], runs=2, **knobs | cure)[0] == [0, 1, 0]


def test_forged_credentials_cost_the_share_of_orders_that_go_to_their_holders():
    knobs = CLEAN | {"forgers": 6, "graph": "complete"}
    models = [run(15, traced=True, agents=30, money=100_000, rng=seed, memory=0, **knobs) for seed in range(2)]
    for model in models:
        forged = np.flatnonzero(model.traits["forged"]).tolist()
        entries = [entry for entry in model.trace if entry["time"] <= 11 and entry["act"]["order"] != "nobody"]
        theirs = np.mean([int(entry["act"]["order"]) in forged for entry in entries])
        assert last(model, "settled") == pytest.approx(1 - theirs)
        assert 0.05 < theirs < 0.5
    safe = run(agents=50, check=1.0, **CLEAN | {"forgers": 10})
    assert last(safe, "value_lost") == 0
    assert last(safe, "refused") > 0


# --- wealth: money that changes hands at random


def exact_gini(agents, money):
    """The mean Gini when every way of spreading so many coins is equally likely, by counting the ways."""
    total = agents * money
    ways = comb(total + agents - 1, agents - 1)
    gap = sum(
        abs(one - other) * comb(total - one - other + agents - 3, agents - 3)
        for one in range(total + 1)
        for other in range(total + 1 - one)
    )
    return (agents - 1) / agents * gap / ways / (2 * money)


def test_coins_that_change_hands_at_random_are_spread_as_every_way_were_equally_likely():
    """Each clock moves one coin to anybody: a zero-range process, whose stationary law is uniform over all ways."""
    knobs = CLEAN | {"graph": "complete", "turns": "clocks", "memory": 0, "money": 3, "minds": "zero(ask=1)"}
    found = []
    for seed in range(8):
        model = Economy(agents=20, rng=seed, **knobs)
        for _ in range(100):
            model.step()
        found.append(np.mean(model.datacollector.model_vars["gini"][40:]))
    expected = exact_gini(20, 3)
    assert expected == pytest.approx((1 + 3) / (1 + 2 * 3), abs=0.06)  # of the geometric law, for many agents
    assert abs(np.mean(found) - expected) < 4 * np.std(found, ddof=1) / sqrt(len(found))
    assert np.std(found, ddof=1) / sqrt(len(found)) < 0.02


def test_owners_who_settle_everything_keep_everybody_where_they_began():
    model = run(length=15, settlement="escrow", permeability=1.0, agents=20)
    assert (model.market.ledger.held + model.market.ledger.locked).tolist() == [100] * 20
    assert last(model, "gini") == 0
    assert last(model, "paid_in") > 0
    assert last(run(permeability=0.0), "paid_in") == 0


# --- minds


@each
def trader_each(seen, careful=True, wary=False):
    """The trader of one agent, from the text view."""
    newest = {}
    busy = False
    barred = next(item.content for item in seen.heard if isinstance(item.content, tuple))
    for item in seen.heard:
        if isinstance(item.content, dict):
            busy |= item.content["order"] == seen.name
            known = newest.setdefault(item.author, item)
            newest[item.author] = min(known, item, key=lambda one: one.age)
    spend = seen.trait("free" if careful else "held")
    prices = {
        name: item.content["ask"]
        for name, item in newest.items()
        if item.content["ask"] <= spend and name not in barred and not (wary and name in seen.trait("failed"))
    }
    drawn = seen.luck(1 + 12)
    best = min(prices, key=lambda name: (prices[name], drawn[1 + int(name)]), default="nobody")
    return {
        "ask": max(1, min(20, seen.own["ask"] + (1 if busy else -1))),
        "order": best,
        "deliver": "keep" if seen.trait("forged") else "deliver",
    }


@pytest.mark.parametrize("turns", ["simultaneous", "random", "clocks"])
@pytest.mark.parametrize("params", ["", "(careful=false)", "(wary=true)"])
def test_a_trader_by_its_law(turns, params):
    def law(seen, careful=True, wary=False):
        return trader_each(seen, careful="false" not in params, wary="true" in params)

    twin = type("Economy", (Economy,), {"rules": {**Economy.rules, "law": law}})
    knobs = {"agents": 12, "turns": turns, "settlement": "credit", "loss": 0.2, "strikes": 1, "audit": 1.0, "rng": 3}
    ours, theirs = run(traced=True, minds=f"trader{params}", **knobs), run(cls=twin, traced=True, minds="law", **knobs)
    strip = [[{**entry, "mind": ""} for entry in model.trace] for model in (ours, theirs)]
    assert strip[0] == strip[1]


def test_the_careful_never_spend_money_twice_and_the_careless_do():
    """On credit a deal takes two turns, in which the careless promise again what they have promised already."""
    knobs = CLEAN | {"settlement": "credit", "money": 12, "deadline": 6}
    careful = [last(run(length=25, rng=seed, **knobs), "double_spends") for seed in range(5)]
    careless = [
        last(run(length=25, rng=seed, minds="trader(careful=false)", **knobs), "double_spends") for seed in range(5)
    ]
    assert careful == [0] * 5
    assert min(careless) > 0


def test_the_wary_order_nothing_more_from_those_who_failed_them():
    model = run(length=20, agents=20, minds="trader(wary=true)", loss=0.3, audit=0.0)
    failed = defaultdict(set)
    for order in sorted(model.market.failed):
        failed[str(order)] = {str(seller) for seller in model.market.failed[order]}
    assert failed
    for row, names in enumerate(model.traits["failed"].tolist()):
        assert set(names) == failed[str(row)]
    seen = model.expose(model.acts.rows)
    orders = trader(seen, wary=True)["order"]
    assert all(str(code - 1) not in failed[str(row)] for row, code in enumerate(orders.tolist()))
    assert any(str(code - 1) in failed[str(row)] for row, code in enumerate(trader(seen)["order"].tolist()))


def test_zero_intelligence_orders_from_every_neighbour_alike():
    counts = np.zeros((6, 7))
    for seed in range(60):
        model = Economy(agents=6, graph="complete", rng=seed)
        for _ in range(10):
            seen = model.expose(model.acts.rows)
            counts[np.arange(6), zero(seen)["order"]] += 1
            model.decisions = model.decisions + 1
    assert counts[:, 0].sum() == 0
    assert np.diag(counts[:, 1:]).sum() == 0
    rest = counts[:, 1:][~np.eye(6, dtype=bool)]
    assert np.abs(rest - 120).max() < 4.5 * sqrt(120)


# --- who holds what, and what can be changed


def test_one_more_forger_leaves_the_others_where_they_are_and_one_can_be_placed():
    rows = [set(np.flatnonzero(Economy(forgers=count, rng=5).traits["forged"]).tolist()) for count in range(6)]
    assert [len(one) for one in rows] == list(range(6))
    assert all(fewer < more for fewer, more in pairwise(rows))
    for row in (0, 17, 39):
        assert np.flatnonzero(Economy(forgers=1, forger=row, rng=5).traits["forged"]).tolist() == [row]
        assert Economy(forgers=3, forger=row, rng=5).traits["forged"][row]
    assert Economy(forgers=0, forger=3, rng=5).traits["forged"].sum() == 0


def test_terms_that_change_hold_for_later_orders():
    model = Economy(rng=2, **CLEAN | {"loss": 0.5})
    for _ in range(6):
        model.step()
    assert model.market.losses["order never seen"] > 0
    model.change(settlement="escrow", deadline=2)
    for _ in range(12):
        model.step()
    assert model.market.ledger.locked.sum() > 0
    late = model.market.losses["order never seen"]
    for _ in range(4):
        model.step()
    assert model.market.losses["order never seen"] == late
    with pytest.raises(KnobError, match="money: cannot change during a run"):
        model.change(money=3)


def test_names_of_a_graph_are_the_names_one_orders_by(tmp_path):
    path = tmp_path / "town.graphml"
    nx.write_graphml(nx.relabel_nodes(nx.cycle_graph(5), dict(enumerate("abcde"))), path)
    model = run(6, traced=True, agents=5, graph=str(path), forgers=0)
    bought = {(entry["name"], entry["act"]["order"]) for entry in model.trace}
    assert bought <= {(one, other) for one in "abcde" for other in [*"abcde", "nobody"] if other != one}
    assert model.market.count["counted"] > 0


@pytest.mark.parametrize("knob", ["forger", "tamperer"])
def test_a_row_that_is_not_there_is_refused(knob):
    with pytest.raises(SpecError, match=f"{knob} = 9: expected a row below 9, or -1"):
        Economy(agents=9, **{knob: 9})


def test_more_forgers_than_agents_are_refused():
    with pytest.raises(SpecError, match="forgers = 10: expected at most 9"):
        Economy(agents=9, forgers=10)


def test_the_finding_and_the_picture_of_an_empty_run():
    matplotlib = pytest.importorskip("matplotlib.figure")
    model = Economy(rng=1)
    axes = matplotlib.Figure().subplots()
    model.draw(axes)
    values = {name: float(measure(model)) for name, measure in model.measures.items()}
    assert Economy.finding(values, values) == "The time of no order is up yet."
    for _ in range(10):
        model.step()
    model.draw(axes)
    assert sum(bar.get_width() for bar in axes.patches) == pytest.approx(100)
