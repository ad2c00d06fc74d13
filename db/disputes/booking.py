"""The money of disputes: each balance transaction is recorded once, and the loss once, whichever worker sees it first.

Only the marks are written here; workers/disputes posts the journals, and only after a mark returned True.
"""

from dataclasses import dataclass

from psycopg.rows import class_row

from db.disputes.disputes import Dispute
from db.session import Tx
from messages.ids import DisputeId
from messages.money import Money


@dataclass(frozen=True, slots=True)
class BookableMovement:
    """What one balance transaction of a dispute did (docs.stripe.com/api/balance_transactions/object).

    category   dispute (the bank took the money) or dispute_reversal (it gave it back)
    amount     in the dispute's currency: zero or below for `dispute`, zero or above for its reversal
    settled    the same in the currency of Stripe's balance, with the same sign
    fee        Stripe's dispute fee, in the currency of the balance
    """

    balance_transaction_id: str
    category: str
    amount: Money
    settled: Money
    fee: Money


def record(tx: Tx, dispute_id: DisputeId, movement: BookableMovement) -> bool:
    """Write one balance transaction of a dispute; True once: post its journal only then.

    It can never be changed
    afterwards.
    """
    written = tx.execute(
        """
        INSERT INTO dispute_movements (
            tenant_id, balance_transaction_id, dispute_id, category, amount_minor, currency, settled_minor, fee_minor,
            balance_currency)
        VALUES (
            current_tenant(), %(id)s, %(dispute_id)s, %(category)s, %(amount)s, %(currency)s, %(settled)s, %(fee)s,
            %(balance_currency)s)
        ON CONFLICT DO NOTHING
        """,
        {
            "id": movement.balance_transaction_id,
            "dispute_id": dispute_id,
            "category": movement.category,
            "amount": movement.amount.minor,
            "currency": movement.amount.currency,
            "settled": movement.settled.minor,
            "fee": movement.fee.minor,
            "balance_currency": movement.settled.currency,
        },
    )
    return written.rowcount == 1


def withdrawn(tx: Tx, dispute: Dispute) -> Money:
    """What the bank has taken and not given back, by the balance transactions recorded so far; positive, zero for an
    inquiry.
    """
    row = tx.execute(
        "SELECT coalesce(-sum(amount_minor), 0)::bigint FROM dispute_movements WHERE dispute_id = %(id)s",
        {"id": dispute.dispute_id},
    ).fetchone()
    assert row is not None, "an aggregate always returns a row"
    return Money(row[0], dispute.currency)


def mark_lost(tx: Tx, dispute: Dispute, *, lost: Money, obligation: Money, platform: Money) -> bool:
    """Store the loss and who carries it; True once: post the journal only then.

    `obligation` is the part that pays what was owed to the buyer already, `platform` the platform's part of its fee;
    the rest is the venue's. The database refuses a later change of the three.
    """
    marked = tx.execute(
        """
        UPDATE disputes
        SET lost_minor = %(lost)s, lost_obligation_minor = %(obligation)s, lost_platform_fee_minor = %(platform)s
        WHERE dispute_id = %(id)s AND lost_minor IS NULL
        """,
        {
            "id": dispute.dispute_id,
            "lost": lost.minor,
            "obligation": obligation.minor,
            "platform": platform.minor,
        },
    )
    return marked.rowcount == 1


def mark_loss_reversed(tx: Tx, dispute: Dispute) -> bool:
    """A lost dispute was won after all; True once: post the mirror journal only then. False when no loss was booked."""
    marked = tx.execute(
        """
        UPDATE disputes SET loss_reversed = true
        WHERE dispute_id = %(id)s AND lost_minor IS NOT NULL AND NOT loss_reversed
        """,
        {"id": dispute.dispute_id},
    )
    return marked.rowcount == 1


@dataclass(frozen=True, slots=True)
class BookedDisputeMovement:
    """A balance transaction as it was recorded, for showing."""

    balance_transaction_id: str
    category: str
    amount_minor: int
    currency: str
    fee_minor: int
    balance_currency: str


def movements(tx: Tx, dispute_id: DisputeId) -> list[BookedDisputeMovement]:
    """The recorded balance transactions of a dispute, in the order in which they were recorded."""
    with tx.cursor(row_factory=class_row(BookedDisputeMovement)) as cursor:
        return cursor.execute(
            """
            SELECT balance_transaction_id, category, amount_minor, currency, fee_minor, balance_currency
            FROM dispute_movements WHERE dispute_id = %(id)s ORDER BY recorded_at, balance_transaction_id
            """,
            {"id": dispute_id},
        ).fetchall()
