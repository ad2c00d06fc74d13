"""Refunds that a person must look at: those whose result is unknown for too long, and those that failed."""

from typing import LiteralString

from psycopg.rows import class_row

from db.session import Tx
from db.sweep.finding import Finding

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


def refunds_stuck(tx: Tx, *, older_than_seconds: float) -> list[Finding]:
    """Refunds of all tenants, older than this, of which neither success nor failure is known; a system transaction.

    Age counts from the request, not from the last move: a refund that changes between pending states ages all the same.
    """
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
    """Refunds that failed or were refused and that no later refund of the payment has made good: the buyer is owed them
    (M19).

    Not owed is what was refused because the buyer has the money already (refunded in the dashboard, or disputed), nor
    what a dispute that was lost later gave the buyer. All tenants; a system transaction.
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
