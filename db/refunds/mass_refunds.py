"""Mass cancellations: the row, how one begins, and the moves of a worker and of operators (states.py draws them).

A step is taken by whoever names its number: the row is locked, the number is compared, and it grows with the step. So a
second delivery, and the messages that wait from before a pause, change nothing.
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
    """`total` orders were there when the event was cancelled; the four counts say what became of those taken so far."""

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
    with tx.cursor(row_factory=class_row(MassRefund)) as cursor:
        return cursor.execute(_SELECT + "WHERE cancellation_id = %(id)s", {"id": cancellation_id}).fetchone()


def lock(tx: Tx, cancellation_id: UUID) -> MassRefund | None:
    with tx.cursor(row_factory=class_row(MassRefund)) as cursor:
        statement = _SELECT + "WHERE cancellation_id = %(id)s FOR UPDATE"
        return cursor.execute(statement, {"id": cancellation_id}).fetchone()


def of_event(tx: Tx, tenant_id: TenantId, event_id: UUID) -> MassRefund | None:
    """The one that was not stopped; None when the event is on."""
    with tx.cursor(row_factory=class_row(MassRefund)) as cursor:
        return cursor.execute(
            _SELECT
            + "WHERE tenant_id = %(tenant)s AND event_id = %(event)s AND state NOT IN ('canceled', 'cancelled')",
            {"tenant": tenant_id, "event": event_id},
        ).fetchone()


def latest_of_event(tx: Tx, event_id: UUID) -> MassRefund | None:
    with tx.cursor(row_factory=class_row(MassRefund)) as cursor:
        return cursor.execute(
            _SELECT + "WHERE event_id = %(event)s ORDER BY created_at DESC LIMIT 1", {"event": event_id}
        ).fetchone()


def latest(tx: Tx, *, limit: int) -> list[MassRefund]:
    """The newest first."""
    with tx.cursor(row_factory=class_row(MassRefund)) as cursor:
        return cursor.execute(_SELECT + "ORDER BY created_at DESC LIMIT %(limit)s", {"limit": limit}).fetchall()


def cancelled_among(tx: Tx, events: Iterable[UUID]) -> set[UUID]:
    """Which of these events are off, asked before their orders are written.

    Until the transaction ends, none of the others can be cancelled.
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
    """Cancel an event; returns how it stands, and whether this call began it.

    Waits for the orders of the event that are being accepted just now, so that they are counted.
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
    """A statement of its own: the one that counts must begin after the lock is held."""
    tx.execute(
        "SELECT pg_advisory_xact_lock(event_lock(%(tenant)s, %(event)s))", {"tenant": tenant_id, "event": event_id}
    )


def approve(tx: Tx, run: MassRefund, *, by: str) -> bool:
    """awaiting_approval -> running; the orders that came meanwhile are counted in."""
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
    """Pause, resume or stop. The step grows, so that messages from before find nothing to do."""
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
    """What an operator may change while it is paused or waits; None leaves it as it is."""
    tx.execute(
        """
        UPDATE event_cancellations
        SET rate_per_second = coalesce(%(rate)s, rate_per_second),
            despite_balance = coalesce(%(despite)s, despite_balance)
        WHERE cancellation_id = %(id)s
        """,
        {"id": run.cancellation_id, "rate": rate_per_second, "despite": despite_balance},
    )
