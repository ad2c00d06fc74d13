"""Disputes for operators who answer them: lists with names and deadlines, and one with its history; ops
transactions.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from psycopg.rows import class_row

from db.session import Tx
from messages.ids import DisputeId

# What a list may be asked for: name -> what it means in words.
SELECTIONS = {
    "waiting": "an answer can be sent, and was not",
    "open": "the bank has not decided",
    "closed": "the bank has decided",
    "all": "every dispute",
}


@dataclass(frozen=True, slots=True)
class DisputeLine:
    """A dispute in a list. `is_waiting`: an answer can be sent, and was not; `wish` None: nobody has decided.

    `evidence_due_at` and `opened_at` are Stripe's times; the amount is in minor units of the charge's currency.
    """

    tenant_id: UUID
    tenant: str
    venue: str
    dispute_id: DisputeId
    payment_id: UUID
    amount_minor: int
    currency: str
    reason: str
    status: str
    track: str
    evidence_due_at: datetime | None
    submitted_at: datetime | None
    wish: str | None
    is_waiting: bool
    opened_at: datetime


def find(tx: Tx, *, selection: str = "open", limit: int = 50, offset: int = 0) -> list[DisputeLine]:
    """Disputes of one of SELECTIONS: waiting ones by deadline, the nearest first, then the others, the newest first.

    An unknown `selection` is read as `all`. Needs an ops transaction.
    """
    with tx.cursor(row_factory=class_row(DisputeLine)) as cursor:
        return cursor.execute(
            """
            WITH shown AS (
                SELECT d.*, t.name AS tenant, v.name AS venue,
                       d.submitted_at IS NULL
                           AND d.status IN ('warning_needs_response', 'needs_response', 'appeal_needs_response')
                           AS is_waiting,
                       d.status IN ('won', 'lost', 'warning_closed', 'prevented') AS is_closed
                FROM disputes d
                JOIN payments p USING (tenant_id, payment_id)
                JOIN tenants t USING (tenant_id)
                JOIN venues v ON (v.tenant_id, v.venue_id) = (p.tenant_id, p.venue_id)
            )
            SELECT tenant_id, tenant, venue, dispute_id, payment_id, amount_minor, currency, reason, status, track,
                   evidence_due_at, submitted_at, wish, is_waiting, opened_at
            FROM shown
            WHERE CASE %(selection)s
                WHEN 'waiting' THEN is_waiting WHEN 'open' THEN NOT is_closed WHEN 'closed' THEN is_closed ELSE true END
            ORDER BY CASE WHEN is_waiting THEN evidence_due_at END NULLS LAST, opened_at DESC, dispute_id
            LIMIT %(limit)s OFFSET %(offset)s
            """,
            {"selection": selection, "limit": limit, "offset": offset},
        ).fetchall()


@dataclass(frozen=True, slots=True)
class DisputeStateChange:
    """One change of status; `from_status` is None for the first.

    Several of Stripe's steps may be one change of
    ours.
    """

    at: datetime
    from_status: str | None
    to_status: str
    by: str


def history(tx: Tx, dispute_id: DisputeId) -> list[DisputeStateChange]:
    """The oldest first."""
    with tx.cursor(row_factory=class_row(DisputeStateChange)) as cursor:
        return cursor.execute(
            "SELECT at, from_status, to_status, by FROM dispute_history WHERE dispute_id = %(id)s ORDER BY seq",
            {"id": dispute_id},
        ).fetchall()
