"""Reconciliation cases that an operator closes without a correction.

Nothing is booked: the case is closed with the operator's reason, and the mismatch stays as it is.
"""

from uuid import UUID

from db.reconciliation import cases
from db.reconciliation.cases import Case
from outbox.requests.operators.transaction import OperatorTransaction
from outbox.requests.refusals import RefusedError, require


def accept_case(acting: OperatorTransaction, case_id: UUID, *, reason: str) -> Case:
    """Close a case as it is; the same finding is not opened again.

    Raises:
        RefusedError: there is no such open case, or no reason was given.
    """
    require(reason.strip(), "give a reason: the mismatch stays as it is")
    case = cases.accept_case(acting.tx, case_id, operator=acting.operator, reason=reason)
    if case is None:
        raise RefusedError(f"there is no open case {case_id}")
    subject = {"case_id": str(case_id), "type": case.type, "subject": case.subject}
    if case.payment_id is not None:
        subject["payment_id"] = str(case.payment_id)
    acting.log("accept case", subject, reason)
    return case
