"""retention: while the book and the bank agree, delete what is old enough, batch by batch.

What could still explain a difference is kept until there is none. A second run finds less to delete; one that was
killed has deleted whole batches.
"""

import time

from loguru import logger

from db import retention
from db.retention import Forgettable
from db.session import Database
from messages.reconciliation import RetentionDue
from outbox.process.metrics import FORGOTTEN
from workers.runtime.actor import actor
from workers.runtime.settings import RetentionSettings

# Small enough that nobody waits behind a batch; the statement timeout is five seconds.
BATCH = 1_000
RUN_SECONDS = 120.0


@actor(RetentionDue)
def forget_old(_msg: RetentionDue, db: Database) -> None:
    """Delete old rows, one table after the other, for at most RUN_SECONDS; the next run does what is left.

    It stops at once while reconciliation has an open case about money: the rows may be what explains it.
    """
    settings = RetentionSettings()
    ages: dict[Forgettable, int] = {
        "webhook_inbox": settings.retain_inbox_days,
        "message_failures": settings.retain_failures_days,
        "calls": settings.retain_calls_days,
        "reconciliation_runs": settings.retain_runs_days,
        "told_events": settings.retain_told_days,
    }
    deadline = time.monotonic() + RUN_SECONDS
    for what, days in ages.items():
        if not _forget(db, what, days, deadline):
            return


def _forget(db: Database, what: Forgettable, days: int, deadline: float) -> bool:
    """False when there is nothing more to do in this run."""
    total = 0
    while time.monotonic() < deadline:
        with db.system_transaction() as tx:
            gone = retention.forget(tx, what, older_than_days=days, at_most=BATCH)
        if gone is None:
            logger.warning("retention skipped: reconciliation cases are open, or no daily run has completed")
            return False
        FORGOTTEN.labels(what).inc(gone)
        total += gone
        if gone < BATCH:
            break
    if total:
        logger.info("deleted {} rows of {} older than {} days", total, what, days)
    return time.monotonic() < deadline
