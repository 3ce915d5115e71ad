"""Settlement: how orders are taken, paid and closed, the accounts behind them, and an auditor who reads the log of it.

Money only ever moves: between accounts, into escrow and out of it, and to and from the owners outside. Each move is an
entry in a chained log, from which alone the accounts can be made again. The auditor knows nothing but what it reads.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agentmicro.chained import START, Chained, first_broken

SETTLED, TWICE_PAID, UNPAID = "settled", "paid twice", "never paid"
UNSEEN, KEPT, ASTRAY = "order never seen", "kept back", "delivery never seen"
PLACED, SHIPPED, ARRIVED = range(3)  # what happens to an order, in this order where it happens at one moment
CHECK, TWICE, ORDER, DELIVERY, RECEIPT, AUDIT, DRAWS = range(7)  # which draw of an order decides what
TERMS = (
    *("settlement", "deadline", "duplication", "numbered", "check"),
    *("log", "records", "audit", "strikes", "permeability"),
)
PAYMENTS = ("pay", "release", "settle")

type Happened = tuple[float, int, "Order"]


@dataclass
class Order:
    """A service ordered at a price, and what became of it; `luck` are the draws that belong to it."""

    buyer: int
    seller: int
    price: int
    placed: float
    settlement: str
    luck: list[float]
    number: int = -1
    paid: int = 0
    locked: int = 0
    kept: bool = False
    shipped: float | None = None
    received: bool = False
    bounced: bool = False

    @property
    def fate(self) -> str:
        """What became of it, in words: it was settled, or what went wrong with it."""
        if self.paid > 1:
            return TWICE_PAID
        if self.received:
            return SETTLED if self.paid else UNPAID
        return ASTRAY if self.shipped is not None else KEPT if self.kept else UNSEEN

    @property
    def lost(self) -> int:
        """What one of the two has lost: money beyond the price of what arrived, or a service beyond what was paid."""
        given = self.received or (self.shipped is not None and not self.paid)
        return self.price * abs(self.paid - given)


class Ledger:
    """The accounts of some agents, and the log of what moved between them.

    held: what each can spend. locked: what each has in escrow. outside: what the owners have taken out, less what they
    have paid in, which `paid_in` counts by itself. The sum of all these never changes.
    """

    def __init__(self, agents: int, money: int) -> None:
        self.start = money
        self.held = np.full(agents, money, np.int64)
        self.locked = np.zeros(agents, np.int64)
        self.outside = self.paid_in = 0
        self.log = Chained()
        self._coming = np.zeros(agents, np.int64)

    def move(self, do: str, order: Order, time: float, logged: bool = True) -> None:
        """Moves an order's price: `pay` at once, `settle` at delivery, or `lock`, `release`, `refund` in escrow."""
        source = self.locked if do in ("release", "refund") else self.held
        source[order.buyer] -= order.price
        if do == "lock":
            self.locked[order.buyer] += order.price
        else:
            self._coming[order.buyer if do == "refund" else order.seller] += order.price
        order.paid += do in PAYMENTS
        order.locked += (do == "lock") - (do in ("release", "refund"))
        self.note(do, order, time, logged)

    def note(self, do: str, order: Order, time: float, logged: bool = True) -> None:
        """Writes an entry about an order into the log."""
        if logged:
            who = {"order": order.number, "buyer": order.buyer, "seller": order.seller, "price": order.price}
            self.log.append({"do": do, **who, "time": time})

    def arrive(self) -> None:
        """What came in can be spent from now on."""
        self.held += self._coming
        self._coming[:] = 0

    def balance(self, share: float, time: float, logged: bool = True) -> None:
        """Owners outside take out a share of what each agent has gained, and make good that share of its losses."""
        flows = (share * (self.start - self.held - self.locked)).astype(np.int64)
        flows = np.maximum(flows, -self.held)
        if flows.any():
            self.held += flows
            self.outside -= int(flows.sum())
            self.paid_in += int(flows.clip(0).sum())
            if logged:
                self.log.append({"do": "owners", "flows": flows.tolist(), "time": time})


@dataclass
class Told:
    """What the log tells of an order."""

    buyer: int
    seller: int
    price: int
    paid: int = 0
    delivered: bool = False
    received: bool = False


@dataclass
class Auditor:
    """Reads a log and nothing else, in a copy from which somebody may have struck its own sales."""

    told: dict[int, Told] = field(default_factory=dict)
    altered: int = 0
    place: int = 0
    head: str = START

    def read(self, log: Chained, chained: bool, tamperer: int = -1) -> None:
        """Reads on; where the chain shows that the copy was altered, another one is fetched and read instead."""
        fresh = log.since(self.place)
        copy = [entry for entry in fresh if tamperer < 0 or entry.body.get("seller") != tamperer]
        if chained and first_broken(copy, self.head, log.head) is not None:
            self.altered += 1
            copy = fresh
        self.place, self.head = len(log), log.head
        for entry in copy:
            self._take(entry.body)

    def _take(self, body: Mapping[str, Any]) -> None:
        if "order" in body:
            told = self.told.setdefault(body["order"], Told(body["buyer"], body["seller"], body["price"]))
            told.paid += body["do"] in PAYMENTS
            told.delivered |= body["do"] == "deliver"
            told.received |= body["do"] in ("receive", "release", "settle")

    def knows(self, order: Order) -> bool:
        """Whether the log alone tells who traded with whom, at what price, how often it was paid, and if it arrived."""
        told = self.told.get(order.number)
        true = (order.buyer, order.seller, order.price, order.paid, order.received)
        return told is not None and (told.buyer, told.seller, told.price, told.paid, told.received) == true

    def culprit(self, order: Order) -> int | None:
        """Who broke its word as the log tells it: was paid and shipped nothing, or got the service and never paid."""
        told = self.told.get(order.number)
        if told is None or bool(told.paid) == told.received or (told.paid and told.delivered):
            return None
        return told.seller if told.paid else told.buyer


class Market:
    """Orders from their placing to their close.

    terms: a value for each of `TERMS`, which may change between turns. forged: whose credential nobody stands behind.
    tamperer: the row that strikes its sales from the copy of the log that the auditor gets.
    """

    def __init__(self, terms: Mapping[str, Any], money: int, forged: NDArray[np.bool_], tamperer: int = -1) -> None:
        self.terms = terms
        self.forged = forged
        self.tamperer = tamperer
        self.ledger, self.auditor = Ledger(forged.size, money), Auditor()
        self.open: list[Order] = []
        self.closed: list[Order] = []  # and not yet counted
        self.count: Counter[str] = Counter()
        self.fates: Counter[str] = Counter()  # the value ordered, by what became of it
        self.losses: Counter[str] = Counter()  # and what of it one of the two has lost
        self.strikes: Counter[int] = Counter()
        self.barred: set[int] = set()
        self.cheated: set[int] = set()
        self.failed: dict[int, dict[int, None]] = {}
        self.time = 0.0

    def turn(self, happened: Iterable[Happened], time: float) -> None:
        """Settles what happened in a turn moment by moment, closes what is overdue, and lets auditor and owners act."""
        self.time, moment = time, -1.0
        for when, what, order in sorted(happened, key=lambda one: (*one[:2], one[2].buyer, one[2].placed)):
            if when > moment:
                moment = when
                self.ledger.arrive()  # what comes in at one moment can be spent from the next on
            if what == PLACED:
                self._place(order)
            elif order.number < 0:
                continue  # it was refused, so that nothing is shipped for it
            elif what == SHIPPED:
                order.shipped = when
                self._record("deliver", order, DELIVERY)
            else:
                self._receive(order)
        overdue = time - self.terms["deadline"]
        self._close([order for order in self.open if order.received or order.placed <= overdue])
        self._count([order for order in self.closed if order.placed <= overdue])
        self.ledger.arrive()
        self.ledger.balance(self.terms["permeability"], time, self._logs)

    def free(self) -> NDArray[np.int64]:
        """What each trader can spend without touching what it has promised on credit."""
        free = self.ledger.held.copy()
        for order in self.open:
            if order.settlement == "credit":
                free[order.buyer] -= order.price
        return np.maximum(0, free)

    def _place(self, order: Order) -> None:
        """Takes an order that its buyer can pay for, unless credentials are looked up and one is found wanting."""
        wanting = any(self.forged[row] or row in self.barred for row in (order.buyer, order.seller))
        looked_up = order.luck[CHECK] < self.terms["check"]
        if not order.price or self.ledger.held[order.buyer] < order.price or (wanting and looked_up):
            self.count["refused"] += 1
            return
        order.number = self.count["placed"]
        self.count["placed"] += 1
        self.open.append(order)
        if order.settlement == "credit":
            self._record("order", order, ORDER)
        else:
            self._instruct("pay" if order.settlement == "immediate" else "lock", order)

    def _receive(self, order: Order) -> None:
        """The buyer has the service, and the money that waited for it moves."""
        order.received = True
        if order.settlement == "escrow":
            self.ledger.move("release", order, self.time, self._logs)
            return
        self._record("receive", order, RECEIPT)
        if order.settlement == "credit":
            order.bounced = bool(self.ledger.held[order.buyer] < order.price)
            if order.bounced or self.forged[order.buyer]:
                self.cheated.add(order.buyer)  # it has spent the money meanwhile, or nobody can make it pay
            else:
                self._instruct("settle", order)

    def _close(self, orders: list[Order]) -> None:
        """Gives back what is still locked, and lets the auditor read on and look into words that were broken."""
        for order in orders:
            while order.locked:
                self.ledger.move("refund", order, self.time, self._logs)
            if order.fate == KEPT:
                self.cheated.add(order.seller)
            if not order.received:
                self.failed.setdefault(order.buyer, {})[order.seller] = None
        gone = {order.number for order in orders}
        self.open = [order for order in self.open if order.number not in gone]
        self.closed += orders
        self.auditor.read(self.ledger.log, self.terms["log"] == "chained", self.tamperer)
        for order in orders:
            culprit = self.auditor.culprit(order)
            if culprit is not None and order.luck[AUDIT] < self.terms["audit"]:
                self.strikes[culprit] += 1
        self.barred |= {row for row, found in self.strikes.items() if found >= self.terms["strikes"]}

    def _count(self, orders: list[Order]) -> None:
        """Counts what became of orders whose time is up; at their close the fast would be counted before the slow."""
        for order in orders:
            self.count.update(("counted", order.fate))
            self.count["known"] += self.auditor.knows(order)
            self.count["twice"] += order.paid > 1 or order.bounced
            self.fates[order.fate] += order.price
            self.losses[order.fate] += order.lost
        gone = {order.number for order in orders}
        self.closed = [order for order in self.closed if order.number not in gone]

    def _instruct(self, do: str, order: Order) -> None:
        """Tells the ledger to move money, twice if the instruction arrives twice and has no number."""
        again = order.luck[TWICE] < self.terms["duplication"] and not self.terms["numbered"]
        self.ledger.move(do, order, self.time, self._logs)
        if again and self.ledger.held[order.buyer] >= order.price:
            self.ledger.move(do, order, self.time, self._logs)

    def _record(self, do: str, order: Order, draw: int) -> None:
        """A trader's own entry in the log, where it makes one."""
        self.ledger.note(do, order, self.time, self._logs and order.luck[draw] < self.terms["records"])

    @property
    def _logs(self) -> bool:
        return bool(self.terms["log"] != "none")
