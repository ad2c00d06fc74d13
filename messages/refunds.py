"""Messages about refunds, captures and cancellations: internal work, and events published to other services."""

from typing import ClassVar, Literal
from uuid import UUID

from pydantic import Field

from messages.base import Message, PublicEvent
from messages.ids import OrderId, PaymentId, RefundId, TenantId
from messages.money import Money

# Stripe accepts three of them; the others are sent in the refund's metadata (stripe_client/refunds.py maps them).
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
    """Create this refund at Stripe. A redelivery finds it settled, or repeats the same idempotent call."""

    kind: ClassVar[str] = "refund"
    tenant_id: TenantId
    payment_id: PaymentId
    refund_id: RefundId


class RefundLookupRequested(Message):
    """Fetch this refund from Stripe and apply its state; sent by the sweep for stuck refunds."""

    kind: ClassVar[str] = "refund_lookup"
    tenant_id: TenantId
    payment_id: PaymentId
    refund_id: RefundId


class CancelRequested(Message):
    """Cancel this payment at Stripe, as recorded on the payment. A redelivery finds the payment settled."""

    kind: ClassVar[str] = "cancel"
    tenant_id: TenantId
    payment_id: PaymentId


class CaptureRequested(Message):
    """Capture the amount requested on the payment. A redelivery finds it captured, or repeats the idempotent call."""

    kind: ClassVar[str] = "capture"
    tenant_id: TenantId
    payment_id: PaymentId


class EventCancellationDue(Message):
    """Refund the next batch of a canceled event's orders. `step` is its number: a redelivery finds it processed."""

    kind: ClassVar[str] = "cancel_event"
    tenant_id: TenantId
    cancellation_id: UUID
    step: int = Field(ge=1)

    @property
    def ordering_key(self) -> UUID:
        return self.cancellation_id


class OpsRefundDue(Message):
    """Process a refund that an operator requested. A redelivery finds it granted or refused."""

    kind: ClassVar[str] = "ops_refund"
    tenant_id: TenantId
    payment_id: PaymentId
    request_id: UUID


class RefundSucceeded(PublicEvent):
    """The refund of `amount` succeeded. The buyer's bank may still return it: then refund.failed follows."""

    event_type: ClassVar[str] = "refund.succeeded"
    order_id: OrderId
    refund_id: RefundId
    amount: Money
    reason: RefundReason
    ticket_ids: tuple[UUID, ...] = ()


class RefundFailed(PublicEvent):
    """The refund failed, at Stripe or at the buyer's bank. `amount` is still owed to the buyer."""

    event_type: ClassVar[str] = "refund.failed"
    order_id: OrderId
    refund_id: RefundId
    amount: Money
    reason: str
    ticket_ids: tuple[UUID, ...] = ()


class PaymentSucceededLate(PublicEvent):
    """The payment succeeded after the order was canceled. Do not issue tickets: it is refunded automatically."""

    event_type: ClassVar[str] = "payment.succeeded_late"
    order_id: OrderId
    amount: Money
