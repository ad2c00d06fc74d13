"""Mass refunds (the refunds of a whole event): the row, how one begins, and the moves of a worker and of operators.

states.py draws the moves. A step is taken by the message that names its number: the row is locked, the number is
compared, and it grows with the step. So a second delivery, and messages that wait from before a pause, change nothing.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from psycopg.rows import class_row

from db.refunds.states import ACTIVE_MASS_REFUNDS, MassRefundState
from db.session import Tx
from messages.ids import TenantId

DEFAULT_RATE = 20


@dataclass(frozen=True, slots=True)
class MassRefund:
    """One event's refunds, and how far they are.

    off_since                 when the event was cancelled: orders from before are the first pass; None: not approved
    despite_balance           an operator allowed to go on although Stripe's balance may not be enough
    rate_per_second           at most so many payments a second
    step                      grows with every step and operator's action; a message acts only if it names this number
    pass_, cursor_order_id    which pass it is, and the last order dealt with in it (None: at the first)
    total                     orders of the event, as far as they are known
    refunds_asked .. refused  what became of the payments dealt with so far (mass_refund_steps.BatchCounts)
    """

    tenant_id: TenantId
    cancellation_id: UUID
    event_id: UUID
    note: str
    state: MassRefundState
    state_by: str
    state_reason: str | None
    state_since: datetime
    created_by: str
    created_at: datetime
    approved_by: str | None
    off_since: datetime | None
    rate_per_second: int
    despite_balance: bool
    step: int
    pass_: int
    cursor_order_id: UUID | None
    moved_at: datetime
    total: int
    refunds_asked: int
    cancellations_asked: int
    nothing_left: int
    refused: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "state", MassRefundState(self.state))

    @property
    def taken(self) -> int:
        return self.refunds_asked + self.cancellations_asked + self.nothing_left + self.refused

    def takes(self, step: int) -> bool:
        """Whether a message with this number may act."""
        return self.state in ACTIVE_MASS_REFUNDS and self.step == step


_SELECT = """
    SELECT
        tenant_id, cancellation_id, event_id, note, state, state_by, state_reason, state_since, created_by, created_at,
        approved_by, off_since, rate_per_second, despite_balance, step, pass AS pass_, cursor_order_id, moved_at, total,
        refunds_asked, cancellations_asked, nothing_left, refused
    FROM event_cancellations
"""


def get(tx: Tx, cancellation_id: UUID) -> MassRefund | None:
    """The mass refund, unlocked; None when this transaction can see none of that id."""
    with tx.cursor(row_factory=class_row(MassRefund)) as cursor:
        return cursor.execute(_SELECT + "WHERE cancellation_id = %(id)s", {"id": cancellation_id}).fetchone()


def lock(tx: Tx, cancellation_id: UUID) -> MassRefund | None:
    """The same with its row locked until the transaction ends (FOR UPDATE): whoever takes a step or steers must hold
    it.
    """
    with tx.cursor(row_factory=class_row(MassRefund)) as cursor:
        statement = _SELECT + "WHERE cancellation_id = %(id)s FOR UPDATE"
        return cursor.execute(statement, {"id": cancellation_id}).fetchone()


def of_event(tx: Tx, tenant_id: TenantId, event_id: UUID) -> MassRefund | None:
    """The event's mass refund that was not stopped, waiting for approval included; None when the event goes ahead."""
    with tx.cursor(row_factory=class_row(MassRefund)) as cursor:
        return cursor.execute(
            _SELECT
            + "WHERE tenant_id = %(tenant)s AND event_id = %(event)s AND state NOT IN ('canceled', 'cancelled')",
            {"tenant": tenant_id, "event": event_id},
        ).fetchone()


def latest_of_event(tx: Tx, event_id: UUID) -> MassRefund | None:
    """The newest of an event, stopped ones included; in an ops transaction an event is looked for in all tenants."""
    with tx.cursor(row_factory=class_row(MassRefund)) as cursor:
        return cursor.execute(
            _SELECT + "WHERE event_id = %(event)s ORDER BY created_at DESC LIMIT 1", {"event": event_id}
        ).fetchone()


def latest(tx: Tx, *, limit: int) -> list[MassRefund]:
    """The newest first."""
    with tx.cursor(row_factory=class_row(MassRefund)) as cursor:
        return cursor.execute(_SELECT + "ORDER BY created_at DESC LIMIT %(limit)s", {"limit": limit}).fetchall()


def cancelled_among(tx: Tx, events: Iterable[UUID]) -> set[UUID]:
    """Which of these events are cancelled; call it before their orders are written.

    One that awaits approval is not yet.

    Takes each event's advisory lock, shared, to the end of the transaction, and `begin` takes the same lock alone: so
    an order is either counted by the cancellation, or it sees the cancellation. Needs a tenant transaction.
    """
    rows = tx.execute("SELECT cancelled_among(%(events)s::uuid[])", {"events": list(events)}).fetchall()
    return {row[0] for row in rows}


def begin(
    tx: Tx,
    tenant_id: TenantId,
    event_id: UUID,
    *,
    note: str,
    by: str,
    rate_per_second: int = DEFAULT_RATE,
    despite_balance: bool = False,
    awaits_approval: bool = False,
) -> tuple[MassRefund, bool]:
    """Cancel an event; returns its mass refund, and whether this call began it: a second call returns what is there.

    Waits for the orders of the event that are being accepted just now, so that they are counted. With `awaits_approval`
    nothing is refunded, and the event goes on selling, until `approve`. The caller appends the message of the first
    step.
    """
    lock_event(tx, tenant_id, event_id)
    mass_refund = of_event(tx, tenant_id, event_id)
    if mass_refund is not None:
        return mass_refund, False
    row = tx.execute(
        """
        INSERT INTO event_cancellations (
            tenant_id, event_id, note, state, state_by, created_by, rate_per_second, despite_balance, off_since, total)
        SELECT %(tenant)s, %(event)s, %(note)s, %(state)s, %(by)s, %(by)s, %(rate)s, %(despite)s,
               CASE WHEN %(state)s = 'running' THEN clock_timestamp() END, count(*)
        FROM orders WHERE tenant_id = %(tenant)s AND ticketed_event_id = %(event)s
        RETURNING cancellation_id
        """,
        {
            "tenant": tenant_id,
            "event": event_id,
            "note": note,
            "state": "awaiting_approval" if awaits_approval else "running",
            "by": by,
            "rate": rate_per_second,
            "despite": despite_balance,
        },
    ).fetchone()
    assert row is not None, "INSERT ... RETURNING returns its row"
    begun = get(tx, row[0])
    assert begun is not None, "it was written a moment ago in this transaction"
    return begun, True


def lock_event(tx: Tx, tenant_id: TenantId, event_id: UUID) -> None:
    """Take the event's advisory lock alone, to the end of the transaction; it waits for orders that are being accepted.

    A statement of its own: one that locks and counts would count with a snapshot from before it waited.
    """
    tx.execute(
        "SELECT pg_advisory_xact_lock(event_lock(%(tenant)s, %(event)s))", {"tenant": tenant_id, "event": event_id}
    )


def approve(tx: Tx, run: MassRefund, *, by: str) -> bool:
    """awaiting_approval -> running; the orders that came meanwhile are counted in.

    False when it was approved or stopped.

    That another person than the requester approves is checked by the caller and by a CHECK of the table (M20).
    """
    lock_event(tx, run.tenant_id, run.event_id)
    moved = tx.execute(
        """
        UPDATE event_cancellations c
        SET state = 'running', state_by = %(by)s, approved_by = %(by)s, moved_at = clock_timestamp(),
            off_since = clock_timestamp(),
            total = (SELECT count(*) FROM orders o
                     WHERE (o.tenant_id, o.ticketed_event_id) = (c.tenant_id, c.event_id))
        WHERE cancellation_id = %(id)s AND state = 'awaiting_approval'
        """,
        {"id": run.cancellation_id, "by": by},
    )
    return moved.rowcount == 1


def steer(tx: Tx, run: MassRefund, state: str, *, leaving: Sequence[str], by: str, reason: str | None) -> bool:
    """Pause, resume or stop, from one of the states `leaving`; False when it is in none of these.

    The step grows, so that messages from before find nothing to do; to resume, the caller appends a message for the new
    one.
    """
    moved = tx.execute(
        """
        UPDATE event_cancellations
        SET state = %(state)s, state_by = %(by)s, state_reason = %(reason)s, step = step + 1,
            moved_at = clock_timestamp()
        WHERE cancellation_id = %(id)s AND state = ANY (%(leaving)s)
        """,
        {"id": run.cancellation_id, "state": state, "by": by, "reason": reason, "leaving": list(leaving)},
    )
    return moved.rowcount == 1


def set_pace(tx: Tx, run: MassRefund, *, rate_per_second: int | None, despite_balance: bool | None) -> None:
    """Change payments per second, or whether a too small balance stops it; None leaves it as it is.

    Any state will
    do.
    """
    tx.execute(
        """
        UPDATE event_cancellations
        SET rate_per_second = coalesce(%(rate)s, rate_per_second),
            despite_balance = coalesce(%(despite)s, despite_balance)
        WHERE cancellation_id = %(id)s
        """,
        {"id": run.cancellation_id, "rate": rate_per_second, "despite": despite_balance},
    )
