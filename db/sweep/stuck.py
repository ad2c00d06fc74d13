"""What stands too long, for the sweep: payments and refunds between two phases, wishes, unseen disputes, lost events.

A subject that was woken is left alone for a while, each time twice as long, so that a long queue is not made longer by
the sweep that looks at it. What has an open dead letter waits for a person instead.
"""

from dataclasses import dataclass
from typing import LiteralString
from uuid import UUID

from psycopg.rows import class_row

from db.session import Tx
from messages.ids import DisputeId, PaymentId, RefundId, TenantId


@dataclass(frozen=True, slots=True)
class StuckPayment:
    """A payment, or one of its refunds, and the kind of the message that moves it on."""

    tenant_id: TenantId
    payment_id: PaymentId
    refund_id: RefundId | None
    wake_as: str


@dataclass(frozen=True, slots=True)
class StuckDispute:
    """A dispute, and the kind of the message that moves it on, or that looks at it."""

    tenant_id: TenantId
    payment_id: PaymentId
    dispute_id: DisputeId
    wake_as: str


@dataclass(frozen=True, slots=True)
class StuckWebhook:
    tenant_id: TenantId | None
    payment_id: PaymentId | None
    event_id: str
    age_seconds: float
    state: str


# What should have moved by now. A wish to cancel is left to the charge, or to the bank, while those are at work.
_STANDING: LiteralString = """
    SELECT tenant_id, payment_id, NULL::uuid AS refund_id,
           CASE WHEN state IN ('charging', 'requested') AND cancel_requested_at IS NULL OR state = 'charging'
                THEN 'charge'
                WHEN cancel_requested_at IS NULL OR state = 'processing' THEN 'lookup'
                ELSE 'cancel' END AS wake_as
    FROM payments
    WHERE state IN ('requested', 'charging', 'requires_action', 'processing')
      AND state_since < clock_timestamp() - make_interval(secs => %(age)s)
    UNION ALL
    SELECT tenant_id, payment_id, NULL, 'cancel' FROM payments
    WHERE cancel_requested_at < clock_timestamp() - make_interval(secs => %(age)s)
      AND state NOT IN ('succeeded', 'canceled', 'requested', 'charging', 'requires_action', 'processing')
    UNION ALL
    SELECT tenant_id, payment_id, NULL, CASE WHEN capture_requested_minor IS NULL THEN 'lookup' ELSE 'capture' END
    FROM payments
    WHERE state = 'authorized' AND cancel_requested_at IS NULL
      AND (capture_before < clock_timestamp() OR capture_requested_minor IS NOT NULL)
      AND state_since < clock_timestamp() - make_interval(secs => %(age)s)
    UNION ALL
    SELECT tenant_id, payment_id, NULL, 'lookup' FROM charges
    WHERE balance_transaction_id IS NULL
      AND recorded_at < clock_timestamp() - make_interval(secs => %(age)s)
    UNION ALL
    SELECT tenant_id, payment_id, refund_id,
           CASE WHEN state IN ('requested', 'sending') THEN 'refund' ELSE 'refund_lookup' END
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


def take_payments(tx: Tx, *, older_than_seconds: float, limit: int) -> list[StuckPayment]:
    """Payments and refunds that should have moved, each marked as woken in the same transaction."""
    with tx.cursor(row_factory=class_row(StuckPayment)) as cursor:
        return cursor.execute(
            "WITH standing AS ("
            + _STANDING
            + """
            ), alone AS (
                SELECT DISTINCT ON (subject) s.*, subject
                FROM standing s, LATERAL (SELECT coalesce(refund_id, payment_id)::text AS subject) named
                WHERE NOT EXISTS (SELECT FROM outbox o WHERE o.ordering_key = s.payment_id AND o.exchange = '')
                  AND NOT EXISTS (SELECT FROM dead_letters d WHERE d.payment_id = s.payment_id AND d.state = 'open')
                  AND NOT EXISTS (
                      SELECT FROM wake_ups w WHERE w.subject = named.subject AND w.not_before > clock_timestamp())
                LIMIT %(limit)s
            ), woken AS (
                INSERT INTO wake_ups AS w (subject, times, not_before)
                SELECT subject, 1, clock_timestamp() + make_interval(secs => %(age)s) FROM alone
                ON CONFLICT (subject) DO UPDATE
                SET times = w.times + 1,
                    not_before = clock_timestamp() + make_interval(secs => least(%(age)s * 2 ^ w.times, 21600))
                WHERE w.not_before <= clock_timestamp()            -- else another sweep was first, after our look
                RETURNING subject
            )
            SELECT tenant_id, payment_id, refund_id, wake_as FROM alone JOIN woken USING (subject)
            """,
            {"age": older_than_seconds, "limit": limit},
        ).fetchall()


def take_disputes(tx: Tx, *, older_than_seconds: float, unseen_seconds: float, limit: int) -> list[StuckDispute]:
    """Decisions that nobody carried out, and disputes that are open or half booked and were not looked at for so long.

    Each is marked as woken in the same transaction.
    """
    with tx.cursor(row_factory=class_row(StuckDispute)) as cursor:
        return cursor.execute(
            """
            WITH standing AS (
                SELECT tenant_id, payment_id, dispute_id,
                       CASE wish WHEN 'submit' THEN 'dispute_evidence' ELSE 'dispute_close' END AS wake_as
                FROM disputes
                WHERE submitted_at IS NULL AND wish_at < clock_timestamp() - make_interval(secs => %(age)s)
                  AND status IN ('warning_needs_response', 'needs_response', 'appeal_needs_response')
                UNION ALL
                SELECT tenant_id, payment_id, dispute_id, 'dispute_lookup'
                FROM disputes d
                WHERE looked_at < clock_timestamp() - make_interval(secs => %(unseen)s)
                  AND (status NOT IN ('won', 'lost', 'warning_closed', 'prevented')
                       OR status IN ('won', 'lost', 'prevented')
                       AND (SELECT coalesce(-sum(m.amount_minor), 0) FROM dispute_movements m
                            WHERE (m.tenant_id, m.dispute_id) = (d.tenant_id, d.dispute_id))
                           <> CASE WHEN loss_reversed THEN 0 ELSE coalesce(lost_minor, 0) END)
            ), alone AS (
                SELECT DISTINCT ON (dispute_id) s.*
                FROM standing s
                WHERE NOT EXISTS (SELECT FROM outbox o WHERE o.ordering_key = s.payment_id AND o.exchange = '')
                  AND NOT EXISTS (SELECT FROM dead_letters d WHERE d.payment_id = s.payment_id AND d.state = 'open')
                  AND NOT EXISTS (
                      SELECT FROM wake_ups w WHERE w.subject = s.dispute_id AND w.not_before > clock_timestamp())
                ORDER BY dispute_id, wake_as = 'dispute_lookup'
                LIMIT %(limit)s
            ), woken AS (
                INSERT INTO wake_ups AS w (subject, times, not_before)
                SELECT dispute_id, 1, clock_timestamp() + make_interval(secs => %(age)s) FROM alone
                ON CONFLICT (subject) DO UPDATE
                SET times = w.times + 1,
                    not_before = clock_timestamp() + make_interval(secs => least(%(age)s * 2 ^ w.times, 21600))
                WHERE w.not_before <= clock_timestamp()
                RETURNING subject
            )
            SELECT tenant_id, payment_id, dispute_id, wake_as FROM alone JOIN woken ON subject = dispute_id
            """,
            {"age": older_than_seconds, "unseen": unseen_seconds, "limit": limit},
        ).fetchall()


def take_events(tx: Tx, *, older_than_seconds: float, limit: int) -> list[StuckWebhook]:
    """Inbox events nobody could apply yet, each marked as woken in the same transaction."""
    with tx.cursor(row_factory=class_row(StuckWebhook)) as cursor:
        return cursor.execute(
            """
            WITH alone AS (
                SELECT i.tenant_id, i.payment_id, i.event_id, i.state,
                       extract(epoch FROM clock_timestamp() - i.received_at)::float8 AS age_seconds
                FROM webhook_inbox i
                WHERE i.state IN ('pending', 'unmatched')
                  AND i.received_at < clock_timestamp() - make_interval(secs => %(age)s)
                  AND NOT EXISTS (
                      SELECT FROM dead_letters d
                      WHERE d.state = 'open' AND d.kind = 'webhook' AND strpos(d.payload, '"' || i.event_id || '"') > 0)
                  AND NOT EXISTS (
                      SELECT FROM wake_ups w WHERE w.subject = i.event_id AND w.not_before > clock_timestamp())
                LIMIT %(limit)s
            ), woken AS (
                INSERT INTO wake_ups AS w (subject, times, not_before)
                SELECT event_id, 1, clock_timestamp() + make_interval(secs => %(age)s) FROM alone
                ON CONFLICT (subject) DO UPDATE
                SET times = w.times + 1,
                    not_before = clock_timestamp() + make_interval(secs => least(%(age)s * 2 ^ w.times, 21600))
                WHERE w.not_before <= clock_timestamp()
                RETURNING subject
            )
            SELECT tenant_id, payment_id, event_id, age_seconds, state FROM alone JOIN woken ON subject = event_id
            """,
            {"age": older_than_seconds, "limit": limit},
        ).fetchall()


def forget(tx: Tx, *, older_than_days: int) -> int:
    """Drop the memory of wake-ups whose subject has long moved on."""
    return tx.execute(
        "DELETE FROM wake_ups WHERE not_before < clock_timestamp() - make_interval(days => %(days)s)",
        {"days": older_than_days},
    ).rowcount


def wake_ups_of(tx: Tx, subject: UUID | str) -> int:
    """How often the sweep has woken this subject."""
    row = tx.execute("SELECT times FROM wake_ups WHERE subject = %(subject)s", {"subject": str(subject)}).fetchone()
    return int(row[0]) if row else 0
