"""The payment that a request is about, and the request to ask Stripe about it. All in the caller's transaction."""

from db.payments import orders, payments
from db.payments.payments import Payment
from db.session import Tx
from messages.ids import OrderId, PaymentId, TenantId
from messages.payments import PaymentLookupRequested
from outbox.append import append
from outbox.requests.refusals import RefusedError


def locked_payment(tx: Tx, payment_id: PaymentId) -> Payment:
    """The payment, locked until the transaction ends. Raises RefusedError (payment_unknown) when there is none."""
    payment = payments.lock(tx, payment_id)
    if payment is None:
        raise RefusedError(f"there is no payment {payment_id}", code="payment_unknown")
    return payment


def payment_of_order(tx: Tx, order_id: OrderId) -> PaymentId:
    """Raises RefusedError for an order that was not received yet."""
    payment_id = orders.payment_of(tx, order_id)
    if payment_id is None:
        raise RefusedError(f"order {order_id} is unknown here; replay this once the order has come")
    return payment_id


def request_lookup(tx: Tx, tenant_id: TenantId, payment_id: PaymentId) -> None:
    """Have Stripe asked for the state of the payment now, not when its webhook comes. Asking twice is harmless."""
    append(tx, PaymentLookupRequested(tenant_id=tenant_id, payment_id=payment_id))
