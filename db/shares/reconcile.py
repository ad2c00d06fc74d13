"""What the database holds of shares, page by page, for workers/shares/reconcile.py; a system transaction.

A page of payments is read in one statement: by which rules each was to be split, how it was split, and what the ledger
has booked of it. A page of transfers is read by the ids that Stripe has listed. Nothing is compared here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.rows import class_row

from db.session import Tx
from messages.ids import PaymentId, TenantId


@dataclass(frozen=True, slots=True)
class SplitPayment:
    """One payment. `legs` and `booked` are as their SELECTs below build them, amounts in minor units.

    royalties  [recipient, basis points] that were in force when the order came
    legs       how it was frozen, and what has come of each leg since
    booked     what the ledger's journals of the payment did for each party
    """

    tenant_id: TenantId
    payment_id: PaymentId
    frozen_at: datetime
    sale: str
    mode: str
    currency: str
    captured_minor: int
    fee_minor: int
    given_back_minor: int
    venue_id: UUID
    seller_id: UUID
    royalties: list[tuple[str, int]]
    legs: list[dict[str, Any]]
    booked: list[dict[str, Any]]


def page(tx: Tx, *, after: datetime, until: datetime, size: int) -> list[SplitPayment]:
    """The next payments that were split in (after, until], oldest first. `size` is a minimum: ties stay together.

    The last `frozen_at` is the next `after`: with ties cut in two, the rest of a moment would be lost.
    """
    rows = tx.execute(
        """
        SELECT tenant_id, payment_id FROM distributions
        WHERE frozen_at > %(after)s AND frozen_at <= %(until)s
        ORDER BY frozen_at FETCH FIRST %(size)s ROWS WITH TIES
        """,
        {"after": after, "until": until, "size": size},
    ).fetchall()
    return of_payments(tx, [row[1] for row in rows])


def of_payments(tx: Tx, payment_ids: Sequence[UUID]) -> list[SplitPayment]:
    """These payments, oldest split first; one that was not split yet is missing."""
    with tx.cursor(row_factory=class_row(SplitPayment)) as cursor:
        return cursor.execute(_CUTS, {"ids": list(payment_ids)}).fetchall()


_CUTS = """
    WITH asked AS MATERIALIZED (
        SELECT d.tenant_id, d.payment_id, d.frozen_at, d.sale, d.mode, d.currency, d.event_id, p.venue_id,
               coalesce(p.seller_id, p.venue_id) AS seller_id, p.platform_fee_minor, c.amount_minor, o.received_at
        FROM distributions d
        JOIN payments p USING (tenant_id, payment_id)
        JOIN charges c USING (tenant_id, payment_id)
        JOIN orders o ON (o.tenant_id, o.order_id) = (p.tenant_id, p.order_id)
        WHERE d.payment_id = ANY (%(ids)s)
    ), valid AS (
        SELECT a.payment_id, r.event_id, r.recipient_id, r.basis_points
        FROM asked a JOIN royalty_settings r ON (r.tenant_id, r.venue_id, r.sale) = (a.tenant_id, a.venue_id, a.sale)
        WHERE a.received_at >= r.valid_from AND a.received_at < r.valid_until
          AND (r.event_id = a.event_id OR r.event_id IS NULL)
    ), promised AS (
        SELECT v.payment_id,
               jsonb_agg(jsonb_build_array(v.recipient_id, v.basis_points) ORDER BY v.recipient_id) AS royalties
        FROM valid v
        WHERE (v.event_id IS NOT NULL) = EXISTS (
            SELECT FROM valid w WHERE w.payment_id = v.payment_id AND w.event_id IS NOT NULL)
        GROUP BY v.payment_id
    ), legs AS (
        SELECT s.payment_id, jsonb_agg(jsonb_build_object(
                   'recipient_id', s.recipient_id, 'basis', s.basis, 'basis_points', s.basis_points,
                   'amount', s.amount_minor, 'taken', s.returned_minor + s.borne_minor, 'state', s.state,
                   'told_taken', (SELECT coalesce(sum(t.returned_minor + t.borne_minor), 0) FROM share_returns t
                                  WHERE t.share_id = s.share_id AND NOT t.undone),
                   'receivable', (SELECT coalesce(sum(o.amount_minor), 0) FROM share_receivables o
                                  WHERE o.share_id = s.share_id),
                   'sent', (SELECT coalesce(sum(l.amount_minor), 0)
                            FROM transfer_lines l JOIN transfers t USING (tenant_id, transfer_id)
                            WHERE l.share_id = s.share_id AND t.state IN ('requested', 'sending', 'paid')),
                   'back', (SELECT coalesce(sum(b.amount_minor), 0) FROM transfer_reversals b
                            WHERE b.share_id = s.share_id AND b.state <> 'short')
                           + (SELECT coalesce(sum(f.amount_minor - f.refunded_minor), 0) FROM application_fees f
                              WHERE f.share_id = s.share_id))
                   ORDER BY s.basis <> 'royalty', s.recipient_id) AS legs
        FROM shares s WHERE s.payment_id = ANY (%(ids)s) GROUP BY s.payment_id
    ), lines AS (
        SELECT j.payment_id, coalesce(a.recipient_id, a.venue_id) AS party,
               sum(e.amount_minor) FILTER (WHERE j.kind = 'distribution' AND a.code = 'recipient_payable')
                   AS distributed,
               sum(e.amount_minor) FILTER (WHERE j.kind IN ('clawback', 'clawback_undone')
                                             AND a.code = 'recipient_payable') AS clawed,
               sum(e.amount_minor) FILTER (WHERE j.kind = 'receivable' AND a.code = 'recipient_receivable')
                   AS receivable
        FROM ledger_journals j
        JOIN ledger_entries e USING (tenant_id, journal_id)
        JOIN ledger_accounts a USING (tenant_id, account_id)
        WHERE j.payment_id = ANY (%(ids)s) AND j.kind IN ('distribution', 'clawback', 'clawback_undone', 'receivable')
        GROUP BY 1, 2
    ), booked AS (
        SELECT payment_id, jsonb_agg(jsonb_build_object(
                   'party', party, 'distributed', -coalesce(distributed, 0), 'clawed', coalesce(clawed, 0),
                   'receivable', coalesce(receivable, 0))) AS booked
        FROM lines GROUP BY payment_id
    ), given AS (
        SELECT payment_id, sum(minor)::bigint AS minor
        FROM (
            SELECT payment_id, amount_minor - obligation_minor - platform_fee_minor AS minor
            FROM refunds WHERE payment_id = ANY (%(ids)s) AND balance_transaction_id IS NOT NULL
            UNION ALL
            SELECT payment_id, lost_minor - lost_obligation_minor - lost_platform_fee_minor
            FROM disputes WHERE payment_id = ANY (%(ids)s) AND lost_minor IS NOT NULL AND NOT loss_reversed
        ) AS every GROUP BY payment_id
    )
    SELECT a.tenant_id, a.payment_id, a.frozen_at, a.sale, a.mode, a.currency, a.amount_minor AS captured_minor,
           a.platform_fee_minor AS fee_minor, coalesce(g.minor, 0) AS given_back_minor, a.venue_id, a.seller_id,
           coalesce(p.royalties, '[]') AS royalties, coalesce(l.legs, '[]') AS legs, coalesce(b.booked, '[]') AS booked
    FROM asked a
    LEFT JOIN promised p USING (payment_id)
    LEFT JOIN legs l USING (payment_id)
    LEFT JOIN booked b USING (payment_id)
    LEFT JOIN given g USING (payment_id)
    ORDER BY a.frozen_at, a.payment_id
"""


@dataclass(frozen=True, slots=True)
class BookedTransfer:
    """A transfer as the database has it, in minor units.

    line_minor      what its shares get by it; the transfer's amount plus what it netted, or the lines are wrong
    journal_minor   what its journal moved on stripe_balance: negative, or 0 without a journal
    back_minor      what reversals brought back for good
    moving          a reversal of it is under way, so that it and Stripe may differ for now
    """

    tenant_id: TenantId
    transfer_id: UUID
    payment_id: PaymentId | None
    stripe_transfer_id: str | None
    account_id: str
    state: str
    amount_minor: int
    netted_minor: int
    currency: str
    line_minor: int
    journal_minor: int
    back_minor: int
    moving: bool


def sent(tx: Tx, *, stripe_ids: Sequence[str], our_ids: Sequence[UUID]) -> list[BookedTransfer]:
    """The transfers with these ids of Stripe or of ours; one that is not here is missing from the answer."""
    with tx.cursor(row_factory=class_row(BookedTransfer)) as cursor:
        return cursor.execute(
            """
            SELECT t.tenant_id, t.transfer_id, t.payment_id, t.stripe_transfer_id, t.account_id, t.state,
                   t.amount_minor, t.netted_minor, t.currency,
                   (SELECT coalesce(sum(l.amount_minor), 0)::bigint FROM transfer_lines l
                    WHERE (l.tenant_id, l.transfer_id) = (t.tenant_id, t.transfer_id)) AS line_minor,
                   (SELECT coalesce(sum(e.amount_minor), 0)::bigint
                    FROM ledger_journals j
                    JOIN ledger_entries e USING (tenant_id, journal_id)
                    JOIN ledger_accounts a USING (tenant_id, account_id)
                    WHERE j.tenant_id = t.tenant_id AND j.kind = 'transfer' AND j.source_id = t.stripe_transfer_id
                      AND a.code = 'stripe_balance') AS journal_minor,
                   (SELECT coalesce(sum(r.amount_minor), 0)::bigint FROM transfer_reversals r
                    WHERE (r.tenant_id, r.transfer_id) = (t.tenant_id, t.transfer_id) AND r.state = 'reversed')
                       AS back_minor,
                   EXISTS (SELECT FROM transfer_reversals r
                           WHERE (r.tenant_id, r.transfer_id) = (t.tenant_id, t.transfer_id)
                             AND r.state IN ('requested', 'sending')) AS moving
            FROM transfers t
            WHERE t.stripe_transfer_id = ANY (%(stripe_ids)s) OR t.transfer_id = ANY (%(our_ids)s)
            """,
            {"stripe_ids": list(stripe_ids), "our_ids": list(our_ids)},
        ).fetchall()
