"""What refunds and lost disputes took of a payment so far, and the marks that a refund was booked, each made once.

No journal is posted here: workers/refunds does that, after a mark returned True.
"""

from dataclasses import dataclass

from db.refunds.refunds import Refund
from db.session import Tx
from messages.ids import PaymentId
from messages.money import Money


@dataclass(frozen=True, slots=True)
class Returned:
    """Of one payment, in the charge's currency: what booked refunds and losses took from venue and platform so far.

    captured          what the buyer paid
    open_obligation   owed to the buyer since a booked refund failed; the next refund or loss pays it first
    debited           taken from venue and platform together
    fee               the platform's part of that
    fee_borne         of the platform's fee, what whoever sold gave in its place
    fee_comes_back    the venue's policy: the platform's fee is returned with its refunds, and not kept
    """

    captured: Money
    open_obligation: Money
    debited: Money
    fee: Money
    fee_borne: Money
    fee_comes_back: bool


def returned(tx: Tx, payment_id: PaymentId) -> Returned:
    """What has gone back of a captured payment. Lock the payment first, or a refund booked meanwhile is missing.

    A refund that was booked and then failed stays in `debited`, and adds to `open_obligation` instead: venue and
    platform gave the money, and it is the buyer who has not got it. A loss that was reversed counts nowhere.

    Raises:
        AssertionError: the tenant has no such payment, or nothing of it was captured.
    """
    row = tx.execute(
        """
        WITH given_back AS (
            SELECT amount_minor, obligation_minor, platform_fee_minor,
                   CASE WHEN failure_balance_transaction_id IS NOT NULL THEN amount_minor ELSE 0 END AS came_back_minor
            FROM refunds
            WHERE payment_id = %(payment_id)s AND balance_transaction_id IS NOT NULL
            UNION ALL
            SELECT lost_minor, lost_obligation_minor, lost_platform_fee_minor, 0
            FROM disputes
            WHERE payment_id = %(payment_id)s AND lost_minor IS NOT NULL AND NOT loss_reversed
        ), totals AS (
            SELECT
                coalesce(sum(came_back_minor - obligation_minor), 0)::bigint AS open_obligation,
                coalesce(sum(amount_minor - obligation_minor), 0)::bigint AS debited,
                coalesce(sum(platform_fee_minor), 0)::bigint AS fee
            FROM given_back
        )
        SELECT
            c.currency, v.refund_fee_policy = 'returned', c.amount_minor, totals.open_obligation, totals.debited,
            totals.fee,
            (SELECT coalesce(sum(borne_minor), 0)::bigint FROM shares WHERE payment_id = %(payment_id)s)
        FROM payments p
        JOIN venues v ON (v.tenant_id, v.venue_id) = (p.tenant_id, p.venue_id)
        JOIN charges c ON (c.tenant_id, c.payment_id) = (p.tenant_id, p.payment_id)
        CROSS JOIN totals
        WHERE p.payment_id = %(payment_id)s
        """,
        {"payment_id": payment_id},
    ).fetchone()
    assert row is not None, "what goes back had been captured"
    currency, fee_comes_back, *minors = row
    captured, open_obligation, debited, fee, fee_borne = (Money(minor, currency) for minor in minors)
    return Returned(captured, open_obligation, debited, fee, fee_borne, fee_comes_back)


def mark_booked(
    tx: Tx, refund: Refund, *, balance_transaction_id: str, obligation_minor: int, platform_fee_minor: int
) -> bool:
    """Store the refund's balance transaction and how it was split; True once: post the journal only then.

    `obligation_minor` is the part that pays what was still owed to the buyer, `platform_fee_minor` the part of the
    platform's fee that is given back; the rest is the venue's. All in the charge's currency.
    """
    marked = tx.execute(
        """
        UPDATE refunds
        SET balance_transaction_id = %(balance)s, obligation_minor = %(obligation)s, platform_fee_minor = %(fee)s
        WHERE refund_id = %(refund_id)s AND balance_transaction_id IS NULL
        """,
        {
            "refund_id": refund.refund_id,
            "balance": balance_transaction_id,
            "obligation": obligation_minor,
            "fee": platform_fee_minor,
        },
    )
    return marked.rowcount == 1


def mark_failure_booked(tx: Tx, refund: Refund, *, balance_transaction_id: str) -> bool:
    """Store the balance transaction by which a booked refund's money returned; True once: post the mirror journal only
    then.

    False as well when the refund itself is not booked: what never left the ledger cannot return to it.
    """
    marked = tx.execute(
        """
        UPDATE refunds SET failure_balance_transaction_id = %(balance)s
        WHERE refund_id = %(refund_id)s AND balance_transaction_id IS NOT NULL
          AND failure_balance_transaction_id IS NULL
        """,
        {"refund_id": refund.refund_id, "balance": balance_transaction_id},
    )
    return marked.rowcount == 1
