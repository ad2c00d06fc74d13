"""Failed runs of handlers: one append-only row each, so that a retry's history can be read with SQL.

The row is written in the transaction that also appends the retry or the dead letter; the delivery is acked after it.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from db.session import Tx
from db.text import storable


@dataclass(frozen=True, slots=True)
class FailedRun:
    """One failed run. `next_due_at` is None exactly when the message was given up and is a dead letter.

    run          counts every delivery that failed, from 1
    attempt      counts the tries that were spent: a TryLater spends none
    verdict      try_again, try_later or give_up
    traceback    redacted, as `reason` is (M9); None when the error explains itself
    """

    tenant_id: UUID | None
    message_id: UUID
    run: int
    attempt: int
    kind: str
    payment_id: UUID | None
    verdict: str
    error_class: str
    reason: str
    next_due_at: datetime | None
    traceback: str | None = None  # redacted


def record(tx: Tx, failure: FailedRun) -> bool:
    """Write one failed run; False when it was written before.

    False means a redelivery of a run that was already dealt with: its retry is appended, so append nothing.
    """
    recorded = tx.execute(
        """
        INSERT INTO message_failures (
            tenant_id, message_id, run, attempt, kind, payment_id, verdict, error_class, reason,
            traceback, next_due_at)
        VALUES (
            %(tenant_id)s, %(message_id)s, %(run)s, %(attempt)s, %(kind)s, %(payment_id)s, %(verdict)s,
            %(error_class)s, %(reason)s, %(traceback)s, %(next_due_at)s)
        ON CONFLICT (message_id, run) DO NOTHING
        """,
        {
            "tenant_id": failure.tenant_id,
            "message_id": failure.message_id,
            "run": failure.run,
            "attempt": failure.attempt,
            "kind": failure.kind,
            "payment_id": failure.payment_id,
            "verdict": failure.verdict,
            "error_class": failure.error_class,
            "reason": storable(failure.reason),
            "traceback": storable(failure.traceback) if failure.traceback else None,
            "next_due_at": failure.next_due_at,
        },
    )
    return recorded.rowcount == 1


def next_run(tx: Tx, message_id: UUID) -> int:
    """The number of the next run of a message: one more than the last that failed; 1 when none did.

    Two deliveries at once get the same number, and `record` then lets only one of them through.
    """
    row = tx.execute(
        "SELECT coalesce(max(run), 0) + 1 FROM message_failures WHERE message_id = %(id)s", {"id": message_id}
    ).fetchone()
    assert row is not None, "an aggregate without GROUP BY always returns a row"
    return int(row[0])
