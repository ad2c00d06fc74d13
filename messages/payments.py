"""Words about a payment: the work it needs inside the fleet, and the facts other services hear."""

from typing import ClassVar

from pydantic import Field

from messages.base import Message, PublicEvent
from messages.ids import OrderId, PaymentId, TenantId
from messages.money import Money


class ChargeRequested(Message):
    """Charge this payment at Stripe. A second delivery finds the payment settled, or repeats the same call."""

    kind: ClassVar[str] = "charge"
    tenant_id: TenantId
    payment_id: PaymentId


class PaymentLookupRequested(Message):
    """Ask Stripe how this payment stands and apply the answer; sent by the sweep for payments that stand too long."""

    kind: ClassVar[str] = "lookup"
    tenant_id: TenantId
    payment_id: PaymentId


class PaymentSucceeded(PublicEvent):
    """The money is ours: captured in full for `amount`."""

    event_type: ClassVar[str] = "payment.succeeded"
    order_id: OrderId
    amount: Money
    platform_fee_minor: int = Field(ge=0)


class PaymentFailed(PublicEvent):
    """The card was declined or the payment was cancelled. `reason` is safe to act on; it never says lost or stolen."""

    event_type: ClassVar[str] = "payment.failed"
    order_id: OrderId
    amount: Money
    reason: str
    may_try_another_card: bool


class PaymentRequiresAction(PublicEvent):
    """The buyer must authenticate (3-D Secure). The order service fetches the client secret itself, by intent id."""

    event_type: ClassVar[str] = "payment.requires_action"
    order_id: OrderId
    amount: Money
    payment_intent_id: str


class PaymentAuthorized(PublicEvent):
    """The amount is held on the card and waits for capture."""

    event_type: ClassVar[str] = "payment.authorized"
    order_id: OrderId
    amount: Money
