"""Payments that stand where a refund, a cancellation or a capture begins, and what tests look up afterwards."""

from uuid import uuid4

from db.payments.payments import Payment
from db.refunds import refunds
from db.refunds.refunds import Refund
from db.session import Database
from db.tenants.tenants import Tenant
from deploy.local.stripe.control import EmulatorControl
from messages.money import Money
from messages.payments import ChargeRequested
from messages.refunds import CancelRequested, CaptureRequested, RefundLookupRequested, RefundRequested
from outbox.requests.cancellations import request_cancellation
from outbox.requests.captures import request_capture
from outbox.requests.refunds import request_refund
from stripe_client.gateway import Gateway
from tests import factories
from workers.payments.charge import charge


def charged(db: Database, gateway: Gateway, tenant: Tenant, **order: object) -> Payment:
    """A payment whose charge was tried; succeeded unless the order says otherwise."""
    payment = factories.requested(db, tenant, **order)
    charge(ChargeRequested(tenant_id=tenant.tenant_id, payment_id=payment.payment_id), db, gateway)
    return factories.reread(db, tenant.tenant_id, payment.payment_id)


def asked(db: Database, payment: Payment, minor: int | None = None, key: str | None = None) -> Refund:
    """A refund that was just requested: of everything left unless the amount matters."""
    with db.transaction(payment.tenant_id) as tx:
        wish = request_refund(
            tx,
            payment_id=payment.payment_id,
            amount=None if minor is None else Money(minor, payment.currency),
            reason="requested_by_customer",
            source="api",
            request_key=key or f"key-{uuid4()}",
            by="test",
        )
    assert wish.refund is not None
    return wish.refund


def wish_to_cancel(db: Database, payment: Payment, reason: str = "order_cancelled") -> CancelRequested:
    """The wish is kept; returns the message that carries it out."""
    with db.transaction(payment.tenant_id) as tx:
        request_cancellation(tx, payment, reason=reason, by="test")
    return CancelRequested(tenant_id=payment.tenant_id, payment_id=payment.payment_id)


def wish_to_capture(db: Database, payment: Payment, minor: int | None = None) -> CaptureRequested:
    with db.transaction(payment.tenant_id) as tx:
        amount = None if minor is None else Money(minor, payment.currency)
        request_capture(tx, payment_id=payment.payment_id, amount=amount)
    return CaptureRequested(tenant_id=payment.tenant_id, payment_id=payment.payment_id)


def message(wanted: Refund) -> RefundRequested:
    return RefundRequested(tenant_id=wanted.tenant_id, payment_id=wanted.payment_id, refund_id=wanted.refund_id)


def lookup(wanted: Refund) -> RefundLookupRequested:
    return RefundLookupRequested(tenant_id=wanted.tenant_id, payment_id=wanted.payment_id, refund_id=wanted.refund_id)


def reread(db: Database, wanted: Refund) -> Refund:
    with db.transaction(wanted.tenant_id) as tx:
        found = refunds.get(tx, wanted.refund_id)
    assert found is not None
    return found


def of_payment(db: Database, payment: Payment) -> list[Refund]:
    with db.transaction(payment.tenant_id) as tx:
        return refunds.of_payment(tx, payment.payment_id)


def given_back(control: EmulatorControl) -> list[int]:
    """Amounts that the bank's own recorder saw go back."""
    return [effect["amount"] for effect in control.effects() if effect["kind"] == "refund"]
