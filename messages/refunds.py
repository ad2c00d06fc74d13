"""Words about money that goes back: the work it needs inside the fleet, and the facts other services hear."""

from typing import ClassVar, Literal
from uuid import UUID

from pydantic import Field

from messages.base import Message, PublicEvent
from messages.ids import OrderId, PaymentId, RefundId, TenantId
from messages.money import Money

# Ours. Stripe takes three of them; the others travel in the refund's metadata (stripe_client/refunds.py maps them).
RefundReason = Literal[
    "requested_by_customer",
    "duplicate",
    "fraudulent",
    "order_cancelled",
    "event_cancelled",
    "late_success",
    "early_fraud_warning",
    "outside",
]


class RefundRequested(Message):
    """Give this refund's amount back at Stripe. A second delivery finds it settled, or repeats the same call."""

    kind: ClassVar[str] = "refund"
    tenant_id: TenantId
    payment_id: PaymentId
    refund_id: RefundId


class RefundLookupRequested(Message):
    """Ask Stripe how this refund stands and apply the answer; sent by the sweep for refunds that stand too long."""

    kind: ClassVar[str] = "refund_lookup"
    tenant_id: TenantId
    payment_id: PaymentId
    refund_id: RefundId


class CancelRequested(Message):
    """Carry out the wish to cancel that is kept on the payment. A second delivery finds the payment settled."""

    kind: ClassVar[str] = "cancel"
    tenant_id: TenantId
    payment_id: PaymentId


class CaptureRequested(Message):
    """Capture what is kept on the payment as wanted. A second delivery finds it captured, or repeats the same call."""

    kind: ClassVar[str] = "capture"
    tenant_id: TenantId
    payment_id: PaymentId


class EventCancellationDue(Message):
    """Take the next slice of a cancelled event's orders. `step` names which: a second delivery finds it taken."""

    kind: ClassVar[str] = "cancel_event"
    tenant_id: TenantId
    cancellation_id: UUID
    step: int = Field(ge=1)

    @property
    def ordering_key(self) -> UUID:
        return self.cancellation_id


class OpsRefundDue(Message):
    """Carry out a refund that an operator asked for. A second delivery finds it granted or refused."""

    kind: ClassVar[str] = "ops_refund"
    tenant_id: TenantId
    payment_id: PaymentId
    request_id: UUID


class RefundSucceeded(PublicEvent):
    """`amount` is on its way to the buyer. The buyer's bank may still send it back: then refund.failed follows."""

    event_type: ClassVar[str] = "refund.succeeded"
    order_id: OrderId
    refund_id: RefundId
    amount: Money
    reason: RefundReason
    ticket_ids: tuple[UUID, ...] = ()


class RefundFailed(PublicEvent):
    """The buyer has not got `amount`, and it is still owed: the bank sent it back, or Stripe refused to give it."""

    event_type: ClassVar[str] = "refund.failed"
    order_id: OrderId
    refund_id: RefundId
    amount: Money
    reason: str
    ticket_ids: tuple[UUID, ...] = ()


class PaymentSucceededLate(PublicEvent):
    """The buyer's money came after the order was cancelled. Hand out nothing: it is being refunded by itself."""

    event_type: ClassVar[str] = "payment.succeeded_late"
    order_id: OrderId
    amount: Money
