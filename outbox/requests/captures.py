"""Request a capture: the held amount, or a part of it, is taken, and the rest is released.

Phases: lock the payment, check, record the requested amount on its row and append CaptureRequested, all in the caller's
transaction. The same request again changes nothing.
"""

from db.payments import payments
from db.payments.payments import Payment
from db.payments.states import PaymentState
from db.session import Tx
from messages.ids import PaymentId
from messages.money import Money
from messages.refunds import CaptureRequested
from outbox.append import append
from outbox.requests.payments import locked_payment
from outbox.requests.refusals import RefusedError


def request_capture(tx: Tx, *, payment_id: PaymentId, amount: Money | None = None) -> Payment:
    """Have `amount`, or (None) all that is held, captured.

    Raises:
        RefusedError: unknown payment, not authorised, to be cancelled, another amount was asked for before, or a part
            of a group's share.
    """
    payment = locked_payment(tx, payment_id)
    wanted = amount or payment.amount
    _refuse_another_amount(payment, wanted)
    if payment.state is PaymentState.SUCCEEDED and payment.capture == "manual":
        return payment
    if payment.state is not PaymentState.AUTHORIZED:
        raise RefusedError(f"the payment is {payment.state.value}; nothing is held", code="not_authorized")
    if payment.cancel_reason is not None:
        raise RefusedError("the payment is being cancelled", code="being_canceled")
    payments.wish_to_capture(tx, payment_id, amount_minor=wanted.minor)
    append(tx, CaptureRequested(tenant_id=payment.tenant_id, payment_id=payment_id))
    return payment


def _refuse_another_amount(payment: Payment, wanted: Money) -> None:
    """Refuse an amount beyond what is held, a part of a group's share, and another amount than was requested before."""
    if wanted.currency != payment.currency or not 0 < wanted.minor <= payment.amount_minor:
        raise RefusedError(f"{wanted} is not within the {payment.amount} held", code="amount_not_authorized")
    if payment.group_id is not None and wanted != payment.amount:
        raise RefusedError(
            "the payment is a share of a group, which is captured whole or not at all", code="of_a_group"
        )
    if payment.capture_requested_minor not in {None, wanted.minor}:
        raise RefusedError("a capture of another amount is under way", code="capture_already_requested")
