"""What an event about a refund does: the refund is read at Stripe and settled, whoever made it."""

from datetime import UTC, datetime
from typing import Any

from db.payments import payments
from db.payments.payments import Payment
from db.refunds import refunds
from db.session import Database
from db.webhooks.inbox import KNOWN, InboxEvent
from messages.runtime.crash_points import crash_point
from messages.verdicts import GiveUp, TryAgain
from stripe_client import refunds as stripe_refunds
from stripe_client.gateway import Gateway
from workers.refunds.settlement import NoRoomYet, settle_refund

SOONEST_SECONDS, LATEST_SECONDS = 3.0, 300.0


def apply_refund_event(db: Database, stripe: Gateway, event: InboxEvent, payment: Payment) -> str:
    """Returns a word about what was found.

    Raises:
        TryAgain: the money was refunded before its capture is recorded; the charge is settled first.
        GiveUp, NoRoomYet: as `settle_refund`.
    """
    subject: dict[str, Any] = event.payload.get("data", {}).get("object", {})
    if event.object_id is None or subject.get("object") != "refund":
        raise GiveUp(f"event {event.event_id} of type {event.event_type} names no refund; look at it at Stripe")
    with db.transaction(payment.tenant_id) as tx:
        refund = refunds.by_stripe_id(tx, event.object_id)
        captured = refunds.captured(tx, payment.payment_id)
    if refund is not None and refund.settled and refund.state == subject.get("status"):
        return KNOWN
    if captured is None:
        raise TryAgain("Stripe refunded what is not recorded as captured yet")
    answer = stripe_refunds.retrieve(stripe, event.object_id)
    with db.transaction(payment.tenant_id) as tx:
        current = payments.lock(tx, payment.payment_id)
        assert current is not None, "payments are never deleted, and this one was read a moment ago"
        try:
            settle_refund(tx, current, answer, by="webhook")
        except NoRoomYet as held:
            raise NoRoomYet(held.reason, seconds=_until_there_is_room(event)) from None
        crash_point("webhook.before_commit")
    return f"refund {answer.status}"


def _until_there_is_room(event: InboxEvent) -> float:
    """Half its age: soon at first, since our request is nearly always refused within a moment, and later less often."""
    age_seconds = (datetime.now(UTC) - event.occurred_at).total_seconds()
    return min(max(age_seconds / 2, SOONEST_SECONDS), LATEST_SECONDS)
