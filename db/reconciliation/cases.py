"""Cases: what does not fit between the book and the bank, or will soon cost money if nobody looks.

One open case for each (type, subject). Whoever finds a thing says so again and again (`open_case`); the first time
makes the case, every later time only renews what is known of it. Whoever sees that it is well closes it (`close_case`).
What a person has closed with a reason is accepted: the same finding with the same amount is not opened again. Reading
them is in db/reconciliation/case_views.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from psycopg.rows import class_row

from db.session import Tx
from messages.ids import PaymentId, TenantId
from messages.money import Money


class CaseType(StrEnum):
    MISSING_IN_BOOK = "missing_in_book"
    MISSING_AT_STRIPE = "missing_at_stripe"
    AMOUNT_DIFFERS = "amount_differs"
    UNKNOWN_TENANT = "unknown_tenant"
    PAYOUT_UNEXPLAINED = "payout_unexplained"
    EVENT_UNMATCHED = "event_unmatched"
    REFUND_FAILED = "refund_failed"
    REFUND_STUCK = "refund_stuck"
    DISPUTE_EVIDENCE_DUE = "dispute_evidence_due"
    AUTHORIZATION_EXPIRING = "authorization_expiring"
    ESCROW_NEAR_LIMIT = "escrow_near_limit"
    SHARE_STUCK = "share_stuck"
    RECEIVABLE_OVER_LIMIT = "receivable_over_limit"
    SHARE_DIFFERS = "share_differs"


_T = CaseType
# What a person on call does about it, unless whoever opens the case knows better.
SUGGESTED: dict[CaseType, str] = {
    _T.MISSING_IN_BOOK: "look the payment up; if the case stays, find out at Stripe what moved this money and book it",
    _T.MISSING_AT_STRIPE: "look for the balance transaction at Stripe; if there is none, reverse the journal",
    _T.AMOUNT_DIFFERS: "compare the journal with the balance transaction and post the difference as a reversal",
    _T.UNKNOWN_TENANT: "find out at Stripe who created it; if it is not the fleet's, close the case with the reason",
    _T.PAYOUT_UNEXPLAINED: "list the payout's contents at Stripe and find the owner of the unexplained part",
    _T.EVENT_UNMATCHED: "look the event up at Stripe: who created the object, and should the database have it?",
    _T.REFUND_FAILED: "the buyer has not received the money: pay another way and inform the venue",
    _T.REFUND_STUCK: "look the refund up at Stripe; requires_action waits for the buyer",
    _T.DISPUTE_EVIDENCE_DUE: "submit the evidence, or accept the loss, before the deadline",
    _T.AUTHORIZATION_EXPIRING: "capture or cancel the payment before the authorization expires",
    _T.ESCROW_NEAR_LIMIT: "release the shares or refund the payment before Stripe's limit for holding funds",
    _T.SHARE_STUCK: "check what the share waits for: an account, a capability, an open dispute or refund",
    _T.RECEIVABLE_OVER_LIMIT: "contact the recipient: its next shares may not cover the debt",
    _T.SHARE_DIFFERS: "compare the shares with the ledger and with the transfers at Stripe",
}


@dataclass(frozen=True, slots=True)
class Case:
    case_id: UUID
    type: str
    subject: str
    tenant_id: TenantId | None
    payment_id: PaymentId | None
    amount_minor: int | None
    currency: str | None
    details: str
    suggested_action: str
    state: str
    opened_at: datetime
    seen_at: datetime
    times_seen: int
    auto_fix_after: datetime | None
    auto_fixed_at: datetime | None
    closed_at: datetime | None
    closed_by: str | None
    closed_because: str | None
    accepted: bool


def open_case(
    tx: Tx,
    *,
    type: CaseType,  # noqa: A002  the field's own word
    subject: str,
    details: str,
    tenant_id: TenantId | None = None,
    payment_id: PaymentId | None = None,
    amount: Money | None = None,
    suggested_action: str | None = None,
    auto_fix_after_seconds: float | None = None,
) -> bool:
    """Say that something does not fit; True when that is new, False when a case was open or accepted already.

    In a tenant's transaction `tenant_id` must be that tenant; a system transaction may open any. Harmless twice.
    `auto_fix_after_seconds`: when a lookup may be queued for the payment by itself, if the case is still open then.
    """
    return _open(
        tx,
        type=type,
        subject=subject,
        details=details,
        tenant_id=tenant_id,
        payment_id=payment_id,
        amount_minor=amount.minor if amount else None,
        currency=amount.currency if amount else None,
        suggested_action=suggested_action or SUGGESTED[type],
        auto_fix_after_seconds=auto_fix_after_seconds,
    )


def _open(tx: Tx, **case: object) -> bool:
    opened = tx.execute(
        """
        INSERT INTO reconciliation_cases AS c (
            type, subject, tenant_id, payment_id, amount_minor, currency, details, suggested_action, auto_fix_after)
        SELECT
            %(type)s, %(subject)s, %(tenant_id)s, %(payment_id)s, %(amount_minor)s::bigint, %(currency)s::currency,
            %(details)s, %(suggested_action)s,
            clock_timestamp() + make_interval(secs => %(auto_fix_after_seconds)s::float8)
        WHERE NOT EXISTS (
            SELECT FROM reconciliation_cases a
            WHERE a.subject = %(subject)s AND a.type = %(type)s AND a.accepted
              AND a.amount_minor IS NOT DISTINCT FROM %(amount_minor)s::bigint
              AND a.currency IS NOT DISTINCT FROM %(currency)s::currency)
        ON CONFLICT (type, subject) WHERE state = 'open' DO UPDATE
        SET amount_minor = EXCLUDED.amount_minor, currency = EXCLUDED.currency, details = EXCLUDED.details,
            tenant_id = coalesce(EXCLUDED.tenant_id, c.tenant_id),
            payment_id = coalesce(EXCLUDED.payment_id, c.payment_id),
            seen_at = clock_timestamp(), times_seen = c.times_seen + 1
        RETURNING times_seen = 1
        """,
        {**case, "type": str(case["type"])},
    ).fetchone()
    return bool(opened and opened[0])


def close_case(
    tx: Tx,
    *,
    type: CaseType,  # noqa: A002  the field's own word
    subject: str,
    by: str,
    because: str,
) -> bool:
    """It is well again; False when no case was open."""
    closed = tx.execute(
        """
        UPDATE reconciliation_cases
        SET state = 'closed', closed_at = clock_timestamp(), closed_by = %(by)s, closed_because = %(because)s
        WHERE type = %(type)s AND subject = %(subject)s AND state = 'open'
        """,
        {"type": str(type), "subject": subject, "by": by, "because": because},
    )
    return closed.rowcount == 1


def known_subjects(
    tx: Tx,
    type: CaseType,  # noqa: A002  the field's own word
) -> set[str]:
    """Subjects of this type whose case is open, or was accepted by a person."""
    rows = tx.execute(
        "SELECT subject FROM reconciliation_cases WHERE type = %(type)s AND (state = 'open' OR accepted)",
        {"type": str(type)},
    ).fetchall()
    return {row[0] for row in rows}


def close_all(tx: Tx, *, types: Sequence[CaseType], subjects: Sequence[str], by: str, because: str) -> int:
    """The same for many subjects; returns how many cases were open."""
    if not subjects:
        return 0
    return tx.execute(
        """
        UPDATE reconciliation_cases
        SET state = 'closed', closed_at = clock_timestamp(), closed_by = %(by)s, closed_because = %(because)s
        WHERE type = ANY (%(types)s) AND subject = ANY (%(subjects)s) AND state = 'open'
        """,
        {"types": [str(type_) for type_ in types], "subjects": list(subjects), "by": by, "because": because},
    ).rowcount


def accept_case(tx: Tx, case_id: UUID, *, operator: str, reason: str) -> Case | None:
    """A person closes an open case as it is; None when there is none such. The same finding stays closed."""
    with tx.cursor(row_factory=class_row(Case)) as cursor:
        return cursor.execute(
            """
            UPDATE reconciliation_cases
            SET state = 'closed', accepted = true, closed_at = clock_timestamp(), closed_by = %(operator)s,
                closed_because = %(reason)s
            WHERE case_id = %(case_id)s AND state = 'open'
            RETURNING case_id, type, subject, tenant_id, payment_id, amount_minor, currency, details, suggested_action,
                      state, opened_at, seen_at, times_seen, auto_fix_after, auto_fixed_at, closed_at, closed_by,
                      closed_because, accepted
            """,
            {"case_id": case_id, "operator": operator, "reason": reason},
        ).fetchone()


def is_accepted(
    tx: Tx,
    *,
    type: CaseType,  # noqa: A002  the field's own word
    subject: str,
    amount: Money | None,
) -> bool:
    """A person has closed this finding, with this amount, as it is."""
    row = tx.execute(
        """
        SELECT EXISTS (
            SELECT FROM reconciliation_cases
            WHERE subject = %(subject)s AND type = %(type)s AND accepted
              AND amount_minor IS NOT DISTINCT FROM %(minor)s::bigint
              AND currency IS NOT DISTINCT FROM %(currency)s::currency)
        """,
        {
            "type": str(type),
            "subject": subject,
            "minor": amount.minor if amount else None,
            "currency": amount.currency if amount else None,
        },
    ).fetchone()
    return bool(row and row[0])


@dataclass(frozen=True, slots=True)
class Fixable:
    """An open case whose payment may now be looked up by itself."""

    case_id: UUID
    type: str
    subject: str
    tenant_id: TenantId
    payment_id: PaymentId


def take_fixable(tx: Tx, *, types: Sequence[CaseType], limit: int) -> list[Fixable]:
    """Open cases whose time for an automatic look has come, each marked, so that one look is queued for each."""
    with tx.cursor(row_factory=class_row(Fixable)) as cursor:
        return cursor.execute(
            """
            UPDATE reconciliation_cases SET auto_fixed_at = clock_timestamp()
            WHERE case_id IN (
                SELECT case_id FROM reconciliation_cases
                WHERE state = 'open' AND type = ANY (%(types)s) AND auto_fixed_at IS NULL
                  AND auto_fix_after <= clock_timestamp() AND tenant_id IS NOT NULL AND payment_id IS NOT NULL
                LIMIT %(limit)s
                FOR UPDATE SKIP LOCKED)
              AND state = 'open' AND auto_fixed_at IS NULL
            RETURNING case_id, type, subject, tenant_id, payment_id
            """,
            {"types": [str(type_) for type_ in types], "limit": limit},
        ).fetchall()
