"""One realistic example of each order event, and the CloudEvent around it. A contract needs an example.

The models themselves build the examples, so an example cannot violate its contract.
"""

from datetime import UTC, datetime
from ipaddress import ip_address
from typing import Any
from uuid import UUID

from messages.base import CloudEvent, Fact, dataschema
from messages.groups import (
    GroupCancelled,
    GroupMember,
    GroupOpened,
    GroupSharePaidWith,
    GroupToppedUp,
)
from messages.ids import (
    OrderId,
    PaymentId,
    RecipientId,
    RefundId,
    ShareId,
    TenantId,
    TicketId,
    VenueId,
)
from messages.money import Money
from messages.orders import (
    Device,
    EventCancelled,
    EventScheduled,
    OrderCancelled,
    OrderPlaced,
    RefundOfOrderRequested,
    Ticket,
)
from messages.resales import OrderResold, ResoldTicket, Seller
from messages.token_ids import series_of, token_id_of

AT = datetime(2026, 11, 21, 10, 0, 7, 250_000, tzinfo=UTC)
TENANT = TenantId(UUID("019aa5b0-0c00-7a3e-9f1d-5b8c2f6e0a11"))
PAYMENT = PaymentId(UUID("019aa5b2-7d1f-7c42-8e6a-3f9b1d2c4e58"))
ORDER = OrderId(UUID("019aa5b2-7c80-7b11-a2d4-6e8f0c1b3a59"))
REFUND = RefundId(UUID("019aa5b9-1f40-7e21-b3c5-7d9e0f1a2b3c"))
AMOUNT = Money(17_000, "eur")
DISPUTE = "dp_1SVbR4LkdIwHu7ixQ2mW8yTz"
# The addresses of EIP-55's own test cases.
WALLET = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
CONTRACT = "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359"
SHARE = ShareId(UUID("019aa5b2-9d11-7c02-a5b6-c7d8e9f00111"))
ARTIST = RecipientId(UUID("019aa5b0-3c4d-7f5e-8a60-7c8d9e0f1a2b"))
EVIDENCE_DUE = AT.replace(month=12, day=2, hour=23, minute=59, second=59, microsecond=0)

# TEST-NET-3 (RFC 5737) and Stripe's own test payment method: they belong to nobody.
ORDER_PLACED = OrderPlaced(
    order_id=ORDER,
    tenant_id=TENANT,
    venue_id=VenueId(UUID("019aa5b0-1a2b-7d3c-8e4f-5a6b7c8d9e0f")),
    event_id=UUID("019aa5b0-2b3c-7e4d-9f50-6b7c8d9e0f1a"),
    buyer_id="buyer-20718",
    tickets=(
        Ticket(ticket_id=TicketId(UUID("019aa5b2-7c81-7000-8000-0000000000a1")), face_price_minor=8_500, seat="B-12"),
        Ticket(ticket_id=TicketId(UUID("019aa5b2-7c81-7000-8000-0000000000a2")), face_price_minor=8_500, seat="B-13"),
    ),
    amount=AMOUNT,
    payment_method_id="pm_card_visa",
    customer_id="cus_R4nT8vQ2mLx0Kd",
    idempotency_key="checkout-5f0c2b7e-click-1",
    device=Device(ip=ip_address("203.0.113.7"), user_agent="Mozilla/5.0 (X11; Linux x86_64)", fingerprint="d3v1c3"),
    wallet=WALLET,
)
TICKET = ORDER_PLACED.tickets[0].ticket_id
OF_TICKET: dict[str, Any] = {
    "tenant_id": TENANT,
    "payment_id": PAYMENT,
    "order_id": ORDER,
    "ticket_id": TICKET,
    "token_id": token_id_of(series_of(TENANT, ORDER_PLACED.event_id), TICKET),
}

_RESOLD = ORDER_PLACED.tickets[0]
ORDER_RESOLD = OrderResold.model_validate(
    ORDER_PLACED.model_dump()
    | {
        "buyer_id": "buyer-31116",
        "tickets": (ResoldTicket(**_RESOLD.model_dump(), price_minor=9_000),),
        "amount": Money(9_000, "eur"),
        "idempotency_key": "resale-7d1e4c90-click-1",
        "event_ends_at": EVIDENCE_DUE,
        "seller": Seller(
            recipient_id=RecipientId(UUID("019aa5b2-8e91-7a02-9b3c-4d5e6f708192")),
            name="buyer-20718",
            account_id="acct_1SVbS9LkdIwHu7ix",
        ),
    }
)

BATCH = UUID("019aa5b3-7c11-7d02-9a4e-2f6b1c0d8e77")

GROUP = UUID("019aa5b4-3d10-7c11-8b22-1f2e3d4c5b6a")
ANNA, BEN = UUID("019aa5b4-3d11-7000-8000-0000000000a1"), UUID("019aa5b4-3d11-7000-8000-0000000000b2")
GROUP_SHARE = {
    "tenant_id": TENANT,
    "group_id": GROUP,
    "member_id": BEN,
    "buyer_id": "buyer-20719",
    "share": Money(8_500, "eur"),
}
GROUP_DEADLINE = AT.replace(day=24, hour=20, minute=0, second=0, microsecond=0)

GroupWord = GroupOpened | GroupSharePaidWith | GroupToppedUp | GroupCancelled
OrderWord = OrderPlaced | RefundOfOrderRequested | OrderCancelled | EventScheduled | EventCancelled | GroupWord
ORDER_EVENTS: tuple[OrderWord, ...] = (
    ORDER_PLACED,
    ORDER_RESOLD,
    RefundOfOrderRequested(
        order_id=ORDER,
        tenant_id=TENANT,
        ticket_ids=(ORDER_PLACED.tickets[1].ticket_id,),
        note="seat B-13 cannot be used",
    ),
    OrderCancelled(order_id=ORDER, tenant_id=TENANT, note="the buyer called"),
    EventScheduled(
        event_id=ORDER_PLACED.event_id, venue_id=ORDER_PLACED.venue_id, tenant_id=TENANT, ends_at=EVIDENCE_DUE
    ),
    EventCancelled(event_id=ORDER_PLACED.event_id, tenant_id=TENANT, note="storm warning"),
    GroupOpened(
        group_id=GROUP,
        tenant_id=TENANT,
        venue_id=ORDER_PLACED.venue_id,
        event_id=ORDER_PLACED.event_id,
        tickets=ORDER_PLACED.tickets,
        amount=AMOUNT,
        organiser_id=ANNA,
        members=(
            GroupMember(member_id=ANNA, buyer_id="buyer-20718", share_minor=8_500),
            GroupMember(
                member_id=BEN,
                buyer_id="buyer-20719",
                share_minor=8_500,
                ticket_ids=(ORDER_PLACED.tickets[1].ticket_id,),
            ),
        ),
        deadline=GROUP_DEADLINE,
        remind_at=(GROUP_DEADLINE.replace(day=23),),
        tickets_per_buyer=4,
    ),
    GroupSharePaidWith(
        group_id=GROUP,
        tenant_id=TENANT,
        member_id=BEN,
        buyer_id="buyer-20719",
        payment_method_id="pm_card_visa",
        idempotency_key="group-share-77aa-click-1",
    ),
    GroupToppedUp(
        group_id=GROUP,
        tenant_id=TENANT,
        payment_method_id="pm_card_visa",
        idempotency_key="group-top-up-31bc-click-1",
    ),
    GroupCancelled(group_id=GROUP, tenant_id=TENANT, note="the group chose another date"),
)


def order_event(word: OrderWord) -> CloudEvent:
    """The event as the order service publishes it."""
    return CloudEvent(
        specversion="1.0",
        id="019aa5b2-7c90-7d00-9a00-4b5c6d7e8f90",
        source="/orders",
        type=word.event_type,
        time=AT,
        subject=str(_subject(word)),
        dataschema=dataschema(word.event_type, word.version),
        traceparent="00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        data=word.model_dump(mode="json"),
    )


def _subject(word: OrderWord) -> UUID:
    if isinstance(word, GroupWord):
        return word.group_id
    return word.event_id if isinstance(word, EventCancelled | EventScheduled) else word.order_id


def public_event(fact: Fact) -> CloudEvent:
    """The event as we publish it to other services."""
    return CloudEvent(
        specversion="1.0",
        id="019aa5b3-0e4a-7f21-8c3d-9e0f1a2b3c4d",
        source="/payments",
        type=fact.event_type,
        time=AT,
        subject=str(fact.subject_id),
        dataschema=dataschema(fact.event_type, fact.version),
        traceparent="00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        data=fact.model_dump(mode="json"),
    )
