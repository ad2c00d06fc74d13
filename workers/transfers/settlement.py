"""What an answer of Stripe about a transfer or a reversal does to the book, whoever brought it.

Runs inside the caller's transaction with the row locked. The move, its journals and the next look at the shares are
written together; a fact that is known already changes nothing.
"""

from datetime import UTC, datetime, timedelta

from loguru import logger

from db import stripe_calls
from db.ledger import journals as ledger
from db.ledger.journals import Journal
from db.session import Tx
from db.shares import booking as share_booking
from db.shares import shares
from db.transfers import reversals as transfer_reversals
from db.transfers import transfers
from db.transfers.reversals import Reversal
from db.transfers.states import ReversalState, TransferState
from db.transfers.transfers import Transfer
from messages.ids import PaymentId, ShareId, TenantId
from messages.shares import ShareDue
from messages.verdicts import GiveUp
from outbox.append import append
from stripe_client.outcomes import Refused, ReversalAnswer, TransferAnswer
from stripe_client.transfers import CREATE, REVERSE
from workers.ledger.conversion_and_fee import stripe_fee

# Money that was not there comes with the next charges that settle.
LOOK_AGAIN = timedelta(hours=1)


def settle_transfer(tx: Tx, transfer: Transfer, answer: TransferAnswer, *, by: str) -> None:
    """The transfer was made: book it, and what of it paid a receivable.

    Raises:
        GiveUp: Stripe contradicts the book; a person must look.
    """
    if answer.amount != transfer.amount or answer.account_id != transfer.account_id or answer.balance is None:
        raise GiveUp(
            f"Stripe has {answer.stripe_transfer_id} over {answer.amount} to {answer.account_id}, the book "
            f"{transfer.amount} to {transfer.account_id}: look at both"
        )
    stripe_calls.settle_by_subject(
        tx, operation=CREATE, subject_id=transfer.transfer_id, answer="paid", object_id=answer.stripe_transfer_id
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
        ledger.post_together(tx, transfer.payment_id, [*journals, *_netting(transfer)])
        _look_at_shares(tx, transfer)
        logger.info("transferred {}", transfer.amount, account_id=transfer.account_id)


def settle_netted(tx: Tx, transfer: Transfer, *, by: str) -> None:
    """The whole of it pays what the recipient owes: nothing is sent."""
    if transfers.move(tx, transfer.transfer_id, TransferState.PAID, by=by, reason="netted whole"):
        ledger.post_together(tx, transfer.payment_id, _netting(transfer))
        _look_at_shares(tx, transfer)
        logger.info("netted {} against the recipient's receivable", transfer.netted, account_id=transfer.account_id)


def refuse_transfer(tx: Tx, transfer: Transfer, refusal: Refused, *, by: str) -> None:
    """Nothing was sent, and nothing will be under this key: its shares wait, and are measured anew."""
    if not transfers.move(tx, transfer.transfer_id, TransferState.REFUSED, by=by, reason=refusal.code):
        return
    for payment_id, share_id in transfers.shares_of(tx, transfer.transfer_id):
        shares.look(tx, share_id, waits_for=refusal.code)
        append(tx, _due(transfer.tenant_id, payment_id, share_id), not_before=datetime.now(UTC) + LOOK_AGAIN)
    logger.warning("Stripe refused the transfer of {}: {}", transfer.amount, refusal.sentence)


def settle_reversal(tx: Tx, reversal: Reversal, answer: ReversalAnswer, *, by: str) -> None:
    """The money is back with us.

    Raises:
        GiveUp: Stripe contradicts the book; a person must look.
    """
    if answer.amount != reversal.amount or answer.balance is None:
        raise GiveUp(
            f"Stripe has {answer.stripe_reversal_id} over {answer.amount}, the book {reversal.amount}: look at both"
        )
    stripe_calls.settle_by_subject(
        tx, operation=REVERSE, subject_id=reversal.reversal_id, answer="reversed", object_id=answer.stripe_reversal_id
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
        ledger.post_together(tx, reversal.payment_id, journals)
        append(tx, _due(reversal.tenant_id, reversal.payment_id, reversal.share_id))
        logger.info("reversed {}", reversal.amount, account_id=reversal.account_id)


def _netting(transfer: Transfer) -> list[Journal]:
    if not transfer.netted_minor:
        return []
    entries = share_booking.netting_entries(transfer.owner, transfer.netted)
    return [Journal("netting", str(transfer.transfer_id), entries)]


def _look_at_shares(tx: Tx, transfer: Transfer) -> None:
    append(tx, *[_due(transfer.tenant_id, *one) for one in transfers.shares_of(tx, transfer.transfer_id)])


def _due(tenant_id: TenantId, payment_id: PaymentId, share_id: ShareId) -> ShareDue:
    return ShareDue(tenant_id=tenant_id, payment_id=payment_id, share_id=share_id)
