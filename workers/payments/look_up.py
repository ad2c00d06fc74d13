"""lookup: read -> retrieve from Stripe -> settle. For payments that wait too long for the bank, the buyer or their fee.

Reads only, and changes nothing at Stripe; but when the buyer has not completed 3-D Secure for too long, a cancellation
is requested. A second delivery finds the payment where Stripe has it and changes nothing.
"""

from db.payments import payments
from db.payments.payments import Payment
from db.payments.states import PaymentState
from db.session import Database, Tx
from messages.payments import PaymentLookupRequested
from messages.verdicts import GiveUp
from outbox.requests.cancellations import request_cancellation
from stripe_client import payment_intents
from stripe_client.gateway import Gateway
from workers.payments.settlement import settle_answer
from workers.runtime.actor import actor
from workers.runtime.settings import SweepSettings


@actor(PaymentLookupRequested)
def lookup(msg: PaymentLookupRequested, db: Database, stripe: Gateway) -> None:
    with db.transaction(msg.tenant_id) as tx:
        payment = payments.get(tx, msg.payment_id)
    if payment is None:
        raise GiveUp(f"tenant {msg.tenant_id} has no payment {msg.payment_id}")
    if payment.payment_intent_id is None:  # nothing to look at: the charge actor owns this phase
        return
    outcome = payment_intents.retrieve(stripe, payment.payment_intent_id)
    with db.transaction(msg.tenant_id) as tx:
        settle_answer(tx, payment, outcome, by="lookup")
        _cancel_abandoned(tx, payment)


def _cancel_abandoned(tx: Tx, payment: Payment) -> None:
    current = payments.lock(tx, payment.payment_id)
    assert current is not None, "payments are never deleted, and this one was read a moment ago"
    if current.state is not PaymentState.REQUIRES_ACTION or current.cancel_reason is not None:
        return
    if current.seconds_in_state > SweepSettings().authentication_timeout_seconds:
        request_cancellation(tx, current, reason="abandoned", by="lookup")
