"""Looks at the book and at Stripe for the letters of what comes after a charge (workers/dead_letters/judge.py does the
others).

Reads only. Stripe is asked only where a call is out whose end nobody knows.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from db import stripe_calls
from db.disputes import disputes
from db.disputes.disputes import Dispute
from db.payments import payments
from db.payments.payments import Payment
from db.refunds import refunds
from db.refunds.refunds import Refund
from db.session import Database, Tx
from db.stripe_calls import StripeCall
from messages.ids import PaymentId, RefundId, TenantId
from messages.money import Money
from stripe_client import disputes as stripe_disputes
from stripe_client import payment_intents
from stripe_client import refunds as stripe_refunds
from stripe_client.gateway import Gateway
from stripe_client.outcomes import Absent
from workers.rules import replay_after_charge
from workers.rules.replay_after_charge import CallFacts, CaptureFacts, DisputeFacts, RefundFacts
from workers.rules.replay_charges import UNREADABLE, ReplayCheck


@dataclass(frozen=True, slots=True)
class DeadLetterContext:
    """Whose letter it is, and the rest of what it says."""

    tenant_id: TenantId
    payment_id: PaymentId
    payload: dict[str, Any]


def judge_refund(letter: DeadLetterContext, db: Database, stripe: Gateway) -> ReplayCheck:
    refund_id = _refund_id(letter)
    if refund_id is None:
        return UNREADABLE
    with db.transaction(letter.tenant_id) as tx:
        refund = refunds.get(tx, refund_id)
        facts = RefundFacts(
            state=refund.state.value if refund else None,
            amount=refund.amount if refund else None,
            disputed_by=disputes.forbids_refund(tx, letter.payment_id),
            call=_call_of(tx, stripe_refunds.CREATE, refund_id),
        )
    if refund is None or facts.state != "sending" or not facts.call.is_open:
        return replay_after_charge.judge_refund(facts)
    return replay_after_charge.judge_refund(replace(facts, at_stripe=_refund_at_stripe(stripe, refund)))


def _refund_at_stripe(stripe: Gateway, refund: Refund) -> str:
    found = stripe_refunds.find(stripe, refund.refund_id, payment_intent_id=refund.payment_intent_id)
    return "absent" if isinstance(found, Absent) else found.status


def judge_refund_lookup(letter: DeadLetterContext, db: Database, _stripe: Gateway) -> ReplayCheck:
    refund_id = _refund_id(letter)
    if refund_id is None:
        return UNREADABLE
    with db.transaction(letter.tenant_id) as tx:
        return replay_after_charge.judge_reading(refunds.get(tx, refund_id) is not None, "refund")


def judge_cancel(letter: DeadLetterContext, db: Database, _stripe: Gateway) -> ReplayCheck:
    with db.transaction(letter.tenant_id) as tx:
        payment = payments.get(tx, letter.payment_id)
    wished = payment is not None and payment.cancel_reason is not None
    return replay_after_charge.judge_cancel(payment.state.value if payment else None, wished=wished)


def judge_capture(letter: DeadLetterContext, db: Database, stripe: Gateway) -> ReplayCheck:
    with db.transaction(letter.tenant_id) as tx:
        payment = payments.get(tx, letter.payment_id)
        facts = CaptureFacts(
            state=payment.state.value if payment else None,
            wanted=_wanted(payment),
            hold_has_ended=payment is not None and _is_past(payment.capture_before),
            call=_call_of(tx, payment_intents.CAPTURE, letter.payment_id),
        )
    intent_id = payment.payment_intent_id if payment else None
    if intent_id is None or facts.state != "authorized" or not facts.call.is_open:
        return replay_after_charge.judge_capture(facts)
    return replay_after_charge.judge_capture(
        replace(facts, at_stripe=type(payment_intents.retrieve(stripe, intent_id)).__name__)
    )


def judge_dispute_evidence(letter: DeadLetterContext, db: Database, stripe: Gateway) -> ReplayCheck:
    return _judge_dispute_answer(letter, db, stripe, "submit", stripe_disputes.SUBMIT)


def judge_dispute_close(letter: DeadLetterContext, db: Database, stripe: Gateway) -> ReplayCheck:
    return _judge_dispute_answer(letter, db, stripe, "accept", stripe_disputes.CLOSE)


def _judge_dispute_answer(
    letter: DeadLetterContext, db: Database, stripe: Gateway, wish: str, operation: str
) -> ReplayCheck:
    with db.transaction(letter.tenant_id) as tx:
        dispute = _dispute(tx, letter)
        facts = DisputeFacts(dispute.status.value if dispute else None)
        if dispute is not None:
            facts = DisputeFacts(
                status=dispute.status.value,
                is_answerable=dispute.is_answerable,
                wish=dispute.wish,
                deadline_has_passed=_is_past(dispute.evidence_due_at),
                call=_call_of(tx, operation, dispute.wish_id) if dispute.wish_id else CallFacts(),
            )
    if dispute is None or not (facts.is_answerable and facts.call.is_open):
        return replay_after_charge.judge_dispute_answer(facts, wish)
    at_stripe = stripe_disputes.retrieve(stripe, dispute.dispute_id).status
    return replay_after_charge.judge_dispute_answer(replace(facts, at_stripe=at_stripe), wish)


def judge_dispute_lookup(letter: DeadLetterContext, db: Database, _stripe: Gateway) -> ReplayCheck:
    with db.transaction(letter.tenant_id) as tx:
        return replay_after_charge.judge_reading(_dispute(tx, letter) is not None, "dispute")


BY_KIND: dict[str, Callable[[DeadLetterContext, Database, Gateway], ReplayCheck]] = {
    "refund": judge_refund,
    "refund_lookup": judge_refund_lookup,
    "cancel": judge_cancel,
    "capture": judge_capture,
    "dispute_evidence": judge_dispute_evidence,
    "dispute_close": judge_dispute_close,
    "dispute_lookup": judge_dispute_lookup,
}


def _call_of(tx: Tx, operation: str, subject_id: UUID) -> CallFacts:
    call: StripeCall | None = stripe_calls.live(tx, operation=operation, subject_id=subject_id)
    if call is None:
        return CallFacts()
    return CallFacts(call.outcome, call.must_look_up, call.seconds_since_last_send)


def _refund_id(letter: DeadLetterContext) -> RefundId | None:
    try:
        return RefundId(UUID(str(letter.payload["refund_id"])))
    except (KeyError, ValueError):
        return None


def _dispute(tx: Tx, letter: DeadLetterContext) -> Dispute | None:
    return disputes.get(tx, str(letter.payload.get("dispute_id")))


def _wanted(payment: Payment | None) -> Money | None:
    if payment is None or payment.capture_requested_minor is None:
        return None
    return Money(payment.capture_requested_minor, payment.currency)


def _is_past(moment: datetime | None) -> bool:
    return moment is not None and moment < datetime.now(UTC)
