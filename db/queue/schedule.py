"""The clock's memory: which periodic message was appended for which due time."""

from datetime import datetime

from db.session import Tx


def current_slot(tx: Tx, every_seconds: int) -> datetime:
    """The start of the running interval by the database's clock; intervals begin at the epoch."""
    row = tx.execute(
        """
        SELECT to_timestamp(floor(extract(epoch FROM clock_timestamp()) / %(every)s) * %(every)s)
        """,
        {"every": every_seconds},
    ).fetchone()
    assert row is not None, "a SELECT without FROM always returns a row"
    slot: datetime = row[0]
    return slot


def take(tx: Tx, name: str, due_at: datetime) -> bool:
    """True for exactly one scheduler per name and due time; the others see False."""
    taken = tx.execute(
        "INSERT INTO schedule_runs (name, due_at) VALUES (%(name)s, %(due_at)s) ON CONFLICT DO NOTHING",
        {"name": name, "due_at": due_at},
    )
    return taken.rowcount == 1


def forget(tx: Tx, *, older_than_days: int) -> int:
    """Drop memories nobody needs any more."""
    return tx.execute(
        "DELETE FROM schedule_runs WHERE due_at < clock_timestamp() - make_interval(days => %(days)s)",
        {"days": older_than_days},
    ).rowcount
