"""refund_lookup: read -> retrieve from Stripe -> settle. For refunds that wait too long for the bank or their balance.

Reads only, and changes nothing at Stripe. A second delivery finds the refund where Stripe has it and changes nothing.
"""

from db.payments import payments
from db.refunds import refunds
from db.session import Database
from messages.refunds import RefundLookupRequested
from messages.verdicts import GiveUp
from stripe_client import refunds as stripe_refunds
from stripe_client.gateway import Gateway
from workers.refunds.settlement import settle_refund
from workers.runtime.actor import actor


@actor(RefundLookupRequested)
def refund_lookup(msg: RefundLookupRequested, db: Database, stripe: Gateway) -> None:
    """Read the refund at Stripe and settle what it says, its balance transaction included.

    Raises:
        GiveUp: there is no such refund, or as `settle_refund`.
    """
    with db.transaction(msg.tenant_id) as tx:
        refund = refunds.get(tx, msg.refund_id)
    if refund is None:
        raise GiveUp(f"tenant {msg.tenant_id} has no refund {msg.refund_id}")
    if refund.stripe_refund_id is None:  # nothing to look at: the refund actor owns this phase
        return
    answer = stripe_refunds.retrieve(stripe, refund.stripe_refund_id)
    with db.transaction(msg.tenant_id) as tx:
        payment = payments.lock(tx, refund.payment_id)
        assert payment is not None, "a refund names its payment, by foreign key"
        settle_refund(tx, payment, answer, by="lookup")
