"""How far Stripe's list of events was read, and whether each event of it came by webhook or was only found in the list.

The cursor says: every event created before it was listed and stored. It moves only after that, and never back. System
transactions.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from psycopg.rows import class_row

from db.session import Tx


@dataclass(frozen=True, slots=True)
class CoverageGap:
    """What is still to be listed: [since, until). `lost_seconds` before it can no longer be listed; 0 is usual."""

    since: datetime
    until: datetime
    lost_seconds: float


def gap(tx: Tx, *, overlap_seconds: float, settle_seconds: float, reach_days: int) -> CoverageGap:
    """From a little before the cursor to a little before now, by the database's clock.

    overlap_seconds   listed again before the cursor: Stripe's list may show an event late
    settle_seconds    left out before now, for the same reason
    reach_days        as far back as Stripe lists events (docs.stripe.com/api/events/list: 30 days)

    Without a cursor it begins at the first order: no event of ours is older.
    """
    with tx.cursor(row_factory=class_row(CoverageGap)) as cursor:
        coverage_gap = cursor.execute(
            """
            WITH clock AS (
                SELECT clock_timestamp() AS now,
                       clock_timestamp() - make_interval(days => %(reach)s) AS oldest,
                       coalesce(
                           (SELECT swept_until FROM event_sweep),
                           (SELECT min(received_at) FROM orders),
                           clock_timestamp()) - make_interval(secs => %(overlap)s) AS wanted
            )
            SELECT greatest(wanted, oldest) AS since,
                   now - make_interval(secs => %(settle)s) AS until,
                   CASE WHEN EXISTS (SELECT FROM event_sweep)
                        THEN greatest(0, extract(epoch FROM oldest - wanted)) ELSE 0 END::float8 AS lost_seconds
            FROM clock
            """,
            {"overlap": overlap_seconds, "settle": settle_seconds, "reach": reach_days},
        ).fetchone()
    assert coverage_gap is not None, "the clock always has a row"
    return coverage_gap


def move(tx: Tx, until: datetime) -> None:
    """Everything before `until` is listed and stored; a slower sweep never moves the cursor back."""
    tx.execute(
        """
        INSERT INTO event_sweep AS s (swept_until) VALUES (%(until)s)
        ON CONFLICT (singleton) DO UPDATE
        SET swept_until = greatest(s.swept_until, EXCLUDED.swept_until), moved_at = clock_timestamp()
        """,
        {"until": until},
    )


def known(tx: Tx, event_ids: Sequence[str]) -> set[str]:
    """Which of these events are in the inbox; the others never came by webhook."""
    rows = tx.execute("SELECT event_id FROM webhook_inbox WHERE event_id = ANY (%(ids)s)", {"ids": list(event_ids)})
    return {row[0] for row in rows}


def count(tx: Tx, event_ids: Sequence[str]) -> dict[str, int]:
    """Count stored events that Stripe listed, each once however often it is listed; returns how many by `came_by`.

    Locks the events by id, so that two sweeps of the same hour wait for one another instead of counting twice.
    """
    rows = tx.execute(
        """
        WITH listed AS (
            SELECT event_id FROM webhook_inbox
            WHERE event_id = ANY (%(ids)s) AND listed_at IS NULL
            ORDER BY event_id FOR UPDATE
        ), marked AS (
            UPDATE webhook_inbox SET listed_at = clock_timestamp()
            WHERE event_id IN (SELECT event_id FROM listed) AND listed_at IS NULL
            RETURNING date_trunc('hour', occurred_at, 'UTC') AS hour, came_by
        ), counted AS (
            INSERT INTO event_coverage AS c (hour, by_webhook, only_by_sweep)
            SELECT hour, count(*) FILTER (WHERE came_by = 'webhook'), count(*) FILTER (WHERE came_by = 'sweep')
            FROM marked GROUP BY hour ORDER BY hour
            ON CONFLICT (hour) DO UPDATE
            SET by_webhook = c.by_webhook + EXCLUDED.by_webhook,
                only_by_sweep = c.only_by_sweep + EXCLUDED.only_by_sweep, counted_at = clock_timestamp()
        )
        SELECT came_by, count(*) FROM marked GROUP BY came_by
        """,
        {"ids": list(event_ids)},
    ).fetchall()
    return {row[0]: row[1] for row in rows}


@dataclass(frozen=True, slots=True)
class Coverage:
    """One hour of Stripe's events, by when they happened: listed = by_webhook + only_by_sweep.

    Many that came only by the sweep mean that webhooks are lost or late.
    """

    hour: datetime
    listed: int
    by_webhook: int
    only_by_sweep: int


def coverage(tx: Tx, *, hours: int) -> list[Coverage]:
    """The last hours, the newest first; an hour without events has no row."""
    with tx.cursor(row_factory=class_row(Coverage)) as cursor:
        return cursor.execute(
            """
            SELECT hour, listed, by_webhook, only_by_sweep FROM event_coverage
            WHERE hour > clock_timestamp() - make_interval(hours => %(hours)s)
            ORDER BY hour DESC
            """,
            {"hours": hours},
        ).fetchall()


@dataclass(frozen=True, slots=True)
class Sweep:
    """How far the list was read, and how many seconds that is before now."""

    swept_until: datetime
    behind_seconds: float


def standing(tx: Tx) -> Sweep | None:
    """How far the sweep is; None when it never ran."""
    with tx.cursor(row_factory=class_row(Sweep)) as cursor:
        return cursor.execute(
            """
            SELECT swept_until, extract(epoch FROM clock_timestamp() - swept_until)::float8 AS behind_seconds
            FROM event_sweep
            """
        ).fetchone()
