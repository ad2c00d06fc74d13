"""Groups for operators, across tenants; needs an ops transaction. Both spellings of `canceled` are shown as one."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from psycopg.rows import class_row

from db.groups.states import GroupState
from db.session import Tx


@dataclass(frozen=True, slots=True)
class GroupLine:
    """A group in a list. `secured_minor` of `amount_minor` is held or captured, by `secured` of `members`."""

    tenant_id: UUID
    tenant: str
    group_id: UUID
    venue: str
    event_id: UUID
    amount_minor: int
    secured_minor: int
    currency: str
    members: int
    secured: int
    deadline: datetime
    state: GroupState
    state_reason: str | None
    state_by: str
    state_since: datetime
    created_at: datetime

    def __post_init__(self) -> None:
        object.__setattr__(self, "state", GroupState(self.state))


_SELECT = """
    SELECT
        g.tenant_id, t.name AS tenant, g.group_id, v.name AS venue, g.event_id, g.amount_minor,
        coalesce(sum(m.share_minor) FILTER (WHERE m.state IN ('held', 'paid')), 0)::bigint AS secured_minor, g.currency,
        count(*) AS members, count(*) FILTER (WHERE m.state IN ('held', 'paid')) AS secured,
        g.deadline, g.state, g.state_reason, g.state_by, g.state_since, g.created_at
    FROM groups g
    JOIN group_members m USING (tenant_id, group_id)
    JOIN tenants t USING (tenant_id)
    JOIN venues v USING (tenant_id, venue_id)
"""
_GROUPED = " GROUP BY g.tenant_id, g.group_id, t.name, v.name "


def latest(tx: Tx, *, state: GroupState | None, limit: int) -> list[GroupLine]:
    """Those that moved last first; `state` None: in every state."""
    with tx.cursor(row_factory=class_row(GroupLine)) as cursor:
        return cursor.execute(
            _SELECT
            + "WHERE replace(g.state, 'cancelled', 'canceled') = %(state)s OR %(state)s::text IS NULL"
            + _GROUPED
            + "ORDER BY g.state_since DESC LIMIT %(limit)s",
            {"state": state, "limit": limit},
        ).fetchall()


def by_id(tx: Tx, group_id: UUID) -> list[GroupLine]:
    """The groups with this id: none, one, or one for each of two tenants that have given the same id."""
    with tx.cursor(row_factory=class_row(GroupLine)) as cursor:
        return cursor.execute(_SELECT + "WHERE g.group_id = %(id)s" + _GROUPED, {"id": group_id}).fetchall()


@dataclass(frozen=True, slots=True)
class GroupStateChange:
    """One move, of the group itself (`buyer_id` None) or of a member."""

    at: datetime
    buyer_id: str | None
    from_state: str | None
    to_state: str
    payment_id: UUID | None
    reason: str | None
    by: str


def moves(tx: Tx, group: GroupLine) -> list[GroupStateChange]:
    """The whole history, the oldest first."""
    with tx.cursor(row_factory=class_row(GroupStateChange)) as cursor:
        return cursor.execute(
            """
            SELECT at, NULL AS buyer_id, replace(from_state, 'cancelled', 'canceled') AS from_state,
                   replace(to_state, 'cancelled', 'canceled') AS to_state, NULL AS payment_id, reason, by
            FROM group_history WHERE (tenant_id, group_id) = (%(tenant)s, %(group)s)
            UNION ALL
            SELECT h.at, m.buyer_id, h.from_state, h.to_state, h.payment_id, h.reason, h.by
            FROM group_member_history h JOIN group_members m USING (tenant_id, group_id, member_id)
            WHERE (h.tenant_id, h.group_id) = (%(tenant)s, %(group)s)
            ORDER BY at
            """,
            {"tenant": group.tenant_id, "group": group.group_id},
        ).fetchall()
