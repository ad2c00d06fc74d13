"""Request that a payment is cancelled before its money is taken.

The reason is recorded on the payment's row and CancelRequested appended, in the caller's transaction. Should the money
be taken all the same, the worker refunds it automatically (workers/payments/settlement.py). Asking twice is harmless.
"""

from loguru import logger

from db.payments import payments
from db.payments.payments import Payment
from db.payments.states import PaymentState
from db.session import Tx
from messages.ids import PaymentId
from messages.refunds import CancelRequested
from outbox.append import append
from outbox.requests.payments import locked_payment
from outbox.requests.refusals import RefusedError


def cancel_payment(tx: Tx, *, payment_id: PaymentId, reason: str, by: str) -> Payment:
    """Have the payment cancelled; one that is cancelled already stays so.

    Raises:
        RefusedError: the payment is unknown, or its money was taken.
    """
    payment = locked_payment(tx, payment_id)
    if not request_cancellation(tx, payment, reason=reason, by=by) and payment.state is not PaymentState.CANCELED:
        said = f"the payment is {payment.state.value}: it was captured, request a refund instead"
        raise RefusedError(said, code="already_captured")
    return payment


def request_cancellation(tx: Tx, payment: Payment, *, reason: str, by: str) -> bool:
    """Have the locked payment cancelled; False when nothing is left to cancel."""
    if payment.state in {PaymentState.SUCCEEDED, PaymentState.CANCELED}:
        return False
    payments.wish_to_cancel(tx, payment.payment_id, reason=reason, by=by)
    append(tx, CancelRequested(tenant_id=payment.tenant_id, payment_id=payment.payment_id))
    logger.info("cancellation requested: {}", reason)
    return True
