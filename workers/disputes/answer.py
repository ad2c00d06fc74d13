"""Carry out what an operator decided about a dispute: claim -> Stripe -> look.

The decision is kept on the dispute with an id of its own, and the call, its key and its body are written down before
anything is sent. Both deeds are final at Stripe and happen once. Whatever the answer was, the dispute is looked at
afterwards, so that the book follows Stripe and not our hope. A second delivery finds the dispute no longer answerable
and does nothing, or repeats the unanswered call with the same key and body. A refusal is kept on the dispute with
Stripe's sentence, and it can be decided anew.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from loguru import logger

from db import stripe_calls
from db.disputes import disputes
from db.disputes.disputes import Dispute
from db.payments import payments
from db.payments.payments import Payment
from db.session import Database
from db.stripe_calls import StripeCall
from messages.disputes import DisputeCloseRequested, EvidenceSubmissionRequested
from messages.runtime.crash_points import crash_point
from messages.verdicts import GiveUp, TryAgain
from stripe_client.gateway import Gateway
from stripe_client.outcomes import Refused, Sent, Unanswered
from workers.disputes.settlement import look_at
from workers.runtime.unknown_outcomes import key_dies_at, leave_unknown

LONGEST_REFUSAL = 500


@dataclass(frozen=True, slots=True)
class StripeAction:
    """What is done at Stripe for a wish."""

    wish: str
    operation: str
    body: Callable[[Dispute], dict[str, Any]]
    send: Callable[..., Sent | Refused | Unanswered]


@dataclass(frozen=True, slots=True)
class _Claim:
    payment: Payment
    dispute: Dispute
    call: StripeCall


def carry_out(
    msg: EvidenceSubmissionRequested | DisputeCloseRequested, deed: StripeAction, db: Database, stripe: Gateway
) -> None:
    """Raises:
    Verdict: as the table in stripe_client/errors.py, `leave_unknown` and `look_at`.
    """
    claim = _claim(msg, deed, db)
    if claim is None:
        return
    crash_point("dispute_answer.before_call")
    if claim.call.must_look_up:
        _find_out(deed, claim, db, stripe)
        return
    outcome = deed.send(
        stripe,
        msg.dispute_id,
        claim.call.request,
        idempotency_key=claim.call.idempotency_key,
        send_before=key_dies_at(claim.call),
    )
    crash_point("dispute_answer.after_call")
    if isinstance(outcome, Unanswered):
        leave_unknown(db, claim.payment.tenant_id, claim.call, outcome)
    _record(deed, claim, outcome, db)
    crash_point("dispute_answer.after_commit")
    look_at(db, stripe, claim.payment, msg.dispute_id, by=deed.operation)


def _claim(msg: EvidenceSubmissionRequested | DisputeCloseRequested, deed: StripeAction, db: Database) -> _Claim | None:
    """Write down that we are about to act; None when nothing is left to do."""
    with db.transaction(msg.tenant_id) as tx:
        payment = payments.lock(tx, msg.payment_id)
        dispute = disputes.get(tx, msg.dispute_id)
        if payment is None or dispute is None:
            raise GiveUp(f"tenant {msg.tenant_id} has no dispute {msg.dispute_id} of payment {msg.payment_id}")
        if dispute.wish != deed.wish or not dispute.is_answerable:
            logger.info("{} skipped: the dispute is {}", deed.wish, dispute.status.value)
            return None
        assert dispute.wish_id is not None, "a wish has its id, by a check of the table"
        call = stripe_calls.begin(tx, operation=deed.operation, subject_id=dispute.wish_id, request=deed.body(dispute))
        return _Claim(payment, dispute, call)


def _find_out(deed: StripeAction, claim: _Claim, db: Database, stripe: Gateway) -> None:
    """Whether it happened. Both deeds end the waiting for an answer, so a dispute that still waits proves that not.

    Raises:
        TryAgain: it did not happen; the next try sends with a fresh key.
    """
    dispute = look_at(db, stripe, claim.payment, claim.dispute.dispute_id, by=deed.operation)
    with db.transaction(dispute.tenant_id) as tx:
        if not dispute.is_answerable or dispute.wish_id != claim.dispute.wish_id:
            status = dispute.status.value
            stripe_calls.settle(tx, claim.call, answer=status, object_id=dispute.dispute_id, request_id=None)
            return
        if claim.call.outcome != "unknown":
            raise GiveUp(f"Stripe took the wish to {deed.wish}, and the dispute still waits for an answer: look there")
        stripe_calls.prove_absent(
            tx, claim.call, proof=f"the dispute still waits for an answer: {dispute.status.value}"
        )
    raise TryAgain("Stripe has not done it; it is sent with a fresh key")


def _record(deed: StripeAction, claim: _Claim, outcome: Sent | Refused, db: Database) -> None:
    dispute = claim.dispute
    refused = isinstance(outcome, Refused)
    with db.transaction(dispute.tenant_id) as tx:
        payments.lock(tx, dispute.payment_id)
        stripe_calls.settle(
            tx,
            claim.call,
            answer="refused" if refused else "done",
            object_id=dispute.dispute_id,
            request_id=outcome.request_id,
        )
        if isinstance(outcome, Refused):
            disputes.refuse_wish(tx, dispute, because=outcome.sentence[:LONGEST_REFUSAL])
            logger.error(
                "Stripe refused to {} the dispute: {}", deed.wish, outcome.sentence, dispute_id=dispute.dispute_id
            )
        else:
            logger.info(
                "dispute {} completed, decided by {}", deed.wish, dispute.wish_by, dispute_id=dispute.dispute_id
            )
        crash_point("dispute_answer.before_commit")
