"""share: measure the gap -> ask for one movement, or settle. Here is decided when a share is paid.

One transaction, and no call: what a share is owed is compared with what has reached its recipient. A gap that is to be
paid becomes a transfer (less what the recipient owes us, which is netted), as soon as nothing stands in the way
(workers/rules/payability.py). One that is to come back becomes a reversal, or a receivable when nothing of it can be
reversed. One movement of a share at a time: its end measures again, so the order in which refunds, disputes and
transfers come does not matter. A second delivery measures again and finds no gap.
"""

from db.session import Database, Tx
from db.shares import booking as share_booking
from db.shares import shares
from db.shares.shares import Obstacles, Share
from db.shares.states import ShareState
from db.transfers import destination_charges, recipients, transfers
from db.transfers import reversals as transfer_reversals
from db.transfers.recipients import Recipient
from db.transfers.transfers import NewTransfer
from messages.money import Money
from messages.runtime.crash_points import crash_point
from messages.shares import ReversalRequested, ShareDue, ShareSettled, TransferRequested
from messages.verdicts import GiveUp
from workers.ledger.booking import NOTHING, Booking, book
from workers.rules.payability import PayabilityFacts, waits_for
from workers.runtime.actor import actor
from workers.shares.receivables import become_receivable

BY = "share"


@actor(ShareDue)
def share(msg: ShareDue, db: Database) -> None:
    """Close the share's gap by one movement, or settle it; a share with a movement under way is left to that.

    Raises:
        GiveUp: there is no such share.
    """
    with db.transaction(msg.tenant_id) as tx:
        current = shares.lock(tx, msg.share_id)
        if current is None:
            raise GiveUp(f"tenant {msg.tenant_id} has no share {msg.share_id}")
        if not current.moving:
            book(tx, current.payment_id, _close_the_gap(tx, current))
        crash_point("share.before_commit")


def _close_the_gap(tx: Tx, current: Share) -> Booking:
    """A share in escrow waits, unless everything of it was given back; one that was released follows its gap."""
    gap = current.gap.minor
    if not current.released:
        if current.state is ShareState.HELD and not gap:
            shares.move(tx, current, ShareState.SETTLED, by=BY, reason="everything was given back")
        elif current.state is ShareState.SETTLED and gap:
            shares.move(tx, current, ShareState.HELD, by=BY, reason="it is owed again")
        return NOTHING
    if not gap:
        return _settle(tx, current)
    if current.state is ShareState.SETTLED:
        shares.move(tx, current, ShareState.RELEASED, by=BY, reason="it is owed" if gap > 0 else "it is to come back")
    if gap > 0:
        return _pay(tx, current, recipients.get(tx, current.recipient_id))
    return _claw_back(tx, current, Money(-gap, current.currency))


def _settle(tx: Tx, current: Share) -> Booking:
    """The gap is closed: settled, and published, once for each time that it becomes settled."""
    if not shares.move(tx, current, ShareState.SETTLED, by=BY):
        return NOTHING
    settled = ShareSettled(
        tenant_id=current.tenant_id,
        payment_id=current.payment_id,
        order_id=current.order_id,
        share_id=current.share_id,
        recipient_id=current.recipient_id,
        amount=Money(current.reached_minor, current.currency),
    )
    return Booking(messages=[settled])


def _pay(tx: Tx, current: Share, recipient: Recipient) -> Booking:
    """Ask for a transfer of the whole gap, or write down what the share waits for."""
    here = shares.obstacles(tx, current.payment_id)
    obstacle = _obstacle(tx, current, recipient, here)
    shares.look(tx, current.share_id, waits_for=obstacle)
    if obstacle is not None or recipient.account_id is None:
        return NOTHING
    owed = share_booking.owed_by(tx, recipient.recipient_id, current.currency)
    netted = Money(min(owed.minor, current.gap.minor), current.currency)
    transfer_id = transfers.request(
        tx,
        NewTransfer(
            recipient_id=recipient.recipient_id,
            account_id=recipient.account_id,
            kind="share",
            payment_id=current.payment_id,
            charge_id=_source(current, here, current.gap - netted),
            transfer_group=str(current.order_id),
            lines=[(current.share_id, current.gap)],
            netted=netted,
        ),
        by=BY,
    )
    return Booking(messages=[TransferRequested(tenant_id=current.tenant_id, transfer_id=transfer_id)])


def _obstacle(tx: Tx, current: Share, recipient: Recipient, here: Obstacles) -> str | None:
    obstacle = waits_for(
        PayabilityFacts(
            account_id=recipient.account_id,
            transfers=recipient.transfers,
            settlement=recipient.settlement,
            currency=current.currency,
            settled_currency=here.balance_currency,
            open_dispute=here.open_dispute,
            open_refund=here.open_refund,
        )
    )
    with_charge = current.mode == "destination" and current.basis == "venue"
    if with_charge and destination_charges.of_payment(tx, current.payment_id) is None:
        return obstacle or "booking"  # it was sent with the charge, and Stripe has not shown it yet
    return obstacle


def _source(current: Share, here: Obstacles, amount: Money) -> str | None:
    """The charge that pays, or None: what is available does.

    A destination charge has sent the whole of itself already. Of any other no more can be drawn than was captured, and
    a reversal gives nothing of that back: what is paid again after a loss that was won comes out of the balance.
    """
    enough = current.mode == "separate" and here.left_of_charge_minor >= amount.minor
    return here.charge_id if enough else None


def _claw_back(tx: Tx, current: Share, wanted: Money) -> Booking:
    """Take back from the youngest transfer that has anything left; without one, the rest becomes a receivable at once.

    A destination charge with an open refund waits: Stripe takes the venue's part back with the refund itself.
    """
    if current.mode == "destination" and shares.obstacles(tx, current.payment_id).open_refund:
        shares.look(tx, current.share_id, waits_for="refund")  # Stripe takes its part of the venue with the refund
        return NOTHING
    for sent in transfers.reversible(tx, current.share_id):
        amount = Money(min(wanted.minor, sent.reversible.minor), wanted.currency)
        reversal_id = transfer_reversals.request(tx, sent.transfer_id, current.share_id, amount, by=BY)
        shares.look(tx, current.share_id, waits_for=None)
        return Booking(messages=[ReversalRequested(tenant_id=current.tenant_id, reversal_id=reversal_id)])
    due = ShareDue(tenant_id=current.tenant_id, payment_id=current.payment_id, share_id=current.share_id)
    owed = become_receivable(tx, current, wanted, reason="nothing of its transfers is left to take back")
    return owed + Booking(messages=[due])
