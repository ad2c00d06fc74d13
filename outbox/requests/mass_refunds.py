"""The one way to cancel an event, for the order service and for operators: the row, and the first message.

Both are written in the caller's transaction. Cancelling twice is one cancellation: the first one processes every order
anyway.
"""

from uuid import UUID

from loguru import logger

from db.refunds import mass_refunds
from db.refunds.mass_refunds import DEFAULT_RATE, MassRefund
from db.session import Tx
from messages.ids import TenantId
from messages.refunds import EventCancellationDue
from outbox.append import append


def cancel_event(
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
    """Start a mass refund; returns it, and whether it is new.

    With `awaits_approval` nothing is queued until a second operator agrees. `rate_per_second` is orders per second;
    `despite_balance` refunds although Stripe's balance does not cover it. For a known event, all arguments but its id
    are ignored.
    """
    run, new = mass_refunds.begin(
        tx,
        tenant_id,
        event_id,
        note=note,
        by=by,
        rate_per_second=rate_per_second,
        despite_balance=despite_balance,
        awaits_approval=awaits_approval,
    )
    if new:
        logger.info(
            "event with {} orders canceled by {}; mass refund is {}", run.total, by, run.state, event_id=event_id
        )
        if run.state == "running":
            append_step(tx, run, run.step)
    return run, new


def append_step(tx: Tx, run: MassRefund, step: int) -> None:
    """Queue the message for this step; a step that was processed before does nothing."""
    append(tx, EventCancellationDue(tenant_id=run.tenant_id, cancellation_id=run.cancellation_id, step=step))
