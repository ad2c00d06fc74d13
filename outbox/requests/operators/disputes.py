"""What operators decide about a dispute: the evidence, and whether to submit it or to accept the loss.

Submitting and accepting are final and decided once: the database accepts one decision for each dispute, and the second
operator gets DECIDED_MEANWHILE. A worker sends it to Stripe.
"""

from typing import Any

from db.disputes import disputes
from db.disputes.disputes import Dispute
from messages.base import Message
from messages.disputes import DisputeCloseRequested, EvidenceSubmissionRequested
from messages.ids import DisputeId
from outbox.append import append
from outbox.requests import dispute_evidence
from outbox.requests.operators.transaction import OperatorTransaction
from outbox.requests.refusals import RefusedError, require

DECIDED_MEANWHILE = "another operator decided in the meantime; load it again"


def draft_evidence(
    acting: OperatorTransaction,
    dispute_id: DisputeId,
    changes: dict[str, str],
    *,
    rebuild: bool = False,
    reason: str = "",
) -> dict[str, str]:
    """Change fields of the evidence (an empty text removes one), after assembling it anew if wanted; returns it.

    Raises:
        RefusedError: unknown, decided, submitted or closed, or nothing that Stripe would take.
    """
    dispute = _answerable(acting, dispute_id)
    before = dispute_evidence.draft(acting.tx, dispute).evidence if rebuild else dispute.evidence
    evidence = {name: text for name, text in (before | changes).items() if text.strip()}
    _require_acceptable(evidence)
    require(disputes.write_evidence(acting.tx, dispute_id, evidence, by=acting.operator), DECIDED_MEANWHILE)
    fields = sorted(changes) if not rebuild else ["assembled anew", *sorted(changes)]
    acting.log("draft evidence", _subject(dispute) | {"fields": fields}, reason)
    return evidence


def submit_evidence(acting: OperatorTransaction, dispute_id: DisputeId, *, reason: str) -> None:
    """Have the evidence submitted, for good.

    Raises:
        RefusedError: unknown, decided, submitted or closed, no reason, or nothing that Stripe would take.
    """
    dispute = _answerable(acting, dispute_id)
    _require_acceptable(dispute.evidence)
    _decide(acting, dispute, "submit", EvidenceSubmissionRequested(**_ids(dispute)), reason)


def accept_loss(acting: OperatorTransaction, dispute_id: DisputeId, *, reason: str) -> None:
    """Have the dispute accepted: the loss is final.

    Raises:
        RefusedError: unknown, decided, submitted or closed, or no reason.
    """
    dispute = _answerable(acting, dispute_id)
    _decide(acting, dispute, "accept", DisputeCloseRequested(**_ids(dispute)), reason)


def _answerable(acting: OperatorTransaction, dispute_id: DisputeId) -> Dispute:
    """The dispute, as long as it can be answered and nobody has decided.

    Raises:
        RefusedError: unknown, closed by the bank, or decided.
    """
    dispute = disputes.get(acting.tx, dispute_id)
    if dispute is None:
        raise RefusedError(f"there is no dispute {dispute_id}")
    if not dispute.is_answerable:
        raise RefusedError(f"the dispute is {dispute.status.value.replace('_', ' ')}; it takes no answer")
    if dispute.wish is not None:
        raise RefusedError(f"{dispute.wish_by} has decided to {dispute.wish} it; a worker is sending that to Stripe")
    return dispute


def _require_acceptable(evidence: dict[str, str]) -> None:
    problem = dispute_evidence.problem_of(evidence)
    if problem is not None:
        raise RefusedError(problem)


def _decide(acting: OperatorTransaction, dispute: Dispute, decision: str, message: Message, reason: str) -> None:
    """Record the decision, queue its message and log it; zero rows mean that another operator was first."""
    require(reason.strip(), "give a reason: this decision is final")
    require(disputes.decide(acting.tx, dispute.dispute_id, decision, by=acting.operator), DECIDED_MEANWHILE)
    append(acting.tx, message)
    acting.log(f"{decision} dispute", _subject(dispute) | {"amount": str(dispute.amount)}, reason)


def _subject(dispute: Dispute) -> dict[str, Any]:
    return {"dispute_id": dispute.dispute_id, "payment_id": str(dispute.payment_id)}


def _ids(dispute: Dispute) -> dict[str, Any]:
    return {"tenant_id": dispute.tenant_id, "payment_id": dispute.payment_id, "dispute_id": dispute.dispute_id}
