"""Words about Stripe's webhooks."""

from typing import ClassVar

from messages.base import Message
from messages.ids import StripeEventId, TenantId


class WebhookReceived(Message):
    """A verified event lies in the inbox and waits to be drained. The event itself stays in the inbox."""

    kind: ClassVar[str] = "webhook"
    tenant_id: TenantId | None
    event_id: StripeEventId
