"""Request and response schemas of the API: requests are validated with them, and the OpenAPI document lists them."""

from typing import Literal
from uuid import UUID

from pydantic import AwareDatetime, Field, field_validator

from db.groups.states import GroupState, MemberState
from db.payments.states import PaymentState
from db.refunds.states import RefundState
from messages.base import WireModel
from messages.groups import GroupOrder, PaymentMeans
from messages.ids import OrderId, PaymentId, RefundId, TicketId, VenueId
from messages.money import LARGEST_MINOR, Money
from messages.orders import Order, Refundable, ShortText
from messages.refunds import RefundReason


class PaymentRequest(Order):
    """An order to pay, as in the event `order.placed`; the tenant is taken from the token."""

    buyer_id: ShortText | None = Field(
        default=None, description="The paying buyer; defaults to the token's subject. A buyer may only name itself."
    )


class QuoteRequest(WireModel):
    """The sale to quote."""

    venue_id: VenueId
    amount: Money

    @field_validator("amount")
    @classmethod
    def _chargeable(cls, amount: Money) -> Money:
        if not 0 < amount.minor <= LARGEST_MINOR:
            raise ValueError(f"the amount must be between 1 and {LARGEST_MINOR} minor units, not {amount.minor}")
        return amount


class RefundRequest(Refundable):
    """The amount or the tickets to refund; an empty object refunds the remaining balance."""


class CaptureRequest(WireModel):
    """The amount to capture of an authorized payment."""

    amount: Money | None = Field(
        default=None, description="Defaults to the authorized amount; the remainder of a partial capture is released."
    )


class CancelRequest(WireModel):
    """Why the payment is canceled."""

    reason: Literal["requested_by_customer", "duplicate", "fraudulent", "order_cancelled"] = "requested_by_customer"


class EmptyObject(WireModel):
    """An empty object; the body may be omitted."""


class PaymentAccepted(WireModel):
    """The order was accepted and will be charged; `GET /payments/{payment_id}` and events report the outcome."""

    payment_id: PaymentId
    order_id: OrderId
    state: PaymentState


class PaymentActionAccepted(WireModel):
    """The request was accepted and will be processed; `state` is the payment's state before that."""

    payment_id: PaymentId
    state: PaymentState


class RefundView(WireModel):
    """A refund and its state. The buyer's bank may return a refund that succeeded; it is then `failed`."""

    refund_id: RefundId
    amount: Money
    reason: RefundReason
    ticket_ids: tuple[TicketId, ...] = Field(description="The refunded tickets; empty if an amount was refunded.")
    state: RefundState
    since: AwareDatetime = Field(description="When the refund entered its state.")


class RefundAccepted(WireModel):
    """The refund that was created, or (`canceling`) the cancellation of a payment that was not captured yet."""

    payment_id: PaymentId
    refund: RefundView | None
    canceling: bool = Field(description="True if the payment is canceled instead of refunded; `refund` is then null.")


class FeeQuote(WireModel):
    """The platform fee of a sale, and what remains for the venue before Stripe's own fee."""

    venue_id: VenueId
    amount: Money
    platform_fee: Money
    venue_share: Money = Field(description="`amount` less `platform_fee`.")


class StateChange(WireModel):
    """One state transition of a payment."""

    at: AwareDatetime
    state: PaymentState = Field(description="The state that the payment entered.")
    reason: str | None


class PaymentView(WireModel):
    """A payment with its refunds and its state history."""

    payment_id: PaymentId
    order_id: OrderId
    venue_id: VenueId
    state: PaymentState
    reason: str | None = Field(
        description="Why the payment is in its state; never reveals that a card was reported lost or stolen."
    )
    capture: Literal["automatic", "manual"]
    amount: Money
    platform_fee: Money | None = Field(description="Null until the payment is charged.")
    captured: Money
    refunded: Money = Field(description="The sum of refunds that succeeded or are in progress.")
    refunds: tuple[RefundView, ...]
    created_at: AwareDatetime
    history: tuple[StateChange, ...] = Field(description="State transitions, oldest first.")


class GroupRequest(GroupOrder):
    """A group to open, as in the event `order.group_opened`; the tenant is taken from the token. A buyer may only open
    a group that it organises.
    """


class SharePaymentRequest(PaymentMeans):
    """The payment method for a share. Use automatic capture only for methods that cannot be authorized first."""


class GroupCancelRequest(WireModel):
    """Why the group is canceled."""

    note: str = Field(default="", max_length=500)


class GroupAccepted(WireModel):
    """The request was accepted and will be processed; `state` is the group's current state."""

    group_id: UUID
    state: GroupState


class MemberView(WireModel):
    """A member of a group, with its share and the share's state."""

    member_id: UUID
    buyer_id: str
    share: Money
    state: MemberState
    reason: str | None = Field(description="Why the share must be paid again; safe to show to the buyer.")
    since: AwareDatetime = Field(description="When the share entered its state.")
    payment_id: PaymentId | None = Field(description="The latest payment of the share; null before the first one.")


class GroupChange(WireModel):
    """One state transition of a group."""

    at: AwareDatetime
    state: GroupState = Field(description="The state that the group entered.")
    reason: str | None


class GroupView(WireModel):
    """A group with its members and its state history."""

    group_id: UUID
    venue_id: VenueId
    event_id: UUID
    organiser_id: UUID
    state: GroupState
    reason: str | None
    amount: Money
    secured: Money = Field(description="The sum of shares that are authorized or captured.")
    deadline: AwareDatetime = Field(description="When every share must be paid.")
    members: tuple[MemberView, ...]
    created_at: AwareDatetime
    history: tuple[GroupChange, ...] = Field(description="State transitions, oldest first.")


class FieldProblem(WireModel):
    """One field of the body that violates the schema."""

    pointer: str = Field(description="JSON Pointer into the body, as a URI fragment (RFC 6901).")
    detail: str


class ProblemDocument(WireModel):
    """An error response (RFC 9457)."""

    type: str = Field(
        description="`urn:payment-fleet:problem:` and a problem code, or `about:blank` if the status is sufficient."
    )
    title: str = Field(description="A short summary, the same for every occurrence of the type.")
    status: int
    detail: str = Field(description="What went wrong with this request; may be reworded at any time.")
    errors: tuple[FieldProblem, ...] = Field(default=(), description="Invalid fields; only with `body-invalid`.")
