"""share: measure the gap -> ask for one movement -> or settle.

One transaction, no call: what a share is owed is compared with what reached its recipient. A gap that is to be paid
becomes a transfer (less what the recipient owes us, which is netted), one that is to come back a reversal, or a
receivable when nothing of it can be reversed. One movement of a share at a time: its end measures again, so it never
matters in which order refunds, disputes and transfers come. A second delivery measures again and finds no gap.
"""

from loguru import logger

from db.ledger import journals as ledger
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
from outbox.append import append
from workers.rules.payability import PayabilityFacts, waits_for
from workers.runtime.actor import actor

BY = "share"


@actor(ShareDue)
def share(msg: ShareDue, db: Database) -> None:
    with db.transaction(msg.tenant_id) as tx:
        current = shares.lock(tx, msg.share_id)
        if current is None:
            raise GiveUp(f"tenant {msg.tenant_id} has no share {msg.share_id}")
        if not current.moving:
            _close_the_gap(tx, current)
        crash_point("share.before_commit")


def _close_the_gap(tx: Tx, current: Share) -> None:
    """A share in escrow waits, unless everything of it was given back; one that was released follows its gap."""
    gap = current.gap.minor
    if not current.released:
        if current.state is ShareState.HELD and not gap:
            shares.move(tx, current, ShareState.SETTLED, by=BY, reason="everything was given back")
        elif current.state is ShareState.SETTLED and gap:
            shares.move(tx, current, ShareState.HELD, by=BY, reason="it is owed again")
        return
    if not gap:
        _settle(tx, current)
        return
    if current.state is ShareState.SETTLED:
        shares.move(tx, current, ShareState.RELEASED, by=BY, reason="it is owed" if gap > 0 else "it is to come back")
    if gap > 0:
        _pay(tx, current, recipients.get(tx, current.recipient_id))
    else:
        _take_back(tx, current, Money(-gap, current.currency))


def _settle(tx: Tx, current: Share) -> None:
    if shares.move(tx, current, ShareState.SETTLED, by=BY):
        append(
            tx,
            ShareSettled(
                tenant_id=current.tenant_id,
                payment_id=current.payment_id,
                order_id=current.order_id,
                share_id=current.share_id,
                recipient_id=current.recipient_id,
                amount=Money(current.reached_minor, current.currency),
            ),
        )


def _pay(tx: Tx, current: Share, recipient: Recipient) -> None:
    here = shares.obstacles(tx, current.payment_id)
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
    if (
        current.mode == "destination"
        and current.basis == "venue"
        and destination_charges.of_payment(tx, current.payment_id) is None
    ):
        obstacle = obstacle or "booking"  # it was sent with the charge, and Stripe has not shown it yet
    shares.look(tx, current.share_id, waits_for=obstacle)
    if obstacle is not None or recipient.account_id is None:
        return
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
    append(tx, TransferRequested(tenant_id=current.tenant_id, transfer_id=transfer_id))


def _source(current: Share, here: Obstacles, amount: Money) -> str | None:
    """The charge that pays, or None: what is available does.

    A destination charge has sent the whole of itself already. Of any other no more can be drawn than was captured, and
    a reversal gives nothing of that back: what is paid again after a loss that was won comes out of the balance.
    """
    enough = current.mode == "separate" and here.left_of_charge_minor >= amount.minor
    return here.charge_id if enough else None


def _take_back(tx: Tx, current: Share, wanted: Money) -> None:
    if current.mode == "destination" and shares.obstacles(tx, current.payment_id).open_refund:
        shares.look(tx, current.share_id, waits_for="refund")  # Stripe takes its part of the venue with the refund
        return
    for sent in transfers.reversible(tx, current.share_id):
        amount = Money(min(wanted.minor, sent.reversible.minor), wanted.currency)
        reversal_id = transfer_reversals.request(tx, sent.transfer_id, current.share_id, amount, by=BY)
        append(tx, ReversalRequested(tenant_id=current.tenant_id, reversal_id=reversal_id))
        shares.look(tx, current.share_id, waits_for=None)
        return
    become_receivable(tx, current, wanted, reason="nothing of its transfers is left to take back")
    append(tx, ShareDue(tenant_id=current.tenant_id, payment_id=current.payment_id, share_id=current.share_id))


def become_receivable(tx: Tx, current: Share, missing: Money, *, reason: str) -> None:
    """What cannot come back is owed by the recipient, and kept from its next transfers."""
    receivable_id = shares.owe(tx, current.share_id, missing, reason=reason)
    ledger.post(
        tx,
        kind="receivable",
        source_id=str(receivable_id),
        payment_id=current.payment_id,
        entries=share_booking.receivable_entries(current.owner, missing),
    )
    logger.warning("recipient owes {}: {}", missing, reason, recipient_id=current.recipient_id)
