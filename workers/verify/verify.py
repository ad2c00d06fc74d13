"""`fleet verify`: compares the order service's log, the database, the outbox, the broker, Stripe and the chain.

Read-only. Stripe is read through its API, so the same check works against the emulator, a sandbox or the live account.
Each kind of record is counted as attempted, and then as exactly one of done, waiting, dead or lost; a second copy is
duplicated, a record without a request is unexpected. Unexplained amounts: by tenant and currency, the ledger's Stripe
balance less the sum of Stripe's balance transactions; for each party, its shares less what was paid and is payable; for
each connected account, the amount received in the ledger less that at Stripe.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import orjson

from db.dead_letters import dead_letters
from db.minting.series import Series
from db.minting.verify import BookedMint
from db.queue import outbox as outbox_table
from db.reconciliation import verify as reconciliation_verify
from db.reconciliation.verify import BookedPayment
from db.refunds import verify as refund_verify
from db.session import Database, Tx
from messages.queues import DEAD_LETTER_QUEUE, NOTIFICATION_QUEUE, ORDER_SERVICE_QUEUE, ORDERS_QUEUE
from outbox.broker import topology
from stripe_client.gateway import Gateway
from workers.minting.settings import ContractSettings
from workers.verify.fees import check_fees
from workers.verify.groups import check_groups
from workers.verify.money import check_balances, check_charges, check_disputes, check_refunds, is_in_hand
from workers.verify.report import RESTING_PAYMENTS, Report
from workers.verify.shares import balances_of_shares, check_shares
from workers.verify.sides import DatabaseSide, StripeSide
from workers.verify.tokens import OnChain, check_chain, check_tickets

FINAL = frozenset({"succeeded", "failed", "canceled"})
# Waiting for the buyer, the bank or the venue, not for the fleet.
RESTING = frozenset({"requires_action", "processing", "authorized"})


@dataclass(frozen=True, slots=True)
class OrderServiceLog:
    """The order service's own log, one JSON object per line.

    `{"published": "order" | "duplicate" | "poison", "order_id": ..., "sha256": hex of the body}`
    `{"published": "wish", "key": source#id of the event, "order_id": ...}`  a cancellation or refund request
    `{"told": "payment.succeeded", "event_id": ..., "payment_id": ...}`  an event the order service received
    """

    orders: frozenset[UUID]
    poison: frozenset[bytes]
    requests: frozenset[tuple[str, UUID]]
    received: tuple[tuple[str, UUID, str], ...]
    listens: bool

    @classmethod
    def read(cls, path: Path | None) -> "OrderServiceLog":
        """The log in this file; an empty one when there is no file, and then orders and requests are not checked."""
        lines = [orjson.loads(line) for line in path.read_bytes().splitlines()] if path and path.exists() else []
        return cls(
            orders=frozenset(UUID(line["order_id"]) for line in lines if line.get("published") == "order"),
            poison=frozenset(bytes.fromhex(line["sha256"]) for line in lines if line.get("published") == "poison"),
            requests=frozenset(
                (line["key"], UUID(line["order_id"])) for line in lines if line.get("published") == "wish"
            ),
            received=tuple(
                (line["told"], UUID(line["payment_id"]), line["event_id"]) for line in lines if "told" in line
            ),
            listens=any("told" in line or line.get("listening") for line in lines),
        )


def verify(
    db: Database, stripe: Gateway, broker_url: str, order_log: OrderServiceLog, chain: ContractSettings | None = None
) -> Report:
    """Read all sides and compare them. Run it on an idle fleet; on a busy one, work in progress counts as waiting.

    `chain` is the ticket contract, if there is one.

    Raises:
        Verdict: Stripe did not answer.
        psycopg.OperationalError, pika.exceptions.AMQPError: the database or the broker is unreachable.
    """
    report = Report()
    with db.system_transaction() as tx:
        since = reconciliation_verify.first_order_epoch(tx)
    bank = StripeSide.read(stripe, since)
    depths = topology.depths(broker_url)
    with db.system_transaction() as tx:
        book = DatabaseSide.read(tx)
        _check_received(report, order_log, tx, depths)
    check_tickets(report, book.mints, book.unqueued)
    if chain is not None and chain.is_configured:
        check_chain(report, book.mints, book.events, _on_chain(chain, book.mints, book.events))
    _check_payments(report, book.payments.values())
    check_charges(report, book.payments, bank.charges)
    check_refunds(report, book.payments, book.refunds, bank.refunds, bank.charges)
    check_disputes(report, book.payments, book.disputes, bank.disputes)
    check_groups(report, book.groups)
    _check_facts(report, order_log, book.payments.values(), depths)
    check_shares(report, book.shares, bank.shares)
    of_shares = balances_of_shares(book.shares, bank.shares)
    for key, minor in check_fees(report, book.fees, bank.fees, bank.charges).items():
        of_shares[key] = of_shares.get(key, 0) + minor
    check_balances(report, book.ledger, bank.charges, bank.refunds, bank.disputes, of_shares)
    return report


def _check_received(report: Report, order_log: OrderServiceLog, tx: Tx, depths: dict[str, int]) -> None:
    """Orders, requests, messages and events against the database at one moment; and the ledger's journals."""
    still_queued = max(0, depths[ORDERS_QUEUE]) + outbox_table.count_for(tx, ORDERS_QUEUE)
    seen, buried = (
        reconciliation_verify.orders_seen(tx, list(order_log.orders)),
        reconciliation_verify.buried(tx, list(order_log.poison)),
    )
    _check_orders(report, order_log, seen, buried, still_queued)
    _check_requests(report, order_log, refund_verify.wishes_granted(tx, sorted(order_log.requests)), still_queued)
    _check_messages(report, outbox_table.depth(tx), depths, dead_letters.count_open(tx))
    _check_events(report, reconciliation_verify.inbox(tx))
    _check_journals(report, *reconciliation_verify.journals(tx))


def _on_chain(settings: ContractSettings, booked: list[BookedMint], events: list[Series]) -> OnChain:
    from workers.minting.chain import reading  # noqa: PLC0415  the chain's libraries are an extra

    tickets = reading.tickets_of(settings)
    return OnChain(
        reading.owners(tickets, [mint.token_id for mint in booked]),
        reading.royalties(tickets, [each.series for each in events]),
    )


def _check_orders(
    report: Report, order_log: OrderServiceLog, seen: set[UUID], buried: set[bytes], still_queued: int
) -> None:
    """Each published order is in the database; each malformed event is a dead letter."""
    orders, poison = report.kinds["orders"], report.kinds["poisonous events"]
    orders.attempted, orders.done = len(order_log.orders), len(seen)
    orders.waiting = min(still_queued, orders.attempted - orders.done)
    orders.lost = orders.attempted - orders.done - orders.waiting
    poison.attempted, poison.dead = len(order_log.poison), len(buried)
    poison.waiting = min(still_queued, poison.attempted - poison.dead)
    poison.lost = poison.attempted - poison.dead - poison.waiting
    for missing in (sorted(order_log.orders - seen) if orders.lost else [])[:20]:
        report.findings.append(f"order {missing} was published but not found")


def _check_requests(report: Report, order_log: OrderServiceLog, granted: set[str], still_queued: int) -> None:
    """Each refund or cancellation that the order service requested was processed, or is a dead letter."""
    requests = report.kinds["refunds and cancellations asked for"]
    requests.attempted, requests.done = len(order_log.requests), len(granted)
    requests.waiting = min(still_queued, requests.attempted - requests.done)
    requests.lost = requests.attempted - requests.done - requests.waiting
    lost = sorted(key for key, _ in order_log.requests if key not in granted) if requests.lost else []
    report.findings.extend(f"event {key} was published but not processed" for key in lost[:20])


def _check_messages(report: Report, outbox: outbox_table.Depth, depths: dict[str, int], open_dead_letters: int) -> None:
    """Messages in progress, and open dead letters."""
    messages = report.kinds["messages under way"]
    others = {DEAD_LETTER_QUEUE, ORDER_SERVICE_QUEUE, NOTIFICATION_QUEUE}
    own = {name: count for name, count in depths.items() if name not in others}
    messages.waiting = outbox.due + outbox.waiting + sum(max(0, count) for count in own.values())
    messages.dead = open_dead_letters + max(0, depths[DEAD_LETTER_QUEUE])
    messages.attempted = messages.waiting + messages.dead


def _check_events(report: Report, inbox: reconciliation_verify.InboxCounts) -> None:
    events = report.kinds["webhook events"]
    events.attempted, events.done, events.waiting = inbox.received, inbox.applied + inbox.kept, inbox.waiting


def _check_journals(report: Report, posted: int, unbalanced: int) -> None:
    journals = report.kinds["journals"]
    journals.attempted, journals.done, journals.unexpected = posted, posted - unbalanced, unbalanced


def _check_payments(report: Report, book: Iterable[BookedPayment]) -> None:
    """Each payment is final, waits for the buyer or the bank, is being processed, or is a dead letter."""
    moving, resting = report.kinds["payments"], report.kinds[RESTING_PAYMENTS]
    for payment in book:
        report.states[payment.state] += 1
        count = resting if payment.state in RESTING else moving
        count.attempted += 1
        if payment.state in FINAL:
            count.done += 1
        elif payment.has_dead_letter:
            count.dead += 1
        elif is_in_hand(payment) or payment.state in RESTING:
            count.waiting += 1
        else:
            count.lost += 1
            report.findings.append(
                f"payment {payment.payment_id} is stuck as {payment.state}: no message is left for it"
            )


def _check_facts(
    report: Report, order_log: OrderServiceLog, book: Iterable[BookedPayment], depths: dict[str, int]
) -> None:
    """The order service received each success once; a redelivery with the same event id is allowed."""
    if not order_log.listens:
        return
    count = report.kinds["payment.succeeded told"]
    received: dict[UUID, set[str]] = defaultdict(set)
    for kind, payment_id, event_id in order_log.received:
        if kind in {"payment.succeeded", "payment.succeeded_late"}:
            received[payment_id].add(event_id)
    succeeded = [payment.payment_id for payment in book if payment.state == "succeeded"]
    count.attempted = len(succeeded)
    count.done = sum(1 for payment_id in succeeded if received[payment_id])
    under_way = max(0, depths[ORDER_SERVICE_QUEUE]) + report.kinds["messages under way"].waiting
    count.waiting = min(under_way, count.attempted - count.done)
    count.lost = count.attempted - count.done - count.waiting
    count.duplicated = sum(len(events) - 1 for events in received.values() if len(events) > 1)
