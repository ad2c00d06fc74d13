"""Whether a fleet is at rest: every order is in the book, settled and told, and nothing is queued or on its way."""

from collections import defaultdict
from typing import Any
from uuid import UUID

import psycopg

from deploy.local.stripe.control import EmulatorControl
from messages.queues import NOTIFICATION_QUEUE
from outbox.broker import topology
from workers.verify.verify import OrderServiceLog

Owner = psycopg.Connection[dict[str, Any]]
# What the order service must have heard of a payment that stands in this state.
FACTS = {
    "succeeded": "payment.succeeded",
    "failed": "payment.failed",
    "canceled": "payment.failed",
    "requires_action": "payment.requires_action",
    "authorized": "payment.authorized",
}
_COUNTS = """
    SELECT
        (SELECT count(*) FROM payments WHERE state IN ('requested', 'charging')) AS "payments moving",
        -- A retry that is due later, of a payment that is settled meanwhile, will find nothing to do.
        -- Nor does a group whose deadline or reminder is still to come.
        (SELECT count(*) FROM outbox o WHERE due_at <= clock_timestamp() OR kind <> 'group' AND NOT EXISTS (
            SELECT FROM payments p
            WHERE p.payment_id = o.ordering_key AND p.state IN ('succeeded', 'failed', 'canceled'))) AS "outbox rows",
        (SELECT count(*) FROM webhook_inbox WHERE state IN ('pending', 'unmatched')) AS "events waiting",
        (SELECT count(*) FROM charges WHERE balance_transaction_id IS NULL) AS "charges without fee",
        (SELECT count(*) FROM refunds WHERE state IN ('requested', 'sending')) AS "refunds moving",
        (SELECT count(*) FROM payments
         WHERE state = 'authorized' AND capture_requested_minor IS NOT NULL) AS "captures moving"
"""


def told(asked: OrderServiceLog) -> dict[UUID, list[str]]:
    """What the order service heard of each payment, in order, each event once."""
    heard: dict[UUID, dict[str, str]] = defaultdict(dict)
    for kind, payment_id, event_id in asked.received:
        heard[payment_id].setdefault(event_id, kind)
    return {payment_id: list(kinds.values()) for payment_id, kinds in heard.items()}


def moving(asked: OrderServiceLog, owner: Owner, control: EmulatorControl, rabbitmq_url: str) -> list[str]:
    """What still moves, in words; empty when all is at rest. The cheap questions come first."""
    found = _in_the_book(asked, owner) | {"webhooks pending": control.summary()["deliveries"].get("pending", 0)}
    said = [f"{count} {what}" for what, count in found.items() if count]
    if said:
        return said
    depths = topology.depths(rabbitmq_url)
    del depths[NOTIFICATION_QUEUE]  # no notification service runs here
    return [f"{depth} in {name}" for name, depth in depths.items() if depth > 0]


def _in_the_book(asked: OrderServiceLog, owner: Owner) -> dict[str, int]:
    with owner.transaction(), owner.cursor() as looking:
        looking.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")  # one moment for all questions
        counts = looking.execute(_COUNTS).fetchone()
        payments = looking.execute("SELECT payment_id, state FROM payments").fetchall()
        seen = {row["order_id"] for row in looking.execute("SELECT order_id FROM orders")}
        buried = {bytes(row["payload_sha256"]) for row in looking.execute("SELECT payload_sha256 FROM dead_letters")}
    assert counts is not None, "a SELECT of scalars always returns a row"
    heard = told(asked)
    return counts | {
        "orders not seen": len(asked.orders - seen),
        "poison not buried": len(asked.poison - buried),
        "payments not told": sum(
            FACTS[row["state"]] not in heard.get(row["payment_id"], []) for row in payments if row["state"] in FACTS
        ),
    }
