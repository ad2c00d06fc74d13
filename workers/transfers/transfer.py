"""transfer: claim -> ask Stripe -> record. Pays a recipient its share, or the shares of a week.

As charge: the call, its key and its body are written down before anything is sent. A second delivery finds the
transfer made and does nothing, or repeats the unanswered call with the same key and body; once that key may be
forgotten it looks among the transfers to that account before it sends (workers/runtime/unknown_outcomes.py; M13). What
was clawed back meanwhile cancels a transfer that was not sent yet; its shares are measured anew.
"""

from functools import partial

from db import stripe_calls
from db.session import Database, Tx
from db.shares import shares
from db.stripe_calls import StripeCall
from db.transfers import transfers
from db.transfers.states import TransferState
from db.transfers.transfers import Transfer
from messages.runtime import trace
from messages.runtime.crash_points import crash_point
from messages.shares import AccountLookupRequested, TransferRequested
from messages.verdicts import GiveUp
from outbox.append import append
from stripe_client import transfers as stripe_transfers
from stripe_client.gateway import Gateway
from stripe_client.outcomes import Refused, TransferAnswer
from workers.runtime.actor import actor
from workers.runtime.unknown_outcomes import Question, ask
from workers.transfers.settlement import cancel_transfer, refuse_transfer, settle_netted, settle_transfer

BY = "transfer"
_NOT_THE_ACCOUNTS_FAULT = frozenset({"balance_insufficient", "amount_exceeds_charge"})


@actor(TransferRequested)
def transfer(msg: TransferRequested, db: Database, stripe: Gateway) -> None:
    """Send a requested transfer to Stripe, once; one that was netted whole is settled without a call.

    Raises:
        GiveUp: there is no such transfer.
        TryLater: the rate limiter has no permit soon, and nothing is written; or Stripe may still show the transfer.
        TryAgain: as `ask`; the call stays unknown (M13).
    """
    stripe.reserve(stripe_transfers.FAMILY)
    claimed = _claim(db, msg)
    if claimed is None:  # an earlier delivery settled it, or nothing has to be sent
        return
    wanted, call = claimed
    question = Question[TransferAnswer | Refused](
        send=partial(stripe_transfers.create, stripe, call.request),
        look_up=partial(
            stripe_transfers.find,
            stripe,
            wanted.transfer_id,
            account_id=wanted.account_id,
            since_epoch=call.first_sent_epoch,
        ),
    )
    outcome = ask("transfer", db, wanted.tenant_id, call, question)
    _record(db, wanted, call, outcome)
    crash_point("transfer.after_commit")


def _claim(db: Database, msg: TransferRequested) -> tuple[Transfer, StripeCall] | None:
    """Write down that we are about to act; None when nothing is left to do."""
    with db.transaction(msg.tenant_id) as tx:
        wanted = transfers.lock(tx, msg.transfer_id)
        if wanted is None:
            raise GiveUp(f"tenant {msg.tenant_id} has no transfer {msg.transfer_id}")
        if wanted.state not in {TransferState.REQUESTED, TransferState.SENDING}:
            return None
        if wanted.state is TransferState.REQUESTED:
            if _is_too_much(tx, wanted):
                cancel_transfer(tx, wanted, reason="less is owed now", by=BY)
                return None
            if not wanted.amount_minor:
                settle_netted(tx, wanted, by=BY)
                return None
            transfers.move(tx, wanted.transfer_id, TransferState.SENDING, by=BY)
        body = stripe_transfers.creation(
            tenant_id=wanted.tenant_id,
            transfer_id=wanted.transfer_id,
            account_id=wanted.account_id,
            amount=wanted.amount,
            charge_id=wanted.charge_id,
            transfer_group=wanted.transfer_group,
            traced=trace.for_others(),
        )
        return wanted, stripe_calls.begin(
            tx, operation=stripe_transfers.CREATE, subject_id=wanted.transfer_id, request=body
        )


def _is_too_much(tx: Tx, wanted: Transfer) -> bool:
    """A refund took of a share since this was requested."""
    paid = transfers.shares_of(tx, wanted.transfer_id)
    cut = {
        share.share_id: share
        for payment_id in {payment_id for payment_id, _ in paid}
        for share in shares.of_payment(tx, payment_id)
    }
    return any(cut[share_id].gap.minor < 0 for _, share_id in paid)


def _record(db: Database, wanted: Transfer, call: StripeCall, outcome: TransferAnswer | Refused) -> None:
    """Store the answer and settle the transfer; a refusal that the account may have caused has the account
    looked up.
    """
    with db.transaction(wanted.tenant_id) as tx:
        current = transfers.lock(tx, wanted.transfer_id)
        assert current is not None, "transfers are never deleted, and this one was read a moment ago"
        stripe_calls.settle(
            tx,
            call,
            answer=outcome.code if isinstance(outcome, Refused) else "paid",
            object_id=None if isinstance(outcome, Refused) else outcome.stripe_transfer_id,
            request_id=outcome.request_id,
        )
        if isinstance(outcome, Refused):
            refuse_transfer(tx, current, outcome, by=BY)
        else:
            settle_transfer(tx, current, outcome, by=BY)
        crash_point("transfer.before_commit")
    if isinstance(outcome, Refused) and outcome.code not in _NOT_THE_ACCOUNTS_FAULT:
        _look_up_account(db, wanted.account_id)


def _look_up_account(db: Database, account_id: str) -> None:
    """Its answer re-enqueues what waits for it. An account is the platform's, so this cannot be the tenant's
    transaction; a kill between the two costs an hour, after which the share is measured anew.
    """
    with db.system_transaction() as tx:
        append(tx, AccountLookupRequested(account_id=account_id))
