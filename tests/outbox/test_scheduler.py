"""The clock: each periodic message is appended once per due time, however many schedulers run."""

from concurrent.futures import ThreadPoolExecutor

import orjson
import psycopg

from db.session import Database
from messages.sweeps import SweepDue
from outbox import scheduler
from outbox.scheduler import Periodic

DAILY = (Periodic("daily", 86_400, lambda due_at: SweepDue(due_at=due_at)),)


def test_four_schedulers_append_one_message(db: Database, owner: psycopg.Connection) -> None:
    with ThreadPoolExecutor(4) as pool:
        appended = [future.result() for future in [pool.submit(scheduler.run_once, db, DAILY) for _ in range(4)]]

    assert sorted(appended) == [[], [], [], ["daily"]]
    [(body, tenant_id)] = owner.execute("SELECT body, tenant_id FROM outbox").fetchall()
    assert SweepDue.model_validate(orjson.loads(body)["kwargs"]["payload"]).due_at.hour == 0
    assert tenant_id is None


def test_the_next_due_time_brings_the_next_message(db: Database, owner: psycopg.Connection) -> None:
    scheduler.run_once(db, DAILY)
    owner.execute("UPDATE schedule_runs SET due_at = due_at - interval '1 day'")

    assert scheduler.run_once(db, DAILY) == ["daily"]


def test_missed_due_times_are_not_made_up_for(db: Database, owner: psycopg.Connection) -> None:
    scheduler.run_once(db, DAILY)
    owner.execute("UPDATE schedule_runs SET due_at = due_at - interval '9 days'")

    assert scheduler.run_once(db, DAILY) == ["daily"]
    assert scheduler.run_once(db, DAILY) == []


def test_what_is_long_gone_is_forgotten(db: Database, owner: psycopg.Connection) -> None:
    scheduler.run_once(db, DAILY)
    owner.execute("UPDATE schedule_runs SET due_at = due_at - interval '9 days'")
    owner.execute("INSERT INTO wake_ups VALUES ('x', 3, now() - interval '8 days'), ('y', 1, now())")

    scheduler.forget_old(db)

    assert owner.execute("SELECT count(*) FROM schedule_runs").fetchone() == (0,)
    assert owner.execute("SELECT subject FROM wake_ups").fetchall() == [("y",)]
