"""Messages about minting: internal work, and events published to other services.

No message sends a transaction: one process, the minter, takes queued mints from the database at the chain's own pace.
"""

from typing import ClassVar

from pydantic import Field

from messages.base import Message, PublicEvent
from messages.ids import OrderId, PaymentId, TenantId, TicketId

_TOKEN_ID = Field(description="`0x` and 64 hexadecimal digits.")


class MintRequested(Message):
    """Queue a mint for each ticket of this payment. A redelivery finds them queued."""

    kind: ClassVar[str] = "mint"
    tenant_id: TenantId
    payment_id: PaymentId


class MintRetryRequested(Message):
    """Queue a ticket again whose mint failed; any other ticket is left unchanged."""

    kind: ClassVar[str] = "mint_retry"
    tenant_id: TenantId
    payment_id: PaymentId
    ticket_id: TicketId


class TicketMinted(PublicEvent):
    """The token was minted, has the required number of confirmations, and belongs to `owner`."""

    event_type: ClassVar[str] = "ticket.minted"
    order_id: OrderId
    ticket_id: TicketId
    token_id: str = _TOKEN_ID
    chain_id: int
    contract: str
    owner: str


class TicketMintFailed(PublicEvent):
    """Minting failed and needs an operator; `reason` says why. The ticket stays paid."""

    event_type: ClassVar[str] = "ticket.mint_failed"
    order_id: OrderId
    ticket_id: TicketId
    token_id: str = _TOKEN_ID
    reason: str


class TicketVoided(PublicEvent):
    """The ticket was refunded, and its token was moved to an address that nobody controls."""

    event_type: ClassVar[str] = "ticket.voided"
    order_id: OrderId
    ticket_id: TicketId
    token_id: str = _TOKEN_ID
    chain_id: int
    contract: str
