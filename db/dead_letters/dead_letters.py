"""Dead letters: messages that no retry can help, each with its reason, for a person to read. Nothing expires (M5).

Written by workers and intake in the transaction that acks the message, replayed by workers/dead_letters; operators read
and close them through db/dead_letters/views.py.
"""

from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any
from uuid import UUID

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from db.session import Tx
from db.text import storable


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that failed for good.

    payload           redacted text: the only form that people see (M9)
    original          the bytes as they came, for their SHA-256 alone; not stored
    sealed            the same, encrypted: only the replaying worker can open them; None: they were not kept
    source            worker, orders or broker: who gave up on it
    cause             one of CAUSES (states.py)
    top_frame         where in our code it failed; '' when no code of ours did
    """

    source: str
    reason: str
    payload: str
    original: bytes
    sealed: bytes | None = None
    cause: str = "gave_up"
    tenant_id: UUID | None = None
    message_id: str | None = None
    kind: str | None = None
    queue: str | None = None
    payment_id: UUID | None = None
    error_class: str = ""
    top_frame: str = ""
    trace_id: str | None = None
    headers: dict[str, Any] = field(default_factory=dict)


def bury(tx: Tx, dead_letter: DeadLetter) -> bool:
    """Write the dead letter; False when the same bytes under the same id are there already (a redelivery).

    A dead letter that was being replayed and failed again is open again, with the new reason; its replay has failed,
    and the answer is True. One that is resolved or discarded stays so.
    """
    row = tx.execute(
        """
        INSERT INTO dead_letters AS d (
            tenant_id, source, message_id, kind, queue, payment_id, reason, payload, payload_sha256, sealed, cause,
            error_class, top_frame, trace_id, headers)
        VALUES (
            %(tenant_id)s, %(source)s, %(message_id)s, %(kind)s, %(queue)s, %(payment_id)s, %(reason)s, %(payload)s,
            %(sha256)s, %(sealed)s, %(cause)s, %(error_class)s, %(top_frame)s, %(trace_id)s, %(headers)s)
        ON CONFLICT (source, payload_sha256, (coalesce(message_id, ''))) DO UPDATE
        SET state = 'open', reason = EXCLUDED.reason, cause = EXCLUDED.cause, error_class = EXCLUDED.error_class,
            top_frame = EXCLUDED.top_frame, headers = EXCLUDED.headers, died_at = clock_timestamp(),
            deaths = d.deaths + 1
        WHERE d.state = 'replaying'
        RETURNING d.dead_letter_id, d.deaths
        """,
        _values(dead_letter),
    ).fetchone()
    if row is not None and row[1] > 1:
        _end_replay(tx, row[0], "failed")
    return row is not None


def _values(dead_letter: DeadLetter) -> dict[str, Any]:
    return {
        "tenant_id": dead_letter.tenant_id,
        "source": dead_letter.source,
        "message_id": storable(dead_letter.message_id) if dead_letter.message_id else None,
        "kind": storable(dead_letter.kind) if dead_letter.kind else None,
        "queue": dead_letter.queue,
        "payment_id": dead_letter.payment_id,
        "reason": storable(dead_letter.reason),
        "payload": storable(dead_letter.payload),
        "sha256": sha256(dead_letter.original).digest(),
        "sealed": dead_letter.sealed,
        "cause": dead_letter.cause,
        "error_class": dead_letter.error_class,
        "top_frame": dead_letter.top_frame,
        "trace_id": dead_letter.trace_id,
        "headers": Jsonb(dead_letter.headers),
    }


@dataclass(frozen=True, slots=True)
class SealedDeadLetter:
    """A dead letter for the worker that replays it; `sealed` is None when its original was not kept."""

    dead_letter_id: UUID
    tenant_id: UUID | None
    source: str
    kind: str | None
    queue: str | None
    message_id: str | None
    trace_id: str | None
    sealed: bytes | None
    span_id: str | None = None  # in which it failed, where spans are recorded

    @property
    def message_uuid(self) -> UUID | None:
        """The message's id when it is one of ours."""
        try:
            return UUID(self.message_id or "")
        except ValueError:
            return None


def sealed(tx: Tx, ids: list[UUID]) -> list[SealedDeadLetter]:
    """These dead letters, in the order of their ids, which is the order of their arrival; unknown ids are missing."""
    with tx.cursor(row_factory=class_row(SealedDeadLetter)) as cursor:
        return cursor.execute(
            """
            SELECT dead_letter_id, tenant_id, source, kind, queue, message_id, trace_id,
                   headers ->> 'span_id' AS span_id, sealed
            FROM dead_letters WHERE dead_letter_id = ANY (%(ids)s) ORDER BY dead_letter_id
            """,
            {"ids": ids},
        ).fetchall()


def begin_replay(tx: Tx, dead_letter_id: UUID) -> bool:
    """open -> replaying; True for exactly one of all who try.

    Append the message in the same transaction, and only
    then.
    """
    moved = tx.execute(
        "UPDATE dead_letters SET state = 'replaying' WHERE dead_letter_id = %(id)s AND state = 'open'",
        {"id": dead_letter_id},
    )
    return moved.rowcount == 1


def resolve(tx: Tx, dead_letter_id: UUID, *, by: str, because: str) -> bool:
    """Close a dead letter whose purpose is fulfilled already; False when it was not open. Nothing is sent."""
    closed = tx.execute(
        """
        UPDATE dead_letters
        SET state = 'resolved', closed_at = clock_timestamp(), closed_by = %(by)s, closed_because = %(because)s
        WHERE dead_letter_id = %(id)s AND state = 'open'
        """,
        {"id": dead_letter_id, "by": by, "because": because},
    )
    return closed.rowcount == 1


def mark_replayed(tx: Tx, *, message_id: str | None = None, dead_letter_id: UUID | None = None) -> bool:
    """replaying -> resolved, with its item in the batch; False when no replay of it is under way any more.

    By the message's id when a worker has handled it again, by the dead letter's when the intake has accepted it again.
    """
    row = tx.execute(
        """
        UPDATE dead_letters
        SET state = 'resolved', closed_at = clock_timestamp(), closed_by = 'replay', closed_because = 'replayed, done'
        WHERE (message_id = %(message_id)s OR dead_letter_id = %(id)s) AND state = 'replaying'
        RETURNING dead_letter_id
        """,
        {"message_id": message_id, "id": dead_letter_id},
    ).fetchone()
    if row is not None:
        _end_replay(tx, row[0], "succeeded")
    return row is not None


def reopen(tx: Tx, dead_letter_id: UUID, *, reason: str) -> bool:
    """replaying -> open, with the new reason, and its item has failed; False when it was not being replayed."""
    opened = tx.execute(
        """
        UPDATE dead_letters
        SET state = 'open', reason = %(reason)s, died_at = clock_timestamp(), deaths = deaths + 1
        WHERE dead_letter_id = %(id)s AND state = 'replaying'
        """,
        {"id": dead_letter_id, "reason": storable(reason)},
    )
    if opened.rowcount:
        _end_replay(tx, dead_letter_id, "failed")
    return opened.rowcount == 1


def _end_replay(tx: Tx, dead_letter_id: UUID, state: str) -> None:
    tx.execute(
        """
        UPDATE replay_items SET state = %(state)s, moved_at = clock_timestamp()
        WHERE dead_letter_id = %(id)s AND state = 'appended'
        """,
        {"id": dead_letter_id, "state": state},
    )


def count_open(tx: Tx) -> int:
    """How many wait for a person, all tenants in a system or ops transaction."""
    row = tx.execute("SELECT count(*) FROM dead_letters WHERE state = 'open'").fetchone()
    assert row is not None, "an aggregate without GROUP BY always returns a row"
    return int(row[0])
