"""Shares and their transfers as the database has them, for the checker; needs a system transaction.

Reads whole
tables.
"""

from dataclasses import dataclass
from uuid import UUID

from psycopg.rows import class_row

from db.session import Tx


@dataclass(frozen=True, slots=True)
class BookedTransfer:
    """A transfer or a reversal. `journal_minor` is what its journal moved on stripe_balance (None: no journal).

    A message in the outbox or an open dead letter explains why it has not moved yet.
    """

    tenant_id: UUID
    our_id: UUID
    stripe_id: str | None
    account_id: str
    state: str
    amount_minor: int
    currency: str
    journal_minor: int | None
    seconds_since_move: float
    has_outbox_row: bool
    has_dead_letter: bool


def transfers(tx: Tx) -> list[BookedTransfer]:
    """Every transfer of every tenant, in no order, those of destination charges included."""
    with tx.cursor(row_factory=class_row(BookedTransfer)) as cursor:
        return cursor.execute(
            """
            WITH posted AS (
                SELECT j.tenant_id, j.source_id, sum(e.amount_minor)::bigint AS minor
                FROM ledger_journals j
                JOIN ledger_entries e USING (tenant_id, journal_id)
                JOIN ledger_accounts a USING (tenant_id, account_id)
                WHERE j.kind = 'transfer' AND a.code = 'stripe_balance' AND e.currency = a.currency
                GROUP BY j.tenant_id, j.source_id
            )
            SELECT t.tenant_id, t.transfer_id AS our_id, t.stripe_transfer_id AS stripe_id, t.account_id, t.state,
                   t.amount_minor, t.currency, p.minor AS journal_minor,
                   extract(epoch FROM clock_timestamp() - t.state_since)::float8 AS seconds_since_move,
                   EXISTS (SELECT FROM outbox o WHERE o.ordering_key = t.transfer_id) AS has_outbox_row,
                   EXISTS (SELECT FROM dead_letters d WHERE d.kind = 'transfer' AND d.state = 'open'
                           AND strpos(d.payload, t.transfer_id::text) > 0) AS has_dead_letter
            FROM transfers t
            LEFT JOIN posted p ON (p.tenant_id, p.source_id) = (t.tenant_id, t.stripe_transfer_id)
            """
        ).fetchall()


def reversals(tx: Tx) -> list[BookedTransfer]:
    """Every reversal of every tenant, in no order; the account is that of the transfer it takes back."""
    with tx.cursor(row_factory=class_row(BookedTransfer)) as cursor:
        return cursor.execute(
            """
            WITH posted AS (
                SELECT j.tenant_id, j.source_id, sum(e.amount_minor)::bigint AS minor
                FROM ledger_journals j
                JOIN ledger_entries e USING (tenant_id, journal_id)
                JOIN ledger_accounts a USING (tenant_id, account_id)
                WHERE j.kind = 'transfer_reversal' AND a.code = 'stripe_balance'
                GROUP BY j.tenant_id, j.source_id
            )
            SELECT r.tenant_id, r.reversal_id AS our_id, r.stripe_reversal_id AS stripe_id, t.account_id, r.state,
                   r.amount_minor, r.currency, p.minor AS journal_minor,
                   extract(epoch FROM clock_timestamp() - r.state_since)::float8 AS seconds_since_move,
                   EXISTS (SELECT FROM outbox o WHERE o.ordering_key = r.reversal_id) AS has_outbox_row,
                   EXISTS (SELECT FROM dead_letters d WHERE d.kind = 'transfer_reversal' AND d.state = 'open'
                           AND strpos(d.payload, r.reversal_id::text) > 0) AS has_dead_letter
            FROM transfer_reversals r
            JOIN transfers t USING (tenant_id, transfer_id)
            LEFT JOIN posted p ON (p.tenant_id, p.source_id) = (r.tenant_id, r.stripe_reversal_id)
            """
        ).fetchall()


@dataclass(frozen=True, slots=True)
class ShareCounts:
    """How many shares are in the same situation, with one of them as an example.

    released   the payment has left escrow
    gap        something is still to be paid or to be taken back
    in_hand    a transfer, a reversal or a message is under way, or it was looked at within the last 60 s
    dead       an open dead letter of the payment's shares waits for a person
    reason     what a released share waits for; None when nothing is known to keep it
    """

    state: str
    released: bool
    gap: bool
    in_hand: bool
    dead: bool
    reason: str | None
    shares: int
    example: UUID


def shares(tx: Tx) -> list[ShareCounts]:
    """Every share of every tenant, counted by its situation.

    Sums are taken here: there are too many rows to return
    each.
    """
    with tx.cursor(row_factory=class_row(ShareCounts)) as cursor:
        return cursor.execute(
            """
            WITH sent AS (
                SELECT l.tenant_id, l.share_id, sum(l.amount_minor) AS minor,
                       bool_or(t.state <> 'paid') AS moving
                FROM transfer_lines l JOIN transfers t USING (tenant_id, transfer_id)
                WHERE t.state IN ('requested', 'sending', 'paid') GROUP BY 1, 2
            ), back AS (
                SELECT tenant_id, share_id, sum(amount_minor) AS minor, bool_or(state <> 'reversed') AS moving
                FROM transfer_reversals WHERE state <> 'short' GROUP BY 1, 2
            ), owed AS (
                SELECT tenant_id, share_id, sum(minor) AS minor
                FROM (SELECT tenant_id, share_id, amount_minor AS minor FROM share_receivables UNION ALL
                      SELECT tenant_id, share_id, amount_minor - refunded_minor FROM application_fees) AS less
                GROUP BY 1, 2
            ), standing AS (
                SELECT s.share_id, s.state, d.released_at IS NOT NULL AS released,
                       s.amount_minor - s.returned_minor - s.borne_minor
                           - coalesce(f.minor, 0) + coalesce(b.minor, 0) + coalesce(o.minor, 0) <> 0 AS gap,
                       coalesce(f.moving, false) OR coalesce(b.moving, false)
                           OR s.looked_at > clock_timestamp() - interval '60 s'
                           OR d.released_at > clock_timestamp() - interval '60 s'
                           OR EXISTS (SELECT FROM outbox q WHERE q.ordering_key = s.payment_id AND q.exchange = '')
                           AS in_hand,
                       EXISTS (SELECT FROM dead_letters l WHERE l.payment_id = s.payment_id AND l.kind = 'share'
                               AND l.state = 'open') AS dead,
                       coalesce(s.waits_for, CASE WHEN r.account_id IS NULL THEN 'account' END) AS reason
                FROM shares s
                JOIN distributions d USING (tenant_id, payment_id)
                JOIN recipients r USING (tenant_id, recipient_id)
                LEFT JOIN sent f USING (tenant_id, share_id)
                LEFT JOIN back b USING (tenant_id, share_id)
                LEFT JOIN owed o USING (tenant_id, share_id)
            )
            SELECT state, released, gap, in_hand, dead, CASE WHEN state = 'released' THEN reason END AS reason,
                   count(*) AS shares, min(share_id::text)::uuid AS example
            FROM standing GROUP BY 1, 2, 3, 4, 5, 6
            """
        ).fetchall()


def uncut(tx: Tx) -> list[tuple[UUID, str]]:
    """Payments whose split does not add up (M12), at most 1000, each with which sum is off.

    Shares against the distribution, shares and platform fee against the charge, and returned against what refunds and
    losses took.
    """
    rows = tx.execute(
        """
        WITH given AS (
            SELECT tenant_id, payment_id, amount_minor - obligation_minor - platform_fee_minor AS minor
            FROM refunds WHERE balance_transaction_id IS NOT NULL
            UNION ALL
            SELECT tenant_id, payment_id, lost_minor - lost_obligation_minor - lost_platform_fee_minor
            FROM disputes WHERE lost_minor IS NOT NULL AND NOT loss_reversed
        ), gone AS (
            SELECT tenant_id, payment_id, sum(minor) AS minor FROM given GROUP BY 1, 2
        ), cut AS (
            SELECT tenant_id, payment_id, sum(amount_minor) AS whole, sum(returned_minor + borne_minor) AS returned
            FROM shares GROUP BY 1, 2
        )
        SELECT d.payment_id,
               CASE WHEN coalesce(c.whole, 0) <> d.amount_minor THEN 'shares are not the distribution'
                    WHEN d.amount_minor + p.platform_fee_minor <> h.amount_minor THEN 'shares and fee are not the sale'
                    ELSE 'what was given back is not what shares gave' END
        FROM distributions d
        JOIN payments p USING (tenant_id, payment_id)
        JOIN charges h USING (tenant_id, payment_id)
        LEFT JOIN cut c USING (tenant_id, payment_id)
        LEFT JOIN gone g USING (tenant_id, payment_id)
        WHERE coalesce(c.whole, 0) <> d.amount_minor OR d.amount_minor + p.platform_fee_minor <> h.amount_minor
           OR coalesce(c.returned, 0) <> coalesce(g.minor, 0)
        LIMIT 1000
        """
    ).fetchall()
    return [(row[0], row[1]) for row in rows]


def moving(tx: Tx) -> int:
    """How many transfers and reversals are under way, and shares that are about to be measured; 0 means at rest."""
    row = tx.execute(
        """
        SELECT (SELECT count(*) FROM transfers WHERE state IN ('requested', 'sending'))
             + (SELECT count(*) FROM transfer_reversals WHERE state IN ('requested', 'sending'))
             + (SELECT count(*) FROM shares s JOIN recipients r USING (tenant_id, recipient_id)
                WHERE s.state = 'released' AND s.waits_for IS NULL AND r.account_id IS NOT NULL)
        """
    ).fetchone()
    assert row is not None, "a SELECT of scalars always returns a row"
    return int(row[0])
