"""How fast payments go and how long things wait, for live charts. Reads across tenants: an ops transaction."""

from dataclasses import dataclass

from psycopg.rows import class_row

from db.session import Tx


@dataclass(frozen=True, slots=True)
class Interval:
    """One slice of time, counted back from now.

    accepted, settled, failed   moves into requested; succeeded or authorized; failed
    p50_seconds, p95_seconds    from order to the move, of those that settled or failed; None when none did
    """

    slices_ago: int
    accepted: int
    settled: int
    failed: int
    p50_seconds: float | None
    p95_seconds: float | None


def beats(tx: Tx, *, slice_seconds: int, slices: int) -> list[Interval]:
    """The last slices, the oldest first; a slice in which nothing happened is there too, with zeros."""
    with tx.cursor(row_factory=class_row(Interval)) as cursor:
        return cursor.execute(
            """
            WITH moves AS (
                SELECT floor(extract(epoch FROM clock_timestamp() - h.at) / %(seconds)s)::int AS slices_ago, h.to_state,
                       extract(epoch FROM h.at - p.created_at)::float8 AS seconds
                FROM payment_history h JOIN payments p USING (tenant_id, payment_id)
                WHERE h.at > clock_timestamp() - make_interval(secs => %(seconds)s * %(slices)s)
            )
            SELECT slices_ago,
                   count(*) FILTER (WHERE to_state = 'requested') AS accepted,
                   count(*) FILTER (WHERE to_state IN ('succeeded', 'authorized')) AS settled,
                   count(*) FILTER (WHERE to_state = 'failed') AS failed,
                   percentile_cont(0.5) WITHIN GROUP (ORDER BY seconds)
                       FILTER (WHERE to_state IN ('succeeded', 'authorized', 'failed')) AS p50_seconds,
                   percentile_cont(0.95) WITHIN GROUP (ORDER BY seconds)
                       FILTER (WHERE to_state IN ('succeeded', 'authorized', 'failed')) AS p95_seconds
            FROM generate_series(0, %(slices)s - 1) AS all_slices (slices_ago) LEFT JOIN moves USING (slices_ago)
            GROUP BY slices_ago ORDER BY slices_ago DESC
            """,
            {"seconds": slice_seconds, "slices": slices},
        ).fetchall()


@dataclass(frozen=True, slots=True)
class OldestAges:
    """Of the oldest thing of each kind, in seconds by the database's clock; None when there is none.

    A payment with the buyer or the bank (requires_action, processing) is not ours to hurry and does not count.
    """

    outbox_due: float | None
    payment_moving: float | None
    webhook_waiting: float | None
    dead_letter_open: float | None


def ages(tx: Tx) -> OldestAges:
    """The age of the oldest of each kind, in one statement."""
    with tx.cursor(row_factory=class_row(OldestAges)) as cursor:
        oldest_ages = cursor.execute(
            """
            SELECT
                (SELECT extract(epoch FROM clock_timestamp() - min(due_at)) FROM outbox
                 WHERE due_at <= clock_timestamp())::float8 AS outbox_due,
                (SELECT extract(epoch FROM clock_timestamp() - min(state_since)) FROM payments
                 WHERE state IN ('requested', 'charging'))::float8 AS payment_moving,
                (SELECT extract(epoch FROM clock_timestamp() - min(received_at)) FROM webhook_inbox
                 WHERE state IN ('pending', 'unmatched'))::float8 AS webhook_waiting,
                (SELECT extract(epoch FROM clock_timestamp() - min(died_at)) FROM dead_letters
                 WHERE state = 'open')::float8 AS dead_letter_open
            """
        ).fetchone()
    assert oldest_ages is not None, "a SELECT of scalars always returns a row"
    return oldest_ages
