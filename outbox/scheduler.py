"""The clock: appends periodic messages, each once per name and due time, however many schedulers run.

Taking the slot and appending the message are one transaction, by the database's clock. A scheduler that slept does not
catch up on missed slots: the sweep looks at what stands now, so one run serves for all of them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from threading import Event

from loguru import logger
from psycopg import Error as DatabaseError

from db import idempotency_keys
from db.queue import schedule
from db.session import Database
from db.settings import DatabaseSettings
from db.sweep import wake_ups
from messages.base import Message
from messages.reconciliation import (
    ConnectedPayoutsDue,
    EventSweepDue,
    PayoutsDue,
    ReconcileDue,
    RetentionDue,
    SealDue,
    ShareReconcileDue,
)
from messages.runtime.settings import SettingsError, load, stop_the_start
from messages.shares import EscrowDue, StatementsDue
from messages.sweeps import SweepDue
from outbox.append import append
from outbox.monitoring.health import HealthSettings
from outbox.monitoring.start import watch
from outbox.process.heartbeat import beat
from outbox.process.logs import configure_logs
from outbox.process.shutdown import leave_while_starting, stop_on_signals
from outbox.process.tracing import start_tracing

TICK_SECONDS = 1.0
REMEMBER_DAYS = 7
ANSWERS_AT_ONCE = 1_000


@dataclass(frozen=True, slots=True)
class Periodic:
    """A message that is due every `every_seconds`, counted from the epoch."""

    name: str
    every_seconds: int
    message: Callable[[datetime], Message]


PERIODIC = (
    Periodic("sweep", 30, lambda due_at: SweepDue(due_at=due_at)),
    Periodic("escrow", 60, lambda due_at: EscrowDue(due_at=due_at)),
    Periodic("event_sweep", 180, lambda due_at: EventSweepDue(due_at=due_at)),
    Periodic("seal_ledger", 60, lambda due_at: SealDue(due_at=due_at)),
    Periodic("reconcile_rolling", 300, lambda due_at: ReconcileDue(span="rolling", due_at=due_at)),
    # Asked for every hour and begun once a day: the hour in which Stripe was away does not cost the whole day.
    Periodic("reconcile_daily", 3_600, lambda due_at: ReconcileDue(span="daily", due_at=due_at)),
    Periodic("royalty_reconcile_rolling", 900, lambda due_at: ShareReconcileDue(span="rolling", due_at=due_at)),
    Periodic("royalty_reconcile_daily", 3_600, lambda due_at: ShareReconcileDue(span="daily", due_at=due_at)),
    Periodic("payouts", 900, lambda due_at: PayoutsDue(due_at=due_at)),
    Periodic("connected_payouts", 900, lambda due_at: ConnectedPayoutsDue(due_at=due_at)),
    # As the daily reconciliation: looked at every hour, and done once a week for each recipient.
    Periodic("statements", 3_600, lambda due_at: StatementsDue(due_at=due_at)),
    Periodic("retention", 6 * 3_600, lambda due_at: RetentionDue(due_at=due_at)),
)


def run_once(db: Database, periodic: tuple[Periodic, ...] = PERIODIC) -> list[str]:
    """Append what is due and was not appended yet; returns the names."""
    return [entry.name for entry in periodic if _append_if_due(db, entry)]


def _append_if_due(db: Database, entry: Periodic) -> bool:
    with db.system_transaction() as tx:
        slot = schedule.current_slot(tx, entry.every_seconds)
        if not schedule.take(tx, entry.name, slot):
            return False
        append(tx, entry.message(slot))
        return True


def forget_old(db: Database) -> None:
    with db.system_transaction() as tx:
        schedule.forget(tx, older_than_days=REMEMBER_DAYS)
        wake_ups.forget(tx, older_than_days=REMEMBER_DAYS)
    forget_answers(db)


def forget_answers(db: Database, *, at_once: int = ANSWERS_AT_ONCE) -> None:
    """Answers of the API whose time is over, in transactions that hold few locks and end soon."""
    forgotten = at_once
    while forgotten == at_once:
        beat("scheduler")
        with db.system_transaction() as tx:
            forgotten = idempotency_keys.forget_expired(tx, limit=at_once)


def main() -> None:
    leave_while_starting()
    try:
        settings, health = load(DatabaseSettings, HealthSettings)
    except SettingsError as error:
        stop_the_start(error)
    configure_logs(settings.app_env, "scheduler")
    start_tracing("scheduler")
    stopping = Event()
    stop_on_signals(stopping)
    db = Database(settings, application="fleet-scheduler")
    watch(settings, health, db, stopping)
    logger.info("scheduler started: {}", ", ".join(entry.name for entry in PERIODIC))
    while not stopping.wait(TICK_SECONDS):
        beat("scheduler")
        try:
            if run_once(db):
                forget_old(db)
        except DatabaseError as error:
            logger.warning("database unavailable: {}", type(error).__name__)
    db.close()


if __name__ == "__main__":
    main()
