"""Escrow as operators control it: release a payment's shares, or hold them until an operator releases them."""

from uuid import UUID

from db.operators import requests
from db.operators.requests import NewOperatorRequest, OperatorRequest
from db.shares import escrow
from outbox.requests.operators.asking import ask
from outbox.requests.operators.transaction import OperatorTransaction
from outbox.requests.refusals import RefusedError, require

KINDS = ("release", "hold")


def release(acting: OperatorTransaction, payment_id: UUID, *, note: str) -> OperatorRequest:
    """Release the shares of a payment, whatever escrow waits for.

    Raises:
        RefusedError: nothing of it is in escrow, it is asked for already, or no reason was given.
    """
    return _ask(acting, payment_id, "release", note)


def hold(acting: OperatorTransaction, payment_id: UUID, *, note: str) -> OperatorRequest:
    """Keep the shares of a payment in escrow until an operator releases them. It moves no money, so it needs no
    approval.

    Raises:
        RefusedError: as `release`.
    """
    return _ask(acting, payment_id, "hold", note)


def _ask(acting: OperatorTransaction, payment_id: UUID, kind: str, note: str) -> OperatorRequest:
    """Request one of KINDS; a second request of the same kind is refused while the first is in progress."""
    require(note.strip(), "give a reason")
    held = escrow.of_payment(acting.tx, payment_id)
    if held is None:
        raise RefusedError(f"there is no payment {payment_id} with shares")
    if held.released_at is not None or not held.held_minor:
        raise RefusedError("nothing of this payment is in escrow")
    if requests.waiting(acting.tx, limit=1, kinds=[kind], payment_id=payment_id):
        raise RefusedError(f"a request to {kind} it is already in progress")
    new = NewOperatorRequest(
        tenant_id=held.tenant_id,
        kind=kind,
        payment_id=held.payment_id,
        amount_minor=held.held_minor,
        currency=held.currency,
        note=note,
        by=acting.operator,
    )
    return ask(acting, new, moves_minor=held.held_minor if kind == "release" else 0, action=f"{kind} escrow")
