"""Shares, transfers and reversals that stand too long, for the sweep of shares; db/sweep/stuck.py does it for payments.

What was woken is left alone for a while, each time twice as long (wake_ups). What has an open dead letter waits for a
person, and a share that waits for something only its recipient can do is woken by that.
"""

from dataclasses import dataclass
from typing import LiteralString
from uuid import UUID

from psycopg.rows import class_row

from db.session import Tx
from messages.ids import PaymentId, TenantId


@dataclass(frozen=True, slots=True)
class StuckTransfer:
    """What stands, and the kind of the message that moves it on; `payment_id` of a share only.

    `account_id`: the account whose standing a share waits for; Stripe is asked for that.
    """

    tenant_id: TenantId
    payment_id: PaymentId | None
    subject_id: UUID
    account_id: str | None
    wake_as: str


# `s`: a share with nothing under way.
_AT_REST: LiteralString = """
    NOT EXISTS (
        SELECT FROM transfer_lines l JOIN transfers t USING (tenant_id, transfer_id)
        WHERE (l.tenant_id, l.share_id) = (s.tenant_id, s.share_id) AND t.state IN ('requested', 'sending'))
    AND NOT EXISTS (
        SELECT FROM transfer_reversals v
        WHERE (v.tenant_id, v.share_id) = (s.tenant_id, s.share_id) AND v.state IN ('requested', 'sending'))
"""
# A released share without a movement is paid, or taken back, or settled next. One that is settled or held and that a
# refund or a dispute has just touched may have a gap again; two days are longer than a sweep can be away unseen.
_STANDING: LiteralString = (
    """
    SELECT s.tenant_id, s.payment_id, s.share_id AS subject_id,
           CASE WHEN s.waits_for = 'capability' THEN r.account_id END AS account_id, 'share' AS wake_as
    FROM shares s JOIN recipients r USING (tenant_id, recipient_id)
    WHERE s.state = 'released' AND s.looked_at < clock_timestamp() - make_interval(secs => %(age)s)
      AND NOT (s.waits_for IS NOT DISTINCT FROM 'account' AND r.account_id IS NULL)
      AND NOT (s.waits_for IS NOT DISTINCT FROM 'statement' AND r.settlement = 'weekly') AND
    """
    + _AT_REST
    + """
    UNION
    SELECT s.tenant_id, s.payment_id, s.share_id, NULL, 'share'
    FROM share_returns b JOIN shares s USING (tenant_id, share_id)
    WHERE b.at BETWEEN clock_timestamp() - interval '2 days' AND clock_timestamp() - make_interval(secs => %(age)s)
      AND s.looked_at < b.at AND s.state <> 'released' AND
    """
    + _AT_REST
    + """
    UNION ALL
    SELECT t.tenant_id, NULL, t.transfer_id, NULL, 'transfer' FROM transfers t
    WHERE t.state IN ('requested', 'sending') AND t.kind <> 'destination'
      AND t.state_since < clock_timestamp() - make_interval(secs => %(age)s)
    UNION ALL
    SELECT v.tenant_id, NULL, v.reversal_id, NULL, 'transfer_reversal' FROM transfer_reversals v
    WHERE v.state IN ('requested', 'sending') AND v.state_since < clock_timestamp() - make_interval(secs => %(age)s)
    """
)


def take(tx: Tx, *, older_than_seconds: float, limit: int) -> list[StuckTransfer]:
    """What should have moved, each marked as woken in the same transaction; a system transaction."""
    with tx.cursor(row_factory=class_row(StuckTransfer)) as cursor:
        return cursor.execute(
            "WITH standing AS ("
            + _STANDING
            + """
            ), alone AS (
                SELECT s.* FROM standing s
                WHERE NOT EXISTS (
                      SELECT FROM outbox o WHERE o.exchange = '' AND o.kind = s.wake_as
                      AND o.ordering_key = coalesce(s.payment_id, s.subject_id))
                  AND NOT EXISTS (
                      SELECT FROM dead_letters d
                      WHERE d.state = 'open' AND d.kind = s.wake_as AND strpos(d.payload, s.subject_id::text) > 0)
                  AND NOT EXISTS (
                      SELECT FROM wake_ups w
                      WHERE w.subject = s.subject_id::text AND w.not_before > clock_timestamp())
                LIMIT %(limit)s
            ), woken AS (
                INSERT INTO wake_ups AS w (subject, times, not_before)
                SELECT subject_id::text, 1, clock_timestamp() + make_interval(secs => %(age)s) FROM alone
                ON CONFLICT (subject) DO UPDATE
                SET times = w.times + 1,
                    not_before = clock_timestamp() + make_interval(secs => least(%(age)s * 2 ^ w.times, 21600))
                WHERE w.not_before <= clock_timestamp()            -- else another sweep was first, after our look
                RETURNING subject
            )
            SELECT tenant_id, payment_id, subject_id, account_id, wake_as
            FROM alone JOIN woken ON subject = subject_id::text
            """,
            {"age": older_than_seconds, "limit": limit},
        ).fetchall()
