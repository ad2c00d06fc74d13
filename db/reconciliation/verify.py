"""What the ledger and the payments say, read across tenants for the checker; needs a system transaction.

It reads whole tables: for workers/verify, never for a worker on the way of a payment.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from psycopg.rows import class_row

from db.session import Tx


@dataclass(frozen=True, slots=True)
class BookedPayment:
    """A payment with its one charge, and whether anything may still change it.

    charge_id, charged_minor   None: it has no charge
    journal_minor              what its charge journal put on stripe_balance; None: no journal
    has_outbox_row             a message of it is on its way
    has_dead_letter            an open dead letter of it waits for a person
    event_waits                a webhook of it is not handled yet
    """

    tenant_id: UUID
    payment_id: UUID
    order_id: UUID
    state: str
    amount_minor: int
    currency: str
    seconds_since_move: float
    charge_id: str | None
    charged_minor: int | None
    journal_minor: int | None
    has_outbox_row: bool
    has_dead_letter: bool
    event_waits: bool


def payments(tx: Tx) -> list[BookedPayment]:
    """Every payment of every tenant, in no order."""
    with tx.cursor(row_factory=class_row(BookedPayment)) as cursor:
        return cursor.execute(
            """
            SELECT
                p.tenant_id, p.payment_id, p.order_id, p.state, p.amount_minor, p.currency,
                extract(epoch FROM clock_timestamp() - p.state_since)::float8 AS seconds_since_move,
                c.charge_id, c.amount_minor AS charged_minor,
                (SELECT sum(e.amount_minor)::bigint
                 FROM ledger_journals j
                 JOIN ledger_entries e USING (tenant_id, journal_id)
                 JOIN ledger_accounts a USING (tenant_id, account_id)
                 WHERE j.tenant_id = p.tenant_id AND j.kind = 'charge' AND j.source_id = c.charge_id
                   AND a.code = 'stripe_balance') AS journal_minor,
                EXISTS (SELECT FROM outbox o WHERE o.ordering_key = p.payment_id AND o.exchange = '') AS has_outbox_row,
                EXISTS (SELECT FROM dead_letters d WHERE d.payment_id = p.payment_id AND d.state = 'open')
                    AS has_dead_letter,
                EXISTS (SELECT FROM webhook_inbox i
                        WHERE i.payment_id = p.payment_id AND i.state IN ('pending', 'unmatched')) AS event_waits
            FROM payments p
            LEFT JOIN charges c ON (c.tenant_id, c.payment_id) = (p.tenant_id, p.payment_id)
            """
        ).fetchall()


def orders_seen(tx: Tx, order_ids: Sequence[UUID]) -> set[UUID]:
    """Which of these orders are stored; an order that was published and is missing must be a dead letter (M5)."""
    rows = tx.execute("SELECT order_id FROM orders WHERE order_id = ANY (%(ids)s)", {"ids": list(order_ids)})
    return {row[0] for row in rows}


def buried(tx: Tx, fingerprints: Sequence[bytes]) -> set[bytes]:
    """Which of these bodies (SHA-256) are dead letters, in any state."""
    rows = tx.execute(
        "SELECT payload_sha256 FROM dead_letters WHERE payload_sha256 = ANY (%(ids)s)", {"ids": list(fingerprints)}
    )
    return {bytes(row[0]) for row in rows}


@dataclass(frozen=True, slots=True)
class InboxCounts:
    """Events by what became of them: received is the sum of applied, kept and waiting."""

    received: int
    applied: int
    kept: int
    waiting: int


def inbox(tx: Tx) -> InboxCounts:
    with tx.cursor(row_factory=class_row(InboxCounts)) as cursor:
        inbox_counts = cursor.execute(
            """
            SELECT count(*) AS received,
                   count(*) FILTER (WHERE state = 'applied') AS applied,
                   count(*) FILTER (WHERE state = 'kept') AS kept,
                   count(*) FILTER (WHERE state IN ('pending', 'unmatched')) AS waiting
            FROM webhook_inbox
            """
        ).fetchone()
    assert inbox_counts is not None, "an aggregate without GROUP BY always returns a row"
    return inbox_counts


def stripe_balances(tx: Tx) -> dict[tuple[UUID, str], int]:
    """What payments brought to Stripe by the ledger, per tenant and currency, in minor units; payouts are left out."""
    rows = tx.execute(
        """
        SELECT a.tenant_id, a.currency, sum(e.amount_minor)::bigint
        FROM ledger_entries e
        JOIN ledger_accounts a USING (tenant_id, account_id)
        JOIN ledger_journals j USING (tenant_id, journal_id)
        WHERE a.code = 'stripe_balance' AND j.kind NOT IN ('payout', 'payout_failure')
        GROUP BY a.tenant_id, a.currency
        """
    )
    return {(row[0], row[1]): row[2] for row in rows}


def journals(tx: Tx) -> tuple[int, int]:
    """How many journals there are, and how many of them do not sum to zero in some currency (always 0: M4)."""
    row = tx.execute(
        """
        SELECT
            (SELECT count(*) FROM ledger_journals),
            (SELECT count(DISTINCT journal_id) FROM (
                SELECT journal_id FROM ledger_entries
                GROUP BY tenant_id, journal_id, currency HAVING sum(amount_minor) <> 0) AS off)
        """
    ).fetchone()
    assert row is not None, "a SELECT of scalars always returns a row"
    return int(row[0]), int(row[1])


def first_order_epoch(tx: Tx) -> float:
    """When the first order was received; now, when there is none."""
    row = tx.execute(
        "SELECT extract(epoch FROM coalesce(min(received_at), clock_timestamp()))::float8 FROM orders"
    ).fetchone()
    assert row is not None, "an aggregate without GROUP BY always returns a row"
    return float(row[0])
