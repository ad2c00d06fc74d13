"""The scheduler's memory: which periodic message was appended for which due time.

Several schedulers may run: the primary key lets one of them append, however their clocks differ.
"""

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
    """True for exactly one scheduler per name and due time.

    Append the message in the same transaction, or it is
    lost.
    """
    taken = tx.execute(
        "INSERT INTO schedule_runs (name, due_at) VALUES (%(name)s, %(due_at)s) ON CONFLICT DO NOTHING",
        {"name": name, "due_at": due_at},
    )
    return taken.rowcount == 1


def forget(tx: Tx, *, older_than_days: int) -> int:
    """Delete rows of due times so many days ago; returns how many. Keep more than the longest interval."""
    return tx.execute(
        "DELETE FROM schedule_runs WHERE due_at < clock_timestamp() - make_interval(days => %(days)s)",
        {"days": older_than_days},
    ).rowcount
