"""Groups: the row, how one is opened, and the moves of a group and of its members (states.py draws them).

Every move, and every new payment of a group, holds the group's row locked: so of two at once, the second sees what the
first has done. A payment's own row is locked after the group's, never before it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from db.groups.states import GroupState, MemberState
from db.session import Tx
from messages.groups import GroupOrder as Opening
from messages.ids import PaymentId, TenantId, VenueId
from messages.money import Money


@dataclass(frozen=True, slots=True)
class Group:
    """A group as it was read.

    `now` is the database's clock at that moment; compare deadlines with it and no other clock.

    organiser_id   the member that may pay for others, and gets the tickets that no member was named for
    fingerprint    of the opening order: the same id with another one is a contradiction
    event_is_off   its event is cancelled, by an approved cancellation
    """

    tenant_id: TenantId
    group_id: UUID
    venue_id: VenueId
    event_id: UUID
    organiser_id: UUID
    amount_minor: int
    currency: str
    deadline: datetime
    fingerprint: bytes
    state: GroupState
    state_reason: str | None
    state_by: str
    state_since: datetime
    created_at: datetime
    now: datetime
    event_is_off: bool

    def __post_init__(self) -> None:
        object.__setattr__(self, "state", GroupState(self.state))

    @property
    def amount(self) -> Money:
        return Money(self.amount_minor, self.currency)

    @property
    def is_over(self) -> bool:
        return self.now >= self.deadline


_SELECT = """
    SELECT
        g.tenant_id, g.group_id, g.venue_id, g.event_id, g.organiser_id, g.amount_minor, g.currency, g.deadline,
        g.fingerprint, g.state, g.state_reason, g.state_by, g.state_since, g.created_at, clock_timestamp() AS now,
        EXISTS (SELECT FROM event_cancellations c
                WHERE (c.tenant_id, c.event_id) = (g.tenant_id, g.event_id)
                  AND c.state NOT IN ('awaiting_approval', 'canceled', 'cancelled')) AS event_is_off
    FROM groups g
"""


def get(tx: Tx, group_id: UUID) -> Group | None:
    """The group, unlocked; None when the tenant has no such group."""
    with tx.cursor(row_factory=class_row(Group)) as cursor:
        return cursor.execute(_SELECT + "WHERE g.group_id = %(id)s", {"id": group_id}).fetchone()


def lock(tx: Tx, group_id: UUID) -> Group | None:
    """The group, locked until the transaction ends; None when the tenant has none.

    What was written while we waited is seen.

    The lock is taken by a statement of its own: `now` must be read after it is held, or a deadline that passes while we
    wait would be missed. NO KEY: payments may refer to the group meanwhile.
    """
    tx.execute("SELECT FROM groups WHERE group_id = %(id)s FOR NO KEY UPDATE", {"id": group_id})
    return get(tx, group_id)


def open_group(tx: Tx, opening: Opening, *, told_by: str, fingerprint: bytes, by: str) -> bool:
    """Write a group with its members, tickets and reminders; False when the id is known already, and nothing is
    written.

    `told_by` names what the order came from. `ON CONFLICT` names no index: the group's id is in two unique keys, and
    two transactions that open it at once may meet in either.

    Raises:
        psycopg.errors.ForeignKeyViolation: the tenant has no such venue.
    """
    made = tx.execute(
        """
        INSERT INTO groups (
            tenant_id, group_id, venue_id, event_id, organiser_id, amount_minor, currency, deadline, told_by,
            fingerprint, state_by)
        VALUES (
            current_tenant(), %(group_id)s, %(venue_id)s, %(event_id)s, %(organiser)s, %(amount)s, %(currency)s,
            %(deadline)s, %(told_by)s, %(fingerprint)s, %(by)s)
        ON CONFLICT DO NOTHING
        """,
        {
            "group_id": opening.group_id,
            "venue_id": opening.venue_id,
            "event_id": opening.event_id,
            "organiser": opening.organiser_id,
            "amount": opening.amount.minor,
            "currency": opening.amount.currency,
            "deadline": opening.deadline,
            "told_by": told_by,
            "fingerprint": fingerprint,
            "by": by,
        },
    )
    if made.rowcount == 0:
        return False
    _write_members(tx, opening, by)
    return True


def _write_members(tx: Tx, opening: Opening, by: str) -> None:
    tx.execute(
        """
        INSERT INTO group_members (tenant_id, group_id, member_id, place, buyer_id, share_minor, currency, state_by)
        SELECT current_tenant(), %(group_id)s, member_id, place, buyer_id, share_minor, %(currency)s, %(by)s
        FROM jsonb_to_recordset(%(members)s) AS m (member_id uuid, place integer, buyer_id text, share_minor bigint)
        """,
        {
            "group_id": opening.group_id,
            "currency": opening.amount.currency,
            "by": by,
            "members": Jsonb(
                [
                    member.model_dump(mode="json", include={"member_id", "buyer_id", "share_minor"}) | {"place": place}
                    for place, member in enumerate(opening.members, 1)
                ]
            ),
        },
    )
    holders = {ticket: member.member_id for member in opening.members for ticket in member.ticket_ids}
    tx.execute(
        """
        INSERT INTO group_tickets (tenant_id, group_id, ticket_id, place, face_price_minor, currency, seat, holder_id)
        SELECT current_tenant(), %(group_id)s, ticket_id, place, face_price_minor, %(currency)s, seat, holder_id
        FROM jsonb_to_recordset(%(tickets)s) AS t (
            ticket_id uuid, place integer, face_price_minor bigint, seat text, holder_id uuid)
        """,
        {
            "group_id": opening.group_id,
            "currency": opening.amount.currency,
            "tickets": Jsonb(
                [
                    ticket.model_dump(mode="json")
                    | {"place": place, "holder_id": str(holders.get(ticket.ticket_id, opening.organiser_id))}
                    for place, ticket in enumerate(opening.tickets, 1)
                ]
            ),
        },
    )
    tx.execute(
        """
        INSERT INTO group_reminders (tenant_id, group_id, remind_at)
        SELECT current_tenant(), %(group_id)s, unnest(%(remind_at)s::timestamptz[])
        """,
        {"group_id": opening.group_id, "remind_at": list(opening.remind_at)},
    )


def move(tx: Tx, group: Group, state: GroupState, *, reason: str | None, by: str) -> None:
    """Move the locked group.

    Raises:
        psycopg.errors.RestrictViolation: an illegal move (M7), or members that are not where `state` needs them: all
            held or paid for complete, paid for settled, voided or refunded for voided.
    """
    tx.execute(
        """
        UPDATE groups SET state = %(state)s, state_reason = %(reason)s, state_by = %(by)s
        WHERE group_id = %(id)s
        """,
        {"id": group.group_id, "state": state.value, "reason": reason, "by": by},
    )


def move_members(
    tx: Tx, group_id: UUID, member_ids: Sequence[UUID], state: MemberState, *, reason: str | None, by: str
) -> None:
    """Move members of the locked group, all of them or none: an illegal move of one raises a RestrictViolation."""
    tx.execute(
        """
        UPDATE group_members SET state = %(state)s, state_reason = %(reason)s, state_by = %(by)s
        WHERE group_id = %(group)s AND member_id = ANY (%(members)s)
        """,
        {"group": group_id, "members": list(member_ids), "state": state.value, "reason": reason, "by": by},
    )


def let_pay(tx: Tx, group_id: UUID, member_ids: Sequence[UUID], payment_id: PaymentId, *, by: str) -> None:
    """From here on this payment pays these contributions, instead of the one that did before, if any.

    Raises:
        psycopg.errors.RestrictViolation: one of them is held or paid: its payment cannot be replaced.
    """
    tx.execute(
        """
        UPDATE group_members
        SET state = 'paying', state_reason = NULL, state_by = %(by)s, payment_id = %(payment_id)s
        WHERE group_id = %(group)s AND member_id = ANY (%(members)s)
        """,
        {"group": group_id, "members": list(member_ids), "payment_id": payment_id, "by": by},
    )


def moves_of(tx: Tx, group_id: UUID) -> list[tuple[datetime, GroupState, str | None]]:
    """When the group entered which state, and why; the first one first. `canceled` is always spelled so."""
    rows = tx.execute(
        "SELECT at, to_state, reason FROM group_history WHERE group_id = %(id)s ORDER BY seq", {"id": group_id}
    ).fetchall()
    return [(row[0], GroupState(row[1]), row[2]) for row in rows]


def take_due_reminders(tx: Tx, group: Group) -> bool:
    """True when a reminder is due that was not sent; all that are due are then marked as sent, as one.

    Due by `group.now`. Append the reminder in the same transaction: it is sent once, or with the roll-back not at all.
    """
    taken = tx.execute(
        """
        UPDATE group_reminders SET reminded_at = clock_timestamp()
        WHERE group_id = %(id)s AND reminded_at IS NULL AND remind_at <= %(now)s
        """,
        {"id": group.group_id, "now": group.now},
    )
    return taken.rowcount > 0
