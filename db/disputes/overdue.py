"""Disputes that a person must see: those that wait for evidence and are lost soon."""

from psycopg.rows import class_row

from db.session import Tx
from db.sweep.finding import Finding


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
