"""sweep: find what stands between two phases -> append the message that moves it on.

The outermost ring of patience: it restarts payments whose message was lost from every queue, asks Stripe about payments
that wait for a webhook which never came, and offers unmatched events again. It moves no money itself, and waking
something twice is harmless, because the messages it appends are.
"""

from loguru import logger

from db import standstill
from db.session import Database
from db.standstill import StandingEvent, StandingPayment
from messages.base import Message
from messages.payments import ChargeRequested, PaymentLookupRequested
from messages.sweeps import SweepDue
from messages.webhooks import WebhookReceived
from outbox.append import append
from outbox.metrics import OLDEST_UNMATCHED
from stripe_client.gateway import Gateway
from workers.actor import actor
from workers.settings import SweepSettings

LIMIT = 500


@actor(SweepDue)
def sweep(msg: SweepDue, db: Database, _stripe: Gateway) -> None:
    del msg
    patience = SweepSettings().sweep_after_seconds
    with db.system_transaction() as tx:
        standing = standstill.take_payments(tx, older_than_seconds=patience, limit=LIMIT)
        waiting = standstill.take_events(tx, older_than_seconds=patience, limit=LIMIT)
        append(tx, *[_for_payment(found) for found in standing], *[_for_event(found) for found in waiting])
    if standing or waiting:
        logger.info("woke {} payments and {} events that stood still", len(standing), len(waiting))
    _alarm_unmatched(waiting)


def _for_payment(found: StandingPayment) -> Message:
    """A payment that never reached Stripe is charged; one that did is looked up."""
    kind = ChargeRequested if found.state in {"requested", "charging"} else PaymentLookupRequested
    return kind(tenant_id=found.tenant_id, payment_id=found.payment_id)


def _for_event(found: StandingEvent) -> Message:
    return WebhookReceived(tenant_id=found.tenant_id, payment_id=found.payment_id, event_id=found.event_id)


def _alarm_unmatched(waiting: list[StandingEvent]) -> None:
    ages = [event.age_seconds for event in waiting if event.state == "unmatched"]
    OLDEST_UNMATCHED.set(max(ages, default=0))
    if ages:
        logger.error("{} events of Stripe have no payment, the oldest for {:.0f} s", len(ages), max(ages))
