"""What callers say and hear, as models: they are read with them, and the OpenAPI document is made of them."""

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
    """An order to be paid, as in the event `order.placed`; tenant and buyer come from the token."""

    buyer_id: ShortText | None = Field(
        default=None, description="who pays; without it, the token's subject. A buyer can only name itself."
    )


class QuoteRequest(WireModel):
    """A sale that has not happened yet."""

    venue_id: VenueId
    amount: Money

    @field_validator("amount")
    @classmethod
    def _chargeable(cls, amount: Money) -> Money:
        if not 0 < amount.minor <= LARGEST_MINOR:
            raise ValueError(f"a sale is between 1 and {LARGEST_MINOR} minor units, not {amount.minor}")
        return amount


class RefundAsked(Refundable):
    """Money to give back; an empty object asks for all that is left."""


class CaptureAsked(WireModel):
    """What to capture of a held amount; the rest is released. Without an amount, all of it."""

    amount: Money | None = None


class CancelAsked(WireModel):
    """Why the payment is called off."""

    reason: Literal["requested_by_customer", "duplicate", "fraudulent", "order_cancelled"] = "requested_by_customer"


class Nothing(WireModel):
    """An empty object; the body may be left out."""


class PaymentAccepted(WireModel):
    """The order is written down and will be charged; how that went is told by `GET` and by events."""

    payment_id: PaymentId
    order_id: OrderId
    state: PaymentState


class PaymentAsked(WireModel):
    """The request is written down and will be carried out; `state` is how the payment stands until then."""

    payment_id: PaymentId
    state: PaymentState


class RefundView(WireModel):
    """`since` is when the refund came into its state; a succeeded one may still fail at the buyer's bank."""

    refund_id: RefundId
    amount: Money
    reason: RefundReason
    ticket_ids: tuple[TicketId, ...]
    state: RefundState
    since: AwareDatetime


class RefundAccepted(WireModel):
    """Either a refund, or (`canceling`) the payment is called off instead, because its money was not taken yet."""

    payment_id: PaymentId
    refund: RefundView | None
    canceling: bool


class FeeQuote(WireModel):
    """What the platform would keep of a sale of `amount`, and what is left for the venue before Stripe's own fee."""

    venue_id: VenueId
    amount: Money
    platform_fee: Money
    venue_share: Money


class StateChange(WireModel):
    at: AwareDatetime
    state: PaymentState
    reason: str | None


class PaymentView(WireModel):
    """How a payment stands. `refunded` is spoken for by refunds that have succeeded or are under way."""

    payment_id: PaymentId
    order_id: OrderId
    venue_id: VenueId
    state: PaymentState
    reason: str | None
    capture: Literal["automatic", "manual"]
    amount: Money
    platform_fee: Money | None
    captured: Money
    refunded: Money
    refunds: tuple[RefundView, ...]
    created_at: AwareDatetime
    history: tuple[StateChange, ...]


class GroupRequest(GroupOrder):
    """A group to be opened, as in the event `order.group_opened`; the tenant comes from the token. A buyer can only
    open a group that it organises itself.
    """


class ShareMeans(PaymentMeans):
    """With what a share is paid. Automatic capture is only for methods that cannot hold an amount."""


class GroupCancelAsked(WireModel):
    """Why the group is called off."""

    note: str = Field(default="", max_length=500)


class GroupAccepted(WireModel):
    """The request is written down and will be carried out; `state` is how the group stands until then."""

    group_id: UUID
    state: GroupState


class MemberView(WireModel):
    """How a member's share stands. `reason` says why it must be paid again, in words fit for the buyer."""

    member_id: UUID
    buyer_id: str
    share: Money
    state: MemberState
    reason: str | None
    since: AwareDatetime
    payment_id: PaymentId | None


class GroupChange(WireModel):
    at: AwareDatetime
    state: GroupState
    reason: str | None


class GroupView(WireModel):
    """How a group stands. `secured` is what is held or captured."""

    group_id: UUID
    venue_id: VenueId
    event_id: UUID
    organiser_id: UUID
    state: GroupState
    reason: str | None
    amount: Money
    secured: Money
    deadline: AwareDatetime
    members: tuple[MemberView, ...]
    created_at: AwareDatetime
    history: tuple[GroupChange, ...]


class FieldProblem(WireModel):
    """`pointer` is a JSON Pointer into the body (RFC 6901)."""

    pointer: str
    detail: str


class ProblemDocument(WireModel):
    """RFC 9457. `type` is `about:blank` where the status says it all, else it names the kind of problem."""

    type: str
    title: str
    status: int
    detail: str
    errors: tuple[FieldProblem, ...] = Field(default=(), description="only of a body that breaks its rules")
