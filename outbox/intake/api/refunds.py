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
from outbox.web.problem_codes import ProblemCode, of_request_error
from outbox.web.problem_details import Problem

SOURCE = "api"


def refund(tx: Tx, request: ApiRequest) -> StoredAnswer:
    """Refund an amount, the face price of tickets, or the remaining balance.

    A payment that has not been captured is canceled instead, which releases its authorization.
    """
    payment = reached(tx, request)
    body: schemas.RefundRequest = request.body
    with _refused_requests_as_problems():
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
        raise Problem(ProblemCode.NOTHING_TO_REFUND, "the payment was never captured and never will be")
    refunded = view_of(outcome.refund) if outcome.refund else None
    refund_accepted = schemas.RefundAccepted(
        payment_id=payment.payment_id, refund=refunded, canceling=outcome.canceling
    )
    return answer(202, refund_accepted)


def capture(tx: Tx, request: ApiRequest) -> StoredAnswer:
    """Capture the authorized amount or a part of it; the remainder is released."""
    payment = reached(tx, request)
    body: schemas.CaptureRequest = request.body
    with _refused_requests_as_problems():
        request_capture(tx, payment_id=payment.payment_id, amount=body.amount)
    return answer(202, schemas.PaymentActionAccepted(payment_id=payment.payment_id, state=payment.state))


def cancel(tx: Tx, request: ApiRequest) -> StoredAnswer:
    """Cancel the payment before it is captured. If a capture succeeds first, it is refunded automatically."""
    body: schemas.CancelRequest = request.body
    payment_id = reached(tx, request).payment_id
    with _refused_requests_as_problems():
        payment = cancel_payment(tx, payment_id=payment_id, reason=body.reason, by=request.by)
    return answer(202, schemas.PaymentActionAccepted(payment_id=payment.payment_id, state=payment.state))


@contextmanager
def _refused_requests_as_problems() -> Iterator[None]:
    try:
        yield
    except RefusedError as error:
        raise Problem(of_request_error(error.code), str(error)) from None
