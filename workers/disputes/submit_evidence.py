"""dispute_evidence: submit what is kept as evidence, once (workers/disputes/answer.py tells how)."""

from db.session import Database
from messages.disputes import EvidenceSubmissionRequested
from stripe_client import disputes as stripe_disputes
from stripe_client.gateway import Gateway
from workers.disputes.answer import StripeAction, carry_out
from workers.runtime.actor import actor

SUBMIT = StripeAction(
    "submit",
    stripe_disputes.SUBMIT,
    lambda dispute: stripe_disputes.submission(
        dispute.evidence, tenant_id=dispute.tenant_id, payment_id=dispute.payment_id
    ),
    stripe_disputes.submit,
)


@actor(EvidenceSubmissionRequested)
def dispute_evidence(msg: EvidenceSubmissionRequested, db: Database, stripe: Gateway) -> None:
    carry_out(msg, SUBMIT, db, stripe)
