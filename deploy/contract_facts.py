"""One example of each event that we publish to other services."""

from deploy.contract_examples import (
    AMOUNT,
    ARTIST,
    BEN,
    CONTRACT,
    DISPUTE,
    EVIDENCE_DUE,
    GROUP,
    GROUP_DEADLINE,
    GROUP_SHARE,
    OF_TICKET,
    ORDER,
    ORDER_PLACED,
    PAYMENT,
    REFUND,
    SHARE,
    TENANT,
    WALLET,
)
from messages.base import Fact
from messages.disputes import (
    DisputeClosed,
    DisputeEvidenceDue,
    DisputeOpened,
)
from messages.groups import (
    GroupCompleted,
    GroupExpired,
    GroupMemberInvited,
    GroupMemberPaid,
    GroupMemberRefunded,
    GroupReminderDue,
    GroupVoided,
)
from messages.mints import TicketMinted, TicketMintFailed, TicketVoided
from messages.money import Money
from messages.payments import (
    PaymentAuthorized,
    PaymentFailed,
    PaymentRequiresAction,
    PaymentSucceeded,
)
from messages.refunds import (
    PaymentSucceededLate,
    RefundFailed,
    RefundSucceeded,
)
from messages.shares import (
    EscrowReleased,
    ShareSettled,
    ShareTakenBack,
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
    TicketMintFailed(**OF_TICKET, reason="the transaction reverts on chain"),
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
        reason="the event has ended",
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
