"""dispute_lookup: read -> retrieve from Stripe -> settle. For disputes not read for a day, or booked in part.

Reads only, and changes nothing at Stripe. A second delivery finds the dispute where Stripe has it and changes nothing.
"""

from db.payments import payments
from db.session import Database
from messages.disputes import DisputeLookupRequested
from messages.verdicts import GiveUp
from stripe_client.gateway import Gateway
from workers.disputes.settlement import look_at
from workers.runtime.actor import actor


@actor(DisputeLookupRequested)
def dispute_lookup(msg: DisputeLookupRequested, db: Database, stripe: Gateway) -> None:
    """Read the dispute at Stripe and bring ours to where it is.

    Raises:
        GiveUp: there is no such payment.
        Verdict: as `look_at`.
    """
    with db.transaction(msg.tenant_id) as tx:
        payment = payments.get(tx, msg.payment_id)
    if payment is None:
        raise GiveUp(f"tenant {msg.tenant_id} has no payment {msg.payment_id}")
    look_at(db, stripe, payment, msg.dispute_id, by="lookup")
