"""What a person must look at of shares: money held too long, shares that do not arrive, recipients who owe much.

All tenants, in a system transaction.
"""

from collections.abc import Mapping

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from db.session import Tx
from db.sweep.finding import Finding


def escrow_near_limit(tx: Tx, *, limit_days: int, limit_days_of: Mapping[str, int], alarm_days: int) -> list[Finding]:
    """Payments with unpaid shares, from `alarm_days` before Stripe wants them paid out.

    Counted from the split, in days.

    `limit_days_of` are the limits by currency, where another holds than `limit_days`.
    """
    with tx.cursor(row_factory=class_row(Finding)) as cursor:
        return cursor.execute(
            """
            WITH waiting AS (
                SELECT tenant_id, payment_id, sum(amount_minor - returned_minor)::bigint AS amount_minor
                FROM shares WHERE state <> 'settled' GROUP BY tenant_id, payment_id
            ), limited AS (
                SELECT d.*, w.amount_minor AS waiting_minor, d.frozen_at + make_interval(
                    days => coalesce((%(days_of)s::jsonb ->> d.currency)::integer, %(days)s)) AS held_until
                FROM waiting w JOIN distributions d USING (tenant_id, payment_id)
            )
            SELECT payment_id::text AS subject, tenant_id, payment_id, waiting_minor AS amount_minor, currency,
                   CASE WHEN released_at IS NULL THEN 'in escrow' ELSE 'released and not paid' END
                       || '; Stripe lets it be held until '
                       || to_char(held_until AT TIME ZONE 'UTC', 'YYYY-MM-DD') AS details
            FROM limited
            WHERE held_until < clock_timestamp() + make_interval(days => %(alarm)s) AND waiting_minor > 0
            """,
            {"days": limit_days, "days_of": Jsonb(dict(limit_days_of)), "alarm": alarm_days},
        ).fetchall()


def shares_stuck(tx: Tx, *, older_than_days: int) -> list[Finding]:
    """Shares that were released so many days ago and have not arrived; those that wait for a weekly statement are
    left out.
    """
    with tx.cursor(row_factory=class_row(Finding)) as cursor:
        return cursor.execute(
            """
            SELECT s.share_id::text AS subject, s.tenant_id, s.payment_id,
                   (s.amount_minor - s.returned_minor) AS amount_minor, s.currency,
                   'the share of ' || r.name || ' was released '
                       || to_char(s.state_since AT TIME ZONE 'UTC', 'YYYY-MM-DD') || ' and waits for '
                       || coalesce(s.waits_for, 'its transfer') AS details
            FROM shares s JOIN recipients r USING (tenant_id, recipient_id)
            WHERE s.state = 'released' AND s.state_since < clock_timestamp() - make_interval(days => %(days)s)
              AND s.waits_for IS DISTINCT FROM 'statement'
            """,
            {"days": older_than_days},
        ).fetchall()


def receivables_over(tx: Tx, *, limit_minor: int) -> list[Finding]:
    """Recipients who owe us more than this in one currency, in minor units, by the ledger; a subject for each
    currency.
    """
    with tx.cursor(row_factory=class_row(Finding)) as cursor:
        return cursor.execute(
            """
            SELECT a.recipient_id || '/' || a.currency AS subject, a.tenant_id, NULL::uuid AS payment_id,
                   sum(e.amount_minor)::bigint AS amount_minor, a.currency,
                   r.name || ' owes it: its next shares pay it' AS details
            FROM ledger_accounts a
            JOIN ledger_entries e USING (tenant_id, account_id)
            JOIN recipients r USING (tenant_id, recipient_id)
            WHERE a.code = 'recipient_receivable'
            GROUP BY a.tenant_id, a.recipient_id, a.currency, r.name
            HAVING sum(e.amount_minor) > %(limit)s
            """,
            {"limit": limit_minor},
        ).fetchall()
