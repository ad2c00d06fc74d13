"""Successful charges, one per payment, and the fee that Stripe took for each.

Declined tries are not charges: they are rows of `payment_attempts`, written with the move in db/payments/payments.py.
`refunded_minor` of a charge is written by triggers alone (migration 0008), so no function here touches it.
"""

from dataclasses import dataclass

from db.payments.payments import Payment
from db.session import Tx
from messages.money import Money


@dataclass(frozen=True, slots=True)
class Fee:
    """What Stripe kept of a charge, as its balance transaction states it
    (docs.stripe.com/api/balance_transactions/object).

    `amount` is in the currency of Stripe's balance, which differs from the charge's when Stripe converted it.
    """

    balance_transaction_id: str
    amount: Money


def record(
    tx: Tx, payment: Payment, *, charge_id: str, intent_id: str, amount_minor: int, fee: Fee | None = None
) -> None:
    """Write the one successful charge of a payment, with its fee when Stripe has booked that already.

    `amount_minor` is what was captured, in the payment's currency. Without a fee the charge stays in the index that the
    sweep reads (`charges_without_balance_transaction`) until `record_fee`.

    Raises:
        psycopg.errors.UniqueViolation: the payment already has a charge (M1); nothing may be booked.
    """
    tx.execute(
        """
        INSERT INTO charges (
            tenant_id, charge_id, payment_id, payment_intent_id, amount_minor, currency,
            balance_transaction_id, stripe_fee_minor, balance_currency)
        VALUES (
            current_tenant(), %(charge_id)s, %(payment_id)s, %(intent_id)s, %(amount)s, %(currency)s,
            %(balance)s, %(fee)s, %(balance_currency)s)
        """,
        {
            "charge_id": charge_id,
            "payment_id": payment.payment_id,
            "intent_id": intent_id,
            "amount": amount_minor,
            "currency": payment.currency,
            "balance": fee and fee.balance_transaction_id,
            "fee": fee and fee.amount.minor,
            "balance_currency": fee and fee.amount.currency,
        },
    )


def record_fee(tx: Tx, charge_id: str, fee: Fee) -> bool:
    """Note the fee of a charge, once; False when it was noted before, or the tenant has no such charge.

    Post the fee's journal only after True: two workers may look the same charge up at once.
    """
    noted = tx.execute(
        """
        UPDATE charges
        SET balance_transaction_id = %(balance)s, stripe_fee_minor = %(fee)s, balance_currency = %(currency)s
        WHERE charge_id = %(charge_id)s AND balance_transaction_id || '' IS NULL
        """,
        {
            "charge_id": charge_id,
            "balance": fee.balance_transaction_id,
            "fee": fee.amount.minor,
            "currency": fee.amount.currency,
        },
    )
    return noted.rowcount == 1
