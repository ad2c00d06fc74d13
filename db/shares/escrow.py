"""Escrow: which payments' shares are held, since when and why, and the one move that releases them.

A payment leaves escrow when its event has been over for as long as the venue wants, nobody disputes it, nothing of it
is about to be given back, its group is settled, and no person holds it. While nobody has said when the event ends, it
stays. Stripe limits how long (docs.stripe.com/connect/account-balances#holding-funds); db/shares/overdue.py warns
before.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import LiteralString
from uuid import UUID

from psycopg.rows import class_row

from db.session import Tx
from messages.ids import OrderId, PaymentId, ShareId, TenantId
from messages.money import Money

# Why a held distribution d of payment p may not go yet, the first reason that holds; NULL: nothing keeps it.
# `e` is the event, when somebody has told when it ends. What is all settled has nothing left to wait for.
KEPT_BY: LiteralString = """
    CASE
        WHEN NOT EXISTS (SELECT FROM shares s WHERE (s.tenant_id, s.payment_id) = (d.tenant_id, d.payment_id)
                         AND s.state <> 'settled') THEN NULL
        WHEN d.held_at IS NOT NULL THEN 'person'
        WHEN p.cancel_requested_at IS NOT NULL THEN 'cancellation'
        WHEN EXISTS (SELECT FROM groups g WHERE (g.tenant_id, g.group_id) = (p.tenant_id, p.group_id)
                     AND g.state <> 'settled') THEN 'group'
        WHEN EXISTS (SELECT FROM event_cancellations c WHERE (c.tenant_id, c.event_id) = (d.tenant_id, d.event_id)
                     AND c.state NOT IN ('canceled', 'cancelled')) THEN 'cancelled_event'
        WHEN EXISTS (SELECT FROM disputes x WHERE (x.tenant_id, x.payment_id) = (d.tenant_id, d.payment_id)
                     AND x.status NOT IN ('won', 'lost', 'warning_closed', 'prevented')) THEN 'dispute'
        WHEN EXISTS (SELECT FROM refunds f WHERE (f.tenant_id, f.payment_id) = (d.tenant_id, d.payment_id)
                     AND f.state IN ('requested', 'sending', 'pending', 'requires_action')) THEN 'refund'
        WHEN d.escrow_days IS NOT NULL AND e.ends_at IS NULL THEN 'unknown_end'
        WHEN d.escrow_days IS NOT NULL AND e.ends_at + make_interval(days => d.escrow_days) > clock_timestamp()
            THEN 'event'
    END
"""
_HELD: LiteralString = """
    FROM distributions d
    JOIN payments p ON (p.tenant_id, p.payment_id) = (d.tenant_id, d.payment_id)
    LEFT JOIN events e ON (e.tenant_id, e.event_id) = (d.tenant_id, d.event_id)
"""


def due(tx: Tx, *, after: PaymentId | None, limit: int) -> list[tuple[TenantId, PaymentId]]:
    """Payments that may leave escrow, ordered by id, from `after` (exclusive) on; needs a system transaction.

    A list to work through, not a promise: whoever releases one locks it, and asks for `kept_by` again.
    """
    rows = tx.execute(
        "SELECT d.tenant_id, d.payment_id"
        + _HELD
        + "WHERE d.released_at IS NULL AND (%(after)s::uuid IS NULL OR d.payment_id > %(after)s) AND ("
        + KEPT_BY
        + ") IS NULL ORDER BY d.payment_id LIMIT %(limit)s",
        {"after": after, "limit": limit},
    ).fetchall()
    return [(TenantId(row[0]), PaymentId(row[1])) for row in rows]


@dataclass(frozen=True, slots=True)
class EscrowedPayment:
    """A payment in escrow, locked.

    `kept_by` None: nothing keeps it, and it may be released; else the reason in KEPT_BY.

    `held_minor` is what its held shares are still owed, in minor units of `currency`.
    """

    payment_id: PaymentId
    order_id: OrderId
    event_id: UUID
    held_minor: int
    currency: str
    kept_by: str | None

    @property
    def held(self) -> Money:
        return Money(self.held_minor, self.currency)


def lock(tx: Tx, payment_id: PaymentId) -> EscrowedPayment | None:
    """The payment's escrow, locked; None when it was released already, or another transaction has it locked just now.

    SKIP LOCKED, so nobody waits here: whoever holds the row is about to release or to hold it. Its shares are locked in
    the order in which settlements lock them (shares.of_payment), and no recipient is, so this waits for no settlement
    for long.
    """
    found = tx.execute(
        "SELECT FROM distributions WHERE payment_id = %(id)s AND released_at IS NULL FOR NO KEY UPDATE SKIP LOCKED",
        {"id": payment_id},
    ).fetchone()
    if found is None:
        return None
    tx.execute("SELECT FROM shares WHERE payment_id = %(id)s ORDER BY share_id FOR UPDATE", {"id": payment_id})
    with tx.cursor(row_factory=class_row(EscrowedPayment)) as cursor:
        return cursor.execute(
            """
            SELECT d.payment_id, p.order_id, d.event_id, d.currency,
                   (SELECT coalesce(sum(s.amount_minor - s.returned_minor), 0) FROM shares s
                    WHERE s.payment_id = d.payment_id AND s.state = 'held')::bigint AS held_minor,
            """
            + KEPT_BY
            + " AS kept_by"
            + _HELD
            + "WHERE d.payment_id = %(id)s",
            {"id": payment_id},
        ).fetchone()


def release(tx: Tx, payment_id: PaymentId, *, by: str, because: str) -> list[ShareId]:
    """Release the held shares; returns those whose recipient can be paid.

    The others wait for an account, and are marked so.

    `because` is kept with the payment and in the history of each share. A second call finds nothing and returns [].
    Lock the escrow first; `kept_by` is not asked again here.
    """
    rows = tx.execute(
        """
        WITH let_go AS (
            UPDATE distributions
            SET released_at = clock_timestamp(), released_by = %(by)s, release_reason = %(because)s
            WHERE payment_id = %(id)s AND released_at IS NULL
            RETURNING tenant_id, payment_id
        )
        UPDATE shares s
        SET state = 'released', state_by = %(by)s, state_reason = %(because)s, looked_at = clock_timestamp(),
            waits_for = CASE WHEN r.account_id IS NULL THEN 'account' END
        FROM let_go g, recipients r
        WHERE (s.tenant_id, s.payment_id) = (g.tenant_id, g.payment_id) AND s.state = 'held'
          AND (r.tenant_id, r.recipient_id) = (s.tenant_id, s.recipient_id)
        RETURNING s.share_id, r.account_id IS NOT NULL
        """,
        {"id": payment_id, "by": by, "because": because},
    ).fetchall()
    return sorted(ShareId(row[0]) for row in rows if row[1])


def hold(tx: Tx, payment_id: PaymentId, *, by: str, because: str) -> bool:
    """A person keeps it in escrow, however much time passes; False when it was released already.

    A later hold overwrites
    it.
    """
    return (
        tx.execute(
            """
            UPDATE distributions SET held_at = clock_timestamp(), held_by = %(by)s, held_because = %(because)s
            WHERE payment_id = %(id)s AND released_at IS NULL
            """,
            {"id": payment_id, "by": by, "because": because},
        ).rowcount
        == 1
    )


@dataclass(frozen=True, slots=True)
class EscrowLine:
    """A payment in escrow, as operators see it.

    escrow_days   days after the event's end that the venue wants; None: escrow does not wait for the event
    free_at       when the event alone would release it; None: the end is not known, or it need not wait for it
    held_by       the person who holds it; None: nobody does
    released_at   None while it is in escrow
    """

    tenant_id: TenantId
    payment_id: PaymentId
    order_id: UUID
    event_id: UUID
    venue: str
    held_minor: int
    currency: str
    frozen_at: datetime
    escrow_days: int | None
    ends_at: datetime | None
    free_at: datetime | None
    kept_by: str | None
    held_by: str | None
    held_because: str | None
    released_at: datetime | None
    released_by: str | None
    release_reason: str | None


_SELECT: LiteralString = (
    """
    SELECT d.tenant_id, d.payment_id, p.order_id, d.event_id, v.name AS venue, d.currency, d.frozen_at, d.escrow_days,
           e.ends_at, e.ends_at + make_interval(days => d.escrow_days) AS free_at, d.held_by, d.held_because,
           d.released_at, d.released_by, d.release_reason,
           (SELECT coalesce(sum(s.amount_minor - s.returned_minor), 0) FROM shares s
            WHERE (s.tenant_id, s.payment_id) = (d.tenant_id, d.payment_id) AND s.state = 'held')::bigint AS held_minor,
    """
    + KEPT_BY
    + " AS kept_by"
    + _HELD
    + "JOIN venues v ON (v.tenant_id, v.venue_id) = (p.tenant_id, p.venue_id) "
)


def find(tx: Tx, *, kept_by: str | None = None, limit: int) -> list[EscrowLine]:
    """Payments in escrow that still hold money, the oldest first; `kept_by` narrows to one reason.

    Needs an ops
    transaction.
    """
    with tx.cursor(row_factory=class_row(EscrowLine)) as cursor:
        return cursor.execute(
            "SELECT * FROM ("
            + _SELECT
            + """
            WHERE d.released_at IS NULL
            ) held
            WHERE held_minor > 0 AND (%(kept_by)s::text IS NULL OR kept_by = %(kept_by)s)
            ORDER BY frozen_at, payment_id LIMIT %(limit)s
            """,
            {"kept_by": kept_by, "limit": limit},
        ).fetchall()


def of_payment(tx: Tx, payment_id: UUID) -> EscrowLine | None:
    """A payment's escrow, released or not; None when it has no shares."""
    with tx.cursor(row_factory=class_row(EscrowLine)) as cursor:
        return cursor.execute(_SELECT + "WHERE d.payment_id = %(id)s", {"id": payment_id}).fetchone()
