"""The lines of Stripe's balance, and what the ledger holds for each; a system transaction.

The comparison is one statement for each page of lines. What the ledger holds comes from its own entries on
stripe_balance (view book_lines), not from the columns of payments and refunds: so a wrong journal shows as well as a
missing one (M2). Nothing is corrected here; differences become cases.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from db.session import Tx
from messages.ids import PaymentId, RefundId, TenantId
from messages.statement_lines import BankLine

# Payouts move what the other lines brought; they are explained by what they contained (workers/payouts/payouts.py).
PAYOUT_TYPES = ("payout", "payout_failure", "payout_cancel")


def store(tx: Tx, lines: Sequence[BankLine]) -> int:
    """Store lines; those that are here already stay as they are, as Stripe never changes one.

    Returns how many were
    new.
    """
    return tx.execute(
        """
        INSERT INTO bank_lines (
            balance_transaction_id, type, reporting_category, source_id, amount_minor, fee_minor, net_minor, currency,
            created_at, available_at)
        SELECT
            balance_transaction_id, type, reporting_category, source_id, amount_minor, fee_minor, net_minor, currency,
            created_at, available_at
        FROM jsonb_to_recordset(%(lines)s) AS l (
            balance_transaction_id text, type text, reporting_category text, source_id text, amount_minor bigint,
            fee_minor bigint, net_minor bigint, currency text, created_at timestamptz, available_at timestamptz)
        ON CONFLICT (balance_transaction_id) DO NOTHING
        """,
        {"lines": Jsonb([_as_row(line) for line in lines])},
    ).rowcount


def _as_row(line: BankLine) -> dict[str, Any]:
    """By hand: dataclasses.asdict copies deeply, and took three quarters of the time of a page."""
    return {
        "balance_transaction_id": line.balance_transaction_id,
        "type": line.type,
        "reporting_category": line.reporting_category,
        "source_id": line.source_id,
        "amount_minor": line.amount_minor,
        "fee_minor": line.fee_minor,
        "net_minor": line.net_minor,
        "currency": line.currency,
        "created_at": line.created_at.isoformat(),
        "available_at": line.available_at.isoformat(),
    }


@dataclass(frozen=True, slots=True)
class ComparedLine:
    """A line of Stripe's balance beside the ledger; `book_minor` None: the ledger holds nothing for it, in any
    currency.

    net_minor              what it changed the balance by: amount less fee, in minor units of `currency`
    elsewhere              the ledger moved money of another currency for it that does not sum to zero
    tenant_id, payment_id  of the journal; None when there is none
    """

    balance_transaction_id: str
    type: str
    reporting_category: str
    source_id: str | None
    net_minor: int
    currency: str
    book_minor: int | None
    elsewhere: bool
    tenant_id: TenantId | None
    payment_id: PaymentId | None


def differing(tx: Tx, balance_transaction_ids: Sequence[str]) -> list[ComparedLine]:
    """Those of the stored lines that the ledger does not explain; payouts are left out (workers/payouts explains
    them).
    """
    with tx.cursor(row_factory=class_row(ComparedLine)) as cursor:
        return cursor.execute(
            """
            WITH held AS MATERIALIZED (
                SELECT balance_transaction_id, tenant_id, payment_id, currency, net_minor
                FROM book_lines WHERE balance_transaction_id = ANY (%(ids)s)
            )
            SELECT l.balance_transaction_id, l.type, l.reporting_category, l.source_id, l.net_minor, l.currency,
                   sum(h.net_minor) FILTER (WHERE h.currency = l.currency)::bigint AS book_minor,
                   coalesce(bool_or(h.currency <> l.currency AND h.net_minor <> 0), false) AS elsewhere,
                   (array_agg(h.tenant_id))[1] AS tenant_id, (array_agg(h.payment_id))[1] AS payment_id
            FROM bank_lines l LEFT JOIN held h USING (balance_transaction_id)
            WHERE l.balance_transaction_id = ANY (%(ids)s) AND l.type <> ALL (%(payouts)s)
            GROUP BY l.balance_transaction_id
            HAVING coalesce(sum(h.net_minor) FILTER (WHERE h.currency = l.currency), 0) <> l.net_minor
                OR coalesce(bool_or(h.currency <> l.currency AND h.net_minor <> 0), false)
            """,
            {"ids": list(balance_transaction_ids), "payouts": list(PAYOUT_TYPES)},
        ).fetchall()


@dataclass(frozen=True, slots=True)
class MissingAtStripe:
    """A balance transaction that the ledger has booked and that Stripe has not listed; its largest amount, if
    several.
    """

    balance_transaction_id: str
    tenant_id: TenantId
    payment_id: PaymentId | None
    net_minor: int
    currency: str


def without_line(tx: Tx, *, since: datetime, until: datetime, limit: int) -> list[MissingAtStripe]:
    """Of the journals posted in [since, until), at most `limit` that name a balance transaction Stripe has not listed.

    Stripe lists a transaction some time after it happened: `until` must be long enough ago.
    """
    with tx.cursor(row_factory=class_row(MissingAtStripe)) as cursor:
        return cursor.execute(
            """
            WITH posted AS MATERIALIZED (
                SELECT DISTINCT balance_transaction_id FROM book_journals b
                WHERE posted_at >= %(since)s AND posted_at < %(until)s
                  AND NOT EXISTS (SELECT FROM bank_lines l WHERE l.balance_transaction_id = b.balance_transaction_id)
                ORDER BY balance_transaction_id LIMIT %(limit)s
            )
            SELECT DISTINCT ON (balance_transaction_id)
                   balance_transaction_id, tenant_id, payment_id, net_minor, currency
            FROM book_lines WHERE balance_transaction_id = ANY (ARRAY(SELECT balance_transaction_id FROM posted))
            ORDER BY balance_transaction_id, abs(net_minor) DESC
            """,
            {"since": since, "until": until, "limit": limit},
        ).fetchall()


def held_by_book(tx: Tx, balance_transaction_ids: Sequence[str]) -> set[str]:
    """Those of these balance transactions for which the ledger holds any money."""
    rows = tx.execute(
        """
        SELECT DISTINCT balance_transaction_id FROM book_lines
        WHERE balance_transaction_id = ANY (%(ids)s) AND net_minor <> 0
        """,
        {"ids": list(balance_transaction_ids)},
    )
    return {row[0] for row in rows}


def known(tx: Tx, balance_transaction_ids: Sequence[str]) -> set[str]:
    """Those of these balance transactions that Stripe has listed."""
    rows = tx.execute(
        "SELECT balance_transaction_id FROM bank_lines WHERE balance_transaction_id = ANY (%(ids)s)",
        {"ids": list(balance_transaction_ids)},
    )
    return {row[0] for row in rows}


def owner_of(
    tx: Tx, *, intent_id: str | None, tenant_id: UUID | None, payment_id: UUID | None, account_id: str | None
) -> tuple[TenantId, PaymentId | None] | None:
    """Whose a line is: (tenant, payment), the payment None when only the tenant is known; None: it cannot be told.

    By the payment with this intent; otherwise by the tenant and payment that the object's metadata names; otherwise by
    the connected account, when the recipients who have it are all of one tenant.
    """
    row = tx.execute(
        """
        SELECT t.tenant_id, p.payment_id
        FROM tenants t LEFT JOIN payments p
            ON p.tenant_id = t.tenant_id AND (p.payment_intent_id = %(intent_id)s OR p.payment_id = %(payment_id)s)
        WHERE t.tenant_id = coalesce(
            (SELECT tenant_id FROM payments WHERE payment_intent_id = %(intent_id)s), %(tenant_id)s,
            (SELECT min(tenant_id::text)::uuid FROM recipients WHERE account_id = %(account_id)s
             HAVING count(DISTINCT tenant_id) = 1))
        ORDER BY (p.payment_intent_id = %(intent_id)s) DESC NULLS LAST LIMIT 1
        """,
        {"intent_id": intent_id, "tenant_id": tenant_id, "payment_id": payment_id, "account_id": account_id},
    ).fetchone()
    return (TenantId(row[0]), PaymentId(row[1]) if row[1] else None) if row else None


def source_of(tx: Tx, balance_transaction_id: str, payment_id: PaymentId | None) -> tuple[str | None, RefundId | None]:
    """The object at Stripe that a line belongs to, and the refund of ours that a look-up can be made for; either may be
    None.

    What a refund of a destination charge took back of transfer and fee is returned with any refund of the payment, so
    the newest one is named.
    """
    row = tx.execute(
        """
        SELECT l.source_id, coalesce(
            (SELECT r.refund_id FROM refunds r WHERE r.stripe_refund_id = l.source_id),
            (SELECT r.refund_id FROM refunds r
             WHERE r.payment_id = %(payment_id)s AND r.stripe_refund_id IS NOT NULL
               AND l.type IN ('transfer_refund', 'application_fee_refund')
             ORDER BY r.refund_id DESC LIMIT 1))
        FROM bank_lines l WHERE l.balance_transaction_id = %(id)s
        """,
        {"id": balance_transaction_id, "payment_id": payment_id},
    ).fetchone()
    return (row[0], RefundId(row[1]) if row[1] else None) if row else (None, None)
