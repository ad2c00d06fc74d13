"""What an answer of Stripe about a transfer or a reversal does, whoever brought it: `settle_transfer`,
`settle_netted`, `refuse_transfer`, `cancel_transfer`, `settle_reversal`, `settle_shortage`.

Each runs inside the caller's transaction with the row locked. The move, its journals and the next look at the shares
are written together; a fact that is known already changes nothing.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from loguru import logger

from db.ledger import journals as ledger
from db.ledger.journals import Journal
from db.session import Tx
from db.shares import booking as share_booking
from db.shares import shares
from db.shares.shares import Share
from db.transfers import reversals as transfer_reversals
from db.transfers import transfers
from db.transfers.reversals import Reversal
from db.transfers.states import ReversalState, TransferState
from db.transfers.transfers import Transfer
from messages.base import Message
from messages.ids import PaymentId, ShareId
from messages.money import Money
from messages.shares import ReversalRequested, ShareDue
from messages.verdicts import GiveUp
from outbox.append import append
from stripe_client.outcomes import Refused, ReversalAnswer, TransferAnswer
from workers.ledger.booking import Booking, book
from workers.ledger.conversion_and_fee import stripe_fee
from workers.shares.receivables import become_receivable

# Money that was not there comes with the next charges that settle.
LOOK_AGAIN = timedelta(hours=1)


def settle_transfer(tx: Tx, transfer: Transfer, answer: TransferAnswer, *, by: str) -> None:
    """The transfer was made: book it, and what of it paid a receivable.

    Raises:
        GiveUp: Stripe contradicts the database; a person must look.
    """
    if answer.amount != transfer.amount or answer.account_id != transfer.account_id or answer.balance is None:
        raise GiveUp(
            f"Stripe has {answer.stripe_transfer_id} over {answer.amount} to {answer.account_id}, the database "
            f"{transfer.amount} to {transfer.account_id}: look at both"
        )
    if transfers.move(
        tx,
        transfer.transfer_id,
        TransferState.PAID,
        by=by,
        stripe_id=answer.stripe_transfer_id,
        balance_transaction_id=answer.balance.balance_transaction_id,
    ):
        entries = share_booking.transfer_entries(transfer.owner, transfer.amount)
        journals = [Journal("transfer", answer.stripe_transfer_id, entries), *stripe_fee(answer.balance)]
        due = _shares_due(transfer, transfers.shares_of(tx, transfer.transfer_id))
        book(tx, transfer.payment_id, Booking([*journals, *_netting(transfer)], due))
        logger.info("transferred {}", transfer.amount, account_id=transfer.account_id)


def settle_netted(tx: Tx, transfer: Transfer, *, by: str) -> None:
    """The whole of it pays what the recipient owes: nothing is sent."""
    if transfers.move(tx, transfer.transfer_id, TransferState.PAID, by=by, reason="netted whole"):
        due = _shares_due(transfer, transfers.shares_of(tx, transfer.transfer_id))
        book(tx, transfer.payment_id, Booking(_netting(transfer), due))
        logger.info("netted {} against the recipient's receivable", transfer.netted, account_id=transfer.account_id)


def refuse_transfer(tx: Tx, transfer: Transfer, refusal: Refused, *, by: str) -> None:
    """Nothing was sent, and nothing will be under this key: its shares wait, and are measured again in an hour."""
    if not transfers.move(tx, transfer.transfer_id, TransferState.REFUSED, by=by, reason=refusal.code):
        return
    paid = transfers.shares_of(tx, transfer.transfer_id)
    for _, share_id in paid:
        shares.look(tx, share_id, waits_for=refusal.code)
    append(tx, *_shares_due(transfer, paid), not_before=datetime.now(UTC) + LOOK_AGAIN)
    logger.warning("Stripe refused the transfer of {}: {}", transfer.amount, refusal.sentence)


def cancel_transfer(tx: Tx, transfer: Transfer, *, reason: str, by: str) -> None:
    """It was not sent and is not wanted any more: its shares are measured again, and ask for another."""
    transfers.move(tx, transfer.transfer_id, TransferState.CANCELED, by=by, reason=reason)
    append(tx, *_shares_due(transfer, transfers.shares_of(tx, transfer.transfer_id)))


def settle_reversal(tx: Tx, reversal: Reversal, answer: ReversalAnswer, *, by: str) -> None:
    """The money is back with us.

    Raises:
        GiveUp: Stripe contradicts the database; a person must look.
    """
    if answer.amount != reversal.amount or answer.balance is None:
        raise GiveUp(
            f"Stripe has {answer.stripe_reversal_id} over {answer.amount}, we have {reversal.amount}: look at both"
        )
    if transfer_reversals.move(
        tx,
        reversal.reversal_id,
        ReversalState.REVERSED,
        by=by,
        stripe_id=answer.stripe_reversal_id,
        balance_transaction_id=answer.balance.balance_transaction_id,
    ):
        entries = ledger.mirror(share_booking.transfer_entries(reversal.owner, reversal.amount))
        journals = [Journal("transfer_reversal", answer.stripe_reversal_id, entries), *stripe_fee(answer.balance)]
        book(tx, reversal.payment_id, Booking(journals, [_reversed_share_due(reversal)]))
        logger.info("reversed {}", reversal.amount, account_id=reversal.account_id)


def settle_shortage(tx: Tx, reversal: Reversal, share: Share, refusal: Refused, available: Money, *, by: str) -> None:
    """The account has not got that much: what it has is asked for anew, and the rest is owed. The share is locked."""
    if not transfer_reversals.move(tx, reversal.reversal_id, ReversalState.SHORT, by=by, reason=refusal.code):
        return
    # An account that has enough, and yet has not, is not asked again.
    enough = available.minor >= reversal.amount_minor
    possible = Money(0 if enough else max(0, available.minor), reversal.currency)
    missing = reversal.amount - possible
    booking = become_receivable(tx, share, missing, reason="the account has not got that much")
    following: Message = _reversed_share_due(reversal)
    if possible.minor:
        smaller = transfer_reversals.request(tx, reversal.transfer_id, reversal.share_id, possible, by=by)
        following = ReversalRequested(tenant_id=reversal.tenant_id, reversal_id=smaller)
    book(tx, reversal.payment_id, booking + Booking(messages=[following]))


def _netting(transfer: Transfer) -> list[Journal]:
    if not transfer.netted_minor:
        return []
    entries = share_booking.netting_entries(transfer.owner, transfer.netted)
    return [Journal("netting", str(transfer.transfer_id), entries)]


def _shares_due(transfer: Transfer, paid: Sequence[tuple[PaymentId, ShareId]]) -> list[ShareDue]:
    return [
        ShareDue(tenant_id=transfer.tenant_id, payment_id=payment_id, share_id=share_id)
        for payment_id, share_id in paid
    ]


def _reversed_share_due(reversal: Reversal) -> ShareDue:
    return ShareDue(tenant_id=reversal.tenant_id, payment_id=reversal.payment_id, share_id=reversal.share_id)
