"""Replay checks of a dispute's messages: its two final answers, and the look-up.

Reads only. Stripe is asked only where the outcome of a call is unknown; no transaction is open meanwhile.
"""

from dataclasses import replace
from datetime import UTC, datetime

from db import stripe_calls
from db.disputes import disputes
from db.disputes.disputes import Dispute
from db.session import Database, Tx
from messages.disputes import DisputeCloseRequested, DisputeLookupRequested, EvidenceSubmissionRequested
from stripe_client import disputes as stripe_disputes
from stripe_client.gateway import Gateway
from workers.rules import replay_disputes
from workers.rules.replay_check import CallFacts, ReplayCheck, check_look_up
from workers.rules.replay_disputes import DisputeFacts
from workers.runtime.call_facts import facts_of


def submit_evidence(msg: EvidenceSubmissionRequested, db: Database, stripe: Gateway) -> ReplayCheck:
    """Whether submitting again could submit twice: evidence is final at Stripe, so an unknown call is asked about."""
    return _answer(msg, db, stripe, "submit", stripe_disputes.SUBMIT)


def close(msg: DisputeCloseRequested, db: Database, stripe: Gateway) -> ReplayCheck:
    """The same for accepting the dispute as lost, which is final as well."""
    return _answer(msg, db, stripe, "accept", stripe_disputes.CLOSE)


def _answer(
    msg: EvidenceSubmissionRequested | DisputeCloseRequested,
    db: Database,
    stripe: Gateway,
    answer: str,
    operation: str,
) -> ReplayCheck:
    with db.transaction(msg.tenant_id) as tx:
        dispute = disputes.get(tx, msg.dispute_id)
        facts = _facts(tx, dispute, operation) if dispute else DisputeFacts(None)
    if dispute is None or not (facts.is_answerable and facts.call.is_open):
        return replay_disputes.check_dispute_answer(facts, answer)
    at_stripe = stripe_disputes.retrieve(stripe, dispute.dispute_id).status
    return replay_disputes.check_dispute_answer(replace(facts, at_stripe=at_stripe), answer)


def _facts(tx: Tx, dispute: Dispute, operation: str) -> DisputeFacts:
    call = CallFacts()
    if dispute.wish_id:
        call = facts_of(stripe_calls.live(tx, operation=operation, subject_id=dispute.wish_id))
    return DisputeFacts(
        status=dispute.status.value,
        is_answerable=dispute.is_answerable,
        decided=dispute.wish,
        deadline_has_passed=dispute.evidence_due_at is not None and dispute.evidence_due_at < datetime.now(UTC),
        call=call,
    )


def look_up(msg: DisputeLookupRequested, db: Database) -> ReplayCheck:
    """A look-up only reads, so it is safe whenever the dispute exists."""
    with db.transaction(msg.tenant_id) as tx:
        return check_look_up(known=disputes.get(tx, msg.dispute_id) is not None, what="dispute")
