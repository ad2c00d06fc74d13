"""Events of the order service: orders placed or canceled, refunds requested, and events scheduled or canceled."""

from typing import Annotated, ClassVar, Literal, Self
from uuid import UUID

from pydantic import AwareDatetime, Field, IPvAnyAddress, StringConstraints, field_validator, model_validator

from messages.base import WireModel
from messages.ids import CustomerId, OrderId, PaymentMethodId, TenantId, TicketId, VenueId
from messages.money import LARGEST_MINOR, Money
from messages.token_ids import WalletAddress


# Omitted from the canonical form if not given, so that an order from before there were wallets is still the same order.
def _is_none(wallet: str | None) -> bool:
    return wallet is None


ShortText = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class Ticket(WireModel):
    """One ticket and its face price."""

    ticket_id: TicketId
    face_price_minor: int = Field(
        ge=0, le=LARGEST_MINOR, strict=True, description="Face price in minor units of the order's currency."
    )
    seat: ShortText
    wallet: WalletAddress | None = Field(
        default=None,
        exclude_if=_is_none,
        description="The wallet that receives the token; overrides the order's wallet.",
    )


class Device(WireModel):
    """The buyer's device, used only by fraud rules and never logged."""

    ip: IPvAnyAddress | None = None
    user_agent: str | None = Field(default=None, max_length=500)
    fingerprint: str | None = Field(default=None, max_length=200)


class Order(WireModel):
    """The tickets that are bought, their total, and the payment method."""

    order_id: OrderId
    venue_id: VenueId
    event_id: UUID
    tickets: tuple[Ticket, ...] = Field(min_length=1, max_length=100)
    amount: Money = Field(description="The total, which must equal the sum of the ticket prices.")
    payment_method_id: PaymentMethodId
    customer_id: CustomerId | None = None
    capture: Literal["automatic", "manual"] = Field(
        default="automatic", description="manual: only authorize the amount, and capture it on request."
    )
    device: Device = Device()
    wallet: WalletAddress | None = Field(
        default=None, exclude_if=_is_none, description="The wallet that receives the tokens."
    )
    event_ends_at: AwareDatetime | None = Field(
        default=None, description="When the event is expected to end, if known; shares stay in escrow until then."
    )

    @field_validator("amount")
    @classmethod
    def _chargeable(cls, amount: Money) -> Money:
        if not 0 < amount.minor <= LARGEST_MINOR:
            raise ValueError(f"the amount must be between 1 and {LARGEST_MINOR} minor units, not {amount.minor}")
        return amount

    @model_validator(mode="after")
    def _lines_explain_the_total(self) -> Self:
        lines = sum(self.ticket_prices())
        if lines != self.amount.minor:
            raise ValueError(f"the tickets add up to {lines}, but the amount is {self.amount.minor}")
        if len({ticket.ticket_id for ticket in self.tickets}) != len(self.tickets):
            raise ValueError("a ticket is listed twice")
        return self

    def ticket_prices(self) -> list[int]:
        """What the buyer pays for each ticket, in minor units."""
        return [ticket.face_price_minor for ticket in self.tickets]


class OrderPlaced(Order):
    """`order.placed`: charge `amount` for these tickets, once per order."""

    event_type: ClassVar[str] = "order.placed"
    version: ClassVar[int] = 1

    tenant_id: TenantId
    buyer_id: ShortText
    idempotency_key: str = Field(
        min_length=8,
        max_length=200,
        pattern=r"^[\x21-\x7e]+$",
        description="The key of the buyer's checkout: a new one for each click, the same one for a retry.",
    )


class Refundable(WireModel):
    """What to refund, and why: an `amount`, tickets, or the remaining balance if neither is given."""

    amount: Money | None = Field(default=None, description="The amount to refund; excludes `ticket_ids`.")
    ticket_ids: tuple[TicketId, ...] = Field(
        default=(), max_length=100, description="Tickets to refund at their face price; excludes `amount`."
    )
    reason: Literal["requested_by_customer", "duplicate", "fraudulent"] = "requested_by_customer"
    note: str = Field(default="", max_length=500, description="Shown to operators only.")

    @model_validator(mode="after")
    def _one_way_to_say_how_much(self) -> Self:
        if self.amount is not None and self.ticket_ids:
            raise ValueError("amount and ticket_ids exclude each other")
        if self.amount is not None and not 0 < self.amount.minor <= LARGEST_MINOR:
            raise ValueError(f"the amount must be between 1 and {LARGEST_MINOR} minor units, not {self.amount.minor}")
        if len(set(self.ticket_ids)) != len(self.ticket_ids):
            raise ValueError("a ticket is listed twice")
        return self


class RefundOfOrderRequested(Refundable):
    """`order.refund_requested`: refund this order, once per event id.

    A full refund of an order that is not captured yet cancels its payment instead.
    """

    event_type: ClassVar[str] = "order.refund_requested"
    version: ClassVar[int] = 1

    order_id: OrderId
    tenant_id: TenantId


class OrderCancelled(WireModel):
    """`order.cancelled`: refund the order in full, or cancel its payment if it is not captured yet."""

    event_type: ClassVar[str] = "order.cancelled"
    version: ClassVar[int] = 1

    order_id: OrderId
    tenant_id: TenantId
    note: str = Field(default="", max_length=500, description="Shown to operators only.")


class EventScheduled(WireModel):
    """`order.event_scheduled`: set when the event ends; the latest event wins. Shares stay in escrow until then."""

    event_type: ClassVar[str] = "order.event_scheduled"
    version: ClassVar[int] = 1

    event_id: UUID
    venue_id: VenueId
    tenant_id: TenantId
    ends_at: AwareDatetime


class EventCancelled(WireModel):
    """`order.event_cancelled`: refund every order of the event in full, at a controlled rate.

    Orders for the event that arrive later are accepted and canceled at once: nothing is charged, and `payment.failed`
    is published. Cancelling an event again changes nothing.
    """

    event_type: ClassVar[str] = "order.event_cancelled"
    version: ClassVar[int] = 1

    event_id: UUID
    tenant_id: TenantId
    note: str = Field(default="", max_length=500, description="Shown to operators only.")
