"""Runs of reconciliation: one at a time for each span, each continued from its cursor. System transactions.

Every step moves the cursor that it has read, and nothing when another worker has moved it meanwhile: two workers on one
run count no page twice, and the slower one stops.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from psycopg.rows import class_row

from db.session import Tx


@dataclass(frozen=True, slots=True)
class Run:
    """A run, and how far it is. Times are the database's.

    window_from, window_until   what is compared: [from, until), at Stripe's time
    phase, listed_to            which part is under way, and the last object that Stripe has listed in it
    searched_until              up to which time journals were looked for at Stripe
    rechecked_to                the last open case that was checked again
    moved_at                    when its last step was stored
    finished_at                 None until it is done
    """

    run_id: UUID
    span: str
    state: str
    phase: str
    window_from: datetime
    window_until: datetime
    listed_to: str | None
    searched_until: datetime
    rechecked_to: UUID | None
    lines: int
    mismatches: int
    cases_opened: int
    cases_closed: int
    started_at: datetime
    moved_at: datetime
    finished_at: datetime | None


@dataclass(frozen=True, slots=True)
class StepFindings:
    """What one step has found: lines compared, differences among them, and cases opened and closed."""

    lines: int = 0
    mismatches: int = 0
    cases_opened: int = 0
    cases_closed: int = 0


# A run that did not move for so long cannot: its cursor names what Stripe no longer lists, or nobody ran.
_ABANDON_AFTER_SECONDS = 3_600


def resume(tx: Tx, span: str) -> Run | None:
    """The run of this span that is under way; None: there is none, so one may begin.

    One that has not moved for an hour is marked as abandoned first; the next run reaches back to where the last done
    one ended, so nothing is left out.
    """
    tx.execute(
        """
        UPDATE reconciliation_runs SET state = 'abandoned'
        WHERE span = %(span)s AND state = 'running'
          AND moved_at < clock_timestamp() - make_interval(secs => %(after)s)
        """,
        {"span": span, "after": _ABANDON_AFTER_SECONDS},
    )
    with tx.cursor(row_factory=class_row(Run)) as cursor:
        return cursor.execute(
            """
            SELECT run_id, span, state, phase, window_from, window_until, listed_to, searched_until, rechecked_to,
                   lines, mismatches, cases_opened, cases_closed, started_at, moved_at, finished_at
            FROM reconciliation_runs WHERE span = %(span)s AND state = 'running'
            """,
            {"span": span},
        ).fetchone()


def begin(tx: Tx, span: str, *, reach_seconds: float, grace_seconds: float) -> Run | None:
    """Begin a run from `reach_seconds` ago until `grace_seconds` ago, by when Stripe and the ledger had time to agree.

    It reaches back further, to where the last finished run of its span ended, when that is longer ago; but never to
    before the first tenant: what Stripe moved then is not ours. None when there is nothing to compare yet, when another
    worker began a run at this moment, or when a daily run has begun since midnight (UTC) and was finished.
    """
    with tx.cursor(row_factory=class_row(Run)) as cursor:
        return cursor.execute(
            """
            WITH span_window AS (
                SELECT greatest(
                           least(
                               clock_timestamp() - make_interval(secs => %(reach)s),
                               (SELECT max(window_until) FROM reconciliation_runs
                                WHERE span = %(span)s AND state = 'done') - interval '10 minutes'),
                           (SELECT min(created_at) FROM tenants)) AS since,
                       clock_timestamp() - make_interval(secs => %(grace)s) AS until
            )
            INSERT INTO reconciliation_runs (span, window_from, window_until, searched_until)
            SELECT %(span)s, date_trunc('second', since), date_trunc('second', until), date_trunc('second', since)
            FROM span_window
            WHERE date_trunc('second', since) < date_trunc('second', until)
              AND (%(span)s NOT IN ('daily', 'shares_daily') OR NOT EXISTS (
                  SELECT FROM reconciliation_runs
                  WHERE span = %(span)s AND state = 'done'
                    AND started_at >= date_trunc('day', clock_timestamp(), 'UTC')))
            ON CONFLICT (span) WHERE state = 'running' DO NOTHING
            RETURNING run_id, span, state, phase, window_from, window_until, listed_to, searched_until, rechecked_to,
                      lines, mismatches, cases_opened, cases_closed, started_at, moved_at, finished_at
            """,
            {"span": span, "reach": reach_seconds, "grace": grace_seconds},
        ).fetchone()


def step(
    tx: Tx,
    run: Run,
    findings: StepFindings,
    *,
    phase: str | None = None,
    listed_to: str | None = None,
    searched_until: datetime | None = None,
    rechecked_to: UUID | None = None,
    done: bool = False,
) -> Run | None:
    """Move the run on from exactly the cursor in `run`, adding what was found; None: another worker has moved it.

    A cursor that is None stays as it is. `done` ends the run.
    """
    with tx.cursor(row_factory=class_row(Run)) as cursor:
        return cursor.execute(
            """
            UPDATE reconciliation_runs
            SET phase = coalesce(%(phase)s, phase), listed_to = coalesce(%(listed_to)s, listed_to),
                searched_until = coalesce(%(searched_until)s, searched_until),
                rechecked_to = coalesce(%(rechecked_to)s, rechecked_to),
                lines = lines + %(lines)s, mismatches = mismatches + %(mismatches)s,
                cases_opened = cases_opened + %(cases_opened)s, cases_closed = cases_closed + %(cases_closed)s,
                moved_at = clock_timestamp(),
                state = CASE WHEN %(done)s THEN 'done' ELSE state END,
                finished_at = CASE WHEN %(done)s THEN clock_timestamp() END
            WHERE run_id = %(run_id)s AND state = 'running' AND phase = %(was_phase)s
              AND listed_to IS NOT DISTINCT FROM %(was_listed_to)s AND searched_until = %(was_searched_until)s
              AND rechecked_to IS NOT DISTINCT FROM %(was_rechecked_to)s
            RETURNING run_id, span, state, phase, window_from, window_until, listed_to, searched_until, rechecked_to,
                      lines, mismatches, cases_opened, cases_closed, started_at, moved_at, finished_at
            """,
            {
                "phase": phase,
                "listed_to": listed_to,
                "searched_until": searched_until,
                "rechecked_to": rechecked_to,
                "lines": findings.lines,
                "mismatches": findings.mismatches,
                "cases_opened": findings.cases_opened,
                "cases_closed": findings.cases_closed,
                "done": done,
                "run_id": run.run_id,
                "was_phase": run.phase,
                "was_listed_to": run.listed_to,
                "was_searched_until": run.searched_until,
                "was_rechecked_to": run.rechecked_to,
            },
        ).fetchone()


def latest(tx: Tx, *, span: str | None = None, limit: int = 20) -> list[Run]:
    """Runs, the newest first; `span` None: of every span."""
    with tx.cursor(row_factory=class_row(Run)) as cursor:
        return cursor.execute(
            """
            SELECT run_id, span, state, phase, window_from, window_until, listed_to, searched_until, rechecked_to,
                   lines, mismatches, cases_opened, cases_closed, started_at, moved_at, finished_at
            FROM reconciliation_runs WHERE %(span)s::text IS NULL OR span = %(span)s
            ORDER BY started_at DESC LIMIT %(limit)s
            """,
            {"span": span, "limit": limit},
        ).fetchall()


def last_done(tx: Tx, span: str) -> Run | None:
    """The newest finished run of this span; None when none ever finished."""
    with tx.cursor(row_factory=class_row(Run)) as cursor:
        return cursor.execute(
            """
            SELECT run_id, span, state, phase, window_from, window_until, listed_to, searched_until, rechecked_to,
                   lines, mismatches, cases_opened, cases_closed, started_at, moved_at, finished_at
            FROM reconciliation_runs WHERE span = %(span)s AND state = 'done' ORDER BY started_at DESC LIMIT 1
            """,
            {"span": span},
        ).fetchone()
