"""What costs money, or leaves a buyer without it, if nobody looks: holds about to end, refunds that
stand or failed, disputes that wait for evidence.
"""

from dataclasses import dataclass
from typing import LiteralString

from psycopg.rows import class_row

from db.session import Tx
from messages.ids import PaymentId, TenantId
from messages.money import Money


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to look at; `subject` names it for as long as it lasts. Of no one payment: `payment_id` None."""

    subject: str
    tenant_id: TenantId
    payment_id: PaymentId | None
    amount_minor: int
    currency: str
    details: str

    @property
    def amount(self) -> Money:
        return Money(self.amount_minor, self.currency)


# Of a refund r: it came to nothing, no later one has made it good, and the buyer has not got the money by another road.
OWED: LiteralString = """
    r.state IN ('failed', 'refused')
    AND coalesce(r.state_reason, '') NOT IN ('charge_already_refunded', 'charge_disputed')
    AND NOT EXISTS (
        SELECT FROM refunds later
        WHERE (later.tenant_id, later.payment_id) = (r.tenant_id, r.payment_id)
          AND later.created_at > r.state_since AND later.amount_minor >= r.amount_minor
          AND later.state NOT IN ('failed', 'refused', 'canceled'))
    AND NOT EXISTS (
        SELECT FROM disputes d
        WHERE (d.tenant_id, d.payment_id) = (r.tenant_id, r.payment_id)
          AND d.status_since > r.state_since AND d.lost_minor >= r.amount_minor AND NOT d.loss_reversed)
"""


def authorizations_expiring(tx: Tx, *, within_seconds: float) -> list[Finding]:
    """Held amounts that nobody has asked to capture or to cancel, and whose hold ends soon."""
    with tx.cursor(row_factory=class_row(Finding)) as cursor:
        return cursor.execute(
            """
            SELECT payment_id::text AS subject, tenant_id, payment_id, amount_minor, currency,
                   'the hold ends ' || to_char(capture_before AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI') || ' UTC'
                       AS details
            FROM payments
            WHERE state = 'authorized' AND capture_before < clock_timestamp() + make_interval(secs => %(within)s)
              AND cancel_requested_at IS NULL
            """,
            {"within": within_seconds},
        ).fetchall()


def refunds_stuck(tx: Tx, *, older_than_seconds: float) -> list[Finding]:
    """Refunds whose end is not known after all this time."""
    with tx.cursor(row_factory=class_row(Finding)) as cursor:
        return cursor.execute(
            """
            SELECT refund_id::text AS subject, tenant_id, payment_id, amount_minor, currency,
                   'refund is ' || state || ' since ' || to_char(state_since AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI')
                       || ' UTC' AS details
            FROM refunds
            WHERE state IN ('requested', 'sending', 'pending', 'requires_action')
              AND created_at < clock_timestamp() - make_interval(secs => %(age)s)
            """,
            {"age": older_than_seconds},
        ).fetchall()


def obligations(tx: Tx) -> list[Finding]:
    """Refunds that came to nothing and that no later refund of the payment has made good: the buyer is owed them.

    What was refused because the buyer has the money by another road (the dashboard, or a dispute) is not owed, nor what
    a dispute that was lost later has given the buyer.
    """
    with tx.cursor(row_factory=class_row(Finding)) as cursor:
        return cursor.execute(
            """
            SELECT r.refund_id::text AS subject, r.tenant_id, r.payment_id, r.amount_minor, r.currency,
                   'refund ' || r.state || ': ' || coalesce(r.state_reason, 'no reason given') AS details
            FROM refunds r
            WHERE """
            + OWED
        ).fetchall()


def evidence_due(tx: Tx, *, within_seconds: float) -> list[Finding]:
    """Disputes that nobody has answered and that are lost soon; each stage of a dispute is a subject of its own."""
    with tx.cursor(row_factory=class_row(Finding)) as cursor:
        return cursor.execute(
            """
            SELECT dispute_id || '/' || stage AS subject, tenant_id, payment_id, amount_minor, currency,
                   track || ' (' || reason || ') must be answered by '
                       || to_char(evidence_due_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI') || ' UTC' AS details
            FROM disputes
            WHERE submitted_at IS NULL
              AND status IN ('warning_needs_response', 'needs_response', 'appeal_needs_response')
              AND evidence_due_at < clock_timestamp() + make_interval(secs => %(within)s)
            """,
            {"within": within_seconds},
        ).fetchall()
