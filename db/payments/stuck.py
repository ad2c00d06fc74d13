"""Payments that are stuck between two phases, for the sweep: their message was lost, or a webhook never came.

Nothing is repaired here. Each is only given its message again, and every worker finds out for itself what is left to
do.
"""

from dataclasses import dataclass
from typing import LiteralString

from db.session import Tx
from db.sweep import wake_ups
from messages.ids import PaymentId, TenantId


@dataclass(frozen=True, slots=True)
class StuckPayment:
    """A payment, and the worker that moves it on: `wake_as` is charge, lookup, cancel or capture."""

    tenant_id: TenantId
    payment_id: PaymentId
    wake_as: str


# What should have moved by now. A wish to cancel is left to the charge, or to the bank, while those are at work.
_STUCK: LiteralString = """
    SELECT tenant_id, payment_id,
           CASE WHEN state IN ('charging', 'requested') AND cancel_requested_at IS NULL OR state = 'charging'
                THEN 'charge'
                WHEN cancel_requested_at IS NULL OR state = 'processing' THEN 'lookup'
                ELSE 'cancel' END AS wake_as
    FROM payments
    WHERE state IN ('requested', 'charging', 'requires_action', 'processing')
      AND state_since < clock_timestamp() - make_interval(secs => %(age)s)
    UNION ALL
    SELECT tenant_id, payment_id, 'cancel' FROM payments
    WHERE cancel_requested_at < clock_timestamp() - make_interval(secs => %(age)s)
      AND state NOT IN ('succeeded', 'canceled', 'requested', 'charging', 'requires_action', 'processing')
    UNION ALL
    SELECT tenant_id, payment_id, CASE WHEN capture_requested_minor IS NULL THEN 'lookup' ELSE 'capture' END
    FROM payments
    WHERE state = 'authorized' AND cancel_requested_at IS NULL
      AND (capture_before < clock_timestamp() OR capture_requested_minor IS NOT NULL)
      AND state_since < clock_timestamp() - make_interval(secs => %(age)s)
    UNION ALL
    SELECT tenant_id, payment_id, 'lookup' FROM charges
    WHERE balance_transaction_id IS NULL
      AND recorded_at < clock_timestamp() - make_interval(secs => %(age)s)
"""


def take(tx: Tx, *, older_than_seconds: float, limit: int) -> list[StuckPayment]:
    """At most `limit` payments that have not moved for this long, each marked as woken in the same transaction.

    One with a message in the outbox or an open dead letter is left out: it has its message, or waits for a person. A
    payment that fits twice is returned once. Needs a system transaction.
    """
    return wake_ups.take(
        tx,
        StuckPayment,
        "SELECT DISTINCT ON (payment_id) s.*, payment_id::text AS subject FROM ("
        + _STUCK
        + ") s WHERE "
        + wake_ups.PAYMENT_AT_REST,
        older_than_seconds=older_than_seconds,
        limit=limit,
    )
