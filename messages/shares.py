"""Words about shares: the work of bringing each recipient its part and of taking it back, and what others hear."""

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from messages.base import Message, PublicEvent
from messages.ids import AccountId, OrderId, PaymentId, RecipientId, ReversalId, ShareId, TenantId, TransferId
from messages.money import Money


class ShareDue(Message):
    """Close the gap between what a share is owed and what reached its recipient. Without a gap nothing happens."""

    kind: ClassVar[str] = "share"
    tenant_id: TenantId
    payment_id: PaymentId
    share_id: ShareId


class TransferRequested(Message):
    """Make this transfer at Stripe. A second delivery finds it made, or repeats the same call.

    A statement's transfer pays shares of many payments and names none.
    """

    kind: ClassVar[str] = "transfer"
    tenant_id: TenantId
    transfer_id: TransferId

    @property
    def ordering_key(self) -> UUID:
        return self.transfer_id


class ReversalRequested(Message):
    """Take this much of a transfer back. A second delivery finds it taken, or repeats the same call."""

    kind: ClassVar[str] = "transfer_reversal"
    tenant_id: TenantId
    reversal_id: ReversalId

    @property
    def ordering_key(self) -> UUID:
        return self.reversal_id


class EscrowDue(Message):
    """Release what escrow need not hold any longer, and wake shares that stand still; sent by the scheduler."""

    kind: ClassVar[str] = "escrow"
    tenant_id: None = None
    due_at: datetime


class StatementsDue(Message):
    """Settle the shares of recipients who are paid weekly; sent by the scheduler."""

    kind: ClassVar[str] = "statements"
    tenant_id: None = None
    due_at: datetime


class AccountLookupRequested(Message):
    """Ask Stripe how a connected account stands, and wake what waited for it."""

    kind: ClassVar[str] = "account_lookup"
    tenant_id: None = None
    account_id: AccountId


class OpsEscrowDue(Message):
    """An operator wants a payment's shares released from escrow, or kept there; the wish is a row."""

    kind: ClassVar[str] = "ops_escrow"
    tenant_id: TenantId
    payment_id: PaymentId
    wish_id: UUID


class EscrowReleased(PublicEvent):
    """The shares of a payment have left escrow: `amount` is on its way to those it belongs to."""

    event_type: ClassVar[str] = "escrow.released"
    order_id: OrderId
    event_id: UUID
    amount: Money
    reason: str


class ShareSettled(PublicEvent):
    """`amount` has reached the recipient, or was kept for what the recipient owed."""

    event_type: ClassVar[str] = "share.settled"
    order_id: OrderId
    share_id: ShareId
    recipient_id: RecipientId
    amount: Money


class ShareTakenBack(PublicEvent):
    """`amount` of a share is taken back, since the buyer got money back; `source` is Stripe's refund or dispute."""

    event_type: ClassVar[str] = "share.taken_back"
    order_id: OrderId
    share_id: ShareId
    recipient_id: RecipientId
    amount: Money
    source: str
