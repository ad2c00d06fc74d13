"""Every group as the book has it, for the checker (workers/verify/groups.py); needs a system transaction."""

from dataclasses import dataclass
from uuid import UUID

from psycopg.rows import class_row

from db.groups.states import GroupState
from db.session import Tx


@dataclass(frozen=True, slots=True)
class BookedGroup:
    """A group with what its payments hold and keep: of those that pay a contribution, and of all others. Minor units.

    kept_minor        captured and not given back, of the payments that pay the contributions
    live              payments that may still take money or hold it
    stray_minor       captured and not given back, of payments that another has replaced
    is_waited_for     a message, a webhook, a refund or an open dispute may still change it
    has_dead_letter   a person must act, also on a refund that failed
    """

    tenant_id: UUID
    group_id: UUID
    state: GroupState
    amount_minor: int
    is_over: bool
    seconds_since_move: float
    kept_minor: int
    live: int
    stray_minor: int
    is_waited_for: bool
    has_dead_letter: bool

    def __post_init__(self) -> None:
        object.__setattr__(self, "state", GroupState(self.state))


def groups(tx: Tx) -> list[BookedGroup]:
    """Every group of every tenant. Money that a lost dispute gave back is not kept."""
    with tx.cursor(row_factory=class_row(BookedGroup)) as cursor:
        return cursor.execute(
            """
            WITH paying AS (
                SELECT
                    p.tenant_id, p.group_id, p.payment_id, p.state,
                    CASE WHEN d.is_lost THEN 0 ELSE coalesce(c.amount_minor - c.refunded_minor, 0) END AS kept_minor,
                    EXISTS (SELECT FROM group_members m
                            WHERE m.tenant_id = p.tenant_id AND m.group_id = p.group_id AND m.payment_id = p.payment_id)
                        AS pays_a_share,
                    EXISTS (SELECT FROM outbox o WHERE o.ordering_key = p.payment_id AND o.exchange = '')
                        OR EXISTS (SELECT FROM webhook_inbox i
                                   WHERE i.payment_id = p.payment_id AND i.state IN ('pending', 'unmatched'))
                        OR EXISTS (SELECT FROM refunds r
                                   WHERE r.tenant_id = p.tenant_id AND r.payment_id = p.payment_id
                                     AND r.state IN ('requested', 'sending', 'pending', 'requires_action'))
                        OR d.is_open AS is_moving,
                    EXISTS (SELECT FROM dead_letters l WHERE l.payment_id = p.payment_id AND l.state = 'open')
                        OR EXISTS (SELECT FROM refunds r
                                   WHERE r.tenant_id = p.tenant_id AND r.payment_id = p.payment_id
                                     AND r.state IN ('failed', 'refused', 'canceled')) AS is_dead
                FROM payments p
                CROSS JOIN LATERAL (
                    SELECT coalesce(bool_or(d.status IN ('lost', 'prevented')), false) AS is_lost,
                           coalesce(bool_or(d.status NOT IN ('won', 'lost', 'prevented', 'warning_closed')), false)
                               AS is_open
                    FROM disputes d WHERE (d.tenant_id, d.payment_id) = (p.tenant_id, p.payment_id)) AS d
                LEFT JOIN charges c ON (c.tenant_id, c.payment_id) = (p.tenant_id, p.payment_id)
                WHERE p.group_id IS NOT NULL
            )
            SELECT
                g.tenant_id, g.group_id, g.state, g.amount_minor, g.deadline <= clock_timestamp() AS is_over,
                extract(epoch FROM clock_timestamp() - g.state_since)::float8 AS seconds_since_move,
                coalesce(sum(kept_minor) FILTER (WHERE pays_a_share), 0)::bigint AS kept_minor,
                count(*) FILTER (WHERE paying.state NOT IN ('succeeded', 'canceled')) AS live,
                coalesce(sum(kept_minor) FILTER (WHERE NOT pays_a_share), 0)::bigint AS stray_minor,
                coalesce(bool_or(is_moving), false)
                    OR EXISTS (SELECT FROM outbox o
                               WHERE o.ordering_key = g.group_id AND o.exchange = '' AND o.due_at <= clock_timestamp())
                    AS is_waited_for,
                coalesce(bool_or(is_dead), false)
                    OR EXISTS (SELECT FROM dead_letters d
                               WHERE d.state = 'open' AND d.kind = 'group'
                                 AND strpos(d.payload, g.group_id::text) > 0) AS has_dead_letter
            FROM groups g
            LEFT JOIN paying USING (tenant_id, group_id)
            GROUP BY g.tenant_id, g.group_id
            """
        ).fetchall()
