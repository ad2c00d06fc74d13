"""Write an operator's request down, and queue it, at once or once a second operator has agreed."""

from db.operators import requests
from db.operators.requests import AskedBeforeError, NewOperatorRequest, OperatorRequest
from messages.refunds import OpsRefundDue
from messages.shares import OpsEscrowDue
from outbox.append import append
from outbox.requests.operators.transaction import OperatorTransaction
from outbox.requests.refusals import RefusedError


def ask(acting: OperatorTransaction, new: NewOperatorRequest, *, moves_minor: int, action: str) -> OperatorRequest:
    """Write an operator's request down in the operator's transaction, log it, and queue it unless a second operator
    must agree.

    `moves_minor` is the most that it can move, in minor units of its currency; it decides whether the request waits.
    `action` is for the operator log.

    Raises:
        RefusedError: a retry of the same refund is in progress, or the same was requested for this payment's escrow
            already.
    """
    try:
        request = requests.ask(acting.tx, new, awaits_approval=acting.needs_approval([moves_minor]))
    except AskedBeforeError as error:
        raise RefusedError(str(error)) from None
    if request.state == "asked":
        queue(acting, request)
    amount_minor = moves_minor if request.amount_minor is None else request.amount_minor
    acting.log(action, subject_of(request) | {"state": request.state, "amount_minor": amount_minor}, new.note)
    return request


def queue(acting: OperatorTransaction, request: OperatorRequest) -> None:
    """Append the message that has a worker carry the request out.

    Both kinds of message go to one actor; they are two because the previous release reads them as such.
    """
    message: OpsRefundDue | OpsEscrowDue
    if request.kind == "refund":
        message = OpsRefundDue(
            tenant_id=request.tenant_id, payment_id=request.payment_id, request_id=request.request_id
        )
    else:
        message = OpsEscrowDue(tenant_id=request.tenant_id, payment_id=request.payment_id, wish_id=request.request_id)
    append(acting.tx, message)


def subject_of(request: OperatorRequest) -> dict[str, object]:
    """What the operator log says of a request; a request about escrow keeps the name its entries always had."""
    name = "request_id" if request.kind == "refund" else "wish_id"
    ids = {name: str(request.request_id), "payment_id": str(request.payment_id)}
    return ids | {"amount_minor": request.amount_minor, "currency": request.currency}
