"""Words about a group that pays one order in shares: what the order service asks for, our own work, and the facts told.

A share is paid by an ordinary payment of an order of its own, whose id is `share_order_id`. The order service hears of
the group by the `group.*` facts; `payment.*` and `refund.*` facts of shares are told as of every payment.
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
# Two reminders as close as this are one.
REMINDERS_APART = timedelta(minutes=1)


def share_order_id(group_id: UUID, attempt: int) -> OrderId:
    """The order of one attempt to pay: the same attempt is the same order, and so at most one charge (M1)."""
    return OrderId(uuid5(group_id, f"attempt {attempt}"))


class GroupMember(WireModel):
    """Who pays how much, in minor units of the group's currency, and which tickets are theirs."""

    member_id: UUID
    buyer_id: ShortText
    share_minor: int = Field(gt=0, le=LARGEST_MINOR, strict=True)
    ticket_ids: tuple[TicketId, ...] = Field(default=(), max_length=100)


class GroupOrder(WireModel):
    """One order, its price in shares that add up to it, and by when they must be paid.

    A ticket that no member names is the organiser's. `tickets_per_buyer` limits what one buyer may have of the event,
    by single orders and in groups together, from now on. `event_ends_at` is as of an order.
    """

    group_id: UUID
    venue_id: VenueId
    event_id: UUID
    tickets: tuple[Ticket, ...] = Field(min_length=1, max_length=100)
    amount: Money
    organiser_id: UUID
    members: tuple[GroupMember, ...] = Field(min_length=2, max_length=MOST_MEMBERS)
    deadline: AwareDatetime
    remind_at: tuple[AwareDatetime, ...] = Field(default=(), max_length=5)
    tickets_per_buyer: int | None = Field(default=None, ge=1, le=1_000)
    event_ends_at: AwareDatetime | None = None

    @field_validator("amount")
    @classmethod
    def _chargeable(cls, amount: Money) -> Money:
        if not 0 < amount.minor <= LARGEST_MINOR:
            raise ValueError(f"an order costs between 1 and {LARGEST_MINOR} minor units, not {amount.minor}")
        return amount

    @model_validator(mode="after")
    def _everything_adds_up(self) -> Self:
        lines = sum(ticket.face_price_minor for ticket in self.tickets)
        shares = sum(member.share_minor for member in self.members)
        if not lines == shares == self.amount.minor:
            raise ValueError(f"the tickets add up to {lines} and the shares to {shares}, the order is {self.amount}")
        if len({ticket.ticket_id for ticket in self.tickets}) != len(self.tickets):
            raise ValueError("a ticket is listed twice")
        return self

    @model_validator(mode="after")
    def _everybody_is_somebody(self) -> Self:
        ids = {member.member_id for member in self.members}
        if len(ids) != len(self.members) or len({member.buyer_id for member in self.members}) != len(self.members):
            raise ValueError("a member, or a buyer, is listed twice")
        if self.organiser_id not in ids:
            raise ValueError("the organiser is not among the members")
        theirs = [ticket for member in self.members for ticket in member.ticket_ids]
        if len(set(theirs)) != len(theirs) or set(theirs) - {ticket.ticket_id for ticket in self.tickets}:
            raise ValueError("a ticket belongs to two members, or is not in the order")
        return self

    @model_validator(mode="after")
    def _reminders_come_in_time(self) -> Self:
        ordered = sorted(self.remind_at)
        if ordered and ordered[-1] >= self.deadline:
            raise ValueError("a reminder after the deadline helps nobody")
        if any(later - earlier < REMINDERS_APART for earlier, later in pairwise(ordered)):
            raise ValueError("two reminders are at the same time")
        return self


class GroupOpened(GroupOrder):
    """`order.group_opened`: invite these members to pay their shares by the deadline, all or nothing."""

    event_type: ClassVar[str] = "order.group_opened"
    version: ClassVar[int] = 1

    tenant_id: TenantId


class PaymentMeans(WireModel):
    """What pays. `capture` is automatic only for methods that cannot hold an amount: then the money is taken at once,
    and given back if the group does not come together.
    """

    payment_method_id: PaymentMethodId
    customer_id: CustomerId | None = None
    capture: Literal["automatic", "manual"] = "manual"


class GroupSharePaidWith(PaymentMeans):
    """`order.group_share_paid_with`: a member pays its share. `idempotency_key`: one click, one key."""

    event_type: ClassVar[str] = "order.group_share_paid_with"
    version: ClassVar[int] = 1

    group_id: UUID
    tenant_id: TenantId
    member_id: UUID
    buyer_id: ShortText
    idempotency_key: ClickKey


class GroupToppedUp(PaymentMeans):
    """`order.group_topped_up`: the organiser pays every share that nobody is paying, with one payment."""

    event_type: ClassVar[str] = "order.group_topped_up"
    version: ClassVar[int] = 1

    group_id: UUID
    tenant_id: TenantId
    idempotency_key: ClickKey


class GroupCancelled(WireModel):
    """`order.group_cancelled`: nothing is taken any more, and what was taken is given back."""

    event_type: ClassVar[str] = "order.group_cancelled"
    version: ClassVar[int] = 1

    group_id: UUID
    tenant_id: TenantId
    note: str = Field(default="", max_length=500)


class GroupDue(Message):
    """Look at the group and do what follows from how it stands. A second delivery finds nothing left to do."""

    kind: ClassVar[str] = "group"
    tenant_id: TenantId
    group_id: UUID

    @property
    def ordering_key(self) -> UUID:
        return self.group_id


class GroupCancelDue(Message):
    """An operator calls the group off. A second delivery finds it called off."""

    kind: ClassVar[str] = "cancel_group"
    tenant_id: TenantId
    group_id: UUID
    reason: str = Field(min_length=1, max_length=500)
    by: str = Field(min_length=1, max_length=200)

    @property
    def ordering_key(self) -> UUID:
        return self.group_id


class GroupFact(Fact):
    """Something other services hear of a group."""

    group_id: UUID

    @property
    def subject_id(self) -> UUID:
        return self.group_id


class GroupMemberInvited(GroupFact):
    """Ask this member to pay its share by the deadline. `again` says why it is asked once more: its card was declined,
    or what was held or paid is not there any more.
    """

    event_type: ClassVar[str] = "group.member_invited"
    member_id: UUID
    buyer_id: str
    share: Money
    deadline: AwareDatetime
    again: str | None = None


class GroupReminderDue(GroupFact):
    """Remind this member, whose share is still missing."""

    event_type: ClassVar[str] = "group.reminder_due"
    member_id: UUID
    buyer_id: str
    share: Money
    deadline: AwareDatetime


class GroupMemberPaid(GroupFact):
    """This member's share is secured: `held` on its card, or captured. `missing` shares are still to come."""

    event_type: ClassVar[str] = "group.member_paid"
    member_id: UUID
    buyer_id: str
    share: Money
    payment_id: PaymentId
    held: bool
    missing: int = Field(ge=0)


class GroupCompleted(GroupFact):
    """Every share is captured: hand out the tickets."""

    event_type: ClassVar[str] = "group.completed"
    amount: Money
    payment_ids: tuple[PaymentId, ...]


class GroupExpired(GroupFact):
    """The group does not come together: its deadline passed, it was called off, or a share could not be captured. Hand
    out nothing; what was held is released, what was captured is given back.
    """

    event_type: ClassVar[str] = "group.expired"
    because: Literal["deadline", "cancelled"]
    reason: str
    missing: tuple[UUID, ...]


class GroupMemberRefunded(GroupFact):
    """What this member had paid is on its way back."""

    event_type: ClassVar[str] = "group.member_refunded"
    member_id: UUID
    buyer_id: str
    share: Money
    payment_id: PaymentId


class GroupVoided(GroupFact):
    """Nothing of the group is held or kept any more."""

    event_type: ClassVar[str] = "group.voided"
