"""What the ledger says of one recipient in a period: the lines of its statement; an ops transaction.

A venue's own account and every recipient's have the same shape: what it is owed (venue_payable, recipient_payable) and
what it owes (recipient_receivable). Amounts are in minor units, as the recipient reads them: positive is in its favour.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from psycopg.rows import class_row

from db.session import Tx


@dataclass(frozen=True, slots=True)
class AccountHolder:
    """Whose statement it is; `account_id` None: it cannot be paid yet."""

    tenant_id: UUID
    tenant: str
    recipient_id: UUID
    kind: str
    name: str
    account_id: str | None


def holder(tx: Tx, recipient_id: UUID) -> AccountHolder | None:
    """The recipient with the name of its tenant; None when there is no such recipient."""
    with tx.cursor(row_factory=class_row(AccountHolder)) as cursor:
        return cursor.execute(
            """
            SELECT r.tenant_id, t.name AS tenant, r.recipient_id, r.kind, r.name, r.account_id
            FROM recipients r JOIN tenants t USING (tenant_id)
            WHERE r.recipient_id = %(id)s
            """,
            {"id": recipient_id},
        ).fetchone()


@dataclass(frozen=True, slots=True)
class StatementEntry:
    """One journal as it moved the recipient's accounts.

    owed_minor  what the journal added to what the recipient is owed
    owing_minor what it added to what the recipient owes
    fee_minor   of owed_minor, the platform's fee, or its return; the rest is the sale or the refund itself
    """

    posted_at: datetime
    kind: str
    source_id: str
    payment_id: UUID | None
    order_id: UUID | None
    owed_minor: int
    owing_minor: int
    fee_minor: int


@dataclass(frozen=True, slots=True)
class Account:
    """A recipient's account in one currency over a period; opening and closing are summed apart from the entries."""

    currency: str
    opening_owed_minor: int
    opening_owing_minor: int
    closing_owed_minor: int
    closing_owing_minor: int
    entries: Sequence[StatementEntry]


def accounts(tx: Tx, account_holder: AccountHolder, *, since: datetime, until: datetime) -> list[Account]:
    """One account for each currency in which the recipient had anything by then. The period is [since, until).

    One statement reads it all, so opening, entries and closing are of the same moment even while workers post. That the
    entries lead from opening to closing is for the reader to check: the sums are taken apart from them.
    """
    rows = tx.execute(
        """
        WITH mine AS MATERIALIZED (
            SELECT j.journal_id, j.posted_at, j.kind, j.source_id, j.payment_id, a.currency,
                   CASE WHEN a.code <> 'recipient_receivable' THEN -e.amount_minor ELSE 0 END AS owed,
                   CASE WHEN a.code = 'recipient_receivable' THEN e.amount_minor ELSE 0 END AS owing
            FROM ledger_accounts a
            JOIN ledger_entries e USING (tenant_id, account_id)
            JOIN ledger_journals j USING (tenant_id, journal_id)
            WHERE a.tenant_id = %(tenant)s AND a.code IN ('venue_payable', 'recipient_payable', 'recipient_receivable')
              AND coalesce(a.recipient_id, a.venue_id) = %(recipient)s AND j.posted_at < %(until)s
        ), sums AS (
            SELECT currency,
                   coalesce(sum(owed) FILTER (WHERE posted_at < %(since)s), 0)::bigint AS opening_owed,
                   coalesce(sum(owing) FILTER (WHERE posted_at < %(since)s), 0)::bigint AS opening_owing,
                   sum(owed)::bigint AS closing_owed, sum(owing)::bigint AS closing_owing
            FROM mine GROUP BY currency
        ), moved AS (
            SELECT currency, journal_id, posted_at, kind, source_id, payment_id, sum(owed)::bigint AS owed,
                   sum(owing)::bigint AS owing
            FROM mine WHERE posted_at >= %(since)s GROUP BY 1, 2, 3, 4, 5, 6
        )
        SELECT s.currency, s.opening_owed, s.opening_owing, s.closing_owed, s.closing_owing,
               m.posted_at, m.kind, m.source_id, m.payment_id, p.order_id, m.owed, m.owing,
               CASE WHEN m.kind IN ('charge', 'refund', 'dispute_lost', 'dispute_won') THEN coalesce((
                   SELECT sum(f.amount_minor) FROM ledger_entries f JOIN ledger_accounts o USING (tenant_id, account_id)
                   WHERE f.tenant_id = %(tenant)s AND f.journal_id = m.journal_id AND o.code = 'platform_fees'), 0)
               ELSE 0 END::bigint AS fee
        FROM sums s
        LEFT JOIN moved m USING (currency)
        LEFT JOIN payments p ON p.tenant_id = %(tenant)s AND p.payment_id = m.payment_id
        ORDER BY s.currency, m.posted_at, m.journal_id
        """,
        {"tenant": account_holder.tenant_id, "recipient": account_holder.recipient_id, "since": since, "until": until},
    ).fetchall()
    entries: dict[str, list[StatementEntry]] = {}
    sums: dict[str, tuple[int, int, int, int]] = {}
    for row in rows:
        sums[row[0]] = (row[1], row[2], row[3], row[4])
        entries.setdefault(row[0], []).extend([StatementEntry(*row[5:])] if row[5] is not None else [])
    return [Account(currency, *sums[currency], entries[currency]) for currency in sums]
