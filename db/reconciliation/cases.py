"""Cases: differences between the ledger and Stripe, and anything that will soon cost money if nobody looks.

One open case for each (type, subject). A check that finds a difference reports it again and again (`open_case`): the
first report makes the case, every later one only updates it. A check that finds none closes it (`close_case`). A case
that a person has closed with a reason is accepted: the same finding with the same amount is not opened again. Reading
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
    """A case. `subject` names what it is about, unique among the open cases of its type.

    amount_minor     what is at stake, in `currency`; None when no amount is known
    seen_at          when it was last reported; times_seen counts the reports
    auto_fix_after   when the payment may be looked up without a person; None: never
    auto_fixed_at    when that look-up was queued; None: it was not
    accepted         a person has closed it as it is
    """

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
    """The difference is gone: close the case; False when none was open. `by` and `because` are for people."""
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
    """Subjects of this type whose case is open, or was accepted: those that need not be reported."""
    rows = tx.execute(
        "SELECT subject FROM reconciliation_cases WHERE type = %(type)s AND (state = 'open' OR accepted)",
        {"type": str(type)},
    ).fetchall()
    return {row[0] for row in rows}


def close_all(tx: Tx, *, types: Sequence[CaseType], subjects: Sequence[str], by: str, because: str) -> int:
    """Close the open cases of these subjects, of any of these types; returns how many were open."""
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
    """A person closes an open case as it is; None when there is none.

    The same finding with the same amount stays
    closed.
    """
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
    """True when a person has closed this finding, with exactly this amount; another amount is another finding."""
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
    """An open case whose payment may now be looked up without a person."""

    case_id: UUID
    type: str
    subject: str
    tenant_id: TenantId
    payment_id: PaymentId


def take_fixable(tx: Tx, *, types: Sequence[CaseType], limit: int) -> list[Fixable]:
    """At most `limit` open cases that are due for an automatic look-up, each marked, so that it is queued once.

    SKIP LOCKED: two workers at once take different cases. Append the look-ups in the same transaction.
    """
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
