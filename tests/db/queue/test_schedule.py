"""The clock's memory: each due time belongs to one scheduler."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import psycopg

from db.queue import schedule
from db.session import Database


def test_of_many_schedulers_one_takes_a_slot(db: Database) -> None:
    slot = datetime(2030, 1, 1, tzinfo=UTC)

    with ThreadPoolExecutor(6) as pool:
        taken = [future.result() for future in [pool.submit(take, db, "sweep", slot) for _ in range(6)]]

    assert sorted(taken) == [False] * 5 + [True]


def test_names_and_due_times_do_not_disturb_one_another(db: Database) -> None:
    noon, one = datetime(2030, 1, 1, 12, tzinfo=UTC), datetime(2030, 1, 1, 13, tzinfo=UTC)

    assert [take(db, "sweep", noon), take(db, "sweep", one), take(db, "reconcile", noon)] == [True] * 3


def test_a_slot_begins_at_a_whole_interval_of_the_databases_clock(db: Database) -> None:
    with db.system_transaction() as tx:
        slot = schedule.current_slot(tx, 30)

    assert slot.timestamp() % 30 == 0
    assert 0 <= (datetime.now(UTC) - slot).total_seconds() < 31


def test_old_memories_are_dropped_and_young_ones_stay(db: Database, owner: psycopg.Connection) -> None:
    now = datetime.now(UTC)
    take(db, "sweep", now)
    take(db, "sweep", now.replace(year=now.year - 1))

    with db.system_transaction() as tx:
        assert schedule.forget(tx, older_than_days=7) == 1

    assert owner.execute("SELECT due_at FROM schedule_runs").fetchall() == [(now,)]


def take(db: Database, name: str, slot: datetime) -> bool:
    with db.system_transaction() as tx:
        return schedule.take(tx, name, slot)
