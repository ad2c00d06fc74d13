"""Deleting old rows: the database's own function `forget` (migration 0015) is the only way, and checks what may go.

Ledger, payments, refunds and their histories are never deleted.
"""

from typing import Literal

from db.session import Tx

Forgettable = Literal["webhook_inbox", "message_failures", "calls", "reconciliation_runs", "told_events"]


def parity_holds(tx: Tx) -> bool:
    """True when no case about money is open, and the last daily reconciliation finished within 36 hours."""
    row = tx.execute("SELECT parity_holds()").fetchone()
    assert row is not None, "a SELECT without FROM always returns a row"
    return bool(row[0])


def forget(tx: Tx, what: Forgettable, *, older_than_days: int, at_most: int) -> int | None:
    """Delete at most so many rows that are old enough; returns how many, or None while ledger and Stripe do not agree.

    Until they do, the rows may be what explains the difference.

    Raises:
        psycopg.errors.RestrictViolation: the age is below what this table is kept for in any case.
    """
    row = tx.execute(
        "SELECT forget(%(what)s, %(days)s, %(at_most)s)", {"what": what, "days": older_than_days, "at_most": at_most}
    ).fetchone()
    assert row is not None, "a SELECT without FROM always returns a row"
    return None if row[0] is None else int(row[0])
