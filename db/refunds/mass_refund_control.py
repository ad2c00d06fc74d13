"""What operators do with a mass cancellation that is under way: approve, pause, resume, stop, change its pace."""

from collections.abc import Sequence

from db.refunds.mass_refunds import MassRefund, lock_event
from db.session import Tx


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
