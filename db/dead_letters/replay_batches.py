"""Replay batches: made from a filter, classified by a worker, started by a person, run by a worker, item by item.

    classifying -> previewed -> [awaiting_approval ->] running -> done          canceled from any state before done

Every step is an UPDATE that names the state it leaves, so two operators, two runs or a crash half way change nothing
twice: a dead letter goes from open to replaying exactly once, and an item is appended with its message.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from db.dead_letters.states import BatchState
from db.dead_letters.views import WHERE, DeadLetterFilter, parameters
from db.session import Tx


@dataclass(frozen=True, slots=True)
class ReplayBatch:
    """A batch. `selection` is the filter it was made from; `target_queue` None: each message goes to its own queue.

    started_by, approved_by   None until then; they are two people when approval is needed (M20)
    """

    batch_id: UUID
    state: BatchState
    selection: dict[str, Any]
    reason: str
    target_queue: str | None
    rate_per_second: int
    created_by: str
    created_at: datetime
    started_by: str | None
    approved_by: str | None
    finished_at: datetime | None

    def __post_init__(self) -> None:
        object.__setattr__(self, "state", BatchState(self.state))


_BATCH = """
    SELECT batch_id, state, selection, reason, target_queue, rate_per_second, created_by, created_at, started_by,
           approved_by, finished_at
    FROM replay_batches
"""


@dataclass(frozen=True, slots=True)
class ClassTotal:
    """Of a batch: how many items of one class and currency and tenant, and the money they may move."""

    class_: str | None
    tenant_id: UUID | None
    currency: str | None
    items: int
    amount_minor: int


@dataclass(frozen=True, slots=True)
class ItemCounts:
    """How many items of a batch are in which state."""

    waiting: int
    unclassified: int
    skipped: int
    appended: int
    closed: int
    succeeded: int
    failed: int
    total: int


@dataclass(frozen=True, slots=True)
class ReplayItem:
    """One dead letter of a batch. `class_` and `proof` say what a replay would mean; None: not checked yet."""

    batch_id: UUID
    dead_letter_id: UUID
    class_: str | None
    proof: str | None
    amount_minor: int | None
    currency: str | None
    tenant_id: UUID | None
    state: str


def create(
    tx: Tx,
    chosen: DeadLetterFilter,
    *,
    operator: str,
    reason: str,
    rate_per_second: int,
    target_queue: str | None = None,
) -> tuple[UUID, int]:
    """A batch of the open dead letters of a filter, to be classified; returns its id and how many it holds."""
    row = tx.execute(
        """
        INSERT INTO replay_batches (selection, reason, target_queue, rate_per_second, created_by)
        VALUES (%(selection)s, %(reason)s, %(queue)s, %(rate)s, %(operator)s) RETURNING batch_id
        """,
        {
            "selection": Jsonb(chosen.as_json()),
            "reason": reason,
            "queue": target_queue,
            "rate": rate_per_second,
            "operator": operator,
        },
    ).fetchone()
    assert row is not None, "INSERT ... RETURNING returns its row"
    items = tx.execute(
        "INSERT INTO replay_items (batch_id, dead_letter_id) SELECT %(batch_id)s, d.dead_letter_id FROM dead_letters d"
        + WHERE
        + "AND d.state = 'open'",
        parameters(chosen) | {"batch_id": row[0]},
    ).rowcount
    return row[0], items


def get(tx: Tx, batch_id: UUID) -> ReplayBatch | None:
    with tx.cursor(row_factory=class_row(ReplayBatch)) as cursor:
        return cursor.execute(_BATCH + "WHERE batch_id = %(batch_id)s", {"batch_id": batch_id}).fetchone()


def lock(tx: Tx, batch_id: UUID) -> ReplayBatch | None:
    """The batch, locked until the transaction ends (FOR UPDATE); None when there is no such batch."""
    with tx.cursor(row_factory=class_row(ReplayBatch)) as cursor:
        return cursor.execute(_BATCH + "WHERE batch_id = %(batch_id)s FOR UPDATE", {"batch_id": batch_id}).fetchone()


def latest(tx: Tx, *, limit: int) -> list[ReplayBatch]:
    with tx.cursor(row_factory=class_row(ReplayBatch)) as cursor:
        return cursor.execute(_BATCH + "ORDER BY created_at DESC LIMIT %(limit)s", {"limit": limit}).fetchall()


def in_state(tx: Tx, state: str) -> list[ReplayBatch]:
    """All batches that stand there, the oldest first."""
    with tx.cursor(row_factory=class_row(ReplayBatch)) as cursor:
        return cursor.execute(_BATCH + "WHERE state = %(state)s ORDER BY created_at", {"state": state}).fetchall()


def totals(tx: Tx, batch_id: UUID) -> list[ClassTotal]:
    """What the preview shows."""
    with tx.cursor(row_factory=class_row(ClassTotal)) as cursor:
        return cursor.execute(
            """
            SELECT i.class AS class_, d.tenant_id, i.currency, count(*) AS items,
                   coalesce(sum(i.amount_minor), 0)::bigint AS amount_minor
            FROM replay_items i JOIN dead_letters d USING (dead_letter_id)
            WHERE i.batch_id = %(batch_id)s
            GROUP BY i.class, d.tenant_id, i.currency ORDER BY i.class, d.tenant_id, i.currency
            """,
            {"batch_id": batch_id},
        ).fetchall()


def progress(tx: Tx, batch_id: UUID) -> ItemCounts:
    with tx.cursor(row_factory=class_row(ItemCounts)) as cursor:
        counts = cursor.execute(
            """
            SELECT count(*) FILTER (WHERE state = 'waiting') AS waiting,
                   count(*) FILTER (WHERE class IS NULL AND state = 'waiting') AS unclassified,
                   count(*) FILTER (WHERE state = 'skipped') AS skipped,
                   count(*) FILTER (WHERE state = 'appended') AS appended,
                   count(*) FILTER (WHERE state = 'closed') AS closed,
                   count(*) FILTER (WHERE state = 'succeeded') AS succeeded,
                   count(*) FILTER (WHERE state = 'failed') AS failed,
                   count(*) AS total
            FROM replay_items WHERE batch_id = %(batch_id)s
            """,
            {"batch_id": batch_id},
        ).fetchone()
    assert counts is not None, "an aggregate without GROUP BY always returns a row"
    return counts


def items(tx: Tx, batch_id: UUID, *, limit: int = 100, offset: int = 0) -> list[ReplayItem]:
    """The items of a batch, a page at a time, ordered by dead letter."""
    with tx.cursor(row_factory=class_row(ReplayItem)) as cursor:
        return cursor.execute(
            """
            SELECT i.batch_id, i.dead_letter_id, i.class AS class_, i.proof, i.amount_minor, i.currency, d.tenant_id,
                   i.state
            FROM replay_items i JOIN dead_letters d USING (dead_letter_id)
            WHERE i.batch_id = %(batch_id)s
            ORDER BY dead_letter_id LIMIT %(limit)s OFFSET %(offset)s
            """,
            {"batch_id": batch_id, "limit": limit, "offset": offset},
        ).fetchall()


def unclassified(tx: Tx, batch_id: UUID, *, limit: int) -> list[UUID]:
    """Dead letters of the batch that a worker has not checked yet."""
    rows = tx.execute(
        """
        SELECT dead_letter_id FROM replay_items
        WHERE batch_id = %(batch_id)s AND class IS NULL AND state = 'waiting'
        ORDER BY dead_letter_id LIMIT %(limit)s
        """,
        {"batch_id": batch_id, "limit": limit},
    ).fetchall()
    return [row[0] for row in rows]


def waiting(tx: Tx, batch_id: UUID, *, limit: int) -> list[UUID]:
    """Dead letters of a running batch that are still to be replayed."""
    rows = tx.execute(
        """
        SELECT dead_letter_id FROM replay_items
        WHERE batch_id = %(batch_id)s AND state = 'waiting' ORDER BY dead_letter_id LIMIT %(limit)s
        """,
        {"batch_id": batch_id, "limit": limit},
    ).fetchall()
    return [row[0] for row in rows]


def end_item(tx: Tx, batch_id: UUID, dead_letter_id: UUID, *, state: str, checked: tuple[str, str]) -> None:
    """Store what became of a waiting item, with the class and proof of its last check; a second call changes
    nothing.
    """
    tx.execute(
        """
        UPDATE replay_items
        SET state = %(state)s, class = %(class)s, proof = %(proof)s, moved_at = clock_timestamp()
        WHERE batch_id = %(batch_id)s AND dead_letter_id = %(dead_letter_id)s AND state = 'waiting'
        """,
        {
            "batch_id": batch_id,
            "dead_letter_id": dead_letter_id,
            "state": state,
            "class": checked[0],
            "proof": checked[1],
        },
    )


def classify(
    tx: Tx,
    batch_id: UUID,
    dead_letter_id: UUID,
    *,
    class_: str,
    proof: str,
    amount_minor: int | None,
    currency: str | None,
) -> None:
    """Store what a replay would mean, as just checked; only of a waiting item.

    `amount_minor` None: it moves no
    money.
    """
    tx.execute(
        """
        UPDATE replay_items
        SET class = %(class)s, proof = %(proof)s, amount_minor = %(amount)s,
            currency = %(currency)s, moved_at = clock_timestamp()
        WHERE batch_id = %(batch_id)s AND dead_letter_id = %(dead_letter_id)s AND state = 'waiting'
        """,
        {
            "batch_id": batch_id,
            "dead_letter_id": dead_letter_id,
            "class": class_,
            "proof": proof,
            "amount": amount_minor,
            "currency": currency,
        },
    )


def move(tx: Tx, batch_id: UUID, *, leaving: tuple[str, ...], to: str, by: str | None = None) -> bool:
    """Move a batch; False when it was not in one of the states it may leave. `by` starts or approves it."""
    column = {"running": "started_by", "awaiting_approval": "started_by"}.get(to)
    approving = leaving == ("awaiting_approval",) and to == "running"
    moved = tx.execute(
        """
        UPDATE replay_batches
        SET state = %(to)s,
            started_by = CASE WHEN %(starts)s THEN %(by)s ELSE started_by END,
            approved_by = CASE WHEN %(approves)s THEN %(by)s ELSE approved_by END,
            finished_at = CASE WHEN %(to)s IN ('done', 'canceled') THEN clock_timestamp() END
        WHERE batch_id = %(batch_id)s AND state = ANY (%(leaving)s)
        """,
        {
            "batch_id": batch_id,
            "to": to,
            "by": by,
            "starts": column is not None and not approving,
            "approves": approving,
            "leaving": list(leaving),
        },
    )
    return moved.rowcount == 1
