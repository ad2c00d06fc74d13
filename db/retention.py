"""Forgetting old rows: the database's own function `forget` (migration 0015) is the only way, and checks the rest."""

from typing import Literal

from db.session import Tx

Forgettable = Literal["webhook_inbox", "message_failures", "calls", "reconciliation_runs", "told_events"]


def parity_holds(tx: Tx) -> bool:
    """No open case about money, and the last daily reconciliation was finished within 36 hours."""
    row = tx.execute("SELECT parity_holds()").fetchone()
    assert row is not None, "a SELECT without FROM always returns a row"
    return bool(row[0])


def forget(tx: Tx, what: Forgettable, *, older_than_days: int, at_most: int) -> int | None:
    """Delete a batch of what is old enough; returns how many rows, or None while the book and the bank do not agree.

    Raises:
        psycopg.errors.RestrictViolation: the age is below what this table is kept for in any case.
    """
    row = tx.execute(
        "SELECT forget(%(what)s, %(days)s, %(at_most)s)", {"what": what, "days": older_than_days, "at_most": at_most}
    ).fetchone()
    assert row is not None, "a SELECT without FROM always returns a row"
    return None if row[0] is None else int(row[0])
