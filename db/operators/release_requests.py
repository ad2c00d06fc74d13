"""What operators want of escrow: release a payment's shares, or hold them; and what a worker made of it.

[awaiting_approval ->] asked -> granted | refused          withdrawn from awaiting_approval
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from psycopg.rows import class_row

from db.session import Tx
from messages.ids import PaymentId, TenantId
from messages.money import Money


@dataclass(frozen=True, slots=True)
class EscrowRequest:
    """`what` is release or hold; `amount_minor` was in escrow when it was asked for."""

    tenant_id: TenantId
    wish_id: UUID
    payment_id: PaymentId
    what: str
    amount_minor: int
    currency: str
    note: str
    state: str
    state_reason: str | None
    created_by: str
    created_at: datetime
    approved_by: str | None


def ask(
    tx: Tx, tenant_id: TenantId, payment_id: PaymentId, *, what: str, amount: Money, note: str, by: str, waits: bool
) -> UUID:
    """Write the wish down; it `waits` for a second person when it moves more than one may decide."""
    row = tx.execute(
        """
        INSERT INTO escrow_wishes (
            tenant_id, payment_id, what, amount_minor, currency, note, state, state_by, created_by)
        VALUES (%(tenant)s, %(payment)s, %(what)s, %(amount)s, %(currency)s, %(note)s, %(state)s, %(by)s, %(by)s)
        RETURNING wish_id
        """,
        {
            "tenant": tenant_id,
            "payment": payment_id,
            "what": what,
            "amount": amount.minor,
            "currency": amount.currency,
            "note": note,
            "state": "awaiting_approval" if waits else "asked",
            "by": by,
        },
    ).fetchone()
    assert row is not None, "INSERT ... RETURNING returns its row"
    wish_id: UUID = row[0]
    return wish_id


_SELECT = """
    SELECT tenant_id, wish_id, payment_id, what, amount_minor, currency, note, state, state_reason, created_by,
           created_at, approved_by
    FROM escrow_wishes
"""


def get(tx: Tx, wish_id: UUID, *, lock: bool = False) -> EscrowRequest | None:
    with tx.cursor(row_factory=class_row(EscrowRequest)) as cursor:
        statement = _SELECT + "WHERE wish_id = %(id)s" + (" FOR UPDATE" if lock else "")
        return cursor.execute(statement, {"id": wish_id}).fetchone()


def waiting(tx: Tx, *, limit: int, payment_id: UUID | None = None) -> list[EscrowRequest]:
    """Those that wait for a person or for a worker, the oldest first."""
    with tx.cursor(row_factory=class_row(EscrowRequest)) as cursor:
        return cursor.execute(
            _SELECT
            + """
            WHERE state IN ('awaiting_approval', 'asked') AND (%(payment)s::uuid IS NULL OR payment_id = %(payment)s)
            ORDER BY created_at LIMIT %(limit)s
            """,
            {"limit": limit, "payment": payment_id},
        ).fetchall()


def approve(tx: Tx, wish_id: UUID, *, by: str) -> bool:
    moved = tx.execute(
        """
        UPDATE escrow_wishes SET state = 'asked', state_by = %(by)s, approved_by = %(by)s
        WHERE wish_id = %(id)s AND state = 'awaiting_approval'
        """,
        {"id": wish_id, "by": by},
    )
    return moved.rowcount == 1


def withdraw(tx: Tx, wish_id: UUID, *, by: str, reason: str) -> bool:
    moved = tx.execute(
        """
        UPDATE escrow_wishes SET state = 'withdrawn', state_by = %(by)s, state_reason = %(reason)s
        WHERE wish_id = %(id)s AND state = 'awaiting_approval'
        """,
        {"id": wish_id, "by": by, "reason": reason},
    )
    return moved.rowcount == 1


def settle(tx: Tx, wish_id: UUID, *, state: str, by: str, reason: str | None = None) -> bool:
    """asked -> granted or refused, once."""
    moved = tx.execute(
        """
        UPDATE escrow_wishes SET state = %(state)s, state_by = %(by)s, state_reason = %(reason)s
        WHERE wish_id = %(id)s AND state = 'asked'
        """,
        {"id": wish_id, "state": state, "by": by, "reason": reason},
    )
    return moved.rowcount == 1
