"""A cancelled event as its tests drive it: begun, delivered step by step, steered, and carried out."""

from uuid import UUID, uuid4

import orjson
import psycopg

from db.payments.payments import Payment
from db.payments.states import PaymentState
from db.refunds import mass_refunds
from db.refunds.mass_refunds import MassRefund
from db.refunds.states import ACTIVE_MASS_REFUNDS
from db.session import Database
from db.tenants.tenants import Tenant
from messages.refunds import CancelRequested, EventCancellationDue, RefundRequested
from outbox.requests.mass_refunds import append_step, cancel_event
from stripe_client.gateway import Gateway
from tests import factories
from workers.payments.cancel import cancel
from workers.refunds import mass_refund
from workers.refunds.refund import refund

EVENT = uuid4()


def begun(
    db: Database, tenant: Tenant, event_id: UUID = EVENT, *, rate: int = 100, despite_balance: bool = False
) -> MassRefund:
    with db.transaction(tenant.tenant_id) as tx:
        run, _ = cancel_event(
            tx,
            tenant.tenant_id,
            event_id,
            note="rain",
            by="test",
            rate_per_second=rate,
            despite_balance=despite_balance,
        )
    return run


def step_of(run: MassRefund) -> EventCancellationDue:
    return EventCancellationDue(tenant_id=run.tenant_id, cancellation_id=run.cancellation_id, step=run.step)


def reread(db: Database, run: MassRefund) -> MassRefund:
    with db.transaction(run.tenant_id) as tx:
        found = mass_refunds.get(tx, run.cancellation_id)
    assert found is not None
    return found


def run_to_its_end(db: Database, gateway: Gateway, run: MassRefund) -> MassRefund:
    """Deliver step after step, as the relay would, without the pauses."""
    while (current := reread(db, run)).state in ACTIVE_MASS_REFUNDS:
        mass_refund.cancel_event(step_of(current), db, gateway)
    return current


def steer(db: Database, run: MassRefund, to: str, *, leaving: list[str]) -> None:
    with db.ops_transaction() as tx:
        assert mass_refunds.steer(tx, run, to, leaving=leaving, by="oda", reason=None)
        if to == "running":
            append_step(tx, run, run.step)


def carry_out(db: Database, owner: psycopg.Connection, gateway: Gateway) -> None:
    """Run the refunds and cancellations that were queued; charges are not."""
    rows = owner.execute("SELECT kind, body FROM outbox WHERE kind IN ('refund', 'cancel') ORDER BY id").fetchall()
    for kind, body in rows:
        payload = orjson.loads(body)["kwargs"]["payload"]
        if kind == "cancel":
            cancel(CancelRequested.model_validate(payload), db, gateway)
        else:
            refund(RefundRequested.model_validate(payload), db, gateway)


def state(db: Database, payment: Payment) -> PaymentState:
    return factories.reread(db, payment.tenant_id, payment.payment_id).state


def refund_event(tenant: Tenant, payment: Payment, minor: int) -> bytes:
    return factories.event(
        {
            "order_id": str(payment.order_id),
            "tenant_id": str(tenant.tenant_id),
            "amount": {"minor": minor, "currency": "eur"},
        },
        type="order.refund_requested",
        dataschema="urn:payment-fleet:order.refund_requested:1",
    )


def event_off(tenant: Tenant, event_id: UUID) -> bytes:
    return factories.event(
        {"event_id": str(event_id), "tenant_id": str(tenant.tenant_id), "note": "rain"},
        type="order.event_cancelled",
        dataschema="urn:payment-fleet:order.event_cancelled:1",
    )
