"""Groups that should have moved and did not, for the sweep; needs a system transaction.

A woken group is left alone for a while, each time twice as long (db/sweep/stuck.py does the same for payments). What
has an open dead letter waits for a person instead.
"""

from dataclasses import dataclass
from typing import LiteralString
from uuid import UUID

from psycopg.rows import class_row

from db.session import Tx
from messages.ids import TenantId


@dataclass(frozen=True, slots=True)
class StuckGroup:
    tenant_id: TenantId
    group_id: UUID


# What a look at the group would change: its deadline or a reminder is over, a payment stands elsewhere than its member,
# a hold is about to end, or the group is between two states.
_STANDING: LiteralString = """
    SELECT tenant_id, group_id FROM groups
    WHERE state = 'open' AND deadline < clock_timestamp() - make_interval(secs => %(age)s)
    UNION
    SELECT tenant_id, group_id FROM groups
    WHERE state IN ('complete', 'expired', 'canceled', 'cancelled')
      AND state_since < clock_timestamp() - make_interval(secs => %(age)s)
    UNION
    SELECT r.tenant_id, r.group_id FROM group_reminders r JOIN groups g USING (tenant_id, group_id)
    WHERE r.reminded_at IS NULL AND g.state = 'open'
      AND r.remind_at < clock_timestamp() - make_interval(secs => %(age)s)
    UNION
    SELECT g.tenant_id, g.group_id
    FROM groups g
    JOIN group_members m USING (tenant_id, group_id)
    JOIN payments p ON (p.tenant_id, p.payment_id) = (m.tenant_id, m.payment_id)
    WHERE g.state = 'open'
      AND (p.state_since < clock_timestamp() - make_interval(secs => %(age)s)
           AND (m.state = 'paying' AND p.state IN ('authorized', 'succeeded', 'failed', 'canceled')
                OR m.state = 'held' AND p.state <> 'authorized')
           OR m.state = 'held' AND p.capture_requested_minor IS NULL
              AND p.capture_before < g.deadline + interval '24 h'
              AND p.capture_before < clock_timestamp() + interval '24 h' - make_interval(secs => %(age)s))
"""


def take_groups(tx: Tx, *, older_than_seconds: float, limit: int) -> list[StuckGroup]:
    """Groups that stand still, each marked as woken in the same transaction."""
    with tx.cursor(row_factory=class_row(StuckGroup)) as cursor:
        return cursor.execute(
            "WITH standing AS ("
            + _STANDING
            + """
            ), alone AS (
                SELECT s.*, 'group ' || s.group_id::text AS subject
                FROM standing s
                WHERE NOT EXISTS (
                      SELECT FROM outbox o
                      WHERE o.ordering_key = s.group_id AND o.exchange = '' AND o.due_at <= clock_timestamp())
                  AND NOT EXISTS (
                      SELECT FROM dead_letters d
                      WHERE d.state = 'open' AND d.kind = 'group' AND strpos(d.payload, s.group_id::text) > 0)
                  AND NOT EXISTS (
                      SELECT FROM wake_ups w
                      WHERE w.subject = 'group ' || s.group_id::text AND w.not_before > clock_timestamp())
                LIMIT %(limit)s
            ), woken AS (
                INSERT INTO wake_ups AS w (subject, times, not_before)
                SELECT subject, 1, clock_timestamp() + make_interval(secs => %(age)s) FROM alone
                ON CONFLICT (subject) DO UPDATE
                SET times = w.times + 1,
                    not_before = clock_timestamp() + make_interval(secs => least(%(age)s * 2 ^ w.times, 21600))
                WHERE w.not_before <= clock_timestamp()
                RETURNING subject
            )
            SELECT tenant_id, group_id FROM alone JOIN woken USING (subject)
            """,
            {"age": older_than_seconds, "limit": limit},
        ).fetchall()


def count(tx: Tx, *, older_than_seconds: float) -> int:
    """How many stand still, woken or not."""
    query = "SELECT count(*) FROM (" + _STANDING + ") standing"
    row = tx.execute(query, {"age": older_than_seconds}).fetchone()
    assert row is not None, "an aggregate answers with one row"
    return int(row[0])
