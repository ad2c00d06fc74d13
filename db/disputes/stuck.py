"""Disputes that are stuck, for the sweep: decisions that were not carried out, and disputes not asked about for long.

Stripe sends a webhook for every change; asking again covers the ones that were lost.
"""

from dataclasses import dataclass
from typing import LiteralString

from db.session import Tx
from db.sweep import wake_ups
from messages.ids import DisputeId, PaymentId, TenantId


@dataclass(frozen=True, slots=True)
class StuckDispute:
    """A dispute, and the worker that moves it on: `wake_as` is dispute_evidence, dispute_close or dispute_lookup."""

    tenant_id: TenantId
    payment_id: PaymentId
    dispute_id: DisputeId
    wake_as: str


# A decision goes before a look.
_STUCK: LiteralString = """
    SELECT tenant_id, payment_id, dispute_id,
           CASE wish WHEN 'submit' THEN 'dispute_evidence' ELSE 'dispute_close' END AS wake_as
    FROM disputes
    WHERE submitted_at IS NULL AND wish_at < clock_timestamp() - make_interval(secs => %(age)s)
      AND status IN ('warning_needs_response', 'needs_response', 'appeal_needs_response')
    UNION ALL
    SELECT tenant_id, payment_id, dispute_id, 'dispute_lookup'
    FROM disputes d
    WHERE looked_at < clock_timestamp() - make_interval(secs => %(unseen)s)
      AND (status NOT IN ('won', 'lost', 'warning_closed', 'prevented')
           OR status IN ('won', 'lost', 'prevented')
           AND (SELECT coalesce(-sum(m.amount_minor), 0) FROM dispute_movements m
                WHERE (m.tenant_id, m.dispute_id) = (d.tenant_id, d.dispute_id))
               <> CASE WHEN loss_reversed THEN 0 ELSE coalesce(lost_minor, 0) END)
"""


def take(tx: Tx, *, older_than_seconds: float, unseen_seconds: float, limit: int) -> list[StuckDispute]:
    """Decisions older than `older_than_seconds` that were not carried out, and disputes to be looked up at Stripe
    again.

    These are disputes that are open, or whose loss is not what the bank has taken, and that nobody asked about for
    `unseen_seconds`. A dispute is returned once, its decision before the look-up, and marked as woken in the same
    transaction. One whose payment has a message or an open dead letter is left out. Needs a system transaction.
    """
    return wake_ups.take(
        tx,
        StuckDispute,
        "SELECT DISTINCT ON (dispute_id) s.*, dispute_id AS subject FROM ("
        + _STUCK
        + ") s WHERE "
        + wake_ups.PAYMENT_AT_REST
        + "ORDER BY dispute_id, wake_as = 'dispute_lookup'",
        {"unseen": unseen_seconds},
        older_than_seconds=older_than_seconds,
        limit=limit,
    )
