"""Disputes that a person must look at: unanswered, and lost when the deadline has passed."""

from psycopg.rows import class_row

from db.session import Tx
from db.sweep.finding import Finding


def evidence_due(tx: Tx, *, within_seconds: float) -> list[Finding]:
    """Disputes of all tenants without an answer whose deadline is within this time, or has passed; a system
    transaction.

    A submitted answer ends the finding. Each stage of a dispute is a subject of its own, so an appeal opens another
    case.
    """
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
