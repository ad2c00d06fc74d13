"""Destination charges in the ledger's tables: the transfer and the application fee that Stripe made with a charge, and
what refunds took back of both (docs.stripe.com/connect/destination-charges). Each is written once, whichever worker
sees it first: post its journal only after True.

The transfer is the whole charge and a row of `transfers` like any other, with one line: the venue's share. The fee is
what that share gave back at once; db/shares/shares.py counts both when it measures what reached the venue.
"""

from dataclasses import dataclass

from psycopg.rows import class_row

from db.session import Tx
from db.shares.booking import Owner
from messages.ids import PaymentId, RecipientId, ShareId, TransferId, VenueId
from messages.money import Money


@dataclass(frozen=True, slots=True)
class DestinationAccount:
    """A venue's account; `account_id` None: it has none yet.

    `transfers` is Stripe's: unknown, active, pending or
    inactive.
    """

    account_id: str | None
    transfers: str


def receiver(tx: Tx, venue_id: VenueId) -> DestinationAccount:
    """The account that the venue's sales go to today. A charge that was sent keeps the account in its own body."""
    with tx.cursor(row_factory=class_row(DestinationAccount)) as cursor:
        destination_account = cursor.execute(
            """
            SELECT r.account_id, coalesce(a.transfers, 'unknown') AS transfers
            FROM recipients r LEFT JOIN connected_accounts a USING (account_id)
            WHERE r.venue_id = %(venue_id)s
            """,
            {"venue_id": venue_id},
        ).fetchone()
    assert destination_account is not None, "a venue is a recipient, by trigger"
    return destination_account


def is_asked_for(tx: Tx, payment_id: PaymentId) -> bool:
    """True when the intent was requested as a destination charge: the body of its live call says so, whatever holds
    today.

    False as well while nothing was requested yet.
    """
    row = tx.execute(
        """
        SELECT request ? 'transfer_data' FROM calls
        WHERE operation = 'payment_intent.create' AND subject_id = %(id)s AND outcome <> 'absent'
        """,
        {"id": payment_id},
    ).fetchone()
    return row is not None and bool(row[0])


@dataclass(frozen=True, slots=True)
class DestinationCharge:
    """What a destination charge made of one payment; `fee_id` is None when nothing came back as a fee."""

    transfer_id: TransferId
    share_id: ShareId
    recipient_id: RecipientId
    venue_id: VenueId
    fee_id: str | None

    @property
    def owner(self) -> Owner:
        return Owner(self.recipient_id, self.venue_id)


def of_payment(tx: Tx, payment_id: PaymentId) -> DestinationCharge | None:
    """None: the payment was no destination charge, or its transfer is not booked yet."""
    with tx.cursor(row_factory=class_row(DestinationCharge)) as cursor:
        return cursor.execute(
            """
            SELECT t.transfer_id, l.share_id, t.recipient_id, r.venue_id, f.fee_id
            FROM transfers t
            JOIN transfer_lines l USING (tenant_id, transfer_id)
            JOIN recipients r USING (tenant_id, recipient_id)
            LEFT JOIN application_fees f ON (f.tenant_id, f.payment_id) = (t.tenant_id, t.payment_id)
            WHERE t.payment_id = %(id)s AND t.kind = 'destination'
            """,
            {"id": payment_id},
        ).fetchone()


@dataclass(frozen=True, slots=True)
class DestinationTransfer:
    """A transfer that Stripe made with a charge, and the venue's share that it pays."""

    payment_id: PaymentId
    share_id: ShareId
    recipient_id: RecipientId
    account_id: str
    charge_id: str
    transfer_group: str
    stripe_transfer_id: str
    balance_transaction_id: str
    amount: Money


def record_transfer(tx: Tx, made: DestinationTransfer, *, by: str) -> bool:
    """Write the transfer as paid, with its line; False when it is here already. It never passes through `requested`."""
    row = tx.execute(
        """
        WITH made AS (
            INSERT INTO transfers (
                tenant_id, recipient_id, account_id, kind, payment_id, charge_id, transfer_group, amount_minor,
                currency, stripe_transfer_id, balance_transaction_id, state, state_by)
            VALUES (
                current_tenant(), %(recipient_id)s, %(account_id)s, 'destination', %(payment_id)s, %(charge_id)s,
                %(transfer_group)s, %(amount)s, %(currency)s, %(stripe_id)s, %(balance)s, 'paid', %(by)s)
            ON CONFLICT (stripe_transfer_id) WHERE stripe_transfer_id IS NOT NULL DO NOTHING
            RETURNING tenant_id, transfer_id
        )
        INSERT INTO transfer_lines (tenant_id, transfer_id, share_id, amount_minor, currency)
        SELECT tenant_id, transfer_id, %(share_id)s, %(amount)s, %(currency)s FROM made
        """,
        {
            "recipient_id": made.recipient_id,
            "account_id": made.account_id,
            "payment_id": made.payment_id,
            "charge_id": made.charge_id,
            "transfer_group": made.transfer_group,
            "amount": made.amount.minor,
            "currency": made.amount.currency,
            "stripe_id": made.stripe_transfer_id,
            "balance": made.balance_transaction_id,
            "by": by,
            "share_id": made.share_id,
        },
    )
    return row.rowcount == 1


def record_fee(
    tx: Tx, payment_id: PaymentId, share_id: ShareId, *, fee_id: str, amount: Money, balance_transaction_id: str
) -> bool:
    """Write the application fee (`fee_...`), what returned to the platform of the charge; False when it is here
    already.
    """
    return (
        tx.execute(
            """
            INSERT INTO application_fees (
                tenant_id, fee_id, payment_id, share_id, amount_minor, currency, balance_transaction_id)
            VALUES (current_tenant(), %(fee_id)s, %(payment_id)s, %(share_id)s, %(amount)s, %(currency)s, %(balance)s)
            ON CONFLICT (tenant_id, fee_id) DO NOTHING
            """,
            {
                "fee_id": fee_id,
                "payment_id": payment_id,
                "share_id": share_id,
                "amount": amount.minor,
                "currency": amount.currency,
                "balance": balance_transaction_id,
            },
        ).rowcount
        == 1
    )


def record_fee_refund(tx: Tx, fee_id: str, *, fee_refund_id: str, amount: Money, balance_transaction_id: str) -> bool:
    """Write what of a fee went back to the account; False when it is here already. A trigger adds it to the fee's sum.

    Raises:
        psycopg.errors.CheckViolation: more than the fee would have gone back.
    """
    return (
        tx.execute(
            """
            INSERT INTO application_fee_refunds (
                tenant_id, fee_refund_id, fee_id, amount_minor, currency, balance_transaction_id)
            VALUES (current_tenant(), %(fee_refund_id)s, %(fee_id)s, %(amount)s, %(currency)s, %(balance)s)
            ON CONFLICT (tenant_id, fee_refund_id) DO NOTHING
            """,
            {
                "fee_refund_id": fee_refund_id,
                "fee_id": fee_id,
                "amount": amount.minor,
                "currency": amount.currency,
                "balance": balance_transaction_id,
            },
        ).rowcount
        == 1
    )


def record_reversal(
    tx: Tx,
    destination_charge: DestinationCharge,
    *,
    stripe_reversal_id: str,
    amount: Money,
    balance_transaction_id: str,
    by: str,
) -> bool:
    """Write what Stripe took back of the transfer with a refund (`reverse_transfer`); False when it is here already.

    Raises:
        psycopg.errors.CheckViolation: more than was sent would have been taken back.
    """
    return (
        tx.execute(
            """
            INSERT INTO transfer_reversals (
                tenant_id, transfer_id, share_id, kind, amount_minor, currency, stripe_reversal_id,
                balance_transaction_id, state, state_by)
            VALUES (
                current_tenant(), %(transfer_id)s, %(share_id)s, 'destination', %(amount)s, %(currency)s, %(stripe_id)s,
                %(balance)s, 'reversed', %(by)s)
            ON CONFLICT (stripe_reversal_id) WHERE stripe_reversal_id IS NOT NULL DO NOTHING
            """,
            {
                "transfer_id": destination_charge.transfer_id,
                "share_id": destination_charge.share_id,
                "amount": amount.minor,
                "currency": amount.currency,
                "stripe_id": stripe_reversal_id,
                "balance": balance_transaction_id,
                "by": by,
            },
        ).rowcount
        == 1
    )
