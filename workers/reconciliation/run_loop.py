"""The loop of a reconciliation run, for the comparison with the bank and for that of shares.

A run is a row (db/reconciliation/runs.py) that goes through three phases: listing (pages from Stripe), searching
(pages of our database) and rechecking (cases that are open). Each step is one transaction with the run's cursor: a run
that was killed continues behind its last step, and the same page twice finds its lines and cases there. One delivery
ends after RUN_SECONDS and appends the next; two deliveries at once do no harm, since a step that another one has made
moves no row.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Generic, TypeVar

from db.reconciliation import runs
from db.reconciliation.runs import Run, StepFindings
from db.session import Database
from messages.reconciliation import ReconcileDue, ShareReconciliationDue
from messages.runtime.crash_points import crash_point
from outbox.append import append
from workers.runtime.settings import ReconcileSettings

# Far below the time limit of its queue in messages/queues.py.
RUN_SECONDS = 90.0

Page = TypeVar("Page")


@dataclass(frozen=True, slots=True)
class Comparison(Generic[Page]):
    """What is compared. Each step returns the run behind it, or None when somebody else has moved the run.

    pages: Stripe's side of the run's window, from its cursor on. compare: one page of it. search: one step through our
    side; the last one moves the run to rechecking. recheck: some of the open cases; the last step ends the run. finish:
    what remains to be done once the run has ended.
    """

    pages: Callable[[Run], Iterator[Page]]
    compare: Callable[[Run, Page], Run | None]
    search: Callable[[Run], Run | None]
    recheck: Callable[[Run], Run | None]
    finish: Callable[[Run], None]


def run_comparison(
    msg: ReconcileDue | ShareReconciliationDue,
    db: Database,
    comparison: Comparison[Page],
    settings: ReconcileSettings,
    *,
    span: str,
) -> None:
    """Begin or resume the run of this span, unless none is due, and work on it for RUN_SECONDS at most.

    `span` is the run's name in the table of runs; `msg.span` says how far back it looks.
    """
    started = time.monotonic()
    reach = timedelta(days=settings.reconcile_daily_days)
    if msg.span == "rolling":
        reach = timedelta(hours=settings.reconcile_rolling_hours)
    with db.system_transaction() as tx:
        run = runs.resume(tx, span) or runs.begin(
            tx, span, reach_seconds=reach.total_seconds(), grace_seconds=settings.reconcile_grace_seconds
        )
    for stepped in _steps(db, comparison, run):
        crash_point(f"{msg.kind}.step_done")
        if stepped.state == "done":
            comparison.finish(stepped)
        elif time.monotonic() - started > RUN_SECONDS:
            with db.system_transaction() as tx:
                append(tx, msg)
            return


def _steps(db: Database, comparison: Comparison[Page], run: Run | None) -> Iterator[Run]:
    """The run behind each step, until it is done or somebody else has moved it."""
    if run and run.phase == "listing":
        for page in comparison.pages(run):
            run = comparison.compare(run, page)
            if run is None:
                return
            yield run
        run = move_to(db, run, "searching")
    while run and run.state == "running":
        run = comparison.search(run) if run.phase == "searching" else comparison.recheck(run)
        if run:
            yield run


def move_to(db: Database, run: Run, phase: str) -> Run | None:
    """The run at the beginning of its next phase; None when somebody else has moved it."""
    with db.system_transaction() as tx:
        return runs.step(tx, run, StepFindings(), phase=phase)
