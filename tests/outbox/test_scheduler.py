"""The clock: each periodic message is appended once per due time, however many schedulers run."""

from concurrent.futures import ThreadPoolExecutor

import orjson
import psycopg

from db.session import Database
from messages.queues import Every
from messages.reconciliation import ReconcileDue
from messages.sweeps import SweepDue
from outbox import scheduler

DAILY = [(SweepDue, Every("daily", 86_400))]


def test_four_schedulers_append_one_message(db: Database, owner: psycopg.Connection) -> None:
    with ThreadPoolExecutor(4) as pool:
        appended = [future.result() for future in [pool.submit(scheduler.run_once, db, DAILY) for _ in range(4)]]

    assert sorted(appended) == [[], [], [], ["daily"]]
    [(body, tenant_id)] = owner.execute("SELECT body, tenant_id FROM outbox").fetchall()
    assert SweepDue.model_validate(orjson.loads(body)["kwargs"]["payload"]).due_at.hour == 0
    assert tenant_id is None


def test_all_periodic_work_is_due_at_its_own_pace(db: Database, owner: psycopg.Connection) -> None:
    appended = scheduler.run_once(db)

    assert {every.name: every.seconds for _, every in scheduler.PERIODIC} == {
        "sweep": 30,
        "escrow": 60,
        "event_sweep": 180,
        "seal_ledger": 60,
        "reconcile_rolling": 300,
        "reconcile_daily": 3_600,
        "royalty_reconcile_rolling": 900,
        "royalty_reconcile_daily": 3_600,
        "payouts": 900,
        "connected_payouts": 900,
        "statements": 3_600,
        "retention": 6 * 3_600,
    }
    assert len(appended) == len(scheduler.PERIODIC)
    bodies = [orjson.loads(body) for (body,) in owner.execute("SELECT body FROM outbox").fetchall()]
    compared = [body["kwargs"]["payload"] for body in bodies if body["actor_name"] == ReconcileDue.kind]
    assert sorted(ReconcileDue.model_validate(payload).span for payload in compared) == ["daily", "rolling"]


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
