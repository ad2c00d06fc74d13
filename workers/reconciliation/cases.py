"""Open a case per finding; close those that no longer apply."""

from collections.abc import Mapping, Sequence

from loguru import logger

from db.reconciliation import cases
from db.reconciliation.cases import CaseType
from db.session import Tx
from db.sweep.finding import Finding


def keep_cases(tx: Tx, found: Mapping[CaseType, Sequence[Finding]], *, by: str) -> list[tuple[CaseType, Finding]]:
    """Open a case for each new finding, and close cases without a finding; returns the new ones."""
    new = []
    for kind, findings in found.items():
        strs = cases.known_subjects(tx, kind)
        for finding in [finding for finding in findings if finding.subject not in strs]:
            cases.open_case(
                tx,
                type=kind,
                subject=finding.subject,
                details=finding.details,
                tenant_id=finding.tenant_id,
                payment_id=finding.payment_id,
                amount=finding.amount,
            )
            new.append((kind, finding))
            logger.error(
                "case opened, {}: {} of payment {}, {}", kind, finding.amount, finding.payment_id, finding.details
            )
        gone = strs - {finding.subject for finding in findings}
        cases.close_all(tx, types=[kind], subjects=sorted(gone), by=by, because="no longer found")
    return new
