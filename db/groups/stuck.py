"""Groups that should have moved and did not, for the sweep; needs a system transaction.

A group with an open dead letter waits for a person instead.
"""

from dataclasses import dataclass
from typing import LiteralString
from uuid import UUID

from db.session import Tx
from db.sweep import wake_ups
from messages.ids import TenantId


@dataclass(frozen=True, slots=True)
class StuckGroup:
    tenant_id: TenantId
    group_id: UUID


# What a look at the group would change: its deadline or a reminder is over, a payment stands elsewhere than its member,
# a hold is about to end, or the group is between two states.
_STUCK: LiteralString = """
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


def take(tx: Tx, *, older_than_seconds: float, limit: int) -> list[StuckGroup]:
    """At most `limit` groups that should have moved this long ago, each marked as woken in the same transaction.

    A message that is due later does not count as under way: it is the deadline's own, appended when the group was
    opened.
    """
    return wake_ups.take(
        tx,
        StuckGroup,
        "SELECT s.*, 'group ' || group_id::text AS subject FROM ("
        + _STUCK
        + """) s
        WHERE NOT EXISTS (
              SELECT FROM outbox o
              WHERE o.ordering_key = s.group_id AND o.exchange = '' AND o.due_at <= clock_timestamp())
          AND NOT EXISTS (
              SELECT FROM dead_letters d
              WHERE d.state = 'open' AND d.kind = 'group' AND strpos(d.payload, s.group_id::text) > 0)
        """,
        older_than_seconds=older_than_seconds,
        limit=limit,
    )


def count(tx: Tx, *, older_than_seconds: float) -> int:
    """How many are stuck, woken or not, dead letters included: what the metric shows."""
    query = "SELECT count(*) FROM (" + _STUCK + ") stuck"
    row = tx.execute(query, {"age": older_than_seconds}).fetchone()
    assert row is not None, "an aggregate answers with one row"
    return int(row[0])
