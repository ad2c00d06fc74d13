"""Payments that a person must look at: authorisations about to expire.

A payment that is merely late is not one: the sweep (db/payments/stuck.py) moves those on by itself.
"""

from psycopg.rows import class_row

from db.session import Tx
from db.sweep.finding import Finding


def authorizations_expiring(tx: Tx, *, within_seconds: float) -> list[Finding]:
    """Authorised payments of all tenants whose hold ends within this time; one that has already ended is listed, too.

    One whose cancellation was requested is left out: ending the hold is what was asked for. One whose capture was
    requested and is still not made stays in: that money is about to be lost. Needs a system transaction.
    """
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
