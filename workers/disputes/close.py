"""dispute_close: accept a dispute as an operator decided, once (workers/disputes/answer.py tells how)."""

from db.session import Database
from messages.disputes import DisputeCloseRequested
from stripe_client import disputes as stripe_disputes
from stripe_client.gateway import Gateway
from workers.disputes.answer import StripeAction, carry_out
from workers.runtime.actor import actor

ACCEPT = StripeAction("accept", stripe_disputes.CLOSE, lambda _dispute: {}, stripe_disputes.close)


@actor(DisputeCloseRequested)
def dispute_close(msg: DisputeCloseRequested, db: Database, stripe: Gateway) -> None:
    carry_out(msg, ACCEPT, db, stripe)
