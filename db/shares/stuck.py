"""Shares, transfers and reversals that are stuck, for the sweep of shares.

One with an open dead letter waits for a person, and a share that waits for something only its recipient can do is woken
by that event instead.
"""

from dataclasses import dataclass
from typing import LiteralString
from uuid import UUID

from db.session import Tx
from db.sweep import wake_ups
from messages.ids import PaymentId, TenantId


@dataclass(frozen=True, slots=True)
class StuckTransfer:
    """What is stuck, and the worker that moves it on: `wake_as` is share, transfer or transfer_reversal.

    payment_id   of a share only; None otherwise
    subject_id   the share, transfer or reversal
    account_id   the account whose capability the share waits for, to be asked for at Stripe; None: nothing to ask
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
_STUCK: LiteralString = (
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
    """What has not moved for this long, each marked as woken in the same transaction. Needs a system transaction.

    At most `limit`; left out is what has a message of its kind in the outbox, or an open dead letter of that kind.
    """
    return wake_ups.take(
        tx,
        StuckTransfer,
        "SELECT s.*, subject_id::text AS subject FROM ("
        + _STUCK
        + """) s
        WHERE NOT EXISTS (
              SELECT FROM outbox o WHERE o.exchange = '' AND o.kind = s.wake_as
              AND o.ordering_key = coalesce(s.payment_id, s.subject_id))
          AND NOT EXISTS (
              SELECT FROM dead_letters d
              WHERE d.state = 'open' AND d.kind = s.wake_as AND strpos(d.payload, s.subject_id::text) > 0)
        """,
        older_than_seconds=older_than_seconds,
        limit=limit,
    )
