"""Messages about Stripe's webhooks."""

from typing import ClassVar

from messages.base import Message
from messages.ids import StripeEventId, TenantId

# Events that can change a payment, refund or dispute, or complete its booking. The endpoint at Stripe should subscribe
# to these alone: each event costs a request and a transaction. Other events are acknowledged and stored, not processed.
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

# The same for the endpoint of connected accounts, whose events have an `account`; events of the platform's own account
# are not processed for connected accounts.
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
    """Process a verified Stripe event, which is stored in the inbox under `event_id`."""

    kind: ClassVar[str] = "webhook"
    tenant_id: TenantId | None
    event_id: StripeEventId
