"""Payments over the API: translates requests into outbox/requests/orders.py and reads payments for responses.

The docstrings of the operations are published in the OpenAPI document. Nothing here calls Stripe; each operation writes
to the database and appends messages in the transaction it is given.
"""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from db.payments import views as payment_views
from db.payments.views import PaymentDetails
from db.refunds import refunds
from db.refunds.refunds import Refund
from db.session import Tx
from db.tenants import tenants
from messages.base import WireModel
from messages.declines import public_reason
from messages.fees import platform_fee
from messages.ids import PaymentId
from messages.orders import OrderPlaced
from messages.runtime import trace
from outbox.intake.api import schemas
from outbox.intake.api.callers import Caller, Permission
from outbox.intake.api.idempotency import StoredAnswer
from outbox.requests.orders import ContradictoryOrder, OrderRequest, UnacceptableOrder, take
from outbox.requests.payments import request_lookup
from outbox.web.problem_codes import ProblemCode
from outbox.web.problem_details import Problem

SOURCE = "/payment-fleet/api"


@dataclass(frozen=True, slots=True)
class ApiRequest:
    """One authorized and validated request. The ids are from the path, `body` is a model of schemas.py.

    `request_key` identifies this request for good, even after its Idempotency-Key expired and was used again.
    """

    caller: Caller
    permission: Permission
    payment_id: PaymentId | None = None
    group_id: UUID | None = None
    member_id: UUID | None = None
    body: Any = None
    request_key: str = ""

    @property
    def by(self) -> str:
        """The actor recorded in histories."""
        return f"api:{self.caller.subject}"


def create(tx: Tx, asked: ApiRequest) -> StoredAnswer:
    """Accept the order and charge it asynchronously. Repeating the same order returns the same payment."""
    request: schemas.PaymentRequest = asked.body
    buyer_id = request.buyer_id or asked.caller.subject
    if not asked.caller.reaches(asked.permission, venue_id=request.venue_id, buyer_id=buyer_id):
        raise Problem(ProblemCode.ACCESS_DENIED, "the token does not permit payments for this venue and buyer")
    offer = _offer(asked.caller, request, buyer_id)
    try:
        take(tx, asked.caller.tenant_id, [offer], by=asked.by)
    except ContradictoryOrder:
        detail = "a different order with this order_id exists; it is unchanged"
        raise Problem(ProblemCode.ORDER_CONFLICT, detail) from None
    except UnacceptableOrder as error:
        raise Problem(ProblemCode.ORDER_REJECTED, str(error)) from None
    payment = payment_views.of_order(tx, request.order_id)
    assert payment is not None, "an order is taken together with its payment"
    accepted = schemas.PaymentAccepted(payment_id=payment.payment_id, order_id=payment.order_id, state=payment.state)
    return answer(202, accepted, location=f"/payments/{payment.payment_id}")


def _offer(caller: Caller, request: schemas.PaymentRequest, buyer_id: str) -> OrderRequest:
    """The order as the event intake would read it. Its idempotency key is the order id: a header may be reused."""
    order = OrderPlaced(
        **dict(request) | {"buyer_id": buyer_id},
        tenant_id=caller.tenant_id,
        idempotency_key=f"api:{request.order_id}",
    )
    return OrderRequest.of(order, source=SOURCE, source_id=str(request.order_id), trace_id=trace.current())


def quote_fees(tx: Tx, asked: ApiRequest) -> StoredAnswer:
    """Compute the fee with the same rule as the charge."""
    request: schemas.QuoteRequest = asked.body
    if not asked.caller.reaches(asked.permission, venue_id=request.venue_id, buyer_id=asked.caller.subject):
        raise Problem(ProblemCode.ACCESS_DENIED, "the token does not permit access to this venue")
    plan = tenants.fee_plan(tx, request.venue_id)
    if plan is None:
        raise Problem(ProblemCode.UNKNOWN_VENUE, f"venue {request.venue_id} does not belong to this tenant")
    if plan.currency != request.amount.currency:
        detail = f"the venue sells in {plan.currency}, not in {request.amount.currency}"
        raise Problem(ProblemCode.WRONG_CURRENCY, detail)
    fee = platform_fee(request.amount, plan)
    share = request.amount - fee
    quote = schemas.FeeQuote(venue_id=request.venue_id, amount=request.amount, platform_fee=fee, venue_share=share)
    return answer(200, quote)


def show(tx: Tx, request: ApiRequest) -> StoredAnswer:
    """Return the payment with its refunds and state transitions."""
    payment = reached(tx, request)
    return answer(
        200,
        schemas.PaymentView(
            payment_id=payment.payment_id,
            order_id=payment.order_id,
            venue_id=payment.venue_id,
            state=payment.state,
            reason=_public(payment.state_reason),
            capture=payment.capture,
            amount=payment.amount,
            platform_fee=payment.platform_fee,
            captured=payment.captured,
            refunded=payment.refunded,
            refunds=tuple(map(view_of, refunds.of_payment(tx, payment.payment_id))),
            created_at=payment.created_at,
            history=tuple(
                schemas.StateChange(at=move.at, state=move.to_state, reason=_public(move.reason))
                for move in payment_views.moves_of(tx, payment.payment_id)
            ),
        ),
    )


def view_of(refund: Refund) -> schemas.RefundView:
    """Without the note, which is internal, and the bank's failure reason, which may be lost or stolen card."""
    return schemas.RefundView.model_validate(
        {
            "refund_id": refund.refund_id,
            "amount": refund.amount,
            "reason": refund.reason,
            "ticket_ids": refund.ticket_ids,
            "state": refund.state,
            "since": refund.state_since,
        }
    )


def _public(reason: str | None) -> str | None:
    """A decline reason is reduced to what a buyer may know; all other reasons are our own."""
    kind, separator, code = (reason or "").partition(": ")
    return f"{kind}: {public_reason(code)}" if separator and kind == "declined" else reason


def complete(tx: Tx, request: ApiRequest) -> StoredAnswer:
    """Fetch the payment from Stripe now instead of waiting for the webhook."""
    payment = reached(tx, request)
    request_lookup(tx, request.caller.tenant_id, payment.payment_id)
    return answer(202, schemas.PaymentActionAccepted(payment_id=payment.payment_id, state=payment.state))


def quote_tax(_tx: Tx, _asked: ApiRequest) -> StoredAnswer:
    """Not implemented; nothing is stored under the Idempotency-Key."""
    raise Problem(ProblemCode.TAX_NOT_IMPLEMENTED, "tax quotes are not implemented yet")


def reached(tx: Tx, request: ApiRequest) -> PaymentDetails:
    """The payment of the path.

    Raises:
        Problem: 404, the payment does not exist, or the caller may not access it.
    """
    assert request.payment_id is not None, "the route has it in its path"
    payment = payment_views.of_payment(tx, request.payment_id)
    if payment is None or not request.caller.reaches(
        request.permission, venue_id=payment.venue_id, buyer_id=payment.buyer_id
    ):
        raise Problem(ProblemCode.PAYMENT_NOT_FOUND, f"there is no payment {request.payment_id}")
    return payment


def answer(status: int, model: WireModel, *, location: str | None = None) -> StoredAnswer:
    return StoredAnswer(status, model.model_dump_json().encode(), location)
