"""Successful charges, one per payment, and what Stripe kept of each."""

from db.payments import Payment
from db.session import Tx
from messages.money import Money


def record(tx: Tx, payment: Payment, *, charge_id: str, intent_id: str, amount_minor: int) -> None:
    """Write the one successful charge of a payment.

    Raises:
        psycopg.errors.UniqueViolation: the payment already has a charge (M1); nothing may be booked.
    """
    tx.execute(
        """
        INSERT INTO charges (tenant_id, charge_id, payment_id, payment_intent_id, amount_minor, currency)
        VALUES (current_tenant(), %(charge_id)s, %(payment_id)s, %(intent_id)s, %(amount)s, %(currency)s)
        """,
        {
            "charge_id": charge_id,
            "payment_id": payment.payment_id,
            "intent_id": intent_id,
            "amount": amount_minor,
            "currency": payment.currency,
        },
    )


def record_fee(tx: Tx, charge_id: str, *, balance_transaction_id: str, stripe_fee: Money) -> bool:
    """Note the balance transaction of a charge, once; False when it was noted before."""
    noted = tx.execute(
        """
        UPDATE charges
        SET balance_transaction_id = %(balance)s, stripe_fee_minor = %(fee)s, balance_currency = %(currency)s
        WHERE charge_id = %(charge_id)s AND balance_transaction_id IS NULL
        """,
        {
            "charge_id": charge_id,
            "balance": balance_transaction_id,
            "fee": stripe_fee.minor,
            "currency": stripe_fee.currency,
        },
    )
    return noted.rowcount == 1
