"""The ledger: append-only double entry. Debit is positive, credit negative, every journal sums to zero per currency.

The database checks the sum at commit and refuses UPDATE and DELETE; a correction is a reverse entry. `source_id` names
the one Stripe object a journal books, so that the same fact can never be booked twice (M2).

    charge       Dr stripe_balance amount / Cr venue_payable amount - fee / Cr platform_fees fee
    stripe_fee   Dr stripe_fees fee       / Cr stripe_balance fee
    conversion   Dr currency_exchange / Cr stripe_balance, what was charged
                 Dr stripe_balance / Cr currency_exchange, what Stripe made of it in the balance's currency
"""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from db.session import Tx
from messages.ids import PaymentId, VenueId
from messages.money import Money


@dataclass(frozen=True, slots=True)
class Entry:
    """One line: account code, the venue when the account is a venue's, and a signed amount (debit positive)."""

    account: str
    amount: Money
    venue_id: VenueId | None = None


class UnbalancedError(ValueError):
    """The entries of a journal do not sum to zero in each currency."""


def charge_entries(amount: Money, platform_fee: Money, venue_id: VenueId) -> list[Entry]:
    """What a successful charge means: Stripe holds the money, the venue is owed its part, the fee is ours."""
    return [
        Entry("stripe_balance", amount),
        Entry("venue_payable", platform_fee - amount, venue_id),
        Entry("platform_fees", -platform_fee),
    ]


def stripe_fee_entries(fee: Money) -> list[Entry]:
    """What Stripe kept of a charge."""
    return [Entry("stripe_fees", fee), Entry("stripe_balance", -fee)]


def conversion_entries(charged: Money, settled: Money) -> list[Entry]:
    """Stripe put the charge into a balance of another currency; each currency sums to zero by itself."""
    return [
        Entry("currency_exchange", charged),
        Entry("stripe_balance", -charged),
        Entry("stripe_balance", settled),
        Entry("currency_exchange", -settled),
    ]


def post(tx: Tx, *, kind: str, source_id: str, payment_id: PaymentId | None, entries: list[Entry]) -> bool:
    """Append one journal; False when this fact is booked already.

    Raises:
        UnbalancedError: the entries do not sum to zero (the database would refuse the commit as well).
    """
    _require_balance(entries)
    row = tx.execute(
        """
        INSERT INTO ledger_journals (tenant_id, kind, source_id, payment_id)
        VALUES (current_tenant(), %(kind)s, %(source_id)s, %(payment_id)s)
        ON CONFLICT (tenant_id, kind, source_id) DO NOTHING
        RETURNING journal_id
        """,
        {"kind": kind, "source_id": source_id, "payment_id": payment_id},
    ).fetchone()
    if row is None:
        return False
    _write_entries(tx, row[0], entries)
    return True


def _require_balance(entries: list[Entry]) -> None:
    sums: dict[str, int] = {}
    for entry in entries:
        sums[entry.amount.currency] = sums.get(entry.amount.currency, 0) + entry.amount.minor
    off = {currency: minor for currency, minor in sums.items() if minor}
    if off or len(entries) < 2:
        raise UnbalancedError(f"a journal needs two entries that sum to zero, not {off or entries}")


def _write_entries(tx: Tx, journal_id: UUID, entries: list[Entry]) -> None:
    """Accounts are opened when they are first needed; DO NOTHING and a second look keep the hot row unlocked."""
    lines = Jsonb([_as_line(number, entry) for number, entry in enumerate(entries, 1)])
    written = tx.execute(_WRITE, {"journal_id": journal_id, "lines": lines}).rowcount
    if written != len(entries):
        tx.execute(_OPEN_ACCOUNTS, {"lines": lines})
        tx.execute(_WRITE, {"journal_id": journal_id, "lines": lines})


def _as_line(number: int, entry: Entry) -> dict[str, Any]:
    return {
        "line": number,
        "code": entry.account,
        "venue_id": str(entry.venue_id) if entry.venue_id else None,
        "amount_minor": entry.amount.minor,
        "currency": entry.amount.currency,
    }


_OPEN_ACCOUNTS = """
    INSERT INTO ledger_accounts (tenant_id, code, venue_id, currency)
    SELECT current_tenant(), code, venue_id, currency
    FROM jsonb_to_recordset(%(lines)s) AS line (code text, venue_id uuid, currency text)
    ORDER BY code
    ON CONFLICT DO NOTHING
"""

_WRITE = """
    INSERT INTO ledger_entries (tenant_id, journal_id, line, account_id, amount_minor, currency)
    SELECT current_tenant(), %(journal_id)s, l.line, a.account_id, l.amount_minor, l.currency
    FROM jsonb_to_recordset(%(lines)s)
        AS l (line integer, code text, venue_id uuid, amount_minor bigint, currency text)
    JOIN ledger_accounts a
        ON a.code = l.code AND a.currency = l.currency AND a.venue_id IS NOT DISTINCT FROM l.venue_id
    WHERE NOT EXISTS (
        SELECT FROM ledger_entries e WHERE e.journal_id = %(journal_id)s AND e.line = l.line)
"""
