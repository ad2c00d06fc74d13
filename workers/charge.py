"""charge: claim -> Stripe -> record.

Claim writes down what we are about to ask (the call, its key and its body) before anything is sent. Record moves the
payment, posts the journal and appends what follows, in one transaction. A second delivery finds the payment settled and
does nothing, or finds the call unanswered and repeats it with the same key and the same body; once that key may be
forgotten by Stripe, it looks before it sends (M1, M13).
"""

import time

from db import calls, payments
from db.calls import KEY_LIFE_SECONDS, Call
from db.lifecycle import PaymentState
from db.payments import Payment
from db.session import Database
from messages import trace
from messages.crash_points import crash_point
from messages.payments import ChargeRequested
from messages.verdicts import GiveUp, TryAgain, TryLater
from stripe_client import payment_intents
from stripe_client.gateway import Gateway
from stripe_client.outcomes import Absent, Charged, PaymentOutcome, Unanswered
from workers.actor import actor
from workers.rules import fees
from workers.settlement import settle

# An object that Stripe rolled forward late must have had time to show up in the list before we call it absent.
SURELY_VISIBLE_SECONDS = 24 * 3_600
LOOK_AGAIN_SECONDS = 3_600


@actor(ChargeRequested)
def charge(msg: ChargeRequested, db: Database, stripe: Gateway) -> None:
    stripe.reserve(payment_intents.FAMILY)  # a charge that must wait its turn waits before it is claimed
    claimed = _claim(db, msg)
    if claimed is None:  # an earlier delivery, or a webhook, settled it
        return
    payment, call = claimed
    crash_point("charge.before_call")
    outcome = _look_up(stripe, db, payment, call) if call.must_look_up else _send(stripe, call)
    crash_point("charge.after_call")
    if isinstance(outcome, Unanswered):
        _leave_unknown(db, payment, call, outcome)
        return
    with db.transaction(payment.tenant_id) as tx:
        current = payments.lock(tx, payment.payment_id)
        assert current is not None, "payments are never deleted, and this one was read a moment ago"
        calls.settle(
            tx,
            call,
            answer=type(outcome).__name__,
            object_id=getattr(outcome, "intent_id", None),
            request_id=outcome.request_id,
        )
        # When a webhook moved the payment meanwhile, our answer is the older one; only a capture is never old.
        if current.state is PaymentState.CHARGING or isinstance(outcome, Charged):
            settle(tx, current, outcome, by="charge", call_id=call.call_id)
        crash_point("charge.before_commit")
    crash_point("charge.after_commit")


def _claim(db: Database, msg: ChargeRequested) -> tuple[Payment, Call] | None:
    """Write down that we are about to act; None when nothing is left to do."""
    with db.transaction(msg.tenant_id) as tx:
        payment = payments.lock(tx, msg.payment_id)
        if payment is None:
            raise GiveUp(f"tenant {msg.tenant_id} has no payment {msg.payment_id}")
        if payment.state not in {PaymentState.REQUESTED, PaymentState.CHARGING}:
            return None
        if payment.state is PaymentState.REQUESTED:
            fee = fees.platform_fee(payment.amount, payment.plan)
            payments.begin_charging(tx, payment.payment_id, platform_fee_minor=fee.minor, by="charge")
        return payment, calls.begin(
            tx, operation=payment_intents.CREATE, subject_id=payment.payment_id, request=_body(payment)
        )


def _body(payment: Payment) -> dict[str, object]:
    return payment_intents.creation(
        tenant_id=payment.tenant_id,
        order_id=payment.order_id,
        payment_id=payment.payment_id,
        amount=payment.amount,
        payment_method_id=payment.payment_method_id,
        customer_id=payment.customer_id,
        capture=payment.capture,
        trace_id=trace.current(),
    )


def _send(stripe: Gateway, call: Call) -> PaymentOutcome:
    return payment_intents.create(
        stripe,
        call.request,
        idempotency_key=call.idempotency_key,
        send_before=time.monotonic() + KEY_LIFE_SECONDS - call.age_seconds,
    )


def _look_up(stripe: Gateway, db: Database, payment: Payment, call: Call) -> PaymentOutcome:
    """Ask Stripe what became of the call. Only a proof of absence opens the next generation.

    Raises:
        TryLater: absent so far, but something may still show up.
        TryAgain: proved absent; the next delivery sends with a fresh key.
    """
    found = payment_intents.find(
        stripe, payment.payment_id, customer_id=payment.customer_id, since_epoch=call.first_sent_epoch
    )
    if not isinstance(found, Absent):
        return found
    if call.seconds_since_last_send < SURELY_VISIBLE_SECONDS:
        left = SURELY_VISIBLE_SECONDS - call.seconds_since_last_send
        raise TryLater("Stripe lists no such intent, but it may still appear", seconds=min(LOOK_AGAIN_SECONDS, left))
    with db.transaction(payment.tenant_id) as tx:
        calls.prove_absent(tx, call, proof=found.proof)
    raise TryAgain(f"proved absent, the next try uses a fresh key: {found.proof}")


def _leave_unknown(db: Database, payment: Payment, call: Call, outcome: Unanswered) -> None:
    """Nothing is guessed: the call stays unknown, and the retry asks again (same key), or looks first (spent key)."""
    if outcome.key_is_spent:
        with db.transaction(payment.tenant_id) as tx:
            calls.require_lookup(tx, call, answer=outcome.reason)
    raise TryAgain(outcome.reason)
