"""Looks at the book and at Stripe for the letters of shares (workers/dead_letters/judge.py does the others).

Reads only. Stripe is asked only where a call is out whose end nobody knows; no transaction is open meanwhile.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from db import stripe_calls
from db.operators import requests
from db.session import Database
from db.shares import shares
from db.shares.states import ShareState
from db.stripe_calls import StripeCall
from db.transfers import reversals as transfer_reversals
from db.transfers import transfers
from messages.queues import kind_to_message
from messages.shares import AccountLookupRequested, OpsEscrowDue, ReversalRequested, ShareDue, TransferRequested
from stripe_client import transfers as stripe_transfers
from stripe_client.gateway import Gateway
from stripe_client.outcomes import Absent
from workers.rules import replay_shares
from workers.rules.replay_after_charge import CallFacts
from workers.rules.replay_charges import UNREADABLE, ReplayCheck, judge_step
from workers.rules.replay_shares import MovementFacts

KINDS = frozenset(
    one.kind for one in (ShareDue, TransferRequested, ReversalRequested, AccountLookupRequested, OpsEscrowDue)
)


def judge(kind: str, payload: dict[str, Any], db: Database, stripe: Gateway) -> ReplayCheck:
    """What replaying a letter of one of these kinds would mean, now.

    Raises:
        Verdict: Stripe did not answer.
    """
    try:
        message = kind_to_message()[kind].model_validate(payload)
    except ValidationError:
        return UNREADABLE
    match message:
        case ShareDue():
            return _judge_share(message, db)
        case TransferRequested():
            return _judge_transfer(message, db, stripe)
        case ReversalRequested():
            return _judge_reversal(message, db, stripe)
        case OpsEscrowDue():
            return _judge_wish(message, db)
        case _:
            return replay_shares.ACCOUNT


def _judge_share(message: ShareDue, db: Database) -> ReplayCheck:
    with db.transaction(message.tenant_id) as tx:
        share = shares.lock(tx, message.share_id)
    if share is None:
        return replay_shares.judge_share(known=False, settled=False, gap=None)
    return replay_shares.judge_share(known=True, settled=share.state is ShareState.SETTLED, gap=share.gap)


def _judge_transfer(message: TransferRequested, db: Database, stripe: Gateway) -> ReplayCheck:
    with db.transaction(message.tenant_id) as tx:
        transfer = transfers.lock(tx, message.transfer_id)
        call = stripe_calls.live(tx, operation=stripe_transfers.CREATE, subject_id=message.transfer_id)
    if transfer is None:
        return replay_shares.judge_movement(MovementFacts("transfer", None))
    facts = MovementFacts("transfer", transfer.state.value, transfer.amount, _facts_of(call))
    account_id = transfer.account_id
    return _ask(
        facts,
        call,
        lambda since: stripe_transfers.find(stripe, message.transfer_id, account_id=account_id, since_epoch=since),
    )


def _judge_reversal(message: ReversalRequested, db: Database, stripe: Gateway) -> ReplayCheck:
    with db.transaction(message.tenant_id) as tx:
        reversal = transfer_reversals.lock(tx, message.reversal_id)
        call = stripe_calls.live(tx, operation=stripe_transfers.REVERSE, subject_id=message.reversal_id)
    if reversal is None:
        return replay_shares.judge_movement(MovementFacts("reversal", None))
    facts = MovementFacts("reversal", reversal.state.value, reversal.amount, _facts_of(call))
    name = reversal.stripe_transfer_id
    return _ask(
        facts, call, lambda _: stripe_transfers.find_reversal(stripe, message.reversal_id, stripe_transfer_id=name)
    )


def _judge_wish(message: OpsEscrowDue, db: Database) -> ReplayCheck:
    """What an operator requested of escrow: carried out once, under its row's lock."""
    with db.transaction(message.tenant_id) as tx:
        request = requests.get(tx, message.wish_id)
    return judge_step(known=request is not None, open_=request is not None and request.state == "asked")


def _ask(facts: MovementFacts, call: StripeCall | None, find: Callable[[float], object]) -> ReplayCheck:
    if call is None or facts.state != "sending" or not facts.call.is_open:
        return replay_shares.judge_movement(facts)
    return replay_shares.judge_movement(replace(facts, at_stripe=not isinstance(find(call.first_sent_epoch), Absent)))


def _facts_of(call: StripeCall | None) -> CallFacts:
    if call is None:
        return CallFacts()
    return CallFacts(call.outcome, call.must_look_up, call.seconds_since_last_send)
