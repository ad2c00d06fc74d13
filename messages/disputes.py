"""Words about disputes and early fraud warnings: the work they need, and the facts other services hear."""

from typing import ClassVar, Literal

from pydantic import AwareDatetime

from messages.base import Message, PublicEvent
from messages.ids import DisputeId, OrderId, PaymentId, TenantId
from messages.money import Money

DisputeTrack = Literal["inquiry", "chargeback"]


class DisputeLookupRequested(Message):
    """Ask Stripe how this dispute stands and apply the answer; sent by the sweep, for disputes too long unseen."""

    kind: ClassVar[str] = "dispute_lookup"
    tenant_id: TenantId
    payment_id: PaymentId
    dispute_id: DisputeId


class EvidenceSubmissionRequested(Message):
    """Submit the evidence kept on the dispute. A second delivery finds it submitted, or repeats the same call."""

    kind: ClassVar[str] = "dispute_evidence"
    tenant_id: TenantId
    payment_id: PaymentId
    dispute_id: DisputeId


class DisputeCloseRequested(Message):
    """Accept the dispute, as an operator decided. A second delivery finds it closed, or repeats the same call."""

    kind: ClassVar[str] = "dispute_close"
    tenant_id: TenantId
    payment_id: PaymentId
    dispute_id: DisputeId


class DisputeOpened(PublicEvent):
    """The buyer's bank asks (inquiry: no money moves) or takes `amount` back (chargeback).

    An inquiry that becomes a chargeback is told again, with the other track.
    """

    event_type: ClassVar[str] = "dispute.opened"
    order_id: OrderId
    dispute_id: DisputeId
    amount: Money
    reason: str
    track: DisputeTrack
    evidence_due_at: AwareDatetime | None


class DisputeEvidenceDue(PublicEvent):
    """Nobody has answered, and the bank will not wait for long: after `evidence_due_at` the dispute is lost."""

    event_type: ClassVar[str] = "dispute.evidence_due"
    order_id: OrderId
    dispute_id: DisputeId
    amount: Money
    evidence_due_at: AwareDatetime


class DisputeClosed(PublicEvent):
    """The bank has decided. A lost dispute may be won later by an appeal: then this is told again."""

    event_type: ClassVar[str] = "dispute.closed"
    order_id: OrderId
    dispute_id: DisputeId
    amount: Money
    outcome: Literal["won", "lost", "warning_closed", "prevented"]
