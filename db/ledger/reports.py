"""What the ledger says in sum, read across tenants: an ops or a system transaction. Nothing is written.

Debit is positive, credit negative, as in db/ledger/journals.py; what a report calls "owed" is always positive.
"""

from dataclasses import dataclass
from uuid import UUID

from psycopg.rows import class_row

from db.session import Tx


@dataclass(frozen=True, slots=True)
class AccountTotal:
    """One account code in one currency, over all tenants and venues.

    Debits and credits are positive; balance is their
    difference.
    """

    currency: str
    code: str
    debit_minor: int
    credit_minor: int
    balance_minor: int


def trial_balance(tx: Tx, *, tenant_id: UUID | None = None) -> list[AccountTotal]:
    """Every account code; the balances of one currency must add up to zero (M4)."""
    with tx.cursor(row_factory=class_row(AccountTotal)) as cursor:
        return cursor.execute(
            """
            SELECT a.currency, a.code,
                   coalesce(sum(e.amount_minor) FILTER (WHERE e.amount_minor > 0), 0)::bigint AS debit_minor,
                   coalesce(-sum(e.amount_minor) FILTER (WHERE e.amount_minor < 0), 0)::bigint AS credit_minor,
                   sum(e.amount_minor)::bigint AS balance_minor
            FROM ledger_entries e JOIN ledger_accounts a USING (tenant_id, account_id)
            WHERE %(tenant_id)s::uuid IS NULL OR e.tenant_id = %(tenant_id)s
            GROUP BY a.currency, a.code ORDER BY a.currency, a.code
            """,
            {"tenant_id": tenant_id},
        ).fetchall()


def off_balance(totals: list[AccountTotal]) -> dict[str, int]:
    """Currencies whose accounts do not add up to zero, with the difference; empty is good."""
    sums: dict[str, int] = {}
    for total in totals:
        sums[total.currency] = sums.get(total.currency, 0) + total.balance_minor
    return {currency: minor for currency, minor in sums.items() if minor}


@dataclass(frozen=True, slots=True)
class VenueBalance:
    """What a venue is owed, what a dispute holds of it, and what is left; a negative net is owed to us."""

    tenant_id: UUID
    venue_id: UUID
    name: str
    currency: str
    payable_minor: int
    disputed_minor: int
    net_minor: int


def venue_balances(tx: Tx, *, tenant_id: UUID | None = None) -> list[VenueBalance]:
    """Every venue that the ledger has an account for, by name, a line for each currency; `tenant_id` None: of all
    tenants.
    """
    with tx.cursor(row_factory=class_row(VenueBalance)) as cursor:
        return cursor.execute(
            """
            WITH held AS (
                SELECT a.tenant_id, a.venue_id, a.currency,
                       -coalesce(sum(e.amount_minor) FILTER (WHERE a.code = 'venue_payable'), 0)::bigint AS payable,
                       coalesce(sum(e.amount_minor) FILTER (WHERE a.code = 'disputed_funds'), 0)::bigint AS disputed
                FROM ledger_accounts a JOIN ledger_entries e USING (tenant_id, account_id)
                WHERE a.venue_id IS NOT NULL AND (%(tenant_id)s::uuid IS NULL OR a.tenant_id = %(tenant_id)s)
                GROUP BY a.tenant_id, a.venue_id, a.currency
            )
            SELECT tenant_id, venue_id, v.name, h.currency, payable AS payable_minor, disputed AS disputed_minor,
                   payable - disputed AS net_minor
            FROM held h JOIN venues v USING (tenant_id, venue_id)
            ORDER BY v.name, venue_id, h.currency
            """,
            {"tenant_id": tenant_id},
        ).fetchall()


@dataclass(frozen=True, slots=True)
class Receivable:
    """What is open on one account, by the age of the entries that still make it up; `venue_id` None for
    refunds_payable.

    The four parts add up to total_minor: to 7 days, to 30, to 90, and older.
    """

    code: str
    tenant_id: UUID
    venue_id: UUID | None
    currency: str
    total_minor: int
    to_7_days_minor: int
    to_30_days_minor: int
    to_90_days_minor: int
    older_minor: int


def receivables(tx: Tx, *, tenant_id: UUID | None = None) -> list[Receivable]:
    """Failed refunds owed to buyers, money held by disputes, and venues that owe us; only balances above zero.

    An account only has a balance; its age is that of its latest increases, as if the oldest had been settled first.
    """
    with tx.cursor(row_factory=class_row(Receivable)) as cursor:
        return cursor.execute(
            """
            WITH lines AS (
                SELECT a.code, a.tenant_id, a.venue_id, a.currency, j.posted_at, j.journal_id, e.line,
                       CASE WHEN a.code = 'refunds_payable' THEN -e.amount_minor ELSE e.amount_minor END AS owed
                FROM ledger_accounts a
                JOIN ledger_entries e USING (tenant_id, account_id)
                JOIN ledger_journals j USING (tenant_id, journal_id)
                WHERE a.code IN ('refunds_payable', 'disputed_funds', 'venue_payable')
                  AND (%(tenant_id)s::uuid IS NULL OR a.tenant_id = %(tenant_id)s)
            ), open AS (
                SELECT code, tenant_id, venue_id, currency, sum(owed) AS owed
                FROM lines GROUP BY code, tenant_id, venue_id, currency HAVING sum(owed) > 0
            ), increases AS (
                SELECT o.code, o.tenant_id, o.venue_id, o.currency, l.posted_at, o.owed AS balance, l.owed,
                       sum(l.owed) OVER (
                           PARTITION BY o.code, o.tenant_id, o.venue_id, o.currency
                           ORDER BY l.posted_at DESC, l.journal_id DESC, l.line) AS running
                FROM open o JOIN lines l
                    ON l.code = o.code AND l.tenant_id = o.tenant_id AND l.currency = o.currency
                    AND l.venue_id IS NOT DISTINCT FROM o.venue_id AND l.owed > 0
            ), aged AS (
                SELECT code, tenant_id, venue_id, currency, least(owed, balance - (running - owed)) AS part,
                       clock_timestamp() - posted_at AS age
                FROM increases WHERE running - owed < balance
            )
            SELECT code, tenant_id, venue_id, currency, sum(part)::bigint AS total_minor,
                   coalesce(sum(part) FILTER (WHERE age < interval '8 days'), 0)::bigint AS to_7_days_minor,
                   coalesce(sum(part) FILTER (
                       WHERE age >= interval '8 days' AND age < interval '31 days'), 0)::bigint AS to_30_days_minor,
                   coalesce(sum(part) FILTER (
                       WHERE age >= interval '31 days' AND age < interval '91 days'), 0)::bigint AS to_90_days_minor,
                   coalesce(sum(part) FILTER (WHERE age >= interval '91 days'), 0)::bigint AS older_minor
            FROM aged GROUP BY code, tenant_id, venue_id, currency
            ORDER BY code, tenant_id, venue_id, currency
            """,
            {"tenant_id": tenant_id},
        ).fetchall()
