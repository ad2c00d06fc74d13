"""One real-looking example of everything that travels. A message without one stops `fleet`'s documents from building.

They are built by the models themselves, so an example can never break its own contract.
"""

from datetime import UTC, datetime
from ipaddress import ip_address
from typing import Any
from uuid import UUID

from messages.base import CloudEvent, Fact, Message, dataschema
from messages.disputes import (
    DisputeClosed,
    DisputeCloseRequested,
    DisputeEvidenceDue,
    DisputeLookupRequested,
    DisputeOpened,
    EvidenceSubmissionRequested,
)
from messages.groups import (
    GroupCancelDue,
    GroupCancelled,
    GroupCompleted,
    GroupDue,
    GroupExpired,
    GroupMember,
    GroupMemberInvited,
    GroupMemberPaid,
    GroupMemberRefunded,
    GroupOpened,
    GroupReminderDue,
    GroupSharePaidWith,
    GroupToppedUp,
    GroupVoided,
)
from messages.ids import (
    OrderId,
    PaymentId,
    RecipientId,
    RefundId,
    ReversalId,
    ShareId,
    TenantId,
    TicketId,
    TransferId,
    VenueId,
)
from messages.mints import MintRequested, MintRetryRequested, TicketMinted, TicketMintFailed, TicketVoided
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
from messages.payments import (
    ChargeRequested,
    PaymentAuthorized,
    PaymentFailed,
    PaymentLookupRequested,
    PaymentRequiresAction,
    PaymentSucceeded,
)
from messages.reconciliation import (
    ConnectedPayoutsDue,
    EventSweepDue,
    PayoutsDue,
    ReconcileDue,
    RetentionDue,
    SealDue,
    ShareReconcileDue,
)
from messages.refunds import (
    CancelRequested,
    CaptureRequested,
    EventCancellationDue,
    OpsRefundDue,
    PaymentSucceededLate,
    RefundFailed,
    RefundLookupRequested,
    RefundRequested,
    RefundSucceeded,
)
from messages.replays import ClassifyDue, ReplayDue
from messages.resales import OrderResold, ResoldTicket, Seller
from messages.shares import (
    AccountLookupRequested,
    EscrowDue,
    EscrowReleased,
    OpsEscrowDue,
    ReversalRequested,
    ShareDue,
    ShareSettled,
    ShareTakenBack,
    StatementsDue,
    TransferRequested,
)
from messages.sweeps import SweepDue
from messages.tokens import series_of, token_id_of
from messages.webhooks import WebhookReceived

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
    GroupCancelled(group_id=GROUP, tenant_id=TENANT, note="they go to another show"),
)

MESSAGES: tuple[Message, ...] = (
    ChargeRequested(tenant_id=TENANT, payment_id=PAYMENT),
    PaymentLookupRequested(tenant_id=TENANT, payment_id=PAYMENT),
    RefundRequested(tenant_id=TENANT, payment_id=PAYMENT, refund_id=REFUND),
    RefundLookupRequested(tenant_id=TENANT, payment_id=PAYMENT, refund_id=REFUND),
    CaptureRequested(tenant_id=TENANT, payment_id=PAYMENT),
    CancelRequested(tenant_id=TENANT, payment_id=PAYMENT),
    OpsEscrowDue(tenant_id=TENANT, payment_id=PAYMENT, wish_id=BATCH),
    ShareDue(tenant_id=TENANT, payment_id=PAYMENT, share_id=SHARE),
    TransferRequested(tenant_id=TENANT, transfer_id=TransferId(UUID("019aa5b2-9e20-7b31-8c42-d5e6f7081930"))),
    ReversalRequested(tenant_id=TENANT, reversal_id=ReversalId(UUID("019aa5ba-0f31-7a42-9b53-c6d7e8f90a41"))),
    AccountLookupRequested(account_id="acct_1SVbS9LkdIwHu7ix"),
    EscrowDue(due_at=AT.replace(second=0, microsecond=0)),
    StatementsDue(due_at=AT.replace(hour=0, minute=0, second=0, microsecond=0)),
    WebhookReceived(tenant_id=TENANT, payment_id=PAYMENT, event_id="evt_1SVbQ2LkdIwHu7ixA9cX4f0M"),
    DisputeLookupRequested(tenant_id=TENANT, payment_id=PAYMENT, dispute_id=DISPUTE),
    EvidenceSubmissionRequested(tenant_id=TENANT, payment_id=PAYMENT, dispute_id=DISPUTE),
    DisputeCloseRequested(tenant_id=TENANT, payment_id=PAYMENT, dispute_id=DISPUTE),
    MintRequested(tenant_id=TENANT, payment_id=PAYMENT),
    MintRetryRequested(tenant_id=TENANT, payment_id=PAYMENT, ticket_id=TICKET),
    ClassifyDue(batch_id=BATCH),
    ReplayDue(batch_id=BATCH),
    EventCancellationDue(tenant_id=TENANT, cancellation_id=BATCH, step=7),
    OpsRefundDue(tenant_id=TENANT, payment_id=PAYMENT, request_id=BATCH),
    GroupDue(tenant_id=TENANT, group_id=GROUP),
    GroupCancelDue(tenant_id=TENANT, group_id=GROUP, reason="the organiser called", by="oda"),
    SweepDue(tenant_id=None, due_at=AT.replace(second=0, microsecond=0)),
    EventSweepDue(due_at=AT.replace(second=0, microsecond=0)),
    SealDue(due_at=AT.replace(second=0, microsecond=0)),
    ReconcileDue(span="rolling", due_at=AT.replace(second=0, microsecond=0)),
    ShareReconcileDue(span="rolling", due_at=AT.replace(second=0, microsecond=0)),
    PayoutsDue(due_at=AT.replace(second=0, microsecond=0), payout_id="po_1SVbQ2LkdIwHu7ixA9cX4f0M"),
    ConnectedPayoutsDue(due_at=AT.replace(second=0, microsecond=0), account_id="acct_1SVbQ2LkdIwHu7ix"),
    RetentionDue(due_at=AT.replace(hour=0, minute=0, second=0, microsecond=0)),
)

PUBLIC_EVENTS: tuple[Fact, ...] = (
    PaymentSucceeded(tenant_id=TENANT, payment_id=PAYMENT, order_id=ORDER, amount=AMOUNT, platform_fee_minor=865),
    PaymentFailed(
        tenant_id=TENANT,
        payment_id=PAYMENT,
        order_id=ORDER,
        amount=AMOUNT,
        reason="insufficient_funds",
        may_try_another_card=True,
    ),
    PaymentRequiresAction(
        tenant_id=TENANT,
        payment_id=PAYMENT,
        order_id=ORDER,
        amount=AMOUNT,
        payment_intent_id="pi_3SVbPzLkdIwHu7ix28a3tqPa",
    ),
    PaymentAuthorized(tenant_id=TENANT, payment_id=PAYMENT, order_id=ORDER, amount=AMOUNT),
    PaymentSucceededLate(tenant_id=TENANT, payment_id=PAYMENT, order_id=ORDER, amount=AMOUNT),
    RefundSucceeded(
        tenant_id=TENANT,
        payment_id=PAYMENT,
        order_id=ORDER,
        refund_id=REFUND,
        amount=Money(8_500, "eur"),
        reason="requested_by_customer",
        ticket_ids=(ORDER_PLACED.tickets[0].ticket_id,),
    ),
    RefundFailed(
        tenant_id=TENANT,
        payment_id=PAYMENT,
        order_id=ORDER,
        refund_id=REFUND,
        amount=Money(8_500, "eur"),
        reason="expired_or_canceled_card",
        ticket_ids=(ORDER_PLACED.tickets[0].ticket_id,),
    ),
    DisputeOpened(
        tenant_id=TENANT,
        payment_id=PAYMENT,
        order_id=ORDER,
        dispute_id=DISPUTE,
        amount=AMOUNT,
        reason="product_not_received",
        track="chargeback",
        evidence_due_at=EVIDENCE_DUE,
    ),
    DisputeEvidenceDue(
        tenant_id=TENANT,
        payment_id=PAYMENT,
        order_id=ORDER,
        dispute_id=DISPUTE,
        amount=AMOUNT,
        evidence_due_at=EVIDENCE_DUE,
    ),
    DisputeClosed(
        tenant_id=TENANT, payment_id=PAYMENT, order_id=ORDER, dispute_id=DISPUTE, amount=AMOUNT, outcome="lost"
    ),
    TicketMinted(**OF_TICKET, chain_id=1, contract=CONTRACT, owner=WALLET),
    TicketMintFailed(**OF_TICKET, reason="its transactions revert on the chain"),
    TicketVoided(**OF_TICKET, chain_id=1, contract=CONTRACT),
    GroupMemberInvited.model_validate(GROUP_SHARE | {"deadline": GROUP_DEADLINE}),
    GroupReminderDue.model_validate(GROUP_SHARE | {"deadline": GROUP_DEADLINE}),
    GroupMemberPaid.model_validate(GROUP_SHARE | {"payment_id": PAYMENT, "held": True, "missing": 1}),
    GroupCompleted(tenant_id=TENANT, group_id=GROUP, amount=AMOUNT, payment_ids=(PAYMENT,)),
    GroupExpired(tenant_id=TENANT, group_id=GROUP, because="deadline", reason="deadline", missing=(BEN,)),
    GroupMemberRefunded.model_validate(GROUP_SHARE | {"payment_id": PAYMENT}),
    GroupVoided(tenant_id=TENANT, group_id=GROUP),
    EscrowReleased(
        tenant_id=TENANT,
        payment_id=PAYMENT,
        order_id=ORDER,
        event_id=ORDER_PLACED.event_id,
        amount=Money(16_150, "eur"),
        reason="the event is over",
    ),
    ShareSettled(
        tenant_id=TENANT,
        payment_id=PAYMENT,
        order_id=ORDER,
        share_id=SHARE,
        recipient_id=ARTIST,
        amount=Money(1_700, "eur"),
    ),
    ShareTakenBack(
        tenant_id=TENANT,
        payment_id=PAYMENT,
        order_id=ORDER,
        share_id=SHARE,
        recipient_id=ARTIST,
        amount=Money(850, "eur"),
        source="re_3SVbPzLkdIwHu7ix1pQ9rStU",
    ),
)


def order_event(word: OrderWord) -> CloudEvent:
    """As the order service publishes it."""
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
    """As other services get it from us."""
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
