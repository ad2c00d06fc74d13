"""Connected accounts as Stripe last described them, and the shares that waited for one. System transactions.

An account belongs to no tenant: recipients of several may be paid to the same one.
"""

from dataclasses import dataclass
from datetime import datetime

from db.session import Tx
from messages.ids import PaymentId, ShareId, TenantId


def now(tx: Tx) -> datetime:
    """The database's clock, to be read before Stripe is asked: of two answers, the one that was asked for later holds
    (M18).
    """
    row = tx.execute("SELECT clock_timestamp()").fetchone()
    assert row is not None, "a SELECT without FROM always returns a row"
    moment: datetime = row[0]
    return moment


def follow(
    tx: Tx, account_id: str, *, transfers: str, payouts_enabled: bool, disabled_reason: str | None, seen_at: datetime
) -> bool:
    """Store what Stripe says of an account; True when it may receive transfers now and, by what was stored, could not
    before.

    `transfers` is the state of the capability (docs.stripe.com/connect/account-capabilities). `seen_at` is `now` from
    before Stripe was asked; an answer older than the stored one changes nothing and returns False, as does an account
    that was not known. The former value is read from the row that is overwritten, in the same statement: another worker
    may have written it while this one waited.
    """
    kept = tx.execute(
        """
        INSERT INTO connected_accounts AS a (account_id, transfers, payouts_enabled, disabled_reason, seen_at)
        VALUES (%(id)s, %(transfers)s, %(payouts)s, %(reason)s, %(seen_at)s)
        ON CONFLICT (account_id) DO UPDATE
        SET transfers = excluded.transfers, payouts_enabled = excluded.payouts_enabled,
            disabled_reason = excluded.disabled_reason, seen_at = excluded.seen_at
        WHERE a.seen_at IS NULL OR a.seen_at < excluded.seen_at
        RETURNING old.transfers
        """,
        {
            "id": account_id,
            "transfers": transfers,
            "payouts": payouts_enabled,
            "reason": disabled_reason,
            "seen_at": seen_at,
        },
    ).fetchone()
    return transfers == "active" and kept is not None and kept[0] in {"inactive", "pending"}


def is_known(tx: Tx, account_id: str) -> bool:
    """True when some recipient, of any tenant, is paid to this account; Stripe reports accounts of others as well."""
    row = tx.execute("SELECT EXISTS (SELECT FROM recipients WHERE account_id = %(id)s)", {"id": account_id}).fetchone()
    return bool(row and row[0])


@dataclass(frozen=True, slots=True)
class WaitingAccount:
    """A released share that waits for an account, with what the message that wakes it needs."""

    tenant_id: TenantId
    payment_id: PaymentId
    share_id: ShareId


def shares_waiting(
    tx: Tx, account_id: str, *, refused_too: bool, after: ShareId | None, limit: int
) -> list[WaitingAccount]:
    """Released shares of any tenant that wait for this account, ordered by id, from `after` (exclusive) on.

    `refused_too`: also those whose transfer Stripe has refused; it would refuse it again unless something changed.
    Never those that wait for anything else: a statement, a dispute, a refund, the booking or the currency.
    """
    rows = tx.execute(
        """
        SELECT s.tenant_id, s.payment_id, s.share_id
        FROM recipients r JOIN shares s USING (tenant_id, recipient_id)
        WHERE r.account_id = %(account_id)s AND s.state = 'released'
          AND (s.waits_for IN ('account', 'capability')
               OR %(refused_too)s AND s.waits_for NOT IN ('statement', 'dispute', 'refund', 'booking', 'currency'))
          AND (%(after)s::uuid IS NULL OR s.share_id > %(after)s)
        ORDER BY s.share_id LIMIT %(limit)s
        """,
        {"account_id": account_id, "refused_too": refused_too, "after": after, "limit": limit},
    ).fetchall()
    return [WaitingAccount(TenantId(row[0]), PaymentId(row[1]), ShareId(row[2])) for row in rows]
