"""Mass refunds as operators request and control them: cancel an event, pause, resume, stop.

Each is one move of the row's state, which names the states it may leave; the worker reads the state before each step.
"""

from collections.abc import Sequence
from uuid import UUID

from db.refunds import mass_refunds
from db.refunds import views as refund_views
from db.refunds.mass_refunds import MassRefund
from db.refunds.views import EventSales
from db.session import Tx
from messages.ids import TenantId
from outbox.requests import mass_refunds as mass_refund_requests
from outbox.requests.mass_refunds import append_step
from outbox.requests.operators.transaction import OperatorTransaction
from outbox.requests.refusals import RefusedError, require

# States in which an operator may still pause it.
STEERABLE = ("running", "waiting_for_balance")


def sales_of_event(tx: Tx, event_id: UUID, tenant_id: UUID | None) -> list[EventSales]:
    """What would be refunded, of the one tenant that sold the event.

    Raises:
        RefusedError: nobody sold it, or several tenants did and none was named.
    """
    sales = [
        sale for sale in refund_views.sales_of_event(tx, event_id) if tenant_id is None or sale.tenant_id == tenant_id
    ]
    require(sales, f"nobody has sold anything for event {event_id}: is that its id?")
    tenants = {sale.tenant_id: sale.tenant for sale in sales}
    if len(tenants) > 1:
        names = ", ".join(f"{name} ({tenant})" for tenant, name in tenants.items())
        raise RefusedError(f"several tenants have sold event {event_id}; name one with --tenant: {names}")
    return sales


def cancel_event(
    acting: OperatorTransaction,
    event_id: UUID,
    tenant_id: UUID | None,
    *,
    note: str,
    rate_per_second: int,
    despite_balance: bool,
) -> MassRefund:
    """Cancel an event: every order of it gets everything back.

    Raises:
        RefusedError: as `sales_of_event`, it is cancelled already, or no reason was given.
    """
    require(note.strip(), "give a reason: every buyer's refund carries it")
    sales = sales_of_event(acting.tx, event_id, tenant_id)
    run, new = mass_refund_requests.cancel_event(
        acting.tx,
        TenantId(sales[0].tenant_id),
        event_id,
        note=note,
        by=acting.operator,
        rate_per_second=rate_per_second,
        despite_balance=despite_balance,
        awaits_approval=acting.needs_approval(sale.left_minor for sale in sales),
    )
    require(new, f"the event is already cancelled, by {run.created_by}: {run.cancellation_id}")
    acting.log("cancel event", subject_of(run) | {"state": run.state, "orders": run.total}, note)
    return run


def pause(acting: OperatorTransaction, cancellation_id: UUID, *, reason: str) -> MassRefund:
    """Stop after the step in progress, until it is resumed.

    Raises:
        RefusedError: it is not running, or no reason was given.
    """
    run = found(acting.tx, cancellation_id)
    return _steer(acting, run, "paused", STEERABLE, "pause event cancellation", reason)


def stop(acting: OperatorTransaction, cancellation_id: UUID, *, reason: str) -> MassRefund:
    """Process no further orders. Refunds that were requested stay requested; the event may be cancelled again.

    Raises:
        RefusedError: it is done or stopped already, or no reason was given.
    """
    leaving = (*STEERABLE, "awaiting_approval", "paused")
    return _steer(acting, found(acting.tx, cancellation_id), "canceled", leaving, "stop event cancellation", reason)


def resume(
    acting: OperatorTransaction,
    cancellation_id: UUID,
    *,
    reason: str,
    rate_per_second: int | None = None,
    despite_balance: bool = False,
) -> MassRefund:
    """Continue where it was paused, or stop waiting for the balance.

    `rate_per_second` None keeps the pace; `despite_balance` True refunds although Stripe's balance does not cover it.
    Its next step is queued in the same transaction.

    Raises:
        RefusedError: it is neither paused nor waiting, or no reason was given.
    """
    run = found(acting.tx, cancellation_id)
    mass_refunds.set_pace(acting.tx, run, rate_per_second=rate_per_second, despite_balance=despite_balance or None)
    leaving = ("paused", "waiting_for_balance")
    current = _steer(acting, run, "running", leaving, "resume event cancellation", reason)
    append_step(acting.tx, current, current.step)
    return current


def _steer(
    acting: OperatorTransaction, run: MassRefund, state: str, leaving: Sequence[str], action: str, reason: str
) -> MassRefund:
    """One move of state with its log entry; returns the row as it is afterwards."""
    require(reason.strip(), "give a reason")
    if not mass_refunds.steer(acting.tx, run, state, leaving=leaving, by=acting.operator, reason=reason):
        raise RefusedError(f"the cancellation is {run.state.replace('_', ' ')}")
    acting.log(action, subject_of(run), reason)
    return found(acting.tx, run.cancellation_id)


def found(tx: Tx, cancellation_id: UUID) -> MassRefund:
    """The mass refund with this id.

    Raises:
        RefusedError: there is none. The sentence names requests too, because `approve` takes either id.
    """
    run = mass_refunds.get(tx, cancellation_id)
    if run is None:
        raise RefusedError(f"there is no request or mass refund {cancellation_id}")
    return run


def subject_of(run: MassRefund) -> dict[str, object]:
    """What the operator log says of a mass refund."""
    return {"cancellation_id": str(run.cancellation_id), "event_id": str(run.event_id)}
