"""Runs of reconciliation: one at a time for each span, each going on where it stood.

Every step moves the cursor it read, and nothing when somebody else has moved it meanwhile: two workers on one run
count no page twice, and the slower one stops.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from psycopg.rows import class_row

from db.session import Tx


@dataclass(frozen=True, slots=True)
class Run:
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
    """What one step has found."""

    lines: int = 0
    mismatches: int = 0
    cases_opened: int = 0
    cases_closed: int = 0


# A run that did not move for so long cannot: its cursor names what Stripe no longer lists, or nobody ran.
_ABANDON_AFTER_SECONDS = 3_600


def resume(tx: Tx, span: str) -> Run | None:
    """The run of this span that is under way; one that stood still for an hour is abandoned instead."""
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
    """Begin a run from `reach_seconds` ago until `grace_seconds` ago, when the bank and the book had time to agree.

    It reaches back further, to where the last run of its span that was finished ended, when that is longer ago; but
    never to before the first tenant: what Stripe moved then is not ours. None when there is nothing to compare yet,
    when another worker began a run at this moment, or when a daily run has begun since midnight (UTC) and was finished.
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
    """Move the run on from exactly where `run` stands, adding what was found; None: somebody else has moved it."""
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
    """Runs, the newest first."""
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
    """The run of this span that was finished last."""
    with tx.cursor(row_factory=class_row(Run)) as cursor:
        return cursor.execute(
            """
            SELECT run_id, span, state, phase, window_from, window_until, listed_to, searched_until, rechecked_to,
                   lines, mismatches, cases_opened, cases_closed, started_at, moved_at, finished_at
            FROM reconciliation_runs WHERE span = %(span)s AND state = 'done' ORDER BY started_at DESC LIMIT 1
            """,
            {"span": span},
        ).fetchone()
