"""Shares for operators: the tree of one payment, what waits and why, recipients with their balances, royalties.

Everything is read across tenants, in an ops transaction. A line counts only movements that are final, unlike
db/shares/shares.py, where what is under way counts as arrived.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import LiteralString
from uuid import UUID

from psycopg.rows import class_row

from db.session import Tx


@dataclass(frozen=True, slots=True)
class ShareLine:
    """One share. What is owed is amount - returned - borne; what reached its recipient is reached_minor."""

    tenant_id: UUID
    share_id: UUID
    payment_id: UUID
    recipient_id: UUID
    recipient: str
    kind: str
    basis: str
    basis_points: int | None
    amount_minor: int
    returned_minor: int
    borne_minor: int
    currency: str
    state: str
    state_since: datetime
    state_reason: str | None
    waits_for: str | None
    sent_minor: int
    reversed_minor: int
    kept_minor: int
    receivable_minor: int

    @property
    def reached_minor(self) -> int:
        """What was sent or netted, less what came back (also as an application fee) or became a receivable."""
        return self.sent_minor - self.reversed_minor - self.kept_minor - self.receivable_minor

    @property
    def left_minor(self) -> int:
        return self.amount_minor - self.returned_minor - self.borne_minor


_LINE: LiteralString = """
    SELECT s.tenant_id, s.share_id, s.payment_id, s.recipient_id, r.name AS recipient, r.kind, s.basis, s.basis_points,
           s.amount_minor, s.returned_minor, s.borne_minor, s.currency, s.state, s.state_since, s.state_reason,
           s.waits_for,
           (SELECT coalesce(sum(l.amount_minor), 0)
            FROM transfer_lines l JOIN transfers t USING (tenant_id, transfer_id)
            WHERE (l.tenant_id, l.share_id) = (s.tenant_id, s.share_id) AND t.state = 'paid')::bigint AS sent_minor,
           (SELECT coalesce(sum(v.amount_minor), 0) FROM transfer_reversals v
            WHERE (v.tenant_id, v.share_id) = (s.tenant_id, s.share_id) AND v.state = 'reversed')::bigint
               AS reversed_minor,
           (SELECT coalesce(sum(f.amount_minor - f.refunded_minor), 0) FROM application_fees f
            WHERE (f.tenant_id, f.share_id) = (s.tenant_id, s.share_id))::bigint AS kept_minor,
           (SELECT coalesce(sum(o.amount_minor), 0) FROM share_receivables o
            WHERE (o.tenant_id, o.share_id) = (s.tenant_id, s.share_id))::bigint AS receivable_minor
    FROM shares s JOIN recipients r USING (tenant_id, recipient_id)
"""


def of_payment(tx: Tx, payment_id: UUID) -> list[ShareLine]:
    """The shares of a payment, royalties first, whoever sold last."""
    with tx.cursor(row_factory=class_row(ShareLine)) as cursor:
        return cursor.execute(
            _LINE + "WHERE s.payment_id = %(id)s ORDER BY s.basis <> 'royalty', s.recipient_id", {"id": payment_id}
        ).fetchall()


def waiting(tx: Tx, *, recipient_id: UUID | None = None, limit: int) -> list[ShareLine]:
    """Released shares that are not settled, those that were released first at the top; `recipient_id` None: of
    everyone.
    """
    with tx.cursor(row_factory=class_row(ShareLine)) as cursor:
        return cursor.execute(
            _LINE
            + """
            WHERE s.state = 'released' AND (%(recipient)s::uuid IS NULL OR s.recipient_id = %(recipient)s)
            ORDER BY s.state_since, s.share_id LIMIT %(limit)s
            """,
            {"recipient": recipient_id, "limit": limit},
        ).fetchall()


@dataclass(frozen=True, slots=True)
class ShareTransfer:
    """A transfer or a reversal that paid, or took back, a part of a share."""

    share_id: UUID
    what: str
    amount_minor: int
    currency: str
    state: str
    state_reason: str | None
    at: datetime
    stripe_id: str | None


def movements(tx: Tx, payment_id: UUID) -> list[ShareTransfer]:
    """How the shares of a payment moved, in the order of time."""
    with tx.cursor(row_factory=class_row(ShareTransfer)) as cursor:
        return cursor.execute(
            """
            SELECT l.share_id, CASE t.kind WHEN 'share' THEN 'transfer' ELSE t.kind || ' transfer' END AS what,
                   l.amount_minor, l.currency, t.state, t.state_reason, t.state_since AS at,
                   t.stripe_transfer_id AS stripe_id
            FROM transfers t JOIN transfer_lines l USING (tenant_id, transfer_id)
            JOIN shares s ON (s.tenant_id, s.share_id) = (l.tenant_id, l.share_id)
            WHERE s.payment_id = %(id)s
            UNION ALL
            SELECT v.share_id, 'reversal', v.amount_minor, v.currency, v.state, v.state_reason, v.state_since,
                   v.stripe_reversal_id
            FROM transfer_reversals v JOIN shares s USING (tenant_id, share_id) WHERE s.payment_id = %(id)s
            UNION ALL
            SELECT share_id, 'application fee', amount_minor, currency, 'booked', NULL, booked_at, fee_id
            FROM application_fees WHERE payment_id = %(id)s
            UNION ALL
            SELECT f.share_id, 'application fee refund', b.amount_minor, b.currency, 'booked', NULL, b.booked_at,
                   b.fee_refund_id
            FROM application_fee_refunds b JOIN application_fees f USING (tenant_id, fee_id)
            WHERE f.payment_id = %(id)s
            UNION ALL
            SELECT o.share_id, 'receivable', o.amount_minor, o.currency, 'owed', o.reason, o.at, NULL
            FROM share_receivables o JOIN shares s USING (tenant_id, share_id) WHERE s.payment_id = %(id)s
            ORDER BY at
            """,
            {"id": payment_id},
        ).fetchall()


@dataclass(frozen=True, slots=True)
class TicketSold:
    """A ticket of the order. `price_minor` is what the buyer paid for it: its face price unless another was set."""

    ticket_id: UUID
    seat: str | None
    price_minor: int


def tickets_of(tx: Tx, payment_id: UUID) -> list[TicketSold]:
    """The tickets of a payment's order, at the price they were sold for."""
    with tx.cursor(row_factory=class_row(TicketSold)) as cursor:
        return cursor.execute(
            """
            SELECT (ticket ->> 'ticket_id')::uuid AS ticket_id, ticket ->> 'seat' AS seat,
                   coalesce(ticket ->> 'price_minor', ticket ->> 'face_price_minor')::bigint AS price_minor
            FROM payments JOIN orders USING (tenant_id, order_id),
                 jsonb_array_elements(order_data -> 'tickets') AS ticket
            WHERE payment_id = %(id)s
            """,
            {"id": payment_id},
        ).fetchall()


@dataclass(frozen=True, slots=True)
class RecipientLine:
    """A recipient and, of one currency, its balance by the ledger.

    payable is all that it is owed: what is in escrow, what is under way (pending), and the rest (available).
    `receivable` is what it owes. `transfers` is Stripe's word about the account.
    """

    tenant_id: UUID
    recipient_id: UUID
    kind: str
    name: str
    account_id: str | None
    transfers: str
    settlement: str
    minimum_minor: int
    currency: str
    payable_minor: int
    escrow_minor: int
    pending_minor: int
    receivable_minor: int
    waiting: int

    @property
    def available_minor(self) -> int:
        return self.payable_minor - self.escrow_minor - self.pending_minor


def recipients(
    tx: Tx, *, recipient_id: UUID | None = None, tenant_id: UUID | None = None, limit: int
) -> list[RecipientLine]:
    """Recipients by name, a line for each currency they have a balance in, or their own when they have none."""
    with tx.cursor(row_factory=class_row(RecipientLine)) as cursor:
        return cursor.execute(
            """
            WITH chosen AS (
                SELECT r.*, coalesce(a.transfers, 'unknown') AS transfers
                FROM recipients r LEFT JOIN connected_accounts a USING (account_id)
                WHERE (%(id)s::uuid IS NULL OR r.recipient_id = %(id)s)
                  AND (%(tenant)s::uuid IS NULL OR r.tenant_id = %(tenant)s)
                ORDER BY r.name, r.recipient_id LIMIT %(limit)s
            ), booked AS (
                SELECT c.tenant_id, c.recipient_id, a.currency,
                       coalesce(-sum(e.amount_minor) FILTER (WHERE a.code <> 'recipient_receivable'), 0) AS payable,
                       coalesce(sum(e.amount_minor) FILTER (WHERE a.code = 'recipient_receivable'), 0) AS receivable
                FROM chosen c
                JOIN ledger_accounts a ON a.tenant_id = c.tenant_id
                    AND (a.code IN ('recipient_payable', 'recipient_receivable') AND a.recipient_id = c.recipient_id
                         OR a.code = 'venue_payable' AND a.venue_id = c.venue_id)
                JOIN ledger_entries e ON (e.tenant_id, e.account_id) = (a.tenant_id, a.account_id)
                GROUP BY c.tenant_id, c.recipient_id, a.currency
            ), held AS (
                SELECT s.tenant_id, s.recipient_id, s.currency,
                       sum(s.amount_minor - s.returned_minor - s.borne_minor) FILTER (WHERE s.state = 'held') AS minor,
                       count(*) FILTER (WHERE s.state = 'released') AS waiting
                FROM shares s JOIN chosen c USING (tenant_id, recipient_id)
                WHERE s.state <> 'settled' GROUP BY s.tenant_id, s.recipient_id, s.currency
            ), moving AS (
                SELECT t.tenant_id, t.recipient_id, t.currency, sum(t.amount_minor + t.netted_minor) AS minor
                FROM transfers t JOIN chosen c USING (tenant_id, recipient_id)
                WHERE t.state IN ('requested', 'sending') GROUP BY t.tenant_id, t.recipient_id, t.currency
            )
            SELECT c.tenant_id, c.recipient_id, c.kind, c.name, c.account_id, c.transfers, c.settlement,
                   c.minimum_minor,
                   coalesce(b.currency, c.currency)::text AS currency, coalesce(b.payable, 0)::bigint AS payable_minor,
                   coalesce(h.minor, 0)::bigint AS escrow_minor, coalesce(m.minor, 0)::bigint AS pending_minor,
                   coalesce(b.receivable, 0)::bigint AS receivable_minor, coalesce(h.waiting, 0) AS waiting
            FROM chosen c
            LEFT JOIN booked b USING (tenant_id, recipient_id)
            LEFT JOIN held h ON (h.tenant_id, h.recipient_id, h.currency)
                                = (c.tenant_id, c.recipient_id, coalesce(b.currency, c.currency))
            LEFT JOIN moving m ON (m.tenant_id, m.recipient_id, m.currency)
                                  = (c.tenant_id, c.recipient_id, coalesce(b.currency, c.currency))
            ORDER BY c.name, c.recipient_id, currency
            """,
            {"id": recipient_id, "tenant": tenant_id, "limit": limit},
        ).fetchall()


@dataclass(frozen=True, slots=True)
class RoyaltyLine:
    """Who gets how much of a venue's sales. `holds`: past, now or later; the ends of a period are text."""

    venue: str
    event_id: UUID | None
    sale: str
    recipient_id: UUID
    recipient: str
    basis_points: int
    valid_from: str
    valid_until: str
    holds: str


def royalties(tx: Tx, *, venue_id: UUID | None, limit: int) -> list[RoyaltyLine]:
    """Every period that is set, venue by venue."""
    with tx.cursor(row_factory=class_row(RoyaltyLine)) as cursor:
        return cursor.execute(
            """
            SELECT v.name AS venue, s.event_id, s.sale, s.recipient_id, r.name AS recipient, s.basis_points,
                   CASE WHEN isfinite(s.valid_from)
                        THEN to_char(s.valid_from AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI')
                        ELSE 'ever' END AS valid_from,
                   CASE WHEN isfinite(s.valid_until)
                        THEN to_char(s.valid_until AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI')
                        ELSE 'for good' END AS valid_until,
                   CASE WHEN s.valid_until <= clock_timestamp() THEN 'past'
                        WHEN s.valid_from > clock_timestamp() THEN 'later' ELSE 'now' END AS holds
            FROM royalty_settings s JOIN venues v USING (tenant_id, venue_id)
            JOIN recipients r ON (r.tenant_id, r.recipient_id) = (s.tenant_id, s.recipient_id)
            WHERE %(venue)s::uuid IS NULL OR s.venue_id = %(venue)s
            ORDER BY v.name, s.venue_id, s.event_id NULLS FIRST, s.sale, s.valid_from, r.name LIMIT %(limit)s
            """,
            {"venue": venue_id, "limit": limit},
        ).fetchall()
