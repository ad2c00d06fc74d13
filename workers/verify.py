"""The checker: what was asked for, the book, the outbox, the broker and Stripe, side by side.

Reads only. Stripe is read through its own API, so the same check serves against the emulator, a sandbox or the real
account. Each kind of thing is counted as attempted, and then as exactly one of done, waiting, dead or lost; what is
there twice is duplicated, what nobody asked for is unexpected; and per tenant and currency the ledger's Stripe balance
must equal the sum of Stripe's balance transactions, else the difference is unexplained.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson

from db import audit, dead_letters
from db import outbox as outbox_table
from db.audit import BookedPayment
from db.session import Database
from messages.queues import DEAD_LETTER_QUEUE, ORDER_SERVICE_QUEUE, ORDERS_QUEUE
from outbox import topology
from stripe_client.gateway import Gateway
from stripe_client.outcomes import Charged
from stripe_client.payment_intents import Listed, listed

FINAL = frozenset({"succeeded", "failed", "canceled"})
# With the buyer, the bank or the venue: nothing of ours is due.
RESTING = frozenset({"requires_action", "processing", "authorized"})
# A payment that moved this recently is being worked on, even when its message is with a worker and no queue shows it.
IN_HAND_SECONDS = 60.0

Balances = dict[tuple[UUID, str], int]


@dataclass(slots=True)
class Count:
    """One kind of thing; every attempted one is done, waiting, dead or lost."""

    attempted: int = 0
    done: int = 0
    waiting: int = 0
    dead: int = 0
    lost: int = 0
    duplicated: int = 0
    unexpected: int = 0


@dataclass(slots=True)
class Report:
    """The result. `findings` says in words what each lost, duplicated, unexpected or unexplained thing is."""

    kinds: dict[str, Count] = field(default_factory=lambda: defaultdict(Count))
    unexplained: Balances = field(default_factory=dict)
    states: Counter[str] = field(default_factory=Counter)
    findings: list[str] = field(default_factory=list)

    @property
    def totals(self) -> dict[str, int]:
        """The four numbers that must be zero."""
        counts = list(self.kinds.values())
        return {
            "lost": sum(count.lost for count in counts),
            "duplicated": sum(count.duplicated for count in counts),
            "unexpected": sum(count.unexpected for count in counts),
            "unexplained_minor": sum(abs(minor) for minor in self.unexplained.values()),
        }

    @property
    def clean(self) -> bool:
        return not any(self.totals.values())

    @property
    def quiet(self) -> bool:
        """Nothing waits for us any more."""
        return not any(count.waiting for kind, count in self.kinds.items() if kind != "payments with buyer or bank")

    def as_dict(self) -> dict[str, Any]:
        return {
            **self.totals,
            "kinds": {kind: asdict(count) for kind, count in self.kinds.items()},
            "unexplained": {f"{tenant}/{currency}": minor for (tenant, currency), minor in self.unexplained.items()},
            "states": dict(self.states),
            "findings": self.findings,
        }


@dataclass(frozen=True, slots=True)
class Asked:
    """The order service's own log: one JSON object a line, written by whoever publishes.

    {"published": "order" | "duplicate" | "poison", "order_id": ..., "sha256": hex of the body}
    {"told": "payment.succeeded", "event_id": ..., "payment_id": ...}      what came back to the order service
    """

    orders: frozenset[UUID]
    poison: frozenset[bytes]
    told: tuple[tuple[str, UUID, str], ...]
    listens: bool

    @classmethod
    def read(cls, path: Path | None) -> "Asked":
        lines = [orjson.loads(line) for line in path.read_bytes().splitlines()] if path and path.exists() else []
        return cls(
            orders=frozenset(UUID(line["order_id"]) for line in lines if line.get("published") == "order"),
            poison=frozenset(bytes.fromhex(line["sha256"]) for line in lines if line.get("published") == "poison"),
            told=tuple((line["told"], UUID(line["payment_id"]), line["event_id"]) for line in lines if "told" in line),
            listens=any("told" in line or line.get("listening") for line in lines),
        )


def verify(db: Database, stripe: Gateway, broker_url: str, asked: Asked) -> Report:
    """Look everywhere and compare. Run it when the fleet is quiet; while it works, things count as waiting.

    Raises:
        Verdict: Stripe did not answer.
        psycopg.OperationalError, pika.exceptions.AMQPError: the book or the broker is away.
    """
    report = Report()
    with db.system_transaction() as tx:
        since = audit.first_order_epoch(tx)
    at_stripe = list(listed(stripe, since_epoch=since))
    depths = topology.depths(broker_url)
    with db.system_transaction() as tx:
        book = {payment.payment_id: payment for payment in audit.payments(tx)}
        _check_orders(
            report, asked, audit.orders_seen(tx, list(asked.orders)), audit.buried(tx, list(asked.poison)), depths
        )
        _check_messages(report, outbox_table.depth(tx), depths, dead_letters.count_open(tx))
        _check_events(report, audit.inbox(tx))
        ledger = audit.stripe_balances(tx)
        _check_journals(report, *audit.journals(tx))
    _check_payments(report, book.values())
    _check_charges(report, book, at_stripe)
    _check_facts(report, asked, book.values(), depths)
    report.unexplained = _difference(ledger, _balances_at_stripe(at_stripe))
    for (tenant, currency), minor in report.unexplained.items():
        report.findings.append(f"tenant {tenant}: the ledger and Stripe differ by {minor} {currency} minor units")
    return report


def _check_orders(report: Report, asked: Asked, seen: set[UUID], buried: set[bytes], depths: dict[str, int]) -> None:
    """Each published order is in the book; each poisonous event is a dead letter."""
    orders, poison = report.kinds["orders"], report.kinds["poisonous events"]
    still_queued = max(0, depths[ORDERS_QUEUE])
    orders.attempted, orders.done = len(asked.orders), len(seen)
    orders.waiting = min(still_queued, orders.attempted - orders.done)
    orders.lost = orders.attempted - orders.done - orders.waiting
    poison.attempted, poison.dead = len(asked.poison), len(buried)
    poison.waiting = min(still_queued, poison.attempted - poison.dead)
    poison.lost = poison.attempted - poison.dead - poison.waiting
    for missing in (sorted(asked.orders - seen) if orders.lost else [])[:20]:
        report.findings.append(f"order {missing} was published and is nowhere")


def _check_messages(report: Report, outbox: outbox_table.Depth, depths: dict[str, int], open_dead_letters: int) -> None:
    """Messages under way, and those a person must look at."""
    messages = report.kinds["messages under way"]
    own = {name: count for name, count in depths.items() if name not in {DEAD_LETTER_QUEUE, ORDER_SERVICE_QUEUE}}
    messages.waiting = outbox.due + outbox.waiting + sum(max(0, count) for count in own.values())
    messages.dead = open_dead_letters + max(0, depths[DEAD_LETTER_QUEUE])
    messages.attempted = messages.waiting + messages.dead


def _check_events(report: Report, inbox: audit.InboxCounts) -> None:
    events = report.kinds["webhook events"]
    events.attempted, events.done, events.waiting = inbox.received, inbox.applied + inbox.kept, inbox.waiting


def _check_journals(report: Report, posted: int, unbalanced: int) -> None:
    journals = report.kinds["journals"]
    journals.attempted, journals.done, journals.unexpected = posted, posted - unbalanced, unbalanced


def _check_payments(report: Report, book: Iterable[BookedPayment]) -> None:
    """Each payment is settled, rests with buyer or bank, is due somewhere, or is a dead letter."""
    moving, resting = report.kinds["payments"], report.kinds["payments with buyer or bank"]
    for payment in book:
        report.states[payment.state] += 1
        count = resting if payment.state in RESTING else moving
        count.attempted += 1
        if payment.state in FINAL:
            count.done += 1
        elif payment.has_dead_letter:
            count.dead += 1
        elif _is_in_hand(payment) or payment.state in RESTING:
            count.waiting += 1
        else:
            count.lost += 1
            report.findings.append(f"payment {payment.payment_id} stands as {payment.state} and nothing works on it")


def _is_in_hand(payment: BookedPayment) -> bool:
    return payment.has_outbox_row or payment.event_waits or payment.seconds_since_move < IN_HAND_SECONDS


def _check_charges(report: Report, book: dict[UUID, BookedPayment], at_stripe: list[Listed]) -> None:
    """Each charge at Stripe has one charge, and one journal, of the same amount in the book; and back (M1, M2)."""
    count = report.kinds["charges"]
    charged: dict[UUID, list[Charged]] = defaultdict(list)
    for intent in at_stripe:
        if isinstance(intent.outcome, Charged):
            charged[intent.payment_id].append(intent.outcome)
    for payment_id, outcomes in charged.items():
        count.attempted += 1
        payment = book.get(payment_id)
        if len(outcomes) > 1:
            count.duplicated += len(outcomes) - 1
            report.findings.append(f"payment {payment_id} was charged {len(outcomes)} times")
        if payment is None:
            count.unexpected += 1
            report.findings.append(f"Stripe holds a charge for payment {payment_id}, which the book does not know")
        else:
            _compare_charge(report, count, payment, outcomes)
    for payment in book.values():
        if payment.charge_id is not None and payment.payment_id not in charged:
            count.unexpected += 1
            report.findings.append(f"the book holds charge {payment.charge_id}, which Stripe does not list")


def _compare_charge(report: Report, count: Count, payment: BookedPayment, outcomes: list[Charged]) -> None:
    match = next((outcome for outcome in outcomes if outcome.charge_id == payment.charge_id), None)
    if match is None:
        if _is_in_hand(payment) or payment.has_dead_letter:
            count.waiting += 1
            return
        count.lost += 1
        report.findings.append(f"payment {payment.payment_id} was charged at Stripe, but the book says {payment.state}")
        return
    count.done += 1
    if not (match.amount.minor == payment.charged_minor == payment.journal_minor):
        count.unexpected += 1
        report.findings.append(
            f"charge {payment.charge_id}: Stripe {match.amount.minor}, book {payment.charged_minor}, "
            f"journal {payment.journal_minor}"
        )


def _check_facts(report: Report, asked: Asked, book: Iterable[BookedPayment], depths: dict[str, int]) -> None:
    """The order service heard of each success once; the same event id twice on the wire is allowed."""
    if not asked.listens:
        return
    count = report.kinds["payment.succeeded told"]
    told: dict[UUID, set[str]] = defaultdict(set)
    for kind, payment_id, event_id in asked.told:
        if kind == "payment.succeeded":
            told[payment_id].add(event_id)
    succeeded = [payment.payment_id for payment in book if payment.state == "succeeded"]
    count.attempted = len(succeeded)
    count.done = sum(1 for payment_id in succeeded if told[payment_id])
    under_way = max(0, depths[ORDER_SERVICE_QUEUE]) + report.kinds["messages under way"].waiting
    count.waiting = min(under_way, count.attempted - count.done)
    count.lost = count.attempted - count.done - count.waiting
    count.duplicated = sum(len(events) - 1 for events in told.values() if len(events) > 1)


def _balances_at_stripe(at_stripe: list[Listed]) -> Balances:
    """Net of the balance transactions of our charges, per tenant and the balance's currency."""
    sums: Balances = defaultdict(int)
    for intent in at_stripe:
        if isinstance(intent.outcome, Charged):
            balance = intent.outcome.balance
            gross = balance.amount if balance else intent.outcome.amount
            sums[intent.tenant_id, gross.currency] += gross.minor - (balance.fee.minor if balance else 0)
    return sums


def _difference(ledger: Balances, stripe: Balances) -> Balances:
    keys = ledger.keys() | stripe.keys()
    differences = {key: ledger.get(key, 0) - stripe.get(key, 0) for key in sorted(keys, key=str)}
    return {key: minor for key, minor in differences.items() if minor}
