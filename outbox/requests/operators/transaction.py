"""One transaction of one operator: who is named, above which amount a second operator must agree, and the log."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from db.operators import log as operator_log
from db.session import Tx
from outbox.requests import second_person


@dataclass(frozen=True, slots=True)
class OperatorTransaction:
    """One open ops transaction of one operator; whoever opened it commits.

    Attributes:
        tx: an ops transaction, whose role cannot write money.
        operator: the name for the operator log.
        approval_limit_minor: in minor units, of any one currency; above it a second operator must agree.
    """

    tx: Tx
    operator: str
    approval_limit_minor: int

    def log(self, action: str, subject: dict[str, Any], reason: str) -> None:
        """Write an entry of the operator log in this transaction, so that it exists exactly when the change does."""
        operator_log.write(self.tx, operator=self.operator, action=action, subject=subject, reason=reason)

    def needs_approval(self, amounts_minor: Iterable[int]) -> bool:
        """Whether a second operator must agree; one amount per currency, in minor units."""
        return second_person.needs_second_person(amounts_minor, limit_minor=self.approval_limit_minor)

    def require_second_person(self, *requesters: str | None) -> None:
        """Refuse this operator as approver of their own request.

        Raises:
            RefusedError: this operator is one of `requesters`.
        """
        second_person.require_second_person(self.operator, *requesters)
