"""Payments that a person must see: holds about to end."""

from psycopg.rows import class_row

from db.session import Tx
from db.sweep.finding import Finding


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
