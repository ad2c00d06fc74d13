"""Refunds as operators request them: an amount, tickets, the remaining balance, or a failed refund once more."""

from collections.abc import Sequence
from uuid import UUID

from db.operators.requests import NewOperatorRequest, OperatorRequest
from db.refunds import views as refund_views
from db.refunds.views import RefundableBalance
from db.session import Tx
from messages.ids import PaymentId, TenantId
from outbox.requests.operators.asking import ask
from outbox.requests.operators.transaction import OperatorTransaction
from outbox.requests.refusals import RefusedError, require

REASONS = ("requested_by_customer", "duplicate", "fraudulent", "order_cancelled")
SAY_WHY = "give a reason"


def request_refund(
    acting: OperatorTransaction,
    payment_id: UUID,
    *,
    amount_minor: int | None,
    ticket_ids: Sequence[UUID],
    reason: str,
    note: str,
) -> OperatorRequest:
    """Request a refund: of an amount, of tickets, or (neither) of whatever is left.

    Raises:
        RefusedError: unknown payment, nothing left, another reason than REASONS, or no note.
    """
    require(note.strip(), SAY_WHY)
    require(reason in REASONS, f"the reason is one of {', '.join(REASONS)}")
    require(not (ticket_ids and amount_minor), "give an amount or tickets, not both")
    refundable = _refundable(acting.tx, payment_id)
    new = NewOperatorRequest(
        tenant_id=TenantId(refundable.tenant_id),
        kind="refund",
        payment_id=PaymentId(payment_id),
        amount_minor=amount_minor,
        currency=refundable.currency,
        ticket_ids=ticket_ids,
        reason=reason,
        note=note,
        by=acting.operator,
    )
    return ask(acting, new, moves_minor=_moves(acting.tx, refundable, amount_minor, ticket_ids), action="refund")


def retry_refund(acting: OperatorTransaction, refund_id: UUID, *, note: str) -> OperatorRequest:
    """Request a failed refund again, as a new refund.

    Raises:
        RefusedError: unknown, alive, or being tried again already; or no note.
    """
    require(note.strip(), SAY_WHY)
    refund = refund_views.by_name(acting.tx, str(refund_id))
    if refund is None:
        raise RefusedError(f"there is no refund {refund_id}")
    if refund.state not in {"failed", "refused", "canceled"}:
        raise RefusedError(f"the refund is {refund.state}; only a failed refund can be retried")
    new = NewOperatorRequest(
        tenant_id=TenantId(refund.tenant_id),
        kind="refund",
        payment_id=PaymentId(refund.payment_id),
        amount_minor=None if refund.ticket_ids else refund.amount_minor,
        currency=refund.currency,
        ticket_ids=refund.ticket_ids,
        reason=refund.reason,
        note=note,
        by=acting.operator,
        retry_of=refund.refund_id,
    )
    return ask(acting, new, moves_minor=refund.amount_minor, action="retry refund")


def _refundable(tx: Tx, payment_id: UUID) -> RefundableBalance:
    """The payment's balance, with something left to refund. `left_minor` None: no money was taken yet."""
    refundable = refund_views.standing(tx, payment_id)
    if refundable is None:
        raise RefusedError(f"there is no payment {payment_id}")
    if refundable.left_minor == 0:
        raise RefusedError("everything is refunded already, or a refund is in progress")
    return refundable


def _moves(tx: Tx, refundable: RefundableBalance, amount_minor: int | None, ticket_ids: Sequence[UUID]) -> int:
    """The most that the request refunds, in minor units; 0 when no money was taken yet."""
    if refundable.left_minor is None:
        return 0
    if ticket_ids:
        return refund_views.price_of_tickets(tx, refundable, ticket_ids)
    return amount_minor or refundable.left_minor
