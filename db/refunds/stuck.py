"""Refunds, and mass refunds, that are stuck between two phases, for the sweep."""

from dataclasses import dataclass
from typing import LiteralString
from uuid import UUID

from psycopg.rows import class_row

from db.session import Tx
from db.sweep import wake_ups
from messages.ids import PaymentId, RefundId, TenantId


@dataclass(frozen=True, slots=True)
class StuckRefund:
    """A refund, and the worker that moves it on: `wake_as` is refund (send it) or refund_lookup (ask Stripe)."""

    tenant_id: TenantId
    payment_id: PaymentId
    refund_id: RefundId
    wake_as: str


_STUCK: LiteralString = """
    SELECT tenant_id, payment_id, refund_id,
           CASE WHEN state IN ('requested', 'sending') THEN 'refund' ELSE 'refund_lookup' END AS wake_as
    FROM refunds
    WHERE state IN ('requested', 'sending', 'pending', 'requires_action')
      AND state_since < clock_timestamp() - make_interval(secs => %(age)s)
    UNION ALL
    SELECT tenant_id, payment_id, refund_id, 'refund_lookup' FROM refunds
    WHERE state = 'succeeded' AND balance_transaction_id IS NULL
      AND state_since < clock_timestamp() - make_interval(secs => %(age)s)
    UNION ALL
    SELECT tenant_id, payment_id, refund_id, 'refund_lookup' FROM refunds
    WHERE state IN ('failed', 'refused') AND balance_transaction_id IS NOT NULL
      AND failure_balance_transaction_id IS NULL
      AND state_since < clock_timestamp() - make_interval(secs => %(age)s)
"""


def take(tx: Tx, *, older_than_seconds: float, limit: int) -> list[StuckRefund]:
    """At most `limit` refunds that have not moved for this long, each marked as woken in the same transaction.

    Stuck is as well what ended without its journal: a success that is not booked, or a failure of a booked one. Left
    out is what has a message or an open dead letter on its payment. Needs a system transaction.
    """
    return wake_ups.take(
        tx,
        StuckRefund,
        "SELECT s.*, refund_id::text AS subject FROM (" + _STUCK + ") s WHERE " + wake_ups.PAYMENT_AT_REST,
        older_than_seconds=older_than_seconds,
        limit=limit,
    )


@dataclass(frozen=True, slots=True)
class StuckMassRefund:
    """A mass refund whose next step did not come."""

    tenant_id: TenantId
    cancellation_id: UUID
    step: int


def mass_refunds(tx: Tx, *, older_than_seconds: float) -> list[StuckMassRefund]:
    """Mass refunds that have not moved for this long and have neither a message nor an open dead letter; a system
    transaction.

    None is marked as woken: they are few, and a step that comes twice is taken once.
    """
    with tx.cursor(row_factory=class_row(StuckMassRefund)) as cursor:
        return cursor.execute(
            """
            SELECT tenant_id, cancellation_id, step FROM event_cancellations c
            WHERE state IN ('running', 'waiting_for_balance')
              AND moved_at < clock_timestamp() - make_interval(secs => %(age)s)
              AND NOT EXISTS (SELECT FROM outbox o WHERE o.ordering_key = c.cancellation_id)
              AND NOT EXISTS (
                  SELECT FROM dead_letters d
                  WHERE d.state = 'open' AND d.kind = 'cancel_event'
                    AND strpos(d.payload, c.cancellation_id::text) > 0)
            """,
            {"age": older_than_seconds},
        ).fetchall()
