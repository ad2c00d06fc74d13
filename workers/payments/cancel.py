"""cancel: claim -> ask Stripe -> record. Carries out the cancellation that was requested for a payment.

A payment that never reached Stripe is canceled at once. While its charge is under way nothing is sent: whoever settles
the charge appends this message again, or refunds what was taken (workers/payments/settlement.py). An intent that Stripe
will not cancel is read, and the payment follows it. A second delivery finds the payment settled.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from loguru import logger

from db import stripe_calls
from db.payments import payments
from db.payments.payments import Payment
from db.payments.states import PaymentState
from db.session import Database, Tx
from db.stripe_calls import StripeCall
from messages.refunds import CancelRequested
from messages.runtime.crash_points import crash_point
from messages.verdicts import GiveUp
from stripe_client import payment_intents
from stripe_client.gateway import Gateway
from stripe_client.outcomes import Canceled, Charged, Processing, Refused, Settled, Unanswered
from workers.payments.settlement import cancel_unsent, settle
from workers.runtime.actor import actor
from workers.runtime.unknown_outcomes import NotDone, Question, ask

# Nothing at Stripe to cancel: not yet, or not any more.
_NOTHING_TO_SEND = frozenset({PaymentState.CHARGING, PaymentState.SUCCEEDED, PaymentState.CANCELED})


@dataclass(frozen=True, slots=True)
class _Claim:
    payment: Payment
    intent_id: str
    call: StripeCall


@actor(CancelRequested)
def cancel(msg: CancelRequested, db: Database, stripe: Gateway) -> None:
    """Carry out the cancellation that is stored on the payment.

    Raises:
        GiveUp: there is no such payment, or its cancellation was never requested.
        TryAgain, TryLater: as `ask`; the payment stays as it is, and the call unknown (M13).
    """
    claim = _claim(db, msg)
    if claim is None:
        return
    read = partial(_read, db, stripe, claim)
    question = Question[Settled | Refused](partial(_send, stripe, claim, read), read)
    outcome = ask("cancel", db, msg.tenant_id, claim.call, question)
    with db.transaction(msg.tenant_id) as tx:
        current = payments.lock(tx, msg.payment_id)
        assert current is not None, "payments are never deleted, and this one was read a moment ago"
        if isinstance(outcome, Canceled):
            stripe_calls.settle(
                tx, claim.call, answer="Canceled", object_id=outcome.intent_id, request_id=outcome.request_id
            )
        settle(tx, current, outcome, by="cancel")
        crash_point("cancel.before_commit")
    crash_point("cancel.after_commit")


def _claim(db: Database, msg: CancelRequested) -> _Claim | None:
    """Write down the call that cancels; None when nothing is to be sent: canceled here at once, settled, or being
    charged.
    """
    with db.transaction(msg.tenant_id) as tx:
        payment = payments.lock(tx, msg.payment_id)
        if payment is None:
            raise GiveUp(f"tenant {msg.tenant_id} has no payment {msg.payment_id}")
        if payment.cancel_reason is None:
            raise GiveUp(f"nobody asked to cancel payment {msg.payment_id}")
        if payment.state in _NOTHING_TO_SEND:
            return None
        if payment.payment_intent_id is None:
            cancel_unsent(tx, payment, by="cancel")
            return None
        return _Claim(payment, payment.payment_intent_id, _begin(tx, payment))


def _begin(tx: Tx, payment: Payment) -> StripeCall:
    body = payment_intents.cancellation(payment.cancel_reason or "")
    return stripe_calls.begin(tx, operation=payment_intents.CANCEL, subject_id=payment.payment_id, request=body)


def _send(
    stripe: Gateway, claim: _Claim, read: Callable[[], Settled | NotDone], *, idempotency_key: str, send_before: float
) -> Settled | Refused | NotDone:
    """Cancel, or read at once what stands in the way of it: cancelling twice is harmless."""
    outcome = payment_intents.cancel(
        stripe, claim.intent_id, claim.call.request, idempotency_key=idempotency_key, send_before=send_before
    )
    return read() if isinstance(outcome, Unanswered) else outcome


def _read(db: Database, stripe: Gateway, claim: _Claim) -> Settled | NotDone:
    """How the intent stands; an open intent is its own proof that nothing happened."""
    outcome = payment_intents.retrieve(stripe, claim.intent_id)
    if isinstance(outcome, Canceled | Charged):
        return outcome
    proof = f"the intent is still {type(outcome).__name__}"
    if not isinstance(outcome, Processing):
        return NotDone(proof)
    # The bank is at work on it and nobody can stop it; whoever settles it sees that it is to be cancelled.
    with db.transaction(claim.payment.tenant_id) as tx:
        stripe_calls.prove_absent(tx, claim.call, proof=proof)
    logger.info("payment is processing at the bank: it will be canceled or refunded afterwards")
    return outcome
