"""Words about tokens: the work that a paid ticket needs, and what other services hear of it.

Sending to the chain is no message: one process, the minter, takes what is queued in the book at the chain's own pace.
"""

from typing import ClassVar

from messages.base import Message, PublicEvent
from messages.ids import OrderId, PaymentId, TenantId, TicketId


class MintRequested(Message):
    """Queue one token for each ticket of this payment. A second delivery finds them queued."""

    kind: ClassVar[str] = "mint"
    tenant_id: TenantId
    payment_id: PaymentId


class MintRetryRequested(Message):
    """Queue a ticket again whose mint came to nothing; of any other it changes nothing."""

    kind: ClassVar[str] = "mint_retry"
    tenant_id: TenantId
    payment_id: PaymentId
    ticket_id: TicketId


class TicketMinted(PublicEvent):
    """The token exists, with as many blocks above it as the fleet asks for, and belongs to `owner`.

    `token_id` is 0x and 64 digits, here and in the events below.
    """

    event_type: ClassVar[str] = "ticket.minted"
    order_id: OrderId
    ticket_id: TicketId
    token_id: str
    chain_id: int
    contract: str
    owner: str


class TicketMintFailed(PublicEvent):
    """There will be no token unless a person helps; `reason` says why. The ticket stays paid."""

    event_type: ClassVar[str] = "ticket.mint_failed"
    order_id: OrderId
    ticket_id: TicketId
    token_id: str
    reason: str


class TicketVoided(PublicEvent):
    """The ticket was refunded, and its token lies where nobody can move it."""

    event_type: ClassVar[str] = "ticket.voided"
    order_id: OrderId
    ticket_id: TicketId
    token_id: str
    chain_id: int
    contract: str
