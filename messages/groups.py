"""Messages about group payments: events of the order service, internal work, and events published to other services.

A share is paid by an ordinary payment of a separate order, whose id is `share_order_id`. Besides the `group.*` events,
the `payment.*` and `refund.*` events of each share are published as for any payment.
"""

from datetime import timedelta
from itertools import pairwise
from typing import Annotated, ClassVar, Literal, Self
from uuid import UUID, uuid5

from pydantic import AwareDatetime, Field, StringConstraints, field_validator, model_validator

from messages.base import Fact, Message, WireModel
from messages.ids import CustomerId, OrderId, PaymentId, PaymentMethodId, TenantId, TicketId, VenueId
from messages.money import LARGEST_MINOR, Money
from messages.orders import ShortText, Ticket

ClickKey = Annotated[str, StringConstraints(min_length=8, max_length=200, pattern=r"^[\x21-\x7e]+$")]
MOST_MEMBERS = 50
# Reminders closer than this would be duplicates.
REMINDERS_APART = timedelta(minutes=1)


def share_order_id(group_id: UUID, attempt: int) -> OrderId:
    """The order id of one payment attempt: the same attempt is the same order, and so at most one charge (M1)."""
    return OrderId(uuid5(group_id, f"attempt {attempt}"))


class GroupMember(WireModel):
    """A member of a group, its share, and its tickets."""

    member_id: UUID
    buyer_id: ShortText
    share_minor: int = Field(
        gt=0, le=LARGEST_MINOR, strict=True, description="The member's share in minor units of the group's currency."
    )
    ticket_ids: tuple[TicketId, ...] = Field(
        default=(), max_length=100, description="The member's tickets; those of no member belong to the organiser."
    )


class GroupOrder(WireModel):
    """An order that several members pay in shares, all or nothing, by a deadline."""

    group_id: UUID
    venue_id: VenueId
    event_id: UUID
    tickets: tuple[Ticket, ...] = Field(min_length=1, max_length=100)
    amount: Money = Field(description="The total, which must equal the sum of ticket prices and the sum of shares.")
    organiser_id: UUID = Field(description="The `member_id` of the organiser.")
    members: tuple[GroupMember, ...] = Field(min_length=2, max_length=MOST_MEMBERS)
    deadline: AwareDatetime = Field(description="When every share must be paid; otherwise the group expires.")
    remind_at: tuple[AwareDatetime, ...] = Field(
        default=(), max_length=5, description="When to remind members with unpaid shares; before the deadline."
    )
    tickets_per_buyer: int | None = Field(
        default=None,
        ge=1,
        le=1_000,
        description="From now on, the most tickets of this event that one buyer may have, across orders and groups.",
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
    def _shares_and_tickets_add_up(self) -> Self:
        lines = sum(ticket.face_price_minor for ticket in self.tickets)
        shares = sum(member.share_minor for member in self.members)
        if not lines == shares == self.amount.minor:
            raise ValueError(
                f"the tickets add up to {lines} and the shares to {shares}, but the amount is {self.amount}"
            )
        if len({ticket.ticket_id for ticket in self.tickets}) != len(self.tickets):
            raise ValueError("a ticket is listed twice")
        return self

    @model_validator(mode="after")
    def _members_are_distinct(self) -> Self:
        ids = {member.member_id for member in self.members}
        if len(ids) != len(self.members) or len({member.buyer_id for member in self.members}) != len(self.members):
            raise ValueError("a member, or a buyer, is listed twice")
        if self.organiser_id not in ids:
            raise ValueError("the organiser is not a member")
        theirs = [ticket for member in self.members for ticket in member.ticket_ids]
        if len(set(theirs)) != len(theirs) or set(theirs) - {ticket.ticket_id for ticket in self.tickets}:
            raise ValueError("a ticket is assigned to two members, or is not in the order")
        return self

    @model_validator(mode="after")
    def _reminders_precede_the_deadline(self) -> Self:
        ordered = sorted(self.remind_at)
        if ordered and ordered[-1] >= self.deadline:
            raise ValueError("a reminder is at or after the deadline")
        if any(later - earlier < REMINDERS_APART for earlier, later in pairwise(ordered)):
            raise ValueError("two reminders are less than a minute apart")
        return self


class GroupOpened(GroupOrder):
    """`order.group_opened`: invite these members to pay their shares by the deadline, all or nothing."""

    event_type: ClassVar[str] = "order.group_opened"
    version: ClassVar[int] = 1

    tenant_id: TenantId


class PaymentMeans(WireModel):
    """The payment method for a share."""

    payment_method_id: PaymentMethodId
    customer_id: CustomerId | None = None
    capture: Literal["automatic", "manual"] = Field(
        default="manual",
        description="automatic: only for methods that cannot be authorized first. The share is captured at once, and "
        "refunded if the group expires or is canceled.",
    )


class GroupSharePaidWith(PaymentMeans):
    """`order.group_share_paid_with`: pay a member's share with this payment method, once per `idempotency_key`."""

    event_type: ClassVar[str] = "order.group_share_paid_with"
    version: ClassVar[int] = 1

    group_id: UUID
    tenant_id: TenantId
    member_id: UUID
    buyer_id: ShortText
    idempotency_key: ClickKey


class GroupToppedUp(PaymentMeans):
    """`order.group_topped_up`: pay all unpaid shares with one payment by the organiser, once per `idempotency_key`."""

    event_type: ClassVar[str] = "order.group_topped_up"
    version: ClassVar[int] = 1

    group_id: UUID
    tenant_id: TenantId
    idempotency_key: ClickKey


class GroupCancelled(WireModel):
    """`order.group_cancelled`: cancel the group, release authorizations and refund captures."""

    event_type: ClassVar[str] = "order.group_cancelled"
    version: ClassVar[int] = 1

    group_id: UUID
    tenant_id: TenantId
    note: str = Field(default="", max_length=500, description="Shown to operators only.")


class GroupDue(Message):
    """Advance the group: send reminders, capture, expire or void it, as its state requires. Harmless if redelivered."""

    kind: ClassVar[str] = "group"
    tenant_id: TenantId
    group_id: UUID

    @property
    def ordering_key(self) -> UUID:
        return self.group_id


class GroupCancelDue(Message):
    """Cancel the group, as an operator requested. A redelivery finds it canceled."""

    kind: ClassVar[str] = "cancel_group"
    tenant_id: TenantId
    group_id: UUID
    reason: str = Field(min_length=1, max_length=500)
    by: str = Field(min_length=1, max_length=200)

    @property
    def ordering_key(self) -> UUID:
        return self.group_id


class GroupFact(Fact):
    """An event about one group."""

    group_id: UUID

    @property
    def subject_id(self) -> UUID:
        return self.group_id


class GroupMemberInvited(GroupFact):
    """Ask this member to pay its share by the deadline."""

    event_type: ClassVar[str] = "group.member_invited"
    member_id: UUID
    buyer_id: str
    share: Money
    deadline: AwareDatetime
    again: str | None = Field(
        default=None,
        description="Why the member is invited again: its card was declined, or its payment was voided or refunded.",
    )


class GroupReminderDue(GroupFact):
    """Remind this member to pay its share."""

    event_type: ClassVar[str] = "group.reminder_due"
    member_id: UUID
    buyer_id: str
    share: Money
    deadline: AwareDatetime


class GroupMemberPaid(GroupFact):
    """This member's share is authorized or captured."""

    event_type: ClassVar[str] = "group.member_paid"
    member_id: UUID
    buyer_id: str
    share: Money
    payment_id: PaymentId
    held: bool = Field(description="True if the share is authorized, false if it is captured.")
    missing: int = Field(ge=0, description="The number of shares still unpaid.")


class GroupCompleted(GroupFact):
    """Every share is captured: issue the tickets."""

    event_type: ClassVar[str] = "group.completed"
    amount: Money
    payment_ids: tuple[PaymentId, ...]


class GroupExpired(GroupFact):
    """The group failed: its deadline passed, it was canceled, or a share could not be captured. Do not issue tickets;
    authorizations are released and captures refunded.
    """

    event_type: ClassVar[str] = "group.expired"
    because: Literal["deadline", "cancelled"]
    reason: str
    missing: tuple[UUID, ...] = Field(description="The members whose shares were unpaid.")


class GroupMemberRefunded(GroupFact):
    """This member's share was refunded."""

    event_type: ClassVar[str] = "group.member_refunded"
    member_id: UUID
    buyer_id: str
    share: Money
    payment_id: PaymentId


class GroupVoided(GroupFact):
    """Every authorization of the group is released and every capture refunded."""

    event_type: ClassVar[str] = "group.voided"
