"""Payments as somebody on the phone names them: by payment, order, intent or charge id, or all of a tenant.

Reads across tenants: an ops transaction.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from psycopg.rows import class_row

from db.session import Tx


@dataclass(frozen=True, slots=True)
class FoundPayment:
    tenant_id: UUID
    tenant_name: str
    payment_id: UUID
    order_id: UUID
    payment_intent_id: str | None
    charge_id: str | None
    amount_minor: int
    currency: str
    platform_fee_minor: int | None
    state: str
    state_reason: str | None
    state_since: datetime
    created_at: datetime
    open_dead_letters: int


_SELECT = """
    SELECT p.tenant_id, t.name AS tenant_name, p.payment_id, p.order_id, p.payment_intent_id, c.charge_id,
           p.amount_minor, p.currency, p.platform_fee_minor, p.state, p.state_reason, p.state_since, p.created_at,
           (SELECT count(*) FROM dead_letters d WHERE d.payment_id = p.payment_id AND d.state = 'open')
               AS open_dead_letters
    FROM payments p
    JOIN tenants t USING (tenant_id)
    LEFT JOIN charges c USING (tenant_id, payment_id)
"""


def search(tx: Tx, text: str, *, limit: int, offset: int = 0) -> list[FoundPayment]:
    """Payments that carry this id anywhere, the newest first; empty for a text that is no id."""
    wanted = text.strip()
    as_uuid = _uuid(wanted)
    with tx.cursor(row_factory=class_row(FoundPayment)) as cursor:
        if as_uuid is not None:
            return cursor.execute(
                _SELECT
                + """
                WHERE p.payment_id = %(id)s OR p.order_id = %(id)s OR p.tenant_id = %(id)s
                ORDER BY p.payment_id DESC LIMIT %(limit)s OFFSET %(offset)s
                """,
                {"id": as_uuid, "limit": limit, "offset": offset},
            ).fetchall()
        return cursor.execute(
            _SELECT
            + """
            WHERE p.payment_intent_id = %(id)s OR c.charge_id = %(id)s
            ORDER BY p.payment_id DESC LIMIT %(limit)s OFFSET %(offset)s
            """,
            {"id": wanted, "limit": limit, "offset": offset},
        ).fetchall()


def newest(tx: Tx, *, limit: int, offset: int = 0) -> list[FoundPayment]:
    """What was accepted last; payment ids are UUIDv7, so their order is the order of time."""
    with tx.cursor(row_factory=class_row(FoundPayment)) as cursor:
        return cursor.execute(
            _SELECT + "ORDER BY p.created_at DESC LIMIT %(limit)s OFFSET %(offset)s", {"limit": limit, "offset": offset}
        ).fetchall()


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
