"""transfer_reversal: claim -> Stripe -> record. Takes back what a refund or a lost dispute took of a share.

As transfer. When the account has not got that much, it is asked what it has: that much is taken back by a reversal of
its own, and the rest is owed by the recipient (a receivable), which its next transfers pay. Each such step asks for
less than the one before, so it ends.
"""

from db import stripe_calls
from db.session import Database
from db.shares import shares
from db.stripe_calls import StripeCall
from db.transfers import reversals as transfer_reversals
from db.transfers.reversals import Reversal
from db.transfers.states import ReversalState
from messages.money import Money
from messages.runtime.crash_points import crash_point
from messages.shares import ReversalRequested, ShareDue
from messages.verdicts import GiveUp
from outbox.append import append
from stripe_client import transfers as stripe_transfers
from stripe_client.balance import read_balance
from stripe_client.gateway import Gateway
from stripe_client.outcomes import Absent, Refused, ReversalAnswer, Unanswered
from workers.runtime.actor import actor
from workers.runtime.unknown_outcomes import key_dies_at, leave_unknown, wait_for_absence
from workers.shares.share import become_receivable
from workers.transfers.settlement import settle_reversal

BY = "transfer_reversal"


@actor(ReversalRequested)
def transfer_reversal(msg: ReversalRequested, db: Database, stripe: Gateway) -> None:
    stripe.reserve(stripe_transfers.FAMILY)
    claimed = _claim(db, msg)
    if claimed is None:  # an earlier delivery settled it
        return
    reversal, call = claimed
    crash_point("transfer_reversal.before_call")
    outcome = _look_up(db, stripe, reversal, call) if call.must_look_up else _send(stripe, reversal, call)
    crash_point("transfer_reversal.after_call")
    if isinstance(outcome, Unanswered):
        leave_unknown(db, reversal.tenant_id, call, outcome)
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


def _send(stripe: Gateway, reversal: Reversal, call: StripeCall) -> ReversalAnswer | Refused | Unanswered:
    return stripe_transfers.reverse(
        stripe,
        reversal.stripe_transfer_id,
        call.request,
        idempotency_key=call.idempotency_key,
        send_before=key_dies_at(call),
    )


def _look_up(db: Database, stripe: Gateway, reversal: Reversal, call: StripeCall) -> ReversalAnswer:
    """Ask Stripe what became of the call. Raises as `wait_for_absence`."""
    found = stripe_transfers.find_reversal(stripe, reversal.reversal_id, stripe_transfer_id=reversal.stripe_transfer_id)
    if isinstance(found, Absent):
        wait_for_absence(db, reversal.tenant_id, call, found)
    return found


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
        if not transfer_reversals.move(tx, reversal.reversal_id, ReversalState.SHORT, by=BY, reason=refusal.code):
            return
        # An account that has enough, and yet has not, is not asked again.
        possible = Money(max(0, there_is.minor) if there_is.minor < reversal.amount_minor else 0, reversal.currency)
        become_receivable(tx, share, reversal.amount - possible, reason="the account has not got that much")
        if possible.minor:
            smaller = transfer_reversals.request(tx, reversal.transfer_id, reversal.share_id, possible, by=BY)
            append(tx, ReversalRequested(tenant_id=reversal.tenant_id, reversal_id=smaller))
        else:
            append(
                tx, ShareDue(tenant_id=reversal.tenant_id, payment_id=reversal.payment_id, share_id=reversal.share_id)
            )
        crash_point("transfer_reversal.before_commit")
