"""What the order service tells us: an order was placed and wants to be paid, was cancelled, or wants money back; or a
whole event is off.
"""

from typing import Annotated, ClassVar, Literal, Self
from uuid import UUID

from pydantic import AwareDatetime, Field, IPvAnyAddress, StringConstraints, field_validator, model_validator

from messages.base import WireModel
from messages.ids import CustomerId, OrderId, PaymentMethodId, TenantId, TicketId, VenueId
from messages.money import LARGEST_MINOR, Money
from messages.token_ids import WalletAddress

# The wallet that is to own the tokens. Left out of the canonical form when it was not given: an order that was seen
# before there were wallets is still the same order.
_LEFT_OUT_WHEN_NONE = Field(default=None, exclude_if=lambda wallet: wallet is None)

ShortText = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class Ticket(WireModel):
    """One seat and its face price, in minor units of the order's currency; `wallet` when its token goes to another
    than the order's.
    """

    ticket_id: TicketId
    face_price_minor: int = Field(ge=0, le=LARGEST_MINOR, strict=True)
    seat: ShortText
    wallet: WalletAddress | None = _LEFT_OUT_WHEN_NONE


class Device(WireModel):
    """Facts for the fraud rules; opaque to everything else and never logged."""

    ip: IPvAnyAddress | None = None
    user_agent: str | None = Field(default=None, max_length=500)
    fingerprint: str | None = Field(default=None, max_length=200)


class Order(WireModel):
    """What is bought and with which card. `event_ends_at` is when the event is over, as far as is known today.

    The amount is what the buyer agreed to pay and must be the sum of the face prices: a total that its own lines do
    not explain is refused at the door rather than charged.
    """

    order_id: OrderId
    venue_id: VenueId
    event_id: UUID
    tickets: tuple[Ticket, ...] = Field(min_length=1, max_length=100)
    amount: Money
    payment_method_id: PaymentMethodId
    customer_id: CustomerId | None = None
    capture: Literal["automatic", "manual"] = "automatic"
    device: Device = Device()
    wallet: WalletAddress | None = _LEFT_OUT_WHEN_NONE
    event_ends_at: AwareDatetime | None = None

    @field_validator("amount")
    @classmethod
    def _chargeable(cls, amount: Money) -> Money:
        if not 0 < amount.minor <= LARGEST_MINOR:
            raise ValueError(f"an order costs between 1 and {LARGEST_MINOR} minor units, not {amount.minor}")
        return amount

    @model_validator(mode="after")
    def _lines_explain_the_total(self) -> Self:
        lines = sum(self.ticket_prices())
        if lines != self.amount.minor:
            raise ValueError(f"the tickets add up to {lines} but the order says {self.amount.minor}")
        if len({ticket.ticket_id for ticket in self.tickets}) != len(self.tickets):
            raise ValueError("a ticket is listed twice")
        return self

    def ticket_prices(self) -> list[int]:
        """What the buyer pays for each ticket, in minor units."""
        return [ticket.face_price_minor for ticket in self.tickets]


class OrderPlaced(Order):
    """`order.placed`: charge `amount` for these tickets, once. `idempotency_key` is the buyer's: one click, one key."""

    event_type: ClassVar[str] = "order.placed"
    version: ClassVar[int] = 1

    tenant_id: TenantId
    buyer_id: ShortText
    idempotency_key: str = Field(min_length=8, max_length=200, pattern=r"^[\x21-\x7e]+$")


class Refundable(WireModel):
    """How much comes back, and why: at most one of `amount` and `ticket_ids` (a ticket comes back at its face price);
    neither means whatever is left.
    """

    amount: Money | None = None
    ticket_ids: tuple[TicketId, ...] = Field(default=(), max_length=100)
    reason: Literal["requested_by_customer", "duplicate", "fraudulent"] = "requested_by_customer"
    note: str = Field(default="", max_length=500)

    @model_validator(mode="after")
    def _one_way_to_say_how_much(self) -> Self:
        if self.amount is not None and self.ticket_ids:
            raise ValueError("say an amount or tickets, not both")
        if self.amount is not None and not 0 < self.amount.minor <= LARGEST_MINOR:
            raise ValueError(f"a refund gives back between 1 and {LARGEST_MINOR} minor units, not {self.amount.minor}")
        if len(set(self.ticket_ids)) != len(self.ticket_ids):
            raise ValueError("a ticket is listed twice")
        return self


class RefundOfOrderRequested(Refundable):
    """`order.refund_requested`: give money of this order back, once per event id.

    An order whose money was not taken yet is cancelled instead, when all of it is asked for.
    """

    event_type: ClassVar[str] = "order.refund_requested"
    version: ClassVar[int] = 1

    order_id: OrderId
    tenant_id: TenantId


class OrderCancelled(WireModel):
    """`order.cancelled`: the buyer gets everything back; what was not taken yet is never taken."""

    event_type: ClassVar[str] = "order.cancelled"
    version: ClassVar[int] = 1

    order_id: OrderId
    tenant_id: TenantId
    note: str = Field(default="", max_length=500)


class EventScheduled(WireModel):
    """`order.event_scheduled`: when the event will be over; the latest word counts. Escrow waits for that day."""

    event_type: ClassVar[str] = "order.event_scheduled"
    version: ClassVar[int] = 1

    event_id: UUID
    venue_id: VenueId
    tenant_id: TenantId
    ends_at: AwareDatetime


class EventCancelled(WireModel):
    """`order.event_cancelled`: every order of the event gets everything back, at the fleet's own pace.

    Orders of the event that come later are taken and cancelled at once: nothing is charged, and `payment.failed` says
    so. Cancelling an event again changes nothing.
    """

    event_type: ClassVar[str] = "order.event_cancelled"
    version: ClassVar[int] = 1

    event_id: UUID
    tenant_id: TenantId
    note: str = Field(default="", max_length=500)
