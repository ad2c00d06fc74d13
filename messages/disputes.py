"""Messages about disputes: internal work, and events published to other services."""

from typing import ClassVar, Literal

from pydantic import AwareDatetime

from messages.base import Message, PublicEvent
from messages.ids import DisputeId, OrderId, PaymentId, TenantId
from messages.money import Money

DisputeTrack = Literal["inquiry", "chargeback"]


class DisputeLookupRequested(Message):
    """Fetch this dispute from Stripe and apply its state; sent by the sweep for disputes not updated for long."""

    kind: ClassVar[str] = "dispute_lookup"
    tenant_id: TenantId
    payment_id: PaymentId
    dispute_id: DisputeId


class EvidenceSubmissionRequested(Message):
    """Submit the dispute's stored evidence. A redelivery finds it submitted, or repeats the same idempotent call."""

    kind: ClassVar[str] = "dispute_evidence"
    tenant_id: TenantId
    payment_id: PaymentId
    dispute_id: DisputeId


class DisputeCloseRequested(Message):
    """Accept the dispute, as an operator decided. A redelivery finds it closed, or repeats the same idempotent call."""

    kind: ClassVar[str] = "dispute_close"
    tenant_id: TenantId
    payment_id: PaymentId
    dispute_id: DisputeId


class DisputeOpened(PublicEvent):
    """The buyer's bank opened an inquiry (no money moves) or a chargeback (`amount` is withdrawn).

    An inquiry that becomes a chargeback is published again, with the other `track`.
    """

    event_type: ClassVar[str] = "dispute.opened"
    order_id: OrderId
    dispute_id: DisputeId
    amount: Money
    reason: str
    track: DisputeTrack
    evidence_due_at: AwareDatetime | None


class DisputeEvidenceDue(PublicEvent):
    """No evidence was submitted yet and the deadline is near: after `evidence_due_at` the dispute is lost."""

    event_type: ClassVar[str] = "dispute.evidence_due"
    order_id: OrderId
    dispute_id: DisputeId
    amount: Money
    evidence_due_at: AwareDatetime


class DisputeClosed(PublicEvent):
    """The dispute was closed. A lost dispute may be won on appeal: then this event is published again."""

    event_type: ClassVar[str] = "dispute.closed"
    order_id: OrderId
    dispute_id: DisputeId
    amount: Money
    outcome: Literal["won", "lost", "warning_closed", "prevented"]
