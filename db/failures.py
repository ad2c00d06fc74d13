"""Failed runs of handlers: one append-only row each, so that a retry's history can be read with SQL."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from db.session import Tx


@dataclass(frozen=True, slots=True)
class Failure:
    """One failed run. `next_due_at` is None exactly when the message was given up."""

    tenant_id: UUID | None
    message_id: UUID
    attempt: int
    kind: str
    payment_id: UUID | None
    verdict: str
    error_class: str
    reason: str
    next_due_at: datetime | None


def record(tx: Tx, failure: Failure) -> None:
    tx.execute(
        """
        INSERT INTO message_failures (
            tenant_id, message_id, attempt, kind, payment_id, verdict, error_class, reason, next_due_at)
        VALUES (
            %(tenant_id)s, %(message_id)s, %(attempt)s, %(kind)s, %(payment_id)s, %(verdict)s, %(error_class)s,
            %(reason)s, %(next_due_at)s)
        """,
        {
            "tenant_id": failure.tenant_id,
            "message_id": failure.message_id,
            "attempt": failure.attempt,
            "kind": failure.kind,
            "payment_id": failure.payment_id,
            "verdict": failure.verdict,
            "error_class": failure.error_class,
            "reason": failure.reason,
            "next_due_at": failure.next_due_at,
        },
    )


def attempt_was_recorded(tx: Tx, message_id: UUID, attempt: int) -> bool:
    """True when this run's failure, and so its retry, is written down already: a redelivery after the commit."""
    row = tx.execute(
        "SELECT EXISTS (SELECT FROM message_failures WHERE message_id = %(id)s AND attempt = %(attempt)s)",
        {"id": message_id, "attempt": attempt},
    ).fetchone()
    return bool(row and row[0])
