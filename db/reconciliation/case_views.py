"""Reading cases (db/reconciliation/cases.py): for operators, and for reconciliation, which checks open ones again.

Across tenants in an ops or a system transaction; nothing is locked.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from psycopg.rows import class_row

from db.reconciliation.cases import Case, CaseType
from db.session import Tx


def get(tx: Tx, case_id: UUID) -> Case | None:
    """The case with this id, open or closed; None when there is none."""
    with tx.cursor(row_factory=class_row(Case)) as cursor:
        return cursor.execute(
            """
            SELECT case_id, type, subject, tenant_id, payment_id, amount_minor, currency, details, suggested_action,
                   state, opened_at, seen_at, times_seen, auto_fix_after, auto_fixed_at, closed_at, closed_by,
                   closed_because, accepted
            FROM reconciliation_cases WHERE case_id = %(case_id)s
            """,
            {"case_id": case_id},
        ).fetchone()


def find(
    tx: Tx,
    *,
    state: str | None = "open",
    type: str | None = None,  # noqa: A002  the field's own word
    tenant_id: UUID | None = None,
    payment_id: UUID | None = None,
    limit: int = 50,
) -> list[Case]:
    """Cases of one state, type, tenant and payment, the newest first; a condition that is None does not narrow
    the list.
    """
    with tx.cursor(row_factory=class_row(Case)) as cursor:
        return cursor.execute(
            """
            SELECT case_id, type, subject, tenant_id, payment_id, amount_minor, currency, details, suggested_action,
                   state, opened_at, seen_at, times_seen, auto_fix_after, auto_fixed_at, closed_at, closed_by,
                   closed_because, accepted
            FROM reconciliation_cases
            WHERE (%(state)s::text IS NULL OR state = %(state)s)
              AND (%(type)s::text IS NULL OR type = %(type)s)
              AND (%(tenant_id)s::uuid IS NULL OR tenant_id = %(tenant_id)s)
              AND (%(payment_id)s::uuid IS NULL OR payment_id = %(payment_id)s)
            ORDER BY opened_at DESC, case_id DESC
            LIMIT %(limit)s
            """,
            {"state": state, "type": type, "tenant_id": tenant_id, "payment_id": payment_id, "limit": limit},
        ).fetchall()


@dataclass(frozen=True, slots=True)
class TypeCount:
    """Open cases of one type; the oldest by the database's clock."""

    type: str
    open: int
    oldest_opened_at: datetime


def open_counts(tx: Tx) -> list[TypeCount]:
    with tx.cursor(row_factory=class_row(TypeCount)) as cursor:
        return cursor.execute(
            """
            SELECT type, count(*) AS open, min(opened_at) AS oldest_opened_at
            FROM reconciliation_cases WHERE state = 'open' GROUP BY type ORDER BY type
            """
        ).fetchall()


def find_open(
    tx: Tx,
    *,
    type: CaseType,  # noqa: A002  the field's own word
    subject: str,
) -> Case | None:
    """The open case about this subject; None when there is none. There is never more than one (a unique index)."""
    with tx.cursor(row_factory=class_row(Case)) as cursor:
        return cursor.execute(
            """
            SELECT case_id, type, subject, tenant_id, payment_id, amount_minor, currency, details, suggested_action,
                   state, opened_at, seen_at, times_seen, auto_fix_after, auto_fixed_at, closed_at, closed_by,
                   closed_because, accepted
            FROM reconciliation_cases WHERE type = %(type)s AND subject = %(subject)s AND state = 'open'
            """,
            {"type": str(type), "subject": subject},
        ).fetchone()


def open_after(tx: Tx, *, types: Sequence[CaseType], after: UUID | None, limit: int) -> list[Case]:
    """Open cases of these types, ordered by id, from `after` (exclusive) on: pages of a run that checks all of them
    again.
    """
    with tx.cursor(row_factory=class_row(Case)) as cursor:
        return cursor.execute(
            """
            SELECT case_id, type, subject, tenant_id, payment_id, amount_minor, currency, details, suggested_action,
                   state, opened_at, seen_at, times_seen, auto_fix_after, auto_fixed_at, closed_at, closed_by,
                   closed_because, accepted
            FROM reconciliation_cases
            WHERE state = 'open' AND type = ANY (%(types)s) AND (%(after)s::uuid IS NULL OR case_id > %(after)s)
            ORDER BY case_id LIMIT %(limit)s
            """,
            {"types": [str(type_) for type_ in types], "after": after, "limit": limit},
        ).fetchall()
