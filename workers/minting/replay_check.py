"""The replay check of messages about tokens: they only queue what is not queued yet. Reads only."""

from db.payments import payments
from db.session import Database
from messages.mints import MintRequested, MintRetryRequested
from workers.rules.replay_check import ReplayCheck, check_mint


def mint(msg: MintRequested | MintRetryRequested, db: Database) -> ReplayCheck:
    """Safe whenever the payment exists: a token that is queued is not queued twice."""
    with db.transaction(msg.tenant_id) as tx:
        return check_mint(payment_known=payments.get(tx, msg.payment_id) is not None)
