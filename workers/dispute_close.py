"""dispute_close: accept a dispute as an operator decided, once (workers/dispute_answer.py tells how)."""

from db.session import Database
from messages.disputes import DisputeCloseRequested
from stripe_client import disputes as stripe_disputes
from stripe_client.gateway import Gateway
from workers.actor import actor
from workers.dispute_answer import Deed, carry_out

ACCEPT = Deed("accept", stripe_disputes.CLOSE, lambda _dispute: {}, stripe_disputes.close)


@actor(DisputeCloseRequested)
def dispute_close(msg: DisputeCloseRequested, db: Database, stripe: Gateway) -> None:
    carry_out(msg, ACCEPT, db, stripe)
