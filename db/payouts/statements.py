"""Weekly statements: which recipients are due, which of their shares are ready, and the statement that a transfer pays.

A week ends at the same moment for everybody (`week_end`). A statement holds what was released before that moment and
could be paid when it was made; one per recipient, currency and week. When Stripe refuses its transfer, another takes
its place, measured anew, under the same statement.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from psycopg.rows import class_row

from db.session import Tx
from messages.ids import PaymentId, RecipientId, ShareId, TenantId, TransferId
from messages.money import Money


def week_end(tx: Tx, *, weekday: int, hour: int) -> datetime:
    """The latest such moment in UTC, by the database's clock; `weekday` counts from 1, Monday."""
    row = tx.execute(
        """
        SELECT (date_trunc('week', here.now - step.back) + step.back) AT TIME ZONE 'UTC'
        FROM (SELECT clock_timestamp() AT TIME ZONE 'UTC' AS now) here,
             (SELECT make_interval(days => %(weekday)s - 1, hours => %(hour)s) AS back) step
        """,
        {"weekday": weekday, "hour": hour},
    ).fetchone()
    assert row is not None, "a SELECT of two rows returns a row"
    end: datetime = row[0]
    return end


@dataclass(frozen=True, slots=True)
class DueRecipient:
    """A recipient with released shares of a currency that no statement of this week pays yet."""

    tenant_id: TenantId
    recipient_id: RecipientId
    currency: str


def due(tx: Tx, *, until: datetime, after: RecipientId | None, limit: int) -> list[DueRecipient]:
    """Weekly recipients with an account, released shares and no statement of this week, ordered by id, from `after` on.

    One whose transfer was refused or canceled is due again. `after` is exclusive. Needs a system transaction.
    """
    with tx.cursor(row_factory=class_row(DueRecipient)) as cursor:
        return cursor.execute(
            """
            SELECT DISTINCT r.tenant_id, r.recipient_id, s.currency
            FROM recipients r JOIN shares s USING (tenant_id, recipient_id)
            WHERE r.settlement = 'weekly' AND r.account_id IS NOT NULL
              AND s.state = 'released' AND s.state_since < %(until)s
              AND (%(after)s::uuid IS NULL OR r.recipient_id > %(after)s)
              AND NOT EXISTS (
                  SELECT FROM statements w JOIN transfers t USING (tenant_id, transfer_id)
                  WHERE (w.tenant_id, w.recipient_id, w.currency, w.until)
                        = (r.tenant_id, r.recipient_id, s.currency, %(until)s)
                    AND t.state NOT IN ('refused', 'canceled'))
            ORDER BY r.recipient_id, s.currency LIMIT %(limit)s
            """,
            {"until": until, "after": after, "limit": limit},
        ).fetchall()


@dataclass(frozen=True, slots=True)
class ReadyShare:
    """A share that only waited for the end of the week; `gap` is what is still to be paid of it, above zero."""

    share_id: ShareId
    payment_id: PaymentId
    gap: Money


def lock_ready(tx: Tx, recipient_id: RecipientId, currency: str, *, until: datetime) -> list[ReadyShare]:
    """What a statement may hold, locked: first the recipient, then its shares by id, then measured (as in shares.lock).

    Left out is what is disputed, has a refund under way, is moving, or settled in another currency than its own.
    """
    which = {"id": recipient_id, "currency": currency, "until": until}
    _lock(tx, which)
    return [
        ReadyShare(ShareId(share_id), PaymentId(payment_id), Money(gap, currency))
        for share_id, payment_id, gap in _measured(tx, which)
    ]


def _lock(tx: Tx, which: Mapping[str, object]) -> None:
    # NO KEY: rows that refer to the recipient (transfers of single shares) may still be inserted meanwhile.
    tx.execute("SELECT FROM recipients WHERE recipient_id = %(id)s FOR NO KEY UPDATE", which)
    tx.execute(
        """
        SELECT FROM shares
        WHERE recipient_id = %(id)s AND currency = %(currency)s AND state = 'released' AND state_since < %(until)s
        ORDER BY share_id FOR UPDATE
        """,
        which,
    )


def _measured(tx: Tx, which: Mapping[str, object]) -> list[tuple[UUID, UUID, int]]:
    """Share, payment and what is still owed of it, of those with which nothing else is under way."""
    return tx.execute(
        """
        WITH mine AS (
            SELECT s.* FROM shares s JOIN charges c USING (tenant_id, payment_id)
            WHERE s.recipient_id = %(id)s AND s.currency = %(currency)s AND s.state = 'released'
              AND s.state_since < %(until)s AND c.balance_currency = s.currency
              AND NOT EXISTS (SELECT FROM disputes d WHERE d.payment_id = s.payment_id
                              AND d.status NOT IN ('won', 'lost', 'warning_closed', 'prevented'))
              AND NOT EXISTS (SELECT FROM refunds f WHERE f.payment_id = s.payment_id
                              AND (f.state IN ('requested', 'sending', 'pending', 'requires_action')
                                   OR f.state = 'succeeded' AND f.balance_transaction_id IS NULL))
        ), sent AS (
            SELECT l.share_id, sum(l.amount_minor) AS minor, bool_or(t.state <> 'paid') AS moving
            FROM transfer_lines l JOIN transfers t USING (tenant_id, transfer_id)
            WHERE l.share_id IN (SELECT share_id FROM mine) AND t.state IN ('requested', 'sending', 'paid')
            GROUP BY l.share_id
        ), came_back AS (
            SELECT v.share_id, sum(v.amount_minor) AS minor, bool_or(v.state <> 'reversed') AS moving
            FROM transfer_reversals v
            WHERE v.share_id IN (SELECT share_id FROM mine) AND v.state <> 'short'
            GROUP BY v.share_id
        ), owed AS (
            SELECT share_id, sum(minor) AS minor FROM (
                SELECT share_id, amount_minor AS minor FROM share_receivables
                UNION ALL SELECT share_id, amount_minor - refunded_minor FROM application_fees
            ) AS less
            WHERE share_id IN (SELECT share_id FROM mine) GROUP BY share_id
        )
        SELECT * FROM (
            SELECT m.share_id, m.payment_id,
                   (m.amount_minor - m.returned_minor - m.borne_minor - coalesce(sent.minor, 0)
                    + coalesce(came_back.minor, 0) + coalesce(owed.minor, 0))::bigint AS gap
            FROM mine m LEFT JOIN sent USING (share_id) LEFT JOIN came_back USING (share_id)
            LEFT JOIN owed USING (share_id)
            WHERE NOT coalesce(sent.moving, false) AND NOT coalesce(came_back.moving, false)
        ) measured
        WHERE gap > 0 ORDER BY share_id
        """,
        which,
    ).fetchall()


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement. `number` counts a recipient's statements from 1 without gaps; `until` is the end of its week.

    `amount_minor` is the sum of its lines, of which `netted_minor` paid what the recipient owed; the rest was sent.
    """

    statement_id: UUID
    recipient_id: RecipientId
    number: int
    currency: str
    until: datetime
    amount_minor: int
    netted_minor: int
    transfer_id: TransferId
    created_at: datetime


def id_for(tx: Tx, recipient_id: RecipientId, currency: str, until: datetime) -> tuple[UUID, bool]:
    """The id of this week's statement, and whether it was made already.

    Lock the recipient first, or two may get a new id.

    Known before the statement is written, because the transfer carries it as its group.
    """
    row = tx.execute(
        """
        SELECT statement_id FROM statements
        WHERE recipient_id = %(id)s AND currency = %(currency)s AND until = %(until)s
        """,
        {"id": recipient_id, "currency": currency, "until": until},
    ).fetchone()
    if row is not None:
        return row[0], True
    fresh = tx.execute("SELECT uuidv7()").fetchone()
    assert fresh is not None, "a SELECT without FROM always returns a row"
    return fresh[0], False


def write(
    tx: Tx,
    statement_id: UUID,
    recipient_id: RecipientId,
    *,
    until: datetime,
    amount: Money,
    netted: Money,
    transfer_id: TransferId,
) -> None:
    """Write the statement under the recipient's next number, or give it another transfer in place of the refused one.

    The recipient is locked, so that numbers have no gaps.
    """
    tx.execute(
        """
        INSERT INTO statements (
            tenant_id, statement_id, recipient_id, number, currency, until, amount_minor, netted_minor, transfer_id)
        SELECT current_tenant(), %(statement_id)s, %(recipient_id)s,
               coalesce((SELECT max(number) FROM statements WHERE recipient_id = %(recipient_id)s), 0) + 1,
               %(currency)s, %(until)s, %(amount)s, %(netted)s, %(transfer_id)s
        ON CONFLICT (tenant_id, statement_id) DO UPDATE
        SET amount_minor = excluded.amount_minor, netted_minor = excluded.netted_minor,
            transfer_id = excluded.transfer_id
        """,
        {
            "statement_id": statement_id,
            "recipient_id": recipient_id,
            "currency": amount.currency,
            "until": until,
            "amount": amount.minor,
            "netted": netted.minor,
            "transfer_id": transfer_id,
        },
    )


def of_recipient(tx: Tx, recipient_id: RecipientId, *, limit: int = 100) -> list[Statement]:
    """A recipient's statements, the youngest first."""
    with tx.cursor(row_factory=class_row(Statement)) as cursor:
        return cursor.execute(
            """
            SELECT statement_id, recipient_id, number, currency, until, amount_minor, netted_minor, transfer_id,
                   created_at
            FROM statements WHERE recipient_id = %(id)s ORDER BY number DESC LIMIT %(limit)s
            """,
            {"id": recipient_id, "limit": limit},
        ).fetchall()
