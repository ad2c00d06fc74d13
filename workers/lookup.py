"""lookup: read -> ask Stripe -> apply. For payments that stand too long with the bank, the buyer, or half booked.

Asks only, and changes nothing at Stripe. A second delivery finds the payment where Stripe has it and changes nothing.
"""

from db import payments
from db.session import Database
from messages.payments import PaymentLookupRequested
from messages.verdicts import GiveUp
from stripe_client import payment_intents
from stripe_client.gateway import Gateway
from workers.actor import actor
from workers.settlement import settle_answer


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
