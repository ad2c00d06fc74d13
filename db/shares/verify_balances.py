"""What each recipient is owed and has got, by the ledger, for the checker; needs a system transaction."""

from dataclasses import dataclass
from uuid import UUID

from psycopg.rows import class_row

from db.session import Tx


@dataclass(frozen=True, slots=True)
class Party:
    """One recipient in one currency. By the ledger: owed = paid + payable - receivable, to the cent.

    owed        its shares, less what refunds and losses took back of them
    paid        transfers less reversals, and less the application fees of destination charges, by their journals
    payable     what the ledger owes it, and has not sent
    receivable  what it owes
    """

    tenant_id: UUID
    recipient_id: UUID
    kind: str
    name: str
    currency: str
    shares: int
    shared_minor: int
    returned_minor: int
    paid_minor: int
    payable_minor: int
    receivable_minor: int

    @property
    def unexplained_minor(self) -> int:
        """0 when the ledger explains every cent of the shares; otherwise the difference to look for."""
        owed = self.shared_minor - self.returned_minor
        return owed - (self.paid_minor + self.payable_minor - self.receivable_minor)


def parties(tx: Tx) -> list[Party]:
    """Everybody who ever had a share, a line for each currency.

    A venue's account counts only what payments with shares put on it, and journals that belong to no payment.
    """
    with tx.cursor(row_factory=class_row(Party)) as cursor:
        return cursor.execute(
            """
            WITH cut AS (
                SELECT tenant_id, recipient_id, currency, count(*) AS shares, sum(amount_minor) AS shared,
                       sum(returned_minor + borne_minor) AS returned
                FROM shares GROUP BY 1, 2, 3
            ), lines AS (
                SELECT a.tenant_id, coalesce(a.recipient_id, a.venue_id) AS recipient_id, a.currency, a.code, j.kind,
                       e.amount_minor
                FROM ledger_accounts a
                JOIN ledger_entries e USING (tenant_id, account_id)
                JOIN ledger_journals j USING (tenant_id, journal_id)
                LEFT JOIN distributions d ON (d.tenant_id, d.payment_id) = (j.tenant_id, j.payment_id)
                WHERE a.code IN ('recipient_payable', 'recipient_receivable', 'venue_payable')
                  AND (a.code <> 'venue_payable' OR j.payment_id IS NULL OR d.payment_id IS NOT NULL)
            ), held AS (
                SELECT tenant_id, recipient_id, currency,
                       -coalesce(sum(amount_minor) FILTER (WHERE code <> 'recipient_receivable'), 0) AS payable,
                       coalesce(sum(amount_minor) FILTER (WHERE code = 'recipient_receivable'), 0) AS receivable,
                       coalesce(sum(amount_minor) FILTER (
                           WHERE kind IN ('transfer', 'transfer_reversal', 'application_fee', 'application_fee_refund')
                             AND code <> 'recipient_receivable'), 0)
                           AS paid
                FROM lines GROUP BY 1, 2, 3
            )
            SELECT party.tenant_id, party.recipient_id, r.kind, r.name, party.currency, coalesce(c.shares, 0) AS shares,
                   coalesce(c.shared, 0)::bigint AS shared_minor, coalesce(c.returned, 0)::bigint AS returned_minor,
                   coalesce(h.paid, 0)::bigint AS paid_minor, coalesce(h.payable, 0)::bigint AS payable_minor,
                   coalesce(h.receivable, 0)::bigint AS receivable_minor
            FROM cut c FULL JOIN held h USING (tenant_id, recipient_id, currency) AS party
            JOIN recipients r ON (r.tenant_id, r.recipient_id) = (party.tenant_id, party.recipient_id)
            ORDER BY party.tenant_id, r.kind, r.name, party.recipient_id, party.currency
            """
        ).fetchall()


@dataclass(frozen=True, slots=True)
class Platform:
    """The platform's fees of one tenant and currency: what the ledger holds, and what sales less returns explain."""

    tenant_id: UUID
    currency: str
    ledger_minor: int
    explained_minor: int


def platform_fees(tx: Tx) -> list[Platform]:
    """The platform's fees of every tenant and currency.

    Equal figures mean that each fee was booked, and returned,
    once.
    """
    with tx.cursor(row_factory=class_row(Platform)) as cursor:
        return cursor.execute(
            """
            WITH moved AS (
                SELECT p.tenant_id, p.currency, p.platform_fee_minor AS fee
                FROM payments p JOIN charges c USING (tenant_id, payment_id)
                UNION ALL
                SELECT tenant_id, currency, -platform_fee_minor FROM refunds WHERE balance_transaction_id IS NOT NULL
                UNION ALL
                SELECT tenant_id, currency, -lost_platform_fee_minor FROM disputes
                WHERE lost_minor IS NOT NULL AND NOT loss_reversed
            ), explained AS (
                SELECT tenant_id, currency, sum(fee) AS minor FROM moved GROUP BY 1, 2
            ), held AS (
                SELECT a.tenant_id, a.currency, -sum(e.amount_minor) AS minor
                FROM ledger_accounts a JOIN ledger_entries e USING (tenant_id, account_id)
                WHERE a.code = 'platform_fees' GROUP BY 1, 2
            )
            SELECT tenant_id, currency, coalesce(h.minor, 0)::bigint AS ledger_minor,
                   coalesce(x.minor, 0)::bigint AS explained_minor
            FROM explained x FULL JOIN held h USING (tenant_id, currency)
            """
        ).fetchall()


def accounts_reached(tx: Tx) -> dict[tuple[str, str], int]:
    """(account, currency) -> what the ledger says reached it, in minor units: transfers less reversals,
    without fees.
    """
    rows = tx.execute(
        """
        WITH named AS (
            SELECT tenant_id, stripe_transfer_id AS source_id, 'transfer' AS kind, account_id AS reached
            FROM transfers
            WHERE stripe_transfer_id IS NOT NULL
            UNION ALL
            SELECT r.tenant_id, r.stripe_reversal_id, 'transfer_reversal', t.account_id
            FROM transfer_reversals r JOIN transfers t USING (tenant_id, transfer_id)
            WHERE r.stripe_reversal_id IS NOT NULL
        )
        SELECT n.reached, a.currency, -sum(e.amount_minor)::bigint
        FROM named n
        JOIN ledger_journals j USING (tenant_id, source_id, kind)
        JOIN ledger_entries e USING (tenant_id, journal_id)
        JOIN ledger_accounts a USING (tenant_id, account_id)
        WHERE a.code = 'stripe_balance'
        GROUP BY 1, 2
        """
    )
    return {(row[0], row[1]): row[2] for row in rows}


def accounts_known(tx: Tx) -> set[str]:
    """Every connected account that a recipient of ours names."""
    return {row[0] for row in tx.execute("SELECT DISTINCT account_id FROM recipients WHERE account_id IS NOT NULL")}
