"""ops_escrow: take an operator's wish -> release the shares of a payment, or hold them -> write the answer beside it.

One transaction, no outside call. A second delivery finds the wish granted or refused. A person may release before the
event is over, or while nobody knows when it ends, and may let go what a person holds; not what is about to go back to
the buyer. An open dispute or refund keeps the released shares waiting all the same (workers/shares/share.py).
"""

from loguru import logger

from db.operators import release_requests
from db.operators.release_requests import EscrowRequest
from db.session import Database, Tx
from db.shares import escrow
from messages.runtime.crash_points import crash_point
from messages.shares import OpsEscrowDue
from messages.verdicts import GiveUp, TryAgain
from workers.ledger.booking import book
from workers.runtime.actor import actor
from workers.shares.release import release_from_escrow

BY = "ops_escrow"
GOING_BACK = {
    "cancellation": "the payment is to be cancelled, so its money goes back to the buyer",
    "group": "its group is not settled, so its money may still go back to those who paid",
    "cancelled_event": "the event is cancelled, so its money goes back to the buyer",
}


@actor(OpsEscrowDue)
def ops_escrow(msg: OpsEscrowDue, db: Database) -> None:
    with db.transaction(msg.tenant_id) as tx:
        wish = release_requests.get(tx, msg.wish_id, lock=True)
        if wish is None:
            raise GiveUp(f"tenant {msg.tenant_id} has no wish {msg.wish_id} about escrow")
        if wish.state != "asked":
            return
        why_not = _carry_out(tx, wish)
        release_requests.settle(tx, wish.wish_id, state="refused" if why_not else "granted", by=BY, reason=why_not)
        crash_point("ops_escrow.before_commit")
    if why_not:
        logger.warning("{} requested by {} was refused: {}", wish.what, wish.created_by, why_not)


def _carry_out(tx: Tx, wish: EscrowRequest) -> str | None:
    """Do what the wish says; returns why it cannot be done, None when it was.

    Raises:
        TryAgain: escrow itself is at this payment just now.
    """
    current = escrow.lock(tx, wish.payment_id)
    if current is None:
        known = escrow.of_payment(tx, wish.payment_id)
        if known is not None and known.released_at is None:
            raise TryAgain("somebody else is at the escrow of this payment")
        return "its shares have left escrow already"
    if wish.what == "hold":
        escrow.hold(tx, wish.payment_id, by=wish.created_by, because=wish.note)
        return None
    if current.kept_by in GOING_BACK:
        return GOING_BACK[current.kept_by]
    if current.held_minor > wish.amount_minor:
        return "more is in escrow now than was decided about; ask again"
    released = release_from_escrow(tx, wish.tenant_id, current, by=wish.created_by, because=wish.note)
    book(tx, wish.payment_id, released)
    return None
