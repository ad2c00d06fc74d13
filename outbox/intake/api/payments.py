"""The operations of the API. Thin: each says what it wants in the transaction it is given, and queues a message.

What moves money is done by the same code as for every other door; nothing here talks to Stripe.
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
from outbox.web.problem_details import Problem

SOURCE = "/payment-fleet/api"


@dataclass(frozen=True, slots=True)
class ApiRequest:
    """One request that was let in and read. The ids are from the path, `body` is a model of words.py.

    `request_key` names this request for ever, also when its Idempotency-Key may be used again.
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
        """Who is named in histories."""
        return f"api:{self.caller.subject}"


def create(tx: Tx, asked: ApiRequest) -> StoredAnswer:
    """Write the order down and have it charged; the same order again is the same payment."""
    request: schemas.PaymentRequest = asked.body
    buyer_id = request.buyer_id or asked.caller.subject
    if not asked.caller.reaches(asked.permission, venue_id=request.venue_id, buyer_id=buyer_id):
        raise Problem(403, "this token reaches neither that venue nor that buyer", code="out-of-reach")
    offer = _offer(asked.caller, request, buyer_id)
    try:
        take(tx, asked.caller.tenant_id, [offer], by=asked.by)
    except ContradictoryOrder:
        said = "another order is known by this order_id; the first one stands"
        raise Problem(409, said, code="order-contradicted") from None
    except UnacceptableOrder as error:
        raise Problem(422, str(error), code="order-refused") from None
    payment = payment_views.of_order(tx, request.order_id)
    assert payment is not None, "an order is taken together with its payment"
    accepted = schemas.PaymentAccepted(payment_id=payment.payment_id, order_id=payment.order_id, state=payment.state)
    return answer(202, accepted, location=f"/payments/{payment.payment_id}")


def _offer(caller: Caller, request: schemas.PaymentRequest, buyer_id: str) -> OrderRequest:
    """The order as the event intake would have it. Its own key for the click is the order: a header may be reused."""
    order = OrderPlaced(
        **dict(request) | {"buyer_id": buyer_id},
        tenant_id=caller.tenant_id,
        idempotency_key=f"api:{request.order_id}",
    )
    return OrderRequest.of(order, source=SOURCE, source_id=str(request.order_id), trace_id=trace.current())


def quote_fees(tx: Tx, asked: ApiRequest) -> StoredAnswer:
    """What the platform would keep, by the same rule that the charge uses."""
    request: schemas.QuoteRequest = asked.body
    if not asked.caller.reaches(asked.permission, venue_id=request.venue_id, buyer_id=asked.caller.subject):
        raise Problem(403, "this token does not reach that venue", code="out-of-reach")
    plan = tenants.fee_plan(tx, request.venue_id)
    if plan is None:
        raise Problem(422, f"venue {request.venue_id} is unknown to this tenant", code="venue-unknown")
    if plan.currency != request.amount.currency:
        said = f"the venue sells in {plan.currency}, not in {request.amount.currency}"
        raise Problem(422, said, code="wrong-currency")
    fee = platform_fee(request.amount, plan)
    share = request.amount - fee
    quote = schemas.FeeQuote(venue_id=request.venue_id, amount=request.amount, platform_fee=fee, venue_share=share)
    return answer(200, quote)


def show(tx: Tx, request: ApiRequest) -> StoredAnswer:
    """How the payment stands, and how it came there."""
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
    """Without its note, which is for us, and without the bank's word for a failure, which may say lost or stolen."""
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
    """A decline in words that a buyer may hear; every other reason is ours."""
    kind, separator, code = (reason or "").partition(": ")
    return f"{kind}: {public_reason(code)}" if separator and kind == "declined" else reason


def complete(tx: Tx, request: ApiRequest) -> StoredAnswer:
    """A service knows that the buyer has finished 3-D Secure: ask Stripe now, not when the webhook comes."""
    payment = reached(tx, request)
    request_lookup(tx, request.caller.tenant_id, payment.payment_id)
    return answer(202, schemas.PaymentAsked(payment_id=payment.payment_id, state=payment.state))


def quote_tax(_tx: Tx, _asked: ApiRequest) -> StoredAnswer:
    raise Problem(501, "tax is not computed here yet; nothing was quoted", code="tax-not-built")


def reached(tx: Tx, request: ApiRequest) -> PaymentDetails:
    """Raises Problem 404 for a payment that does not exist, or does not for this caller."""
    assert request.payment_id is not None, "the route has it in its path"
    payment = payment_views.of_payment(tx, request.payment_id)
    if payment is None or not request.caller.reaches(
        request.permission, venue_id=payment.venue_id, buyer_id=payment.buyer_id
    ):
        raise Problem(404, f"there is no payment {request.payment_id}", code="payment-unknown")
    return payment


def answer(status: int, model: WireModel, *, location: str | None = None) -> StoredAnswer:
    return StoredAnswer(status, model.model_dump_json().encode(), location)
