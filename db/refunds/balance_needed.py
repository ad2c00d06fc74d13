"""How much of Stripe's balance refunds take, by the currency of that balance.

Stripe takes a refund from the balance, not from the buyer's charge, and refuses it when too little is available
(docs.stripe.com/refunds). These figures say beforehand what is needed; what there is, only Stripe knows.
"""

from collections.abc import Sequence

from db.session import Tx
from messages.ids import PaymentId
from messages.money import Money

# What a refund takes from Stripe's balance: in the balance's currency, at the rate at which the charge came in.
_FROM_BALANCE = """
    SELECT coalesce(c.balance_currency, c.currency) AS currency, sum(ceil(
        owed.minor * CASE WHEN coalesce(c.balance_currency, c.currency) = c.currency THEN 1
                          ELSE coalesce(converted.minor, c.amount_minor)::numeric / c.amount_minor END))::bigint
    FROM owed
    JOIN charges c ON (c.tenant_id, c.payment_id) = (owed.tenant_id, owed.payment_id)
    LEFT JOIN LATERAL (
        SELECT e.amount_minor AS minor
        FROM ledger_journals j
        JOIN ledger_entries e ON (e.tenant_id, e.journal_id) = (j.tenant_id, j.journal_id)
        JOIN ledger_accounts a ON (a.tenant_id, a.account_id) = (e.tenant_id, e.account_id)
        WHERE c.balance_currency <> c.currency AND j.tenant_id = c.tenant_id AND j.kind = 'conversion'
          AND j.source_id = c.balance_transaction_id AND a.code = 'stripe_balance' AND e.currency = c.balance_currency
    ) AS converted ON true
    GROUP BY 1
"""


def of_payments(tx: Tx, payment_ids: Sequence[PaymentId]) -> list[Money]:
    """What giving all that is left of these payments back takes, one amount per balance currency.

    Left means captured less what refunds hold already; a payment without a charge takes nothing. Rounded up, a payment
    at a time, so that the sum is never too small.
    """
    rows = tx.execute(
        """
        WITH owed AS (
            SELECT tenant_id, payment_id, amount_minor - refunded_minor AS minor
            FROM charges WHERE payment_id = ANY (%(payments)s) AND refunded_minor < amount_minor
        )
        """
        + _FROM_BALANCE,
        {"payments": list(payment_ids)},
    ).fetchall()
    return [Money(minor, currency) for currency, minor in rows]


def on_the_way(tx: Tx) -> list[Money]:
    """The same for refunds of all tenants that were requested and that Stripe has not confirmed; a system transaction.

    One that is `sending` may have reached Stripe already and is counted all the same: too much rather than too little.
    """
    rows = tx.execute(
        "WITH owed AS (SELECT tenant_id, payment_id, amount_minor AS minor FROM refunds "
        "WHERE state IN ('requested', 'sending'))" + _FROM_BALANCE
    ).fetchall()
    return [Money(minor, currency) for currency, minor in rows]
