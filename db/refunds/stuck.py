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
    """A refund, and the kind of the message that moves it on."""

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
    """Refunds that should have moved, each marked as woken in the same transaction."""
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
    """Those that should have moved. None is marked as woken: they are few, and a step that comes twice is taken once.

    Needs a system transaction.
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
