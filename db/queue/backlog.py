"""What waits in the outbox, by where it goes, and the retries that are due next. Needs an ops or system transaction."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from psycopg.rows import class_row

from db.session import Tx


@dataclass(frozen=True, slots=True)
class BacklogCount:
    """Rows of one kind that go to one place. `destination` is a queue, or an exchange for published events.

    due              to be published now; oldest_due_at None: nothing is
    waiting          not yet due: retries, and messages with a time of their own
    refused          the broker has returned or refused them at least once
    retries          of messages that failed before, due or not
    """

    kind: str
    destination: str
    due: int
    waiting: int
    refused: int
    retries: int
    oldest_due_at: datetime | None
    next_due_at: datetime | None


@dataclass(frozen=True, slots=True)
class NextRetry:
    """A message that is not yet due.

    `reason` is why it last failed; None when it never did, and only waits for its
    time.
    """

    due_at: datetime
    kind: str
    message_id: UUID
    payment_id: UUID | None
    attempt: int
    reason: str | None


def lots(tx: Tx) -> list[BacklogCount]:
    """Every kind and destination that has rows, the one with the most first."""
    with tx.cursor(row_factory=class_row(BacklogCount)) as cursor:
        return cursor.execute(
            """
            WITH now AS MATERIALIZED (SELECT clock_timestamp() AS now)
            SELECT
                kind, coalesce(nullif(exchange, ''), routing_key) AS destination,
                count(*) FILTER (WHERE due_at <= now) AS due,
                count(*) FILTER (WHERE due_at > now) AS waiting,
                count(*) FILTER (WHERE refusals > 0) AS refused,
                count(*) FILTER (WHERE attempt > 1) AS retries,
                min(due_at) FILTER (WHERE due_at <= now) AS oldest_due_at,
                min(due_at) FILTER (WHERE due_at > now) AS next_due_at
            FROM outbox, now
            GROUP BY 1, 2 ORDER BY count(*) DESC, 1, 2
            """
        ).fetchall()


def next_retries(tx: Tx, *, limit: int) -> list[NextRetry]:
    """The soonest first, at most `limit`, each with the reason of its last failure."""
    with tx.cursor(row_factory=class_row(NextRetry)) as cursor:
        return cursor.execute(
            """
            SELECT o.due_at, o.kind, o.message_id, o.ordering_key AS payment_id, o.attempt, last.reason
            FROM outbox o
            LEFT JOIN LATERAL (
                SELECT reason FROM message_failures f WHERE f.message_id = o.message_id ORDER BY run DESC LIMIT 1
            ) AS last ON true
            WHERE o.due_at > clock_timestamp()
            ORDER BY o.due_at, o.id LIMIT %(limit)s
            """,
            {"limit": limit},
        ).fetchall()
