"""The payment that a request is about, and the request to ask Stripe about it. All in the caller's transaction."""

from db.payments import orders, payments
from db.payments.payments import Payment
from db.session import Tx
from messages.ids import OrderId, PaymentId, TenantId
from messages.payments import PaymentLookupRequested
from outbox.append import append
from outbox.requests.refusals import RefusedError


def locked_payment(tx: Tx, payment_id: PaymentId) -> Payment:
    """The payment, locked until the transaction ends.

    Raises:
        RefusedError: there is none (code payment_unknown), also when it is another tenant's: row-level security hides
            it.
    """
    payment = payments.lock(tx, payment_id)
    if payment is None:
        raise RefusedError(f"there is no payment {payment_id}", code="payment_unknown")
    return payment


def payment_of_order(tx: Tx, order_id: OrderId) -> PaymentId:
    """The payment of an order.

    Raises:
        RefusedError: the order was not received yet; events may arrive before their order, so the sentence says to
            replay.
    """
    payment_id = orders.payment_of(tx, order_id)
    if payment_id is None:
        raise RefusedError(f"order {order_id} is unknown here; replay this once the order has come")
    return payment_id


def request_lookup(tx: Tx, tenant_id: TenantId, payment_id: PaymentId) -> None:
    """Have a worker fetch the payment's state from Stripe now, instead of waiting for its webhook. Twice is
    harmless.
    """
    append(tx, PaymentLookupRequested(tenant_id=tenant_id, payment_id=payment_id))
