"""The replay check of a share: what is still open of it, from its row. Reads only."""

from db.session import Database
from db.shares import shares
from db.shares.states import ShareState
from messages.shares import ShareDue
from workers.rules import replay_shares
from workers.rules.replay_check import ReplayCheck


def share(msg: ShareDue, db: Database) -> ReplayCheck:
    """Always safe: measuring a share again moves only what is still open, which is the amount that is shown."""
    with db.transaction(msg.tenant_id) as tx:
        row = shares.lock(tx, msg.share_id)
    if row is None:
        return replay_shares.check_share(known=False, settled=False, gap=None)
    return replay_shares.check_share(known=True, settled=row.state is ShareState.SETTLED, gap=row.gap)
