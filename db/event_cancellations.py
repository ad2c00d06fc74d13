"""Mass cancellations: the row, how one begins, and the moves of a worker and of operators.

    [awaiting_approval ->] running <-> waiting_for_balance, paused -> done     cancelled (stopped) from any before done

A step is taken by whoever names its number: the row is locked, the number is compared, and it grows with the step. So a
second delivery, and the messages that wait from before a pause, change nothing.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from psycopg.rows import class_row

from db.session import Tx
from messages.ids import OrderId, PaymentId, TenantId

DEFAULT_RATE = 20
MOVING = frozenset({"running", "waiting_for_balance"})


@dataclass(frozen=True, slots=True)
class EventCancellation:
    """`total` orders were there when the event was cancelled; the four counts say what became of those taken so far."""

    tenant_id: TenantId
    cancellation_id: UUID
    event_id: UUID
    note: str
    state: str
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

    @property
    def taken(self) -> int:
        return self.refunds_asked + self.cancellations_asked + self.nothing_left + self.refused

    def takes(self, step: int) -> bool:
        """Whether a message with this number may act."""
        return self.state in MOVING and self.step == step


_SELECT = """
    SELECT
        tenant_id, cancellation_id, event_id, note, state, state_by, state_reason, state_since, created_by, created_at,
        approved_by, off_since, rate_per_second, despite_balance, step, pass AS pass_, cursor_order_id, moved_at, total,
        refunds_asked, cancellations_asked, nothing_left, refused
    FROM event_cancellations
"""


def get(tx: Tx, cancellation_id: UUID) -> EventCancellation | None:
    with tx.cursor(row_factory=class_row(EventCancellation)) as cursor:
        return cursor.execute(_SELECT + "WHERE cancellation_id = %(id)s", {"id": cancellation_id}).fetchone()


def lock(tx: Tx, cancellation_id: UUID) -> EventCancellation | None:
    with tx.cursor(row_factory=class_row(EventCancellation)) as cursor:
        statement = _SELECT + "WHERE cancellation_id = %(id)s FOR UPDATE"
        return cursor.execute(statement, {"id": cancellation_id}).fetchone()


def of_event(tx: Tx, tenant_id: TenantId, event_id: UUID) -> EventCancellation | None:
    """The one that was not stopped; None when the event is on."""
    with tx.cursor(row_factory=class_row(EventCancellation)) as cursor:
        return cursor.execute(
            _SELECT + "WHERE tenant_id = %(tenant)s AND event_id = %(event)s AND state <> 'cancelled'",
            {"tenant": tenant_id, "event": event_id},
        ).fetchone()


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
) -> tuple[EventCancellation, bool]:
    """Cancel an event; returns how it stands, and whether this call began it.

    Waits for the orders of the event that are being accepted just now, so that they are counted.
    """
    lock_event(tx, tenant_id, event_id)
    known = of_event(tx, tenant_id, event_id)
    if known is not None:
        return known, False
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


@dataclass(frozen=True, slots=True)
class Taken:
    """One order of a slice, with its payment."""

    order_id: OrderId
    payment_id: PaymentId


# What this cancellation has not dealt with: money that could still be taken, or that is left and was not asked for.
_LEFT_OUT = """
    NOT EXISTS (SELECT FROM event_cancellation_refusals x
                WHERE (x.tenant_id, x.payment_id) = (p.tenant_id, p.payment_id) AND x.cancellation_id = %(id)s)
    AND CASE WHEN p.state = 'succeeded'
        THEN EXISTS (SELECT FROM charges c
                     WHERE (c.tenant_id, c.payment_id) = (p.tenant_id, p.payment_id)
                       AND c.refunded_minor < c.amount_minor)
             AND NOT EXISTS (SELECT FROM refunds r
                             WHERE r.tenant_id = p.tenant_id
                               AND r.request_key = 'event_cancellation:' || %(id)s::text || ':' || p.payment_id::text)
        ELSE p.state <> 'canceled' AND p.cancel_requested_at IS NULL END
"""


def next_slice(tx: Tx, run: EventCancellation, *, limit: int) -> list[Taken]:
    """The orders after the cursor: in the first pass all that were there, later only those that were left out."""
    with tx.cursor(row_factory=class_row(Taken)) as cursor:
        return cursor.execute(
            """
            SELECT o.order_id, p.payment_id
            FROM orders o
            JOIN payments p ON (p.tenant_id, p.order_id) = (o.tenant_id, o.order_id)
            WHERE o.ticketed_event_id = %(event)s
              AND o.order_id > coalesce(%(cursor)s::uuid, '00000000-0000-0000-0000-000000000000')
              AND (CASE WHEN %(first_pass)s THEN o.received_at < %(off_since)s ELSE """
            + _LEFT_OUT
            + "END) ORDER BY o.order_id LIMIT %(limit)s",
            {
                "id": run.cancellation_id,
                "event": run.event_id,
                "cursor": run.cursor_order_id,
                "first_pass": run.pass_ == 1,
                "off_since": run.off_since,
                "limit": limit,
            },
        ).fetchall()


def left_out(tx: Tx, run: EventCancellation) -> int:
    """How many payments of the event this cancellation has not dealt with."""
    row = tx.execute(
        """
        SELECT count(*)
        FROM orders o JOIN payments p ON (p.tenant_id, p.order_id) = (o.tenant_id, o.order_id)
        WHERE o.ticketed_event_id = %(event)s AND """
        + _LEFT_OUT,
        {"id": run.cancellation_id, "event": run.event_id},
    ).fetchone()
    assert row is not None, "an aggregate always returns a row"
    return int(row[0])


@dataclass(frozen=True, slots=True)
class Counts:
    """What became of the payments of one slice."""

    refunds_asked: int = 0
    cancellations_asked: int = 0
    nothing_left: int = 0
    refused: int = 0


def advance(tx: Tx, run: EventCancellation, *, cursor: OrderId, counts: Counts, by: str) -> None:
    """A slice is done: move the cursor, count, and make the next step the one that counts."""
    tx.execute(
        """
        UPDATE event_cancellations
        SET state = 'running', state_by = %(by)s, state_reason = NULL, step = step + 1, cursor_order_id = %(cursor)s,
            moved_at = clock_timestamp(),
            refunds_asked = refunds_asked + %(refunds)s, cancellations_asked = cancellations_asked + %(cancellations)s,
            nothing_left = nothing_left + %(nothing)s, refused = refused + %(refused)s,
            total = total + CASE WHEN pass = 1 THEN 0 ELSE %(all)s END
        WHERE cancellation_id = %(id)s
        """,
        {
            "id": run.cancellation_id,
            "cursor": cursor,
            "by": by,
            "refunds": counts.refunds_asked,
            "cancellations": counts.cancellations_asked,
            "nothing": counts.nothing_left,
            "refused": counts.refused,
            "all": counts.refunds_asked + counts.cancellations_asked + counts.nothing_left + counts.refused,
        },
    )


def begin_pass(tx: Tx, run: EventCancellation, *, by: str) -> None:
    """From the beginning again, for what was left out."""
    tx.execute(
        """
        UPDATE event_cancellations
        SET state = 'running', state_by = %(by)s, state_reason = NULL, step = step + 1, pass = pass + 1,
            cursor_order_id = NULL, moved_at = clock_timestamp()
        WHERE cancellation_id = %(id)s
        """,
        {"id": run.cancellation_id, "by": by},
    )


def end(tx: Tx, run: EventCancellation, *, by: str) -> None:
    tx.execute(
        """
        UPDATE event_cancellations
        SET state = 'done', state_by = %(by)s, state_reason = NULL, step = step + 1, moved_at = clock_timestamp()
        WHERE cancellation_id = %(id)s
        """,
        {"id": run.cancellation_id, "by": by},
    )


def wait_for_balance(tx: Tx, run: EventCancellation, *, reason: str, by: str) -> None:
    """The step stays the same: the message that came to it comes back."""
    tx.execute(
        """
        UPDATE event_cancellations
        SET state = 'waiting_for_balance', state_by = %(by)s, state_reason = %(reason)s, moved_at = clock_timestamp()
        WHERE cancellation_id = %(id)s
        """,
        {"id": run.cancellation_id, "reason": reason, "by": by},
    )


def refuse(tx: Tx, run: EventCancellation, payment_id: PaymentId, *, code: str, reason: str) -> None:
    """Note that a payment could not be given back; noted once."""
    tx.execute(
        """
        INSERT INTO event_cancellation_refusals (tenant_id, cancellation_id, payment_id, code, reason)
        VALUES (current_tenant(), %(id)s, %(payment_id)s, %(code)s, %(reason)s) ON CONFLICT DO NOTHING
        """,
        {"id": run.cancellation_id, "payment_id": payment_id, "code": code, "reason": reason},
    )


@dataclass(frozen=True, slots=True)
class StandingRun:
    """A cancellation whose next step did not come."""

    tenant_id: TenantId
    cancellation_id: UUID
    step: int


def standing_still(tx: Tx, *, older_than_seconds: float) -> list[StandingRun]:
    """Those that should have moved; a step that comes twice is taken once. Needs a system transaction."""
    with tx.cursor(row_factory=class_row(StandingRun)) as cursor:
        return cursor.execute(
            """
            SELECT tenant_id, cancellation_id, step FROM event_cancellations c
            WHERE state IN ('running', 'waiting_for_balance')
              AND moved_at < clock_timestamp() - make_interval(secs => %(age)s)
              AND NOT EXISTS (SELECT FROM outbox o WHERE o.ordering_key = c.cancellation_id)
              AND NOT EXISTS (
                  SELECT FROM dead_letters d
                  WHERE d.state = 'open' AND d.kind = 'cancel_event'
                    AND strpos(d.payload, c.cancellation_id::text) > 0)
            """,
            {"age": older_than_seconds},
        ).fetchall()
