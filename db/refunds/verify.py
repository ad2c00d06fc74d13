"""Every refund and dispute in the database, for the checker (workers/verify/verify.py); needs a system transaction."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from psycopg.rows import class_row

from db.session import Tx


@dataclass(frozen=True, slots=True)
class BookedRefund:
    """A refund beside what its journals moved on stripe_balance, in minor units of the charge's currency.

    journal_minor           None: no journal; otherwise negative, the money that left
    failure_journal_minor   None: no journal of its failure; otherwise positive, the money that returned
    has_outbox_row          the payment has a message on its way: a difference may end by itself
    has_dead_letter         a dead letter of the payment waits for a person
    event_waits             a webhook of the payment is not handled yet
    """

    tenant_id: UUID
    refund_id: UUID
    payment_id: UUID
    stripe_refund_id: str | None
    state: str
    amount_minor: int
    currency: str
    journal_minor: int | None
    failure_journal_minor: int | None
    seconds_since_move: float
    has_outbox_row: bool
    has_dead_letter: bool
    event_waits: bool


def refunds(tx: Tx) -> list[BookedRefund]:
    """Every refund of every tenant, in no order. Reads whole tables: for the checker, not for a worker."""
    with tx.cursor(row_factory=class_row(BookedRefund)) as cursor:
        return cursor.execute(
            """
            WITH posted AS (
                SELECT j.tenant_id, j.source_id, j.kind, sum(e.amount_minor)::bigint AS minor
                FROM ledger_journals j
                JOIN ledger_entries e USING (tenant_id, journal_id)
                JOIN ledger_accounts a USING (tenant_id, account_id)
                WHERE j.kind IN ('refund', 'refund_failure') AND a.code = 'stripe_balance'
                GROUP BY j.tenant_id, j.source_id, j.kind
            )
            SELECT
                r.tenant_id, r.refund_id, r.payment_id, r.stripe_refund_id, r.state, r.amount_minor, r.currency,
                done.minor AS journal_minor, undone.minor AS failure_journal_minor,
                extract(epoch FROM clock_timestamp() - r.state_since)::float8 AS seconds_since_move,
                EXISTS (SELECT FROM outbox o WHERE o.ordering_key = r.payment_id AND o.exchange = '') AS has_outbox_row,
                EXISTS (SELECT FROM dead_letters d WHERE d.payment_id = r.payment_id AND d.state = 'open')
                    AS has_dead_letter,
                EXISTS (SELECT FROM webhook_inbox i
                        WHERE i.payment_id = r.payment_id AND i.state IN ('pending', 'unmatched')) AS event_waits
            FROM refunds r
            LEFT JOIN posted done
                ON (done.tenant_id, done.source_id, done.kind) = (r.tenant_id, r.stripe_refund_id, 'refund')
            LEFT JOIN posted undone
                ON (undone.tenant_id, undone.source_id) = (r.tenant_id, r.stripe_refund_id)
                AND undone.kind = 'refund_failure'
            """
        ).fetchall()


@dataclass(frozen=True, slots=True)
class BookedDispute:
    """A dispute's status, and the balance transactions (`txn_`) of it that have a journal."""

    status: str
    journals: frozenset[str]


def disputes(tx: Tx) -> dict[str, BookedDispute]:
    """Dispute id -> its status and journals, for every dispute of every tenant."""
    rows = tx.execute(
        """
        SELECT d.dispute_id, d.status, coalesce(array_agg(j.source_id) FILTER (WHERE j.source_id IS NOT NULL), '{}')
        FROM disputes d
        LEFT JOIN dispute_movements m ON (m.tenant_id, m.dispute_id) = (d.tenant_id, d.dispute_id)
        LEFT JOIN ledger_journals j
            ON (j.tenant_id, j.source_id) = (m.tenant_id, m.balance_transaction_id)
            AND j.kind IN ('dispute', 'dispute_reversal')
        GROUP BY d.tenant_id, d.dispute_id, d.status
        """
    ).fetchall()
    return {row[0]: BookedDispute(row[1], frozenset(row[2])) for row in rows}


def wishes_granted(tx: Tx, wishes: Sequence[tuple[str, UUID]]) -> set[str]:
    """Of these (key of the event, order), the keys of requests that had a result: a refund, a cancellation, or a dead
    letter.

    A request that found nothing left to give back had a result as well. What is missing from the set was lost (M5).
    """
    rows = tx.execute(
        """
        SELECT w.key
        FROM unnest(%(keys)s::text[], %(orders)s::uuid[]) AS w (key, order_id)
        LEFT JOIN payments p ON p.order_id = w.order_id
        LEFT JOIN charges c ON (c.tenant_id, c.payment_id) = (p.tenant_id, p.payment_id)
        WHERE p.cancel_requested_at IS NOT NULL OR p.state = 'canceled' OR c.refunded_minor = c.amount_minor
           OR EXISTS (SELECT FROM refunds r WHERE r.tenant_id = p.tenant_id AND r.request_key = w.key)
           OR EXISTS (SELECT FROM dead_letters d WHERE d.message_id = split_part(w.key, '#', 2))
        """,
        {"keys": [key for key, _ in wishes], "orders": [order_id for _, order_id in wishes]},
    ).fetchall()
    return {row[0] for row in rows}
