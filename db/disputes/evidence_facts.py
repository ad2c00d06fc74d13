"""What the database knows that may answer a dispute: the order, how it was paid, and what was given back.

Nothing about a person: who the buyer is, only the order service and Stripe know (M9).
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.rows import class_row

from db.disputes.disputes import Dispute
from db.session import Tx
from messages.money import Money


@dataclass(frozen=True, slots=True)
class TicketFact:
    """A ticket of the order, and what the buyer paid for it: its face price unless another was set."""

    ticket_id: str
    seat: str
    price: Money


@dataclass(frozen=True, slots=True)
class RefundFact:
    """One refund of the payment, in whatever state; `at` is when it was requested."""

    amount: Money
    reason: str
    state: str
    at: datetime


@dataclass(frozen=True, slots=True)
class EvidenceFacts:
    """The facts of one payment.

    policy     the venue's refund policy as it told buyers; None when it has written none
    moves      the payment's states and when it reached them, oldest first
    refunds    every refund, oldest first, failed ones included
    card       what Stripe said of the card; empty when it said nothing
    """

    order_id: str
    event_id: str
    venue: str
    policy: str | None
    charge_id: str
    charged: Money
    intent_id: str
    ordered_at: datetime
    moves: tuple[tuple[str, datetime], ...]
    tickets: tuple[TicketFact, ...]
    refunds: tuple[RefundFact, ...]
    card: dict[str, Any]
    reason: str


@dataclass(frozen=True, slots=True)
class _Head:
    order_data: dict[str, Any]
    received_at: datetime
    venue: str
    policy: str | None
    intent_id: str
    charged_minor: int
    currency: str


def of(tx: Tx, dispute: Dispute) -> EvidenceFacts:
    """The facts about the dispute's payment. Every query names the tenant, so it may run in an ops transaction, too.

    Raises:
        AssertionError: the payment has no charge; a disputed one always has.
    """
    of_payment: dict[str, object] = {"tenant_id": dispute.tenant_id, "payment_id": dispute.payment_id}
    head = _head(tx, of_payment)
    order = head.order_data
    return EvidenceFacts(
        order_id=str(dispute.order_id),
        event_id=str(order.get("event_id", "")),
        venue=head.venue,
        policy=head.policy,
        charge_id=dispute.charge_id,
        charged=Money(head.charged_minor, head.currency),
        intent_id=head.intent_id,
        ordered_at=head.received_at,
        moves=tuple(_moves(tx, of_payment)),
        tickets=tuple(_ticket(ticket, head.currency) for ticket in order.get("tickets", ())),
        refunds=tuple(_refunds(tx, of_payment)),
        card=dispute.card_facts or {},
        reason=dispute.reason,
    )


def _head(tx: Tx, of_payment: dict[str, object]) -> _Head:
    with tx.cursor(row_factory=class_row(_Head)) as cursor:
        head = cursor.execute(
            """
            SELECT o.order_data, o.received_at, v.name AS venue, v.refund_policy_text AS policy,
                   c.payment_intent_id AS intent_id, c.amount_minor AS charged_minor, c.currency
            FROM payments p
            JOIN orders o USING (tenant_id, order_id)
            JOIN venues v USING (tenant_id, venue_id)
            JOIN charges c USING (tenant_id, payment_id)
            WHERE p.tenant_id = %(tenant_id)s AND p.payment_id = %(payment_id)s
            """,
            of_payment,
        ).fetchone()
    assert head is not None, "what is disputed was charged, and a payment has its order and venue by foreign key"
    return head


def _moves(tx: Tx, of_payment: dict[str, object]) -> list[tuple[str, datetime]]:
    return tx.execute(
        """
        SELECT to_state, at FROM payment_history
        WHERE tenant_id = %(tenant_id)s AND payment_id = %(payment_id)s ORDER BY seq
        """,
        of_payment,
    ).fetchall()


def _refunds(tx: Tx, of_payment: dict[str, object]) -> list[RefundFact]:
    rows = tx.execute(
        """
        SELECT amount_minor, currency, reason, state, created_at FROM refunds
        WHERE tenant_id = %(tenant_id)s AND payment_id = %(payment_id)s ORDER BY created_at, refund_id
        """,
        of_payment,
    ).fetchall()
    return [RefundFact(Money(minor, currency), reason, state, at) for minor, currency, reason, state, at in rows]


def _ticket(ticket: dict[str, Any], currency: str) -> TicketFact:
    return TicketFact(
        str(ticket["ticket_id"]),
        str(ticket["seat"]),
        Money(ticket.get("price_minor", ticket["face_price_minor"]), currency),
    )
