"""sweep: find what stands between two phases -> append the message that moves it on, and say what a person must see.

The outermost ring of patience: it restarts payments and refunds whose message was lost from every queue, asks Stripe
about those that wait for a webhook which never came, and about disputes too long unseen, carries out wishes that were
left, wakes groups, offers unmatched events again, and brings forward what has waited for a pause that is over. Holds
about to end, refunds that stand or failed, and disputes that nobody has answered become cases
(db/reconciliation/cases.py), which close themselves.
It moves no money itself, and waking something twice is harmless, because the messages it appends are.
"""

from loguru import logger

from db.disputes import disputes
from db.groups import stuck as group_stuck
from db.reconciliation.cases import CaseType
from db.refunds import mass_refund_steps
from db.refunds.mass_refund_steps import StuckMassRefund
from db.session import Database, Tx
from db.sweep import overdue as sweep_overdue
from db.sweep import stuck as sweep_stuck
from db.sweep.overdue import Finding
from db.sweep.stuck import StuckDispute, StuckPayment, StuckWebhook
from db.tenants import pauses
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
from stripe_client.gateway import Gateway
from workers.reconciliation.cases import keep_cases
from workers.runtime.actor import actor
from workers.runtime.pauses import LONGEST_WAIT_SECONDS, Paused
from workers.runtime.settings import DisputeSettings, SweepSettings

LIMIT = 500


@actor(SweepDue)
def sweep(msg: SweepDue, db: Database, _stripe: Gateway) -> None:
    del msg
    settings, of_disputes = SweepSettings(), DisputeSettings()
    patience = settings.sweep_after_seconds
    with db.system_transaction() as tx:
        standing = sweep_stuck.take_payments(tx, older_than_seconds=patience, limit=LIMIT)
        waiting = sweep_stuck.take_events(tx, older_than_seconds=patience, limit=LIMIT)
        unseen = sweep_stuck.take_disputes(
            tx, older_than_seconds=patience, unseen_seconds=of_disputes.dispute_unseen_seconds, limit=LIMIT
        )
        append(tx, *map(_for_payment, standing), *map(_for_dispute, unseen), *map(_for_event, waiting))
        groups = group_stuck.take_groups(tx, older_than_seconds=patience, limit=LIMIT)
        append(
            tx, *(GroupDue(tenant_id=stuck_group.tenant_id, group_id=stuck_group.group_id) for stuck_group in groups)
        )
        append(tx, *map(_for_cancellation, mass_refund_steps.standing_still(tx, older_than_seconds=patience)))
    if standing or waiting or unseen:
        logger.info(
            "re-enqueued {} stuck payments, {} disputes and {} events", len(standing), len(unseen), len(waiting)
        )
    _alarm_unmatched(waiting)
    if groups:
        logger.warning("re-enqueued {} stuck groups", len(groups))
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


def _for_payment(stuck_payment: StuckPayment) -> Message:
    if stuck_payment.refund_id is not None:
        of_refund = _OF_REFUND[stuck_payment.wake_as]
        return of_refund(
            tenant_id=stuck_payment.tenant_id, payment_id=stuck_payment.payment_id, refund_id=stuck_payment.refund_id
        )
    return _OF_PAYMENT[stuck_payment.wake_as](tenant_id=stuck_payment.tenant_id, payment_id=stuck_payment.payment_id)


_OF_DISPUTE: dict[str, type[DisputeLookupRequested | EvidenceSubmissionRequested | DisputeCloseRequested]] = {
    message.kind: message for message in (DisputeLookupRequested, EvidenceSubmissionRequested, DisputeCloseRequested)
}


def _for_dispute(stuck_dispute: StuckDispute) -> Message:
    kind = _OF_DISPUTE[stuck_dispute.wake_as]
    return kind(
        tenant_id=stuck_dispute.tenant_id, payment_id=stuck_dispute.payment_id, dispute_id=stuck_dispute.dispute_id
    )


def _for_cancellation(stuck_mass_refund: StuckMassRefund) -> Message:
    return EventCancellationDue(
        tenant_id=stuck_mass_refund.tenant_id,
        cancellation_id=stuck_mass_refund.cancellation_id,
        step=stuck_mass_refund.step,
    )


def _keep_cases(tx: Tx, settings: SweepSettings, of_disputes: DisputeSettings) -> None:
    """Open a case for each thing a person must see, once, and close those that are well again."""
    found = {
        CaseType.AUTHORIZATION_EXPIRING: sweep_overdue.authorizations_expiring(
            tx, within_seconds=settings.hold_alarm_seconds
        ),
        CaseType.REFUND_STUCK: sweep_overdue.refunds_stuck(tx, older_than_seconds=settings.refund_alarm_seconds),
        CaseType.REFUND_FAILED: sweep_overdue.obligations(tx),
        CaseType.DISPUTE_EVIDENCE_DUE: sweep_overdue.evidence_due(
            tx, within_seconds=of_disputes.dispute_alarm_hours * 3_600
        ),
    }
    for kind, finding in keep_cases(tx, found, by="sweep"):
        if kind is CaseType.DISPUTE_EVIDENCE_DUE:
            _tell_evidence_due(tx, finding)


def _tell_evidence_due(tx: Tx, finding: Finding) -> None:
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


def _for_event(stuck_webhook: StuckWebhook) -> Message:
    return WebhookReceived(
        tenant_id=stuck_webhook.tenant_id, payment_id=stuck_webhook.payment_id, event_id=stuck_webhook.event_id
    )


def _alarm_unmatched(waiting: list[StuckWebhook]) -> None:
    ages = [event.age_seconds for event in waiting if event.state == "unmatched"]
    if ages:
        logger.error("{} Stripe events match no payment, the oldest for {:.0f} s", len(ages), max(ages))
