"""What an operator decides about a dispute: the evidence, and whether to submit it or to accept the loss.

As at the desk, each decision is one transaction: the change, the message for the worker that asks Stripe, and the entry
in the operator log. Submitting and accepting are final, and are decided once.
"""

from dataclasses import dataclass
from typing import Any

from db.disputes import disputes
from db.disputes.disputes import Dispute
from db.operators import log as operator_log
from db.session import Tx
from messages.base import Message
from messages.disputes import DisputeCloseRequested, EvidenceSubmissionRequested
from messages.ids import DisputeId
from outbox.append import append
from outbox.ops.dead_letters.actions import Operator, RefusedError
from outbox.requests import dispute_evidence
from outbox.requests.dispute_evidence import EvidencePack


@dataclass(frozen=True, slots=True)
class DisputeActions:
    """One operator's desk, for disputes."""

    desk: Operator

    def draft(
        self, dispute_id: DisputeId, changes: dict[str, str], *, rebuild: bool = False, reason: str = ""
    ) -> dict[str, str]:
        """Change fields of the evidence (an empty text removes one), after assembling it anew if wanted; returns it.

        Raises:
            RefusedError: unknown, decided, submitted or closed, or nothing that Stripe would take.
        """
        with self.desk.db.ops_transaction() as tx:
            dispute = self._answerable(tx, dispute_id)
            before = dispute_evidence.draft(tx, dispute).evidence if rebuild else dispute.evidence
            evidence = {name: text for name, text in (before | changes).items() if text.strip()}
            problem = dispute_evidence.problem_of(evidence)
            if problem is not None:
                raise RefusedError(problem)
            if not disputes.write_evidence(tx, dispute_id, evidence, by=self.desk.operator):
                raise RefusedError("somebody else decided meanwhile; look again")
            fields = sorted(changes) if not rebuild else ["assembled anew", *sorted(changes)]
            self._log(tx, "draft evidence", dispute, {"fields": fields}, reason)
        return evidence

    def submit(self, dispute_id: DisputeId, *, reason: str) -> None:
        """Have the evidence submitted, for good.

        Raises:
            RefusedError: unknown, decided, submitted or closed, no reason, or nothing that Stripe would take.
        """
        with self.desk.db.ops_transaction() as tx:
            dispute = self._answerable(tx, dispute_id)
            problem = dispute_evidence.problem_of(dispute.evidence)
            if problem is not None:
                raise RefusedError(problem)
            self._decide(tx, dispute, "submit", EvidenceSubmissionRequested(**_names(dispute)), reason)

    def accept(self, dispute_id: DisputeId, *, reason: str) -> None:
        """Have the dispute accepted: the loss stands, and nothing can be said any more.

        Raises:
            RefusedError: unknown, decided, submitted or closed, or no reason.
        """
        with self.desk.db.ops_transaction() as tx:
            dispute = self._answerable(tx, dispute_id)
            self._decide(tx, dispute, "accept", DisputeCloseRequested(**_names(dispute)), reason)

    def _answerable(self, tx: Tx, dispute_id: DisputeId) -> Dispute:
        dispute = disputes.get(tx, dispute_id)
        if dispute is None:
            raise RefusedError(f"there is no dispute {dispute_id}")
        if not dispute.is_answerable:
            raise RefusedError(f"the dispute is {dispute.status.value.replace('_', ' ')}; it takes no answer")
        if dispute.wish is not None:
            raise RefusedError(f"{dispute.wish_by} has decided to {dispute.wish} it; a worker carries that out")
        return dispute

    def _decide(self, tx: Tx, dispute: Dispute, wish: str, message: Message, reason: str) -> None:
        if not reason.strip():
            raise RefusedError("say why, in a few words: it cannot be taken back")
        if not disputes.decide(tx, dispute.dispute_id, wish, by=self.desk.operator):
            raise RefusedError("somebody else decided meanwhile; look again")
        append(tx, message)
        self._log(tx, f"{wish} dispute", dispute, {"amount": str(dispute.amount)}, reason)

    def _log(self, tx: Tx, action: str, dispute: Dispute, more: dict[str, Any], reason: str) -> None:
        subject = {"dispute_id": dispute.dispute_id, "payment_id": str(dispute.payment_id)} | more
        operator_log.write(tx, operator=self.desk.operator, action=action, subject=subject, reason=reason)


def gaps(tx: Tx, dispute: Dispute) -> tuple[str, ...]:
    """What ought to be in the evidence and is not known to the fleet."""
    pack: EvidencePack = dispute_evidence.draft(tx, dispute)
    return pack.gaps


def _names(dispute: Dispute) -> dict[str, Any]:
    return {
        "tenant_id": dispute.tenant_id,
        "payment_id": dispute.payment_id,
        "dispute_id": dispute.dispute_id,
    }
