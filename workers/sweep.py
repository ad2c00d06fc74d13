"""sweep: find what stands between two phases -> append the message that moves it on, and say what a person must see.

The outermost ring of patience: it restarts payments and refunds whose message was lost from every queue, asks Stripe
about those that wait for a webhook which never came, carries out wishes that were left, and offers unmatched events
again. Holds about to end, and refunds that stand or failed, become cases (db/cases.py), which close themselves.
It moves no money itself, and waking something twice is harmless, because the messages it appends are.
"""

from loguru import logger

from db import cases, standstill, watch
from db.cases import CaseType
from db.session import Database, Tx
from db.standstill import Standing, StandingEvent
from messages.base import Message
from messages.payments import ChargeRequested, PaymentLookupRequested
from messages.refunds import CancelRequested, CaptureRequested, RefundLookupRequested, RefundRequested
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
    settings = SweepSettings()
    patience = settings.sweep_after_seconds
    with db.system_transaction() as tx:
        standing = standstill.take_payments(tx, older_than_seconds=patience, limit=LIMIT)
        waiting = standstill.take_events(tx, older_than_seconds=patience, limit=LIMIT)
        append(tx, *[_for_payment(found) for found in standing], *[_for_event(found) for found in waiting])
    if standing or waiting:
        logger.info("woke {} payments and {} events that stood still", len(standing), len(waiting))
    _alarm_unmatched(waiting)
    with db.system_transaction() as tx:
        _keep_cases(tx, settings)


_OF_PAYMENT: dict[str, type[ChargeRequested | PaymentLookupRequested | CancelRequested | CaptureRequested]] = {
    message.kind: message for message in (ChargeRequested, PaymentLookupRequested, CancelRequested, CaptureRequested)
}
_OF_REFUND: dict[str, type[RefundRequested | RefundLookupRequested]] = {
    message.kind: message for message in (RefundRequested, RefundLookupRequested)
}


def _for_payment(found: Standing) -> Message:
    if found.refund_id is not None:
        of_refund = _OF_REFUND[found.wake_as]
        return of_refund(tenant_id=found.tenant_id, payment_id=found.payment_id, refund_id=found.refund_id)
    return _OF_PAYMENT[found.wake_as](tenant_id=found.tenant_id, payment_id=found.payment_id)


def _keep_cases(tx: Tx, settings: SweepSettings) -> None:
    """Open a case for each thing a person must see, once, and close those that are well again."""
    found = {
        CaseType.AUTHORIZATION_EXPIRING: watch.authorizations_expiring(tx, within_seconds=settings.hold_alarm_seconds),
        CaseType.REFUND_STUCK: watch.refunds_stuck(tx, older_than_seconds=settings.refund_alarm_seconds),
        CaseType.REFUND_FAILED: watch.obligations(tx),
    }
    for kind, findings in found.items():
        known = cases.known_subjects(tx, kind)
        for finding in [finding for finding in findings if finding.subject not in known]:
            cases.open_case(
                tx,
                type=kind,
                subject=finding.subject,
                details=finding.details,
                tenant_id=finding.tenant_id,
                payment_id=finding.payment_id,
                amount=finding.amount,
            )
            logger.error("{}: {} of payment {}, {}", kind, finding.amount, finding.payment_id, finding.details)
        gone = known - {finding.subject for finding in findings}
        cases.close_all(tx, types=[kind], subjects=sorted(gone), by="sweep", because="it is well again")


def _for_event(found: StandingEvent) -> Message:
    return WebhookReceived(tenant_id=found.tenant_id, payment_id=found.payment_id, event_id=found.event_id)


def _alarm_unmatched(waiting: list[StandingEvent]) -> None:
    ages = [event.age_seconds for event in waiting if event.state == "unmatched"]
    OLDEST_UNMATCHED.set(max(ages, default=0))
    if ages:
        logger.error("{} events of Stripe have no payment, the oldest for {:.0f} s", len(ages), max(ages))
