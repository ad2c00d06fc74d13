"""capture: claim -> ask Stripe -> record. Takes what an authorisation holds, wholly or in part, once.

An intent that Stripe will not capture is read, and the payment follows it: captured by another road, or expired. A
second delivery finds the payment captured and does nothing; the key and the amount are the same at every try.
"""

from functools import partial

from db import stripe_calls
from db.payments import payments
from db.payments.payments import Payment
from db.payments.states import PaymentState
from db.session import Database
from db.stripe_calls import StripeCall
from db.transfers import destination_charges as destination_rows
from messages.money import Money
from messages.refunds import CaptureRequested
from messages.runtime.crash_points import crash_point
from messages.verdicts import GiveUp
from stripe_client import payment_intents
from stripe_client.gateway import Gateway
from stripe_client.outcomes import Authorized, Refused, Settled
from workers.payments.settlement import settle
from workers.runtime.actor import actor
from workers.runtime.unknown_outcomes import NotDone, Question, ask
from workers.transfers import destination_charges


@actor(CaptureRequested)
def capture(msg: CaptureRequested, db: Database, stripe: Gateway) -> None:
    """Take the amount that is stored as requested from the card's authorisation.

    Raises:
        GiveUp: there is no such payment, or no capture of it was requested.
        TryLater: the rate limiter has no permit soon; asked before the claim, so nothing is written.
        TryAgain: as `ask`; the call stays unknown (M13).
    """
    stripe.reserve(payment_intents.FAMILY)
    claimed = _claim(db, msg)
    if claimed is None:
        return
    payment, intent_id, call = claimed
    question = Question[Settled | Refused](
        send=partial(payment_intents.capture, stripe, intent_id, call.request),
        look_up=partial(_look_up, stripe, intent_id),
    )
    outcome = ask("capture", db, payment.tenant_id, call, question)
    with db.transaction(msg.tenant_id) as tx:
        current = payments.lock(tx, msg.payment_id)
        assert current is not None, "payments are never deleted, and this one was read a moment ago"
        stripe_calls.settle(tx, call, answer=type(outcome).__name__, object_id=intent_id, request_id=outcome.request_id)
        settle(tx, current, outcome, by="capture", call_id=call.call_id)
        crash_point("capture.before_commit")
    crash_point("capture.after_commit")


def _claim(db: Database, msg: CaptureRequested) -> tuple[Payment, str, StripeCall] | None:
    """Write down what is to be captured; None when the payment is authorised no more.

    The first body stays at every try.

    Of a destination charge the application fee is computed anew, because it is kept of the amount that is captured.
    """
    with db.transaction(msg.tenant_id) as tx:
        payment = payments.lock(tx, msg.payment_id)
        if payment is None:
            raise GiveUp(f"tenant {msg.tenant_id} has no payment {msg.payment_id}")
        if payment.state is not PaymentState.AUTHORIZED:  # captured, canceled or expired meanwhile
            return None
        if payment.capture_requested_minor is None or payment.payment_intent_id is None:
            raise GiveUp(f"nobody asked to capture payment {msg.payment_id}")
        amount = Money(payment.capture_requested_minor, payment.currency)
        shared = destination_rows.is_asked_for(tx, payment.payment_id)
        body = payment_intents.capturing(
            amount, destination_charges.application_fee(tx, payment, amount) if shared else None
        )
        call = stripe_calls.begin(tx, operation=payment_intents.CAPTURE, subject_id=payment.payment_id, request=body)
        return payment, payment.payment_intent_id, call


def _look_up(stripe: Gateway, intent_id: str) -> Settled | NotDone:
    """How the intent stands. A capture can happen only once, so an intent that is still held proves that none did."""
    outcome = payment_intents.retrieve(stripe, intent_id)
    if isinstance(outcome, Authorized):
        return NotDone("the intent is still held, and nothing was captured")
    return outcome
