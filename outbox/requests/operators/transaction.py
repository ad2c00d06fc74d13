"""One transaction of one operator: who is named, above which amount a second operator must agree, and the log."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from db.operators import log as operator_log
from db.session import Tx
from outbox.requests import second_person


@dataclass(frozen=True, slots=True)
class OperatorTransaction:
    """`approval_limit_minor` is in minor units, of any one currency."""

    tx: Tx
    operator: str
    approval_limit_minor: int

    def log(self, action: str, subject: dict[str, Any], reason: str) -> None:
        operator_log.write(self.tx, operator=self.operator, action=action, subject=subject, reason=reason)

    def needs_approval(self, amounts_minor: Iterable[int]) -> bool:
        return second_person.needs_second_person(amounts_minor, limit_minor=self.approval_limit_minor)

    def require_second_person(self, *requesters: str | None) -> None:
        """Raises RefusedError when this operator is one of those who asked."""
        second_person.require_second_person(self.operator, *requesters)
