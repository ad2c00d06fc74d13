"""webhook: match -> ask Stripe -> apply.

An event is a hint that something moved: its snapshot may be old and events come in any order, so its object is fetched
and the answer drives the same moves as the call itself. FAMILIES says who applies which events. An event whose payment
we do not know (yet) waits in the inbox as unmatched and is tried again by the sweep. A second delivery finds the event
applied; two events of one fact find the payment where they wanted it.
"""

from collections.abc import Callable
from dataclasses import replace

from loguru import logger

from db.payments import payments
from db.payments.payments import Payment
from db.payments.states import PaymentState
from db.session import Database
from db.webhooks import inbox
from db.webhooks.inbox import KNOWN, InboxEvent
from messages.ids import PaymentId, TenantId
from messages.runtime.crash_points import crash_point
from messages.verdicts import GiveUp
from messages.webhooks import WebhookReceived
from outbox.process.metrics import WEBHOOK_APPLIED_SECONDS
from stripe_client import payment_intents
from stripe_client.gateway import Gateway
from workers.disputes.events import apply_dispute_event
from workers.disputes.fraud_warnings import apply_warning_event
from workers.payments.settlement import settle_answer
from workers.payouts.events import look_at_payout
from workers.refunds.events import apply_refund_event
from workers.runtime.actor import actor
from workers.transfers.events import apply_account_event


@actor(WebhookReceived)
def webhook(msg: WebhookReceived, db: Database, stripe: Gateway) -> None:
    """Handle an event of the inbox once.

    Raises:
        GiveUp: the inbox has no such event, or it names no object that its type can be handled by.
        TryAgain, TryLater: as the family that handles it; the event stays as it is in the inbox.
    """
    event, payment = _match(db, msg)
    if event.state in {"applied", "kept"}:
        return
    if event.account is not None:
        _mark_applied(db, event, apply_account_event(db, event))
        return
    if event.event_type.startswith("payout."):  # of the account, and so of no payment
        _mark_applied(db, event, look_at_payout(db, event))
        return
    if payment is None:
        _leave_unmatched(db, event)
        return
    note = _family(event)(db, stripe, event, payment)
    crash_point("webhook.after_commit")
    _mark_applied(db, event, note)


def _apply_intent_event(db: Database, stripe: Gateway, event: InboxEvent, payment: Payment) -> str:
    if _tells_nothing_new(event, payment):  # found by its intent; what we found by our own id is settled already
        return KNOWN
    if event.payment_intent_id is None:
        raise GiveUp(f"event {event.event_id} carries our metadata and names no intent; look at it at Stripe")
    outcome = payment_intents.retrieve(stripe, event.payment_intent_id)
    with db.transaction(payment.tenant_id) as tx:
        settle_answer(tx, payment, outcome, by="webhook")
        crash_point("webhook.before_commit")
    return type(outcome).__name__


# Beginning of the event's type -> who fetches its object and applies it; the returned word is the event's note. The
# first that fits: a longer beginning stands before a shorter one.
FAMILIES: dict[str, Callable[[Database, Gateway, InboxEvent, Payment], str]] = {
    "payment_intent.": _apply_intent_event,
    "charge.dispute.": apply_dispute_event,
    "charge.": _apply_intent_event,
    "refund.": apply_refund_event,
    "radar.early_fraud_warning.": apply_warning_event,
}


def _family(event: InboxEvent) -> Callable[[Database, Gateway, InboxEvent, Payment], str]:
    for beginning, apply in FAMILIES.items():
        if event.event_type.startswith(beginning):
            return apply
    raise GiveUp(f"events of type {event.event_type} are wanted, and nobody here applies them")


def _match(db: Database, msg: WebhookReceived) -> tuple[InboxEvent, Payment | None]:
    """The event and its payment: by our metadata, else by the intent or the charge, across tenants.

    Nearly always the book knows already; then the event is marked applied in the transaction that found it so.
    """
    if msg.tenant_id is not None:
        with db.transaction(msg.tenant_id) as tx:
            event = inbox.read(tx, msg.event_id)
            if event is not None and event.payment_id is not None:
                payment = payments.get(tx, event.payment_id)
                if payment is not None and _tells_nothing_new(event, payment):
                    _count(inbox.mark_applied(tx, event.event_id, note=KNOWN))
                    return replace(event, state="applied"), payment
                return event, payment
    with db.system_transaction() as tx:
        event = inbox.read(tx, msg.event_id)
        if event is None:
            raise GiveUp(f"the inbox holds no event {msg.event_id}")
        if event.account is not None:
            return event, None
        owner = payments.find_by_intent(tx, event.payment_intent_id) if event.payment_intent_id else None
        if owner is None and event.charge_id is not None:
            owner = payments.find_by_charge(tx, event.charge_id)
    return event, _payment(db, *owner) if owner else None


def _payment(db: Database, tenant_id: TenantId, payment_id: PaymentId) -> Payment | None:
    """The payment as its tenant sees it: the search across tenants has only found whose it is (M8)."""
    with db.transaction(tenant_id) as tx:
        return payments.get(tx, payment_id)


def _tells_nothing_new(event: InboxEvent, payment: Payment) -> bool:
    """True when no answer of Stripe about the intent could change the book, so it is not asked."""
    if FAMILIES.get("payment_intent.") is not _family(event):
        return False
    if payment.state is PaymentState.CANCELED:
        return event.event_type == "payment_intent.canceled"
    if payment.state is PaymentState.SUCCEEDED:
        return payment.fully_booked
    if event.event_type == "payment_intent.payment_failed":
        return payment.state is PaymentState.FAILED
    if event.event_type == "payment_intent.requires_action":
        return payment.state is PaymentState.REQUIRES_ACTION
    return False


def _mark_applied(db: Database, event: InboxEvent, note: str) -> None:
    """After the payment's own transaction: dying in between only means that the event is applied once more."""
    with db.system_transaction() as tx:
        seconds = inbox.mark_applied(tx, event.event_id, note=note)
    _count(seconds)


def _count(seconds: float | None) -> None:
    """How long the event took from its receipt; None when another run was first, and has counted it."""
    if seconds is not None:
        WEBHOOK_APPLIED_SECONDS.observe(seconds)


def _leave_unmatched(db: Database, event: InboxEvent) -> None:
    """It may be ours and early: Stripe can be faster than our own commit, and the sweep tries it again."""
    with db.system_transaction() as tx:
        inbox.mark_unmatched(tx, event.event_id, note="no payment of ours carries this intent")
    logger.warning("event of type {} matches no payment yet", event.event_type, event_id=event.event_id)
