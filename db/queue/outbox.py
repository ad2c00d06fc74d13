"""The outbox table: rows wait here until the broker has confirmed them (outbox/append.py fills it, relay.py empties
it).

Lanes keep the order of one payment: a relay locks lanes, not rows, so that two relays never hold rows of the same
payment at once. Rows are read by due time, never by "id greater than the last one": a transaction that commits late
with a low id is found like any other. Rows are inserted in whatever transaction the sender is in; locking lanes, and
reading and deleting what is due, is the relay's alone (Database.moving_transaction).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.rows import class_row

from db.session import Tx, ring_after_commit
from messages.queues import EVENTS_EXCHANGE

# db/queue/published_events.py computes the same lane in SQL (the id's last byte & 7): change both, and outbox_lanes.
LANES = 8
LONGEST_ROUTING_KEY = 255  # bytes; AMQP's short string
LARGEST_BODY = 16 << 20  # bytes; RabbitMQ's max_message_size


@dataclass(frozen=True, slots=True)
class NewRow:
    """A message in its wire form, ready to be published byte for byte.

    exchange, routing_key   '' and a queue for a worker; an exchange for a published event
    ordering_key            rows of one key are published in the order of their ids; None: order does not matter
    attempt                 1 for a first run
    not_before              None, or a time in the past: due at once
    """

    tenant_id: UUID | None
    message_id: UUID
    kind: str
    exchange: str
    routing_key: str
    ordering_key: UUID | None
    attempt: int
    not_before: datetime | None
    body: bytes

    @property
    def lane(self) -> int:
        """Which of LANES it is in: by the last bits of its ordering key, so that one payment's rows share a lane."""
        return (self.ordering_key or self.message_id).int % LANES


@dataclass(frozen=True, slots=True)
class DueRow:
    """A row to be published; (due_at, id) is its place in the order."""

    id: int
    due_at: datetime
    exchange: str
    routing_key: str
    message_id: UUID
    body: bytes

    @property
    def defect(self) -> str | None:
        """Why no broker can take this row; None for every row that the table's check lets in."""
        if self.exchange not in ("", EVENTS_EXCHANGE):
            return "its exchange is none that we publish to"
        if len(self.routing_key.encode()) > LONGEST_ROUTING_KEY:
            return f"its routing key is longer than {LONGEST_ROUTING_KEY} bytes"
        if len(self.body) > LARGEST_BODY:
            return f"its body is larger than {LARGEST_BODY} bytes"
        return None


_INSERT = """
    INSERT INTO outbox (
        tenant_id, message_id, kind, exchange, routing_key, ordering_key, lane, attempt, due_at, body)
    VALUES (
        %(tenant_id)s, %(message_id)s, %(kind)s, %(exchange)s, %(routing_key)s, %(ordering_key)s, %(lane)s,
        %(attempt)s, greatest(%(not_before)s::timestamptz, clock_timestamp()), %(body)s)
"""


def insert(tx: Tx, rows: Sequence[NewRow]) -> None:
    """Write rows in their order; several travel as one statement over arrays. Wakes the relay after the commit.

    Nothing is sent when the transaction rolls back: that is what the outbox is for.
    """
    ring_after_commit()
    if len(rows) == 1:
        tx.execute(_INSERT, _as_values(rows[0]))
        return
    tx.execute(
        """
        INSERT INTO outbox (
            tenant_id, message_id, kind, exchange, routing_key, ordering_key, lane, attempt, due_at, body)
        SELECT
            tenant_id, message_id, kind, exchange, routing_key, ordering_key, lane, attempt,
            greatest(not_before, clock_timestamp()), body
        FROM unnest(
            %(tenant_id)s::uuid[], %(message_id)s::uuid[], %(kind)s::text[], %(exchange)s::text[],
            %(routing_key)s::text[], %(ordering_key)s::uuid[], %(lane)s::smallint[], %(attempt)s::integer[],
            %(not_before)s::timestamptz[], %(body)s::bytea[]
        ) WITH ORDINALITY AS r (
            tenant_id, message_id, kind, exchange, routing_key, ordering_key, lane, attempt, not_before, body, place)
        ORDER BY place
        """,
        _as_columns(rows),
    )


def _as_values(row: NewRow) -> dict[str, Any]:
    return {
        "tenant_id": row.tenant_id,
        "message_id": row.message_id,
        "kind": row.kind,
        "exchange": row.exchange,
        "routing_key": row.routing_key,
        "ordering_key": row.ordering_key,
        "lane": row.lane,
        "attempt": row.attempt,
        "not_before": row.not_before,
        "body": row.body,
    }


def _as_columns(rows: Sequence[NewRow]) -> dict[str, list[Any]]:
    values = [_as_values(row) for row in rows]
    return {column: [value[column] for value in values] for column in values[0]}


def lock_lanes(tx: Tx, *, at_most: int, starting_with: int) -> list[int]:
    """Take up to `at_most` lanes that no other relay holds, until the transaction ends; [] when others hold all.

    SKIP LOCKED, and each relay starts with another lane, so that several relays share the lanes without waiting.
    """
    rows = tx.execute(
        """
        SELECT lane FROM outbox_lanes
        ORDER BY (lane - %(start)s + %(lanes)s) %% %(lanes)s
        LIMIT %(at_most)s
        FOR UPDATE SKIP LOCKED
        """,
        {"start": starting_with, "lanes": LANES, "at_most": at_most},
    ).fetchall()
    return [row[0] for row in rows]


def due(
    tx: Tx, lanes: Sequence[int], *, not_older_than: datetime | None, after_id: int = 0, limit: int
) -> list[DueRow]:
    """The oldest due rows of these lanes, in the order in which they became due; of one time, those after `after_id`.

    The caller holds the lanes. `not_older_than` lets the index scan skip entries of rows that are deleted but not yet
    vacuumed (an old snapshot somewhere forbids it): without it, such a snapshot made this statement a hundred times
    dearer. The relay starts from the beginning again and again, so that a row that was committed late is never missed.
    """
    # Binary, because bodies are bytea: as text each would travel in hexadecimal digits, twice as long.
    with tx.cursor(row_factory=class_row(DueRow), binary=True) as cursor:
        return cursor.execute(
            """
            SELECT id, due_at, exchange, routing_key, message_id, body
            FROM outbox
            WHERE (due_at, id) > (coalesce(%(floor)s, '-infinity'::timestamptz), %(after_id)s)
              AND due_at <= clock_timestamp()
              AND lane = ANY (%(lanes)s)
            ORDER BY due_at, id
            LIMIT %(limit)s
            """,
            {"floor": not_older_than, "after_id": after_id, "lanes": list(lanes), "limit": limit},
        ).fetchall()


def clock(tx: Tx) -> datetime:
    """The database's time, by which rows become due; other clocks of the fleet may differ from it."""
    row = tx.execute("SELECT clock_timestamp()").fetchone()
    assert row is not None, "a SELECT without FROM always returns a row"
    now: datetime = row[0]
    return now


def settle(tx: Tx, ids: Sequence[int]) -> int:
    """Delete rows that the broker has confirmed; returns how many rows that were, the others being deleted already.

    Published events are kept in `told_events` by the same statement (db/queue/published_events.py); an event that is
    published again keeps its first row there.
    """
    row = tx.execute(
        """
        WITH gone AS (
            DELETE FROM outbox WHERE id = ANY (%(ids)s)
            RETURNING id, tenant_id, message_id, kind, exchange, ordering_key, body
        ), told AS (
            INSERT INTO told_events (message_id, tenant_id, kind, subject_id, place, body)
            SELECT message_id, tenant_id, kind, ordering_key, id, body FROM gone WHERE exchange <> ''
            ON CONFLICT DO NOTHING
        )
        SELECT count(*) FROM gone
        """,
        {"ids": list(ids)},
    ).fetchone()
    assert row is not None, "an aggregate without GROUP BY always returns a row"
    return int(row[0])


def put_back(tx: Tx, ids: Sequence[int], *, seconds: float) -> None:
    """The broker returned or nacked these: they stay, are counted in `refusals`, and are due again after so many
    seconds.
    """
    tx.execute(
        """
        UPDATE outbox
        SET refusals = refusals + 1, due_at = clock_timestamp() + make_interval(secs => %(seconds)s)
        WHERE id = ANY (%(ids)s)
        """,
        {"ids": list(ids), "seconds": seconds},
    )


def set_aside(tx: Tx, row_id: int, *, because: str) -> None:
    """This row can never be published or settled: it stays for a person to see, counted as refused, and never due."""
    tx.execute(
        """
        UPDATE outbox
        SET refusals = refusals + 1, due_at = '2999-01-01 00:00:00+00', set_aside_because = %(because)s
        WHERE id = %(id)s
        """,
        {"id": row_id, "because": because},
    )


@dataclass(frozen=True, slots=True)
class Depth:
    """How many rows are due, wait for their time, and were refused by the broker; the age is that of the oldest due
    one.

    Seconds by the database's clock; 0 when nothing is due.
    """

    due: int
    waiting: int
    refused: int
    oldest_due_seconds: float


def depth(tx: Tx) -> Depth:
    """Count the whole outbox. It reads every row, so it belongs into a metric's interval, not into a loop."""
    with tx.cursor(row_factory=class_row(Depth)) as cursor:
        found = cursor.execute(
            """
            SELECT
                count(*) FILTER (WHERE due_at <= clock_timestamp()) AS due,
                count(*) FILTER (WHERE due_at > clock_timestamp()) AS waiting,
                count(*) FILTER (WHERE refusals > 0) AS refused,
                coalesce(extract(epoch FROM clock_timestamp() - min(due_at) FILTER (
                    WHERE due_at <= clock_timestamp())), 0)::float8 AS oldest_due_seconds
            FROM outbox
            """
        ).fetchone()
    assert found is not None, "an aggregate without GROUP BY always returns a row"
    return found


def count_for(tx: Tx, queue: str) -> int:
    """Rows that go to this queue, due or not."""
    row = tx.execute(
        "SELECT count(*) FROM outbox WHERE exchange = '' AND routing_key = %(queue)s", {"queue": queue}
    ).fetchone()
    assert row is not None, "an aggregate without GROUP BY always returns a row"
    return int(row[0])
