"""The clock: appends periodic messages, each once per name and due time, however many schedulers run. What is due, and
how often, is a column of messages/queues.py.

Taking the slot and appending the message are one transaction, by the database's clock. A scheduler that slept does not
catch up on missed slots: the sweep looks at the present state, so one run serves for all of them.

Retries do not come from here (each is an outbox row with its own due time), and the scheduler does no work of its own:
it queues messages, deletes expired rows, and collects metrics beside (outbox/monitoring/start.py).
"""

from collections.abc import Sequence
from functools import partial
from threading import Event

from loguru import logger
from psycopg import Error as DatabaseError

from db import idempotency_keys
from db.queue import schedule
from db.session import Database
from db.settings import DatabaseSettings
from db.sweep import wake_ups
from messages.base import Message
from messages.queues import Every, periodic_work
from outbox.append import append
from outbox.monitoring.start import watch
from outbox.process.heartbeat import beat
from outbox.process.run import Process, Program, Work

TICK_SECONDS = 1.0
REMEMBER_DAYS = 7
ANSWERS_AT_ONCE = 1_000


PERIODIC = periodic_work()


def run_once(db: Database, periodic: Sequence[tuple[type[Message], Every]] = PERIODIC) -> list[str]:
    """Append what is due and was not appended yet; returns the names of those due times, in the order of `periodic`.

    One system transaction for each entry. A second call within the same interval, here or in another scheduler, appends
    nothing.

    Raises:
        psycopg.Error: the database is unreachable; the entries before the failing one are appended, the others are left
            for the next call.
    """
    return [every.name for message, every in periodic if _append_if_due(db, message, every)]


def _append_if_due(db: Database, message: type[Message], every: Every) -> bool:
    """Take the current slot and append its message in one transaction; False when another scheduler was first."""
    span = {"span": every.span} if every.span else {}
    with db.system_transaction() as tx:
        slot = schedule.current_slot(tx, every.seconds)
        if not schedule.take(tx, every.name, slot):
            return False
        append(tx, message.model_validate({"due_at": slot, **span}))
        return True


def forget_old(db: Database) -> None:
    """Delete records of slots and wake-ups older than REMEMBER_DAYS, and expired API answers; a second call finds
    nothing.
    """
    with db.system_transaction() as tx:
        schedule.forget(tx, older_than_days=REMEMBER_DAYS)
        wake_ups.forget(tx, older_than_days=REMEMBER_DAYS)
    forget_answers(db)


def forget_answers(db: Database, *, at_once: int = ANSWERS_AT_ONCE) -> None:
    """Delete expired answers of the API, `at_once` per transaction, so that each holds few locks and ends soon.

    Runs until a transaction deletes fewer than `at_once`; it sends heartbeats, because a first run may have many to
    delete.
    """
    forgotten = at_once
    while forgotten == at_once:
        beat("scheduler")
        with db.system_transaction() as tx:
            forgotten = idempotency_keys.forget_expired(tx, limit=at_once)


def _clock(process: Process, database: DatabaseSettings) -> Work:
    db = process.database(database)
    watch(process, database, db)
    logger.info("scheduler started: {}", ", ".join(every.name for _, every in PERIODIC))
    return partial(_tick_until_stopped, db, process.stopping)


def _tick_until_stopped(db: Database, stopping: Event) -> None:
    """The main loop: a tick each second. Old rows are deleted only after a tick that appended something, not every
    second.
    """
    while not stopping.wait(TICK_SECONDS):
        beat("scheduler")
        try:
            if run_once(db):
                forget_old(db)
        except DatabaseError as error:
            logger.warning("database unavailable: {}", type(error).__name__)


def main() -> None:
    """The `scheduler` process; any number may run. Exit codes: 0 stopped, 75 held up while stopping, 78 settings."""
    Program("scheduler").run((DatabaseSettings,), _clock)


if __name__ == "__main__":
    main()
