"""Orders seen: each is written once, together with the payment it asks for."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from db.session import Tx
from messages.ids import OrderId, PaymentId, TicketId


@dataclass(frozen=True, slots=True)
class NewOrder:
    """An order that was decoded and checked, before it is written.

    event_source, event_id   the CloudEvents `source` and `id`: together they name one publication of the order
    fingerprint              SHA-256 of the data in canonical form, 32 bytes: equal for a repetition
    data                     the order as it is stored, a JSON object
    """

    order_id: OrderId
    payment_id: PaymentId
    event_source: str
    event_id: str
    fingerprint: bytes
    data: dict[str, Any]


def record(tx: Tx, orders: Sequence[NewOrder], *, by: str) -> set[PaymentId]:
    """Write orders and their payments in one statement; returns the payments that are new.

    An order whose id, or whose event id, was seen before is left alone and its payment is not among the returned;
    `fingerprint_of` tells a repetition from a contradiction. Orders of one call must have different ids, and are
    inserted in the order of these, so that two intake processes with the same orders wait for one another and never
    deadlock. Needs a tenant transaction: the rows get its tenant.

    Raises:
        psycopg.errors.UniqueViolation: the buyer's idempotency key already paid for another order.
        psycopg.errors.ForeignKeyViolation: the tenant has no such venue.
    """
    rows = tx.execute(
        """
        WITH incoming AS (
            SELECT * FROM jsonb_to_recordset(%(orders)s) AS incoming (
                order_id uuid, payment_id uuid, event_source text, event_id text, fingerprint text, data jsonb)
        ), seen AS (
            INSERT INTO orders (tenant_id, order_id, event_source, event_id, fingerprint, order_data)
            SELECT current_tenant(), order_id, event_source, event_id, decode(fingerprint, 'hex'), data
            FROM incoming
            ORDER BY order_id                                      -- one order of locks for every intake process
            ON CONFLICT DO NOTHING
            RETURNING order_id
        )
        INSERT INTO payments (
            tenant_id, payment_id, order_id, venue_id, buyer_id, amount_minor, currency, capture,
            payment_method_id, customer_id, idempotency_key, sale, seller_id, group_id, state_by)
        SELECT
            current_tenant(), payment_id, order_id, (data ->> 'venue_id')::uuid, data ->> 'buyer_id',
            (data -> 'amount' ->> 'minor')::bigint, data -> 'amount' ->> 'currency', data ->> 'capture',
            data ->> 'payment_method_id', data ->> 'customer_id', data ->> 'idempotency_key',
            CASE WHEN data ? 'seller' THEN 'resale' ELSE 'primary' END, (data -> 'seller' ->> 'recipient_id')::uuid,
            (data ->> 'group_id')::uuid, %(by)s
        FROM incoming JOIN seen USING (order_id)
        RETURNING payment_id
        """,
        {"orders": Jsonb([_as_row(order) for order in orders]), "by": by},
    ).fetchall()
    return {PaymentId(row[0]) for row in rows}


def fingerprint_of(tx: Tx, order: NewOrder) -> bytes | None:
    """The fingerprint under which this order id or event id was first seen; None when neither was.

    When both were seen, with different orders, either proves the contradiction; the order's own row is preferred.
    """
    row = tx.execute(
        """
        SELECT fingerprint FROM orders
        WHERE order_id = %(order_id)s OR (event_source = %(source)s AND event_id = %(event_id)s)
        ORDER BY order_id = %(order_id)s DESC
        LIMIT 1
        """,
        {"order_id": order.order_id, "source": order.event_source, "event_id": order.event_id},
    ).fetchone()
    return bytes(row[0]) if row else None


@dataclass(frozen=True, slots=True)
class TicketToMint:
    """A ticket of an order, and the wallet that was named for it, if one was."""

    ticket_id: TicketId
    event_id: UUID
    wallet: str | None


def tickets_to_mint(tx: Tx, order_id: OrderId) -> list[TicketToMint]:
    """The tickets of an order, in no order; empty when the tenant has no such order.

    A ticket's own wallet goes before the order's; with neither, `wallet` is None and nothing can be minted yet.
    """
    with tx.cursor(row_factory=class_row(TicketToMint)) as cursor:
        return cursor.execute(
            """
            SELECT (ticket ->> 'ticket_id')::uuid AS ticket_id, (order_data ->> 'event_id')::uuid AS event_id,
                   coalesce(ticket ->> 'wallet', order_data ->> 'wallet') AS wallet
            FROM orders, jsonb_array_elements(order_data -> 'tickets') AS ticket
            WHERE order_id = %(order_id)s
            """,
            {"order_id": order_id},
        ).fetchall()


def ticket_prices(tx: Tx, order_id: OrderId) -> dict[TicketId, int]:
    """Ticket -> what the buyer paid for it, in minor units of the order's currency; the face price unless a price was
    set.
    """
    rows = tx.execute(
        """
        SELECT (ticket ->> 'ticket_id')::uuid,
               coalesce(ticket ->> 'price_minor', ticket ->> 'face_price_minor')::bigint
        FROM orders, jsonb_array_elements(order_data -> 'tickets') AS ticket
        WHERE order_id = %(order_id)s
        """,
        {"order_id": order_id},
    ).fetchall()
    return {TicketId(row[0]): row[1] for row in rows}


def payment_of(tx: Tx, order_id: OrderId) -> PaymentId | None:
    """The payment of an order; None when the tenant has no such order."""
    row = tx.execute("SELECT payment_id FROM payments WHERE order_id = %(id)s", {"id": order_id}).fetchone()
    return PaymentId(row[0]) if row else None


def _as_row(order: NewOrder) -> dict[str, Any]:
    return {
        "order_id": str(order.order_id),
        "payment_id": str(order.payment_id),
        "event_source": order.event_source,
        "event_id": order.event_id,
        "fingerprint": order.fingerprint.hex(),
        "data": order.data,
    }
