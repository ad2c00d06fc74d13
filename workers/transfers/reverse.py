"""transfer_reversal: claim -> ask Stripe -> record. Brings back what a refund or a lost dispute took of a share.

As transfer, and as harmless twice. When the account has not got that much, it is asked what it has: that much comes
back by a reversal of its own, and the rest is owed by the recipient (a receivable), which its next transfers pay. Each
such step asks for less than the one before, so it ends.
"""

from functools import partial

from db import stripe_calls
from db.session import Database
from db.shares import shares
from db.stripe_calls import StripeCall
from db.transfers import reversals as transfer_reversals
from db.transfers.reversals import Reversal
from db.transfers.states import ReversalState
from messages.money import Money
from messages.runtime.crash_points import crash_point
from messages.shares import ReversalRequested
from messages.verdicts import GiveUp
from stripe_client import transfers as stripe_transfers
from stripe_client.balance import read_balance
from stripe_client.gateway import Gateway
from stripe_client.outcomes import Refused, ReversalAnswer
from workers.runtime.actor import actor
from workers.runtime.unknown_outcomes import Question, ask
from workers.transfers.settlement import settle_reversal, settle_shortage

BY = "transfer_reversal"


@actor(ReversalRequested)
def transfer_reversal(msg: ReversalRequested, db: Database, stripe: Gateway) -> None:
    """Take back what was requested of a transfer, or what the account has of it.

    Raises:
        GiveUp: there is no such reversal.
        TryLater: the rate limiter has no permit soon, and nothing is written; or Stripe may still show the reversal.
        TryAgain: as `ask`; the call stays unknown (M13).
    """
    stripe.reserve(stripe_transfers.FAMILY)
    claimed = _claim(db, msg)
    if claimed is None:  # an earlier delivery settled it
        return
    reversal, call = claimed
    question = Question[ReversalAnswer | Refused](
        send=partial(stripe_transfers.reverse, stripe, reversal.stripe_transfer_id, call.request),
        look_up=partial(
            stripe_transfers.find_reversal,
            stripe,
            reversal.reversal_id,
            stripe_transfer_id=reversal.stripe_transfer_id,
        ),
    )
    outcome = ask("transfer_reversal", db, reversal.tenant_id, call, question)
    if isinstance(outcome, Refused):
        _record_shortage(db, reversal, call, outcome, _what_there_is(stripe, reversal, outcome))
    else:
        _record(db, reversal, call, outcome)
    crash_point("transfer_reversal.after_commit")


def _claim(db: Database, msg: ReversalRequested) -> tuple[Reversal, StripeCall] | None:
    """Write down that we are about to act; None when nothing is left to do."""
    with db.transaction(msg.tenant_id) as tx:
        reversal = transfer_reversals.lock(tx, msg.reversal_id)
        if reversal is None:
            raise GiveUp(f"tenant {msg.tenant_id} has no reversal {msg.reversal_id}")
        if reversal.state not in {ReversalState.REQUESTED, ReversalState.SENDING}:
            return None
        transfer_reversals.move(tx, reversal.reversal_id, ReversalState.SENDING, by=BY)
        body = stripe_transfers.reversing(
            tenant_id=reversal.tenant_id, reversal_id=reversal.reversal_id, amount=reversal.amount
        )
        return reversal, stripe_calls.begin(
            tx, operation=stripe_transfers.REVERSE, subject_id=reversal.reversal_id, request=body
        )


def _record(db: Database, reversal: Reversal, call: StripeCall, answer: ReversalAnswer) -> None:
    with db.transaction(reversal.tenant_id) as tx:
        current = transfer_reversals.lock(tx, reversal.reversal_id)
        assert current is not None, "reversals are never deleted, and this one was read a moment ago"
        stripe_calls.settle(
            tx, call, answer="reversed", object_id=answer.stripe_reversal_id, request_id=answer.request_id
        )
        settle_reversal(tx, current, answer, by=BY)
        crash_point("transfer_reversal.before_commit")


def _what_there_is(stripe: Gateway, reversal: Reversal, refusal: Refused) -> Money:
    """How much the account could give back.

    Raises:
        GiveUp: Stripe refused for another reason than an empty account.
    """
    if refusal.code != "balance_insufficient":
        raise GiveUp(
            f"Stripe will not take {reversal.amount} back of {reversal.stripe_transfer_id}: {refusal.sentence}; "
            "look whether somebody reversed it there"
        )
    balance = read_balance(stripe, account_id=reversal.account_id)
    return balance.available.get(reversal.currency, Money(0, reversal.currency))


def _record_shortage(db: Database, reversal: Reversal, call: StripeCall, refusal: Refused, there_is: Money) -> None:
    with db.transaction(reversal.tenant_id) as tx:
        # The share first, as everywhere: its recipient's row is what orders all that is netted.
        share = shares.lock(tx, reversal.share_id)
        assert share is not None, "a reversal names its share, by foreign key"
        stripe_calls.settle(tx, call, answer=refusal.code, object_id=None, request_id=refusal.request_id)
        settle_shortage(tx, reversal, share, refusal, there_is, by=BY)
        crash_point("transfer_reversal.before_commit")
