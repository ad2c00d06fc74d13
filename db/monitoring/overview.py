"""The fleet at a glance, for live views: how many payments are in which state, how fast they settle, what waits.

Reads across tenants; needs a system transaction.
"""

from dataclasses import dataclass

from psycopg.rows import class_row

from db.session import Tx


@dataclass(frozen=True, slots=True)
class StateTotal:
    """Payments of one state and currency."""

    state: str
    currency: str
    payments: int
    amount_minor: int


@dataclass(frozen=True, slots=True)
class Overview:
    """Counts now, and order-to-settled seconds of the payments settled in the last `window` seconds (0 when none were).

    outbox_due, outbox_waiting   to be published now; and later (retries among them)
    retries                      failed runs so far that were retried, not what waits now
    events_waiting               webhooks that are pending or unmatched
    """

    orders: int
    open_dead_letters: int
    open_cases: int
    waiting_disputes: int
    events_waiting: int
    outbox_due: int
    outbox_waiting: int
    retries: int
    p50_seconds: float
    p95_seconds: float


def totals(tx: Tx) -> list[StateTotal]:
    """Every state and currency that has payments; it reads all payments, so it is for a page that a person has
    opened.
    """
    with tx.cursor(row_factory=class_row(StateTotal)) as cursor:
        return cursor.execute(
            """
            SELECT state, currency, count(*) AS payments, sum(amount_minor)::bigint AS amount_minor
            FROM payments GROUP BY state, currency ORDER BY state, currency
            """
        ).fetchall()


def glance(tx: Tx, *, window_seconds: float = 30) -> Overview:
    """All figures in one statement, so that they are of one moment."""
    with tx.cursor(row_factory=class_row(Overview)) as cursor:
        overview = cursor.execute(
            """
            WITH settled AS (
                SELECT extract(epoch FROM state_since - created_at)::float8 AS seconds FROM payments
                WHERE state IN ('succeeded', 'failed', 'authorized')
                  AND state_since > clock_timestamp() - make_interval(secs => %(window)s)
            )
            SELECT
                (SELECT count(*) FROM orders) AS orders,
                (SELECT count(*) FROM dead_letters WHERE state = 'open') AS open_dead_letters,
                (SELECT count(*) FROM reconciliation_cases WHERE state = 'open') AS open_cases,
                (SELECT count(*) FROM disputes
                 WHERE submitted_at IS NULL
                   AND status IN ('warning_needs_response', 'needs_response', 'appeal_needs_response'))
                    AS waiting_disputes,
                (SELECT count(*) FROM webhook_inbox WHERE state IN ('pending', 'unmatched')) AS events_waiting,
                (SELECT count(*) FROM outbox WHERE due_at <= clock_timestamp()) AS outbox_due,
                (SELECT count(*) FROM outbox WHERE due_at > clock_timestamp()) AS outbox_waiting,
                (SELECT count(*) FROM message_failures WHERE verdict <> 'give_up') AS retries,
                coalesce((SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY seconds) FROM settled), 0) AS p50_seconds,
                coalesce((SELECT percentile_cont(0.95) WITHIN GROUP (ORDER BY seconds) FROM settled), 0) AS p95_seconds
            """,
            {"window": window_seconds},
        ).fetchone()
    assert overview is not None, "a SELECT of scalars always returns a row"
    return overview
