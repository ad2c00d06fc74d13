"""What an early fraud warning does: the card's bank says that a payment may be fraud, often before it is disputed.

By the venue's policy the payment is refunded, which may spare the dispute and its fee, or left. Each warning is decided
once; a payment that is refunded or disputed already is left as it is.
"""

from typing import Any

from loguru import logger

from db.disputes import disputes, fraud_warnings
from db.disputes.fraud_warnings import EarlyWarning
from db.payments import payments
from db.payments.payments import Payment
from db.refunds import refunds
from db.session import Database, Tx
from db.webhooks.inbox import KNOWN, InboxEvent
from messages.runtime.crash_points import crash_point
from messages.verdicts import GiveUp, TryAgain
from outbox.requests.refunds import request_refund
from outbox.requests.refusals import RefusedError
from stripe_client import early_fraud_warnings as stripe_warnings
from stripe_client.gateway import Gateway
from stripe_client.outcomes import WarningAnswer


def apply_warning_event(db: Database, stripe: Gateway, event: InboxEvent, payment: Payment) -> str:
    """Returns a word about what was decided.

    Raises:
        TryAgain: the capture is not recorded yet; the charge is settled first.
        GiveUp: the event names no warning.
        Verdict: Stripe did not answer.
    """
    subject: dict[str, Any] = event.payload.get("data", {}).get("object", {})
    if event.object_id is None or subject.get("object") != "radar.early_fraud_warning":
        raise GiveUp(f"event {event.event_id} of type {event.event_type} names no warning; look at it at Stripe")
    with db.transaction(payment.tenant_id) as tx:
        if refunds.captured(tx, payment.payment_id) is None:
            raise TryAgain("Stripe warns of what is not recorded as captured yet")
    warning = stripe_warnings.retrieve(stripe, event.object_id)
    with db.transaction(payment.tenant_id) as tx:
        current = payments.lock(tx, payment.payment_id)
        assert current is not None, "payments are never deleted, and this one was read a moment ago"
        word = _settle(tx, current, warning)
        crash_point("early_warning.before_commit")
    return word


def _settle(tx: Tx, payment: Payment, warning: WarningAnswer) -> str:
    if fraud_warnings.get(tx, warning.warning_id) is not None:
        return KNOWN
    decided = _decide(tx, payment, warning)
    fraud_warnings.record(tx, decided)
    logger.warning("early fraud warning ({}): {}, {}", warning.fraud_type, decided.decision, decided.because)
    return f"warning: {decided.decision}"


def _decide(tx: Tx, payment: Payment, warning: WarningAnswer) -> EarlyWarning:
    money = refunds.captured(tx, payment.payment_id)
    assert money is not None, "it was captured a moment ago, and stays so"
    if disputes.of_payment(tx, payment.payment_id):
        return _decided(payment, warning, "nothing", "the payment is disputed already")
    if not money.left.minor:
        return _decided(payment, warning, "nothing", "the payment is given back already, or on its way")
    if not warning.actionable:
        return _decided(payment, warning, "nothing", "Stripe says that it is too late to act on")
    if fraud_warnings.policy(tx, payment.payment_id) == "leave":
        return _decided(payment, warning, "leave", "the venue's policy is to leave the payment")
    return _refund(tx, payment, warning)


def _refund(tx: Tx, payment: Payment, warning: WarningAnswer) -> EarlyWarning:
    try:
        answer = request_refund(
            tx,
            payment_id=payment.payment_id,
            reason="early_fraud_warning",
            note=f"the card's bank warned of fraud: {warning.fraud_type}",
            source="early_fraud_warning",
            request_key=f"early_fraud_warning:{warning.warning_id}",
            by="early_warning",
        )
    except RefusedError as refusal:
        return _decided(payment, warning, "nothing", str(refusal))
    assert answer.refund is not None, "something was captured and is left, so there is a refund"
    return _decided(payment, warning, "refund", "the venue's policy is to refund", answer.refund.refund_id)


def _decided(
    payment: Payment, warning: WarningAnswer, decision: str, because: str, refund_id: Any = None
) -> EarlyWarning:
    return EarlyWarning(
        warning_id=warning.warning_id,
        payment_id=payment.payment_id,
        charge_id=warning.charge_id,
        fraud_type=warning.fraud_type,
        actionable=warning.actionable,
        decision=decision,
        because=because,
        refund_id=refund_id,
        warned_at=warning.warned_at,
    )
