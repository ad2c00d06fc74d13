"""Messages about shares: internal work for payment and clawback, and events published to other services."""

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from pydantic import Field

from messages.base import Message, PublicEvent
from messages.ids import AccountId, OrderId, PaymentId, RecipientId, ReversalId, ShareId, TenantId, TransferId
from messages.money import Money


class ShareDue(Message):
    """Compare what a share is owed with what was paid, and request one transfer or reversal of the difference."""

    kind: ClassVar[str] = "share"
    tenant_id: TenantId
    payment_id: PaymentId
    share_id: ShareId


class TransferRequested(Message):
    """Create this transfer at Stripe. A redelivery finds it created, or repeats the same idempotent call.

    The transfer of a weekly statement pays shares of many payments, so it has no payment id.
    """

    kind: ClassVar[str] = "transfer"
    tenant_id: TenantId
    transfer_id: TransferId

    @property
    def ordering_key(self) -> UUID:
        return self.transfer_id


class ReversalRequested(Message):
    """Create this transfer reversal at Stripe. A redelivery finds it created, or repeats the same idempotent call."""

    kind: ClassVar[str] = "transfer_reversal"
    tenant_id: TenantId
    reversal_id: ReversalId

    @property
    def ordering_key(self) -> UUID:
        return self.reversal_id


class EscrowDue(Message):
    """Release shares whose escrow has ended, and re-enqueue stuck shares; sent by the scheduler."""

    kind: ClassVar[str] = "escrow"
    tenant_id: None = None
    due_at: datetime


class StatementsDue(Message):
    """Settle the shares of recipients that are paid weekly; sent by the scheduler."""

    kind: ClassVar[str] = "statements"
    tenant_id: None = None
    due_at: datetime


class AccountLookupRequested(Message):
    """Fetch a connected account from Stripe, and re-enqueue the shares that waited for it."""

    kind: ClassVar[str] = "account_lookup"
    tenant_id: None = None
    account_id: AccountId


class OpsEscrowDue(Message):
    """Process an operator's request to release a payment's shares from escrow or to hold them there."""

    kind: ClassVar[str] = "ops_escrow"
    tenant_id: TenantId
    payment_id: PaymentId
    wish_id: UUID


class EscrowReleased(PublicEvent):
    """The shares of a payment were released from escrow: `amount` is being transferred to the recipients."""

    event_type: ClassVar[str] = "escrow.released"
    order_id: OrderId
    event_id: UUID
    amount: Money
    reason: str


class ShareSettled(PublicEvent):
    """The share was paid: `amount` was transferred to the recipient or netted against its receivable."""

    event_type: ClassVar[str] = "share.settled"
    order_id: OrderId
    share_id: ShareId
    recipient_id: RecipientId
    amount: Money


class ShareTakenBack(PublicEvent):
    """A clawback: `amount` of a share is recovered from its recipient after a refund or a lost dispute."""

    event_type: ClassVar[str] = "share.taken_back"
    order_id: OrderId
    share_id: ShareId
    recipient_id: RecipientId
    amount: Money
    source: str = Field(description="The id of the refund or dispute at Stripe.")
