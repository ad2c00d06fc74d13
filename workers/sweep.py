"""sweep: find what is stuck between two phases -> append the message that moves it on, and say what a person must see.

The outermost ring of patience: it restarts payments and refunds whose message was lost from every queue, asks Stripe
about those that wait for a webhook which never came, and about disputes too long unseen, carries out wishes that were
left, wakes groups, offers unmatched events again, and brings forward what has waited for a pause that is over. Holds
about to end, refunds that stand or failed, and disputes that nobody has answered become cases
(db/reconciliation/cases.py), which close themselves.
It moves no money itself, and waking something twice is harmless, because the messages it appends are.
"""

from collections.abc import Callable
from itertools import chain

from loguru import logger

from db.disputes import disputes
from db.disputes import overdue as overdue_disputes
from db.disputes import stuck as stuck_disputes
from db.groups import stuck as stuck_groups
from db.payments import overdue as overdue_payments
from db.payments import stuck as stuck_payments
from db.reconciliation.cases import CaseType
from db.refunds import overdue as overdue_refunds
from db.refunds import stuck as stuck_refunds
from db.session import Database, Tx
from db.sweep.finding import Finding
from db.tenants import pauses
from db.webhooks import stuck as stuck_webhooks
from messages.base import Message
from messages.disputes import (
    DisputeCloseRequested,
    DisputeEvidenceDue,
    DisputeLookupRequested,
    EvidenceSubmissionRequested,
)
from messages.groups import GroupDue
from messages.payments import ChargeRequested, PaymentLookupRequested
from messages.refunds import (
    CancelRequested,
    CaptureRequested,
    EventCancellationDue,
    RefundLookupRequested,
    RefundRequested,
)
from messages.sweeps import SweepDue
from messages.webhooks import WebhookReceived
from outbox.append import append
from workers.reconciliation.cases import keep_cases
from workers.runtime.actor import actor
from workers.runtime.pauses import LONGEST_WAIT_SECONDS, Paused
from workers.runtime.settings import DisputeSettings, SweepSettings

LIMIT = 500


@actor(SweepDue)
def sweep(_msg: SweepDue, db: Database) -> None:
    """One round: wake what is stuck, wake what waited for a pause, bring the cases up to date; at most LIMIT of each
    kind.

    Marking as woken and appending are one transaction, so a crash wakes neither twice nor never.
    """
    settings, of_disputes = SweepSettings(), DisputeSettings()
    with db.system_transaction() as tx:
        stuck = {name: find(tx, settings, of_disputes) for name, find in STUCK.items()}
        append(tx, *chain.from_iterable(stuck.values()))
    for name, messages in stuck.items():
        if messages:
            logger.info("re-enqueued {} stuck {}", len(messages), name)
    with db.system_transaction() as tx:
        woken = pauses.wake(tx, waiting_as=Paused.__name__, within_seconds=LONGEST_WAIT_SECONDS)
    if woken:
        logger.info("re-enqueued {} messages after their pause ended", woken)
    with db.system_transaction() as tx:
        _keep_cases(tx, settings, of_disputes)


_OF_PAYMENT: dict[str, type[ChargeRequested | PaymentLookupRequested | CancelRequested | CaptureRequested]] = {
    message.kind: message for message in (ChargeRequested, PaymentLookupRequested, CancelRequested, CaptureRequested)
}
_OF_REFUND: dict[str, type[RefundRequested | RefundLookupRequested]] = {
    message.kind: message for message in (RefundRequested, RefundLookupRequested)
}
_OF_DISPUTE: dict[str, type[DisputeLookupRequested | EvidenceSubmissionRequested | DisputeCloseRequested]] = {
    message.kind: message for message in (DisputeLookupRequested, EvidenceSubmissionRequested, DisputeCloseRequested)
}


def _payments(tx: Tx, settings: SweepSettings, _: DisputeSettings) -> list[Message]:
    return [
        _OF_PAYMENT[payment.wake_as](tenant_id=payment.tenant_id, payment_id=payment.payment_id)
        for payment in stuck_payments.take(tx, older_than_seconds=settings.sweep_after_seconds, limit=LIMIT)
    ]


def _refunds(tx: Tx, settings: SweepSettings, _: DisputeSettings) -> list[Message]:
    return [
        _OF_REFUND[refund.wake_as](tenant_id=refund.tenant_id, payment_id=refund.payment_id, refund_id=refund.refund_id)
        for refund in stuck_refunds.take(tx, older_than_seconds=settings.sweep_after_seconds, limit=LIMIT)
    ]


def _disputes(tx: Tx, settings: SweepSettings, of_disputes: DisputeSettings) -> list[Message]:
    found = stuck_disputes.take(
        tx,
        older_than_seconds=settings.sweep_after_seconds,
        unseen_seconds=of_disputes.dispute_unseen_seconds,
        limit=LIMIT,
    )
    return [
        _OF_DISPUTE[dispute.wake_as](
            tenant_id=dispute.tenant_id, payment_id=dispute.payment_id, dispute_id=dispute.dispute_id
        )
        for dispute in found
    ]


def _webhooks(tx: Tx, settings: SweepSettings, _: DisputeSettings) -> list[Message]:
    """Events that were not applied.

    Unmatched ones are an error in the log: money may have moved that we do not know
    of.
    """
    events = stuck_webhooks.take(tx, older_than_seconds=settings.sweep_after_seconds, limit=LIMIT)
    ages = [event.age_seconds for event in events if event.state == "unmatched"]
    if ages:
        logger.error("{} events of Stripe have no payment, the oldest for {:.0f} s", len(ages), max(ages))
    return [
        WebhookReceived(tenant_id=event.tenant_id, payment_id=event.payment_id, event_id=event.event_id)
        for event in events
    ]


def _groups(tx: Tx, settings: SweepSettings, _: DisputeSettings) -> list[Message]:
    return [
        GroupDue(tenant_id=group.tenant_id, group_id=group.group_id)
        for group in stuck_groups.take(tx, older_than_seconds=settings.sweep_after_seconds, limit=LIMIT)
    ]


def _mass_refunds(tx: Tx, settings: SweepSettings, _: DisputeSettings) -> list[Message]:
    """The step that each stuck mass refund waits for; taken already, it does nothing."""
    return [
        EventCancellationDue(tenant_id=run.tenant_id, cancellation_id=run.cancellation_id, step=run.step)
        for run in stuck_refunds.mass_refunds(tx, older_than_seconds=settings.sweep_after_seconds)
    ]


# What may be stuck, and the messages that move on what is.
STUCK: dict[str, Callable[[Tx, SweepSettings, DisputeSettings], list[Message]]] = {
    "payments": _payments,
    "refunds": _refunds,
    "disputes": _disputes,
    "events of Stripe": _webhooks,
    "groups": _groups,
    "mass refunds": _mass_refunds,
}


def _keep_cases(tx: Tx, settings: SweepSettings, of_disputes: DisputeSettings) -> None:
    """Open a case for each thing a person must see, once, and close those that are well again."""
    found = {
        CaseType.AUTHORIZATION_EXPIRING: overdue_payments.authorizations_expiring(
            tx, within_seconds=settings.hold_alarm_seconds
        ),
        CaseType.REFUND_STUCK: overdue_refunds.refunds_stuck(tx, older_than_seconds=settings.refund_alarm_seconds),
        CaseType.REFUND_FAILED: overdue_refunds.obligations(tx),
        CaseType.DISPUTE_EVIDENCE_DUE: overdue_disputes.evidence_due(
            tx, within_seconds=of_disputes.dispute_alarm_hours * 3_600
        ),
    }
    for kind, finding in keep_cases(tx, found, by="sweep"):
        if kind is CaseType.DISPUTE_EVIDENCE_DUE:
            _tell_evidence_due(tx, finding)


def _tell_evidence_due(tx: Tx, finding: Finding) -> None:
    """Publish once, when its case is opened, that a dispute must be answered soon."""
    dispute = disputes.get(tx, finding.subject.partition("/")[0])
    assert dispute is not None, "it was found a moment ago, and disputes are never deleted"
    assert dispute.evidence_due_at is not None, "it was found by its deadline"
    append(
        tx,
        DisputeEvidenceDue(
            tenant_id=dispute.tenant_id,
            payment_id=dispute.payment_id,
            order_id=dispute.order_id,
            dispute_id=dispute.dispute_id,
            amount=dispute.amount,
            evidence_due_at=dispute.evidence_due_at,
        ),
    )
