"""What operators request of one payment: a refund, the release of its shares from escrow, or to hold them there.

A worker carries each out, because an operator's process may not write money, and writes its answer beside the request.
The states are in states.py. The database refuses an approval by whoever asked, and a request that goes on without the
approval it waited for (migration 0055, M20).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from psycopg import errors
from psycopg.rows import class_row

from db.operators.states import RequestState
from db.session import Tx
from messages.ids import PaymentId, RefundId, TenantId
from messages.money import Money


@dataclass(frozen=True, slots=True)
class OperatorRequest:
    """`kind` is refund, release or hold.

    `amount_minor` of a refund is None for the remaining balance, or the price of the tickets; of the others it is what
    was in escrow when it was asked. `reason` is the code that a refund carries, `note` the reason in the operator's own
    words.
    `refund_id` is the refund that came of it; a granted refund without one had nothing to refund.
    """

    tenant_id: TenantId
    request_id: UUID
    kind: str
    payment_id: PaymentId
    amount_minor: int | None
    currency: str
    ticket_ids: list[UUID]
    reason: str | None
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
class NewOperatorRequest:
    tenant_id: TenantId
    kind: str
    payment_id: PaymentId
    amount_minor: int | None
    currency: str
    note: str
    by: str
    ticket_ids: Sequence[UUID] = ()
    reason: str | None = None
    retry_of: UUID | None = None


_COLUMNS = """
    tenant_id, request_id, kind, payment_id, amount_minor, currency, ticket_ids, reason, note, retry_of, state,
    state_reason, refund_id, created_by, created_at, approved_by
"""
_SELECT = "SELECT" + _COLUMNS + "FROM operator_requests "


class AskedBeforeError(ValueError):
    """A retry of this refund is already in progress."""


def ask(tx: Tx, new: NewOperatorRequest, *, awaits_approval: bool) -> OperatorRequest:
    """Write the request down.

    Raises:
        AskedBeforeError: a retry of the same refund is under way; the transaction is still good.
    """
    try:
        with tx.transaction(), tx.cursor(row_factory=class_row(OperatorRequest)) as cursor:
            request = cursor.execute(
                """
                INSERT INTO operator_requests (
                    tenant_id, kind, payment_id, amount_minor, currency, ticket_ids, reason, note, retry_of, state,
                    state_by, created_by)
                VALUES (
                    %(tenant)s, %(kind)s, %(payment)s, %(amount)s, %(currency)s, %(tickets)s, %(reason)s, %(note)s,
                    %(retry_of)s, %(state)s, %(by)s, %(by)s)
                RETURNING
                """
                + _COLUMNS,
                {
                    "tenant": new.tenant_id,
                    "kind": new.kind,
                    "payment": new.payment_id,
                    "amount": new.amount_minor,
                    "currency": new.currency,
                    "tickets": list(new.ticket_ids),
                    "reason": new.reason,
                    "note": new.note,
                    "retry_of": new.retry_of,
                    "state": RequestState.AWAITING_APPROVAL if awaits_approval else RequestState.ASKED,
                    "by": new.by,
                },
            ).fetchone()
    except errors.UniqueViolation as error:
        if error.diag.constraint_name != "ops_refunds_retry_once":
            raise
        raise AskedBeforeError("a retry of this refund is already in progress") from None
    assert request is not None, "INSERT ... RETURNING returns its row"
    return request


def get(tx: Tx, request_id: UUID, *, lock: bool = False) -> OperatorRequest | None:
    with tx.cursor(row_factory=class_row(OperatorRequest)) as cursor:
        statement = _SELECT + "WHERE request_id = %(id)s" + (" FOR UPDATE" if lock else "")
        return cursor.execute(statement, {"id": request_id}).fetchone()


def waiting(
    tx: Tx, *, limit: int, kinds: Sequence[str] | None = None, payment_id: UUID | None = None
) -> list[OperatorRequest]:
    """Those that wait for a person or for a worker, the oldest first."""
    with tx.cursor(row_factory=class_row(OperatorRequest)) as cursor:
        return cursor.execute(
            _SELECT
            + """
            WHERE state IN ('awaiting_approval', 'asked')
              AND (%(kinds)s::text[] IS NULL OR kind = ANY (%(kinds)s))
              AND (%(payment)s::uuid IS NULL OR payment_id = %(payment)s)
            ORDER BY created_at LIMIT %(limit)s
            """,
            {"kinds": list(kinds) if kinds else None, "payment": payment_id, "limit": limit},
        ).fetchall()


def approve(tx: Tx, request_id: UUID, *, by: str) -> bool:
    """awaiting_approval -> asked, once; the database refuses it to whoever asked."""
    moved = tx.execute(
        """
        UPDATE operator_requests SET state = 'asked', state_by = %(by)s, approved_by = %(by)s
        WHERE request_id = %(id)s AND state = 'awaiting_approval'
        """,
        {"id": request_id, "by": by},
    )
    return moved.rowcount == 1


def withdraw(tx: Tx, request_id: UUID, *, by: str, reason: str) -> bool:
    """awaiting_approval -> withdrawn, once."""
    moved = tx.execute(
        """
        UPDATE operator_requests SET state = 'withdrawn', state_by = %(by)s, state_reason = %(reason)s
        WHERE request_id = %(id)s AND state = 'awaiting_approval'
        """,
        {"id": request_id, "by": by, "reason": reason},
    )
    return moved.rowcount == 1


def settle(
    tx: Tx, request_id: UUID, *, state: RequestState, by: str, reason: str | None, refund_id: RefundId | None = None
) -> bool:
    """asked -> granted or refused, once, with the worker's answer."""
    moved = tx.execute(
        """
        UPDATE operator_requests
        SET state = %(state)s, state_by = %(by)s, state_reason = %(reason)s, refund_id = %(refund_id)s
        WHERE request_id = %(id)s AND state = 'asked'
        """,
        {"id": request_id, "state": state, "by": by, "reason": reason, "refund_id": refund_id},
    )
    return moved.rowcount == 1
