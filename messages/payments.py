"""Messages about payments: internal work, and events published to other services."""

from typing import ClassVar

from pydantic import Field

from messages.base import Message, PublicEvent
from messages.ids import OrderId, PaymentId, TenantId
from messages.money import Money


class ChargeRequested(Message):
    """Charge this payment at Stripe. A redelivery finds the payment settled, or repeats the same idempotent call."""

    kind: ClassVar[str] = "charge"
    tenant_id: TenantId
    payment_id: PaymentId


class PaymentLookupRequested(Message):
    """Fetch this payment from Stripe and apply its state; sent by the sweep for stuck payments."""

    kind: ClassVar[str] = "lookup"
    tenant_id: TenantId
    payment_id: PaymentId


class PaymentSucceeded(PublicEvent):
    """The payment was captured for `amount`."""

    event_type: ClassVar[str] = "payment.succeeded"
    order_id: OrderId
    amount: Money
    platform_fee_minor: int = Field(ge=0)


class PaymentFailed(PublicEvent):
    """The card was declined or the payment was canceled. `reason` never reveals a lost or stolen card."""

    event_type: ClassVar[str] = "payment.failed"
    order_id: OrderId
    amount: Money
    reason: str
    may_try_another_card: bool


class PaymentRequiresAction(PublicEvent):
    """The buyer must authenticate (3-D Secure). Fetch the client secret from Stripe with `payment_intent_id`."""

    event_type: ClassVar[str] = "payment.requires_action"
    order_id: OrderId
    amount: Money
    payment_intent_id: str


class PaymentAuthorized(PublicEvent):
    """The amount is authorized on the card and waits for capture."""

    event_type: ClassVar[str] = "payment.authorized"
    order_id: OrderId
    amount: Money
