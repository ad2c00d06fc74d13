"""Early fraud warnings (docs.stripe.com/api/radar/early_fraud_warnings): each is written once, with its decision.

A warning takes no money. Refunding before the dispute that often follows saves the dispute fee, so each venue says what
it wants done.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from psycopg.rows import class_row

from db.session import Tx
from messages.ids import PaymentId


@dataclass(frozen=True, slots=True)
class EarlyWarning:
    """One warning, and what was decided about it.

    actionable   as Stripe had it when the warning came: false once the charge is refunded or disputed
    decision     refund (then `refund_id` names it), leave (the venue's policy) or nothing (nothing could be done)
    because      the reason of the decision, for people
    """

    warning_id: str
    payment_id: PaymentId
    charge_id: str
    fraud_type: str
    actionable: bool
    decision: str
    because: str
    refund_id: UUID | None
    warned_at: datetime


def get(tx: Tx, warning_id: str) -> EarlyWarning | None:
    """The warning; None when it is not known: it is to be decided now."""
    with tx.cursor(row_factory=class_row(EarlyWarning)) as cursor:
        return cursor.execute(
            """
            SELECT warning_id, payment_id, charge_id, fraud_type, actionable, decision, because, refund_id, warned_at
            FROM early_fraud_warnings WHERE warning_id = %(id)s
            """,
            {"id": warning_id},
        ).fetchone()


def latest(tx: Tx, *, limit: int = 50) -> list[EarlyWarning]:
    """The newest first; of every tenant in an ops transaction."""
    with tx.cursor(row_factory=class_row(EarlyWarning)) as cursor:
        return cursor.execute(
            """
            SELECT warning_id, payment_id, charge_id, fraud_type, actionable, decision, because, refund_id, warned_at
            FROM early_fraud_warnings ORDER BY warned_at DESC, warning_id LIMIT %(limit)s
            """,
            {"limit": limit},
        ).fetchall()


def record(tx: Tx, warning: EarlyWarning) -> bool:
    """Write a warning with its decision; False when it is there already, and the first decision stays."""
    written = tx.execute(
        """
        INSERT INTO early_fraud_warnings (
            tenant_id, warning_id, payment_id, charge_id, fraud_type, actionable, decision, because, refund_id,
            warned_at)
        VALUES (
            current_tenant(), %(warning_id)s, %(payment_id)s, %(charge_id)s, %(fraud_type)s, %(actionable)s,
            %(decision)s, %(because)s, %(refund_id)s, %(warned_at)s)
        ON CONFLICT DO NOTHING
        """,
        {
            "warning_id": warning.warning_id,
            "payment_id": warning.payment_id,
            "charge_id": warning.charge_id,
            "fraud_type": warning.fraud_type,
            "actionable": warning.actionable,
            "decision": warning.decision,
            "because": warning.because,
            "refund_id": warning.refund_id,
            "warned_at": warning.warned_at,
        },
    )
    return written.rowcount == 1


def policy(tx: Tx, payment_id: PaymentId) -> str:
    """'refund' or 'leave': what this venue does about a warning."""
    row = tx.execute(
        """
        SELECT v.early_fraud_policy
        FROM venues v JOIN payments p ON (p.tenant_id, p.venue_id) = (v.tenant_id, v.venue_id)
        WHERE p.payment_id = %(payment_id)s
        """,
        {"payment_id": payment_id},
    ).fetchone()
    assert row is not None, "a payment names a venue, by foreign key"
    return str(row[0])
