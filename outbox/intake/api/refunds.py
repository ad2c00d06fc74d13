"""Refunds, captures and cancellations over the API: translates into outbox/requests."""

from collections.abc import Iterator
from contextlib import contextmanager

from db.session import Tx
from messages.runtime.redaction import redact_text
from outbox.intake.api import schemas
from outbox.intake.api.idempotency import StoredAnswer
from outbox.intake.api.payments import ApiRequest, answer, reached, view_of
from outbox.requests.cancellations import cancel_payment
from outbox.requests.captures import request_capture
from outbox.requests.refunds import request_refund
from outbox.requests.refusals import RefusedError
from outbox.web.problem_details import Problem

SOURCE = "api"
# The request itself is wrong, however the payment may stand later; everything else contradicts how it stands now.
_WRONG_IN_ITSELF = frozenset(
    {"amount_exceeds_captured", "amount_not_authorized", "ticket_unknown", "ticket_was_free", "wrong_currency"}
)


def refund(tx: Tx, request: ApiRequest) -> StoredAnswer:
    """Give money back: an amount, the face price of tickets, or whatever is left.

    What was not taken yet is never taken: a payment that is not captured is called off instead.
    """
    payment = reached(tx, request)
    body: schemas.RefundAsked = request.body
    with _refusals_told():
        outcome = request_refund(
            tx,
            payment_id=payment.payment_id,
            amount=body.amount,
            ticket_ids=body.ticket_ids,
            reason=body.reason,
            note=redact_text(body.note),
            source=SOURCE,
            request_key=request.request_key,
            by=request.by,
        )
    if outcome.refund is None and not outcome.canceling:
        raise Problem(409, "no money was taken, and none can be any more", code="nothing-to-refund")
    refunded = view_of(outcome.refund) if outcome.refund else None
    refund_accepted = schemas.RefundAccepted(
        payment_id=payment.payment_id, refund=refunded, canceling=outcome.canceling
    )
    return answer(202, refund_accepted)


def capture(tx: Tx, request: ApiRequest) -> StoredAnswer:
    """Take the held amount, or a part of it; the rest is released."""
    payment = reached(tx, request)
    body: schemas.CaptureAsked = request.body
    with _refusals_told():
        request_capture(tx, payment_id=payment.payment_id, amount=body.amount)
    return answer(202, schemas.PaymentAsked(payment_id=payment.payment_id, state=payment.state))


def cancel(tx: Tx, request: ApiRequest) -> StoredAnswer:
    """Call the payment off before its money is taken; if it is taken in spite of that, it is given back by itself."""
    body: schemas.CancelAsked = request.body
    payment_id = reached(tx, request).payment_id
    with _refusals_told():
        payment = cancel_payment(tx, payment_id=payment_id, reason=body.reason, by=request.by)
    return answer(202, schemas.PaymentAsked(payment_id=payment.payment_id, state=payment.state))


@contextmanager
def _refusals_told() -> Iterator[None]:
    try:
        yield
    except RefusedError as error:
        status = 422 if error.code in _WRONG_IN_ITSELF else 409
        raise Problem(status, str(error), code=error.code.replace("_", "-")) from None
