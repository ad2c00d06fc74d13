"""The one way to cancel an event, for the order service and for operators alike: the row, and the first message.

Both are written in the caller's transaction. Cancelling twice is one cancellation; what is still missing then is what
the first one is doing anyway.
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
    """Begin it, at once or once a second person has agreed; returns the mass refund, and whether it is new."""
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
    """Queue the message that takes this step."""
    append(tx, EventCancellationDue(tenant_id=run.tenant_id, cancellation_id=run.cancellation_id, step=step))
