"""Payouts of connected accounts and balances for operators; an ops transaction, which reads across tenants."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from psycopg.rows import class_row

from db.session import Tx


@dataclass(frozen=True, slots=True)
class PayoutRow:
    """A payout of a connected account. `names` are the recipients paid to that account, None when none is any more.

    paid_at        when it was first seen as paid; it stays when the payout failed afterwards
    came_back_at   when it was first seen as failed or canceled; None: it was not
    listed_at      when its contents were complete; None: not yet, or it was made by hand
    """

    payout_id: str
    account_id: str
    names: str
    amount_minor: int
    currency: str
    automatic: bool
    status: str
    failure_code: str | None
    created_at: datetime
    arrives_at: datetime
    paid_at: datetime | None
    came_back_at: datetime | None
    listed_at: datetime | None

    @property
    def state(self) -> str:
        """Stripe's word, but one that failed after it was paid says so."""
        return "paid, then failed" if self.status == "failed" and self.paid_at else self.status


_PAYOUTS = """
    SELECT p.payout_id, p.account_id,
           (SELECT string_agg(DISTINCT r.name, ', ' ORDER BY r.name)
            FROM recipients r WHERE r.account_id = p.account_id) AS names,
           p.amount_minor, p.currency, p.automatic, p.status, p.failure_code, p.created_at, p.arrives_at, p.paid_at,
           p.came_back_at, p.listed_at
    FROM connected_payouts p
"""


def payouts(tx: Tx, *, recipient_id: UUID | None, failed: bool, limit: int) -> list[PayoutRow]:
    """The newest first; of one recipient's account, or only those that failed or were canceled."""
    with tx.cursor(row_factory=class_row(PayoutRow)) as cursor:
        return cursor.execute(
            _PAYOUTS
            + """
            WHERE (%(recipient)s::uuid IS NULL
                   OR p.account_id IN (SELECT account_id FROM recipients WHERE recipient_id = %(recipient)s))
              AND (NOT %(failed)s OR p.came_back_at IS NOT NULL)
            ORDER BY p.created_at DESC, p.payout_id DESC LIMIT %(limit)s
            """,
            {"recipient": recipient_id, "failed": failed, "limit": limit},
        ).fetchall()


def payout(tx: Tx, payout_id: str) -> PayoutRow | None:
    """The payout with this id of Stripe; None when it was never listed."""
    with tx.cursor(row_factory=class_row(PayoutRow)) as cursor:
        return cursor.execute(_PAYOUTS + "WHERE p.payout_id = %(id)s", {"id": payout_id}).fetchone()


@dataclass(frozen=True, slots=True)
class PayoutLine:
    """One line of a payout; tenant, payment and order when a transfer, reversal or fee refund of ours made it."""

    balance_transaction_id: str
    type: str
    made_by: str | None
    net_minor: int
    currency: str
    created_at: datetime
    tenant_id: UUID | None
    payment_id: UUID | None
    order_id: UUID | None


def contents(tx: Tx, payout_id: str) -> list[PayoutLine]:
    """What a payout contained, in the order of time, without the line of the payout itself; empty until it is
    listed.
    """
    with tx.cursor(row_factory=class_row(PayoutLine)) as cursor:
        return cursor.execute(
            """
            WITH ours AS (
                SELECT tenant_id, payment_id, stripe_transfer_id AS made_by FROM transfers
                UNION ALL
                SELECT v.tenant_id, s.payment_id, v.stripe_reversal_id
                FROM transfer_reversals v JOIN shares s USING (tenant_id, share_id)
                UNION ALL
                SELECT r.tenant_id, f.payment_id, r.fee_refund_id
                FROM application_fee_refunds r JOIN application_fees f USING (tenant_id, fee_id)
            )
            SELECT l.balance_transaction_id, l.type, l.made_by, l.net_minor, l.currency, l.created_at, o.tenant_id,
                   o.payment_id, p.order_id
            FROM connected_payout_lines l
            LEFT JOIN ours o USING (made_by)
            LEFT JOIN payments p ON (p.tenant_id, p.payment_id) = (o.tenant_id, o.payment_id)
            WHERE l.payout_id = %(id)s AND l.source_id IS DISTINCT FROM %(id)s
            ORDER BY l.created_at, l.balance_transaction_id
            """,
            {"id": payout_id},
        ).fetchall()


@dataclass(frozen=True, slots=True)
class RecipientBalance:
    """A recipient's balance in one currency by the ledger, and by Stripe (None: nobody asked yet, or no account).

    payable      owed to it and not sent; escrow of it is held until an event is over
    receivable   what it owes us, and its next shares pay
    pending, available   what is in its account at Stripe, for all that it earns there, not from us alone
    """

    tenant_id: UUID
    recipient_id: UUID
    kind: str
    name: str
    account_id: str | None
    currency: str
    payable_minor: int
    escrow_minor: int
    receivable_minor: int
    pending_minor: int | None
    available_minor: int | None
    seen_at: datetime | None


def balances(tx: Tx, *, tenant_id: UUID | None) -> list[RecipientBalance]:
    """Every recipient that the ledger has ever had an account for, venues included; `tenant_id` None: of all
    tenants.
    """
    with tx.cursor(row_factory=class_row(RecipientBalance)) as cursor:
        return cursor.execute(
            """
            WITH held AS (
                SELECT a.tenant_id, coalesce(a.recipient_id, a.venue_id) AS recipient_id, a.currency,
                       -coalesce(sum(e.amount_minor) FILTER (WHERE a.code <> 'recipient_receivable'), 0) AS payable,
                       coalesce(sum(e.amount_minor) FILTER (WHERE a.code = 'recipient_receivable'), 0) AS receivable
                FROM ledger_accounts a JOIN ledger_entries e USING (tenant_id, account_id)
                WHERE a.code IN ('venue_payable', 'recipient_payable', 'recipient_receivable')
                GROUP BY 1, 2, 3
            ), escrow AS (
                SELECT tenant_id, recipient_id, currency, sum(amount_minor - returned_minor - borne_minor) AS minor
                FROM shares WHERE state = 'held' GROUP BY 1, 2, 3
            )
            SELECT r.tenant_id, r.recipient_id, r.kind, r.name, r.account_id, h.currency,
                   h.payable::bigint AS payable_minor, coalesce(x.minor, 0)::bigint AS escrow_minor,
                   h.receivable::bigint AS receivable_minor, b.pending_minor, b.available_minor, b.seen_at
            FROM held h
            JOIN recipients r USING (tenant_id, recipient_id)
            LEFT JOIN escrow x ON (x.tenant_id, x.recipient_id, x.currency) = (h.tenant_id, h.recipient_id, h.currency)
            LEFT JOIN connected_balances b ON b.account_id = r.account_id AND b.currency = h.currency
            WHERE %(tenant)s::uuid IS NULL OR r.tenant_id = %(tenant)s
            ORDER BY r.tenant_id, r.kind DESC, r.name, r.recipient_id, h.currency
            """,
            {"tenant": tenant_id},
        ).fetchall()
