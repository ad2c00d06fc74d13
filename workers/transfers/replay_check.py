"""Replay checks of transfers, of their reversals, and of looking up a connected account.

Reads only. Stripe is asked only where the outcome of a call is unknown; no transaction is open meanwhile.
"""

from collections.abc import Callable
from dataclasses import replace

from db import stripe_calls
from db.session import Database
from db.stripe_calls import StripeCall
from db.transfers import reversals as transfer_reversals
from db.transfers import transfers
from messages.shares import AccountLookupRequested, ReversalRequested, TransferRequested
from stripe_client import transfers as stripe_transfers
from stripe_client.gateway import Gateway
from stripe_client.outcomes import Absent
from workers.rules import replay_shares
from workers.rules.replay_check import ReplayCheck
from workers.rules.replay_shares import MovementFacts
from workers.runtime.call_facts import facts_of


def transfer(msg: TransferRequested, db: Database, stripe: Gateway) -> ReplayCheck:
    """Whether sending again could pay twice; Stripe is asked only while a call is unknown and its key may be
    forgotten.
    """
    with db.transaction(msg.tenant_id) as tx:
        row = transfers.lock(tx, msg.transfer_id)
        call = stripe_calls.live(tx, operation=stripe_transfers.CREATE, subject_id=msg.transfer_id)
    if row is None:
        return replay_shares.check_movement(MovementFacts("transfer", None))
    facts = MovementFacts("transfer", row.state.value, row.amount, facts_of(call))
    account_id = row.account_id
    return _check(
        facts,
        call,
        lambda since: stripe_transfers.find(stripe, msg.transfer_id, account_id=account_id, since_epoch=since),
    )


def reverse(msg: ReversalRequested, db: Database, stripe: Gateway) -> ReplayCheck:
    """The same for a reversal."""
    with db.transaction(msg.tenant_id) as tx:
        row = transfer_reversals.lock(tx, msg.reversal_id)
        call = stripe_calls.live(tx, operation=stripe_transfers.REVERSE, subject_id=msg.reversal_id)
    if row is None:
        return replay_shares.check_movement(MovementFacts("reversal", None))
    facts = MovementFacts("reversal", row.state.value, row.amount, facts_of(call))
    transfer_id = row.stripe_transfer_id
    return _check(
        facts,
        call,
        lambda _since: stripe_transfers.find_reversal(stripe, msg.reversal_id, stripe_transfer_id=transfer_id),
    )


def look_up_account(_msg: AccountLookupRequested, _db: Database) -> ReplayCheck:
    """Always safe: it only reads."""
    return replay_shares.ACCOUNT


def _check(facts: MovementFacts, call: StripeCall | None, find: Callable[[float], object]) -> ReplayCheck:
    if call is None or facts.state != "sending" or not facts.call.is_open:
        return replay_shares.check_movement(facts)
    return replay_shares.check_movement(replace(facts, at_stripe=not isinstance(find(call.first_sent_epoch), Absent)))
