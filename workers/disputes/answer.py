"""dispute_evidence, dispute_close: claim -> ask Stripe -> record -> look. Carries out what an operator decided.

The decision is kept on the dispute with an id of its own, and the call, its key and its body are written down before
anything is sent. Both actions are final at Stripe and happen once. Whatever the answer was, the dispute is read
afterwards, so that ours follows Stripe's and not our hope. A second delivery finds the dispute no longer answerable and
does nothing, or repeats the unanswered call with the same key and body. A refusal is kept on the dispute with Stripe's
sentence, and the operator can decide again.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
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
from messages.verdicts import GiveUp
from stripe_client import disputes as stripe_disputes
from stripe_client.gateway import Gateway
from stripe_client.outcomes import Refused, Sent, Unanswered
from workers.disputes.settlement import look_at
from workers.runtime.actor import actor
from workers.runtime.unknown_outcomes import NotDone, Question, ask

LONGEST_REFUSAL = 500


@dataclass(frozen=True, slots=True)
class StripeAction:
    """One of the two answers to a dispute, as it is done at Stripe."""

    wish: str
    operation: str
    body: Callable[[Dispute], dict[str, Any]]
    send: Callable[..., Sent | Refused | Unanswered]


@dataclass(frozen=True, slots=True)
class _Claim:
    payment: Payment
    dispute: Dispute
    call: StripeCall


SUBMIT = StripeAction(
    "submit",
    stripe_disputes.SUBMIT,
    lambda dispute: stripe_disputes.submission(
        dispute.evidence, tenant_id=dispute.tenant_id, payment_id=dispute.payment_id
    ),
    stripe_disputes.submit,
)
ACCEPT = StripeAction("accept", stripe_disputes.CLOSE, lambda _dispute: {}, stripe_disputes.close)


@actor(EvidenceSubmissionRequested)
def dispute_evidence(msg: EvidenceSubmissionRequested, db: Database, stripe: Gateway) -> None:
    """Submit the evidence that is stored on the dispute; it can be done once for each stage.

    Raises:
        GiveUp: there is no such dispute, or Stripe accepted the submission and the dispute still waits for an answer.
        TryAgain, TryLater: as `ask`.
    """
    _carry_out(msg, SUBMIT, db, stripe)


@actor(DisputeCloseRequested)
def dispute_close(msg: DisputeCloseRequested, db: Database, stripe: Gateway) -> None:
    """Accept the dispute as lost. Raises as `dispute_evidence`; Stripe cannot take it back."""
    _carry_out(msg, ACCEPT, db, stripe)


def _carry_out(
    msg: EvidenceSubmissionRequested | DisputeCloseRequested, action: StripeAction, db: Database, stripe: Gateway
) -> None:
    claim = _claim(msg, action, db)
    if claim is None:
        return
    question = Question[Sent | Refused | Dispute](
        send=partial(action.send, stripe, msg.dispute_id, claim.call.request),
        look_up=partial(_look_up, action, claim, db, stripe),
    )
    outcome = ask("dispute_answer", db, claim.payment.tenant_id, claim.call, question)
    _record(action, claim, outcome, db)
    crash_point("dispute_answer.after_commit")
    if not isinstance(outcome, Dispute):
        look_at(db, stripe, claim.payment, msg.dispute_id, by=action.operation)


def _claim(
    msg: EvidenceSubmissionRequested | DisputeCloseRequested, action: StripeAction, db: Database
) -> _Claim | None:
    """Write down that we are about to act; None when nothing is left to do."""
    with db.transaction(msg.tenant_id) as tx:
        payment = payments.lock(tx, msg.payment_id)
        dispute = disputes.get(tx, msg.dispute_id)
        if payment is None or dispute is None:
            raise GiveUp(f"tenant {msg.tenant_id} has no dispute {msg.dispute_id} of payment {msg.payment_id}")
        if dispute.wish != action.wish or not dispute.is_answerable:
            logger.info("{} skipped: the dispute is {}", action.wish, dispute.status.value)
            return None
        assert dispute.wish_id is not None, "a wish has its id, by a check of the table"
        call = stripe_calls.begin(
            tx, operation=action.operation, subject_id=dispute.wish_id, request=action.body(dispute)
        )
        return _Claim(payment, dispute, call)


def _look_up(action: StripeAction, claim: _Claim, db: Database, stripe: Gateway) -> Dispute | NotDone:
    """Whether it happened. Both actions end the wait for an answer, so a dispute that still waits proves that not."""
    dispute = look_at(db, stripe, claim.payment, claim.dispute.dispute_id, by=action.operation)
    if not dispute.is_answerable or dispute.wish_id != claim.dispute.wish_id:
        return dispute
    if claim.call.outcome != "unknown":
        raise GiveUp(f"Stripe took the wish to {action.wish}, and the dispute still waits for an answer: look there")
    return NotDone(f"the dispute still waits for an answer: {dispute.status.value}")


def _record(action: StripeAction, claim: _Claim, outcome: Sent | Refused | Dispute, db: Database) -> None:
    """Store Stripe's answer; a refusal gives the decision back to the operators, with Stripe's sentence."""
    dispute = claim.dispute
    with db.transaction(dispute.tenant_id) as tx:
        payments.lock(tx, dispute.payment_id)
        stripe_calls.settle(
            tx,
            claim.call,
            answer=_word(outcome),
            object_id=dispute.dispute_id,
            request_id=None if isinstance(outcome, Dispute) else outcome.request_id,
        )
        match outcome:
            case Refused():
                disputes.refuse_wish(tx, dispute, because=outcome.sentence[:LONGEST_REFUSAL])
                logger.error(
                    "Stripe refused to {} the dispute: {}", action.wish, outcome.sentence, dispute_id=dispute.dispute_id
                )
            case Sent():
                logger.info(
                    "dispute {} completed, decided by {}", action.wish, dispute.wish_by, dispute_id=dispute.dispute_id
                )
        crash_point("dispute_answer.before_commit")


def _word(outcome: Sent | Refused | Dispute) -> str:
    if isinstance(outcome, Dispute):
        return outcome.status.value
    return "refused" if isinstance(outcome, Refused) else "done"
