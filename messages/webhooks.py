"""Words about Stripe's webhooks."""

from typing import ClassVar

from messages.base import Message
from messages.ids import StripeEventId, TenantId

# Events that can move a payment, a refund or a dispute, or complete its booking, and those the endpoint at Stripe
# should be subscribed to: each one costs a request and a transaction. Everything else that comes is kept and answered,
# and nothing is done.
WANTED = frozenset(
    {
        "payment_intent.succeeded",
        "payment_intent.payment_failed",
        "payment_intent.requires_action",
        "payment_intent.processing",
        "payment_intent.canceled",
        "payment_intent.amount_capturable_updated",
        "charge.updated",
        "refund.created",
        "refund.updated",
        "refund.failed",
        "charge.dispute.created",
        "charge.dispute.updated",
        "charge.dispute.closed",
        "charge.dispute.funds_withdrawn",
        "charge.dispute.funds_reinstated",
        "radar.early_fraud_warning.created",
        "payout.paid",
        "payout.failed",
        "payout.canceled",
        "payout.reconciliation_completed",
    }
)

# The same for the endpoint that hears of connected accounts. Such an event names its `account`; what is wanted of the
# platform's own account is not wanted of theirs.
WANTED_OF_ACCOUNTS = frozenset(
    {
        "account.updated",
        "capability.updated",
        "payout.paid",
        "payout.failed",
        "payout.canceled",
        "payout.reconciliation_completed",
    }
)


class WebhookReceived(Message):
    """A verified event lies in the inbox and waits to be drained. The event itself stays in the inbox."""

    kind: ClassVar[str] = "webhook"
    tenant_id: TenantId | None
    event_id: StripeEventId
