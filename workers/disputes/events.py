"""What an event about a dispute does: the dispute is read at Stripe and settled, however old the event is."""

from typing import Any

from db.payments.payments import Payment
from db.refunds import refunds
from db.session import Database
from db.webhooks.inbox import InboxEvent
from messages.runtime.crash_points import crash_point
from messages.verdicts import GiveUp, TryAgain
from stripe_client.gateway import Gateway
from workers.disputes.settlement import look_at


def apply_dispute_event(db: Database, stripe: Gateway, event: InboxEvent, payment: Payment) -> str:
    """Returns a word about what was found.

    Raises:
        TryAgain: the money is disputed before its capture is recorded; the charge is settled first.
        Verdict: as `look_at`.
    """
    subject: dict[str, Any] = event.payload.get("data", {}).get("object", {})
    if event.object_id is None or subject.get("object") != "dispute":
        raise GiveUp(f"event {event.event_id} of type {event.event_type} names no dispute; look at it at Stripe")
    with db.transaction(payment.tenant_id) as tx:
        captured = refunds.captured(tx, payment.payment_id)
    if captured is None:
        raise TryAgain("Stripe reports a dispute of what is not recorded as captured yet")
    crash_point("dispute.before_look")
    dispute = look_at(db, stripe, payment, event.object_id, by="webhook")
    return f"dispute {dispute.status.value}"
