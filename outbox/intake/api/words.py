"""What callers say and hear, as models: they are read with them, and the OpenAPI document is made of them."""

from typing import Literal

from pydantic import AwareDatetime, Field, field_validator

from db.lifecycle import PaymentState
from messages.base import Word
from messages.ids import OrderId, PaymentId, VenueId
from messages.money import LARGEST_MINOR, Money
from messages.orders import Order, ShortText


class PaymentRequest(Order):
    """An order to be paid, as in the event `order.placed`; tenant and buyer come from the token."""

    buyer_id: ShortText | None = Field(
        default=None, description="who pays; without it, the token's subject. A buyer can only name itself."
    )


class QuoteRequest(Word):
    """A sale that has not happened yet."""

    venue_id: VenueId
    amount: Money

    @field_validator("amount")
    @classmethod
    def _chargeable(cls, amount: Money) -> Money:
        if not 0 < amount.minor <= LARGEST_MINOR:
            raise ValueError(f"a sale is between 1 and {LARGEST_MINOR} minor units, not {amount.minor}")
        return amount


class Nothing(Word):
    """An empty object; the body may be left out."""


class PaymentAccepted(Word):
    """The order is written down and will be charged; how that went is told by `GET` and by events."""

    payment_id: PaymentId
    order_id: OrderId
    state: PaymentState


class PaymentAsked(Word):
    """The request is written down and will be carried out."""

    payment_id: PaymentId
    state: PaymentState


class FeeQuote(Word):
    """What the platform would keep of a sale of `amount`, and what is left for the venue before Stripe's own fee."""

    venue_id: VenueId
    amount: Money
    platform_fee: Money
    venue_share: Money


class StateChange(Word):
    at: AwareDatetime
    state: PaymentState
    reason: str | None


class PaymentView(Word):
    """How a payment stands. `captured` is what was taken from the card."""

    payment_id: PaymentId
    order_id: OrderId
    venue_id: VenueId
    state: PaymentState
    reason: str | None
    capture: Literal["automatic", "manual"]
    amount: Money
    platform_fee: Money | None
    captured: Money
    created_at: AwareDatetime
    history: tuple[StateChange, ...]


class FieldProblem(Word):
    """`pointer` is a JSON Pointer into the body (RFC 6901)."""

    pointer: str
    detail: str


class ProblemDocument(Word):
    """RFC 9457. `type` is `about:blank` where the status says it all, else it names the kind of problem."""

    type: str
    title: str
    status: int
    detail: str
    errors: tuple[FieldProblem, ...] = Field(default=(), description="only of a body that breaks its rules")
