"""Disputes that are stuck, for the sweep: decisions that nobody carried out, and disputes not looked at for long."""

from dataclasses import dataclass
from typing import LiteralString

from db.session import Tx
from db.sweep import wake_ups
from messages.ids import DisputeId, PaymentId, TenantId


@dataclass(frozen=True, slots=True)
class StuckDispute:
    """A dispute, and the kind of the message that moves it on, or that looks at it."""

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
    """Decisions that nobody carried out, and disputes that are open or half booked and were not looked at for so long.

    Each is marked as woken in the same transaction.
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
