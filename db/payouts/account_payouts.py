"""Payouts of connected accounts as Stripe lists them, what each contained, and what is in the accounts.

System transactions: an account belongs to no tenant, recipients of several may name it. Nothing here is booked: that
money left our ledger with the transfer. It is kept so that a recipient can be answered where its money is.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from psycopg.types.json import Jsonb

from db.session import Tx
from messages.statement_lines import BankPayout, ConnectedLine


def accounts_due(tx: Tx, *, not_since_seconds: float, limit: int) -> list[str]:
    """At most `limit` accounts that nobody has asked Stripe about for so long, the longest first; they count as asked
    now.

    Marked when taken, not when done: an account whose look-up fails waits for its next turn, and holds up no other
    (M21).
    """
    rows = tx.execute(
        """
        WITH due AS (
            SELECT r.account_id
            FROM (SELECT DISTINCT account_id FROM recipients WHERE account_id IS NOT NULL) r
            LEFT JOIN connected_looks l USING (account_id)
            WHERE l.looked_at IS NULL OR l.looked_at < clock_timestamp() - make_interval(secs => %(seconds)s)
            ORDER BY l.looked_at NULLS FIRST, r.account_id LIMIT %(limit)s
        )
        INSERT INTO connected_looks (account_id) SELECT account_id FROM due
        ON CONFLICT (account_id) DO UPDATE SET looked_at = clock_timestamp()
        RETURNING account_id
        """,
        {"seconds": not_since_seconds, "limit": limit},
    ).fetchall()
    return [row[0] for row in rows]


def note(tx: Tx, account_id: str, bank_payouts: Sequence[BankPayout]) -> list[str]:
    """Write payouts, or what is new of them; returns the ids of those that are seen as failed or canceled for the first
    time.

    One that failed stays so, whatever an older answer says (M18); when it had been paid before, `paid_at` stays, too.
    """
    rows = tx.execute(
        """
        WITH told AS (
            SELECT * FROM jsonb_to_recordset(%(payouts)s) AS t (
                payout_id text, amount_minor bigint, currency text, automatic boolean, status text, failure_code text,
                contents_ready boolean, created_at timestamptz, arrives_at timestamptz)
        ), noted AS (
            INSERT INTO connected_payouts AS p (
                payout_id, account_id, amount_minor, currency, automatic, status, failure_code, contents_ready,
                created_at, arrives_at, paid_at, came_back_at)
            SELECT payout_id, %(account_id)s, amount_minor, currency, automatic, status, failure_code, contents_ready,
                   created_at, arrives_at, CASE WHEN status = 'paid' THEN clock_timestamp() END,
                   CASE WHEN status IN ('failed', 'canceled') THEN clock_timestamp() END
            FROM told
            ON CONFLICT (payout_id) DO UPDATE
            SET status = CASE WHEN p.came_back_at IS NULL THEN EXCLUDED.status ELSE p.status END,
                failure_code = coalesce(EXCLUDED.failure_code, p.failure_code),
                contents_ready = p.contents_ready OR EXCLUDED.contents_ready,
                arrives_at = EXCLUDED.arrives_at, seen_at = clock_timestamp(),
                paid_at = coalesce(p.paid_at, EXCLUDED.paid_at),
                came_back_at = coalesce(p.came_back_at, EXCLUDED.came_back_at)
            RETURNING new.payout_id, new.came_back_at, old.came_back_at AS known_since
        )
        SELECT payout_id FROM noted WHERE came_back_at IS NOT NULL AND known_since IS NULL ORDER BY payout_id
        """,
        {"account_id": account_id, "payouts": Jsonb([_as_row(payout) for payout in bank_payouts])},
    ).fetchall()
    return [row[0] for row in rows]


def _as_row(payout: BankPayout) -> dict[str, Any]:
    return {
        "payout_id": payout.payout_id,
        "amount_minor": payout.amount_minor,
        "currency": payout.currency,
        "automatic": payout.automatic,
        "status": payout.status,
        "failure_code": payout.failure_code,
        "contents_ready": payout.contents_ready,
        "created_at": payout.created_at.isoformat(),
        "arrives_at": payout.arrives_at.isoformat(),
    }


def unlisted(tx: Tx, account_id: str, *, limit: int) -> list[str]:
    """Automatic payouts whose contents Stripe has ready and that were not listed, the oldest first.

    Stripe lists no contents for a manual payout (docs.stripe.com/payouts), so those are never among them.
    """
    rows = tx.execute(
        """
        SELECT payout_id FROM connected_payouts
        WHERE account_id = %(account_id)s AND automatic AND listed_at IS NULL AND contents_ready
        ORDER BY created_at, payout_id LIMIT %(limit)s
        """,
        {"account_id": account_id, "limit": limit},
    ).fetchall()
    return [row[0] for row in rows]


def contain(tx: Tx, payout_id: str, lines: Sequence[ConnectedLine]) -> None:
    """Store one page of what a payout contained; the same page again changes nothing."""
    tx.execute(
        """
        INSERT INTO connected_payout_lines (
            payout_id, balance_transaction_id, type, source_id, made_by, net_minor, currency, created_at)
        SELECT %(payout_id)s, balance_transaction_id, type, source_id, made_by, net_minor, currency, created_at
        FROM jsonb_to_recordset(%(lines)s) AS l (
            balance_transaction_id text, type text, source_id text, made_by text, net_minor bigint, currency text,
            created_at timestamptz)
        ON CONFLICT DO NOTHING
        """,
        {
            "payout_id": payout_id,
            "lines": Jsonb(
                [
                    {
                        "balance_transaction_id": line.balance_transaction_id,
                        "type": line.type,
                        "source_id": line.source_id,
                        "made_by": line.made_by,
                        "net_minor": line.net_minor,
                        "currency": line.currency,
                        "created_at": line.created_at.isoformat(),
                    }
                    for line in lines
                ]
            ),
        },
    )


def mark_listed(tx: Tx, payout_id: str) -> None:
    """Every page is stored: the payout is not listed again.

    Call it after the last `contain`, in the same transaction or
    later.
    """
    tx.execute(
        """
        UPDATE connected_payouts SET listed_at = clock_timestamp()
        WHERE payout_id = %(payout_id)s AND listed_at IS NULL
        """,
        {"payout_id": payout_id},
    )


def keep_balance(tx: Tx, account_id: str, available: Mapping[str, int], pending: Mapping[str, int]) -> None:
    """Store what is in the account, minor units by currency; a currency that is not named any more is set to zero."""
    known = tx.execute(
        "SELECT currency FROM connected_balances WHERE account_id = %(id)s", {"id": account_id}
    ).fetchall()
    currencies = {row[0] for row in known} | available.keys() | pending.keys()
    # Sorted, so that two workers on the same account lock its rows in the same order.
    for currency in sorted(currencies):
        tx.execute(
            """
            INSERT INTO connected_balances (account_id, currency, available_minor, pending_minor)
            VALUES (%(id)s, %(currency)s, %(available)s, %(pending)s)
            ON CONFLICT (account_id, currency) DO UPDATE
            SET available_minor = EXCLUDED.available_minor, pending_minor = EXCLUDED.pending_minor,
                seen_at = clock_timestamp()
            """,
            {
                "id": account_id,
                "currency": currency,
                "available": available.get(currency, 0),
                "pending": pending.get(currency, 0),
            },
        )
