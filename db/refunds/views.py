"""Refunds for operators: a list, one with its history, what is owed to buyers, and how far a mass refund is.

Everything needs an ops transaction, and nothing is locked.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import LiteralString
from uuid import UUID

from psycopg.rows import class_row

from db.refunds.mass_refunds import MassRefund
from db.refunds.overdue import OWED
from db.session import Tx
from db.text import uuid_or_none

MOVING = ("requested", "sending", "pending", "requires_action")
FAILED = ("failed", "refused")


@dataclass(frozen=True, slots=True)
class RefundLine:
    tenant_id: UUID
    refund_id: UUID
    payment_id: UUID
    order_id: UUID
    amount_minor: int
    currency: str
    reason: str
    note: str
    source: str
    requested_by: str
    state: str
    state_reason: str | None
    state_since: datetime
    created_at: datetime
    stripe_refund_id: str | None
    ticket_ids: list[UUID]


_SELECT: LiteralString = """
    SELECT
        r.tenant_id, r.refund_id, r.payment_id, p.order_id, r.amount_minor, r.currency, r.reason, r.note, r.source,
        r.requested_by, r.state, r.state_reason, r.state_since, r.created_at, r.stripe_refund_id,
        ARRAY(SELECT t.ticket_id FROM refund_tickets t
              WHERE (t.tenant_id, t.refund_id) = (r.tenant_id, r.refund_id) ORDER BY t.ticket_id) AS ticket_ids
    FROM refunds r
    JOIN payments p ON (p.tenant_id, p.payment_id) = (r.tenant_id, r.payment_id)
"""


def find(
    tx: Tx,
    *,
    states: Sequence[str] | None = None,
    source: str | None = None,
    tenant_id: UUID | None = None,
    payment_id: UUID | None = None,
    limit: int,
) -> list[RefundLine]:
    """The refunds that changed last first; a condition that is None does not narrow the list."""
    with tx.cursor(row_factory=class_row(RefundLine)) as cursor:
        return cursor.execute(
            _SELECT
            + """
            WHERE (%(states)s::text[] IS NULL OR r.state = ANY (%(states)s))
              AND (%(source)s::text IS NULL OR r.source = %(source)s)
              AND (%(tenant_id)s::uuid IS NULL OR r.tenant_id = %(tenant_id)s)
              AND (%(payment_id)s::uuid IS NULL OR r.payment_id = %(payment_id)s)
            ORDER BY r.state_since DESC LIMIT %(limit)s
            """,
            {
                "states": list(states) if states is not None else None,
                "source": source,
                "tenant_id": tenant_id,
                "payment_id": payment_id,
                "limit": limit,
            },
        ).fetchall()


def by_name(tx: Tx, name: str) -> RefundLine | None:
    """The refund with this id, ours (a UUID) or Stripe's (`re_...`); None when there is none."""
    with tx.cursor(row_factory=class_row(RefundLine)) as cursor:
        return cursor.execute(
            _SELECT + "WHERE r.refund_id = %(id)s OR r.stripe_refund_id = %(name)s",
            {"id": uuid_or_none(name), "name": name},
        ).fetchone()


@dataclass(frozen=True, slots=True)
class RefundStateChange:
    at: datetime
    from_state: str | None
    to_state: str
    reason: str | None
    by: str


def history(tx: Tx, refund: RefundLine) -> list[RefundStateChange]:
    with tx.cursor(row_factory=class_row(RefundStateChange)) as cursor:
        return cursor.execute(
            """
            SELECT at, from_state, to_state, reason, by FROM refund_history
            WHERE tenant_id = %(tenant_id)s AND refund_id = %(refund_id)s ORDER BY seq
            """,
            {"tenant_id": refund.tenant_id, "refund_id": refund.refund_id},
        ).fetchall()


@dataclass(frozen=True, slots=True)
class Obligation:
    """A buyer has not got this, although it was promised. `payable_minor` is what the ledger owes for the payment."""

    tenant_id: UUID
    payment_id: UUID
    refund_id: UUID
    stripe_refund_id: str | None
    amount_minor: int
    currency: str
    payable_minor: int
    state: str
    state_reason: str | None
    owed_since: datetime


def obligations(tx: Tx, *, limit: int) -> list[Obligation]:
    """What is owed to buyers, the oldest first, by the rule of db/refunds/overdue.py.

    `payable_minor` is 0 for a refund that was refused: it never left the ledger, so the ledger owes nothing for it.
    """
    with tx.cursor(row_factory=class_row(Obligation)) as cursor:
        return cursor.execute(
            """
            SELECT r.tenant_id, r.payment_id, r.refund_id, r.stripe_refund_id, r.amount_minor, r.currency,
                   r.state, r.state_reason, r.state_since AS owed_since,
                   coalesce((
                       SELECT -sum(e.amount_minor)
                       FROM ledger_journals j
                       JOIN ledger_entries e ON (e.tenant_id, e.journal_id) = (j.tenant_id, j.journal_id)
                       JOIN ledger_accounts a ON (a.tenant_id, a.account_id) = (e.tenant_id, e.account_id)
                       WHERE (j.tenant_id, j.payment_id) = (r.tenant_id, r.payment_id)
                         AND a.code = 'refunds_payable' AND e.currency = r.currency), 0)::bigint AS payable_minor
            FROM refunds r
            WHERE """
            + OWED
            + "ORDER BY r.state_since LIMIT %(limit)s",
            {"limit": limit},
        ).fetchall()


@dataclass(frozen=True, slots=True)
class RefundableBalance:
    """What a new refund would begin with.

    `left_minor` is captured less what refunds hold; None: no money was taken yet.
    """

    tenant_id: UUID
    payment_id: UUID
    order_id: UUID
    state: str
    amount_minor: int
    currency: str
    left_minor: int | None


def standing(tx: Tx, payment_id: UUID) -> RefundableBalance | None:
    with tx.cursor(row_factory=class_row(RefundableBalance)) as cursor:
        return cursor.execute(
            """
            SELECT p.tenant_id, p.payment_id, p.order_id, p.state, p.amount_minor, p.currency,
                   c.amount_minor - c.refunded_minor AS left_minor
            FROM payments p
            LEFT JOIN charges c ON (c.tenant_id, c.payment_id) = (p.tenant_id, p.payment_id)
            WHERE p.payment_id = %(payment_id)s
            """,
            {"payment_id": payment_id},
        ).fetchone()


def price_of_tickets(tx: Tx, refundable: RefundableBalance, ticket_ids: Sequence[UUID]) -> int:
    """What those of the tickets that are in the order were sold for, together, in minor units; the others count
    nothing.
    """
    row = tx.execute(
        """
        SELECT coalesce(sum(coalesce(ticket ->> 'price_minor', ticket ->> 'face_price_minor')::bigint), 0)::bigint
        FROM orders, jsonb_array_elements(order_data -> 'tickets') AS ticket
        WHERE tenant_id = %(tenant_id)s AND order_id = %(order_id)s
          AND (ticket ->> 'ticket_id')::uuid = ANY (%(tickets)s)
        """,
        {"tenant_id": refundable.tenant_id, "order_id": refundable.order_id, "tickets": list(ticket_ids)},
    ).fetchone()
    assert row is not None, "an aggregate always returns a row"
    return int(row[0])


@dataclass(frozen=True, slots=True)
class EventSales:
    """What a tenant has sold for an event, in one currency, and what of it is not given back yet."""

    tenant_id: UUID
    tenant: str
    currency: str
    orders: int
    left_minor: int


def sales_of_event(tx: Tx, event_id: UUID) -> list[EventSales]:
    with tx.cursor(row_factory=class_row(EventSales)) as cursor:
        return cursor.execute(
            """
            SELECT o.tenant_id, t.name AS tenant, p.currency, count(*) AS orders,
                   coalesce(sum(c.amount_minor - c.refunded_minor), 0)::bigint AS left_minor
            FROM orders o
            JOIN tenants t ON t.tenant_id = o.tenant_id
            JOIN payments p ON (p.tenant_id, p.order_id) = (o.tenant_id, o.order_id)
            LEFT JOIN charges c ON (c.tenant_id, c.payment_id) = (p.tenant_id, p.payment_id)
            WHERE o.tenant_id IN (SELECT tenant_id FROM tenants) AND o.ticketed_event_id = %(event)s
            GROUP BY o.tenant_id, t.name, p.currency ORDER BY t.name, p.currency
            """,
            {"event": event_id},
        ).fetchall()


@dataclass(frozen=True, slots=True)
class OutcomeCount:
    """How many of a cancelled event's payments, or their refunds, are in a state, and how much money that is."""

    what: str
    state: str
    currency: str
    count: int
    amount_minor: int


def fates(tx: Tx, run: MassRefund) -> list[OutcomeCount]:
    """What became of the refunds that a mass cancellation asked for, and of the payments that it cancelled."""
    with tx.cursor(row_factory=class_row(OutcomeCount)) as cursor:
        return cursor.execute(
            """
            WITH sold AS MATERIALIZED (
                SELECT p.tenant_id, p.payment_id, p.state, p.currency, p.amount_minor, p.cancel_reason
                FROM orders o JOIN payments p ON (p.tenant_id, p.order_id) = (o.tenant_id, o.order_id)
                WHERE o.tenant_id = %(tenant)s AND o.ticketed_event_id = %(event)s
            )
            SELECT 'refund' AS what, r.state, r.currency, count(*) AS count, sum(r.amount_minor)::bigint AS amount_minor
            FROM sold s JOIN refunds r ON (r.tenant_id, r.payment_id) = (s.tenant_id, s.payment_id)
            WHERE r.source = 'event_cancellation' GROUP BY 1, 2, 3
            UNION ALL
            SELECT 'payment', state, currency, count(*), sum(amount_minor)::bigint
            FROM sold WHERE cancel_reason = 'event_cancelled' GROUP BY 1, 2, 3
            ORDER BY 1 DESC, 2, 3
            """,
            {"tenant": run.tenant_id, "event": run.event_id},
        ).fetchall()


@dataclass(frozen=True, slots=True)
class RefusalCount:
    payment_id: UUID
    code: str
    reason: str


def refusals(tx: Tx, run: MassRefund, *, limit: int = 100) -> list[RefusalCount]:
    with tx.cursor(row_factory=class_row(RefusalCount)) as cursor:
        return cursor.execute(
            """
            SELECT payment_id, code, reason FROM event_cancellation_refusals
            WHERE tenant_id = %(tenant)s AND cancellation_id = %(id)s ORDER BY at LIMIT %(limit)s
            """,
            {"tenant": run.tenant_id, "id": run.cancellation_id, "limit": limit},
        ).fetchall()
