"""What operators hold back, of a tenant or one of its venues. Written by operators, read by every worker.

Needs a system or an ops transaction; a tenant sees none of it. A pause stops nothing by itself: a worker that finds one
in force postpones its message.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import LiteralString
from uuid import UUID

from psycopg.rows import class_row

from db.session import Tx, ring_after_commit


@dataclass(frozen=True, slots=True)
class Pause:
    """A pause, whether in force or over.

    venue_id       None: the whole tenant
    what           charges, or all: which work is held back
    ends_at        None: until it is lifted; seconds_left is None then, too, and negative after the end
    lifted_at      None: nobody has ended it early
    is_in_force    neither lifted nor ended, by the database's clock
    """

    pause_id: UUID
    tenant_id: UUID
    tenant: str
    venue_id: UUID | None
    venue: str | None
    scope: str
    what: str
    reason: str
    paused_by: str
    paused_at: datetime
    ends_at: datetime | None
    lifted_at: datetime | None
    lifted_by: str | None
    is_in_force: bool
    age_seconds: float
    seconds_left: float | None


_SELECT: LiteralString = """
    SELECT
        p.pause_id, p.tenant_id, t.name AS tenant, p.venue_id, v.name AS venue, p.scope, p.what, p.reason, p.paused_by,
        p.paused_at, p.ends_at, p.lifted_at, p.lifted_by,
        p.lifted_at IS NULL AND coalesce(p.ends_at > clock_timestamp(), true) AS is_in_force,
        extract(epoch FROM clock_timestamp() - p.paused_at)::float8 AS age_seconds,
        extract(epoch FROM p.ends_at - clock_timestamp())::float8 AS seconds_left
    FROM pauses p
    JOIN tenants t USING (tenant_id)
    LEFT JOIN venues v ON (v.tenant_id, v.venue_id) = (p.tenant_id, p.venue_id)
"""


def in_force(tx: Tx) -> list[Pause]:
    """Every pause that is in force now, of all tenants, the oldest first."""
    with tx.cursor(row_factory=class_row(Pause)) as cursor:
        return cursor.execute(
            _SELECT
            + """
            WHERE p.lifted_at IS NULL AND coalesce(p.ends_at > clock_timestamp(), true)
            ORDER BY p.paused_at
            """
        ).fetchall()


def latest(tx: Tx, *, limit: int) -> list[Pause]:
    """Those in force and those that are over, the newest first."""
    with tx.cursor(row_factory=class_row(Pause)) as cursor:
        return cursor.execute(_SELECT + " ORDER BY p.paused_at DESC LIMIT %(limit)s", {"limit": limit}).fetchall()


def add(
    tx: Tx, *, tenant_id: UUID, venue_id: UUID | None, what: str, reason: str, by: str, seconds: float | None
) -> UUID:
    """Hold work back from now on, for so many seconds or (None) until it is lifted; returns its id.

    Two pauses may overlap.

    Raises:
        psycopg.errors.ForeignKeyViolation: there is no such tenant, or it has no such venue.
    """
    row = tx.execute(
        """
        INSERT INTO pauses (tenant_id, venue_id, what, reason, paused_by, ends_at)
        VALUES (
            %(tenant_id)s, %(venue_id)s, %(what)s, %(reason)s, %(by)s,
            clock_timestamp() + make_interval(secs => %(seconds)s))
        RETURNING pause_id
        """,
        {
            "tenant_id": tenant_id,
            "venue_id": venue_id,
            "what": what,
            "reason": reason,
            "by": by,
            "seconds": seconds,
        },
    ).fetchone()
    assert row is not None, "INSERT ... RETURNING returns its row"
    pause_id: UUID = row[0]
    return pause_id


def lift(tx: Tx, pause_id: UUID, *, by: str) -> bool:
    """End a pause now; False when it was lifted before, or there is none. What waited is brought forward by `wake`."""
    lifted = tx.execute(
        """
        UPDATE pauses SET lifted_at = clock_timestamp(), lifted_by = %(by)s
        WHERE pause_id = %(pause_id)s AND lifted_at IS NULL
        """,
        {"pause_id": pause_id, "by": by},
    )
    return lifted.rowcount == 1


# What waits comes back at this pace, so that a long pause does not end as a storm on Stripe's budget.
WOKEN_PER_SECOND = 20


def wake(tx: Tx, *, waiting_as: str, within_seconds: float) -> int:
    """Bring forward the messages that wait for a pause that is over (lifted, or ended by its time); returns how many.

    `waiting_as` is the error class of such a wait, `within_seconds` how long one lasts at most: no message waits longer
    for a pause, and none is due further ahead. A row is brought forward once, because then its due time is no longer
    the one that its failed run named. Of a tenant that has another pause in force nothing is brought forward: it is
    tried when it is due. SKIP LOCKED: a row that a relay or another caller holds is left.
    """
    woken = tx.execute(
        """
        WITH over AS (
            SELECT tenant_id FROM pauses
            GROUP BY tenant_id
            HAVING max(coalesce(least(lifted_at, ends_at), 'infinity')) BETWEEN
                clock_timestamp() - make_interval(secs => %(within)s) AND clock_timestamp()
        ), waiting AS (
            SELECT o.id FROM outbox o JOIN over USING (tenant_id)
            WHERE o.due_at > clock_timestamp() AND o.due_at < clock_timestamp() + make_interval(secs => %(within)s)
              AND EXISTS (
                SELECT FROM message_failures f
                WHERE f.message_id = o.message_id AND f.error_class = %(waiting_as)s AND f.next_due_at = o.due_at)
            ORDER BY o.id
            FOR UPDATE OF o SKIP LOCKED
        ), placed AS (
            SELECT id, clock_timestamp() + make_interval(secs => row_number() OVER (ORDER BY id) / %(pace)s) AS soon
            FROM waiting
        )
        UPDATE outbox o SET due_at = p.soon FROM placed p WHERE o.id = p.id AND p.soon < o.due_at
        """,
        {"within": within_seconds, "waiting_as": waiting_as, "pace": float(WOKEN_PER_SECOND)},
    ).rowcount
    if woken:
        ring_after_commit()
    return woken


def tenant_of_venue(tx: Tx, venue_id: UUID) -> UUID | None:
    """Whose venue this is; None when there is no such venue."""
    row = tx.execute("SELECT tenant_id FROM venues WHERE venue_id = %(venue_id)s", {"venue_id": venue_id}).fetchone()
    return row[0] if row else None
