"""What stands too long, for the sweep: payments between two phases, calls without an answer, events without a payment.

A subject that was woken is left alone for a while, each time twice as long, so that a long queue is not made longer by
the sweep that looks at it. What has an open dead letter waits for a person instead.
"""

from dataclasses import dataclass
from uuid import UUID

from psycopg.rows import class_row

from db.session import Tx
from messages.ids import PaymentId, TenantId


@dataclass(frozen=True, slots=True)
class StandingPayment:
    tenant_id: TenantId
    payment_id: PaymentId
    state: str


@dataclass(frozen=True, slots=True)
class StandingEvent:
    tenant_id: TenantId | None
    payment_id: PaymentId | None
    event_id: str
    age_seconds: float
    state: str


def take_payments(tx: Tx, *, older_than_seconds: float, limit: int) -> list[StandingPayment]:
    """Payments that should have moved, each marked as woken in the same transaction."""
    with tx.cursor(row_factory=class_row(StandingPayment)) as cursor:
        return cursor.execute(
            """
            WITH standing AS (
                SELECT tenant_id, payment_id, state FROM payments
                WHERE state IN ('requested', 'charging', 'requires_action', 'processing')
                  AND state_since < clock_timestamp() - make_interval(secs => %(age)s)
                UNION ALL
                SELECT tenant_id, payment_id, 'unbooked' FROM charges
                WHERE balance_transaction_id IS NULL
                  AND recorded_at < clock_timestamp() - make_interval(secs => %(age)s)
            ), alone AS (
                SELECT s.tenant_id, s.payment_id, s.state FROM standing s
                WHERE NOT EXISTS (SELECT FROM outbox o WHERE o.ordering_key = s.payment_id)
                  AND NOT EXISTS (SELECT FROM dead_letters d WHERE d.payment_id = s.payment_id AND d.state = 'open')
                  AND NOT EXISTS (
                      SELECT FROM wake_ups w WHERE w.subject = s.payment_id::text AND w.not_before > clock_timestamp())
                LIMIT %(limit)s
            ), woken AS (
                INSERT INTO wake_ups AS w (subject, times, not_before)
                SELECT payment_id::text, 1, clock_timestamp() + make_interval(secs => %(age)s) FROM alone
                ON CONFLICT (subject) DO UPDATE
                SET times = w.times + 1,
                    not_before = clock_timestamp() + make_interval(secs => least(%(age)s * 2 ^ w.times, 21600))
                WHERE w.not_before <= clock_timestamp()            -- else another sweep was first, after our look
                RETURNING subject
            )
            SELECT tenant_id, payment_id, state FROM alone JOIN woken ON subject = payment_id::text
            """,
            {"age": older_than_seconds, "limit": limit},
        ).fetchall()


def take_events(tx: Tx, *, older_than_seconds: float, limit: int) -> list[StandingEvent]:
    """Inbox events nobody could apply yet, each marked as woken in the same transaction."""
    with tx.cursor(row_factory=class_row(StandingEvent)) as cursor:
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
