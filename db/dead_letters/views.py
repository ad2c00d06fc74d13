"""Dead letters as operators see them: found by filter, in groups, one by one with their history. Ops transactions.

Everything here is redacted, as it was stored; the sealed original is never read by these functions (M9).
"""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from db.session import Tx


@dataclass(frozen=True, slots=True)
class DeadLetterFilter:
    """Which dead letters; every field that is not None narrows the choice. `ids` chooses by hand.

    `group_key` may be the one that a group had before the file of its failure moved (`moved_source_files`).
    """

    ids: tuple[UUID, ...] | None = None
    group_key: str | None = None
    kind: str | None = None
    cause: str | None = None
    source: str | None = None
    tenant_id: UUID | None = None
    payment_id: UUID | None = None
    state: str | None = "open"
    text: str | None = None  # in the reason
    older_than_seconds: float | None = None

    def as_json(self) -> dict[str, Any]:
        """As it is kept with a batch and in the operator log."""
        fields = {name: value for name, value in asdict(self).items() if value is not None}
        return {name: _plain(value) for name, value in fields.items()}


def _plain(value: object) -> object:
    if isinstance(value, UUID):
        return str(value)
    return [str(item) for item in value] if isinstance(value, tuple) else value


@dataclass(frozen=True, slots=True)
class DeadLetterLine:
    """One dead letter. `group_key` is shared by those with the same cause, error, kind and place in the code.

    deaths         how often it became a dead letter: 1, and once more for each replay that failed
    successor_of   the dead letter whose payload an operator has edited; None: it came by itself
    """

    dead_letter_id: UUID
    tenant_id: UUID | None
    source: str
    cause: str
    kind: str | None
    queue: str | None
    message_id: str | None
    payment_id: UUID | None
    reason: str
    error_class: str
    top_frame: str
    group_key: str
    trace_id: str | None
    state: str
    deaths: int
    died_at: datetime
    successor_of: UUID | None
    closed_at: datetime | None
    closed_by: str | None
    closed_because: str | None


_COLUMNS = """
    d.dead_letter_id, d.tenant_id, d.source, d.cause, d.kind, d.queue, d.message_id, d.payment_id, d.reason,
    d.error_class, d.top_frame, d.group_key, d.trace_id, d.state, d.deaths, d.died_at, d.successor_of, d.closed_at,
    d.closed_by, d.closed_because
"""
WHERE = """
    WHERE (%(ids)s::uuid[] IS NULL OR d.dead_letter_id = ANY (%(ids)s))
      AND (%(group_key)s::text IS NULL OR d.group_key = %(group_key)s OR d.group_key IN (
          SELECT m.group_key FROM dead_letters m WHERE m.former_group_keys @> ARRAY[%(group_key)s::text]))
      AND (%(kind)s::text IS NULL OR d.kind = %(kind)s)
      AND (%(cause)s::text IS NULL OR d.cause = %(cause)s)
      AND (%(source)s::text IS NULL OR d.source = %(source)s)
      AND (%(tenant_id)s::uuid IS NULL OR d.tenant_id = %(tenant_id)s)
      AND (%(payment_id)s::uuid IS NULL OR d.payment_id = %(payment_id)s)
      AND (%(state)s::text IS NULL OR d.state = %(state)s)
      AND (%(text)s::text IS NULL OR position(lower(%(text)s) IN lower(d.reason)) > 0)
      AND (%(older_than_seconds)s::float8 IS NULL
           OR d.died_at < clock_timestamp() - make_interval(secs => %(older_than_seconds)s))
"""


def parameters(chosen: DeadLetterFilter) -> dict[str, Any]:
    """The parameters that WHERE needs; a condition that is None is left out by the SQL itself."""
    values = asdict(chosen)
    return values | {"ids": list(chosen.ids) if chosen.ids is not None else None}


def find(tx: Tx, chosen: DeadLetterFilter, *, limit: int = 100, offset: int = 0) -> list[DeadLetterLine]:
    """Letters of the filter, the newest first."""
    with tx.cursor(row_factory=class_row(DeadLetterLine)) as cursor:
        return cursor.execute(
            "SELECT"
            + _COLUMNS
            + "FROM dead_letters d"
            + WHERE
            + "ORDER BY d.died_at DESC, d.dead_letter_id LIMIT %(limit)s OFFSET %(offset)s",
            parameters(chosen) | {"limit": limit, "offset": offset},
        ).fetchall()


def count(tx: Tx, chosen: DeadLetterFilter) -> int:
    row = tx.execute("SELECT count(*) FROM dead_letters d" + WHERE, parameters(chosen)).fetchone()
    assert row is not None, "an aggregate without GROUP BY always returns a row"
    return int(row[0])


@dataclass(frozen=True, slots=True)
class DeadLetterGroup:
    """Letters that died of the same thing at the same place."""

    group_key: str
    cause: str
    error_class: str
    kind: str | None
    top_frame: str
    letters: int
    payments: int
    oldest: datetime
    newest: datetime
    example: str


def groups(tx: Tx, chosen: DeadLetterFilter) -> list[DeadLetterGroup]:
    """The groups of the filter, the largest first, with one reason as an example."""
    with tx.cursor(row_factory=class_row(DeadLetterGroup)) as cursor:
        return cursor.execute(
            """
            SELECT d.group_key, d.cause, d.error_class, d.kind, d.top_frame, count(*) AS letters,
                   count(DISTINCT d.payment_id) AS payments, min(d.died_at) AS oldest, max(d.died_at) AS newest,
                   (array_agg(d.reason ORDER BY d.died_at DESC))[1] AS example
            FROM dead_letters d
            """
            + WHERE
            + """
            GROUP BY d.group_key, d.cause, d.error_class, d.kind, d.top_frame
            ORDER BY letters DESC, newest DESC
            """,
            parameters(chosen),
        ).fetchall()


@dataclass(frozen=True, slots=True)
class FailedRun:
    """One failed run of the dead letter's message; `next_due_at` None: the run that gave it up."""

    run: int
    attempt: int
    verdict: str
    error_class: str
    reason: str
    traceback: str | None
    failed_at: datetime
    next_due_at: datetime | None


@dataclass(frozen=True, slots=True)
class Replayed:
    """One time that this dead letter was part of a batch."""

    batch_id: UUID
    class_: str | None
    proof: str | None
    state: str
    created_by: str
    moved_at: datetime


@dataclass(frozen=True, slots=True)
class DeadLetterDetails:
    letter: DeadLetterLine
    payload: str
    headers: dict[str, Any]
    history: list[FailedRun]
    replays: list[Replayed]
    successors: list[UUID]


def detail(tx: Tx, dead_letter_id: UUID) -> DeadLetterDetails | None:
    """A dead letter with its redacted payload, all failed runs of its message, and its replays; None when unknown."""
    dead_letters = find(tx, DeadLetterFilter(ids=(dead_letter_id,), state=None), limit=1)
    if not dead_letters:
        return None
    row = tx.execute(
        "SELECT payload, headers FROM dead_letters WHERE dead_letter_id = %(id)s", {"id": dead_letter_id}
    ).fetchone()
    assert row is not None, "it was found a moment ago, and dead letters are never deleted"
    successors = tx.execute(
        "SELECT dead_letter_id FROM dead_letters WHERE successor_of = %(id)s ORDER BY died_at", {"id": dead_letter_id}
    ).fetchall()
    return DeadLetterDetails(
        letter=dead_letters[0],
        payload=row[0],
        headers=row[1],
        history=failed_runs(tx, dead_letters[0].message_id),
        replays=_replays(tx, dead_letter_id),
        successors=[successor[0] for successor in successors],
    )


def failed_runs(tx: Tx, message_id: str | None) -> list[FailedRun]:
    """Every failed run of a message, in order."""
    with tx.cursor(row_factory=class_row(FailedRun)) as cursor:
        return cursor.execute(
            """
            SELECT run, attempt, verdict, error_class, reason, traceback, failed_at, next_due_at
            FROM message_failures WHERE message_id::text = %(message_id)s ORDER BY run
            """,
            {"message_id": message_id},
        ).fetchall()


def _replays(tx: Tx, dead_letter_id: UUID) -> list[Replayed]:
    with tx.cursor(row_factory=class_row(Replayed)) as cursor:
        return cursor.execute(
            """
            SELECT i.batch_id, i.class AS class_, i.proof, i.state, b.created_by, i.moved_at
            FROM replay_items i JOIN replay_batches b USING (batch_id)
            WHERE i.dead_letter_id = %(id)s ORDER BY b.created_at
            """,
            {"id": dead_letter_id},
        ).fetchall()


def discard(tx: Tx, chosen: DeadLetterFilter, *, operator: str, reason: str) -> list[UUID]:
    """Close all open dead letters of a filter that are not to be replayed; returns which.

    Final: none can be replayed later.

    Raises:
        psycopg.errors.CheckViolation: the reason is empty.
    """
    rows = tx.execute(
        """
        UPDATE dead_letters d
        SET state = 'discarded', closed_at = clock_timestamp(), closed_by = %(operator)s, closed_because = %(reason)s
        """
        + WHERE
        + "AND d.state = 'open' RETURNING d.dead_letter_id",
        parameters(chosen) | {"operator": operator, "reason": reason},
    ).fetchall()
    return [row[0] for row in rows]


def add_successor(
    tx: Tx,
    dead_letter: DeadLetterLine,
    *,
    payload: str,
    sealed: bytes,
    sha256: bytes,
    headers: dict[str, Any],
    reason: str,
) -> UUID:
    """A new open dead letter with an edited payload, linked to the one it follows; the old one is not touched."""
    row = tx.execute(
        """
        INSERT INTO dead_letters (
            tenant_id, source, message_id, kind, payment_id, reason, payload, payload_sha256, headers, sealed, cause,
            error_class, top_frame, queue, trace_id, successor_of)
        SELECT tenant_id, source, uuidv7()::text, kind, payment_id, %(reason)s, %(payload)s, %(sha256)s, %(headers)s,
               %(sealed)s, cause, error_class, top_frame, queue, trace_id, dead_letter_id
        FROM dead_letters WHERE dead_letter_id = %(of)s
        RETURNING dead_letter_id
        """,
        {
            "of": dead_letter.dead_letter_id,
            "payload": payload,
            "sealed": sealed,
            "sha256": sha256,
            "headers": Jsonb(headers),
            "reason": reason,
        },
    ).fetchone()
    assert row is not None, "the dead letter it follows was read in this transaction"
    successor: UUID = row[0]
    return successor
