"""Application fees as the book has them, for the checker; needs a system transaction."""

from dataclasses import dataclass
from uuid import UUID

from psycopg.rows import class_row

from db.session import Tx


@dataclass(frozen=True, slots=True)
class BookedFee:
    """`journal_minor` is what the journals of the fee and of its refunds moved on stripe_balance together."""

    tenant_id: UUID
    fee_id: str
    amount_minor: int
    refunded_minor: int
    journal_minor: int


def application_fees(tx: Tx) -> list[BookedFee]:
    """Every application fee of every tenant. In a correct ledger, journal_minor is amount less refunded."""
    with tx.cursor(row_factory=class_row(BookedFee)) as cursor:
        return cursor.execute(
            """
            WITH named AS (
                SELECT tenant_id, fee_id, 'application_fee' AS kind, fee_id AS source_id FROM application_fees
                UNION ALL
                SELECT tenant_id, fee_id, 'application_fee_refund', fee_refund_id FROM application_fee_refunds
            ), posted AS (
                SELECT n.tenant_id, n.fee_id, sum(e.amount_minor)::bigint AS minor
                FROM named n
                JOIN ledger_journals j USING (tenant_id, kind, source_id)
                JOIN ledger_entries e USING (tenant_id, journal_id)
                JOIN ledger_accounts a USING (tenant_id, account_id)
                WHERE a.code = 'stripe_balance'
                GROUP BY 1, 2
            )
            SELECT tenant_id, fee_id, f.amount_minor, f.refunded_minor, coalesce(p.minor, 0)::bigint AS journal_minor
            FROM application_fees f LEFT JOIN posted p USING (tenant_id, fee_id)
            """
        ).fetchall()
