"""Refunds that operators ask for: the wish, a second person's word when it is large, and what a worker made of it.

[awaiting_approval ->] asked -> granted | refused          withdrawn from awaiting_approval
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from psycopg import errors
from psycopg.rows import class_row

from db.session import Tx
from messages.ids import PaymentId, RefundId, TenantId
from messages.money import Money


@dataclass(frozen=True, slots=True)
class RefundOrder:
    """`amount_minor` None: whatever is left, or what the tickets cost. `refund_id` None: the payment is cancelled."""

    tenant_id: TenantId
    request_id: UUID
    payment_id: PaymentId
    amount_minor: int | None
    currency: str
    ticket_ids: list[UUID]
    reason: str
    note: str
    retry_of: UUID | None
    state: str
    state_reason: str | None
    refund_id: UUID | None
    created_by: str
    created_at: datetime
    approved_by: str | None

    @property
    def amount(self) -> Money | None:
        return None if self.amount_minor is None else Money(self.amount_minor, self.currency)


@dataclass(frozen=True, slots=True)
class NewRefundOrder:
    tenant_id: TenantId
    payment_id: PaymentId
    amount_minor: int | None
    currency: str
    ticket_ids: Sequence[UUID]
    reason: str
    note: str
    by: str
    retry_of: UUID | None = None


_SELECT = """
    SELECT tenant_id, request_id, payment_id, amount_minor, currency, ticket_ids, reason, note, retry_of, state,
           state_reason, refund_id, created_by, created_at, approved_by
    FROM ops_refunds
"""


class AskedBeforeError(ValueError):
    """This refund is being tried again already."""


def ask(tx: Tx, new: NewRefundOrder, *, awaits_approval: bool) -> UUID:
    """Write the wish down.

    Raises:
        AskedBeforeError: a retry of the same refund is under way; the transaction is still good.
    """
    try:
        with tx.transaction():
            row = tx.execute(
                """
                INSERT INTO ops_refunds (
                    tenant_id, payment_id, amount_minor, currency, ticket_ids, reason, note, retry_of, state, state_by,
                    created_by)
                VALUES (
                    %(tenant)s, %(payment)s, %(amount)s, %(currency)s, %(tickets)s, %(reason)s, %(note)s, %(retry_of)s,
                    %(state)s, %(by)s, %(by)s)
                RETURNING request_id
                """,
                {
                    "tenant": new.tenant_id,
                    "payment": new.payment_id,
                    "amount": new.amount_minor,
                    "currency": new.currency,
                    "tickets": list(new.ticket_ids),
                    "reason": new.reason,
                    "note": new.note,
                    "retry_of": new.retry_of,
                    "state": "awaiting_approval" if awaits_approval else "asked",
                    "by": new.by,
                },
            ).fetchone()
    except errors.UniqueViolation as error:
        if error.diag.constraint_name != "ops_refunds_retry_once":
            raise
        raise AskedBeforeError("this refund is being tried again already") from None
    assert row is not None, "INSERT ... RETURNING returns its row"
    request_id: UUID = row[0]
    return request_id


def get(tx: Tx, request_id: UUID, *, lock: bool = False) -> RefundOrder | None:
    with tx.cursor(row_factory=class_row(RefundOrder)) as cursor:
        statement = _SELECT + "WHERE request_id = %(id)s" + (" FOR UPDATE" if lock else "")
        return cursor.execute(statement, {"id": request_id}).fetchone()


def waiting(tx: Tx, *, limit: int) -> list[RefundOrder]:
    """Those that wait for a person or for a worker, the oldest first."""
    with tx.cursor(row_factory=class_row(RefundOrder)) as cursor:
        return cursor.execute(
            _SELECT + "WHERE state IN ('awaiting_approval', 'asked') ORDER BY created_at LIMIT %(limit)s",
            {"limit": limit},
        ).fetchall()


def approve(tx: Tx, request_id: UUID, *, by: str) -> bool:
    moved = tx.execute(
        """
        UPDATE ops_refunds SET state = 'asked', state_by = %(by)s, approved_by = %(by)s
        WHERE request_id = %(id)s AND state = 'awaiting_approval'
        """,
        {"id": request_id, "by": by},
    )
    return moved.rowcount == 1


def withdraw(tx: Tx, request_id: UUID, *, by: str, reason: str) -> bool:
    moved = tx.execute(
        """
        UPDATE ops_refunds SET state = 'withdrawn', state_by = %(by)s, state_reason = %(reason)s
        WHERE request_id = %(id)s AND state = 'awaiting_approval'
        """,
        {"id": request_id, "by": by, "reason": reason},
    )
    return moved.rowcount == 1


def settle(
    tx: Tx, request_id: UUID, *, state: str, by: str, reason: str | None = None, refund_id: RefundId | None = None
) -> bool:
    """asked -> granted or refused, once."""
    moved = tx.execute(
        """
        UPDATE ops_refunds
        SET state = %(state)s, state_by = %(by)s, state_reason = %(reason)s, refund_id = %(refund_id)s
        WHERE request_id = %(id)s AND state = 'asked'
        """,
        {"id": request_id, "state": state, "by": by, "reason": reason, "refund_id": refund_id},
    )
    return moved.rowcount == 1
